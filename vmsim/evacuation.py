"""What shall happen to a VM whose host is to be emptied, and where may it start again?

The page says: live migration, or, when a hardware dependency forbids it, power-off and power-on
on a compatible node (S-10, S-11). Three behaviours exist in the field for the second half, so
the eviction policy is a parameter of every run.
"""

from collections.abc import Sequence
from enum import StrEnum

from vmsim.objects import PowerState
from vmsim.vmotion import Devices, Traits, VMotion

EVICTION_POLICY = "AutomaticVMEvictionPolicy"
RESTART_POLICY = "BestEffortRestartPolicy"
HOST_IN_MAINTENANCE = "com.vmware.cp.autoevac.HostInMaintenanceMode"
OWN_HOST_REQUIRED = "com.vmware.cp.autoevac.RestartOnCurrentHostRequired"


class Eviction(StrEnum):
    """What the cluster does with a VM that cannot be migrated off a host being emptied."""

    POWER_OFF = "drs_poweroff"
    BLOCK = "block"
    POLICY = "vm_eviction_policy"


class Disposition(StrEnum):
    """The next step for one VM on a host being emptied."""

    STAY = "Stay"
    MIGRATE = "Migrate"
    POWER_OFF = "PowerOff"
    BLOCK = "Block"
    REGISTER = "Register"


class Order(StrEnum):
    """Which VMs leave a host first: as they came to it, or by their memory."""

    DECLARED = "declared"
    LARGEST = "largestFirst"
    SMALLEST = "smallestFirst"


def in_order(memory_mib: Sequence[int], order: Order) -> list[int]:
    """The positions of VMs with so much memory in the order in which they leave; ties as given."""
    sign = {Order.DECLARED: 0, Order.LARGEST: -1, Order.SMALLEST: 1}[order]
    return sorted(range(len(memory_mib)), key=lambda number: sign * memory_mib[number])


def is_passthrough(device: str) -> bool:
    """Whether the device is a DirectPath I/O one (`vendor:device`); others are vGPU profiles."""
    return ":" in device


def is_movable(devices: tuple[tuple[str, int], ...], *, vgpu_hot_migrate: bool) -> bool:
    """Whether a running VM with these devices can be live-migrated.

    DirectPath I/O never can; vGPU only where the vCenter setting `vgpu.hotmigrate.enabled` is on.
    """
    return all(vgpu_hot_migrate and not is_passthrough(name) for name, _ in devices)


def hindrance(
    devices: Devices, traits: Traits, vmotion: VMotion, stun_s: float, *, hot: bool
) -> str:
    """Why a VM cannot be migrated live, whatever the hosts are like, as vSphere calls it, or ''.

    `hot` is `vgpu.hotmigrate.enabled`; `stun_s` is how long its vGPUs would stop the VM.
    """
    if devices and not is_movable(devices, vgpu_hot_migrate=hot):
        return "DisallowedMigrationDeviceAttached"
    if traits.pinned:
        return "AffinityConfigured"
    if stun_s > vmotion.stun_limit_s:
        what = f"its vGPUs would stop it for {stun_s:.1f} s, more than {vmotion.stun_limit_s:g} s"
        return f"DisallowedMigrationDeviceAttached: {what}"
    return ""


def disposition(
    power: PowerState,
    *,
    movable: bool,
    eviction: Eviction,
    policies: tuple[str, ...],
    registers: bool = False,
) -> Disposition:
    """What to do with a VM on a host that enters maintenance (S-10, S-11, C-09, MG-04).

    `registers`: VMs that are off, or suspended, are registered on other hosts, rather than stay.
    """
    if power is not PowerState.ON:
        return Disposition.REGISTER if registers else Disposition.STAY
    if movable:
        return Disposition.MIGRATE
    if eviction is Eviction.POWER_OFF:
        return Disposition.POWER_OFF
    if eviction is Eviction.POLICY and EVICTION_POLICY in policies:
        return Disposition.POWER_OFF
    return Disposition.BLOCK


def restart_host(evicted_from: str, eviction: Eviction, policies: tuple[str, ...]) -> str:
    """The one host on which an evicted VM may be powered on again, or '' for any host."""
    if eviction is Eviction.POLICY and RESTART_POLICY not in policies:
        return evicted_from
    return ""
