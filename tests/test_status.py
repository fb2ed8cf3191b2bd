"""What is reported of a VM, in the words of its edition."""

from dataclasses import replace

import pytest

from vmsim.actions import Fault, Observed, Verb
from vmsim.editions import EDITION_2023_03, EDITION_2026_08, Edition
from vmsim.evacuation import HOST_IN_MAINTENANCE, OWN_HOST_REQUIRED
from vmsim.objects import (
    Condition,
    Conditions,
    Hardware,
    PowerState,
    VirtualMachine,
    VMSpec,
    VMStatus,
)
from vmsim.status import (
    CREATED,
    PLACEMENT_READY,
    POWER_SYNCED,
    by_type,
    conditions,
    power_synced,
    report,
    report_hardware,
    report_phase,
)

SEED, HEAD = EDITION_2023_03, EDITION_2026_08
ON, OFF, SUSPENDED = PowerState.ON, PowerState.OFF, PowerState.SUSPENDED
ABSENT = Observed()
THERE = Observed(exists=True, host="esx-1", zone="z1")
READY = replace(THERE, power=ON, ip="10.0.0.1")
NOWHERE = Fault("NoCompatibleHost", "2 InvalidHostState")


def vm(**other: object) -> VirtualMachine:
    return replace(VirtualMachine("ns/a", VMSpec("small", "photon4", "iscsi")), **other)


def reported(
    of: VirtualMachine,
    seen: Observed,
    failure: Fault | None,
    edition: Edition,
    *required: Condition,
) -> VMStatus:
    """The status after a pass."""
    if edition.phases:
        report_phase(of, seen, failure)
    report(of, seen, conditions(of, seen, by_type(required), failure, edition), edition, 0.0)
    return of.status


def said(status: VMStatus) -> dict[str, tuple[str, str, str]]:
    return {c.type: (c.status, c.reason, c.message) for c in status.conditions.values()}


def test_status_of_2023_has_phase_and_old_spelling_and_no_conditions_of_its_own() -> None:
    found = reported(vm(), READY, None, SEED)
    assert found == VMStatus("Created", "poweredOn", "esx-1", "z1", "10.0.0.1")


def test_status_of_2026_has_conditions_and_no_phase() -> None:
    found = reported(vm(), READY, None, HEAD)
    assert (found.phase, found.power_state, found.host) == ("", "PoweredOn", "esx-1")
    assert said(found) == {
        CREATED: ("True", "True", ""),
        POWER_SYNCED: ("True", "Synced", ""),
    }


def test_prerequisites_are_reported_as_they_are() -> None:
    missing = Condition("VirtualMachineClassReady", "False", "NotFound", "no class")
    for edition in (SEED, HEAD):
        found = reported(vm(), ABSENT, None, edition, missing)
        assert found.conditions == {missing.type: missing}


PHASES = [
    ("nothing yet", vm(), ABSENT, None, "Unknown"),
    ("asked for", vm(), Observed(busy=Verb.CREATE), None, "Creating"),
    ("refused", vm(), ABSENT, NOWHERE, "Creating"),
    ("there", vm(), THERE, None, "Created"),
    ("there, refused", vm(), THERE, NOWHERE, "Created"),
    ("deleted", vm(deleting=True), THERE, None, "Deleting"),
    ("phase kept", vm(status=VMStatus(phase="Creating")), ABSENT, None, "Creating"),
]


@pytest.mark.parametrize(("what", "of", "seen", "failure", "phase"), PHASES)
def test_phase_of_2023(
    what: str, of: VirtualMachine, seen: Observed, failure: Fault | None, phase: str
) -> None:
    assert reported(of, seen, failure, SEED).phase == phase


def test_vm_that_is_absent_has_no_host_no_power_and_no_address() -> None:
    assert reported(vm(), ABSENT, None, HEAD) == VMStatus()


def test_vm_without_a_place_is_not_placement_ready() -> None:
    found = reported(vm(), ABSENT, NOWHERE, HEAD)
    message = "NoCompatibleHost: 2 InvalidHostState"
    assert said(found) == {PLACEMENT_READY: ("False", "NotReady", message)}


def test_vm_whose_creation_failed_is_not_created() -> None:
    found = reported(vm(), ABSENT, Fault("GenericVmConfigFault"), HEAD)
    assert said(found) == {CREATED: ("False", "Error", "GenericVmConfigFault")}


def test_placement_becomes_ready_once_it_was_not() -> None:
    before = Condition(PLACEMENT_READY, "False", "NotReady")
    waited = vm(status=VMStatus(conditions=Conditions({PLACEMENT_READY: before})))
    found = reported(waited, THERE, None, HEAD)
    assert said(found)[PLACEMENT_READY] == ("True", "True", "")


SYNC = [
    ("as wanted", ON, ON, None, "True", "Synced", ""),
    ("as wanted after a failure", ON, ON, NOWHERE, "True", "Synced", ""),
    (
        "not yet", ON, OFF, None, "False", "NotSynced",
        "spec.powerState=PoweredOn != status.powerState=PoweredOff",
    ),
    (
        "no host", ON, OFF, NOWHERE, "False", "NotSynced",
        "spec.powerState=PoweredOn != status.powerState=PoweredOff",
    ),
    (
        "suspended", OFF, SUSPENDED, None, "False", "NotSynced",
        "spec.powerState=PoweredOff != status.powerState=Suspended",
    ),
    (
        "maintenance", ON, OFF, replace(NOWHERE, keys=(HOST_IN_MAINTENANCE,)), "False",
        "InfraInMaintenance", "the infrastructure is in maintenance",
    ),
    (
        "own host", ON, OFF, replace(NOWHERE, keys=("other", OWN_HOST_REQUIRED)), "False",
        "InfraInMaintenance", "the infrastructure is in maintenance",
    ),
    (
        "other keys", ON, OFF, replace(NOWHERE, keys=("com.vmware.other",)), "False", "NotSynced",
        "spec.powerState=PoweredOn != status.powerState=PoweredOff",
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", SYNC, ids=[row[0] for row in SYNC])
def test_power_state_is_synced(row: tuple[str, PowerState, PowerState, Fault | None, str]) -> None:
    _, wanted, seen, failure, *said = row
    found = power_synced(wanted, seen, failure)
    assert [found.type, found.status, found.reason, found.message] == [POWER_SYNCED, *said]


def test_message_about_maintenance_names_no_host() -> None:
    failure = Fault("NoCompatibleHost", "esx-1", keys=(HOST_IN_MAINTENANCE,))
    assert "esx" not in power_synced(ON, OFF, failure).message


def test_status_is_renewed_where_it_differs_and_that_is_told() -> None:
    made, lost = Condition(CREATED, "True"), Condition(POWER_SYNCED, "False", "NotSynced", "off")
    of = vm(status=VMStatus("Created", "PoweredOn", "esx-1", "z1", "10.0.0.1", unique_id="vm-1"))
    first, second = Conditions({CREATED: made}), Conditions({POWER_SYNCED: lost})
    assert report(of, READY, first, HEAD, 1.0) == {"conditions": {CREATED: ["True", "", ""]}}
    elsewhere = Observed(exists=True, power=OFF, host="esx-2", zone="z2")
    assert report(of, elsewhere, second, HEAD, 2.0) == {
        "power_state": "PoweredOff", "host": "esx-2", "zone": "z2", "ip": "",
        "conditions": {POWER_SYNCED: ["False", "NotSynced", "off"]},
    }  # fmt: skip
    kept = Conditions({CREATED: made, POWER_SYNCED: lost})
    since_s = {CREATED: 1.0, POWER_SYNCED: 2.0}
    words = ("Created", "PoweredOff", "esx-2", "z2", "", "", "vm-1")
    assert of.status == VMStatus(*words, conditions=kept, since_s=since_s)
    assert report(of, elsewhere, of.status.conditions, HEAD, 3.0) == {}


def test_phase_is_told_when_it_changes_and_only_then() -> None:
    of = vm()
    assert report_phase(of, THERE, None) == {"phase": "Created"}
    assert report_phase(of, THERE, None) == {}
    assert of.status.phase == "Created"


def test_condition_is_as_old_as_its_status() -> None:
    status = VMStatus(conditions=Conditions({CREATED: Condition(CREATED, "False", "Error")}))
    status.since_s = {CREATED: 1.0}
    for now_s, word, reason, since_s in ((2.0, "False", "Other", 1.0), (3.0, "True", "True", 3.0)):
        found = Conditions({CREATED: Condition(CREATED, word, reason)})
        told = report(vm(status=status), ABSENT, found, HEAD, now_s)
        assert told == {"conditions": {CREATED: [word, reason, ""]}}
        assert status.since_s == {CREATED: since_s}


def test_pause_is_told_while_it_lasts_and_its_end_after_it() -> None:
    kind, label = "VirtualMachineReconcileReady", "vmoperator.vmware.com/paused"
    assert kind not in said(reported(vm(labels={"app": "db"}), READY, None, HEAD))
    paused = reported(vm(labels={label: "devops"}), READY, None, HEAD)
    message = "Virtual Machine reconciliation paused by DevOps"
    assert said(paused)[kind] == ("False", "VirtualMachineReconcilePaused", message)
    resumed = reported(vm(status=paused), READY, None, HEAD)
    assert said(resumed)[kind] == ("True", "VirtualMachineReconcileRunning", "")


def test_class_in_force_and_its_hardware_are_told_when_they_change_and_only_then() -> None:
    status, new = VMStatus(), dict[str, object]()
    small = replace(READY, class_name="small", hardware=Hardware(2, 4096, 500, 0))
    told = {"cpus": 2, "cpu_reservation_mhz": 500, "memory_mib": 4096, "memory_reservation_mib": 0}

    report_hardware(status, small, new)
    assert new == {"class_name": "small", "hardware": told}

    new.clear()
    report_hardware(status, small, new)
    assert new == {}

    report_hardware(status, replace(small, class_name="big", hardware=Hardware(4, 8192)), new)
    assert (status.class_name, status.hardware["cpus"]) == ("big", 4)
    assert new["class_name"] == "big"
