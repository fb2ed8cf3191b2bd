"""The one thing that happens: a request to the API, an act on a host, or time that passes."""

from pytest_bdd import when

from features.steps.phrases import phrase
from features.target import Target
from features.user import NAMESPACE, PAUSED_LABEL, ZONE_LABEL

HARDWARE = {"cpus": 2, "memory": "4Gi"}


@when(phrase('the example manifest is applied to namespace "{namespace:q}"'))
def _example(target: Target, namespace: str) -> None:
    target.apply_file(f"vm-example-{target.edition}.yaml", namespace)


@when(phrase('VM "{name:q}" is created'))
def _create(target: Target, name: str) -> None:
    target.apply_vm(name)


@when(phrase("VMs {names:qs} are created"))
def _create_all(target: Target, names: list[str]) -> None:
    for name in names:
        target.apply_vm(name)


@when(phrase("a VM with a name of {length:d} characters is created"))
def _create_long(target: Target, length: int) -> None:
    parts = ["a" * 50] * (length // 51)
    name = ".".join([*parts, "a" * length])[:length].rstrip(".")
    target.apply_vm(name.ljust(length, "a"))


@when(phrase("a VM with a name of {length:d} letters is created"))
def _create_letters(target: Target, length: int) -> None:
    target.apply_vm("a" * length)


@when(phrase('VM "{name:q}" of class "{vm_class:q}" is created'))
def _create_of_class(target: Target, name: str, vm_class: str) -> None:
    target.apply_vm(name, className=vm_class)


@when(phrase('VM "{name:q}" is created without {field:w}'))
def _create_without(target: Target, name: str, field: str) -> None:
    target.apply_vm(name, **{field: None})


@when(phrase('VM "{name:q}" is created without {field:w} and {other:w}'))
def _create_without_both(target: Target, name: str, field: str, other: str) -> None:
    target.apply_vm(name, **{field: None, other: None})


@when(phrase('VM "{name:q}" is created with an empty {field:w}'))
def _create_with_empty(target: Target, name: str, field: str) -> None:
    target.apply_vm(name, **{field: ""})


@when(phrase('VM "{name:q}" is created with {field:w} "{value:q}"'))
def _create_with(target: Target, name: str, field: str, value: str) -> None:
    target.apply_vm(name, **{field: value})


@when(phrase('VM "{name:q}" is created with zone label "{zone:q}"'))
def _create_in_zone(target: Target, name: str, zone: str) -> None:
    target.apply_vm(name, labels={ZONE_LABEL: zone})


@when(phrase('VM "{name:q}" is created to have {field:w} {value}'))
def _create_to_have(target: Target, name: str, field: str, value: str) -> None:
    target.apply_vm(name, **target.fields(f"{field}: {value}"))


@when(phrase('VM "{name:q}" is created with {count:d} network interfaces'))
def _create_with_interfaces(target: Target, name: str, count: int) -> None:
    target.apply_vm(name, network={"interfaces": [{"name": f"eth{n}"} for n in range(count)]})


@when(
    phrase(
        'VM "{name:q}" is created with guest identifier "{guest:q}" and CD-ROMs of images '
        "{images:qs}"
    )
)
def _create_with_drives(target: Target, name: str, guest: str, images: list[str]) -> None:
    drives = [
        {"name": f"cdrom{n}", "image": {"kind": "VirtualMachineImage", "name": image}}
        for n, image in enumerate(images, start=1)
    ]
    target.apply_vm(name, guestID=guest or None, hardware={"cdrom": drives})


@when(phrase('class "{name:q}" is made that requests {requests} of {limits}'))
def _make_class_with_policies(target: Target, name: str, requests: str, limits: str) -> None:
    fields = target.fields(f"resources: {{requests: {requests}, limits: {limits}}}")
    target.apply_class(name, HARDWARE, policies=fields)


@when(phrase('class "{name:q}" is made with reserved slots and a profile'))
def _make_class_with_slots(target: Target, name: str) -> None:
    target.apply_class(name, HARDWARE, reservedSlots=2, reservedProfileID="profile-1")


@when(phrase('class "{name:q}" is made with reserved slots and no profile'))
def _make_class_without_profile(target: Target, name: str) -> None:
    target.apply_class(name, HARDWARE, reservedSlots=2)


@when(phrase('class "{name:q}" with {cpus:d} CPUs and {memory} of memory is made'))
def _make_class(target: Target, name: str, cpus: int, memory: str) -> None:
    target.apply_class(name, {"cpus": cpus, "memory": memory})


@when(phrase('VM "{name:q}" is changed to be {state:power}'))
def _change_power(target: Target, name: str, state: str) -> None:
    target.patch(name, {"spec": {"powerState": target.words.power[state]}})


@when(phrase('zone label "{zone:q}" is put on VM "{name:q}"'))
def _change_zone(target: Target, zone: str, name: str) -> None:
    target.patch(name, {"metadata": {"labels": {ZONE_LABEL: zone}}})


@when(phrase('{field:w} of VM "{name:q}" is changed to "{value:q}"'))
def _change_field(target: Target, field: str, name: str, value: str) -> None:
    target.patch(name, {"spec": {field: value}})


@when(phrase('VM "{name:q}" is changed to have {field:w} {value}'))
def _change_to_have(target: Target, name: str, field: str, value: str) -> None:
    target.patch(name, {"spec": target.fields(f"{field}: {value}")})


@when(phrase('the CD-ROM of VM "{name:q}" is changed to have {field:w} {value}'))
def _change_cdrom(target: Target, name: str, field: str, value: str) -> None:
    vm = target.get(name)
    assert vm is not None, f"there is no VM {name}"
    drive = vm["spec"]["hardware"]["cdrom"][0] | target.fields(f"{field}: {value}")
    target.patch(name, {"spec": {"hardware": {"cdrom": [drive]}}})


@when("the image is made")
def _make_image(target: Target) -> None:
    target.restore_image()


@when(phrase('VM "{name:q}" is deleted'))
def _delete(target: Target, name: str) -> None:
    target.delete("VirtualMachine", name)


@when(phrase('"kubectl get {word:w}" is run'))
def _list(target: Target, word: str) -> None:
    target.list_kind(word)


@when(phrase('"kubectl get -n {namespace:w} {word:w}" is run'))
def _list_in_namespace(target: Target, namespace: str, word: str) -> None:
    target.list_kind(word, namespace)


@when(phrase('the host of VM "{name:q}" enters maintenance'))
def _enter_maintenance(target: Target, name: str) -> None:
    target.administer(enterMaintenance=target.node(name))


@when(phrase('host "{name:q}" enters maintenance'))
def _host_enters_maintenance(target: Target, name: str) -> None:
    target.administer(enterMaintenance=name)


@when(phrase('host "{name:q}" leaves maintenance'))
def _leave_maintenance(target: Target, name: str) -> None:
    target.administer(exitMaintenance=name)


@when(phrase('host "{name:q}" fails'))
def _host_fails(target: Target, name: str) -> None:
    target.administer(failHost=name)


@when("all hosts recover")
def _recover_all(target: Target) -> None:
    for host in target.hosts():
        target.administer(recoverHost=host)


@when(phrase('the host of VM "{name:q}" fails'))
def _fail(target: Target, name: str) -> None:
    target.administer(failHost=target.node(name))


@when(phrase('host "{name:q}" recovers'))
def _recover(target: Target, name: str) -> None:
    target.administer(recoverHost=name)


@when(phrase('host "{name:q}" joins the cluster'))
def _join(target: Target, name: str) -> None:
    target.join(name)


@when(phrase('the administrator powers off VM "{name:q}"'))
def _power_off(target: Target, name: str) -> None:
    target.administer(powerOff=f"{NAMESPACE}/{name}")


@when("the host in maintenance leaves it")
def _reopen(target: Target) -> None:
    target.administer(exitMaintenance=target.closed_host)


@when("the failed host recovers")
def _recover_failed(target: Target) -> None:
    target.administer(recoverHost=target.closed_host)


@when(phrase('the zone label is taken off VM "{name:q}"'))
def _drop_zone(target: Target, name: str) -> None:
    target.patch(name, {"metadata": {"labels": {ZONE_LABEL: None}}})


@when(phrase('the pause of VM "{name:q}" ends'))
def _resume(target: Target, name: str) -> None:
    target.patch(name, {"metadata": {"labels": {PAUSED_LABEL: None}}})


@when(phrase('annotation "{key:q}" is taken off VM "{name:q}"'))
def _drop_annotation(target: Target, key: str, name: str) -> None:
    target.patch(name, {"metadata": {"annotations": {key: None}}})


@when(phrase('VM "{name:q}" is changed to be {state:power} and to have {field:w} {value}'))
def _change_both(target: Target, name: str, state: str, field: str, value: str) -> None:
    wanted = {"powerState": target.words.power[state]} | target.fields(f"{field}: {value}")
    target.patch(name, {"spec": wanted})


@when(phrase('VM "{name:q}" is created, paused by annotation "{key:q}"'))
def _create_annotated(target: Target, name: str, key: str) -> None:
    target.apply_vm(name, annotations={key: "true"})


@when(
    phrase(
        'VM "{name:q}" of class "{vm_class:q}", image "{image:q}" and storage class "{storage:q}" '
        "is created"
    )
)
def _create_of_all(target: Target, name: str, vm_class: str, image: str, storage: str) -> None:
    target.apply_vm(name, className=vm_class, imageName=image, storageClass=storage)


@when(phrase('VM "{name:q}" is created with the volumes of claims {claims:qs}'))
def _create_with_volumes(target: Target, name: str, claims: list[str]) -> None:
    volumes = [{"name": one, "persistentVolumeClaim": {"claimName": one}} for one in claims]
    target.apply_vm(name, volumes=volumes)


@when(phrase('image "{name:q}" becomes ready'))
def _image_ready(target: Target, name: str) -> None:
    target.copy_image(name)
