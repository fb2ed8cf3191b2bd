"""Would this power-on, or this maintenance, use up what is kept free for failovers?

vCenter asks before a VM is powered on, and before a host is emptied; restarts by HA pass. What
counts is reserved, not used: by VMs that run, are being powered on, or lost their host and are not
back yet (vCenter takes these for running). A host counts while it is in its cluster and not in
maintenance, so one that failed counts until it is removed; one that is being emptied does not.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from math import ceil

from vmsim.actions import Fault, Verb
from vmsim.fleet import Fleet, Guest
from vmsim.ha import Amount, ControlPolicy, Judge, Load, Settings, judge, memory_overhead_mib
from vmsim.objects import HostState, PowerState
from vmsim.placement import Requirement

FAULT = "InsufficientFailoverResourcesFault"
OUT = (HostState.MAINTENANCE, HostState.REMOVED)


@lru_cache(maxsize=1024)
def with_overhead(requirement: Requirement) -> Requirement:
    """The requirement with the memory overhead of the VM on top of its memory reservation."""
    overhead = ceil(memory_overhead_mib(requirement.cpus, requirement.memory_mib))
    reserved = requirement.memory_reservation_mib + overhead
    return replace(requirement, memory_reservation_mib=reserved)


class AdmissionControl:
    """Counts what VMs reserve, by cluster; `is_leaving` tells of a host that it is emptied."""

    def __init__(self, fleet: Fleet, settings: Settings, is_leaving: Callable[[int], bool]) -> None:
        self._fleet = fleet
        self._settings = settings
        self._is_leaving = is_leaving
        self._counted: dict[str, tuple[str, Amount]] = {}
        self._load: defaultdict[str, Counter[Amount]] = defaultdict(Counter)
        self._changed: dict[str, None] = {}
        self._capacity: list[Amount] = []
        self._judges: dict[str, Judge] = {}
        self._states: list[HostState] = []
        self._works = settings.control.policy in (ControlPolicy.SLOTS, ControlPolicy.PERCENTAGE)
        if self._works:
            fleet.subscribe(self._see)

    def sized(self, requirement: Requirement) -> Requirement:
        """What such a VM takes on a host, its memory overhead included if that counts."""
        return with_overhead(requirement) if self._settings.memory_overhead else requirement

    def note(self, key: str) -> None:
        """The VM is about to run, without having been asked for: it counts from here on."""
        if self._works:
            self._changed[key] = None

    def _see(self, key: str, requested: bool) -> None:
        self._changed[key] = None

    def refusal(self, guest: Guest) -> Fault | None:
        """Why the VM may not be powered on now, or None."""
        if not self._works:
            return None
        cluster, amount = guest.requirement.cluster, reserved(guest.requirement)
        load = list(self._current(cluster).items())
        if guest.key not in self._counted:
            load.append((amount, 1))
        fault = _fault(self._judge(cluster), load)
        if fault is None:
            self._changed[guest.key] = None  # its power-on starts now, so it counts from here on
        return fault

    def evacuation_refusal(self, row: int) -> Fault | None:
        """Why the host may not be emptied now, or None."""
        if not self._works:
            return None
        cluster = self._fleet.inventory.hosts[row].cluster
        hosts = list(self._hosts(cluster, without=row))
        return _fault(judge(self._settings.control, hosts), self._current(cluster).items())

    def _judge(self, cluster: str) -> Judge:
        """Judges loads on the hosts of the cluster; kept while no host changes or is emptied."""
        states = self._fleet.inventory.states
        if self._fleet.draining or states != self._states:
            self._judges.clear()
            self._states = states.copy()
        if cluster not in self._judges:
            hosts = list(self._hosts(cluster, without=-1))
            self._judges[cluster] = judge(self._settings.control, hosts)
        return self._judges[cluster]

    def _hosts(self, cluster: str, without: int) -> Iterator[Amount]:
        inventory, capacity = self._fleet.inventory, self._capacity
        for host in inventory.hosts[len(capacity) :]:
            capacity.append(Amount(host.cpu_cores * host.cpu_mhz, host.memory_mib))
        for row, host in enumerate(inventory.hosts):
            there = inventory.states[row] not in OUT and row != without
            if there and host.cluster == cluster and not self._is_leaving(row):
                yield capacity[row]

    def _current(self, cluster: str) -> Counter[Amount]:
        """What the VMs of the cluster reserve now."""
        for key in self._changed:
            self._count(key)
        self._changed.clear()
        return self._load[cluster]

    def _count(self, key: str) -> None:
        before = self._counted.pop(key, None)
        if before is not None:
            cluster, amount = before
            self._load[cluster][amount] -= 1
        guest = self._fleet.guests.get(key)
        if guest is not None and counts(guest):
            cluster, amount = guest.requirement.cluster, reserved(guest.requirement)
            self._counted[key] = (cluster, amount)
            self._load[cluster][amount] += 1


def _fault(judged: Judge, load: Load) -> Fault | None:
    short = judged(load)
    return Fault(FAULT, short) if short else None


def counts(guest: Guest) -> bool:
    """Whether what the VM reserves counts."""
    return guest.power is PowerState.ON or guest.busy is Verb.POWER_ON or guest.lost_power


def reserved(requirement: Requirement) -> Amount:
    """What admission control counts of such a VM."""
    return Amount(requirement.cpu_reservation_mhz, requirement.memory_reservation_mib)
