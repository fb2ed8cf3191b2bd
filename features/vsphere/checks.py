"""What must a vSphere API do? One row per demand, with the function that judges it.

A check makes requests of a fresh `Lab` and raises `Departs`, with what it saw, when the answer is
not that of vSphere. `NotOffered` means that the API has no such method. Whatever the request is
answered with, nothing is concluded from silence.
"""

from collections.abc import Callable
from dataclasses import dataclass

from features.vsphere.lab import Lab


class Departs(Exception):
    """The API does something else than vSphere; the message is what was seen."""


class NotOffered(Exception):
    """The API does not have what is asked for."""


@dataclass(frozen=True, slots=True)
class Check:
    """A demand: `says` it in one sentence; `clauses` of the specification build on it."""

    id: str
    area: str
    says: str
    clauses: tuple[str, ...]
    judge: Callable[[Lab], None]


def need(holds: bool, saw: str) -> None:
    """The API departs, as was seen, unless this holds."""
    if not holds:
        raise Departs(saw)


def refused(fault: str, *names: str) -> None:
    """The request must have been refused, with one of these faults or another of its family."""
    if fault == "MethodNotFound":
        raise NotOffered("the method is not implemented")
    need(fault != "", "the request succeeds")
    need(fault != "?", "the task does not end")
    need(fault in names, f"refused with {fault}")


def granted(fault: str) -> None:
    """The request must have succeeded."""
    if fault == "MethodNotFound":
        raise NotOffered("the method is not implemented")
    need(fault != "?", "the task does not end")
    need(fault == "", f"refused with {fault}")
