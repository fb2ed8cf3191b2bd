"""Do the must rules of a scenario leave a host for every VM?

They are judged as on empty hosts: whatever is refused here could never be kept. VMs that must be
together are one group; a group needs a host that all its members and rules accept; groups that
must keep apart need as many different hosts. What is reported is a minimal set: without any one
of its rules the others could be kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vmsim.affinity import Kind, Rule, keeps_to_hosts, musts


@dataclass(frozen=True, slots=True)
class Member:
    """A VM by its key and class, and the hosts that could run it if there were no rules."""

    key: str
    class_name: str
    hosts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Rules that cannot be kept together, each of which is needed for that, and why."""

    rules: tuple[Rule, ...]
    reason: str


def conflict(rules: Sequence[Rule], vms: Sequence[Member]) -> Conflict | None:
    """A minimal set of must rules that cannot be kept for these VMs, or None."""
    bound = [vm for vm in vms if vm.hosts and any(_binds(rule, vm) for rule in rules)]
    left = [rule for rule in rules if rule.must]
    if not contradiction(left, bound):
        return None
    for rule in reversed(left.copy()):
        without = [other for other in left if other is not rule]
        if contradiction(without, bound):
            left = without
    return Conflict(tuple(left), contradiction(left, bound))


def contradiction(rules: Sequence[Rule], vms: Sequence[Member]) -> str:
    """Why these must rules cannot be kept, or ''."""
    group_of = _groups(rules, vms)
    hosts: dict[str, frozenset[str]] = {}
    for vm in vms:
        group = group_of[vm.key]
        mine = [rule for rule in rules if _binds(rule, vm)]
        allowed = frozenset(host for host in vm.hosts if keeps_to_hosts(mine, host))
        hosts[group] = hosts.get(group, allowed) & allowed
        if not hosts[group]:
            return f"no host is left for VM {vm.key}"
    for rule in musts(rules, Kind.APART):
        reason = _crowded([vm for vm in vms if _binds(rule, vm)], group_of, hosts)
        if reason:
            return reason
    return ""


def _binds(rule: Rule, vm: Member) -> bool:
    return rule.binds(vm.key, vm.class_name)


def _groups(rules: Sequence[Rule], vms: Sequence[Member]) -> dict[str, str]:
    """For each VM the first VM of its group: those that must be together with it."""
    group_of = {vm.key: vm.key for vm in vms}
    for rule in musts(rules, Kind.TOGETHER):
        members = [group_of[vm.key] for vm in vms if _binds(rule, vm)]
        merged = set(members[1:])
        for key, group in group_of.items():
            if group in merged:
                group_of[key] = members[0]
    return group_of


def _crowded(
    members: Sequence[Member],
    group_of: Mapping[str, str],
    hosts: Mapping[str, frozenset[str]],
) -> str:
    """Why these VMs cannot keep apart, or ''."""
    first_of: dict[str, str] = {}
    for vm in members:
        group = group_of[vm.key]
        if group in first_of:
            return f"VMs {first_of[group]} and {vm.key} must be together and apart"
        first_of[group] = vm.key
    taken: dict[str, str] = {}
    for number, group in enumerate(first_of, start=1):
        if not _matched(group, hosts, taken, set()):
            among = frozenset[str]().union(*(hosts[other] for other in list(first_of)[:number]))
            return f"{number} VMs must keep apart, on {_count(among)}; VM {first_of[group]} is left"
    return ""


def _matched(
    group: str, hosts: Mapping[str, frozenset[str]], taken: dict[str, str], tried: set[str]
) -> bool:
    """Give the group a host of its own, moving others on if need be (Kuhn's algorithm)."""
    path: list[tuple[str, Iterable[str]]] = [(group, iter(sorted(hosts[group])))]
    chosen: list[str] = []
    while path:
        host = next((name for name in path[-1][1] if name not in tried), None)
        if host is None:
            path.pop()
            if chosen:
                chosen.pop()
            continue
        tried.add(host)
        chosen.append(host)
        if host not in taken:
            for (other, _), given in zip(path, chosen, strict=True):
                taken[given] = other
            return True
        path.append((taken[host], iter(sorted(hosts[taken[host]]))))
    return False


def _count(hosts: frozenset[str]) -> str:
    return "1 host" if len(hosts) == 1 else f"{len(hosts)} hosts"
