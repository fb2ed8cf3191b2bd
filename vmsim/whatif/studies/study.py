"""What is a study: a question, how a scenario is arranged for it, and the figure that answers it.

A study is a row: nothing else has to know of it. Its `arrange` gets a `Case`, the scenario's spec
to change for one replication; it draws from the case's seed only, so variants see the same draws.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from vmsim.problems import BadInput, Problem
from vmsim.quantities import duration_s
from vmsim.rng import stream

Spec = dict[str, Any]

ON_HOSTS = (
    "enterMaintenance", "exitMaintenance", "failHost", "recoverHost", "addHost", "removeHost",
    "powerOff",
)  # fmt: skip
"""Timeline entries that a study replaces by its own."""
SETTLED_S = 900.0
"""By then the VMs of the start run; the study's own events begin. A choice."""


@dataclass(frozen=True, slots=True)
class Option:
    """A knob of a study: its default and what it means."""

    default: Any
    means: str


@dataclass(slots=True)
class Case:
    """One replication to arrange."""

    spec: Spec
    options: dict[str, Any]
    seed: int
    added: bool = False

    def stream(self, name: str) -> np.random.Generator:
        """Chance of the study's own, apart from that of the run."""
        return stream(self.seed, f"study/{name}")

    def given(self, option: str) -> Any:
        """The value of an option; BadInput when it has none."""
        if option not in self.options:
            raise BadInput([Problem("the study needs it", field=option)])
        return self.options[option]

    def seconds(self, option: str) -> float:
        """An option that is a duration."""
        value = self.given(option)
        try:
            return 0.0 if value == 0 else duration_s(value)
        except (ValueError, TypeError):
            message = f"{value!r} is no duration, as in 30m"
            raise BadInput([Problem(message, field=option)]) from None

    def number(self, option: str, least: float = 0.0) -> float:
        """An option that is a number, at least `least`."""
        value = self.given(option)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
            raise BadInput([Problem(f"{value!r} is no number from {least:g} on", field=option)])
        return float(value)

    def whole(self, option: str, least: int = 0) -> int:
        """An option that is a whole number, at least `least`."""
        value = self.number(option, least)
        if value != int(value):
            raise BadInput([Problem(f"{value:g} is no whole number", field=option)])
        return int(value)

    def quiet(self) -> None:
        """Leave out what the scenario itself does to hosts, and what it expects."""
        timeline = self.spec.get("timeline", [])
        self.spec["timeline"] = [
            entry for entry in timeline if not set(entry) & set(ON_HOSTS) and "after" not in entry
        ]
        for name in ("failures", "maintenanceCalendar", "upgrade", "expect"):
            self.spec.pop(name, None)

    def happens(self, at_s: float, **action: Any) -> None:
        """Add an entry to the timeline, in any order."""
        self.spec.setdefault("timeline", []).append({"at": f"{at_s:.6f}s", **action})
        self.added = True

    def follows(self, event: str, host: str, delay_s: float, **action: Any) -> None:
        """Add an entry to the timeline that comes after an event of a host."""
        after = {"event": event, "object": host, "delay": f"{delay_s:.6f}s"}
        self.spec.setdefault("timeline", []).append({"after": after, **action})

    def sort(self) -> None:
        """Bring the timeline into order, if entries were added to it."""
        if self.added:
            self.spec["timeline"].sort(key=_when)

    def lasts(self, seconds: float) -> None:
        """The run ends there."""
        last = max([_when(entry) for entry in self.spec.get("timeline", [])], default=0.0)
        self.spec["duration"] = f"{max(seconds, last):.6f}s"


def _when(entry: Mapping[str, Any]) -> float:
    at = entry.get("at", 0)
    return -1.0 if "after" in entry else 0.0 if at == 0 else duration_s(at)


def hosts(spec: Spec) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(name, entry, cluster) of each host of the start, in order."""
    return [
        (entry["name"].replace("{}", str(number)), entry, cluster)
        for cluster in spec["clusters"]
        for entry in cluster["hosts"]
        for number in range(1, entry.get("count", 1) + 1)
    ]


def names(spec: Spec) -> list[str]:
    """The names of the hosts of the start."""
    return [name for name, _, _ in hosts(spec)]


def largest(spec: Spec, count: int) -> list[str]:
    """The names of so many hosts with the most memory, then cores."""
    found = sorted(hosts(spec), key=lambda one: (-_mib(one[1]), -one[1]["cores"]))
    if count > len(found):
        raise BadInput([Problem(f"there are only {len(found)} hosts", field="k")])
    return [name for name, _, _ in found[:count]]


def _mib(entry: Mapping[str, Any]) -> int:
    from vmsim.quantities import memory_mib

    return memory_mib(entry["memory"])


def known_host(spec: Spec, name: Any) -> str:
    """The name, if there is such a host."""
    if name not in names(spec):
        hint = f"hosts: {', '.join(names(spec)[:8])}"
        raise BadInput([Problem(f"there is no host {name}", field="host", hint=hint)])
    return str(name)


KEPT_OFF, SHORT, TOOK = "kept_off", "because", "took"
Cases = Callable[[Spec, Mapping[str, Any]], list[dict[str, Any]]]


def _one_case(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    return []


@dataclass(frozen=True, slots=True)
class Study:
    """A row of STUDIES.

    `metric` and `how` (mean, share, p50, ...) are the figure; `also` are shown beside it. `cases`
    lists what is gone through when the user does not say which (every host, every month): one cell
    each. `variants` are compared when the user varies nothing. `best` says whether a low or a high
    figure is the better one. `short` is the column of what was short: by default for VMs that were
    to run (KEPT_OFF), or for moves, too (SHORT), or what moves took (TOOK). `by_class` tells the
    downtime of each class. `drawn` is the number of replications when cases are too many to be
    gone through.
    """

    number: int
    name: str
    question: str
    metric: str
    how: str
    arrange: Callable[[Case], None]
    options: Mapping[str, Option] = field(default_factory=lambda: MappingProxyType({}))
    cases: Cases = _one_case
    variants: Sequence[str] = ()
    also: Sequence[str] = ()
    assumes: Sequence[str] = ()
    best: str = "low"
    short: str = KEPT_OFF
    by_class: bool = False
    replications: int = 30
    drawn: int = 0
    verdict: Callable[[Sequence[tuple[dict[str, Any], float]]], str] | None = None


LEFT_OUT = "what the scenario itself does to hosts (failures, maintenance) is left out"
SETTLING = f"the study's own events begin at {SETTLED_S:g} s, when the VMs of the start run"
LARGEST = Option(1, "largest hosts that fail")
SETTLE = Option("30m", "time for placing and restarting")
BEST = "placed as the scenario's policy does; `vmsim bounds` says how far that is from the best"
