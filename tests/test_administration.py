"""Hosts are emptied, fail, return, join and leave; every VM gets what the page promises it."""

from dataclasses import replace
from typing import Any

import pytest
from builders import GIB, GPU, PASSTHROUGH, World, host, hosts, need, unclaimed

from vmsim.actions import Verb
from vmsim.cluster import ClusterPolicy
from vmsim.durations import Durations
from vmsim.evacuation import EVICTION_POLICY, Eviction
from vmsim.faults import FaultRule
from vmsim.ha import Settings
from vmsim.hosts import Refused
from vmsim.objects import PowerState
from vmsim.vmotion import Limits, concurrent

ON, OFF = PowerState.ON, PowerState.OFF
BIG = need(cpus=8)
SMALL = need(cpus=1, memory_mib=GIB)
POWER_OFF = ClusterPolicy(eviction=Eviction.POWER_OFF)
BLOCK = ClusterPolicy(eviction=Eviction.BLOCK)


def world(count: int = 2, **other: Any) -> World:
    return World(hosts(count), **other)


def at(made: World, second: float, vm: str = "ns/a") -> str:
    """Where the VM is at that second, "" unless it runs."""
    made.until(second)
    return made.seen(vm).host if made.seen(vm).power is ON else ""


def test_empty_host_enters_maintenance_after_its_time() -> None:
    made = world()
    made.hosts.enter_maintenance("esx-1")
    assert made.state("esx-1") == "EnteringMaintenance"
    made.until(9.9)
    assert made.state("esx-1") == "EnteringMaintenance"
    made.settle()
    assert made.state("esx-1") == "Maintenance"
    assert made.env.now == 10


def test_running_vm_is_migrated_and_the_host_enters_after_that() -> None:
    made = world()
    made.running("ns/a")
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert made.log()[-4:] == [
        (65, "esx-1", "EnteringMaintenanceMode"),
        (65, "ns/a", "TaskStarted"),
        (75, "ns/a", "VmMigrated"),
        (85, "esx-1", "EnteredMaintenanceMode"),
    ]
    assert (made.seen("ns/a").host, made.seen("ns/a").power) == ("esx-2", ON)
    assert made.free() == [(8, 16 * GIB), (6, 12 * GIB)]


def test_migrating_vm_keeps_running_and_holds_room_on_both_hosts() -> None:
    made = world()
    made.running("ns/a")
    made.hosts.enter_maintenance("esx-1")
    assert made.seen("ns/a").busy is Verb.MIGRATE
    assert made.seen("ns/a").power is ON
    assert made.free() == [(6, 12 * GIB), (6, 12 * GIB)]


def test_migration_keeps_the_address() -> None:
    made = world()
    before = made.running("ns/a").ip
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert made.seen("ns/a").ip == before


def test_vm_that_does_not_run_stays_on_the_host() -> None:
    made = world()
    made.off("ns/a")
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert made.state("esx-1") == "Maintenance"
    assert made.seen("ns/a").host == "esx-1"


@pytest.mark.parametrize(("nic_mbps", "limit"), [(25_000, 8), (10_000, 8), (9_999, 4), (1_000, 4)])
def test_so_many_migrations_run_at_once(nic_mbps: int, limit: int) -> None:
    assert concurrent(nic_mbps, Limits()) == limit
    made = World(hosts(3, cpu_cores=32, memory_mib=64 * GIB, nic_mbps=nic_mbps))
    for number in range(10):
        made.running(f"ns/{number}", SMALL)
    begun = made.env.now
    made.hosts.enter_maintenance("esx-1")
    assert sum(guest.busy is Verb.MIGRATE for guest in made.fleet.guests.values()) == limit
    made.settle()
    ends = [t - begun for t, _, _ in made.log("VmMigrated")]
    assert ends == [10.0] * limit + [20.0] * min(limit, 10 - limit) + [30.0] * max(
        0, 10 - 2 * limit
    )
    assert made.state("esx-1") == "Maintenance"


def test_vm_that_cannot_move_is_powered_off_under_drs_poweroff() -> None:
    made = World(hosts(2, devices={GPU: 1}), policy=POWER_OFF)
    made.running("ns/a", need(GPU))
    made.hosts.enter_maintenance("esx-1")
    assert made.seen("ns/a").busy is Verb.POWER_OFF
    made.settle()
    assert made.seen("ns/a").power is OFF
    assert made.seen("ns/a").host == "esx-1"
    assert made.state("esx-1") == "Maintenance"
    assert made.free() == [(8, 16 * GIB), (8, 16 * GIB)]


def test_evicted_vm_may_start_on_another_host_under_drs_poweroff() -> None:
    made = World(hosts(2, devices={GPU: 1}), policy=POWER_OFF)
    made.running("ns/a", need(GPU))
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    made.cluster.power_on("ns/a")
    made.settle()
    assert (made.seen("ns/a").power, made.seen("ns/a").host) == (ON, "esx-2")


def test_vgpu_vm_is_migrated_where_that_is_on_and_a_passthrough_vm_is_not() -> None:
    hot = ClusterPolicy(eviction=Eviction.BLOCK, vgpu_hot_migrate=True)
    made = World(hosts(2, devices={GPU: 1, PASSTHROUGH: 1}), policy=hot)
    made.running("ns/vgpu", need(GPU))
    made.running("ns/pass", need(PASSTHROUGH))
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert made.seen("ns/vgpu").host == "esx-2"
    assert made.hosts.blockers("esx-1") == {"ns/pass": "DisallowedMigrationDeviceAttached"}


def blocked() -> World:
    """Two hosts; esx-1 cannot enter maintenance because of a GPU VM."""
    made = World(hosts(2, devices={GPU: 1}), policy=BLOCK)
    made.running("ns/a", need(GPU))
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    return made


def test_vm_that_cannot_move_holds_the_host_up_under_block() -> None:
    made = blocked()
    assert made.state("esx-1") == "EnteringMaintenance"
    assert made.seen("ns/a").power is ON
    assert made.hosts.blockers("esx-1") == {"ns/a": "DisallowedMigrationDeviceAttached"}
    assert made.records[-1].kind == "EvacuationBlocked"
    assert made.records[-1].data == {"vms": {"ns/a": "DisallowedMigrationDeviceAttached"}}


@pytest.mark.parametrize("who", ["administrator", "user"])
def test_blocked_host_enters_when_its_vm_is_powered_off(who: str) -> None:
    made = blocked()
    made.hosts.power_off("ns/a") if who == "administrator" else made.cluster.power_off("ns/a")
    made.settle()
    assert made.state("esx-1") == "Maintenance"
    assert made.hosts.blockers("esx-1") == {}


def test_blocked_host_opens_when_maintenance_is_called_off() -> None:
    made = blocked()
    made.hosts.exit_maintenance("esx-1")
    assert made.state("esx-1") == "Up"
    assert made.seen("ns/a").power is ON
    assert made.hosts.blockers("esx-1") == {}


def test_untagged_vm_blocks_and_a_tagged_one_is_powered_off_under_the_policy() -> None:
    policy = ClusterPolicy(eviction=Eviction.POLICY)
    made = World(hosts(2, devices={GPU: 2}), policy=policy)
    made.running("ns/plain", need(GPU))
    made.running("ns/tagged", need(GPU, policies=(EVICTION_POLICY,)))
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert list(made.hosts.blockers("esx-1")) == ["ns/plain"]
    assert made.seen("ns/tagged").power is OFF


def crowded() -> World:
    """Two full hosts; esx-1 cannot enter maintenance because esx-2 has no room."""
    made = world()
    made.running("ns/a", BIG)
    made.running("ns/b", BIG)
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert made.state("esx-1") == "EnteringMaintenance"
    assert made.hosts.blockers("esx-1") == {
        "ns/a": "NoCompatibleHost: 1 InsufficientHostCpuCapacityFault, 1 InvalidHostState"
    }
    return made


def test_drain_goes_on_when_another_vm_makes_room() -> None:
    made = crowded()
    made.cluster.power_off("ns/b")
    made.settle()
    assert made.state("esx-1") == "Maintenance"
    assert made.seen("ns/a").host == "esx-2"


def test_drain_goes_on_when_a_host_is_added() -> None:
    made = crowded()
    made.hosts.add(host("esx-3"))
    made.settle()
    assert made.state("esx-1") == "Maintenance"
    assert made.seen("ns/a").host == "esx-3"


def test_drain_goes_on_when_a_host_leaves_maintenance() -> None:
    made = world(3)
    made.hosts.enter_maintenance("esx-3")
    made.running("ns/a", BIG)
    made.running("ns/b", BIG)
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert made.state("esx-1") == "EnteringMaintenance"
    made.hosts.exit_maintenance("esx-3")
    made.settle()
    assert made.state("esx-1") == "Maintenance"
    assert made.seen("ns/a").host == "esx-3"


def test_drain_goes_on_when_a_failed_host_returns() -> None:
    made = world(3)
    made.hosts.fail("esx-3")
    made.running("ns/a", BIG)
    made.running("ns/b", BIG)
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    made.hosts.recover("esx-3")
    made.settle()
    assert made.seen("ns/a").host == "esx-3"


def test_drain_gives_up_after_its_time_out_and_the_host_opens() -> None:
    made = world()
    made.running("ns/a", BIG)
    made.running("ns/b", BIG)
    begun = made.env.now
    made.hosts.enter_maintenance("esx-1", timeout_s=100)
    made.until(begun + 99)
    assert made.state("esx-1") == "EnteringMaintenance"
    made.settle()
    assert made.state("esx-1") == "Up"
    assert made.log()[-2:] == [
        (begun + 100, "esx-1", "MaintenanceFailed"),
        (begun + 100, "esx-1", "ExitMaintenanceMode"),
    ]


def test_time_out_of_a_drain_that_ended_does_nothing() -> None:
    made = world()
    made.hosts.enter_maintenance("esx-1", timeout_s=100)
    made.settle()
    assert made.state("esx-1") == "Maintenance"


def test_time_out_of_an_earlier_drain_does_not_end_a_later_one() -> None:
    made = crowded()
    made.hosts.exit_maintenance("esx-1")
    begun = made.env.now
    made.hosts.enter_maintenance("esx-1", timeout_s=100)
    made.hosts.exit_maintenance("esx-1")
    made.until(begun + 50)
    made.hosts.enter_maintenance("esx-1", timeout_s=100)
    assert made.state("esx-1") == "EnteringMaintenance"
    made.until(begun + 120)
    assert made.state("esx-1") == "EnteringMaintenance"
    made.until(begun + 151)
    assert made.state("esx-1") == "Up"


def test_exit_during_a_drain_opens_the_host_and_lets_the_migration_end() -> None:
    made = world()
    made.running("ns/a")
    made.hosts.enter_maintenance("esx-1")
    made.until(70)
    made.hosts.exit_maintenance("esx-1")
    assert made.state("esx-1") == "Up"
    made.settle()
    assert made.state("esx-1") == "Up"
    assert made.seen("ns/a").host == "esx-2"


def test_exit_is_refused_in_the_moment_of_entering() -> None:
    made = world()
    made.hosts.enter_maintenance("esx-1")
    made.until(5)
    with pytest.raises(Refused, match="InvalidState"):
        made.hosts.exit_maintenance("esx-1")


def test_host_leaves_maintenance_after_its_time() -> None:
    made = world()
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    made.hosts.exit_maintenance("esx-1")
    made.until(19.9)
    assert made.state("esx-1") == "Maintenance"
    made.settle()
    assert made.state("esx-1") == "Up"
    assert made.env.now == 20


def test_closed_host_gets_no_new_vm() -> None:
    made = world()
    made.hosts.enter_maintenance("esx-1")
    made.running("ns/a")
    assert made.seen("ns/a").host == "esx-2"


@pytest.mark.parametrize("verb", ["create", "power on", "migrate", "restart"])
def test_host_does_not_enter_maintenance_while_a_vm_is_on_its_way_to_it(verb: str) -> None:
    slow = FaultRule("delay", host="esx-2", delay_s=100)
    made = world(2, faults=[slow])
    if verb == "create":
        made.hosts.fail("esx-1")
        made.cluster.create("ns/a", BIG, True)
    elif verb == "power on":
        made.off("ns/a")
        made.running("ns/b", BIG)
        made.cluster.power_on("ns/a")
    else:
        made.running("ns/a")
        made.hosts.enter_maintenance("esx-1") if verb == "migrate" else made.hosts.fail("esx-1")
        made.until(made.env.now + 36)
    assert made.seen("ns/a").busy is not None
    made.hosts.enter_maintenance("esx-2")
    while made.seen("ns/a").busy is not None:
        assert made.state("esx-2") == "EnteringMaintenance"
        made.env.step()
    assert made.seen("ns/a").host == "esx-2"
    made.settle()
    assert made.state("esx-2") == ("Maintenance" if verb == "create" else "EnteringMaintenance")


def test_failed_host_drops_its_vms_and_ha_restarts_them_elsewhere() -> None:
    made = world()
    made.running("ns/a")
    begun = made.env.now
    made.hosts.fail("esx-1")
    lost = made.seen("ns/a")
    assert (lost.power, lost.connected, lost.ip, lost.host) == (OFF, False, "", "esx-1")
    assert made.free() == [(8, 16 * GIB), (8, 16 * GIB)]
    made.settle()
    assert made.log("HostConnectionLost", "TaskStarted", "VmPoweredOn")[-3:] == [
        (begun, "esx-1", "HostConnectionLost"),
        (begun + 35, "ns/a", "TaskStarted"),
        (begun + 40, "ns/a", "VmPoweredOn"),
    ]
    assert (made.seen("ns/a").host, made.seen("ns/a").connected) == ("esx-2", True)
    assert made.seen("ns/a").power is ON


def test_nothing_restarts_vms_without_ha() -> None:
    made = world(policy=ClusterPolicy(ha=Settings(enabled=False)))
    made.running("ns/a")
    made.hosts.fail("esx-1")
    made.settle()
    assert made.seen("ns/a").power is OFF


def test_vm_that_was_off_is_not_restarted() -> None:
    made = world()
    made.off("ns/a")
    made.hosts.fail("esx-1")
    made.settle()
    assert made.seen("ns/a").power is OFF
    assert not made.seen("ns/a").connected


def test_restart_waits_for_room() -> None:
    made = world()
    made.running("ns/a", BIG)
    made.running("ns/b", BIG)
    made.hosts.fail("esx-1")
    made.settle()
    assert made.seen("ns/a").power is OFF
    assert any(made.hosts.waiting)
    made.cluster.power_off("ns/b")
    made.settle()
    assert (made.seen("ns/a").power, made.seen("ns/a").host) == (ON, "esx-2")


def test_restart_happens_when_the_host_returns() -> None:
    made = world(1)
    made.running("ns/a")
    made.hosts.fail("esx-1")
    made.until(made.env.now + 500)
    assert made.seen("ns/a").power is OFF
    made.hosts.recover("esx-1")
    assert made.seen("ns/a").connected
    made.settle()
    assert (made.seen("ns/a").power, made.seen("ns/a").host) == (ON, "esx-1")


def test_subscribers_hear_of_lost_and_returned_vms() -> None:
    made = world(1)
    made.off("ns/a")
    made.changes.clear()
    made.hosts.fail("esx-1")
    made.hosts.recover("esx-1")
    assert made.changes == [("ns/a", False), ("ns/a", False)]


def test_vm_deleted_while_it_waits_for_a_restart_is_forgotten() -> None:
    made = world()
    made.running("ns/a", BIG)
    made.running("ns/b", BIG)
    made.hosts.fail("esx-1")
    made.settle()
    made.cluster.destroy("ns/a")
    made.settle()
    made.hosts.recover("esx-1")
    made.settle()
    assert not made.seen("ns/a").exists
    assert not any(made.hosts.waiting)


def migrating() -> World:
    """A migration from esx-1 to esx-2 under way, of three hosts; restarts go to esx-3."""
    made = world(3)
    made.running("ns/a")
    made.hosts.enter_maintenance("esx-1")
    made.until(70)
    assert made.seen("ns/a").busy is Verb.MIGRATE
    return made


def test_failing_source_of_a_migration_loses_the_vm_and_frees_both_rooms() -> None:
    made = migrating()
    made.hosts.fail("esx-1")
    assert made.seen("ns/a").busy is None
    assert made.seen("ns/a").power is OFF
    assert made.free() == [(8, 16 * GIB)] * 3
    made.settle()
    assert made.seen("ns/a").power is ON
    assert made.seen("ns/a").host == "esx-2"
    assert unclaimed(made.fleet) == []


def test_failing_destination_of_a_migration_costs_another_migration() -> None:
    made = migrating()
    made.hosts.fail("esx-2")
    assert made.seen("ns/a").power is ON
    assert made.seen("ns/a").connected
    made.settle()
    assert (made.seen("ns/a").host, made.seen("ns/a").power) == ("esx-3", ON)
    assert made.state("esx-1") == "Maintenance"
    assert made.free() == [(8, 16 * GIB), (8, 16 * GIB), (6, 12 * GIB)]


def test_failing_destination_of_a_power_on_leaves_a_fault_for_the_vm_role() -> None:
    made = world()
    made.cluster.create("ns/a", need(), True)
    made.settle()
    made.cluster.power_on("ns/a")
    made.hosts.fail("esx-1")
    fault = made.seen("ns/a").fault
    assert fault is not None
    assert fault.name == "HostNotConnected"
    assert made.free() == [(8, 16 * GIB)] * 2


def test_failing_host_of_a_creation_leaves_no_vm_and_no_room_taken() -> None:
    made = world()
    made.cluster.create("ns/a", need(), True)
    made.hosts.fail("esx-1")
    made.settle()
    assert not made.seen("ns/a").exists
    assert made.free() == [(8, 16 * GIB)] * 2


def test_failing_host_in_the_moment_of_entering_is_down() -> None:
    made = world()
    made.hosts.enter_maintenance("esx-1")
    made.until(5)
    made.hosts.fail("esx-1")
    made.settle()
    assert made.state("esx-1") == "NotResponding"


@pytest.mark.parametrize("kind", ["fail", "drop"])
@pytest.mark.parametrize("verb", [Verb.MIGRATE, Verb.POWER_OFF])
def test_evacuation_task_that_fails_is_tried_again_and_keeps_no_room(verb: Verb, kind: Any) -> None:
    once = FaultRule(kind, verb=verb.value, max_hits=1)
    made = World(hosts(2, devices={GPU: 1}), policy=POWER_OFF, faults=[once])
    made.running("ns/a", need(GPU) if verb is Verb.POWER_OFF else need())
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert made.state("esx-1") == "Maintenance"
    assert len(made.log("TaskFailed")) == 1
    assert made.seen("ns/a").fault is None
    assert unclaimed(made.fleet) == []


def test_restart_that_fails_is_tried_again_and_keeps_no_room() -> None:
    once = FaultRule("fail", verb="PowerOnVM", host="esx-2", max_hits=1)
    made = world(faults=[once])
    made.running("ns/a")
    made.hosts.fail("esx-1")
    made.settle()
    assert (made.seen("ns/a").power, made.seen("ns/a").host) == (ON, "esx-2")
    assert made.free() == [(8, 16 * GIB), (6, 12 * GIB)]


def test_live_migration_needs_a_host_as_new_as_the_one_the_vm_started_on() -> None:
    made = World([host("new", cpu_generation=3), host("old", cpu_generation=2)])
    made.running("ns/a")
    made.hosts.enter_maintenance("new")
    made.settle()
    assert made.hosts.blockers("new") == {
        "ns/a": "NoCompatibleHost: 1 FeatureRequirementsNotMet, 1 InvalidHostState"
    }
    made.hosts.add(replace(host("newer"), cpu_generation=4))
    made.settle()
    assert made.seen("ns/a").host == "newer"


def test_added_host_is_empty_open_and_used() -> None:
    made = world(1)
    made.running("ns/a", BIG)
    made.hosts.add(host("esx-9"))
    made.running("ns/b", BIG)
    assert made.seen("ns/b").host == "esx-9"
    assert made.log("HostAdded") == [(65, "esx-9", "HostAdded")]


def test_empty_host_in_maintenance_may_be_removed_and_its_name_used_again() -> None:
    made = world()
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    made.hosts.remove("esx-1")
    assert "esx-1" not in made.inventory.row_of
    made.hosts.add(host("esx-1"))
    made.running("ns/a", BIG)
    made.running("ns/b", BIG)
    assert {made.seen(vm).host for vm in ("ns/a", "ns/b")} == {"esx-1", "esx-2"}


def test_host_that_failed_may_be_removed_when_its_vms_are_elsewhere() -> None:
    made = world()
    made.running("ns/a")
    made.hosts.fail("esx-1")
    with pytest.raises(Refused, match="ResourceInUse"):
        made.hosts.remove("esx-1")
    made.settle()
    made.hosts.remove("esx-1")
    assert list(made.inventory.row_of) == ["esx-2"]


def refusing(made: World, act: str, *arguments: Any) -> str:
    with pytest.raises(Refused) as caught:
        getattr(made.hosts, act)(*arguments)
    return str(caught.value)


def test_refusals_of_a_host_that_is_up() -> None:
    made = world()
    assert refusing(made, "exit_maintenance", "esx-1") == "InvalidState: host esx-1 is Up"
    assert refusing(made, "recover", "esx-1") == "InvalidState: host esx-1 is Up"
    assert refusing(made, "remove", "esx-1") == "InvalidState: host esx-1 is Up"
    assert refusing(made, "add", host("esx-1")) == "DuplicateName: host esx-1 is there already"


def test_refusals_of_a_host_that_is_down() -> None:
    made = world()
    made.hosts.fail("esx-1")
    for act in ("fail", "enter_maintenance", "exit_maintenance"):
        assert refusing(made, act, "esx-1") == "InvalidState: host esx-1 is NotResponding"


def test_refusals_of_a_host_in_maintenance() -> None:
    made = world()
    made.off("ns/a")
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert refusing(made, "enter_maintenance", "esx-1") == "InvalidState: host esx-1 is Maintenance"
    assert refusing(made, "remove", "esx-1") == "ResourceInUse: VMs still belong to host esx-1"


@pytest.mark.parametrize(
    "act", ["enter_maintenance", "exit_maintenance", "fail", "recover", "remove"]
)
def test_unknown_host_is_refused(act: str) -> None:
    assert refusing(world(), act, "none") == "ManagedObjectNotFound: there is no host none"


def test_administrator_can_power_off_only_what_runs_and_is_not_busy() -> None:
    made = world()
    made.off("ns/off")
    made.running("ns/a")
    made.hosts.enter_maintenance("esx-1")
    for vm in ("ns/off", "ns/a", "ns/none"):
        message = f"InvalidPowerState: VM {vm} is not running, or is busy"
        assert refusing(made, "power_off", vm) == message


def test_refused_request_changes_nothing() -> None:
    made = world()
    before = made.log()
    refusing(made, "remove", "esx-1")
    assert made.state("esx-1") == "Up"
    assert made.log() == before


AT_ONCE = Durations(
    create_s=0, power_on_s=0, guest_boot_s=0, power_off_s=0, suspend_s=0, destroy_s=0,
    migrate_s=0, relocate_s=0, enter_maintenance_s=0, exit_maintenance_s=0,
)  # fmt: skip


def test_evacuation_without_durations_ends_in_the_same_instant() -> None:
    made = World(hosts(3, cpu_cores=32, memory_mib=64 * GIB), durations=AT_ONCE)
    for number in range(20):
        made.running(f"ns/{number}", SMALL)
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert made.env.now == 0
    assert made.state("esx-1") == "Maintenance"
    assert all(guest.host != "esx-1" for guest in made.fleet.guests.values())
    assert unclaimed(made.fleet) == []


def test_host_on_which_a_vm_is_just_created_is_not_removed() -> None:
    made = world()
    made.off("ns/b", need())
    made.cluster.create("ns/a", need(), False)
    made.hosts.enter_maintenance("esx-1")
    made.until(45)
    assert made.state("esx-1") == "Maintenance"
    made.cluster.destroy("ns/b")
    made.until(55)
    assert refusing(made, "remove", "esx-1") == "ResourceInUse: VMs still belong to host esx-1"
    made.settle()
    assert (made.seen("ns/a").exists, made.seen("ns/a").host) == (True, "esx-1")


def test_vm_whose_eviction_failed_and_was_called_off_may_start_anywhere() -> None:
    once = FaultRule("fail", verb="PowerOffVM", max_hits=1)
    policy = ClusterPolicy(eviction=Eviction.POLICY)
    made = World(hosts(2, devices={GPU: 1}), policy=policy, faults=[once])
    made.running("ns/a", need(GPU, policies=(EVICTION_POLICY,)))
    made.hosts.enter_maintenance("esx-1")
    made.until(70)
    made.hosts.exit_maintenance("esx-1")
    made.settle()
    assert made.seen("ns/a").power is ON
    made.cluster.power_off("ns/a")
    made.settle()
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    made.cluster.power_on("ns/a")
    made.settle()
    assert (made.seen("ns/a").power, made.seen("ns/a").host) == (ON, "esx-2")


def test_second_exit_is_refused_while_the_first_is_under_way() -> None:
    made = world()
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    made.hosts.exit_maintenance("esx-1")
    made.until(15)
    message = "InvalidState: host esx-1 is just leaving maintenance mode"
    assert refusing(made, "exit_maintenance", "esx-1") == message
    made.settle()
    assert made.log("ExitMaintenanceMode") == [(20, "esx-1", "ExitMaintenanceMode")]


def test_host_that_failed_while_it_left_maintenance_is_not_opened_by_that_later() -> None:
    made = World(hosts(1), durations=replace(Durations(), enter_maintenance_s=0))
    made.hosts.enter_maintenance("esx-1")
    made.hosts.exit_maintenance("esx-1")
    made.until(5)
    made.hosts.fail("esx-1")
    made.hosts.recover("esx-1")
    made.settle()
    assert made.state("esx-1") == "Maintenance"
    made.hosts.exit_maintenance("esx-1")
    made.settle()
    assert made.state("esx-1") == "Up"


def test_host_that_fails_in_maintenance_is_in_maintenance_when_it_recovers() -> None:
    made = World(hosts(1))
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    made.hosts.fail("esx-1")
    made.hosts.recover("esx-1")
    made.settle()
    assert made.state("esx-1") == "Maintenance"


def test_host_that_fails_on_its_way_into_maintenance_is_open_when_it_recovers() -> None:
    made = World(hosts(1))
    made.hosts.enter_maintenance("esx-1")
    made.until(5)
    made.hosts.fail("esx-1")
    made.hosts.recover("esx-1")
    made.settle()
    assert made.state("esx-1") == "Up"
