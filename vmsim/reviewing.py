"""May this VM be stored? A real API server asks, and gets the answer of the simulated one.

The server sends an AdmissionReview for each creation and update of a VM or a class; `review`
judges it by `admission`, as every other run does: all reasons at once, fields completed, advice as
warnings.
What only the server can refuse (unknown fields, wrong types, names) it has refused by then.
`registration` is how the server learns whom to ask. The controller's own writes are not asked
about, nor those to an object on its way out.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from vmsim.admission import Admitted, Denied, Terms, admit_class, admit_create, admit_update
from vmsim.editions import GROUP

NAME = "vmsim-virtualmachines"
PATH = "/review"
CLASSES = "virtualmachineclasses"
TIMEOUT_S = 10
CONTROLLER = "vmsim-controller"
UNPROCESSABLE = 422


def review(request: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    """The response to the request of an AdmissionReview."""
    raw = request["object"]
    answer: Admitted | Denied
    if request["resource"]["resource"] == CLASSES:
        answer = admit_class(raw) if request["operation"] == "CREATE" else Admitted(raw)
    elif request["operation"] == "CREATE":
        metadata = {**raw.get("metadata", {}), "namespace": request.get("namespace", "")}
        answer = admit_create({**raw, "metadata": metadata}, terms)
    else:
        answer = admit_update(request["oldObject"], raw, terms)
    response = {"uid": request["uid"], "allowed": isinstance(answer, Admitted)}
    if isinstance(answer, Denied):
        status = {"code": UNPROCESSABLE, "reason": "Invalid", "message": str(answer)}
        return response | {"status": status}
    if answer.warnings:
        response["warnings"] = list(answer.warnings)
    patch: list[dict[str, Any]] = []
    if answer.raw.get("spec") != raw.get("spec"):
        patch.append({"op": "add", "path": "/spec", "value": answer.raw["spec"]})
    if request["operation"] == "CREATE" and request["resource"]["resource"] != CLASSES:
        patch += _with_finalizer(raw, terms.edition.finalizer)
    if patch:
        text = base64.b64encode(json.dumps(patch).encode()).decode()
        response |= {"patchType": "JSONPatch", "patch": text}
    return response


def _with_finalizer(raw: Mapping[str, Any], finalizer: str) -> list[dict[str, Any]]:
    """The controller would add it at once (X-01); like this, that takes no write of its own."""
    there = raw.get("metadata", {}).get("finalizers") or []
    if finalizer in there or "/" not in finalizer:  # the server would warn the user of such a name
        return []
    return [{"op": "add", "path": "/metadata/finalizers", "value": [*there, finalizer]}]


def registration(url: str, authority: bytes) -> dict[str, Any]:
    """The configuration by which the server asks at `url`, whose certificate `authority` signed."""
    asked = {
        "apiGroups": [GROUP],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["virtualmachines", CLASSES],
    }
    conditions = {
        "not-the-controller": f"request.userInfo.username != '{CONTROLLER}'",
        "not-on-its-way-out": "!has(object.metadata.deletionTimestamp)",
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [
            {
                "name": "virtualmachines.vmsim.dev",
                "clientConfig": {
                    "url": url + PATH,
                    "caBundle": base64.b64encode(authority).decode(),
                },
                "rules": [asked],
                "matchConditions": [
                    {"name": name, "expression": text} for name, text in conditions.items()
                ],
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "timeoutSeconds": TIMEOUT_S,
            }
        ],
    }
