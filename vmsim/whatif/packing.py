"""How many hosts do these VMs need at least, by arithmetic alone?

VMs fall into K classes of equal needs, hosts into T types of equal size; R are the resources
(vCPUs, MiB, MHz that can be reserved, devices, and members of keep-apart rules). Bounds hold for
any placement, so a number of hosts that reaches one is the fewest there can be.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Packing:
    """VMs to pack: `need` (K, R) and `count` (K,); hosts: `size` (T, R) and `hosts` (T,);
    `allowed` (K, T) says which types may run a class at all."""

    need: Counts
    count: Counts
    size: Counts
    hosts: Counts
    allowed: NDArray[np.bool_]

    @property
    def total(self) -> int:
        """How many hosts there are."""
        return int(self.hosts.sum())

    def most(self, host: int) -> Counts:
        """How many VMs of each class a host of this type takes if it runs nothing else, (K,)."""
        return np.minimum(fitting(self.need, self.size[host]) * self.allowed[:, host], self.count)

    def with_more(self, row: int, number: int) -> "Packing":
        """The same with so many more VMs of a class."""
        count = self.count.copy()
        count[row] += number
        return replace(self, count=count)


def fitting(need: Counts, room: Counts) -> Counts:
    """How many VMs of each class (K, R) fit into `room` (R,) alone; 0 where nothing is needed."""
    with np.errstate(divide="ignore"):
        ratio = np.where(need > 0, room // np.maximum(need, 1), np.iinfo(np.int64).max)
    found: Counts = np.where((need > 0).any(axis=1), ratio.min(axis=1), 0)
    return np.maximum(found, 0)


def least_by_sums(given: Packing) -> int:
    """L1: the fewest hosts, largest first, that hold the sum of each resource; one more than
    there are when all of them do not."""
    demand = given.count @ given.need
    found = 0
    for resource, wanted in enumerate(demand.tolist()):
        sizes = np.sort(np.repeat(given.size[:, resource], given.hosts))[::-1]
        held = np.cumsum(sizes)
        found = max(found, int(np.searchsorted(held, wanted)) + 1 if wanted else 0)
    return min(found, given.total + 1)


def least_by_large(given: Packing) -> int:
    """L2 for each resource, as if all hosts were as large as the largest; at least L1.

    VMs above half a host never share one, and small ones fill what the large ones leave. Source:
    S. Martello and P. Toth, Knapsack Problems (1990), section 8.3.
    """
    found = least_by_sums(given)
    for resource in range(given.need.shape[1]):
        size = int(given.size[:, resource].max(initial=0))
        needs = given.need[:, resource]
        for border in [0, *np.unique(needs[2 * needs <= size]).tolist()]:
            found = max(found, _above(needs, given.count, size, border))
    return min(found, given.total + 1)


def _above(needs: Counts, count: Counts, size: int, border: int) -> int:
    """L2 for one border: VMs below it are left out, those above `size - border` are alone."""
    alone = needs > size - border
    large = ~alone & (2 * needs > size)
    small = (2 * needs <= size) & (needs >= max(border, 1))
    number = int(count[large].sum())
    left = number * size - int((count * needs)[large].sum())
    rest = int((count * needs)[small].sum()) - left
    return int(count[alone].sum()) + number + max(0, math.ceil(rest / size) if size else 0)


def packed(given: Packing) -> Counts | None:
    """Hosts filled one after another, largest VMs first: (hosts, K), or None if some find no room.

    VMs are sorted by the largest share that they need of the largest host; hosts by size.
    """
    largest = np.maximum(given.size.max(axis=0, initial=0), 1)
    order = np.argsort(-(given.need / largest).max(axis=1), kind="stable")
    types = np.argsort(-(given.size / largest).sum(axis=1), kind="stable")
    left, filled = given.count.copy(), []
    for host in np.repeat(types, given.hosts[types]).tolist():
        if not left.any():
            break
        row = _filled(given, host, left, order)
        if row.any():
            filled.append(row)
            left -= row
    return None if left.any() else np.array(filled, dtype=np.int64).reshape(-1, len(left))


def _filled(given: Packing, host: int, left: Counts, order: NDArray[np.intp]) -> Counts:
    """What one host takes of the VMs that are left."""
    row, room = np.zeros_like(left), given.size[host].copy()
    for kind in order.tolist():
        if left[kind] and given.allowed[kind, host]:
            number = min(int(fitting(given.need[[kind]], room)[0]), int(left[kind]))
            row[kind] = number
            room -= number * given.need[kind]
    return row
