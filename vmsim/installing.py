"""What must an API server have before VMs can be applied there?

The edition's kinds, the update table as a policy, the controller's role, and the objects of the
scenario: classes, images, storage, zones, namespaces. Kinds, policy and role are written at every
start; the scenario's objects only once, since what a user deleted shall stay deleted.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from vmsim import crds, update_policy
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

Say = Callable[[str], None]


def install(kube: Kube, plan: Plan, say: Say) -> None:
    """Make the server ready for the plan; everything may be there already."""
    edition = plan.edition
    _check_edition(kube, edition)
    definitions = crds.definitions(edition)
    for definition in definitions:
        kube.apply(f"{CRDS}/{definition['metadata']['name']}", definition)
    for body in update_policy.policy(edition, plan.scenario.spec.verdict):
        _apply(kube, POLICIES, body)
    for body in crds.rbac():
        _apply(kube, ROLES, body)
    for definition in definitions:
        _wait_for(kube, f"{CRDS}/{definition['metadata']['name']}")
    if not kube.exists(f"{MARK}/{MARK_NAME}"):
        load(kube, plan, say)
        name = {"name": MARK_NAME, "namespace": "kube-system"}
        data = {"edition": edition.name, "scenario": plan.scenario.metadata.name}
        kube.create(MARK, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": data})


def load(kube: Kube, plan: Plan, say: Say) -> None:
    """Make the scenario's objects, those that are not there yet."""
    table = kinds(plan.edition.name)
    namespace = plan.scenario.spec.namespace
    _make(kube, "/api/v1/namespaces", {
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace},
    }, say)  # fmt: skip
    for manifest in plan.manifests:
        kind = table[manifest.kind]
        metadata = dict(manifest.raw.get("metadata") or {})
        if kind.namespaced:
            metadata["namespace"] = manifest.namespace
        body = {**manifest.raw, "metadata": metadata}
        _make(kube, crds.resource_path(kind, manifest.namespace), body, say)


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
