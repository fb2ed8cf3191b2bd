"""Contention, DRS scores and load balancing: who gets what, and which move is worth it."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from builders import GIB, World, hosts, need
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_play import MOVES, MUSTS, Play
from test_affinity import refusal

from vmsim.balancer import Balancer
from vmsim.balancing import (
    GAIN_BY_THRESHOLD,
    Capacity,
    Claim,
    Load,
    best_move,
    cluster_score,
    divided,
    scores,
)
from vmsim.cluster import ClusterPolicy
from vmsim.drs import Balance, Demand, Drs
from vmsim.drs_schema import DrsBlock
from vmsim.evacuation import Order
from vmsim.fold import Picture
from vmsim.trace import Record
from vmsim.views import explain
from vmsim.vmotion import Traits, VMotion

FULL = (Demand(cpu=1.0, memory=0.5, vms=("ns/*",)),)


def load(key: str, row: int, mhz: float, **other: Any) -> Load:
    return replace(Load(key, row, Claim(mhz), Claim(0.0)), **other)


def test_capacity_is_divided_by_shares_after_what_is_guaranteed() -> None:
    assert divided(900, [Claim(1000), Claim(1000, shares=2000)]) == [300, 600]
    assert divided(900, [Claim(1000, 600), Claim(1000, shares=2000)]) == [700, 200]
    assert divided(900, [Claim(100), Claim(1000), Claim(1000)]) == [100, 400, 400]
    assert divided(900, [Claim(100), Claim(200)]) == [100, 200]
    assert divided(900, []) == []


CLAIMS = st.lists(
    st.builds(Claim, st.integers(0, 50), st.just(0), st.integers(1, 9)), max_size=6
)  # fmt: skip


def naive_divided(capacity: float, claims: list[Claim]) -> list[float]:
    """By the water level at which all is given away, found by halving."""
    if sum(claim.demand for claim in claims) <= capacity:
        return [claim.demand for claim in claims]
    low, high = 0.0, 1000.0
    for _ in range(200):
        level = (low + high) / 2
        given_away = sum(min(claim.demand, level * claim.shares) for claim in claims)
        low, high = (level, high) if given_away < capacity else (low, level)
    return [min(claim.demand, low * claim.shares) for claim in claims]


@settings(max_examples=200)
@given(capacity=st.integers(0, 120), claims=CLAIMS)
def test_division_is_that_of_the_water_level(capacity: int, claims: list[Claim]) -> None:
    got = divided(capacity, claims)
    assert got == pytest.approx(naive_divided(capacity, claims), abs=1e-6)


def test_score_is_the_part_of_its_demand_that_a_vm_gets() -> None:
    vms = [load("a", 0, 1000), load("b", 0, 500, memory=Claim(200.0))]
    assert scores(Capacity(750, 100), vms) == {
        "a": pytest.approx(37.5), "b": pytest.approx(75 * 0.5)
    }  # fmt: skip
    assert cluster_score({0: Capacity(750, 100)}, [replace(vms[0], weight=3.0)]) == 75.0
    assert cluster_score({}, []) == 100.0


TWO = {0: Capacity(1000, 1000), 1: Capacity(1000, 1000)}
CROWD = [load("a", 0, 600), load("b", 0, 600)]
ANYWHERE = {"a": [0, 1], "b": [0, 1]}


def test_vm_goes_where_it_gets_what_it_demands() -> None:
    move = best_move(TWO, CROWD, ANYWHERE, 3)
    assert move is not None
    assert (move.key, move.host, round(move.gain, 2)) == ("a", 1, 16.67)


@pytest.mark.parametrize(("threshold", "moves"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1)])
def test_threshold_says_how_much_a_move_must_gain(threshold: int, moves: int) -> None:
    assert (best_move(TWO, CROWD, ANYWHERE, threshold) is not None) is bool(moves)


def test_cost_of_the_migration_counts_against_it() -> None:
    dear = [replace(vm, cost=7.0) for vm in CROWD]
    assert best_move(TWO, dear, ANYWHERE, 3) is None
    assert best_move(TWO, dear, ANYWHERE, 4) is not None


def test_vm_goes_only_where_it_may() -> None:
    move = best_move(TWO, CROWD, {"a": [0], "b": [1]}, 3)
    assert move is not None and move.key == "b"
    assert best_move(TWO, CROWD, {}, 5) is None


LOADS = st.lists(
    st.builds(
        lambda row, mhz, mib, weight: (row, mhz, mib, weight),
        st.integers(0, 2), st.integers(0, 90), st.integers(0, 90), st.integers(1, 4),
    ),
    max_size=7,
)  # fmt: skip


def after_moves(rows: list[tuple[int, int, int, int]], threshold: int) -> list[float]:
    """The cluster's score before the first move and after each one."""
    there = {row: Capacity(100.0, 100.0) for row in range(3)}
    vms = [
        Load(f"v{n}", row, Claim(float(mhz)), Claim(float(mib)), float(weight))
        for n, (row, mhz, mib, weight) in enumerate(rows)
    ]
    found = [cluster_score(there, vms)]
    for _ in range(20):
        move = best_move(there, vms, {vm.key: [0, 1, 2] for vm in vms}, threshold)
        if move is None:
            return found
        vms = [replace(vm, host=move.host) if vm.key == move.key else vm for vm in vms]
        found.append(cluster_score(there, vms))
    return found


@given(rows=LOADS, threshold=st.sampled_from(sorted(GAIN_BY_THRESHOLD)))
def test_no_move_makes_the_cluster_less_balanced(
    rows: list[tuple[int, int, int, int]], threshold: int
) -> None:
    found = after_moves(rows, threshold)
    assert all(later > before for before, later in pairwise(found))
    assert len(found) <= 20, "it comes to an end"


def crowded(balance: Balance | None) -> World:
    """A host with twice the demand that it can serve, beside an empty one."""
    drs = Drs(demands=FULL, balance=balance)
    specs = hosts(2, cpu_cores=4)
    made = World(specs, policy=ClusterPolicy(drs=drs))
    made.inventory.room[0] += 8
    made.inventory.total[0] += 8
    for number in range(4):
        made.cluster.create(f"ns/{number}", need(), True)
    made.until(31)
    for number in range(4):
        made.cluster.power_on(f"ns/{number}")
    made.until(50)
    return made


def test_crowded_host_gives_vms_to_an_empty_one() -> None:
    made = crowded(Balance(3))
    balancer = Balancer(made.env, made.fleet, ClusterPolicy(drs=Drs(demands=FULL)))
    assert balancer.score("cluster-1") == pytest.approx(50.0)
    assert balancer.look(3) == 2
    made.until(200)
    assert balancer.score("cluster-1") == pytest.approx(100.0)
    tasks = [r.data for r in made.records if r.kind == "VmMigrated"]
    assert [task["cause"] for task in tasks] == ["LoadBalancing"] * 2
    assert balancer.look(5) == 0


def test_scores_are_told_when_they_change() -> None:
    made = crowded(None)
    balance = ClusterPolicy(drs=Drs(demands=FULL, balance=Balance(3)))
    Balancer(made.env, made.fleet, balance)
    made.until(400)
    told = [(r.t, r.object, r.data) for r in made.records if r.kind == "DrsScore"]
    low = {f"ns/{number}": 50.0 for number in range(4)}
    assert told == [
        (110.0, "cluster-1", {"score": 50.0, "vms": low}),
        (170.0, "cluster-1", {"score": 100.0, "vms": {}}),
    ]


def test_score_of_a_vm_that_lacks_something_is_explained() -> None:
    picture = Picture()
    picture.vm("ns/a").exists = picture.vm("ns/b").exists = True
    picture.apply(
        Record(60.0, 1, "cluster", "DrsScore", "c", {"score": 75.0, "vms": {"ns/a": 50.0}})
    )
    assert "  DRS score 50 of 100" in list(explain(picture, "ns/a"))
    assert not any("DRS" in line for line in explain(picture, "ns/b"))


def test_vm_that_cannot_be_migrated_is_left_where_it_is() -> None:
    made = crowded(None)
    vmotion = VMotion(defaults=Traits(pinned=True))
    pinned = ClusterPolicy(drs=Drs(demands=FULL), vmotion=vmotion)
    assert Balancer(made.env, made.fleet, pinned).look(5) == 0


def test_it_looks_every_minute_when_it_is_on_and_never_when_it_is_off() -> None:
    made = crowded(None)
    policy = ClusterPolicy(drs=Drs(demands=FULL))
    before = len(made.env._queue)
    Balancer(made.env, made.fleet, policy)
    assert len(made.env._queue) == before
    Balancer(made.env, made.fleet, ClusterPolicy(drs=Drs(demands=FULL, balance=Balance(3, 60.0))))
    made.until(50 + 61)
    assert [t for t, _, kind in made.log("TaskStarted") if t > 50] == [110.0, 110.0]


@settings(max_examples=40)
@given(moves=MOVES)
def test_balancing_breaks_no_must_rule(moves: list[tuple[Any, ...]]) -> None:
    assert balanced(moves) == set()


def balanced(moves: list[tuple[Any, ...]]) -> set[str]:
    """The must rules broken while a very eager load balancing is at work."""
    play = Play(MUSTS)
    demand = (Demand(cpu=1.0, memory=1.0, vms=("ns/*",)),)
    eager = ClusterPolicy(drs=Drs(MUSTS, demands=demand, balance=Balance(5, 20.0)))
    small = [replace(spec, cpu_mhz=100, cpu_cores=2) for spec in play.made.inventory.hosts]
    play.made.inventory.hosts[:] = small
    Balancer(play.made.env, play.made.fleet, eager)
    keys = ("ns/a", "ns/b", "ns/d", "ns/e")
    first = [("running", key) for key in keys]
    then = [("power_on", key) for key in keys]
    for move in [*first, ("wait", 31), *then, ("wait", 60), *moves, ("wait", 120)]:
        play.make(move)
    return play.broken


@pytest.mark.parametrize(
    ("order", "keys"),
    [
        (Order.DECLARED, ["ns/4", "ns/8", "ns/2"]),
        (Order.LARGEST, ["ns/8", "ns/4", "ns/2"]),
        (Order.SMALLEST, ["ns/2", "ns/4", "ns/8"]),
    ],
)
def test_vms_leave_a_host_in_the_order_that_is_asked_for(order: Order, keys: list[str]) -> None:
    made = World(hosts(2), policy=ClusterPolicy(drs=Drs(evacuation_order=order)))
    for gib in (4, 8, 2):
        made.running(f"ns/{gib}", need(memory_mib=gib * GIB))
    began_s = made.env.now
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert [key for t, key, _ in made.log("TaskStarted") if t >= began_s] == keys


def test_scenario_turns_load_balancing_on() -> None:
    block = DrsBlock.model_validate({"loadBalancing": {"threshold": 4, "every": "5m"}})
    assert block.drs().balance == Balance(4, 300.0)
    assert DrsBlock().drs().balance is None
    (problem,) = refusal(drs={"loadBalancing": {"threshold": 6}})
    assert "less than or equal to 5" in problem
