"""What may be asked of a hypervisor, how it says no, and what it shows of a VM.

A task names a VM by its key and hosts by their names. Tasks are asked for and forgotten: their
outcome is seen later, in what the hypervisor reports about the VM.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from vmsim.objects import Hardware, PowerState


class Verb(StrEnum):
    """The operations on a VM, each one vSphere task."""

    CREATE = "CreateVM"
    POWER_ON = "PowerOnVM"
    POWER_OFF = "PowerOffVM"
    SUSPEND = "SuspendVM"
    RESTART = "ResetVM"
    RESIZE = "ReconfigVM"
    MIGRATE = "MigrateVM"
    RELOCATE = "RelocateVM"
    DESTROY = "Destroy"


CREATE: Final = Verb.CREATE
POWER_ON: Final = Verb.POWER_ON
POWER_OFF: Final = Verb.POWER_OFF
SUSPEND: Final = Verb.SUSPEND
RESTART: Final = Verb.RESTART
RESIZE: Final = Verb.RESIZE
MIGRATE: Final = Verb.MIGRATE
RELOCATE: Final = Verb.RELOCATE
DESTROY: Final = Verb.DESTROY


class Cause(StrEnum):
    """Who wanted the task, and why; a move without one of these causes is a defect (S-09)."""

    USER = "User"
    EVACUATION = "Evacuation"
    RESTART = "Restart"
    ADMINISTRATOR = "Administrator"
    LOAD_BALANCING = "LoadBalancing"


USER: Final = Cause.USER


class PowerOffMode(StrEnum):
    """Whether a power-off asks the guest (P-08): never, always, or for five minutes."""

    HARD = "Hard"
    SOFT = "Soft"
    TRY_SOFT = "TrySoft"

    @classmethod
    def of(cls, word: str) -> "PowerOffMode":
        """The mode that an edition spells so: `trySoft` in v1alpha1, `TrySoft` later (P-07)."""
        return cls(word[:1].upper() + word[1:])


class Task(msgspec.Struct, gc=False):
    """`verb` on VM `vm`, from `source` (where the VM is, '' when it is new) to `host`.

    `hardware` and `datastore` describe the VM for a hypervisor that must create or resize it;
    `memory_mib`, `class_name` and `devices` tell how it migrates. `from_datastore` is where its
    disks are when they move as well, else ''. `report` is what was measured: there once a
    migration is over.
    `mode` is how a power-off or a restart goes about it; `lasts_s` is how long the task takes when
    that is not the plant's to say (-1: it is).
    """

    verb: Verb
    vm: str
    source: str
    host: str
    cause: Cause
    hardware: Hardware | None = None
    memory_mib: int = 0
    datastore: str = ""
    class_name: str = ""
    devices: tuple[tuple[str, int], ...] = ()
    from_datastore: str = ""
    report: Mapping[str, float | str] | None = None
    mode: PowerOffMode = PowerOffMode.TRY_SOFT
    lasts_s: float = -1.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A refusal or failure of the infrastructure, by its vSphere name.

    `keys` are vSphere's message keys.
    `unknown` means that the outcome is not known (a time-out): it is never taken for success.
    """

    name: str
    message: str = ""
    keys: tuple[str, ...] = ()
    unknown: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


NO_HARDWARE = Hardware(0, 0)


@dataclass(slots=True)
class Observed:
    """What the hypervisor says about one VM now. `exists` False: no such VM.

    `busy` is the task that runs on the VM (P-23), `connected` is False while its host does not
    respond (Q-07), `fault` is why the last request failed, until it is acknowledged. `reserved`:
    the VM is off, and room is kept for the power-on that is to follow its creation. `restarted`
    is the time of the request that the last restart answered (P-19), as it was written.
    `class_name` is the class whose `hardware` the VM has.
    """

    exists: bool = False
    power: PowerState = PowerState.OFF
    host: str = ""
    zone: str = ""
    busy: Verb | None = None
    connected: bool = True
    ip: str = ""
    fault: Fault | None = None
    reserved: bool = False
    restarted: str = ""
    class_name: str = ""
    hardware: Hardware = NO_HARDWARE


ABSENT: Final = Observed()
