"""What does DRS know of a VM that its own requirement does not say?

`Drs` is the part of the scenario that binds VMs by their keys and classes: rules and
resource pools. The VM role knows nothing of it: it never names a host or another VM.
"""

from dataclasses import dataclass, replace

from vmsim.affinity import Rule, declare
from vmsim.inventory import Inventory
from vmsim.placement import Requirement
from vmsim.pools import Ledger, Pool, pool_of


@dataclass(frozen=True, slots=True)
class Drs:
    """The rules, older ones first, and the resource pools, parents first."""

    rules: tuple[Rule, ...] = ()
    pools: tuple[Pool, ...] = ()

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


NO_DRS = Drs()
