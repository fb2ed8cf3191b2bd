"""What is the next thing to do for one VM, given what is wanted and what is seen?

One call, one step, nothing remembered: called again with the new observation it gives the next
step, so it can be interrupted anywhere. The order of the questions is the controller's own
(deletion, pause, finalizer, failure, task under way, creation, connection, size, power).
Source: vm.md, "Working with VMs"; clauses X-01 to X-04, P-05 to P-25, Q-01 to Q-10, RZ-01.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from vmsim.actions import Observed
from vmsim.editions import Edition
from vmsim.objects import BIOS, OFF, ON, PAUSED_LABEL, SUSPENDED, VirtualMachine, VMClass
from vmsim.placement import Requirement
from vmsim.quantities import duration_s

PAUSED: Final = frozenset((PAUSED_LABEL, "vmoperator.vmware.com/pause-reconcile"))
LIFETIME: Final = "vmsim.dev/lifetime"
ABANDON: Final = "vmoperator.vmware.com.protected/skip-delete-platform-resource"
HOLD_POWER_ON: Final = "poweron.check.vmoperator.vmware.com/"
NO_ZONE: Final = ("",)  # of which no host is
HOLD_DELETE: Final = "delete.check.vmoperator.vmware.com/"
POWER_OFF_MODES_FROM_SUSPENDED: Final = ("Hard", "TrySoft", "")


class Next(StrEnum):
    """The steps; those from CREATE to DESTROY are requests to the hypervisor."""

    ADD_FINALIZER = "AddFinalizer"
    REMOVE_FINALIZER = "RemoveFinalizer"
    CREATE = "Create"
    POWER_ON = "PowerOn"
    POWER_OFF = "PowerOff"
    SUSPEND = "Suspend"
    RESTART = "Restart"
    RESIZE = "Resize"
    DESTROY = "Destroy"
    RETRY = "Retry"
    WAIT = "Wait"
    WAIT_FOR_IP = "WaitForIP"
    SETTLED = "Settled"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next, and for a wait, what is waited for."""

    next: Next
    reason: str = ""


ADD_FINALIZER: Final = Step(Next.ADD_FINALIZER)
REMOVE_FINALIZER: Final = Step(Next.REMOVE_FINALIZER)
CREATE: Final = Step(Next.CREATE)
POWER_ON: Final = Step(Next.POWER_ON)
POWER_OFF: Final = Step(Next.POWER_OFF)
SUSPEND: Final = Step(Next.SUSPEND)
RESTART: Final = Step(Next.RESTART)
RESIZE: Final = Step(Next.RESIZE)
DESTROY: Final = Step(Next.DESTROY)
SETTLED: Final = Step(Next.SETTLED)
FAILED: Final = Step(Next.RETRY, "the last request failed")
UNMET: Final = Step(Next.RETRY, "a prerequisite is missing")
PAUSE: Final = Step(Next.WAIT, "reconciliation is paused")
TASK_RUNS: Final = Step(Next.WAIT, "a task runs on the VM")
DISCONNECTED: Final = Step(Next.WAIT, "the VM's host does not respond")
UNREADABLE: Final = Step(Next.RETRY, "the VM's host does not respond")
HELD: Final = Step(Next.WAIT, "an annotation holds the VM")
WAIT_FOR_IP: Final = Step(Next.WAIT_FOR_IP, "the guest has no address yet")


def next_step(vm: VirtualMachine, seen: Observed, unmet: bool, edition: Edition) -> Step:
    """The next step for `vm`; `unmet`: something that it needs to be made or resized is missing."""
    if vm.deleting:
        return _next_of_deletion(vm, seen)
    if not PAUSED.isdisjoint(vm.annotations) or (PAUSED_LABEL in vm.labels and vm.paused_by):
        return PAUSE
    if not vm.finalizer:
        return ADD_FINALIZER
    if seen.fault is not None:
        return FAILED
    if seen.busy is not None:
        return TASK_RUNS
    if not seen.connected:
        return DISCONNECTED if edition.waits_while_disconnected else UNREADABLE
    if not seen.exists or (seen.power is OFF and seen.class_name != vm.spec.class_name):
        make = RESIZE if seen.exists else CREATE  # RZ-01: a VM that runs or sleeps is left alone
        return UNMET if unmet else make
    return _next_of_power(vm, seen)


def _next_of_deletion(vm: VirtualMachine, seen: Observed) -> Step:
    if vm.annotations and _holds(tuple(vm.annotations), HOLD_DELETE):
        return HELD
    if seen.fault is not None:
        return FAILED
    if seen.busy is not None:
        return TASK_RUNS
    if not seen.exists or ABANDON in vm.annotations:
        return REMOVE_FINALIZER
    if not seen.connected:
        return UNREADABLE
    return DESTROY if seen.power is OFF else POWER_OFF


@lru_cache(maxsize=1024)
def _holds(annotations: tuple[str, ...], check: str) -> bool:
    """Whether one of them pauses the work or holds back what this check is for."""
    return any(name in PAUSED or name.startswith(check) for name in annotations)


def _next_of_power(vm: VirtualMachine, seen: Observed) -> Step:
    wanted = vm.spec.power_state or ON
    if wanted is seen.power:
        if wanted is ON and vm.spec.next_restart_time != seen.restarted:
            return RESTART  # P-19
        if wanted is ON and not seen.ip:
            return WAIT_FOR_IP
        return POWER_OFF if seen.reserved else SETTLED
    if wanted is ON:
        if vm.annotations and _holds(tuple(vm.annotations), HOLD_POWER_ON):
            return HELD
        return POWER_ON
    if wanted is SUSPENDED:
        if seen.reserved:
            return POWER_OFF
        return SUSPEND if seen.power is ON else SETTLED  # P-15
    soft = seen.power is SUSPENDED and (
        vm.spec.power_off_mode not in POWER_OFF_MODES_FROM_SUSPENDED
    )
    return SETTLED if soft else POWER_OFF  # P-14


def requirement(
    vm: VirtualMachine,
    vm_class: VMClass,
    *,
    zones: tuple[str, ...],
    datastores: tuple[str, ...],
    lowest_mhz: int,
) -> Requirement:
    """What the VM asks of a host (C-03, C-04, C-08, Z-01, Z-08).

    `zones` are those of its namespace and `datastores` those of its storage class (empty: any).
    `lowest_mhz` is the slowest core clock of all hosts, by which requests and limits of CPUs
    become MHz.
    """
    limit_milli, limit_mib = vm_class.cpu_limit_milli, vm_class.memory_limit_mib
    return Requirement(
        cpus=vm_class.cpus,
        memory_mib=vm_class.memory_mib,
        cpu_reservation_mhz=_in_mhz(vm_class.cpu_reservation_milli, lowest_mhz),
        memory_reservation_mib=vm_class.memory_reservation_mib,
        devices=tuple(vm_class.devices.items()),
        zones=(vm.zone,) if vm.zone else zones,
        datastores=datastores,
        cpu_limit_mhz=None if limit_milli is None else _in_mhz(limit_milli, lowest_mhz),
        memory_limit_mib=limit_mib,
        min_hardware_version=max(vm.spec.min_hardware_version, vm_class.min_hardware_version),
        min_cpu_generation=vm_class.min_cpu_generation,
        policies=policy_words(vm),
        class_name=vm_class.name,
        lifetime_s=lifetime_s(vm),
    )


def within(zones: tuple[str, ...], claims: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The candidate zones that all claims have (Z-09); () is any zone, and NO_ZONE says none."""
    for there in claims:
        if there:
            zones = tuple(zone for zone in zones or there if zone in there) or NO_ZONE
    return zones


def claims(vm: VirtualMachine) -> tuple[str, ...]:
    """The names of the claims whose volumes the VM has."""
    volumes = vm.spec.extra.get("volumes")
    if not volumes:
        return ()
    sources = [one.get("persistentVolumeClaim") for one in volumes if isinstance(one, dict)]
    return tuple(str(one.get("claimName") or "") for one in sources if isinstance(one, dict))


def _in_mhz(milli: int, lowest_mhz: int) -> int:
    """Thousandths of a CPU in MHz, rounded up (C-04)."""
    return -(-milli * lowest_mhz // 1000)


def firmware(vm: VirtualMachine, of_image: str, of_class: str) -> str:
    """The firmware of the VM: its own, that of its image, or that of its class (C-11, C-15)."""
    return boot_firmware(vm) or of_image or of_class or BIOS


def boot_firmware(vm: VirtualMachine) -> str:
    """The firmware of the VM's boot options in vSphere's word, or ''."""
    options = vm.spec.extra.get("bootOptions")
    return str(options.get("firmware") or "").lower() if options else ""


def lifetime_s(vm: VirtualMachine) -> float:
    """How long the VM is expected to be there, from its annotation or label, or 0: not known.

    It is a hint to the placement, no more; one that is not a duration is passed over.
    """
    if not vm.annotations and not vm.labels:
        return 0.0
    hint = vm.annotations.get(LIFETIME) or vm.labels.get(LIFETIME)
    try:
        return duration_s(hint) if hint else 0.0
    except ValueError:
        return 0.0


def policy_words(vm: VirtualMachine) -> tuple[str, ...]:
    """The kinds and names of the compute policies that the VM refers to."""
    references = vm.spec.extra.get("policies")
    if not references:
        return vm.spec.policies
    kinds = tuple(str(item.get("kind", "")) for item in references if isinstance(item, dict))
    return kinds + vm.spec.policies
