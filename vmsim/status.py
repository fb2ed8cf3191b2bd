"""What does the VM role report about a VM, in the words of its edition?

From the object, the observation and the last failure to the fields of `status` and the
conditions, as the edition spells them. Clauses T-01 to T-06, Q-15, Z-07.
"""

from collections.abc import Mapping, Sequence

from vmsim.actions import Fault, Observed
from vmsim.editions import Edition
from vmsim.objects import Condition, PowerState, VirtualMachine, VMStatus

CREATED = "VirtualMachineCreated"
PLACEMENT_READY = "VirtualMachineConditionPlacementReady"
POWER_SYNCED = "VirtualMachinePowerStateSynced"
_CREATED = Condition(CREATED, "True", "True")
_PLACED = Condition(PLACEMENT_READY, "True", "True")
_SYNCED = Condition(POWER_SYNCED, "True", "Synced")
EVICTION_KEY = "com.vmware.cp.autoevac."


def report(
    vm: VirtualMachine,
    seen: Observed,
    prerequisites: Sequence[Condition],
    failure: Fault | None,
    edition: Edition,
) -> VMStatus:
    """The status after this pass; conditions carry no time yet."""
    status = VMStatus(
        phase=_phase(vm, seen, failure) if edition.phases else "",
        conditions={condition.type: condition for condition in prerequisites},
    )
    if seen.exists:
        status.power_state = edition.power_words[seen.power]
        status.host = seen.host
        status.zone = seen.zone
        status.ip = seen.ip
    if not edition.phases:
        for condition in _conditions(vm, seen, failure):
            status.conditions[condition.type] = condition
    return status


def renew(
    kept: dict[str, Condition], found: Mapping[str, Condition], now_s: float
) -> dict[str, list[str]]:
    """Put into `kept` what `found` says anew, with its time; the answer is that, in words."""
    said: dict[str, list[str]] = {}
    for kind, condition in found.items():
        before = kept.get(kind)
        if before is None:
            kept[kind] = condition.at(now_s, None)
            said[kind] = [condition.status, condition.reason, condition.message]
        elif not condition.says_the_same(before):
            kept[kind] = condition.at(now_s, before)
            said[kind] = [condition.status, condition.reason, condition.message]
    return said


def _phase(vm: VirtualMachine, seen: Observed, failure: Fault | None) -> str:
    if vm.deleting:
        return "Deleting"
    if seen.exists:
        return "Created"
    return "Creating" if seen.busy or failure else vm.status.phase or "Unknown"


def _conditions(vm: VirtualMachine, seen: Observed, failure: Fault | None) -> list[Condition]:
    """The conditions of 2026-08 beyond the prerequisites; a True one has the reason "True"."""
    if not seen.exists:
        if failure is None:
            return []
        if failure.name == "NoCompatibleHost":
            return [Condition(PLACEMENT_READY, "False", "NotReady", str(failure))]
        return [Condition(CREATED, "False", "Error", str(failure))]
    found = [_CREATED]
    if PLACEMENT_READY in vm.status.conditions:
        found.append(_PLACED)
    found.append(power_synced(vm.spec.power_state or PowerState.ON, seen.power, failure))
    return found


def power_synced(wanted: PowerState, seen: PowerState, failure: Fault | None) -> Condition:
    """VirtualMachinePowerStateSynced (T-06); InfraInMaintenance names no host (Q-15)."""
    if wanted is seen:
        return _SYNCED
    if failure is not None and any(key.startswith(EVICTION_KEY) for key in failure.keys):
        message = "the infrastructure is in maintenance"
        return Condition(POWER_SYNCED, "False", "InfraInMaintenance", message)
    message = f"spec.powerState={wanted} != status.powerState={seen}"
    return Condition(POWER_SYNCED, "False", "NotSynced", message)
