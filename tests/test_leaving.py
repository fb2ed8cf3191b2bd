"""How VMs leave a host that is emptied: after failures, in groups, and while they are off."""

import pytest
from builders import GPU, World, hosts, need, unclaimed
from test_administration import AT_ONCE
from test_affinity import refusal

from vmsim.actions import Verb
from vmsim.cluster import ClusterPolicy
from vmsim.evacuation import Eviction
from vmsim.faults import FaultRule
from vmsim.ha import RestartPolicy, Settings
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
