"""Modelled time, real operations: carry out on a vSphere API what the model says just happened.

A vCenter simulator ends every task at once, so the model keeps the time: when a modelled task is
over, its operation is done for real and waited for. At the end of a run the API's own inventory
is compared with the model's picture, VM by VM, and any difference is an error.

A simulated vCenter cannot lose a host, so a failed host is played: its VMs are powered off and it
is disconnected. A host that joins later is there from the start, and unused until then.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from backends.vsphere_reads import Shown, VMSeen
from backends.vsphere_session import HostVerb, NewVM, TaskRef
from vmsim.actions import Fault, Task, Verb
from vmsim.objects import Hardware
from vmsim.ports import Believed, HostCommand, Sighting
from vmsim.problems import Unreachable

HOST_VERBS = {
    HostCommand.ENTER_MAINTENANCE: HostVerb.ENTER_MAINTENANCE,
    HostCommand.EXIT_MAINTENANCE: HostVerb.EXIT_MAINTENANCE,
    HostCommand.FAIL: HostVerb.DISCONNECT,
    HostCommand.ISOLATE: HostVerb.DISCONNECT,
    HostCommand.RECOVER: HostVerb.RECONNECT,
    HostCommand.REMOVE: HostVerb.DISCONNECT,
}


class Driver(Protocol):
    """What is asked of a vSphere API here; a `Session` does it, `Unreliable` not always."""

    def create(self, new: NewVM) -> Fault | None:
        """Create a VM and wait for it."""
        ...

    def resize(self, key: str, hardware: Hardware) -> Fault | None:
        """Give a VM that is off this hardware and wait."""
        ...

    def relocate(self, key: str, host: str) -> Fault | None:
        """Move it to another host and wait."""
        ...

    def submit(self, verb: Verb, key: str, host_name: str = "") -> TaskRef | Fault:
        """Start an operation on a VM."""
        ...

    def wait(
        self, started: Sequence[TaskRef | Fault], timeout_s: float = 60.0
    ) -> list[Fault | None]:
        """The outcome of each; None is success."""
        ...

    def command(self, verb: HostVerb, host: str) -> Fault | None:
        """Do this to the host and wait."""
        ...

    def vms(self) -> dict[str, VMSeen]:
        """Every VM by key."""
        ...


class VSphereEffects:
    """See `vmsim.ports.Effects`; owns nothing, the session is closed by whoever opened it."""

    def __init__(self, session: Driver) -> None:
        self._session = session
        self._done = 0
        self._touched: dict[str, int] = {}

    def task(self, task: Task) -> Fault | None:
        """Do what the task says, and wait for it."""
        try:
            return self._carry_out(task)
        finally:
            self._touch(task.vm)

    def sighting(self, shown: Callable[[], Shown]) -> Sighting:
        """What the API shows now; may be called in another thread."""
        began = self._done
        hosts, vms = shown()
        return Sighting(hosts, vms, lambda name: self._touched.get(name, 0) <= began)

    def _touch(self, name: str) -> None:
        """Something was done to it, so what was read before is outdated."""
        self._done += 1
        self._touched[name] = self._done

    def _carry_out(self, task: Task) -> Fault | None:
        session = self._session
        if task.verb is Verb.CREATE:
            assert task.hardware is not None, "a creation says of what"
            return session.create(NewVM(task.vm, task.host, task.hardware, task.datastore))
        if task.verb is Verb.RESIZE:
            assert task.hardware is not None, "a resize says to what"
            return session.resize(task.vm, task.hardware)
        if task.verb in (Verb.MIGRATE, Verb.RELOCATE):
            return session.relocate(task.vm, task.host)
        if task.verb is Verb.POWER_ON and task.source != task.host:
            fault = session.relocate(task.vm, task.host)
            if fault:
                return fault
        return session.wait([session.submit(task.verb, task.vm)])[0]

    def host(self, host: str, command: HostCommand) -> None:
        """Do to the host what the command says; a refusal means that the run is off the rails."""
        if command in (HostCommand.FAIL, HostCommand.STOP_VMS):
            self._power_off_all(host)
        verb = HOST_VERBS.get(command)
        fault = self._session.command(verb, host) if verb else None
        self._touch(host)
        if fault:
            raise Unreachable(f"{command} of {host} failed on the API: {fault}")

    def compare(self, believed: Iterable[Believed]) -> list[str]:
        """One line for each VM in which the API's inventory is not the picture."""
        seen = dict(self._session.vms())
        lines: list[str] = []
        for vm in believed:
            real = seen.pop(vm.key, None)
            if real is None:
                lines.append(f"{vm.key}: the model has it on {vm.host}, the API has no such VM")
            else:
                lines += _differences(vm, real)
        return lines + [f"{key}: the API has it on {vm.host}, the model has no such VM"
                        for key, vm in sorted(seen.items())]  # fmt: skip

    def _power_off_all(self, host: str) -> None:
        session = self._session
        running = [vm.key for vm in session.vms().values() if vm.host == host and vm.powered_on]
        faults = session.wait([session.submit(Verb.POWER_OFF, key) for key in running])
        for key, fault in zip(running, faults, strict=True):
            self._touch(key)
            if fault:
                raise Unreachable(f"{key} could not lose its power with {host}: {fault}")


def _differences(vm: Believed, real: VMSeen) -> list[str]:
    pairs = {
        "host": (vm.host, real.host),
        "power": (vm.power, real.power),
        **{
            name: (getattr(vm.hardware, name), getattr(real.hardware, name))
            for name in Hardware.__slots__
        },
    }
    return [
        f"{vm.key}: {what} is {ours} in the model, {theirs} on the API"
        for what, (ours, theirs) in pairs.items()
        if ours != theirs
    ]
