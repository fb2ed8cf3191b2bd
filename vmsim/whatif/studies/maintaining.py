"""Questions about maintenance: upgrades, windows, evacuations, and VMs that hold them up."""

from collections.abc import Mapping
from typing import Any

from vmsim.whatif.studies.study import (
    LEFT_OUT,
    SETTLED_S,
    SETTLING,
    SHORT,
    TOOK,
    Case,
    Option,
    Spec,
    Study,
    hosts,
    known_host,
    names,
)

WORK = Option("25m", "from maintenance mode to ready to leave it")
PARALLEL = Option(1, "hosts at a time")
TIMEOUT = Option("30m", "how long emptying a host may take; 0: as long as it takes")
EVICT = "AutomaticVMEvictionPolicy"
ANYWHERE = "BestEffortRestartPolicy"
POLICY_API = "vsphere.policy.vmware.com/v1alpha1"


def _upgrade(case: Case) -> None:
    case.quiet()
    work_s, parallel = case.seconds("work"), case.whole("parallel", 1)
    count = len(names(case.spec))
    case.spec["upgrade"] = [
        {
            "at": f"{SETTLED_S}s",
            "hosts": ["*"],
            "work": f"{work_s}s",
            "timeout": f"{case.seconds('timeout')}s",
            "parallel": parallel,
            "stopOnFailure": False,
        }
    ]
    each_s = work_s + 4 * (case.seconds("timeout") or 3600.0) + 1200.0
    case.lasts(SETTLED_S + count * each_s / parallel + 3600.0)


UPGRADE = {"work": WORK, "parallel": PARALLEL, "timeout": TIMEOUT}
UPGRADING = (
    LEFT_OUT, SETTLING,
    "all hosts in the order in which they are declared; one that cannot be emptied in time is "
    "tried three times more and then skipped",
)  # fmt: skip


def _window(case: Case) -> None:
    _upgrade(case)
    case.lasts(SETTLED_S + case.seconds("window"))


def _every_host(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"host": name} for name in names(spec)]


def _enter(case: Case) -> None:
    case.quiet()
    case.happens(SETTLED_S, enterMaintenance=known_host(case.spec, case.given("host")))
    case.lasts(SETTLED_S + case.seconds("patience"))


def _device_hosts(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    with_devices = [name for name, entry, _ in hosts(spec) if entry.get("devices")]
    return [{"host": name} for name in with_devices or names(spec)]


def _out_and_back(case: Case) -> None:
    """One host is in maintenance for a while; what blocks it is powered off by hand."""
    case.quiet()
    host = known_host(case.spec, case.given("host"))
    low_s, high_s = case.seconds("work"), case.seconds("workMost")
    work_s = float(case.stream("work").uniform(low_s, max(low_s, high_s)))
    case.happens(SETTLED_S, enterMaintenance=host)
    case.follows("EnteredMaintenanceMode", host, work_s, exitMaintenance=host)
    patience_s = case.seconds("patience")
    for name in _all_vms(case.spec):
        case.follows("EvacuationBlocked", host, patience_s, powerOff=name)
    case.lasts(SETTLED_S + patience_s + high_s + 10_800.0)


def _all_vms(spec: Spec) -> list[str]:
    """`namespace/name` of the VMs that have devices, as far as manifests tell."""
    space = spec.get("namespace", "default")
    classes = {
        item["metadata"]["name"]
        for item in spec.get("manifests", [])
        if item.get("kind") == "VirtualMachineClass"
        and ((item.get("spec") or {}).get("hardware") or {}).get("devices")
    }
    found = [
        f"{item['metadata'].get('namespace', space)}/{item['metadata']['name']}"
        for item in spec.get("manifests", [])
        if item.get("kind") == "VirtualMachine" and item["spec"].get("className") in classes
    ]
    for load in spec.get("workload", []):
        if load["spec"].get("className") in classes:
            prefix = f"{load.get('namespace') or space}/"
            found += [
                prefix + load["name"].replace("{}", str(number))
                for number in range(1, load.get("count", 0) + 1)
            ]
    return found


def _restart_policy(case: Case) -> None:
    policies = [EVICT, *([ANYWHERE] if case.given("restart") == "anywhere" else [])]
    listed = [{"apiVersion": POLICY_API, "kind": kind, "name": kind.lower()} for kind in policies]
    vms = [item for item in case.spec.get("manifests", []) if item.get("kind") == "VirtualMachine"]
    for item in [*vms, *case.spec.get("workload", [])]:
        item["spec"]["policies"] = listed
    case.spec.setdefault("policies", {})["eviction"] = "vm_eviction_policy"
    _out_and_back(case)


AWAY = {
    "work": Option("30m", "shortest time in maintenance"),
    "workMost": Option("4h", "longest time in maintenance"),
    "patience": Option("20m", "until an administrator powers off what blocks the host"),
}
AWAY_ASSUMES = (
    LEFT_OUT, SETTLING, "the time in maintenance is uniform between work and workMost",
    "VMs with devices that block the host are powered off by hand",
)  # fmt: skip
ONE_HOST = {"patience": Option("2h", "how long the host tries to get empty")}


STUDIES = (
    Study(
        5, "longest-downtime", "What is the longest downtime of a VM in a rolling upgrade?",
        "downtime_worst_s", "mean", _upgrade, UPGRADE,
        also=("longest_detect_s", "longest_wait_s", "longest_retry_s", "longest_start_s",
              "downtime_p99_s", "vms_hit", "evacuation_down_s"),
        assumes=UPGRADING, replications=10,
    ),
    Study(
        6, "upgrade-duration", "How long does an upgrade of all hosts take, so many at a time?",
        "makespan_s", "mean", _upgrade, UPGRADE, variants=("parallel=1,2",),
        also=("hosts_done", "stalls", "migrations", "moved_gib", "downtime_s"), assumes=UPGRADING,
        short=SHORT, replications=10,
    ),
    Study(
        7, "who-blocks", "Which VMs keep a host from entering maintenance?", "blockers", "mean",
        _enter, ONE_HOST, _every_host, also=("hosts_not_empty", "evacuation_worst_s"),
        assumes=(LEFT_OUT, SETTLING), short=SHORT, replications=2,
    ),
    Study(
        8, "gpu-stranded", "What do VMs with devices lose while their host is in maintenance?",
        "gpu_hours_lost", "mean", _out_and_back, AWAY, _device_hosts,
        ("policies.eviction=drs_poweroff,block,vm_eviction_policy",),
        also=("vms_hit", "downtime_p50_s", "downtime_p99_s", "downtime_worst_s", "retry_p50_s",
              "retry_worst_s", "makespan_s"),
        assumes=AWAY_ASSUMES,
    ),
    Study(
        9, "restart-policy", "Best-effort restart or restart on the own host: what is gained?",
        "downtime_s", "mean", _restart_policy,
        {**AWAY, "restart": Option("own-host", "own-host or anywhere")}, _device_hosts,
        ("restart=own-host,anywhere",),
        also=("downtime_p50_s", "downtime_p99_s", "downtime_worst_s", "vms_hit", "gpu_hours_lost",
              "devices_elsewhere"),
        assumes=(*AWAY_ASSUMES, "all VMs get the policies; the edition must know them"),
    ),
    Study(
        14, "evacuation-time", "How long does it take to empty a host?", "evacuation_worst_s",
        "mean", _enter, ONE_HOST, _every_host,
        ("clusters[*].hosts[*].nicMbps=25000,100000",),
        also=("hosts_not_empty", "migrations", "moved_gib", "stun_worst_s"),
        assumes=(LEFT_OUT, SETTLING, "because: what most of the time went into, summed over VMs"),
        short=TOOK, replications=2,
    ),
    Study(
        15, "maintenance-window", "Is the window long enough for the upgrade?", "upgraded",
        "share", _window, {**UPGRADE, "window": Option("8h", "how long the window is")},
        also=("hosts_done", "hosts_unfinished", "stalls"), assumes=UPGRADING, best="high",
        short=SHORT,
    ),
    Study(
        19, "way-back", "Mixed CPU generations: which VMs cannot go back to the older hosts?",
        "refused_by_cpu", "mean", _enter, ONE_HOST, _every_host,
        also=("blockers", "hosts_not_empty"), assumes=(LEFT_OUT, SETTLING), short=SHORT,
        replications=2,
    ),
    Study(
        20, "retry-policy", "How long does a VM stay off although a host is open for it?",
        "retry_worst_s", "mean", _out_and_back, AWAY, _device_hosts,
        ("policies.retry.longest=60s,300s,1000s", "policies.retry.wakeOnCapacity=false,true"),
        also=("retry_p50_s", "downtime_worst_s", "retries"), assumes=AWAY_ASSUMES,
    ),
)  # fmt: skip
