"""Questions about room: growth, what still fits, admission control, fragmentation, queues."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import ceil
from typing import Any

from vmsim.objects import ZONE_LABEL
from vmsim.problems import BadInput, Problem
from vmsim.whatif.studies.study import (
    LEFT_OUT,
    SETTLED_S,
    SETTLING,
    SHORT,
    Case,
    Option,
    Spec,
    Study,
    hosts,
    known_host,
    names,
)

PROBE = "probe-{}"
CASES_TOLD = 8
AND = " + "
RULES_TOGETHER = 4
"""Of no more rules than these every set is left out; of more, one at a time."""
SETTLE = Option("30m", "time for placing and restarting")
K = Option(1, "largest hosts that fail")
TRIED = "no more than `most` probes are tried: more may fit if all of them run"
BEST = "placed as the scenario's policy does; `vmsim bounds` says how far that is from the best"


def _largest(spec: Spec, count: int) -> list[str]:
    """The names of so many hosts with the most memory, then cores."""
    found = sorted(hosts(spec), key=lambda one: (-_mib(one[1]), -one[1]["cores"]))
    if count > len(found):
        raise BadInput([Problem(f"there are only {len(found)} hosts", field="k")])
    return [name for name, _, _ in found[:count]]


def _mib(entry: Mapping[str, Any]) -> int:
    from vmsim.quantities import memory_mib

    return memory_mib(entry["memory"])


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
    failing = _largest(case.spec, case.whole("k"))
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
    name = known_host(spec, name) if name else _largest(spec, 1)[0]
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
    staying = [name for name in _largest(case.spec, len(names(case.spec))) if name not in gone]
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


def _classes(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each class; in each zone if VMs can choose one."""
    found = sorted({_class(one) for one in _templates(spec)})
    kinds = ("Zone", "AvailabilityZone")
    named = {one["metadata"]["name"] for one in spec.get("manifests", []) if one["kind"] in kinds}
    zones = sorted({cluster.get("zone", "zone-1") for cluster in spec["clusters"]})
    if len(zones) == 1 or not named.issuperset(zones):
        return [{"class": name} for name in found]
    return [{"class": name, "zone": zone} for name in found for zone in zones]


def _templates(spec: Spec) -> list[dict[str, Any]]:
    vms = [item for item in spec.get("manifests", []) if item.get("kind") == "VirtualMachine"]
    return [*(item["spec"] for item in vms), *(load["spec"] for load in spec.get("workload", []))]


def _class(template: Mapping[str, Any]) -> str:
    return str(template.get("className", ""))


def _probe(case: Case) -> None:
    case.quiet()
    wanted = case.given("class")
    found = [one for one in _templates(case.spec) if _class(one) == wanted]
    if not found:
        raise BadInput([Problem(f"no VM of the scenario has class {wanted}", field="class")])
    for name in _largest(case.spec, case.whole("k")):
        case.happens(SETTLED_S, failHost=name)
    load = {"name": PROBE, "count": case.whole("most", 1), "spec": dict(found[0])}
    if "zone" in case.options:
        load["labels"] = {ZONE_LABEL: case.options["zone"]}
    begin_s = SETTLED_S + case.seconds("settle")
    case.spec.setdefault("workload", []).append({**load, "at": f"{begin_s}s"})
    case.lasts(begin_s + 600.0)


def _fits_verdict(figures: Sequence[tuple[dict[str, Any], float]]) -> str:
    told = [
        f"{count:g} of {case['class']}" + (f" in {case['zone']}" if "zone" in case else "")
        for case, count in figures[:CASES_TOLD]
    ]
    left = [f"and of {len(figures) - CASES_TOLD} others"] if len(figures) > CASES_TOLD else []
    return f"room for {', '.join([*told, *left])}"


def _admission(case: Case) -> None:
    case.quiet()
    policy = case.given("policy")
    block = case.spec.setdefault("highAvailability", {})
    control: dict[str, Any] = {"policy": policy, "hostFailures": max(case.whole("k"), 1)}
    if policy == "dedicatedHosts":
        control["failoverHosts"] = _largest(case.spec, case.whole("k"))
    block["admissionControl"] = control
    chosen = names(case.spec)
    row = int(case.stream("host").integers(len(chosen)))
    case.happens(SETTLED_S, failHost=chosen[row])
    case.lasts(SETTLED_S + case.seconds("settle"))


def _as_it_is(case: Case) -> None:
    case.spec.pop("expect", None)


def _without_rule(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    rules = [rule["name"] for rule in (spec.get("drs") or {}).get("rules", [])]
    if not rules:
        raise BadInput([Problem("the scenario has no rules", field="drs.rules")])
    most = len(rules) - 1 if len(rules) <= RULES_TOGETHER else 1
    parts = [part for size in range(1, max(most, 1) + 1) for part in combinations(rules, size)]
    return [{"leftOut": name} for name in ("", *map(AND.join, parts), "*")]


def _rules(case: Case) -> None:
    case.quiet()
    out = str(case.given("leftOut"))
    block = case.spec.get("drs") or {}
    left = set(out.split(AND))
    kept = [rule for rule in block.get("rules", []) if out != "*" and rule["name"] not in left]
    case.spec["drs"] = {**block, "rules": kept}
    chosen = names(case.spec)
    for row in case.stream("hosts").choice(len(chosen), case.whole("k", 1), replace=False):
        case.happens(SETTLED_S, failHost=chosen[int(row)])
    case.lasts(SETTLED_S + case.seconds("settle"))


def _rules_verdict(figures: Sequence[tuple[dict[str, Any], float]]) -> str:
    by_name = {str(settings["leftOut"]): value for settings, value in figures}
    if by_name[""] <= 0:
        return "no: with all rules in force every VM runs"
    if by_name["*"] > 0:
        return "not the rules alone: without any of them VMs find no room either"
    short = {frozenset(name.split(AND)) - {""}: value > 0 for name, value in by_name.items()}
    rules = frozenset(name for left in short if len(left) == 1 for name in left) - {"*"}
    guilty = [name for name in sorted(rules) if not short[frozenset((name,))]]
    said = f"yes; leaving out one of these is enough: {', '.join(guilty) or 'no single rule'}"
    if len(by_name) < 2 ** len(rules):
        return said
    kept = [rules - left for left, is_short in short.items() if is_short]
    fewest = [AND.join(sorted(one)) for one in kept if not any(other < one for other in kept)]
    return f"{said}; the fewest that do it: {', or '.join(sorted(fewest))}"


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
    smallest = _largest(case.spec, len(names(case.spec)))[::-1]
    for name in smallest[: case.whole("freed")]:
        case.happens(SETTLED_S, enterMaintenance=name)
    for name in _largest(case.spec, case.whole("k")):
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


def _changes(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = [(cluster["name"], entry["name"]) for _, entry, cluster in hosts(spec)]
    more = [f"one more {entry} in {cluster}" for cluster, entry in dict.fromkeys(entries)]
    rules = [f"without rule {rule['name']}" for rule in (spec.get("drs") or {}).get("rules", [])]
    return [{"change": text} for text in ("none", *more, *rules)]


def _change(case: Case) -> None:
    text = str(case.given("change"))
    for cluster in case.spec["clusters"]:
        for entry in list(cluster["hosts"]):
            if text == f"one more {entry['name']} in {cluster['name']}":
                new = {**entry, "name": "added-host", "count": 1}
                cluster["hosts"].append(new)
    block = case.spec.get("drs") or {}
    rules = block.get("rules", [])
    kept = [rule for rule in rules if text != f"without rule {rule['name']}"]
    case.spec["drs"] = {**block, "rules": kept}
    case.options["class"] = case.options.get("class") or _commonest(case.spec)
    _probe(case)


def _commonest(spec: Spec) -> str:
    counts: dict[str, int] = {}
    for load in spec.get("workload", []):
        counts[_class(load["spec"])] = counts.get(_class(load["spec"]), 0) + load.get("count", 0)
    found = counts or dict.fromkeys(map(_class, _templates(spec)), 1)
    return max(found, key=lambda name: (found[name], name), default="")


def _change_verdict(figures: Sequence[tuple[dict[str, Any], float]]) -> str:
    base = next(value for settings, value in figures if settings["change"] == "none")
    ranked = sorted(figures, key=lambda one: -one[1])
    gains = [f"{s['change']} ({value - base:+g})" for s, value in ranked if value > base]
    return f"most is gained by: {', '.join(gains[:5])}" if gains else "no change gains anything"


def _reservations(case: Case) -> None:
    """All classes reserve their memory, or none does; the promise is the same for both."""
    wanted = case.given("memory")
    if wanted not in ("reserved", "shared"):
        raise BadInput([Problem(f"{wanted} is neither reserved nor shared", field="memory")])
    for item in case.spec.get("manifests", []):
        if item.get("kind") == "VirtualMachineClass":
            _reserve(item["spec"], wanted == "reserved")
    promise = case.spec.setdefault("policies", {}).setdefault("overcommit", {})
    promise["memory"] = case.number("promise", 1.0)
    case.options["class"] = case.options.get("class") or _commonest(case.spec)
    _probe(case)


def _reserve(spec: dict[str, Any], wanted: bool) -> None:
    resources = spec.setdefault("policies", {}).setdefault("resources", {})
    requests = resources["requests"] = dict(resources.get("requests") or {})
    requests.pop("memory", None)
    if wanted:
        requests["memory"] = spec["hardware"]["memory"]


STUDIES = (
    Study(
        1, "growth", "How many hosts does N+k take if the workload grows, and from when on?",
        "hosts_more", "mean", _grow_and_add,
        {"growth": Option(3, "per cent a month"), "months": Option(24, "how far to look"),
         "k": K, "like": Option("", "what hosts are added, by default such as the largest"),
         "settle": SETTLE},
        _months, also=("hosts_needed", "unplaced", "running"),
        assumes=(LEFT_OUT, "every workload grows alike; single VMs of manifests do not",
                 "the k largest hosts fail and come back, and each time one host more is there, "
                 "until no VM waits; hosts_needed counts those that fail"),
        replications=1, verdict=_growth_verdict,
    ),
    Study(
        11, "time-unplaced", "How long from creation to running?", "creation_p99_s", "mean",
        _as_it_is, also=("creation_mean_s", "creations_refused", "unplaced", "waiting_worst"),
        assumes=("the p99 of a replication's VMs, averaged over replications",),
    ),
    Study(
        12, "what-fits", "How many more VMs of each class fit?", "probes", "mean", _probe,
        {"k": Option(0, K.means), "most": Option(200, "probes that are tried"), "settle": SETTLE},
        _classes, ("k=0,1",), also=("packing_cpu", "packing_memory"),
        assumes=(LEFT_OUT, "probes come one class at a time, on top of what runs", TRIED, BEST),
        best="high", replications=1, verdict=_fits_verdict,
    ),
    Study(
        13, "fragmentation", "How much room is there that nothing fits in?", "stranded_memory",
        "mean", _as_it_is, also=("stranded_cpu", "packing_cpu", "packing_memory", "empty_hosts"),
        assumes=("stranded: free beside too little of the other for the smallest class", BEST),
    ),
    Study(
        16, "rules-and-failures", "Do rules keep VMs from running when k hosts fail?", "unplaced",
        "mean", _rules, {"k": Option(1, "hosts that fail, drawn"), "settle": SETTLE},
        _without_rule, also=("all_run",), assumes=(LEFT_OUT, SETTLING), verdict=_rules_verdict,
    ),
    Study(
        17, "admission-control", "Slots, percentage or failover hosts: what runs, what is lost?",
        "running", "mean", _admission,
        {"policy": Option("percentage", "disabled, slots, percentage, dedicatedHosts"), "k": K,
         "settle": Option("1h", SETTLE.means)},
        variants=("policy=disabled,slots,percentage,dedicatedHosts",),
        also=("unplaced", "lost", "vms_hit", "creations_refused", "restored_all_s"),
        assumes=(LEFT_OUT, "one host, drawn, fails"), best="high",
    ),
    Study(
        22, "consolidate", "How many hosts does one cluster instead of several free?", "unhoused",
        "mean", _consolidate, {"k": K, "settle": SETTLE}, _freed,
        also=("unplaced", "hosts_not_empty", "migrations", "packing_memory"), short=SHORT,
        assumes=(LEFT_OUT, "a zone's clusters become one; the smallest hosts go first", BEST),
        replications=1, verdict=_freed_verdict,
    ),
    Study(
        23, "decommission", "Until when can a generation of hosts go, with N+k?", "unplaced",
        "mean", _retire,
        {"hosts": Option("", "glob of the hosts that go"), "growth": Option(3, "per cent a month"),
         "months": Option(24, "how far to look"), "k": K, "settle": SETTLE},
        _months, also=("running", "packing_memory"),
        assumes=(LEFT_OUT, "every workload grows alike", "the largest of the others fail"),
        replications=1, verdict=_month_verdict,
    ),
    Study(
        26, "reservations", "What do reservations cost, and what does going without them?",
        "running", "mean", _reservations,
        {"memory": Option("reserved", "reserved or shared"),
         "promise": Option(1.5, "MiB promised for each MiB of a host"),
         "k": Option(0, K.means), "most": Option(200, "probes that are tried"), "settle": SETTLE},
        variants=("memory=reserved,shared",),
        also=("probes", "reclaim_gib", "exposed_vm_s", "packing_memory"),
        assumes=(LEFT_OUT, "room is counted in VMs of --set class=NAME, by default the most common "
                 "class", "contention is not modelled: the memory to reclaim and the exposed time "
                 "are what could come at most, if all VMs used all their memory at once", TRIED),
        best="high", replications=1,
    ),
    Study(
        28, "best-change", "Which single change gains most room for one more class of VM?",
        "probes", "mean", _change,
        {"k": Option(1, K.means), "most": Option(200, "probes that are tried"), "settle": SETTLE},
        _changes, also=("packing_cpu", "packing_memory"),
        assumes=(LEFT_OUT, "changes: one more host of each kind, or one rule left out",
                 "room is counted in VMs of --set class=NAME, by default the most common class",
                 TRIED),
        best="high", replications=1, verdict=_change_verdict,
    ),
)  # fmt: skip
