"""When does vSphere HA restart what, and what may not be powered on for its sake?

A failure has a timeline: when the VMs of the host stop, and when the first of them is powered on
elsewhere; both depend on whether the host was the cluster's primary. A restart has a tier and a
number of attempts. Admission control compares what hosts have with what VMs reserve: amounts of
CPU (MHz) and memory (MiB, the overhead of the VM included), each VM kind with its count.

Sources, by short name: Deepdive is Epping, "vSphere 6.x HA Deepdive"; API is the vSphere Web
Services API reference (ClusterDasConfigInfo, ClusterDasVmSettings, ClusterVmComponentProtection-
Settings); Availability is "vSphere Availability" 6.7.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, TypeAlias


class FailureKind(StrEnum):
    """What happens to a host: it dies, loses its network, or all paths to its datastores."""

    CRASH = "crash"
    ISOLATION = "isolation"
    APD = "apd"
    PDL = "pdl"


class IsolationResponse(StrEnum):
    """What an isolated host does with its VMs; "Disabled" in the vSphere Client is `none`."""

    NONE = "none"
    POWER_OFF = "powerOff"


class Tier(StrEnum):
    """The restart priority of a VM, in the order of restarts (API, since 6.5)."""

    HIGHEST = "highest"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    LOWEST = "lowest"
    DISABLED = "disabled"


RANK: Mapping[Tier, int] = {tier: rank for rank, tier in enumerate(Tier)}


class Ready(StrEnum):
    """What a tier waits for of the VMs before it; `none`: the end of their power-on task."""

    NONE = "none"
    POWERED_ON = "poweredOn"
    GUEST_HEARTBEAT = "guestHbStatusGreen"


def _figure(seconds: float, means: str, source: str) -> Any:
    return field(default=seconds, metadata={"means": means, "source": source})


@dataclass(frozen=True, slots=True)
class Detection:
    """Seconds from a failure until HA acts, each with its meaning and its source."""

    secondary_s: float = _figure(
        15.0, "a secondary without heartbeat datastores fails: declared dead", "Deepdive"
    )
    secondary_with_heartbeats_s: float = _figure(
        18.0, "a secondary with heartbeat datastores fails: declared dead", "Deepdive"
    )
    primary_s: float = _figure(
        35.0, "the primary fails: restarts begin, election and placement included", "Deepdive"
    )
    election_s: float = _figure(25.0, "the primary fails: another host is elected", "Deepdive")
    isolated_secondary_s: float = _figure(
        60.0, "a secondary is isolated: its isolation response", "Deepdive"
    )
    isolated_primary_s: float = _figure(
        35.0, "the primary is isolated: its isolation response", "Deepdive"
    )
    apd_timeout_s: float = _figure(
        140.0, "all paths are down: the host declares a time-out", "Deepdive (Misc.APDTimeout)"
    )
    apd_delay_s: float = _figure(
        180.0, "from there until its VMs are stopped", "API, vmTerminateDelayForAPDSec"
    )
    pdl_s: float = _figure(0.0, "a device is lost for good: its VMs are stopped", "Deepdive")
    placement_s: float = _figure(
        12.0,
        "from a host declared dead, or its VMs stopped, until the first power-on",
        "yellow-bricks.com, vSphere HA timelines: 10 to 15 s",
    )


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How restarts go on. Attempts: das.maxvmrestartcount; concurrent power-ons of a host:
    das.perHostConcurrentFailoversLimit; time-out: restartPriorityTimeout (API)."""

    default: Tier = Tier.MEDIUM
    classes: Mapping[str, Tier] = field(default_factory=dict)
    vms: Mapping[str, Tier] = field(default_factory=dict)
    ready: Ready = Ready.NONE
    ready_timeout_s: float = 600.0
    max_attempts: int = 5
    first_retry_s: float = 120.0
    per_host: int = 32

    def tier(self, key: str, class_name: str) -> Tier:
        """The tier of a VM: by the first glob that its key matches, else its class's."""
        for glob, tier in self.vms.items():
            if fnmatchcase(key, glob):
                return tier
        return self.classes.get(class_name, self.default)

    def gap_s(self, attempts: int) -> float | None:
        """Seconds from noticing that attempt number `attempts` failed until the next one, or None
        when there is none: 2, 4, 8, 16 min, so 0, 2, 6, 14, 30 min where failures are noticed at
        once (Deepdive)."""
        if attempts >= self.max_attempts:
            return None
        return float(self.first_retry_s * 2 ** (attempts - 1))


@dataclass(frozen=True, slots=True)
class Timeline:
    """Seconds from a failure until the host's VMs stop, and until the first is powered on
    elsewhere; None: never."""

    stops_s: float | None
    restarts_s: float | None


class ControlPolicy(StrEnum):
    """How admission control keeps room for failovers (ClusterDasAdmissionControlPolicy)."""

    DISABLED = "disabled"
    SLOTS = "slots"
    PERCENTAGE = "percentage"
    DEDICATED = "dedicatedHosts"


@dataclass(frozen=True, slots=True)
class Amount:
    """Of a host: what it has. Of a VM: what it reserves, its memory overhead included."""

    cpu_mhz: int
    memory_mib: int


Load: TypeAlias = Iterable[tuple[Amount, int]]
"""What VMs reserve: how many of each kind."""
Judge: TypeAlias = Callable[[Load], str]
Share: TypeAlias = tuple[int, int]
"""How much there is of a resource, and the per cent of it that are kept."""


@dataclass(frozen=True, slots=True)
class Control:
    """Admission control. `slot` fixes the slot size, `percent` the two percentages (CPU, memory);
    None: from the VMs, and from the share of the largest hosts. `min_cpu_mhz` counts for a VM
    that reserves less (das.vmcpuminmhz, 32 since 5.0; API comments still say 256)."""

    policy: ControlPolicy = ControlPolicy.DISABLED
    tolerated: int = 1
    slot: Amount | None = None
    percent: tuple[int, int] | None = None
    failover_hosts: tuple[str, ...] = ()
    min_cpu_mhz: int = 32


@dataclass(frozen=True, slots=True)
class Settings:
    """vSphere HA of a run; the defaults are those of a scenario that does not speak of it."""

    enabled: bool = True
    primaries: tuple[str, ...] = ()
    heartbeat_datastores: bool = True
    isolation_response: IsolationResponse = IsolationResponse.NONE
    storage_protection: bool = True
    memory_overhead: bool = False
    detection: Detection = Detection()
    restart: RestartPolicy = RestartPolicy()
    control: Control = Control()


HA_DEFAULTS = Settings()


def timeline(kind: FailureKind, settings: Settings, *, primary: bool) -> Timeline:
    """When the VMs of a host stop and restart after a failure of this kind.

    The time of placement follows all but the primary's crash, whose 35 s include it.
    """
    seen = settings.detection
    if kind is FailureKind.CRASH:
        beats = settings.heartbeat_datastores
        dead_s = seen.secondary_with_heartbeats_s if beats else seen.secondary_s
        restarts_s = seen.primary_s if primary else dead_s + seen.placement_s
        return Timeline(0.0, restarts_s if settings.enabled else None)
    stops_s = _stops_s(kind, settings, primary) if settings.enabled else None
    return Timeline(stops_s, None if stops_s is None else stops_s + seen.placement_s)


def _stops_s(kind: FailureKind, settings: Settings, primary: bool) -> float | None:
    seen = settings.detection
    if kind is FailureKind.ISOLATION:
        if settings.isolation_response is IsolationResponse.NONE:
            return None
        return seen.isolated_primary_s if primary else seen.isolated_secondary_s
    if not settings.storage_protection:
        return None
    return seen.pdl_s if kind is FailureKind.PDL else seen.apd_timeout_s + seen.apd_delay_s


def elect(connected: Iterable[str], wanted: Sequence[str] = ()) -> str:
    """The primary among the connected hosts of a cluster: a wanted one, else the first by name;
    '' when there is none. (vSphere takes the host with most datastores; names decide here.)"""
    names = set(connected)
    chosen = [name for name in wanted if name in names]
    return chosen[0] if chosen else min(names, default="")


def memory_overhead_mib(cpus: int, memory_mib: int) -> float:
    """What a VM's hypervisor needs beside the VM's memory, in MiB.

    A fit to the sample table of "vSphere Resource Management" 6.5 (p. 34), 256 MiB to 16 GiB and
    1 to 8 vCPUs: 0.46 MB off at most. Measured overheads of larger VMs are higher.
    """
    return 14.19 + 0.00743 * memory_mib + 4.027 * cpus


def slot_size(load: Load, min_cpu_mhz: int = 32) -> Amount:
    """The largest CPU and the largest memory reservation of all VMs (Availability)."""
    vms = [vm for vm, count in load if count > 0]
    cpu = max((vm.cpu_mhz for vm in vms), default=0)
    return Amount(max(cpu, min_cpu_mhz, 1), max((vm.memory_mib for vm in vms), default=0))


def slots_of_host(host: Amount, slot: Amount) -> int:
    """How many VMs of slot size the host runs; a dimension without a size does not limit."""
    cpu = host.cpu_mhz // slot.cpu_mhz
    return min(cpu, host.memory_mib // slot.memory_mib) if slot.memory_mib else cpu


def slots_of_vm(vm: Amount, slot: Amount) -> int:
    """How many slots the VM takes: one, unless the slot size is fixed and smaller than it."""
    memory = -(-vm.memory_mib // slot.memory_mib) if slot.memory_mib else 0
    return max(1, -(-vm.cpu_mhz // slot.cpu_mhz), memory)


def usable_slots(slots: Iterable[int], failures: int) -> int:
    """The slots that are left when the `failures` largest hosts are gone."""
    ranked = sorted(slots, reverse=True)
    return sum(ranked[failures:])


def failover_capacity(slots: Sequence[int], needed: int) -> int:
    """How many hosts may fail, the largest first, with `needed` slots still left (CFC)."""
    tolerated = 0
    for failures in range(1, len(slots) + 1):
        if usable_slots(slots, failures) < needed:
            break
        tolerated = failures
    return tolerated


def share_of_largest(amounts: Sequence[int], failures: int) -> int:
    """The share of the `failures` largest hosts in per cent, cut off (a third is 33)."""
    total = sum(amounts)
    return sum(sorted(amounts, reverse=True)[:failures]) * 100 // total if total else 100


def free_percent(total: int, reserved: int) -> int:
    """How much of the total is not reserved, in per cent, cut off."""
    return (total - reserved) * 100 // total if total else 0


def usable(total: int, percent: int) -> int:
    """What may be reserved while `percent` of the total is kept free."""
    return total * (100 - percent) // 100


def judge(control: Control, hosts: Sequence[Amount]) -> Judge:
    """Tells why VMs on these hosts violate the failover level, or '' when they do not.

    Hosts are those that count: in the cluster, not in maintenance (a failed one counts until it
    is removed). Sources: Availability, "Admission Control"; Deepdive.
    """
    if control.policy is ControlPolicy.SLOTS:
        return partial(_slot_shortage, control, hosts)
    if control.policy is ControlPolicy.PERCENTAGE:
        return partial(_percent_shortage, control.min_cpu_mhz, _shares(control, hosts))
    return _no_shortage


def shortage(control: Control, hosts: Sequence[Amount], load: Load) -> str:
    """Why these VMs on these hosts violate the failover level, or ''; see `judge`."""
    return judge(control, hosts)(load)


def _no_shortage(load: Load) -> str:
    return ""


def _slot_shortage(control: Control, hosts: Sequence[Amount], load: Load) -> str:
    load = list(load)
    slot = control.slot or slot_size(load, control.min_cpu_mhz)
    needed = sum(count * slots_of_vm(vm, slot) for vm, count in load)
    slots = [slots_of_host(host, slot) for host in hosts]
    tolerated = failover_capacity(slots, needed)
    if tolerated >= control.tolerated:
        return ""
    return (
        f"{needed} slots of {slot.cpu_mhz} MHz and {slot.memory_mib} MiB are needed, "
        f"{usable_slots(slots, control.tolerated)} are left after {control.tolerated} host failures"
    )


def _shares(control: Control, hosts: Sequence[Amount]) -> tuple[Share, Share]:
    """What the hosts have and what of it is kept, of CPU and of memory."""
    cpu = [host.cpu_mhz for host in hosts]
    memory = [host.memory_mib for host in hosts]
    largest = tuple(share_of_largest(each, control.tolerated) for each in (cpu, memory))
    kept_cpu, kept_memory = control.percent or largest
    return (sum(cpu), kept_cpu), (sum(memory), kept_memory)


def _percent_shortage(min_cpu_mhz: int, shares: tuple[Share, Share], load: Load) -> str:
    used_cpu = used_memory = 0
    for vm, count in load:
        used_cpu += count * max(vm.cpu_mhz, min_cpu_mhz)
        used_memory += count * vm.memory_mib
    short = []
    for name, (total, kept), used in zip(
        ("CPU", "memory"), shares, (used_cpu, used_memory), strict=True
    ):
        if (total - used) * 100 < kept * total or not total:
            short.append(f"{free_percent(total, used)} % of {name} is left, {kept} % is kept")
    return "; ".join(short)
