"""The values that a run makes by the hundred thousand: records and conditions.

They are msgspec's, which makes and encodes them faster than a dataclass. They have a module of
their own because mypyc, which compiles the modules around it, leaves out what a class statement
says beside the bases (`frozen`, `gc`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec


class Condition(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A Kubernetes condition, without the time of its last change."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class Conditions(dict[str, Condition]):
    """What is said of a VM, by the type of condition; VMs of which the same is said share it.

    It is never changed, only replaced, so it can be known by its identity.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]


EMPTY: Mapping[str, Any] = MappingProxyType({})
UNSAID = Conditions()


class Record(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened to `object` at second `t`, as `source` saw it."""

    t: float
    n: int
    source: str
    kind: str
    object: str
    data: dict[str, Any]


class Head(msgspec.Struct):
    """The first line of a trace."""

    header: dict[str, Any]
