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
from typing import Any

import simpy
import yaml

from features.user import MANIFESTS, NAMESPACE, POWER_EVENTS, Answer, User, key_of
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

OpenBackend = Callable[[Sequence[HostSpec]], AbstractContextManager[Backend]]


@dataclass(slots=True, repr=False)
class Target(User):
    """One Supervisor of ours; see the module docstring."""

    open_backend: OpenBackend
    stack: ExitStack
    seed: int = 1
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

    def patch(self, name: str, merge: dict[str, Any]) -> None:
        """`kubectl patch --type=merge` of the VM."""
        self.remember()
        self.wire.append({"patch": key_of(name), "merge": merge})
        self._note(self.system.api.patch(key_of(name), merge))

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
        vm = self.system.api.vms.get(key_of(name, namespace))
        return None if vm is None else deepcopy(to_raw(vm, self.edition))

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
        key = key_of(name)
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
        key = key_of(name)
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
