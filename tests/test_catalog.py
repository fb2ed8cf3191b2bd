from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmsim.catalog import (
    BINDING_NOT_FOUND,
    PROVIDER_NOT_FOUND,
    Catalog,
    ImageSeen,
    StorageClassSeen,
)
from vmsim.documents import load, read
from vmsim.kinds import kinds
from vmsim.manifests import Manifest, parse, to_vm
from vmsim.problems import BadInput
from vmsim.rendering import to_raw

SEED, HEAD = "2023-03", "2026-08"
MANIFESTS = Path(__file__).parent.parent / "scenarios" / "manifests"
NOT_READY = {"conditions": [{"type": "Ready", "status": "False", "reason": "NotSynced"}]}


def thing(edition: str, kind: str, name: str, namespace: str = "", **fields: Any) -> Manifest:
    row = kinds(edition)[kind]
    raw = {"apiVersion": row.api_versions[-1], "kind": kind, "metadata": {"name": name}} | fields
    return Manifest(kind, namespace if row.namespaced else "", name, raw)


def catalog(edition: str, *manifests: Manifest) -> Catalog:
    made = Catalog(edition)
    for manifest in manifests:
        made.put(manifest)
    return made


def vm_class(edition: str, name: str, cpus: int = 2) -> Manifest:
    spec = {"hardware": {"cpus": cpus, "memory": "4Gi"}}
    return thing(edition, "VirtualMachineClass", name, "demo", spec=spec)


def image(name: str, display: str = "", *, namespace: str = "demo", **status: Any) -> Manifest:
    """An image of the newest edition; of the cluster if the namespace is ''."""
    kind = "VirtualMachineImage" if namespace else "ClusterVirtualMachineImage"
    return thing(HEAD, kind, name, namespace, status={"name": display} | status)


def seed_image(name: str, provider: str = "") -> Manifest:
    reference = {"kind": "ContentLibraryProvider", "name": provider}
    spec = {"providerRef": reference} if provider else {}
    return thing(SEED, "VirtualMachineImage", name, spec=spec)


PROVIDER = thing(SEED, "ContentLibraryProvider", "lib")
SOURCE = thing(SEED, "ContentSource", "src", spec={"providerRef": {"name": "lib"}})
BINDING = thing(SEED, "ContentSourceBinding", "b", "demo", contentSourceRef={"name": "src"})


@pytest.mark.parametrize("edition", [SEED, HEAD])
def test_prerequisites_answer_every_question_of_the_example(edition: str) -> None:
    files = [MANIFESTS / f"{part}-{edition}.yaml" for part in ("prerequisites", "vm-example")]
    *others, example = parse(read(files), edition, "demo")
    here = catalog(edition, *others)
    spec = example.raw["spec"]
    found = here.image("demo", spec["imageName"])

    assert here.namespace_exists("demo")
    assert here.vm_class("demo", spec["className"]) is not None
    assert here.class_bound("demo", spec["className"])
    assert found is not None
    assert here.image_ready("demo", spec["imageName"])
    assert here.content_source_bound("demo", found)
    assert here.storage_class(spec["storageClass"]) == StorageClassSeen(
        spec["storageClass"], "aa6d5a82-1c88-45da-85d3-3d74b91a5bad"
    )
    assert here.storage_class_in_namespace("demo", spec["storageClass"])
    assert here.zones("demo") == ("zone-1",)
    assert here.version == len(others)


@pytest.mark.parametrize("edition", [SEED, HEAD])
def test_empty_catalog_has_nothing(edition: str) -> None:
    here = Catalog(edition)

    assert here.vm_class("demo", "small") is None
    assert here.image("demo", "photon4") is None
    assert not here.image_ready("demo", "photon4")
    assert here.storage_class("iscsi") is None
    assert not here.storage_class_in_namespace("demo", "iscsi")
    assert here.zones("demo") == ()
    assert not here.namespace_exists("demo")
    assert here.namespace_exists("default")
    assert here.objects("vmclass") == []
    assert here.version == 0


def test_class_of_the_first_edition_is_seen_everywhere_but_bound_per_namespace() -> None:
    binding = thing(SEED, "VirtualMachineClassBinding", "b", "demo", classRef={"name": "small"})
    here = catalog(SEED, vm_class(SEED, "small"), binding)

    assert here.vm_class("other", "small") == here.vm_class("demo", "small")
    assert here.class_bound("demo", "small")
    assert not here.class_bound("other", "small")
    assert not here.class_bound("demo", "large")


def test_class_of_the_newest_edition_belongs_to_its_namespace_and_needs_no_binding() -> None:
    here = catalog(HEAD, vm_class(HEAD, "small"))
    found = here.vm_class("demo", "small")

    assert found is not None
    assert (found.cpus, found.memory_mib, found.namespace) == (2, 4096, "demo")
    assert here.vm_class("other", "small") is None
    assert here.class_bound("other", "small")


def test_object_name_of_an_image_is_looked_up_in_the_namespace_then_the_cluster() -> None:
    here = catalog(HEAD, image("vmi-1", "a", namespace=""), image("vmi-2", "b", namespace=""))

    assert here.image("demo", "vmi-1") == ImageSeen("ClusterVirtualMachineImage", "", "vmi-1", "a")
    here.put(image("vmi-1", "c"))
    assert here.image("demo", "vmi-1") == ImageSeen("VirtualMachineImage", "demo", "vmi-1", "c")
    assert here.image_object("demo", "vmi-1", "ClusterVirtualMachineImage") == ImageSeen(
        "ClusterVirtualMachineImage", "", "vmi-1", "a"
    )
    assert here.image("demo", "vmi-3") is None


def test_display_name_must_match_one_image_over_both_scopes() -> None:
    here = catalog(HEAD, image("vmi-1", "photon"), image("vmi-2", "photon", namespace="other"))
    only = here.image("demo", "photon")

    assert only is not None
    assert only.name == "vmi-1"
    here.put(image("vmi-3", "photon", namespace=""))
    assert here.image("demo", "photon") is None
    assert [match.name for match in here.image_matches("demo", "photon")] == ["vmi-1", "vmi-3"]
    assert here.image_matches("third", "ubuntu") == ()


def test_object_name_without_prefix_is_found_only_as_an_object() -> None:
    here = catalog(HEAD, image("photon-object", "photon"))

    assert here.image("demo", "photon-object") is None
    assert here.image_object("demo", "photon-object") is not None


def test_image_is_ready_unless_a_condition_says_otherwise() -> None:
    here = catalog(HEAD, image("vmi-1", "a"), image("vmi-2", "b", **NOT_READY))
    waiting = here.image("demo", "b")

    assert here.image_ready("demo", "vmi-1")
    assert not here.image_ready("demo", "vmi-2")
    assert waiting is not None
    assert waiting.reason == "NotSynced"


def test_status_of_an_image_may_hold_anything_without_harm() -> None:
    here = catalog(HEAD, image("vmi-1", "a", conditions=5), image("vmi-2", "b", conditions=[None]))

    assert here.image_ready("demo", "vmi-1")
    assert here.image_ready("demo", "vmi-2")


def test_image_of_the_first_edition_is_an_object_of_the_cluster() -> None:
    here = catalog(SEED, seed_image("photon4", "lib"))

    assert here.image("demo", "photon4") == ImageSeen(
        "VirtualMachineImage", "", "photon4", provider="lib"
    )


@pytest.mark.parametrize(
    ("links", "reason"),
    [
        ((), PROVIDER_NOT_FOUND),
        ((SOURCE, BINDING), PROVIDER_NOT_FOUND),
        ((PROVIDER,), BINDING_NOT_FOUND),
        ((PROVIDER, SOURCE), BINDING_NOT_FOUND),
        ((PROVIDER, BINDING), BINDING_NOT_FOUND),
        ((PROVIDER, SOURCE, BINDING), ""),
    ],
)
def test_every_link_from_image_to_namespace_is_needed(
    links: tuple[Manifest, ...], reason: str
) -> None:
    here = catalog(SEED, seed_image("photon4", "lib"), *links)
    found = here.image("demo", "photon4")

    assert found is not None
    assert here.content_source_reason("demo", found) == reason
    assert here.content_source_bound("demo", found) == (reason == "")
    assert not here.content_source_bound("other", found)


def test_owner_references_link_image_provider_and_source_too() -> None:
    def owned_by(kind: str, name: str) -> dict[str, Any]:
        return {"name": "x", "ownerReferences": [{"kind": kind, "name": name}]}

    here = catalog(
        SEED,
        thing(SEED, "VirtualMachineImage", "i", metadata=owned_by("ContentLibraryProvider", "lib")),
        thing(SEED, "ContentLibraryProvider", "lib", metadata=owned_by("ContentSource", "src")),
        thing(SEED, "ContentSource", "src"),
        BINDING,
    )
    found = here.image("demo", "i")

    assert found is not None
    assert here.content_source_bound("demo", found)
    here.remove("ContentSource", "", "src")
    assert not here.content_source_bound("demo", found)


def test_image_without_provider_is_content_with_any_binding_of_the_namespace() -> None:
    here = catalog(SEED, seed_image("photon4"))
    found = here.image("demo", "photon4")

    assert found is not None
    assert here.content_source_reason("demo", found) == BINDING_NOT_FOUND
    here.put(BINDING)
    assert here.content_source_reason("demo", found) == ""
    assert here.content_source_reason("other", found) == BINDING_NOT_FOUND


def test_newest_edition_asks_for_no_content_source() -> None:
    here = catalog(HEAD, image("vmi-1", "a"))
    found = here.image("demo", "vmi-1")

    assert found is not None
    assert here.content_source_bound("demo", found)


def test_storage_class_belongs_to_a_namespace_whose_quota_names_it() -> None:
    hard = {"iscsi.storageclass.storage.k8s.io/requests.storage": "1Ti", "requests.cpu": "4"}
    here = catalog(SEED, thing(SEED, "ResourceQuota", "q", "demo", spec={"hard": hard}))

    assert here.storage_class_in_namespace("demo", "iscsi")
    assert not here.storage_class_in_namespace("demo", "nfs")
    assert not here.storage_class_in_namespace("demo", "requests.cpu")
    assert not here.storage_class_in_namespace("other", "iscsi")


def test_storage_policy_quota_binds_the_class_by_its_policy() -> None:
    here = catalog(
        HEAD,
        thing(HEAD, "StorageClass", "iscsi", parameters={"storagePolicyID": "p1"}),
        thing(HEAD, "StorageClass", "nfs"),
        thing(HEAD, "StoragePolicyQuota", "q", "demo", spec={"storagePolicyId": "p1"}),
    )

    assert here.storage_class_in_namespace("demo", "iscsi")
    assert not here.storage_class_in_namespace("demo", "nfs")
    assert here.storage_class("nfs") == StorageClassSeen("nfs", "")


def test_zones_are_those_of_the_namespace_before_those_of_the_cluster() -> None:
    def availability_zone(name: str, *namespaces: str) -> Manifest:
        spec = {"namespaces": {namespace: {} for namespace in namespaces}}
        return thing(HEAD, "AvailabilityZone", name, spec=spec)

    here = catalog(HEAD, availability_zone("b", "demo"), availability_zone("a"))

    assert here.zones("demo") == ("a", "b")
    assert here.zones("other") == ("a",)
    here.put(thing(HEAD, "Zone", "z", "demo"))
    assert here.zones("demo") == ("z",)
    assert here.zones("other") == ("a",)


def test_version_grows_with_each_change_and_only_then() -> None:
    here = Catalog(HEAD)
    versions = []
    for change in (vm_class(HEAD, "a"), vm_class(HEAD, "a"), vm_class(HEAD, "a", cpus=4)):
        here.put(change)
        versions.append(here.version)

    assert versions == [1, 1, 2]
    assert not here.remove("VirtualMachineClass", "demo", "b")
    assert here.version == 2
    assert here.remove("vmclass", "demo", "a")
    assert here.version == 3
    assert here.vm_class("demo", "a") is None


def test_replaced_or_removed_object_leaves_no_trace_in_the_answers() -> None:
    here = catalog(HEAD, image("vmi-1", "old"), thing(HEAD, "Zone", "z", "demo"))
    here.put(image("vmi-1", "new"))

    assert here.image("demo", "old") is None
    assert here.image("demo", "new") is not None
    here.remove("vmi", "demo", "vmi-1")
    here.remove("Zone", "demo", "z")
    assert here.image("demo", "new") is None
    assert here.image("demo", "vmi-1") is None
    assert here.zones("demo") == ()


def test_two_quotas_that_name_a_class_are_counted_apart() -> None:
    hard = {"hard": {"iscsi.storageclass.storage.k8s.io/requests.storage": "1Ti"}}
    here = catalog(HEAD, *(thing(HEAD, "ResourceQuota", q, "demo", spec=hard) for q in "ab"))

    here.remove("quota", "demo", "a")
    assert here.storage_class_in_namespace("demo", "iscsi")
    here.remove("quota", "demo", "b")
    assert not here.storage_class_in_namespace("demo", "iscsi")


def test_objects_are_listed_by_namespace_and_name() -> None:
    rows = [("b", "demo"), ("a", "other"), ("a", "demo")]
    here = catalog(HEAD, *(thing(HEAD, "ConfigMap", name, at) for name, at in rows))

    assert [found.key for found in here.objects("cm")] == ["demo/a", "demo/b", "other/a"]
    assert [found.key for found in here.objects("ConfigMap", "other")] == ["other/a"]
    assert here.get("cm", "demo", "b") is not None
    assert here.get("cm", "demo", "c") is None


def test_namespace_is_ignored_when_a_cluster_scoped_kind_is_listed() -> None:
    here = catalog(SEED, vm_class(SEED, "small"))

    assert [found.key for found in here.objects("vmclass", "demo")] == ["small"]


def test_vm_and_unknown_kinds_are_not_kept_here() -> None:
    with pytest.raises(ValueError, match="keeps no VirtualMachine"):
        Catalog(HEAD).put(thing(HEAD, "VirtualMachine", "a", "demo"))
    with pytest.raises(ValueError, match="keeps no Zone"):
        Catalog(SEED).put(thing(HEAD, "Zone", "a", "demo"))


VALUES = st.one_of(
    st.none(),
    st.just([None]),
    st.booleans(),
    st.integers(-2, 1 << 70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "vmi-1", "2Gi", "500m", "PoweredOn", "poweredOff", "a/b", "1e9"]),
    st.lists(st.none() | st.integers() | st.text(max_size=2), max_size=2),
    st.dictionaries(st.sampled_from(["name", "kind", "status", "x"]), st.none() | st.text()),
    st.lists(st.fixed_dictionaries({}, optional={"name": st.none(), "status": st.just("True")})),
)


def paths(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a plain value, the value itself left out."""
    under: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        under = list(value.items())
    elif isinstance(value, list):
        under = list(enumerate(value))
    return [path for key, item in under for path in ((*at, key), *paths(item, (*at, key)))]


RICH = {
    SEED: "spec: {policies: {resources: {requests: {cpu: 1}, limits: {memory: 1Gi}}}, "
    "hardware: {cpus: 1, memory: 1Gi, devices: {vgpuDevices: [{profileName: a}], "
    "dynamicDirectPathIODevices: [{vendorID: 1, deviceID: 2, customLabel: c}]}}}",
    HEAD: "spec: {policies: [{name: p}], image: {name: i, kind: k}, minHardwareVersion: 13, "
    "powerState: PoweredOn, powerOffMode: Soft}",
}


@pytest.mark.parametrize("edition", [SEED, HEAD])
@settings(max_examples=200)
@given(choice=st.data())
def test_whatever_stands_in_a_field_is_taken_or_refused_with_its_line(
    edition: str, choice: st.DataObject
) -> None:
    rich_kind = {SEED: "VirtualMachineClass", HEAD: "VirtualMachine"}[edition]
    api_version = kinds(edition)[rich_kind].api_versions[-1]
    rich = (
        f"{{apiVersion: {api_version}, kind: {rich_kind}, metadata: {{name: r, labels: {{a: b}}}}"
    )
    made = load(f"{rich}, {RICH[edition]}}}", "rich")
    files = [MANIFESTS / f"{part}-{edition}.yaml" for part in ("prerequisites", "vm-example")]
    document = choice.draw(st.sampled_from([*made, *read(files)]))
    path = choice.draw(st.sampled_from(paths(document.value)))
    target = document.value
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = choice.draw(VALUES)

    try:
        manifests = parse([document], edition, "demo")
    except BadInput as error:
        assert all(problem.line > 0 for problem in error.problems)
        return
    here = Catalog(edition)
    for manifest in manifests:
        if manifest.kind == "VirtualMachine":
            assert to_raw(to_vm(manifest, edition), edition)["metadata"]["name"] == manifest.name
        else:
            here.put(manifest)
            assert here.remove(manifest.kind, manifest.namespace, manifest.name)


IN_ZONE = '[{"topology.kubernetes.io/zone": "zone-1"}, {"kubernetes.io/hostname": "esx-1"}]'
IN_OTHERS = '[{"topology.kubernetes.io/zone": "zone-2"}, {"topology.kubernetes.io/zone": "zone-3"}]'


@pytest.mark.parametrize(
    ("notes", "zones"),
    [
        ({}, ()),
        ({"csi.vsphere.volume-requested-topology": IN_OTHERS}, ("zone-2", "zone-3")),
        (
            {
                "csi.vsphere.volume-requested-topology": IN_OTHERS,
                "csi.vsphere.volume-accessible-topology": IN_ZONE,
            },
            ("zone-1",),
        ),
        ({"csi.vsphere.volume-accessible-topology": "zone-1"}, ()),
        ({"csi.vsphere.volume-accessible-topology": "{}"}, ()),
    ],
)
def test_claim_is_in_the_zones_of_its_volume_or_else_in_those_wished_for(
    notes: dict[str, str], zones: tuple[str, ...]
) -> None:
    claim = thing(HEAD, "PersistentVolumeClaim", "data", "demo")
    claim.raw["metadata"]["annotations"] = notes
    made = catalog(HEAD, claim)
    assert made.claim_zones("demo", "data") == zones
    assert made.claim_zones("other", "data") == ()
