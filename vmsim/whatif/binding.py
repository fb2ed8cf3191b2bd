"""What was short: which constraint kept a VM from a host?

A refusal names a fault for each host. Hosts that are closed, or are no candidates at all, say
nothing about what is short; of the others, the one that came through most tests was nearest to
taking the VM, so its fault is the binding one.
"""

from collections.abc import Iterable, Mapping

from vmsim.placement import FILTERS
from vmsim.trace import Record

CLOSED = "hosts closed"
QUEUE = "vMotion queue"
AGAIN = "memory that guests write meanwhile"
BESIDE = "what a move takes beside the copying"
HELD = {
    "source": "network card of the source",
    "target": "network card of the target",
    "stream": "vMotion streams",
}
"""What holds the copying of a migration back, in an administrator's words."""
BLOCKED = "blocked: "
RANK = {test.fault: rank for rank, test in enumerate(FILTERS)}
WORDS = {
    "InsufficientHostCpuCapacityFault": "cpu",
    "InsufficientHostMemoryCapacityFault": "memory",
    "InsufficientGraphicsResourcesFault": "gpu",
    "CannotAccessVmDevice": "gpu",
    "CannotAccessVmDisk": "datastore",
    "DisallowedMigrationDeviceAttached": "a device that stays",
    "FeatureRequirementsNotMet": "EVC",
    "VirtualHardwareVersionNotSupported": "hardware version",
    "RuleViolation": "rule",
    "VmHostAffinityRuleViolation": "rule",
    "RestartOnCurrentHostRequired": "restart policy",
    "InsufficientCpuResourcesFault": "resource pool",
    "InsufficientMemoryResourcesFault": "resource pool",
    "VMotionNotConfigured": "vMotion network",
    "VMotionLinkDown": "vMotion link",
}
"""Faults of vSphere in an administrator's words; others stand for themselves."""
_SAY_NOTHING = ("InvalidHostState",)


def binding(record: Record, devices: Mapping[str, int]) -> str:
    """The constraint that a record of a refusal tells of; `devices` are those of the VM's class."""
    if record.kind == "InsufficientFailoverResources":
        return "admission control"
    word = _nearest(_faults(record.data))
    return f"gpu:{'+'.join(sorted(devices))}" if word == "gpu" and devices else word


def _nearest(found: Iterable[str]) -> str:
    """The fault of the host that was nearest to taking the VM, in an administrator's words."""
    faults = set(found) - set(_SAY_NOTHING)
    return worded(max(faults, key=lambda one: (RANK.get(one, -1), one))) if faults else CLOSED


def _faults(data: Mapping[str, object]) -> list[str]:
    hosts = data.get("hosts")
    if isinstance(hosts, Mapping) and hosts:
        return [str(fault) for fault in hosts.values()]
    parts = str(data.get("summary", "")).split(", ")
    return [part.partition(" ")[2] for part in parts if " " in part]


def worded(fault: str) -> str:
    """A fault in an administrator's words."""
    return WORDS.get(fault, fault)


def blocked_by(reason: str) -> str:
    """The constraint behind a reason that holds an evacuation up."""
    why, _, summary = reason.partition(": ")
    return BLOCKED + (_nearest(_faults({"summary": summary})) if summary else worded(why))


def holds_moves(word: str) -> bool:
    """Whether the constraint kept VMs from moving, not from running."""
    return word == QUEUE or word.startswith(BLOCKED)
