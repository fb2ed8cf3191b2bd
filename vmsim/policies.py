"""Which of the hosts that fit is the best?

A policy is a function from what a VM asks for and the hosts to the score of a row: the highest
score wins, ties go to the lowest row. A score may depend on that row of the inventory only, or the
scores that were kept from before would be wrong; columns that the policy took from the inventory
hold until a host comes or goes, and then the policy is asked again. A policy is one row of
BUILT_IN, or an entry point of the group `vmsim.placement_policies` in any installed package.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from vmsim.inventory import CPU, MEMORY, Inventory, Needs
from vmsim.placement import LIFETIME_CLASSES, Policy, Requirement, needs

GROUP = "vmsim.placement_policies"
Score: TypeAlias = Callable[[int], float]


def first_fit(requirement: Requirement, inventory: Inventory) -> Score:
    """Every host that fits is as good as any other, so the lowest row wins."""
    return lambda row: 0.0


def best_fit(requirement: Requirement, inventory: Inventory) -> Score:
    """The host with the fewest free vCPUs: fills hosts up, keeps whole hosts free."""
    free = inventory.cells[CPU]
    return lambda row: -free[row]


def worst_fit(requirement: Requirement, inventory: Inventory) -> Score:
    """The host with the most room, by the scarcer of CPU and memory: spreads the load."""
    cpu, memory = inventory.cells[CPU], inventory.cells[MEMORY]
    cpus, mib = _totals(inventory, CPU), _totals(inventory, MEMORY)
    return lambda row: min(cpu[row] / cpus[row], memory[row] / mib[row])


def most_free_cpu(requirement: Requirement, inventory: Inventory) -> Score:
    """The host with the most free vCPUs: spreads the load by CPU alone."""
    return inventory.cells[CPU].__getitem__


def most_free_memory(requirement: Requirement, inventory: Inventory) -> Score:
    """The host with the most free memory: spreads the load by memory alone."""
    return inventory.cells[MEMORY].__getitem__


def dot_product(requirement: Requirement, inventory: Inventory) -> Score:
    """The host whose free room, as a vector of shares, lies most in the direction of the need.

    Source: Panigrahy et al., "Heuristics for Vector Bin Packing", Microsoft Research 2011.
    """
    cpu, memory = _share(inventory, CPU), _share(inventory, MEMORY)
    needed_cpu = _share(inventory, CPU, requirement.cpus)
    needed_memory = _share(inventory, MEMORY, requirement.memory_mib)
    return lambda row: needed_cpu(row) * cpu(row) + needed_memory(row) * memory(row)


def l2_norm(requirement: Requirement, inventory: Inventory) -> Score:
    """The host whose free room, as a vector of shares, is left shortest by the VM.

    Source: Panigrahy et al., "Heuristics for Vector Bin Packing", Microsoft Research 2011.
    """
    cpu, memory = _share(inventory, CPU), _share(inventory, MEMORY)
    needed_cpu = _share(inventory, CPU, requirement.cpus)
    needed_memory = _share(inventory, MEMORY, requirement.memory_mib)

    def score(row: int) -> float:
        left_cpu, left_memory = cpu(row) - needed_cpu(row), memory(row) - needed_memory(row)
        return -(left_cpu * left_cpu + left_memory * left_memory)

    return score


def fragmentation_gradient(requirement: Requirement, inventory: Inventory) -> Score:
    """The host on which the VM strands the fewest devices for the mix of VMs that is expected.

    A free device counts as stranded for a kind of VM that wants it and does not fit on the host;
    kinds are weighted by `inventory.mix`, which is the VMs that the scenario names.
    Source: Weng et al., "Beware of Fragmentation", USENIX ATC 2023 (FGD).
    """
    taken = dict(needs(requirement, inventory))
    return lambda row: stranded(inventory, row, {}) - stranded(inventory, row, taken)


def lifetime_aware(requirement: Requirement, inventory: Inventory) -> Score:
    """A host that has VMs that are expected to outlive this one, the sooner empty the better.

    So no host is kept from becoming empty by a VM that could end elsewhere. A lifetime counts by
    its class (below 1, 10, 100 hours, and longer or unknown), from the VM's `lifetime` hint; a
    host has the longest class of its VMs, and the class of a VM does not fall with its age.
    Then empty hosts, then hosts whose occupation the VM prolongs, the least first.
    Source: Ling et al., "LAVA: Lifetime-Aware VM Allocation", 2024 (without its re-prediction).
    """
    mine = requirement.lifetime_class
    counted = [inventory.resource(f"lifetime/{n}") for n in range(LIFETIME_CLASSES, 0, -1)]

    def score(row: int) -> float:
        there = (r for r in counted if inventory.cells[r][row] < inventory.total[r][row])
        longest = next((LIFETIME_CLASSES - counted.index(r) for r in there), 0)
        if not longest:
            return -5.0
        return mine - longest if longest >= mine else -10.0 - (mine - longest)

    return score


BUILT_IN: Mapping[str, Policy] = MappingProxyType(
    {
        "first_fit": first_fit,
        "best_fit": best_fit,
        "worst_fit": worst_fit,
        "most_free_cpu": most_free_cpu,
        "most_free_memory": most_free_memory,
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


def stranded(inventory: Inventory, row: int, taken: Mapping[int, int]) -> float:
    """Free devices of the row that a VM of the mix wants but cannot have, after `taken`."""
    total = 0.0
    for kind, weight in inventory.mix:
        free = {resource: inventory.cells[resource][row] for resource, _ in kind}
        left = {resource: units - taken.get(resource, 0) for resource, units in free.items()}
        if any(left[resource] < units for resource, units in kind):
            for resource in _devices(kind, inventory):
                total += weight * max(left[resource], 0)
    return total


def _devices(kind: Needs, inventory: Inventory) -> list[int]:
    """The devices among what a kind of VM takes."""
    return [resource for resource, _ in kind if resource in inventory.devices]


def _share(inventory: Inventory, resource: int, units: int | None = None) -> Score:
    """So many units, or what is free, as a share of the host's own."""
    total = _totals(inventory, resource)
    if units is not None:
        return lambda row: units / total[row]
    free = inventory.cells[resource]
    return lambda row: free[row] / total[row]


def _totals(inventory: Inventory, resource: int) -> list[int]:
    """Each host's own units, and 1 where it has none, to be divided by."""
    totals: list[int] = np.maximum(inventory.total[resource], 1).tolist()
    return totals
