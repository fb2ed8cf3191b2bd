"""The kinds as an API server learns them, and the update table as a policy."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.kube_api import KubeApi
from backends.kube_process import KubeProcess
from vmsim.crds import BUILT_IN, definitions, resource_path
from vmsim.editions import EDITIONS
from vmsim.installing import install
from vmsim.kinds import kinds
from vmsim.kube import Denial
from vmsim.loading import load
from vmsim.objects import ZONE_LABEL
from vmsim.rules import UPDATE_RULES, denials
from vmsim.update_policy import policy

NAMES = list(EDITIONS)
BASE: dict[str, dict[str, Any]] = {
    "2023-03": {"className": "small", "imageName": "photon4", "storageClass": "iscsi"},
    "2026-08": {"className": "my-vm-class", "imageName": "photon-5",
                "storageClass": "my-storage-class"},
}  # fmt: skip
ON = {"2023-03": "poweredOn", "2026-08": "PoweredOn"}
OFF = {"2023-03": "poweredOff", "2026-08": "PoweredOff"}
NIC = {"2023-03": "networkInterfaces", "2026-08": "network"}


def walk(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from walk(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from walk(value)


@pytest.mark.parametrize("edition", NAMES)
def test_every_kind_that_kubernetes_has_not_is_defined_with_its_names(edition: str) -> None:
    found = {item["spec"]["names"]["kind"]: item for item in definitions(EDITIONS[edition])}
    wanted = {name: kind for name, kind in kinds(edition).items() if kind.group not in BUILT_IN}
    assert set(found) == set(wanted)
    for name, kind in wanted.items():
        spec = found[name]["spec"]
        assert tuple(spec["names"].get("shortNames", ())) == kind.short_names
        assert (spec["scope"] == "Namespaced") == kind.namespaced
        assert [version["name"] for version in spec["versions"]] == [kind.versions[-1]]


@pytest.mark.parametrize("edition", NAMES)
def test_every_field_that_explain_lists_is_described(edition: str) -> None:
    for item in definitions(EDITIONS[edition]):
        parts = item["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        for part in ("spec", "status"):
            for name, field in parts.get(part, {}).get("properties", {}).items():
                assert field.get("description"), f"{item['spec']['names']['kind']}.{part}.{name}"


@pytest.mark.parametrize("edition", NAMES)
def test_schemas_are_structural(edition: str) -> None:
    for item in definitions(EDITIONS[edition]):
        for part in walk(item["spec"]["versions"][0]["schema"]):
            assert not ("properties" in part and "additionalProperties" in part)


def test_only_the_seed_requires_fields_and_only_the_later_edition_completes_them() -> None:
    found = {name: _vm_spec(name) for name in NAMES}
    assert found["2023-03"]["required"] == ["className", "imageName", "powerState"]
    assert "required" not in found["2026-08"]
    assert found["2026-08"]["properties"]["powerState"]["default"] == "PoweredOn"
    assert found["2026-08"]["properties"]["powerOffMode"]["default"] == "TrySoft"


def _vm_spec(edition: str) -> dict[str, Any]:
    every = {item["spec"]["names"]["kind"]: item for item in definitions(EDITIONS[edition])}
    version = every["VirtualMachine"]["spec"]["versions"][0]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


@pytest.mark.parametrize("edition", NAMES)
def test_every_refusing_row_is_in_the_policy(edition: str) -> None:
    validations = policy(EDITIONS[edition])[0]["spec"]["validations"]
    messages = [item["message"] for item in validations]
    for rule in UPDATE_RULES:
        if rule.edition == edition and "no" in (rule.document.on, rule.document.off):
            place = (rule.place or rule.field).replace("[]", "")
            assert any(text.startswith(f"{place}: ") for text in messages), rule.id


def test_verdict_of_the_code_makes_another_policy() -> None:
    seed = EDITIONS["2023-03"]
    from vmsim.rules import Verdict

    texts = [json.dumps(policy(seed, verdict)) for verdict in Verdict]
    assert ["labels" in text for text in texts] == [False, True]


@pytest.mark.parametrize(
    ("namespace", "name", "path"),
    [
        ("", "", "/apis/vmoperator.vmware.com/v1alpha6/virtualmachines"),
        ("a", "", "/apis/vmoperator.vmware.com/v1alpha6/namespaces/a/virtualmachines"),
        ("a", "b", "/apis/vmoperator.vmware.com/v1alpha6/namespaces/a/virtualmachines/b"),
    ],
)
def test_paths(namespace: str, name: str, path: str) -> None:
    assert resource_path(kinds("2026-08")["VirtualMachine"], namespace, name) == path


def cd(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": {"kind": "VirtualMachineImage", "name": "iso-1"}, **fields}


# A value and another one of each field that a row is about; a row without a value before is tried
# from unset, too.
VALUES: dict[str, tuple[Any, Any]] = {
    "spec.imageName": ("photon-5", "other"),
    "spec.className": ("my-vm-class", "other"),
    "spec.powerState": (None, None),
    "spec.storageClass": ("my-storage-class", "other"),
    "spec.resourcePolicyName": ("a", "b"),
    "spec.ports": ([{"port": 1}], [{"port": 2}]),
    "spec.vmMetadata": ({"transport": "CloudInit"}, {"transport": "OvfEnv"}),
    "spec.networkInterfaces": ([{"networkName": "a"}], [{"networkName": "b"}]),
    "spec.advancedOptions.defaultVolumeProvisioningOptions": (
        {"thinProvisioned": True}, {"thinProvisioned": False},
    ),
    "spec.volumes[VsphereVolume]": (
        [{"name": "a", "vsphereVolume": {"deviceKey": 1}}],
        [{"name": "a", "vsphereVolume": {"deviceKey": 2}}],
    ),
    "spec.policies": ([{"name": "a"}], [{"name": "b"}]),
    "spec.hardware.cdrom[].name": ([cd("a")], [cd("b")]),
    "spec.hardware.cdrom[].image": (
        [cd("a")], [cd("a", image={"kind": "VirtualMachineImage", "name": "iso-2"})],
    ),
    "spec.hardware.cdrom[].connected": ([cd("a", connected=True)], [cd("a", connected=False)]),
    "spec.hardware.cdrom[].allowGuestControl": (
        [cd("a", allowGuestControl=True)], [cd("a", allowGuestControl=False)],
    ),
    "spec.image": ({"kind": "VirtualMachineImage", "name": "a"},
                   {"kind": "VirtualMachineImage", "name": "b"}),
    "spec.biosUUID": ("a", "b"),
    "spec.instanceUUID": ("a", "b"),
    "spec.reserved.resourcePolicyName": ("a", "b"),
    "spec.affinity": ({"vmAffinity": {"a": "b"}}, {"vmAffinity": {"a": "c"}}),
    "spec.network.interfaces": ([{"name": "eth0"}], [{"name": "eth0"}, {"name": "eth1"}]),
    "spec.bootstrap": ({"cloudInit": {"a": 1}}, {"cloudInit": None, "sysprep": {"a": 1}}),
    "spec.guestID": ("a", "b"),
    "spec.bootOptions": ({"firmware": "efi"}, {"firmware": "bios"}),
    "spec.minHardwareVersion": (19, 20),
    f"metadata.labels.{ZONE_LABEL}": ("zone-1", "zone-2"),
}  # fmt: skip
SCENARIO = """
apiVersion: vmsim.dev/v1alpha1
kind: Scenario
metadata: {{name: table}}
spec:
  edition: {edition}
  duration: 1h
  namespace: demo
  clusters: [{{name: c, hosts: [{{name: esx-1, cores: 16, memory: 64Gi}}]}}]
"""
Server = tuple[KubeApi, str]


@pytest.fixture(scope="module", params=NAMES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A bare API server that was made ready for an edition; nobody acts on what is stored."""
    folder = tmp_path_factory.mktemp("table")
    path = folder / "scenario.yaml"
    path.write_text(SCENARIO.format(edition=request.param))
    with KubeProcess(folder / "data") as process, KubeApi(process.kubeconfig) as api:
        install(api, load(path), print)
        _wait_for_policy(api, request.param, folder)
        yield api, request.param


def _wait_for_policy(api: KubeApi, edition: str, folder: Path) -> None:
    """A policy is in force a moment after it was made: ask until it refuses."""
    path = store(api, edition, "probe", manifest(edition, "probe", ON[edition]))
    for _ in range(200):
        if refusal(api, path, {"spec": {"storageClass": "other"}}):
            return
    raise AssertionError("the policy does not come into force")


def put(raw: dict[str, Any], field: str, value: Any) -> None:
    if value is None:
        return
    place = raw
    if field.startswith("metadata.labels."):
        raw["metadata"]["labels"] = {ZONE_LABEL: value}
        return
    *steps, last = field.replace("[VsphereVolume]", "").partition("[]")[0].split(".")
    for step in steps:
        place = place.setdefault(step, {})
    place[last] = value


def manifest(
    edition: str, name: str, power: str, field: str = "", value: Any = None
) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "apiVersion": EDITIONS[edition].api_version,
        "kind": "VirtualMachine",
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {**BASE[edition], "powerState": power},
    }
    put(raw, field, value)
    return raw


def store(api: KubeApi, edition: str, name: str, raw: dict[str, Any]) -> str:
    kind = kinds(edition)["VirtualMachine"]
    api.create(resource_path(kind, "demo"), raw)
    return resource_path(kind, "demo", name)


def refusal(api: KubeApi, path: str, patch: dict[str, Any]) -> str:
    try:
        api.patch(f"{path}?dryRun=All", patch)
    except Denial as denial:
        return str(denial)
    return ""


def rows(edition: str) -> list[str]:
    return list(dict.fromkeys(rule.field for rule in UPDATE_RULES if rule.edition == edition))


def firsts(field: str) -> list[Any]:
    """What a field is before: its value, and nothing where that may be."""
    before = VALUES[field][0]
    required = ("spec.imageName", "spec.className", "spec.powerState")
    return [before] if field in required else [before, None]


@pytest.mark.kube
@pytest.mark.timeout(600)
def test_server_and_table_agree_on_every_cell(server: Server) -> None:
    api, edition = server
    powers = (ON[edition], OFF[edition])
    disagreements, refused = [], 0
    cases = [(f, first, p) for f in rows(edition) for first in firsts(f) for p in powers]
    for number, (field, first, power) in enumerate(cases):
        old = manifest(edition, f"vm-{number}", power, field, first)
        path = store(api, edition, f"vm-{number}", old)
        for later in powers:
            new = manifest(edition, f"vm-{number}", later, field, VALUES[field][1])
            expected = denials(old, new, EDITIONS[edition])
            said = refusal(api, path, {"spec": new["spec"], "metadata": new["metadata"]})
            refused += bool(said)
            agreed = expected[0].detail in said and bool(said) if expected else not said
            if not agreed:
                disagreements.append((field, first, power, later, expected, said))
    assert disagreements == []
    assert refused > 20


@pytest.mark.kube
def test_server_knows_lowering_and_removing(server: Server) -> None:
    api, edition = server
    if edition == "2023-03":
        pytest.skip("rows of the later edition")
    field = "spec.minHardwareVersion"
    raw = manifest(edition, "lowered", OFF[edition], field, 20)
    path = store(api, edition, "lowered", raw)
    assert "cannot downgrade" in refusal(api, path, {"spec": {"minHardwareVersion": 19}})
    assert refusal(api, path, {"spec": {"minHardwareVersion": 21}}) == ""
    assert "spec.className: Required value" in refusal(api, path, {"spec": {"className": ""}})


@pytest.mark.kube
def test_schema_refuses_what_is_no_field_and_no_word(server: Server) -> None:
    api, edition = server
    kind = kinds(edition)["VirtualMachine"]
    raw = manifest(edition, "wrong", "sideways")
    with pytest.raises(Denial, match="Unsupported value"):
        api.create(resource_path(kind, "demo"), raw)
    raw = manifest(edition, "wrong", ON[edition])
    raw["spec"]["imageNam"] = "x"
    with pytest.raises(Denial, match="unknown field"):
        api.create(resource_path(kind, "demo") + "?fieldValidation=Strict", raw)
