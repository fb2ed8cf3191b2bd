"""The cluster as its users meet it: it chooses hosts, keeps room, and says why when it cannot."""

from dataclasses import replace
from typing import Any

import pytest
from builders import GIB, GPU, World, host, hosts, need, unclaimed

from vmsim.actions import Fault, Observed, Verb
from vmsim.cluster import ClusterPolicy
from vmsim.evacuation import (
    EVICTION_POLICY,
    HOST_IN_MAINTENANCE,
    OWN_HOST_REQUIRED,
    RESTART_POLICY,
    Eviction,
)
from vmsim.faults import FaultRule
from vmsim.objects import HostState, PowerState

ON, OFF, SUSPENDED = PowerState.ON, PowerState.OFF, PowerState.SUSPENDED
BIG = need(cpus=8)


def world(count: int = 2, **other: Any) -> World:
    return World(hosts(count), **other)


def test_unknown_vm_is_absent_not_an_error() -> None:
    assert world().seen("ns/a") == Observed()


def test_created_vm_is_busy_at_once_and_there_after_its_time() -> None:
    made = world()
    made.cluster.create("ns/a", need(), False)
    assert made.seen("ns/a").busy is Verb.CREATE
    assert not made.seen("ns/a").exists
    made.settle()
    assert made.env.now == 30
    assert made.seen("ns/a").exists
    assert (made.seen("ns/a").host, made.seen("ns/a").zone) == ("esx-1", "zone-1")
    assert made.seen("ns/a").power is OFF


def test_vm_that_is_powered_on_runs_and_gets_an_address_after_its_boot() -> None:
    made = world()
    made.cluster.create("ns/a", need(), True)
    made.settle()
    made.cluster.power_on("ns/a")
    made.until(36)
    assert made.seen("ns/a").power is ON
    assert made.seen("ns/a").ip == ""
    made.settle()
    assert made.env.now == 65
    assert made.seen("ns/a").ip == "10.0.0.1"


def test_records_tell_of_tasks_and_of_what_became_of_them() -> None:
    made = world()
    made.running("ns/a")
    assert made.log() == [
        (0, "ns/a", "TaskStarted"),
        (30, "ns/a", "VmCreated"),
        (60 - 30, "ns/a", "TaskStarted"),
        (35, "ns/a", "VmPoweredOn"),
    ]


def test_every_end_of_a_task_is_told_as_one_that_was_asked_for() -> None:
    made = world()
    made.running("ns/a")
    assert made.changes == [("ns/a", True), ("ns/a", True), ("ns/a", False)]


def test_room_is_kept_from_the_creation_on_for_a_vm_that_will_run() -> None:
    made = world()
    made.cluster.create("ns/a", BIG, True)
    assert made.free() == [(0, 12 * GIB), (8, 16 * GIB)]
    made.settle()
    assert made.seen("ns/a").reserved
    assert made.free() == [(0, 12 * GIB), (8, 16 * GIB)]


def test_vm_that_stays_off_takes_no_room() -> None:
    made = world(1)
    for number in range(9):
        made.off(f"ns/{number}", BIG)
    assert made.free() == [(8, 16 * GIB)]


def test_two_vms_never_count_on_the_same_room() -> None:
    made = world()
    made.cluster.create("ns/a", BIG, True)
    made.cluster.create("ns/b", BIG, True)
    made.settle()
    assert (made.seen("ns/a").host, made.seen("ns/b").host) == ("esx-1", "esx-2")


def test_reserved_room_is_given_back_when_the_vm_is_turned_off_before_its_power_on() -> None:
    made = world(1)
    made.cluster.create("ns/a", BIG, True)
    made.settle()
    made.cluster.power_off("ns/a")
    assert not made.seen("ns/a").reserved
    assert made.seen("ns/a").busy is None
    assert made.free() == [(8, 16 * GIB)]


def test_resized_vm_takes_the_room_of_its_new_class_at_its_power_on() -> None:
    made = world(1)
    made.off("ns/a", need(class_name="small"))
    made.cluster.resize("ns/a", need(cpus=8, class_name="big"))
    assert (made.seen("ns/a").busy, made.seen("ns/a").class_name) == (Verb.RESIZE, "small")
    made.settle()
    assert made.seen("ns/a").class_name == "big"
    assert made.free() == [(8, 16 * GIB)]
    made.cluster.power_on("ns/a")
    assert made.free() == [(0, 12 * GIB)]
    assert made.log("VmReconfigured") == [(32.0, "ns/a", "VmReconfigured")]
    assert made.fleet.existing()[0].hardware.cpus == 8


def test_resized_vm_gives_up_the_room_that_was_kept_and_stays_in_its_cluster() -> None:
    specs = [host(), host("esx-2", cluster="cluster-2", datastores=("other",))]
    made = World(specs)
    made.cluster.create("ns/a", BIG, True)
    made.settle()
    made.cluster.resize("ns/a", need(class_name="small"))
    assert not made.seen("ns/a").reserved
    assert made.free()[0] == (8, 16 * GIB)
    made.settle()
    asked = made.fleet.guests["ns/a"].requirement
    assert (asked.cluster, asked.datastores, asked.cpus) == ("cluster-1", ("datastore-1",), 2)


def test_vm_that_waits_with_too_much_is_waited_for_no_more_when_it_is_resized() -> None:
    made = world(1)
    made.off("ns/a", need(cpus=99))
    made.cluster.power_on("ns/a")
    assert made.cluster.waiting
    made.cluster.acknowledge("ns/a")
    made.cluster.resize("ns/a", need())
    assert not made.cluster.waiting
    made.settle()
    made.cluster.power_on("ns/a")
    made.settle()
    assert made.seen("ns/a").power is ON


def test_resize_that_fails_leaves_the_vm_as_it_was() -> None:
    rule = FaultRule("fail", Verb.RESIZE.value)
    made = world(1, faults=[rule])
    made.off("ns/a", need(class_name="small"))
    made.cluster.resize("ns/a", need(cpus=8, class_name="big"))
    made.settle()
    seen = made.seen("ns/a")
    assert (str(seen.fault), seen.class_name) == (
        "GenericVmConfigFault: injected by the scenario",
        "small",
    )
    assert made.fleet.existing()[0].hardware.cpus == 2


@pytest.mark.parametrize("verb", ["power_off", "suspend"])
def test_vm_that_stops_gives_its_room_back(verb: str) -> None:
    made = world(1)
    made.running("ns/a", BIG)
    getattr(made.cluster, verb)("ns/a")
    assert made.free() == [(0, 12 * GIB)]
    made.settle()
    assert made.free() == [(8, 16 * GIB)]
    assert made.seen("ns/a").power is (OFF if verb == "power_off" else SUSPENDED)
    assert made.seen("ns/a").ip == ""


def test_suspended_vm_may_go_on_and_takes_its_room_again() -> None:
    made = world(1)
    made.running("ns/a", BIG)
    made.cluster.suspend("ns/a")
    made.settle()
    made.cluster.power_on("ns/a")
    made.settle()
    assert made.seen("ns/a").power is ON
    assert made.free() == [(0, 12 * GIB)]


def test_destroyed_vm_is_absent_and_leaves_nothing() -> None:
    made = world(1)
    made.off("ns/a")
    made.cluster.destroy("ns/a")
    made.settle()
    assert made.seen("ns/a") == Observed()
    assert made.fleet.guests == {}
    assert made.fleet.residents == [{}]


def test_destroying_a_vm_that_was_never_powered_on_gives_its_room_back() -> None:
    made = world(1)
    made.cluster.create("ns/a", BIG, True)
    made.settle()
    made.cluster.destroy("ns/a")
    made.settle()
    assert made.free() == [(8, 16 * GIB)]


def test_vm_is_powered_on_elsewhere_when_its_host_is_full() -> None:
    made = world()
    made.off("ns/a")
    made.running("ns/b", BIG)
    made.cluster.power_on("ns/a")
    made.settle()
    assert (made.seen("ns/a").power, made.seen("ns/a").host) == (ON, "esx-2")
    assert list(made.fleet.residents[1]) == ["ns/a"]
    assert list(made.fleet.residents[0]) == ["ns/b"]


def test_vm_whose_reserved_host_closed_is_powered_on_elsewhere() -> None:
    made = world()
    made.cluster.create("ns/a", BIG, True)
    made.settle()
    made.inventory.set_state(0, HostState.MAINTENANCE)
    made.cluster.power_on("ns/a")
    made.settle()
    assert made.seen("ns/a").host == "esx-2"
    assert made.free() == [(8, 16 * GIB), (0, 12 * GIB)]


def test_power_on_without_a_host_leaves_a_fault_with_the_reasons_counted() -> None:
    made = world(3)
    made.off("ns/a", BIG)
    made.running("ns/b", BIG)
    made.inventory.set_state(1, HostState.MAINTENANCE)
    made.inventory.set_state(2, HostState.DOWN)
    made.cluster.power_on("ns/a")
    summary = "2 InvalidHostState, 1 InsufficientHostCpuCapacityFault"
    assert made.seen("ns/a").fault == Fault("NoCompatibleHost", summary)
    assert made.seen("ns/a").busy is None
    assert made.records[-1].data == {
        "verb": "PowerOnVM",
        "summary": summary,
        "hosts": {
            "esx-1": "InsufficientHostCpuCapacityFault",
            "esx-2": "InvalidHostState",
            "esx-3": "InvalidHostState",
        },
    }


def test_same_refusal_is_recorded_once() -> None:
    made = world(1)
    made.off("ns/a", need(cpus=9))
    for _ in range(3):
        made.cluster.power_on("ns/a")
        made.cluster.acknowledge("ns/a")
    assert len(made.log("NoCompatibleHost")) == 1


def test_refusal_is_recorded_again_when_its_reasons_change() -> None:
    made = world(1)
    made.off("ns/a", need(cpus=9))
    made.cluster.power_on("ns/a")
    made.inventory.set_state(0, HostState.DOWN)
    made.cluster.power_on("ns/a")
    assert len(made.log("NoCompatibleHost")) == 2


def test_acknowledged_fault_is_forgotten() -> None:
    made = world(1)
    made.off("ns/a", need(cpus=9))
    made.cluster.power_on("ns/a")
    made.cluster.acknowledge("ns/a")
    assert made.seen("ns/a").fault is None


def test_vm_without_room_in_its_only_cluster_is_made_all_the_same() -> None:
    made = world(1)
    made.running("ns/a", BIG)
    made.cluster.create("ns/b", BIG, True)
    made.settle()
    assert made.seen("ns/b").exists
    assert not made.seen("ns/b").reserved
    made.cluster.power_on("ns/b")
    assert made.seen("ns/b").fault == Fault(
        "NoCompatibleHost", "1 InsufficientHostCpuCapacityFault"
    )


def test_vm_whose_device_is_taken_is_made_all_the_same_in_its_only_cluster() -> None:
    made = World([host(devices={GPU: 1})])
    made.running("ns/a", need(GPU))
    made.cluster.create("ns/b", need(GPU), True)
    made.settle()
    assert made.seen("ns/b").exists
    made.cluster.power_on("ns/b")
    fault = Fault("NoCompatibleHost", "1 InsufficientGraphicsResourcesFault")
    assert made.seen("ns/b").fault == fault


def test_vm_without_room_in_any_of_several_clusters_is_not_made() -> None:
    made = World([host("a", cluster="one"), host("b", cluster="two")])
    for vm in ("ns/a", "ns/b"):
        made.running(vm, BIG)
    made.cluster.create("ns/c", BIG, True)
    made.settle()
    assert not made.seen("ns/c").exists
    assert str(made.seen("ns/c").fault) == "NoCompatibleHost: 2 InsufficientHostCpuCapacityFault"


def test_only_clusters_in_the_zones_of_the_vm_are_candidates() -> None:
    made = World([host("a", cluster="one"), host("b", cluster="two", zone="zone-2")])
    made.running("ns/a", BIG)
    made.cluster.create("ns/c", replace(BIG, zones=("zone-1",)), True)
    made.settle()
    assert made.seen("ns/c").exists


def test_vm_stays_in_the_cluster_that_it_was_made_in() -> None:
    made = World([host("a", cluster="one"), host("b", cluster="two")])
    made.running("ns/a", BIG)
    made.cluster.power_off("ns/a")
    made.settle()
    made.running("ns/b", replace(BIG, cluster="one"))
    made.cluster.power_on("ns/a")
    assert str(made.seen("ns/a").fault) == "NoCompatibleHost: 1 InsufficientHostCpuCapacityFault"


def test_vm_stays_on_the_datastore_that_it_was_made_on() -> None:
    made = World([host("a", datastores=("fast", "slow")), host("b", datastores=("slow",))])
    made.off("ns/a", replace(BIG, datastores=("slow", "fast")))
    made.running("ns/b", BIG)
    made.cluster.power_on("ns/a")
    assert str(made.seen("ns/a").fault) == (
        "NoCompatibleHost: 1 CannotAccessVmDisk, 1 InsufficientHostCpuCapacityFault"
    )


POLICY = ClusterPolicy(eviction=Eviction.POLICY)


def evicted(*more: str) -> World:
    """Two hosts; a GPU VM was powered off by the maintenance of esx-1, under the policy."""
    made = World(hosts(2, devices={GPU: 1}), policy=POLICY)
    made.running("ns/a", need(GPU, policies=(EVICTION_POLICY, *more)))
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert made.state("esx-1") == "Maintenance"
    assert made.seen("ns/a").power is OFF
    made.cluster.power_on("ns/a")
    return made


def test_evicted_vm_waits_for_its_own_host() -> None:
    made = evicted()
    fault = made.seen("ns/a").fault
    assert fault is not None
    assert fault.name == "NoCompatibleHost"
    assert fault.message == "1 InvalidHostState, 1 RestartOnCurrentHostRequired"
    assert fault.keys == (HOST_IN_MAINTENANCE, OWN_HOST_REQUIRED)


def test_evicted_vm_starts_on_its_own_host_when_that_is_back() -> None:
    made = evicted()
    made.hosts.exit_maintenance("esx-1")
    made.settle()
    made.cluster.power_on("ns/a")
    made.settle()
    assert (made.seen("ns/a").power, made.seen("ns/a").host) == (ON, "esx-1")


def test_evicted_vm_with_the_restart_policy_starts_anywhere() -> None:
    made = evicted(RESTART_POLICY)
    made.settle()
    assert (made.seen("ns/a").power, made.seen("ns/a").host) == (ON, "esx-2")


def test_evicted_vm_that_runs_again_is_an_ordinary_one() -> None:
    made = evicted()
    made.hosts.exit_maintenance("esx-1")
    made.settle()
    made.cluster.power_on("ns/a")
    made.settle()
    made.cluster.power_off("ns/a")
    made.settle()
    made.inventory.set_state(0, HostState.MAINTENANCE)
    made.cluster.power_on("ns/a")
    made.settle()
    assert made.seen("ns/a").host == "esx-2"


def test_vm_that_waits_is_woken_when_room_comes_free() -> None:
    made = world(1)
    made.running("ns/a", BIG)
    made.off("ns/b", BIG)
    made.cluster.power_on("ns/b")
    made.settle()
    assert made.woken == []
    assert made.cluster.waiting
    made.cluster.power_off("ns/a")
    made.settle()
    assert made.woken == ["ns/b"]
    assert not made.cluster.waiting


def test_vm_that_waited_longest_is_woken_first_and_all_that_fit_are() -> None:
    made = world(1)
    made.running("ns/a", BIG)
    for vm in ("ns/b", "ns/c", "ns/d"):
        made.off(vm, need(cpus=4))
        made.cluster.power_on(vm)
    made.cluster.wake = lambda key: (made.woken.append(key), made.cluster.power_on(key))[0]
    made.cluster.power_off("ns/a")
    made.settle()
    assert made.woken == ["ns/b", "ns/c"]
    assert made.cluster.waiting


def faulty(verb: Verb, kind: Any = "fail") -> World:
    return World(hosts(2), faults=[FaultRule(kind, verb=verb.value, max_hits=1)])


@pytest.mark.parametrize("kind", ["fail", "drop"])
@pytest.mark.parametrize(
    ("verb", "reserved"), [(Verb.CREATE, 8), (Verb.POWER_ON, 8), (Verb.POWER_OFF, 6)]
)
def test_task_that_fails_leaves_a_fault_and_no_room_taken(
    verb: Verb, reserved: int, kind: Any
) -> None:
    made = faulty(verb, kind)
    made.running("ns/a") if verb is not Verb.CREATE else made.cluster.create("ns/a", need(), True)
    if verb is Verb.POWER_OFF:
        made.cluster.power_off("ns/a")
    made.settle()
    fault = made.seen("ns/a").fault
    assert fault is not None
    assert fault.name == ("GenericVmConfigFault" if kind == "fail" else "TaskTimeout")
    assert made.seen("ns/a").busy is None
    assert made.free()[0][0] == reserved
    assert unclaimed(made.fleet) == []


@pytest.mark.parametrize("verb", [Verb.SUSPEND, Verb.DESTROY])
def test_failed_task_changes_nothing_about_the_vm(verb: Verb) -> None:
    made = faulty(verb)
    made.running("ns/a") if verb is Verb.SUSPEND else made.off("ns/a")
    before = made.free()
    made.cluster.suspend("ns/a") if verb is Verb.SUSPEND else made.cluster.destroy("ns/a")
    made.settle()
    assert made.seen("ns/a").exists
    assert made.seen("ns/a").power is (ON if verb is Verb.SUSPEND else OFF)
    assert made.free() == before
    assert unclaimed(made.fleet) == []


def test_failed_power_on_can_be_asked_for_again() -> None:
    made = faulty(Verb.POWER_ON)
    made.running("ns/a")
    made.cluster.acknowledge("ns/a")
    made.cluster.power_on("ns/a")
    made.settle()
    assert made.seen("ns/a").power is ON
    assert made.seen("ns/a").fault is None


def test_failed_creation_can_be_asked_for_again() -> None:
    made = faulty(Verb.CREATE)
    made.off("ns/a")
    assert not made.seen("ns/a").exists
    made.off("ns/a")
    assert made.seen("ns/a").exists


def test_every_vm_has_its_own_address() -> None:
    made = world(3)
    found = {made.running(f"ns/{number}", need(cpus=1)).ip for number in range(9)}
    assert len(found) == 9
