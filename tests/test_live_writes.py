"""What is to be written is written, also when others write at the same time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from vmsim.kube import Denial, Kube
from vmsim.live_writes import CONFLICTS, send
from vmsim.mirror import Write

PATH = "/vms/a"


def seen(uid: str = "1", version: str = "5") -> dict[str, Any]:
    metadata = {"uid": uid, "resourceVersion": version, "finalizers": ["ours"]}
    return {"metadata": metadata}


@dataclass
class Server:
    """Answers the first patches with these statuses, and has `there` (None: no such object)."""

    refusals: list[int]
    there: dict[str, Any] | None = field(default_factory=seen)
    patched: list[str] = field(default_factory=list)

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if self.refusals:
            raise Denial(self.refusals.pop(0), "Conflict", "somebody was faster")
        self.patched.append(path)
        return {**seen(), **body}

    def exists(self, path: str) -> bool:
        return self.there is not None

    def get(self, path: str) -> dict[str, Any]:
        assert self.there is not None
        return self.there


def write(server: Server) -> Mapping[str, Any] | None:
    status = {"powerState": "PoweredOn"}
    wanted = Write("ns/a", "1", "ours", True, "", False, status, seen(version="4"))
    return send(cast(Kube, server), PATH, wanted)


def test_status_that_met_a_conflict_is_written_to_the_object_that_is_there_now() -> None:
    server = Server([409, 409])
    assert write(server) is not None
    assert server.patched == [f"{PATH}/status"]


@pytest.mark.parametrize("there", [None, seen(uid="2")])
def test_status_of_an_object_that_is_gone_is_not_written(there: dict[str, Any] | None) -> None:
    for refusal in (404, 409):
        server = Server([refusal], there)
        assert write(server) is None
        assert server.patched == []


def test_conflict_without_end_and_any_other_refusal_are_handed_back() -> None:
    for refusals in ([409] * CONFLICTS, [422]):
        with pytest.raises(Denial) as caught:
            write(Server(refusals))
        assert caught.value.status in (409, 422)
