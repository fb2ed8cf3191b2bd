"""What does DRS know of a VM that its own requirement does not say?

`Drs` is the part of the scenario that binds VMs by their keys and classes: rules and
resource pools. The VM role knows nothing of it: it never names a host or another VM.
"""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from vmsim.affinity import Rule, declare
from vmsim.evacuation import Order
from vmsim.inventory import Inventory
from vmsim.placement import Requirement
from vmsim.pools import Allocation, Ledger, Pool, pool_of

SHARES_PER_VCPU = 1000.0  # "normal"; vSphere Resource Management, "Resource Allocation Shares"


@dataclass(frozen=True, slots=True)
class Demand:
    """What VMs use of what they have, as shares; of `vms` by key globs and of classes.

    Half of the VMs of a public cloud use less than 8 % of their CPU on average, four fifths less
    than 27 % (Azure public dataset, 2019); the defaults are a guess at a loaded cluster's.
    """

    cpu: float = 0.25
    memory: float = 0.5
    vms: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    def binds(self, key: str, class_name: str) -> bool:
        """Whether that VM demands so much."""
        return class_name in self.classes or any(fnmatchcase(key, glob) for glob in self.vms)


AVERAGE = Demand()


@dataclass(frozen=True, slots=True)
class Balance:
    """Load balancing: how eager (1 to 5), and how often it looks."""

    threshold: int = 3
    every_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Drs:
    """The rules, older ones first, the resource pools, parents first, what VMs demand (the first
    that names a VM counts), the load balancing, if it is on, and how hosts are emptied."""

    rules: tuple[Rule, ...] = ()
    pools: tuple[Pool, ...] = ()
    demands: tuple[Demand, ...] = ()
    balance: Balance | None = None
    evacuation_order: Order = Order.DECLARED
    evacuates_powered_off: bool = False

    def declare(self, inventory: Inventory) -> None:
        """Let the inventory count what the rules and pools look at."""
        declare(self.rules, inventory)
        if self.pools:
            inventory.pools = Ledger(self.pools)

    def bind(self, key: str, requirement: Requirement) -> Requirement:
        """What VM `key` asks of a host, with the rules that bind it and the pool it is in."""
        if not self.rules and not self.pools:
            return requirement
        bound = tuple(rule for rule in self.rules if rule.binds(key, requirement.class_name))
        pool = pool_of(self.pools, key) if self.pools else None
        return replace(requirement, rules=bound, pool=pool)

    def demand_of(self, key: str, class_name: str) -> Demand:
        """What VM `key` demands."""
        found = (demand for demand in self.demands if demand.binds(key, class_name))
        return next(found, AVERAGE)

    def shares_of(self, requirement: Requirement) -> float:
        """The CPU shares of a VM: so many per vCPU, in proportion to those of its pool."""
        pool = next((pool for pool in self.pools if pool.name == requirement.pool), None)
        part = pool.cpu.shares / Allocation().shares if pool else 1.0
        return SHARES_PER_VCPU * requirement.cpus * part


NO_DRS = Drs()
