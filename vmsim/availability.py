"""Which VMs that lost their host does vSphere HA power on next, and where?

Each cluster has a primary host; when it fails, another is elected, and nobody restarts anything
until that has taken over. A VM that is to be restarted waits for its time, for room (then it burns
no attempt: room that comes free, a host that joins or leaves maintenance, another failure or a
failed restart wake it), or for its turn on the host that would take it: so many power-ons at once,
and after the VMs of higher priority there. A power-on that fails is tried again after a pause,
until the attempts are used up: then the VM stays off, and is the VM role's to power on.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import simpy

from vmsim.actions import Cause, Verb
from vmsim.fleet import Fleet, Guest
from vmsim.ha import (
    RANK,
    FailureKind,
    Ready,
    Settings,
    Tier,
    Timeline,
    elect,
    timeline,
)
from vmsim.inventory import Inventory
from vmsim.objects import HostState, PowerState
from vmsim.placement import FILTERS, Requirement
from vmsim.timer import call_later

TALKING: Final = (HostState.UP, HostState.ENTERING_MAINTENANCE, HostState.STORAGE_LOST)
"""Hosts of which HA hears, and which may be primary."""
NEVER: Final = float("inf")


@dataclass(slots=True, eq=False)
class _Restart:
    """A VM to be restarted. `due_s`: not before; `row` and `runs`: of the attempt under way;
    `since_s`: of the first attempt; `pending`: no host fits, so it waits for a wake-up."""

    guest: Guest
    rank: int
    due_s: float
    attempts: int = 0
    row: int = -1
    runs: bool = False
    since_s: float = NEVER
    pending: bool = False


class Availability:
    """vSphere HA: primaries, and the restart of VMs; `class_of` tells the class of a VM by its
    key, and `on_start` is told of each VM whose power-on begins; `waiting` are the VMs that wait
    for their restart."""

    def __init__(self, env: simpy.Environment, fleet: Fleet, settings: Settings) -> None:
        self._env = env
        self._fleet = fleet
        self._settings = settings
        self._policy = settings.restart
        self._restarts: dict[str, _Restart] = {}
        self.waiting: Collection[str] = self._restarts
        self._begun: dict[int, dict[str, _Restart]] = {}
        self._restart_at: dict[int, float] = {}
        self._held_until: dict[str, float] = {}
        self._looking = False
        self.class_of: Callable[[str], str] = _no_class
        self.on_start: Callable[[str], None] = _no_one
        self._primaries: dict[str, str] = {
            cluster: elect(self._talking(cluster), settings.primaries)
            for cluster in dict.fromkeys(host.cluster for host in fleet.inventory.hosts)
        }
        fleet.subscribe(self._changed)

    def use_room(self) -> None:
        """Room came free, or a host: look for one for every VM that found none."""
        self._wake()
        self._look()

    def primary(self, cluster: str) -> str:
        """The primary host of the cluster, or '' when none is connected."""
        return self._primaries.get(cluster, "")

    def failure(self, row: int, kind: FailureKind) -> Timeline:
        """What HA will do about the failure that begins now, while the host is still there."""
        host = self._fleet.inventory.hosts[row]
        led = self.primary(host.cluster) == host.name
        found = timeline(kind, self._settings, primary=led)
        begin_s = NEVER if found.restarts_s is None else self._env.now + found.restarts_s
        self._restart_at[row] = begin_s
        if led and kind in (FailureKind.CRASH, FailureKind.ISOLATION):
            self._succeed(host.cluster, host.name)
        self._wake()
        self._look_soon()
        return found

    def host_changed(self, row: int) -> None:
        """The host joined, left or came back: hand the primary over if it has to be."""
        host = self._fleet.inventory.hosts[row]
        if self._fleet.inventory.states[row] is HostState.UP:
            self._restart_at.pop(row, None)
        now = self.primary(host.cluster)
        if self._talks(now, host.cluster):
            return
        talking = self._talking(host.cluster)
        self._primaries[host.cluster] = elect(talking)
        if not now and talking:
            self._hold(host.cluster)

    def restart(self, row: int, lost: Iterable[Guest]) -> None:
        """Restart what lost its power with this host, when its time has come."""
        due_s = self._restart_at.get(row, NEVER)
        if due_s == NEVER:
            return
        for guest in lost:
            tier = self._policy.tier(guest.key, self.class_of(guest.key))
            if guest.lost_power and tier is not Tier.DISABLED:
                self._restarts[guest.key] = _Restart(guest, RANK[tier], due_s)
        self._look_at(due_s)

    def _succeed(self, cluster: str, lost: str) -> None:
        """Elect another primary; it counts the attempts of every VM anew."""
        heirs = [name for name in self._talking(cluster) if name != lost]
        heir = self._primaries[cluster] = elect(heirs)
        if not heir or not self._settings.enabled:
            return
        self._hold(cluster)
        for restart in self._of(cluster):
            restart.attempts = int(restart.runs)
            restart.due_s = min(restart.due_s, self._held_until[cluster])
        call_later(
            self._env, self._settings.detection.election_s, lambda _: self._elected(cluster, heir)
        )

    def _elected(self, cluster: str, heir: str) -> None:
        if self.primary(cluster) == heir:
            self._fleet.trace.write("host", "PrimaryElected", heir, {"cluster": cluster})

    def _hold(self, cluster: str) -> None:
        """Nobody restarts anything in the cluster until its new primary has taken over."""
        self._held_until[cluster] = self._env.now + self._settings.detection.primary_s
        self._look_at(self._held_until[cluster])

    def _talks(self, name: str, cluster: str) -> bool:
        """Whether `_talking` would name this host, without asking all the others."""
        inventory = self._fleet.inventory
        row = inventory.row_of.get(name, -1)
        same = row >= 0 and inventory.hosts[row].cluster == cluster
        return same and inventory.states[row] in TALKING

    def _talking(self, cluster: str) -> list[str]:
        inventory = self._fleet.inventory
        rows = inventory.row_of.items()
        states = inventory.states
        return [
            name
            for name, row in rows
            if states[row] in TALKING and inventory.hosts[row].cluster == cluster
        ]

    def _of(self, cluster: str) -> Iterator[_Restart]:
        for restart in self._restarts.values():
            if restart.guest.requirement.cluster == cluster:
                yield restart

    def _look_at(self, second: float) -> None:
        """Look at what is to be restarted at that second."""
        call_later(self._env, max(0.0, second - self._env.now), lambda _: self._look())

    def _wake(self) -> None:
        for restart in self._restarts.values():
            restart.pending = False

    def _look_soon(self) -> None:
        """Look once at the end of this instant, however many power-ons end in it."""
        if self._restarts and not self._looking:
            self._looking = True
            self._look_at(self._env.now)

    def _look(self) -> None:
        """Start every restart that can start now, by priority, then in the order of the loss."""
        self._looking = False
        now_s = self._env.now + 1e-9  # a sum of floats may be past its second by a hair
        stuck: set[Requirement] = set()
        for restart in sorted(self._restarts.values(), key=lambda each: each.rank):
            if not self._is_wanted(restart):
                self._restarts.pop(restart.guest.key, None)
            elif self._is_due(restart, now_s) and restart.guest.requirement not in stuck:
                if self._start(restart):
                    stuck.clear()
                elif not restart.pending:
                    stuck.add(restart.guest.requirement)

    def _is_wanted(self, restart: _Restart) -> bool:
        guest = restart.guest
        known = self._fleet.guests.get(guest.key) is guest
        return known and guest.lost_power and self._restarts.get(guest.key) is restart

    def _is_due(self, restart: _Restart, now_s: float) -> bool:
        held_s = self._held_until.get(restart.guest.requirement.cluster, 0.0)
        free = restart.guest.busy is None and not restart.pending
        return free and max(restart.due_s, held_s) <= now_s

    def _start(self, restart: _Restart) -> bool:
        """Power the VM on if a host fits and it is its turn there."""
        guest = restart.guest
        row = self._place(guest)
        if row < 0:
            restart.pending = True
            self._fleet.refuse(guest, Verb.POWER_ON, guest.requirement)
            return False
        if not self._is_its_turn(restart, row):
            return False
        restart.row, restart.runs = row, True
        restart.attempts += 1
        restart.since_s = min(restart.since_s, self._env.now)
        self._begun.setdefault(row, {})[guest.key] = restart
        self.on_start(guest.key)
        self._fleet.start(guest, Verb.POWER_ON, row, Cause.RESTART)
        return True

    def _place(self, guest: Guest) -> int:
        """The row of the first dedicated failover host that fits, else the best of all."""
        inventory = self._fleet.inventory
        for name in self._settings.control.failover_hosts:
            row = inventory.row_of.get(name, -1)
            up = row >= 0 and inventory.states[row] is HostState.UP
            if up and _runs_on(guest.requirement, inventory, row):
                return row
        return self._fleet.place(guest.requirement)

    def _is_its_turn(self, restart: _Restart, row: int) -> bool:
        begun = self._begun.get(row)
        if not begun:
            return True
        for key in [key for key, other in begun.items() if self._is_over(other)]:
            del begun[key]
        if sum(other.runs for other in begun.values()) >= self._policy.per_host:
            return False
        return not any(other.rank < restart.rank for other in begun.values())

    def _is_over(self, restart: _Restart) -> bool:
        """Whether VMs of lower priority need not wait for this one any more."""
        guest, ready = restart.guest, self._policy.ready
        if restart.runs:
            return False
        if ready is Ready.NONE or self._fleet.guests.get(guest.key) is not guest:
            return True
        late = self._env.now + 1e-9 >= restart.since_s + self._policy.ready_timeout_s
        up = guest.power is PowerState.ON and (ready is Ready.POWERED_ON or bool(guest.ip))
        return up or late

    def _changed(self, key: str, requested: bool) -> None:
        if not self._restarts:
            return
        restart = self._restarts.get(key)
        if restart is not None and restart.runs and restart.guest.busy is None:
            self._ended(restart)
        self._look_soon()

    def _ended(self, restart: _Restart) -> None:
        """A power-on is over: done, to be tried again, or given up."""
        guest = restart.guest
        restart.runs = False
        if self._policy.ready is Ready.NONE:
            self._begun[restart.row].pop(guest.key, None)
        else:
            self._look_at(restart.since_s + self._policy.ready_timeout_s)
        if guest.power is PowerState.ON:
            del self._restarts[guest.key]
            return
        self._wake()
        lost_again_s = self._restart_at.get(restart.row)
        gap_s = self._policy.gap_s(restart.attempts)
        if lost_again_s is not None:
            restart.due_s = lost_again_s  # its new host failed as well: that is another failover
            restart.attempts = 0
        elif gap_s is not None:
            restart.due_s = self._env.now + gap_s
        else:
            self._give_up(restart)
            return
        if restart.due_s != NEVER:
            self._look_at(restart.due_s)

    def _give_up(self, restart: _Restart) -> None:
        """The VM stays off; from here on it can be powered on like any other VM that is off."""
        guest = restart.guest
        del self._restarts[guest.key]
        guest.lost_power = False
        guest.connected = True
        data = {"host": self._fleet.inventory.hosts[restart.row].name, "attempts": restart.attempts}
        self._fleet.trace.write("cluster", "VmFailoverFailed", guest.key, data)
        self._fleet.notify(guest, requested=False)


def _runs_on(requirement: Requirement, inventory: Inventory, row: int) -> bool:
    """Whether the host could run the VM, were it open for new work."""
    return all(
        filter_.test(requirement, inventory)(row)
        for filter_ in FILTERS
        if filter_.name != "Schedulable" and filter_.applies(requirement)
    )


def _no_class(key: str) -> str:
    return ""


def _no_one(key: str) -> None:
    return None
