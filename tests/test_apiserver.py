"""The API stores what it admits, whole or not at all, and tells who watches."""

from typing import Any

import pytest
from builders import Run, scenario, vm

from vmsim.apiserver import merged
from vmsim.objects import PowerState


def run(**spec: Any) -> Run:
    return Run(scenario(**spec))


def the_vm(made: Run, name: str = "a") -> Any:
    return made.system.api.vms[f"demo/{name}"]


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        # The examples of RFC 7386, appendix A, that have an object on both sides.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: Any, patch: Any, expected: Any) -> None:
    assert merged(target, patch) == expected


def test_merge_patch_leaves_its_arguments_alone() -> None:
    target, patch = {"a": {"b": 1}}, {"a": {"c": 2}}
    merged(target, patch)
    assert (target, patch) == ({"a": {"b": 1}}, {"a": {"c": 2}})


def test_applied_vm_is_stored_with_its_first_generation_and_a_uid() -> None:
    made = run()
    assert made.apply(vm("a")) == [None]
    found = the_vm(made)
    assert (found.generation, found.spec.power_state) == (1, PowerState.ON)
    assert found.uid
    assert found.created_s == pytest.approx(made.env.now)
    assert made.log("Added") == [(0.001, "demo/a", "Added")]


def test_two_vms_have_two_uids_and_rising_versions() -> None:
    made = run()
    made.apply(vm("a"), vm("b"))
    assert the_vm(made, "a").uid != the_vm(made, "b").uid
    assert the_vm(made, "a").resource_version < the_vm(made, "b").resource_version


def test_change_of_the_spec_raises_the_generation() -> None:
    made = run()
    made.apply(vm("a"))
    before = the_vm(made).resource_version
    made.patch("a", powerState="PoweredOff")
    assert the_vm(made).generation == 2
    assert the_vm(made).resource_version > before
    assert the_vm(made).spec.power_state is PowerState.OFF


def test_change_of_the_metadata_does_not_raise_the_generation() -> None:
    made = run()
    made.apply(vm("a"))
    made.system.api.patch("demo/a", {"metadata": {"annotations": {"note": "x"}}})
    assert the_vm(made).generation == 1
    assert the_vm(made).annotations["note"] == "x"


def test_second_apply_is_an_update_that_keeps_the_uid_and_the_status() -> None:
    made = run()
    made.apply(vm("a"))
    made.until(100)
    uid, power = the_vm(made).uid, made.status("a").power_state
    assert made.apply(vm("a", power=False)) == [None]
    assert (the_vm(made).uid, made.status("a").power_state) == (uid, power)
    assert the_vm(made).generation == 2


def test_field_that_the_manifest_no_longer_has_stays() -> None:
    made = run()
    made.apply(vm("a", power=False))
    manifest = vm("a")
    del manifest["spec"]["powerState"]
    made.apply(manifest)
    assert the_vm(made).spec.power_state is PowerState.OFF


def test_denied_vm_is_not_stored() -> None:
    made = run()
    (denied,) = made.apply(vm("a", storageClass="none"))
    assert denied is not None
    assert made.system.api.vms == {}
    assert made.log("Denied") == [(0.001, "demo/a", "Denied")]


def test_denied_update_changes_nothing() -> None:
    made = run()
    made.apply(vm("a"))
    before = (the_vm(made).spec, the_vm(made).resource_version, the_vm(made).generation)
    assert made.patch("a", storageClass="other") is not None
    assert before == (the_vm(made).spec, the_vm(made).resource_version, the_vm(made).generation)


def test_vm_in_a_namespace_that_is_not_there_is_denied() -> None:
    made = run()
    manifest = vm("a")
    manifest["metadata"]["namespace"] = "none"
    (denied,) = made.apply(manifest)
    assert str(denied.errors[0]).startswith('metadata.namespace: Not found: "none"')


@pytest.mark.parametrize("act", ["patch", "delete"])
def test_vm_that_is_not_there_is_denied(act: str) -> None:
    made = run()
    denied = made.patch("none") if act == "patch" else made.delete("none")
    assert str(denied.errors[0]).startswith('metadata.name: Not found: "none"')


def test_object_of_another_kind_that_is_not_there_is_denied() -> None:
    denied = run().system.api.delete("StorageClass", "none")
    assert denied is not None
    assert str(denied.errors[0]).startswith('metadata.name: Not found: "none"')


def test_deleted_vm_stays_until_its_finalizer_is_gone() -> None:
    made = run()
    made.apply(vm("a"))
    made.until(100)
    made.delete("a")
    assert the_vm(made).deleting
    made.until(200)
    assert made.system.api.vms == {}
    assert [kind for _, _, kind in made.log("Deleting", "Deleted")] == ["Deleting", "Deleted"]


def test_second_deletion_changes_nothing() -> None:
    made = run()
    made.apply(vm("a"))
    made.until(100)
    made.delete("a")
    version = the_vm(made).resource_version
    assert made.delete("a") is None
    assert the_vm(made).resource_version == version
    assert len(made.log("Deleting")) == 1


def test_watchers_hear_of_every_change_of_a_vm_and_of_other_kinds() -> None:
    made, heard = run(), []
    made.system.api.watch(heard.append, lambda: heard.append("catalog"))
    made.apply(vm("a"))
    made.patch("a", powerState="PoweredOff")
    made.delete("a")
    made.system.api.delete("StorageClass", "my-storage-class")
    assert heard == ["demo/a", "demo/a", "demo/a", "catalog"]


def test_status_is_not_the_users_to_write() -> None:
    made = run(clusters=[{"name": "c", "hosts": [{"name": "h", "cores": 8, "memory": "16Gi"}]}])
    made.apply(vm("a"))
    made.until(100)
    made.system.api.patch("demo/a", {"status": {"nodeName": "nowhere"}})
    assert made.status("a").host == "h"
