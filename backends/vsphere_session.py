"""What does a vCenter say, and how is it asked to do something?

A `Session` is one login at one `Endpoint`. Reads are batched: one property collector call for all
objects of a kind, never a call per object. An operation is submitted and gives a task, or a
`Fault` when it is refused at once; `wait` turns tasks into outcomes (None is success). Foreign
exceptions end here: a fault of vSphere becomes a `Fault`, a lost connection `Unreachable`.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NewType

from pyVmomi import vim as typed_vim
from pyVmomi import vmodl as typed_vmodl

from backends.vsphere_endpoint import Endpoint as Endpoint
from backends.vsphere_endpoint import as_fault, open_stub, reaching
from backends.vsphere_hardware import config_spec
from backends.vsphere_reads import (
    HOST_PATHS,
    VM_PATHS,
    About,
    Collector,
    HostSeen,
    Place,
    Read,
    VMSeen,
    from_inventory_name,
    host_seen,
    read_empty_enums,
    to_inventory_name,
    vm_seen,
)
from vmsim.actions import Fault, Verb
from vmsim.objects import Hardware
from vmsim.problems import Unreachable

TaskRef = NewType("TaskRef", str)
RESULT = "info.result"
vim: Any = typed_vim  # the published types are partial, so Any at this border
vmodl: Any = typed_vmodl


@dataclass(frozen=True, slots=True)
class NewVM:
    """A VM to create; `datastore` '' takes the one of the host's that most hosts mount."""

    key: str
    host: str
    hardware: Hardware
    datastore: str = ""
    instance_uuid: str = ""
    bios_uuid: str = ""


class HostVerb(StrEnum):
    """The operations on a host, each one vSphere task."""

    ENTER_MAINTENANCE = "EnterMaintenanceMode"
    EXIT_MAINTENANCE = "ExitMaintenanceMode"
    DISCONNECT = "DisconnectHost"
    RECONNECT = "ReconnectHost"


class Session:
    """One login. Reads and operations may be called from several threads."""

    def __init__(self, endpoint: Endpoint, stub: Any) -> None:
        self.endpoint = endpoint
        self.notes: list[str] = []
        self._stub = stub
        with reaching(endpoint):
            self._content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
        about = self._content.about
        self.about = About(str(about.fullName), str(about.version), str(about.apiVersion))
        self.is_simulator = "govmomi simulator" in self.about.product
        if self.is_simulator:
            read_empty_enums()
            self.notes.append("simulator: empty enum values are read as '' (vcsim >= 0.53)")
        self._collector = Collector(endpoint, stub, self._content)
        self._places: dict[str, Place] = {}
        self._vm_refs: dict[str, str] | None = None  # a VM that is being created has ""
        self._expected: dict[TaskRef, tuple[Verb, str]] = {}  # create and destroy
        self._datacenter: Any = None
        self._vm_folder: Any = None

    @classmethod
    def connect(cls, endpoint: Endpoint, timeout_s: float = 30.0) -> "Session":
        """A session that is logged in; no later call waits longer than `timeout_s` for a byte."""
        stub = open_stub(endpoint, timeout_s)
        with contextlib.ExitStack() as undo:
            undo.callback(stub.DropConnections)
            session = cls(endpoint, stub)
            with reaching(endpoint):
                manager = session._content.sessionManager
                manager.Login(endpoint.user, endpoint.password, None)
            session._choose_datacenter()
            undo.pop_all()
        return session

    def _choose_datacenter(self) -> None:
        root = self._content.rootFolder
        found = self._collector.below(root, vim.Datacenter, ["name", "vmFolder"])
        wanted = self.endpoint.datacenter.rpartition("/")[2]
        chosen = [(ref, read) for ref, read in found if wanted in ("", read["name"])]
        if len(chosen) != 1:
            names = ", ".join(sorted(read["name"] for _, read in found)) or "none"
            number = f"{len(chosen)} datacenters" + (f" named {wanted}" if wanted else "")
            message = f"has {number}; set GOVC_DATACENTER to one of: {names}"
            raise Unreachable(f"{self.endpoint.url} {message}")
        self._datacenter = vim.Datacenter(chosen[0][0], self._stub)
        self._vm_folder = vim.Folder(chosen[0][1]["vmFolder"], self._stub)

    def close(self) -> None:
        """Log out and drop the connections; an endpoint that is gone already is no error."""
        with contextlib.suppress(Unreachable, vmodl.MethodFault), reaching(self.endpoint):
            self._content.sessionManager.Logout()
        self._stub.DropConnections()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hosts(self) -> dict[str, HostSeen]:
        """Every host of the datacenter by name; also refreshes what `create` knows of hosts."""
        clusters = dict(self.read(vim.ComputeResource, ["name", "resourcePool"]))
        stores = {ref: read["name"] for ref, read in self.read(vim.Datastore, ["name"])}
        reads = self.read(vim.HostSystem, HOST_PATHS)
        mounts = Counter(store for _, read in reads for store in read.get("datastore", "").split())
        order = sorted(stores, key=lambda ref: (-mounts[ref], stores[ref]))
        seen: dict[str, HostSeen] = {}
        places: dict[str, Place] = {}
        for ref, read in reads:
            cluster = clusters.get(read["parent"], {})
            here = read.get("datastore", "").split()
            mounted = {store: stores[store] for store in order if store in here}
            names = tuple(sorted(mounted.values()))
            host = host_seen((ref, read), cluster.get("name", ""), names)
            seen[host.name] = host
            pool = cluster.get("resourcePool", "")
            places[host.name] = Place(ref, read["parent"], pool, mounted)
        self._places = places
        return seen

    def vms(self) -> dict[str, VMSeen]:
        """Every VM of the datacenter by key; of VMs with one name the first read is kept."""
        hosts = {ref: read["name"] for ref, read in self.read(vim.HostSystem, ["name"])}
        seen: dict[str, VMSeen] = {}
        for moref, read in self.read(vim.VirtualMachine, VM_PATHS):
            vm = vm_seen((moref, read), hosts)
            note = f"more than one VM is named {to_inventory_name(vm.key)}"
            if seen.setdefault(vm.key, vm) is not vm and note not in self.notes:
                self.notes.append(note)
        self._vm_refs = {key: vm.moref for key, vm in seen.items()}
        return seen

    def inventory_xml(self) -> str:
        """All properties of all inventory objects, as the server wrote them; for small ones."""
        return self._collector.as_xml(self._content.rootFolder)

    def submit(self, verb: Verb, key: str, host_name: str = "") -> TaskRef | Fault:
        """Start an operation on a VM; creating is `submit_create`.

        `host_name` is the destination of MIGRATE; for POWER_ON it is a wish, and may be ''.
        """
        moref = self._vm_moref(key)
        place = self._place(host_name) if host_name else None
        if not moref or (place is None and (host_name or verb is Verb.MIGRATE)):
            return Fault("NotFound", f"no host {host_name}" if moref else f"no VM {key}")
        vm = vim.VirtualMachine(moref, self._stub)
        host = vim.HostSystem(place.host, self._stub) if place else None
        calls: dict[Verb, Callable[[], TaskRef | Fault]] = {
            Verb.POWER_ON: lambda: self._start(lambda: vm.PowerOnVM_Task(host)),
            Verb.POWER_OFF: lambda: self._start(vm.PowerOffVM_Task),
            Verb.RESTART: lambda: self._start(vm.ResetVM_Task),
            Verb.SUSPEND: lambda: self._start(vm.SuspendVM_Task),
            Verb.MIGRATE: lambda: self._migrate(vm, host_name),
            Verb.DESTROY: lambda: self._start(vm.Destroy_Task),
        }
        started = calls[verb]()
        if isinstance(started, Fault):
            if started.name == "ManagedObjectNotFound":
                self._vm_names().pop(key, None)  # looked for again when it is named again
        elif verb is Verb.DESTROY:
            self._expected[started] = (verb, key)
        return started

    def submit_create(self, new: NewVM) -> TaskRef | Fault:
        """Start creating a VM, powered off, on a named host and a datastore that it mounts.

        vcsim dies when the host lacks the datastore, and accepts a second VM of one name: both
        are refused here.
        """
        place = self._place(new.host)
        if place is None:
            return Fault("NotFound", f"no host {new.host}")
        if self._vm_names().get(new.key):
            self._vm_refs = None  # somebody else may have deleted it: look again
        if new.key in self._vm_names():
            return Fault("DuplicateName", new.key)
        names = list(place.stores.values())
        store = new.datastore or next(iter(names), "")
        if store not in names:
            return Fault("NoCompatibleHost", f"{new.host} does not mount {store or 'a datastore'}")
        spec = config_spec(new.hardware)
        spec.name = to_inventory_name(new.key)
        spec.guestId = "otherGuest64"
        spec.files = vim.vm.FileInfo(vmPathName=f"[{store}]")
        spec.instanceUuid = new.instance_uuid or None
        spec.uuid = new.bios_uuid or None
        pool = vim.ResourcePool(place.pool, self._stub)
        host = vim.HostSystem(place.host, self._stub)
        started = self._start(lambda: self._vm_folder.CreateVM_Task(spec, pool, host))
        if not isinstance(started, Fault):
            self._expected[started] = (Verb.CREATE, new.key)
            self._vm_names()[new.key] = ""
        return started

    def submit_host(self, verb: HostVerb, host_name: str) -> TaskRef | Fault:
        """Start an operation on a host. Entering maintenance does not evacuate by itself."""
        place = self._place(host_name)
        if place is None:
            return Fault("NotFound", f"no host {host_name}")
        host = vim.HostSystem(place.host, self._stub)
        calls: dict[HostVerb, Callable[[], Any]] = {
            HostVerb.ENTER_MAINTENANCE: lambda: host.EnterMaintenanceMode_Task(0, False, None),
            HostVerb.EXIT_MAINTENANCE: lambda: host.ExitMaintenanceMode_Task(0),
            HostVerb.DISCONNECT: lambda: host.DisconnectHost_Task(),
            HostVerb.RECONNECT: lambda: host.ReconnectHost_Task(None, None),
        }
        return self._start(calls[verb])

    def wait(
        self, started: Sequence[TaskRef | Fault], timeout_s: float = 60.0
    ) -> list[Fault | None]:
        """The outcome of each; None is success, a task that does not end in time is unknown."""
        outcomes: dict[TaskRef, Fault | None] = {}
        pending = [task for task in started if not isinstance(task, Fault)]
        deadline = time.monotonic() + timeout_s
        pause_s = 0.002
        while pending and time.monotonic() < deadline:
            outcomes.update(self._ended(pending))
            pending = [task for task in pending if task not in outcomes]
            if pending:
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, 0.5)
        late = Fault("Timedout", f"no end after {timeout_s:g} s", unknown=True)
        return [task if isinstance(task, Fault) else outcomes.get(task, late) for task in started]

    def create(self, new: NewVM) -> Fault | None:
        """Create a VM and wait for it."""
        return self.wait([self.submit_create(new)])[0]

    def power_on(self, key: str, host: str = "") -> Fault | None:
        """Power on and wait; `host` is a wish that vcsim ignores."""
        return self.wait([self.submit(Verb.POWER_ON, key, host)])[0]

    def power_on_many(self, keys: Sequence[str]) -> list[Fault | None]:
        """Power on all by one call, a third of the time that single calls take, and wait.

        A DRS that may only recommend leaves VMs off: their outcome is NotAttempted.
        """
        if not all(map(self._vm_names().get, keys)):
            self._vm_refs = None
        refs = {key: ref for key in keys if (ref := self._vm_names().get(key))}
        vms = [vim.VirtualMachine(ref, self._stub) for ref in refs.values()]
        outcomes = self._power_on_all(vms) if vms else {}
        absent = {key: Fault("NotFound", f"no VM {key}") for key in keys if key not in refs}
        return [absent[key] if key in absent else outcomes[refs[key]] for key in keys]

    def _power_on_all(self, vms: Sequence[Any]) -> dict[str, Fault | None]:
        """The outcome of each by moref."""
        started = self._start(lambda: self._datacenter.PowerOnMultiVM_Task(vms, None))
        (fault,) = self.wait([started])
        outcomes: dict[str, Fault | None] = dict.fromkeys((vm._moId for vm in vms), fault)
        if fault is None:
            skipped = Fault("NotAttempted", "DRS only recommends where to start it")
            outcomes = dict.fromkeys(outcomes, skipped)
            (result,) = self._collector.of([vim.Task(started, self._stub)], vim.Task, [RESULT])
            answer = result[1][RESULT]
            tasks = {item.vm._moId: TaskRef(item.task._moId) for item in answer.attempted}
            outcomes |= zip(tasks, self.wait(list(tasks.values())), strict=True)
            outcomes |= {item.vm._moId: as_fault(item.fault) for item in answer.notAttempted}
        return outcomes

    def power_off(self, key: str) -> Fault | None:
        """Power off, without asking the guest, and wait."""
        return self.wait([self.submit(Verb.POWER_OFF, key)])[0]

    def resize(self, key: str, hardware: Hardware) -> Fault | None:
        """Give a VM that is off this hardware and wait."""
        moref = self._vm_moref(key)
        if not moref:
            return Fault("NotFound", f"no VM {key}")
        vm, spec = vim.VirtualMachine(moref, self._stub), config_spec(hardware)
        return self.wait([self._start(lambda: vm.ReconfigVM_Task(spec))])[0]

    def relocate(self, key: str, host: str) -> Fault | None:
        """Move to another host, running or not, and wait; disks stay where they are."""
        return self.wait([self.submit(Verb.MIGRATE, key, host)])[0]

    def destroy(self, key: str) -> Fault | None:
        """Delete a VM that is off, with its disks, and wait."""
        return self.wait([self.submit(Verb.DESTROY, key)])[0]

    def command(self, verb: HostVerb, host: str) -> Fault | None:
        """Do this to the host and wait; the VMs of a host that is disconnected go on."""
        return self.wait([self.submit_host(verb, host)])[0]

    def _start(self, call: Callable[[], Any]) -> TaskRef | Fault:
        try:
            with reaching(self.endpoint):
                return TaskRef(str(call()._moId))
        except vmodl.MethodFault as error:
            return as_fault(error)

    def _ended(self, tasks: Sequence[TaskRef]) -> dict[TaskRef, Fault | None]:
        """Outcomes of those that ended, by one read; that of a task that is gone is unknown."""
        refs = [vim.Task(task, self._stub) for task in tasks]
        ended: dict[TaskRef, Fault | None] = {}
        try:
            reads = self._collector.of(refs, vim.Task, ["info.state", "info.error", RESULT])
        except vmodl.fault.ManagedObjectNotFound as error:
            gone = TaskRef(error.obj._moId if error.obj else tasks[0])
            return {gone: replace(as_fault(error), unknown=True)}
        for moref, read in reads:
            task, state = TaskRef(moref), str(read["info.state"])
            if state in ("success", "error"):
                ended[task] = as_fault(read.get("info.error")) if state == "error" else None
                self._learn(task, state == "success", read.get(RESULT))
        return ended

    def _learn(self, task: TaskRef, succeeded: bool, created: Any) -> None:
        """Keep the moref of a VM whose creation ended; forget the name of one that is not there."""
        verb, key = self._expected.pop(task, (Verb.POWER_ON, ""))
        if verb is Verb.CREATE and succeeded and created is not None:
            self._vm_names()[key] = str(created._moId)
        elif verb is Verb.CREATE or (verb is Verb.DESTROY and succeeded):
            self._vm_names().pop(key, None)

    def _migrate(self, vm: Any, host_name: str) -> TaskRef | Fault:
        """Start a move; the pool is named too when the host is in another cluster.

        Refused when the host does not mount the VM's datastores: vcsim allows it, and dies when
        the VM is destroyed later.
        """
        place = self._places[host_name]
        try:
            paths = ["runtime.host", "datastore"]
            reads = self._collector.of([vm], vim.VirtualMachine, paths)
        except vmodl.MethodFault as error:
            return as_fault(error)
        spec = vim.vm.RelocateSpec(host=vim.HostSystem(place.host, self._stub))
        cluster_of = {known.host: known.cluster for known in self._places.values()}
        for _, read in reads:
            if not {store._moId for store in read.get("datastore", ())} <= set(place.stores):
                return Fault("NoCompatibleHost", f"{host_name} lacks a datastore of the VM")
            if cluster_of.get(read["runtime.host"]._moId) != place.cluster:
                spec.pool = vim.ResourcePool(place.pool, self._stub)
        return self._start(lambda: vm.RelocateVM_Task(spec, None))

    def _place(self, host_name: str) -> Place | None:
        if host_name not in self._places:
            self.hosts()
        return self._places.get(host_name)

    def _vm_names(self) -> dict[str, str]:
        """Morefs by key, as last read; the names of all VMs are read when they never were."""
        if self._vm_refs is None:
            read = self.read(vim.VirtualMachine, ["name"])
            self._vm_refs = {from_inventory_name(vm["name"]): ref for ref, vm in read}
        return self._vm_refs

    def _vm_moref(self, key: str) -> str:
        """The VM's moref, or ''; for an unknown key all names are read again, at once."""
        if not self._vm_names().get(key):
            self._vm_refs = None
        return self._vm_names().get(key, "")

    def read(self, kind: Any, paths: Sequence[str]) -> list[Read]:
        """These properties of all objects of the datacenter of a kind."""
        return self._collector.below(self._datacenter, kind, paths)
