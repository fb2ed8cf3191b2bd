"""Which figures does a run give? Each is a function of the ledger and a row of METRICS.

Times are in seconds, shares between 0 and 1. A figure that nothing in the run bears on is 0, as
the downtime of VMs that never went down is.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType

import numpy as np

from vmsim.whatif.ledger import Ledger

YEAR_S = 365 * 86_400.0
LEVELS = {"p50": (0.50, "half"), "p95": (0.95, "95 %"), "p99": (0.99, "99 %")}


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure: its unit, what it means, and how a ledger gives it.

    None is below 0 and none above `most`. Where the metric `unless` is above 0, the run ended
    before this one was known: it is more than was measured.
    """

    unit: str
    means: str
    of: Callable[[Ledger], float]
    unless: str = ""
    most: float = math.inf


def downtime_s(ledger: Ledger) -> float:
    """Downtime of all VMs together."""
    return float(sum(ledger.downtimes_s))


def _by(cause: str) -> Callable[[Ledger], float]:
    return lambda ledger: float(sum(ledger.downtimes_by_s.get(cause, ())))


def _downtime(level: float) -> Callable[[Ledger], float]:
    return lambda ledger: quantile(ledger.downtimes_s, level)


def _phase(name: str) -> Callable[[Ledger], float]:
    length_s = attrgetter(name)
    return lambda ledger: float(sum(map(length_s, ledger.downtimes)))


def _of_the_longest(name: str) -> Callable[[Ledger], float]:
    """A phase of the longest downtime, or 0."""
    length_s = attrgetter(name)

    def phase_s(ledger: Ledger) -> float:
        if not ledger.downtimes:
            return 0.0
        longest = ledger.downtimes_s.index(max(ledger.downtimes_s))
        return float(length_s(ledger.downtimes[longest]))

    return phase_s


def worst(values: Sequence[float]) -> float:
    """The largest, or 0."""
    return float(max(values, default=0.0))


def quantile(values: Sequence[float], level: float) -> float:
    """A value that is there, with the share `level` at or below it, or 0."""
    return float(np.quantile(values, level, method="inverted_cdf")) if values else 0.0


def _minutes_per_year(ledger: Ledger) -> float:
    """Of the years for which VMs were there, from creation to deletion."""
    years = sum(ledger.lived_s.values()) / YEAR_S
    return downtime_s(ledger) / 60.0 / years if years else 0.0


def _per_year(level: float) -> Callable[[Ledger], float]:
    """What this share of the VMs that are there at the end do not exceed, in minutes per year."""
    return lambda ledger: quantile([minutes for _, minutes in _of_each_vm(ledger)], level)


def _of_each_vm(ledger: Ledger) -> Iterator[tuple[str, float]]:
    """Class and downtime per year, in minutes, of each VM that is there at the end."""
    for vm in ledger.vms.values():
        lived_s = ledger.now_s - max(vm.added_s, ledger.warm_s)
        if lived_s > 0.0:
            yield vm.class_name, vm.down_s / 60.0 * YEAR_S / lived_s


def minutes_by_class(ledger: Ledger) -> dict[str, dict[str, float]]:
    """Downtime per VM and year of each class, in minutes: its mean, and what half of the VMs, 95
    and 99 % of them do not exceed."""
    down = dict.fromkeys(sorted(ledger.lived_s), 0.0)
    for one in ledger.downtimes:
        down[one.class_name] = down.get(one.class_name, 0.0) + one.lasted_s / 60.0
    there: dict[str, list[float]] = {}
    for name, minutes in _of_each_vm(ledger):
        there.setdefault(name, []).append(minutes)
    return {
        name: {"mean": minutes / (ledger.lived_s[name] / YEAR_S)}
        | {word: quantile(there.get(name, ()), level) for word, (level, _) in LEVELS.items()}
        for name, minutes in down.items()
        if ledger.lived_s.get(name)
    }


MORE_IS_BETTER = frozenset((
    "all_run", "availability", "devices_used", "empty_hosts", "hosts_done", "hosts_open",
    "packing_cpu", "packing_memory", "probes", "running", "upgraded",
))  # fmt: skip
"""Of all other metrics, less is better."""


def cost(name: str, value: float) -> float:
    """The value of a metric with a sign that makes less the better."""
    return -value if name in MORE_IS_BETTER else value


def makespan_s(ledger: Ledger) -> float:
    """From the first request for maintenance to the end of the last one."""
    spans = ledger.maintenances
    begun = [start for start, _ in spans]
    late = [host.asked_s for host in ledger.hosts.values() if host.asked_s >= 0.0]
    ends = [end for _, end in spans] + ([ledger.now_s] if late else [])
    return max(ends) - min(begun + late) if ends else 0.0


def unfinished(ledger: Ledger) -> float:
    """Hosts that still are, or still should get, in maintenance at the end."""
    return float(sum(1 for host in ledger.hosts.values() if host.asked_s >= 0.0))


def _emptying(ledger: Ledger) -> dict[str, float]:
    """For how long each host has been emptied that still is at the end."""
    return {
        name: ledger.now_s - host.asked_s
        for name, host in ledger.hosts.items()
        if host.asked_s >= 0.0 > host.entered_s
    }


def unplaced(ledger: Ledger) -> float:
    """VMs that are wanted on and do not run at the end."""
    return float(sum(1 for vm in ledger.vms.values() if vm.wanted and not vm.running))


def _missing(part: int) -> Callable[[Ledger], float]:
    """What these VMs take: of a class's size, this part."""

    def taken(ledger: Ledger) -> float:
        there = (vm for vm in ledger.vms.values() if vm.wanted and not vm.running)
        return float(sum(ledger.capacity.size_of(vm.class_name)[part] for vm in there))

    return taken


def _devices_elsewhere(ledger: Ledger) -> float:
    size_of = ledger.capacity.size_of
    return float(sum(size_of(name)[2] * count for name, count in ledger.elsewhere.items()))


def unhoused(ledger: Ledger) -> float:
    """VMs that do not run at the end, or run where they should leave."""
    leaving = _emptying(ledger)
    stuck = sum(1 for vm in ledger.vms.values() if vm.running and vm.host in leaving)
    return unplaced(ledger) + stuck


def _probes(ledger: Ledger) -> list[bool]:
    """Of each probe, whether it runs."""
    return [vm.running for vm in ledger.vms.values() if "/probe-" in vm.key]


def _hosts_more(ledger: Ledger) -> float:
    """Of the hosts that were added, those without which VMs would still have waited."""
    return float(bisect_right(ledger.added_s, ledger.waited_until_s))


def _hosts_needed(ledger: Ledger) -> float:
    return len(ledger.hosts) - len(ledger.added_s) + _hosts_more(ledger)


def _restored(level: float) -> Callable[[Ledger], float]:
    """When that share of the VMs that a host's failure stopped ran again, since the failure."""
    return lambda ledger: quantile(ledger.downtimes_by_s.get("HostFailure", ()), level)


def _retries(ledger: Ledger) -> list[float]:
    return [item.retry_s for item in ledger.downtimes if item.because and not item.open]


def gpu_hours_lost(ledger: Ledger) -> float:
    """Device hours of VMs that were down."""
    devices_of = ledger.capacity.devices_of
    classes = {item.class_name for item in ledger.downtimes}
    units = {name: sum(devices_of(name).values()) for name in classes}
    hit = [item for item in ledger.downtimes if units[item.class_name]]
    return sum(units[item.class_name] * item.lasted_s / 3600.0 for item in hit)


def _share(part: str, whole: str) -> Callable[[Ledger], float]:
    return lambda ledger: ledger.capacity.share(part, whole)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "downtime_s": Metric("s", "downtime of all VMs together", downtime_s, "lost"),
        "downtime_worst_s": Metric(
            "s", "longest downtime of a VM", lambda x: worst(x.downtimes_s), "lost"
        ),
        **{
            f"downtime_{word}_s": Metric(
                "s", f"{share} of the downtimes are not longer", _downtime(level), "lost"
            )
            for word, (level, share) in LEVELS.items()
        },
        "downtime_min_per_vm_year": Metric("min", "downtime per VM and year", _minutes_per_year),
        **{
            f"vm_year_{word}_min": Metric(
                "min", f"{share} of the VMs are down no longer a year", _per_year(level)
            )
            for word, (level, share) in LEVELS.items()
        },
        "availability": Metric(
            "", "share of the VMs' time that they were not down",
            lambda x: 1.0 - _minutes_per_year(x) * 60.0 / YEAR_S, most=1.0,
        ),
        "evacuation_down_s": Metric("s", "downtime by evacuations", _by("Evacuation"), "lost"),
        "failure_down_s": Metric("s", "downtime by failures of hosts", _by("HostFailure"), "lost"),
        "administrator_down_s": Metric(
            "s", "downtime by the administrator", _by("Administrator"), "lost"
        ),
        "detect_s": Metric("s", "downtime before the first try to start", _phase("detect_s")),
        "wait_s": Metric("s", "downtime while no host was open for it", _phase("wait_s"), "lost"),
        "retry_s": Metric("s", "downtime from an open host to the next try", _phase("retry_s")),
        "start_s": Metric("s", "downtime while starting", _phase("start_s")),
        "longest_detect_s": Metric(
            "s", "of the longest downtime: until the first try to start",
            _of_the_longest("detect_s"),
        ),
        "longest_wait_s": Metric(
            "s", "of the longest downtime: while no host was open", _of_the_longest("wait_s"),
            "lost",
        ),
        "longest_retry_s": Metric(
            "s", "of the longest downtime: from an open host to the next try",
            _of_the_longest("retry_s"),
        ),
        "longest_start_s": Metric(
            "s", "of the longest downtime: power-on and boot", _of_the_longest("start_s")
        ),
        "retry_worst_s": Metric(
            "s", "longest time from an open host to the power-on", lambda x: worst(_retries(x))
        ),
        "retry_p50_s": Metric(
            "s", "half of those times are not longer", lambda x: quantile(_retries(x), 0.5)
        ),
        "incidents": Metric("", "downtimes", lambda x: float(len(x.downtimes))),
        "vms_hit": Metric(
            "", "VMs with a downtime", lambda x: float(len({item.vm for item in x.downtimes}))
        ),
        "unplaced": Metric("", "VMs that do not run at the end", unplaced),
        "missing_cpus": Metric("", "vCPUs of the VMs that do not run at the end", _missing(0)),
        "missing_gib": Metric(
            "GiB", "memory of the VMs that do not run at the end", lambda x: _missing(1)(x) / 1024.0
        ),
        "unhoused": Metric("", "VMs without room on the hosts that stay", unhoused),
        "lost": Metric(
            "", "VMs that ran before and do not at the end",
            lambda x: float(len({item.vm for item in x.downtimes if item.open})),
        ),
        "all_run": Metric(
            "", "every VM that is wanted on runs at the end",
            lambda x: float(unplaced(x) == 0), most=1.0,
        ),
        "probes": Metric(
            "", "probes that run at the end", lambda x: float(sum(_probes(x))), "all_probes_run"
        ),
        "all_probes_run": Metric(
            "", "every probe that was tried runs",
            lambda x: float(all(_probes(x) or [False])), most=1.0,
        ),
        "upgraded": Metric(
            "", "every host was through maintenance",
            lambda x: float(not unfinished(x) and len(x.maintenances) >= len(x.hosts)), most=1.0,
        ),
        "refused_by_cpu": Metric(
            "", "VMs that could not move for the CPU generation",
            lambda x: float(list(x.refused_moves.values()).count("EVC")),
        ),
        "running": Metric(
            "", "VMs that run at the end",
            lambda x: float(sum(vm.running for vm in x.vms.values())), "all_probes_run",
        ),
        "waiting_mean": Metric(
            "", "VMs that wait for a host, over time",
            lambda x: x.waiting_vm_s / x.counted_s if x.counted_s else 0.0,
        ),
        "waiting_worst": Metric(
            "", "VMs that waited at once, at most", lambda x: float(x.waiting_worst)
        ),
        "waited": Metric(
            "", "a VM waited for a host", lambda x: float(x.waiting_worst > 0), most=1.0
        ),
        "waiting_vm_s": Metric("s", "time that VMs waited for a host", lambda x: x.waiting_vm_s),
        "creation_p99_s": Metric(
            "s", "99 % of the VMs ran so soon after creation",
            lambda x: quantile(x.creations_s, 0.99), "unplaced",
        ),
        "creation_mean_s": Metric(
            "s", "from creation to running",
            lambda x: float(np.mean(x.creations_s)) if x.creations_s else 0.0, "unplaced",
        ),
        "creations_refused": Metric(
            "", "share of the new VMs that no host took at first",
            lambda x: x.counts.refused_creations / max(x.counts.created, 1), most=1.0,
        ),
        "makespan_s": Metric(
            "s", "from the first maintenance to the end of the last", makespan_s, "hosts_unfinished"
        ),
        "hosts_unfinished": Metric("", "hosts not through with it at the end", unfinished),
        "hosts_done": Metric(
            "", "maintenances that were finished", lambda x: float(len(x.maintenances))
        ),
        "evacuation_worst_s": Metric(
            "s", "longest time to empty a host",
            lambda x: worst([*x.evacuations_s, *_emptying(x).values()]), "hosts_not_empty",
        ),
        "hosts_not_empty": Metric(
            "", "hosts that are still being emptied at the end", lambda x: float(len(_emptying(x)))
        ),
        "stalls": Metric("", "times an evacuation was held up", lambda x: float(x.counts.stalls)),
        "blockers": Metric("", "VMs that held one up", lambda x: float(len(x.blockers))),
        "migrations": Metric("", "live migrations", lambda x: float(x.counts.migrations)),
        "moved_gib": Metric("GiB", "memory moved", lambda x: x.counts.moved_mib / 1024.0),
        "stun_worst_s": Metric("s", "longest switchover", lambda x: worst(x.stuns_s)),
        "retries": Metric("", "tries that were put off", lambda x: float(x.counts.retries)),
        "tasks_failed": Metric("", "tasks that failed", lambda x: float(x.counts.tasks_failed)),
        "failovers_failed": Metric(
            "", "VMs that HA gave up", lambda x: float(x.counts.failovers_failed)
        ),
        "host_failures": Metric("", "hosts that failed", lambda x: float(x.counts.host_failures)),
        "restored_50_s": Metric("s", "half of the lost VMs ran again", _restored(0.50), "lost"),
        "restored_95_s": Metric("s", "95 % of the lost VMs ran again", _restored(0.95), "lost"),
        "restored_all_s": Metric("s", "all lost VMs ran again", _restored(1.0), "lost"),
        "gpu_hours_lost": Metric(
            "h", "device hours of VMs that were down", gpu_hours_lost, "lost"
        ),
        "packing_cpu": Metric(
            "", "share of vCPUs used, of hosts in use", _share("used_cpu", "busy_cpu")
        ),
        "packing_memory": Metric(
            "", "share of memory used, of hosts in use", _share("used_mem", "busy_mem")
        ),
        "stranded_cpu": Metric(
            "", "share of vCPUs free beside too little memory",
            _share("stranded_cpu", "all_cpu"), most=1.0,
        ),
        "stranded_memory": Metric(
            "", "share of memory free beside too few vCPUs",
            _share("stranded_mem", "all_mem"), most=1.0,
        ),
        "reclaim_gib": Metric(
            "GiB", "memory promised beyond what hosts have, over time",
            lambda x: x.capacity.mean("over_mem") / 1024.0,
        ),
        "exposed_vm_s": Metric(
            "s", "time that VMs were on such hosts", lambda x: x.capacity.sum_of("over_vms")
        ),
        "empty_hosts": Metric(
            "", "share of open hosts without a VM", _share("empty", "open"), most=1.0
        ),
        "hosts_open": Metric("", "open hosts, over time", lambda x: x.capacity.mean("open")),
        "hosts_more": Metric(
            "", "hosts that were added before no VM waited any more", _hosts_more, "unplaced"
        ),
        "hosts_needed": Metric("", "hosts that takes altogether", _hosts_needed, "unplaced"),
        "devices_elsewhere": Metric(
            "", "device units that restarted VMs took on other hosts", _devices_elsewhere
        ),
        "devices_used": Metric(
            "", "share of device units in use", _share("gpu_used", "gpu_all"), most=1.0
        ),
    }
)  # fmt: skip


def measured(ledger: Ledger) -> dict[str, float]:
    """Every metric of a closed ledger."""
    return {name: float(metric.of(ledger)) for name, metric in METRICS.items()}
