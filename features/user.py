"""What does a user of the VirtualMachine API do, and what does it look like to them?

A `User` applies manifests and reads objects; how that is done (`apply`, `patch`, `delete`, `get`)
is each target's own. So the requests of a scenario are the same on every target.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import vmsim
from features.words import WORDS, Timeouts, Words
from vmsim import documents
from vmsim.kinds import kinds
from vmsim.objects import Hardware
from vmsim.ports import Believed
from vmsim.rendering import told_hardware

SHIPPED = Path(vmsim.__file__).parent / "_scenarios"
SCENARIOS = SHIPPED if SHIPPED.is_dir() else Path(__file__).parent.parent / "scenarios"
MANIFESTS = SCENARIOS / "manifests"
NAMESPACE = "demo"
ZONE_LABEL = "topology.kubernetes.io/zone"
PAUSED_LABEL = "vmoperator.vmware.com/paused"
POWER_EVENTS = ("VmPoweredOn", "VmPoweredOff", "VmSuspended", "VmReset")

_NOT_READY = {
    "type": "Ready",
    "status": "False",
    "reason": "VirtualMachineImageNotSynced",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


@dataclass(slots=True)
class Answer:
    """What the API said to the last request: reasons of a refusal, and warnings."""

    reasons: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True, repr=False)
class User(ABC):
    """See the module docstring. `before` and `status_before` are of the last When, by VM;
    `closed_host` is the host that a Given took out of service. `wire` holds the requests as they
    were sent, for whoever keeps evidence and empties it."""

    timeouts: Timeouts = field(default_factory=Timeouts, kw_only=True)
    edition: str = field(default="", kw_only=True)
    answer: Answer = field(default_factory=Answer, kw_only=True)
    before: dict[str, str] = field(default_factory=dict, kw_only=True)
    status_before: dict[str, dict[str, Any]] = field(default_factory=dict, kw_only=True)
    closed_host: str = field(default="", kw_only=True)
    listed: list[str] = field(default_factory=list, kw_only=True)
    wire: list[dict[str, Any]] = field(default_factory=list, kw_only=True)

    # What each target does in its own way.

    @abstractmethod
    def apply(self, text: str, namespace: str = NAMESPACE) -> None:
        """`kubectl apply -n <namespace> -f` of this text; the answer is kept."""

    @abstractmethod
    def delete(self, kind: str, name: str, namespace: str = NAMESPACE) -> None:
        """`kubectl delete` of the object; a cluster-scoped kind takes no namespace."""

    @abstractmethod
    def get(self, name: str, namespace: str = NAMESPACE) -> dict[str, Any] | None:
        """The VM as `kubectl get -o yaml` shows it, or None."""

    @abstractmethod
    def runs_anywhere(self, name: str) -> bool:
        """Whether a host runs the VM."""

    @abstractmethod
    def held(self, name: str) -> Believed | None:
        """The VM in the inventory of the hosts, or None."""

    @abstractmethod
    def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Let time pass until `holds`, at most `within_s`; the answer is whether it held."""

    # What every user does.

    @property
    def words(self) -> Words:
        """The edition's words."""
        return WORDS[self.edition]

    def apply_file(self, name: str, namespace: str = NAMESPACE) -> None:
        """`kubectl apply -n <namespace> -f` of one of the example files, unchanged."""
        self.apply((MANIFESTS / name).read_text(encoding="utf-8"), namespace)

    def apply_vm(self, name: str, **changes: Any) -> None:
        """Apply a VM like the example's; `changes` are fields of spec, None leaves one out."""
        marks = {key: changes.pop(key) for key in ("labels", "annotations") if key in changes}
        spec = {
            "className": self.words.vm_class,
            "imageName": self.words.image,
            "storageClass": self.words.storage_class,
            "powerState": self.words.power["powered on"],
        } | changes
        given = {key: value for key, value in spec.items() if value is not None}
        self.apply_object("VirtualMachine", {"name": name} | marks, spec=given)

    def apply_object(self, kind: str, metadata: dict[str, Any], **fields: Any) -> None:
        """Apply an object in the newest version of the edition."""
        api_version = kinds(self.edition)[kind].api_versions[-1]
        value = {"apiVersion": api_version, "kind": kind, "metadata": metadata} | fields
        self.apply(yaml.safe_dump(value))

    def apply_class(self, name: str, hardware: dict[str, Any], **spec: Any) -> None:
        """A class that the namespace may use: at 2023-03 with its binding, unless it is refused."""
        kind = "VirtualMachineClass"
        self.apply_object(kind, {"name": name}, spec={"hardware": hardware} | spec)
        if kinds(self.edition)[kind].namespaced or self.answer.reasons:
            return
        reference = {"apiVersion": "vmoperator.vmware.com/v1alpha1", "kind": kind, "name": name}
        self.apply_object("VirtualMachineClassBinding", {"name": name}, classRef=reference)

    def fields(self, text: str) -> dict[str, Any]:
        """The fields that a YAML text in a scenario gives."""
        found = documents.load(text, "scenario")[0].value
        assert isinstance(found, dict), found
        return found

    def status(self, name: str) -> dict[str, Any]:
        """`status` of the VM, {} when it has none or there is no such VM."""
        found: dict[str, Any] = (self.get(name) or {}).get("status", {})
        return found

    def power(self, name: str) -> str:
        """The power state that the VM reports."""
        return str(self.status(name).get("powerState", ""))

    def node(self, name: str) -> str:
        """The Node that the VM reports."""
        return str(self.status(name).get(self.words.node, ""))

    def address(self, name: str) -> str:
        """The IP address that the VM reports."""
        status = self.status(name)
        old, network = status.get("vmIp", ""), status.get("network", {})
        return str(old or network.get("primaryIP4", ""))

    def is_running(self, name: str) -> bool:
        """Whether the VM reports powered on, and a host really runs it."""
        return self.power(name) == self.words.power["powered on"] and self.runs_anywhere(name)

    def hardware(self, name: str) -> Hardware:
        """What the host gives the VM."""
        held = self.held(name)
        assert held is not None, f"no host has VM {name}"
        return held.hardware

    def told_hardware(self, name: str) -> dict[str, int]:
        """The hardware that the VM reports, in MHz and MiB; {} when it reports none."""
        return told_hardware(self.status(name))

    def during(self, holds: Callable[[], bool], for_s: float) -> bool:
        """Let `for_s` pass; the answer is whether `holds` all the time."""
        return not self.until(lambda: not holds(), for_s)

    def drop_image(self) -> None:
        """Delete the image of the example."""
        self.delete("VirtualMachineImage", self.words.image)

    def restore_image(self) -> None:
        """Make the image of the example again."""
        self.apply(yaml.safe_dump(self._image()))

    def copy_image(
        self, name: str, display: str = "", *, firmware: str = "", ready: bool = True
    ) -> None:
        """Make an image like that of the example."""
        image = self._image()
        image["metadata"]["name"] = name
        field = "name" if "name" in image["status"] else "imageName"
        image["status"][field] = display or name
        if firmware:
            image["status"]["firmware"] = firmware
        if not ready:
            image["status"] |= {"imageSupported": False, "conditions": [_NOT_READY]}
        self.apply(yaml.safe_dump(image))

    def apply_storage(self, name: str, policy: str, offered: bool) -> None:
        """Make a storage class; `offered`: a quota of the namespace names it."""
        parameters = {"storagePolicyID": policy} if policy else {}
        given = {"provisioner": "csi.vsphere.vmware.com", "parameters": parameters}
        self.apply_object("StorageClass", {"name": name}, **given)
        if offered:
            hard = {f"{name}.storageclass.storage.k8s.io/requests.storage": "1Ti"}
            metadata = {"name": f"{name}-quota", "namespace": NAMESPACE}
            self.apply_object("ResourceQuota", metadata, spec={"hard": hard})

    def apply_claim(self, name: str, zone: str) -> None:
        """Claim a volume that is to be made in this zone."""
        notes = {"csi.vsphere.volume-requested-topology": f'[{{"{ZONE_LABEL}": "{zone}"}}]'}
        size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        metadata = {"name": name, "annotations": notes}
        self.apply_object("PersistentVolumeClaim", metadata, spec=size)

    def _image(self) -> dict[str, Any]:
        found = documents.read([MANIFESTS / f"prerequisites-{self.edition}.yaml"])
        values = [document.value for document in found]
        image = next(value for value in values if value["kind"] == "VirtualMachineImage")
        return deepcopy(image)


def key_of(name: str, namespace: str = NAMESPACE) -> str:
    """The VM's key."""
    return f"{namespace}/{name}"
