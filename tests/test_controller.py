"""The VM role at work: one VM from its manifest to its end, in seconds and reported words."""

from typing import Any

import pytest
from builders import GPU, Run, host, scenario, vm, vm_class

from vmsim.objects import PowerState

ON, OFF = PowerState.ON, PowerState.OFF
ONE = {"name": "esx-1", "cores": 2, "mhz": 1000, "memory": "16Gi"}
FULL = {"cpu": 0.5, "memory": 1.0}
"""A host of two cores has room for one vCPU: no VM fits."""


def run(edition: str = "2026-08", hosts: list[dict[str, Any]] | None = None, **spec: Any) -> Run:
    """A system with one cluster of these hosts, no overcommitment."""
    policies = {"overcommit": {"cpu": 1.0, "memory": 1.0}} | spec.pop("policies", {})
    clusters = [{"name": "cluster-1", "hosts": hosts or [ONE]}]
    return Run(scenario(edition, clusters=clusters, policies=policies, **spec))


def applied(edition: str = "2026-08", until: float = 100, **more: Any) -> Run:
    """A system with the VM `a`, applied at 0.001, at that second."""
    made = run(edition, **more)
    assert made.apply(vm("a", edition=edition)) == [None]
    made.until(until)
    return made


def events(made: Run, name: str = "a") -> list[tuple[float, str]]:
    return [
        (round(record.t), record.data["reason"])
        for record in made.records
        if (record.kind, record.object) == ("Event", f"demo/{name}")
    ]


def retries(made: Run, name: str = "a") -> list[float]:
    """Seconds at which the VM was put off, counted from the first time."""
    found = [r.t for r in made.records if (r.kind, r.object) == ("Requeued", f"demo/{name}")]
    return [round(t - found[0], 3) for t in found]


def test_vm_is_made_powered_on_and_ready() -> None:
    made = applied(until=66)
    assert made.log("VmCreated", "VmPoweredOn") == [
        (30.001, "demo/a", "VmCreated"),
        (35.001, "demo/a", "VmPoweredOn"),
    ]
    status = made.status("a")
    assert (status.power_state, status.host, status.zone) == ("PoweredOn", "esx-1", "zone-1")
    assert status.ip == "10.0.0.1"
    assert status.unique_id
    assert made.condition("a", "VirtualMachineCreated") == ("True", "True", "")
    assert made.condition("a", "VirtualMachinePowerStateSynced") == ("True", "Synced", "")


def test_vm_of_2023_has_a_phase_and_the_old_spelling() -> None:
    made = applied("2023-03", until=10)
    assert made.status("a").phase == "Creating"
    made.until(100)
    assert (made.status("a").phase, made.status("a").power_state) == ("Created", "poweredOn")


@pytest.mark.parametrize(
    ("edition", "finalizer"),
    [
        ("2023-03", "virtualmachine.vmoperator.vmware.com"),
        ("2026-08", "vmoperator.vmware.com/virtualmachine"),
    ],
)
def test_vm_gets_the_finalizer_of_its_edition(edition: str, finalizer: str) -> None:
    made = applied(edition, until=1)
    assert made.system.api.vms["demo/a"].finalizer == finalizer


def test_vm_that_shall_be_off_is_made_and_left_off() -> None:
    made = run()
    made.apply(vm("a", power=False))
    made.until(5000)
    assert made.log("VmCreated", "VmPoweredOn") == [(30.001, "demo/a", "VmCreated")]
    assert made.status("a").power_state == "PoweredOff"


def test_power_state_follows_the_wish() -> None:
    made = applied()
    made.patch("a", powerState="PoweredOff")
    made.until(121)
    assert made.status("a").power_state == "PoweredOff"
    made.patch("a", powerState="PoweredOn")
    made.until(200)
    assert made.status("a").power_state == "PoweredOn"
    made.patch("a", powerState="Suspended")
    made.until(300)
    assert made.status("a").power_state == "Suspended"


def test_last_of_several_wishes_counts() -> None:
    made = applied()
    for power in ("PoweredOff", "PoweredOn", "PoweredOff"):
        made.patch("a", powerState=power)
    made.until(200)
    assert made.status("a").power_state == "PoweredOff"
    assert len(made.log("VmPoweredOff")) == 1


def test_deleted_vm_is_powered_off_destroyed_and_gone() -> None:
    made = applied()
    made.delete("a")
    made.until(126)
    assert made.log("VmPoweredOff", "VmRemoved", "Deleted") == [
        (100, "demo/a", "VmPoweredOff"),
        (105, "demo/a", "VmRemoved"),
        (105, "demo/a", "Deleted"),
    ]
    assert made.system.fleet.guests == {}


def test_vm_deleted_while_it_is_made_is_gone_after_that() -> None:
    made = applied(until=10)
    made.delete("a")
    made.until(100)
    assert made.system.api.vms == {}
    assert made.system.fleet.guests == {}


def test_vm_deleted_before_anything_was_made_is_gone_at_once() -> None:
    made = run(policies={"overcommit": FULL})
    made.apply(vm("a", className="gpu"))
    made.delete("a")
    made.until(1)
    assert made.system.api.vms == {}


def test_vm_without_room_is_made_and_then_tried_at_longer_and_longer_pauses() -> None:
    made = applied(policies={"overcommit": FULL}, until=2400)
    assert made.seen("a").exists
    assert made.status("a").power_state == "PoweredOff"
    found = retries(made)
    assert found[:5] == pytest.approx([0, 0.005, 0.015, 0.035, 0.075])
    assert found[:18] == pytest.approx([0.005 * (2**n - 1) for n in range(18)], abs=0.001)
    reason = "spec.powerState=PoweredOn != status.powerState=PoweredOff"
    assert made.condition("a", "VirtualMachinePowerStateSynced") == ("False", "NotSynced", reason)


def test_failure_is_said_once_not_at_each_retry() -> None:
    made = applied(policies={"overcommit": FULL}, until=1000)
    assert len(retries(made)) > 10
    assert events(made) == [(30, "UpdateFailure")]
    assert len(made.log("NoCompatibleHost")) == 1


def test_vm_that_waits_takes_a_host_that_joins_at_its_next_attempt() -> None:
    made = applied(policies={"overcommit": FULL}, until=400)
    made.system.hosts.add(host("esx-2"))
    made.until(2000)
    second, _, _ = made.log("VmPoweredOn")[0]
    assert second == pytest.approx(30 + 0.005 * (2**17 - 1) + 5, abs=0.1)
    assert made.status("a").host == "esx-2"


def test_vm_that_waits_is_woken_by_room_where_that_is_on() -> None:
    policies = {"overcommit": FULL, "retry": {"wakeOnCapacity": True}}
    made = applied(policies=policies, until=400)
    made.system.hosts.add(host("esx-2"))
    made.until(500)
    assert made.log("VmPoweredOn") == [(405, "demo/a", "VmPoweredOn")]


def test_success_makes_the_next_failure_a_first_one() -> None:
    made = applied(policies={"overcommit": FULL}, until=100)
    before = len(retries(made))
    made.system.hosts.add(host("esx-2", cpu_cores=4))
    made.until(400)
    assert made.status("a").power_state == "PoweredOn"
    made.patch("a", powerState="PoweredOff")
    made.until(450)
    made.system.hosts.enter_maintenance("esx-2")
    made.patch("a", powerState="PoweredOn")
    made.until(451)
    failed = [r.data["failures"] for r in made.records if r.kind == "Requeued"]
    assert failed[before:][-3:] == sorted(failed[-3:])
    first = next(i for i, count in enumerate(failed) if i >= before and count == 1)
    assert failed[first:] == list(range(1, len(failed) - first + 1))


def test_wish_that_changes_ends_the_waiting_at_once() -> None:
    made = applied(policies={"overcommit": FULL}, until=1000)
    made.patch("a", powerState="PoweredOff")
    before = len(retries(made))
    made.until(9000)
    assert len(retries(made)) == before
    assert made.condition("a", "VirtualMachinePowerStateSynced") == ("True", "Synced", "")
    made.patch("a", powerState="PoweredOn")
    made.until(9000.001)
    assert (
        next(r.data["failures"] for r in made.records if r.kind == "Requeued" and r.t >= 9000) == 1
    )


def test_missing_class_is_waited_for_and_taken_when_it_comes() -> None:
    made = run()
    made.apply(vm("a", className="new"))
    made.until(50)
    assert made.log("TaskStarted") == []
    assert made.condition("a", "VirtualMachineClassReady")[:2] == ("False", "NotFound")
    made.apply(vm_class("new", "2026-08")[0])
    made.until(51)
    assert [(t, kind) for t, _, kind in made.log("TaskStarted")] == [(50, "TaskStarted")]
    assert made.condition("a", "VirtualMachineClassReady")[0] == "True"


def test_paused_vm_is_left_alone_until_it_is_not_paused() -> None:
    made = applied()
    paused = {"vmoperator.vmware.com/paused": "true"}
    made.system.api.patch("demo/a", {"metadata": {"annotations": paused}})
    made.patch("a", powerState="PoweredOff")
    made.until(5000)
    assert made.status("a").power_state == "PoweredOn"
    none = dict.fromkeys(paused)
    made.system.api.patch("demo/a", {"metadata": {"annotations": none}})
    made.until(5021)
    assert made.status("a").power_state == "PoweredOff"


def test_change_behind_the_vm_role_is_undone_at_once_where_it_watches() -> None:
    made = applied()
    made.system.hosts.power_off("demo/a")
    made.until(126)
    assert made.log("VmPoweredOff", "VmPoweredOn")[1:] == [
        (120, "demo/a", "VmPoweredOff"),
        (125, "demo/a", "VmPoweredOn"),
    ]


def test_change_behind_the_vm_role_is_undone_at_the_next_resync_where_it_does_not() -> None:
    made = applied("2023-03")
    made.system.hosts.power_off("demo/a")
    made.until(599)
    assert made.seen("a").power is OFF
    assert made.status("a").power_state == "poweredOn"
    made.until(606)
    assert made.seen("a").power is ON


@pytest.mark.parametrize(("edition", "resync_s"), [("2023-03", 600), ("2026-08", 1800)])
def test_resync_has_the_period_of_its_edition(edition: str, resync_s: float) -> None:
    made = applied(edition, policies={"retry": {"watch": False}})
    made.system.hosts.power_off("demo/a")
    made.until(resync_s + 6)
    assert made.log("VmPoweredOn")[-1] == (resync_s + 5, "demo/a", "VmPoweredOn")


def test_vm_on_a_failed_host_is_waited_for_in_2026() -> None:
    made = applied(highAvailability={"enabled": False})
    made.system.hosts.fail("esx-1")
    made.until(200)
    before = len(retries(made))
    made.until(3000)
    assert len(retries(made)) == before
    made.system.hosts.recover("esx-1")
    made.until(3006)
    assert made.seen("a").power is ON


def test_evacuated_gpu_vm_is_tried_until_its_host_is_back() -> None:
    """The paragraph of the page, in seconds."""
    gpu = {**ONE, "devices": {GPU: 1}}
    made = run(hosts=[gpu, {**ONE, "name": "esx-2"}], policies={"eviction": "drs_poweroff"})
    made.apply(vm("a", needs=GPU))
    made.at(100, made.system.hosts.enter_maintenance, "esx-1")
    made.at(1000, made.system.hosts.exit_maintenance, "esx-1")
    made.until(3000)
    told = made.log("VmPoweredOff", "NoCompatibleHost", "EnteredMaintenanceMode", "VmPoweredOn")
    assert [(round(t), kind) for t, _, kind in told] == [
        (35, "VmPoweredOn"),
        (120, "VmPoweredOff"),
        (120, "NoCompatibleHost"),
        (130, "EnteredMaintenanceMode"),
        (round(120 + 0.005 * (2**18 - 1) + 5), "VmPoweredOn"),
    ]


def test_eviction_under_the_policy_is_reported_and_leaves_no_trace_afterwards() -> None:
    gpu = {**ONE, "devices": {GPU: 1}}
    policies = {"eviction": "vm_eviction_policy"}
    made = run(hosts=[gpu, {**gpu, "name": "esx-2"}], policies=policies)
    references = [
        {
            "apiVersion": "vsphere.policy.vmware.com/v1alpha1",
            "kind": "AutomaticVMEvictionPolicy",
            "name": "evict",
        }
    ]
    assert made.apply(vm("a", needs=GPU, policies=references)) == [None]
    made.at(100, made.system.hosts.enter_maintenance, "esx-1")
    made.until(200)
    assert made.condition("a", "VirtualMachinePowerStateSynced") == (
        "False",
        "InfraInMaintenance",
        "the infrastructure is in maintenance",
    )
    made.system.hosts.exit_maintenance("esx-1")
    made.until(2000)
    assert made.condition("a", "VirtualMachinePowerStateSynced") == ("True", "Synced", "")
    assert made.status("a").host == "esx-1"


def test_vms_with_policies_of_one_name_and_two_kinds_are_not_taken_for_alike() -> None:
    made = run()
    for name, kind in (("a", "AutomaticVMEvictionPolicy"), ("b", "BestEffortRestartPolicy")):
        group = "vsphere.policy.vmware.com/v1alpha1"
        references = [{"apiVersion": group, "kind": kind, "name": "p"}]
        assert made.apply(vm(name, power=False, policies=references)) == [None]
    made.until(100)
    guests = made.system.fleet.guests
    assert guests["demo/a"].requirement.policies == ("AutomaticVMEvictionPolicy", "p")
    assert guests["demo/b"].requirement.policies == ("BestEffortRestartPolicy", "p")


@pytest.mark.parametrize("wish", ["PoweredOff", "Suspended"])
def test_vm_that_shall_not_run_any_more_when_it_is_made_keeps_no_room(wish: str) -> None:
    made = applied(until=10)
    assert made.patch("a", powerState=wish) is None
    made.until(5000)
    assert made.seen("a").power is OFF
    assert not made.seen("a").reserved
    assert made.system.fleet.inventory.room[0].tolist() == [2]


def test_slower_host_that_joins_lowers_the_reservation_of_later_vms() -> None:
    made = run(hosts=[{**ONE, "mhz": 2000}])
    manifest = vm_class("reserved", "2026-08", cpus=1)[0]
    manifest["spec"]["policies"] = {"resources": {"requests": {"cpu": "500m"}}}
    made.apply(manifest, vm("a", className="reserved"))
    made.until(100)
    made.system.hosts.add(host("esx-2", cpu_mhz=1000))
    made.apply(vm("b", className="reserved"))
    made.until(200)
    guests = made.system.fleet.guests
    assert guests["demo/a"].requirement.cpu_reservation_mhz == 1000
    assert guests["demo/b"].requirement.cpu_reservation_mhz == 500


FAILING = ["CreateVM", "PowerOnVM", "PowerOffVM", "SuspendVM", "Destroy"]


@pytest.mark.parametrize("kind", ["fail", "drop"])
@pytest.mark.parametrize("verb", FAILING)
def test_task_that_fails_is_retried_and_the_wish_comes_true(verb: str, kind: str) -> None:
    made = run(faults=[{"kind": kind, "verb": verb, "maxHits": 2}])
    made.apply(vm("a"))
    made.until(2000)
    if verb == "SuspendVM":
        made.patch("a", powerState="Suspended")
        made.until(4000)
        assert made.status("a").power_state == "Suspended"
    made.delete("a")
    made.until(8000)
    assert made.system.api.vms == {}
    assert made.system.fleet.guests == {}
    assert len(made.log("TaskFailed")) == 2
    assert made.system.fleet.inventory.room[0].tolist() == [2]


def test_failure_of_a_creation_is_reported_and_goes_away() -> None:
    made = run(faults=[{"kind": "fail", "verb": "CreateVM", "maxHits": 1}])
    made.apply(vm("a"))
    made.until(31)
    assert made.condition("a", "VirtualMachineCreated") == (
        "False",
        "Error",
        "GenericVmConfigFault: injected by the scenario",
    )
    made.until(100)
    assert made.condition("a", "VirtualMachineCreated") == ("True", "True", "")
    assert (30, "CreateFailure") in events(made)


def test_time_of_a_condition_is_that_of_its_last_change_of_status() -> None:
    made = applied()
    since_s = made.status("a").since_s
    assert since_s["VirtualMachineCreated"] == pytest.approx(30.001)
    assert since_s["VirtualMachinePowerStateSynced"] == pytest.approx(35.001)


def test_settled_vm_is_not_visited_again() -> None:
    made = applied()
    before = made.system.trace.count
    made.until(100_000)
    assert made.system.trace.count == before


def test_entries_of_one_fractional_second_happen_in_order() -> None:
    at = ["359.7s", "873.1s", "873.1s"]
    made = run(
        timeline=[
            {"at": at[0], "enterMaintenance": "esx-1"},
            {"at": at[1], "exitMaintenance": "esx-1"},
            {"at": at[2], "apply": vm("a")},
        ]
    )
    made.until(1000)
    assert made.status("a").power_state == "PoweredOn"


def test_policy_that_a_running_vm_is_given_lets_its_host_be_emptied() -> None:
    gpu = {**ONE, "devices": {GPU: 1}}
    policies = {"eviction": "vm_eviction_policy"}
    made = Run(scenario(clusters=[{"name": "c", "hosts": [gpu]}], policies=policies))
    made.apply(vm("a", needs=GPU))
    made.until(200)
    made.system.hosts.enter_maintenance(gpu["name"])
    made.until(400)
    assert made.log("VmPoweredOff") == []
    policy = {"apiVersion": "vsphere.policy.vmware.com/v1alpha1", "name": "p"}
    made.patch("a", policies=[{"kind": "AutomaticVMEvictionPolicy", **policy}])
    made.until(600)
    assert [name for _, name, _ in made.log("VmPoweredOff")] == ["demo/a"]
