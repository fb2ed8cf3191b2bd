"""A vSphere cluster as its users meet it: asked to create or power on a VM, it chooses the host.

`Cluster` is the `Hypervisor` of every mode in which the cluster role is ours. A request either
starts a task or leaves a fault on the VM; nothing is queued here, because the VM role asks again.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import lru_cache

from vmsim import affinity
from vmsim.actions import (
    CREATE,
    DESTROY,
    POWER_OFF,
    POWER_ON,
    RESIZE,
    RESTART,
    SUSPEND,
    USER,
    Fault,
    PowerOffMode,
    Verb,
)
from vmsim.drs import NO_DRS, Drs
from vmsim.durations import Durations
from vmsim.evacuation import (
    HOST_IN_MAINTENANCE,
    OWN_HOST_REQUIRED,
    Eviction,
    hindrance,
    restart_host,
)
from vmsim.fleet import Fleet, Guest, datastore_on
from vmsim.ha import HA_DEFAULTS, Settings
from vmsim.objects import OFF, UP
from vmsim.placement import Requirement
from vmsim.requirement import belonging
from vmsim.vmotion import DEFAULT_VMOTION, VMotion


@dataclass(frozen=True, slots=True)
class ClusterPolicy:
    """How our cluster role behaves; every field is a parameter of the scenario."""

    eviction: Eviction = Eviction.POWER_OFF
    vgpu_hot_migrate: bool = False
    ha: Settings = HA_DEFAULTS
    vmotion: VMotion = DEFAULT_VMOTION
    drs: Drs = NO_DRS
    evacuation_retry_s: float = Durations().evacuation_retry_s

    def hindrance(self, key: str, requirement: Requirement) -> str:
        """Why VM `key` cannot be migrated live, whatever the hosts are like, or ''."""
        traits = self.vmotion.traits(key, requirement.class_name)
        stun_s = self.vmotion.stun_s(traits, requirement.devices, requirement.memory_mib)
        hot = self.vgpu_hot_migrate
        return hindrance(requirement.devices, traits, self.vmotion, stun_s, hot=hot)


class Cluster:
    """See `vmsim.ports.Hypervisor` for what each method promises; `waiting` are the kinds of VM
    of which some were refused, and may be asked for again."""

    def __init__(self, fleet: Fleet, policy: ClusterPolicy) -> None:
        self.fleet = fleet
        self.observe = fleet.observe
        self.subscribe = fleet.subscribe
        self.wake: Callable[[str], None] = _nobody
        self.admits: Callable[[Guest], Fault | None] = _anyone
        self.sized: Callable[[Requirement], Requirement] = _as_it_is
        self._policy = policy
        policy.drs.declare(fleet.inventory)
        self._refused: dict[Requirement, dict[str, None]] = {}
        self.waiting: Collection[Requirement] = self._refused

    def acknowledge(self, key: str) -> None:
        """Forget the VM's fault."""
        self.fleet.guests[key].fault = None

    def tag(self, key: str, policies: tuple[str, ...]) -> None:
        """Put the VM under these policies; a host that waits for it looks again."""
        guest = self.fleet.guests[key]
        if guest.requirement.policies != policies:
            self.fleet.enrol(key, replace(guest.requirement, policies=policies))
            self.fleet.on_settled(guest.row)

    def forget(self, key: str) -> None:
        """Forget a VM that was asked for, but never made."""
        guest = self.fleet.guests.get(key)
        if guest is not None and not guest.exists:
            self._waits_no_more(key, guest.requirement)
            del self.fleet.guests[key]

    def create(self, key: str, requirement: Requirement, power_on: bool) -> None:
        """Make the VM on the best host, claiming its room when it is to be powered on.

        When no host has room and there is one candidate cluster, the VM is made all the same
        (nobody is asked before a creation there, Z-10) and its power-on will fail. With several
        candidates the placement itself fails and there is no VM (Q-09).
        """
        fleet = self.fleet
        requirement = self._policy.drs.bind(key, self.sized(requirement))
        row = fleet.place(requirement if power_on else idle(requirement))
        has_room = row >= 0
        if not has_room and self._candidate_clusters(requirement) == 1:
            row = fleet.place(idle(requirement))
        if row < 0:
            guest = fleet.enrol(key, requirement)
            guest.fault = self._refuse(guest, CREATE, requirement)
            return
        self._waits_no_more(key, requirement)
        guest = fleet.enrol(key, self._settled(requirement, row))
        guest.stores = requirement.datastores
        if power_on and has_room:
            fleet.reserve(guest, row)
        fleet.start(guest, CREATE, row, USER)

    def power_on(self, key: str) -> None:
        """Power the VM on where its room is reserved, else on the best host of its cluster."""
        fleet = self.fleet
        guest = fleet.guests[key]
        if self._is_kept_off(guest):
            return
        if guest.reserved:
            if fleet.inventory.states[guest.row] is UP:
                fleet.start(guest, POWER_ON, guest.row, USER)
                return
            fleet.unreserve(guest)
        requirement = self._startable(guest)
        row = fleet.place(requirement)
        if row < 0:
            fault = self._refuse(guest, POWER_ON, requirement)
            guest.fault = self._with_keys(guest, requirement, fault)
            return
        self._waits_no_more(key, requirement)
        fleet.start(guest, POWER_ON, row, USER)

    def power_off(self, key: str, mode: PowerOffMode = PowerOffMode.TRY_SOFT) -> None:
        """Power the VM off; for a VM that is off, give up the room reserved for it."""
        guest = self.fleet.guests[key]
        if guest.power is OFF:
            self.fleet.unreserve(guest)
        else:
            guest.off_mode = mode
            self.fleet.start(guest, POWER_OFF, -1, USER)

    def restart(self, key: str, mode: PowerOffMode, asked: str) -> None:
        """Restart the VM on its host."""
        guest = self.fleet.guests[key]
        guest.off_mode, guest.restart_asked = mode, asked
        self.fleet.start(guest, RESTART, -1, USER)

    def suspend(self, key: str) -> None:
        """Suspend the VM."""
        self.fleet.start(self.fleet.guests[key], SUSPEND, -1, USER)

    def resize(self, key: str, requirement: Requirement) -> None:
        """Give the VM other hardware; room is claimed for it at the next power-on."""
        guest = self.fleet.guests[key]
        self._waits_no_more(key, self._startable(guest))
        self.fleet.unreserve(guest)
        now = guest.requirement
        wanted = self._policy.drs.bind(key, self.sized(requirement))
        guest.resized = belonging(wanted, now.cluster, next(iter(now.datastores), ""))
        self.fleet.start(guest, RESIZE, -1, USER)

    def destroy(self, key: str) -> None:
        """Delete the VM."""
        self.fleet.start(self.fleet.guests[key], DESTROY, -1, USER)

    def use_room(self) -> None:
        """Room came free: wake the longest waiting VM of each kind that fits now.

        When it takes the room, and some is left, the next one of its kind is woken.
        """
        for requirement, keys in list(self._refused.items()):
            key = next(iter(keys))
            if self.fleet.place(requirement) >= 0 and not self._admission_fault(key):
                self._waits_no_more(key, requirement)
                self.wake(key)
                if keys:
                    self.fleet.on_room()

    def _is_kept_off(self, guest: Guest) -> bool:
        """Whether HA's admission control refuses the power-on; then its fault is on the VM."""
        fault = self.admits(guest)
        if fault is None:
            return False
        if guest.reserved:
            self.fleet.unreserve(guest)
        guest.fault = fault
        self._refused.setdefault(self._startable(guest), {})[guest.key] = None
        self.fleet.note_refusal(guest, POWER_ON, fault, {})
        return True

    def _admission_fault(self, key: str) -> Fault | None:
        guest = self.fleet.guests.get(key)
        return self.admits(guest) if guest is not None and guest.exists else None

    def _refuse(self, guest: Guest, verb: Verb, requirement: Requirement) -> Fault:
        self._refused.setdefault(requirement, {})[guest.key] = None
        return self.fleet.refuse(guest, verb, requirement)

    def _waits_no_more(self, key: str, requirement: Requirement) -> None:
        keys = self._refused.get(requirement) if self._refused else None
        if keys is not None:
            keys.pop(key, None)
            if not keys:
                del self._refused[requirement]

    def _startable(self, guest: Guest) -> Requirement:
        """What the VM asks of a host for a power-on: after an eviction maybe its own host."""
        requirement = guest.requirement
        if not guest.evicted_from:
            return requirement
        own = restart_host(guest.evicted_from, self._policy.eviction, requirement.policies)
        return replace(requirement, only_host=own) if own else requirement

    def _with_keys(self, guest: Guest, requirement: Requirement, fault: Fault) -> Fault:
        """Add vSphere's message keys to the refusal of a VM that maintenance powered off."""
        if not guest.evicted_from or self._policy.eviction is not Eviction.POLICY:
            return fault
        keys = [HOST_IN_MAINTENANCE]
        if requirement.only_host:
            keys.append(OWN_HOST_REQUIRED)
        return replace(fault, keys=tuple(keys))

    def _candidate_clusters(self, requirement: Requirement) -> int:
        zones = requirement.zones
        hosts = self.fleet.inventory.hosts
        return len({host.cluster for host in hosts if not zones or host.zone in zones})

    def _settled(self, requirement: Requirement, row: int) -> Requirement:
        """The requirement of a VM that now belongs to a cluster and lies on a datastore."""
        host = self.fleet.inventory.hosts[row]
        return belonging(requirement, host.cluster, datastore_on(host, requirement))


def _nobody(key: str) -> None:
    return None


def _anyone(guest: Guest) -> Fault | None:
    return None


def _as_it_is(requirement: Requirement) -> Requirement:
    return requirement


@lru_cache(maxsize=1024)
def idle(requirement: Requirement) -> Requirement:
    """The requirement of a VM that lies on a host without running: no room, no device, and no
    regard for other VMs."""
    return replace(
        requirement,
        cpus=0,
        memory_mib=0,
        cpu_reservation_mhz=0,
        memory_reservation_mib=0,
        devices=(),
        rules=affinity.idle(requirement.rules),
    )
