"""What is behind this Kubernetes API: which edition, whose implementation, may we do what we must?

A `Cluster` is one context of a kubeconfig. Which edition it has follows from the versions of
VirtualMachine that it serves. Who implements it is told by a ConfigMap (`vmsim.stepping`), which
`vmsim serve` writes and any other implementation may; without one the speed is 1, real time.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from backends.kube_api import KubeApi
from features.kube.clocks import RealTime, StepTime
from features.kube.hosts import NODES, Hosts, LentHosts, NodeHand, OwnHosts
from features.kube.inventory import Inventory
from features.kube.naming import LABEL, PREFIX
from features.kube.vsphere_hand import VSphereHand
from vmsim import nodes
from vmsim.crds import resource_path
from vmsim.editions import EDITIONS
from vmsim.kinds import VMOPERATOR, Kind, kinds
from vmsim.kube import Denial
from vmsim.problems import BadInput, Problem, Unreachable
from vmsim.stepping import CONFIG_MAPS, NAME

VM = "VirtualMachine"
ATTEMPTS, READ_S = 3, 10.0
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
NEEDED = (
    ("", "namespaces", ("create", "delete", "list")),
    ("", "resourcequotas", ("create",)),
    ("storage.k8s.io", "storageclasses", ("create", "delete", "list")),
    (VMOPERATOR, "virtualmachines", ("create", "delete", "get", "list", "patch")),
    (VMOPERATOR, "virtualmachineclasses", ("create", "delete", "list")),
    (VMOPERATOR, "virtualmachineimages", ("create", "delete", "list")),
)


@dataclass(slots=True)
class Cluster:
    """One API server that was looked at; `about` is what it tells of itself."""

    api: KubeApi
    context: str
    edition: str
    version: str
    about: Mapping[str, str]
    hosts: Hosts
    clock: RealTime | StepTime | None = None
    inventory: Inventory | None = None

    @property
    def speed(self) -> float:
        """Seconds of the Supervisor per real one; 0: it is moved from here."""
        return float(self.about.get("speed") or 1)

    def left(self) -> list[str]:
        """What cases made and did not take away, namespaces on their way out excepted."""
        kept = ("Namespace", "Node")
        wanted = [
            kind
            for kind in kinds(self.edition).values()
            if kind.name == VM or (not kind.namespaced and kind.name not in kept)
        ]
        found = [name for kind in wanted for name in self._paths(kind)]
        vms = self.inventory.vms() if self.inventory is not None else {}
        return found + [f"{key} on vSphere" for key in vms if key.startswith(PREFIX)]

    def terminating(self) -> list[str]:
        """Namespaces of cases."""
        return self._paths(kinds(self.edition)["Namespace"])

    def labelled(self, kind: Kind) -> list[dict[str, Any]]:
        """Objects of cases."""
        found = self.api.items(resource_path(kind))
        return [raw for raw in found if LABEL in (raw["metadata"].get("labels") or {})]

    def _paths(self, kind: Kind) -> list[str]:
        """Where the objects of cases are; an answer that is none may hide some."""
        try:
            return [path_of(kind, raw) for raw in self.labelled(kind)]
        except msgspec.DecodeError as error:
            return [f"{resource_path(kind)}: {error}"]

    def close(self) -> None:
        """Let all connections go."""
        self.api.close()
        if self.inventory is not None:
            self.inventory.close()

    def time(self) -> RealTime | StepTime:
        """Its clock, started when it is first asked for."""
        if self.clock is None:
            self.clock = RealTime(self.speed) if self.speed else StepTime(self.api)
        return self.clock


def path_of(kind: Kind, raw: Mapping[str, Any]) -> str:
    """Where the object is."""
    metadata = raw["metadata"]
    return resource_path(kind, metadata.get("namespace", ""), metadata["name"])


def cluster(kubeconfig: Path | None, context: str | None) -> Cluster:
    """The cluster of the context; BadInput when it lacks the API or we lack rights."""
    try:
        api = KubeApi(kubeconfig, context, attempts=ATTEMPTS, read_s=READ_S)
    except Unreachable as error:
        hint = "a file and a context that kubectl can use"
        raise BadInput([Problem(str(error), field="--kubeconfig", hint=hint)]) from None
    place = f"context {context}" if context else "the current context"
    try:
        version = api.get("/version")["gitVersion"]
        edition = _edition(api, place)
        _check_rights(api, place)
        about = _about(api)
        below = _inventory(about)
        hosts = _hosts(api, below if os.environ.get("GOVC_URL") else None)
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise Unreachable(f"{api.url} does not answer as Kubernetes does: {error!r}") from None
    except Denial as denial:
        hint = "a kubeconfig of an administrator"
        raise BadInput([Problem(f"{place}: {denial}", field="--context", hint=hint)]) from None
    return Cluster(api, context or "", edition, version, about, hosts, inventory=below)


def _inventory(about: Mapping[str, str]) -> Inventory | None:
    """The vSphere API below, if anybody tells where it is."""
    if os.environ.get("GOVC_URL"):
        return Inventory(os.environ)
    url = about.get("vsphere", "")
    return Inventory({"GOVC_URL": url, "GOVC_INSECURE": "1"}) if url else None


def _edition(api: KubeApi, place: str) -> str:
    """The newest edition of which the server has VirtualMachines."""
    hint = "install the API's definitions, or name another --context"
    try:
        group = api.get(f"/apis/{VMOPERATOR}")
    except Denial as denial:
        if denial.status != 404:
            raise
        message = f"{place} ({api.url}) has no API group {VMOPERATOR}"
        raise BadInput([Problem(message, field="--context", hint=hint)]) from None
    served = [version["version"] for version in group["versions"]]
    for name, edition in sorted(EDITIONS.items(), reverse=True):
        if edition.version in served and _has_vms(api, edition.version):
            return name
    known = ", ".join(edition.version for edition in EDITIONS.values())
    message = f"{place} ({api.url}) serves {', '.join(served)}, none of {known}"
    raise BadInput([Problem(message, field="--context", hint=hint)])


def _has_vms(api: KubeApi, version: str) -> bool:
    found = api.get(f"/apis/{VMOPERATOR}/{version}")["resources"]
    return any(one["name"] == "virtualmachines" for one in found)


def _check_rights(api: KubeApi, place: str) -> None:
    """BadInput that names every right that is needed and missing."""
    missing = [
        Problem(f"{place}: may not {verb} {resource}", field="--kubeconfig", hint="bind a role")
        for group, resource, verbs in NEEDED
        for verb in verbs
        if not _may(api, {"group": group, "resource": resource, "verb": verb})
    ]
    if missing:
        raise BadInput(missing)


def _may(api: KubeApi, attributes: Mapping[str, str]) -> bool:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool(api.create(REVIEWS, body)["status"]["allowed"])


def _about(api: KubeApi) -> dict[str, str]:
    try:
        found = api.get(f"{CONFIG_MAPS}/{NAME}").get("data") or {}
    except Denial as denial:
        if denial.status not in (403, 404):
            raise
        return {}
    try:
        speed = float(found.get("speed", 1))
        assert speed >= 0
    except (ValueError, AssertionError):
        message = f"speed is {found['speed']!r}, not a number from 0"
        where = f"ConfigMap kube-system/{NAME}"
        raise BadInput([Problem(message, field="data.speed", file=where)]) from None
    return {key: str(value) for key, value in found.items() if key not in ("ask", "said")}


def _hosts(api: KubeApi, vsphere: Inventory | None) -> Hosts:
    """Hosts that somebody with a login of vSphere may administer; without one those whose Nodes
    can be asked for something, if all describe a host; else untouched ones."""
    try:
        found: list[dict[str, Any]] = api.items(NODES)
    except Denial as denial:
        if denial.status != 403:
            raise
        return OwnHosts(api)
    if not found or not _may(api, {"group": "", "resource": "nodes", "verb": "patch"}):
        return OwnHosts(api)
    if vsphere is not None:
        return LentHosts(api, VSphereHand(api, vsphere))
    ours = all(nodes.DESCRIPTION in (raw["metadata"].get("annotations") or {}) for raw in found)
    return LentHosts(api, NodeHand(api)) if ours else OwnHosts(api)
