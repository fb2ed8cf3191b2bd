"""How are the names of a case kept apart from those of other cases on the same cluster?

A namespace gets the case's token; an object keeps its name and carries the token as a label. What
the cluster tells is turned back: scenarios know the case's own names only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends.kube_api import KubeApi
from vmsim.kinds import Kind, kinds

PREFIX = "conform-"
LABEL = "vmsim.dev/conform"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the case with this token."""

    run: str

    def real(self, namespace: str) -> str:
        """The namespace on the cluster."""
        return f"{PREFIX}{self.run}-{namespace}"

    def owns(self, raw: Mapping[str, Any]) -> bool:
        """Whether the case made the object."""
        return bool((raw["metadata"].get("labels") or {}).get(LABEL) == self.run)

    def body(
        self, kind: Kind, given: Mapping[str, Any], namespace: str
    ) -> tuple[dict[str, Any], str]:
        """The object as the cluster gets it, and its name there."""
        metadata = dict(given.get("metadata") or {})
        metadata["labels"] = {**(metadata.get("labels") or {}), LABEL: self.run}
        if kind.namespaced:
            metadata["namespace"] = self.real(metadata.get("namespace") or namespace)
        elif kind.name == "Namespace":
            metadata["name"] = self.real(metadata["name"])
        body = {**given, "metadata": metadata}
        if kind.name == "AvailabilityZone":
            members = (given.get("spec") or {}).get("namespaces") or {}
            named = {self.real(name): value for name, value in members.items()}
            body["spec"] = {**given["spec"], "namespaces": named}
        return body, metadata["name"]


def told(raw: Mapping[str, Any], field: str, nodes: Mapping[str, str]) -> dict[str, Any]:
    """The VM with the case's own names; `field` of its status is the Node, `nodes` are by host."""
    metadata = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != LABEL}
    status = dict(raw.get("status") or {})
    if on := status.get(field):
        status[field] = host_of(on, nodes)
    return {**raw, "metadata": {**metadata, "labels": labels}, "status": status}


def host_of(node: str, nodes: Mapping[str, str]) -> str:
    """The case's host of the Node, or the Node's own name when it is none of the case's."""
    return next((host for host, name in nodes.items() if name == node), node)


def called(api: KubeApi, edition: str, word: str) -> Kind:
    """The kind that the server itself knows by this word, as kubectl finds it."""
    groups = {(kind.group, kind.versions[-1]) for kind in kinds(edition).values()}
    for group, version in sorted(groups):
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        for one in api.get(path)["resources"]:
            if word in (one["name"], one["singularName"], *one.get("shortNames", ())):
                return kinds(edition)[one["kind"]]
    raise AssertionError(f"the server has no kind that is called {word}")
