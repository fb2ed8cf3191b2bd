"""What do the steps speak to?

A `Target` is one Supervisor with its hosts, as two people see it: the user of the VirtualMachine
API, who applies manifests and reads objects, and the administrator of the hosts, who puts them
into maintenance and sees which VM runs where. Time passes only while somebody waits. The Supervisor
starts at the first request; the edition, the hosts and the vCenter settings are declared before.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import simpy
import yaml

import vmsim
from features.words import WORDS, Timeouts, Words
from vmsim import documents
from vmsim.admission import Denied
from vmsim.kinds import kinds
from vmsim.loading import expand_added, plan
from vmsim.manifests import parse
from vmsim.objects import HostSpec
from vmsim.ports import Backend, Believed
from vmsim.problems import BadInput
from vmsim.rendering import to_raw
from vmsim.scenario import Entry
from vmsim.simulate import System
from vmsim.trace import Record

SHIPPED = Path(vmsim.__file__).parent / "_scenarios"
SCENARIOS = SHIPPED if SHIPPED.is_dir() else Path(__file__).parent.parent / "scenarios"
MANIFESTS = SCENARIOS / "manifests"
NAMESPACE = "demo"
ZONE_LABEL = "topology.kubernetes.io/zone"
POWER_EVENTS = ("VmPoweredOn", "VmPoweredOff", "VmSuspended", "VmReset")

_NOT_READY = {
    "type": "Ready",
    "status": "False",
    "reason": "VirtualMachineImageNotSynced",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}

OpenBackend = Callable[[Sequence[HostSpec]], AbstractContextManager[Backend]]


@dataclass(slots=True)
class Answer:
    """What the API said to the last request: reasons of a refusal, and warnings."""

    reasons: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True, repr=False)
class Target:
    """See the module docstring. `before` and `status_before` are of the last When, by VM;
    `closed_host` is the host that a Given took out of service. `wire` holds the requests as they
    were sent, for whoever keeps evidence and empties it."""

    open_backend: OpenBackend
    stack: ExitStack
    timeouts: Timeouts = field(default_factory=Timeouts)
    seed: int = 1
    edition: str = ""
    answer: Answer = field(default_factory=Answer)
    before: dict[str, str] = field(default_factory=dict)
    status_before: dict[str, dict[str, Any]] = field(default_factory=dict)
    closed_host: str = ""
    listed: list[str] = field(default_factory=list)
    wire: list[dict[str, Any]] = field(default_factory=list)
    _hosts: list[dict[str, Any]] = field(default_factory=list)
    _spares: dict[str, dict[str, Any]] = field(default_factory=dict)
    _policies: dict[str, Any] = field(default_factory=dict)
    _events: list[Record] = field(default_factory=list)
    _refusals: list[str] = field(default_factory=list)
    _system: System | None = None

    # What is declared before the Supervisor starts.

    def declare_host(self, name: str, zone: str = "zone-1", **properties: Any) -> None:
        """A host that is there from the start; each zone is one vSphere cluster."""
        assert self._system is None, "hosts are declared before the first request"
        self._hosts.append(_host(name, properties) | {"zone": zone})

    def declare_spare(self, name: str, **properties: Any) -> None:
        """A host that is not part of the cluster yet."""
        assert self._system is None, "hosts are declared before the first request"
        self._spares[name] = _host(name, properties) | {"cluster": "cluster-zone-1"}

    def set_policy(self, name: str, value: Any) -> None:
        """A setting of vCenter."""
        assert self._system is None, "settings are declared before the first request"
        self._policies[name] = value

    @property
    def words(self) -> Words:
        """The edition's words."""
        return WORDS[self.edition]

    # What a user of the API does.

    def apply(self, text: str, namespace: str = NAMESPACE) -> None:
        """`kubectl apply -n <namespace> -f` of this text; the answer is kept."""
        self.remember()
        self.wire.append({"apply": text, "namespace": namespace})
        try:
            found = parse(documents.load(text, "request"), self.edition, namespace)
        except BadInput as error:
            self.answer.reasons = [f"{p.field}: {p.message}" for p in error.problems]
            return
        for manifest in found:
            self._note(self.system.api.apply(manifest))

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

    def apply_class(self, name: str, hardware: dict[str, Any]) -> None:
        """A class that the namespace may use: at 2023-03 with its binding."""
        kind = "VirtualMachineClass"
        if kinds(self.edition)[kind].namespaced:
            self.apply_object(kind, {"name": name}, spec={"hardware": hardware})
            return
        self.apply_object(kind, {"name": name}, spec={"hardware": hardware})
        reference = {"apiVersion": "vmoperator.vmware.com/v1alpha1", "kind": kind, "name": name}
        self.apply_object("VirtualMachineClassBinding", {"name": name}, classRef=reference)

    def patch(self, name: str, merge: dict[str, Any]) -> None:
        """`kubectl patch --type=merge` of the VM."""
        self.remember()
        self.wire.append({"patch": _key(name), "merge": merge})
        self._note(self.system.api.patch(_key(name), merge))

    def fields(self, text: str) -> dict[str, Any]:
        """The fields that a YAML text in a scenario gives."""
        found = documents.load(text, "scenario")[0].value
        assert isinstance(found, dict), found
        return found

    def delete(self, kind: str, name: str, namespace: str = NAMESPACE) -> None:
        """`kubectl delete` of the object; a cluster-scoped kind takes no namespace."""
        self.remember()
        scoped = kinds(self.edition)[kind].namespaced
        key = f"{namespace}/{name}" if scoped else name
        self.wire.append({"delete": kind, "key": key})
        self._note(self.system.api.delete(kind, key))

    def list_kind(self, word: str, namespace: str | None = None) -> None:
        """`kubectl get <word>`, with -n when a namespace is given; names are kept."""
        found = self.system.api.catalog.objects(word, namespace)
        self.listed = [manifest.name for manifest in found]

    def get(self, name: str, namespace: str = NAMESPACE) -> dict[str, Any] | None:
        """The VM as `kubectl get -o yaml` shows it, or None."""
        vm = self.system.api.vms.get(_key(name, namespace))
        return None if vm is None else deepcopy(to_raw(vm, self.edition))

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

    def drop_image(self) -> None:
        """Delete the image of the example."""
        self.delete("VirtualMachineImage", self.words.image)

    def restore_image(self) -> None:
        """Make the image of the example again."""
        self.apply(yaml.safe_dump(self._image()))

    def copy_image(self, name: str, display: str = "", ready: bool = True) -> None:
        """Make an image like that of the example."""
        image = self._image()
        image["metadata"]["name"] = name
        field = "name" if "name" in image["status"] else "imageName"
        image["status"][field] = display or name
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

    def _image(self) -> dict[str, Any]:
        found = documents.read([MANIFESTS / f"prerequisites-{self.edition}.yaml"])
        values = [document.value for document in found]
        image = next(value for value in values if value["kind"] == "VirtualMachineImage")
        return deepcopy(image)

    # What the administrator of the hosts does and sees.

    def administer(self, **action: Any) -> None:
        """One act on a host or a VM, in the words of a timeline entry."""
        self.remember()
        self.wire.append({"administer": action})
        self.system.perform(Entry.model_validate({"at": 0} | action))
        assert not self._refusals, f"vSphere refused: {self._refusals}"

    def join(self, name: str) -> None:
        """The spare host joins its cluster."""
        self.administer(addHost=self._spares[name])

    def hosts(self) -> list[str]:
        """The hosts of all clusters."""
        return [host.name for host in self.system.fleet.inventory.hosts]

    def zone_of(self, host: str) -> str:
        """The zone of the host."""
        inventory = self.system.fleet.inventory
        return str(inventory.hosts[inventory.row_of[host]].zone)

    def host_state(self, name: str) -> str:
        """What the host is doing."""
        inventory = self.system.fleet.inventory
        return str(inventory.states[inventory.row_of[name]])

    def held(self, name: str) -> Believed | None:
        """The VM in the inventory of the hosts, or None."""
        key = _key(name)
        return next((vm for vm in self.system.fleet.existing() if vm.key == key), None)

    def vm_count(self) -> int:
        """How many VMs the hosts have."""
        return len(list(self.system.fleet.existing()))

    def runs_anywhere(self, name: str) -> bool:
        """Whether a host runs the VM, whatever the API tells."""
        held = self.held(name)
        return held is not None and held.power.value == "PoweredOn"

    def power_events(self, name: str) -> list[str]:
        """vCenter's power events of the VM since the last request, in order."""
        key = _key(name)
        return [event.kind for event in self._events if event.object == key]

    def remember(self) -> None:
        """Forget the last answer and the events so far; remember where every VM is."""
        self.answer = Answer()
        self._events.clear()
        self._refusals.clear()
        held = self.system.fleet.existing()
        self.before = {vm.key.rpartition("/")[2]: vm.host for vm in held}
        self.status_before = {name: self.status(name) for name in self.before}

    # Time.

    def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Let time pass until `holds`, at most `within_s`; the answer is whether it held."""
        env = self.system.env
        deadline = env.now + within_s
        while not holds():
            if env.peek() > deadline:
                if env.now < deadline:
                    env.run(until=deadline)
                return holds()
            env.step()
        return True

    def during(self, holds: Callable[[], bool], for_s: float) -> bool:
        """Let `for_s` pass; the answer is whether `holds` all the time."""
        return not self.until(lambda: not holds(), for_s)

    @property
    def now_s(self) -> float:
        """The simulated second; 0 before the Supervisor starts."""
        return 0.0 if self._system is None else float(self._system.env.now)

    def wait(self, for_s: float) -> None:
        """Let `for_s` pass."""
        self.until(lambda: False, for_s)

    # Start and end.

    @property
    def system(self) -> System:
        """The running Supervisor, started when it is first asked for."""
        if self._system is None:
            self._system = self._start()
        return self._system

    def differences(self) -> list[str]:
        """Where the backend's own inventory differs from ours, at the end of a scenario."""
        if self._system is None:
            return []
        self._system.finish()
        return self._system.differences

    def _start(self) -> System:
        assert self.edition, "the edition is declared before the first request"
        assert self._hosts, "hosts are declared before the first request"
        clusters: dict[str, list[dict[str, Any]]] = {}
        for host in self._hosts:
            own = {name: value for name, value in host.items() if name != "zone"}
            clusters.setdefault(host["zone"], []).append(own)
        spec = {
            "edition": self.edition,
            "seed": self.seed,
            "duration": "3650d",
            "namespace": NAMESPACE,
            "policies": self._policies,
            "clusters": [
                {"name": f"cluster-{zone}", "zone": zone, "hosts": hosts}
                for zone, hosts in clusters.items()
            ],
        }
        value = {"apiVersion": "vmsim.dev/v1alpha1", "kind": "Scenario"}
        text = yaml.safe_dump(value | {"metadata": {"name": "feature"}, "spec": spec})
        ready = plan(documents.load(text, "feature")[0], MANIFESTS)
        entries = [Entry.model_validate({"at": 0, "addHost": s}) for s in self._spares.values()]
        later = [h for entry in entries for h in expand_added(entry, ready.scenario.spec.clusters)]
        backend = self.stack.enter_context(self.open_backend([*ready.hosts, *later]))
        system = System(ready, backend, simpy.Environment())
        system.trace.listen(self._see)
        system.watch()
        system.begin()
        return system

    def _note(self, answer: Denied | None) -> None:
        if answer is not None:
            self.answer.reasons += [str(error) for error in answer.errors]

    def _see(self, record: Record) -> None:
        if record.kind in POWER_EVENTS:
            self._events.append(record)
        elif record.kind == "Warning":
            self.answer.warnings.append(record.data["message"])
        elif record.kind == "Refused":
            self._refusals.append(record.data["fault"])


def _host(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "cores": 16, "memory": "64Gi"} | properties


def _key(name: str, namespace: str = NAMESPACE) -> str:
    return f"{namespace}/{name}"
