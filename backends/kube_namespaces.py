"""Who empties a namespace that is deleted, where no namespace controller runs?

`empty_namespaces` does, for a server that came without controllers: it deletes what is in a
namespace on its way out, of every kind that the server has, waits until finalizers let it go, and
then lets the namespace go. Each such namespace has a thread for as long as that takes.
"""

import threading
from collections.abc import Iterator
from typing import Any

from backends.kube_api import KubeApi, pause_s
from vmsim.kube import Denial
from vmsim.problems import Unreachable

PATH = "/api/v1/namespaces"
FINALIZER = "kubernetes"
NEEDED = frozenset(("list", "delete"))


def empty_namespaces(api: KubeApi, stopped: threading.Event) -> None:
    """Work until `stopped`."""
    at_work: dict[str, threading.Thread] = {}
    for change in api.watched(PATH, stopped):
        for raw in change.objects:
            metadata = raw["metadata"]
            thread = at_work.get(metadata["uid"])
            leaves = change.type != "DELETED" and metadata.get("deletionTimestamp")
            if leaves and (thread is None or not thread.is_alive()):
                words = (api, metadata["name"], stopped)
                thread = threading.Thread(target=_empty, args=words, daemon=True)
                at_work[metadata["uid"]] = thread
                thread.start()


def _empty(api: KubeApi, name: str, stopped: threading.Event) -> None:
    attempt = 0
    while not stopped.wait(pause_s(attempt)):
        attempt += 1
        try:
            if not _deleted(api, name):
                _let_go(api, name)
                return
        except (Denial, Unreachable):
            continue  # a kind or the server is away; the namespace stays until all is seen empty


def _deleted(api: KubeApi, name: str) -> int:
    """Ask for the deletion of all that is in the namespace; how much is still there."""
    count = 0
    for root, plural in _kinds(api):
        path = f"{root}/namespaces/{name}/{plural}"
        for raw in api.items(path):
            count += 1
            if not raw["metadata"].get("deletionTimestamp"):
                api.delete(f"{path}/{raw['metadata']['name']}")
    return count


def _kinds(api: KubeApi) -> Iterator[tuple[str, str]]:
    """The kinds that live in namespaces: the path of the group's version, and the plural."""
    groups: list[dict[str, Any]] = api.get("/apis")["groups"]
    versions = [f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups]
    for root in ("/api/v1", *versions):
        for kind in api.get(root)["resources"]:
            if kind["namespaced"] and set(kind["verbs"]) >= NEEDED:
                yield root, kind["name"]


def _let_go(api: KubeApi, name: str) -> None:
    raw = api.get(f"{PATH}/{name}")
    spec = raw.get("spec") or {}
    left = [word for word in spec.get("finalizers") or () if word != FINALIZER]
    api.request("PUT", f"{PATH}/{name}/finalize", raw | {"spec": spec | {"finalizers": left}})
