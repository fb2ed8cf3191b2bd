"""What happens when the administrator, or fate, takes a host away or brings one back?

A host that enters maintenance is closed, emptied one decision at a time, and enters when nothing
runs on it; a VM that can neither move nor be powered off holds it up. A failed host's VMs lose
power at once and are restarted elsewhere by vSphere HA after its detection time. Both work lists
wait for room, and are looked at again whenever some is freed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import simpy

from vmsim.actions import Cause, Fault, Verb
from vmsim.cluster import ClusterPolicy
from vmsim.durations import Durations
from vmsim.evacuation import Disposition, disposition, is_movable
from vmsim.fleet import Fleet, Guest
from vmsim.objects import HostSpec, HostState, PowerState
from vmsim.ports import HostCommand, Plant
from vmsim.vmotion import concurrent


class Refused(Exception):
    """The administrator asked for something that vSphere would refuse; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(slots=True)
class _Drain:
    """A host being emptied: what holds it up, by VM, whether it is going in already, and
    whether it is due to be looked at in this instant."""

    blockers: dict[str, str] = field(default_factory=dict)
    entering: bool = False
    due: bool = False


class Administration:
    """Host operations, the evacuation of hosts and the restart of VMs that lost theirs."""

    def __init__(
        self,
        env: simpy.Environment,
        fleet: Fleet,
        plant: Plant,
        policy: ClusterPolicy,
        durations: Durations,
    ) -> None:
        self._env = env
        self._fleet = fleet
        self._plant = plant
        self._policy = policy
        self._durations = durations
        self._drains: dict[int, _Drain] = {}
        self._exits: dict[int, object] = {}
        self._restarts: dict[str, Guest] = {}
        fleet.on_settled = self._look_again

    def waiting(self) -> bool:
        """Whether anything here would use room that comes free."""
        return bool(self._restarts or self._drains)

    def use_room(self) -> None:
        """Some room came free: restart waiting VMs first, then go on emptying hosts."""
        for guest in list(self._restarts.values()):
            self._restart(guest)
        for row in list(self._drains):
            self._drain(row)

    def enter_maintenance(self, host: str, timeout_s: float = 0.0) -> None:
        """Empty the host, then put it into maintenance mode; give up after `timeout_s` (0: never).

        Source: vm.md, "Working with VMs", paragraph 2; EnterMaintenanceMode_Task.
        """
        row = self._row(host, HostState.UP)
        self._set(row, HostState.ENTERING_MAINTENANCE, "EnteringMaintenanceMode")
        drain = self._drains[row] = _Drain()
        if timeout_s:
            self._later(timeout_s, lambda: self._give_up(row, drain))
        self._drain(row)

    def exit_maintenance(self, host: str) -> None:
        """Open the host again; one that is still being emptied opens at once."""
        row = self._row(host, HostState.MAINTENANCE, HostState.ENTERING_MAINTENANCE)
        if row in self._drains and not self._drains[row].entering:
            del self._drains[row]
            self._open(row, "ExitMaintenanceMode")
        elif row in self._drains:
            raise Refused(Fault("InvalidState", f"host {host} is just entering maintenance mode"))
        elif row in self._exits:
            raise Refused(Fault("InvalidState", f"host {host} is just leaving maintenance mode"))
        else:
            leaving = self._exits[row] = object()
            command = HostCommand.EXIT_MAINTENANCE
            self._plant.command(host, command, lambda: self._left(row, leaving))

    def fail(self, host: str) -> None:
        """The host stops without warning; HA restarts its VMs elsewhere."""
        row = self._row(host, HostState.UP, HostState.MAINTENANCE, HostState.ENTERING_MAINTENANCE)
        self._drains.pop(row, None)
        self._exits.pop(row, None)
        self._set(row, HostState.DOWN, "HostConnectionLost")
        lost = list(self._fleet.residents[row].values())
        for guest in lost:
            self._fleet.lose_power(guest)
        self._plant.command(host, HostCommand.FAIL, _nothing)
        for guest in lost:
            self._fleet.notify(guest, requested=False)
        if self._policy.high_availability:
            delay_s = self._durations.ha_detection_s + self._durations.ha_placement_s
            self._later(delay_s, lambda: self._restart_all(lost))

    def recover(self, host: str) -> None:
        """The host is back; VMs that still belong to it can be reached again, powered off."""
        row = self._row(host, HostState.DOWN)
        self._plant.command(host, HostCommand.RECOVER, _nothing)
        for guest in self._fleet.residents[row].values():
            guest.connected = True
        self._open(row, "HostConnected", HostState.DOWN)
        for guest in list(self._fleet.residents[row].values()):
            self._fleet.notify(guest, requested=False)

    def add(self, spec: HostSpec) -> None:
        """A new host joins its cluster, empty and open."""
        if spec.name in self._fleet.inventory.row_of:
            raise Refused(Fault("DuplicateName", f"host {spec.name} is there already"))
        self._plant.command(spec.name, HostCommand.ADD, _nothing)
        self._fleet.inventory.add([spec])
        self._fleet.residents.append({})
        self._fleet.trace.write("host", "HostAdded", spec.name, host_data(spec))
        self._fleet.on_room()

    def remove(self, host: str) -> None:
        """The host leaves; it must be down or in maintenance, and no VM may belong to it."""
        row = self._row(host, HostState.MAINTENANCE, HostState.DOWN)
        guests = self._fleet.guests.values()
        coming = any(vm.busy is Verb.CREATE and vm.bound_for == row for vm in guests)
        if coming or self._fleet.residents[row]:
            raise Refused(Fault("ResourceInUse", f"VMs still belong to host {host}"))
        self._exits.pop(row, None)
        self._plant.command(host, HostCommand.REMOVE, _nothing)
        self._set(row, HostState.REMOVED, "HostRemoved")

    def power_off(self, key: str) -> None:
        """The administrator powers a VM off, past the VM role; it will be powered on again."""
        guest = self._fleet.guests.get(key)
        if guest is None or guest.power is not PowerState.ON or guest.busy:
            raise Refused(Fault("InvalidPowerState", f"VM {key} is not running, or is busy"))
        state = self._fleet.inventory.states[guest.row]
        if state is HostState.ENTERING_MAINTENANCE:
            guest.evicted_from = guest.host
        self._fleet.start(guest, Verb.POWER_OFF, -1, Cause.ADMINISTRATOR)

    def blockers(self, host: str) -> dict[str, str]:
        """Why the host cannot enter maintenance now: a reason by VM."""
        drain = self._drains.get(self._fleet.inventory.row_of.get(host, -1))
        return dict(drain.blockers) if drain else {}

    def _drain(self, row: int) -> None:
        """Take every step that the host's VMs allow now."""
        drain = self._drains.get(row)
        if drain is None or drain.entering:
            return
        blockers: dict[str, str] = {}
        residents = self._fleet.residents[row]
        moving = sum(guest.busy is Verb.MIGRATE for guest in residents.values())
        nic_mbps = self._fleet.inventory.hosts[row].nic_mbps
        free = concurrent(nic_mbps, self._policy.vmotion.limits) - moving
        for guest in list(residents.values()):
            if guest.busy is None:
                blocker = self._leave(guest, may_migrate=free > 0)
                free -= guest.busy is Verb.MIGRATE
                if blocker:
                    blockers[guest.key] = blocker
        self._note_blockers(row, drain, blockers)
        self._enter_when_empty(row, drain)

    def _leave(self, guest: Guest, *, may_migrate: bool) -> str:
        """Start what gets the guest off its host; the answer is what prevents it, or ''."""
        if guest.reserved:
            self._fleet.unreserve(guest)
        step = self._disposition(guest)
        if step is Disposition.POWER_OFF:
            guest.evicted_from = guest.host
            self._fleet.start(guest, Verb.POWER_OFF, -1, Cause.EVACUATION)
        elif step is Disposition.BLOCK:
            return "DisallowedMigrationDeviceAttached"
        elif step is Disposition.MIGRATE and may_migrate:
            return str(self._migrate(guest) or "")
        return ""

    def _disposition(self, guest: Guest) -> Disposition:
        requirement = guest.requirement
        hot = self._policy.vgpu_hot_migrate
        return disposition(
            guest.power,
            movable=is_movable(requirement.devices, vgpu_hot_migrate=hot),
            eviction=self._policy.eviction,
            policies=requirement.policies,
        )

    def _migrate(self, guest: Guest) -> Fault | None:
        """Start the guest's live migration, or tell why no host takes it."""
        generation = max(guest.requirement.min_cpu_generation, guest.generation)
        requirement = replace(guest.requirement, min_cpu_generation=generation)
        row = self._fleet.place(requirement)
        if row < 0:
            return self._fleet.refuse(guest, Verb.MIGRATE, requirement)
        self._fleet.start(guest, Verb.MIGRATE, row, Cause.EVACUATION)
        return None

    def _note_blockers(self, row: int, drain: _Drain, blockers: dict[str, str]) -> None:
        if blockers != drain.blockers:
            drain.blockers = blockers
            host = self._fleet.inventory.hosts[row].name
            self._fleet.trace.write("host", "EvacuationBlocked", host, {"vms": blockers})

    def _enter_when_empty(self, row: int, drain: _Drain) -> None:
        """Go on once nothing runs here, nothing is busy, and nothing is on its way here."""
        residents = self._fleet.residents[row].values()
        if drain.entering or any(vm.busy or vm.power is PowerState.ON for vm in residents):
            return
        if self._fleet.inventory.is_claimed(row):
            return
        drain.entering = True
        host = self._fleet.inventory.hosts[row].name
        self._plant.command(host, HostCommand.ENTER_MAINTENANCE, lambda: self._entered(row, drain))

    def _entered(self, row: int, drain: _Drain) -> None:
        if self._drains.get(row) is drain:
            del self._drains[row]
            self._set(row, HostState.MAINTENANCE, "EnteredMaintenanceMode")

    def _left(self, row: int, leaving: object) -> None:
        if self._exits.get(row) is leaving:
            del self._exits[row]
            self._open(row, "ExitMaintenanceMode")

    def _give_up(self, row: int, drain: _Drain) -> None:
        if self._drains.get(row) is drain and not drain.entering:
            del self._drains[row]
            host = self._fleet.inventory.hosts[row].name
            data = {"fault": "Timedout", "vms": drain.blockers}
            self._fleet.trace.write("host", "MaintenanceFailed", host, data)
            self._open(row, "ExitMaintenanceMode")

    def _restart_all(self, lost: list[Guest]) -> None:
        for guest in lost:
            if guest.lost_power:
                self._restarts[guest.key] = guest
        for guest in list(self._restarts.values()):
            self._restart(guest)

    def _restart(self, guest: Guest) -> None:
        """Restart a VM that lost its host; it stays on the list until it runs or is gone."""
        gone = self._fleet.guests.get(guest.key) is not guest
        if gone or not guest.lost_power:
            self._restarts.pop(guest.key, None)
        elif guest.busy is None:
            row = self._fleet.place(guest.requirement)
            if row < 0:
                self._fleet.refuse(guest, Verb.POWER_ON, guest.requirement)
            else:
                self._fleet.start(guest, Verb.POWER_ON, row, Cause.RESTART)

    def _look_again(self, row: int) -> None:
        """Drain once more at the end of this instant, however many tasks end in it."""
        drain = self._drains.get(row)
        if drain is not None and not drain.due:
            drain.due = True
            self._later(0.0, lambda: self._due(row, drain))

    def _due(self, row: int, drain: _Drain) -> None:
        drain.due = False
        self._drain(row)

    def _open(self, row: int, kind: str, expected: HostState | None = None) -> None:
        if expected is None or self._fleet.inventory.states[row] is expected:
            self._set(row, HostState.UP, kind)
            self._fleet.on_room()

    def _set(self, row: int, state: HostState, kind: str) -> None:
        host = self._fleet.inventory.hosts[row].name
        self._fleet.inventory.set_state(row, state)
        self._fleet.trace.write("host", kind, host, {"state": state.value})

    def _row(self, host: str, *states: HostState) -> int:
        row = self._fleet.inventory.row_of.get(host)
        if row is None:
            raise Refused(Fault("ManagedObjectNotFound", f"there is no host {host}"))
        state = self._fleet.inventory.states[row]
        if state not in states:
            raise Refused(Fault("InvalidState", f"host {host} is {state.value}"))
        return row

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        timer = self._env.timeout(delay_s)
        assert timer.callbacks is not None
        timer.callbacks.append(lambda _: call())


def host_data(host: HostSpec) -> dict[str, Any]:
    """A host as its record shows it."""
    return {
        "cluster": host.cluster,
        "zone": host.zone,
        "cores": host.cpu_cores,
        "mhz": host.cpu_mhz,
        "memory_mib": host.memory_mib,
        "devices": dict(host.devices),
    }


def _nothing() -> None:
    return None
