"""Which of the hosts that fit is the best?

A policy is a function from what a VM asks for, the hosts, and the rows that are asked about, to a
float score for each of these rows; the highest score wins, ties go to the lowest row. It may read
the inventory only, or the scores that were kept from before would be wrong. A policy is one row
of BUILT_IN, or an entry point of the group `vmsim.placement_policies` in any installed package.
"""

from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vmsim.affinity import Rows
from vmsim.inventory import CPU, MEMORY, Inventory, Needs
from vmsim.placement import LIFETIME_CLASSES, Policy, Requirement, Scores, needs

GROUP = "vmsim.placement_policies"


def first_fit(requirement: Requirement, inventory: Inventory, rows: Rows) -> Scores:
    """Every host that fits is as good as any other, so the lowest row wins."""
    return np.zeros(len(inventory.open[rows]))


def best_fit(requirement: Requirement, inventory: Inventory, rows: Rows) -> Scores:
    """The host with the fewest free vCPUs: fills hosts up, keeps whole hosts free."""
    scores: Scores = np.negative(inventory.room[CPU][rows], dtype=np.float64)
    return scores


def worst_fit(requirement: Requirement, inventory: Inventory, rows: Rows) -> Scores:
    """The host with the most room, by the scarcer of CPU and memory: spreads the load."""
    cpu, memory = _free(inventory, rows)
    scores: Scores = np.minimum(cpu, memory)
    return scores


def dot_product(requirement: Requirement, inventory: Inventory, rows: Rows) -> Scores:
    """The host whose free room, as a vector of shares, lies most in the direction of the need.

    Source: Panigrahy et al., "Heuristics for Vector Bin Packing", Microsoft Research 2011.
    """
    (cpu, memory), (needed_cpu, needed_memory) = _vectors(requirement, inventory, rows)
    scores: Scores = needed_cpu * cpu + needed_memory * memory
    return scores


def l2_norm(requirement: Requirement, inventory: Inventory, rows: Rows) -> Scores:
    """The host whose free room, as a vector of shares, is left shortest by the VM.

    Source: Panigrahy et al., "Heuristics for Vector Bin Packing", Microsoft Research 2011.
    """
    (cpu, memory), (needed_cpu, needed_memory) = _vectors(requirement, inventory, rows)
    left_cpu, left_memory = cpu - needed_cpu, memory - needed_memory
    scores: Scores = -(left_cpu * left_cpu + left_memory * left_memory)
    return scores


def fragmentation_gradient(requirement: Requirement, inventory: Inventory, rows: Rows) -> Scores:
    """The host on which the VM strands the fewest devices for the mix of VMs that is expected.

    A free device counts as stranded for a kind of VM that wants it and does not fit on the host;
    kinds are weighted by `inventory.mix`, which is the VMs that the scenario names.
    Source: Weng et al., "Beware of Fragmentation", USENIX ATC 2023 (FGD).
    """
    taken = dict(needs(requirement, inventory))
    before = stranded(inventory, rows, {})
    after = stranded(inventory, rows, taken)
    scores: Scores = before - after
    return scores


def lifetime_aware(requirement: Requirement, inventory: Inventory, rows: Rows) -> Scores:
    """A host that has VMs that are expected to outlive this one, the sooner empty the better.

    So no host is kept from becoming empty by a VM that could end elsewhere. A lifetime counts by
    its class (below 1, 10, 100 hours, and longer or unknown), from the VM's `lifetime` hint; a
    host has the longest class of its VMs, and the class of a VM does not fall with its age.
    Then empty hosts, then hosts whose occupation the VM prolongs, the least first.
    Source: Ling et al., "LAVA: Lifetime-Aware VM Allocation", 2024 (without its re-prediction).
    """
    mine = requirement.lifetime_class
    longest: NDArray[np.int64] = np.zeros(len(inventory.open[rows]), dtype=np.int64)
    for number in range(1, LIFETIME_CLASSES + 1):
        resource = inventory.resource(f"lifetime/{number}")
        used = inventory.total[resource][rows] - inventory.room[resource][rows]
        longest[used > 0] = number
    prolonged = -10.0 - (mine - longest)
    scores: Scores = np.where(longest >= mine, mine - longest, prolonged)
    scores[longest == 0] = -5.0
    return scores


BUILT_IN: Mapping[str, Policy] = MappingProxyType(
    {
        "first_fit": first_fit,
        "best_fit": best_fit,
        "worst_fit": worst_fit,
        "dot_product": dot_product,
        "l2_norm": l2_norm,
        "fragmentation_gradient": fragmentation_gradient,
        "lifetime_aware": lifetime_aware,
    }
)


def names() -> list[str]:
    """Every policy that a scenario may name: those built in, then those of installed packages."""
    return [*BUILT_IN, *sorted({point.name for point in entry_points(group=GROUP)} - {*BUILT_IN})]


def policy(name: str) -> Policy:
    """The policy of that name; KeyError when there is none. A built-in one cannot be replaced."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    for point in entry_points(group=GROUP, name=name):
        loaded: Policy = point.load()
        return loaded
    raise KeyError(name)


def stranded(inventory: Inventory, rows: Rows, taken: Mapping[int, int]) -> Scores:
    """Free devices on each row that a VM of the mix wants but cannot have, after `taken`."""
    total = np.zeros(len(inventory.open[rows]))
    for kind, weight in inventory.mix:
        fits = np.ones(len(total), dtype=bool)
        for resource, units in kind:
            fits &= inventory.room[resource][rows] - taken.get(resource, 0) >= units
        for resource in _devices(kind, inventory):
            free = inventory.room[resource][rows] - taken.get(resource, 0)
            total += np.where(fits, 0.0, weight * np.maximum(free, 0))
    return total


def _devices(kind: Needs, inventory: Inventory) -> list[int]:
    """The devices among what a kind of VM takes."""
    return [resource for resource, _ in kind if resource in inventory.devices]


def _free(inventory: Inventory, rows: Rows) -> tuple[Scores, Scores]:
    """Free CPU and memory as shares of the host's own."""
    cpu = inventory.room[CPU][rows] / np.maximum(inventory.total[CPU][rows], 1)
    memory = inventory.room[MEMORY][rows] / np.maximum(inventory.total[MEMORY][rows], 1)
    return cpu, memory


def _vectors(
    requirement: Requirement, inventory: Inventory, rows: Rows
) -> tuple[tuple[Scores, Scores], tuple[Scores, Scores]]:
    """Free room, and what the VM takes of it, both as shares of each host's own."""
    cpu = requirement.cpus / np.maximum(inventory.total[CPU][rows], 1)
    memory = requirement.memory_mib / np.maximum(inventory.total[MEMORY][rows], 1)
    return _free(inventory, rows), (cpu, memory)
