"""Which host fails when, and when is it back?

Every host has a clock for each entry of the scenario that matches it, and every rack and zone one
for each shock. A clock alternates between working and failed, with times from its own two streams:
another host, or another entry, never shifts them. A host is down while at least one of its clocks,
or one of its rack's or zone's, has it down (Marshall and Olkin's common shock, JASA 1967).
Repairs that need a crew wait for one, first failed first repaired. A clock has one pending event.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import simpy

from vmsim.chance_schema import Failures as Spec
from vmsim.chance_schema import Repeat
from vmsim.distributions import Law, draws
from vmsim.objects import HostSpec
from vmsim.rng import stream
from vmsim.timer import call_later
from vmsim.trace import Trace


@dataclass(frozen=True, slots=True)
class Acts:
    """What failures do: `fail` tells whether the host went down, `recover` brings it back."""

    fail: Callable[[str], bool]
    recover: Callable[[str], None]


@dataclass(slots=True, eq=False)
class _Clock:
    """One alternation: when `subject` (a host, rack or zone) fails next, and for how long. `hosts`
    may grow; each failure takes down those that are there then."""

    subject: str
    cause: str
    up: Iterator[float]
    down: Iterator[float]
    hosts: Sequence[str]
    needs_crew: bool = False
    repeat: Repeat | None = None
    held: tuple[str, ...] = ()


@dataclass(slots=True)
class _Crews:
    """Repair crews: who waits for one, and how many work."""

    count: int
    busy: int = 0
    waiting: deque[_Clock] = field(default_factory=deque)


def time_to_failure_s(drawn_s: float, repeat: Repeat | None) -> float:
    """When the host fails, if its clock runs `factor` times as fast for some time at first.

    With an exponential law this is a hazard of `factor` times as much for so long.
    """
    if repeat is None or drawn_s <= 0.0:
        return drawn_s
    head_s = repeat.factor * repeat.lasting
    return drawn_s / repeat.factor if drawn_s <= head_s else drawn_s - head_s + repeat.lasting


class Failures:
    """The failing and repairing of one run; see the module docstring."""

    def __init__(
        self, env: simpy.Environment, spec: Spec, seed: int, acts: Acts, trace: Trace
    ) -> None:
        self._env = env
        self._spec = spec
        self._seed = seed
        self._acts = acts
        self._trace = trace
        self._crews = _Crews(spec.crews)
        self._members: dict[tuple[str, str], list[str]] = {}
        self._reasons: dict[str, int] = {}
        self._ours: set[str] = set()
        self._laws = [(rule.mtbf.law(), rule.mttr.law()) for rule in spec.hosts]
        self._shocks = [(shock.mtbf.law(), shock.lasts.law()) for shock in spec.shocks]

    def join(self, host: HostSpec) -> None:
        """Start the clocks of a host that is there from now on."""
        for number, rule in enumerate(self._spec.hosts):
            if fnmatchcase(host.name, rule.hosts):
                up, down = self._times(f"failures/{number}/{host.name}", self._laws[number])
                crew = rule.needs_crew and bool(self._spec.crews)
                own = (host.name,)
                clock = _Clock(host.name, rule.kind, up, down, own, crew, rule.repeat)
                self._start(clock, repaired=False)
        for scope, group in (("rack", host.rack), ("zone", host.zone)):
            if group:
                self._join_group(scope, group, host.name)

    def _join_group(self, scope: str, group: str, host: str) -> None:
        known = self._members.get((scope, group))
        if known is not None:
            known.append(host)
            return
        members = self._members[scope, group] = [host]
        for number, shock in enumerate(self._spec.shocks):
            if shock.scope == scope and fnmatchcase(group, shock.name):
                up, down = self._times(f"shocks/{number}/{group}", self._shocks[number])
                self._start(_Clock(group, scope, up, down, members), repaired=False)

    def _times(self, name: str, laws: tuple[Law, Law]) -> tuple[Iterator[float], Iterator[float]]:
        """How long it works, and how long it is down, each time anew."""
        up, down = laws
        return (
            draws(up, stream(self._seed, f"{name}/up")),
            draws(down, stream(self._seed, f"{name}/down")),
        )

    def _start(self, clock: _Clock, *, repaired: bool) -> None:
        wait_s = time_to_failure_s(next(clock.up), clock.repeat if repaired else None)
        self._later(wait_s, lambda _: self._fail(clock))

    def _fail(self, clock: _Clock) -> None:
        clock.held = tuple(clock.hosts)
        self._say("OutageBegan", clock)
        for host in clock.held:
            self._reasons[host] = self._reasons.get(host, 0) + 1
            if self._reasons[host] == 1 and self._acts.fail(host):
                self._ours.add(host)
        if not clock.needs_crew:
            self._repair(clock)
        elif self._crews.busy < self._crews.count:
            self._crews.busy += 1
            self._repair(clock)
        else:
            self._crews.waiting.append(clock)

    def _repair(self, clock: _Clock) -> None:
        self._later(next(clock.down), lambda _: self._repaired(clock))

    def _repaired(self, clock: _Clock) -> None:
        self._say("OutageEnded", clock)
        for host in clock.held:
            self._reasons[host] -= 1
            if not self._reasons[host] and host in self._ours:
                self._ours.remove(host)
                self._acts.recover(host)
        self._start(clock, repaired=True)
        if clock.needs_crew:
            self._next_repair()

    def _next_repair(self) -> None:
        """The crew that is free now takes the one that waits longest."""
        if self._crews.waiting:
            self._repair(self._crews.waiting.popleft())
        else:
            self._crews.busy -= 1

    def _say(self, kind: str, clock: _Clock) -> None:
        data = {"cause": clock.cause, "hosts": len(clock.held)}
        self._trace.write("failures", kind, clock.subject, data)

    def _later(self, delay_s: float, call: Callable[[simpy.Event], None]) -> None:
        call_later(self._env, delay_s, call)
