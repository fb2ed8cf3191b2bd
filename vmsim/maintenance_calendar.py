"""Which host is worked on when, if maintenance comes round on a calendar?

Each entry of the calendar goes through its hosts in rounds, so many at a time: enter maintenance
mode, work, exit, next host. A host that cannot be had (it is down, or does not get empty in time)
is passed over until the next round. One that fails while it is worked on leaves maintenance mode
when it is repaired.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

import simpy

from vmsim.chance_schema import MaintenanceCalendar
from vmsim.distributions import Law, draws
from vmsim.rng import stream
from vmsim.timer import call_later
from vmsim.trace import Record, Trace

Steps: TypeAlias = Generator[simpy.Event, None, None]
OUTCOMES = (
    "EnteredMaintenanceMode", "ExitMaintenanceMode", "MaintenanceFailed", "HostConnectionLost",
    "HostRemoved",
)  # fmt: skip
"""Records that end a wait for a host."""


@dataclass(frozen=True, slots=True)
class Acts:
    """What the calendar does: `enter` and `exit` tell whether vSphere accepted; `hosts` names the
    hosts that are there, in order."""

    enter: Callable[[str, float], bool]
    exit: Callable[[str], bool]
    hosts: Callable[[], list[str]]


class Calendar:
    """All entries of one run."""

    def __init__(self, env: simpy.Environment, seed: int, acts: Acts, trace: Trace) -> None:
        self._env = env
        self._seed = seed
        self._acts = acts
        self._awaited: dict[str, simpy.Event] = {}
        self._work: dict[str, Iterator[float]] = {}
        self._left_down: set[str] = set()
        trace.listen(self._see)

    def follow(self, number: int, entry: MaintenanceCalendar) -> None:
        """Start the rounds of entry `number`."""
        self._env.process(self._rounds(number, entry))

    def _rounds(self, number: int, entry: MaintenanceCalendar) -> Steps:
        due_s = entry.first
        yield self._env.timeout(due_s)
        law = entry.work.law()
        while True:
            todo = [host for host in self._acts.hosts() if fnmatchcase(host, entry.hosts)]
            todo.reverse()
            crew = [
                self._env.process(self._crew(number, entry, law, todo))
                for _ in range(entry.parallel)
            ]
            yield self._env.all_of(crew)
            if not entry.every:
                return
            due_s += entry.every
            yield self._env.timeout(max(0.0, due_s - self._env.now))

    def _crew(self, number: int, entry: MaintenanceCalendar, law: Law, todo: list[str]) -> Steps:
        while todo:
            host = todo.pop()
            if not self._acts.enter(host, entry.timeout):
                continue
            outcome = yield from self._outcome(host)
            if outcome == "EnteredMaintenanceMode":
                yield self._env.timeout(self._work_s(number, law, host))
                if self._acts.exit(host):
                    yield from self._outcome(host)
                else:
                    self._left_down.add(host)

    def _work_s(self, number: int, law: Law, host: str) -> float:
        name = f"maintenance/{number}/{host}"
        if name not in self._work:
            self._work[name] = draws(law, stream(self._seed, name))
        return next(self._work[name])

    def _return(self, host: str) -> None:
        self._acts.exit(host)

    def _outcome(self, host: str) -> Generator[simpy.Event, str, str]:
        event = self._awaited[host] = self._env.event()
        outcome = yield event
        return outcome

    def _see(self, record: Record) -> None:
        if record.kind == "HostConnected" and record.object in self._left_down:
            self._left_down.remove(record.object)
            call_later(self._env, 0.0, lambda _: self._return(record.object))
        if record.kind in OUTCOMES:
            event = self._awaited.pop(record.object, None)
            if event is not None:
                event.succeed(record.kind)
