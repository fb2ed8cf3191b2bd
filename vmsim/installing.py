"""What must an API server have before VMs can be applied there?

The edition's kinds, the update table as a policy, the controller's role, and the objects of the
scenario: classes, images, storage, zones, namespaces. Kinds, policy and role are written at every
start; the scenario's objects only once, since what a user deleted shall stay deleted.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vmsim import crds, reviewing, update_policy
from vmsim.editions import Edition
from vmsim.kinds import kinds
from vmsim.kube import Denial, Kube
from vmsim.plan import Plan
from vmsim.problems import BadInput, Problem, Unreachable

ESTABLISHED_S = 60.0
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
POLICIES = "/apis/admissionregistration.k8s.io/v1"
ROLES = "/apis/rbac.authorization.k8s.io/v1"
MARK = "/api/v1/namespaces/kube-system/configmaps"
MARK_NAME = "vmsim"
VM = "VirtualMachine"

Say = Callable[[str], None]


def install(kube: Kube, plan: Plan, say: Say) -> list[tuple[str, dict[str, Any]]]:
    """Make the server ready for the plan; everything may be there already.

    The answer is what is to be made when somebody serves: the plan's VMs, with their paths.
    """
    edition = plan.edition
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


def _apply(kube: Kube, root: str, body: Mapping[str, Any]) -> None:
    plural = body["kind"].lower()
    plural = plural[:-1] + "ies" if plural.endswith("y") else plural + "s"
    kube.apply(f"{root}/{plural}/{body['metadata']['name']}", body)


def _check_edition(kube: Kube, edition: Edition) -> None:
    """Refuse a server that has the kinds of another edition: they cannot be turned into ours."""
    kind = kinds(edition.name)["VirtualMachine"]
    path = f"{CRDS}/{kind.plural}.{kind.group}"
    if not kube.exists(path):
        return
    there = kube.get(path)
    served = [version["name"] for version in there["spec"]["versions"]]
    if edition.version not in served:
        message = f"the API server has VirtualMachine {', '.join(served)}, not {edition.version}"
        raise BadInput([Problem(message, hint="--data-dir names a fresh folder")])


def _wait_for(kube: Kube, path: str) -> None:
    deadline = time.monotonic() + ESTABLISHED_S
    while time.monotonic() < deadline:
        conditions = (kube.get(path).get("status") or {}).get("conditions") or ()
        if any(item["type"] == "Established" and item["status"] == "True" for item in conditions):
            return
        time.sleep(0.05)
    raise Unreachable(f"the API server does not establish {path.rpartition('/')[2]}")
