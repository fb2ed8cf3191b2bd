"""What must an API server have before VMs can be applied there?

The edition's kinds, the update table as a policy, the controller's role, and the objects of the
scenario: classes, images, storage, zones, namespaces. Kinds, policy and role are written at every
start; the scenario's objects only once, since what a user deleted shall stay deleted. `uninstall`
takes back what acts on others: the kinds stay, with the objects that users have of them.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vmsim import crds, nodes, reviewing, update_policy
from vmsim.editions import EDITIONS, Edition
from vmsim.kinds import kinds
from vmsim.kube import Denial, Kube
from vmsim.plan import Plan
from vmsim.problems import BadInput, Problem, Unreachable

ESTABLISHED_S = 60.0
OLDEST = (1, 30)
"""The first Kubernetes whose admission policies and match conditions are stable."""

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
POLICIES = "/apis/admissionregistration.k8s.io/v1"
ROLES = "/apis/rbac.authorization.k8s.io/v1"
NODES = "/api/v1/nodes"
MARK = "/api/v1/namespaces/kube-system/configmaps"
MARK_NAME = "vmsim"
VM = "VirtualMachine"

Say = Callable[[str], None]


def install(kube: Kube, plan: Plan, say: Say) -> list[tuple[str, dict[str, Any]]]:
    """Make the server ready for the plan; everything may be there already.

    The answer is what is to be made when somebody serves: the plan's VMs, with their paths.
    """
    edition = plan.edition
    _check_version(kube)
    _check_edition(kube, edition)
    definitions = crds.definitions(edition)
    for definition in definitions:
        kube.apply(f"{CRDS}/{definition['metadata']['name']}", definition)
    verdict = plan.scenario.spec.verdict
    for make in (update_policy.policy, update_policy.creation_policy):
        for body in make(edition, verdict):
            _apply(kube, POLICIES, body)
    for body in crds.rbac():
        _apply(kube, ROLES, body)
    for definition in definitions:
        _wait_for(kube, f"{CRDS}/{definition['metadata']['name']}")
    if kube.exists(f"{MARK}/{MARK_NAME}"):
        return []
    bodies = list(_bodies(plan))
    others = [item for item in bodies if item[1]["kind"] != VM]
    for path, body in others:
        _make(kube, path, body, say)
    name = {"name": MARK_NAME, "namespace": "kube-system"}
    data = {"edition": edition.name, "scenario": plan.scenario.metadata.name}
    kube.create(MARK, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": data})
    return [item for item in bodies if item[1]["kind"] == VM]


def _bodies(plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    """The plan's namespace and its objects, each with the path to make it at."""
    namespace = {"name": plan.scenario.spec.namespace}
    yield (
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": namespace},
    )
    for manifest in plan.manifests:
        kind = kinds(plan.edition.name)[manifest.kind]
        metadata = dict(manifest.raw.get("metadata") or {})
        if kind.namespaced:
            metadata["namespace"] = manifest.namespace
        path = crds.resource_path(kind, manifest.namespace)
        yield path, {**manifest.raw, "metadata": metadata}


def _make(kube: Kube, path: str, body: Mapping[str, Any], say: Say) -> None:
    for attempt in range(50):
        try:
            kube.create(path, body)
            return
        except Denial as denial:
            if denial.status == 409:
                return
            if denial.status != 404 or attempt == 49:  # a new kind is not served at once
                say(f"{body['kind']} {body['metadata']['name']} is refused: {denial}")
                return
        time.sleep(0.1)


def unregister(kube: Kube) -> None:
    """Have the server ask nobody before it stores a VM."""
    kube.delete(f"{POLICIES}/mutatingwebhookconfigurations/{reviewing.NAME}")


def register(kube: Kube, url: str, authority: bytes) -> None:
    """Have the server ask at `url` before it stores a VM."""
    body = reviewing.registration(url, authority)
    kube.apply(f"{POLICIES}/mutatingwebhookconfigurations/{reviewing.NAME}", body)


def uninstall(kube: Kube) -> None:
    """Take back what `install` and `register` put there and what serving left, but for the kinds
    and their objects. VMs lose our finalizer, so those that are being deleted go."""
    unregister(kube)
    for edition in EDITIONS.values():
        _let_vms_go(kube, edition)
        for make in (update_policy.policy, update_policy.creation_policy):
            for body in make(edition):
                kube.delete(_place(POLICIES, body))
    for body in crds.rbac():
        kube.delete(_place(ROLES, body))
    for raw in kube.items(NODES):
        if (raw["metadata"].get("labels") or {}).get(nodes.MANAGED) == "vmsim":
            kube.delete(f"{NODES}/{raw['metadata']['name']}")
    kube.delete(f"{MARK}/{MARK_NAME}")


def _let_vms_go(kube: Kube, edition: Edition) -> None:
    kind = kinds(edition.name)[VM]
    if edition.version not in _versions(kube, edition):
        return
    for raw in kube.items(crds.resource_path(kind)):
        metadata = raw["metadata"]
        there = metadata.get("finalizers") or ()
        if edition.finalizer in there:
            left = [name for name in there if name != edition.finalizer]
            path = crds.resource_path(kind, metadata["namespace"], metadata["name"])
            kube.patch(path, {"metadata": {"finalizers": left}})


def _apply(kube: Kube, root: str, body: Mapping[str, Any]) -> None:
    kube.apply(_place(root, body), body)


def _place(root: str, body: Mapping[str, Any]) -> str:
    plural = body["kind"].lower()
    plural = plural[:-1] + "ies" if plural.endswith("y") else plural + "s"
    return f"{root}/{plural}/{body['metadata']['name']}"


def _check_version(kube: Kube) -> None:
    """Refuse a server that is too old for what we ask of it."""
    number = str(kube.get("/version")["gitVersion"])
    if tuple(int(part) for part in re.findall(r"\d+", number)[:2]) < OLDEST:
        needed = ".".join(map(str, OLDEST))
        raise BadInput([Problem(f"the API server is Kubernetes {number}, not {needed} or newer")])


def _check_edition(kube: Kube, edition: Edition) -> None:
    """Refuse a server that has the kinds of another edition: they cannot be turned into ours."""
    there = _versions(kube, edition)
    if there and edition.version not in there:
        message = f"the API server has VirtualMachine {', '.join(there)}, not {edition.version}"
        raise BadInput([Problem(message, hint="--data-dir names a fresh folder")])


def _versions(kube: Kube, edition: Edition) -> list[str]:
    """The versions of VirtualMachine that the server has."""
    kind = kinds(edition.name)[VM]
    path = f"{CRDS}/{kind.plural}.{kind.group}"
    if not kube.exists(path):
        return []
    return [version["name"] for version in kube.get(path)["spec"]["versions"]]


def _wait_for(kube: Kube, path: str) -> None:
    deadline = time.monotonic() + ESTABLISHED_S
    while time.monotonic() < deadline:
        conditions = (kube.get(path).get("status") or {}).get("conditions") or ()
        if any(item["type"] == "Established" and item["status"] == "True" for item in conditions):
            return
        time.sleep(0.05)
    raise Unreachable(f"the API server does not establish {path.rpartition('/')[2]}")
