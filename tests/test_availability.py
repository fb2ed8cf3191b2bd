"""VMs of a failed host are restarted in their order, at their times, where there is room."""

from typing import Any

import pytest
from builders import (
    GIB,
    GPU,
    PASSTHROUGH,
    Run,
    World,
    host,
    hosts,
    need,
    scenario,
    unclaimed,
    vm,
)

from vmsim.cluster import ClusterPolicy
from vmsim.durations import Durations
from vmsim.faults import FaultRule
from vmsim.ha import (
    Amount,
    Control,
    ControlPolicy,
    Detection,
    FailureKind,
    IsolationResponse,
    Ready,
    RestartPolicy,
    Settings,
    Tier,
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
    assert (seen.power, seen.connected, any(made.hosts.waiting)) == (OFF, True, False)


def test_vm_that_was_given_up_is_the_vm_roles_to_power_on() -> None:
    made = world(hosts(2), AT_ONCE, [FaultRule("fail", verb="PowerOnVM", host="esx-2", max_hits=5)])
    fill(made, 1)
    crash(made)
    made.settle()
    assert made.changes[-1] == ("ns/0", False)
    made.cluster.power_on("ns/0")
    made.settle()
    assert (made.seen("ns/0").power, made.seen("ns/0").host) == (ON, "esx-2")


def test_no_more_restarts_than_allowed_run_on_a_host_at_once() -> None:
    made = world(hosts(2, cpu_cores=100), restart=RestartPolicy(per_host=3))
    fill(made, 7)
    begun = crash(made)
    made.settle()
    assert times(made, begun, "TaskStarted") == [28.0] * 3 + [38.0] * 3 + [48.0]


def test_vms_restart_by_priority_and_disabled_ones_not_at_all() -> None:
    tiers = {"ns/3": Tier.HIGHEST, "ns/1": Tier.HIGH, "ns/0": Tier.LOW, "ns/2": Tier.DISABLED}
    made = world(hosts(2), restart=RestartPolicy(vms=tiers))
    fill(made, 5)
    begun = crash(made)
    made.settle()
    started = [(t - begun, vm) for t, vm, _ in made.log("TaskStarted") if t > begun]
    assert started == [(28, "ns/3"), (38, "ns/1"), (48, "ns/4"), (58, "ns/0")]
    assert (made.seen("ns/2").power, made.seen("ns/2").connected) == (OFF, False)


def test_class_gives_the_priority() -> None:
    made = world(hosts(2), restart=RestartPolicy(classes={"gold": Tier.HIGH}))
    made.hosts.availability.class_of = lambda key: "gold" if key == "ns/1" else "tin"
    fill(made, 2)
    begun = crash(made)
    made.settle()
    assert [vm for t, vm, _ in made.log("TaskStarted") if t > begun] == ["ns/1", "ns/0"]


def test_next_priority_waits_for_the_end_of_a_power_on_that_fails_not_for_its_success() -> None:
    once = FaultRule("fail", verb="PowerOnVM", vm="ns/0", host="esx-2", max_hits=1)
    made = world(hosts(2), faults=[once], restart=RestartPolicy(vms={"ns/0": Tier.HIGH}))
    fill(made, 2)
    begun = crash(made)
    made.settle()
    started = [(t - begun, vm) for t, vm, _ in made.log("TaskStarted") if t > begun]
    assert started == [(28, "ns/0"), (38, "ns/1"), (38 + 120, "ns/0")]


@pytest.mark.parametrize(
    ("ready", "boot_s", "second_s"),
    [
        (Ready.NONE, 1000.0, 38.0),
        (Ready.POWERED_ON, 1000.0, 38.0),
        (Ready.GUEST_HEARTBEAT, 50.0, 88.0),
        (Ready.GUEST_HEARTBEAT, 1000.0, 628.0),
    ],
)
def test_next_priority_waits_until_the_first_is_ready_but_not_for_ever(
    ready: Ready, boot_s: float, second_s: float
) -> None:
    policy = RestartPolicy(vms={"ns/0": Tier.HIGH}, ready=ready)
    made = world(hosts(2), Durations(0.0, 10.0, boot_s), restart=policy)
    fill(made, 2)
    begun = crash(made)
    made.settle()
    started = [(t - begun, vm) for t, vm, _ in made.log("TaskStarted") if t > begun]
    assert started == [(28, "ns/0"), (second_s, "ns/1")]


def test_next_priority_waits_for_a_vm_that_does_not_come_up_only_so_long() -> None:
    policy = RestartPolicy(vms={"ns/0": Tier.HIGH}, ready=Ready.POWERED_ON)
    broken = FaultRule("fail", verb="PowerOnVM", vm="ns/0", host="esx-2")
    made = world(hosts(2), faults=[broken], restart=policy)
    fill(made, 2)
    begun = crash(made)
    made.settle()
    assert [t - begun for t, vm, _ in made.log("TaskStarted") if vm == "ns/1"][-1] == 28 + 600


def test_priority_counts_on_each_host_for_itself() -> None:
    tiers = {"ns/high": Tier.HIGH, "ns/low-*": Tier.LOW}
    both = {GPU: 2, PASSTHROUGH: 1}
    made = world(
        [
            host("esx-1", devices=both),
            host("esx-2", devices={GPU: 2}),
            host("esx-3", devices={PASSTHROUGH: 1}),
        ],
        restart=RestartPolicy(vms=tiers),
    )
    made.inventory.keep_free(["esx-2", "esx-3"])
    made.running("ns/low-2", need(GPU))
    made.running("ns/low-3", need(PASSTHROUGH))
    made.running("ns/high", need(GPU))
    made.inventory.keep_free([])
    begun = crash(made)
    made.settle()
    started = [(t - begun, vm) for t, vm, _ in made.log("TaskStarted") if t > begun]
    assert started == [(28, "ns/high"), (28, "ns/low-3"), (38, "ns/low-2")]


def pending(**other: Any) -> tuple[World, float]:
    """Three hosts: a VM of esx-1 finds no room after the failure, and is pending."""
    made = world(hosts(3), **other)
    made.running("ns/a", BIG)
    made.running("ns/b", BIG)
    made.running("ns/c", BIG)
    begun = crash(made)
    made.until(begun + 100)
    return made, begun


def attempts_to_place(made: World, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds, from now on, at which a host is looked for."""
    seen: list[float] = []
    place = made.fleet.place

    def noting(requirement: Any) -> int:
        seen.append(float(made.env.now))
        return place(requirement)

    monkeypatch.setattr(made.fleet, "place", noting)
    return seen


def test_vm_that_fits_nowhere_is_not_looked_at_until_something_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, begun = pending()
    looked = attempts_to_place(made, monkeypatch)
    made.until(begun + 100_000)
    assert looked == []
    assert any(made.hosts.waiting)
    assert made.seen("ns/a").power is OFF


@pytest.mark.parametrize("what", ["room", "joins", "returns", "leaves maintenance"])
def test_pending_vm_is_woken_by_room_and_hosts_and_has_burnt_no_attempt(what: str) -> None:
    made = world(hosts(4))
    if what == "leaves maintenance":
        made.hosts.enter_maintenance("esx-4")
        made.settle()
    else:
        made.hosts.fail("esx-4")
    for key in ("ns/a", "ns/b", "ns/c"):
        made.running(key, BIG)
    begun = crash(made)
    made.until(begun + 1000)
    assert not [record for record in made.log("TaskStarted") if record[0] > begun]
    act = {
        "room": lambda: made.cluster.power_off("ns/b"),
        "joins": lambda: made.hosts.add(host("esx-5")),
        "returns": lambda: made.hosts.recover("esx-4"),
        "leaves maintenance": lambda: made.hosts.exit_maintenance("esx-4"),
    }
    act[what]()
    made.settle()
    assert made.seen("ns/a").power is ON
    assert not any(made.hosts.waiting)


def test_pending_vm_is_woken_by_another_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    made, begun = pending()
    looked = attempts_to_place(made, monkeypatch)
    made.hosts.fail("esx-2")
    made.until(begun + 101)
    assert set(looked) == {begun + 100}


def test_pending_vm_is_woken_by_a_failed_failover() -> None:
    once = FaultRule("fail", verb="PowerOnVM", vm="ns/a", host="esx-2", max_hits=1)
    made = world([host("esx-1", cpu_cores=16), host("esx-2")], faults=[once])
    made.inventory.keep_free(["esx-2"])
    made.running("ns/a", BIG)
    made.running("ns/b", BIG)
    made.inventory.keep_free([])
    begun = crash(made)
    made.settle()
    refused = [(t - begun, vm) for t, vm, _ in made.log("NoCompatibleHost")]
    started = [(t - begun, vm) for t, vm, _ in made.log("TaskStarted") if t > begun]
    assert refused == [(28, "ns/b"), (158, "ns/a")]
    assert started == [(28, "ns/a"), (38, "ns/b")]


def test_failing_primary_is_succeeded_by_the_next_by_name_and_restarts_begin_at_35_s() -> None:
    made = world(hosts(3, cpu_cores=100), primaries=())
    fill(made, 2)
    ha = made.hosts.availability
    assert ha.primary("cluster-1") == "esx-1"
    begun = crash(made)
    made.settle()
    assert ha.primary("cluster-1") == "esx-2"
    assert times(made, begun, "TaskStarted") == [35.0] * 2
    assert [(t - begun, what) for t, what, _ in made.log("PrimaryElected")] == [(25, "esx-2")]
    made.hosts.recover("esx-1")
    assert ha.primary("cluster-1") == "esx-2"


def test_primary_that_enters_maintenance_hands_over() -> None:
    made = world(hosts(3), primaries=("esx-2",))
    ha = made.hosts.availability
    assert ha.primary("cluster-1") == "esx-2"
    made.hosts.enter_maintenance("esx-2")
    made.settle()
    assert ha.primary("cluster-1") == "esx-1"


def test_nobody_restarts_anything_while_a_primary_is_elected() -> None:
    made = world(hosts(4, cpu_cores=100), primaries=("esx-4",))
    fill(made, 1, "esx-3")
    begun = crash(made, "esx-4")
    made.until(begun + 1)
    crash(made, "esx-3")
    made.settle()
    assert times(made, begun, "TaskStarted") == [35.0]


def test_new_primary_counts_the_attempts_anew() -> None:
    made = world(hosts(3), AT_ONCE, [NEVER_ON], primaries=("esx-3",))
    made.inventory.keep_free(["esx-3"])
    fill(made, 1)
    begun = crash(made)
    made.until(begun + 28 + 7 * MIN)
    lost = crash(made, "esx-3") - begun
    made.settle()
    failed = times(made, begun + 28, "TaskFailed")
    again = [lost - 28 + 35 + at for at in (0, 2 * MIN, 6 * MIN, 14 * MIN, 30 * MIN)]
    assert failed == [0, 2 * MIN, 6 * MIN, *again]


def test_attempt_under_way_is_the_first_of_the_new_primary() -> None:
    made = world(hosts(3), faults=[NEVER_ON], primaries=("esx-3",))
    made.inventory.keep_free(["esx-3"])
    fill(made, 1)
    begun = crash(made)
    made.until(begun + 30)
    crash(made, "esx-3")
    made.settle()
    assert times(made, begun + 1, "TaskFailed")[:2] == [37.0, 37.0 + 120 + 10]


def test_host_that_fails_while_it_takes_a_vm_costs_no_attempt() -> None:
    made = world(hosts(3, cpu_cores=100))
    made.inventory.keep_free(["esx-3"])
    fill(made, 1)
    begun = crash(made)
    made.until(begun + 30)
    made.inventory.keep_free([])
    crash(made, "esx-2")
    made.settle()
    assert times(made, begun, "TaskStarted") == [28.0, 58.0]
    assert (made.seen("ns/0").power, made.seen("ns/0").host) == (ON, "esx-3")
    assert unclaimed(made.fleet) == []


def test_isolated_host_keeps_its_vms_by_default() -> None:
    made = world(hosts(2))
    fill(made, 1)
    crash(made, kind=FailureKind.ISOLATION)
    made.settle()
    seen = made.seen("ns/0")
    assert (seen.power, seen.connected, made.state("esx-1")) == (ON, False, "NotResponding")
    made.hosts.recover("esx-1")
    assert made.seen("ns/0").connected
    assert made.state("esx-1") == "Up"


POWER_OFF = IsolationResponse.POWER_OFF


@pytest.mark.parametrize(
    ("kind", "primary", "stops_s", "restarts_s"),
    [
        (FailureKind.ISOLATION, "esx-2", 60.0, 70.0),
        (FailureKind.ISOLATION, "esx-1", 35.0, 45.0),
        (FailureKind.APD, "esx-2", 320.0, 330.0),
        (FailureKind.PDL, "esx-2", 0.0, 10.0),
    ],
)
def test_vms_of_a_host_that_is_cut_off_are_stopped_and_restarted(
    kind: FailureKind, primary: str, stops_s: float, restarts_s: float
) -> None:
    made = world(hosts(2), primaries=(primary,), isolation_response=POWER_OFF)
    fill(made, 1)
    begun = crash(made, kind=kind)
    if stops_s:
        made.until(begun + stops_s - 1)
        assert made.seen("ns/0").power is ON
    made.settle()
    assert times(made, begun, "VmTerminated") == [stops_s]
    assert times(made, begun, "TaskStarted") == [restarts_s]
    assert made.seen("ns/0").host == "esx-2"
    assert unclaimed(made.fleet) == []


@pytest.mark.parametrize("kind", [FailureKind.ISOLATION, FailureKind.APD])
def test_host_that_recovers_in_time_keeps_its_vms(kind: FailureKind) -> None:
    made = world(hosts(2), isolation_response=POWER_OFF)
    fill(made, 1)
    begun = crash(made, kind=kind)
    made.until(begun + 30)
    made.hosts.recover("esx-1")
    made.settle()
    seen = made.seen("ns/0")
    assert (seen.power, seen.connected, seen.host) == (ON, True, "esx-1")
    assert made.log("VmTerminated") == []


def test_host_without_storage_gets_no_vm_and_is_reached() -> None:
    made = world(hosts(2), storage_protection=False)
    fill(made, 1)
    crash(made, kind=FailureKind.APD)
    assert made.state("esx-1") == "StorageLost"
    assert made.seen("ns/0").connected
    assert made.running("ns/new", BIG).host == "esx-2"
    made.hosts.recover("esx-1")
    assert made.state("esx-1") == "Up"


KEPT = {"memory_overhead": False, "control": Control(ControlPolicy.SLOTS)}
FAULT = "InsufficientFailoverResourcesFault"
HALF = need(cpus=1, memory_mib=1, cpu_reservation_mhz=4000)


def said(made: World, vm: str) -> str:
    fault = made.seen(vm).fault
    return fault.name if fault else ""


def test_power_on_that_breaks_the_failover_level_is_refused_with_its_fault() -> None:
    made = world(hosts(2), **KEPT)
    made.running("ns/a", HALF)
    made.running("ns/b", HALF)
    made.running("ns/c", HALF)
    assert [made.seen(vm).power for vm in ("ns/a", "ns/b", "ns/c")] == [ON, ON, OFF]
    assert said(made, "ns/c") == FAULT
    assert made.records[-1].kind == "InsufficientFailoverResources"
    assert made.records[-1].data["summary"] == (
        "3 slots of 4000 MHz and 0 MiB are needed, 2 are left after 1 host failures"
    )
    assert unclaimed(made.fleet) == []


def test_refused_vm_is_woken_when_it_would_be_admitted_and_not_before() -> None:
    made = world(hosts(2), **KEPT)
    for key in ("ns/a", "ns/b", "ns/c"):
        made.running(key, HALF)
    made.fleet.on_room()
    made.settle()
    assert made.woken == []
    made.cluster.power_off("ns/a")
    made.settle()
    assert made.woken == ["ns/c"]


def test_two_power_ons_of_one_instant_are_not_admitted_for_the_same_slot() -> None:
    made = world(hosts(2), **KEPT)
    made.running("ns/a", HALF)
    for key in ("ns/b", "ns/c"):
        made.off(key, HALF)
    made.cluster.power_on("ns/b")
    made.cluster.power_on("ns/c")
    assert (said(made, "ns/b"), said(made, "ns/c")) == ("", FAULT)


def test_vm_that_waits_for_its_restart_keeps_its_slot() -> None:
    made = world(hosts(2), **KEPT)
    made.running("ns/a", HALF)
    made.running("ns/b", HALF)
    made.off("ns/c", HALF)
    crash(made)
    made.cluster.power_on("ns/c")
    assert said(made, "ns/c") == FAULT


def test_restarts_by_ha_pass_admission_control() -> None:
    made = world(hosts(2), **KEPT)
    made.running("ns/a", HALF)
    made.running("ns/b", HALF)
    crash(made)
    made.settle()
    assert [made.seen(vm).host for vm in ("ns/a", "ns/b")] == ["esx-2", "esx-2"]


def test_failed_host_counts_until_it_is_removed() -> None:
    made = world(hosts(3), **KEPT)
    crash(made)
    for key in ("ns/a", "ns/b", "ns/c"):
        made.running(key, HALF)
    assert made.seen("ns/c").power is ON
    made.cluster.power_off("ns/c")
    made.settle()
    made.hosts.remove("esx-1")
    made.cluster.power_on("ns/c")
    assert said(made, "ns/c") == FAULT


def test_host_is_not_emptied_while_the_others_could_not_bear_a_failure() -> None:
    made = world(hosts(3), **KEPT)
    for key in ("ns/a", "ns/b", "ns/c"):
        made.running(key, HALF)
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    held = made.hosts.blockers("esx-1")
    assert {vm: why.partition(":")[0] for vm, why in held.items()} == {"ns/a": FAULT}
    assert made.state("esx-1") == "EnteringMaintenance"
    made.cluster.power_off("ns/b")
    made.settle()
    assert made.state("esx-1") == "Maintenance"


def test_second_host_to_be_emptied_counts_the_first_as_gone_and_does_not_stop_it() -> None:
    made = world(hosts(4), **KEPT)
    for key in ("ns/a", "ns/b", "ns/c", "ns/d"):
        made.running(key, HALF)
    made.hosts.enter_maintenance("esx-1")
    made.hosts.enter_maintenance("esx-2")
    made.settle()
    assert (made.state("esx-1"), made.state("esx-2")) == ("Maintenance", "EnteringMaintenance")
    made.hosts.exit_maintenance("esx-1")
    made.settle()
    assert made.state("esx-2") == "Maintenance"


def test_dedicated_host_takes_only_restarts_and_is_tried_first() -> None:
    made = world(hosts(3), control=Control(ControlPolicy.DEDICATED, failover_hosts=("esx-2",)))
    made.running("ns/a", BIG)
    made.running("ns/b", BIG)
    made.running("ns/c", BIG)
    assert [made.seen(vm).host for vm in ("ns/a", "ns/b")] == ["esx-1", "esx-3"]
    assert made.seen("ns/c").power is OFF
    crash(made)
    made.settle()
    assert (made.seen("ns/a").host, made.seen("ns/a").power) == ("esx-2", ON)


def test_memory_overhead_counts_in_slots_and_on_the_host() -> None:
    made = world(hosts(2), memory_overhead=True, control=Control(ControlPolicy.SLOTS))
    whole = need(cpus=1, memory_mib=8 * GIB, memory_reservation_mib=8 * GIB)
    made.running("ns/a", whole)
    assert made.inventory.room[3].tolist() == [8 * GIB - 80, 16 * GIB]
    made.running("ns/b", whole)
    assert said(made, "ns/b") == FAULT
    without = world(hosts(2), **KEPT)
    without.running("ns/a", whole)
    without.running("ns/b", whole)
    assert without.seen("ns/b").power is ON


def test_percentage_keeps_the_share_of_the_largest_host() -> None:
    made = world(hosts(3), memory_overhead=False, control=Control(ControlPolicy.PERCENTAGE))
    for number in range(5):
        made.running(f"ns/{number}", HALF)
    assert [made.seen(f"ns/{number}").power for number in range(5)] == [ON] * 4 + [OFF]
    assert made.records[-1].data["summary"] == "16 % of CPU is left, 33 % is kept"


def test_fixed_slot_size_counts_a_large_vm_as_several() -> None:
    control = Control(ControlPolicy.SLOTS, slot=Amount(1000, 1000))
    made = world(hosts(2), memory_overhead=False, control=control)
    made.running("ns/a", HALF)
    made.running("ns/b", need(cpus=1, memory_mib=1, cpu_reservation_mhz=5000))
    assert made.records[-1].data["summary"].startswith("9 slots")


def test_vm_role_powers_on_what_ha_gave_up_and_not_before() -> None:
    """The whole system: the VM role waits while the VM's host does not respond."""
    plain = {"name": "esx-{}", "count": 2, "cores": 8, "mhz": 1000, "memory": "16Gi"}
    run = Run(
        scenario(
            clusters=[{"name": "cluster-1", "hosts": [plain]}],
            faults=[{"kind": "fail", "verb": "PowerOnVM", "host": "esx-2", "maxHits": 2}],
            highAvailability={
                "primary": ["esx-2"],
                "restart": {"maxAttempts": 2},
                "admissionControl": {"policy": "disabled"},
            },
        )
    )
    run.apply(vm("a"))
    run.until(100)
    assert run.seen("a").host == "esx-1"
    run.at(200, run.system.hosts.fail, "esx-1")
    run.until(1000)
    wanted = [
        (str(record.data["cause"]), record.t)
        for record in run.records
        if record.kind == "TaskStarted" and record.t >= 200
    ]
    assert wanted == [("Restart", 230), ("Restart", 355), ("User", 360)]
    assert [t for t, _, _ in run.log("VmFailoverFailed")] == [360]
    assert (run.seen("a").power, run.seen("a").host) == (ON, "esx-2")


def test_host_that_is_being_emptied_counts_until_that_is_admitted() -> None:
    made = world(hosts(3), **KEPT)
    for key in ("ns/a", "ns/b", "ns/c"):
        made.running(key, HALF)
    made.off("ns/d", HALF)
    made.hosts.enter_maintenance("esx-1")
    made.cluster.power_on("ns/d")
    assert said(made, "ns/d") == ""
    made.settle()
    for key in ("ns/b", "ns/d"):
        made.cluster.power_off(key)
    made.until(made.env.now + QUICK.power_off_s + 0.001)
    assert made.hosts.blockers("esx-1") == {}
    assert made.state("esx-1") == "EnteringMaintenance"
    made.cluster.power_on("ns/d")
    assert said(made, "ns/d") == FAULT
