"""What a run was expected to do, judged over a handful of records."""

from typing import Any

import pytest

from vmsim.expectations import Expectations, Verdict, clock, describe
from vmsim.fold import Picture
from vmsim.scenario import Expect
from vmsim.trace import Record

Line = tuple[float, str, str, dict[str, Any]]

VM = {"kind": "VirtualMachine", "spec": {"powerState": "PoweredOn"}}
NO_HOST = {"verb": "PowerOnVM", "summary": "2 InvalidHostState"}


def up(name: str) -> Line:
    return (0.0, "Host", name, {"cluster": "c"})


def added(t: float, vm: str) -> Line:
    return (t, "Added", vm, {"manifest": VM})


def on(t: float, vm: str, host: str) -> Line:
    return (t, "VmPoweredOn", vm, {"host": host, "cause": "User"})


def off(t: float, vm: str, host: str) -> Line:
    return (t, "VmPoweredOff", vm, {"host": host, "cause": "User"})


def down(t: float, host: str) -> Line:
    return (t, "HostConnectionLost", host, {"state": "NotResponding"})


def judged(expect: dict[str, Any], *lines: Line, end_s: float = 100.0) -> Verdict:
    """The verdict on one expectation after these records, at the end of `end_s` seconds."""
    picture = Picture()
    expectations = Expectations([Expect.model_validate(expect)], picture)
    starts = expectations.starts()
    for number, (t, kind, name, data) in enumerate(lines):
        while starts and starts[0] <= t:
            expectations.at(starts.pop(0))
        record = Record(t, number, "x", kind, name, data)
        picture.apply(record)
        expectations.see(record)
    for start in starts:
        expectations.at(start)
    expectations.ended_s = end_s
    (verdict,) = expectations.verdicts(100.0)
    return verdict


def test_state_without_a_window_holds_at_the_end() -> None:
    story = [added(1, "d/a"), on(2, "d/a", "h1")]

    assert judged({"vm": "d/a", "state": "PoweredOn"}, *story) == Verdict(
        "d/a PoweredOn at the end", True
    )
    assert judged({"vm": "d/a", "state": "PoweredOn"}, *story, off(3, "d/a", "h1")) == Verdict(
        "d/a PoweredOn at the end", False, "d/a ended PoweredOff on h1 since 3s"
    )


def test_state_with_a_window_comes_about_within_it() -> None:
    story = [added(1, "d/a"), on(20, "d/a", "h1"), off(30, "d/a", "h1")]

    assert judged({"vm": "d/a", "state": "PoweredOn", "by": "20s"}, *story).met
    assert not judged({"vm": "d/a", "state": "PoweredOn", "by": "19s"}, *story).met
    assert judged({"vm": "d/a", "state": "PoweredOff", "since": "25s", "by": "1m"}, *story).met
    assert not judged({"vm": "d/a", "state": "PoweredOn", "since": "31s", "by": "1m"}, *story).met


def test_state_that_holds_when_the_window_opens_counts() -> None:
    story = [added(1, "d/a"), on(2, "d/a", "h1")]

    assert judged({"vm": "d/a", "state": "PoweredOn", "since": "50s", "by": "50s"}, *story).met


def test_host_may_be_expected_besides_the_state() -> None:
    story = [up("h1"), added(1, "d/a"), on(2, "d/a", "h1")]

    assert judged({"vm": "d/a", "state": "PoweredOn", "onHost": "h?"}, *story).met
    assert judged({"vm": "d/a", "onHost": "h1"}, *story).met
    assert judged({"vm": "d/a", "onHost": "h2"}, *story) == Verdict(
        "d/a on h2 at the end", False, "d/a ended PoweredOn on h1 since 2s"
    )


def test_glob_speaks_of_every_vm_that_matches() -> None:
    story = [added(1, f"d/{name}") for name in "abcdef"] + [on(2, "d/c", "h1")]

    assert judged({"vm": "d/*", "state": "Pending", "by": "1s"}, *story).met
    assert judged({"vm": "d/*", "state": "PoweredOn"}, *story) == Verdict(
        "d/* PoweredOn at the end",
        False,
        "d/a ended Pending since 1s; d/b ended Pending since 1s; d/d ended Pending since 1s; "
        "and 2 more",
    )


def test_windows_of_a_glob_are_met_by_each_vm_in_its_own_time() -> None:
    story = [
        added(1, "d/a"), added(1, "d/b"), on(2, "d/a", "h1"), off(3, "d/a", "h1"),
        on(4, "d/b", "h1"),
    ]  # fmt: skip

    assert judged({"vm": "d/*", "state": "PoweredOn", "by": "5s"}, *story).met


def test_glob_that_matches_nothing_is_missed() -> None:
    assert judged({"vm": "d/*", "state": "PoweredOn"}) == Verdict(
        "d/* PoweredOn at the end", False, "d/* ended Absent since 0s"
    )


def test_vm_that_waits_says_for_what() -> None:
    story = [added(1, "d/a"), (2.0, "NoCompatibleHost", "d/a", NO_HOST)]

    assert judged({"vm": "d/a", "state": "Waiting"}, *story).met
    assert judged({"vm": "d/a", "state": "PoweredOn"}, *story).instead == (
        "d/a ended Waiting since 1s (2 InvalidHostState)"
    )


def test_vm_that_nobody_wants_on_does_not_wait() -> None:
    wants_off = {"manifest": {"spec": {"powerState": "poweredOff"}}}
    story: list[Line] = [added(1, "d/a"), (2.0, "NoCompatibleHost", "d/a", NO_HOST)]

    assert judged({"vm": "d/a", "state": "Pending"}, *story, (3, "Modified", "d/a", wants_off)).met
    assert judged({"vm": "d/a", "state": "Pending"}, *story, (3, "Deleting", "d/a", {})).met


def test_refused_move_of_a_running_vm_is_no_wait_after_its_power_off() -> None:
    refused = {"verb": "MigrateVM", "summary": "1 InvalidHostState"}
    story = [added(1, "d/a"), on(2, "d/a", "h1"), (3.0, "NoCompatibleHost", "d/a", refused)]

    assert judged({"vm": "d/a", "state": "PoweredOn"}, *story).met
    assert judged({"vm": "d/a", "state": "PoweredOff"}, *story, off(4, "d/a", "h1")).met


def test_deleted_vm_is_absent() -> None:
    story = [added(1, "d/a"), (5.0, "Deleted", "d/a", {})]

    assert judged({"vm": "d/a", "state": "Absent"}, *story).met
    assert judged({"vm": "d/a", "state": "Absent", "since": "2s", "by": "5s"}, *story).met
    assert not judged({"vm": "d/a", "state": "Absent", "since": "2s", "by": "4s"}, *story).met


def test_vm_loses_power_with_its_host() -> None:
    story = [up("h1"), added(1, "d/a"), on(2, "d/a", "h1"), down(9, "h1"), on(9.5, "d/a", "h2")]

    assert judged({"vm": "d/a", "state": "PoweredOff", "since": "3s", "by": "10s"}, *story).met


def test_host_is_judged_by_its_state() -> None:
    story = [up("h1"), up("h2"), down(9, "h1")]

    assert judged({"host": "h1", "state": "NotResponding", "by": "9s"}, *story).met
    assert judged({"host": "h2", "state": "Up"}, *story).met
    assert judged({"host": "h1", "state": "Up"}, *story) == Verdict(
        "h1 Up at the end", False, "h1 ended NotResponding since 9s"
    )


def test_glob_speaks_of_every_host_that_matches() -> None:
    story = [up("h1"), up("h2"), down(9, "h1")]

    assert judged({"host": "h?", "state": "Up", "by": "5s"}, *story).met
    assert (
        judged({"host": "h?", "state": "NotResponding"}, *story).instead == "h2 ended Up since 0s"
    )
    assert judged({"host": "x*", "state": "Up"}, *story).instead == "there is no host x*"


def test_host_that_is_held_up_names_the_vms() -> None:
    blocked = {"vms": {"d/a": "DisallowedMigrationDeviceAttached"}}
    story = [
        up("h1"),
        (5.0, "EnteringMaintenanceMode", "h1", {"state": "EnteringMaintenance"}),
        (5.0, "EvacuationBlocked", "h1", blocked),
    ]

    assert judged({"host": "h1", "state": "Maintenance"}, *story).instead == (
        "h1 ended EnteringMaintenance since 5s, held up by d/a"
    )


def test_events_are_counted() -> None:
    story = [on(2, "d/a", "h1"), on(3, "d/b", "h2"), on(4, "d/a", "h2")]

    assert judged({"event": "VmPoweredOn"}, *story).met
    assert judged({"event": "VmPoweredOn", "count": 3}, *story).met
    assert judged({"event": "VmPoweredOn", "object": "d/a", "count": 2}, *story).met
    assert judged({"event": "VmPoweredOn", "contains": '"host":"h2"', "count": 2}, *story).met
    assert judged({"event": "VmPoweredOn", "since": "3s", "by": "3s", "count": 1}, *story).met
    assert judged({"event": "VmPoweredOn", "count": 2}, *story) == Verdict(
        "2 VmPoweredOn", False, "3 such records"
    )
    assert judged({"event": "VmPoweredOff"}, *story) == Verdict(
        "at least one VmPoweredOff", False, "0 such records"
    )
    assert judged({"event": "VmPoweredOff", "count": 0}, *story).met
    assert judged({"event": "VmPoweredOn", "by": 0, "count": 0}, *story).met


@pytest.mark.parametrize("text", ['Invalid value: "x": no', r"Invalid value: \"x\": no"])
def test_quotes_in_a_text_may_be_written_plainly_or_as_in_the_trace(text: str) -> None:
    denied = (1.0, "Denied", "d/a", {"errors": ['spec.y: Invalid value: "x": no']})

    assert judged({"event": "Denied", "contains": text}, denied).met


def test_window_on_an_event_alone_asks_for_no_state() -> None:
    story = [up("h1"), added(1, "d/a"), on(40, "d/a", "h1")]

    assert judged({"event": "VmPoweredOn", "since": "30s", "by": "50s"}, *story).met


def test_expectation_is_open_when_the_run_was_cut_short() -> None:
    expect = {"vm": "d/a", "state": "PoweredOn", "by": "50s"}
    story = [added(1, "d/a")]

    assert judged(expect, *story, end_s=49.0).met is None
    assert judged(expect, *story, end_s=50.0).met is False
    assert judged(expect, *story, on(2, "d/a", "h1"), end_s=49.0).met is True


@pytest.mark.parametrize(
    "expect, text",
    [
        ({"vm": "d/a", "state": "PoweredOn", "by": "90s"}, "d/a PoweredOn by 1m30s"),
        (
            {"vm": "d/*", "state": "Waiting", "onHost": "h1", "since": "1m", "by": "2h"},
            "d/* Waiting on h1 from 1m00s by 2h00m00s",
        ),
        ({"host": "h1", "state": "Up"}, "h1 Up at the end"),
        ({"event": "Denied", "count": 0}, "0 Denied"),
        (
            {"event": "Denied", "object": "d/a", "contains": "x", "since": "1s", "by": "2s"},
            "at least one Denied of d/a with 'x' from 1s by 2s",
        ),
    ],
)
def test_expectation_in_words(expect: dict[str, Any], text: str) -> None:
    assert describe(Expect.model_validate(expect)) == text


@pytest.mark.parametrize(
    "seconds, text",
    [(0, "0s"), (1.5, "1.5s"), (12.34, "12.34s"), (60, "1m00s"),
     (3599.9, "59m59s"), (3600, "1h00m00s"), (90061, "25h01m01s")],
)  # fmt: skip
def test_clock_reads_as_people_do(seconds: float, text: str) -> None:
    assert clock(seconds) == text
