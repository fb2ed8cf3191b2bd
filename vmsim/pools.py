"""May a VM with a reservation be powered on in its resource pool?

Pools are a tree, and there is one such tree in each cluster, as a namespace of a Supervisor has a
pool in each of its clusters. The root has what the cluster's hosts can promise. A pool owes its
VMs' reservations and what it lends to its pools: the reservation of each, or more where an
expandable one has outgrown it. For an expandable pool, with its reservation as it has grown,
`reservation + parent.unreserved = reservationUsed + unreserved`; for one that is not,
`reservation = reservationUsed + unreserved`.

Source: vSphere API, ResourcePool.ResourceUsage; vSphere Resource Management 8.0, "Expandable
Reservations Example".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

ROOT = ""
CPU_MHZ, MEMORY_MIB = range(2)


@dataclass(frozen=True, slots=True)
class Allocation:
    """How much of one resource a pool is guaranteed, may use at most (None: no limit), gets in
    relation to others, and whether it may borrow from its parent."""

    reservation: int = 0
    limit: int | None = None
    shares: int = 4000
    expandable: bool = True


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool under `parent` ('': the root), for the VMs of its namespaces and key globs."""

    name: str
    parent: str = ROOT
    cpu: Allocation = Allocation()
    memory: Allocation = Allocation(shares=163_840)
    namespaces: tuple[str, ...] = ()
    vms: tuple[str, ...] = ()

    def allocation(self, resource: int) -> Allocation:
        """Of CPU or of memory."""
        return self.memory if resource == MEMORY_MIB else self.cpu

    def holds(self, key: str) -> bool:
        """Whether VM `key` is in the pool."""
        return key.partition("/")[0] in self.namespaces or any(
            fnmatchcase(key, glob) for glob in self.vms
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a pool and a resource: the reservation as it has grown, how much of it is owed, and what
    could still be promised."""

    reservation: int
    used: int
    unreserved: int


def pool_of(pools: Sequence[Pool], key: str) -> str:
    """The name of the last pool in the list that holds the VM, or the root."""
    return next((pool.name for pool in reversed(pools) if pool.holds(key)), ROOT)


def owed(pools: Sequence[Pool], resource: int, own: Mapping[str, int]) -> dict[str, int]:
    """What each pool owes, the root included; `own` are the reservations of its running VMs.

    Parents come before their pools in `pools`.
    """
    used = {ROOT: own.get(ROOT, 0), **{pool.name: own.get(pool.name, 0) for pool in pools}}
    for pool in reversed(pools):
        used[pool.parent] += max(used[pool.name], pool.allocation(resource).reservation)
    return used


def usage(
    pools: Sequence[Pool], resource: int, own: Mapping[str, int], capacity: int
) -> dict[str, Usage]:
    """The usage of every pool, the root included, which has `capacity` to promise."""
    used = owed(pools, resource, own)
    found = {ROOT: Usage(capacity, used[ROOT], capacity - used[ROOT])}
    for pool in pools:
        given = pool.allocation(resource)
        grown = max(given.reservation, used[pool.name])
        lent = found[pool.parent].unreserved if given.expandable else 0
        found[pool.name] = Usage(grown, used[pool.name], grown - used[pool.name] + lent)
    return found


def broken(
    pools: Sequence[Pool], resource: int, own: Mapping[str, int], capacity: int
) -> list[str]:
    """The pools that owe more than they have, or than their limit; the root is named ''."""
    used = owed(pools, resource, own)
    found = [ROOT] if used[ROOT] > capacity else []
    for pool in pools:
        given = pool.allocation(resource)
        over = given.limit is not None and used[pool.name] > given.limit
        if over or (not given.expandable and used[pool.name] > given.reservation):
            found.append(pool.name)
    return found


@dataclass(slots=True)
class Ledger:
    """What the running VMs have reserved in each pool of each cluster."""

    pools: tuple[Pool, ...]
    own: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)

    def take(self, cluster: str, pool: str, wanted: Sequence[int]) -> None:
        """A VM that reserves that much CPU and memory starts; negative: it ends."""
        for resource, units in enumerate(wanted):
            own = self.own.setdefault((cluster, resource), {})
            own[pool] = own.get(pool, 0) + units

    def admits(self, cluster: str, pool: str, resource: int, units: int, capacity: int) -> bool:
        """Whether a VM in the pool may reserve so much more; what is broken anyway stays so."""
        own = self.own.get((cluster, resource), {})
        more = {**own, pool: own.get(pool, 0) + units}
        return not broken(self.pools, resource, more, capacity)
