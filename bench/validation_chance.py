"""Chance against closed forms: failures, repairs, arrivals, waiting and retries.

Each case is a function of the effort (1.0: all of it) that returns its findings: the closed form,
what was simulated, its 99 % confidence interval over independent replications, and the tolerance.
A finding holds if the closed form is in the interval and the interval is no wider than the
tolerance, so a case cannot pass by being vague. Seeds are fixed: a case either always holds or
never does; a new seed would fail a right model once in a hundred findings.

    python -m bench.validation_chance [EFFORT]
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy
from scipy import stats

from backends.memory import MemoryPlant
from vmsim.arrivals import Drawn
from vmsim.chance_schema import Failures as Spec
from vmsim.chance_schema import law_of
from vmsim.cluster import Cluster, ClusterPolicy
from vmsim.distributions import Law, draws
from vmsim.durations import Durations
from vmsim.failures import Acts, Failures
from vmsim.fleet import Fleet
from vmsim.inventory import Inventory, Overcommit
from vmsim.objects import HostSpec
from vmsim.placement import Placer, Requirement
from vmsim.policies import first_fit
from vmsim.rng import stream
from vmsim.timer import call_later
from vmsim.trace import Trace
from vmsim.workqueue import Backoff, WorkQueue

CONFIDENCE = 0.99
HOUR_S = 3600.0
YEAR_S = 8760 * HOUR_S
SEED = 1
WARM_UP = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One quantity: its closed form, the simulated mean with its interval, and the tolerance."""

    case: str
    quantity: str
    expected: float
    simulated: float
    low: float
    high: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the closed form is in the interval, and the interval narrow enough."""
        margin = 1e-12 * abs(self.expected)
        inside = self.low - margin <= self.expected <= self.high + margin
        return inside and (self.high - self.low) / 2 <= self.tolerance * (1 + 1e-6)

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "FAILS"
        return (
            f"{verdict}  {self.case:<4} {self.quantity:<52} expected {self.expected:<12.6g} "
            f"simulated {self.simulated:<12.6g} [{self.low:.6g}, {self.high:.6g}] "
            f"tolerance {self.tolerance:.3g}"
        )


def finding(
    case: str,
    quantity: str,
    expected: float,
    found: Sequence[float | tuple[float, ...]],
    tolerance: float,
) -> Finding:
    """The finding of independent replications, each a figure, or a figure with its controls.

    A control is another figure of the same replication of which the expectation is known to be 0:
    what chance did to it is taken out of the first one by linear regression, and the interval is
    that of the intercept. Source: Lavenberg and Welch, Management Science 27 (1981).
    """
    rows = np.array(found, dtype=float).reshape(len(found), -1)
    terms = np.column_stack([np.ones(len(rows)), rows[:, 1:]])
    inverse = np.linalg.inv(terms.T @ terms)
    estimates = inverse @ terms.T @ rows[:, 0]
    free = len(rows) - terms.shape[1]
    spread = float(((rows[:, 0] - terms @ estimates) ** 2).sum()) / free
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, free)) * (spread * float(inverse[0, 0])) ** 0.5
    mean = float(estimates[0])
    return Finding(case, quantity, expected, mean, mean - half, mean + half, tolerance)


def exactly(case: str, quantity: str, expected: float, found: float, tolerance: float) -> Finding:
    """The finding of a quantity that is not random: the tolerance is its interval."""
    low, high = found - tolerance, found + tolerance
    return Finding(case, quantity, expected, found, low, high, tolerance)


@dataclass(slots=True)
class Farm:
    """Hosts that fail and are repaired by `vmsim.failures`; nothing runs on them.

    `at_level[k]` is how many seconds k hosts were down, `outages` the seconds of each outage.
    """

    hosts: int
    written: Mapping[str, Any]
    seed: int
    env: simpy.Environment = field(default_factory=simpy.Environment)
    at_level: list[float] = field(default_factory=list)
    outages: list[float] = field(default_factory=list)
    down_s: list[float] = field(default_factory=list)
    _since: dict[str, float] = field(default_factory=dict)
    _last_s: float = 0.0

    def run(self, seconds: float) -> "Farm":
        """Let all hosts start together, up, and count for that long."""
        self.at_level = [0.0] * (self.hosts + 1)
        self.down_s = [0.0] * self.hosts
        acts = Acts(self._fail, self._recover)
        spec = Spec.model_validate(self.written)
        trace = Trace(lambda: self.env.now)
        trace.forgo_digest()
        made = Failures(self.env, spec, self.seed, acts, trace)
        for number in range(self.hosts):
            made.join(HostSpec(str(number), "c", "z", 1, 1000, 1024))
        self.env.run(until=seconds)
        self._count()
        for name, since_s in self._since.items():
            self.down_s[int(name)] += seconds - since_s
        return self

    def _fail(self, host: str) -> bool:
        self._count()
        self._since[host] = self.env.now
        return True

    def _recover(self, host: str) -> None:
        self._count()
        lasted_s = self.env.now - self._since.pop(host)
        self.outages.append(lasted_s)
        self.down_s[int(host)] += lasted_s

    def _count(self) -> None:
        self.at_level[len(self._since)] += self.env.now - self._last_s
        self._last_s = self.env.now


def written(up: Any, down: Any, crews: int = 0) -> dict[str, Any]:
    """Failures of all hosts with these distributions."""
    return {"hosts": [{"mtbf": up, "mttr": down}], "crews": crews}


def exponential(hours: float) -> dict[str, Any]:
    """An exponential distribution as a scenario writes it."""
    return {"exponential": {"mean": f"{hours}h"}}


def v1(effort: float = 1.0) -> list[Finding]:
    """Availability of a host depends on the two means only (alternating renewal process)."""
    weibull = [
        {"weibull": {"shape": k, "scale": f"{h}h"}} for k, h in ((0.48, 816.60), (0.58, 2.18))
    ]
    cases = (
        ("exponential", exponential(1779.99), exponential(5.92), 0.996685),
        ("Weibull", weibull[0], weibull[1], 0.998060),
    )
    replications, cycles = max(10, round(20 * effort)), 2000
    found = []
    for name, up, down, expected in cases:
        seconds = cycles * (law_of(up).mean_s + law_of(down).mean_s)
        farm = Farm(replications, written(up, down), SEED).run(seconds)
        up_share = [1 - down_s / seconds for down_s in farm.down_s]
        found.append(finding("V1", f"availability, {name}", expected, up_share, 0.0002))
    return found


def v2(effort: float = 1.0) -> list[Finding]:
    """How many of 32 hosts are down at once, each repaired by itself: binomial."""
    farms = _farms(effort, 0)
    wide = max(1.0, effort**-0.5)
    levels = [_levels(farm) for farm in farms]
    means = [_mean(level) for level in levels]
    return [
        finding("V2", "E[hosts down]", 0.17439, means, 0.0017439 * wide),
        finding("V2", "P(at most 1)", 0.986784, [level[:2].sum() for level in levels], 5e-4 * wide),
        finding("V2", "P(at most 2)", 0.999287, [level[:3].sum() for level in levels], 5e-4 * wide),
        finding("V2", "P(3 or more)", 7.13e-4, [level[3:].sum() for level in levels], 1e-4 * wide),
    ]  # fmt: skip


def v3(effort: float = 1.0) -> list[Finding]:
    """One or two technicians repair 32 hosts: birth and death (machine repair problem)."""
    found = []
    wide = max(1.0, effort**-0.5)
    for crews, mean, at_most_2, hours in (
        (1, 0.209287, 0.995199, 28.835),
        (2, 0.175592, 0.998884, 24.167),
    ):
        farms = _farms(effort, crews)
        levels = [_levels(farm) for farm in farms]
        down_h = [float(np.mean(farm.outages)) / HOUR_S for farm in farms]
        name = f"{crews} crews: "
        found += [
            finding(
                "V3",
                name + "E[hosts down]",
                mean,
                [_mean(each) for each in levels],
                0.015 * mean * wide,
            ),
            finding(
                "V3",
                name + "P(at most 2)",
                at_most_2,
                [each[:3].sum() for each in levels],
                5e-4 * wide,
            ),
            finding("V3", name + "mean hours down", hours, down_h, 0.015 * hours * wide),
        ]
    return found  # fmt: skip


def _farms(effort: float, crews: int) -> list[Farm]:
    laws = written(exponential(4380), exponential(24), crews)
    years = 400 if effort >= 1 else 400 * effort
    return [Farm(32, laws, SEED + each).run(years * YEAR_S) for each in range(20)]


def _levels(farm: Farm) -> Any:
    spent = np.array(farm.at_level)
    return spent / spent.sum()


def _mean(levels: Any) -> float:
    return float((np.arange(len(levels)) * levels).sum())


GPU = "gpu"


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
        if self.waits and not self._due and self._cluster.waiting():
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
            wide = 0.003 * max(1.0, effort**-0.5)
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
        wide = 0.05 * max(1.0, effort**-0.5)
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
    wide = max(1.0, effort**-0.5)
    return [
        finding("V6", "mean number of VMs", 602.7, means, 0.005 * 602.7 * wide),
        finding("V6", "its variance", 602.7, variances, 0.08 * 602.7 * wide),
    ]


def little(changes: Iterable[tuple[float, str, int]], end_s: float) -> float:
    """L / (lambda W) of what comes (+1) and goes (-1) by name, up to `end_s`: 1 if all is counted.

    The number there is counted from the changes alone, the stays from each name's own pair.
    """
    area_s, there, last_s = 0.0, 0, 0.0
    since: dict[str, float] = {}
    stays: list[float] = []
    for now_s, name, change in changes:
        area_s += there * (now_s - last_s)
        there, last_s = there + change, now_s
        if change > 0:
            since[name] = now_s
        elif name in since:
            stays.append(now_s - since.pop(name))
    area_s += there * (end_s - last_s)
    stays += [end_s - since_s for since_s in since.values()]
    rate, mean_stay_s = len(stays) / end_s, sum(stays) / len(stays)
    return (area_s / end_s) / (rate * mean_stay_s)


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


CASES: Mapping[str, Callable[[float], list[Finding]]] = {
    "V1": v1, "V2": v2, "V3": v3, "V4": v4, "V5": v5, "V6": v6, "V7": v7, "V12": v12,
}  # fmt: skip


def main() -> int:
    """Print every finding; 1 if one fails."""
    effort = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    failed = 0
    for case in CASES.values():
        for each in case(effort):
            print(each, flush=True)
            failed += not each.holds
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
