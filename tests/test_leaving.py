"""How VMs leave a host that is emptied: after failures, in groups, and while they are off."""

import pytest
from builders import GIB, GPU, World, host, hosts, need, unclaimed
from test_administration import AT_ONCE
from test_affinity import refusal
from test_upgrade import upgraded

from vmsim.actions import Verb
from vmsim.cluster import ClusterPolicy
from vmsim.drs import Drs
from vmsim.durations import Durations
from vmsim.evacuation import EVICTION_POLICY, RESTART_POLICY, Eviction
from vmsim.faults import FaultRule
from vmsim.ha import RestartPolicy, Settings
from vmsim.hosts import Refused
from vmsim.objects import PowerState

ON, OFF = PowerState.ON, PowerState.OFF


def failing(verb: Verb, **policy: object) -> World:
    """A host is emptied of a VM from second 0 on, and no task takes time or succeeds."""
    always = FaultRule("fail", verb=verb.value)
    chosen = ClusterPolicy(eviction=Eviction.POWER_OFF, **policy)  # type: ignore[arg-type]
    made = World(hosts(2, devices={GPU: 1}), policy=chosen, durations=AT_ONCE, faults=[always])
    made.running("ns/a", need(GPU) if verb is Verb.POWER_OFF else need())
    made.hosts.enter_maintenance("esx-1")
    return made


def bounded(made: World, second: float, events: int = 500) -> None:
    """Let time pass up to that second, in no more than so many events."""
    for _ in range(events):
        if made.env.peek() > second:
            return
        made.env.step()
    raise AssertionError(f"{events} events, and it is second {made.env.now} still")


@pytest.mark.parametrize("verb", [Verb.MIGRATE, Verb.POWER_OFF])
def test_vm_that_always_fails_to_leave_pauses_before_each_further_try(verb: Verb) -> None:
    made = failing(verb)
    bounded(made, 200)
    assert made.log("TaskFailed") == [(t, "ns/a", "TaskFailed") for t in (0, 60, 120, 180)]
    assert made.state("esx-1") == "EnteringMaintenance"
    assert unclaimed(made.fleet) == []


def test_pause_of_a_vm_is_a_parameter_and_ends_with_the_evacuation() -> None:
    made = failing(Verb.MIGRATE, evacuation_retry_s=7.0)
    made.until(15)
    made.hosts.exit_maintenance("esx-1")
    made.settle()
    assert [t for t, _, _ in made.log("TaskFailed")] == [0, 7, 14]
    assert made.state("esx-1") == "Up"


def test_other_vms_leave_while_one_pauses() -> None:
    always = FaultRule("fail", verb="MigrateVM", vm="ns/a")
    made = World(hosts(2), durations=AT_ONCE, faults=[always])
    for key in ("ns/a", "ns/b"):
        made.running(key)
    made.hosts.enter_maintenance("esx-1")
    made.until(1)
    assert (made.seen("ns/a").host, made.seen("ns/b").host) == ("esx-1", "esx-2")


def test_pause_of_no_length_is_refused() -> None:
    (problem,) = refusal(durations={"evacuationRetry": "0s"})
    assert "durations.evacuationRetry: " in problem and "greater than 0" in problem


def test_restart_that_always_fails_comes_to_an_end_even_without_pauses() -> None:
    always = FaultRule("fail", verb="PowerOnVM", host="esx-2")
    policy = ClusterPolicy(ha=Settings(restart=RestartPolicy(first_retry_s=0.0)))
    made = World(hosts(2), policy=policy, durations=AT_ONCE, faults=[always])
    made.running("ns/a")
    made.hosts.fail("esx-1")
    made.settle()
    assert len(made.log("TaskFailed")) == 5
    assert len(made.log("VmFailoverFailed")) == 1
    assert made.seen("ns/a").power is OFF


LEAVES = ClusterPolicy(drs=Drs(evacuates_powered_off=True))


def emptied(made: World) -> World:
    """The first host, in maintenance."""
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    assert made.state("esx-1") == "Maintenance"
    return made


def test_vm_that_is_off_stays_unless_it_is_asked_to_leave() -> None:
    made = World(hosts(2))
    made.off("ns/a")
    assert emptied(made).seen("ns/a").host == "esx-1"
    made.hosts.exit_maintenance("esx-1")
    made.settle()
    made.hosts.enter_maintenance("esx-1", 0.0, True)
    made.settle()
    assert made.seen("ns/a").host == "esx-2"
    assert [r.data for r in made.records if r.kind == "VmRelocated"] == [
        {"host": "esx-2", "cause": "Evacuation", "from": "esx-1"}
    ]


def test_host_enters_when_its_vms_that_are_off_have_left_in_their_time() -> None:
    made = World(hosts(2), policy=LEAVES)
    made.off("ns/a")
    began_s = made.env.now
    assert emptied(made).log("VmRelocated", "EnteredMaintenanceMode") == [
        (began_s + 5, "ns/a", "VmRelocated"), (began_s + 15, "esx-1", "EnteredMaintenanceMode"),
    ]  # fmt: skip


def test_registered_vm_takes_no_room_and_needs_none() -> None:
    made = World(hosts(2), policy=LEAVES)
    made.off("ns/a", need(cpus=8))
    made.running("ns/b", need(cpus=8, only_host="esx-2"))
    made.cluster.power_on("ns/b")
    made.settle()
    assert emptied(made).seen("ns/a").host == "esx-2"
    assert made.free() == [(8, 16 * GIB), (0, 12 * GIB)]
    assert unclaimed(made.fleet) == []


def test_vm_that_is_off_stays_where_no_other_host_may_have_it() -> None:
    made = World([host("esx-1", datastores=("mine",)), host("esx-2")], policy=LEAVES)
    made.off("ns/a", need(datastores=("mine",)))
    assert emptied(made).seen("ns/a").host == "esx-1"


def test_suspended_vm_leaves_for_a_host_with_the_cpu_that_it_knows() -> None:
    specs = [host("esx-1", cpu_generation=3), host("esx-2", cpu_generation=2)]
    made = World(specs, policy=LEAVES)
    made.running("ns/a")
    made.cluster.suspend("ns/a")
    made.settle()
    made.off("ns/off")
    emptied(made)
    assert (made.seen("ns/a").host, made.seen("ns/off").host) == ("esx-1", "esx-2")


@pytest.mark.parametrize(
    ("policies", "stays"), [((EVICTION_POLICY,), True), ((EVICTION_POLICY, RESTART_POLICY), False)]
)
def test_vm_that_must_restart_where_it_was_evicted_stays(
    policies: tuple[str, ...], stays: bool
) -> None:
    drs = Drs(evacuates_powered_off=True)
    policy = ClusterPolicy(eviction=Eviction.POLICY, drs=drs)
    made = World(hosts(2, devices={GPU: 1}), policy=policy)
    made.running("ns/a", need(GPU, policies=policies))
    assert (emptied(made).seen("ns/a").host == "esx-1") is stays


def test_vm_whose_registration_fails_stays_and_holds_nothing_up() -> None:
    always = FaultRule("fail", verb="RelocateVM")
    made = World(hosts(2), policy=LEAVES, durations=AT_ONCE, faults=[always])
    made.off("ns/a")
    assert emptied(made).seen("ns/a").host == "esx-1"
    assert len(made.log("TaskFailed")) == 1


def test_host_to_which_a_vm_is_on_its_way_is_not_removed() -> None:
    made = World(hosts(2), policy=LEAVES, durations=Durations(relocate_s=60.0))
    made.off("ns/a")
    made.hosts.enter_maintenance("esx-1")
    made.hosts.enter_maintenance("esx-2")
    made.until(made.env.now + 30)
    assert made.state("esx-2") == "Maintenance"
    with pytest.raises(Refused, match="VMs still belong to host esx-2"):
        made.hosts.remove("esx-2")


def test_vm_on_its_way_to_a_host_that_fails_stays_where_it_was() -> None:
    made = World(hosts(2), policy=LEAVES)
    made.off("ns/a")
    made.hosts.enter_maintenance("esx-1")
    made.until(made.env.now + 1)
    made.hosts.fail("esx-2")
    made.settle()
    assert made.seen("ns/a").host == "esx-1"
    assert made.state("esx-1") == "Maintenance"


def test_upgrade_may_ask_for_it() -> None:
    made = World(hosts(2))
    made.off("ns/a")
    upgraded(made, powered_off=True)
    made.settle()
    assert [r.object for r in made.records if r.kind == "VmRelocated"] == ["ns/a", "ns/a"]
    assert made.seen("ns/a").host == "esx-1"
