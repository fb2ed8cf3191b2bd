"""VMs that must keep together leave a host together, or not at all."""

from typing import Any

import pytest
from builders import GIB, GPU, World, host, hosts, inventory, need, unclaimed
from hypothesis import given
from hypothesis import strategies as st
from test_administration import AT_ONCE

from vmsim.affinity import Kind, Rule, declare
from vmsim.cluster import ClusterPolicy
from vmsim.drs import Drs
from vmsim.evacuation import Eviction
from vmsim.faults import FaultRule
from vmsim.groups import companions, joint, place_together
from vmsim.placement import Placer, needs
from vmsim.policies import BUILT_IN

PAIR = Rule("pair", Kind.TOGETHER, vms=("ns/a", "ns/b"))
CHAIN = Rule("chain", Kind.TOGETHER, vms=("ns/b", "ns/c"))
WISH = Rule("wish", Kind.RUN_ON, must=False, vms=("ns/a",), hosts=("esx-3",))


def paired(*more: Any, specs: Any = None, rules: tuple[Rule, ...] = (PAIR,), **other: Any) -> World:
    """VMs a and b, and what else is given, on the first of three hosts."""
    eviction = other.pop("eviction", Eviction.POWER_OFF)
    policy = ClusterPolicy(eviction=eviction, drs=Drs(rules))
    made = World(specs or hosts(3), policy=policy, **other)
    for key, requirement in (("ns/a", need()), ("ns/b", need()), *more):
        assert made.running(key, requirement).host == "esx-1"
    return made


def at(made: World, *keys: str) -> list[str]:
    """Where the VMs are, when all is over."""
    made.settle()
    return [made.seen(key).host for key in keys]


def test_vms_that_must_keep_together_leave_together() -> None:
    made = paired()
    made.hosts.enter_maintenance("esx-1")
    assert at(made, "ns/a", "ns/b") == ["esx-2", "esx-2"]
    assert made.state("esx-1") == "Maintenance"
    assert made.log("EvacuationBlocked") == []
    assert unclaimed(made.fleet) == []


def test_they_go_to_the_host_that_takes_all_of_them() -> None:
    made = paired(specs=[*hosts(2), host("esx-3")])
    made.running("ns/x", need(memory_mib=10 * GIB, only_host="esx-2"))
    assert made.seen("ns/x").host == "esx-2"
    made.hosts.enter_maintenance("esx-1")
    assert at(made, "ns/a", "ns/b") == ["esx-3", "esx-3"]


def test_they_hold_the_host_up_while_no_host_takes_all_of_them() -> None:
    made = paired()
    for name in ("esx-2", "esx-3"):
        made.running(f"ns/{name}", need(memory_mib=10 * GIB, only_host=name))
    made.hosts.enter_maintenance("esx-1")
    assert at(made, "ns/a", "ns/b") == ["esx-1", "esx-1"]
    assert made.state("esx-1") == "EnteringMaintenance"
    reasons = made.hosts.blockers("esx-1")
    assert set(reasons) == {"ns/a", "ns/b"}
    assert all("RuleViolation" in reason for reason in reasons.values())
    made.cluster.power_off("ns/esx-3")
    assert at(made, "ns/a", "ns/b") == ["esx-3", "esx-3"]
    assert made.state("esx-1") == "Maintenance"


def test_vm_without_its_companions_leaves_alone() -> None:
    made = paired()
    made.cluster.power_off("ns/b")
    made.settle()
    made.hosts.enter_maintenance("esx-1")
    assert at(made, "ns/a", "ns/b") == ["esx-2", "esx-1"]
    assert made.state("esx-1") == "Maintenance"


def test_group_grows_by_the_rules_of_its_members() -> None:
    made = paired(("ns/c", need()), rules=(PAIR, CHAIN))
    made.running("ns/x", need(memory_mib=8 * GIB, only_host="esx-2"))
    made.hosts.enter_maintenance("esx-1")
    assert at(made, "ns/a", "ns/b", "ns/c") == ["esx-3"] * 3


def test_member_that_cannot_be_migrated_holds_the_others_up() -> None:
    specs = hosts(2, devices={GPU: 1})
    made = paired(("ns/c", need(GPU)), specs=specs, rules=(PAIR, CHAIN), eviction=Eviction.BLOCK)
    made.hosts.enter_maintenance("esx-1")
    assert at(made, "ns/a", "ns/b", "ns/c") == ["esx-1"] * 3
    reasons = made.hosts.blockers("esx-1")
    assert reasons["ns/c"] == "DisallowedMigrationDeviceAttached"
    assert "RuleViolation" in reasons["ns/a"] and "RuleViolation" in reasons["ns/b"]


def test_member_that_is_powered_off_lets_the_others_go() -> None:
    specs = hosts(2, devices={GPU: 1})
    made = paired(("ns/c", need(GPU)), specs=specs, rules=(PAIR, CHAIN))
    made.hosts.enter_maintenance("esx-1")
    assert at(made, "ns/a", "ns/b") == ["esx-2", "esx-2"]
    assert made.state("esx-1") == "Maintenance"


def test_member_whose_migration_failed_follows_the_others() -> None:
    made = paired(faults=[FaultRule("fail", verb="MigrateVM", vm="ns/b", max_hits=1)])
    began_s = made.env.now
    made.hosts.enter_maintenance("esx-1")
    assert at(made, "ns/a", "ns/b") == ["esx-2", "esx-2"]
    assert [t for t, _, _ in made.log("VmMigrated")] == [began_s + 10, began_s + 10 + 60 + 10]


def test_groups_leave_in_one_instant_where_nothing_takes_time() -> None:
    made = paired(durations=AT_ONCE)
    made.hosts.enter_maintenance("esx-1")
    assert at(made, "ns/a", "ns/b") == ["esx-2", "esx-2"]
    assert made.env.now == 0


def test_preference_of_a_member_counts_for_the_group() -> None:
    made = paired(rules=(PAIR,))
    wish = joint([need(rules=(PAIR, WISH)), need(rules=(PAIR,))])
    assert wish.rules == (WISH,)
    placer = made.fleet.placer
    members = [need(rules=(PAIR, WISH)), need(rules=(PAIR,))]
    assert made.inventory.hosts[place_together(placer, members)].name == "esx-3"


def test_companions_are_those_of_companions_too() -> None:
    a, b, c = need(rules=(PAIR,)), need(rules=(PAIR, CHAIN)), need(rules=(CHAIN,))
    assert companions(a, [need(), a, b, c]) == [1, 2, 3]
    assert companions(need(), [a, b]) == []


SIZES = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 8)), min_size=1, max_size=4)


@given(sizes=SIZES, taken=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 16)), max_size=3))
def test_group_is_placed_exactly_where_its_members_fit_one_after_another(
    sizes: list[tuple[int, int]], taken: list[tuple[int, int]]
) -> None:
    found, expected = both(sizes, taken)
    assert found == expected


def both(sizes: list[tuple[int, int]], taken: list[tuple[int, int]]) -> tuple[int, int]:
    """The row of the group, and the first row on which its members fit one after another."""
    there = inventory(hosts(3))
    declare((PAIR,), there)
    for row, (cpus, gib) in enumerate(taken):
        there.claim(((0, cpus), (1, gib * GIB)), row)
    placer = Placer(there, BUILT_IN["first_fit"])
    members = [need(cpus=cpus, memory_mib=gib * GIB, rules=(PAIR,)) for cpus, gib in sizes]
    found = place_together(placer, members)
    for row in range(3):
        claimed = 0
        for member in members:
            if not placer.fits(
                placer.shape(need(cpus=member.cpus, memory_mib=member.memory_mib)), row
            ):
                break
            there.claim(needs(member, there), row)
            claimed += 1
        for member in members[:claimed]:
            there.release(needs(member, there), row)
        if claimed == len(members):
            return found, row
    return found, -1


@pytest.mark.parametrize("host_name", ["esx-1", "esx-2"])
def test_group_whose_host_or_target_fails_on_the_way_keeps_together(host_name: str) -> None:
    made = paired()
    made.hosts.enter_maintenance("esx-1")
    made.until(made.env.now + 5)
    made.hosts.fail(host_name)
    first, second = at(made, "ns/a", "ns/b")
    assert first == second != host_name
