"""Which hosts does a case have, and who puts them into maintenance?

A scenario declares its hosts; a cluster has those that it has. `LentHosts` finds for each declared
host a Node of the same zone, size and devices, and takes all others out of service. Its hand does
that: `NodeHand` by annotations, as the documentation of `vmsim serve` says, or
`vsphere_hand.VSphereHand` on vSphere's own API. A Node of which anything was asked carries the
suite's label until its host serves again, so that a later run finds what a killed one kept; a host
that is out of service without the label was taken by somebody else, and is left alone. `OwnHosts`
may touch nothing: a case must make do with what is there, and what is done to hosts or depends on
their size is not testable. `names` are the Nodes of the declared hosts, `kind` is what changes when
something is asked, `blind` the capabilities that nobody can show with these hosts, with the reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from backends.kube_api import KubeApi
from features.kube.naming import LABEL
from vmsim import nodes
from vmsim.conformance.evidence import NotTestable
from vmsim.kube import Denial
from vmsim.objects import ZONE_LABEL, HostSpec, HostState
from vmsim.quantities import memory_mib

NODES = "/api/v1/nodes"
CANNOT = "nobody may administer its hosts from here"
OURS = "asked"
ASKED: Mapping[str, Mapping[str, str | None]] = {
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


class Hand(Protocol):
    """How something is asked of hosts; a Node is meant by its object."""

    @property
    def kind(self) -> str:
        """What changes then."""

    @property
    def blind(self) -> Mapping[str, str]:
        """What cannot be asked."""

    def specs(self, raws: Iterable[Mapping[str, Any]]) -> dict[str, HostSpec]:
        """The hosts among these Nodes, by name."""

    def match(self, free: Mapping[str, HostSpec], declared: Mapping[str, Wanted]) -> dict[str, str]:
        """A Node for each declared host; `NotTestable` when there is none."""

    def states(self, raws: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """What the hosts of these Nodes are doing, by name."""

    def asked(self, raw: Mapping[str, Any]) -> HostState:
        """What its host was last asked to be."""

    def put(self, raw: Mapping[str, Any], serves: bool) -> None:
        """Have its host in service, or in maintenance."""

    def administer(self, raw: Mapping[str, Any], action: str) -> None:
        """Ask it of the host, in the words of a timeline entry."""


@dataclass(slots=True)
class LentHosts:
    """See the module docstring. Hosts keep their state from case to case."""

    api: KubeApi
    hand: Hand
    names: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What changes when something is asked of a host."""
        return self.hand.kind

    @property
    def blind(self) -> Mapping[str, str]:
        """What nobody can show with these hosts."""
        return self.hand.blind

    def occupy(self, declared: Mapping[str, Wanted]) -> None:
        """Have just these hosts in service soon; `NotTestable` when the cluster has them not."""
        there = {raw["metadata"]["name"]: raw for raw in self.api.items(NODES)}
        specs = self.hand.specs(there.values())
        states = self.states(list(there.values()))
        free = {
            name: spec
            for name, spec in specs.items()
            if is_lent(there[name]) or states[name] == HostState.UP
        }
        self.names = self.hand.match(free, declared)
        serving = {self.names[name] for name, one in declared.items() if not one.spare}
        for name in free:
            self.hand.put(there[name], name in serving)

    def settled(self) -> bool:
        """Whether every host that was asked for something is as it was asked to be."""
        lent = self._lent()
        states = self.states(lent)
        return all(states[raw["metadata"]["name"]] == self.hand.asked(raw) for raw in lent)

    def rested(self) -> bool:
        """Whether no host is being emptied for us, so that each can be asked for anything."""
        return HostState.ENTERING_MAINTENANCE not in self.states(self._lent()).values()

    def states(self, raws: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """What the hosts of these Nodes are doing, by name."""
        return self.hand.states(raws)

    def begun(self, action: str, name: str) -> bool:
        """Whether the host does what it was asked for."""
        found = self.states([node(self.api, self.names[name])])
        return found[self.names[name]] in BEGUN.get(action, HostState)

    def administer(self, action: str, name: str) -> None:
        """Ask it of the host, in the words of a timeline entry."""
        self.hand.administer(node(self.api, self.names[name]), action)

    def revive(self) -> None:
        """Ask those of the case that failed to come back: VMs on them could not be deleted."""
        for raw in self._lent():
            if self.hand.asked(raw) is HostState.DOWN:
                self.hand.administer(raw, "recoverHost")

    def join(self, name: str) -> None:
        """The spare host comes into service."""
        self.administer("exitMaintenance", name)

    def reopen(self) -> None:
        """Have every host that was asked for something in service again, soon."""
        for raw in self._lent():
            self.hand.put(raw, True)

    def forget(self) -> list[str]:
        """Take the label from hosts that are in service; which they are."""
        states = self.states(self._lent())
        serving = [name for name, state in states.items() if state == HostState.UP]
        for name in serving:
            self.api.patch(f"{NODES}/{name}", {"metadata": {"labels": {LABEL: None}}})
        return serving

    def lent(self) -> list[str]:
        """The Nodes of hosts that are not given back."""
        return [raw["metadata"]["name"] for raw in self._lent()]

    def _lent(self) -> list[dict[str, Any]]:
        return [raw for raw in self.api.items(NODES) if is_lent(raw)]


@dataclass(slots=True)
class NodeHand:
    """Asks by annotations of Nodes."""

    api: KubeApi
    kind: str = "Node"
    blind: Mapping[str, str] = field(default_factory=dict)

    def specs(self, raws: Iterable[Mapping[str, Any]]) -> dict[str, HostSpec]:
        """The hosts that the Nodes describe."""
        return {raw["metadata"]["name"]: nodes.host(raw) for raw in raws}

    def match(self, free: Mapping[str, HostSpec], declared: Mapping[str, Wanted]) -> dict[str, str]:
        """A Node of just the declared zone, size and devices for each."""
        found: dict[str, str] = {}
        for name, one in declared.items():
            fitting = (key for key, spec in free.items() if _is(spec, one))
            found[name] = taken(fitting, found, f"host {name}: {one}")
        return found

    def states(self, raws: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """What the conditions of the Nodes say."""
        return {raw["metadata"]["name"]: state(raw) for raw in raws}

    def asked(self, raw: Mapping[str, Any]) -> HostState:
        """What the Node's annotations ask for."""
        found = nodes.wanted(raw)
        reached = HostState.MAINTENANCE if found.maintenance else HostState.UP
        return HostState.DOWN if found.failed else reached

    def put(self, raw: Mapping[str, Any], serves: bool) -> None:
        """Have the host in service, or in maintenance; nothing is written that is there already."""
        notes: dict[str, str | None] = {nodes.FAILED: None}
        notes[nodes.MAINTENANCE] = None if serves else "true"
        there = raw["metadata"].get("annotations") or {}
        if not is_lent(raw) or any(there.get(key) != value for key, value in notes.items()):
            self._write(raw, notes)

    def administer(self, raw: Mapping[str, Any], action: str) -> None:
        """Ask it of the host."""
        if action not in ASKED:
            raise NotTestable(f"{action}: a Node cannot be asked for it")
        self._write(raw, ASKED[action])

    def _write(self, raw: Mapping[str, Any], notes: Mapping[str, str | None]) -> None:
        metadata = {"annotations": notes, "labels": {LABEL: OURS}}
        self.api.patch(f"{NODES}/{raw['metadata']['name']}", {"metadata": metadata})


@dataclass(slots=True)
class OwnHosts:
    """See the module docstring; `names` stay empty."""

    api: KubeApi
    names: dict[str, str] = field(default_factory=dict)
    kind: str = "Node"
    blind: Mapping[str, str] = field(
        default_factory=lambda: dict.fromkeys(("host-failure", "new-hosts"), CANNOT)
    )

    def occupy(self, declared: Mapping[str, Wanted]) -> None:
        """Check that the case can do with the hosts that are there."""
        if len({one.zone for one in declared.values()}) > 1:
            raise NotTestable(f"{CANNOT}, and the case needs zones of its own")
        for name, one in declared.items():
            if one.spare or one != PLAIN:
                raise NotTestable(f"{CANNOT}, and host {name} needs to be {one}")

    def settled(self) -> bool:
        """There is nothing to wait for."""
        return True

    rested = settled

    def states(self, raws: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """What the conditions of the Nodes say."""
        return {raw["metadata"]["name"]: state(raw) for raw in raws}

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

    def reopen(self) -> None:
        """None was closed."""

    def lent(self) -> list[str]:
        """None was asked for anything."""
        return []

    forget = lent


PLAIN = wanted({}, "zone-1")
Hosts = LentHosts | OwnHosts


def is_lent(raw: Mapping[str, Any]) -> bool:
    """Whether the suite asked something of the Node's host, and has not given it back."""
    return LABEL in (raw["metadata"].get("labels") or {})


def taken(fitting: Iterable[str], before: Mapping[str, str], wish: str) -> str:
    """The first of the fitting Nodes that is not taken before; `NotTestable` when there is none."""
    chosen = next((name for name in fitting if name not in before.values()), None)
    if chosen is None:
        raise NotTestable(f"there is no free Node for {wish}")
    return chosen


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


def _is(spec: HostSpec, one: Wanted) -> bool:
    size = (spec.zone, spec.cpu_cores, spec.memory_mib)
    same = size == (one.zone, one.cores, memory_mib(one.memory))
    same = same and one.mhz in (0, spec.cpu_mhz)
    return same and dict(spec.devices) == dict(one.devices)
