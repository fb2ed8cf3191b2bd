"""Hosts that fail and are repaired, against closed forms: V1 to V3."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from bench.findings import HOUR_S, SEED, Cases, Finding, exponential, finding, wider
from vmsim.chance_schema import Failures as Spec
from vmsim.chance_schema import law_of
from vmsim.failures import Acts, Failures
from vmsim.objects import HostSpec
from vmsim.trace import Trace

YEAR_S = 8760 * HOUR_S


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
    wide = wider(effort)
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
    wide = wider(effort)
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


CASES: Cases = {"V1": v1, "V2": v2, "V3": v3}
