"""What does a VM ask of a host?

A `Requirement` is all that a placement may know of a VM. VMs that ask for the same are placed
alike, so it holds nothing that tells one from another.
"""

from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from vmsim import affinity
from vmsim.affinity import Rule
from vmsim.inventory import (
    CPU,
    CPU_RESERVATION,
    MEMORY,
    MEMORY_RESERVATION,
    Inventory,
    Needs,
)
from vmsim.objects import BIOS, Hardware

LIFETIME_CLASSES: Final = 4
LIFETIME_BELOW_S: Final = (
    3_600,
    36_000,
    360_000,
)  # upper ends of all classes but the last (LAVA, 2024)


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a VM asks of a host.

    `devices` are pairs (device name, units). `datastores` are the acceptable ones ((): any).
    `zones` and `cluster` limit the candidates ('' or (): any). `only_host` names the one host
    that may run it, or ''. A generation or hardware version of 0 asks for nothing. `policies`
    are the compute policies of the VM; no filter reads them, the cluster role does. `rules` are
    the rules of which the VM is a member. `lifetime_s` is how long it is expected to be there
    (0: not known). `pool` is the resource pool that must admit it ('': the root), or None.
    Limits (None: unlimited) and `firmware` matter to the hypervisor only.
    """

    cpus: int
    memory_mib: int
    cpu_reservation_mhz: int = 0
    memory_reservation_mib: int = 0
    devices: tuple[tuple[str, int], ...] = ()
    zones: tuple[str, ...] = ()
    cluster: str = ""
    datastores: tuple[str, ...] = ()
    cpu_limit_mhz: int | None = None
    memory_limit_mib: int | None = None
    firmware: str = BIOS
    min_hardware_version: int = 0
    min_cpu_generation: int = 0
    only_host: str = ""
    policies: tuple[str, ...] = ()
    class_name: str = ""
    live: bool = False
    rules: tuple[Rule, ...] = ()
    lifetime_s: float = 0.0
    pool: str | None = None
    _hash: int = field(default=0, init=False, repr=False, compare=False)

    def __hash__(self) -> int:
        """The same for equal values; found once, because placements look up by requirement."""
        known = self._hash
        if not known:
            known = hash(_fields(self)) or 1
            object.__setattr__(self, "_hash", known)
        return known

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without the hash: another process has other hashes of strings."""
        return Requirement, _fields(self)

    @property
    def lifetime_class(self) -> int:
        """1 for the shortest lifetimes to LIFETIME_CLASSES for the longest and unknown ones."""
        if not self.lifetime_s:
            return LIFETIME_CLASSES
        return 1 + sum(1 for below_s in LIFETIME_BELOW_S if self.lifetime_s >= below_s)


_of_hardware = attrgetter(*(each.name for each in fields(Hardware)))
_fields = attrgetter(*(each.name for each in fields(Requirement) if each.init))


@lru_cache(maxsize=4096)
def hardware(requirement: Requirement) -> Hardware:
    """What a hypervisor gives such a VM."""
    return Hardware(*_of_hardware(requirement))


@lru_cache(maxsize=4096)
def live(requirement: Requirement, generation: int) -> Requirement:
    """What a VM that runs asks of the target of a live migration: the CPU it was started on."""
    newest = max(requirement.min_cpu_generation, generation)
    return replace(requirement, min_cpu_generation=newest, live=True, pool=None)


@lru_cache(maxsize=4096)
def belonging(requirement: Requirement, cluster: str, datastore: str) -> Requirement:
    """The requirement of a VM that belongs to a cluster and lies on a datastore ('': on none)."""
    kept = (datastore,) if datastore else ()
    return replace(requirement, cluster=cluster, zones=(), datastores=kept)


def needs(requirement: Requirement, inventory: Inventory) -> Needs:
    """What running such a VM takes from a host's room."""
    wanted = [
        (CPU, requirement.cpus),
        (MEMORY, requirement.memory_mib),
        (CPU_RESERVATION, requirement.cpu_reservation_mhz),
        (MEMORY_RESERVATION, requirement.memory_reservation_mib),
    ]
    named = [*requirement.devices, *affinity.memberships(requirement.rules)]
    if inventory.counts_lifetimes:
        named.append((f"lifetime/{requirement.lifetime_class}", 1))
    wanted += [(inventory.resource(name), units) for name, units in named]
    return tuple((resource, units) for resource, units in wanted if units > 0)
