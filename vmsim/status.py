"""What does the VM role report about a VM, in the words of its edition?

From the object, the observation and the last failure to the fields of `status` and the
conditions, as the edition spells them. Clauses T-01 to T-06, Q-15, Z-07.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from vmsim.actions import Fault, Observed
from vmsim.editions import Edition
from vmsim.objects import (
    ON,
    PAUSED_LABEL,
    Condition,
    Conditions,
    Hardware,
    PowerState,
    VirtualMachine,
    VMStatus,
)

CREATED: Final = "VirtualMachineCreated"
PLACEMENT_READY: Final = "VirtualMachineConditionPlacementReady"
POWER_SYNCED: Final = "VirtualMachinePowerStateSynced"
RECONCILE_READY: Final = "VirtualMachineReconcileReady"
_CREATED: Final = Condition(CREATED, "True", "True")
_PLACED: Final = Condition(PLACEMENT_READY, "True", "True")
_SYNCED: Final = Condition(POWER_SYNCED, "True", "Synced")
REPORTED: Final = ("cpus", "cpu_reservation_mhz", "memory_mib", "memory_reservation_mib")
"""Of a VM's hardware (T-12)."""

EVICTION_KEY: Final = "com.vmware.cp.autoevac."


def report(
    vm: VirtualMachine, seen: Observed, found: Conditions, edition: Edition, now_s: float
) -> dict[str, Any]:
    """Put into the status what was seen, and what was found (`conditions`) at second `now_s`; the
    answer is what is new of it, by field."""
    status, said = vm.status, dict[str, Any]()
    power = host = zone = ip = ""
    if seen.exists:
        power, host, zone, ip = edition.power_words[seen.power], seen.host, seen.zone, seen.ip
    if power != status.power_state:
        status.power_state = said["power_state"] = power
    if host != status.host:
        status.host = said["host"] = host
    if zone != status.zone:
        status.zone = said["zone"] = zone
    if ip != status.ip:
        status.ip = said["ip"] = ip
    if found is not status.conditions:
        words, turned, status.conditions = _renewed(status.conditions, found)
        if words:
            said["conditions"] = words
            status.since_s = {**status.since_s, **dict.fromkeys(turned, now_s)}
    return said


def conditions(
    vm: VirtualMachine,
    seen: Observed,
    required: Conditions,
    failure: Fault | None,
    edition: Edition,
) -> Conditions:
    """What holds of the VM after this pass, with what is `required` of the things that it names;
    conditions carry no time yet."""
    if edition.phases:
        return required
    known = vm.status.conditions
    powers = (vm.spec.power_state or ON, seen.power) if seen.exists else None
    found = _conditions(required, powers, PLACEMENT_READY in known, failure)
    if PAUSED_LABEL in vm.labels or RECONCILE_READY in known:
        return Conditions({**found, **_reconcile_ready(vm)})
    return found


def _reconcile_ready(vm: VirtualMachine) -> dict[str, Condition]:
    """VirtualMachineReconcileReady (T-10), of a VM that is or was paused by an administrator."""
    if who := vm.paused_by:
        message = f"Virtual Machine reconciliation paused by {who}"
        paused = Condition(RECONCILE_READY, "False", "VirtualMachineReconcilePaused", message)
        return {RECONCILE_READY: paused}
    if RECONCILE_READY not in vm.status.conditions:
        return {}
    return {RECONCILE_READY: Condition(RECONCILE_READY, "True", "VirtualMachineReconcileRunning")}


def report_hardware(status: VMStatus, seen: Observed, said: dict[str, Any]) -> None:
    """Put into `status` and `said` the class in force and its hardware, where they changed.

    Hardware changes with the class only (C-12).
    """
    if status.hardware and seen.class_name == status.class_name:
        return
    status.class_name = said["class_name"] = seen.class_name
    status.hardware = said["hardware"] = _told(seen.hardware)


@lru_cache(maxsize=1024)
def _told(hardware: Hardware) -> Mapping[str, int]:
    """One mapping for all VMs with such hardware."""
    return {name: getattr(hardware, name) for name in REPORTED}


@lru_cache(maxsize=1024)
def _renewed(
    kept: Conditions, found: Conditions
) -> tuple[Mapping[str, list[str]], list[str], Conditions]:
    """What `found` says anew, in words; whose status turned; and all that holds from now on.

    A condition of which `found` does not speak stays. VMs that go from one situation to another
    share the answer.
    """
    words, turned = {}, []
    for kind, one in found.items():
        before = kept.get(kind)
        if one == before:
            continue
        words[kind] = [one.status, one.reason, one.message]
        if before is None or one.status != before.status:
            turned.append(kind)
    return words, turned, found if kept.keys() <= found.keys() else Conditions({**kept, **found})


def report_phase(vm: VirtualMachine, seen: Observed, failure: Fault | None) -> dict[str, Any]:
    """Put the phase into the status; the answer is the phase, by field, if it is a new one."""
    phase = _phase(vm, seen, failure)
    if phase == vm.status.phase:
        return {}
    vm.status.phase = phase
    return {"phase": phase}


def _phase(vm: VirtualMachine, seen: Observed, failure: Fault | None) -> str:
    if vm.deleting:
        return "Deleting"
    if seen.exists:
        return "Created"
    return "Creating" if seen.busy or failure else vm.status.phase or "Unknown"


@lru_cache(maxsize=1024)
def _conditions(
    required: Conditions,
    powers: tuple[PowerState, PowerState] | None,
    placed: bool,
    failure: Fault | None,
) -> Conditions:
    """The conditions of 2026-08; a True one has the reason "True". VMs in one situation share them.

    `powers` are the wanted and the seen power state, None: there is no VM. `placed`: the VM once
    told of its placement.
    """
    found = list(required.values())
    if powers is not None:
        found.append(_CREATED)
        if placed:
            found.append(_PLACED)
        found.append(power_synced(*powers, failure))
    elif failure is not None and failure.name == "NoCompatibleHost":
        found.append(Condition(PLACEMENT_READY, "False", "NotReady", str(failure)))
    elif failure is not None:
        found.append(Condition(CREATED, "False", "Error", str(failure)))
    return by_type(found)


def by_type(conditions: Iterable[Condition]) -> Conditions:
    """These conditions, as a status has them."""
    return Conditions({condition.type: condition for condition in conditions})


def power_synced(wanted: PowerState, seen: PowerState, failure: Fault | None) -> Condition:
    """VirtualMachinePowerStateSynced (T-06); InfraInMaintenance names no host (Q-15)."""
    if wanted is seen:
        return _SYNCED
    if failure is not None and any(key.startswith(EVICTION_KEY) for key in failure.keys):
        message = "the infrastructure is in maintenance"
        return Condition(POWER_SYNCED, "False", "InfraInMaintenance", message)
    message = f"spec.powerState={wanted} != status.powerState={seen}"
    return Condition(POWER_SYNCED, "False", "NotSynced", message)
