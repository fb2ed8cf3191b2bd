"""Each filter says yes and no where it should, and what is remembered equals what is so."""

import pickle
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import GIB, GPU, PASSTHROUGH, host, hosts, inventory, need
from hypothesis import given, settings
from hypothesis import strategies as st

from vmsim.affinity import Kind, Rule, declare
from vmsim.inventory import CPU, Inventory
from vmsim.objects import HostSpec, HostState
from vmsim.placement import (
    FILTERS,
    Placer,
    Requirement,
    Shape,
    needs,
    summary,
)
from vmsim.policies import BUILT_IN
from vmsim.pools import Allocation, Ledger, Pool

Case = tuple[Requirement, HostSpec, HostSpec]
"""A requirement, a host that the filter accepts, and one that it refuses."""

KEPT_ON = Rule("on", Kind.RUN_ON, vms=("*",), hosts=("esx-1",))
APART = Rule("apart", Kind.APART, vms=("*",))
TOGETHER = Rule("together", Kind.TOGETHER, vms=("*",))

GPU_HOST = host(devices={GPU: 1})

EXAMPLES: Mapping[str, Case] = {
    "Candidate": (need(zones=("zone-1",)), host(zone="zone-1"), host(zone="zone-2")),
    "OwnHost": (need(only_host="esx-1"), host("esx-1"), host("esx-2")),
    "VMHostRule": (need(rules=(KEPT_ON,)), host("esx-1"), host("esx-2")),
    "AntiAffinity": (need(rules=(APART,)), host(), host("apart")),
    "Affinity": (need(rules=(TOGETHER,)), host(), host("together")),
    "PoolCPU": (need(cpu_reservation_mhz=9, pool="p"), host("pooled"), host("spent")),
    "PoolMemory": (need(memory_reservation_mib=9, pool="p"), host("pooled"), host("spent")),
    "HardwareVersion": (
        need(min_hardware_version=20), host(hardware_version=20), host(hardware_version=19),
    ),
    "CPUGeneration": (need(min_cpu_generation=3), host(cpu_generation=3), host(cpu_generation=2)),
    "VMotionNetwork": (need(live=True), host(), host(vmotion_fault="VMotionNotConfigured")),
    "VMotionLink": (need(live=True), host(), host(vmotion_fault="VMotionLinkDown")),
    "Datastore": (
        need(datastores=("fast", "slow")), host(datastores=("x", "slow")), host(datastores=("x",)),
    ),
    "Device": (need(GPU), GPU_HOST, host(devices={PASSTHROUGH: 1})),
    "Schedulable": (need(), host(), host("closed")),
    "DeviceFree": (need(GPU), GPU_HOST, host("taken", devices={GPU: 1})),
    "CPU": (need(cpus=8), host(cpu_cores=8), host(cpu_cores=7)),
    "Memory": (
        need(memory_mib=4 * GIB), host(memory_mib=4 * GIB), host(memory_mib=4 * GIB - 1),
    ),
    "CPUReservation": (
        need(cpu_reservation_mhz=2001),
        host(cpu_cores=3, cpu_mhz=667),
        host(cpu_cores=2, cpu_mhz=1000),
    ),
    "MemoryReservation": (
        need(memory_mib=0, memory_reservation_mib=GIB),
        host(memory_mib=GIB),
        host(memory_mib=GIB - 1),
    ),
}  # fmt: skip

IDLE = (
    Requirement(0, 0),
    {"Candidate", "Schedulable"},
)
"""A VM that asks for nothing, and the filters that look at it all the same."""

BY_NAME = {filter_.name: filter_ for filter_ in FILTERS}


def alone(spec: HostSpec) -> Inventory:
    """An inventory with that host only; "closed" is in maintenance, "taken" has no GPU left.

    "apart" has another member of the rule, "together" has none, but a second host that is
    closed. "pooled" is in a cluster whose pool has 9 left, "spent" where it has nothing left.
    """
    found = inventory([spec])
    declare((APART, TOGETHER), found)
    if spec.name == "apart":
        found.claim(needs(need(cpus=0, memory_mib=0, rules=(APART,)), found), 0)
    if spec.name == "together":
        found.add([host("elsewhere")])
        found.claim(needs(need(cpus=0, memory_mib=0, rules=(TOGETHER,)), found), 1)
        found.set_state(1, HostState.MAINTENANCE)
    if spec.name in ("pooled", "spent"):
        own = Allocation(9, expandable=False)
        found.pools = Ledger((Pool("p", cpu=own, memory=own),))
        found.pools.take("cluster-1", "p", (9, 9) if spec.name == "spent" else (0, 0))
    if spec.name == "closed":
        found.set_state(0, HostState.MAINTENANCE)
    if spec.name == "taken":
        found.claim(needs(need(GPU), found), 0)
    return found


def test_every_filter_has_an_example() -> None:
    assert set(EXAMPLES) == {filter_.name for filter_ in FILTERS}
    assert len(BY_NAME) == len(FILTERS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_filter_accepts(name: str) -> None:
    requirement, good, _ = EXAMPLES[name]
    assert BY_NAME[name].test(requirement, alone(good))(0)


@pytest.mark.parametrize("name", EXAMPLES)
def test_filter_rejects(name: str) -> None:
    requirement, _, bad = EXAMPLES[name]
    assert not BY_NAME[name].test(requirement, alone(bad))(0)


@pytest.mark.parametrize("name", EXAMPLES)
def test_filter_applies_to_a_vm_that_asks_for_what_it_looks_at(name: str) -> None:
    assert BY_NAME[name].applies(EXAMPLES[name][0])
    assert BY_NAME[name].applies(IDLE[0]) is (name in IDLE[1])


@pytest.mark.parametrize("name", EXAMPLES)
def test_host_that_only_this_filter_rejects_is_not_chosen(name: str) -> None:
    requirement, good, bad = EXAMPLES[name]
    assert place(requirement, alone(good)) == 0
    assert place(requirement, alone(bad)) == -1


REFUSED_AS = {
    "OwnHost": "RestartOnCurrentHostRequired",
    "PoolCPU": "InsufficientCpuResourcesFault",
    "PoolMemory": "InsufficientMemoryResourcesFault",
    "VMHostRule": "VmHostAffinityRuleViolation",
    "AntiAffinity": "RuleViolation",
    "Affinity": "RuleViolation",
    "HardwareVersion": "VirtualHardwareVersionNotSupported",
    "CPUGeneration": "FeatureRequirementsNotMet",
    "VMotionNetwork": "VMotionNotConfigured",
    "VMotionLink": "VMotionLinkDown",
    "Datastore": "CannotAccessVmDisk",
    "Device": "CannotAccessVmDevice",
    "Schedulable": "InvalidHostState",
    "DeviceFree": "InsufficientGraphicsResourcesFault",
    "CPU": "InsufficientHostCpuCapacityFault",
    "Memory": "InsufficientHostMemoryCapacityFault",
    "CPUReservation": "InsufficientHostCpuCapacityFault",
    "MemoryReservation": "InsufficientHostMemoryCapacityFault",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_refusal_is_spelled_as_vsphere_spells_it(name: str) -> None:
    requirement, _, bad = EXAMPLES[name]
    refusals = Placer(alone(bad), BUILT_IN["first_fit"]).refusals(requirement)
    assert refusals.get(bad.name) == REFUSED_AS.get(name)


def place(requirement: Requirement, found: Inventory, policy: str = "first_fit") -> int:
    placer = Placer(found, BUILT_IN[policy])
    return placer.place(placer.shape(requirement))


def test_vm_that_belongs_to_a_cluster_stays_in_it() -> None:
    found = inventory([host("a", cluster="other"), host("b")])
    assert place(need(cluster="cluster-1"), found) == 1


def test_removed_host_is_no_candidate_and_gives_no_reason() -> None:
    found = inventory(hosts(2))
    found.set_state(0, HostState.REMOVED)
    placer = Placer(found, BUILT_IN["first_fit"])
    assert placer.place(placer.shape(need())) == 1
    assert placer.refusals(need(cpus=9)) == {"esx-2": "InsufficientHostCpuCapacityFault"}


def claimed(*vcpus: int) -> Inventory:
    """Hosts with 8 cores of which so many are taken, with 1 GiB of memory for each."""
    found = inventory(hosts(len(vcpus)))
    for row, cpus in enumerate(vcpus):
        found.claim(needs(need(cpus=cpus, memory_mib=cpus * GIB), found), row)
    return found


CHOICES: Mapping[str, tuple[tuple[int, ...], int]] = {
    "first_fit": ((7, 4, 6, 0), 1),
    "best_fit": ((7, 4, 6, 0), 2),
    "worst_fit": ((7, 4, 6, 0), 3),
    "most_free_cpu": ((7, 4, 6, 0), 3),
    "most_free_memory": ((7, 4, 6, 0), 3),
    "dot_product": ((7, 4, 6, 0), 3),
    "l2_norm": ((7, 4, 6, 0), 2),
    "fragmentation_gradient": ((7, 4, 6, 0), 1),
    "lifetime_aware": ((7, 4, 6, 0), 1),
}
"""By policy: taken vCPUs of each host, and the row that a VM with 2 vCPUs gets."""


def test_every_policy_has_an_example() -> None:
    assert set(CHOICES) == set(BUILT_IN)


@pytest.mark.parametrize("policy", CHOICES)
def test_policy_chooses(policy: str) -> None:
    taken, row = CHOICES[policy]
    assert place(need(), claimed(*taken), policy) == row


@pytest.mark.parametrize("policy", CHOICES)
def test_policy_chooses_no_host_that_does_not_fit(policy: str) -> None:
    assert place(need(), claimed(7, 8, 7), policy) == -1


@pytest.mark.parametrize("policy", BUILT_IN)
def test_tie_goes_to_the_lowest_row(policy: str) -> None:
    assert place(need(), claimed(8, 3, 3, 3), policy) == 1


@pytest.mark.parametrize("policy", BUILT_IN)
def test_no_hosts_means_no_row(policy: str) -> None:
    assert place(need(), inventory([]), policy) == -1


def test_worst_fit_goes_by_the_scarcer_of_cpu_and_memory() -> None:
    found = inventory(hosts(2))
    found.claim(needs(need(cpus=1, memory_mib=12 * GIB), found), 0)
    found.claim(needs(need(cpus=4, memory_mib=8 * GIB), found), 1)
    assert place(need(), found, "worst_fit") == 1


def test_most_free_goes_by_one_of_cpu_and_memory() -> None:
    found = inventory(hosts(2))
    found.claim(needs(need(cpus=1, memory_mib=12 * GIB), found), 0)
    found.claim(needs(need(cpus=4, memory_mib=8 * GIB), found), 1)
    chosen = [place(need(), found, f"most_free_{what}") for what in ("cpu", "memory")]
    assert chosen == [0, 1]


def test_placing_claims_nothing() -> None:
    found = inventory(hosts(1))
    place(need(), found)
    assert found.room[CPU].tolist() == [8]


def test_room_is_taken_for_what_is_asked_only() -> None:
    found = inventory([GPU_HOST])
    wanted = need(GPU, cpu_reservation_mhz=500)
    assert needs(wanted, found) == ((0, 2), (1, 4 * GIB), (2, 500), (found.resource(GPU), 1))


def test_equal_requirements_share_one_shape() -> None:
    placer = Placer(inventory(hosts(1)), BUILT_IN["first_fit"])
    assert placer.shape(need()) is placer.shape(need())
    assert placer.shape(need()) is not placer.shape(need(cpus=3))


def test_first_reason_of_a_host_is_one_that_waiting_cannot_change() -> None:
    found = inventory([host("esx-1"), GPU_HOST, host("esx-3", devices={GPU: 1})][::2])
    found.set_state(0, HostState.MAINTENANCE)
    found.set_state(1, HostState.MAINTENANCE)
    refusals = Placer(found, BUILT_IN["first_fit"]).refusals(need(GPU))
    assert refusals == {"esx-1": "CannotAccessVmDevice", "esx-3": "InvalidHostState"}


def test_refusals_follow_the_inventory() -> None:
    found = inventory(hosts(1))
    placer = Placer(found, BUILT_IN["first_fit"])
    assert placer.refusals(need()) == {}
    found.set_state(0, HostState.DOWN)
    assert placer.refusals(need()) == {"esx-1": "InvalidHostState"}
    found.add([host("esx-2", cpu_cores=1)])
    assert placer.refusals(need()) == {
        "esx-1": "InvalidHostState",
        "esx-2": "InsufficientHostCpuCapacityFault",
    }
    found.set_state(0, HostState.REMOVED)
    assert placer.refusals(need()) == {"esx-2": "InsufficientHostCpuCapacityFault"}


def test_summary_counts_by_fault_the_most_frequent_first() -> None:
    refusals = {"a": "X", "b": "Y", "c": "Y", "d": "A"}
    assert summary(refusals) == "2 Y, 1 A, 1 X"
    assert summary({}) == ""


ASKED = (
    need(),
    need(cpus=5),
    need(GPU),
    need(zones=("zone-2",)),
    need(only_host="esx-1"),
    need(cpus=0, memory_mib=0),
    need(rules=(APART,)),
    need(rules=(TOGETHER, KEPT_ON)),
    need(cpus=1, rules=(TOGETHER,)),
)


def test_each_change_is_seen_by_one_who_asked_just_before() -> None:
    found = inventory(hosts(2))
    shape, policy = Shape(need(), found), BUILT_IN["worst_fit"]
    wanted = needs(need(), found)
    assert shape.refresh(found, policy).tolist() == [1.0, 1.0]
    found.claim(wanted, 1)
    assert shape.refresh(found, policy).tolist() == [1.0, 0.75]
    found.release(wanted, 1)
    assert shape.refresh(found, policy).tolist() == [1.0, 1.0]
    found.set_state(0, HostState.DOWN)
    assert shape.refresh(found, policy).tolist() == [-np.inf, 1.0]
    found.add([host("esx-3")])
    assert shape.refresh(found, policy).tolist() == [-np.inf, 1.0, 1.0]
    found.set_state(1, HostState.REMOVED)
    assert shape.refresh(found, policy).tolist() == [-np.inf, -np.inf, 1.0]


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["claim", "claim", "release", "state", "add", "remove", "forget"]),
        st.integers(0, 50),
        st.sampled_from([0, 0, 0, *range(len(ASKED))]),
        st.sampled_from([s for s in HostState if s is not HostState.REMOVED]),
    ),
    min_size=10,
    max_size=40,
)


Change = tuple[str, int, int, HostState]


def change(found: Inventory, taken: list[Any], one: Change) -> None:
    what, number, asked, state = one
    row = number % len(found)
    if what == "claim":
        wanted = needs(ASKED[asked], found)
        found.claim(wanted, row)
        taken.append((wanted, row))
    elif what == "release" and taken:
        found.release(*taken.pop(number % len(taken)))
    elif what == "state" and found.states[row] is not HostState.REMOVED:
        found.set_state(row, state)
    elif what == "add":
        new = host(f"n{number}", zone=f"zone-{number % 3}", devices={GPU: number % 2})
        found.add([new] if new.name not in found.row_of else [])
    elif what == "remove" and found.states[row] is not HostState.REMOVED:
        found.set_state(row, HostState.REMOVED)
    elif what == "forget":
        found.forget(number % 4)


@pytest.mark.parametrize("policy", BUILT_IN)
@settings(max_examples=40)
@given(changes=CHANGES)
def test_remembered_scores_equal_a_fresh_rescore(policy: str, changes: list[Change]) -> None:
    found = inventory([host("esx-1", devices={GPU: 2}), *hosts(5)[1:]])
    declare((APART, TOGETHER), found)
    shapes = [Shape(requirement, found) for requirement in ASKED]
    taken: list[Any] = []
    for one in changes:
        change(found, taken, one)
        shape = shapes[one[2]]
        fresh = Shape(shape.requirement, found).refresh(found, BUILT_IN[policy])
        assert shape.refresh(found, BUILT_IN[policy]).tolist() == fresh.tolist()


def test_first_of_vms_that_keep_together_closes_all_other_hosts() -> None:
    found = inventory(hosts(3))
    declare((TOGETHER,), found)
    shape = Shape(need(rules=(TOGETHER,)), found)
    assert (shape.refresh(found, BUILT_IN["first_fit"]) == 0).all()
    found.claim(shape.needs, 1)
    assert shape.refresh(found, BUILT_IN["first_fit"]).tolist() == [-np.inf, 0, -np.inf]


@settings(max_examples=30)
@given(changes=CHANGES)
def test_placer_that_remembers_chooses_as_one_that_does_not(changes: list[Change]) -> None:
    found = inventory([host("esx-1", devices={GPU: 2}), *hosts(5)[1:]])
    declare((APART, TOGETHER), found)
    placer = Placer(found, BUILT_IN["worst_fit"])
    taken: list[Any] = []
    for one in changes:
        change(found, taken, one)
        wanted = ASKED[one[2]]
        assert placer.place(placer.shape(wanted)) == place(wanted, found, "worst_fit")
        assert placer.refusals(wanted) == Placer(found, BUILT_IN["first_fit"]).refusals(wanted)


def test_requirement_hashes_as_its_equals_and_is_pickled_without_its_hash() -> None:
    one, two = need(zones=("zone-1",)), need(zones=("zone-1",))
    assert hash(one) == hash(two)
    assert hash(replace(one, cpus=one.cpus + 1)) == hash(replace(two, cpus=two.cpus + 1))
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert again._hash == 0
