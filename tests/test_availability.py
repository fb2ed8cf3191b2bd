"""VMs of a failed host are restarted in their order, at their times, where there is room."""

from typing import Any

import pytest
from builders import World, hosts, need

from vmsim.cluster import ClusterPolicy
from vmsim.durations import Durations
from vmsim.faults import FaultRule
from vmsim.ha import (
    Detection,
    FailureKind,
    Settings,
)
from vmsim.objects import PowerState

ON, OFF = PowerState.ON, PowerState.OFF
BIG = need(cpus=8)
TINY = need(cpus=1, memory_mib=1)
QUICK = Durations(create_s=0.0, power_on_s=10.0, guest_boot_s=0.0)
AT_ONCE = Durations(create_s=0.0, power_on_s=0.0, guest_boot_s=0.0)
PLACED_IN_10_S = Detection(placement_s=10.0)
MIN = 60.0


def world(specs: Any, durations: Durations = QUICK, faults: Any = (), **ha: Any) -> World:
    """Hosts under HA; the primary is the last host unless something else is said."""
    names = [spec.name for spec in specs]
    ha = {"primaries": (names[-1],), "detection": PLACED_IN_10_S} | ha
    policy = ClusterPolicy(ha=Settings(**ha))
    return World(specs, policy, durations, faults, placement="worst_fit")


def fill(made: World, count: int, host_name: str = "esx-1") -> list[str]:
    """Run so many VMs on one host; nothing else runs there or elsewhere."""
    rows = [row for name, row in made.inventory.row_of.items() if name != host_name]
    for row in rows:
        made.inventory.open[row] = False
        made.inventory.touched.append(row)
    keys = [f"ns/{number}" for number in range(count)]
    for key in keys:
        made.running(key, TINY)
    for row in rows:
        made.inventory.set_state(row, made.inventory.states[row])
    made.until(made.env.now + 1)
    return keys


def times(made: World, since_s: float, *kinds: str) -> list[float]:
    """When records of these kinds were written, counted from a second."""
    return [t - since_s for t, _, _ in made.log(*kinds) if t >= since_s]


def crash(made: World, name: str = "esx-1", kind: FailureKind = FailureKind.CRASH) -> float:
    """Fail the host, and answer when."""
    now = made.env.now
    made.hosts.fail(name, kind)
    return float(now)


def test_100_vms_on_7_survivors_are_all_powered_on_at_28_s_and_run_at_38_s() -> None:
    made = world(hosts(8, cpu_cores=100))
    fill(made, 100)
    begun = crash(made)
    made.settle()
    assert times(made, begun, "TaskStarted") == [28.0] * 100
    assert times(made, begun, "VmPoweredOn") == [38.0] * 100
    on = [len(residents) for residents in made.fleet.residents]
    assert on == [0, 15, 15, 14, 14, 14, 14, 14]


def test_100_vms_on_1_survivor_come_in_batches_of_32_and_run_at_68_s() -> None:
    made = world(hosts(2, cpu_cores=100))
    fill(made, 100)
    begun = crash(made)
    made.settle()
    batches = [28.0] * 32 + [38.0] * 32 + [48.0] * 32 + [58.0] * 4
    assert times(made, begun, "TaskStarted") == batches
    assert times(made, begun, "VmPoweredOn") == [second + 10 for second in batches]


NEVER_ON = FaultRule("fail", verb="PowerOnVM", host="esx-2")


@pytest.mark.parametrize(
    ("durations", "attempts"),
    [
        (AT_ONCE, [0, 2 * MIN, 6 * MIN, 14 * MIN, 30 * MIN]),
        (QUICK, [0, 2 * MIN + 10, 6 * MIN + 20, 14 * MIN + 30, 30 * MIN + 40]),
    ],
)
def test_failing_power_on_is_tried_at_0_2_6_14_and_30_min_then_given_up(
    durations: Durations, attempts: list[float]
) -> None:
    made = world(hosts(2), durations, [NEVER_ON])
    fill(made, 1)
    begun = crash(made)
    made.settle()
    assert times(made, begun + 28, "TaskFailed") == [at + durations.power_on_s for at in attempts]
    assert times(made, begun, "VmFailoverFailed") == [28 + attempts[-1] + durations.power_on_s]
    seen = made.seen("ns/0")
    assert (seen.power, seen.connected, made.hosts.waiting()) == (OFF, True, False)


def test_vm_that_was_given_up_is_the_vm_roles_to_power_on() -> None:
    made = world(hosts(2), AT_ONCE, [FaultRule("fail", verb="PowerOnVM", host="esx-2", max_hits=5)])
    fill(made, 1)
    crash(made)
    made.settle()
    assert made.changes[-1] == ("ns/0", False)
    made.cluster.power_on("ns/0")
    made.settle()
    assert (made.seen("ns/0").power, made.seen("ns/0").host) == (ON, "esx-2")
