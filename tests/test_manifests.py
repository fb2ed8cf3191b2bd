import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from vmsim.documents import load, read
from vmsim.kinds import KINDS, kinds, resolve, spec_versions
from vmsim.manifests import Manifest, parse, to_class, to_vm
from vmsim.objects import Condition, Conditions, PowerState, VirtualMachine, VMSpec, VMStatus
from vmsim.problems import BadInput
from vmsim.rendering import timestamp, to_raw, told_hardware

SEED, HEAD = "2023-03", "2026-08"
MANIFESTS = Path(__file__).parent.parent / "scenarios" / "manifests"


def parsed(text: str, edition: str = HEAD, namespace: str = "demo") -> list[Manifest]:
    return parse(load(text, "f.yaml"), edition, namespace)


def problems(act: Callable[[], object]) -> list[str]:
    with pytest.raises(BadInput) as error:
        act()
    return [str(problem) for problem in error.value.problems]


def of_vm(spec: str, version: str = "v1alpha6", metadata: str = "{name: a}") -> str:
    """A VirtualMachine whose spec stands at line 4, in flow style."""
    return (
        f"apiVersion: vmoperator.vmware.com/{version}\nkind: VirtualMachine\n"
        f"metadata: {metadata}\nspec: {spec}\n"
    )


def of_class(spec: str, edition: str = HEAD) -> Manifest:
    version = kinds(edition)["VirtualMachineClass"].api_versions[-1]
    text = f"apiVersion: {version}\nkind: VirtualMachineClass\nmetadata: {{name: c}}\nspec: {spec}"
    return parsed(text, edition)[0]


def names(columns: Mapping[str, Any], kind: str) -> list[tuple[str, int]]:
    return [(column.header, column.priority) for column in columns[kind].columns]


def test_columns_of_the_first_edition_are_those_of_its_crds() -> None:
    table = KINDS[SEED]

    assert names(table, "VirtualMachine") == [
        ("Power-State", 0), ("Class", 1), ("Image", 1), ("Primary-IP", 1), ("Age", 0),
    ]  # fmt: skip
    assert names(table, "VirtualMachineClass") == [
        ("CPU", 0), ("Memory", 0), ("VGPU-Devices-Profile-Names", 1),
        ("Passthrough-DeviceIDs", 1), ("Age", 0),
    ]  # fmt: skip
    assert [header for header, _ in names(table, "VirtualMachineImage")] == [
        "Provider-Name", "Content-Library-Name", "Image-Name", "Version", "Os-Type", "Format",
        "Image-Supported", "Age",
    ]  # fmt: skip


def test_columns_of_the_newest_version_are_those_of_its_crds() -> None:
    table = KINDS[HEAD]

    assert names(table, "VirtualMachine") == [
        ("Power-State", 0), ("Class", 1), ("Image", 1), ("Primary-IP4", 1), ("Age", 0),
    ]  # fmt: skip
    assert names(table, "VirtualMachineClass") == [("CPU", 0), ("Memory", 0), ("Capabilities", 1)]
    assert [header for header, _ in names(table, "ClusterVirtualMachineImage")] == [
        "Display Name", "Type", "Image Version", "OS Name", "OS Version", "Hardware Version",
    ]  # fmt: skip
    assert names(table, "VirtualMachineImage")[-1] == ("Capabilities", 0)


def test_classes_and_images_are_cluster_scoped_only_in_the_first_edition() -> None:
    rows = ("VirtualMachineClass", "VirtualMachineImage", "ClusterVirtualMachineImage")

    assert [KINDS[SEED][row].namespaced for row in rows] == [False, False, False]
    assert [KINDS[HEAD][row].namespaced for row in rows] == [True, True, False]


def test_column_shows_the_field_it_reads_and_nothing_if_there_is_none() -> None:
    devices = {"vgpuDevices": [{"profileName": "a"}, {"profileName": "b"}]}
    raw = {"spec": {"hardware": {"cpus": 2, "devices": devices}}}
    cpu, memory, profiles, *_ = KINDS[SEED]["VirtualMachineClass"].columns

    assert [column.text(raw) for column in (cpu, memory, profiles)] == ["2", "", "a,b"]


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("vm", "VirtualMachine"), ("VirtualMachines", "VirtualMachine"),
        ("virtualmachine", "VirtualMachine"), ("vmimage", "VirtualMachineImage"),
        ("clustervmimage", "ClusterVirtualMachineImage"), ("vmclass", "VirtualMachineClass"),
        ("SC", "StorageClass"), ("storageclass", "StorageClass"), ("node", "Node"),
        ("virtualmachines.vmoperator.vmware.com", "VirtualMachine"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("edition", [SEED, HEAD])
def test_word_on_the_command_line_means_a_kind(word: str, kind: str, edition: str) -> None:
    assert resolve(word, edition).name == kind


def test_every_word_of_a_kind_means_that_kind_only() -> None:
    for edition, table in KINDS.items():
        for kind in table.values():
            assert [resolve(word, edition) for word in kind.names] == [kind] * len(kind.names)


def test_unknown_word_is_refused_with_a_guess() -> None:
    assert problems(lambda: resolve("vmclas", HEAD)) == [
        'the server doesn\'t have a resource type "vmclas" (did you mean "vmclass"?)'
    ]
    assert problems(lambda: resolve("clustervmi", SEED))[0].startswith(
        'the server doesn\'t have a resource type "clustervmi"'
    )
    with pytest.raises(ValueError, match="no such edition: '2024-01'"):
        resolve("vm", "2024-01")


def test_fields_of_the_spec_come_and_go_with_the_version() -> None:
    assert spec_versions("VirtualMachine", "vmMetadata") == ("v1alpha1",)
    assert spec_versions("VirtualMachine", "cdrom") == ("v1alpha3", "v1alpha4")
    assert spec_versions("VirtualMachine", "policies") == ("v1alpha5", "v1alpha6")
    assert spec_versions("VirtualMachine", "resources") == ("v1alpha6",)
    assert spec_versions("VirtualMachine", "bootstrap")[0] == "v1alpha2"


@pytest.mark.parametrize("edition", [SEED, HEAD])
def test_example_of_the_page_and_its_prerequisites_are_accepted(edition: str) -> None:
    files = [MANIFESTS / f"{part}-{edition}.yaml" for part in ("prerequisites", "vm-example")]
    manifests = parse(read(files), edition, "demo")

    assert (manifests[-1].kind, manifests[-1].key) == ("VirtualMachine", "demo/my-vm")
    assert manifests[-1].line == 2


def test_examples_are_the_objects_of_the_page() -> None:
    seed, head = (
        parse(read([MANIFESTS / f"vm-example-{edition}.yaml"]), edition)[0]
        for edition in (SEED, HEAD)
    )

    assert seed.raw == {
        "apiVersion": "vmoperator.vmware.com/v1alpha1",
        "kind": "VirtualMachine",
        "metadata": {"name": "my-vm"},
        "spec": {
            "imageName": "photon4",
            "className": "small",
            "storageClass": "iscsi",
            "powerState": "poweredOn",
            "vmMetadata": {"transport": "CloudInit"},
        },
    }
    assert head.raw == {
        "apiVersion": "vmoperator.vmware.com/v1alpha6",
        "kind": "VirtualMachine",
        "metadata": {"name": "my-vm"},
        "spec": {
            "imageName": "vmi-0a0044d7c690bcbea",
            "className": "my-vm-class",
            "storageClass": "my-storage-class",
            "bootstrap": {"cloudInit": {"cloudConfig": {}}},
        },
    }


def test_all_problems_of_a_file_are_reported_in_the_order_of_its_lines() -> None:
    text = """\
apiVersion: vmoperator.vmware.com/v1alpha6
kind: VirtualMachine
metadata: {}
spec:
  clasName: x
  vmMetadata: {}
  powerState: poweredon
  minHardwareVersion: "13"
  volumes: {}
---
apiVersion: vmoperator.vmware.com/v1
kind: StorageClass
---
apiVersion: v1
kind: VirtualMachineClas
---
apiVersion: vmoperator.vmware.com/v1alpha6
kind: VirtualMachineClass
metadata: {name: a, labels: {x: 1}}
spec:
  hardware:
    cpus: -1
    memory: 2Gx
---
- 1
---
apiVersion: v1
metadata: {name: a}
"""

    assert problems(lambda: parsed(text)) == [
        "f.yaml:3: metadata.name: Required value: name is required (give it a name)",
        'f.yaml:5: spec.clasName: unknown field "spec.clasName" (did you mean "className"?)',
        'f.yaml:6: spec.vmMetadata: unknown field "spec.vmMetadata" (it is a field of v1alpha1)',
        'f.yaml:7: spec.powerState: Unsupported value: "poweredon": supported values: '
        '"PoweredOff", "PoweredOn", "Suspended" (did you mean "PoweredOn"?)',
        "f.yaml:8: spec.minHardwareVersion: Invalid value: '13': "
        "must be an integer between 0 and 2147483647 (write a plain number)",
        "f.yaml:9: spec.volumes: expected array, got object",
        'f.yaml:11: apiVersion: no matches for kind "StorageClass" in version '
        '"vmoperator.vmware.com/v1" (edition 2026-08 serves storage.k8s.io/v1)',
        'f.yaml:15: kind: no matches for kind "VirtualMachineClas" in version "v1" '
        '(did you mean "VirtualMachineClass"?)',
        "f.yaml:19: metadata.labels.x: expected string, got integer (put it in quotes)",
        "f.yaml:22: spec.hardware.cpus: Invalid value: -1: "
        "must be an integer between 0 and 2147483647 (write a plain number)",
        "f.yaml:23: spec.hardware.memory: Invalid value: '2Gx': quantities must match the regular "
        "expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$' (write 512Mi or 2Gi)",
        "f.yaml:25: expected an object with apiVersion and kind, got array",
        "f.yaml:27: kind: expected a string, got nothing (set it)",
    ]


def test_problems_of_several_files_keep_the_order_of_the_files() -> None:
    late, early = (load("\n" * blank + "kind: 1", name) for blank, name in ((5, "a"), (0, "b")))

    assert [line[:4] for line in problems(lambda: parse(late + early, HEAD))] == [
        "a:6:", "a:6:", "b:1:", "b:1:",
    ]  # fmt: skip


def test_version_or_kind_of_the_other_edition_is_refused() -> None:
    zone = "apiVersion: topology.tanzu.vmware.com/v1alpha1\nkind: Zone\nmetadata: {name: z}\n"

    assert problems(lambda: parsed(of_vm("{}"), SEED)) == [
        'f.yaml:1: apiVersion: no matches for kind "VirtualMachine" in version '
        '"vmoperator.vmware.com/v1alpha6" (edition 2023-03 serves vmoperator.vmware.com/v1alpha1)'
    ]
    assert problems(lambda: parsed(zone, SEED)) == [
        'f.yaml:2: kind: no matches for kind "Zone" in version '
        '"topology.tanzu.vmware.com/v1alpha1" (edition 2026-08 has it, edition 2023-03 has not)'
    ]


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4", "v1alpha5"])
def test_newest_edition_serves_the_older_versions(version: str) -> None:
    (manifest,) = parsed(of_vm("{imageName: i, className: c}", version))

    assert manifest.version == version


def test_first_edition_knows_no_suspended_state_and_no_power_modes() -> None:
    found = problems(lambda: parsed(of_vm("{powerState: suspended}", "v1alpha1"), SEED))
    assert found[0].startswith('f.yaml:4: spec.powerState: Unsupported value: "suspended"')
    assert len(problems(lambda: parsed(of_vm("{powerOffMode: soft}", "v1alpha1"), SEED))) == 1

    text = of_vm("{powerState: suspended, powerOffMode: soft}", "v1alpha1")
    assert to_vm(parsed(text)[0], HEAD).spec.power_state == PowerState.SUSPENDED


def test_same_object_twice_is_refused_across_files_and_lists() -> None:
    item = "{apiVersion: v1, kind: Namespace, metadata: {name: q}}"
    first = load(item, "a.yaml")
    second = load(f"apiVersion: v1\nkind: List\nitems:\n- {item}\n", "b.yaml")

    assert problems(lambda: parse(first + second, HEAD)) == [
        "b.yaml:4: metadata.name: Namespace q is already defined at a.yaml:1 "
        "(remove or rename one of them)"
    ]


def test_same_name_in_another_namespace_is_another_object() -> None:
    text = of_vm("{}") + "---\n" + of_vm("{}", metadata="{name: a, namespace: other}")

    assert [manifest.key for manifest in parsed(text)] == ["demo/a", "other/a"]


def test_cluster_scoped_object_drops_its_namespace_as_the_api_server_does() -> None:
    text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n"

    assert parsed(text)[0].key == "a"


def test_list_is_expanded_with_the_lines_of_its_items() -> None:
    vm = "{apiVersion: vmoperator.vmware.com/v1alpha6, kind: VirtualMachine, metadata: {name: %s}}"
    text = f"apiVersion: v1\nkind: List\nitems:\n- {vm % 'a'}\n- {vm % 'b'}\n"

    assert [(item.name, item.line) for item in parsed(text)] == [("a", 4), ("b", 5)]


def test_null_counts_as_not_given() -> None:
    (manifest,) = parsed(of_vm("{className: null, policies: null, powerState: null}"))
    spec = to_vm(manifest, HEAD).spec

    assert (spec.class_name, spec.policies, spec.power_state) == ("", (), None)


def test_null_in_a_list_is_refused() -> None:
    assert problems(lambda: parsed(of_vm("{policies: [null]}"))) == [
        "f.yaml:4: spec.policies[0]: expected object, got nothing"
    ]
    assert problems(lambda: of_class("{hardware: {devices: {vgpuDevices: [~]}}}")) == [
        "f.yaml:4: spec.hardware.devices.vgpuDevices[0]: expected object, got nothing"
    ]


def test_null_label_is_the_empty_word() -> None:
    (manifest,) = parsed(of_vm("{}", metadata="{name: a, labels: {x: null}}"))

    assert to_vm(manifest, HEAD).labels == {"x": ""}


def test_name_of_a_vm_is_left_to_admission_and_other_names_are_not() -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: Demo}\n"

    assert parsed(of_vm("{}", metadata="{name: My_VM}"))[0].name == "My_VM"
    assert problems(lambda: parsed(namespace)) == [
        'f.yaml:3: metadata.name: Invalid value: "Demo": a lowercase RFC 1123 subdomain must '
        "consist of lower case alphanumeric characters, '-' or '.', and must start and end with "
        "an alphanumeric character (rename it)"
    ]


def test_namespace_must_be_a_label_so_that_keys_stay_unambiguous() -> None:
    assert problems(lambda: parsed(of_vm("{}", metadata="{name: a, namespace: x/y}"))) == [
        'f.yaml:3: metadata.namespace: Invalid value: "x/y": must be a DNS label (RFC 1123) '
        "(lower-case letters, digits and '-')"
    ]


def test_zero_limit_of_a_class_is_no_limit() -> None:
    spec = '{policies: {resources: {limits: {cpu: 0, memory: "0"}}}}'

    assert to_class(of_class(spec), HEAD).cpu_limit_milli is None
    assert to_class(of_class(spec), HEAD).memory_limit_mib is None


def test_vm_without_image_class_or_power_state_is_a_fine_manifest() -> None:
    spec = to_vm(parsed(of_vm("{}"))[0], HEAD).spec

    assert spec == VMSpec(class_name="", image_name="", storage_class="")


def test_old_spelling_becomes_the_new_one() -> None:
    spec = "{imageName: i, className: c, storageClass: s, powerState: poweredOff, ports: []}"
    vm = to_vm(parsed(of_vm(spec, "v1alpha1"), SEED)[0], SEED)

    assert vm.key == "demo/a"
    assert vm.spec == VMSpec("c", "i", "s", PowerState.OFF, extra={"ports": []})


def test_new_fields_are_read_and_references_kept_for_the_rules() -> None:
    spec = """
  image: {kind: VirtualMachineImage, name: vmi-1}
  imageName: photon
  className: c
  powerState: Suspended
  powerOffMode: Soft
  minHardwareVersion: 19
  policies: [{kind: ComputePolicy, name: p}, {name: q}]
  groupName: g"""
    metadata = "{name: a, labels: {topology.kubernetes.io/zone: z1}, annotations: {x: y}}"
    vm = to_vm(parsed(of_vm(spec, metadata=metadata))[0], HEAD)

    assert vm.zone == "z1"
    assert vm.annotations == {"x": "y"}
    assert vm.spec == VMSpec(
        class_name="c",
        image_name="vmi-1",
        storage_class="",
        power_state=PowerState.SUSPENDED,
        power_off_mode="Soft",
        min_hardware_version=19,
        policies=("p", "q"),
        extra={
            "image": {"kind": "VirtualMachineImage", "name": "vmi-1"},
            "imageName": "photon",
            "policies": [{"kind": "ComputePolicy", "name": "p"}, {"name": "q"}],
            "groupName": "g",
        },
    )


def test_class_is_read_with_its_reservations_limits_and_devices() -> None:
    spec = """
  hardware:
    cpus: 4
    memory: 8Gi
    devices:
      vgpuDevices: [{profileName: grid_v100-4q}, {profileName: grid_v100-4q}]
      dynamicDirectPathIODevices:
        - {vendorID: 0x10de, deviceID: 7864}
        - {vendorID: 4318, deviceID: 0x1eb8, customLabel: a100}
  policies:
    resources:
      requests: {cpu: 500m, memory: 1Gi}
      limits: {cpu: "2"}"""
    vm_class = to_class(of_class(spec), HEAD)

    assert (vm_class.name, vm_class.namespace) == ("c", "demo")
    assert (vm_class.cpus, vm_class.memory_mib) == (4, 8192)
    assert (vm_class.cpu_reservation_milli, vm_class.memory_reservation_mib) == (500, 1024)
    assert (vm_class.cpu_limit_milli, vm_class.memory_limit_mib) == (2000, None)
    assert vm_class.devices == {
        "grid_v100-4q": 2,
        "0x10de:0x1eb8": 1,
        "0x10de:0x1eb8:a100": 1,
    }


def test_class_without_policies_reserves_nothing_and_is_unlimited() -> None:
    vm_class = to_class(of_class("{hardware: {cpus: 2, memory: 4Gi}}", SEED), SEED)

    assert vm_class.namespace == ""
    assert (vm_class.cpu_reservation_milli, vm_class.memory_reservation_mib) == (0, 0)
    assert (vm_class.cpu_limit_milli, vm_class.memory_limit_mib) == (None, None)


def test_unknown_field_deep_in_a_class_is_refused() -> None:
    spec = "{hardware: {devices: {vgpuDevices: [{profile: x}]}}}"

    assert problems(lambda: of_class(spec)) == [
        "f.yaml:4: spec.hardware.devices.vgpuDevices[0].profile: unknown field "
        '"spec.hardware.devices.vgpuDevices[0].profile" (did you mean "profileName"?)'
    ]


def running(power_state: str = "PoweredOn") -> VirtualMachine:
    conditions = (
        Condition("VirtualMachineTools", "True"),
        Condition("Ready", "False", "NotReady", "waits"),
    )
    status = VMStatus(
        phase="Created", power_state=power_state, host="esx-1", zone="z1", ip="10.0.0.1",
        unique_id="vm-258", class_name="large",
        conditions=Conditions({condition.type: condition for condition in conditions}),
        since_s={"VirtualMachineTools": 61.5, "Ready": 60.0},
    )  # fmt: skip
    spec = VMSpec("small", "photon", "iscsi", PowerState.ON, "TrySoft", policies=("p",))
    return VirtualMachine("demo/a", spec, uid="u", created_s=3600.0, finalizer="f", status=status)


def test_first_edition_reports_phase_host_and_ip_in_its_words() -> None:
    raw = to_raw(running(), SEED)

    assert raw["apiVersion"] == "vmoperator.vmware.com/v1alpha1"
    assert raw["metadata"] == {
        "name": "a", "namespace": "demo", "uid": "u", "generation": 1, "resourceVersion": "0",
        "creationTimestamp": "1970-01-01T01:00:00Z", "finalizers": ["f"],
    }  # fmt: skip
    assert (raw["spec"]["powerState"], raw["spec"]["powerOffMode"]) == ("poweredOn", "trySoft")
    assert {name: value for name, value in raw["status"].items() if name != "conditions"} == {
        "phase": "Created", "powerState": "poweredOn", "host": "esx-1", "zone": "z1",
        "uniqueID": "vm-258", "biosUUID": "42100000-0102-4000-8000-000000000000",
        "instanceUUID": "50100000-0102-4000-8000-000000000000", "vmIp": "10.0.0.1",
    }  # fmt: skip


def test_newest_edition_reports_node_name_network_and_conditions() -> None:
    raw = to_raw(running(), HEAD)

    assert raw["apiVersion"] == "vmoperator.vmware.com/v1alpha6"
    assert raw["spec"] == {
        "className": "small", "imageName": "photon", "storageClass": "iscsi",
        "powerState": "PoweredOn", "powerOffMode": "TrySoft",
        "policies": [{"name": "p"}],
    }  # fmt: skip
    assert raw["status"] == {
        "powerState": "PoweredOn", "nodeName": "esx-1", "zone": "z1", "uniqueID": "vm-258",
        "biosUUID": "42100000-0102-4000-8000-000000000000",
        "instanceUUID": "50100000-0102-4000-8000-000000000000",
        "network": {"primaryIP4": "10.0.0.1"},
        "class": {"apiVersion": "vmoperator.vmware.com/v1alpha6", "kind": "VirtualMachineClass",
                  "name": "large"},
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "NotReady", "message": "waits",
             "lastTransitionTime": "1970-01-01T00:01:00Z"},
            {"type": "VirtualMachineTools", "status": "True",
             "lastTransitionTime": "1970-01-01T00:01:01Z"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("edition", "spec"),
    [
        (SEED, {"imageName": "i", "className": "c", "powerState": "poweredOn", "volumes": []}),
        (HEAD, {"imageName": "i"}),
        (HEAD, {"image": {"kind": "VirtualMachineImage", "name": "vmi-1"}}),
        (HEAD, {"image": {"name": "vmi-1"}, "imageName": "photon", "policies": [{"name": "p"}]}),
        (HEAD, {"image": {"kind": "VirtualMachineImage"}, "imageName": "photon"}),
        (HEAD, {"powerState": "Suspended", "powerOffMode": "Soft", "minHardwareVersion": 19}),
        (HEAD, {"bootstrap": {"cloudInit": {}}, "storageClass": "s", "groupName": "g"}),
        (HEAD, {}),
    ],
)
def test_stored_spec_is_printed_as_it_was_applied(edition: str, spec: dict[str, Any]) -> None:
    raw = {"metadata": {"name": "a", "namespace": "demo"}, "spec": spec}
    vm = to_vm(Manifest("VirtualMachine", "demo", "a", raw), edition)

    assert to_raw(vm, edition)["spec"] == spec


def test_image_that_was_exchanged_is_printed_with_its_new_name() -> None:
    spec = VMSpec("c", "vmi-2", "s", extra={"image": {"kind": "k", "name": "vmi-1"}})

    assert to_raw(VirtualMachine("demo/a", spec), HEAD)["spec"]["image"] == {
        "kind": "k",
        "name": "vmi-2",
    }


def test_printed_object_passes_the_strict_check_of_its_edition() -> None:
    vm = running()
    (manifest,) = parsed(json.dumps(to_raw(vm, HEAD)))

    assert to_vm(manifest, HEAD).spec.policies == ("p",)


def test_simulated_second_is_printed_as_kubernetes_prints_times() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00Z"
    assert timestamp(86_400 * 365 + 1.9) == "1971-01-01T00:00:01Z"


@pytest.mark.parametrize(
    ("memory_mib", "reserved_mib", "memory"),
    [
        (4096, 0, {"total": "4Gi"}),
        (1536, 512, {"total": "1536Mi", "reservation": "512Mi"}),
    ],
)
def test_hardware_is_written_as_kubernetes_writes_it_and_read_again(
    memory_mib: int, reserved_mib: int, memory: dict[str, str]
) -> None:
    vm = running()
    vm.status.hardware = {
        "cpus": 2,
        "cpu_reservation_mhz": 0,
        "memory_mib": memory_mib,
        "memory_reservation_mib": reserved_mib,
    }
    status = to_raw(vm, HEAD)["status"]
    assert status["hardware"] == {"cpu": {"total": 2}, "memory": memory}
    assert told_hardware(status) == vm.status.hardware
    assert told_hardware({}) == {}
    assert "hardware" not in to_raw(vm, SEED)["status"]
