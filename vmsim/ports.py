"""Where the decisions end and the infrastructure begins.

`Hypervisor` is what the VM role sees: requests go in, observed state comes out. It is either our
cluster role (`cluster`), or a vCenter that has its own. `Plant` is what our cluster role drives:
tasks that queue and take time on hosts, in memory or on a vSphere API. `Effects` lets a plant
carry out for real, at its end, a task whose time is modelled.

Contract: a request returns nothing; the VM is observed `busy` at once, or its outcome is visible
at once; every change leads to at least one notification of its key; a failure of the world is a
`Fault` value, and only misuse raises.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

import simpy

from vmsim.actions import Fault, Observed, PowerOffMode, Task
from vmsim.durations import Durations
from vmsim.faults import FaultInjector
from vmsim.objects import Hardware, HostSpec, PowerState
from vmsim.placement import Requirement
from vmsim.vmotion import VMotion


class HostCommand(StrEnum):
    """What can be done to a host."""

    ENTER_MAINTENANCE = "EnterMaintenanceMode"
    EXIT_MAINTENANCE = "ExitMaintenanceMode"
    FAIL = "Fail"
    ISOLATE = "Isolate"
    LOSE_STORAGE = "LoseStorage"
    STOP_VMS = "StopVMs"
    RECOVER = "Recover"
    ADD = "AddHost"
    REMOVE = "RemoveHost"


TaskEnded: TypeAlias = Callable[[Task, Fault | None], None]
HostEnded: TypeAlias = Callable[[], None]
Changed: TypeAlias = Callable[[str, bool], None]
"""Called with a VM's key, and whether the change answers a request of the VM role."""


class Hypervisor(Protocol):
    """The VM role's view of the infrastructure; `key` is `namespace/name`."""

    def observe(self, key: str) -> Observed:
        """What is known of the VM now, without I/O; an unknown key is absent, not an error."""
        ...

    def create(self, key: str, requirement: Requirement, power_on: bool) -> None:
        """Make the VM on a host of the hypervisor's choice; `power_on` says what comes next."""
        ...

    def power_on(self, key: str) -> None:
        """Power the VM on where it is, or on a host that can run it."""
        ...

    def power_off(self, key: str, mode: PowerOffMode = PowerOffMode.TRY_SOFT) -> None:
        """Power the VM off, asking its guest or not."""
        ...

    def restart(self, key: str, mode: PowerOffMode, asked: str) -> None:
        """Restart the VM where it runs, asking its guest or not; `asked` is when that was asked."""
        ...

    def suspend(self, key: str) -> None:
        """Suspend the VM."""
        ...

    def resize(self, key: str, requirement: Requirement) -> None:
        """Give the VM, which must be powered off, the hardware of another class."""
        ...

    def destroy(self, key: str) -> None:
        """Delete the VM, which must be powered off."""
        ...

    def acknowledge(self, key: str) -> None:
        """Forget the VM's fault: the VM role has reported it."""
        ...

    def tag(self, key: str, policies: tuple[str, ...]) -> None:
        """Put an existing VM under these compute policies, by kind and name."""
        ...

    def forget(self, key: str) -> None:
        """Forget a VM that does not exist: its object is gone, and may come again."""
        ...

    def subscribe(self, changed: Changed) -> None:
        """Call `changed` at least once after each change of a VM."""
        ...


class Plant(Protocol):
    """What carries tasks out."""

    def start(self, task: Task, ended: TaskEnded) -> None:
        """Queue the task; call `ended` once, maybe before this returns."""
        ...

    def boot(self, vm: str, ready: Callable[[], None], lasts_s: float = -1.0) -> None:
        """Let the guest of a VM that was powered on start; call `ready` when it is up.

        It takes `lasts_s`, or by default what the plant's durations say.
        """
        ...

    def command(self, host: str, command: HostCommand, ended: HostEnded) -> None:
        """Do this to the host, then call `ended`; one that fails takes its tasks down with it."""
        ...


class Effects(Protocol):
    """The real side of a modelled task; either call may raise `Unreachable`."""

    def task(self, task: Task) -> Fault | None:
        """Carry the task out and wait for it; None when it succeeded."""
        ...

    def host(self, host: str, command: HostCommand) -> None:
        """Carry the host command out and wait for it."""
        ...


@dataclass(frozen=True, slots=True)
class PlantNeeds:
    """What a plant is made from; `host` knows the hosts by name."""

    env: simpy.Environment
    durations: Durations
    host: Callable[[str], HostSpec]
    faults: FaultInjector | None
    vmotion: VMotion


@dataclass(frozen=True, slots=True)
class Believed:
    """A VM as our picture has it, to be compared with a backend's own inventory."""

    key: str
    host: str
    power: PowerState
    hardware: Hardware


@dataclass(frozen=True, slots=True)
class HostShown:
    """A host as an API shows it."""

    connected: bool
    in_maintenance: bool


@dataclass(frozen=True, slots=True)
class VMShown:
    """A VM as an API shows it: its host's name, and its power."""

    host: str
    power: PowerState


@dataclass(frozen=True, slots=True)
class Sighting:
    """The hosts by name and VMs by key that an API showed; `is_current` tells of one of them
    whether nothing was done to it by us since the reading began."""

    hosts: Mapping[str, HostShown]
    vms: Mapping[str, VMShown]
    is_current: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Backend:
    """A place to run: its name and versions for the trace's header, how to make its plant, and
    how to compare its inventory with our picture (one line per difference).

    One with an API of its own also has what carries tasks out there, a look at it that may be
    taken in another thread (and may raise Unreachable), and the variables that lead clients there.
    """

    name: str
    versions: dict[str, str]
    make: Callable[[PlantNeeds], Plant]
    compare: Callable[[Iterable[Believed]], list[str]]
    effects: Effects | None = None
    look: Callable[[], Sighting] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
