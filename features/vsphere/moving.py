"""Moves, power and lost hosts: what the inventory shows, and what is refused in which state."""

from typing import Any

from features.vsphere.checks import Check, granted, need, refused
from features.vsphere.lab import Lab, vim
from features.vsphere.maintenance import create, relocate

MOVES, POWER, LOST = "Moves", "Power", "Lost hosts"
NOT_CONNECTED = ("HostNotConnected", "HostNotReachable", "InvalidState", "HostCommunication")


def _shows_new_host(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    granted(lab.ask(lambda: relocate(lab, vm, "esx-2")))
    need(lab.where(vm) == "esx-2", f"the VM shows {lab.where(vm)}")


def _keeps_running(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    granted(lab.ask(lambda: relocate(lab, vm, "esx-2")))
    need(lab.power(vm) == "poweredOn", f"the VM is {lab.power(vm)}")
    stopped = len(lab.events("VmPoweredOffEvent"))
    need(stopped == 0, f"{stopped} power-offs")


def _lists_of_both(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    granted(lab.ask(lambda: relocate(lab, vm, "esx-2")))
    listed = {name: _lists(lab, name, vm) for name in ("esx-1", "esx-2")}
    need(listed == {"esx-1": False, "esx-2": True}, f"listed by host: {listed}")


def _lists(lab: Lab, host: str, vm: Any) -> bool:
    return vm._moId in [each._moId for each in lab.read(lab.host(host), "vm") or ()]


def _list_of_creation(lab: Lab) -> None:
    need(_lists(lab, "esx-1", lab.made("a", "esx-1")), "the host does not list the VM")


def _tells_both_hosts(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    granted(lab.ask(lambda: relocate(lab, vm, "esx-2")))
    told = lab.events("VmMigratedEvent")
    need(len(told) == 1, f"{len(told)} events")
    names = (told[0].sourceHost.name, told[0].host.name)
    need(names == ("esx-1", "esx-2"), f"the event says from {names[0]} to {names[1]}")


def _pool_of_cluster(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    fault = lab.ask(lambda: relocate(lab, vm, "other-1"))
    refused(fault, "InvalidArgument", "NoCompatibleHost", "InvalidRequest", "MismatchedVMotion"
            "NetworkNames")  # fmt: skip


def _migrate_method(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    granted(lab.ask(lambda: vm.MigrateVM_Task(None, lab.host("esx-2"), "defaultPriority", None)))
    need(lab.where(vm) == "esx-2", f"the VM shows {lab.where(vm)}")


def _compatibility(lab: Lab) -> None:
    vm, host = lab.running("a", "esx-1"), lab.host("esx-2")
    service = vim.ServiceInstance("ServiceInstance", vm._stub)
    task = lab.started(lambda: service.QueryVMotionCompatibility(vm, [host], None))
    granted(task if isinstance(task, str) else "")


def _not_to_lost_host(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    granted(lab.ask(lambda: lab.host("esx-2").DisconnectHost_Task()))
    refused(lab.ask(lambda: relocate(lab, vm, "esx-2")), *NOT_CONNECTED, "NoCompatibleHost")


def _power_on_elsewhere(lab: Lab) -> None:
    vm = lab.made("a", "esx-1")
    granted(lab.ask(lambda: vm.PowerOnVM_Task(lab.host("esx-2"))))
    need(lab.where(vm) == "esx-2", f"the VM runs on {lab.where(vm)}")


def _on_twice(lab: Lab) -> None:
    refused(lab.ask(lab.running("a", "esx-1").PowerOnVM_Task), "InvalidPowerState")


def _off_twice(lab: Lab) -> None:
    refused(lab.ask(lab.made("a", "esx-1").PowerOffVM_Task), "InvalidPowerState")


def _suspend_off(lab: Lab) -> None:
    refused(lab.ask(lab.made("a", "esx-1").SuspendVM_Task), "InvalidPowerState")


def _destroy_on(lab: Lab) -> None:
    refused(lab.ask(lab.running("a", "esx-1").Destroy_Task), "InvalidPowerState", "InvalidState")


def _shutdown_without_tools(lab: Lab) -> None:
    answer = lab.started(lab.running("a", "esx-1").ShutdownGuest)
    refused(answer or "", "ToolsUnavailable")


def _boot_time(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    need(lab.read(vm, "runtime.bootTime") is not None, "runtime.bootTime is not set")


def _one_name(lab: Lab) -> None:
    lab.made("a", "esx-1")
    refused(lab.ask(lambda: create(lab, "a", "esx-1")), "DuplicateName")


def _hot_cpus(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    fault = lab.ask(vm.ReconfigVM_Task, vim.vm.ConfigSpec(numCPUs=4))
    refused(fault, "CpuHotPlugNotSupported", "InvalidPowerState", "NotSupported")


def _stale_change(lab: Lab) -> None:
    vm = lab.made("a", "esx-1")
    granted(lab.ask(vm.ReconfigVM_Task, vim.vm.ConfigSpec(numCPUs=2)))
    spec = vim.vm.ConfigSpec(numCPUs=3, changeVersion="1")
    refused(lab.ask(vm.ReconfigVM_Task, spec), "ConcurrentAccess")


def _disconnected(lab: Lab) -> None:
    granted(lab.ask(lambda: lab.host("esx-1").DisconnectHost_Task()))
    state = lab.read(lab.host("esx-1"), "runtime.connectionState")
    need(state == "disconnected", f"the host is {state}")


def _vms_of_lost_host(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    granted(lab.ask(lambda: lab.host("esx-1").DisconnectHost_Task()))
    state = lab.read(vm, "runtime.connectionState")
    need(state == "disconnected", f"the VM is {state}")


def _no_orders_to_lost_host(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    granted(lab.ask(lambda: lab.host("esx-1").DisconnectHost_Task()))
    refused(lab.ask(vm.PowerOffVM_Task), *NOT_CONNECTED)


def _reconnected(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    granted(lab.ask(lambda: lab.host("esx-1").DisconnectHost_Task()))
    granted(lab.ask(lambda: lab.host("esx-1").ReconnectHost_Task(None, None)))
    found = (lab.read(lab.host("esx-1"), "runtime.connectionState"),
             lab.read(vm, "runtime.connectionState"), lab.power(vm))  # fmt: skip
    need(found == ("connected", "connected", "poweredOn"), f"host, VM and power: {found}")


def _loss_is_told(lab: Lab) -> None:
    granted(lab.ask(lambda: lab.host("esx-1").DisconnectHost_Task()))
    need(bool(lab.events("HostDisconnectedEvent")), "there is no event")


CHECKS = (
    Check("MOVE-1", MOVES, "A VM that was moved shows its new host.", ("S-08", "S-10"),
          _shows_new_host),
    Check("MOVE-2", MOVES, "A running VM keeps running while it is moved.", ("S-10",),
          _keeps_running),
    Check("MOVE-3", MOVES, "A host lists the VMs that are made on it.", ("S-08",),
          _list_of_creation),
    Check("MOVE-4", MOVES, "After a move the new host lists the VM, and the old one does not.",
          ("S-08", "S-10"), _lists_of_both),
    Check("MOVE-5", MOVES, "The event of a move names the source and the destination.", ("S-10",),
          _tells_both_hosts),
    Check("MOVE-6", MOVES, "A move to a host of another cluster must name a pool there.", ("S-10",),
          _pool_of_cluster),
    Check("MOVE-7", MOVES, "A running VM can be migrated (MigrateVM_Task).", ("S-10",),
          _migrate_method),
    Check("MOVE-8", MOVES, "Whether a VM can be migrated can be asked "
          "(QueryVMotionCompatibility).", ("S-10",), _compatibility),
    Check("MOVE-9", MOVES, "No VM is moved to a host that is not connected.", ("S-10",),
          _not_to_lost_host),
    Check("POW-1", POWER, "A VM is powered on on the host that the request names.", ("S-11",),
          _power_on_elsewhere),
    Check("POW-2", POWER, "A VM that runs cannot be powered on.", ("S-24",), _on_twice),
    Check("POW-3", POWER, "A VM that is off cannot be powered off.", ("S-24",), _off_twice),
    Check("POW-4", POWER, "A VM that is off cannot be suspended.", ("S-24",), _suspend_off),
    Check("POW-5", POWER, "A VM that runs cannot be destroyed.", ("S-02",), _destroy_on),
    Check("POW-6", POWER, "A guest without VMware Tools cannot be asked to shut down.", ("S-24",),
          _shutdown_without_tools),
    Check("POW-7", POWER, "A VM that was powered on shows since when.", ("S-24",), _boot_time),
    Check("POW-8", POWER, "Two VMs of a folder cannot have one name.", ("S-02",), _one_name),
    Check("POW-9", POWER, "A running VM without hot-plug cannot be given more CPUs.", ("S-21",),
          _hot_cpus),
    Check("POW-10", POWER, "A change that is based on an old configuration is refused.", ("S-21",),
          _stale_change),
    Check("LOST-1", LOST, "A host that is disconnected shows it.", ("S-10", "S-28"), _disconnected),
    Check("LOST-2", LOST, "The VMs of a disconnected host show that they are.", ("S-28",),
          _vms_of_lost_host),
    Check("LOST-3", LOST, "A VM of a disconnected host takes no orders.", ("S-28",),
          _no_orders_to_lost_host),
    Check("LOST-4", LOST, "A host that is connected again has its VMs as they were.", ("S-28",),
          _reconnected),
    Check("LOST-5", LOST, "The loss of a host is told by an event.", ("S-28",), _loss_is_told),
)  # fmt: skip
