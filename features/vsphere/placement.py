"""Capacity, devices and rules: what vSphere refuses because a host cannot, or may not, run a VM."""

from typing import Any

from features.vsphere.checks import Check, granted, need, refused
from features.vsphere.lab import CORES, MEMORY_MIB, MHZ, PROFILE, Lab, vim
from features.vsphere.maintenance import relocate

CAPACITY, DEVICES, RULES = "Capacity and reservations", "Devices", "Rules"
NO_MEMORY = (
    "InsufficientMemoryResourcesFault",
    "InsufficientHostMemoryCapacityFault",
    "InsufficientHostCapacityFault",
    "InsufficientResourcesFault",
    "NoCompatibleHost",
    "MemorySizeNotSupported",
)
NO_CPU = (
    "InsufficientCpuResourcesFault",
    "InsufficientHostCpuCapacityFault",
    "InsufficientHostCapacityFault",
    "InsufficientResourcesFault",
    "NoCompatibleHost",
    "NotEnoughCpus",
    "NotEnoughLogicalCpus",
    "CpuIncompatible",
)
NO_DEVICE = (
    "CannotAccessVmDevice",
    "DeviceNotFound",
    "DeviceNotSupported",
    "GenericVmConfigFault",
    "InsufficientGraphicsResourcesFault",
    "NoCompatibleHost",
    "PassthroughNotSupported",
    "InvalidDeviceBacking",
)
NO_MIGRATION = (
    "DisallowedMigrationDeviceAttached",
    "MigrationFault",
    "MigrationFeatureNotSupported",
    "VMotionInterfaceIssue",
    "VMotionNotSupported",
    "GenericVmConfigFault",
)


def _reserve(lab: Lab, vm: Any, *, memory_mib: int = 0, cpu_mhz: int = 0) -> None:
    spec = vim.vm.ConfigSpec()
    if memory_mib:
        spec.memoryAllocation = vim.ResourceAllocationInfo(reservation=memory_mib)
    if cpu_mhz:
        spec.cpuAllocation = vim.ResourceAllocationInfo(reservation=cpu_mhz)
    granted(lab.ask(vm.ReconfigVM_Task, spec))


def _kept_reservation(lab: Lab) -> None:
    vm = lab.made("a", "esx-1")
    _reserve(lab, vm, memory_mib=512, cpu_mhz=500)
    kept = (
        lab.read(vm, "config.memoryAllocation.reservation"),
        lab.read(vm, "config.cpuAllocation.reservation"),
    )
    need(kept == (512, 500), f"the VM shows {kept}")


def _memory_of_host(lab: Lab) -> None:
    vm = lab.made("a", "esx-1", memory_mib=2 * MEMORY_MIB)
    _reserve(lab, vm, memory_mib=2 * MEMORY_MIB)
    refused(lab.ask(vm.PowerOnVM_Task), *NO_MEMORY)


def _memory_of_all(lab: Lab) -> None:
    share = MEMORY_MIB * 6 // 10
    for name in ("a", "b"):
        _reserve(lab, lab.made(name, "esx-1", memory_mib=share), memory_mib=share)
    granted(lab.ask(lab.vm("a").PowerOnVM_Task))
    answer = lab.ask(lab.vm("b").PowerOnVM_Task)
    if answer or lab.where(lab.vm("b")) == "esx-1":  # DRS may start it elsewhere
        refused(answer, *NO_MEMORY)


def _cpus_of_host(lab: Lab) -> None:
    refused(lab.ask(lab.made("a", "esx-1", cpus=4 * CORES).PowerOnVM_Task), *NO_CPU)


def _mhz_of_host(lab: Lab) -> None:
    vm = lab.made("a", "esx-1", cpus=CORES)
    _reserve(lab, vm, cpu_mhz=2 * CORES * MHZ)
    refused(lab.ask(vm.PowerOnVM_Task), *NO_CPU, "InvalidArgument")


def _pool_limit(lab: Lab) -> None:
    root = lab.read(lab.cluster(), "resourcePool")
    allocation = vim.ResourceAllocationInfo(
        reservation=0, expandableReservation=False, limit=-1,
        shares=vim.SharesInfo(level="normal", shares=4000),
    )  # fmt: skip
    spec = vim.ResourceConfigSpec(cpuAllocation=allocation, memoryAllocation=allocation)
    pool = root.CreateResourcePool("small", spec)
    vm = lab.made("a", "esx-1")
    granted(lab.ask(lambda: relocate(lab, vm, "esx-1", pool=pool)))
    _reserve(lab, vm, memory_mib=512)
    refused(lab.ask(vm.PowerOnVM_Task), *NO_MEMORY)


def _power_on_can_be_asked(lab: Lab) -> None:
    vm = lab.made("a", "esx-1", memory_mib=2 * MEMORY_MIB)
    checker = lab.content.vmCompatibilityChecker
    task = lab.started(lambda: checker.CheckPowerOn_Task(vm, lab.host("esx-1"), None, None))
    granted(task if isinstance(task, str) else lab.ended(task))


def _vgpu() -> Any:
    backing = vim.vm.device.VirtualPCIPassthrough.VmiopBackingInfo(vgpu=PROFILE)
    device = vim.vm.device.VirtualPCIPassthrough(key=-1, backing=backing)
    return vim.vm.device.VirtualDeviceSpec(operation="add", device=device)


def _with_device(lab: Lab, name: str) -> Any:
    """A VM with a vGPU, or whose vGPU was refused already because no host has one."""
    vm = lab.made(name, "esx-1")
    fault = lab.ask(vm.ReconfigVM_Task, vim.vm.ConfigSpec(deviceChange=[_vgpu()]))
    if fault:
        refused(fault, *NO_DEVICE)
        return None
    return vm


def _device_needs_host(lab: Lab) -> None:
    vm = _with_device(lab, "a")
    if vm is not None:
        refused(lab.ask(vm.PowerOnVM_Task), *NO_DEVICE)


def _device_not_moved(lab: Lab) -> None:
    vm = _with_device(lab, "a")
    if vm is not None and not lab.ask(vm.PowerOnVM_Task):
        refused(lab.ask(lambda: relocate(lab, vm, "esx-2")), *NO_MIGRATION)


def _device_not_suspended(lab: Lab) -> None:
    vm = _with_device(lab, "a")
    if vm is not None and not lab.ask(vm.PowerOnVM_Task):
        refused(lab.ask(vm.SuspendVM_Task), *NO_MIGRATION, "InvalidState", "NotSupported")


def _device_not_hot_added(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    fault = lab.ask(vm.ReconfigVM_Task, vim.vm.ConfigSpec(deviceChange=[_vgpu()]))
    refused(fault, *NO_DEVICE, "InvalidPowerState", "InvalidDeviceSpec", "InvalidDeviceOperation")


def _keep_apart(lab: Lab, *names: str) -> str:
    rule = vim.cluster.AntiAffinityRuleSpec(
        name="apart", enabled=True, mandatory=True, vm=[lab.vm(name) for name in names]
    )
    return _rule(lab, rule)


def _rule(lab: Lab, rule: Any, *groups: Any) -> str:
    spec = vim.cluster.ConfigSpecEx(
        drsConfig=vim.cluster.DrsConfigInfo(enabled=True),
        rulesSpec=[vim.cluster.RuleSpec(operation="add", info=rule)],
        groupSpec=[vim.cluster.GroupSpec(operation="add", info=group) for group in groups],
    )
    return lab.ask(lambda: lab.cluster().ReconfigureComputeResource_Task(spec, True))


def _rules_kept(lab: Lab) -> None:
    for name in ("a", "b"):
        lab.made(name, "esx-1")
    granted(_keep_apart(lab, "a", "b"))
    rules = lab.read(lab.cluster(), "configurationEx").rule
    need([rule.name for rule in rules] == ["apart"], "the cluster does not show the rule")


def _apart(lab: Lab) -> None:
    for name in ("a", "b"):
        lab.made(name, "esx-1")
    granted(_keep_apart(lab, "a", "b"))
    granted(lab.ask(lab.vm("a").PowerOnVM_Task))
    answer = lab.ask(lab.vm("b").PowerOnVM_Task)
    if answer or lab.where(lab.vm("b")) == lab.where(lab.vm("a")):
        refused(answer, "RuleViolation", "NoCompatibleHost", "VmVmAffinityRuleViolation")


def _bound_to(lab: Lab, name: str, host: str) -> None:
    groups = (
        vim.cluster.VmGroup(name="vms", vm=[lab.vm(name)]),
        vim.cluster.HostGroup(name="hosts", host=[lab.host(host)]),
    )
    rule = vim.cluster.VmHostRuleInfo(
        name="bound", enabled=True, mandatory=True, vmGroupName="vms", affineHostGroupName="hosts"
    )
    granted(_rule(lab, rule, *groups))


def _must_not_leave(lab: Lab) -> None:
    vm = lab.running("a", "esx-1")
    _bound_to(lab, "a", "esx-1")
    fault = lab.ask(lambda: relocate(lab, vm, "esx-2"))
    refused(fault, "VmHostAffinityRuleViolation", "RuleViolation", "NoCompatibleHost")


def _must_not_start(lab: Lab) -> None:
    vm = lab.made("a", "esx-2")
    _bound_to(lab, "a", "esx-1")
    answer = lab.ask(vm.PowerOnVM_Task)
    if answer or lab.where(vm) != "esx-1":
        refused(answer, "VmHostAffinityRuleViolation", "RuleViolation", "NoCompatibleHost")


def _rules_found(lab: Lab) -> None:
    for name in ("a", "b"):
        lab.made(name, "esx-1")
    granted(_keep_apart(lab, "a", "b"))
    answer = lab.started(lambda: lab.cluster().FindRulesForVm(lab.vm("a")))
    granted(answer if isinstance(answer, str) else "")
    need(bool(answer), "the rule is not found")


CHECKS = (
    Check("CAP-1", CAPACITY, "A VM keeps the reservations that it is given.", ("S-03",),
          _kept_reservation),
    Check("CAP-2", CAPACITY, "A VM that reserves more memory than a host has is not powered on.",
          ("S-12",), _memory_of_host),
    Check("CAP-3", CAPACITY, "VMs that together reserve more memory than a host has do not run "
          "there together.", ("S-12",), _memory_of_all),
    Check("CAP-4", CAPACITY, "A VM with more CPUs than the host has threads is not powered on.",
          ("S-12",), _cpus_of_host),
    Check("CAP-5", CAPACITY, "A VM that reserves more MHz than a host has is not powered on.",
          ("S-12",), _mhz_of_host),
    Check("CAP-6", CAPACITY, "A pool that may not expand admits no reservation beyond its own.",
          ("S-12",), _pool_limit),
    Check("CAP-7", CAPACITY, "Whether a power-on would be refused can be asked (CheckPowerOn).",
          ("S-12",), _power_on_can_be_asked),
    Check("DEV-1", DEVICES, "A VM with a vGPU is not powered on on a host without one.", ("S-11",),
          _device_needs_host),
    Check("DEV-2", DEVICES, "A running VM with a vGPU is not moved where that is not enabled.",
          ("S-11",), _device_not_moved),
    Check("DEV-3", DEVICES, "A VM with a vGPU cannot be suspended where that is not enabled.",
          ("S-11",), _device_not_suspended),
    Check("DEV-4", DEVICES, "A vGPU cannot be added to a running VM.", ("S-21",),
          _device_not_hot_added),
    Check("RULE-1", RULES, "A cluster keeps the rules that it is given.", ("S-10",), _rules_kept),
    Check("RULE-2", RULES, "VMs that must keep apart do not run on one host.", ("S-10",), _apart),
    Check("RULE-3", RULES, "A VM that must run on some hosts is not moved to another.", ("S-10",),
          _must_not_leave),
    Check("RULE-4", RULES, "A VM that must run on some hosts is not powered on on another.",
          ("S-07",), _must_not_start),
    Check("RULE-5", RULES, "The rules of a VM can be asked for.", ("S-10",), _rules_found),
)  # fmt: skip
