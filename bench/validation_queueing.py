"""Arrivals, waiting and retries, against closed forms: V4 to V7 and V12."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from backends.memory import MemoryPlant
from bench.findings import HOUR_S, SEED, Cases, Finding, exactly, exponential, finding, wider
from vmsim.arrivals import Drawn
from vmsim.chance_schema import law_of
from vmsim.cluster import Cluster, ClusterPolicy
from vmsim.distributions import Law, draws
from vmsim.durations import Durations
from vmsim.fleet import Fleet
from vmsim.inventory import Inventory, Overcommit
from vmsim.objects import HostSpec
from vmsim.placement import Placer, Requirement
from vmsim.policies import first_fit
from vmsim.rng import stream
from vmsim.timer import call_later
from vmsim.trace import Trace
from vmsim.workqueue import Backoff, WorkQueue

GPU = "gpu"
WARM_UP = 200


@dataclass
class Slots:
    """VMs that need one of the GPUs of a host, through the cluster role with instant tasks.

    Without `waits`, a VM that finds no GPU goes away; else it waits until the cluster wakes it. By
    VM in order of arrival: `came_s` is when, `waited_s` its wait and `served_s` its time with the
    GPU (-1: it went away), `stayed_s` from its arrival until it left. `areas` are the numbers of
    VMs that wait, that are there, and that have a GPU, summed over time in VM-seconds.
    """

    slots: int
    service: Law
    every: Law
    seed: int
    waits: bool
    came_s: list[float] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)
    served_s: list[float] = field(default_factory=list)
    stayed_s: list[float] = field(default_factory=list)
    areas: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def run(self, count: int) -> "Slots":
        """Let `count` VMs come and go."""
        env = self._env = simpy.Environment()
        host = HostSpec("h", "c", "z", 1, 1000, 1024, devices={GPU: self.slots})
        plant = MemoryPlant(env, Durations(*[0.0] * len(Durations.__slots__)), lambda name: host)
        placer = Placer(Inventory([host], Overcommit()), first_fit)
        trace = Trace(lambda: env.now)
        trace.forgo_digest()
        fleet = self._fleet = Fleet(placer, plant, trace)
        self._gpu = fleet.inventory.resource(GPU)
        self._cluster = Cluster(fleet, ClusterPolicy())
        self._cluster.wake = self._try
        fleet.on_room = self._room
        self._service = draws(self.service, stream(self.seed, "service"))
        self._due = False
        self._waiting, self._last_s = 0, 0.0
        env.process(self._source(Drawn("slots", count, self.every)))
        env.run()
        return self

    def controls(self, skip: int) -> tuple[float, float]:
        """By which share the times with a GPU, and between arrivals, were longer than their laws
        say, without the first `skip` VMs: what chance did to the load."""
        served = [each for each in self.served_s[skip:] if each >= 0]
        pause_s = (self.came_s[-1] - self.came_s[skip]) / (len(self.came_s) - 1 - skip)
        return float(np.mean(served)) / self.service.mean_s - 1, pause_s / self.every.mean_s - 1

    def _source(self, workload: Drawn) -> Any:
        requirement = Requirement(0, 0, devices=((GPU, 1),))
        for number, arrival in enumerate(workload.arrivals(self.seed)):
            yield self._env.timeout(arrival.pause_s)
            key = f"ns/{number}"
            self.came_s.append(self._env.now)
            self.waited_s.append(-1.0)
            self.served_s.append(-1.0)
            self.stayed_s.append(0.0)
            self._count()
            self._cluster.create(key, requirement, True)
            self._try(key, first=True)

    def _try(self, key: str, first: bool = False) -> None:
        self._cluster.power_on(key)
        seen = self._cluster.observe(key)
        number = int(key[3:])
        if seen.fault is None:
            self._waiting -= not first
            self.waited_s[number] = self._env.now - self.came_s[number]
            self.served_s[number] = next(self._service)
            self._later(self.served_s[number], lambda: self._leave(key))
        elif self.waits:
            self._cluster.acknowledge(key)
            self._waiting += first
        else:
            self._cluster.acknowledge(key)
            self._cluster.destroy(key)

    def _leave(self, key: str) -> None:
        number = int(key[3:])
        self.stayed_s[number] = self._env.now - self.came_s[number]
        self._count()
        self._cluster.power_off(key)
        self._cluster.destroy(key)

    def _count(self) -> None:
        """Add up what was there since the last change; called before each one that takes time."""
        lasted_s = self._env.now - self._last_s
        self._last_s = self._env.now
        inventory = self._fleet.inventory
        taken = self.slots - int(inventory.room[self._gpu][0])
        for number, there in enumerate((self._waiting, len(self._fleet.guests), taken)):
            self.areas[number] += there * lasted_s

    def _room(self) -> None:
        if self.waits and not self._due and self._cluster.waiting:
            self._due = True
            self._later(0.0, self._use_room)

    def _use_room(self) -> None:
        self._due = False
        self._cluster.use_room()

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        call_later(self._env, delay_s, lambda _: call())


@dataclass(frozen=True, slots=True)
class Load:
    """So many slots under so many erlangs, and how many VMs a replication needs to be precise."""

    slots: int
    erlangs: float
    vms: int

    def runs(self, service: Any, effort: float, *, waits: bool) -> Iterator[Slots]:
        """Twenty replications, one after the other."""
        law = law_of(service)
        every = law_of({"exponential": {"mean": f"{law.mean_s / self.erlangs:.9f}s"}})
        count = max(800, round(self.vms * effort))
        for each in range(20):
            yield Slots(self.slots, law, every, SEED + each, waits).run(count)

    def __str__(self) -> str:
        return f"{self.slots} slots, load {self.erlangs:g}"


def v4(effort: float = 1.0) -> list[Finding]:
    """A GPU VM that finds no GPU goes away: Erlang's loss formula, whatever the lifetimes.

    The first quarter does not count: with lognormal lifetimes it takes hundreds of mean lifetimes
    until the long-lived VMs are all there.
    """
    laws = {"exponential": exponential(1), "lognormal": {"lognormal": {"mean": "1h", "cv": 2.9134}}}
    small = (Load(8, 6, 60_000), 0.121876)
    large = [(Load(32, 28, 60_000), 0.066498), (Load(32, 24, 60_000), 0.022095)]
    found = []
    for load, expected in [small, *large] if effort >= 1 else [small]:
        for name, law in laws.items():
            lost = []
            for run in load.runs(law, effort, waits=False):
                skip = len(run.waited_s) // 4
                share = float(np.mean([wait_s < 0 for wait_s in run.waited_s[skip:]]))
                lost.append((share, *run.controls(skip)))
            wide = 0.003 * wider(effort)
            found.append(finding("V4", f"loss, {load}, {name}", expected, lost, wide))
    return found


def v5(effort: float = 1.0) -> list[Finding]:
    """A GPU VM that finds no GPU waits for one: Erlang's delay formula."""
    small = (Load(8, 6, 40_000), 0.356981, 0.178491)
    large = (Load(32, 28, 150_000), 0.363008, 0.090752)
    found = []
    for load, waits, mean in [small, large] if effort >= 1 else [small]:
        waiting, hours = [], []
        for run in load.runs(exponential(1), effort, waits=True):
            waited_s, controls = np.array(run.waited_s[WARM_UP:]), run.controls(WARM_UP)
            waiting.append((float((waited_s > 0).mean()), *controls))
            hours.append((float(waited_s.mean()) / HOUR_S, *controls))
        wide = 0.05 * wider(effort)
        found += [
            finding("V5", f"{load}: P(wait)", waits, waiting, wide * waits),
            finding("V5", f"{load}: mean wait by mean lifetime", mean, hours, wide * mean),
        ]
    return found


def v6(effort: float = 1.0) -> list[Finding]:
    """How many VMs there are: Poisson, whatever the lifetimes (M/G/infinity)."""
    life, every = law_of({"lognormal": {"mean": "60.27h", "cv": 2.9134}}), law_of(exponential(0.1))
    count, means, variances = 200_000, [], []
    for seed in range(max(20, round(100 * effort))):
        come_s = np.cumsum(every.draw(stream(SEED + seed, "every"), count))
        go_s = np.sort(come_s + life.draw(stream(SEED + seed, "life"), count))
        at_s = np.arange(40 * life.mean_s, come_s[-1], life.mean_s / 2)
        there = np.searchsorted(come_s, at_s) - np.searchsorted(go_s, at_s)
        means.append(float(there.mean()))
        variances.append(float(((there - 602.7) ** 2).mean()))
    wide = wider(effort)
    return [
        finding("V6", "mean number of VMs", 602.7, means, 0.005 * 602.7 * wide),
        finding("V6", "its variance", 602.7, variances, 0.08 * 602.7 * wide),
    ]


def v7(effort: float = 1.0) -> list[Finding]:
    """Little's law: the numbers of VMs, from the fleet's and the inventory's books, by their times.

    Of the VMs that wait for a GPU, of all that are there, and of those that have one.
    """
    service, every = law_of(exponential(1)), law_of(exponential(1 / 6))
    run = Slots(8, service, every, SEED, waits=True).run(max(2_000, round(20_000 * effort)))
    times = (run.waited_s, run.stayed_s, run.served_s)
    names = ("waiting VMs", "all VMs", "VMs with a GPU")
    return [
        exactly("V7", f"L / (lambda W), {name}", 1.0, area / sum(times_s), 1e-3)
        for name, area, times_s in zip(names, run.areas, times, strict=True)
    ]


def v12(effort: float = 1.0) -> list[Finding]:
    """A VM that cannot start is tried at 5 ms (2^n - 1), then every 1,000 s."""
    env = simpy.Environment()
    times: list[float] = []

    def fail(key: str) -> None:
        times.append(env.now)
        if len(times) < 22:
            queue.retry(key)

    queue = WorkQueue(env, fail, Backoff())
    queue.add("vm")
    env.run()
    found = [
        exactly("V12", f"attempt {n} at", 0.005 * (2**n - 1), times[n], 1e-6) for n in (1, 9, 18)
    ]
    after = next(time_s for time_s in times if time_s >= 1860.0)
    return [
        *found,
        exactly("V12", "wait after 1,860 s of maintenance", 450.715, after - 1860.0, 1e-6),
    ]


CASES: Cases = {"V4": v4, "V5": v5, "V6": v6, "V7": v7, "V12": v12}
