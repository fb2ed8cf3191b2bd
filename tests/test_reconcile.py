"""The next step of a VM, as a table of what is wanted and what is seen."""

from dataclasses import replace
from typing import Any

import pytest
from builders import GPU, need

from vmsim.actions import Fault, Observed, Verb
from vmsim.editions import EDITION_2023_03, EDITION_2026_08
from vmsim.objects import ZONE_LABEL, PowerState, VirtualMachine, VMClass, VMSpec
from vmsim.reconcile import (
    HOLD_DELETE,
    HOLD_POWER_ON,
    NO_ZONE,
    PAUSED,
    Next,
    Step,
    claims,
    firmware,
    next_step,
    requirement,
    within,
)

SEED, HEAD = EDITION_2023_03, EDITION_2026_08
ON, OFF, SUSPENDED = PowerState.ON, PowerState.OFF, PowerState.SUSPENDED
FAULT = Fault("NoCompatibleHost")
ABSENT = Observed()
OFF_THERE = Observed(exists=True, class_name="small", host="esx-1")
SUSPENDED_THERE = Observed(exists=True, class_name="small", power=SUSPENDED, host="esx-1")
ON_THERE = Observed(exists=True, class_name="small", power=ON, host="esx-1")
READY = Observed(exists=True, class_name="small", power=ON, host="esx-1", ip="10.0.0.1")


def vm(
    wanted: PowerState | None = ON, mode: str = "", restart: str = "", **other: Any
) -> VirtualMachine:
    modes = {"power_off_mode": mode, "next_restart_time": restart}
    spec = VMSpec("small", "photon4", "iscsi", power_state=wanted, **modes)
    return replace(VirtualMachine("ns/a", spec, finalizer="f"), **other)


def step(wanted: VirtualMachine, seen: Observed, *, unmet: bool = False) -> str:
    return next_step(wanted, seen, unmet, HEAD).next.value


LIVING = [
    # what is wanted, what is seen, the next step
    ("new", vm(finalizer=""), ABSENT, "AddFinalizer"),
    ("to make", vm(), ABSENT, "Create"),
    ("to make, off", vm(OFF), ABSENT, "Create"),
    ("being made", vm(), Observed(busy=Verb.CREATE), "Wait"),
    ("not made", vm(), Observed(fault=FAULT), "Retry"),
    ("made", vm(), OFF_THERE, "PowerOn"),
    ("no word means on", vm(None), OFF_THERE, "PowerOn"),
    ("made, off", vm(OFF), OFF_THERE, "Settled"),
    ("made, off, room kept", vm(OFF), replace(OFF_THERE, reserved=True), "PowerOff"),
    ("made, room kept", vm(), replace(OFF_THERE, reserved=True), "PowerOn"),
    ("of another class", vm(), replace(OFF_THERE, class_name="big"), "Resize"),
    ("of another class, off", vm(OFF), replace(OFF_THERE, class_name="big"), "Resize"),
    ("of another class, on", vm(), replace(READY, class_name="big"), "Settled"),
    ("of another class, to power off", vm(OFF), replace(READY, class_name="big"), "PowerOff"),
    ("of another class, suspended", vm(), replace(SUSPENDED_THERE, class_name="big"), "PowerOn"),
    ("powering on", vm(), replace(OFF_THERE, busy=Verb.POWER_ON), "Wait"),
    ("not powered on", vm(), replace(OFF_THERE, fault=FAULT), "Retry"),
    ("fault and task", vm(), replace(OFF_THERE, fault=FAULT, busy=Verb.POWER_ON), "Retry"),
    ("no address", vm(), ON_THERE, "WaitForIP"),
    ("ready", vm(), READY, "Settled"),
    ("to power off", vm(OFF), READY, "PowerOff"),
    ("to restart", vm(restart="12:00"), READY, "Restart"),
    ("to restart, still booting", vm(restart="12:00"), ON_THERE, "Restart"),
    ("restarted", vm(restart="12:00"), replace(READY, restarted="12:00"), "Settled"),
    ("to restart again", vm(restart="12:05"), replace(READY, restarted="12:00"), "Restart"),
    ("to restart, off", vm(restart="12:00"), OFF_THERE, "PowerOn"),
    ("to restart, wanted off", vm(OFF, restart="12:00"), READY, "PowerOff"),
    ("migrating", vm(OFF), replace(READY, busy=Verb.MIGRATE), "Wait"),
    ("to suspend", vm(SUSPENDED), READY, "Suspend"),
    ("suspended", vm(SUSPENDED), SUSPENDED_THERE, "Settled"),
    ("nothing to suspend", vm(SUSPENDED), OFF_THERE, "Settled"),
    ("nothing to suspend, room kept", vm(SUSPENDED), replace(OFF_THERE, reserved=True), "PowerOff"),
    ("to resume", vm(), SUSPENDED_THERE, "PowerOn"),
    ("suspended to off", vm(OFF), SUSPENDED_THERE, "PowerOff"),
    ("suspended to off, hard", vm(OFF, "Hard"), SUSPENDED_THERE, "PowerOff"),
    ("suspended to off, try", vm(OFF, "TrySoft"), SUSPENDED_THERE, "PowerOff"),
    ("suspended to off, soft", vm(OFF, "Soft"), SUSPENDED_THERE, "Settled"),
    ("running to off, soft", vm(OFF, "Soft"), READY, "PowerOff"),
]


@pytest.mark.parametrize(("what", "wanted", "seen", "expected"), LIVING, ids=[r[0] for r in LIVING])
def test_next_step(what: str, wanted: VirtualMachine, seen: Observed, expected: str) -> None:
    assert step(wanted, seen) == expected


DYING = [
    ("never made", ABSENT, "RemoveFinalizer"),
    ("being made", Observed(busy=Verb.CREATE), "Wait"),
    ("creation refused", Observed(fault=FAULT), "Retry"),
    ("off", OFF_THERE, "Destroy"),
    ("on", READY, "PowerOff"),
    ("suspended", SUSPENDED_THERE, "PowerOff"),
    ("room kept", replace(OFF_THERE, reserved=True), "Destroy"),
    ("a task runs", replace(READY, busy=Verb.MIGRATE), "Wait"),
    ("not destroyed", replace(OFF_THERE, fault=FAULT), "Retry"),
    ("host gone", replace(OFF_THERE, connected=False), "Retry"),
]


@pytest.mark.parametrize(("what", "seen", "expected"), DYING, ids=[r[0] for r in DYING])
def test_next_step_of_a_deletion(what: str, seen: Observed, expected: str) -> None:
    assert step(vm(deleting=True), seen) == expected


def test_deletion_does_not_ask_for_prerequisites() -> None:
    assert step(vm(deleting=True), ABSENT, unmet=True) == "RemoveFinalizer"


def test_creation_waits_for_prerequisites() -> None:
    assert next_step(vm(), ABSENT, True, HEAD) == Step(Next.RETRY, "a prerequisite is missing")


def test_vm_that_exists_does_not_need_its_prerequisites_any_more() -> None:
    assert step(vm(), OFF_THERE, unmet=True) == "PowerOn"
    assert step(vm(), READY, unmet=True) == "Settled"


@pytest.mark.parametrize("name", sorted(PAUSED))
@pytest.mark.parametrize("deleting", [False, True])
@pytest.mark.parametrize("seen", [ABSENT, OFF_THERE, READY, Observed(fault=FAULT)])
def test_paused_vm_is_left_alone(name: str, deleting: bool, seen: Observed) -> None:
    assert step(vm(deleting=deleting, annotations={name: ""}), seen) == "Wait"


def test_paused_vm_does_not_even_get_its_finalizer() -> None:
    assert step(vm(finalizer="", annotations={min(PAUSED): "true"}), ABSENT) == "Wait"


def test_power_on_check_holds_the_power_on_and_nothing_else() -> None:
    held = {HOLD_POWER_ON + "licence": "who"}
    assert step(vm(annotations=held), OFF_THERE) == "Wait"
    assert step(vm(annotations=held), SUSPENDED_THERE) == "Wait"
    assert step(vm(annotations=held), ABSENT) == "Create"
    assert step(vm(annotations=held), READY) == "Settled"
    assert step(vm(OFF, annotations=held), READY) == "PowerOff"
    assert step(vm(deleting=True, annotations=held), OFF_THERE) == "Destroy"


def test_delete_check_holds_the_deletion_and_nothing_else() -> None:
    held = {HOLD_DELETE + "backup": "who"}
    assert step(vm(deleting=True, annotations=held), OFF_THERE) == "Wait"
    assert step(vm(annotations=held), OFF_THERE) == "PowerOn"


def test_other_annotations_hold_nothing() -> None:
    assert step(vm(annotations={"note": "x"}), OFF_THERE) == "PowerOn"
    assert step(vm(deleting=True, annotations={"note": "x"}), OFF_THERE) == "Destroy"


def test_vm_on_a_host_that_does_not_respond_is_waited_for_in_2026_and_retried_in_2023() -> None:
    lost = replace(OFF_THERE, connected=False)
    assert next_step(vm(), lost, False, HEAD).next is Next.WAIT
    assert next_step(vm(), lost, False, SEED).next is Next.RETRY


def test_same_question_has_the_same_answer() -> None:
    for _, wanted, seen, _ in LIVING:
        assert step(wanted, seen) == step(wanted, seen)


BIG = VMClass(
    "big",
    cpus=4,
    memory_mib=8192,
    cpu_reservation_milli=1500,
    memory_reservation_mib=4096,
    devices={GPU: 2},
    min_cpu_generation=3,
    min_hardware_version=15,
)


def asked(of: VirtualMachine, vm_class: VMClass = BIG, **other: Any) -> Any:
    given = {"zones": ("z1", "z2"), "datastores": ("fast",), "lowest_mhz": 1001, **other}
    return requirement(of, vm_class, **given)


def test_class_says_what_a_vm_asks_of_a_host() -> None:
    assert asked(vm()) == need(
        cpus=4,
        memory_mib=8192,
        cpu_reservation_mhz=1502,
        memory_reservation_mib=4096,
        devices=((GPU, 2),),
        zones=("z1", "z2"),
        datastores=("fast",),
        min_hardware_version=15,
        min_cpu_generation=3,
        class_name="big",
    )


@pytest.mark.parametrize(
    ("milli", "mhz"), [(0, 0), (1, 2), (999, 1000), (1000, 1001), (1001, 1003), (1500, 1502)]
)
def test_cpu_request_becomes_mhz_of_the_slowest_core_rounded_up(milli: int, mhz: int) -> None:
    vm_class = replace(BIG, cpu_reservation_milli=milli)
    assert asked(vm(), vm_class).cpu_reservation_mhz == mhz


def test_zone_of_the_vm_goes_before_those_of_its_namespace() -> None:
    assert asked(vm(labels={ZONE_LABEL: "z9"})).zones == ("z9",)


def test_higher_of_the_two_hardware_versions_counts() -> None:
    newer = replace(vm(), spec=replace(vm().spec, min_hardware_version=19))
    older = replace(vm(), spec=replace(vm().spec, min_hardware_version=10))
    assert asked(newer).min_hardware_version == 19
    assert asked(older).min_hardware_version == 15


def test_policies_are_known_by_kind_and_name() -> None:
    references = [{"kind": "AutomaticVMEvictionPolicy", "name": "evict"}]
    spec = replace(vm().spec, policies=("evict",), extra={"policies": references})
    assert asked(replace(vm(), spec=spec)).policies == ("AutomaticVMEvictionPolicy", "evict")


@pytest.mark.parametrize("who", ["admin", "devops", "both"])
def test_vm_paused_by_its_label_waits_whatever_is_wanted(who: str) -> None:
    paused = vm(labels={"vmoperator.vmware.com/paused": who})
    assert step(paused, ABSENT) == "Wait"
    assert step(vm(labels={"vmoperator.vmware.com/paused": "nobody"}), ABSENT) != "Wait"


def test_vm_that_is_to_live_on_is_let_go_while_it_runs() -> None:
    key = "vmoperator.vmware.com.protected/skip-delete-platform-resource"
    assert step(vm(deleting=True, annotations={key: ""}), READY) == "RemoveFinalizer"


@pytest.mark.parametrize(
    ("own", "of_image", "of_class", "expected"),
    [
        ({"firmware": "EFI"}, "bios", "bios", "efi"),
        ({"firmware": "BIOS"}, "efi", "efi", "bios"),
        ({}, "efi", "bios", "efi"),
        ({}, "", "efi", "efi"),
        ({}, "", "", "bios"),
    ],
)
def test_firmware_is_that_of_the_vm_the_image_or_the_class(
    own: dict[str, str], of_image: str, of_class: str, expected: str
) -> None:
    spec = VMSpec("small", "photon5", "gold", extra={"bootOptions": own})
    assert firmware(VirtualMachine("ns/a", spec), of_image, of_class) == expected


def test_limits_of_cpus_are_counted_in_mhz_and_none_is_none() -> None:
    some = replace(BIG, cpu_limit_milli=1500, memory_limit_mib=6000)
    assert (asked(vm(), some).cpu_limit_mhz, asked(vm(), some).memory_limit_mib) == (1502, 6000)
    assert (asked(vm()).cpu_limit_mhz, asked(vm()).memory_limit_mib) == (None, None)


def test_vm_is_not_given_the_hardware_of_a_class_that_is_missing() -> None:
    assert step(vm(), replace(OFF_THERE, class_name="big"), unmet=True) == "Retry"
    lost = replace(OFF_THERE, class_name="big", connected=False)
    assert step(vm(), lost) == "Wait"


@pytest.mark.parametrize(
    ("zones", "of_claims", "expected"),
    [
        (("a", "b"), [], ("a", "b")),
        (("a", "b"), [()], ("a", "b")),
        (("a", "b"), [("b", "c")], ("b",)),
        ((), [("b", "c"), ("c",)], ("c",)),
        (("a", "b"), [("a",), ("b",)], NO_ZONE),
        (("a", "b"), [("a",), ("b",), ("a",)], NO_ZONE),
        ((), [], ()),
    ],
)
def test_candidates_are_the_zones_that_all_claims_have(
    zones: tuple[str, ...], of_claims: list[tuple[str, ...]], expected: tuple[str, ...]
) -> None:
    assert within(zones, of_claims) == expected


def test_claims_are_those_of_the_volumes_that_have_one() -> None:
    volumes = [{"name": "a", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "b"}, "c"]
    spec = replace(vm().spec, extra={"volumes": volumes})
    assert claims(replace(vm(), spec=spec)) == ("data",)
    assert claims(vm()) == ()
