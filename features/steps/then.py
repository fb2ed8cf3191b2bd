"""What must have come about; a limit is the time within which it must."""

from pytest_bdd import then

from features.steps.phrases import phrase
from features.target import Target
from features.user import ZONE_LABEL


@then("the request is accepted")
def _accepted(target: Target) -> None:
    assert target.answer.reasons == []


@then(phrase('the request is denied because of "{field:q}"'))
def _denied(target: Target, field: str) -> None:
    reasons = target.answer.reasons
    assert reasons, "the request was accepted"
    assert all(reason.startswith(f"{field}:") for reason in reasons), reasons


@then(phrase('the request is denied because of both "{one:q}" and "{other:q}"'))
def _denied_twice(target: Target, one: str, other: str) -> None:
    found = {reason.partition(":")[0] for reason in target.answer.reasons}
    assert found == {one, other}, target.answer.reasons


@then("the request is denied")
def _denied_somehow(target: Target) -> None:
    assert target.answer.reasons, "the request was accepted"


@then(phrase('the API warns about "{text:q}"'))
def _warns(target: Target, text: str) -> None:
    assert any(text in warning for warning in target.answer.warnings), target.answer


@then("the API gives a warning")
def _some_warning(target: Target) -> None:
    assert target.answer.warnings, "there is no warning"


@then("the API gives no warning")
def _no_warning(target: Target) -> None:
    assert target.answer.warnings == []


@then(phrase('VM "{name:q}" does not exist'))
def _absent(target: Target, name: str) -> None:
    assert target.get(name) is None


@then(phrase('VM "{name:q}" is gone within {limit:time}'))
def _gone(target: Target, name: str, limit: float) -> None:
    gone = target.until(lambda: target.get(name) is None, limit)
    assert gone, f"VM {name} is still there: {target.get(name)}"
    assert target.held(name) is None, "a host still has the VM"


@then(phrase('the object of VM "{name:q}" is gone within {limit:time}'))
def _object_gone(target: Target, name: str, limit: float) -> None:
    assert target.until(lambda: target.get(name) is None, limit), target.get(name)


@then(phrase('VM "{name:q}" is {state:power} within {limit:time}'))
def _reaches_power(target: Target, name: str, state: str, limit: float) -> None:
    word = target.words.power[state]
    assert target.until(lambda: target.power(name) == word, limit), target.status(name)
    held = target.held(name)
    assert held is not None, f"no host has VM {name}"
    assert held.power.value.lower() == word.lower(), f"the host says {held.power}"


@then(phrase('VM "{name:q}" runs on host "{host:q}" within {limit:time}'))
def _runs_on(target: Target, name: str, host: str, limit: float) -> None:
    arrived = target.until(lambda: _place(target, name) == host, limit)
    assert arrived, target.status(name)


@then(phrase("VMs {names:qs} run on other hosts within {limit:time}"))
def _run_elsewhere(target: Target, names: list[str], limit: float) -> None:
    def moved() -> bool:
        places = [(_place(target, name), target.before[name]) for name in names]
        return all(now and now != then for now, then in places)

    assert target.until(moved, limit), [target.status(name) for name in names]


@then(phrase("VMs {names:qs} run within {limit:time}"))
def _run(target: Target, names: list[str], limit: float) -> None:
    arrived = target.until(lambda: all(_place(target, name) for name in names), limit)
    assert arrived, [target.status(name) for name in names]


@then(phrase('VMs {names:qs} run on host "{host:q}" within {limit:time}'))
def _run_on(target: Target, names: list[str], host: str, limit: float) -> None:
    arrived = target.until(lambda: all(_place(target, name) == host for name in names), limit)
    assert arrived, [target.status(name) for name in names]


@then(phrase('VM "{name:q}" is live-migrated within {limit:time}'))
def _migrated(target: Target, name: str, limit: float) -> None:
    _run_elsewhere(target, [name], limit)
    _kept_running(target, name)


@then(phrase('VM "{name:q}" kept its address and its identity'))
def _kept_identity(target: Target, name: str) -> None:
    old, new = target.status_before[name], target.status(name)
    kept = ("uniqueID", "biosUUID", "instanceUUID", "vmIp", "network")
    assert [new.get(field) for field in kept] == [old.get(field) for field in kept]
    assert target.address(name)


@then(phrase('VM "{name:q}" is powered off, and stays so for {time:time}'))
def _off_and_stays(target: Target, name: str, time: float) -> None:
    limit_s = target.timeouts.maintenance_s
    assert target.until(lambda: not target.runs_anywhere(name), limit_s), target.status(name)
    assert target.during(lambda: not target.runs_anywhere(name), time), target.status(name)
    assert target.power(name) == target.words.power["powered off"]


@then(phrase('VM "{name:q}" still has its {field:w}'))
def _still_has(target: Target, name: str, field: str) -> None:
    vm = target.get(name)
    assert vm is not None, f"there is no VM {name}"
    words = target.words
    expected = {"imageName": words.image, "className": words.vm_class}[field]
    assert vm["spec"][field] == expected


@then(phrase('VM "{name:q}" shows {field:w} {value}'))
def _shows(target: Target, name: str, field: str, value: str) -> None:
    vm = target.get(name)
    assert vm is not None, f"there is no VM {name}"
    assert vm["spec"].get(field) == target.fields(f"{field}: {value}")[field]


@then(phrase('VM "{name:q}" is in namespace "{here:q}" and not in namespace "{there:q}"'))
def _in_namespace(target: Target, name: str, here: str, there: str) -> None:
    assert target.get(name, here) is not None
    assert target.get(name, there) is None


@then(phrase('VM "{name:q}" runs on the same host'))
def _same_host(target: Target, name: str) -> None:
    assert _place(target, name) == target.before[name], target.status(name)


@then(phrase('VM "{name:q}" stays on its host for {time:time}'))
def _stays(target: Target, name: str, time: float) -> None:
    stayed = target.during(lambda: _place(target, name) == target.before[name], time)
    assert stayed, f"{target.status(name)}, before on {target.before[name]}"


@then(phrase('VM "{name:q}" does not run for {time:time}'))
def _does_not_run(target: Target, name: str, time: float) -> None:
    assert target.during(lambda: not target.runs_anywhere(name), time), target.status(name)


@then(phrase("exactly one of VMs {names:qs} runs within {limit:time}"))
def _one_runs(target: Target, names: list[str], limit: float) -> None:
    target.until(lambda: any(_place(target, name) for name in names), limit)
    target.wait(limit)
    assert [bool(_place(target, name)) for name in names].count(True) == 1


@then(phrase('VM "{name:q}" was powered off and is on again within {limit:time}'))
def _on_again(target: Target, name: str, limit: float) -> None:
    events = ["VmPoweredOff", "VmPoweredOn"]
    again = target.until(
        lambda: target.power_events(name) == events and target.is_running(name), limit
    )
    assert again, f"{target.power_events(name)}, {target.status(name)}"


@then(phrase('VM "{name:q}" kept running'))
def _kept_running(target: Target, name: str) -> None:
    assert target.power_events(name) == []


@then(phrase('VM "{name:q}" was powered off once'))
def _was_powered_off(target: Target, name: str) -> None:
    assert target.power_events(name) == ["VmPoweredOff"]


@then(phrase('VM "{name:q}" was powered off once and on once'))
def _power_cycled(target: Target, name: str) -> None:
    assert target.power_events(name) == ["VmPoweredOff", "VmPoweredOn"]


@then(phrase('VM "{name:q}" reports the restart that was asked for within {limit:time}'))
def _reports_restart(target: Target, name: str, limit: float) -> None:
    vm = target.get(name)
    assert vm is not None, f"there is no VM {name}"
    asked = vm["spec"].get("nextRestartTime")
    assert asked, vm["spec"]
    done = target.until(lambda: target.status(name).get("lastRestartTime") == asked, limit)
    assert done, f"asked {asked}, {target.status(name)}"


@then(phrase('VM "{name:q}" was restarted once'))
def _was_restarted(target: Target, name: str) -> None:
    assert target.power_events(name) == ["VmReset"]


@then(phrase('VM "{name:q}" has an IP address within {limit:time}'))
def _has_address(target: Target, name: str, limit: float) -> None:
    assert target.until(lambda: bool(target.address(name)), limit), target.status(name)


@then(phrase('the Node of VM "{name:q}" is the host that holds it'))
def _node_is_host(target: Target, name: str) -> None:
    held = target.held(name)
    assert held is not None, f"no host has VM {name}"
    assert target.node(name) == held.host


@then(phrase('VM "{name:q}" is in zone "{zone:q}"'))
def _in_zone(target: Target, name: str, zone: str) -> None:
    assert target.zone_of(target.node(name)) == zone


@then(phrase('VM "{name:q}" carries zone label "{zone:q}"'))
def _zone_label(target: Target, name: str, zone: str) -> None:
    vm = target.get(name)
    assert vm is not None, f"there is no VM {name}"
    assert vm["metadata"].get("labels", {}).get(ZONE_LABEL) == zone


@then(phrase('the host that VM "{name:q}" left is in maintenance within {limit:time}'))
def _old_host_in_maintenance(target: Target, name: str, limit: float) -> None:
    host = target.before[name]
    arrived = target.until(lambda: target.host_state(host) == "Maintenance", limit)
    assert arrived, f"host {host} is {target.host_state(host)}"


@then(phrase('host "{name:q}" is in maintenance within {limit:time}'))
def _in_maintenance(target: Target, name: str, limit: float) -> None:
    arrived = target.until(lambda: target.host_state(name) == "Maintenance", limit)
    assert arrived, f"host {name} is {target.host_state(name)}"


@then(phrase('host "{name:q}" is not in maintenance for {time:time}'))
def _not_in_maintenance(target: Target, name: str, time: float) -> None:
    assert target.during(lambda: target.host_state(name) != "Maintenance", time)


@then(phrase('VM "{name:q}" has condition "{kind:q}" "{status:q}" within {limit:time}'))
def _condition(target: Target, name: str, kind: str, status: str, limit: float) -> None:
    def reported() -> bool:
        conditions = target.status(name).get("conditions", [])
        return any((c["type"], c["status"]) == (kind, status) for c in conditions)

    assert target.until(reported, limit), target.status(name)


@then(phrase('VM "{name:q}" has condition "{kind:q}" because of "{reason:q}" within {limit:time}'))
def _condition_reason(target: Target, name: str, kind: str, reason: str, limit: float) -> None:
    def reported() -> bool:
        conditions = target.status(name).get("conditions", [])
        return any((c["type"], c.get("reason")) == (kind, reason) for c in conditions)

    assert target.until(reported, limit), target.status(name)


@then(phrase('VM "{name:q}" reports {field:w} "{value:q}" within {limit:time}'))
def _reports(target: Target, name: str, field: str, value: str, limit: float) -> None:
    reported = target.until(lambda: target.status(name).get(field) == value, limit)
    assert reported, target.status(name)


@then(phrase('the hosts still run VM "{name:q}" for {time:time}'))
def _still_runs(target: Target, name: str, time: float) -> None:
    assert target.during(lambda: target.runs_anywhere(name), time), target.held(name)


@then(phrase('VM "{name:q}" reports {fields:qs} that no other VM has'))
def _own_identity(target: Target, name: str, fields: list[str]) -> None:
    status = target.status(name)
    others = [target.status(other) for other in target.before if other != name]
    assert others, "there is no other VM"
    assert all(status.get(field) for field in fields), status
    assert not any(status[f] == other.get(f) for other in others for f in fields), status


@then(phrase('VM "{name:q}" carries finalizer "{finalizer:q}"'))
def _finalizer(target: Target, name: str, finalizer: str) -> None:
    vm = target.get(name)
    assert vm is not None, f"there is no VM {name}"
    assert vm["metadata"].get("finalizers") == [finalizer]


@then(phrase('VM "{name:q}" carries annotation "{key:q}" within {limit:time}'))
def _annotated(target: Target, name: str, key: str, limit: float) -> None:
    def noted() -> bool:
        notes = (target.get(name) or {}).get("metadata", {}).get("annotations", {})
        return bool(notes.get(key) == "true")

    assert target.until(noted, limit), target.get(name)


@then(phrase('VM "{name:q}" carries no annotation about "{word:q}"'))
def _no_annotation(target: Target, name: str, word: str) -> None:
    vm = target.get(name)
    assert vm is not None, f"there is no VM {name}"
    assert not [key for key in vm["metadata"].get("annotations", {}) if word in key]


@then(phrase('no host has VM "{name:q}" for {time:time}'))
def _nowhere(target: Target, name: str, time: float) -> None:
    assert target.during(lambda: target.held(name) is None, time), target.held(name)


@then(phrase("the hosts have {count:d} VM"))
def _number_of_vms(target: Target, count: int) -> None:
    assert target.vm_count() == count


@then(phrase('VM "{name:q}" is still there for {time:time}'))
def _still_there(target: Target, name: str, time: float) -> None:
    def there() -> bool:
        return target.get(name) is not None and target.held(name) is not None

    assert target.during(there, time), target.get(name)


@then(phrase('VM "{name:q}" stays suspended for {time:time}'))
def _stays_suspended(target: Target, name: str, time: float) -> None:
    word = target.words.power["suspended"]

    def suspended() -> bool:
        held = target.held(name)
        return held is not None and held.power.value == word

    assert target.during(suspended, time), target.held(name)


@then(phrase('the refusal says "{words:q}"'))
def _refusal_says(target: Target, words: str) -> None:
    assert any(words in reason for reason in target.answer.reasons), target.answer.reasons


@then(phrase('VM "{name:q}" has {field:w} other than "{value:q}"'))
def _has_other(target: Target, name: str, field: str, value: str) -> None:
    vm = target.get(name)
    assert vm is not None, f"there is no VM {name}"
    assert vm["spec"].get(field) not in (None, "", value), vm["spec"]


@then(phrase("the list names {names:qs}"))
def _listed(target: Target, names: list[str]) -> None:
    assert target.listed == names


@then("the list is empty")
def _nothing_listed(target: Target) -> None:
    assert target.listed == []


def _place(target: Target, name: str) -> str:
    """Where the VM runs, '' when it does not or when the API tells otherwise than the host."""
    held = target.held(name)
    if held is None or not target.is_running(name) or held.host != target.node(name):
        return ""
    return held.host
