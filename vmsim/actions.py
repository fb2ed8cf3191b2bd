"""What the two roles may ask of a hypervisor, and how a hypervisor says no.

An action names a VM by its key and a host by its name. Actions are asked for and forgotten: their
outcome is seen later, in what the hypervisor reports about the VM.
"""

from dataclasses import dataclass
from enum import StrEnum


class Verb(StrEnum):
    """The operations, each one vSphere task."""

    CREATE = "CreateVM"
    POWER_ON = "PowerOnVM"
    POWER_OFF = "PowerOffVM"
    MIGRATE = "MigrateVM"
    DESTROY = "Destroy"


@dataclass(frozen=True, slots=True)
class Action:
    """`verb` on VM `vm`; `host` is the destination of CREATE, POWER_ON and MIGRATE."""

    verb: Verb
    vm: str
    host: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A refusal or failure of the infrastructure, by its vSphere name.

    `retryable` faults may go away by themselves. `unknown` means that the outcome is not known
    (a time-out): it is never taken for success.
    """

    name: str
    message: str = ""
    retryable: bool = True
    unknown: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


@dataclass(slots=True)
class Observed:
    """What the hypervisor says about one VM now. `exists` False: no such VM.

    `busy` is the task that runs on the VM (P-23), `connected` is False while its host does not
    respond (Q-07), `fault` is why the last task failed.
    """

    exists: bool = False
    powered_on: bool = False
    host: str = ""
    busy: Verb | None = None
    connected: bool = True
    ip: str = ""
    fault: Fault | None = None
