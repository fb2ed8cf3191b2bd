"""Which kinds of objects does the API take, in which versions, and how are they listed?

Each kind is one row per edition: group, served versions, scope, short names, the columns that
`kubectl get` prints, and the shape of the fields that are read. What a shape does not describe is
accepted as it is. An edition is named "2023-03" or "2026-08". Sources: facts 2.1-2.5 of the CRDs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from vmsim.problems import BadInput, Problem, did_you_mean

VMOPERATOR = "vmoperator.vmware.com"
TOPOLOGY = "topology.tanzu.vmware.com"
POLICY = "vsphere.policy.vmware.com"
STORAGE = "storage.k8s.io"
CNS = "cns.vmware.com"
V1_TO_V6 = tuple(f"v1alpha{number}" for number in range(1, 7))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value must look like.

    `type` is string, integer, count (an integer of 0 or more), boolean, object, array, cpu or
    memory (quantities), or any.
    `fields` names all fields of an object (None: any field); `items` is the shape of each item of
    an array, or of each value of an object without `fields`; `words` are the allowed strings.
    """

    type: str
    fields: Mapping[str, "Shape"] | None = None
    items: "Shape | None" = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """One printed column: its header, the path it reads, and priority 1 if only `-o wide`.

    A list on the path is read item by item, and shown with commas.
    """

    header: str
    path: tuple[str, ...]
    priority: int = 0

    def text(self, raw: Mapping[str, Any]) -> str:
        """What the object shows in this column; '' where it has no such field."""
        value: Any = raw
        for step in self.path:
            if isinstance(value, list):
                value = [item.get(step, "") for item in value if isinstance(item, Mapping)]
            else:
                value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, list):
            return ",".join(str(item) for item in value)
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind as one edition serves it; `shapes` has one shape of the whole object per version."""

    name: str
    group: str
    plural: str
    versions: tuple[str, ...]
    namespaced: bool
    short_names: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    shapes: Mapping[str, Shape] = field(default_factory=dict)

    @property
    def singular(self) -> str:
        """The lower-case name of one."""
        return self.name.lower()

    @property
    def api_versions(self) -> tuple[str, ...]:
        """Every `apiVersion` that a manifest of this kind may have, oldest first."""
        return tuple(f"{self.group}/{v}" if self.group else v for v in self.versions)

    @property
    def names(self) -> tuple[str, ...]:
        """Every word that means this kind on a command line."""
        return (self.plural, self.singular, *self.short_names)


ANY = Shape("any")
STR = Shape("string")
INT = Shape("integer")
COUNT = Shape("count")
BOOL = Shape("boolean")
OBJECT = Shape("object")
LIST = Shape("array")
STRINGS = Shape("object", items=STR)


def _object(**fields: Shape) -> Shape:
    return Shape("object", fields=fields)


def _list(items: Shape) -> Shape:
    return Shape("array", items=items)


METADATA = _object(
    name=STR, generateName=STR, namespace=STR, labels=STRINGS, annotations=STRINGS, uid=STR,
    resourceVersion=STR, generation=INT, creationTimestamp=STR, deletionTimestamp=STR,
    deletionGracePeriodSeconds=INT, finalizers=_list(STR), ownerReferences=_list(OBJECT),
    managedFields=LIST, selfLink=STR,
)  # fmt: skip

# Local and typed references; the API group of a reference is not read.
REFERENCE = _object(apiVersion=STR, kind=STR, name=STR, namespace=STR, apiGroup=STR)


def _top(**fields: Shape) -> Shape:
    """The shape of a whole object with these fields besides the four that all have."""
    return _object(apiVersion=STR, kind=STR, metadata=METADATA, status=OBJECT, **fields)


_OLD_POWER = ("poweredOff", "poweredOn")
_OLD_MODE = Shape("string", words=("", "hard", "soft", "trySoft"))
_MODE = Shape("string", words=("", "Hard", "Soft", "TrySoft"))

_ALWAYS = {"imageName": STR, "className": STR, "storageClass": STR, "volumes": LIST,
           "readinessProbe": OBJECT}  # fmt: skip
_OLD = {"ports": LIST, "vmMetadata": OBJECT, "networkInterfaces": LIST, "resourcePolicyName": STR,
        "advancedOptions": OBJECT}  # fmt: skip
_SINCE_2023_05 = {"nextRestartTime": STR, "minHardwareVersion": COUNT}
_V2 = {
    "powerState": Shape("string", words=("", "PoweredOff", "PoweredOn", "Suspended")),
    "powerOffMode": _MODE, "suspendMode": _MODE, "restartMode": _MODE, "advanced": OBJECT,
    "affinity": OBJECT, "bootstrap": OBJECT, "crypto": OBJECT, "groupName": STR,
    "network": OBJECT, "reserved": OBJECT,
}  # fmt: skip
_V3 = {"biosUUID": STR, "cdrom": LIST, "guestID": STR, "image": _object(kind=STR, name=STR),
       "instanceUUID": STR}  # fmt: skip
_V4 = {"promoteDisksMode": STR}
_V5 = {"bootOptions": OBJECT, "class": OBJECT, "currentSnapshotName": STR, "hardware": OBJECT,
       "policies": _list(REFERENCE)}  # fmt: skip
_V6 = {"cpuAdvanced": OBJECT, "memoryAdvanced": OBJECT, "resources": OBJECT,
       "volumeAttributesClassName": STR}  # fmt: skip


def _vm_specs() -> dict[str, dict[str, Shape]]:
    """The spec of a VirtualMachine per version, as the newest edition serves it (facts 2.5)."""
    old_power = Shape("string", words=("", *_OLD_POWER, "suspended"))
    modes = dict.fromkeys(("powerOffMode", "suspendMode", "restartMode"), _OLD_MODE)
    v2 = _ALWAYS | _SINCE_2023_05 | _V2
    v4 = v2 | _V3 | _V4
    v5 = {name: shape for name, shape in (v4 | _V5).items() if name != "cdrom"}
    return {
        "v1alpha1": _ALWAYS | _OLD | _SINCE_2023_05 | modes | {"powerState": old_power},
        "v1alpha2": v2,
        "v1alpha3": v2 | _V3,
        "v1alpha4": v4,
        "v1alpha5": v5,
        "v1alpha6": v5 | _V6,
    }


def _vm_shapes(specs: Mapping[str, Mapping[str, Shape]]) -> dict[str, Shape]:
    return {version: _top(spec=Shape("object", fields=spec)) for version, spec in specs.items()}


_VM_SHAPES = _vm_shapes(_vm_specs())
_SEED_VM_SHAPES = _vm_shapes(
    {"v1alpha1": _ALWAYS | _OLD | {"powerState": Shape("string", words=("", *_OLD_POWER))}}
)

_AMOUNTS = _object(cpu=Shape("cpu"), memory=Shape("memory"))
_CLASS_SPEC = {
    "controllerName": STR,
    "description": STR,
    "configSpec": OBJECT,
    "hardware": _object(
        cpus=COUNT,
        memory=Shape("memory"),
        instanceStorage=OBJECT,
        devices=_object(
            vgpuDevices=_list(_object(profileName=STR)),
            dynamicDirectPathIODevices=_list(
                _object(vendorID=COUNT, deviceID=COUNT, customLabel=STR)
            ),
        ),
    ),
    "policies": _object(resources=_object(requests=_AMOUNTS, limits=_AMOUNTS)),
}
_CLASS = _top(spec=Shape("object", fields=_CLASS_SPEC))
_RESERVED_CLASS = _top(
    spec=Shape("object", fields=_CLASS_SPEC | {"reservedProfileID": STR, "reservedSlots": COUNT})
)
_WITH_SPEC = _top(spec=OBJECT)
_STORAGE_CLASS = _top(
    provisioner=STR, parameters=STRINGS, reclaimPolicy=STR, volumeBindingMode=STR,
    allowVolumeExpansion=BOOL, mountOptions=_list(STR), allowedTopologies=LIST,
)  # fmt: skip
_POLICY = _top(
    spec=_object(description=STR, policyID=STR, enforcementMode=STR, match=OBJECT,
                 tags=_list(STR))
)  # fmt: skip


def _column(header: str, path: str, priority: int = 0) -> Column:
    return Column(header, tuple(path.split(".")), priority)


_AGE = _column("Age", "metadata.creationTimestamp")
_POWER = _column("Power-State", "status.powerState")
_CPU = _column("CPU", "spec.hardware.cpus")
_MEMORY = _column("Memory", "spec.hardware.memory")
_VM_COLUMNS = (_POWER, _column("Class", "spec.className", 1))
_SEED_IMAGE_COLUMNS = (
    _column("Provider-Name", "spec.providerRef.name"),
    _column("Content-Library-Name", "status.contentLibraryRef.name"),
    _column("Image-Name", "status.imageName"),
    _column("Version", "spec.productInfo.version"),
    _column("Os-Type", "spec.osInfo.type"),
    _column("Format", "spec.type"),
    _column("Image-Supported", "status.imageSupported", 1),
    _AGE,
)
_IMAGE_COLUMNS = (
    _column("Display Name", "status.name"),
    _column("Type", "status.type"),
    _column("Image Version", "status.productInfo.version"),
    _column("OS Name", "status.osInfo.type"),
    _column("OS Version", "status.osInfo.version"),
    _column("Hardware Version", "status.hardwareVersion"),
)
_DEVICES = ("spec", "hardware", "devices")
_SEED_CLASS_COLUMNS = (
    _CPU,
    _MEMORY,
    Column("VGPU-Devices-Profile-Names", (*_DEVICES, "vgpuDevices", "profileName"), 1),
    Column("Passthrough-DeviceIDs", (*_DEVICES, "dynamicDirectPathIODevices", "deviceID"), 1),
    _AGE,
)
_POLICY_COLUMNS = (
    _column("Enforcement-Mode", "spec.enforcementMode"),
    _column("Description", "spec.description"),
)


def _vmop(name: str, plural: str, shape: Shape = _WITH_SPEC, **row: Any) -> Kind:
    """A row of the VM Operator's group; `row` has the other fields of `Kind`."""
    versions = row.pop("versions", ("v1alpha1",))
    shapes = row.pop("shapes", dict.fromkeys(versions, shape))
    return Kind(name, VMOPERATOR, plural, versions, shapes=shapes, **row)


def _core(name: str, plural: str, shape: Shape, **row: Any) -> Kind:
    """A row of Kubernetes itself; short names and scope in `row`."""
    return Kind(name, row.pop("group", ""), plural, ("v1",), shapes={"v1": shape}, **row)


_COMMON = (
    _core("Namespace", "namespaces", _WITH_SPEC, namespaced=False, short_names=("ns",)),
    _core("ResourceQuota", "resourcequotas", _top(spec=OBJECT), namespaced=True,
          short_names=("quota",)),
    _core("ConfigMap", "configmaps", _top(data=STRINGS, binaryData=STRINGS, immutable=BOOL),
          namespaced=True, short_names=("cm",)),
    _core("Secret", "secrets", _top(data=STRINGS, stringData=STRINGS, type=STR, immutable=BOOL),
          namespaced=True),
    _core("PersistentVolumeClaim", "persistentvolumeclaims", _WITH_SPEC, namespaced=True,
          short_names=("pvc",),
          columns=(_column("Status", "status.phase"), _column("Volume", "spec.volumeName"),
                   _column("StorageClass", "spec.storageClassName"), _AGE)),
    _core("Node", "nodes", _WITH_SPEC, namespaced=False, short_names=("no",)),
    _core("StorageClass", "storageclasses", _STORAGE_CLASS, group=STORAGE, namespaced=False,
          short_names=("sc",),
          columns=(_column("Provisioner", "provisioner"),
                   _column("ReclaimPolicy", "reclaimPolicy"),
                   _column("VolumeBindingMode", "volumeBindingMode"),
                   _column("AllowVolumeExpansion", "allowVolumeExpansion"), _AGE)),
    Kind("AvailabilityZone", TOPOLOGY, "availabilityzones", ("v1alpha1",), False, ("az",),
         shapes={"v1alpha1": _WITH_SPEC}),
    _vmop("VirtualMachineClassBinding", "virtualmachineclassbindings", _top(classRef=REFERENCE),
          namespaced=True, short_names=("vmclassbinding",), columns=(_AGE,)),
    _vmop("ContentSource", "contentsources", namespaced=False),
    _vmop("ContentSourceBinding", "contentsourcebindings", _top(contentSourceRef=REFERENCE),
          namespaced=True),
    _vmop("ContentLibraryProvider", "contentlibraryproviders", namespaced=False,
          columns=(_column("Content-Library-UUID", "spec.uuid"),)),
)  # fmt: skip

_SEED = (
    _vmop("VirtualMachine", "virtualmachines", shapes=_SEED_VM_SHAPES, namespaced=True,
          short_names=("vm",),
          columns=(*_VM_COLUMNS, _column("Image", "spec.imageName", 1),
                   _column("Primary-IP", "status.vmIp", 1), _AGE)),
    _vmop("VirtualMachineClass", "virtualmachineclasses", _CLASS, namespaced=False,
          short_names=("vmclass",), columns=_SEED_CLASS_COLUMNS),
    _vmop("VirtualMachineImage", "virtualmachineimages", namespaced=False,
          short_names=("vmi", "vmimage"), columns=_SEED_IMAGE_COLUMNS),
    _vmop("ClusterVirtualMachineImage", "clustervirtualmachineimages", namespaced=False,
          short_names=("cvmi", "cvmimage", "clustervmimage"), columns=_SEED_IMAGE_COLUMNS),
)  # fmt: skip

_HEAD = (
    _vmop("VirtualMachine", "virtualmachines", versions=V1_TO_V6, shapes=_VM_SHAPES,
          namespaced=True, short_names=("vm",),
          columns=(*_VM_COLUMNS, _column("Image", "spec.image.name", 1),
                   _column("Primary-IP4", "status.network.primaryIP4", 1), _AGE)),
    _vmop("VirtualMachineClass", "virtualmachineclasses", _RESERVED_CLASS, versions=V1_TO_V6,
          namespaced=True, short_names=("vmclass",),
          columns=(_CPU, _MEMORY, _column("Capabilities", "status.capabilities", 1))),
    _vmop("VirtualMachineImage", "virtualmachineimages", versions=V1_TO_V6, namespaced=True,
          short_names=("vmi", "vmimage"),
          columns=(*_IMAGE_COLUMNS, _column("Capabilities", "status.capabilities"))),
    _vmop("ClusterVirtualMachineImage", "clustervirtualmachineimages", versions=V1_TO_V6,
          namespaced=False, columns=_IMAGE_COLUMNS,
          short_names=("cvmi", "cvmimage", "clustervmi", "clustervmimage")),
    Kind("Zone", TOPOLOGY, "zones", ("v1alpha1",), True, shapes={"v1alpha1": _WITH_SPEC}),
    Kind("StoragePolicyQuota", CNS, "storagepolicyquotas", ("v1alpha1", "v1alpha2"), True,
         shapes=dict.fromkeys(("v1alpha1", "v1alpha2"), _WITH_SPEC)),
    Kind("AutomaticVMEvictionPolicy", POLICY, "automaticvmevictionpolicies", ("v1alpha1",), True,
         columns=_POLICY_COLUMNS, shapes={"v1alpha1": _POLICY}),
    Kind("BestEffortRestartPolicy", POLICY, "besteffortrestartpolicies", ("v1alpha1",), True,
         columns=_POLICY_COLUMNS, shapes={"v1alpha1": _POLICY}),
)  # fmt: skip

KINDS: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {
        "2023-03": MappingProxyType({kind.name: kind for kind in _SEED + _COMMON}),
        "2026-08": MappingProxyType({kind.name: kind for kind in _HEAD + _COMMON}),
    }
)


def kinds(edition: str) -> Mapping[str, Kind]:
    """The kinds of an edition by name; ValueError for an edition that does not exist."""
    if edition not in KINDS:
        raise ValueError(f"no such edition: {edition!r}; editions are {', '.join(KINDS)}")
    return KINDS[edition]


def resolve(name: str, edition: str) -> Kind:
    """The kind that a word on the command line means: plural, singular or short, in any case.

    A group may follow, as in `virtualmachines.vmoperator.vmware.com`. BadInput if none is meant.
    """
    word, _, group = name.lower().partition(".")
    for kind in kinds(edition).values():
        if word in kind.names and (not group or group == kind.group):
            return kind
    every = [known for kind in kinds(edition).values() for known in kind.names]
    message = f'the server doesn\'t have a resource type "{name}"'
    raise BadInput([Problem(message, hint=did_you_mean(word, every))])


def spec_versions(kind: str, name: str) -> tuple[str, ...]:
    """The versions of a kind, in any edition, whose spec has the field, oldest first."""
    found = {
        version
        for table in KINDS.values()
        for version, shape in (table[kind].shapes.items() if kind in table else ())
        if shape.fields is not None and name in (shape.fields.get("spec", ANY).fields or ())
    }
    return tuple(sorted(found))
