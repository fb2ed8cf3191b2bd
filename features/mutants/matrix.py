"""Who notices which fault?

The features run once without a fault, and must pass; then once per mutant, each in a process of
its own that has everything loaded already. A scenario kills a mutant when one of its `Then` fails,
when it never ends, or when the run breaks; one that fails before, in a `Given`, only notices that
something is wrong. A mutant is `killed` when a scenario of a clause that it breaks kills it,
`elsewhere` when only others do, and `survived` when none does. One that cannot be applied is
`stale`, one whose process broke is `crashed`: neither counts as killed.
"""

import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from features.mutants import Mutant
from features.mutants.patching import Stale, function_at

CPU_S = 2.0  # of one scenario; the longest honest one takes a quarter of a second
RUNAWAYS = 2  # after so many scenarios that do not end, the others of the mutant are left out
MEMORY = 3 << 30
MUTANT_S = 300.0
FAULTY = ("survived", "elsewhere", "stale", "crashed")


class RanAway(Exception):
    """The scenario does not end."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a scenario: its name as `feature: name`, its row, and the clauses it shows."""

    scenario: str
    row: str
    clauses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kill:
    """A scenario that noticed: in which step (`given`, `when`, `then`, `end`), and why."""

    case: int
    step: str
    message: str

    @property
    def counts(self) -> bool:
        """Whether the scenario itself found the fault, and not its preparation."""
        return self.step in ("then", "end")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutant; `left_out` scenarios were not run any more."""

    mutant: str
    verdict: str
    kills: tuple[Kill, ...] = ()
    left_out: int = 0
    seconds: float = 0.0
    message: str = ""


@dataclass(slots=True)
class Matrix:
    """All outcomes, and the cases that their kills point at."""

    cases: list[Case] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def clauses(self, outcome: Outcome) -> list[str]:
        """The clauses whose scenarios kill the mutant."""
        kills = (kill for kill in outcome.kills if kill.counts)
        return sorted({clause for kill in kills for clause in self.cases[kill.case].clauses})

    def scenarios(self, outcome: Outcome) -> list[str]:
        """The scenarios that kill the mutant."""
        kills = (kill for kill in outcome.kills if kill.counts)
        return list(dict.fromkeys(self.cases[kill.case].scenario for kill in kills))

    def kills(self) -> dict[str, list[str]]:
        """For every scenario the mutants that it kills, also for one that kills none."""
        found: dict[str, list[str]] = {case.scenario: [] for case in self.cases}
        for outcome in self.outcomes:
            for scenario in self.scenarios(outcome):
                found[scenario].append(outcome.mutant)
        return found


class Mutation:
    """The pytest plug-in that runs the collected scenarios once per mutant, `jobs` at a time."""

    def __init__(self, mutants: Sequence[Mutant], jobs: int) -> None:
        self.matrix = Matrix()
        self._mutants = mutants
        self._jobs = jobs
        self._step = ""
        self._felt: Mapping[str, set[int]] = {}

    def pytest_bdd_step_error(self, step: Any) -> None:
        """Remember in which kind of step the scenario failed."""
        self._step = str(step.type)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Everything: first without a fault, then with each."""
        started_s = time.monotonic()
        items = [item for item in session.items if _is_scenario(item)]
        self.matrix.cases = [_case(item) for item in items]
        with _steps_remembered():
            kills = self._feel(items)
            self.matrix.failed = [f"{items[kill.case].name}: {kill.message}" for kill in kills]
            if items and not kills:
                self.matrix.outcomes = self._run_all(items)
        self.matrix.seconds = time.monotonic() - started_s
        return True

    def _feel(self, items: list[pytest.Item]) -> list[Kill]:
        """Run without a fault; note which scenarios pass through which place of a fault."""
        reach = {place for mutant in self._mutants for place in mutant.patch.reach}
        places = dict(_codes(reach))
        felt: dict[str, set[int]] = {place: set() for place in places.values()}
        number = 0

        def see(frame: Any, event: str, _: Any) -> None:
            if event == "call" and frame.f_code in places:
                felt[places[frame.f_code]].add(number)

        kills: list[Kill | None] = []
        for number, item in enumerate(items):
            sys.setprofile(see)
            kills.append(self._run_one(number, item, items[number + 1 : number + 2]))
            sys.setprofile(None)
        self._felt = felt
        return [kill for kill in kills if kill is not None]

    def _who_feels(self, mutant: Mutant, count: int) -> list[int]:
        """The numbers of the scenarios that may notice the mutant: the others run as without."""
        reach = mutant.patch.reach
        if not reach or not all(place in self._felt for place in reach):
            return list(range(count))
        return sorted(set[int]().union(*(self._felt[place] for place in reach)))

    def _run_all(self, items: list[pytest.Item]) -> list[Outcome]:
        found: dict[int, Outcome] = {}
        running: dict[int, tuple[int, float]] = {}
        waiting = list(range(len(self._mutants)))
        with tempfile.TemporaryDirectory(prefix="vmsim-mutants-") as folder:
            while waiting or running:
                if waiting and len(running) < self._jobs:
                    number = waiting.pop(0)
                    running[self._fork(number, items, Path(folder))] = (number, time.monotonic())
                    continue
                for pid, (number, since_s) in list(running.items()):
                    if _is_over(pid, since_s):
                        del running[pid]
                        found[number] = _outcome(self._mutants[number], Path(folder, str(number)))
                time.sleep(0.02)
        return [found[number] for number in range(len(self._mutants))]

    def _fork(self, number: int, items: list[pytest.Item], folder: Path) -> int:
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            outcome = self._tried(self._mutants[number], items)
            (folder / f"{number}.part").write_text(json.dumps(asdict(outcome)))
            (folder / f"{number}.part").rename(folder / str(number))
            code = 0
        finally:
            os._exit(code)

    def _tried(self, mutant: Mutant, items: list[pytest.Item]) -> Outcome:
        try:
            return self._mutate(mutant, items)
        except BaseException as error:  # this process ends here, whatever it is
            return Outcome(mutant.id, "crashed", message=f"{type(error).__name__}: {error}")

    def _mutate(self, mutant: Mutant, items: list[pytest.Item]) -> Outcome:
        started_s = time.monotonic()
        try:
            with mutant.patch():
                kills, left_out = self._run(items, self._who_feels(mutant, len(items)))
        except Stale as error:
            return Outcome(mutant.id, "stale", message=str(error))
        own = [kill for kill in kills if kill.counts]
        meant = any(set(_clauses(items[kill.case])) & set(mutant.breaks) for kill in own)
        verdict = "killed" if meant else "elsewhere" if own else "survived"
        return Outcome(mutant.id, verdict, tuple(kills), left_out, time.monotonic() - started_s)

    def _run(self, items: list[pytest.Item], numbers: Sequence[int]) -> tuple[list[Kill], int]:
        kills: list[Kill] = []
        runaways = 0
        following = [*numbers[1:], None][: len(numbers)]
        for done, (number, after) in enumerate(zip(numbers, following, strict=True), start=1):
            then = [] if after is None else [items[after]]
            kill = self._run_one(number, items[number], then)
            if kill is not None:
                kills.append(kill)
                runaways += "RanAway" in kill.message
            if runaways >= RUNAWAYS:
                return kills, len(numbers) - done
        return kills, 0

    def _run_one(self, number: int, item: pytest.Item, then: list[pytest.Item]) -> Kill | None:
        self._step = ""
        with _limited():
            reports = runtestprotocol(item, log=False, nextitem=next(iter(then), None))
        failed = [report for report in reports if report.failed]
        if not failed:
            return None
        step = self._step or ("end" if failed[0].when == "teardown" else "given")
        return Kill(number, step, _message(failed[0]))


@contextmanager
def _limited() -> Iterator[None]:
    """Give a scenario that does not end up, by the time it computes."""

    def give_up(*_: object) -> None:
        raise RanAway(f"no end after {CPU_S:g} s of computing")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_S, CPU_S)
    try:
        yield
    except RanAway:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def _steps_remembered() -> Iterator[None]:
    """Find the definition of each step once: pytest-bdd tries all of them at every step, which
    takes longer than what the step does."""
    place: Any = import_module("pytest_bdd.scenario")  # not before pytest has begun
    find = place.find_fixturedefs_for_step
    known: dict[tuple[str, str, str], list[Any]] = {}

    def remembered(step: Any, fixturemanager: Any, node: Any) -> list[Any]:
        key = (step.type, step.name, str(node.path))
        if key not in known:
            known[key] = list(find(step, fixturemanager, node))
        return known[key]

    place.find_fixturedefs_for_step = remembered
    try:
        yield
    finally:
        place.find_fixturedefs_for_step = find


def _codes(places: set[str]) -> Iterator[tuple[CodeType, str]]:
    for place in places:
        with suppress(Stale, ImportError):
            yield function_at(place).__code__, place


def _message(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash else report.longrepr)
    return text.replace("features.mutants.matrix.", "").split("\n")[0][:300]


def _is_scenario(item: pytest.Item) -> bool:
    return bool(_clauses(item))


def _clauses(item: pytest.Item) -> tuple[str, ...]:
    """The tags of the scenario that name a clause: letters, a dash, digits."""
    names = dict.fromkeys(mark.name for mark in item.iter_markers())
    return tuple(name for name in names if name.rpartition("-")[2].isdigit())


def _case(item: pytest.Item) -> Case:
    function = getattr(item, "function", None)
    name = str(getattr(function, "__doc__", None) or item.name).rpartition("/")[2]
    return Case(name, item.name.partition("[")[2].rstrip("]"), _clauses(item))


def _is_over(pid: int, since_s: float) -> bool:
    if time.monotonic() - since_s > MUTANT_S:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return True
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def _outcome(mutant: Mutant, file: Path) -> Outcome:
    if not file.exists():
        return Outcome(mutant.id, "crashed", message="its process ended without a word")
    value = json.loads(file.read_text())
    kills = tuple(Kill(**kill) for kill in value.pop("kills"))
    return Outcome(**value, kills=kills)


def run(mutants: Sequence[Mutant], folder: Path, jobs: int = 2, match: str = "") -> Matrix:
    """The matrix of these mutants over the features in `folder`, on memory."""
    plugin = Mutation(mutants, jobs)
    options = ["--backend", "memory", "-p", "no:cacheprovider", "-q", "--no-header", "-k", match]
    code = pytest.main([str(folder), *options, "-o", "timeout=0"], plugins=[plugin])
    if code not in (0, 5) and not plugin.matrix.failed:
        plugin.matrix.failed = [f"pytest ended with {int(code)}"]
    return plugin.matrix
