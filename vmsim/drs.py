"""What does DRS know of a VM that its own requirement does not say?

`Drs` is the part of the scenario that binds VMs by their keys and classes: the rules. It is told
apart from the VM role, which never names a host or another VM.
"""

from dataclasses import dataclass, replace

from vmsim.affinity import Rule, declare
from vmsim.inventory import Inventory
from vmsim.placement import Requirement


@dataclass(frozen=True, slots=True)
class Drs:
    """The rules, older ones first."""

    rules: tuple[Rule, ...] = ()

    def declare(self, inventory: Inventory) -> None:
        """Let the inventory count what the rules look at."""
        declare(self.rules, inventory)

    def bind(self, key: str, requirement: Requirement) -> Requirement:
        """What VM `key` asks of a host, with the rules that bind it."""
        if not self.rules:
            return requirement
        bound = tuple(rule for rule in self.rules if rule.binds(key, requirement.class_name))
        return replace(requirement, rules=bound) if bound else requirement


NO_DRS = Drs()
