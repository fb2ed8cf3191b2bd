"""Who takes which host out of service, and gives it back; the API server is a dict."""

from collections.abc import Mapping
from typing import Any, cast

from features.kube.hosts import LentHosts, NodeHand, wanted
from vmsim import nodes
from vmsim.objects import ZONE_LABEL, HostSpec

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


def by_nodes(api: Api) -> LentHosts:
    return LentHosts(cast(Any, api), NodeHand(cast(Any, api)))


PLAIN = wanted({}, "zone-1")


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
