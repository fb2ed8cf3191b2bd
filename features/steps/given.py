"""What is there before: the edition of the API, hosts, a namespace, VMs."""

from pytest_bdd import given

from features.steps.phrases import phrase
from features.target import Target
from features.user import NAMESPACE, PAUSED_LABEL, ZONE_LABEL

GUEST = "otherLinux64Guest"


@given(phrase("the API of edition {edition}"))
def _edition(target: Target, edition: str) -> None:
    target.edition = edition


@given(phrase("hosts {names:qs}"))
def _hosts(target: Target, names: list[str]) -> None:
    for name in names:
        target.declare_host(name)


@given(phrase('host "{name:q}" in zone "{zone:q}"'))
def _host_in_zone(target: Target, name: str, zone: str) -> None:
    target.declare_host(name, zone)


@given(phrase('host "{name:q}" with {memory} of memory'))
def _host_with_memory(target: Target, name: str, memory: str) -> None:
    target.declare_host(name, memory=memory)


@given(phrase('hosts {names:qs} with device "{device:q}"'))
def _hosts_with_device(target: Target, names: list[str], device: str) -> None:
    for name in names:
        target.declare_host(name, devices={device: 1})


@given(phrase('host "{name:q}" with device "{device:q}" outside the cluster'))
def _spare_with_device(target: Target, name: str, device: str) -> None:
    target.declare_spare(name, devices={device: 1})


@given(phrase('host "{name:q}" with {memory} of memory outside the cluster'))
def _spare_with_memory(target: Target, name: str, memory: str) -> None:
    target.declare_spare(name, memory=memory)


@given("vCenter live-migrates VMs with a vGPU")
def _hot_migrate(target: Target) -> None:
    target.set_policy("vgpuHotMigrate", True)


@given(phrase('namespace "{name:q}" with a class, an image and a storage class'))
def _namespace(target: Target, name: str) -> None:
    assert name == NAMESPACE, f"the example files make namespace {NAMESPACE}"
    target.apply_file(f"prerequisites-{target.edition}.yaml")
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('namespace "{name:q}" may use zones {zones:qs}'))
def _zones(target: Target, name: str, zones: list[str]) -> None:
    for zone in zones:
        if target.edition == "2023-03":
            members: dict[str, object] = {name: {}}
            target.apply_object("AvailabilityZone", {"name": zone}, spec={"namespaces": members})
        else:
            target.apply_object("Zone", {"name": zone, "namespace": name}, spec={})
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('class "{name:q}" with {cpus:d} CPUs and {memory} of memory'))
def _class(target: Target, name: str, cpus: int, memory: str) -> None:
    target.apply_class(name, {"cpus": cpus, "memory": memory})


@given(phrase('class "{name:q}" with device "{device:q}"'))
def _class_with_device(target: Target, name: str, device: str) -> None:
    """`vendor:device` is passed through, anything else is the profile of a vGPU."""
    vendor, _, product = device.partition(":")
    devices: dict[str, list[dict[str, object]]] = {"vgpuDevices": [{"profileName": device}]}
    if product:
        item: dict[str, object] = {"vendorID": int(vendor, 16), "deviceID": int(product, 16)}
        devices = {"dynamicDirectPathIODevices": [item]}
    target.apply_class(name, {"cpus": 2, "memory": "4Gi", "devices": devices})
    assert not target.answer.reasons, target.answer.reasons


@given(phrase("running VMs {names:qs}"))
def _running_vms(target: Target, names: list[str]) -> None:
    for name in names:
        target.apply_vm(name)
    for name in names:
        _await_running(target, name)


@given(phrase('running VM "{name:q}" of class "{vm_class:q}"'))
def _running_vm_of_class(target: Target, name: str, vm_class: str) -> None:
    target.apply_vm(name, className=vm_class)
    _await_running(target, name)


@given(phrase('VM "{name:q}" that is {state:power}'))
def _vm_that_is(target: Target, name: str, state: str) -> None:
    make(target, name, state, {})


@given(phrase('VM "{name:q}" that is {state:power}, with these fields of spec:'))
def _vm_with_fields(target: Target, name: str, state: str, docstring: str) -> None:
    make(target, name, state, target.fields(docstring))


@given(phrase('VM "{name:q}" that waits for a host'))
def _waiting_vm(target: Target, name: str) -> None:
    target.apply_vm(name)
    assert not target.answer.reasons, target.answer.reasons
    target.wait(target.timeouts.running_s)
    assert not target.is_running(name), f"VM {name} runs on {target.node(name)}"


@given(phrase('namespace "{name:q}"'))
def _bare_namespace(target: Target, name: str) -> None:
    target.apply_object("Namespace", {"name": name})


@given(phrase('namespace "{name:q}" with a class and a storage class, but without its image'))
def _namespace_without_image(target: Target, name: str) -> None:
    _namespace(target, name)
    target.drop_image()


@given("another class, image and storage class")
def _others(target: Target) -> None:
    target.apply_class("another-class", {"cpus": 4, "memory": "8Gi"})
    target.copy_image("photon5" if target.edition == "2023-03" else "vmi-00000000000000005")
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('cluster image "{name:q}"'))
def _cluster_image(target: Target, name: str) -> None:
    spec = {"providerRef": {"kind": "ContentLibraryItem", "name": name}}
    target.apply_object("ClusterVirtualMachineImage", {"name": name}, spec=spec)
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('VM "{name:q}" with zone label "{zone:q}" that is {state:power}'))
def _vm_in_zone(target: Target, name: str, zone: str, state: str) -> None:
    make(target, name, state, {"labels": {ZONE_LABEL: zone}})


@given(phrase('VM "{name:q}" that is {state:power} and has a CD-ROM'))
def _vm_with_cdrom(target: Target, name: str, state: str) -> None:
    image = {"kind": "VirtualMachineImage", "name": "vmi-00000000000000006"}
    drive = {"name": "cdrom1", "image": image, "connected": True, "allowGuestControl": True}
    make(target, name, state, {"guestID": GUEST, "hardware": {"cdrom": [drive]}})


@given(phrase('VM "{name:q}" that waits for class "{vm_class:q}"'))
def _vm_without_class(target: Target, name: str, vm_class: str) -> None:
    target.apply_vm(name, className=vm_class)
    _await_nothing(target, name)


@given(phrase('VM "{name:q}" that waits for its image'))
def _vm_without_image(target: Target, name: str) -> None:
    target.apply_vm(name)
    _await_nothing(target, name)


@given(phrase('VM "{name:q}" that waits for image "{image:q}"'))
def _vm_without_that_image(target: Target, name: str, image: str) -> None:
    target.apply_vm(name, imageName=image)
    _await_nothing(target, name)


@given(phrase('VM "{name:q}" that was running and is deleted'))
def _deleted_vm(target: Target, name: str) -> None:
    target.apply_vm(name)
    _await_running(target, name)
    target.delete("VirtualMachine", name)
    assert target.until(lambda: target.get(name) is None, target.timeouts.running_s)


@given(phrase('VM "{name:q}" that has waited for a host for {time:time}'))
def _long_waiting_vm(target: Target, name: str, time: float) -> None:
    target.apply_vm(name)
    target.wait(time)
    assert not target.is_running(name), f"VM {name} runs on {target.node(name)}"


@given(phrase('the host of VM "{name:q}" is asked to enter maintenance'))
def _asked_to_enter(target: Target, name: str) -> None:
    target.administer(enterMaintenance=target.node(name))
    target.wait(target.timeouts.maintenance_s)


@given(phrase('the host of VM "{name:q}" has just begun to enter maintenance'))
def _begun_to_enter(target: Target, name: str) -> None:
    target.administer(enterMaintenance=target.node(name))
    target.wait(2)


@given("all hosts failed")
def _all_failed(target: Target) -> None:
    for host in target.hosts():
        target.administer(failHost=host)
    target.wait(target.timeouts.running_s)


@given(phrase('VM "{name:q}" that was asked to restart'))
def _asked_to_restart(target: Target, name: str) -> None:
    target.apply_vm(name)
    _await_running(target, name)
    target.patch(name, {"spec": {"nextRestartTime": "now"}})
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('VM "{name:q}" that is being made'))
def _vm_being_made(target: Target, name: str) -> None:
    target.apply_vm(name)
    target.wait(2)
    assert not target.answer.reasons, target.answer.reasons
    assert target.held(name) is None, f"VM {name} is made already"


@given(phrase('the host of VM "{name:q}" was emptied and is in maintenance'))
def _emptied(target: Target, name: str) -> None:
    host = target.node(name)
    _enter_maintenance(target, host)
    _await_other_host(target, name, host)


@given(phrase('the host of VM "{name:q}" failed, and the VM runs elsewhere'))
def _failed(target: Target, name: str) -> None:
    host = target.node(name)
    target.administer(failHost=host)
    _await_other_host(target, name, host)


@given(phrase('VM "{name:q}" of class "{vm_class:q}" that lost its host to maintenance'))
def _stranded_by_maintenance(target: Target, name: str, vm_class: str) -> None:
    target.apply_vm(name, className=vm_class)
    _await_running(target, name)
    _enter_maintenance(target, target.node(name))
    target.wait(target.timeouts.running_s)
    assert not target.runs_anywhere(name), f"VM {name} still runs"


@given(phrase('VM "{name:q}" of class "{vm_class:q}" that lost its host to a failure'))
def _stranded_by_failure(target: Target, name: str, vm_class: str) -> None:
    target.apply_vm(name, className=vm_class)
    _await_running(target, name)
    target.administer(failHost=target.node(name))
    target.wait(target.timeouts.running_s)
    assert not target.runs_anywhere(name), f"VM {name} still runs"


@given(phrase('VM "{name:q}" with annotation "{key:q}" that is {state:power}'))
def _annotated_vm(target: Target, name: str, key: str, state: str) -> None:
    make(target, name, state, {"annotations": {key: "true"}})


@given(phrase('VM "{name:q}" that is held back by annotation "{key:q}"'))
def _held_vm(target: Target, name: str, key: str) -> None:
    make(target, name, "powered off", {"annotations": {key: "true"}})
    target.patch(name, {"spec": {"powerState": target.words.power["powered on"]}})
    target.wait(target.timeouts.running_s)
    assert not target.runs_anywhere(name), f"VM {name} runs"


@given(phrase('running VM "{name:q}" whose work is paused by "{who:q}"'))
def _paused_vm(target: Target, name: str, who: str) -> None:
    target.apply_vm(name)
    _await_running(target, name)
    target.patch(name, {"metadata": {"labels": {PAUSED_LABEL: who}}})
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('VM "{name:q}" is wanted powered off all the same'))
def _wanted_off(target: Target, name: str) -> None:
    target.patch(name, {"spec": {"powerState": target.words.power["powered off"]}})
    target.wait(target.timeouts.running_s)
    assert target.is_running(name), f"VM {name} does not run"


@given(phrase('VM "{name:q}" whose deletion waits for its host'))
def _stuck_deletion(target: Target, name: str) -> None:
    target.apply_vm(name)
    _await_running(target, name)
    _all_failed(target)
    target.delete("VirtualMachine", name)
    target.wait(target.timeouts.running_s)
    assert target.get(name) is not None, f"VM {name} is gone"


@given(phrase('suspended VM "{name:q}" with power-off mode "{mode:q}"'))
def _suspended_vm(target: Target, name: str, mode: str) -> None:
    make(target, name, "powered on", {"powerOffMode": mode})
    word = target.words.power["suspended"]
    target.patch(name, {"spec": {"powerState": word}})
    limit_s = target.timeouts.running_s
    assert target.until(lambda: target.power(name) == word, limit_s), target.status(name)


@given(phrase("claims {names:qs} of volumes in zones {zones:qs}"))
def _claims(target: Target, names: list[str], zones: list[str]) -> None:
    for name, zone in zip(names, zones, strict=True):
        target.apply_claim(name, zone)
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('{kind:w} "{name:q}" is missing'))
def _missing(target: Target, kind: str, name: str) -> None:
    target.delete(kind, name)
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('image "{name:q}" with display name "{display:q}"'))
def _named_image(target: Target, name: str, display: str) -> None:
    target.copy_image(name, display)
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('image "{name:q}" that is not ready'))
def _unready_image(target: Target, name: str) -> None:
    target.copy_image(name, ready=False)
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('storage class "{name:q}" that the namespace is not offered'))
def _foreign_storage(target: Target, name: str) -> None:
    target.apply_storage(name, "11111111-1111-4111-8111-111111111111", offered=False)
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('storage class "{name:q}" without a policy'))
def _storage_without_policy(target: Target, name: str) -> None:
    target.apply_storage(name, "", offered=True)
    assert not target.answer.reasons, target.answer.reasons


def _enter_maintenance(target: Target, host: str) -> None:
    target.administer(enterMaintenance=host)
    limit_s = target.timeouts.maintenance_s
    assert target.until(lambda: target.host_state(host) == "Maintenance", limit_s), host


def _await_other_host(target: Target, name: str, host: str) -> None:
    target.closed_host = host
    limit_s = target.timeouts.running_s
    moved = target.until(lambda: target.is_running(name) and target.node(name) != host, limit_s)
    assert moved, f"VM {name} is still on {host}"


def _await_nothing(target: Target, name: str) -> None:
    assert not target.answer.reasons, target.answer.reasons
    target.wait(target.timeouts.running_s)
    assert target.held(name) is None, f"VM {name} was made"


def make(target: Target, name: str, state: str, fields: dict[str, object]) -> None:
    """A VM that has that power state, with these fields of spec."""
    word = target.words.power[state]
    target.apply_vm(name, powerState=word, **fields)
    assert not target.answer.reasons, target.answer.reasons
    limit_s = target.timeouts.running_s
    assert target.until(lambda: target.power(name) == word, limit_s), target.status(name)


def _await_running(target: Target, name: str) -> None:
    assert not target.answer.reasons, target.answer.reasons
    limit_s = target.timeouts.running_s
    arrived = target.until(lambda: target.is_running(name) and bool(target.address(name)), limit_s)
    assert arrived, f"VM {name} does not run: {target.status(name)}"


@given("all hosts failed and recovered")
def _all_recovered(target: Target) -> None:
    _all_failed(target)
    for host in target.hosts():
        target.administer(recoverHost=host)
    target.wait(target.timeouts.running_s)
