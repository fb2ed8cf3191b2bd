"""Where a run can take place: in memory, on a vcsim process, on a vCenter.

`opened(name, hosts)` is the one way in; each backend is one row of BACKENDS and one module, which
is imported only when it is asked for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType

from vmsim.objects import HostSpec
from vmsim.ports import Backend


@contextmanager
def memory(hosts: Sequence[HostSpec]) -> Iterator[Backend]:
    """A cluster that exists in memory only, on virtual time."""
    from backends.memory import MemoryPlant

    yield Backend(
        "memory",
        {},
        lambda needs: MemoryPlant(needs.env, needs.durations, needs.slots, needs.faults),
        lambda believed: [],
    )


BACKENDS: Mapping[str, Callable[[Sequence[HostSpec]], AbstractContextManager[Backend]]] = (
    MappingProxyType({"memory": memory})
)


def opened(name: str, hosts: Sequence[HostSpec]) -> AbstractContextManager[Backend]:
    """The backend `name`, holding the scenario's hosts, until the context ends.

    `hosts` are all hosts that the scenario ever has. Raises `Unreachable`.
    """
    return BACKENDS[name](hosts)
