"""vSphere HA in figures: timelines, priorities, attempts, admission control, memory overhead."""

import dataclasses
import json
from itertools import combinations

import pytest
from builders import PREREQUISITES, scenario
from hypothesis import given
from hypothesis import strategies as st

from vmsim.documents import load
from vmsim.ha import (
    Amount,
    Control,
    ControlPolicy,
    Detection,
    FailureKind,
    IsolationResponse,
    RestartPolicy,
    Settings,
    Tier,
    Timeline,
    elect,
    failover_capacity,
    free_percent,
    memory_overhead_mib,
    share_of_largest,
    shortage,
    slot_size,
    slots_of_host,
    slots_of_vm,
    timeline,
    usable,
    usable_slots,
)
from vmsim.ha_schema import HighAvailability, said, settings
from vmsim.loading import plan
from vmsim.problems import BadInput

CRASH, ISOLATION, APD, PDL = FailureKind
GOLDEN_HOSTS = [Amount(9000, 9000), Amount(9000, 6000), Amount(6000, 6000)]
GOLDEN_VMS = [
    (Amount(2000, 1000), 2),
    (Amount(1000, 2000), 1),
    (Amount(1000, 1000), 2),
]
"""The example of "vSphere Availability" 6.7: 9 GHz and 9 GB, and so on."""
AT_ONCE = Detection(placement_s=0.0)


def seen(**other: object) -> Settings:
    return Settings(detection=AT_ONCE, **other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "primary", "restarts_s"),
    [
        (seen(), False, 18.0),
        (seen(heartbeat_datastores=False), False, 15.0),
        (seen(), True, 35.0),
        (seen(heartbeat_datastores=False), True, 35.0),
        (Settings(), False, 30.0),
        (Settings(), True, 35.0),
        (Settings(enabled=False), False, None),
    ],
)
def test_dead_host_is_noticed_after_so_long(
    now: Settings, primary: bool, restarts_s: float | None
) -> None:
    assert timeline(CRASH, now, primary=primary) == Timeline(0.0, restarts_s)


@pytest.mark.parametrize(
    ("kind", "primary", "stops_s"),
    [(ISOLATION, False, 60.0), (ISOLATION, True, 35.0), (APD, False, 320.0), (PDL, False, 0.0)],
)
def test_host_that_is_cut_off_has_its_vms_stopped_after_so_long(
    kind: FailureKind, primary: bool, stops_s: float
) -> None:
    now = Settings(isolation_response=IsolationResponse.POWER_OFF)
    assert timeline(kind, now, primary=primary) == Timeline(stops_s, stops_s + 12)


@pytest.mark.parametrize("kind", [ISOLATION, APD, PDL])
def test_without_a_response_vms_go_on(kind: FailureKind) -> None:
    assert timeline(kind, Settings(storage_protection=False), primary=False) == Timeline(None, None)
    off = Settings(enabled=False, isolation_response=IsolationResponse.POWER_OFF)
    assert timeline(kind, off, primary=False) == Timeline(None, None)


def test_primary_is_a_wanted_host_else_the_first_by_name() -> None:
    assert elect(["esx-2", "esx-1"]) == "esx-1"
    assert elect(["esx-2", "esx-1"], ["esx-3", "esx-2"]) == "esx-2"
    assert elect([]) == ""


def test_attempts_at_0_2_6_14_and_30_minutes_and_no_sixth() -> None:
    policy = RestartPolicy()
    at_min = [0.0]
    while (gap_s := policy.gap_s(len(at_min))) is not None:
        at_min.append(at_min[-1] + gap_s / 60)
    assert at_min == [0, 2, 6, 14, 30]


def test_priority_is_the_vms_then_the_class_s_then_the_default() -> None:
    policy = RestartPolicy(
        default=Tier.LOW,
        classes={"gold": Tier.HIGH},
        vms={"ns/db-*": Tier.HIGHEST, "ns/db-1": Tier.DISABLED},
    )
    assert policy.tier("ns/db-1", "gold") is Tier.HIGHEST
    assert policy.tier("ns/web", "gold") is Tier.HIGH
    assert policy.tier("ns/web", "tin") is Tier.LOW
    assert RestartPolicy().tier("ns/web", "tin") is Tier.MEDIUM


def test_slots_of_the_availability_guide() -> None:
    slot = slot_size(GOLDEN_VMS)
    slots = [slots_of_host(host, slot) for host in GOLDEN_HOSTS]
    assert slot == Amount(2000, 2000)
    assert slots == [4, 3, 3]
    assert (usable_slots(slots, 1), usable_slots(slots, 2)) == (6, 3)
    assert failover_capacity(slots, 5) == 1


def test_percentages_of_the_availability_guide() -> None:
    assert free_percent(24_000, 7000) == 70
    assert free_percent(21_000, 6000) == 71
    assert share_of_largest([5, 5, 5], 1) == 33


def test_slots_and_capacity_of_the_deepdive() -> None:
    slots = [slots_of_host(Amount(99_000, gib), Amount(1, 1)) for gib in (16, 16, 32)]
    assert [usable_slots(slots, failures) for failures in (0, 1, 2)] == [64, 32, 16]
    assert usable(8 * 70, 20) == 448


OVERHEAD = {
    256: (20.29, 24.28, 32.23, 48.16),
    1024: (25.90, 29.91, 37.86, 53.82),
    4096: (48.64, 52.72, 60.67, 76.78),
    16384: (139.62, 143.98, 151.93, 168.60),
}
"""MB by VM memory, for 1, 2, 4, 8 vCPUs: "vSphere Resource Management" 6.5, p. 34."""


def overhead_error_mib() -> float:
    return max(
        abs(memory_overhead_mib(cpus, memory) - published)
        for memory, row in OVERHEAD.items()
        for cpus, published in zip((1, 2, 4, 8), row, strict=True)
    )


def test_memory_overhead_is_that_of_the_published_table() -> None:
    assert round(overhead_error_mib(), 2) == 0.46


@pytest.mark.parametrize(
    ("control", "short"),
    [
        (Control(), ""),
        (Control(ControlPolicy.DEDICATED, failover_hosts=("esx-1",)), ""),
        (Control(ControlPolicy.SLOTS), ""),
        (
            Control(ControlPolicy.SLOTS, tolerated=2),
            "5 slots of 2000 MHz and 2000 MiB are needed, 3 are left after 2 host failures",
        ),
        (
            Control(ControlPolicy.SLOTS, slot=Amount(1000, 1000)),
            "",
        ),
        (Control(ControlPolicy.PERCENTAGE), ""),
        (Control(ControlPolicy.PERCENTAGE, percent=(70, 71)), ""),
        (
            Control(ControlPolicy.PERCENTAGE, percent=(71, 72)),
            "70 % of CPU is left, 71 % is kept; 71 % of memory is left, 72 % is kept",
        ),
        (
            Control(ControlPolicy.PERCENTAGE, tolerated=2),
            "70 % of CPU is left, 75 % is kept",
        ),
    ],
)
def test_admission_control_of_the_example(control: Control, short: str) -> None:
    assert shortage(control, GOLDEN_HOSTS, GOLDEN_VMS) == short


def test_vm_larger_than_a_fixed_slot_takes_several() -> None:
    slot = Amount(1000, 1000)
    assert [slots_of_vm(Amount(*vm), slot) for vm in ((0, 0), (1000, 1), (1001, 1), (1, 2500))] == [
        1, 1, 2, 3,
    ]  # fmt: skip


def test_vm_without_a_reservation_counts_32_mhz() -> None:
    assert slot_size([(Amount(0, 50), 1)]) == Amount(32, 50)
    hosts = [Amount(100, 100)]
    kept = Control(ControlPolicy.PERCENTAGE, percent=(36, 0))
    assert shortage(kept, hosts, [(Amount(0, 0), 2)]) == ""
    assert shortage(kept, hosts, [(Amount(0, 0), 3)]) == "4 % of CPU is left, 36 % is kept"


def test_nothing_is_admitted_where_no_host_counts() -> None:
    for policy in (ControlPolicy.SLOTS, ControlPolicy.PERCENTAGE):
        assert shortage(Control(policy), [], [(Amount(1, 1), 1)])


AMOUNTS = st.builds(Amount, st.integers(0, 64_000), st.integers(0, 512_000))
HOSTS = st.lists(st.builds(Amount, st.integers(1000, 200_000), st.integers(1024, 900_000)),
                 max_size=6)  # fmt: skip
VMS = st.lists(st.tuples(AMOUNTS, st.integers(1, 9)), max_size=5)
SLOTS = st.lists(st.integers(0, 40), max_size=6)


@given(SLOTS, st.integers(0, 40), st.integers(0, 80))
def test_another_host_never_lowers_the_failover_capacity(
    slots: list[int], more: int, needed: int
) -> None:
    assert failover_capacity([*slots, more], needed) >= failover_capacity(slots, needed)


@given(SLOTS, st.integers(0, 80), st.integers(1, 80))
def test_more_vms_never_raise_the_failover_capacity(slots: list[int], vms: int, more: int) -> None:
    assert failover_capacity(slots, vms + more) <= failover_capacity(slots, vms)


def broken_promises(control: Control, hosts: list[Amount], load: list[tuple[Amount, int]]) -> int:
    """How many sets of failing hosts leave too few slots for the VMs, though all is admitted."""
    if shortage(control, hosts, load):
        return 0
    slot = control.slot or slot_size(load)
    needed = sum(count * slots_of_vm(vm, slot) for vm, count in load)
    slots = [slots_of_host(host, slot) for host in hosts]
    survivors = combinations(slots, max(0, len(slots) - control.tolerated))
    return sum(sum(left) < needed for left in survivors)


@given(HOSTS, VMS, st.integers(1, 3), st.none() | st.just(Amount(1000, 2048)))
def test_slots_admit_only_what_any_so_many_failures_leave_room_for(
    hosts: list[Amount], load: list[tuple[Amount, int]], tolerated: int, slot: Amount | None
) -> None:
    control = Control(ControlPolicy.SLOTS, tolerated, slot)
    assert broken_promises(control, hosts, load) == 0


@given(HOSTS, VMS, AMOUNTS, st.sampled_from([ControlPolicy.SLOTS, ControlPolicy.PERCENTAGE]))
def test_what_is_refused_stays_refused_with_one_vm_more(
    hosts: list[Amount], load: list[tuple[Amount, int]], vm: Amount, policy: ControlPolicy
) -> None:
    if shortage(Control(policy), hosts, load):
        assert shortage(Control(policy), hosts, [*load, (vm, 1)])


def problems(**spec: object) -> list[str]:
    """What is wrong with a scenario that says this about HA, without file and line."""
    with pytest.raises(BadInput) as caught:
        plan(load(json.dumps(scenario(**spec)), "s.yaml")[0], PREREQUISITES)
    return [f"{problem.field}: {problem.message}" for problem in caught.value.problems]


BLOCK = "spec.highAvailability"


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"primary": ["esx-7"]}, [f"{BLOCK}.primary: there is no host esx-7"]),
        (
            {"admissionControl": {"policy": "dedicatedHosts", "failoverHosts": ["esx-7"]}},
            [f"{BLOCK}.admissionControl.failoverHosts: there is no host esx-7"],
        ),
        (
            {"admissionControl": {"policy": "dedicatedHosts"}},
            [
                f"{BLOCK}.admissionControl: policy dedicatedHosts would keep nothing free: "
                "name failoverHosts"
            ],
        ),
        (
            {"admissionControl": {"slot": {"cpuMhz": 32, "memory": "1Gi"}}},
            [f"{BLOCK}.admissionControl: slot would have no effect: it needs policy slots"],
        ),
        (
            {"admissionControl": {"policy": "slots", "percent": {"cpu": 1, "memory": 1}}},
            [f"{BLOCK}.admissionControl: percent would have no effect: it needs policy percentage"],
        ),
        ({"restart": {"maxTries": 3}}, [f"{BLOCK}.restart.maxTries: unknown field"]),
        (
            {"restart": {"perHost": 0}},
            [f"{BLOCK}.restart.perHost: Input should be greater than or equal to 1"],
        ),
        (
            {"detection": {"primary": 35}},
            [f"{BLOCK}.detection.primary: a duration with a unit is expected, as in '90s'"],
        ),
    ],
)
def test_wrong_block_is_refused_with_the_field(block: dict[str, object], told: list[str]) -> None:
    assert problems(highAvailability=block) == told


def test_two_primaries_of_one_cluster_are_refused() -> None:
    two = [{"name": "c", "hosts": [{"name": "esx-{}", "count": 2, "cores": 8, "memory": "16Gi"}]}]
    told = problems(clusters=two, highAvailability={"primary": ["esx-1", "esx-2"]})
    assert told == [f"{BLOCK}.primary: esx-1 and esx-2 are in one cluster: it has one primary"]


def test_the_policy_of_that_name_is_gone() -> None:
    told = problems(policies={"highAvailability": False})
    assert told == ["spec.policies.highAvailability: unknown field"]


@pytest.mark.parametrize(
    ("fails", "told"),
    [
        (
            {"host": "esx-7", "kind": "apd"},
            "spec.timeline[0].failHost: there is no host esx-7",
        ),
        (
            {"host": "esx-1", "kind": "flood"},
            "spec.timeline[0].failHost.kind: Input should be 'crash', 'isolation', 'apd' or 'pdl'",
        ),
    ],
)
def test_wrong_failure_is_refused(fails: dict[str, str], told: str) -> None:
    assert problems(timeline=[{"at": "1m", "failHost": fails}]) == [told]


def test_block_turns_on_what_the_vsphere_client_turns_on() -> None:
    plain, block = settings(None), settings(HighAvailability())
    assert (plain.enabled, plain.memory_overhead, plain.control.policy) == (
        True, False, ControlPolicy.DISABLED,
    )  # fmt: skip
    control = block.control
    assert (block.enabled, block.memory_overhead, control.policy, control.tolerated) == (
        True, True, ControlPolicy.PERCENTAGE, 1,
    )  # fmt: skip


def test_every_figure_of_detection_has_a_source_and_is_printed() -> None:
    assert all(item.metadata["source"] for item in dataclasses.fields(Detection))
    printed = " ".join(said(settings(None)))
    for item in dataclasses.fields(Detection):
        assert f"{item.name.removesuffix('_s')} {item.default:g} s" in printed
