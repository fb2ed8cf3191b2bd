"""What does a scenario say about resource pools?"""

from collections.abc import Iterator, Sequence

from pydantic import Field, model_validator

from vmsim.objects import HostSpec
from vmsim.pools import CPU_MHZ, MEMORY_MIB, ROOT, Allocation, Pool, broken
from vmsim.schema import MemoryMib, Strict


class ResourcePool(Strict):
    """A resource pool, which each cluster has; of the pools that name a VM the last one has it."""

    name: str = Field(min_length=1)
    parent: str = ""
    """Another pool, which comes before it in the file; by default the cluster's root."""
    namespaces: list[str] = []
    """Every VM of these namespaces."""
    vms: list[str] = []
    """`namespace/name` of VMs, or globs."""
    cpu_reservation: int = Field(default=0, ge=0)
    """Guaranteed MHz."""
    cpu_limit: int | None = Field(default=None, ge=0)
    """Reserved MHz at most."""
    cpu_shares: int = Field(default=4000, ge=1)
    """4000 is vSphere's "normal" for a pool, 8000 "high", 2000 "low"."""
    cpu_expandable: bool = True
    """Whether it may borrow from its parent what its reservation lacks."""
    memory_reservation: MemoryMib = 0
    """Guaranteed memory, as in `64Gi`."""
    memory_limit: MemoryMib | None = None
    """Reserved memory at most."""
    memory_shares: int = Field(default=163_840, ge=1)
    """163840 is vSphere's "normal" for a pool."""
    memory_expandable: bool = True
    """As for CPU."""

    @model_validator(mode="after")
    def _consistent(self) -> "ResourcePool":
        for name in ("cpu", "memory"):
            limit = getattr(self, f"{name}_limit")
            if limit is not None and limit < getattr(self, f"{name}_reservation"):
                raise ValueError(f"the {name} limit is below the reservation; it would be useless")
        return self

    def pool(self) -> Pool:
        """The pool as the cluster role knows it."""
        cpu = Allocation(self.cpu_reservation, self.cpu_limit, self.cpu_shares, self.cpu_expandable)
        memory = Allocation(
            self.memory_reservation, self.memory_limit, self.memory_shares, self.memory_expandable
        )
        groups = (tuple(self.namespaces), tuple(self.vms))
        return Pool(self.name, self.parent, cpu, memory, *groups)


def problems(
    pools: Sequence[ResourcePool], hosts: Sequence[HostSpec]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where pools promise more than there is, or hang in the air, and what is wrong."""
    known = {ROOT}
    for index, pool in enumerate(pools):
        if pool.parent not in known:
            yield (index, "parent"), f"there is no pool {pool.parent} before it"
            return
        if pool.name in known:
            yield (index, "name"), f"pool {pool.name} is there twice"
            return
        known.add(pool.name)
    yield from _beyond([pool.pool() for pool in pools], hosts)


def _beyond(
    pools: Sequence[Pool], hosts: Sequence[HostSpec]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    names = [pool.name for pool in pools]
    for cluster in dict.fromkeys(host.cluster for host in hosts):
        mine = [host for host in hosts if host.cluster == cluster]
        there = {
            CPU_MHZ: sum(host.cpu_cores * host.cpu_mhz for host in mine),
            MEMORY_MIB: sum(host.memory_mib for host in mine),
        }
        for resource, word in ((CPU_MHZ, "MHz"), (MEMORY_MIB, "MiB")):
            for name in broken(pools, resource, {}, there[resource]):
                whose = f"pool {name} has" if name else f"cluster {cluster} has ({there[resource]}"
                rest = "" if name else f" {word})"
                where: tuple[str | int, ...] = (names.index(name),) if name else ()
                yield where, f"its pools reserve more {word} than {whose}{rest}"
