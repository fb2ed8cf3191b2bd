"""What is the state of everything, after these records?

`Picture` reads a trace record by record and knows, at any point, each VM as its user sees it, each
host, and each other object. `get`, `explain`, expectations and the console are all views of it,
so nothing is ever shown that the trace does not hold.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vmsim.trace import Record

HISTORY_LENGTH = 50
VM_STATES = ("Absent", "Pending", "PoweredOn", "PoweredOff", "Suspended", "Waiting")


@dataclass(slots=True)
class VMPicture:
    """A VM as the records tell it. `power` is what runs on the hypervisor, '' before creation;
    `refusal` is the last NoCompatibleHost, or empty when it does not wait for a host."""

    key: str
    exists: bool = False
    deleting: bool = False
    created_s: float = 0.0
    manifest: dict[str, Any] = field(default_factory=dict)
    power: str = ""
    host: str = ""
    busy: str = ""
    since_s: float = 0.0
    status: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, list[str]] = field(default_factory=dict)
    refusal: dict[str, Any] = field(default_factory=dict)
    refused_s: float = 0.0
    retries: int = 0
    retry_s: float = 0.0
    history: list[Record] = field(default_factory=list)

    @property
    def state(self) -> str:
        """One of VM_STATES; Waiting is for a host."""
        if not self.exists:
            return "Absent"
        if self.power != "PoweredOn" and self.refusal and self._is_wanted_on:
            return "Waiting"
        return self.power or "Pending"

    @property
    def _is_wanted_on(self) -> bool:
        wanted = (self.manifest.get("spec") or {}).get("powerState") or "PoweredOn"
        return not self.deleting and str(wanted).lower() == "poweredon"


@dataclass(slots=True)
class HostPicture:
    """A host as the records tell it; `blockers` hold up its evacuation, by VM."""

    name: str
    state: str = "Up"
    spec: dict[str, Any] = field(default_factory=dict)
    blockers: dict[str, str] = field(default_factory=dict)
    since_s: float = 0.0


@dataclass(slots=True)
class ObjectPicture:
    """An object of another kind, as it was applied."""

    manifest: dict[str, Any]
    created_s: float


class Picture:
    """The state of everything after the records applied so far."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.vms: dict[str, VMPicture] = {}
        self.hosts: dict[str, HostPicture] = {}
        self.objects: dict[tuple[str, str], ObjectPicture] = {}
        self.templates: dict[str, dict[str, Any]] = {}
        self.denials: list[Record] = []
        self.scores: dict[str, dict[str, float]] = {}

    def apply(self, record: Record) -> None:
        """Take one record in; unknown kinds only move the time."""
        self.now_s = record.t
        handler = _HANDLERS.get(record.kind)
        if handler is not None:
            handler(self, record)

    def vm_states(self) -> Counter[str]:
        """How many of the VMs that exist are in each state."""
        return Counter(vm.state for vm in self.vms.values() if vm.exists)

    def host_states(self) -> Counter[str]:
        """How many hosts are in each state."""
        return Counter(host.state for host in self.hosts.values())

    def vm(self, key: str) -> VMPicture:
        """The VM `key`, made up as absent when no record named it yet."""
        picture = self.vms.get(key)
        if picture is None:
            picture = self.vms[key] = VMPicture(key)
        return picture


def _remember(vm: VMPicture, record: Record) -> None:
    vm.history.append(record)
    if len(vm.history) > HISTORY_LENGTH:
        del vm.history[1]


def _host_declared(picture: Picture, record: Record) -> None:
    picture.hosts[record.object] = HostPicture(record.object, "Up", record.data)


def _host_state(picture: Picture, record: Record) -> None:
    host = picture.hosts.setdefault(record.object, HostPicture(record.object))
    host.state = record.data["state"]
    host.since_s = record.t
    host.blockers = {}
    if record.kind == "HostConnectionLost":
        for vm in picture.vms.values():
            if vm.host == record.object and vm.power == "PoweredOn":
                vm.power, vm.since_s = "PoweredOff", record.t
                _remember(vm, record)


def _blocked(picture: Picture, record: Record) -> None:
    picture.hosts[record.object].blockers = record.data["vms"]


def _added(picture: Picture, record: Record) -> None:
    vm = picture.vms[record.object] = VMPicture(record.object, exists=True, created_s=record.t)
    vm.since_s = record.t
    template = record.data.get("template")
    if template is not None:
        vm.manifest = picture.templates.get(template, {})
    else:
        vm.manifest = record.data["manifest"]
    _remember(vm, record)


def _modified(picture: Picture, record: Record) -> None:
    picture.vm(record.object).manifest = record.data["manifest"]
    _remember(picture.vm(record.object), record)


def _deleting(picture: Picture, record: Record) -> None:
    picture.vm(record.object).deleting = True
    _remember(picture.vm(record.object), record)


def _deleted(picture: Picture, record: Record) -> None:
    kind = record.data.get("kind")
    if kind is not None:
        picture.objects.pop((kind, record.object), None)
    else:
        picture.vms.pop(record.object, None)


def _applied(picture: Picture, record: Record) -> None:
    manifest = record.data["manifest"]
    key = (manifest.get("kind", ""), record.object)
    known = picture.objects.get(key)
    picture.objects[key] = ObjectPicture(manifest, known.created_s if known else record.t)


def _template(picture: Picture, record: Record) -> None:
    picture.templates[record.object] = record.data["manifest"]


def _denied(picture: Picture, record: Record) -> None:
    picture.denials.append(record)


def _status(picture: Picture, record: Record) -> None:
    vm = picture.vm(record.object)
    for name, value in record.data.items():
        if name == "conditions":
            vm.conditions.update(value)
        else:
            vm.status[name] = value


def _task_started(picture: Picture, record: Record) -> None:
    picture.vm(record.object).busy = record.data["verb"]


def _task_failed(picture: Picture, record: Record) -> None:
    vm = picture.vm(record.object)
    vm.busy = ""
    _remember(vm, record)


def _refused(picture: Picture, record: Record) -> None:
    vm = picture.vm(record.object)
    vm.refusal = {**record.data, "kind": record.kind}
    vm.refused_s = record.t
    _remember(vm, record)


def _requeued(picture: Picture, record: Record) -> None:
    vm = picture.vm(record.object)
    vm.retries = record.data["failures"]
    vm.retry_s = record.t + record.data["after_s"]


def _event(picture: Picture, record: Record) -> None:
    _remember(picture.vm(record.object), record)


def _power(state: str) -> Callable[[Picture, Record], None]:
    def handle(picture: Picture, record: Record) -> None:
        vm = picture.vm(record.object)
        vm.busy = ""
        vm.power = state or vm.power
        vm.host = record.data["host"] or vm.host
        vm.since_s = record.t
        vm.refusal = {}
        if state == "PoweredOn":
            vm.retries = 0
        _remember(vm, record)

    return handle


def _scored(picture: Picture, record: Record) -> None:
    picture.scores[record.object] = record.data["vms"]


def _changed(picture: Picture, record: Record) -> None:
    """A VM that is off lies on another host or has other hardware; it waits as before."""
    vm = picture.vm(record.object)
    vm.busy, vm.host = "", record.data["host"]
    _remember(vm, record)


_HANDLERS: dict[str, Callable[[Picture, Record], None]] = {
    "Host": _host_declared,
    "HostAdded": _host_declared,
    "EnteringMaintenanceMode": _host_state,
    "EnteredMaintenanceMode": _host_state,
    "ExitMaintenanceMode": _host_state,
    "HostConnectionLost": _host_state,
    "HostIsolated": _host_state,
    "HostStorageLost": _host_state,
    "HostConnected": _host_state,
    "HostRemoved": _host_state,
    "EvacuationBlocked": _blocked,
    "Added": _added,
    "Modified": _modified,
    "Deleting": _deleting,
    "Deleted": _deleted,
    "Applied": _applied,
    "WorkloadTemplate": _template,
    "Denied": _denied,
    "Warning": _event,
    "Status": _status,
    "Event": _event,
    "Requeued": _requeued,
    "TaskStarted": _task_started,
    "TaskFailed": _task_failed,
    "NoCompatibleHost": _refused,
    "InsufficientFailoverResources": _refused,
    "VmFailoverFailed": _event,
    "DrsScore": _scored,
    "VmTerminated": _power("PoweredOff"),
    "VmCreated": _power("PoweredOff"),
    "VmPoweredOn": _power("PoweredOn"),
    "VmPoweredOff": _power("PoweredOff"),
    "VmSuspended": _power("Suspended"),
    "VmReset": _power("PoweredOn"),
    "VmMigrated": _power(""),
    "VmRelocated": _changed,
    "VmReconfigured": _changed,
    "VmRemoved": _power(""),
}

RECORD_KINDS = (
    *_HANDLERS, "OutageBegan", "OutageEnded", "MaintenanceFailed", "PrimaryElected", "Refused",
    "UpgradeStarted", "HostRemediated", "HostSkipped", "UpgradeFinished", "End",
)  # fmt: skip
"""Every kind of record that a run may write."""
