"""How is a VirtualMachine written as the object that the Kubernetes API shows?

The other way round from `manifests`: from our value to the fields of the edition's newest version,
spelled its way. Sources: the CRDs of VM Operator; clauses T-01 to T-06.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from vmsim.kinds import VMOPERATOR, kinds
from vmsim.objects import Condition, VirtualMachine, VMSpec, VMStatus
from vmsim.quantities import memory_mib

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # simulated second 0: a run has no date of its own


def timestamp(second: float) -> str:
    """A simulated second as Kubernetes prints times; second 0 is `1970-01-01T00:00:00Z`."""
    return (EPOCH + timedelta(seconds=int(second))).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(second: float) -> str:
    """A simulated second as RFC 3339 with the fraction it has, to the microsecond."""
    fraction = f"{round(second % 1 * 1e6):06d}".rstrip("0")
    return f"{timestamp(second)[:-1]}.{fraction}Z" if fraction else timestamp(second)


def to_raw(vm: VirtualMachine, edition: str) -> dict[str, Any]:
    """The Kubernetes object of a VM in the newest version of the edition; empty fields left out.

    Fields in `extra` are shown as they came, in the version in which they were applied.
    """
    kind = kinds(edition)["VirtualMachine"]
    version = kind.versions[-1]
    metadata = {
        "name": vm.name,
        "namespace": vm.namespace,
        "uid": vm.uid,
        "labels": dict(vm.labels),
        "annotations": dict(vm.annotations),
        "generation": vm.generation,
        "resourceVersion": str(vm.resource_version),
        "creationTimestamp": timestamp(vm.created_s),
        "finalizers": [vm.finalizer] if vm.finalizer else [],
    }
    return {
        "apiVersion": kind.api_versions[-1],
        "kind": kind.name,
        "metadata": _filled(metadata),
        "spec": _raw_spec(vm.spec, version),
        "status": _raw_status(vm, version),
    }


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", None, 0, [], {})}


def _raw_spec(spec: VMSpec, version: str) -> dict[str, Any]:
    own: dict[str, Any] = {
        "className": spec.class_name,
        "imageName": spec.image_name,
        "storageClass": spec.storage_class,
        "powerState": _spelled(spec.power_state or "", version),
        "powerOffMode": _spelled(spec.power_off_mode, version),
        "restartMode": _spelled(spec.restart_mode, version),
        "nextRestartTime": spec.next_restart_time,
        "minHardwareVersion": spec.min_hardware_version,
    }
    image = spec.extra.get("image") or {}
    if image.get("name"):
        own["image"] = image | {"name": spec.image_name}
        own["imageName"] = spec.extra.get("imageName", "")
    fields = dict(spec.extra) | _filled(own)
    references = {item.get("name"): item for item in spec.extra.get("policies") or ()}
    policies = [references.get(name, {"name": name}) for name in spec.policies]
    return fields | _filled({"policies": policies})


def _raw_status(vm: VirtualMachine, version: str) -> dict[str, Any]:
    """The status in the version's words (2.5); the Ready condition first, the others by type."""
    status, old = vm.status, version == "v1alpha1"
    in_order = sorted(status.conditions.values(), key=lambda c: (c.type != "Ready", c.type))
    fields: dict[str, Any] = {
        "powerState": _spelled(status.power_state, version),
        "host" if version < "v1alpha4" else "nodeName": status.host,
        "zone": status.zone,
        "lastRestartTime": status.last_restart,
        "uniqueID": status.unique_id,
        "biosUUID": _uuid("4210", status.unique_id),
        "instanceUUID": _uuid("5010", status.unique_id),
        "conditions": [_raw_condition(one, status.since_s[one.type]) for one in in_order],
    }
    address = {"vmIp": status.ip} if old else {"network": _filled({"primaryIP4": status.ip})}
    reference = {
        "apiVersion": f"{VMOPERATOR}/{version}",
        "kind": "VirtualMachineClass",
        "name": status.class_name,
    }
    made = {"class": reference if status.class_name else {}, "hardware": _raw_hardware(status)}
    rest = {"phase": status.phase} if old else made
    return _filled(fields | address | rest)


def _raw_hardware(status: VMStatus) -> dict[str, Any]:
    """CPUs and MHz, and memory as Kubernetes writes quantities (T-12)."""
    found = status.hardware
    if not found:
        return {}
    mib = {"total": found["memory_mib"], "reservation": found["memory_reservation_mib"]}
    cpu = {"total": found["cpus"], "reservation": found["cpu_reservation_mhz"]}
    return {"cpu": _filled(cpu), "memory": {name: _binary(n) for name, n in mib.items() if n}}


def told_hardware(status: Mapping[str, Any]) -> dict[str, int]:
    """What `to_raw` wrote of a VM's hardware, as `VMStatus` has it; {} when there is none."""
    told = status.get("hardware")
    if not told:
        return {}
    cpu, memory = told.get("cpu") or {}, told.get("memory") or {}
    return {
        "cpus": cpu.get("total", 0),
        "cpu_reservation_mhz": cpu.get("reservation", 0),
        "memory_mib": memory_mib(memory.get("total", 0)),
        "memory_reservation_mib": memory_mib(memory.get("reservation", 0)),
    }


def _binary(mib: int) -> str:
    return f"{mib}Mi" if mib % 1024 else f"{mib // 1024}Gi"


def _uuid(prefix: str, unique_id: str) -> str:
    """A UUID of the VM with that identifier, which is `vm-` and a number; else ''."""
    number = unique_id.removeprefix("vm-")
    digits = f"{int(number):08x}" if number.isdecimal() else ""
    return f"{prefix}{digits[:4]}-{digits[4:]}-4000-8000-000000000000" if digits else ""


def _raw_condition(condition: Condition, since_s: float) -> dict[str, Any]:
    words = {name: getattr(condition, name) for name in ("type", "status", "reason", "message")}
    return _filled(words) | {"lastTransitionTime": timestamp(since_s)}


def _spelled(word: str, version: str) -> str:
    return word[:1].lower() + word[1:] if version == "v1alpha1" else word
