"""Which hosts does a case have, and who puts them into maintenance?

A scenario declares its hosts; a cluster has those that it has. `NodeHosts` finds for each declared
host a Node of the same zone, size and devices, and takes all others out of service, as the
documentation of `vmsim serve` says: by annotations. `OwnHosts` may touch nothing: a case must make
do with what is there, and what is done to hosts or depends on their size is not testable.
`names` are the Nodes of the declared hosts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.kube_api import KubeApi
from vmsim import nodes
from vmsim.conformance.evidence import NotTestable
from vmsim.kube import Denial
from vmsim.objects import ZONE_LABEL, HostSpec, HostState
from vmsim.quantities import memory_mib

NODES = "/api/v1/nodes"
CANNOT = "nobody may administer its hosts from here"
ASKED = {
    "enterMaintenance": {nodes.MAINTENANCE: "true"},
    "exitMaintenance": {nodes.MAINTENANCE: None},
    "failHost": {nodes.FAILED: "true"},
    "recoverHost": {nodes.FAILED: None},
}
BEGUN = {
    "enterMaintenance": (HostState.ENTERING_MAINTENANCE, HostState.MAINTENANCE),
    "failHost": (HostState.DOWN,),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A host that a case declares; `spare`: it joins later, `mhz` 0: of any clock."""

    zone: str
    cores: int
    memory: str
    mhz: int = 0
    devices: Mapping[str, int] = field(default_factory=dict)
    spare: bool = False


def wanted(properties: Mapping[str, Any], zone: str, *, spare: bool = False) -> Wanted:
    """The host that a scenario declares with these properties, others as by default."""
    given: dict[str, Any] = {"cores": 16, "memory": "64Gi", **properties}
    return Wanted(zone, spare=spare, **given)


@dataclass(slots=True)
class NodeHosts:
    """See the module docstring. Nodes keep their state from case to case; `restore` opens all."""

    api: KubeApi
    names: dict[str, str] = field(default_factory=dict)

    def occupy(self, declared: Mapping[str, Wanted]) -> None:
        """Have just these hosts in service soon; `NotTestable` when the cluster has them not."""
        there = {raw["metadata"]["name"]: raw for raw in self.api.items(NODES)}
        free = {name: nodes.host(raw) for name, raw in there.items()}
        self.names = {}
        for name, one in declared.items():
            fitting = [node for node, spec in free.items() if _fits(spec, one)]
            if not fitting:
                raise NotTestable(f"there is no free Node for host {name}: {one}")
            self.names[name] = fitting[0]
            del free[fitting[0]]
        open_ = {self.names[name] for name, one in declared.items() if not one.spare}
        for node, raw in there.items():
            self._ask(
                raw, {nodes.FAILED: None, nodes.MAINTENANCE: None if node in open_ else "true"}
            )

    def settled(self) -> bool:
        """Whether every Node is as it was asked to be."""
        return all(_is_settled(raw) for raw in self.api.items(NODES))

    def begun(self, action: str, name: str) -> bool:
        """Whether the host does what it was asked for."""
        return state(node(self.api, self.names[name])) in BEGUN.get(action, HostState)

    def administer(self, action: str, name: str) -> None:
        """Ask it of the host, in the words of a timeline entry."""
        if action not in ASKED:
            raise NotTestable(f"{action}: a Node cannot be asked for it")
        self.api.patch(f"{NODES}/{self.names[name]}", {"metadata": {"annotations": ASKED[action]}})

    def revive(self) -> None:
        """Ask those of the case that failed to come back: VMs on them could not be deleted."""
        for name in self.names:
            self.administer("recoverHost", name)

    def join(self, name: str) -> None:
        """The spare host comes into service."""
        self.administer("exitMaintenance", name)

    def restore(self) -> None:
        """Ask all hosts to come back."""
        for raw in self.api.items(NODES):
            self._ask(raw, {nodes.FAILED: None, nodes.MAINTENANCE: None})

    def _ask(self, raw: Mapping[str, Any], notes: Mapping[str, str | None]) -> None:
        there = raw["metadata"].get("annotations") or {}
        if any(there.get(key) != value for key, value in notes.items()):
            name = raw["metadata"]["name"]
            self.api.patch(f"{NODES}/{name}", {"metadata": {"annotations": notes}})


@dataclass(slots=True)
class OwnHosts:
    """See the module docstring; `names` stay empty."""

    api: KubeApi
    names: dict[str, str] = field(default_factory=dict)

    def occupy(self, declared: Mapping[str, Wanted]) -> None:
        """Check that the case can do with the hosts that are there."""
        if len({one.zone for one in declared.values()}) > 1:
            raise NotTestable(f"{CANNOT}, and the case needs zones of its own")
        for name, one in declared.items():
            if one.spare or one.devices or one != PLAIN:
                raise NotTestable(f"{CANNOT}, and host {name} needs to be {one}")

    def settled(self) -> bool:
        """There is nothing to wait for."""
        return True

    def administer(self, action: str, name: str) -> None:
        """Nobody may."""
        raise NotTestable(f"{action}: {CANNOT}")

    def join(self, name: str) -> None:
        """Nobody may."""
        raise NotTestable(f"{name} joins: {CANNOT}")

    def begun(self, action: str, name: str) -> bool:
        """Nothing was asked for."""
        return True

    def revive(self) -> None:
        """None of them failed."""

    def restore(self) -> None:
        """Nothing was changed."""


PLAIN = wanted({}, "zone-1")
Hosts = NodeHosts | OwnHosts


def state(raw: Mapping[str, Any]) -> str:
    """What the host of the Node is doing."""
    found = {item["type"]: item for item in (raw.get("status") or {}).get("conditions") or ()}
    if found.get("Maintenance", {}).get("status") == "True":
        return HostState.MAINTENANCE
    ready = found.get("Ready", {})
    if ready.get("reason") == HostState.ENTERING_MAINTENANCE:
        return HostState.ENTERING_MAINTENANCE
    return HostState.UP if ready.get("status") == "True" else HostState.DOWN


def node(api: KubeApi, name: str) -> dict[str, Any]:
    """The Node; {} when there is none, or nobody may see it."""
    try:
        return api.get(f"{NODES}/{name}")
    except Denial as denial:
        if denial.status in (403, 404):
            return {}
        raise


def zone(raw: Mapping[str, Any]) -> str:
    """The zone of the Node."""
    return str((raw.get("metadata", {}).get("labels") or {}).get(ZONE_LABEL, ""))


def _fits(spec: HostSpec, one: Wanted) -> bool:
    size = (spec.zone, spec.cpu_cores, spec.memory_mib)
    same = size == (one.zone, one.cores, memory_mib(one.memory))
    same = same and one.mhz in (0, spec.cpu_mhz)
    return same and dict(spec.devices) == dict(one.devices)


def _is_settled(raw: Mapping[str, Any]) -> bool:
    asked = nodes.wanted(raw)
    reached = HostState.MAINTENANCE if asked.maintenance else HostState.UP
    return state(raw) == (HostState.DOWN if asked.failed else reached)
