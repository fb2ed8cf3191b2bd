"""What is admitted, what is added to it, and with which words the rest is denied."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmsim.admission import Admitted, Denied, Terms, admit_create, admit_delete, admit_update
from vmsim.catalog import Catalog
from vmsim.editions import EDITION_2023_03, EDITION_2026_08, Edition
from vmsim.manifests import Manifest
from vmsim.objects import ZONE_LABEL
from vmsim.rules import PROSE_RULES, Verdict

SEED, HEAD = EDITION_2023_03, EDITION_2026_08
DOCUMENT, CODE = Verdict.DOCUMENT, Verdict.CODE
PHOTON = "vmi-0a0044d7c690bcbea"
IMAGE_REF = {"kind": "VirtualMachineImage", "name": PHOTON}
NIC = {"name": "eth0", "network": {"name": "VM Network"}}
TIME = "2026-08-21T12:00:00Z"


def put(catalog: Catalog, kind: str, key: str, **raw: object) -> None:
    namespace, _, name = key.rpartition("/")
    catalog.put(Manifest(kind, namespace, name, {"kind": kind, **raw}))


def world(edition: Edition) -> Catalog:
    """A namespace `ns` with storage class `iscsi`, zone `z1` and, at 2026-08, some images."""
    catalog = Catalog(edition.name)
    for name in ("iscsi", "other"):
        put(catalog, "StorageClass", name, parameters={"storagePolicyID": f"policy-{name}"})
    quota = {"iscsi.storageclass.storage.k8s.io/requests.storage": "1Ti"}
    put(catalog, "ResourceQuota", "ns/quota", spec={"hard": quota})
    put(catalog, "AvailabilityZone", "z1")
    if edition is HEAD:
        for key, display in ((f"ns/{PHOTON}", "photon4"), ("ns/vmi-2", "twin"), ("ns/vmi-3", "x")):
            put(catalog, "VirtualMachineImage", key, status={"name": display})
        for key, display in (("vmi-4", "twin"), ("vmi-5", "big"), ("vmi-6", "big")):
            put(catalog, "ClusterVirtualMachineImage", key, status={"name": display})
    return catalog


CATALOGS = {edition.name: world(edition) for edition in (SEED, HEAD)}


def terms(edition: Edition, verdict: Verdict = DOCUMENT, now: str = TIME) -> Terms:
    return Terms(CATALOGS[edition.name], edition, verdict, now)


def vm(edition: Edition, name: str = "my-vm", **spec: object) -> dict[str, Any]:
    """The example of the edition's page, in namespace `ns`; a field given as None is left out."""
    fields: dict[str, object] = {"imageName": "photon4", "className": "small"}
    fields["storageClass"] = "iscsi"
    if edition is SEED:
        fields["powerState"] = "poweredOn"
    fields |= spec
    return {
        "apiVersion": edition.api_version,
        "kind": "VirtualMachine",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {field: value for field, value in fields.items() if value is not None},
    }


def labelled(raw: dict[str, Any], zone: str) -> dict[str, Any]:
    raw["metadata"]["labels"] = {ZONE_LABEL: zone}
    return raw


def errors(answer: Admitted | Denied) -> list[str]:
    return [str(error) for error in answer.errors] if isinstance(answer, Denied) else []


def created(raw: dict[str, Any], edition: Edition, verdict: Verdict = DOCUMENT) -> list[str]:
    return errors(admit_create(raw, terms(edition, verdict)))


def stored(edition: Edition, **spec: Any) -> dict[str, Any]:
    answer = admit_create(vm(edition, **spec), terms(edition))
    assert isinstance(answer, Admitted), answer
    return answer.raw


def updated(
    old: dict[str, Any], edition: Edition, verdict: Verdict = DOCUMENT, **spec: object
) -> list[str]:
    new = deepcopy(old)
    new["spec"] |= spec
    return errors(admit_update(old, new, terms(edition, verdict)))


# The examples of both pages, and what is added to them


def test_example_of_2023_is_admitted_and_gets_a_network_interface() -> None:
    raw = vm(SEED, vmMetadata={"transport": "CloudInit"})
    expected = deepcopy(raw)
    expected["spec"]["networkInterfaces"] = [{"networkName": "VM Network"}]
    assert admit_create(raw, terms(SEED)) == Admitted(expected)


def test_example_of_2026_is_admitted_and_completed() -> None:
    raw = vm(HEAD, imageName=PHOTON, bootstrap={"cloudInit": {"cloudConfig": {}}})
    before, expected = deepcopy(raw), deepcopy(raw)
    expected["spec"] |= {
        "image": IMAGE_REF,
        "network": {"interfaces": [NIC]},
        "powerState": "PoweredOn",
        "powerOffMode": "TrySoft",
    }
    assert admit_create(raw, terms(HEAD)) == Admitted(expected)
    assert raw == before


def test_what_the_manifest_says_is_not_replaced_by_defaults() -> None:
    own: dict[str, Any] = {
        "powerState": "PoweredOff",
        "powerOffMode": "Hard",
        "network": {"interfaces": [{}]},
    }
    spec = stored(HEAD, **own)["spec"]
    assert {field: spec[field] for field in own} == own


def test_disabled_network_gets_no_interface() -> None:
    assert stored(HEAD, network={"disabled": True})["spec"]["network"] == {"disabled": True}


@pytest.mark.parametrize(("edition", "field"), [(SEED, "networkInterfaces"), (HEAD, "network")])
def test_annotation_declines_the_default_interface(edition: Edition, field: str) -> None:
    raw = vm(edition)
    raw["metadata"]["annotations"] = {"vmoperator.vmware.com/no-default-nic": ""}
    answer = admit_create(raw, terms(edition))
    assert isinstance(answer, Admitted)
    assert field not in answer.raw["spec"]


# Create: one case per rule, with all its messages

AZ = "metadata.labels[topology.kubernetes.io/zone]"
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
    "'-' or '.', and must start and end with an alphanumeric character"
)
KINDS = "supported: VirtualMachineImage; ClusterVirtualMachineImage"
NO_IMAGE = (
    'spec.imageName: Not found: "{0}": no VM image exists for "{0}" in namespace or cluster scope'
)
NO_QUOTA = "Storage policy is not associated with the namespace ns"
UNSUPPORTED = 'spec.powerState: Unsupported value: "{}": supported values: {}'
HARDWARE = "spec.minHardwareVersion: Invalid value: 23: should be less than or equal to 22"


def invalid(field: str, value: str, detail: str) -> str:
    return f'{field}: Invalid value: "{value}": {detail}'


CREATES: list[tuple[str, Edition, Verdict, dict[str, Any], list[str]]] = [
    ("NAME-1", SEED, DOCUMENT, vm(SEED, "My_VM"), [invalid("metadata.name", "My_VM", SUBDOMAIN)]),
    ("NAME-2", SEED, CODE, vm(SEED, "my.vm"), []),
    ("NAME-2", HEAD, DOCUMENT, vm(HEAD, "my.vm"), []),
    (
        "NAME-3",
        HEAD,
        CODE,
        vm(HEAD, "my.vm"),
        [invalid("metadata.name", "my.vm", "host name must adhere to RFC-1123")],
    ),
    ("NAME-3", HEAD, CODE, vm(HEAD, "my.vm", network={"hostName": "web"}), []),
    (
        "NAME-3",
        HEAD,
        CODE,
        vm(HEAD, network={"hostName": "a_b"}),
        [invalid("spec.network.hostName", "a_b", "host name must adhere to RFC-1123")],
    ),
    ("NAME-3", HEAD, CODE, vm(HEAD, network={"hostName": "10.0.0.1"}), []),
    (
        "NAME-3",
        HEAD,
        CODE,
        vm(HEAD, network={"hostName": "10.0.0.1", "domainName": "a.com"}),
        [
            invalid(
                "spec.network.hostName",
                "10.0.0.1",
                "host name may not be IP address when domain name is non-empty",
            )
        ],
    ),
    (
        "NAME-4",
        HEAD,
        CODE,
        vm(HEAD, "a" * 16, bootstrap={"sysprep": {}}),
        [
            invalid(
                "metadata.name",
                "aaaaaaaaaaaaaaaa",
                "host name may not exceed 15 characters for Windows",
            )
        ],
    ),
    ("NAME-4", HEAD, CODE, vm(HEAD, "a" * 15, bootstrap={"sysprep": {}}), []),
    ("NAME-4", HEAD, DOCUMENT, vm(HEAD, "a" * 16, bootstrap={"sysprep": {}}), []),
    (
        "ZONE-1",
        SEED,
        DOCUMENT,
        labelled(vm(SEED), "z9"),
        [invalid(AZ, "z9", 'AvailabilityZone.topology.tanzu.vmware.com "z9" not found')],
    ),
    ("ZONE-1", HEAD, DOCUMENT, labelled(vm(HEAD), "z1"), []),
    ("IMAGE-1", SEED, DOCUMENT, vm(SEED, imageName=""), ["spec.imageName: Required value"]),
    ("IMAGE-1", HEAD, DOCUMENT, vm(HEAD, imageName=None), ["spec.image: Required value"]),
    ("IMAGE-1", SEED, DOCUMENT, vm(SEED, imageName="absent"), []),
    ("IMAGE-2", HEAD, DOCUMENT, vm(HEAD, imageName="no"), [NO_IMAGE.format("no")]),
    ("IMAGE-2", HEAD, DOCUMENT, vm(HEAD, imageName="vmi-9"), [NO_IMAGE.format("vmi-9")]),
    (
        "IMAGE-2",
        HEAD,
        DOCUMENT,
        vm(HEAD, imageName="twin"),
        [
            invalid(
                "spec.imageName",
                "twin",
                'multiple VM images exist for "twin" in namespace and cluster scope',
            )
        ],
    ),
    (
        "IMAGE-2",
        HEAD,
        DOCUMENT,
        vm(HEAD, imageName="big"),
        [invalid("spec.imageName", "big", 'multiple VM images exist for "big" in cluster scope')],
    ),
    (
        "IMAGE-3",
        HEAD,
        DOCUMENT,
        vm(HEAD, imageName=None, image={"kind": "Disk", "name": "x"}),
        [invalid("spec.image.kind", "Disk", KINDS)],
    ),
    (
        "IMAGE-3",
        HEAD,
        DOCUMENT,
        vm(HEAD, imageName=None, image={"name": "x"}),
        [f"spec.image.kind: Required value: {KINDS}"],
    ),
    ("IMAGE-3", HEAD, DOCUMENT, vm(HEAD, imageName=None, image=IMAGE_REF), []),
    (
        "IMAGE-4",
        HEAD,
        DOCUMENT,
        vm(HEAD, imageName="x", image=IMAGE_REF),
        [invalid("spec.imageName", "x", "must refer to the same resource as spec.image")],
    ),
    ("IMAGE-4", HEAD, DOCUMENT, vm(HEAD, imageName="photon4", image=IMAGE_REF), []),
    ("CLASS-1", SEED, DOCUMENT, vm(SEED, className=None), ["spec.className: Required value"]),
    ("CLASS-1", HEAD, DOCUMENT, vm(HEAD, className=""), ["spec.className: Required value"]),
    ("CLASS-1", HEAD, DOCUMENT, vm(HEAD, className="absent"), []),
    (
        "STORAGE-1",
        SEED,
        DOCUMENT,
        vm(SEED, storageClass=None),
        ["spec.storageClass: Required value"],
    ),
    ("STORAGE-1", HEAD, DOCUMENT, vm(HEAD, storageClass=""), ["spec.storageClass: Required value"]),
    ("STORAGE-1", SEED, CODE, vm(SEED, storageClass=None), []),
    ("STORAGE-1", HEAD, CODE, vm(HEAD, storageClass=""), []),
    (
        "STORAGE-2",
        SEED,
        DOCUMENT,
        vm(SEED, storageClass="no"),
        [invalid("spec.storageClass", "no", NO_QUOTA)],
    ),
    (
        "STORAGE-2",
        SEED,
        CODE,
        vm(SEED, storageClass="other"),
        [invalid("spec.storageClass", "other", NO_QUOTA)],
    ),
    (
        "STORAGE-2",
        HEAD,
        DOCUMENT,
        vm(HEAD, storageClass="no"),
        [invalid("spec.storageClass", "no", 'StorageClass.storage.k8s.io "no" not found')],
    ),
    (
        "STORAGE-2",
        HEAD,
        CODE,
        vm(HEAD, storageClass="other"),
        [
            invalid(
                "spec.storageClass",
                "other",
                "Storage policy is not associated with the namespace ns by object other",
            )
        ],
    ),
    ("POWER-1", SEED, DOCUMENT, vm(SEED, powerState=None), ["spec.powerState: Required value"]),
    (
        "POWER-2",
        SEED,
        DOCUMENT,
        vm(SEED, powerState="suspended"),
        [UNSUPPORTED.format("suspended", '"poweredOff", "poweredOn"')],
    ),
    (
        "POWER-2",
        HEAD,
        DOCUMENT,
        vm(HEAD, powerState="On"),
        [UNSUPPORTED.format("On", '"PoweredOff", "PoweredOn", "Suspended"')],
    ),
    ("POWER-3", HEAD, DOCUMENT, vm(HEAD, powerState=""), []),
    (
        "POWER-4",
        HEAD,
        DOCUMENT,
        vm(HEAD, powerState="Suspended"),
        [invalid("spec.powerState", "Suspended", "cannot set a new VM's power state to Suspended")],
    ),
    (
        "RESTART-1",
        HEAD,
        DOCUMENT,
        vm(HEAD, nextRestartTime="now"),
        [invalid("spec.nextRestartTime", "now", "cannot restart VM on create")],
    ),
    ("HARDWARE-1", HEAD, DOCUMENT, vm(HEAD, minHardwareVersion=23), [HARDWARE]),
    ("HARDWARE-1", HEAD, DOCUMENT, vm(HEAD, minHardwareVersion=22), []),
]


@pytest.mark.parametrize(("rule", "edition", "verdict", "raw", "expected"), CREATES)
def test_create_is_denied_with_these_words_or_admitted(
    rule: str, edition: Edition, verdict: Verdict, raw: dict[str, Any], expected: list[str]
) -> None:
    answer = admit_create(raw, terms(edition, verdict))
    assert errors(answer) == expected
    assert {e.rule for e in answer.errors} <= {rule} if isinstance(answer, Denied) else True


def test_all_faults_of_an_object_are_told_at_once_in_the_order_of_the_fields() -> None:
    raw = labelled(vm(SEED, "-", imageName="", className="", storageClass="", powerState=""), "z9")
    assert [error.split(":")[0] for error in created(raw, SEED)] == [
        "metadata.name",
        "metadata.labels[topology.kubernetes.io/zone]",
        "spec.imageName",
        "spec.className",
        "spec.storageClass",
        "spec.powerState",
    ]


def test_object_without_anything_is_denied_and_breaks_nothing() -> None:
    assert len(created({}, SEED)) == 5
    assert len(created({}, HEAD)) == 4


@pytest.mark.parametrize("edition", [SEED, HEAD])
def test_name_that_is_no_label_is_admitted_with_a_warning(edition: Edition) -> None:
    answer = admit_create(vm(edition, "my.vm"), terms(edition))
    assert isinstance(answer, Admitted)
    assert answer.warnings == (
        "metadata.name: not a DNS label: the guest's host name may differ from the VM's name",
    )


def test_long_windows_name_is_admitted_with_a_warning_by_the_page() -> None:
    raw = vm(HEAD, "a" * 16, bootstrap={"sysprep": {}})
    answer = admit_create(raw, terms(HEAD))
    assert isinstance(answer, Admitted)
    assert answer.warnings == ("metadata.name: host name may not exceed 15 characters for Windows",)


def test_host_name_of_the_manifest_makes_the_advice_about_the_name_moot() -> None:
    answer = admit_create(vm(HEAD, "my.vm", network={"hostName": "web"}), terms(HEAD))
    assert isinstance(answer, Admitted)
    assert answer.warnings == ()


def test_display_name_is_resolved_to_kind_and_object_name() -> None:
    spec = stored(HEAD, imageName="photon4")["spec"]
    assert (spec["imageName"], spec["image"]) == ("photon4", IMAGE_REF)


def test_object_name_is_looked_up_in_the_cluster_too() -> None:
    assert stored(HEAD, imageName="vmi-5")["spec"]["image"] == {
        "kind": "ClusterVirtualMachineImage",
        "name": "vmi-5",
    }


def test_manifest_without_namespace_is_of_the_default_namespace() -> None:
    raw = vm(SEED)
    del raw["metadata"]["namespace"]
    assert created(raw, SEED) == [
        'spec.storageClass: Invalid value: "iscsi": '
        "Storage policy is not associated with the namespace default"
    ]


# How a denial prints


def test_denial_with_one_reason_prints_as_the_api_server_prints_it() -> None:
    assert str(admit_create(vm(SEED, className=None), terms(SEED))) == (
        'VirtualMachine.vmoperator.vmware.com "my-vm" is invalid: spec.className: Required value'
    )


def test_denial_with_several_reasons_prints_them_in_brackets() -> None:
    assert str(admit_create(vm(SEED, className=None, imageName=None), terms(SEED))) == (
        'VirtualMachine.vmoperator.vmware.com "my-vm" is invalid: '
        "[spec.imageName: Required value, spec.className: Required value]"
    )


# Updates


@pytest.mark.parametrize("edition", [SEED, HEAD])
@pytest.mark.parametrize("verdict", list(Verdict))
def test_update_that_changes_nothing_is_admitted_unchanged(
    edition: Edition, verdict: Verdict
) -> None:
    old = stored(edition)
    assert admit_update(old, deepcopy(old), terms(edition, verdict)) == Admitted(old)


def test_update_is_judged_by_the_table() -> None:
    assert updated(stored(SEED), SEED, imageName="ubuntu") == [
        "spec.imageName: Forbidden: field is immutable"
    ]


def test_new_zone_must_exist() -> None:
    old = labelled(stored(SEED), "z1")
    answer = admit_update(old, labelled(deepcopy(old), "z9"), terms(SEED))
    assert errors(answer) == [
        f'{AZ}: Invalid value: "z9": AvailabilityZone.topology.tanzu.vmware.com "z9" not found'
    ]


def test_zone_that_went_away_does_not_hinder_other_updates() -> None:
    old = labelled(stored(SEED), "gone")
    assert updated(old, SEED, powerState="poweredOff") == []


def test_unknown_storage_class_is_no_reason_to_refuse_other_updates() -> None:
    old = stored(SEED) | {"spec": stored(SEED)["spec"] | {"storageClass": "gone"}}
    assert updated(old, SEED, powerState="poweredOff") == []


@pytest.mark.parametrize(
    ("edition", "before", "after", "expected"),
    [
        (SEED, "poweredOn", "poweredOff", []),
        (SEED, "poweredOff", "poweredOn", []),
        (SEED, "poweredOn", "", ["spec.powerState: Required value"]),
        (HEAD, "PoweredOn", "PoweredOff", []),
        (HEAD, "PoweredOn", "Suspended", []),
        (HEAD, "Suspended", "PoweredOn", []),
        (HEAD, "Suspended", "PoweredOff", []),
        (
            *(HEAD, "PoweredOn", ""),
            ['spec.powerState: Invalid value: "": cannot set power state to empty string'],
        ),
        (
            *(HEAD, "PoweredOff", "Suspended"),
            [invalid("spec.powerState", "Suspended", "cannot suspend a VM that is powered off")],
        ),
    ],
)
def test_power_state_may_take_these_ways(
    edition: Edition, before: str, after: str, expected: list[str]
) -> None:
    old = stored(edition)
    old["spec"]["powerState"] = before
    assert updated(old, edition, powerState=after) == expected


@pytest.mark.parametrize("word", ["now", "Now", "NOW"])
def test_restart_now_is_stored_as_the_time_of_the_request(word: str) -> None:
    old = stored(HEAD)
    new = deepcopy(old)
    new["spec"]["nextRestartTime"] = word
    answer = admit_update(old, new, terms(HEAD))
    assert isinstance(answer, Admitted)
    assert answer.raw["spec"]["nextRestartTime"] == TIME


def test_restart_time_that_is_emptied_is_kept() -> None:
    old = stored(HEAD)
    old["spec"]["nextRestartTime"] = TIME
    answer = admit_update(old, stored(HEAD), terms(HEAD))
    assert answer == Admitted(old)


def test_restart_is_refused_at_another_time_and_while_off() -> None:
    old, off = stored(HEAD), stored(HEAD, powerState="PoweredOff")
    field = "spec.nextRestartTime"
    at_another_time = updated(old, HEAD, nextRestartTime="later")
    assert at_another_time == [invalid(field, "later", 'may only be set to "now"')]
    while_off = updated(off, HEAD, nextRestartTime="now")
    assert while_off == [invalid(field, "now", "can only restart powered on vm")]
    new = deepcopy(old)
    new["spec"]["nextRestartTime"] = "now"
    assert errors(admit_update(old, new, terms(HEAD, now=""))) == [
        invalid(field, "now", "mutation webhooks are required to restart VM")
    ]


def test_secret_name_that_is_emptied_is_kept() -> None:
    old = stored(SEED, vmMetadata={"transport": "CloudInit", "secretName": "s"})
    new = deepcopy(old)
    del new["spec"]["vmMetadata"]["secretName"]
    assert admit_update(old, new, terms(SEED)) == Admitted(old)


def test_delete_is_always_admitted() -> None:
    raw = vm(SEED, "-", imageName=None)
    assert admit_delete(raw) == Admitted(raw)


# Properties


@given(
    st.dictionaries(
        st.sampled_from(["metadata", "spec", "status"]),
        st.none()
        | st.text("ab", max_size=2)
        | st.lists(st.integers())
        | st.dictionaries(
            st.sampled_from(["name", "labels", "image", "network", "bootstrap", "powerState"]),
            st.none() | st.integers() | st.lists(st.none()) | st.just({"name": 1}),
        ),
    ),
    st.sampled_from([SEED, HEAD]),
    st.sampled_from(Verdict),
)
def test_no_manifest_breaks_admission(
    raw: dict[str, Any], edition: Edition, verdict: Verdict
) -> None:
    assert isinstance(admit_create(raw, terms(edition, verdict)), Denied)
    assert isinstance(admit_update(raw, raw, terms(edition, verdict)), Admitted | Denied)


def test_every_prose_rule_of_creation_has_a_case() -> None:
    elsewhere = {"POWER-5", "POWER-6", "RESTART-2", "NIC-1", "METADATA-1", "DELETE-1"}
    assert {rule.id for rule in PROSE_RULES} - elsewhere == {case[0] for case in CREATES}
