"""The values that everything else speaks of: virtual machines, their classes, hosts, conditions.

These are plain values. Kubernetes manifests become these at the edge (`manifests`), and become
manifests again only when somebody looks (`views`). Power states are spelled as in v1alpha2 and
later (`PoweredOn`); the older spelling is an edition's matter. A VM's key is `namespace/name`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from vmsim.structs import EMPTY as EMPTY
from vmsim.structs import UNSAID
from vmsim.structs import Condition as Condition
from vmsim.structs import Conditions as Conditions


class PowerState(StrEnum):
    """Desired or observed power of a VM, spelled as v1alpha2 and later spell it."""

    ON = "PoweredOn"
    OFF = "PoweredOff"
    SUSPENDED = "Suspended"


ON: Final = PowerState.ON
OFF: Final = PowerState.OFF
SUSPENDED: Final = PowerState.SUSPENDED
"""Names of the members: Python 3.11 takes ten times as long to find one in its enum."""


class HostState(StrEnum):
    """What a host is doing, as its administrator sees it."""

    UP = "Up"
    ENTERING_MAINTENANCE = "EnteringMaintenance"
    MAINTENANCE = "Maintenance"
    DOWN = "NotResponding"
    STORAGE_LOST = "StorageLost"
    REMOVED = "Removed"


BIOS = "bios"
"""The firmware of a VM for which nobody names another; vSphere's default."""

UP: Final = HostState.UP
DOWN: Final = HostState.DOWN


@dataclass(frozen=True, slots=True)
class HostSpec:
    """One ESXi host as a scenario describes it.

    `cpu_mhz` is the clock of one core; `devices` counts the units of each device on the host, by
    the name that classes ask for (a vGPU profile, or `vendorID:deviceID` for DirectPath I/O).
    `vmotion_fault` is why it takes no part in live migrations, as vSphere calls that, or ''.
    `rack` is what it shares power and network with ('' if unknown).
    """

    name: str
    cluster: str
    zone: str
    cpu_cores: int
    cpu_mhz: int
    memory_mib: int
    nic_mbps: int = 25_000
    devices: Mapping[str, int] = field(default_factory=dict)
    cpu_generation: int = 0
    hardware_version: int = 21
    datastores: tuple[str, ...] = ("datastore-1",)
    vmotion_fault: str = ""
    rack: str = ""


@dataclass(frozen=True, slots=True)
class VMClass:
    """Virtual hardware: what a VM of this class has, reserves and may use (C-03, C-04, C-08).

    Reservations and limits are in MHz and MiB after `manifests` resolved them; a limit of None
    is unlimited. `devices` counts units by device name. `firmware` is that of the configuration
    that the class brings, or ''.
    """

    name: str
    cpus: int
    memory_mib: int
    namespace: str = ""
    cpu_reservation_milli: int = 0
    memory_reservation_mib: int = 0
    cpu_limit_milli: int | None = None
    memory_limit_mib: int | None = None
    devices: Mapping[str, int] = field(default_factory=dict)
    min_cpu_generation: int = 0
    min_hardware_version: int = 0
    firmware: str = ""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a hypervisor gives a VM, in MHz and MiB; a limit of None is unlimited.

    `firmware` is vSphere's word, `bios` or `efi`.
    """

    cpus: int
    memory_mib: int
    cpu_reservation_mhz: int = 0
    memory_reservation_mib: int = 0
    cpu_limit_mhz: int | None = None
    memory_limit_mib: int | None = None
    firmware: str = BIOS


@dataclass(frozen=True, slots=True)
class VMSpec:
    """What the user wants. `next_restart_time` is when a restart was asked for, as admission wrote
    it, or ''. `extra` keeps the fields of the manifest that no decision reads."""

    class_name: str
    image_name: str
    storage_class: str
    power_state: PowerState | None = None
    power_off_mode: str = ""
    restart_mode: str = ""
    next_restart_time: str = ""
    min_hardware_version: int = 0
    policies: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class VMStatus:
    """What the VM role last reported; `host` is printed as `host` or `nodeName` per edition.

    `class_name` is the class in force (T-08), which may not be the one that is wanted, and
    `hardware` what it gives the VM (T-12), by fields of `Hardware`.
    `since_s` has the simulated second of each condition's last change of status; it is never
    changed either, only replaced.
    """

    phase: str = ""
    power_state: str = ""
    host: str = ""
    zone: str = ""
    ip: str = ""
    last_restart: str = ""
    unique_id: str = ""
    class_name: str = ""
    hardware: Mapping[str, int] = field(default_factory=lambda: EMPTY)
    conditions: Conditions = field(default_factory=lambda: UNSAID)
    since_s: Mapping[str, float] = field(default_factory=lambda: EMPTY)


@dataclass(slots=True)
class VirtualMachine:
    """A VirtualMachine object as the store holds it."""

    key: str
    spec: VMSpec
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    annotations: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    generation: int = 1
    resource_version: int = 0
    created_s: float = 0.0
    finalizer: str = ""
    deleting: bool = False
    status: VMStatus = field(default_factory=VMStatus)

    @property
    def namespace(self) -> str:
        """The part of the key before the slash."""
        return self.key.partition("/")[0]

    @property
    def name(self) -> str:
        """The part of the key after the slash."""
        return self.key.partition("/")[2]

    @property
    def zone(self) -> str:
        """The zone the user asked for, or '' (S-25)."""
        return self.labels.get(ZONE_LABEL, "")

    @property
    def paused_by(self) -> str:
        """Who paused the work on the VM by its label, or '' (P-22)."""
        return PAUSERS.get(self.labels.get(PAUSED_LABEL, ""), "")


ZONE_LABEL = "topology.kubernetes.io/zone"
FIRST_BOOT = "virtualmachine.vmoperator.vmware.com/first-boot-done"
PAUSED_LABEL = "vmoperator.vmware.com/paused"
PAUSERS = {"admin": "Admin", "devops": "DevOps", "both": "Admin, DevOps"}
