"""How does somebody with a login of vSphere take hosts out of service, whoever's controller runs?

A host is found by its name, which is that of its Node; its zone is the Node's, its size is what
vSphere says. The label of the Node tells what its host was asked to be, because nothing else is
left of a run that is killed. Where vSphere itself cannot do something, no clause can be tested that
needs it: a host cannot be made to fail, and one that is being emptied cannot be had back before it
is empty.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from backends.kube_api import KubeApi
from backends.vsphere_reads import HostSeen
from backends.vsphere_session import HostVerb
from features.kube.hosts import NODES, PLAIN, Wanted, is_lent, taken, zone
from features.kube.inventory import Inventory
from features.kube.naming import LABEL
from vmsim.conformance.evidence import NotTestable
from vmsim.objects import HostSpec, HostState
from vmsim.ports import HostShown
from vmsim.quantities import memory_mib

SERVES, CLOSED = "serves", "closed"
BLIND = {"host-failure": "vSphere's API cannot make a host fail"}


@dataclass(slots=True)
class VSphereHand:
    """See the module docstring; `features.kube.hosts.Hand` says what each method is for."""

    api: KubeApi
    inventory: Inventory
    kind: str = "vSphere"

    @property
    def blind(self) -> Mapping[str, str]:
        """What vSphere cannot do."""
        return BLIND

    def specs(self, raws: Iterable[Mapping[str, Any]]) -> dict[str, HostSpec]:
        """The Nodes that vSphere has as hosts; a control plane has others."""
        seen = self.inventory.hosts()
        named = {raw["metadata"]["name"]: zone(raw) for raw in raws}
        return {name: _spec(seen[name], there) for name, there in named.items() if name in seen}

    def match(self, free: Mapping[str, HostSpec], declared: Mapping[str, Wanted]) -> dict[str, str]:
        """A Node for each declared host. Several zones are meant by their names, a single one is
        any; a host of the size that scenarios do not name may be larger than theirs."""
        if len({one.zone for one in declared.values()}) > 1:
            return _fitted(free, declared)
        for there in dict.fromkeys(spec.zone for spec in free.values()):
            meant = {name: replace(one, zone=there) for name, one in declared.items()}
            with suppress(NotTestable):
                return _fitted(free, meant)
        wishes = ", ".join(f"host {name}: {one}" for name, one in declared.items())
        raise NotTestable(f"no zone has free hosts on vSphere for all of {wishes}")

    def states(self, raws: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """What vSphere says of the hosts; a Node that is closed to new VMs is being emptied."""
        shown = self.inventory.states()
        return {name: _state(raw, shown.get(name)) for raw in raws if (name := _name(raw))}

    def asked(self, raw: Mapping[str, Any]) -> HostState:
        """What its label says."""
        return HostState.MAINTENANCE if _label(raw) == CLOSED else HostState.UP

    def put(self, raw: Mapping[str, Any], serves: bool) -> None:
        """Have the host in service, unless it is being emptied, or in maintenance; `NotTestable`
        when vSphere refuses."""
        inside = self._state(raw) == HostState.MAINTENANCE
        if serves and is_lent(raw) and (inside or not _is_cordoned(raw)):
            self._ask(raw, SERVES, HostVerb.EXIT_MAINTENANCE if inside else None)
        if not serves and _label(raw) != CLOSED:
            self._ask(raw, CLOSED, None if inside else HostVerb.ENTER_MAINTENANCE)

    def administer(self, raw: Mapping[str, Any], action: str) -> None:
        """Ask it of the host."""
        if action not in ("enterMaintenance", "exitMaintenance"):
            raise NotTestable(f"{action}: {BLIND['host-failure']}")
        serves = action == "exitMaintenance"
        if serves and self._state(raw) == HostState.ENTERING_MAINTENANCE:
            raise NotTestable(f"{action}: the host is being emptied, vSphere cannot stop that")
        self.put(raw, serves)

    def _state(self, raw: Mapping[str, Any]) -> str:
        return self.states([raw])[_name(raw)]

    def _ask(self, raw: Mapping[str, Any], label: str, verb: HostVerb | None) -> None:
        """Note on the Node what is asked, then ask it."""
        self.api.patch(f"{NODES}/{_name(raw)}", {"metadata": {"labels": {LABEL: label}}})
        fault = self.inventory.ask_host(verb, _name(raw)) if verb is not None else None
        if fault is not None:
            raise NotTestable(f"vSphere refuses {verb} of host {_name(raw)}: {fault}")


def _name(raw: Mapping[str, Any]) -> str:
    return str(raw["metadata"]["name"])


def _label(raw: Mapping[str, Any]) -> str:
    return str((raw["metadata"].get("labels") or {}).get(LABEL, ""))


def _spec(seen: HostSeen, zone: str) -> HostSpec:
    return HostSpec(seen.name, seen.cluster, zone, seen.cpu_cores, seen.cpu_mhz, seen.memory_mib)


def _state(raw: Mapping[str, Any], shown: HostShown | None) -> HostState:
    if shown is None or not shown.connected:
        return HostState.DOWN
    if shown.in_maintenance:
        return HostState.MAINTENANCE
    closed = _label(raw) == CLOSED or _is_cordoned(raw)
    return HostState.ENTERING_MAINTENANCE if closed else HostState.UP


def _is_cordoned(raw: Mapping[str, Any]) -> bool:
    return bool((raw.get("spec") or {}).get("unschedulable"))


def _fitted(free: Mapping[str, HostSpec], declared: Mapping[str, Wanted]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, one in declared.items():
        fitting = {key: spec for key, spec in free.items() if _fits(spec, one)}
        exact = sorted(fitting, key=lambda key: _size(fitting[key]) != _wish(one))
        found[name] = taken(exact, found, f"host {name}: {one}")
    return found


def _fits(spec: HostSpec, one: Wanted) -> bool:
    if one.devices or spec.zone != one.zone:
        return False
    larger = all(has >= wish for has, wish in zip(_size(spec), _wish(one), strict=True))
    return _size(spec) == _wish(one) or (larger and _wish(one) == _wish(PLAIN))


def _size(spec: HostSpec) -> tuple[int, int]:
    return spec.cpu_cores, spec.memory_mib


def _wish(one: Wanted) -> tuple[int, int]:
    return one.cores, memory_mib(one.memory)
