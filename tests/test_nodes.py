"""Hosts as Nodes, and the writes that leave the loop."""

import threading
import time

import pytest

from tests.builders import host
from vmsim import nodes
from vmsim.nodes import Wanted, next_command
from vmsim.objects import HostState
from vmsim.outbox import Outbox
from vmsim.problems import BadInput, Unreachable

UP, GOING, IN, DOWN = (
    HostState.UP,
    HostState.ENTERING_MAINTENANCE,
    HostState.MAINTENANCE,
    HostState.DOWN,
)


@pytest.mark.parametrize(
    ("asked", "commands"),
    [
        (Wanted(), {UP: "", GOING: "exit_maintenance", IN: "exit_maintenance", DOWN: "recover"}),
        (Wanted(cordoned=True), {UP: "", IN: "exit_maintenance", DOWN: "recover"}),
        (Wanted(maintenance=True), {UP: "enter_maintenance", GOING: "", IN: "", DOWN: "recover"}),
        (Wanted(failed=True), {UP: "fail", GOING: "fail", IN: "fail", DOWN: ""}),
        (Wanted(maintenance=True, failed=True), {UP: "fail", IN: "fail", DOWN: ""}),
    ],
)
def test_next_command_brings_the_host_nearer(asked: Wanted, commands: dict[HostState, str]) -> None:
    assert {state: next_command(asked, state) for state in commands} == commands


def test_node_describes_its_host() -> None:
    spec = host("esx-1")
    assert nodes.host(nodes.node(spec)) == spec


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"cores": 3}'])
def test_node_that_describes_no_host_is_refused(text: str) -> None:
    raw = nodes.node(host("esx-1"))
    raw["metadata"]["annotations"] = {nodes.DESCRIPTION: text}
    with pytest.raises(BadInput, match="esx-1 does not describe a host"):
        nodes.host(raw)


def test_outbox_does_only_the_newest_of_a_key_that_waits() -> None:
    outbox, done, gate = Outbox(1), list[str](), threading.Event()
    outbox.put("other", lambda: gate.wait(5))
    for word in ("old", "new"):
        outbox.put("key", lambda word=word: done.append(word))  # type: ignore[misc]
    gate.set()
    assert outbox.drained(5)
    assert done == ["new"]
    outbox.close()


def test_outbox_wakes_a_worker_and_not_only_who_waits_for_the_end() -> None:
    outbox, gate, done = Outbox(1), threading.Event(), threading.Event()
    outbox.put("slow", lambda: gate.wait(5))
    for waits in (lambda: outbox.drained(5), outbox._work):  # the worker comes last
        threading.Thread(target=waits, daemon=True).start()
        time.sleep(0.05)
    outbox.put("quick", done.set)
    assert done.wait(2)
    gate.set()
    assert outbox.drained(5)
    outbox.close()


def test_outbox_tries_again_what_could_not_be_reached_and_hands_back_what_is_refused() -> None:
    outbox, attempts, told = Outbox(1), list[int](), list[str]()

    def flaky() -> str:
        attempts.append(1)
        if len(attempts) < 2:
            raise Unreachable("gone")
        return "written"

    def refused() -> None:
        raise ValueError("no")

    outbox.put("a", flaky, lambda key, answer, error: told.append(f"{key} {answer} {error}"))
    outbox.put("b", refused, lambda key, answer, error: told.append(f"{key} {answer} {error}"))
    assert outbox.drained(10)
    assert sorted(told) == ["a written None", "b None no"]
    outbox.close()
