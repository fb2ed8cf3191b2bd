"""How does a Kubernetes API server learn the kinds of an edition?

From the same table that the simulated one reads (`kinds`): a CustomResourceDefinition for each
kind that Kubernetes has not itself, with the edition's names, scope, columns and schema. Where a
shape leaves an object open, so does the schema. Only the newest version of a kind is served: older
ones would need a conversion. Descriptions are our own words; `kubectl explain` prints them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from vmsim.editions import EDITION_2023_03, Edition
from vmsim.kinds import VMOPERATOR, Column, Kind, Shape, kinds
from vmsim.rules import PAGE_TEXTS

BUILT_IN = ("", "storage.k8s.io")
"""Groups that every API server serves."""

QUANTITY = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(m|[kMGTPE]i?|[eE][0-9]+)?$"

_OPEN = {"x-kubernetes-preserve-unknown-fields": True}
_STATUS_PATHS: Mapping[str, Any] = {
    "powerState": "What the VM's power was when it was looked at last",
    "nodeName": "The host on which the VM is",
    "host": "The host on which the VM is",
    "zone": "The zone of that host",
    "uniqueID": "The VM's identifier on vSphere",
    "biosUUID": "The BIOS UUID that the VM has",
    "instanceUUID": "The instance UUID that the VM has",
    "phase": "How far the VM's creation or deletion is",
    "vmIp": "The address that the guest reports",
}
_CONDITION_FIELDS = ("type", "status", "reason", "message", "severity")
_POLICIES = ("AutomaticVMEvictionPolicy", "BestEffortRestartPolicy")
_POLICY: Mapping[str, str] = {
    "description": "What the policy is for",
    "enforcementMode": "Whether the policy holds for VMs that do not ask for it",
    "match": "For which VMs the policy is",
    "policyID": "The policy's ID on vSphere",
    "tags": "vSphere's tags that stand for the policy",
}

DESCRIPTIONS: Mapping[str, str] = {
    "VirtualMachine": "A virtual machine on a vSphere cluster: what is wanted of it, and what "
    "was seen of it last.",
    "VirtualMachine.spec": "What is wanted of the VM. Which fields may change, and when, is told "
    "by the update table of the specification.",
    "VirtualMachine.status": "What was seen of the VM last; written by the controller only.",
    "VirtualMachine.spec.image": "The image object that `imageName` stands for",
    "VirtualMachine.spec.storageClass": "The StorageClass whose storage policy the VM's disks "
    "follow. It must be associated with the namespace",
    "VirtualMachine.spec.powerOffMode": "How to power off: Hard asks no guest, Soft asks it, "
    "TrySoft asks it and then stops waiting",
    "VirtualMachine.spec.suspendMode": "How to suspend, as powerOffMode",
    "VirtualMachine.spec.restartMode": "How to restart, as powerOffMode",
    "VirtualMachine.spec.nextRestartTime": "Set to `now` to restart the VM once",
    "VirtualMachine.spec.minHardwareVersion": "The lowest virtual hardware version that the VM "
    "may have; it is never lowered",
    "VirtualMachine.spec.bootstrap": "How the guest is customised: cloudInit, linuxPrep, sysprep",
    "VirtualMachine.spec.network": "The guest's host name and the VM's network interfaces",
    "VirtualMachine.spec.networkInterfaces": "The VM's network interfaces",
    "VirtualMachine.spec.vmMetadata": "How the guest is customised",
    "VirtualMachine.spec.volumes": "Disks beside those of the image",
    "VirtualMachine.spec.hardware": "Controllers and CD-ROM drives",
    "VirtualMachine.spec.reserved": "Settings for the controller's own use",
    "VirtualMachine.spec.groupName": "The VirtualMachineGroup that the VM belongs to",
    "VirtualMachine.spec.affinity": "On which hosts, or near which VMs, the VM shall be",
    "VirtualMachine.spec.biosUUID": "The BIOS UUID to give the VM; it can be set once",
    "VirtualMachine.spec.instanceUUID": "The instance UUID to give the VM; it can be set once",
    "VirtualMachine.spec.advanced": "Settings that few VMs need, such as the disks' provisioning",
    "VirtualMachine.spec.advancedOptions": "Settings that few VMs need, such as the disks' "
    "provisioning",
    "VirtualMachine.spec.bootOptions": "From what the VM boots, in which order, and its firmware",
    "VirtualMachine.spec.class": "The class object that `className` stands for",
    "VirtualMachine.spec.cpuAdvanced": "Settings of the VM's processors that few VMs need",
    "VirtualMachine.spec.crypto": "Whether and with which key the VM's files are encrypted",
    "VirtualMachine.spec.currentSnapshotName": "Name a snapshot of the VM to go back to it",
    "VirtualMachine.spec.guestID": "The guest operating system, as vSphere names it",
    "VirtualMachine.spec.memoryAdvanced": "Settings of the VM's memory that few VMs need",
    "VirtualMachine.spec.ports": "Ports of the guest that services may use",
    "VirtualMachine.spec.promoteDisksMode": "When disks of a linked clone become disks of their "
    "own",
    "VirtualMachine.spec.readinessProbe": "How to tell that the guest is ready",
    "VirtualMachine.spec.resourcePolicyName": "The VirtualMachineSetResourcePolicy that the VM "
    "belongs to",
    "VirtualMachine.spec.resources": "What the VM requests and may use, instead of what its "
    "class says",
    "VirtualMachine.spec.volumeAttributesClassName": "The VolumeAttributesClass of the VM's disks",
    "VirtualMachineClass.spec.configSpec": "vSphere's own description of the hardware; processors "
    "and memory are those of `hardware`",
    "VirtualMachineClass.spec.controllerName": "The controller that VMs of the class are for",
    "VirtualMachineClass.spec.description": "What the class is for",
    "VirtualMachineClass.spec.reservedProfileID": "The profile of the reserved slots",
    "VirtualMachineClass.spec.reservedSlots": "How many VMs of the class have their room reserved; "
    "needs reservedProfileID",
    **{f"{kind}.spec.{field}": text for kind in _POLICIES for field, text in _POLICY.items()},
    "VirtualMachineClass": "Virtual hardware by name: what a VM of the class has and reserves.",
    "VirtualMachineClass.spec.hardware": "Processors, memory and devices of a VM of the class",
    "VirtualMachineClass.spec.policies": "What a VM of the class reserves, and what it may use",
    "VirtualMachineImage": "An image from which a VM's disks are made.",
    "ClusterVirtualMachineImage": "An image that every namespace may use.",
    **{f"VirtualMachine.{field}": text.replace("`", "") for field, text in PAGE_TEXTS.items()},
}


def definitions(edition: Edition) -> list[dict[str, Any]]:
    """A CustomResourceDefinition for each kind of the edition that Kubernetes has not itself."""
    return [definition(kind, edition) for kind in served(edition) if kind.group not in BUILT_IN]


def served(edition: Edition) -> Iterator[Kind]:
    """The kinds of the edition, in the table's order."""
    return iter(kinds(edition.name).values())


def resource_path(kind: Kind, namespace: str = "", name: str = "") -> str:
    """The path of a kind's objects on an API server, of one namespace's, or of one object."""
    version = kind.versions[-1]
    parts = ["apis", kind.group, version] if kind.group else ["api", version]
    if kind.namespaced and namespace:
        parts += ["namespaces", namespace]
    return "/" + "/".join([*parts, kind.plural, *([name] if name else [])])


def definition(kind: Kind, edition: Edition) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    names = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.singular,
    }
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)  # type: ignore[assignment]
    version: dict[str, Any] = {
        "name": kind.versions[-1],
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema(kind, edition)},
    }
    if kind.name == "VirtualMachine":
        version["subresources"] = {"status": {}}
    if kind.columns:
        version["additionalPrinterColumns"] = [_printed(column) for column in kind.columns]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{kind.group}",
            "labels": {"app.kubernetes.io/managed-by": "vmsim", "vmsim.dev/edition": edition.name},
        },
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [version],
        },
    }


def schema(kind: Kind, edition: Edition) -> dict[str, Any]:
    """The structural schema of the kind's newest version."""
    shape = kind.shapes[kind.versions[-1]]
    found = _schema(shape, kind.name)
    found["properties"]["metadata"] = {"type": "object"}
    for word in ("apiVersion", "kind"):
        found["properties"][word] = {"type": "string"}
    if kind.name == "VirtualMachine":
        _complete_vm(found["properties"], edition)
    return found


def _complete_vm(properties: dict[str, Any], edition: Edition) -> None:
    """What the server itself demands of a VM and adds to it: N-04, P-02, P-07."""
    spec = properties["spec"]
    fields = spec["properties"]
    if edition is EDITION_2023_03:
        spec["required"] = ["className", "imageName", "powerState"]
        fields["powerState"]["enum"] = sorted(edition.power_words.values())
    else:
        fields["powerState"]["default"] = "PoweredOn"
        fields["powerOffMode"]["default"] = edition.power_off_mode
        fields["powerOffMode"]["enum"] = [word for word in fields["powerOffMode"]["enum"] if word]
        spec["default"] = {}
    properties["status"] = _status()


def _status() -> dict[str, Any]:
    condition = {name: {"type": "string"} for name in _CONDITION_FIELDS}
    time = {"type": "string", "format": "date-time"}
    number = {"type": "integer", "format": "int64"}
    every = condition | {"lastTransitionTime": time, "observedGeneration": number}
    return {
        "type": "object",
        "description": DESCRIPTIONS["VirtualMachine.status"],
        **_OPEN,
        "properties": {
            **{name: {"type": "string", "description": text} for name, text in
               _STATUS_PATHS.items()},
            "conditions": {
                "type": "array",
                "description": "What holds of the VM, and since when",
                "items": {"type": "object", "properties": every, "required": ["type", "status"]},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        },
    }  # fmt: skip


def _schema(shape: Shape, path: str) -> dict[str, Any]:
    found = _typed(shape, path)
    if text := DESCRIPTIONS.get(path):
        found["description"] = text
    return found


def _typed(shape: Shape, path: str) -> dict[str, Any]:
    if shape.type == "any":
        return dict(_OPEN)
    if shape.type in ("cpu", "memory"):
        # No `pattern` beside a number: it is judged for the string alone.
        quantity = {"anyOf": [{"type": "integer"}, {"type": "string"}], "pattern": QUANTITY}
        return quantity | {"x-kubernetes-int-or-string": True}
    if shape.type == "count":
        return {"type": "integer", "format": "int32", "minimum": 0}
    if shape.type == "array":
        items = _schema(shape.items, f"{path}[]") if shape.items else dict(_OPEN)
        return {"type": "array", "items": items}
    if shape.type == "object":
        return _object(shape, path)
    words = {"enum": list(shape.words)} if shape.words else {}
    return {"type": shape.type, **words}


def _object(shape: Shape, path: str) -> dict[str, Any]:
    if shape.fields is not None:
        properties = {name: _schema(item, f"{path}.{name}") for name, item in shape.fields.items()}
        return {"type": "object", "properties": properties}
    if shape.items is not None:
        return {"type": "object", "additionalProperties": _schema(shape.items, f"{path}{{}}")}
    return {"type": "object", **_OPEN}


def _printed(column: Column) -> dict[str, Any]:
    """The column as Kubernetes prints it; a list is read item by item."""
    path = "".join(_step(step) for step in column.path)
    found: dict[str, Any] = {
        "name": column.header,
        "type": "date" if column.header == "Age" else "string",
        "jsonPath": path,
    }
    if column.priority:
        found["priority"] = column.priority
    return found


def _step(step: str) -> str:
    lists = ("vgpuDevices", "dynamicDirectPathIODevices")
    return f".{step}[*]" if step in lists else f".{step}"


def rbac() -> list[dict[str, Any]]:
    """What the controller may do: read what its decisions need, write status and finalizers."""
    rules = [
        _rule([VMOPERATOR], ["virtualmachines"], ["get", "list", "watch", "update", "patch"]),
        _rule([VMOPERATOR], ["virtualmachines/status"], ["get", "update", "patch"]),
        _rule([VMOPERATOR], ["virtualmachines/finalizers"], ["update"]),
        _rule([VMOPERATOR, "topology.tanzu.vmware.com", "cns.vmware.com",
               "vsphere.policy.vmware.com"], ["*"], ["get", "list", "watch"]),
        _rule([""], ["namespaces", "persistentvolumeclaims", "resourcequotas"],
              ["get", "list", "watch"]),
        _rule(["storage.k8s.io"], ["storageclasses"], ["get", "list", "watch"]),
        _rule([""], ["nodes"], ["get", "list", "watch", "create", "patch", "delete"]),
        _rule([""], ["nodes/status"], ["patch"]),
        _rule([""], ["events"], ["create", "patch"]),
    ]  # fmt: skip
    users = [_rule([VMOPERATOR], ["virtualmachines"], ["*"]),
             _rule([VMOPERATOR], ["*"], ["get", "list", "watch"])]  # fmt: skip
    roles = (
        ("vmsim-controller", rules, {"kind": "User", "name": "vmsim-controller"}),
        ("vmsim-user", users, {"kind": "Group", "name": "vmsim:users"}),
    )
    found: list[dict[str, Any]] = []
    for name, allowed, subject in roles:
        head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
        group = "rbac.authorization.k8s.io"
        reference = {"apiGroup": group, "kind": "ClusterRole", "name": name}
        found.append({**head, "kind": "ClusterRole", "rules": allowed})
        found.append({**head, "kind": "ClusterRoleBinding", "roleRef": reference,
                      "subjects": [{"apiGroup": group, **subject}]})  # fmt: skip
    return found


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> dict[str, Any]:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}
