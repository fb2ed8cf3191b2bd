"""Run scenarios, and come back with what a caller needs to report.

This is `vmsim run` without its printing: it opens the trace file and the backend, lets simulated
time pass in slices (so that progress can be shown and an interrupt is noticed), and closes
everything whatever happens. What was written by then is on disk.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import simpy
from simpy.rt import RealtimeEnvironment

from vmsim.expectations import Verdict
from vmsim.fold import Picture
from vmsim.loading import Plan, expand_added
from vmsim.objects import HostSpec
from vmsim.ports import Backend
from vmsim.simulate import System
from vmsim.trace import Listener

SLICES = 200

Opened = Callable[[str, list[HostSpec]], AbstractContextManager[Backend]]


@dataclass(frozen=True, slots=True)
class How:
    """How to run: which backend, up to which second, how fast (0: as fast as it goes), and the
    trace file (None: no file)."""

    backend: str = "memory"
    until_s: float | None = None
    speed: float = 0.0
    trace: Path | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    plan: Plan
    backend: str
    end_s: float
    verdicts: list[Verdict]
    differences: list[str]
    picture: Picture
    digest: str
    records: int
    assumptions: list[str]
    versions: dict[str, str]

    @property
    def exit_code(self) -> int:
        """0 all met, 1 something missed or different, 3 something left open."""
        if self.differences or any(verdict.met is False for verdict in self.verdicts):
            return 1
        return 3 if any(verdict.met is None for verdict in self.verdicts) else 0

    def as_json(self) -> dict[str, Any]:
        """The result for machines."""
        return {
            "scenario": self.plan.scenario.metadata.name,
            "backend": self.backend,
            "edition": self.plan.edition.name,
            "seed": self.plan.scenario.spec.seed,
            "endS": self.end_s,
            "digest": self.digest,
            "records": self.records,
            "vms": dict(sorted(self.picture.vm_states().items())),
            "hosts": dict(sorted(self.picture.host_states().items())),
            "expectations": [
                {"text": verdict.text, "met": verdict.met, "instead": verdict.instead}
                for verdict in self.verdicts
            ],
            "differences": self.differences,
            "assumptions": self.assumptions,
            "versions": self.versions,
            "exitCode": self.exit_code,
        }


def all_hosts(plan: Plan) -> list[HostSpec]:
    """Every host that the scenario ever has: those of the start, then those that join."""
    hosts = list(plan.hosts)
    for planned in plan.timeline:
        if planned.entry.add_host is not None:
            hosts += expand_added(planned.entry, plan.scenario.spec.clusters)
    return hosts


def run(
    plan: Plan,
    how: How,
    opened: Opened,
    listener: Listener | None = None,
    passed: Callable[[float], None] | None = None,
) -> Result:
    """Run the plan to its end; `passed` is called with the simulated second now and then.

    Raises `Unreachable` when the backend cannot be had or is lost.
    """
    env = RealtimeEnvironment(factor=1 / how.speed, strict=False) if how.speed else None
    with opened(how.backend, all_hosts(plan)) as backend, _sink(how.trace) as sink:
        system = System(plan, backend, env or simpy.Environment(), sink)
        try:
            if listener is not None:
                system.trace.listen(listener)
            return _to_the_end(system, how, backend, passed)
        finally:
            system.trace.close()


@contextmanager
def _sink(path: Path | None) -> Iterator[BinaryIO | None]:
    """The file for the trace, closed also when the disk is full; None for none."""
    if path is None:
        yield None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        yield file


def _to_the_end(
    system: System, how: How, backend: Backend, passed: Callable[[float], None] | None
) -> Result:
    plan = system.plan
    duration_s = plan.scenario.spec.duration
    end_s = duration_s if how.until_s is None else min(how.until_s, duration_s)
    system.watch()
    system.begin()
    for number in range(1, SLICES + 1):
        system.advance(end_s * number / SLICES)
        if passed is not None:
            passed(system.env.now)
    verdicts = system.finish()
    return Result(
        plan,
        backend.name,
        float(system.env.now),
        verdicts,
        system.differences,
        system.picture,
        system.trace.digest(),
        system.trace.count,
        system.header["assumptions"],
        system.header["versions"],
    )
