"""When a live migration is refused or warned of, how a scenario says what it meets, and storage."""

from dataclasses import replace
from typing import Any

import pytest
from builders import GIB, GPU, Run, World, host, hosts, need, scenario, vm

from vmsim.assumptions import assumptions
from vmsim.cluster import ClusterPolicy
from vmsim.evacuation import Eviction, hindrance
from vmsim.objects import PowerState
from vmsim.problems import BadInput
from vmsim.vmotion import DEFAULT_VMOTION, Traits, VMotion
from vmsim.vmotion_schema import parameters

BIG_GPU = "grid_t4-16q"
BLOCK = ClusterPolicy(eviction=Eviction.BLOCK, vgpu_hot_migrate=True)


def blockers(made: World) -> dict[str, Any]:
    made.hosts.enter_maintenance("esx-1")
    made.settle()
    return made.hosts.blockers("esx-1")


@pytest.mark.parametrize(
    ("word", "fault"),
    [("VMotionNotConfigured", "VMotionNotConfigured"), ("VMotionLinkDown", "VMotionLinkDown")],
)
def test_host_without_vmotion_lets_no_vm_go(word: str, fault: str) -> None:
    made = World([host("esx-1", vmotion_fault=word), host("esx-2")])
    made.running("ns/a")
    assert blockers(made) == {"ns/a": f"{fault}: at the source, host esx-1"}


@pytest.mark.parametrize("fault", ["VMotionNotConfigured", "VMotionLinkDown"])
def test_host_without_vmotion_takes_no_running_vm_but_powers_vms_on(fault: str) -> None:
    made = World([host("esx-1"), host("esx-2", vmotion_fault=fault)])
    made.running("ns/a")
    assert blockers(made) == {"ns/a": f"NoCompatibleHost: 1 InvalidHostState, 1 {fault}"}
    made.running("ns/b")
    assert made.seen("ns/b").host == "esx-2"


def test_pinned_vm_is_not_migrated() -> None:
    pinned = replace(BLOCK, vmotion=VMotion(vms={"ns/a": {"pinned": True}}))
    made = World(hosts(2), policy=pinned)
    made.running("ns/a")
    made.running("ns/b")
    assert blockers(made) == {"ns/a": "AffinityConfigured"}
    assert made.seen("ns/b").host == "esx-2"


def test_class_says_it_for_all_its_vms() -> None:
    model = VMotion(classes={"pinned": Traits(pinned=True)})
    made = World(hosts(2), policy=replace(BLOCK, vmotion=model))
    made.running("ns/a", need(class_name="pinned"))
    assert blockers(made) == {"ns/a": "AffinityConfigured"}


def gpu_world(limit_s: float) -> World:
    model = VMotion(stun_limit_s=limit_s)
    policy = replace(BLOCK, vmotion=model)
    made = World(hosts(2, devices={BIG_GPU: 1}), policy=policy)
    made.running("ns/a", need(BIG_GPU))
    return made


def test_vgpu_adds_its_stun_to_the_downtime() -> None:
    made = gpu_world(100.0)
    assert blockers(made) == {}
    (record,) = [each for each in made.records if each.kind == "VmMigrated"]
    assert record.data["downtime_s"] == pytest.approx(1.67 + 1.19 * 16, abs=0.7)
    assert record.data["duration_s"] > 20 + 10


def test_vgpu_that_would_stop_its_vm_for_too_long_is_not_migrated() -> None:
    made = gpu_world(20.0)
    said = "DisallowedMigrationDeviceAttached: its vGPUs would stop it for 20.7 s, more than 20 s"
    assert blockers(made) == {"ns/a": said}


def test_vgpu_is_not_migrated_where_vcenter_does_not_allow_it() -> None:
    devices = ((GPU, 1),)
    cold = hindrance(devices, Traits(), DEFAULT_VMOTION, 1.0, hot=False)
    assert cold == "DisallowedMigrationDeviceAttached"
    assert hindrance(devices, Traits(), DEFAULT_VMOTION, 1.0, hot=True) == ""


def two_stores(*, storage: bool) -> World:
    specs = [host("esx-1", datastores=("one",)), host("esx-2", datastores=("two",))]
    made = World(specs, policy=replace(BLOCK, vmotion=VMotion(storage=storage)))
    made.running("ns/a")
    return made


def test_vm_stays_with_its_datastore_by_default() -> None:
    assert blockers(two_stores(storage=False)) == {
        "ns/a": "NoCompatibleHost: 1 CannotAccessVmDisk, 1 InvalidHostState"
    }


def test_vm_moves_with_its_disks_where_that_is_allowed() -> None:
    made = two_stores(storage=True)
    assert blockers(made) == {}
    (record,) = [each for each in made.records if each.kind == "VmMigrated"]
    assert record.data["moved_mib"] >= 44 * GIB
    assert made.fleet.guests["ns/a"].requirement.datastores == ("two",)
    made.hosts.exit_maintenance("esx-1")
    made.settle()
    made.hosts.enter_maintenance("esx-2")
    made.settle()
    assert (made.seen("ns/a").host, made.seen("ns/a").power) == ("esx-1", PowerState.ON)


def plan(block: dict[str, Any], **other: Any) -> Any:
    return Run(scenario(vmotion=block, **other)).system.plan


def test_traits_of_a_vm_go_before_those_of_its_class() -> None:
    block = {
        "defaults": {"dirtyMibPerS": 10, "workingSetShare": 0.1},
        "classes": {"db": {"dirtyMibPerS": 300}},
        "vms": {"demo/a": {"workingSetShare": 0.5}},
    }
    model = parameters(plan(block).scenario.spec.vmotion)
    seen = [model.traits(*pair) for pair in [("demo/b", "x"), ("demo/b", "db"), ("demo/a", "db")]]
    assert [(each.dirty_mib_s, each.working_set_share) for each in seen] == [
        (10, 0.1), (300, 0.1), (300, 0.5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("block", "field"),
    [
        ({"network": {"efficiency": 0}}, "efficiency"),
        ({"network": {"share": 0}}, "share"),
        ({"network": {"streams": 0}}, "streams"),
        ({"network": {"streamMbps": 0}}, "streamMbps"),
        ({"preCopy": {"sdpsShare": 1}}, "sdpsShare"),
        ({"preCopy": {"maxSent": 0.5}}, "maxSent"),
        ({"limits": {"host": 0}}, "limits.host"),
        ({"defaults": {"dirtyMibPerS": -1}}, "dirtyMibPerS"),
        ({"defaults": {"workingSetShare": 1.2}}, "workingSetShare"),
        ({"vms": {"a": {"pinned": True}}}, "vmotion.vms"),
        ({"gpuStun": "9.0"}, "gpuStun"),
        ({"stunLimit": 100}, "stunLimit"),
    ],
)
def test_bad_value_is_refused_with_its_field(block: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as refused:
        plan(block)
    assert any(field in problem.field for problem in refused.value.problems)


def test_guest_that_outruns_the_link_is_warned_of_without_sdps() -> None:
    fast = {"classes": {"db": {"dirtyMibPerS": 5000}}}
    assert not plan(fast).warnings
    (warning,) = plan(fast | {"preCopy": {"sdps": False}}).warnings
    assert warning.field == "spec.vmotion.classes.db.dirtyMibPerS"
    assert "never catches up" in warning.message


def slow(mbps: int) -> Any:
    return [{"name": "c", "hosts": [{"name": "x", "cores": 2, "memory": "8Gi", "nicMbps": mbps}]}]


def test_slow_card_is_warned_of() -> None:
    (warning,) = plan({}, clusters=slow(900)).warnings
    assert warning.message.startswith("VMotionLinkCapacityLow")
    assert not plan({}, clusters=slow(1000)).warnings
    (warning,) = plan({"limits": {"networkSlow": 5}}, clusters=slow(1000)).warnings
    assert "less than 250 Mbit/s for each of 5" in warning.message


def test_assumptions_say_what_was_taken_for_granted() -> None:
    said = "\n".join(assumptions(plan({"limits": {"host": 3}, "stunLimit": "7s"})))
    assert "host 3, network 8" in said and "at most 7 s" in said and "47.684 MiB/s" in said


def test_word_of_the_scenario_becomes_the_fault() -> None:
    clusters = slow(10_000)
    clusters[0]["hosts"][0]["vmotion"] = "linkDown"
    assert [each.vmotion_fault for each in plan({}, clusters=clusters).hosts] == ["VMotionLinkDown"]


def test_class_reaches_the_cluster_role() -> None:
    run = Run(scenario())
    run.apply(vm("a"))
    run.until(100)
    assert run.system.fleet.guests["demo/a"].requirement.class_name == "small"
