"""Where can VMs go that must keep together, when they have to leave their host?

One at a time none of them can: wherever it went, the others would not be. So they are placed as if
they were one VM that needs what all of them need, on a host that each of them may have.
"""

from collections.abc import Sequence
from dataclasses import replace

from vmsim.affinity import Kind, Rule, counts, musts
from vmsim.inventory import Inventory
from vmsim.placement import Placer, Requirement


def binding(requirement: Requirement) -> list[Rule]:
    """The rules for whose sake such a VM must be where others are."""
    return musts(requirement.rules, Kind.TOGETHER) if requirement.rules else []


def companions(requirement: Requirement, others: Sequence[Requirement]) -> list[int]:
    """The positions of those others that must be where it is, for the sake of still others too."""
    rules = {rule.name for rule in binding(requirement)}
    found: set[int] = set()
    while True:
        more = {
            number
            for number, other in enumerate(others)
            if number not in found and any(rule.name in rules for rule in binding(other))
        }
        if not more:
            return sorted(found)
        found |= more
        rules.update(rule.name for number in more for rule in binding(others[number]))


def are_elsewhere(members: Sequence[Requirement], row: int, inventory: Inventory) -> bool:
    """Whether a VM that must be where these are is on another host already, or bound for one."""
    rules = {rule.name: rule for member in members for rule in binding(member)}
    for rule in rules.values():
        here = counts(rule, inventory)
        if int(here.sum()) > int(here[row]):
            return True
    return False


def joint(members: Sequence[Requirement]) -> Requirement:
    """A VM that takes the room of all of these, and prefers the hosts that they prefer."""
    devices: dict[str, int] = {}
    for member in members:
        for name, units in member.devices:
            devices[name] = devices.get(name, 0) + units
    rules = dict.fromkeys(rule for member in members for rule in member.rules if not rule.must)
    return Requirement(
        sum(member.cpus for member in members),
        sum(member.memory_mib for member in members),
        sum(member.cpu_reservation_mhz for member in members),
        sum(member.memory_reservation_mib for member in members),
        tuple(devices.items()),
        cluster=members[0].cluster,
        rules=tuple(rules),
    )


def place_together(placer: Placer, members: Sequence[Requirement]) -> int:
    """Row of the best host that takes all of these, or -1. Claims nothing."""
    alone = [placer.shape(_unbound(member)) for member in members]
    for row in placer.ranked(joint(members)):
        if all(placer.fits(shape, row) for shape in alone):
            return row
    return -1


def _unbound(member: Requirement) -> Requirement:
    """The VM's own part: all that it asks for, but the company of others."""
    kept = tuple(rule for rule in member.rules if not (rule.must and rule.kind is Kind.TOGETHER))
    return replace(member, rules=kept)
