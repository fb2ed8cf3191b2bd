"""What a VM waits for before it is built, and how it says so."""

from collections.abc import Mapping
from typing import Any

import pytest

from vmsim.catalog import Catalog
from vmsim.editions import EDITION_2023_03, EDITION_2026_08, Edition
from vmsim.manifests import Manifest
from vmsim.objects import Condition, VirtualMachine, VMSpec
from vmsim.prerequisites import prerequisites, unmet

SEED, HEAD = EDITION_2023_03, EDITION_2026_08
HARDWARE: Mapping[str, Any] = {"hardware": {"cpus": 2, "memory": "4Gi"}}
OWNED = {"ownerReferences": [{"kind": "ContentLibraryProvider", "name": "library"}]}

# What the example of each edition's page needs, as (kind, key, rest of the manifest).
Row = tuple[str, str, Mapping[str, Any]]
NEEDS: Mapping[str, tuple[Row, ...]] = {
    "2023-03": (
        ("VirtualMachineClass", "small", {"spec": HARDWARE}),
        ("VirtualMachineClassBinding", "ns/small", {"classRef": {"name": "small"}}),
        ("VirtualMachineImage", "photon4", {"metadata": OWNED}),
        ("ContentLibraryProvider", "library", {}),
        ("ContentSource", "source", {"spec": {"providerRef": {"name": "library"}}}),
        ("ContentSourceBinding", "ns/source", {"contentSourceRef": {"name": "source"}}),
    ),
    "2026-08": (
        ("VirtualMachineClass", "ns/small", {"spec": HARDWARE}),
        ("VirtualMachineImage", "ns/vmi-1", {"status": {"name": "photon4"}}),
        ("StorageClass", "iscsi", {"parameters": {"storagePolicyID": "p"}}),
    ),
}


def world(edition: Edition, *without: str, **changed: Mapping[str, Any]) -> Catalog:
    """All that the VM needs, without some kinds, and with some kinds otherwise."""
    catalog = Catalog(edition.name)
    for kind, key, rest in NEEDS[edition.name]:
        if kind not in without:
            namespace, _, name = key.rpartition("/")
            raw = {"kind": kind, **rest, **changed.get(kind, {})}
            catalog.put(Manifest(kind, namespace, name, raw))
    return catalog


def vm(edition: Edition, **extra: object) -> VirtualMachine:
    image = "photon4" if edition is SEED else "vmi-1"
    return VirtualMachine("ns/my-vm", VMSpec("small", image, "iscsi", extra=extra))


def not_ready(reason: str) -> Mapping[str, Any]:
    condition = {"type": "Ready", "status": "False", "reason": reason}
    return {"status": {"conditions": [condition]}}


def test_vm_whose_needs_are_met_has_one_true_condition_in_2023() -> None:
    found = prerequisites(vm(SEED), world(SEED), SEED)
    assert found == (Condition("VirtualMachinePrereqReady", "True"),)
    assert unmet(found) == []


def test_vm_whose_needs_are_met_has_three_true_conditions_in_2026() -> None:
    found = prerequisites(vm(HEAD), world(HEAD), HEAD)
    assert found == (
        Condition("VirtualMachineClassReady", "True", "True"),
        Condition("VirtualMachineImageReady", "True", "True"),
        Condition("VirtualMachineStorageReady", "True", "True"),
    )
    assert unmet(found) == []


MISSING_2023 = [
    (
        "VirtualMachineClass",
        "VirtualMachineClassNotFound",
        "Failed to get VirtualMachineClass: small",
    ),
    (
        "VirtualMachineClassBinding",
        "VirtualMachineClassBindingNotFound",
        "Namespace ns does not have access to VirtualMachineClass small",
    ),
    (
        "VirtualMachineImage",
        "VirtualMachineImageNotFound",
        "Failed to get VirtualMachineImage: photon4",
    ),
    (
        "ContentLibraryProvider",
        "ContentLibraryProviderNotFound",
        "Failed to get ContentLibraryProvider: library",
    ),
    (
        "ContentSourceBinding",
        "ContentSourceBindingNotFound",
        "Namespace ns does not have access to ContentSource library "
        "for VirtualMachineImage photon4",
    ),
]


@pytest.mark.parametrize(("kind", "reason", "message"), MISSING_2023)
def test_missing_object_is_named_in_2023(kind: str, reason: str, message: str) -> None:
    found = prerequisites(vm(SEED), world(SEED, kind), SEED)
    assert found == (Condition("VirtualMachinePrereqReady", "False", reason, message),)
    assert unmet(found) == list(found)


@pytest.mark.parametrize("first", range(len(MISSING_2023)))
def test_first_missing_object_hides_the_later_ones_in_2023(first: int) -> None:
    absent = [kind for kind, _, _ in MISSING_2023[first:]]
    (condition,) = prerequisites(vm(SEED), world(SEED, *absent), SEED)
    assert condition.reason == MISSING_2023[first][1]


def test_image_that_is_not_ready_comes_before_its_library_in_2023() -> None:
    catalog = world(SEED, "ContentLibraryProvider", VirtualMachineImage=not_ready("NotSynced"))
    assert prerequisites(vm(SEED), catalog, SEED) == (
        Condition(
            "VirtualMachinePrereqReady",
            "False",
            "VirtualMachineImageNotReady",
            "VM's image provider is not ready: photon4",
        ),
    )


def test_image_without_a_library_needs_any_binding_of_the_namespace() -> None:
    unowned: Mapping[str, Any] = {"metadata": {}}
    bound = world(SEED, VirtualMachineImage=unowned)
    unbound = world(SEED, "ContentSourceBinding", VirtualMachineImage=unowned)
    assert unmet(prerequisites(vm(SEED), bound, SEED)) == []
    assert [c.message for c in prerequisites(vm(SEED), unbound, SEED)] == [
        "Namespace ns does not have access to any ContentSource for VirtualMachineImage photon4"
    ]


def test_all_missing_objects_are_told_at_once_in_2026() -> None:
    catalog = world(HEAD, "VirtualMachineClass", "VirtualMachineImage", "StorageClass")
    assert prerequisites(vm(HEAD), catalog, HEAD) == (
        Condition(
            "VirtualMachineClassReady",
            "False",
            "NotFound",
            'VirtualMachineClass.vmoperator.vmware.com "small" not found',
        ),
        Condition(
            "VirtualMachineImageReady",
            "False",
            "NotFound",
            'VirtualMachineImage.vmoperator.vmware.com "vmi-1" not found',
        ),
        Condition(
            "VirtualMachineStorageReady",
            "False",
            "NotFound",
            'StorageClass.storage.k8s.io "iscsi" not found',
        ),
    )


def test_only_what_is_missing_is_unmet_in_2026() -> None:
    found = prerequisites(vm(HEAD), world(HEAD, "VirtualMachineImage"), HEAD)
    assert [condition.type for condition in unmet(found)] == ["VirtualMachineImageReady"]


def test_class_of_another_namespace_does_not_count_in_2026() -> None:
    other = VirtualMachine("other/my-vm", vm(HEAD).spec)
    assert prerequisites(other, world(HEAD), HEAD)[0].reason == "NotFound"


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (not_ready("VirtualMachineImageNotSynced"), "VirtualMachineImageNotSynced"),
        (not_ready(""), "NotReady"),
    ],
)
def test_image_that_is_not_ready_gives_its_own_reason_in_2026(
    image: Mapping[str, Any], reason: str
) -> None:
    found = prerequisites(vm(HEAD), world(HEAD, VirtualMachineImage=image), HEAD)
    assert found[1] == Condition(
        "VirtualMachineImageReady", "False", reason, "VirtualMachineImage is not ready"
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("VirtualMachineImage", ("True", "True", "")),
        (
            "ClusterVirtualMachineImage",
            (
                "False",
                "NotFound",
                'ClusterVirtualMachineImage.vmoperator.vmware.com "vmi-1" not found',
            ),
        ),
        ("Disk", ("False", "UnknownKind", "Disk")),
    ],
)
def test_image_is_looked_for_by_its_kind_in_2026(kind: str, expected: tuple[str, ...]) -> None:
    machine = vm(HEAD, image={"kind": kind, "name": "vmi-1"})
    condition = prerequisites(machine, world(HEAD), HEAD)[1]
    assert (condition.status, condition.reason, condition.message) == expected


@pytest.mark.parametrize(
    ("spec", "index", "reason", "message"),
    [
        (VMSpec("small", "", "iscsi"), 1, "NotSet", ""),
        (
            VMSpec("small", "vmi-1", ""),
            2,
            "StorageClassRequired",
            "StorageClass is required but not specified",
        ),
    ],
)
def test_what_the_vm_does_not_name_is_a_reason_of_its_own(
    spec: VMSpec, index: int, reason: str, message: str
) -> None:
    found = prerequisites(VirtualMachine("ns/my-vm", spec), world(HEAD), HEAD)[index]
    assert (found.status, found.reason, found.message) == ("False", reason, message)


def test_storage_class_without_a_storage_policy_is_not_ready() -> None:
    found = prerequisites(vm(HEAD), world(HEAD, StorageClass={"parameters": {}}), HEAD)
    assert found[2] == Condition(
        "VirtualMachineStorageReady",
        "False",
        "GetError",
        'StorageClass "iscsi" does not have "storagePolicyID" parameter',
    )


def test_missing_storage_class_is_no_condition_in_2023() -> None:
    machine = VirtualMachine("ns/my-vm", VMSpec("small", "photon4", ""))
    assert unmet(prerequisites(machine, world(SEED), SEED)) == []
