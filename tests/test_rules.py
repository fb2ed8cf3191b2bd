"""The update table: what may change when, under whose verdict, and with which words."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmsim.editions import EDITION_2023_03, EDITION_2026_08, EDITIONS, Edition
from vmsim.objects import ZONE_LABEL
from vmsim.rules import (
    PROSE_RULES,
    UPDATE_RULES,
    Cell,
    ErrorKind,
    FieldError,
    UpdateRule,
    Verdict,
    denials,
    printed,
    table_markdown,
)

SEED, HEAD = EDITION_2023_03, EDITION_2026_08
ON = {"2023-03": "poweredOn", "2026-08": "PoweredOn"}
OFF = {"2023-03": "poweredOff", "2026-08": "PoweredOff"}


def vm(power: str = "poweredOn", zone: str | None = None, **spec: object) -> dict[str, Any]:
    labels = {} if zone is None else {ZONE_LABEL: zone}
    return {"metadata": {"name": "my-vm", "labels": labels}, "spec": {"powerState": power, **spec}}


def texts(
    old: Mapping[str, Any], new: Mapping[str, Any], edition: Edition, verdict: str = "document"
) -> list[str]:
    return [str(error) for error in denials(old, new, edition, Verdict(verdict))]


# One change per row: the manifest's part before (None: not set) and after.
CD = {"name": "cd1", "image": {"name": "a"}, "connected": True, "allowGuestControl": True}


def cdrom(**changes: object) -> dict[str, Any]:
    return {"spec": {"hardware": {"cdrom": [{**CD, **changes}]}}}


def spec(*path: str, value: object) -> dict[str, Any]:
    part: Any = value
    for key in reversed(path):
        part = {key: part}
    return {"spec": part}


def zone(name: str) -> dict[str, Any]:
    return {"metadata": {"labels": {ZONE_LABEL: name}}}


def plain(rule: UpdateRule) -> tuple[dict[str, Any], dict[str, Any]]:
    path = rule.field.removeprefix("spec.").split(".")
    return spec(*path, value="a"), spec(*path, value="b")


def nics(*names: str) -> dict[str, Any]:
    return spec("network", "interfaces", value=[{"name": name} for name in names])


CHANGES: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("UPD-ZONE", "2023-03"): (zone("z1"), zone("z2")),
    ("UPD-ZONE", "2026-08"): (zone("z1"), zone("z2")),
    ("UPD-VSPHERE-VOLUMES", "2023-03"): (
        {"spec": {"volumes": [{"name": "v", "vsphereVolume": {"deviceKey": 1}}]}},
        {"spec": {"volumes": [{"name": "v", "vsphereVolume": {"deviceKey": 2}}]}},
    ),
    ("UPD-CDROM-NAME", "2026-08"): (cdrom(), cdrom(name="cd2")),
    ("UPD-CDROM-IMAGE", "2026-08"): (cdrom(), cdrom(image={"name": "b"})),
    ("UPD-CDROM-CONNECTED", "2026-08"): (cdrom(), cdrom(connected=False)),
    ("UPD-CDROM-GUEST", "2026-08"): (cdrom(), cdrom(allowGuestControl=False)),
    ("UPD-NICS", "2026-08"): (nics("eth0"), nics("eth0", "eth1")),
    ("UPD-BOOTSTRAP-TYPE", "2026-08"): (
        spec("bootstrap", value={"cloudInit": {}}),
        spec("bootstrap", value={"linuxPrep": {}}),
    ),
    ("UPD-HARDWARE-UP", "2026-08"): (
        spec("minHardwareVersion", value=17),
        spec("minHardwareVersion", value=19),
    ),
    ("UPD-HARDWARE-DOWN", "2026-08"): (
        spec("minHardwareVersion", value=19),
        spec("minHardwareVersion", value=17),
    ),
}


def with_power(part: Mapping[str, Any], power: str) -> dict[str, Any]:
    whole = deepcopy(dict(part))
    whole.setdefault("spec", {}).setdefault("powerState", power)
    return whole


def is_denied(rule: UpdateRule, powers: Mapping[str, str], verdict: Verdict) -> bool:
    before, after = CHANGES.get((rule.id, rule.edition)) or plain(rule)
    if rule.id == "UPD-POWER":
        before = spec("powerState", value=powers[rule.edition])
        after = spec("powerState", value="PoweredOff")
    old, new = (with_power(part, powers[rule.edition]) for part in (before, after))
    errors = denials(old, new, EDITIONS[rule.edition], verdict)
    return rule.id in [error.rule for error in errors]


ROWS = [pytest.param(rule, id=f"{rule.id}-{rule.edition}") for rule in UPDATE_RULES]


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("rule", ROWS)
def test_row_answers_by_its_cells(rule: UpdateRule, verdict: Verdict) -> None:
    cells = rule.cells(verdict)
    assert is_denied(rule, ON, verdict) is (cells.on is Cell.NO)
    assert is_denied(rule, OFF, verdict) is (cells.off is Cell.NO)


@pytest.mark.parametrize("rule", ROWS)
def test_row_allows_what_does_not_change(rule: UpdateRule) -> None:
    before, _ = CHANGES.get((rule.id, rule.edition)) or plain(rule)
    old = with_power(before, ON[rule.edition])
    assert denials(old, deepcopy(old), EDITIONS[rule.edition], Verdict.CODE) == []


@pytest.mark.parametrize(
    ("rule_id", "edition", "part", "expected"),
    [
        ("UPD-ZONE", SEED, zone("z1"), []),
        ("UPD-ZONE", HEAD, zone("z1"), []),
        ("UPD-BIOS-UUID", HEAD, spec("biosUUID", value="u"), []),
        ("UPD-INSTANCE-UUID", HEAD, spec("instanceUUID", value="u"), []),
        ("UPD-BOOTSTRAP-TYPE", HEAD, spec("bootstrap", value={"cloudInit": {}}), []),
        ("UPD-STORAGE", SEED, spec("storageClass", value="s"), ["UPD-STORAGE"]),
        ("UPD-STORAGE", HEAD, spec("storageClass", value="s"), ["UPD-STORAGE"]),
        ("UPD-RESOURCE-POLICY", SEED, spec("resourcePolicyName", value="r"), None),
        ("UPD-AFFINITY", HEAD, spec("affinity", value={"vmAffinity": 1}), ["UPD-AFFINITY"]),
        ("UPD-NICS", HEAD, nics("eth0"), ["UPD-NICS"]),
        ("UPD-METADATA", SEED, spec("vmMetadata", value={"transport": "CloudInit"}), None),
    ],
)
@pytest.mark.parametrize("empty", [None, ""])
def test_field_that_is_not_set_answers_by_the_unset_cell(
    rule_id: str,
    edition: Edition,
    part: dict[str, Any],
    expected: list[str] | None,
    empty: str | None,
) -> None:
    old = with_power({}, ON[edition.name])
    if empty is not None:
        old["metadata"] = {"labels": {ZONE_LABEL: empty}}
        old["spec"] |= {"storageClass": empty, "biosUUID": empty, "affinity": empty}
    new = with_power(part, ON[edition.name])
    found = [error.rule for error in denials(old, new, edition, Verdict.CODE)]
    assert found == ([rule_id] if expected is None else expected)


def test_every_row_has_a_change_that_is_denied_or_a_cell_that_allows() -> None:
    keys = [(rule.id, rule.edition) for rule in UPDATE_RULES]
    assert len(keys) == len(set(keys))
    assert set(CHANGES) <= set(keys)


@pytest.mark.parametrize("power", ["poweredOn", "poweredOff"])
def test_image_name_is_immutable_while_powered_on_and_off(power: str) -> None:
    old, new = vm(power, imageName="photon4"), vm(power, imageName="ubuntu")
    assert texts(old, new, SEED) == ["spec.imageName: Forbidden: field is immutable"]


def test_image_name_that_is_removed_is_shown_as_an_empty_string() -> None:
    old, new = vm(imageName="photon4"), vm()
    assert texts(old, new, SEED) == ["spec.imageName: Forbidden: field is immutable"]


def test_all_refused_fields_are_told_at_once_in_the_order_of_the_rows() -> None:
    old = vm(imageName="a", className="b", storageClass="c", resourcePolicyName="d")
    new = vm(resourcePolicyName="D", storageClass="C", className="B", imageName="A")
    assert texts(old, new, SEED) == [
        "spec.imageName: Forbidden: field is immutable",
        "spec.className: Forbidden: field is immutable",
        "spec.storageClass: Forbidden: field is immutable",
        "spec.resourcePolicyName: Forbidden: field is immutable",
    ]


def test_zone_may_change_by_the_page_of_2023_but_not_by_its_code() -> None:
    old, new = vm(zone="z1"), vm(zone="z2")
    immutable = "metadata.labels[topology.kubernetes.io/zone]: Forbidden: {}"
    assert texts(old, new, SEED) == []
    assert texts(old, new, SEED, "code") == [immutable.format("field is immutable")]
    assert texts(old, new, HEAD) == [immutable.format("field is immutable")]


def test_zone_that_is_set_cannot_be_removed_by_the_code() -> None:
    assert texts(vm(zone="z1"), vm(), SEED, "code") == [
        "metadata.labels[topology.kubernetes.io/zone]: Forbidden: field is immutable"
    ]


def test_class_may_change_by_the_page_of_2026_but_not_by_its_code() -> None:
    old, new = vm("PoweredOn", className="small"), vm("PoweredOn", className="large")
    assert texts(old, new, HEAD) == []
    assert texts(old, new, HEAD, "code") == ["spec.className: Forbidden: field is immutable"]


def test_class_cannot_be_emptied_in_2026() -> None:
    old, new = vm("PoweredOff", className="small"), vm("PoweredOff", className="")
    assert texts(old, new, HEAD) == ["spec.className: Required value"]


def test_network_interfaces_are_frozen_only_while_on_before_and_after() -> None:
    one, two = [{"networkName": "a"}], [{"networkName": "b"}]

    def change(before: str, after: str) -> list[str]:
        old, new = vm(before, networkInterfaces=one), vm(after, networkInterfaces=two)
        return texts(old, new, SEED)

    assert change("poweredOn", "poweredOn") == [
        "spec.networkInterfaces: Forbidden: "
        "updates to this field is not allowed when VM power is on"
    ]
    assert change("poweredOn", "poweredOff") == []
    assert change("poweredOff", "poweredOn") == []
    assert change("poweredOff", "poweredOff") == []


def test_claimed_volumes_may_change_while_on() -> None:
    claim = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    assert texts(vm(), vm(volumes=[claim]), SEED) == []


def test_boot_options_may_change_while_a_check_holds_the_vm_off() -> None:
    old, new = vm("PoweredOn", bootOptions={"firmware": "bios"}), vm("PoweredOn")
    assert texts(old, new, HEAD) == [
        "spec.bootOptions: Forbidden: updates to this field is not allowed when VM power is on"
    ]
    old["metadata"]["annotations"] = {"poweron.check.vmoperator.vmware.com/app": "reason"}
    assert texts(old, new, HEAD) == []


def test_cdrom_image_is_refused_by_its_place_in_the_list() -> None:
    second = {"name": "cd2", "image": {"kind": "VirtualMachineImage", "name": "x"}}
    old = vm("PoweredOn", hardware={"cdrom": [CD, second]})
    new = vm("PoweredOn", hardware={"cdrom": [CD, {**second, "image": None}]})
    assert texts(old, new, HEAD) == [
        "spec.hardware.cdrom[1].image: Forbidden: "
        "updates to this field is not allowed when VM power is on"
    ]


def test_hardware_version_rises_only_when_off_is_desired_before_or_after() -> None:
    def rise(before: str, after: str) -> list[str]:
        old, new = vm(before, minHardwareVersion=17), vm(after, minHardwareVersion=19)
        return texts(old, new, HEAD)

    refused = [
        "spec.minHardwareVersion: Invalid value: 19: "
        "cannot upgrade hardware version unless powered off"
    ]
    assert rise("PoweredOn", "PoweredOn") == refused
    assert rise("Suspended", "PoweredOn") == refused
    assert rise("PoweredOff", "PoweredOn") == []
    assert rise("PoweredOn", "PoweredOff") == []


def test_bootstrap_values_may_change_and_a_type_may_be_added() -> None:
    old = vm("PoweredOn", bootstrap={"linuxPrep": {"timeZone": "UTC"}})
    new = vm("PoweredOn", bootstrap={"linuxPrep": {"timeZone": "CET"}, "vAppConfig": {}})
    both = vm("PoweredOn", bootstrap={"linuxPrep": {"timeZone": "UTC"}, "sysprep": {}})
    assert texts(old, new, HEAD) == []
    assert texts(old, both, HEAD) == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FieldError("spec.x", ErrorKind.REQUIRED), "spec.x: Required value"),
        (FieldError("spec.x", ErrorKind.FORBIDDEN, "no"), "spec.x: Forbidden: no"),
        (FieldError("spec.x", ErrorKind.INVALID, "d", "", '"y"'), 'spec.x: Invalid value: "y": d'),
        (FieldError("spec.x", ErrorKind.NOT_FOUND, "", "", '"y"'), 'spec.x: Not found: "y"'),
        (
            FieldError("spec.x", ErrorKind.UNSUPPORTED, 'supported values: "a"', "", '"y"'),
            'spec.x: Unsupported value: "y": supported values: "a"',
        ),
    ],
)
def test_field_error_prints_as_kubernetes_does(error: FieldError, expected: str) -> None:
    assert str(error) == expected


def test_values_print_as_json() -> None:
    assert [printed(value) for value in ("a", None, 5, True, {"a": 1})] == [
        '"a"',
        '""',
        "5",
        "true",
        '{"a": 1}',
    ]


WORDS = st.sampled_from(["", "a", "name", "interfaces", "cdrom", "cloudInit", "PoweredOn"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 30) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["imageName", "className", "powerState", "volumes", "hardware", "network", "bootstrap"]
)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": JSON | st.fixed_dictionaries({"labels": JSON, "annotations": JSON}),
        "spec": JSON | st.dictionaries(FIELDS, JSON, max_size=4),
    },
)


@given(OBJECTS, st.sampled_from([SEED, HEAD]), st.sampled_from(Verdict))
def test_nothing_is_denied_when_nothing_changes(
    raw: dict[str, Any], edition: Edition, verdict: Verdict
) -> None:
    assert denials(raw, deepcopy(raw), edition, verdict) == []


@given(OBJECTS, OBJECTS, st.sampled_from([SEED, HEAD]), st.sampled_from(Verdict))
def test_any_change_is_answered_and_no_manifest_breaks_the_table(
    old: dict[str, Any], new: dict[str, Any], edition: Edition, verdict: Verdict
) -> None:
    errors = denials(old, new, edition, verdict)
    assert all(str(error).startswith(("spec.", "metadata.")) for error in errors)


def test_table_of_2023_is_the_page_s() -> None:
    assert [line.split("|")[1:6] for line in table_markdown(SEED).splitlines()[2:]] == [
        [" `spec.imageName` ", IMAGE, " ✗ ", " ✗ ", " _NA_ "],
        [" `spec.className` ", CLASS, " ✗ ", " ✗ ", " _NA_ "],
        [" `spec.powerState` ", " The VM's desired power state ", " ✓ ", " ✓ ", " _NA_ "],
        [" `metadata.labels.topology.kubernetes.io/zone` ", ZONE, " ✓ ", " ✓ ", " ✓ "],
    ]


IMAGE = " The name of the `VirtualMachineImage` that supplies the VM's disk(s) "
CLASS = " The name of the `VirtualMachineClass` that supplies the VM's virtual hardware "
ZONE = " The desired availability zone in which to schedule the VM "


def test_table_of_2026_has_the_nine_rows_of_its_page() -> None:
    lines = table_markdown(HEAD).splitlines()
    assert [tuple(cell.strip() for cell in line.split("|")[3:6]) for line in lines[2:]] == [
        ("✗", "✗", "_NA_"),
        ("✓", "✓", "_NA_"),
        ("✓", "✓", "_NA_"),
        ("✓", "✓", "_NA_"),
        ("✗", "✗", "✓"),
        ("✗", "✓", "_NA_"),
        ("✗", "✓", "_NA_"),
        ("✓", "✓", "_NA_"),
        ("✓", "✓", "_NA_"),
    ]


def test_prose_rules_have_ids_of_their_own() -> None:
    ids = [rule.id for rule in PROSE_RULES]
    assert len(ids) == len(set(ids))
    assert not set(ids) & {rule.id for rule in UPDATE_RULES}
