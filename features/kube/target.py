"""How do the steps speak to a Supervisor of which only the Kubernetes API is seen?

A case has a namespace of its own for each that it names; what it makes outside of namespaces
carries its label and is taken away with it. Names of the namespaces and of the hosts are the
case's in every question and answer, and the cluster's on the wire. What the hosts hold is what the
VMs' statuses report, since nobody can look past the API.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from backends.kube_api import MERGE
from backends.vsphere_reads import VMSeen
from features.kube.clocks import GONE_S, HOSTS_S, RealTime, StepTime
from features.kube.cluster import VM, Cluster
from features.kube.hosts import NODES, Wanted, node, wanted, zone
from features.kube.inventory import differences, find
from features.kube.naming import Names, called, host_of, told
from features.kube.refusals import reasons, warning
from features.user import NAMESPACE, POWER_EVENTS, Answer, User
from vmsim import documents
from vmsim.conformance.evidence import NotSupported, NotTestable
from vmsim.crds import resource_path
from vmsim.kinds import Kind, kinds
from vmsim.kube import Denial
from vmsim.mirror import version_of
from vmsim.objects import Hardware, HostState, PowerState
from vmsim.ports import Believed
from vmsim.problems import BadInput

BEGUN_S = 60.0
STRICT = "?fieldValidation=Strict"
MISSING, TAKEN = 404, 409
POWER = {word.lower(): word for word in PowerState}
OFF = (HostState.DOWN, HostState.REMOVED)


@dataclass(slots=True, repr=False, kw_only=True)
class KubeTarget(User):
    """One case on one of the clusters, by their editions; `close` takes everything away."""

    clusters: Mapping[str, Cluster]
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _wanted: dict[str, Wanted] = field(default_factory=dict)
    _cluster: Cluster | None = None
    _made: dict[str, str] = field(default_factory=dict)
    _touched: dict[str, None] = field(default_factory=dict)
    _seen: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    _inventory: dict[str, VMSeen] | None = None
    _asking: tuple[str, str] = ("", "")
    _began_s: float = 0.0
    _mark: int = 0

    # What is declared before the first request.

    def declare_host(self, name: str, zone: str = "zone-1", **properties: Any) -> None:
        """A host that is in service from the start."""
        self._need_edition()
        self._wanted[name] = wanted(properties, zone)

    def declare_spare(self, name: str, **properties: Any) -> None:
        """A host that comes into service later."""
        self._need_edition()
        self._wanted[name] = wanted(properties, "zone-1", spare=True)

    def set_policy(self, name: str, value: Any) -> None:
        """A setting of vCenter, which nobody can change from here."""
        raise NotTestable(f"{name} is a setting of vCenter, which cannot be changed from here")

    def _need_edition(self) -> None:
        if self.edition not in self.clusters:
            there = ", ".join(self.clusters)
            raise NotSupported(f"the API is of edition {there}, not {self.edition}")

    # What a user of the API does.

    def apply(self, text: str, namespace: str = NAMESPACE) -> None:
        """`kubectl apply -n <namespace> -f` of this text; the answer is kept."""
        self.remember()
        try:
            found = documents.load(text, "request")
        except BadInput as error:
            self.answer.reasons = [str(problem) for problem in error.problems]
            return
        for document in found:
            assert isinstance(document.value, dict), document.value
            self._apply(document.value, namespace)

    def patch(self, name: str, merge: dict[str, Any]) -> None:
        """`kubectl patch --type=merge` of the VM."""
        self.remember()
        self._ask(self._kind(VM), "PATCH", self._path(VM, name), merge)

    def delete(self, kind: str, name: str, namespace: str = NAMESPACE) -> None:
        """`kubectl delete` of the object; a cluster-scoped kind takes no namespace."""
        self.remember()
        self._ask(self._kind(kind), "DELETE", self._path(kind, name, namespace))

    def list_kind(self, word: str, namespace: str | None = None) -> None:
        """`kubectl get <word>`, with -n when a namespace is given; names are kept. Objects that
        are not of this case are left out."""
        kind = called(self.api, self.edition, word)
        path = resource_path(kind, self._real(namespace) if namespace else "")
        found = self.api.items(path)
        self.wire.append({"list": path})
        self.listed = sorted(raw["metadata"]["name"] for raw in found if self._names.owns(raw))

    def get(self, name: str, namespace: str = NAMESPACE) -> dict[str, Any] | None:
        """The VM as `kubectl get -o yaml` shows it, or None."""
        path = self._path(VM, name, namespace)
        if path not in self._seen:
            try:
                self._seen[path] = self._told(self.api.get(path))
            except Denial as denial:
                if denial.status != MISSING:
                    raise
                self._seen[path] = None
        return self._seen[path]

    # What the administrator of the hosts does and sees.

    def administer(self, **action: Any) -> None:
        """One act on a host or a VM, in the words of a timeline entry."""
        self.remember()
        hosts = self.cluster.hosts
        for name, host in action.items():
            self.wire.append({"administer": {name: host}})
            if name == "powerOff":
                self._power_off(host)
                continue
            hosts.administer(name, host)
            self._changed(hosts.kind)
            begun = self._clock.until(partial(hosts.begun, name, host), BEGUN_S, self._taken())
            assert begun, f"host {host} is {self.host_state(host)}, asked to {name}"

    def _power_off(self, key: str) -> None:
        """Past the API, as an administrator of vSphere does."""
        if self.cluster.inventory is None:
            raise NotTestable("a VM can be powered off past the API on vSphere only")
        name = key.rpartition("/")[2]
        own = self._real_key(name)
        seen = find(self.cluster.inventory.vms(), own, self.status(name).get("uniqueID") or "")
        self.cluster.inventory.power_off(seen.key if seen is not None else own)
        self._touched["vSphere"] = None
        self._clock.settle(self._taken())
        self._forget()

    def join(self, name: str) -> None:
        """The spare host comes into service."""
        self.remember()
        self.wire.append({"join": name})
        self.cluster.hosts.join(name)
        self._changed(self.cluster.hosts.kind)

    def hosts(self) -> list[str]:
        """The hosts of the case."""
        return [name for name, one in self._wanted.items() if not one.spare]

    def zone_of(self, host: str) -> str:
        """The zone of the host."""
        return zone(self._node(host))

    def host_state(self, name: str) -> str:
        """What the host is doing."""
        node = self._node(name)
        states = self.cluster.hosts.states([node] if node else [])
        return next(iter(states.values()), HostState.DOWN)

    def held(self, name: str) -> Believed | None:
        """The VM as vSphere has it, or else as its status says it is on a host (then its hardware
        is not told: 0); None when it is on none."""
        status = self.status(name)
        if self.cluster.inventory is not None:
            return self._found(name, status.get("uniqueID") or "")
        if not status.get("uniqueID"):
            return None
        power = POWER.get(self.power(name).lower(), PowerState.OFF)
        host = self.node(name)
        if power is PowerState.ON and self.host_state(host) in OFF:
            power = PowerState.OFF
        return Believed(f"{NAMESPACE}/{name}", host, power, Hardware(0, 0))

    def hardware(self, name: str) -> Hardware:
        """What the host gives the VM."""
        if self.cluster.inventory is None:
            raise NotTestable("the API does not tell what hardware a VM has on its host")
        return User.hardware(self, name)

    def vm_count(self) -> int:
        """How many VMs of the case the hosts have."""
        return sum(self.held(name) is not None for name in self._vms())

    def runs_anywhere(self, name: str) -> bool:
        """Whether a host runs the VM, by its status and that of the host's Node."""
        held = self.held(name)
        return held is not None and held.power == PowerState.ON

    def power_events(self, name: str) -> list[str]:
        """Events of the VM's power since the last request, in order."""
        path = f"/api/v1/namespaces/{self._real(NAMESPACE)}/events"
        found = [raw for raw in self.api.items(path) if raw["involvedObject"]["name"] == name]
        late = [raw for raw in found if version_of(raw) > self._mark]
        return [
            raw["reason"] for raw in sorted(late, key=version_of) if raw["reason"] in POWER_EVENTS
        ]

    def remember(self) -> None:
        """Forget the last answer and the events so far; remember where every VM is."""
        self.answer = Answer()
        vms = self._vms()
        self.status_before = {name: raw.get("status") or {} for name, raw in vms.items()}
        self.before = {name: self.node(name) for name in vms if self.held(name) is not None}

    # Time.

    def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Let time pass until `holds`, at most `within_s`; the answer is whether it held."""

        def look() -> bool:
            self._forget()
            return bool(holds())

        return self._clock.until(look, within_s, self._taken())

    def wait(self, for_s: float) -> None:
        """Let `for_s` pass."""
        self._clock.wait(for_s, self._taken())
        self._forget()

    @property
    def now_s(self) -> float:
        """The Supervisor's second since the first request of the case."""
        return self._clock.now_s - self._began_s if self._cluster else 0.0

    # Start and end.

    @property
    def cluster(self) -> Cluster:
        """The cluster of the edition, its hosts as declared when it is first asked for."""
        if self._cluster is None:
            self._need_edition()
            self._cluster = self.clusters[self.edition]
            self._began_s = self._clock.now_s
            hosts = self._cluster.hosts
            rested = self._clock.until(hosts.rested, HOSTS_S, ())
            assert rested, "a host that an earlier case closed is still being emptied"
            hosts.occupy(self._wanted)
            settled = self._clock.until(hosts.settled, HOSTS_S, (hosts.kind,))
            assert settled, "the hosts do not settle"
        return self._cluster

    @property
    def api(self) -> Any:
        """The cluster's API server."""
        return self.cluster.api

    @property
    def _clock(self) -> RealTime | StepTime:
        assert self._cluster is not None, "nothing was asked yet"
        return self._cluster.time()

    def differences(self) -> list[str]:
        """VMs that report to be where they are not."""
        if self._cluster is None:
            return []
        states = self._cluster.hosts.states(self.api.items(NODES))
        reported = {self._real_key(name): raw for name, raw in self._raw().items()}
        vms = self._cluster.inventory.vms() if self._cluster.inventory is not None else None
        return differences(reported, states, vms, self.words.node)

    def close(self) -> None:
        """Delete the VMs and wait for it, then everything else of the case."""
        if self._cluster is None:
            return
        kind = self._kind(VM)
        self._cluster.hosts.revive()
        self._changed(self._cluster.hosts.kind)
        for name, raw in self._raw().items():
            notes = dict.fromkeys(raw["metadata"].get("annotations") or {})
            self._ask(kind, "PATCH", self._path(VM, name), {"metadata": {"annotations": notes}})
            self._ask(kind, "DELETE", self._path(VM, name))
        gone = self._clock.until(lambda: not self._raw(), GONE_S, self._taken())
        left = list(self._raw()) if not gone else []
        if self.cluster.inventory is not None and self.cluster.inventory.clear(self._real_key("")):
            self._clock.settle(("vSphere",))
        path, name = self._asking  # interrupted in between: it may be there, and it may be ours
        if path and self.api.exists(path) and self._names.owns(self.api.get(path)):
            self._made[path] = name
        for path in reversed(self._made):
            self._touched[self._made[path]] = None
            self.cluster.api.delete(path)
        assert not left, f"VMs that are not deleted: {left}"

    # Requests.

    def _apply(self, given: dict[str, Any], namespace: str) -> None:
        """One object: made, or merged into the one that is there."""
        kind = self._kind(given["kind"])
        body, name = self._names.body(kind, given, namespace)
        path = resource_path(kind, body["metadata"].get("namespace", ""), name)
        made = self._ask(kind, "POST", path.rpartition("/")[0], body, path)
        if made is TAKEN:
            if not kind.namespaced and path not in self._made:
                raise NotTestable(f"{kind.name} {name} is there already, and is not the case's")
            made = self._ask(kind, "PATCH", path, body)
        if isinstance(made, dict) and "status" in given and made.get("status") != given["status"]:
            self._ask(kind, "PATCH", f"{path}/status", {"status": given["status"]})

    def _ask(self, kind: Kind, method: str, path: str, body: Any = None, made: str = "") -> Any:
        """The answer to one request, or 409; what the server refuses goes into `answer`."""
        if kind.name == VM and set(self._touched) - {VM}:
            self._clock.settle(self._taken())  # what a VM names must be known when it is judged
        self.wire.append({"method": method, "path": path, "body": body})
        self.api.warnings.clear()
        content = MERGE if method == "PATCH" else "application/json"
        self._asking = made, kind.name
        try:
            found = self.api.request(method, path + (STRICT if body else ""), body, content)
        except Denial as denial:
            self._asking = ("", "")
            if denial.status == TAKEN and made:
                return TAKEN
            self.answer.reasons += reasons(denial.message or str(denial))
            found = None
        else:
            self._asking = ("", "")
            if made:
                self._made[made] = kind.name
        self.answer.warnings += [warning(text) for text in self.api.warnings]
        self._changed(kind.name)
        return found

    def _told(self, raw: dict[str, Any]) -> dict[str, Any]:
        return told(raw, self.words.node, self.cluster.hosts.names)

    def _raw(self) -> dict[str, dict[str, Any]]:
        """The VMs of the case as the server has them, by name."""
        path = resource_path(self._kind(VM), self._real(NAMESPACE))
        return {raw["metadata"]["name"]: raw for raw in self.api.items(path)}

    def _vms(self) -> dict[str, dict[str, Any]]:
        """The VMs of the case, with its own names; kept until something changes."""
        path = resource_path(self._kind(VM), self._real(NAMESPACE))
        found, version = self.api.listed(path)
        self._mark = int(version)
        vms = {raw["metadata"]["name"]: self._told(raw) for raw in found}
        self._seen |= {f"{path}/{name}": raw for name, raw in vms.items()}
        return vms

    def _node(self, host: str) -> dict[str, Any]:
        name = self.cluster.hosts.names.get(host, host)
        key = f"{NODES}/{name}"
        if key not in self._seen:
            self._seen[key] = node(self.api, name)
        return self._seen[key] or {}

    def _forget(self) -> None:
        self._seen.clear()
        self._inventory = None

    def _changed(self, kind: str) -> None:
        self._touched[kind] = None
        self._forget()

    def _taken(self) -> list[str]:
        found = list(self._touched)
        self._touched.clear()
        return found

    def _found(self, name: str, identifier: str) -> Believed | None:
        """The VM in vSphere's inventory, with the case's names."""
        assert self.cluster.inventory is not None, "asked for only when there is one"
        if self._inventory is None:
            self._inventory = self.cluster.inventory.vms()
        seen = find(self._inventory, self._real_key(name), identifier)
        if seen is None:
            return None
        host = host_of(seen.host, self.cluster.hosts.names)
        return Believed(f"{NAMESPACE}/{name}", host, seen.power, seen.hardware)

    def _real_key(self, name: str) -> str:
        return f"{self._real(NAMESPACE)}/{name}"

    @property
    def _names(self) -> Names:
        return Names(self.run)

    def _real(self, namespace: str) -> str:
        return self._names.real(namespace)

    def _kind(self, name: str) -> Kind:
        return kinds(self.edition)[name]

    def _path(self, kind: str, name: str, namespace: str = NAMESPACE) -> str:
        own = self._real(name) if kind == "Namespace" else name
        return resource_path(self._kind(kind), self._real(namespace), own)
