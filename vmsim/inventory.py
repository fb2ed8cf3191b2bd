"""How much room is left, and on which host?

Hosts are columns: a host is a row number, and every quantity is an array over hosts. `room[r]` is
an int64 array (N,) with the free units of resource `r`: vCPUs, MiB of memory, MHz and MiB that
can still be reserved, and one resource per device name; `cells[r]` is the same memory, for those
who look at one row. `open` is bool (N,): may new work come?

A claim takes room before the task that needs it starts (Kubernetes' scheduler calls this
*assume*), so two tasks never count on the same room. Every change of a row is appended to
`touched`, which lets readers keep what they computed from the other rows; `forgotten` entries
before those were dropped. `freed` counts the changes that may let a waiting VM in.

`devices` are the resources that some host has as a device. `mix` is what the VMs that are to be
expected need, with the share of each kind: policies that keep room for them read it.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vmsim.objects import HostSpec, HostState
from vmsim.pools import CPU_MHZ, Ledger

CPU: Final = 0
MEMORY: Final = 1
CPU_RESERVATION: Final = 2
MEMORY_RESERVATION: Final = 3
BASE_RESOURCES: Final = ("vCPU", "memory_mib", "cpu_reservation_mhz", "memory_reservation_mib")

Needs: TypeAlias = tuple[tuple[int, int], ...]
"""Pairs of (resource, units), units > 0."""


@dataclass(frozen=True, slots=True)
class Overcommit:
    """vCPUs promised per physical core, and MiB promised per MiB of memory."""

    cpu: float = 4.0
    memory: float = 1.0


class Inventory:
    """The hosts and their free room; see the module docstring for shapes and units."""

    def __init__(self, hosts: Iterable[HostSpec], overcommit: Overcommit) -> None:
        self.overcommit = overcommit
        self.hosts: list[HostSpec] = []
        self.states: list[HostState] = []
        self.row_of: dict[str, int] = {}
        self.resources = {name: index for index, name in enumerate(BASE_RESOURCES)}
        self.total: list[NDArray[np.int64]] = [_column() for _ in BASE_RESOURCES]
        self.room: list[NDArray[np.int64]] = [_column() for _ in BASE_RESOURCES]
        self.cells: list[memoryview] = []
        self.open: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.kept_free: frozenset[str] = frozenset()
        self.cordoned: set[str] = set()
        self.topology = 0
        self._lowest_mhz = (-1, 0)
        self.touched = array("q")
        self.forgotten = 0
        self.freed = 0
        self.pools: Ledger | None = None
        self.devices: set[int] = set()
        self.mix: tuple[tuple[Needs, float], ...] = ()
        self._alike: dict[str, int] = {}
        self.add(hosts)

    def __len__(self) -> int:
        return len(self.hosts)

    def add(self, hosts: Iterable[HostSpec]) -> None:
        """Append hosts, open for work; a name in use is a defect of the caller."""
        new = list(hosts)
        for host in new:
            assert host.name not in self.row_of, f"host {host.name} is there already"
            self.row_of[host.name] = len(self.hosts)
            self.hosts.append(host)
            self.states.append(HostState.UP)
            self.devices.update(self.resource(device) for device in host.devices)
        for name, index in self.resources.items():
            units = np.array([self._units(host, name) for host in new], dtype=np.int64)
            grow = len(self.hosts) - len(new) - len(self.room[index])
            column = np.concatenate([np.zeros(grow, dtype=np.int64), units])
            self.total[index] = np.concatenate([self.total[index], column])
            self.room[index] = np.concatenate([self.room[index], column])
        self.cells = [column.data for column in self.room]
        is_open = np.array([host.name not in self.kept_free for host in new], dtype=bool)
        self.open = np.concatenate([self.open, is_open])
        self.topology += 1
        self.freed += 1

    def resource(self, name: str) -> int:
        """The number of the resource `name`; a name never seen before has no units anywhere."""
        if name not in self.resources:
            self.resources[name] = len(self.room)
            count = len(self.open)
            self.total.append(np.zeros(count, dtype=np.int64))
            self.room.append(np.zeros(count, dtype=np.int64))
            self.cells.append(self.room[-1].data)
        return self.resources[name]

    def declare(self, name: str, units: int) -> None:
        """Make `name` a resource of which every host has so many units, also later ones."""
        self._alike[name] = units
        resource = self.resource(name)
        self.room[resource] += units - self.total[resource]
        self.total[resource][:] = units

    def claim(self, needs: Needs, host: int) -> None:
        """Take `needs` from row `host`, before the task that uses them starts."""
        for resource, units in needs:
            self.cells[resource][host] -= units
        self.touched.append(host)

    def release(self, needs: Needs, host: int) -> None:
        """Give back what `claim` took."""
        for resource, units in needs:
            self.cells[resource][host] += units
        self.touched.append(host)
        self.freed += 1

    def set_state(self, host: int, state: HostState) -> None:
        """Say what row `host` is doing; only an UP host is open for new work.

        One that is cordoned, or kept free for failovers, is not.
        """
        self.states[host] = state
        self.open[host] = self._takes_work(host)
        self.touched.append(host)
        self.freed += 1
        if state is HostState.REMOVED:
            del self.row_of[self.hosts[host].name]
            self.topology += 1

    def cordon(self, name: str, cordoned: bool) -> bool:
        """Close the host to new work, or open it again, whatever else it does; whether that made
        a difference."""
        row = self.row_of[name]
        (self.cordoned.add if cordoned else self.cordoned.discard)(name)
        if bool(self.open[row]) == self._takes_work(row):
            return False
        self.set_state(row, self.states[row])
        return True

    def _takes_work(self, host: int) -> bool:
        name = self.hosts[host].name
        closed = name in self.kept_free or name in self.cordoned
        return self.states[host] is HostState.UP and not closed

    def keep_free(self, names: Iterable[str]) -> None:
        """Keep these hosts free of all but failovers: they are never open for new work."""
        before, self.kept_free = self.kept_free, frozenset(names)
        for name, row in self.row_of.items():
            if (name in before) is not (name in self.kept_free):
                self.set_state(row, self.states[row])

    def is_claimed(self, host: int) -> bool:
        """Whether anything runs on row `host`, or is to run there when its task ends."""
        columns = zip(self.room, self.total, strict=True)
        return any(room[host] != total[host] for room, total in columns)

    def forget(self, keep: int) -> None:
        """Drop the older part of `touched` once it is longer than `keep`; `forgotten` counts it."""
        if len(self.touched) > keep:
            self.forgotten += len(self.touched)
            del self.touched[:]

    def pool_admits(self, pool: str | None, resource: int, units: int) -> dict[str, bool]:
        """For each cluster, whether the pool may promise so much more there.

        `resource` is that of `pools`. A cluster has what its hosts have that are not away.
        """
        assert self.pools is not None
        column = self.total[CPU_RESERVATION if resource == CPU_MHZ else MEMORY_RESERVATION]
        there: dict[str, int] = {}
        for row, host in enumerate(self.hosts):
            here = self.states[row] in (HostState.UP, HostState.ENTERING_MAINTENANCE)
            there[host.cluster] = there.get(host.cluster, 0) + int(column[row]) * here
        return {
            cluster: self.pools.admits(cluster, pool or "", resource, units, capacity)
            for cluster, capacity in there.items()
        }

    @property
    def counts_lifetimes(self) -> bool:
        """Whether the VMs on each host are counted by the class of their lifetime."""
        return "lifetime/1" in self._alike

    def lowest_mhz(self) -> int:
        """The slowest core clock of the hosts there are: CPU requests become MHz with it (C-04)."""
        known = self._lowest_mhz
        if known[0] != self.topology:
            present = [self.hosts[row].cpu_mhz for row in self.row_of.values()]
            known = self._lowest_mhz = (self.topology, min(present, default=0))
        return known[1]

    def overcommitted(self) -> Sequence[str]:
        """Names of hosts with less than no room: empty unless this module has a defect."""
        below = np.zeros(len(self), dtype=bool)
        for column in self.room:
            below |= column < 0
        return [self.hosts[row].name for row in np.flatnonzero(below)]

    def _units(self, host: HostSpec, resource: str) -> int:
        base = {
            "vCPU": int(host.cpu_cores * self.overcommit.cpu),
            "memory_mib": int(host.memory_mib * self.overcommit.memory),
            "cpu_reservation_mhz": host.cpu_cores * host.cpu_mhz,
            "memory_reservation_mib": host.memory_mib,
        }
        alike = self._alike.get(resource)
        if alike is not None:
            return alike
        return base[resource] if resource in base else host.devices.get(resource, 0)


def _column() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)
