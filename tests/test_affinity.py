"""Rules between VMs and hosts: what they refuse, what they prefer, and which cannot be kept."""

import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from builders import GIB, PREREQUISITES, World, host, hosts, inventory, need, scenario, vm
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_play import MOVES, played

from vmsim.affinity import Kind, Rule, declare
from vmsim.cluster import ClusterPolicy
from vmsim.conflicts import Conflict, Member, conflict, contradiction
from vmsim.documents import load
from vmsim.drs import Drs
from vmsim.loading import plan
from vmsim.objects import PowerState
from vmsim.placement import Placer, needs
from vmsim.policies import BUILT_IN
from vmsim.problems import BadInput

ON = PowerState.ON
APART = Rule("apart", Kind.APART, vms=("ns/web-*",))
TOGETHER = Rule("together", Kind.TOGETHER, vms=("ns/pair-*",))
LICENSED = Rule("licensed", Kind.RUN_ON, vms=("ns/db",), hosts=("esx-2",))


def world(*rules: Rule, count: int = 3, **other: Any) -> World:
    return World(hosts(count), policy=ClusterPolicy(drs=Drs(rules)), **other)


def test_vms_that_keep_apart_run_on_different_hosts() -> None:
    made = world(APART)
    assert [made.running(f"ns/web-{n}").host for n in (1, 2, 3)] == ["esx-1", "esx-2", "esx-3"]


def test_one_vm_too_many_waits_and_its_fault_names_the_rule() -> None:
    made = world(APART, count=2)
    for number in (1, 2, 3):
        made.running(f"ns/web-{number}")
    seen = made.seen("ns/web-3")
    assert (seen.power, str(seen.fault)) == (PowerState.OFF, "NoCompatibleHost: 2 RuleViolation")
    made.cluster.power_off("ns/web-1")
    made.settle()
    made.cluster.power_on("ns/web-3")
    made.settle()
    assert (made.seen("ns/web-3").power, made.seen("ns/web-3").host) == (ON, "esx-1")


def test_vm_that_no_rule_names_goes_anywhere() -> None:
    made = world(APART)
    made.running("ns/web-1")
    assert made.running("ns/other").host == "esx-1"


def test_vms_that_keep_together_share_a_host() -> None:
    made = world(TOGETHER, placement="worst_fit")
    assert {made.running(f"ns/pair-{n}").host for n in (1, 2)} == {"esx-1"}


def test_vm_that_must_run_on_some_hosts_is_created_and_started_there_only() -> None:
    made = world(LICENSED)
    assert made.off("ns/db").host == "esx-2"
    made.hosts.enter_maintenance("esx-2")
    made.settle()
    made.cluster.power_on("ns/db")
    assert str(made.seen("ns/db").fault) == (
        "NoCompatibleHost: 2 VmHostAffinityRuleViolation, 1 InvalidHostState"
    )


def test_must_rule_about_hosts_blocks_an_evacuation() -> None:
    made = world(LICENSED)
    made.running("ns/db")
    made.hosts.enter_maintenance("esx-2")
    made.settle()
    assert made.state("esx-2") == "EnteringMaintenance"
    assert "VmHostAffinityRuleViolation" in made.hosts.blockers("esx-2")["ns/db"]


def test_must_rules_hold_when_a_failed_hosts_vms_are_restarted() -> None:
    made = world(APART, LICENSED)
    for key in ("ns/web-1", "ns/web-2", "ns/web-3", "ns/db"):
        made.running(key)
    made.hosts.fail("esx-2")
    made.settle()
    for key in ("ns/web-2", "ns/db"):
        assert made.seen(key).power is PowerState.OFF
    made.hosts.recover("esx-2")
    made.settle()
    assert {made.seen(key).host for key in ("ns/web-2", "ns/db")} == {"esx-2"}
    assert made.seen("ns/db").power is ON


def test_should_rule_gives_way_when_nothing_else_fits() -> None:
    wish = Rule("wish", Kind.APART, must=False, vms=("ns/web-*",))
    made = world(wish, count=2)
    assert [made.running(f"ns/web-{n}").host for n in (1, 2, 3)] == ["esx-1", "esx-2", "esx-1"]


def test_older_of_two_should_rules_wins() -> None:
    rules = (
        Rule("old", Kind.RUN_ON, must=False, vms=("*",), hosts=("esx-2",)),
        Rule("new", Kind.RUN_ON, must=False, vms=("*",), hosts=("esx-3",)),
    )
    assert world(*rules).running("ns/a").host == "esx-2"
    assert world(*rules[::-1]).running("ns/a").host == "esx-3"


def test_must_rule_wins_over_an_older_should_rule() -> None:
    wish = Rule("wish", Kind.NOT_ON, must=False, vms=("*",), hosts=("esx-2",))
    assert world(wish, LICENSED).running("ns/db").host == "esx-2"


def test_zone_spread_takes_the_zone_with_the_fewest_members() -> None:
    spread = Rule("spread", Kind.SPREAD, must=False, classes=("small",))
    specs = [
        host(f"{zone}{n}", zone=zone, cluster=zone, memory_mib=gib * GIB)
        for zone, gib in (("a", 64), ("b", 4), ("c", 64))
        for n in (1, 2)
    ]
    made = World(specs, policy=ClusterPolicy(drs=Drs((spread,))))
    zones = [made.running(f"ns/{n}", need(class_name="small")).zone for n in range(8)]
    assert zones == ["a", "b", "c", "a", "b", "c", "a", "c"]


def test_rule_counts_the_members_on_hosts_that_join_later() -> None:
    found = inventory(hosts(1))
    declare((APART,), found)
    found.add([host("new")])
    placer = Placer(found, BUILT_IN["first_fit"])
    shape = placer.shape(need(rules=(APART,)))
    for row in (0, 1, -1):
        assert placer.place(shape) == row
        if row >= 0:
            found.claim(needs(shape.requirement, found), row)


def members(*keys: str, on: Sequence[str] = ("h1", "h2", "h3")) -> list[Member]:
    return [Member(key, "small", frozenset(on)) for key in keys]


def found(rules: Sequence[Rule], vms: Sequence[Member]) -> tuple[list[str], str] | None:
    answer = conflict(rules, vms)
    return ([rule.name for rule in answer.rules], answer.reason) if answer else None


def rule(name: str, kind: Kind, *vms: str, on: Sequence[str] = ()) -> Rule:
    return Rule(name, kind, vms=vms, hosts=tuple(on))


def test_rules_that_can_be_kept_are_no_conflict() -> None:
    rules = [rule("a", Kind.APART, "x", "y"), rule("t", Kind.TOGETHER, "y", "z")]
    assert found(rules, members("x", "y", "z")) is None


def test_minimal_set_leaves_out_rules_that_do_not_matter() -> None:
    rules = [
        rule("idle", Kind.APART, "x", "z"),
        rule("first", Kind.RUN_ON, "x", on=("h1",)),
        rule("other", Kind.RUN_ON, "z", on=("h3",)),
        rule("second", Kind.RUN_ON, "x", on=("h2",)),
    ]
    assert found(rules, members("x", "z")) == (
        ["first", "second"], "no host is left for VM x",
    )  # fmt: skip


def test_together_and_apart_contradict_each_other_also_through_a_third_vm() -> None:
    rules = [
        rule("t1", Kind.TOGETHER, "x", "y"),
        rule("t2", Kind.TOGETHER, "y", "z"),
        rule("a", Kind.APART, "x", "z"),
    ]
    assert found(rules, members("x", "y", "z")) == (
        ["t1", "t2", "a"], "VMs x and z must be together and apart",
    )  # fmt: skip


def test_more_vms_apart_than_hosts_for_them_is_one_rule_too_many() -> None:
    rules = [rule("a", Kind.APART, "*")]
    assert found(rules, members("x", "y", on=("h1",))) == (
        ["a"], "2 VMs must keep apart, on 1 host; VM y is left",
    )  # fmt: skip


def test_vm_that_fits_nowhere_anyway_is_no_conflict() -> None:
    assert found([rule("a", Kind.RUN_ON, "x", on=("h1",))], members("x", on=())) is None


def test_should_rules_never_conflict() -> None:
    wish = Rule("wish", Kind.RUN_ON, must=False, vms=("x",), hosts=("none",))
    assert found([wish], members("x")) is None


NAMES = ("x", "y", "z")
RULES = st.lists(
    st.builds(
        lambda number, kind, vms, on: Rule(
            f"r{number}", kind, vms=tuple(sorted(vms)),
            hosts=tuple(sorted(on)) if kind in (Kind.RUN_ON, Kind.NOT_ON) else (),
        ),
        st.integers(0, 99),
        st.sampled_from([Kind.TOGETHER, Kind.APART, Kind.RUN_ON, Kind.NOT_ON]),
        st.sets(st.sampled_from(NAMES), min_size=1),
        st.sets(st.sampled_from(["h1", "h2"]), min_size=1),
    ),
    max_size=4,
)  # fmt: skip


def keeps(rules: Sequence[Rule], host_of: dict[str, str]) -> bool:
    """Naive: whether this arrangement keeps every rule."""
    for one in rules:
        on = [host_of[key] for key in host_of if one.binds(key, "")]
        if one.kind is Kind.TOGETHER and len(set(on)) > 1:
            return False
        if one.kind is Kind.APART and len(set(on)) < len(on):
            return False
        if one.kind in (Kind.RUN_ON, Kind.NOT_ON) and not all(map(one.accepts, on)):
            return False
    return True


def arrangements(vms: Sequence[Member]) -> Iterator[dict[str, str]]:
    for chosen in product(*(sorted(member.hosts) for member in vms)):
        yield dict(zip((member.key for member in vms), chosen, strict=True))


@settings(max_examples=150)
@given(rules=RULES, count=st.integers(1, 3))
def test_conflict_is_found_only_where_no_arrangement_is_and_is_minimal(
    rules: list[Rule], count: int
) -> None:
    vms = members(*NAMES, on=[f"h{number + 1}" for number in range(count)])
    answer = conflict(rules, vms)
    possible = any(keeps(rules, arrangement) for arrangement in arrangements(vms))
    if answer is not None:
        assert not possible
        for left_out in answer.rules:
            rest = [one for one in answer.rules if one is not left_out]
            assert contradiction(rest, vms) == ""
    apart = [one for one in rules if one.kind is Kind.APART]
    if len(apart) <= 1:
        assert (answer is None) == possible, "one group apart is judged exactly"


def refusal(**spec: Any) -> list[str]:
    with pytest.raises(BadInput) as caught:
        plan(load(json.dumps(scenario(**spec)), "scenario.yaml")[0], Path(PREREQUISITES))
    return [f"{problem.field}: {problem.message}" for problem in caught.value.problems]


def block(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"rules": list(rules)}


def test_scenario_whose_rules_contradict_each_other_is_refused_with_the_smallest_set() -> None:
    rules = (
        {"name": "idle", "kind": "antiAffinity", "vms": ["demo/*"]},
        {"name": "on", "kind": "runOn", "classes": ["small"], "hosts": ["esx-*"]},
        {"name": "off", "kind": "notRunOn", "vms": ["demo/a"], "hosts": ["esx-1"]},
    )
    manifests = scenario()["spec"]["manifests"]
    assert refusal(drs=block(*rules), manifests=[*manifests, vm("a")]) == [
        "spec.drs.rules[2]: rule off cannot be kept: no host is left for VM demo/a, "
        "and would wait for ever"
    ]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"name": "r", "kind": "runOn", "vms": ["a"]}, "need hosts"),
        ({"name": "r", "kind": "affinity", "vms": ["a"], "hosts": ["b"]}, "take none"),
        ({"name": "r", "kind": "affinity"}, "give the VMs that it binds"),
        ({"name": "", "kind": "affinity", "vms": ["a"]}, "at least 1 character"),
        ({"name": "r", "kind": "together", "vms": ["a"]}, "'affinity'"),
    ],
)
def test_rule_that_says_nothing_is_refused(rule: dict[str, Any], message: str) -> None:
    (problem,) = refusal(drs=block(rule))
    assert problem.startswith("spec.drs.rules[0]") and message in problem


def test_two_rules_of_one_name_are_refused() -> None:
    same = {"name": "r", "kind": "affinity", "vms": ["a"]}
    (problem,) = refusal(drs=block(same, same))
    assert "rule r is there twice" in problem


def test_conflict_is_a_value() -> None:
    assert Conflict((APART,), "x") == Conflict((APART,), "x")


@settings(max_examples=60)
@given(moves=MOVES)
def test_must_rule_is_broken_at_no_instant(moves: list[tuple[Any, ...]]) -> None:
    assert played(moves) == set()
