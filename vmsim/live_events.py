"""Which records become Events that `kubectl describe` shows?

What the VM role says of a VM, what happened to its machine, and what happened to a host. The rest
of the trace is for those who look closer.
"""

from collections.abc import Mapping
from typing import Any

from vmsim.mirror import Clock
from vmsim.objects import VirtualMachine
from vmsim.trace import Record

MOST_WAITING = 20_000
"""Events are dropped rather than kept without end when the server does not take them."""

COMPONENT = "vmsim"
_MACHINE = frozenset(
    ("VmCreated", "VmPoweredOn", "VmPoweredOff", "VmSuspended", "VmReset", "VmMigrated",
     "VmTerminated", "VmRelocated", "NoCompatibleHost", "TaskFailed")
)  # fmt: skip
_BAD = ("Fail", "Refused", "Lost", "NoCompatible", "Blocked", "Terminated", "Isolated", "Unusable")


def event(
    record: Record, vm: VirtualMachine | None, api_version: str, clock: Clock
) -> dict[str, Any] | None:
    """The Event of a record about `vm` or about a host, or None."""
    data = record.data
    if vm is not None and record.source == "vm" and record.kind == "Event":
        reason, message = str(data["reason"]), str(data["message"])
    elif vm is not None and record.source == "cluster" and record.kind in _MACHINE:
        reason, message = record.kind, _message(data)
    elif record.source == "host" and record.object and record.kind != "Host":
        return _body(record, reference(record.object), record.kind, _message(data), clock)
    else:
        return None
    about = {
        "apiVersion": api_version,
        "kind": "VirtualMachine",
        "namespace": vm.namespace,
        "name": vm.name,
        "uid": vm.uid,
    }
    return _body(record, about, reason, message, clock)


def reference(host: str) -> dict[str, str]:
    """A host's Node as an Event refers to it: kubelets give the name for the UID."""
    return {"apiVersion": "v1", "kind": "Node", "name": host, "uid": host}


def _body(
    record: Record, about: Mapping[str, str], reason: str, message: str, clock: Clock
) -> dict[str, Any]:
    now = clock.written(record.t)
    unique = f"{int(clock.origin * 1000):x}{record.n:06x}"
    bad = any(word in reason for word in _BAD)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{about['name'][:200]}.{unique}",
            "namespace": about.get("namespace", "default"),
        },
        "involvedObject": dict(about),
        "reason": reason,
        "message": message or reason,
        "type": "Warning" if bad else "Normal",
        "source": {"component": COMPONENT},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def _message(data: Mapping[str, Any]) -> str:
    """What the record says, in words."""
    if data.get("vms"):
        return ", ".join(f"{vm}: {why}" for vm, why in data["vms"].items())
    parts = [str(data[name]) for name in ("fault", "summary", "state") if data.get(name)]
    came_from = data.get("from")
    if came_from:
        parts.append(f"from {came_from}")
    if data.get("host"):
        parts.append(f"{'to' if came_from else 'on'} {data['host']}")
    if data.get("cause"):
        parts.append(f"({data['cause']})")
    return " ".join(parts)
