"""Questions about the number of hosts: growth, hosts that go, one cluster instead of several."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from vmsim.problems import BadInput, Problem
from vmsim.whatif.studies.study import (
    BEST,
    LARGEST,
    LEFT_OUT,
    SETTLE,
    SETTLED_S,
    SHORT,
    Case,
    Option,
    Spec,
    Study,
    hosts,
    known_host,
    largest,
    names,
)


def _months(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    months = options["months"]
    if not isinstance(months, int) or not 1 <= months <= 240:
        raise BadInput([Problem("months is a number from 1 to 240", field="months")])
    return [{"month": month} for month in range(months + 1)]


def _grow(case: Case) -> None:
    case.quiet()
    growth = _growth(case)
    for load in case.spec.get("workload", []):
        if load.get("count"):
            load["count"] = round(load["count"] * growth)
            if load["count"] > 1 and "{}" not in load["name"]:
                load["name"] += "-{}"


def _growth(case: Case) -> float:
    return (1.0 + case.number("growth") / 100.0) ** case.whole("month")


def _grow_and_add(case: Case) -> None:
    """The k largest hosts fail and come back, over and over; each time one host more is there."""
    _grow(case)
    like = _like(case.spec, case.given("like"))
    failing = largest(case.spec, case.whole("k"))
    most = ceil(len(names(case.spec)) * _growth(case)) + len(failing)
    settle_s = case.seconds("settle")
    now_s = SETTLED_S
    for number in range(1, most + 2):
        for name in failing:
            case.happens(now_s, failHost=name)
            case.happens(now_s + settle_s, recoverHost=name)
        if number <= most:
            case.happens(now_s + settle_s, addHost={**like, "name": f"more-{number}"})
        now_s += 2.0 * settle_s
    case.lasts(now_s)


def _like(spec: Spec, name: Any) -> dict[str, Any]:
    """A host to add that is like this one, by default like the largest."""
    name = known_host(spec, name) if name else largest(spec, 1)[0]
    entry, cluster = next(found[1:] for found in hosts(spec) if found[0] == name)
    return {key: value for key, value in entry.items() if key != "count"} | {
        "cluster": cluster["name"]
    }


def _retire(case: Case) -> None:
    from fnmatch import fnmatchcase

    glob = str(case.given("hosts"))
    gone = [name for name in names(case.spec) if fnmatchcase(name, glob)]
    if not gone or len(gone) == len(names(case.spec)):
        hint = f"--set hosts=GLOB names those that go, of {', '.join(names(case.spec)[:8])}, ..."
        raise BadInput([Problem(f"{glob} names {len(gone)} hosts", field="hosts", hint=hint)])
    _grow(case)
    staying = [name for name in largest(case.spec, len(names(case.spec))) if name not in gone]
    for name in staying[: case.whole("k")]:
        case.happens(SETTLED_S, failHost=name)
    for name in gone:
        case.happens(1.0, enterMaintenance=name)
    case.lasts(SETTLED_S + case.seconds("settle"))


def _month_verdict(figures: Sequence[tuple[dict[str, Any], float]]) -> str:
    short = [settings["month"] for settings, value in figures if value > 0]
    last = figures[-1][0]["month"]
    if not short:
        return f"all VMs run up to month {last}, the last one looked at"
    if min(short) == 0:
        return "already now, in month 0, not all VMs run"
    return f"month {min(short)} is the first in which not all VMs run"


def _growth_verdict(figures: Sequence[tuple[dict[str, Any], float]]) -> str:
    short = [settings["month"] for settings, more in figures if more > 0]
    last, more = figures[-1][0]["month"], figures[-1][1]
    if not short:
        return f"the hosts are enough up to month {last}, the last one looked at"
    first = f"month {min(short)} is the first that needs" if min(short) else "month 0 needs"
    added = "1 more is" if more == 1 else f"{more:g} more are"
    return f"{first} more hosts; {added} enough up to month {last}"


def _freed(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"freed": count} for count in range(len(names(spec)) - options["k"])]


def _merged(spec: Spec) -> list[dict[str, Any]]:
    """One cluster for all clusters of a zone; BadInput when no zone has two."""
    zones: dict[str, list[dict[str, Any]]] = {}
    for cluster in spec["clusters"]:
        zones.setdefault(cluster.get("zone", "zone-1"), []).append(cluster)
    if len(zones) == len(spec["clusters"]):
        raise BadInput([Problem("no two clusters share a zone", field="clusters")])
    made = []
    for parts in zones.values():
        stores = sorted({name for one in parts for name in one.get("datastores", [])})
        found = {**parts[0], "hosts": [host for one in parts for host in one["hosts"]]}
        made.append({**found, "datastores": stores} if stores else found)
    return made


def _consolidate(case: Case) -> None:
    case.quiet()
    case.spec["clusters"] = _merged(case.spec)
    (case.spec.get("highAvailability") or {}).pop("primary", None)
    smallest = largest(case.spec, len(names(case.spec)))[::-1]
    for name in smallest[: case.whole("freed")]:
        case.happens(SETTLED_S, enterMaintenance=name)
    for name in largest(case.spec, case.whole("k")):
        case.happens(SETTLED_S + 3600.0, failHost=name)
    case.lasts(SETTLED_S + 3600.0 + case.seconds("settle"))


def _freed_verdict(figures: Sequence[tuple[dict[str, Any], float]]) -> str:
    good = 0
    for settings, value in figures:
        if value > 0:
            break
        good = settings["freed"]
    given_up = "1 host" if good == 1 else f"{good} hosts"
    return f"{given_up} can be given up in one cluster with everything running at the same risk"


STUDIES = (
    Study(
        1, "growth", "How many hosts does N+k take if the workload grows, and from when on?",
        "hosts_more", "mean", _grow_and_add,
        {"growth": Option(3, "per cent a month"), "months": Option(24, "how far to look"),
         "k": LARGEST, "like": Option("", "what hosts are added, by default such as the largest"),
         "settle": SETTLE},
        _months, also=("hosts_needed", "unplaced", "running"),
        assumes=(LEFT_OUT, "every workload grows alike; single VMs of manifests do not",
                 "the k largest hosts fail and come back, and each time one host more is there, "
                 "until no VM waits; hosts_needed counts those that fail"),
        replications=1, verdict=_growth_verdict,
    ),
    Study(
        22, "consolidate", "How many hosts does one cluster instead of several free?", "unhoused",
        "mean", _consolidate, {"k": LARGEST, "settle": SETTLE}, _freed,
        also=("unplaced", "hosts_not_empty", "migrations", "packing_memory"), short=SHORT,
        assumes=(LEFT_OUT, "a zone's clusters become one; the smallest hosts go first", BEST),
        replications=1, verdict=_freed_verdict,
    ),
    Study(
        23, "decommission", "Until when can a generation of hosts go, with N+k?", "unplaced",
        "mean", _retire,
        {"hosts": Option("", "glob of the hosts that go"), "growth": Option(3, "per cent a month"),
         "months": Option(24, "how far to look"), "k": LARGEST, "settle": SETTLE},
        _months, also=("running", "packing_memory"),
        assumes=(LEFT_OUT, "every workload grows alike", "the largest of the others fail"),
        replications=1, verdict=_month_verdict,
    ),
)  # fmt: skip
