"""What is a migration, and what does it need of its hosts and datastores?"""

from dataclasses import dataclass, field
from typing import TypeAlias

from simpy.events import Event

from vmsim.actions import Task
from vmsim.precopy import Copy, Progress

Needs: TypeAlias = tuple[tuple["Pool", int], ...]
"""The pools that a migration draws from, and how many units; never more than a pool holds."""


@dataclass(slots=True, eq=False)
class Pool:
    """Units of one kind, on one host or datastore, and who waits for them, oldest first."""

    limit: int
    used: int = 0
    waiting: list["Move"] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Link:
    """One direction of a host's network card: what it can carry, and who sends over it."""

    capacity: float
    moves: dict[int, "Move"] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Port:
    """What a host has for migrations. One can send at most `ceiling` through its card; `moves`
    is what one takes of the host, `moves_storage` one that takes the VM's disks along."""

    units: Pool
    network: Pool
    out: Link
    into: Link
    ceiling: float
    moves: Needs
    moves_storage: Needs


@dataclass(slots=True, eq=False, order=False)
class Move:
    """A migration. `prepare_s` passes before it sends; `copy` None: it never does.

    `begun`: it has its units; `over`: it gave them back. `rate` 0: it did not send so far.
    `held` says what holds it back, `copy_s` how long it sent in the end. `progress` is as of
    `since_s`, `final` what will be when nothing else changes.
    """

    serial: int
    task: Task
    prepare_s: float
    copy: Copy | None
    stun_s: float
    ceiling: float
    source: Port
    target: Port
    needs: Needs
    begun: bool = False
    over: bool = False
    started_s: float = 0.0
    rate: float = 0.0
    held: str = ""
    copy_s: float = 0.0
    since_s: float = 0.0
    progress: Progress | None = None
    final: Progress | None = None
    timer: Event | None = None

    def __lt__(self, other: "Move") -> bool:
        return self.serial < other.serial
