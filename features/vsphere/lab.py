"""What do the checks of the profile speak to?

A `Lab` is one login at a vSphere API with a few hosts of ours: `esx-1` to `esx-3` in one cluster,
all alike, and `other-1` in a second. A request is made, waited for, and answered with the name of
its fault ('' for success). No wait is without an end: an answer that does not come is `Unreachable`
and never taken for either.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyVmomi import vim as typed_vim
from pyVmomi import vmodl as typed_vmodl

from backends.vcsim_inventory import template_of, write_inventory
from backends.vcsim_process import Program, Vcsim
from backends.vsphere_endpoint import Endpoint, as_fault, open_stub, reaching
from backends.vsphere_session import NewVM, Session
from vmsim.objects import Hardware, HostSpec
from vmsim.problems import Unreachable

vim: Any = typed_vim  # the published types are partial, so Any at this border
vmodl: Any = typed_vmodl

CALL_S = 10.0
TASK_S = 8.0
CORES, MEMORY_MIB, MHZ = 8, 16_384, 2_000
PROFILE = "grid_a100-8c"


def _host(name: str, cluster: str) -> HostSpec:
    return HostSpec(name, cluster, "zone-1", CORES, MHZ, MEMORY_MIB)


HOSTS = (*(_host(f"esx-{number}", "cluster-1") for number in (1, 2, 3)), _host("other-1", "c-2"))


class Lab:
    """See the module docstring; `session` creates VMs and reads, the rest is pyvmomi's own."""

    def __init__(self, session: Session, stub: Any, content: Any) -> None:
        self.session = session
        self.content = content
        self._stub = stub

    # What there is.

    def host(self, name: str) -> Any:
        """The host."""
        return vim.HostSystem(self.session.hosts()[name].moref, self._stub)

    def vm(self, name: str) -> Any:
        """The VM of that name that `made` made."""
        return vim.VirtualMachine(self.session.vms()[_key(name)].moref, self._stub)

    def cluster(self) -> Any:
        """The cluster of the first host."""
        return self.read(self.host("esx-1"), "parent")

    def made(self, name: str, host: str, *, cpus: int = 1, memory_mib: int = 1024) -> Any:
        """A new VM, powered off, on that host."""
        fault = self.session.create(NewVM(_key(name), host, Hardware(cpus, memory_mib)))
        assert fault is None, f"the VM cannot be made: {fault}"
        return self.vm(name)

    def running(self, name: str, host: str) -> Any:
        """A new VM, powered on, on that host."""
        vm = self.made(name, host)
        fault = self.ask(vm.PowerOnVM_Task)
        assert not fault, f"the VM cannot be powered on: {fault}"
        return vm

    # What is asked for.

    def ask(self, call: Callable[..., Any], *arguments: Any, within_s: float = TASK_S) -> str:
        """Start the task and wait; the name of its fault, '' for success, '?' for no end."""
        task = self.started(call, *arguments)
        return task if isinstance(task, str) else self.ended(task, within_s)

    def started(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """The task, or the name of the fault with which it was refused at once."""
        try:
            with reaching(self.session.endpoint):
                return call(*arguments)
        except vmodl.MethodFault as error:
            return as_fault(error).name

    def ended(self, task: Any, within_s: float = TASK_S) -> str:
        """How the task ended; see `ask`."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            state = str(self.read(task, "info.state"))
            if state == "success":
                return ""
            if state == "error":
                return as_fault(self.read(task, "info.error")).name
            time.sleep(0.02)
        return "?"

    def read(self, thing: Any, path: str) -> Any:
        """A property as it is now, or None."""
        return self.reads(thing, [path]).get(path)

    def reads(self, thing: Any, paths: Sequence[str]) -> dict[str, Any]:
        """Some properties by path; what is unset is absent."""
        collector = vmodl.query.PropertyCollector
        wanted = collector.PropertySpec(type=type(thing), pathSet=list(paths))
        spec = collector.FilterSpec(objectSet=[collector.ObjectSpec(obj=thing)], propSet=[wanted])
        with reaching(self.session.endpoint):
            found = self.content.propertyCollector.RetrieveContents([spec])
        return {each.name: each.val for each in (found[0].propSet if found else ())}

    def where(self, vm: Any) -> str:
        """The name of the host on which the VM is."""
        return str(self.read(self.read(vm, "runtime.host"), "name"))

    def power(self, vm: Any) -> str:
        """The power state of the VM."""
        return str(self.read(vm, "runtime.powerState"))

    def events(self, *kinds: str) -> list[Any]:
        """Events of these types, of the last 100; chosen here, because vcsim takes the types of a
        filter for no restriction."""
        spec = vim.event.EventFilterSpec(maxCount=100)
        with reaching(self.session.endpoint):
            found = self.content.eventManager.QueryEvents(spec) or ()
        return [event for event in found if type(event).__name__.rpartition(".")[2] in kinds]


def _key(name: str) -> str:
    return f"profile/{name}"


@contextmanager
def connected(endpoint: Endpoint) -> Iterator[Lab]:
    """The lab at that endpoint, which has our hosts."""
    stub = open_stub(endpoint, CALL_S)
    try:
        with reaching(endpoint):
            content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
            content.sessionManager.Login(endpoint.user, endpoint.password, None)
        with Session.connect(endpoint, CALL_S) as session:
            yield Lab(session, stub, content)
    finally:
        stub.DropConnections()


@contextmanager
def on_vcsim(program: Program) -> Iterator[Lab]:
    """A lab of its own on a fresh vcsim, which ends with it."""
    if program.url:
        raise Unreachable(f"{program.url} runs already: the profile starts a vcsim per check")
    with tempfile.TemporaryDirectory(prefix="vmsim-profile-") as folder:
        inventory = Path(folder) / "inventory"
        write_inventory(inventory, HOSTS, template=template_of(program))
        with Vcsim(program).start(inventory) as simulator, connected(simulator.endpoint) as lab:
            yield lab
