"""Maintenance mode: a host is emptied before it enters, and takes nothing while it is in it."""

from typing import Any

from features.vsphere.checks import Check, granted, need, refused
from features.vsphere.lab import HOSTS, Lab, vim

AREA = "Maintenance mode"
IN_MAINTENANCE = ("InvalidState", "HostInMaintenanceMode", "InvalidHostState", "HostCommunication")


def _enter(lab: Lab, host: str = "esx-1", timeout_s: int = 0) -> str:
    call = lab.host(host).EnterMaintenanceMode_Task
    return lab.ask(lambda: call(timeout_s, False, None))


def _is_in(lab: Lab, host: str = "esx-1") -> bool:
    return bool(lab.read(lab.host(host), "runtime.inMaintenanceMode"))


def _empty_host_enters(lab: Lab) -> None:
    granted(_enter(lab))
    need(_is_in(lab), "the host does not show it")


def _waits_for_running_vms(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    _enter(lab, timeout_s=2)
    left = lab.where(vm) != "esx-1" or lab.power(vm) != "poweredOn"
    need(left or not _is_in(lab), "the host is in maintenance mode, and the VM runs there")


def _off_vms_do_not_matter(lab: Lab) -> None:
    lab.made("a", "esx-1")
    granted(_enter(lab))
    need(_is_in(lab), "the host does not show it")


def _no_power_on(lab: Lab) -> None:
    vm = lab.made("a", "esx-1")
    granted(_enter(lab))
    refused(lab.ask(vm.PowerOnVM_Task), *IN_MAINTENANCE)


def _no_new_vm(lab: Lab) -> None:
    granted(_enter(lab))
    refused(lab.ask(lambda: create(lab, "a", "esx-1")), *IN_MAINTENANCE)


def _no_move_in(lab: Lab) -> None:
    vm = lab.running("a", "esx-2")
    granted(_enter(lab))
    refused(lab.ask(lambda: relocate(lab, vm, "esx-1")), *IN_MAINTENANCE)


def _not_twice(lab: Lab) -> None:
    granted(_enter(lab))
    refused(_enter(lab), "InvalidState")


def _not_left_twice(lab: Lab) -> None:
    refused(lab.ask(lambda: lab.host("esx-1").ExitMaintenanceMode_Task(0)), "InvalidState")


def _open_again(lab: Lab) -> None:
    vm = lab.made("a", "esx-1")
    granted(_enter(lab))
    granted(lab.ask(lambda: lab.host("esx-1").ExitMaintenanceMode_Task(0)))
    need(not _is_in(lab), "the host does not show it")
    granted(lab.ask(vm.PowerOnVM_Task))


def _events(lab: Lab) -> None:
    granted(_enter(lab))
    need(bool(lab.events("EnteredMaintenanceModeEvent")), "there is no event")


def _capacity_shrinks(lab: Lab) -> None:
    before = lab.read(lab.cluster(), "summary.numEffectiveHosts")
    granted(_enter(lab))
    after = lab.read(lab.cluster(), "summary.numEffectiveHosts")
    need(after == before - 1, f"{before} effective hosts before, {after} after")


def relocate(lab: Lab, vm: Any, host: str, *, pool: Any = None) -> Any:
    """Ask for a move of the VM to that host."""
    return vm.RelocateVM_Task(vim.vm.RelocateSpec(host=lab.host(host), pool=pool), None)


def create(lab: Lab, name: str, host: str) -> Any:
    """Ask for a new VM on a host and a datastore that it mounts: vcsim dies without one."""
    assert host in {each.name for each in HOSTS}
    parent = lab.read(lab.host(host), "parent")
    spec = vim.vm.ConfigSpec(
        name=f"profile.{name}",
        numCPUs=1,
        memoryMB=512,
        guestId="otherGuest64",
        files=vim.vm.FileInfo(vmPathName=f"[{HOSTS[0].datastores[0]}]"),
    )
    folder = lab.read(lab.content.rootFolder.childEntity[0], "vmFolder")
    return folder.CreateVM_Task(spec, lab.read(parent, "resourcePool"), lab.host(host))


CHECKS = (
    Check("MM-1", AREA, "An empty host enters maintenance mode and shows it.", ("S-10",),
          _empty_host_enters),
    Check("MM-2", AREA, "A host does not enter maintenance mode while a VM runs on it.",
          ("S-10", "S-11"), _waits_for_running_vms),
    Check("MM-3", AREA, "VMs that are off do not keep a host from maintenance mode.", ("S-09",),
          _off_vms_do_not_matter),
    Check("MM-4", AREA, "A host in maintenance mode powers no VM on.", ("S-11", "S-12"),
          _no_power_on),
    Check("MM-5", AREA, "A host in maintenance mode takes no new VM.", ("S-07",), _no_new_vm),
    Check("MM-6", AREA, "No VM is moved to a host in maintenance mode.", ("S-10",), _no_move_in),
    Check("MM-7", AREA, "A host that is in maintenance mode cannot enter it again.", ("S-10",),
          _not_twice),
    Check("MM-8", AREA, "A host that is not in maintenance mode cannot leave it.", ("S-12",),
          _not_left_twice),
    Check("MM-9", AREA, "A host that left maintenance mode powers VMs on again.", ("S-12",),
          _open_again),
    Check("MM-10", AREA, "Entering maintenance mode is told by an event.", ("S-10",), _events),
    Check("MM-11", AREA, "A host in maintenance mode does not count as an effective host.",
          ("S-12",), _capacity_shrinks),
)  # fmt: skip
