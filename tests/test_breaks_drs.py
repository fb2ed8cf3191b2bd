"""The checks of placement, rules and DRS notice when what they check is broken."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import test_affinity
import test_drs
import test_groups
import test_leaving
import test_placement
import test_policies
import test_pools
import test_upgrade

from vmsim import (
    affinity,
    balancing,
    conflicts,
    groups,
    maintenance,
    placement,
    policies,
    pools,
    upgrade,
)
from vmsim.actions import Verb
from vmsim.balancer import Balancer
from vmsim.cluster import Cluster
from vmsim.inventory import Inventory
from vmsim.maintenance import Maintenance
from vmsim.placement import Requirement


def everywhere(rules: Any, inventory: Inventory) -> Any:
    """Every host passes."""
    return lambda row: True


def the_last(requirement: Requirement, inventory: Inventory) -> Any:
    """A policy that looks at no host."""
    return float


def the_first(rules: Any, vms: Any) -> Any:
    """Every rule is reported, needed or not."""
    left = tuple(rule for rule in rules if rule.must)
    reason = conflicts.contradiction(left, vms)
    return conflicts.Conflict(left, reason) if reason else None


def half_usage(tree: Any, resource: int, own: Any, capacity: int) -> Any:
    """Pools forget what they borrow."""
    found = pools.usage(tree, resource, own, capacity)
    return {name: pools.Usage(one.reservation, one.used, 0) for name, one in found.items()}


def helps_itself(hosts: Any, vms: Any, vm: Any, row: int) -> Any:
    """A VM looks at nobody's score but its own."""
    there = [other for other in vms if other.host == row]
    alone = balancing.scores(hosts[row], [*there, vm])[vm.key]
    return balancing.Move(vm.key, row, alone)


def all_at_once(plan: Any, stages: Any) -> list[str]:
    """Whatever waits is begun."""
    return [host for host in plan.hosts if stages[host] is upgrade.Stage.WAITING]


BREAKS: dict[str, tuple[Any, str, Any, Callable[[], Any]]] = {
    "anti-affinity is passed over": (
        affinity, "keeps_apart", everywhere, test_affinity.test_must_rule_is_broken_at_no_instant,
    ),
    "affinity is passed over": (
        affinity, "keeps_together", everywhere,
        test_affinity.test_must_rule_is_broken_at_no_instant,
    ),
    "rules about hosts are passed over": (
        affinity, "keeps_to_hosts", lambda rules, name: True,
        test_affinity.test_must_rule_is_broken_at_no_instant,
    ),
    "the older of two preferences does not win": (
        affinity, "prefer", lambda rules, inventory, fits: fits,
        test_affinity.test_older_of_two_should_rules_wins,
    ),
    "a conflict is not reduced": (
        test_affinity, "conflict", the_first,
        test_affinity.test_minimal_set_leaves_out_rules_that_do_not_matter,
    ),
    "VMs apart are not counted against the hosts": (
        conflicts, "_crowded", lambda members, group_of, hosts: "",
        test_affinity.test_conflict_is_found_only_where_no_arrangement_is_and_is_minimal,
    ),
    "an upgrade takes more hosts than it may": (
        test_upgrade, "next_hosts", all_at_once,
        test_upgrade.test_never_more_hosts_than_allowed_are_begun,
    ),
    "a pool lends what it has lent already": (
        pools, "owed", lambda tree, resource, own: {"": 0, **{p.name: 0 for p in tree}, **own},
        test_pools.test_without_limits_a_vm_is_admitted_exactly_if_so_much_is_unreserved,
    ),
    "a pool's usage is not its own": (
        test_pools, "usage", half_usage,
        test_pools.test_reservation_and_what_the_parent_lends_is_owed_or_left,
    ),
    "every VM is admitted to its pool": (
        pools.Ledger, "admits", lambda *ignored: True,
        test_pools.test_admitted_vms_never_make_a_pool_owe_more_than_it_may,
    ),
    "a move need not help the cluster": (
        balancing, "_judged", helps_itself, test_drs.test_no_move_makes_the_cluster_less_balanced,
    ),
    "load balancing goes anywhere": (
        Balancer, "_allowed", lambda self, guest: [0, 1, 2, 3] if guest.busy is None else [],
        test_drs.test_balancing_breaks_no_must_rule,
    ),
    "shares do not count": (
        test_drs, "divided", lambda capacity, claims: [one.demand for one in claims],
        test_drs.test_division_is_that_of_the_water_level,
    ),
    "an upgrade begins with all hosts at once": (
        upgrade, "next_hosts", all_at_once,
        test_upgrade.test_eight_hosts_one_after_another_take_eight_times_as_long_as_one,
    ),
    "a failed evacuation is tried again at once": (
        Maintenance, "_note_ended", lambda self, row, drain: None,
        lambda: test_leaving.test_vm_that_always_fails_to_leave_pauses_before_each_further_try(
            Verb.MIGRATE
        ),
    ),
    "a VM that is off needs room where it is registered": (
        maintenance, "idle", lambda requirement: requirement,
        test_leaving.test_registered_vm_takes_no_room_and_needs_none,
    ),
    "a group needs no more room than one of it": (
        groups, "joint", lambda members: members[0],
        test_groups.test_group_is_placed_exactly_where_its_members_fit_one_after_another,
    ),
    "each VM of a group goes alone": (
        maintenance, "binding", lambda requirement: [],
        test_groups.test_vms_that_must_keep_together_leave_together,
    ),
    "a score is told at each look": (
        Balancer, "_tell", lambda self, cluster: self._fleet.trace.write(
            "cluster", "DrsScore", cluster, {"score": self.score(cluster), "vms": {}}
        ),
        test_drs.test_scores_are_told_when_they_change,
    ),
    "room wakes nobody": (
        Cluster, "use_room", lambda self: None,
        lambda: test_upgrade.test_vm_that_waits_for_its_own_host_is_down_until_it_is_tried_again(
            True, 1905.0
        ),
    ),
}  # fmt: skip
"""By what is broken: the module, the name in it, the broken function, the check that notices."""


@pytest.mark.parametrize("name", BREAKS)
def test_check_notices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, function, instead, check = BREAKS[name]
    monkeypatch.setattr(module, function, instead)
    with pytest.raises((AssertionError, ExceptionGroup)):  # a group: it fails in several ways
        check()


def test_check_notices_scores_kept_although_other_hosts_decide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow = tuple(replace(filter_, wide=False) for filter_ in placement.FILTERS)
    monkeypatch.setattr(placement, "FILTERS", narrow)
    with pytest.raises(AssertionError):
        test_placement.test_first_of_vms_that_keep_together_closes_all_other_hosts()


@pytest.mark.parametrize("name", policies.BUILT_IN)
def test_check_notices_a_policy_that_is_another(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "BUILT_IN", {**policies.BUILT_IN, name: the_last})
    monkeypatch.setattr(test_policies, "BUILT_IN", policies.BUILT_IN)
    with pytest.raises(AssertionError):
        test_policies.test_policy_is_what_its_definition_says(name)
