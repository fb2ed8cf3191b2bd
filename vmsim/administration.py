"""What happens when the administrator, or fate, takes a host away or brings one back?

A host may be put into maintenance (see `maintenance`), join or leave, and it may fail: it dies,
loses its network, or its storage. A dead host's VMs lose power at once; those of the others go on
until vSphere HA stops them, if it does. HA restarts elsewhere what it, or the failure, stopped (see
`availability`). Both work lists wait for room, and are looked at again whenever some is freed.
"""

from dataclasses import dataclass
from typing import Any

import simpy

from vmsim.actions import Cause, Fault, Verb
from vmsim.admission_control import AdmissionControl
from vmsim.availability import Availability
from vmsim.cluster import ClusterPolicy
from vmsim.fleet import WITHOUT_ROOM, Fleet
from vmsim.ha import FailureKind
from vmsim.hosts import HostStates
from vmsim.hosts import Refused as Refused
from vmsim.maintenance import Maintenance
from vmsim.objects import HostSpec, HostState, PowerState
from vmsim.ports import HostCommand, Plant


@dataclass(frozen=True, slots=True)
class _Loss:
    """What a failure does: the host's state, its record, and what the plant is told."""

    state: HostState
    record: str
    command: HostCommand


_STORAGE = _Loss(HostState.STORAGE_LOST, "HostStorageLost", HostCommand.LOSE_STORAGE)
LOSSES = {
    FailureKind.CRASH: _Loss(HostState.DOWN, "HostConnectionLost", HostCommand.FAIL),
    FailureKind.ISOLATION: _Loss(HostState.DOWN, "HostIsolated", HostCommand.ISOLATE),
    FailureKind.APD: _STORAGE,
    FailureKind.PDL: _STORAGE,
}


class Administration:
    """Host operations: each takes effect, or raises Refused.

    `waiting` are the lists of what would use room that comes free.
    """

    def __init__(
        self, env: simpy.Environment, fleet: Fleet, plant: Plant, policy: ClusterPolicy
    ) -> None:
        self._fleet = fleet
        self._plant = plant
        self._hosts = HostStates(env, fleet)
        fleet.inventory.keep_free(policy.ha.control.failover_hosts)
        self.maintenance = Maintenance(fleet, plant, policy, self._hosts)
        self.admission = AdmissionControl(fleet, policy.ha, self.maintenance.is_leaving)
        self.maintenance.admits = self.admission.evacuation_refusal
        self.availability = Availability(env, fleet, policy.ha)
        self.availability.on_start = self.admission.note
        self._hosts.on_change = self.availability.host_changed
        self.waiting = (self.availability.waiting, self.maintenance.waiting)
        self._failed: dict[int, object] = {}
        self._in_maintenance: set[int] = set()
        self.enter_maintenance = self.maintenance.enter
        self.exit_maintenance = self.maintenance.exit
        self.blockers = self.maintenance.blockers

    def use_room(self) -> None:
        """Some room came free: restart waiting VMs first, then go on emptying hosts."""
        self.availability.use_room()
        self.maintenance.use_room()

    def fail(self, host: str, kind: FailureKind = FailureKind.CRASH) -> None:
        """The host fails without warning; HA restarts its VMs elsewhere, in its time."""
        row = self._hosts.row(
            host, HostState.UP, HostState.MAINTENANCE, HostState.ENTERING_MAINTENANCE
        )
        loss = LOSSES[kind]
        timeline = self.availability.failure(row, kind)
        failed = self._failed[row] = object()
        if self._hosts.of(row) is HostState.MAINTENANCE:
            self._in_maintenance.add(row)
        self.maintenance.drop(row)
        self._hosts.set(row, loss.state, loss.record)
        if kind is FailureKind.CRASH:
            self._lose(row, loss.command)
        else:
            self._cut_off(row, loss)
        if kind is FailureKind.CRASH or timeline.stops_s is None:
            return
        if timeline.stops_s:
            self._hosts.later(timeline.stops_s, lambda: self._stop(row, kind, failed))
        else:
            self._stop(row, kind, failed)

    def isolate(self, host: str) -> None:
        """The host loses its network: its VMs go on, unless HA is to stop them."""
        self.fail(host, FailureKind.ISOLATION)

    def recover(self, host: str) -> None:
        """The host is back, in maintenance if it was; its VMs can be reached again, as they are."""
        row = self._hosts.row(host, HostState.DOWN, HostState.STORAGE_LOST)
        state = self._hosts.of(row)
        self._failed.pop(row, None)
        if state is HostState.DOWN:
            self._plant.command(host, HostCommand.RECOVER, _nothing)
        for guest in self._fleet.residents[row].values():
            guest.connected = True
        if row in self._in_maintenance:
            self._in_maintenance.remove(row)
            self._hosts.set(row, HostState.MAINTENANCE, "HostConnected")
        elif self._hosts.of(row) is state:
            self._hosts.open(row, "HostConnected")
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
        self.availability.host_changed(self._fleet.inventory.row_of[spec.name])
        self._fleet.on_room()

    def remove(self, host: str) -> None:
        """The host leaves; it must be down or in maintenance, and no VM may belong to it."""
        row = self._hosts.row(host, HostState.MAINTENANCE, HostState.DOWN)
        guests = self._fleet.guests.values()
        coming = any(vm.busy in WITHOUT_ROOM and vm.bound_for == row for vm in guests)
        if coming or self._fleet.residents[row]:
            raise Refused(Fault("ResourceInUse", f"VMs still belong to host {host}"))
        self.maintenance.drop(row)
        self._plant.command(host, HostCommand.REMOVE, _nothing)
        self._hosts.set(row, HostState.REMOVED, "HostRemoved")

    def power_off(self, key: str) -> None:
        """The administrator powers a VM off, past the VM role; it will be powered on again."""
        guest = self._fleet.guests.get(key)
        runs = guest is not None and guest.power is PowerState.ON and guest.connected
        if guest is None or not runs or guest.busy:
            raise Refused(Fault("InvalidPowerState", f"VM {key} is not running, or is busy"))
        if self._hosts.of(guest.row) is HostState.ENTERING_MAINTENANCE:
            guest.evicted_from = guest.host
        self._fleet.start(guest, Verb.POWER_OFF, -1, Cause.ADMINISTRATOR)

    def _lose(self, row: int, command: HostCommand) -> None:
        """Every VM of the host loses its power now, and those that ran wait for HA."""
        lost = list(self._fleet.residents[row].values())
        for guest in lost:
            self._fleet.lose_power(guest)
        self._plant.command(self._hosts.name(row), command, _nothing)
        for guest in lost:
            self._fleet.notify(guest, requested=False)
        self.availability.restart(row, lost)

    def _cut_off(self, row: int, loss: _Loss) -> None:
        """The host's VMs go on, and cannot be reached without the host's network."""
        if loss.state is HostState.DOWN:
            for guest in self._fleet.residents[row].values():
                guest.connected = False
        self._plant.command(self._hosts.name(row), loss.command, _nothing)
        for guest in list(self._fleet.residents[row].values()):
            self._fleet.notify(guest, requested=False)

    def _stop(self, row: int, kind: FailureKind, failed: object) -> None:
        """HA stops the VMs of a host that is cut off, unless it recovered by now."""
        if self._failed.get(row) is failed:
            for guest in self._fleet.residents[row].values():
                if guest.power is PowerState.ON:
                    data = {"host": guest.host, "cause": kind.value}
                    self._fleet.trace.write("cluster", "VmTerminated", guest.key, data)
            self._lose(row, HostCommand.STOP_VMS)


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
