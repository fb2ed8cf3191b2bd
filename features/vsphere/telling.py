"""Tasks, events and updates: what happened is told, once, and alike in all three."""

from typing import Any

from backends.vsphere_endpoint import as_fault, reaching
from features.vsphere.checks import Check, granted, need, refused
from features.vsphere.lab import Lab, vim, vmodl

TASKS, UPDATES = "Tasks and events", "Updates"
WAIT_S = 2


def _task_tells(lab: Lab) -> None:
    vm = lab.made("a", "esx-1")
    task = lab.started(vm.PowerOnVM_Task)
    granted(task if isinstance(task, str) else lab.ended(task))
    told = lab.reads(task, ["info.state", "info.entity", "info.startTime", "info.completeTime"])
    need(told.get("info.entity") is not None and told["info.entity"]._moId == vm._moId,
         "the task does not name the VM")  # fmt: skip
    begun, over = told.get("info.startTime"), told.get("info.completeTime")
    need(begun is not None and over is not None and begun <= over, f"from {begun} to {over}")


def _failed_task_tells(lab: Lab) -> None:
    task = lab.started(lab.made("a", "esx-1").PowerOffVM_Task)
    if not isinstance(task, str):
        refused(lab.ended(task), "InvalidPowerState")
        fault = lab.read(task, "info.error")
        need(str(fault.existingState) == "poweredOff", f"existing state {fault.existingState}")


def _power_events(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    granted(lab.ask(vm.PowerOffVM_Task))
    kinds = [type(event).__name__.rpartition(".")[2]
             for event in lab.events("VmPoweredOnEvent", "VmPoweredOffEvent")]  # fmt: skip
    need(sorted(kinds) == ["VmPoweredOffEvent", "VmPoweredOnEvent"], f"the events are {kinds}")


def _refusal_no_event(lab: Lab) -> None:
    lab.ask(lab.running("a", "esx-1").PowerOnVM_Task)
    told = len(lab.events("VmPoweredOnEvent"))
    need(told == 1, f"{told} power-on events after one power-on and one refusal")


def _event_names_vm(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    told = lab.events("VmPoweredOnEvent")
    need(len(told) == 1, f"{len(told)} events")
    names = (told[0].vm.vm._moId if told[0].vm else "", told[0].host.name if told[0].host else "")
    need(names == (vm._moId, "esx-1"), f"the event names {names}")


def _updates(lab: Lab, thing: Any, path: str, act: Any) -> None:
    """After `act` a filter on that path must tell of the change. Nothing is destroyed meanwhile:
    vcsim has panicked on that while a filter was open."""
    collector = lab.content.propertyCollector
    query = vmodl.query.PropertyCollector
    wanted = query.PropertySpec(type=type(thing), pathSet=[path])
    spec = query.FilterSpec(objectSet=[query.ObjectSpec(obj=thing)], propSet=[wanted])
    options = query.WaitOptions(maxWaitSeconds=WAIT_S)
    with reaching(lab.session.endpoint):
        kept = collector.CreateFilter(spec, False)
        first = collector.WaitForUpdatesEx("", options)
        granted(act())
        later = collector.WaitForUpdatesEx(first.version, options) if first else None
        kept.DestroyPropertyFilter()
    need(later is not None, f"no update of {path}")


def _update_of_power(lab: Lab) -> None:
    vm = lab.made("a", "esx-1")
    _updates(lab, vm, "runtime.powerState", lambda: lab.ask(vm.PowerOnVM_Task))


def _update_of_maintenance(lab: Lab) -> None:
    host = lab.host("esx-1")
    _updates(lab, host, "runtime.inMaintenanceMode",
             lambda: lab.ask(lambda: host.EnterMaintenanceMode_Task(0, False, None)))  # fmt: skip


def _update_of_connection(lab: Lab) -> None:
    host = lab.host("esx-1")
    _updates(lab, host, "runtime.connectionState",
             lambda: lab.ask(lambda: host.DisconnectHost_Task()))  # fmt: skip


def _update_of_hardware(lab: Lab) -> None:
    vm = lab.made("a", "esx-1")
    spec = vim.vm.ConfigSpec(numCPUs=2)
    _updates(lab, vm, "config.hardware.numCPU", lambda: lab.ask(vm.ReconfigVM_Task, spec))


def _unknown_path(lab: Lab) -> None:
    try:
        lab.reads(lab.made("a", "esx-1"), ["runtime.nonsense"])
    except vmodl.MethodFault as error:
        refused(as_fault(error).name, "InvalidProperty")
    else:
        refused("")


CHECKS = (
    Check("TASK-1", TASKS, "A task that ended tells of what it was, and from when to when.",
          ("S-24",), _task_tells),
    Check("TASK-2", TASKS, "A task that failed tells its fault with the state that forbade it.",
          ("S-12",), _failed_task_tells),
    Check("TASK-3", TASKS, "Powering on and off is told by one event each.", ("S-24",),
          _power_events),
    Check("TASK-4", TASKS, "A power-on that is refused is not told as one.", ("S-24",),
          _refusal_no_event),
    Check("TASK-5", TASKS, "The event of a power-on names the VM and its host.", ("S-08",),
          _event_names_vm),
    Check("UPD-1", UPDATES, "Who waits for updates is told of a VM's power.", ("S-24",),
          _update_of_power),
    Check("UPD-2", UPDATES, "Who waits for updates is told of a host's maintenance mode.",
          ("S-10",), _update_of_maintenance),
    Check("UPD-3", UPDATES, "Who waits for updates is told of a host's connection.", ("S-28",),
          _update_of_connection),
    Check("UPD-4", UPDATES, "Who waits for updates is told of a VM's hardware.", ("S-03",),
          _update_of_hardware),
    Check("UPD-5", UPDATES, "A read of a property that there is not is refused.", ("S-01",),
          _unknown_path),
)  # fmt: skip
