"""Questions about hosts, zones and pairs of hosts that fail.

"Everything runs" means that every VM that is wanted on runs when the time for settling is over:
vSphere HA and the controllers have had their tries.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from vmsim.problems import BadInput, Problem
from vmsim.whatif.studies.study import (
    LEFT_OUT,
    SETTLED_S,
    SETTLING,
    Case,
    Option,
    Spec,
    Study,
    hosts,
    names,
)

MAX_SETS = 2_000
K = Option(1, "hosts that fail together")
SETTLE = Option("1h", "time for restarts after the failure")
FAILURES = {
    "hosts": [
        {"mtbf": {"exponential": {"mean": "4380h"}}, "mttr": {"exponential": {"mean": "24h"}}}
    ]
}


def _sets(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every set of k hosts, unless they are too many: then replications draw them."""
    k, found = options["k"], names(spec)
    if not isinstance(k, int) or not 1 <= k < len(found):
        raise BadInput([Problem(f"k is a number from 1 to {len(found) - 1}", field="k")])
    if math.comb(len(found), k) > MAX_SETS:
        return []
    return [{"down": "+".join(one)} for one in itertools.combinations(found, k)]


def _fail(case: Case, down: Sequence[str], at_s: float = SETTLED_S) -> None:
    for name in down:
        case.happens(at_s, failHost=name)


def _drawn(case: Case, k: int) -> list[str]:
    found = names(case.spec)
    if not 1 <= k <= len(found):
        raise BadInput([Problem(f"k is a number from 1 to {len(found)}", field="k")])
    rows = case.stream("hosts").choice(len(found), k, replace=False)
    return [found[row] for row in sorted(rows.tolist())]


def _any_k(case: Case) -> None:
    case.quiet()
    down = case.options.get("down")
    _fail(case, str(down).split("+") if down else _drawn(case, case.whole("k", 1)))
    case.lasts(SETTLED_S + case.seconds("settle"))


def _sets_verdict(figures: Sequence[tuple[dict[str, Any], float]]) -> str:
    good = sum(1 for _, value in figures if value > 0)
    bad = [str(settings["down"]) for settings, value in figures if value <= 0]
    if not bad:
        return f"yes: with each of the {len(figures)} sets of hosts down, every VM runs again"
    shown = ", ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
    return f"no: {good} of {len(figures)} sets are survived; not {shown}"


def _year(case: Case) -> None:
    given = case.spec.get("failures") or {}
    expect = case.spec.pop("expect", None)
    assert expect is None or isinstance(expect, list)
    if not given.get("hosts") and not given.get("shocks"):
        case.spec["failures"] = FAILURES
    case.lasts(case.seconds("years") if case.given("years") != 0 else 0.0)


def _every_zone(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    zones = sorted({cluster.get("zone", "zone-1") for _, _, cluster in hosts(spec)})
    return [{"zone": zone} for zone in zones]


def _zone(case: Case) -> None:
    case.quiet()
    found = hosts(case.spec)
    down = [n for n, _, cluster in found if cluster.get("zone", "zone-1") == case.given("zone")]
    if not down:
        raise BadInput([Problem(f"no host is in zone {case.options['zone']}", field="zone")])
    _fail(case, down)
    case.lasts(SETTLED_S + case.seconds("settle"))


def _every_host(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"down": name} for name in names(spec)]


def _storm(case: Case) -> None:
    case.quiet()
    _fail(case, str(case.given("down")).split("+"))
    case.lasts(SETTLED_S + case.seconds("settle"))


def _in_upgrade(case: Case) -> None:
    case.quiet()
    spec, k = case.spec, case.whole("k", 1)
    found, work_s = names(spec), case.seconds("work")
    spec["upgrade"] = [
        {
            "at": f"{SETTLED_S}s",
            "hosts": ["*"],
            "work": f"{work_s}s",
            "parallel": case.whole("parallel", 1),
            "stopOnFailure": False,
        }
    ]
    chance = case.stream("failures")
    span_s = len(found) / case.whole("parallel", 1) * (work_s + 120.0)
    for row in chance.choice(len(found), min(k, len(found)), replace=False).tolist():
        begun_s = SETTLED_S + float(chance.uniform(0.0, span_s))
        case.happens(begun_s, failHost=found[row])
        case.happens(begun_s + case.seconds("repair"), recoverHost=found[row])
    case.lasts(SETTLED_S + 2 * span_s + case.seconds("repair") + 7200.0)


def _predicted(case: Case) -> None:
    """Failures that are drawn here; those foreseen empty their host first."""
    case.quiet()
    chance, found = case.stream("predictions"), names(case.spec)
    horizon_s, lead_s = case.seconds("horizon"), case.seconds("lead")
    repair_s, mtbf_s = case.seconds("repair"), case.seconds("mtbf")
    recall, precision = case.number("recall"), case.number("precision")
    if recall > 1 or not 0 < precision <= 1:
        raise BadInput([Problem("recall and precision are shares", field="precision")])
    for name in found:
        fails_s = SETTLED_S + lead_s + float(chance.exponential(mtbf_s))
        foreseen = float(chance.random()) < recall
        while fails_s < horizon_s:
            case.happens(fails_s, failHost=name)
            case.happens(fails_s + repair_s, recoverHost=name)
            if foreseen:
                case.happens(fails_s - lead_s, enterMaintenance=name)
                case.happens(fails_s + repair_s + 1.0, exitMaintenance=name)
            fails_s += repair_s + 2 * lead_s + float(chance.exponential(mtbf_s))
            foreseen = float(chance.random()) < recall
        _false_alarms(case, name, recall * (1 - precision) / precision / mtbf_s)
    case.lasts(horizon_s + repair_s + 7200.0)


def _false_alarms(case: Case, name: str, rate: float) -> None:
    chance, horizon_s = case.stream(f"alarms/{name}"), case.seconds("horizon")
    lead_s = case.seconds("lead")
    alarm_s = SETTLED_S + float(chance.exponential(1 / rate)) if rate > 0 else horizon_s
    while alarm_s < horizon_s:
        case.happens(alarm_s, enterMaintenance=name)
        case.happens(alarm_s + lead_s, exitMaintenance=name)
        alarm_s += 2 * lead_s + float(chance.exponential(1 / rate))


SETTLE_OPTIONS = {"settle": SETTLE}

STUDIES = (
    Study(
        2, "any-k-down", "Does everything run with any k of n hosts down?", "all_run", "share",
        _any_k, {"k": K, "settle": SETTLE}, _sets,
        also=("unplaced", "missing_cpus", "missing_gib", "restored_all_s"),
        assumes=(LEFT_OUT, SETTLING, f"up to {MAX_SETS} sets are gone through, more are drawn"),
        best="high", replications=1, drawn=200, verdict=_sets_verdict,
    ),
    Study(
        3, "all-run-k-down", "How likely do all VMs run when k hosts, drawn at random, are down?",
        "all_run", "share", _any_k, {"k": Option(2, K.means), "settle": SETTLE},
        also=("unplaced", "waiting_worst"), assumes=(LEFT_OUT, SETTLING, "every set is as likely"),
        best="high", replications=200,
    ),
    Study(
        4, "downtime-per-year", "How long is a VM down per year?", "downtime_min_per_vm_year",
        "mean", _year, {"years": Option("365d", "how long is simulated")},
        also=("vm_year_p50_min", "vm_year_p95_min", "vm_year_p99_min", "availability",
              "downtime_p95_s", "downtime_worst_s", "failure_down_s", "evacuation_down_s",
              "host_failures", "hosts_open"),
        by_class=True,
        assumes=("a scenario without failures gets hosts that fail every 4380 h on average and "
                 "are repaired in 24 h (a proposal)",),
    ),
    Study(
        18, "zone-loss", "A zone is lost: what restarts, what stays down?", "lost", "mean",
        _zone, {"settle": Option("2h", SETTLE.means)}, _every_zone,
        also=("vms_hit", "missing_cpus", "missing_gib", "restored_50_s", "restored_95_s",
              "restored_all_s"),
        assumes=(LEFT_OUT, SETTLING, "VMs stay with their zone: what is missing is what the other "
                 "zones would have to hold"),
        replications=2,
    ),
    Study(
        21, "failures-in-upgrade", "k hosts fail while an upgrade goes on: do VMs wait for room?",
        "waited", "share", _in_upgrade,
        {"k": Option(2, K.means), "parallel": Option(1, "hosts upgraded at a time"),
         "work": Option("25m", "work on each host"),
         "repair": Option("4h", "until a host is back")},
        also=("waiting_worst", "waiting_vm_s", "downtime_worst_s", "makespan_s"),
        assumes=(LEFT_OUT, "failures are uniform over the planned time of the upgrade"),
        replications=100,
    ),
    Study(
        24, "boot-storm", "A host fails: when are 50, 95 and 100 % of its VMs back?",
        "restored_all_s", "mean", _storm, SETTLE_OPTIONS, _every_host,
        also=("restored_50_s", "restored_95_s", "vms_hit", "lost"),
        assumes=(LEFT_OUT, SETTLING, "power-ons at once: highAvailability.restart.perHost"),
        replications=2,
    ),
    Study(
        25, "predictive-evacuation", "Does it pay to empty hosts that are about to fail?",
        "failure_down_s", "mean", _predicted,
        {"recall": Option(0.8, "share of failures foreseen"),
         "precision": Option(0.5, "share of alarms that are right"),
         "lead": Option("30m", "from the alarm to the failure"),
         "mtbf": Option("2000h", "mean time between a host's failures"),
         "repair": Option("4h", "until a failed host is back"),
         "horizon": Option("90d", "how long is simulated")},
        variants=("recall=0,0.5,0.8",), also=("incidents", "migrations", "moved_gib", "vms_hit"),
        assumes=(LEFT_OUT, "failures of a host are exponential; a false alarm lasts as long as "
                 "the lead"),
    ),
    Study(
        27, "ha-gives-up", "How likely does vSphere HA give a VM up after its attempts?",
        "failovers_failed", "share", _any_k, {"k": K, "settle": SETTLE},
        also=("failovers_failed", "tasks_failed", "unplaced"),
        assumes=(LEFT_OUT, SETTLING, "power-ons fail as spec.faults says"), replications=200,
    ),
)  # fmt: skip
