"""What does a record mean for the ledger? A row for each kind that means something."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from vmsim.trace import Record
from vmsim.whatif.binding import AGAIN, BESIDE, HELD, QUEUE, binding
from vmsim.whatif.incidents import CREATION, Incident
from vmsim.whatif.ledger import VM, Host, Ledger

QUEUED_S = 0.001  # times are rounded in records
CAUSES = {"Evacuation": "Evacuation", "Administrator": "Administrator"}


def enter(ledger: Ledger, record: Record) -> None:
    """Enter a record into the ledger; records come in their order."""
    if record.t > ledger.now_s:
        ledger.reach(record.t)
    handler = _HANDLERS.get(record.kind)
    if handler is not None:
        handler(ledger, record)


def _added(ledger: Ledger, record: Record) -> None:
    name = record.data.get("template")
    manifest = record.data.get("manifest") or {}
    class_name, wanted = ledger.wanted(manifest) if name is None else ledger.template(name)
    vm = ledger.vms[record.object] = VM(record.object, class_name, wanted, record.n, record.t)
    ledger.counts.created += 1
    if wanted:
        vm.now = Incident(vm.key, class_name, CREATION, "", record.t)


def _modified(ledger: Ledger, record: Record) -> None:
    vm = ledger.vms.get(record.object)
    if vm is not None:
        vm.class_name, wanted = ledger.wanted(record.data["manifest"])
        if vm.wanted and not wanted:
            ledger.gone(vm)
        vm.wanted = wanted


def _deleting(ledger: Ledger, record: Record) -> None:
    vm = ledger.vms.get(record.object)
    if vm is not None:
        ledger.gone(vm)


def _deleted(ledger: Ledger, record: Record) -> None:
    if record.data.get("kind") is None and record.object in ledger.vms:
        ledger.gone(ledger.vms[record.object])
        ledger.lived(ledger.vms[record.object])
        ledger.capacity.leave(record.object)
        del ledger.vms[record.object]


def _task_started(ledger: Ledger, record: Record) -> None:
    vm = ledger.vms.get(record.object)
    verb = record.data["verb"]
    if vm is not None and vm.now is not None and verb in ("PowerOnVM", "CreateVM"):
        vm.started_s = ledger.now_s
        vm.tried_s = ledger.now_s if vm.tried_s < 0.0 else vm.tried_s
    if vm is not None and verb == "MigrateVM":
        leaves = record.data["cause"] == "Evacuation" and vm.key not in ledger.blockers
        asked_s = ledger.hosts.get(vm.host, Host()).asked_s if leaves else -1.0
        vm.due_s = asked_s if asked_s >= 0.0 else ledger.now_s


def _powered_on(ledger: Ledger, record: Record) -> None:
    vm = ledger.vms.get(record.object)
    if vm is not None:
        ledger.runs(vm, record.data["host"])


def _powered_off(ledger: Ledger, record: Record) -> None:
    vm = ledger.vms.get(record.object)
    if vm is not None:
        vm.host = record.data["host"] or vm.host
        cause = CAUSES.get(record.data["cause"])
        if cause is None:
            ledger.gone(vm)
        ledger.down(vm, cause or "")


def _terminated(ledger: Ledger, record: Record) -> None:
    vm = ledger.vms.get(record.object)
    if vm is not None:
        vm.host = record.data["host"] or vm.host
        ledger.down(vm, "HostFailure")


def _migrated(ledger: Ledger, record: Record) -> None:
    vm, data, counts = ledger.vms.get(record.object), record.data, ledger.counts
    counts.migrations += 1
    counts.moved_mib += data.get("moved_mib", 0.0)
    counts.slowed += data.get("slowdown", 0.0) > 0.0
    ledger.migrations_s.append(data.get("duration_s", 0.0))
    ledger.stuns_s.append(data.get("downtime_s", 0.0))
    if data.get("held"):
        _took(ledger, data)
    if vm is not None:
        queued_s = ledger.now_s - vm.due_s - data.get("duration_s", 0.0)
        if queued_s >= QUEUED_S:
            ledger.bound[QUEUE] += queued_s
        vm.host = data["host"]
        ledger.capacity.enter(vm.key, vm.class_name, vm.host)


def _took(ledger: Ledger, data: dict[str, Any]) -> None:
    """What the time of a live migration went into."""
    copy_s = data["copy_s"]
    again_s = copy_s * data["again_mib"] / data["moved_mib"] if copy_s else 0.0
    ledger.moving[AGAIN] += again_s
    ledger.moving[HELD[data["held"]]] += copy_s - again_s
    ledger.moving[BESIDE] += data["duration_s"] - copy_s


def _status(ledger: Ledger, record: Record) -> None:
    if record.data.get("ip"):
        vm = ledger.vms.get(record.object)
        if vm is not None and vm.now is not None and vm.on_s >= 0.0:
            ledger.end(vm, ledger.now_s)


def _refused(ledger: Ledger, record: Record) -> None:
    vm = ledger.vms.get(record.object)
    if vm is None:
        return
    why = binding(record, ledger.capacity.devices_of(vm.class_name))
    if vm.running:
        ledger.refused_moves[vm.key] = why
    else:
        ledger.refuse(vm, why)


def _host_state(ledger: Ledger, record: Record) -> None:
    host = ledger.hosts.setdefault(record.object, Host())
    _MAINTENANCE.get(record.kind, _other)(ledger, host)
    host.state = record.data["state"]
    ledger.capacity.open(record.object, host.state == "Up")
    if host.state == "Up":
        ledger.opened_s.append(ledger.now_s)


def _asked(ledger: Ledger, host: Host) -> None:
    host.asked_s, host.entered_s = ledger.now_s, -1.0


def _entered(ledger: Ledger, host: Host) -> None:
    ledger.unblock(host)
    host.entered_s = ledger.now_s
    ledger.evacuations_s.append(ledger.now_s - host.asked_s)


def _left(ledger: Ledger, host: Host) -> None:
    if host.entered_s >= 0.0:
        ledger.maintenances.append((host.asked_s, ledger.now_s))
    host.asked_s = -1.0


def _other(ledger: Ledger, host: Host) -> None:
    ledger.unblock(host)


_NUMBER = attrgetter("number")
_MAINTENANCE = {
    "EnteringMaintenanceMode": _asked,
    "EnteredMaintenanceMode": _entered,
    "ExitMaintenanceMode": _left,
}


def _host_cut_off(ledger: Ledger, record: Record) -> None:
    _host_state(ledger, record)
    ledger.counts.host_failures += 1


def _host_lost(ledger: Ledger, record: Record) -> None:
    _host_cut_off(ledger, record)
    there = [ledger.vms[key] for key in ledger.capacity.on(record.object)]
    for vm in sorted(there, key=_NUMBER):
        if vm.running:
            ledger.down(vm, "HostFailure")


def _host_declared(ledger: Ledger, record: Record) -> None:
    ledger.hosts[record.object] = Host()
    ledger.capacity.declare(record.object, record.data)
    if record.kind == "HostAdded":
        ledger.opened_s.append(ledger.now_s)
        ledger.added_s.append(ledger.now_s)


def _blocked(ledger: Ledger, record: Record) -> None:
    host = ledger.hosts[record.object]
    ledger.unblock(host)
    host.blocked = record.data["vms"]
    if host.blocked:
        ledger.counts.stalls += 1
        ledger.blockers.update(host.blocked)


def _applied(ledger: Ledger, record: Record) -> None:
    ledger.capacity.learn(record.data["manifest"])


def _template(ledger: Ledger, record: Record) -> None:
    ledger.template(record.object, record.data["manifest"])


def _count(name: str) -> Callable[[Ledger, Record], None]:
    def count(ledger: Ledger, record: Record) -> None:
        setattr(ledger.counts, name, getattr(ledger.counts, name) + 1)

    return count


_HANDLERS: dict[str, Callable[[Ledger, Record], None]] = {
    "Host": _host_declared,
    "HostAdded": _host_declared,
    "EnteringMaintenanceMode": _host_state,
    "EnteredMaintenanceMode": _host_state,
    "ExitMaintenanceMode": _host_state,
    "HostConnected": _host_state,
    "HostRemoved": _host_state,
    "HostIsolated": _host_cut_off,
    "HostStorageLost": _host_cut_off,
    "HostConnectionLost": _host_lost,
    "EvacuationBlocked": _blocked,
    "Applied": _applied,
    "WorkloadTemplate": _template,
    "Added": _added,
    "Modified": _modified,
    "Deleting": _deleting,
    "Deleted": _deleted,
    "TaskStarted": _task_started,
    "TaskFailed": _count("tasks_failed"),
    "Requeued": _count("retries"),
    "VmFailoverFailed": _count("failovers_failed"),
    "VmPoweredOn": _powered_on,
    "VmPoweredOff": _powered_off,
    "VmTerminated": _terminated,
    "VmMigrated": _migrated,
    "Status": _status,
    "NoCompatibleHost": _refused,
    "InsufficientFailoverResources": _refused,
}
