"""How is what a `Write` says brought about on an API server, when others write there, too?"""

from collections.abc import Mapping
from typing import Any

from vmsim.kube import Denial, Kube
from vmsim.mirror import Write

CONFLICTS = 8


def send(kube: Kube, path: str, write: Write) -> Mapping[str, Any] | None:
    """Write finalizers, then status; the object afterwards, or None if it is not there.

    When somebody else was faster, the object is read again, and so written a few times at most.
    """
    raw: Mapping[str, Any] = write.seen
    for left in reversed(range(CONFLICTS)):
        try:
            return _send(kube, path, write, raw)
        except Denial as denial:
            if denial.status != 404 and (denial.status != 409 or not left):
                raise
        if not kube.exists(path):
            return None
        raw = kube.get(path)
        if raw["metadata"]["uid"] != write.uid:
            return None
    raise AssertionError("the last attempt returns or raises")


def _send(kube: Kube, path: str, write: Write, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    if (patch := write.finalizers(raw)) is not None:
        raw = kube.patch(path, {"metadata": patch})
    if write.status is None:
        return raw
    body = {"metadata": {"uid": write.uid}, "status": write.status}
    return kube.patch(f"{path}/status", body)
