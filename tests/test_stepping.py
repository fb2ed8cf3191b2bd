"""A clock that stands still until somebody asks, by way of a ConfigMap."""

import json
import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from vmsim.kube import Change, Denial, Kube
from vmsim.problems import Unreachable
from vmsim.serving import Supervisor
from vmsim.stepping import CONFIG_MAPS, NAME, Steps


class Clock:
    """Moves 10 s each time that it is asked."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.mishaps: list[Exception] = []

    def do(self, work: Any) -> None:
        work()

    def step(self, until_s: float, whole: bool, touched: list[str]) -> float:
        if self.mishaps:
            raise self.mishaps.pop()
        self.now_s = until_s if whole else min(until_s, self.now_s + 10.0)
        return self.now_s


class Server:
    """A ConfigMap of which every change is told, our own answers included."""

    def __init__(self) -> None:
        self.data: dict[str, str] = {}
        self.answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._changes: queue.SimpleQueue[Change] = queue.SimpleQueue()

    def ask(self, words: Mapping[str, Any] | str) -> None:
        self._put({"ask": words if isinstance(words, str) else json.dumps(words)})

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        assert path == f"{CONFIG_MAPS}/{NAME}"
        self._put(body["data"])
        self.answers.put(json.loads(body["data"]["said"]))
        return {}

    def watched(self, path: str, stopped: threading.Event) -> Iterator[Change]:
        while not stopped.is_set():
            yield self._changes.get()

    def _put(self, data: Mapping[str, str]) -> None:
        self.data = {**self.data, **data}
        raw = {"metadata": {"name": NAME}, "data": self.data}
        self._changes.put(Change("MODIFIED", (raw,)))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[Server]:
    there = Server()
    with Steps(cast(Kube, there), cast(Supervisor, clock)):
        yield there
        there._put({})


def asked(id: str, attempt: int = 0) -> dict[str, Any]:
    return {"id": id, "until": 60, "whole": False, "touched": [], "attempt": attempt}


def test_clock_is_moved_once_for_a_question_that_is_asked_again(server: Server) -> None:
    for attempt in range(2):
        server.ask(asked("1", attempt))
        assert server.answers.get(timeout=5) == {"id": "1", "now": 10.0}
    server.ask(asked("2"))
    assert server.answers.get(timeout=5) == {"id": "2", "now": 20.0}
    assert server.answers.empty()


@pytest.mark.parametrize("mishap", [Unreachable("no answer"), Denial(403, "", "no right")])
def test_clock_that_could_not_be_moved_is_moved_when_it_is_asked_again(
    server: Server, clock: Clock, mishap: Exception
) -> None:
    clock.mishaps.append(mishap)
    server.ask(asked("1"))
    assert server.answers.get(timeout=5) == {"id": "", "error": str(mishap)}
    server.ask(asked("1", attempt=1))
    assert server.answers.get(timeout=5) == {"id": "1", "now": 10.0}


@pytest.mark.parametrize("words", ["no JSON", "[]", '{"id": "1"}'])
def test_question_that_cannot_be_read_is_answered_with_its_error(
    server: Server, words: str
) -> None:
    server.ask(words)
    answer = server.answers.get(timeout=5)
    assert (answer["id"], "error" in answer) == ("", True)
