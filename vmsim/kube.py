"""What is asked of a Kubernetes API server?

`Kube` is the port; `backends.kube_api` is its one adapter. Objects are plain JSON values. A
refusal is a `Denial` with the server's own words; a server that cannot be reached is
`Unreachable`, after the adapter's own attempts.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Denial(Exception):
    """The server refused: its HTTP status, its reason in one word, and its message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(status, reason, message)
        self.status = status
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message or f"HTTP status {self.status}"


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to objects of one kind: ADDED, MODIFIED or DELETED with one object, LISTED
    with all that there are, or BROKEN: nothing can be learned for a while, and why."""

    type: str
    objects: tuple[dict[str, Any], ...]
    told: str = ""


class Kube(Protocol):
    """One API server, usable from several threads."""

    def get(self, path: str) -> dict[str, Any]:
        """The object at the path."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is an object at the path."""
        ...

    def items(self, path: str) -> list[dict[str, Any]]:
        """All objects at the path."""
        ...

    def listed(self, path: str) -> tuple[list[dict[str, Any]], str]:
        """All objects at the path, and the version they are of."""
        ...

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make the object."""
        ...

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge `body` into the object at the path."""
        ...

    def apply(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make the object, or make it what `body` says."""
        ...

    def delete(self, path: str) -> None:
        """Ask for the object's deletion; one that is not there is no error."""
        ...

    def watched(self, path: str, stopped: threading.Event) -> Iterator[Change]:
        """What is there, then what changes, until `stopped`; breaks are bridged."""
        ...
