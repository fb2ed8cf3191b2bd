"""Questions about room: what still fits, rules, admission control, fragmentation, reservations."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from vmsim.objects import ZONE_LABEL
from vmsim.problems import BadInput, Problem
from vmsim.whatif.studies.study import (
    BEST,
    LARGEST,
    LEFT_OUT,
    SETTLE,
    SETTLED_S,
    SETTLING,
    Case,
    Option,
    Spec,
    Study,
    hosts,
    largest,
    names,
)

PROBE = "probe-{}"
PROBING = {"most": Option(200, "probes that are tried"), "settle": SETTLE}
CASES_TOLD = 8
AND = " + "
RULES_TOGETHER = 4
"""Of no more rules than these every set is left out; of more, one at a time."""
TRIED = "no more than `most` probes are tried: more may fit if all of them run"


def _classes(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each class; in each zone if VMs can choose one."""
    found = sorted({_class(one) for one in _templates(spec)})
    kinds = ("Zone", "AvailabilityZone")
    named = {
        one["metadata"]["name"] for one in spec.get("manifests", []) if one.get("kind") in kinds
    }
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
    for name in largest(case.spec, case.whole("k")):
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
        control["failoverHosts"] = largest(case.spec, case.whole("k"))
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
        11, "time-unplaced", "How long from creation to running?", "creation_p99_s", "mean",
        _as_it_is, also=("creation_mean_s", "creations_refused", "unplaced", "waiting_worst"),
        assumes=("the p99 of a replication's VMs, averaged over replications",),
    ),
    Study(
        12, "what-fits", "How many more VMs of each class fit?", "probes", "mean", _probe,
        {"k": Option(0, LARGEST.means), **PROBING},
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
        {"policy": Option("percentage", "disabled, slots, percentage, dedicatedHosts"),
         "k": LARGEST, "settle": Option("1h", SETTLE.means)},
        variants=("policy=disabled,slots,percentage,dedicatedHosts",),
        also=("unplaced", "lost", "vms_hit", "creations_refused", "restored_all_s"),
        assumes=(LEFT_OUT, "one host, drawn, fails"), best="high",
    ),
    Study(
        26, "reservations", "What do reservations cost, and what does going without them?",
        "running", "mean", _reservations,
        {"memory": Option("reserved", "reserved or shared"),
         "promise": Option(1.5, "MiB promised for each MiB of a host"),
         "k": Option(0, LARGEST.means), **PROBING},
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
        {"k": Option(1, LARGEST.means), **PROBING},
        _changes, also=("packing_cpu", "packing_memory"),
        assumes=(LEFT_OUT, "changes: one more host of each kind, or one rule left out",
                 "room is counted in VMs of --set class=NAME, by default the most common class",
                 TRIED),
        best="high", replications=1, verdict=_change_verdict,
    ),
)  # fmt: skip
