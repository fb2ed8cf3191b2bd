"""Which VMs must, or should, share a host, keep apart, or keep to some hosts?

A rule names VMs by globs of their keys or by class. A *must* rule is a filter: nothing is ever
placed against it. A *should* rule is a preference among the hosts that are left, as long as it
pushes no host over 100 % of its CPU or memory; where two disagree, the older one wins, which is
the one that comes first in the file.

The members on each host are counted by the inventory, as a resource of which every host has
plenty, or one unit where the members must keep apart. So a claim is a membership, a task under
way counts at both ends, and whoever keeps scores learns of a change as of any other.

Source: vSphere Resource Management 8.0, "Using DRS Affinity Rules"; vSphere API, ClusterRuleInfo.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vmsim.inventory import Inventory

Test: TypeAlias = Callable[[int], bool]
Mask: TypeAlias = NDArray[np.bool_]
Counts: TypeAlias = NDArray[np.int64]

PLENTY = 1 << 40


class Kind(StrEnum):
    """What a rule asks for."""

    TOGETHER = "affinity"
    APART = "antiAffinity"
    RUN_ON = "runOn"
    NOT_ON = "notRunOn"
    SPREAD = "zoneSpread"


OF_HOSTS = (Kind.RUN_ON, Kind.NOT_ON)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `vms` are globs of keys, `classes` names of classes, `hosts` globs of names."""

    name: str
    kind: Kind
    must: bool = True
    vms: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """The name under which the inventory counts the members on each host."""
        return f"drs.rule/{self.name}"

    @property
    def units(self) -> int:
        """How many members a host takes."""
        return 1 if self.must and self.kind is Kind.APART else PLENTY

    def binds(self, key: str, class_name: str) -> bool:
        """Whether that VM is a member."""
        return class_name in self.classes or any(fnmatchcase(key, glob) for glob in self.vms)

    def accepts(self, host_name: str) -> bool:
        """Whether a rule about hosts is kept by a member on that host."""
        return any(fnmatchcase(host_name, glob) for glob in self.hosts) is (
            self.kind is Kind.RUN_ON
        )


def declare(rules: Sequence[Rule], inventory: Inventory) -> None:
    """Let the inventory count the members of the rules that depend on other VMs."""
    for rule in rules:
        if rule.kind not in OF_HOSTS:
            inventory.declare(rule.resource, rule.units)


def memberships(rules: Sequence[Rule]) -> list[tuple[str, int]]:
    """What a running VM with these rules takes of the resources that count members."""
    return [(rule.resource, 1) for rule in rules if rule.kind not in OF_HOSTS]


def idle(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules that bind a VM also while it is off: those about hosts and zones."""
    return tuple(rule for rule in rules if rule.kind in (*OF_HOSTS, Kind.SPREAD))


def musts(rules: Sequence[Rule], *kinds: Kind) -> list[Rule]:
    """The must rules of these kinds."""
    return [rule for rule in rules if rule.must and rule.kind in kinds]


def keeps_to_hosts(rules: Sequence[Rule], host_name: str) -> bool:
    """Whether every must rule about hosts lets a member run on that host."""
    return all(rule.accepts(host_name) for rule in musts(rules, *OF_HOSTS))


def keeps_apart(rules: Sequence[Rule], inventory: Inventory) -> Test:
    """Where no VM is, nor is bound for, that the members must keep apart from."""
    free = [inventory.cells[inventory.resource(rule.resource)] for rule in musts(rules, Kind.APART)]
    return lambda row: all(units[row] >= 1 for units in free)


def keeps_together(rules: Sequence[Rule], inventory: Inventory) -> Test:
    """Where the other members are; anywhere while none of them runs. Looks at every host."""
    mask = np.ones(len(inventory), dtype=bool)
    for rule in musts(rules, Kind.TOGETHER):
        here = counts(rule, inventory) > 0
        if here.any():
            mask &= here
    accepts: list[bool] = mask.tolist()
    return accepts.__getitem__


def counts(rule: Rule, inventory: Inventory) -> Counts:
    """Members on each host, those on their way to or from it included."""
    resource = inventory.resource(rule.resource)
    found: Counts = inventory.total[resource] - inventory.room[resource]
    return found


def prefer(rules: Sequence[Rule], inventory: Inventory, fits: Mask) -> Mask:
    """The hosts among those that fit on which the should rules are kept best, older ones first."""
    best = fits.copy()
    for rule in rules:
        if not rule.must:
            kept = best & _kept(rule, inventory, fits)
            best = kept if kept.any() else best
    return best


def _kept(rule: Rule, inventory: Inventory, fits: Mask) -> Mask:
    """On which hosts a should rule would be kept."""
    if rule.kind in OF_HOSTS:
        return np.array([rule.accepts(host.name) for host in inventory.hosts], dtype=bool)
    members = counts(rule, inventory)
    if rule.kind is not Kind.SPREAD:
        kept: Mask = (members > 0) if rule.kind is Kind.TOGETHER else (members == 0)
        return kept
    return _in_emptiest_zone(members, inventory, fits)


def _in_emptiest_zone(members: Counts, inventory: Inventory, fits: Mask) -> Mask:
    """The hosts of the zones with the fewest members, of the zones with a host that fits."""
    zones = [host.zone for host in inventory.hosts]
    by_zone: dict[str, int] = {zones[row]: 0 for row in np.flatnonzero(fits).tolist()}
    for zone, count in zip(zones, members.tolist(), strict=True):
        if zone in by_zone:
            by_zone[zone] += count
    fewest = min(by_zone.values(), default=0)
    return np.array([by_zone.get(zone, -1) == fewest for zone in zones], dtype=bool)
