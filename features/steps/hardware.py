"""What a host gives a VM: declared by classes and images, changed, and looked at on the host."""

from pytest_bdd import given, then, when

from features.steps.given import make
from features.steps.phrases import phrase
from features.target import Target


@given(phrase('host "{name:q}" with cores of {mhz:d} MHz'))
def _host_with_clock(target: Target, name: str, mhz: int) -> None:
    target.declare_host(name, mhz=mhz)


@given(phrase('class "{name:q}" that requests {requests} of {limits}'))
def _class_with_policies(target: Target, name: str, requests: str, limits: str) -> None:
    fields = target.fields(f"resources: {{requests: {requests}, limits: {limits}}}")
    target.apply_class(name, {"cpus": 2, "memory": "4Gi"}, policies=fields)
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('class "{name:q}" that brings configuration {fields}'))
def _class_with_configuration(target: Target, name: str, fields: str) -> None:
    given = target.fields(f"configSpec: {fields}")
    target.apply_class(name, {"cpus": 2, "memory": "4Gi"}, **given)
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('image "{name:q}" with firmware "{firmware:q}"'))
def _image_with_firmware(target: Target, name: str, firmware: str) -> None:
    target.copy_image(name, firmware=firmware)
    assert not target.answer.reasons, target.answer.reasons


@given(phrase('VM "{name:q}" that is {state:power} and was changed to class "{vm_class:q}"'))
def _changed_class(target: Target, name: str, state: str, vm_class: str) -> None:
    make(target, name, state, {})
    target.patch(name, {"spec": {"className": vm_class}})
    assert not target.answer.reasons, target.answer.reasons


@when(
    phrase(
        'VM "{name:q}" of class "{vm_class:q}" and image "{image:q}" is created with boot options '
        "{options}"
    )
)
def _create_to_boot(target: Target, name: str, vm_class: str, image: str, options: str) -> None:
    given = target.fields(f"bootOptions: {options}")
    target.apply_vm(name, className=vm_class, imageName=image, **given)


@then(phrase('VM "{name:q}" has {cpus:d} CPUs and {memory_mib:d} MiB of memory'))
def _has_hardware(target: Target, name: str, cpus: int, memory_mib: int) -> None:
    found = target.hardware(name)
    assert (found.cpus, found.memory_mib) == (cpus, memory_mib)


@then(phrase('VM "{name:q}" reserves {mhz:d} MHz and {memory_mib:d} MiB within {limit:time}'))
def _reserves(target: Target, name: str, mhz: int, memory_mib: int, limit: float) -> None:
    assert target.until(lambda: target.held(name) is not None, limit), f"no host has VM {name}"
    found = target.hardware(name)
    assert (found.cpu_reservation_mhz, found.memory_reservation_mib) == (mhz, memory_mib)


@then(phrase('VM "{name:q}" may use {mhz:d} MHz and {memory_mib:d} MiB'))
def _is_limited(target: Target, name: str, mhz: int, memory_mib: int) -> None:
    found = target.hardware(name)
    assert (found.cpu_limit_mhz, found.memory_limit_mib) == (mhz, memory_mib)


@then(phrase('VM "{name:q}" may use all that there is'))
def _is_unlimited(target: Target, name: str) -> None:
    found = target.hardware(name)
    assert (found.cpu_limit_mhz, found.memory_limit_mib) == (None, None)


@then(phrase('VM "{name:q}" boots by "{firmware:q}" within {limit:time}'))
def _boots_by(target: Target, name: str, firmware: str, limit: float) -> None:
    assert target.until(lambda: target.held(name) is not None, limit), f"no host has VM {name}"
    assert target.hardware(name).firmware == firmware


@then(phrase('VM "{name:q}" reports class "{vm_class:q}" as the one in force within {limit:time}'))
def _reports_class(target: Target, name: str, vm_class: str, limit: float) -> None:
    reported = target.until(
        lambda: target.status(name).get("class", {}).get("name") == vm_class, limit
    )
    assert reported, target.status(name)


@then(phrase('VM "{name:q}" reports class "{vm_class:q}" as the one in force for {time:time}'))
def _goes_on_to_report_class(target: Target, name: str, vm_class: str, time: float) -> None:
    kept = target.during(lambda: target.status(name).get("class", {}).get("name") == vm_class, time)
    assert kept, target.status(name)


@then(phrase('VM "{name:q}" reports {cpus:d} CPUs and {mib:d} MiB of memory within {limit:time}'))
def _reports_hardware(target: Target, name: str, cpus: int, mib: int, limit: float) -> None:
    def told() -> bool:
        found = target.told_hardware(name)
        return (found.get("cpus"), found.get("memory_mib")) == (cpus, mib)

    assert target.until(told, limit), target.status(name)


@then(phrase('VM "{name:q}" reports that {mhz:d} MHz and {mib:d} MiB are reserved'))
def _reports_reservations(target: Target, name: str, mhz: int, mib: int) -> None:
    found = target.told_hardware(name)
    assert (found["cpu_reservation_mhz"], found["memory_reservation_mib"]) == (mhz, mib)
