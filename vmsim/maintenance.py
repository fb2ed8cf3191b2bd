"""How does a host get into maintenance, and out again?

A host that enters maintenance is closed, emptied one decision at a time, and enters when nothing
runs on it; on request, VMs that are off are registered on other hosts before. A VM that can
neither move nor be powered off holds it up, and so does admission control when the other hosts
could not bear a failure. Whenever room comes free, or a task of one of its VMs ends, the host is
looked at again.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from vmsim.actions import MIGRATE, Cause, Fault, Verb
from vmsim.cluster import ClusterPolicy, idle
from vmsim.evacuation import Disposition, Order, disposition, in_order, restart_host
from vmsim.fleet import Fleet, Guest
from vmsim.groups import are_elsewhere, binding, companions, place_together
from vmsim.hosts import HostStates, Refused
from vmsim.objects import HostState, PowerState
from vmsim.placement import Requirement, live
from vmsim.ports import HostCommand, Plant
from vmsim.vmotion import concurrent


@dataclass(slots=True)
class _Drain:
    """A host being emptied: how many of its VMs can migrate at once, what holds it up, by VM,
    which VMs only wait for their turn to migrate, the task that was begun for a VM, which VMs
    pause after one that failed, whether VMs that are off leave, too, whether it may be emptied,
    whether it is going in already, and whether it is due to be looked at in this instant."""

    at_once: int
    blockers: dict[str, str] = field(default_factory=dict)
    in_line: set[str] = field(default_factory=set)
    begun: dict[str, Verb] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    registers: bool = False
    admitted: bool = False
    entering: bool = False
    due: bool = False


class Maintenance:
    """The hosts that are on their way into maintenance mode, or out of it.

    `admits` says why a host may not be emptied now, if that is so; it is asked until it agrees.
    `offers_room` tells whether `use_room` is to be called in this instant anyway. `waiting` are the
    rows of the hosts that are being emptied.
    """

    def __init__(
        self, fleet: Fleet, plant: Plant, policy: ClusterPolicy, hosts: HostStates
    ) -> None:
        self._fleet = fleet
        self._plant = plant
        self._policy = policy
        self._hosts = hosts
        self._drains: dict[int, _Drain] = {}
        self.waiting: Collection[int] = self._drains
        self._exits: dict[int, object] = {}
        self._hindrances: dict[Requirement, str] = {}
        self.admits: Callable[[int], Fault | None] = _anything
        self.offers_room: Callable[[], bool] = _never
        fleet.on_settled = self._look_again
        fleet.draining = self._drains

    def use_room(self) -> None:
        """Some room came free: go on emptying hosts."""
        for row in list(self._drains):
            self._drain(row)

    def is_leaving(self, row: int) -> bool:
        """Whether the host is being emptied, with nothing against it."""
        drain = self._drains.get(row)
        return drain is not None and drain.admitted

    def drop(self, row: int) -> None:
        """Forget what the host was about to do: it is gone."""
        self._drains.pop(row, None)
        self._exits.pop(row, None)

    def enter(self, host: str, timeout_s: float = 0.0, powered_off: bool | None = None) -> None:
        """Empty the host, then put it into maintenance mode; give up after `timeout_s` (0: never).

        `powered_off`: VMs that are off leave it, too; None: as the policy of DRS says.
        Source: vm.md, "Working with VMs", paragraph 2; EnterMaintenanceMode_Task.
        """
        row = self._hosts.row(host, HostState.UP)
        self._hosts.set(row, HostState.ENTERING_MAINTENANCE, "EnteringMaintenanceMode")
        if powered_off is None:
            powered_off = self._policy.drs.evacuates_powered_off
        nic_mbps = self._fleet.inventory.hosts[row].nic_mbps
        at_once = concurrent(nic_mbps, self._policy.vmotion.limits)
        drain = self._drains[row] = _Drain(at_once, registers=powered_off)
        if timeout_s:
            self._hosts.later(timeout_s, lambda: self._give_up(row, drain))
        self._drain(row)

    def exit(self, host: str) -> None:
        """Open the host again; one that is still being emptied opens at once."""
        row = self._hosts.row(host, HostState.MAINTENANCE, HostState.ENTERING_MAINTENANCE)
        if row in self._drains and not self._drains[row].entering:
            del self._drains[row]
            self._hosts.open(row, "ExitMaintenanceMode")
        elif row in self._drains:
            raise Refused(Fault("InvalidState", f"host {host} is just entering maintenance mode"))
        elif row in self._exits:
            raise Refused(Fault("InvalidState", f"host {host} is just leaving maintenance mode"))
        else:
            leaving = self._exits[row] = object()
            command = HostCommand.EXIT_MAINTENANCE
            self._plant.command(host, command, lambda: self._left(row, leaving))

    def blockers(self, host: str) -> dict[str, str]:
        """Why the host cannot enter maintenance now: a reason by VM."""
        drain = self._drains.get(self._fleet.inventory.row_of.get(host, -1))
        return dict(drain.blockers) if drain else {}

    def _drain(self, row: int) -> None:
        """Take every step that the host's VMs allow now."""
        drain = self._drains.get(row)
        if drain is None or drain.entering:
            return
        blockers = self._held(row, drain)
        if blockers:
            self._note_blockers(row, drain, blockers)
            return
        self._note_ended(row, drain)
        there = self._in_order(row)
        free = drain.at_once - len([1 for guest in there if guest.busy is MIGRATE])
        in_line, paused = drain.in_line, drain.paused
        for guest in there:
            stays = guest.busy is not None or guest.row != row or guest.key in paused
            if stays or (free <= 0 and guest.key in in_line):
                continue
            blocker = self._leave(drain, guest, may_migrate=free > 0)
            begun = self._fleet.observe(guest.key).busy
            if blocker:
                blockers[guest.key] = blocker
            elif begun is None:
                in_line.add(guest.key)
            elif begun is MIGRATE:
                free -= 1
        self._note_blockers(row, drain, blockers)
        self._enter_when_empty(row, drain)

    def _in_order(self, row: int) -> list[Guest]:
        """The VMs of the host in the order in which they leave."""
        there = list(self._fleet.residents[row].values())
        order = self._policy.drs.evacuation_order
        if order is Order.DECLARED:
            return there
        sizes = [guest.requirement.memory_mib for guest in there]
        return [there[number] for number in in_order(sizes, order)]

    def _held(self, row: int, drain: _Drain) -> dict[str, str]:
        """Why none of the running VMs may leave yet; once they may, it is not asked again."""
        if drain.admitted:
            return {}
        running = [vm for vm in self._fleet.residents[row].values() if vm.power is PowerState.ON]
        fault = self.admits(row) if running else None
        drain.admitted = fault is None
        return {} if fault is None else {vm.key: str(fault) for vm in running}

    def _note_ended(self, row: int, drain: _Drain) -> None:
        """Let a VM pause whose task ended and left it here: whatever made the task fail is likely
        to be there still, and tasks that take no time would be tried for ever."""
        residents = self._fleet.residents[row]
        for key, verb in list(drain.begun.items()):
            guest = residents.get(key)
            if guest is not None and guest.busy is not None:
                continue
            del drain.begun[key]
            off = guest is not None and verb is Verb.POWER_OFF and guest.power is not PowerState.ON
            if guest is not None and not off:
                self._pause(row, drain, key)

    def _pause(self, row: int, drain: _Drain, key: str) -> None:
        drain.paused.add(key)
        pause_s = self._policy.evacuation_retry_s
        self._hosts.later(pause_s, lambda: self._try_again(row, drain, key))

    def _try_again(self, row: int, drain: _Drain, key: str) -> None:
        drain.paused.discard(key)
        if self._drains.get(row) is drain:
            self._drain(row)

    def _begin(self, drain: _Drain, guest: Guest, verb: Verb, row: int) -> None:
        drain.begun[guest.key] = verb
        self._fleet.start(guest, verb, row, Cause.EVACUATION)

    def _leave(self, drain: _Drain, guest: Guest, *, may_migrate: bool) -> str:
        """Start what gets the guest off its host; the answer is what prevents it, or ''."""
        if guest.reserved:
            self._fleet.unreserve(guest)
        step = self._disposition(drain, guest)
        if step is Disposition.POWER_OFF:
            guest.evicted_from = guest.host
            self._begin(drain, guest, Verb.POWER_OFF, -1)
        elif step is Disposition.BLOCK:
            return self._hindrance(guest)
        elif step is Disposition.REGISTER:
            self._register(drain, guest)
        elif step is Disposition.MIGRATE and may_migrate:
            return str(self._migrate(drain, guest) or "")
        return ""

    def _register(self, drain: _Drain, guest: Guest) -> None:
        """Start to register the guest, which is off, elsewhere; it stays if no host may have it.

        One that may start again only where it was evicted stays, too.
        """
        policies = guest.requirement.policies
        if restart_host(guest.evicted_from, self._policy.eviction, policies):
            return
        wanted = idle(guest.requirement)
        if guest.power is PowerState.SUSPENDED:
            newest = max(wanted.min_cpu_generation, guest.generation)
            wanted = replace(wanted, min_cpu_generation=newest)
        row = self._fleet.place(wanted)
        if row >= 0:
            self._begin(drain, guest, Verb.RELOCATE, row)

    def _disposition(self, drain: _Drain, guest: Guest) -> Disposition:
        return disposition(
            guest.power,
            movable=not self._hindrance(guest),
            eviction=self._policy.eviction,
            policies=guest.requirement.policies,
            registers=drain.registers,
        )

    def _hindrance(self, guest: Guest) -> str:
        """Why the guest cannot be migrated live, whatever the hosts are like, or ''."""
        policy, requirement = self._policy, guest.requirement
        if guest.key in policy.vmotion.vms:
            return policy.hindrance(guest.key, requirement)
        known = self._hindrances.get(requirement)
        if known is None:
            known = self._hindrances[requirement] = policy.hindrance(guest.key, requirement)
        return known

    def _migrate(self, drain: _Drain, guest: Guest) -> Fault | None:
        """Start the guest's live migration, or tell why no host takes it."""
        source = self._fleet.inventory.hosts[guest.row]
        if source.vmotion_fault:
            return Fault(source.vmotion_fault, f"at the source, host {source.name}")
        requirement = live(guest.requirement, guest.generation)
        group = self._group(guest) if binding(requirement) else []
        if group:
            return self._migrate_together(drain, guest, group)
        row = self._fleet.place(requirement)
        if row < 0 and self._policy.vmotion.storage:
            row = self._fleet.place(replace(requirement, datastores=guest.stores))
        if row < 0:
            return self._fleet.refuse(guest, Verb.MIGRATE, requirement)
        self._begin(drain, guest, Verb.MIGRATE, row)
        return None

    def _group(self, guest: Guest) -> list[Guest]:
        """The running VMs of its host that must go where it goes, itself included; none when one
        of them is elsewhere already: then there is but one host to go to."""
        fleet = self._fleet
        here = [vm for vm in fleet.residents[guest.row].values() if vm.power is PowerState.ON]
        chosen = companions(guest.requirement, [vm.requirement for vm in here])
        group = [here[number] for number in chosen]
        members = [vm.requirement for vm in group]
        return [] if are_elsewhere(members, guest.row, fleet.inventory) else group

    def _migrate_together(self, drain: _Drain, guest: Guest, group: list[Guest]) -> Fault | None:
        """Start the migrations of them all, with room claimed for all, or tell why none starts.

        While one of them is busy, or pauses, they wait for it. The plant lets them queue.
        """
        if any(vm.busy is not None or vm.key in drain.paused for vm in group):
            return None
        row = -1
        if not any(self._hindrance(vm) for vm in group):
            members = [live(vm.requirement, vm.generation) for vm in group]
            row = place_together(self._fleet.placer, members)
        if row < 0:
            requirement = live(guest.requirement, guest.generation)
            return self._fleet.refuse(guest, Verb.MIGRATE, requirement)
        for vm in group:
            self._begin(drain, vm, Verb.MIGRATE, row)
        return None

    def _note_blockers(self, row: int, drain: _Drain, blockers: dict[str, str]) -> None:
        if blockers != drain.blockers:
            drain.blockers = blockers
            host = self._hosts.name(row)
            self._fleet.trace.write("host", "EvacuationBlocked", host, {"vms": blockers})

    def _enter_when_empty(self, row: int, drain: _Drain) -> None:
        """Go on once nothing runs here, nothing is busy, and nothing is on its way here."""
        residents = self._fleet.residents[row].values()
        if drain.entering or any(vm.busy or vm.power is PowerState.ON for vm in residents):
            return
        if self._fleet.inventory.is_claimed(row):
            return
        drain.entering = True
        host = self._hosts.name(row)
        self._plant.command(host, HostCommand.ENTER_MAINTENANCE, lambda: self._entered(row, drain))

    def _entered(self, row: int, drain: _Drain) -> None:
        if self._drains.get(row) is drain:
            del self._drains[row]
            self._hosts.set(row, HostState.MAINTENANCE, "EnteredMaintenanceMode")

    def _left(self, row: int, leaving: object) -> None:
        if self._exits.get(row) is leaving:
            del self._exits[row]
            self._hosts.open(row, "ExitMaintenanceMode")

    def _give_up(self, row: int, drain: _Drain) -> None:
        if self._drains.get(row) is drain and not drain.entering:
            del self._drains[row]
            host = self._hosts.name(row)
            data = {"fault": "Timedout", "vms": drain.blockers}
            self._fleet.trace.write("host", "MaintenanceFailed", host, data)
            self._hosts.open(row, "ExitMaintenanceMode")

    def _look_again(self, row: int) -> None:
        """Drain once more at the end of this instant, however many tasks end in it.

        Room that is to be offered in this instant leads to that, too.
        """
        drain = self._drains.get(row)
        if drain is not None and not drain.due and not self.offers_room():
            drain.due = True
            self._hosts.later(0.0, lambda: self._due(row, drain))

    def _due(self, row: int, drain: _Drain) -> None:
        drain.due = False
        self._drain(row)


def _anything(row: int) -> Fault | None:
    return None


def _never() -> bool:
    return False
