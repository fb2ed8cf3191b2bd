"""A run whose way to the API is unreliable ends with a clear verdict, never with a silent pass."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backends import driven
from backends.effects import VSphereEffects
from backends.unreliable import ALLEGED, NO_ANSWER, Mishap, Odds, Unreliable
from backends.vcsim_inventory import write_inventory
from backends.vcsim_process import Vcsim
from backends.vsphere_reads import VMSeen
from backends.vsphere_session import HostVerb, NewVM, Session, TaskRef
from vmsim.actions import Fault, Verb
from vmsim.loading import load
from vmsim.objects import Hardware, HostSpec, PowerState
from vmsim.ports import Backend, Believed
from vmsim.problems import Unreachable
from vmsim.running import How, Result, run

ALWAYS = 1.0
NEW = NewVM("ns/a", "esx-1", Hardware(1, 1024))


@dataclass
class Recorder:
    """A driver that does nothing but remember; every request succeeds."""

    calls: list[str] = field(default_factory=list)

    def create(self, new: NewVM) -> Fault | None:
        return self.done(f"create {new.key}")

    def resize(self, key: str, hardware: Hardware) -> Fault | None:
        return self.done(f"resize {key}")

    def relocate(self, key: str, host: str) -> Fault | None:
        return self.done(f"relocate {key} {host}")

    def submit(self, verb: Verb, key: str, host_name: str = "") -> TaskRef | Fault:
        self.done(f"{verb} {key}")
        return TaskRef("task-1")

    def wait(
        self, started: Sequence[TaskRef | Fault], timeout_s: float = 60.0
    ) -> list[Fault | None]:
        return [None for _ in started]

    def command(self, verb: HostVerb, host: str) -> Fault | None:
        return self.done(f"{verb} {host}")

    def vms(self) -> dict[str, VMSeen]:
        on = PowerState.ON
        return {"ns/a": VMSeen("ns/a", "vm-1", "esx-1", on, True, Hardware(1, 1024), "", "", "")}

    def done(self, call: str) -> None:
        self.calls.append(call)


def after(mishap: Mishap, seed: int = 0) -> tuple[Fault | None, list[str]]:
    """The answer to a creation to which this happens, and what was really done."""
    recorder = Recorder()
    return Unreliable(recorder, Odds({mishap: ALWAYS}), seed).create(NEW), recorder.calls


def test_lost_request_is_not_done_and_its_outcome_is_unknown() -> None:
    assert after(Mishap.LOST) == (NO_ANSWER, [])


def test_lost_answer_leaves_the_outcome_of_what_was_done_unknown() -> None:
    assert after(Mishap.MUTE) == (NO_ANSWER, ["create ns/a"])


def test_repeated_request_is_done_twice() -> None:
    assert after(Mishap.TWICE) == (None, ["create ns/a", "create ns/a"])


def test_false_answer_is_success_of_nothing_or_failure_of_something() -> None:
    assert {repr(after(Mishap.LIE, seed)) for seed in range(20)} == {
        repr((None, [])),
        repr((ALLEGED, ["create ns/a"])),
    }


def test_late_answer_is_waited_for_until_patience_ends() -> None:
    waited: list[float] = []
    late = Unreliable(Recorder(), Odds({Mishap.LATE: ALWAYS}, late_s=2.0), sleep=waited.append)
    assert (late.create(NEW), waited) == (None, [2.0])

    odds = Odds({Mishap.LATE: ALWAYS}, late_s=9.0, patience_s=3.0)
    with pytest.raises(Unreachable, match="after 3 s"):
        Unreliable(Recorder(), odds).create(NEW)


def test_power_operation_meets_the_same_mishaps() -> None:
    recorder = Recorder()
    unreliable = Unreliable(recorder, Odds({Mishap.LOST: ALWAYS}))
    assert unreliable.wait([unreliable.submit(Verb.POWER_ON, "ns/a")]) == [NO_ANSWER]
    assert (recorder.calls, unreliable.struck) == ([], {Mishap.LOST: 1})


def test_lost_read_is_unreachable_and_a_false_one_a_difference() -> None:
    with pytest.raises(Unreachable):
        Unreliable(Recorder(), Odds(reads={Mishap.LOST: ALWAYS})).vms()

    effects = VSphereEffects(Unreliable(Recorder(), Odds(reads={Mishap.LIE: ALWAYS})))
    believed = [Believed("ns/a", "esx-1", PowerState.ON, Hardware(1, 1024))]
    assert effects.compare(believed) == [
        "ns/a: power is PoweredOn in the model, PoweredOff on the API"
    ]


def test_the_same_seed_gives_the_same_mishaps() -> None:
    odds = Odds({Mishap.LOST: 0.3, Mishap.TWICE: 0.3})

    def calls(seed: int) -> list[str]:
        recorder = Recorder()
        unreliable = Unreliable(recorder, odds, seed)
        for number in range(30):
            unreliable.relocate("ns/a", f"esx-{number}")
        return recorder.calls

    assert calls(1) == calls(1) != calls(2)


@dataclass
class Ended:
    """How a run ended: its result or why there is none, and what is truly different then."""

    result: Result | None = None
    unreachable: str = ""
    truth: list[str] = field(default_factory=list)
    struck: int = 0


def ended(odds: Odds, seed: int) -> Ended:
    """A run on vcsim with these mishaps; the truth is read past them."""
    found = Ended()

    @contextmanager
    def opened(name: str, hosts: Sequence[HostSpec]) -> Iterator[Backend]:
        with tempfile.TemporaryDirectory() as folder:
            write_inventory(Path(folder, "inventory"), hosts)
            simulator = Vcsim()
            with (
                simulator.start(Path(folder, "inventory")) as process,
                Session.connect(process.endpoint) as session,
            ):
                unreliable = Unreliable(session, odds, seed, sleep=lambda _: None)
                backend = driven(name, session, unreliable)

                def compare(believed: Iterable[Believed]) -> list[str]:
                    picture = list(believed)
                    found.truth = VSphereEffects(session).compare(picture)
                    return backend.compare(picture)

                try:
                    yield Backend(backend.name, backend.versions, backend.make, compare)
                finally:
                    found.struck = sum(unreliable.struck.values())

    try:
        found.result = run(load(Path("scenarios/gpu-stranded.yaml")), How("vcsim"), opened)
    except Unreachable as error:
        found.unreachable = str(error)
    return found


@pytest.mark.vcsim
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mishap", Mishap)
def test_run_with_mishaps_never_passes_silently(mishap: Mishap) -> None:
    odds = Odds({mishap: 0.3}, late_s=1.0)
    outcomes = [ended(odds, seed) for seed in (1, 2)]
    for outcome in outcomes:
        if outcome.result is not None and not outcome.result.differences:
            assert outcome.truth == [], "the run found no difference, and there is one"
        assert outcome.unreachable or outcome.struck, "nothing went wrong"


@pytest.mark.vcsim
@pytest.mark.timeout(300)
def test_run_that_is_told_lies_finds_differences_or_ends() -> None:
    outcomes = [ended(Odds({Mishap.LIE: ALWAYS}), 1), ended(Odds(reads={Mishap.LIE: ALWAYS}), 1)]
    for outcome in outcomes:
        assert outcome.unreachable or (outcome.result and outcome.result.differences)
