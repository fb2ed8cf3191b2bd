"""Who takes which host out of service, and gives it back; the API server and vSphere are dicts."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from backends.vsphere_reads import HostSeen
from backends.vsphere_session import HostVerb
from features.kube.hosts import LentHosts, NodeHand, wanted
from features.kube.vsphere_hand import VSphereHand
from vmsim import nodes
from vmsim.actions import Fault
from vmsim.conformance.evidence import NotTestable
from vmsim.objects import ZONE_LABEL, HostSpec, HostState
from vmsim.ports import HostShown

LABEL = "vmsim.dev/conform"


class Api:
    """Nodes of an API server, by name; each is in service unless its annotation says otherwise."""

    def __init__(self, *names: str, zone: str = "az-1") -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        for name in names:
            raw = nodes.node(HostSpec(name, "c", zone, 16, 2000, 65536))
            raw["metadata"]["labels"][ZONE_LABEL] = zone
            self.nodes[name] = raw

    def items(self, path: str) -> list[dict[str, Any]]:
        return [self.get(name) for name in self.nodes]

    def get(self, path: str) -> dict[str, Any]:
        raw = self.nodes[path.rpartition("/")[2]]
        closed = raw["metadata"]["annotations"].get(nodes.MAINTENANCE) == "true"
        conditions = [{"type": "Ready", "status": "True"}]
        conditions += [{"type": "Maintenance", "status": "True"}] if closed else []
        return raw | {"status": {"conditions": conditions}}

    def patch(self, path: str, body: Mapping[str, Any]) -> None:
        metadata = self.nodes[path.rpartition("/")[2]]["metadata"]
        for part, values in body["metadata"].items():
            merged = {**metadata[part], **values}
            metadata[part] = {key: value for key, value in merged.items() if value is not None}

    def labels(self) -> dict[str, str]:
        found = {name: raw["metadata"]["labels"] for name, raw in self.nodes.items()}
        return {name: labels[LABEL] for name, labels in found.items() if LABEL in labels}


class VSphere:
    """Hosts of 16 cores and 64 GiB; `refuses` is what every act ends with."""

    def __init__(self, *names: str, memory_mib: int = 65536) -> None:
        self.inside = dict.fromkeys(names, False)
        self.memory_mib = memory_mib
        self.connected = True
        self.refuses: Fault | None = None
        self.done: list[tuple[HostVerb, str]] = []

    def hosts(self) -> dict[str, HostSeen]:
        rest = (True, False, 16, 2000, self.memory_mib, ())
        return {name: HostSeen(name, "host-1", "c", *rest) for name in self.inside}

    def states(self) -> dict[str, HostShown]:
        return {name: HostShown(self.connected, inside) for name, inside in self.inside.items()}

    def ask_host(self, verb: HostVerb, name: str) -> Fault | None:
        self.done.append((verb, name))
        if self.refuses is None:
            self.inside[name] = verb is HostVerb.ENTER_MAINTENANCE
        return self.refuses


def by_nodes(api: Api) -> LentHosts:
    return LentHosts(cast(Any, api), NodeHand(cast(Any, api)))


def by_vsphere(api: Api, vsphere: VSphere) -> LentHosts:
    return LentHosts(cast(Any, api), VSphereHand(cast(Any, api), cast(Any, vsphere)))


PLAIN = wanted({}, "zone-1")
ENTER, EXIT = HostVerb.ENTER_MAINTENANCE, HostVerb.EXIT_MAINTENANCE


def test_hosts_that_a_case_does_not_declare_are_closed_on_vsphere_and_given_back() -> None:
    api, vsphere = Api("a", "b", "control-plane"), VSphere("a", "b")
    hosts = by_vsphere(api, vsphere)
    hosts.occupy({"esx-1": PLAIN})
    assert (hosts.names, vsphere.done) == ({"esx-1": "a"}, [(ENTER, "b")])
    assert api.labels() == {"b": "closed"} and hosts.settled()
    hosts.reopen()
    assert vsphere.done[1:] == [(EXIT, "b")]
    assert hosts.forget() == ["b"] and api.labels() == {}


def test_host_enters_maintenance_on_vsphere_and_leaves_it() -> None:
    api, vsphere = Api("a"), VSphere("a")
    hosts = by_vsphere(api, vsphere)
    hosts.occupy({"esx-1": PLAIN})
    hosts.administer("enterMaintenance", "esx-1")
    assert hosts.begun("enterMaintenance", "esx-1")
    assert hosts.states(api.items("")) == {"a": "Maintenance"}
    hosts.administer("exitMaintenance", "esx-1")
    assert hosts.states(api.items("")) == {"a": "Up"}
    assert vsphere.done == [(ENTER, "a"), (EXIT, "a")]


def test_host_that_is_being_emptied_is_waited_for() -> None:
    api, vsphere = Api("a"), VSphere("a")
    hosts = by_vsphere(api, vsphere)
    hosts.occupy({"esx-1": PLAIN})
    hosts.administer("enterMaintenance", "esx-1")
    vsphere.inside["a"] = False
    api.nodes["a"]["spec"]["unschedulable"] = True
    assert hosts.states(api.items("")) == {"a": "EnteringMaintenance"}
    with pytest.raises(NotTestable, match="being emptied"):
        hosts.administer("exitMaintenance", "esx-1")
    hosts.reopen()
    assert not hosts.rested() and hosts.forget() == [] and hosts.lent() == ["a"]
    vsphere.inside["a"] = True
    assert hosts.rested()
    hosts.reopen()
    api.nodes["a"]["spec"]["unschedulable"] = None
    assert hosts.forget() == ["a"]


def test_what_vsphere_refuses_is_not_testable() -> None:
    api, vsphere = Api("a", "b"), VSphere("a", "b")
    vsphere.refuses = Fault("NoPermission", "no")
    with pytest.raises(NotTestable, match="refuses EnterMaintenanceMode of host b"):
        by_vsphere(api, vsphere).occupy({"esx-1": PLAIN})


@pytest.mark.parametrize("action", ["failHost", "recoverHost"])
def test_vsphere_cannot_make_a_host_fail(action: str) -> None:
    hosts = by_vsphere(Api("a"), VSphere("a"))
    hosts.occupy({"esx-1": PLAIN})
    assert set(hosts.blind) == {"host-failure"}
    with pytest.raises(NotTestable, match="cannot make a host fail"):
        hosts.administer(action, "esx-1")


def test_host_without_a_connection_is_down_and_not_taken() -> None:
    api, vsphere = Api("a"), VSphere("a")
    vsphere.connected = False
    hosts = by_vsphere(api, vsphere)
    assert hosts.states(api.items("")) == {"a": HostState.DOWN}
    with pytest.raises(NotTestable, match="no zone has free hosts"):
        hosts.occupy({"esx-1": PLAIN})


@pytest.mark.parametrize(
    ("properties", "zones", "memory_mib", "fits"),
    [
        ({}, ["zone-1"], 65536, True),
        ({}, ["zone-1"], 1048576, True),  # real hosts are larger than those of the scenarios
        ({}, ["zone-1"], 32768, False),
        ({"memory": "2Gi"}, ["zone-1"], 65536, False),
        ({"memory": "2Gi"}, ["zone-1"], 2048, True),
        ({"devices": {"grid_a100-8c": 1}}, ["zone-1"], 65536, False),
        ({}, ["zone-1", "zone-2"], 65536, False),  # several zones are meant by their names
        ({}, ["az-1", "az-1"], 65536, True),
    ],
)
def test_host_on_vsphere_is_of_the_size_and_zone_that_a_case_needs(
    properties: dict[str, Any], zones: list[str], memory_mib: int, fits: bool
) -> None:
    hosts = by_vsphere(Api("a", "b"), VSphere("a", "b", memory_mib=memory_mib))
    declared = {f"esx-{n}": wanted(properties, zone) for n, zone in enumerate(zones)}
    if fits:
        hosts.occupy(declared)
        assert list(hosts.names) == list(declared)
    else:
        with pytest.raises(NotTestable):
            hosts.occupy(declared)


def test_host_that_somebody_else_closed_is_neither_taken_nor_opened() -> None:
    api = Api("a", "b", "c", zone="zone-1")
    api.nodes["a"]["metadata"]["annotations"][nodes.MAINTENANCE] = "true"
    hosts = by_nodes(api)
    hosts.occupy({"esx-1": PLAIN})
    assert hosts.names == {"esx-1": "b"} and hosts.settled()
    hosts.reopen()
    hosts.forget()
    assert api.labels() == {}
    asked = {name: nodes.wanted(raw).maintenance for name, raw in api.nodes.items()}
    assert asked == {"a": True, "b": False, "c": False}


def test_hosts_that_a_killed_run_closed_are_taken_by_the_next() -> None:
    api = Api("a", "b", zone="zone-1")
    by_nodes(api).occupy({"esx-1": PLAIN})
    after = by_nodes(api)
    assert after.lent() == ["a", "b"]
    after.occupy({"esx-1": PLAIN, "esx-2": PLAIN})
    assert after.names == {"esx-1": "a", "esx-2": "b"} and after.settled()
