"""Each bound refuses what is beyond it, by its place, and nothing else."""

from typing import Any

import pytest

from vmsim.admission import Terms
from vmsim.bounds import BOUNDS, class_refusals, drives, lost_volumes, out_of_bounds, providers
from vmsim.catalog import Catalog
from vmsim.editions import EDITION_2023_03, EDITION_2026_08, Edition
from vmsim.reviewing import CLASSES, review

UUID = "4210CAFE-0001-4000-8000-00000000000a"


def places(spec: dict[str, Any], edition: Edition = EDITION_2026_08) -> list[str]:
    return [error.field for error in out_of_bounds({"spec": spec}, edition)]


@pytest.mark.parametrize(
    ("good", "bad", "place"),
    [
        ({"minHardwareVersion": 13}, {"minHardwareVersion": 12}, "spec.minHardwareVersion"),
        ({"minHardwareVersion": 22}, {"minHardwareVersion": 23}, "spec.minHardwareVersion"),
        ({"minHardwareVersion": 0}, {"minHardwareVersion": 1}, "spec.minHardwareVersion"),
        (
            {"network": {"interfaces": [{}] * 10}},
            {"network": {"interfaces": [{}] * 11}},
            "spec.network.interfaces",
        ),
        (
            {"network": {"interfaces": [{"name": "e0"}]}},
            {"network": {"interfaces": [{"name": "e0"}, {"name": "Eth1"}]}},
            "spec.network.interfaces[1].name",
        ),
        (
            {"hardware": {"cdrom": [{"name": "cdrom1"}]}},
            {"hardware": {"cdrom": [{"name": "c"}]}},
            "spec.hardware.cdrom[0].name",
        ),
        ({"biosUUID": UUID}, {"biosUUID": UUID[1:]}, "spec.biosUUID"),
        ({"instanceUUID": UUID}, {"instanceUUID": UUID + "0"}, "spec.instanceUUID"),
        (
            {"readinessProbe": {"timeoutSeconds": 1}},
            {"readinessProbe": {"timeoutSeconds": 0}},
            "spec.readinessProbe.timeoutSeconds",
        ),
        (
            {"resources": {"limits": {"cpu": 2}}},
            {"resources": {"limits": {"cpu": "2.5"}}},
            "spec.resources.limits.cpu",
        ),
        (
            {"advanced": {"bootDiskCapacity": "1Mi"}},
            {"advanced": {"bootDiskCapacity": "1M"}},
            "spec.advanced.bootDiskCapacity",
        ),
        (
            {"advanced": {"bootDiskCapacity": "20Gi"}},
            {"advanced": {"bootDiskCapacity": "much"}},
            "spec.advanced.bootDiskCapacity",
        ),
    ],
)
def test_value_within_is_taken_and_value_beyond_is_refused_by_its_place(
    good: dict[str, Any], bad: dict[str, Any], place: str
) -> None:
    assert (places(good), places(bad)) == ([], [place])


def test_first_edition_knows_one_bound() -> None:
    options = {"thinProvisioned": True, "eagerZeroed": True}
    spec = {"advancedOptions": {"defaultVolumeProvisioningOptions": options}}
    assert places(spec, EDITION_2023_03) == [BOUNDS[EDITION_2023_03.name][0].place]
    assert places(spec | {"minHardwareVersion": 1}, EDITION_2026_08) == ["spec.minHardwareVersion"]


@pytest.mark.parametrize(
    "spec",
    [
        {"network": {"interfaces": "all"}},
        {"network": []},
        {"minHardwareVersion": "new"},
        {"hardware": {"cdrom": [1, None]}},
    ],
)
def test_value_of_another_type_is_left_to_the_schema(spec: dict[str, Any]) -> None:
    assert places(spec) == []


def cdroms(*images: str, guest: str = "") -> list[str]:
    found = [{"name": f"cdrom{n}", "image": {"name": image}} for n, image in enumerate(images)]
    spec = {"hardware": {"cdrom": found}} | ({"guestID": guest} if guest else {})
    return [str(error) for error in drives({"spec": spec})]


def test_vm_with_drives_names_its_guest_and_each_image_once() -> None:
    assert cdroms("a", "b", guest="otherGuest") == []
    assert cdroms("a") == ["spec.guestID: Required value: when deploying a VM with CD-ROMs"]
    assert cdroms("a", "a", guest="otherGuest") == [
        'spec.hardware.cdrom[1].image.name: Duplicate value: "a"'
    ]
    assert cdroms() == []


def test_volume_that_is_not_removable_stays() -> None:
    old = {"spec": {"volumes": [{"name": "a", "removable": False}, {"name": "b"}]}}
    kept = {"spec": {"volumes": [{"name": "a", "removable": False}]}}
    assert list(lost_volumes(old, kept)) == []
    assert [error.field for error in lost_volumes(old, {"spec": {}})] == ["spec.volumes[0]"]


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        (["cloudInit"], []),
        (["linuxPrep", "vAppConfig"], []),
        (["sysprep", "vAppConfig"], []),
        (["cloudInit", "sysprep"], ["cloudInit", "sysprep"]),
        (["linuxPrep", "sysprep", "vAppConfig"], ["linuxPrep", "sysprep"]),
        (["cloudInit", "vAppConfig"], ["cloudInit", "vAppConfig"]),
    ],
)
def test_guest_is_customised_by_one_provider(given: list[str], refused: list[str]) -> None:
    bootstrap: dict[str, Any] = {name: {} for name in given} | {"extra": {}}
    found = list(providers({"spec": {"bootstrap": bootstrap}}))
    assert [error.field for error in found] == [f"spec.bootstrap.{name}" for name in refused]


def test_refused_provider_names_what_it_cannot_go_with() -> None:
    both = {"spec": {"bootstrap": {"cloudInit": {}, "sysprep": {}, "linuxPrep": None}}}
    assert str(next(providers(both))) == (
        "spec.bootstrap.cloudInit: Forbidden: may not be used with sysprep"
    )


def of_class(**spec: Any) -> list[str]:
    return [str(error) for error in class_refusals({"spec": spec})]


def test_class_requests_no_more_than_its_limits() -> None:
    def resources(requests: dict[str, str], limits: dict[str, str]) -> list[str]:
        return of_class(policies={"resources": {"requests": requests, "limits": limits}})

    assert resources({"cpu": "2", "memory": "1Gi"}, {"cpu": "2000m", "memory": "1Gi"}) == []
    assert resources({"cpu": "2"}, {}) == []
    place, detail = "spec.policies.resources.requests.cpu", "must not be larger than its limit"
    refused = resources({"cpu": "2"}, {"cpu": "1500m"})
    assert refused == [f'{place}: Invalid value: "2": {detail}']


def test_reserved_slots_are_those_of_a_profile() -> None:
    assert of_class(reservedSlots=2, reservedProfileID="p") == []
    assert of_class(reservedSlots=2) == [
        "spec.reservedProfileID: Required value: when slots are reserved"
    ]


def test_class_is_judged_when_it_is_made_and_not_when_it_is_changed() -> None:
    raw = {"metadata": {"name": "large"}, "spec": {"reservedSlots": 1}}
    request = {"uid": "1", "object": raw, "oldObject": raw, "resource": {"resource": CLASSES}}
    terms = Terms(Catalog(EDITION_2026_08.name), EDITION_2026_08)
    refused = review(request | {"operation": "CREATE"}, terms)
    assert not refused["allowed"]
    assert 'VirtualMachineClass.vmoperator.vmware.com "large" is invalid' in str(refused)
    assert review(request | {"operation": "UPDATE"}, terms) == {"uid": "1", "allowed": True}
