"""Resource pools: who may be powered on, what is left, and that nothing is promised twice."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from builders import GIB, World, host, hosts, need
from hypothesis import given, settings
from hypothesis import strategies as st
from test_affinity import refusal

from vmsim.cluster import ClusterPolicy
from vmsim.drs import Drs
from vmsim.objects import PowerState
from vmsim.pools import (
    CPU_MHZ,
    MEMORY_MIB,
    ROOT,
    Allocation,
    Ledger,
    Pool,
    Usage,
    broken,
    owed,
    pool_of,
    usage,
)

GOLD = Pool("gold", cpu=Allocation(2000, expandable=False), namespaces=("gold",))
OPEN = Pool("open", cpu=Allocation(1000), namespaces=("open",))
ON, OFF = PowerState.ON, PowerState.OFF


def world(*pools: Pool, count: int = 1) -> World:
    return World(hosts(count), policy=ClusterPolicy(drs=Drs(pools=pools)))


def reserving(mhz: int = 0, mib: int = 0) -> Any:
    return need(cpus=1, memory_mib=GIB, cpu_reservation_mhz=mhz, memory_reservation_mib=mib)


def test_pool_without_room_to_promise_does_not_power_on() -> None:
    made = world(GOLD)
    assert made.running("gold/a", reserving(1500)).power is ON
    seen = made.running("gold/b", reserving(1500))
    assert (seen.power, str(seen.fault)) == (
        OFF,
        "NoCompatibleHost: 1 InsufficientCpuResourcesFault",
    )
    made.cluster.power_off("gold/a")
    made.settle()
    made.cluster.power_on("gold/b")
    made.settle()
    assert made.seen("gold/b").power is ON


def test_expandable_pool_borrows_what_its_parent_has_left() -> None:
    made = world(GOLD, OPEN)
    assert made.running("open/a", reserving(6000)).power is ON
    assert made.running("open/b", reserving(1)).power is OFF
    assert made.running("gold/a", reserving(2000)).power is ON


def test_memory_has_its_own_fault() -> None:
    made = world(Pool("p", memory=Allocation(GIB, expandable=False), vms=("ns/*",)))
    made.running("ns/a", reserving(mib=GIB))
    seen = made.running("ns/b", reserving(mib=GIB))
    assert str(seen.fault) == "NoCompatibleHost: 1 InsufficientMemoryResourcesFault"


def test_vm_without_reservation_is_admitted_to_any_pool() -> None:
    made = world(Pool("none", cpu=Allocation(0, 0), memory=Allocation(0, 0), vms=("*",)))
    assert made.running("ns/a", reserving()).power is ON


def test_limit_binds_an_expandable_pool_and_the_pools_under_it() -> None:
    top = Pool("top", cpu=Allocation(0, limit=3000))
    made = world(top, Pool("below", "top", namespaces=("ns",)))
    assert made.running("ns/a", reserving(3000)).power is ON
    assert made.running("ns/b", reserving(1)).power is OFF


def test_migration_is_not_admitted_again_and_is_charged_once() -> None:
    made = world(Pool("p", cpu=Allocation(1500, expandable=False), vms=("*",)), count=2)
    made.running("ns/a", reserving(1500))
    made.hosts.enter_maintenance("esx-1")
    made.until(made.env.now + 1)
    assert charged(made) == {("cluster-1", CPU_MHZ): {"p": 1500}}
    made.settle()
    assert made.seen("ns/a").host == "esx-2"
    assert charged(made) == {("cluster-1", CPU_MHZ): {"p": 1500}}
    made.hosts.fail("esx-2")
    assert charged(made) == {("cluster-1", CPU_MHZ): {"p": 0}}


def test_hosts_that_are_away_have_nothing_to_promise() -> None:
    made = world(OPEN, count=2)
    made.running("open/a", reserving(7000))
    made.hosts.enter_maintenance("esx-2")
    made.settle()
    assert made.running("open/b", reserving(1001)).power is OFF
    assert made.running("open/c", reserving(1000)).power is ON


def charged(made: World) -> dict[tuple[str, int], dict[str, int]]:
    ledger = made.inventory.pools
    assert ledger is not None
    return {key: own for key, own in ledger.own.items() if key[1] == CPU_MHZ}


def test_usage_of_the_example_in_the_documentation() -> None:
    """A parent with 6 GHz lends to a pool with 2 GHz of its own: 3 VMs of 2 GHz, not 4."""
    pools = [Pool("sales", cpu=Allocation(2000))]
    for count, unreserved in ((0, 6000), (1, 4000), (2, 2000), (3, 0)):
        own = {"sales": 2000 * count}
        found = usage(pools, CPU_MHZ, own, 6000)["sales"]
        assert found == Usage(max(2000, 2000 * count), 2000 * count, unreserved)
        assert broken(pools, CPU_MHZ, own, 6000) == []
    assert broken(pools, CPU_MHZ, {"sales": 8000}, 6000) == [ROOT]


def test_last_pool_that_names_a_vm_has_it() -> None:
    pools = [Pool("a", namespaces=("ns",)), Pool("b", vms=("ns/x*",))]
    assert [pool_of(pools, key) for key in ("ns/y", "ns/x1", "other/z")] == ["a", "b", ROOT]


@st.composite
def trees(draw: st.DrawFn) -> list[Pool]:
    """Up to five pools, parents first."""
    pools: list[Pool] = []
    for number in range(draw(st.integers(1, 5))):
        reservation = draw(st.integers(0, 10))
        limit = draw(st.none() | st.integers(reservation, 30))
        cpu = Allocation(reservation, limit, expandable=draw(st.booleans()))
        parent = draw(st.sampled_from([ROOT, *(pool.name for pool in pools)]))
        pools.append(Pool(f"p{number}", parent, cpu))
    return pools


STARTS = st.lists(st.tuples(st.integers(-1, 4), st.integers(-9, 9)), max_size=20)


def children(pools: Sequence[Pool], name: str) -> list[Pool]:
    return [pool for pool in pools if pool.parent == name]


def naive_owed(pools: Sequence[Pool], name: str, own: Mapping[str, int]) -> int:
    lent = (max(p.cpu.reservation, naive_owed(pools, p.name, own)) for p in children(pools, name))
    return own.get(name, 0) + sum(lent)


def played(pools: Sequence[Pool], starts: Sequence[tuple[int, int]], capacity: int) -> Ledger:
    """VMs that start where they are admitted, and (negative) end."""
    ledger = Ledger(tuple(pools))
    for number, units in starts:
        name = pools[number % len(pools)].name if number >= 0 else ROOT
        own = ledger.own.get(("c", CPU_MHZ), {}).get(name, 0)
        if units < 0:
            ledger.take("c", name, (-min(own, -units), 0))
        elif ledger.admits("c", name, CPU_MHZ, units, capacity):
            ledger.take("c", name, (units, 0))
    return ledger


def wrong(pools: Sequence[Pool], own: Mapping[str, int], capacity: int) -> list[str]:
    """Pools of which the identity, or what they owe, is not right."""
    found = usage(pools, CPU_MHZ, own, capacity)
    bad = []
    for pool in pools:
        mine = found[pool.name]
        lent = found[pool.parent].unreserved if pool.cpu.expandable else 0
        if mine.reservation + lent != mine.used + mine.unreserved:
            bad.append(f"identity of {pool.name}")
        if mine.used != naive_owed(pools, pool.name, own):
            bad.append(f"used of {pool.name}")
    return bad


@settings(max_examples=200)
@given(pools=trees(), starts=STARTS, capacity=st.integers(0, 60))
def test_reservation_and_what_the_parent_lends_is_owed_or_left(
    pools: list[Pool], starts: list[tuple[int, int]], capacity: int
) -> None:
    own = played(pools, starts, capacity).own.get(("c", CPU_MHZ), {})
    assert wrong(pools, own, capacity) == []


@settings(max_examples=200)
@given(pools=trees(), starts=STARTS, capacity=st.integers(0, 60))
def test_admitted_vms_never_make_a_pool_owe_more_than_it_may(
    pools: list[Pool], starts: list[tuple[int, int]], capacity: int
) -> None:
    before = broken(pools, CPU_MHZ, {}, capacity)
    own = played(pools, starts, capacity).own.get(("c", CPU_MHZ), {})
    assert broken(pools, CPU_MHZ, own, capacity) == before


@settings(max_examples=200)
@given(pools=trees(), starts=STARTS, capacity=st.integers(0, 60), units=st.integers(1, 9))
def test_without_limits_a_vm_is_admitted_exactly_if_so_much_is_unreserved(
    pools: list[Pool], starts: list[tuple[int, int]], capacity: int, units: int
) -> None:
    plain = [
        Pool(
            p.name, p.parent, Allocation(p.cpu.reservation, expandable=p.cpu.expandable)
        )
        for p in pools
    ]  # fmt: skip
    ledger = played(plain, starts, capacity)
    own = ledger.own.get(("c", CPU_MHZ), {})
    if broken(plain, CPU_MHZ, own, capacity):
        return
    for name, found in usage(plain, CPU_MHZ, own, capacity).items():
        admitted = ledger.admits("c", name, CPU_MHZ, units, capacity)
        assert admitted is (units <= found.unreserved)


def test_parents_owe_for_pools_that_nobody_uses() -> None:
    assert owed([GOLD, OPEN], CPU_MHZ, {}) == {ROOT: 3000, "gold": 0, "open": 0}
    assert owed([GOLD, OPEN], MEMORY_MIB, {})[ROOT] == 0


def pools_refused(*pools: dict[str, Any]) -> list[str]:
    return refusal(drs={"pools": list(pools)})


def test_pools_that_cannot_be_are_refused() -> None:
    assert pools_refused({"name": "a", "parent": "b"}) == [
        "spec.drs.pools[0].parent: there is no pool b before it"
    ]
    assert pools_refused({"name": "a"}, {"name": "a"}) == [
        "spec.drs.pools[1].name: pool a is there twice"
    ]
    assert pools_refused({"name": "a", "cpuReservation": 8001}) == [
        "spec.drs.pools: its pools reserve more MHz than cluster cluster-1 has (8000 MHz)"
    ]
    (problem,) = pools_refused({"name": "a", "cpuReservation": 2, "cpuLimit": 1})
    assert "the cpu limit is below the reservation" in problem
    tight = {"name": "a", "cpuReservation": 10, "cpuExpandable": False}
    assert pools_refused(tight, {"name": "b", "parent": "a", "cpuReservation": 11}) == [
        "spec.drs.pools[0]: its pools reserve more MHz than pool a has"
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_each_cluster_has_the_pool(count: int) -> None:
    specs = [
        spec
        for number in range(count)
        for spec in [host(f"h{number}", cluster=f"c{number}", zone=f"z{number}")]
    ]
    made = World(specs, policy=ClusterPolicy(drs=Drs(pools=(GOLD,))))
    powers = [made.running(f"gold/{n}", reserving(2000)).power for n in range(3)]
    assert powers.count(ON) == count
