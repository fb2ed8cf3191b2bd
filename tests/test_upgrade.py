"""Rolling upgrades: what begins when, how long it all takes, and what holds it up."""

from collections.abc import Mapping
from typing import Any

import pytest
from builders import GIB, GPU, Run, World, hosts, need, scenario, vm
from hypothesis import given
from hypothesis import strategies as st
from test_affinity import refusal

from vmsim.upgrade import ACTIVE, Stage, Upgrade, UpgradePlan, is_over, next_hosts
from vmsim.upgrade_schema import RollingUpgrade

WORK_S = 600.0
KINDS = ("UpgradeStarted", "HostRemediated", "HostSkipped", "UpgradeFinished")


def stages(text: str) -> dict[str, Stage]:
    """Stages of h0, h1, ... by their initials: W(aiting) E P O(n) L D S."""
    by_letter = {"O": Stage.WORKING, **{s.value[0]: s for s in Stage if s is not Stage.WORKING}}
    return {f"h{n}": by_letter[letter] for n, letter in enumerate(text)}


@pytest.mark.parametrize(
    ("text", "parallel", "stops", "begins"),
    [
        ("WWW", 1, True, ["h0"]),
        ("WWW", 2, True, ["h0", "h1"]),
        ("EWW", 1, True, []),
        ("PWW", 1, False, []),
        ("DOW", 2, False, ["h2"]),
        ("SWW", 1, True, []),
        ("SWW", 1, False, ["h1"]),
        ("DDD", 3, True, []),
    ],
)
def test_as_many_hosts_begin_as_may_be_worked_on(
    text: str, parallel: int, stops: bool, begins: list[str]
) -> None:
    there = stages(text)
    plan = UpgradePlan("u", tuple(there), parallel, stops=stops)
    assert next_hosts(plan, there) == begins
    busy = any(stage in ACTIVE for stage in there.values())
    assert is_over(plan, there) is (not busy and not begins)


@given(text=st.text("WEPOLDS", min_size=1, max_size=6), parallel=st.integers(1, 4))
def test_never_more_hosts_than_allowed_are_begun(text: str, parallel: int) -> None:
    there = stages(text)
    plan = UpgradePlan("u", tuple(there), parallel, stops=False)
    begun = next_hosts(plan, there)
    active = sum(stage in ACTIVE for stage in there.values())
    assert all(there[host] is Stage.WAITING for host in begun)
    assert active + len(begun) <= max(parallel, active)
    assert is_over(plan, there) is (active == 0 and not begun)


def upgraded(made: World, **plan: Any) -> Upgrade:
    upgrade = Upgrade(
        UpgradePlan("u", tuple(made.inventory.row_of), **{"work_s": WORK_S, **plan}),
        made.hosts,
        made.fleet.trace,
        lambda delay_s, call: _later(made, delay_s, call),
    )
    upgrade.start()
    return upgrade


def _later(made: World, delay_s: float, call: Any) -> None:
    timer = made.env.timeout(delay_s)
    timer.callbacks.append(lambda _: call())


def outcome(made: World) -> Mapping[str, Any]:
    return next(r.data for r in made.records if r.kind == "UpgradeFinished")


def test_hosts_are_upgraded_one_after_another() -> None:
    made = World(hosts(3))
    upgraded(made)
    made.settle()
    each_s = 10 + WORK_S + 10
    assert made.log(*KINDS) == [
        (0, "u", "UpgradeStarted"),
        (each_s, "esx-1", "HostRemediated"),
        (2 * each_s, "esx-2", "HostRemediated"),
        (3 * each_s, "esx-3", "HostRemediated"),
        (3 * each_s, "u", "UpgradeFinished"),
    ]
    assert outcome(made) == {"remediated": 3, "skipped": 0, "left": 0}


def test_several_hosts_at_a_time_take_as_many_rounds_as_needed() -> None:
    made = World(hosts(5))
    upgraded(made, parallel=2)
    made.settle()
    assert made.log("UpgradeFinished") == [(3 * (10 + WORK_S + 10), "u", "UpgradeFinished")]


def full() -> World:
    """Four hosts of which three just hold all VMs: room to empty one, but not two at once."""
    made = World(hosts(4))
    for number in range(12):
        made.running(f"ns/{number}", need(cpus=1))
    return made


def test_two_hosts_at_once_block_where_one_after_the_other_would_not() -> None:
    serial, parallel = full(), full()
    upgraded(serial, timeout_s=600.0)
    serial.settle()
    assert outcome(serial) == {"remediated": 4, "skipped": 0, "left": 0}
    upgraded(parallel, parallel=2, timeout_s=600.0, retries=0, stops=False)
    parallel.until(parallel.env.now + 300)
    assert "InsufficientHostMemoryCapacityFault" in str(parallel.hosts.blockers("esx-2"))
    parallel.settle()
    skipped = outcome(parallel)["skipped"]
    assert skipped > 0
    assert len(parallel.log("EvacuationBlocked")) > 0
    assert serial.log("EvacuationBlocked") == []


def blocked() -> World:
    """Three hosts; the VM on the first fits on no other."""
    made = World([*hosts(1, memory_mib=64 * GIB), *hosts(3)[1:]])
    made.running("ns/big", need(memory_mib=32 * GIB))
    return made


def test_upgrade_stops_at_a_host_that_cannot_be_emptied_after_its_retries() -> None:
    made = blocked()
    began_s = made.env.now
    upgraded(made, timeout_s=100.0)
    made.settle()
    skipped_s = began_s + 4 * 100 + 3 * 300
    assert made.log(*KINDS)[1:] == [
        (skipped_s, "esx-1", "HostSkipped"),
        (skipped_s, "u", "UpgradeFinished"),
    ]
    assert outcome(made) == {"remediated": 0, "skipped": 1, "left": 2}
    assert [r.data for r in made.records if r.kind == "HostSkipped"] == [
        {"upgrade": "u", "fault": "Timedout", "attempts": 4}
    ]


def test_upgrade_may_skip_such_a_host_and_go_on() -> None:
    made = blocked()
    upgraded(made, timeout_s=100.0, retries=0, stops=False)
    made.settle()
    assert outcome(made) == {"remediated": 2, "skipped": 1, "left": 0}
    assert {made.state(name) for name in ("esx-1", "esx-2", "esx-3")} == {"Up"}


def test_retry_succeeds_once_what_held_the_host_up_is_gone() -> None:
    made = blocked()
    upgraded(made, timeout_s=100.0)
    made.until(made.env.now + 150)
    made.cluster.power_off("ns/big")
    made.settle()
    assert outcome(made) == {"remediated": 3, "skipped": 0, "left": 0}
    assert [r.data["attempts"] for r in made.records if r.kind == "HostRemediated"] == [2, 1, 1]


def test_host_that_fails_meanwhile_is_skipped() -> None:
    made = World(hosts(2))
    upgraded(made, stops=False)
    made.until(100)
    made.hosts.fail("esx-1")
    made.settle()
    assert made.log("HostSkipped") == [(100, "esx-1", "HostSkipped")]
    assert outcome(made) == {"remediated": 1, "skipped": 1, "left": 0}


def test_host_that_is_in_maintenance_already_is_tried_again_until_it_is_free() -> None:
    made = World(hosts(2))
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    upgraded(made)
    made.until(made.env.now + 100)
    made.hosts.exit_maintenance("esx-1")
    made.settle()
    assert outcome(made) == {"remediated": 2, "skipped": 0, "left": 0}


# The case of the rolling upgrade with a VM that must come back on its own host: 8 hosts, each
# 300 s to get into maintenance, 1,500 s of work and 60 s to get out of it, one at a time.
EVACUATION_S, UPGRADE_S, EXIT_S, BOOT_S = 300.0, 1500.0, 60.0, 45.0
ON_HOST_S = EVACUATION_S + UPGRADE_S + EXIT_S


def rolling(wake: bool) -> Run:
    """Eight hosts of which the first has the only GPU, and a VM on it that needs it."""
    size = {"cores": 8, "mhz": 1000, "memory": "16Gi"}
    first = {"name": "esx-1", "devices": {GPU: 1}, **size}
    others = {"name": "esx-{}x", "count": 7, **size}
    content = scenario(
        clusters=[{"name": "cluster-1", "hosts": [first, others]}],
        durations={
            "powerOn": "0s", "powerOff": "0s", "guestBoot": f"{BOOT_S}s",
            "enterMaintenance": f"{EVACUATION_S}s", "exitMaintenance": f"{EXIT_S}s",
        },
        policies={
            "eviction": "drs_poweroff", "retry": {"resync": "10d", "wakeOnCapacity": wake},
        },
        upgrade=[{"at": "1h", "clusters": ["cluster-1"], "work": f"{UPGRADE_S}s"}],
    )  # fmt: skip
    run = Run(content)
    run.apply(vm("a", needs=GPU))
    run.until(12 * 3600)
    return run


def told(run: Run, kind: str, name: str) -> list[float]:
    return [second for second, of, what in run.log(kind) if of == name]


def next_attempt_s(after_s: float) -> float:
    """The first attempt of the back-off (5 ms, doubling, at most 1,000 s) at or after that."""
    attempt_s, pause_s = 0.0, 0.005
    while attempt_s < after_s:
        attempt_s, pause_s = attempt_s + min(pause_s, 1000.0), pause_s * 2
    return attempt_s


def test_eight_hosts_one_after_another_take_eight_times_as_long_as_one() -> None:
    run = rolling(wake=False)
    (began_s,), (ended_s,) = (
        told(run, "UpgradeStarted", "upgrade"),
        told(run, "UpgradeFinished", "upgrade"),
    )
    assert ended_s - began_s == 8 * ON_HOST_S == 14_880.0


@pytest.mark.parametrize(
    ("wake", "down_s"), [(False, 2310.715 + BOOT_S), (True, ON_HOST_S + BOOT_S)]
)
def test_vm_that_waits_for_its_own_host_is_down_until_it_is_tried_again(
    wake: bool, down_s: float
) -> None:
    run = rolling(wake)
    (off_s,) = told(run, "VmPoweredOff", "demo/a")
    on_s = told(run, "VmPoweredOn", "demo/a")[1]
    assert on_s + BOOT_S - off_s == pytest.approx(down_s, abs=1e-6)
    if not wake:
        assert next_attempt_s(ON_HOST_S) == pytest.approx(on_s - off_s, abs=1e-6)
    assert run.status("a").ip, "the guest is up"


def test_upgrade_of_what_is_not_there_is_refused() -> None:
    assert refusal(upgrade=[{"clusters": ["cluster-9"]}]) == [
        "spec.upgrade[0].clusters[0]: there is no cluster cluster-9"
    ]
    assert refusal(upgrade=[{"hosts": ["esx-1", "x*"]}]) == [
        "spec.upgrade[0].hosts[1]: no host matches x*"
    ]
    (problem,) = refusal(upgrade=[{}])
    assert "nothing would be upgraded" in problem


@pytest.mark.parametrize(
    ("given_", "stops"),
    [({}, True), ({"parallel": 2}, False), ({"parallel": 2, "stopOnFailure": True}, True)],
)
def test_upgrade_with_several_hosts_at_a_time_skips_what_fails(
    given_: dict[str, Any], stops: bool
) -> None:
    block = RollingUpgrade.model_validate({"hosts": ["*"], **given_})
    assert block.plan(hosts(2)).stops is stops


def test_hosts_are_named_by_cluster_or_glob_in_their_order() -> None:
    specs = [*hosts(3), *hosts(1, cluster="other")]
    block = RollingUpgrade(clusters=["other"], hosts=["esx-[23]"])
    assert block.plan(specs).hosts == ("esx-2", "esx-3", "esx-1")
