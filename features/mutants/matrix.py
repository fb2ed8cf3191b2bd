"""Who notices which fault?

Every case of the suite runs once without a fault, and must pass; then once per mutant, as
`vmsim conform` runs and judges it, each mutant in a process of its own. A case kills a mutant when
its verdict is a fail, or when a Then of it never ends; one that is stuck before, in a Given, only
notices that something is wrong. A mutant is `killed` when a case of a clause that it breaks kills
it, `elsewhere` when only others do, and `survived` when none does. One that cannot be applied is
`stale`, one whose process broke is `crashed`: neither counts as killed.

A case that passes through no place of a fault runs as without it and is not run again. The cases
of the clauses that a mutant breaks come first; `quick` ends with the first of them that kills. What
functions remember of earlier calls is forgotten in between, or it would hide a fault.
"""

import gc
import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

from features.mutants import Mutant
from features.mutants.patching import Stale, function_at
from vmsim.conformance import suite, targets, trial
from vmsim.conformance.suite import Case
from vmsim.conformance.verdicts import Verdict

CPU_S = 2.0  # of one case; the longest honest one takes a quarter of a second
RUNAWAYS = 2  # after so many cases that do not end, the others of the mutant are left out
MEMORY = 3 << 30
MUTANT_S = 300.0
FAULTY = ("survived", "elsewhere", "stale", "crashed")
JUDGED = re.compile(r"backends|vmsim(?!\.conformance)")
RARE = 3  # a mutant that at most so many scenarios kill is one that few kill


class RanAway(Exception):
    """The case does not end."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A case that noticed: in which step (`given`, `when`, `then`, `end`), and why."""

    case: int
    step: str
    message: str
    counts: bool  # whether the case itself found the fault, and not its preparation


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutant; `left_out` cases were not run any more."""

    mutant: str
    verdict: str
    kills: tuple[Kill, ...] = ()
    left_out: int = 0
    seconds: float = 0.0
    message: str = ""


@dataclass(slots=True)
class Matrix:
    """All outcomes, and the cases that their kills point at."""

    cases: Sequence[Case] = ()
    outcomes: list[Outcome] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def clauses(self, outcome: Outcome) -> list[str]:
        """The clauses whose cases kill the mutant."""
        kills = (kill for kill in outcome.kills if kill.counts)
        return sorted({clause for kill in kills for clause in self.cases[kill.case].clauses})

    def scenarios(self, outcome: Outcome) -> list[str]:
        """The scenarios that kill the mutant."""
        kills = (kill for kill in outcome.kills if kill.counts)
        return list(dict.fromkeys(scenario(self.cases[kill.case]) for kill in kills))

    def kills(self) -> dict[str, list[str]]:
        """For every scenario the mutants that it kills, also for one that kills none."""
        found: dict[str, list[str]] = {scenario(case): [] for case in self.cases}
        for outcome in self.outcomes:
            for name in self.scenarios(outcome):
                found[name].append(outcome.mutant)
        return found

    def rare(self) -> dict[str, list[str]]:
        """As `kills`, of the mutants that few scenarios kill."""
        few = {one.mutant for one in self.outcomes if len(self.scenarios(one)) <= RARE}
        return {name: [one for one in found if one in few] for name, found in self.kills().items()}


def scenario(case: Case) -> str:
    """The scenario of a case, as `feature: name`."""
    return f"{case.feature}: {case.name}"


def run(
    mutants: Sequence[Mutant],
    cases: Sequence[Case],
    jobs: int,
    quick: bool,
    done: Callable[[], None],
) -> Matrix:
    """The matrix of these mutants over these cases, on memory, `jobs` processes at a time; `done`
    is called after each mutant."""
    started_s = time.monotonic()
    kills, felt = _feel(mutants, cases)
    found = Matrix(cases, failed=[f"{cases[kill.case].id}: {kill.message}" for kill in kills])
    if cases and not kills:
        trials = [
            _Trial(mutant, cases, _who_feels(mutant, cases, felt), quick) for mutant in mutants
        ]
        found.outcomes = _run_all(trials, jobs, done)
    found.seconds = time.monotonic() - started_s
    return found


def _feel(
    mutants: Sequence[Mutant], cases: Sequence[Case]
) -> tuple[list[Kill], Mapping[str, set[int]]]:
    """Run without a fault; note which cases pass through which place of a fault."""
    places = dict(_codes({place for mutant in mutants for place in mutant.patch.reach}))
    felt: dict[str, set[int]] = {place: set() for place in places.values()}
    kills: list[Kill | None] = []
    number = 0

    def see(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code in places:
            felt[places[frame.f_code]].add(number)

    memories = _memories()
    for number, case in enumerate(cases):
        for memory in memories:
            memory.cache_clear()
        sys.setprofile(see)
        kills.append(_run_one(number, case))
        sys.setprofile(None)
    return [kill for kill in kills if kill is not None], felt


def _memories() -> list[Any]:
    """The caches of the functions that are judged, and not of the suite that judges."""
    kind = type(suite.cases)
    found: list[Any] = [one for one in gc.get_objects() if isinstance(one, kind)]
    return [one for one in found if JUDGED.match(str(one.__module__))]


def _codes(places: set[str]) -> Iterator[tuple[CodeType, str]]:
    for place in places:
        with suppress(Stale, ImportError):
            yield function_at(place).__code__, place


def _who_feels(mutant: Mutant, cases: Sequence[Case], felt: Mapping[str, set[int]]) -> list[int]:
    """The cases that may notice the mutant, those of the clauses that it breaks first."""
    reach = mutant.patch.reach
    if not reach or not all(place in felt for place in reach):
        found = set(range(len(cases)))
    else:
        found = set[int]().union(*(felt[place] for place in reach))
    return sorted(found, key=lambda number: (not _is_meant(mutant, cases[number]), number))


def _is_meant(mutant: Mutant, case: Case) -> bool:
    return bool(set(case.clauses) & set(mutant.breaks))


@dataclass(frozen=True, slots=True)
class _Trial:
    """One mutant and the numbers of the cases that it runs through."""

    mutant: Mutant
    cases: Sequence[Case]
    numbers: list[int]
    quick: bool

    def outcome(self) -> Outcome:
        """What becomes of the mutant."""
        started_s = time.monotonic()
        try:
            with self.mutant.patch():
                for memory in _memories():
                    memory.cache_clear()
                kills, left_out = self._kills()
        except Stale as error:
            return Outcome(self.mutant.id, "stale", message=str(error))
        own = [kill for kill in kills if kill.counts]
        meant = any(_is_meant(self.mutant, self.cases[kill.case]) for kill in own)
        verdict = "killed" if meant else "elsewhere" if own else "survived"
        seconds = time.monotonic() - started_s
        return Outcome(self.mutant.id, verdict, tuple(kills), left_out, seconds)

    def _kills(self) -> tuple[list[Kill], int]:
        kills: list[Kill] = []
        runaways = 0
        for done, number in enumerate(self.numbers, start=1):
            kill = _run_one(number, self.cases[number])
            if kill is None:
                continue
            kills.append(kill)
            runaways += RanAway.__name__ in kill.message
            meant = kill.counts and _is_meant(self.mutant, self.cases[number])
            if runaways >= RUNAWAYS or (self.quick and meant):
                return kills, len(self.numbers) - done
        return kills, 0


def _run_one(number: int, case: Case) -> Kill | None:
    """How the case notices a fault, None when it passes."""
    memory = targets.target("memory")
    with _limited():
        evidence = trial.run(case, partial(memory.open, 1), {})
    outcome = trial.judge(case, evidence)
    if outcome.verdict is Verdict.PASS:
        return None
    step = "end" if "end" in evidence else _last(evidence).lower()
    ran_away = evidence.get("error", {}).get("kind") == RanAway.__name__
    counts = outcome.verdict is Verdict.FAIL or (ran_away and step in ("then", "end"))
    return Kill(number, step, outcome.reason.split("\n")[0][:300], counts)


def _last(evidence: Mapping[str, Any]) -> str:
    steps = evidence["steps"]
    return str(steps[-1]["keyword"]) if steps else "Given"


@contextmanager
def _limited() -> Iterator[None]:
    """Give a case that does not end up, by the time it computes."""

    def give_up(*_: object) -> None:
        raise RanAway(f"no end after {CPU_S:g} s of computing")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_S, CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _run_all(trials: Sequence[_Trial], jobs: int, done: Callable[[], None]) -> list[Outcome]:
    """The outcomes in order; the trials of the most cases start first."""
    found: dict[int, Outcome] = {}
    running: dict[int, tuple[int, float]] = {}
    waiting = sorted(range(len(trials)), key=lambda number: -len(trials[number].numbers))
    with tempfile.TemporaryDirectory(prefix="vmsim-mutants-") as folder:
        while waiting or running:
            while waiting and len(running) < jobs:
                number = waiting.pop(0)
                file = Path(folder, str(number))
                running[_fork(trials[number], file)] = (number, time.monotonic())
            for pid in [pid for pid, (_, since_s) in running.items() if _is_over(pid, since_s)]:
                number, _ = running.pop(pid)
                found[number] = _read(trials[number].mutant, Path(folder, str(number)))
                done()
            time.sleep(0.02)
    return [found[number] for number in range(len(trials))]


def _fork(one: _Trial, file: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        part = file.with_suffix(".part")
        part.write_text(json.dumps(asdict(_tried(one))))
        part.rename(file)
        code = 0
    finally:
        os._exit(code)


def _tried(one: _Trial) -> Outcome:
    try:
        return one.outcome()
    except BaseException as error:  # this process ends here, whatever it is
        return Outcome(one.mutant.id, "crashed", message=f"{type(error).__name__}: {error}")


def _is_over(pid: int, since_s: float) -> bool:
    if time.monotonic() - since_s > MUTANT_S:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return True
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def _read(mutant: Mutant, file: Path) -> Outcome:
    if not file.exists():
        return Outcome(mutant.id, "crashed", message="its process ended without a word")
    value = json.loads(file.read_text())
    kills = tuple(Kill(**kill) for kill in value.pop("kills"))
    return Outcome(**value, kills=kills)
