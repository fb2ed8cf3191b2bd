"""A VM that was there before is known with the class whose hardware it has."""

from typing import Any

from vmsim.adoption import as_made
from vmsim.apiserver import ApiServer
from vmsim.catalog import Catalog
from vmsim.editions import EDITION_2026_08
from vmsim.mirror import Mirror
from vmsim.objects import VirtualMachine
from vmsim.trace import Trace


def mirrored(**status: Any) -> VirtualMachine:
    """What a new process knows of a VM that is wanted `big`."""
    trace = Trace(lambda: 0.0)
    api = ApiServer(lambda: 0.0, Catalog("2026-08"), EDITION_2026_08, trace)
    mirror = Mirror(api, EDITION_2026_08, trace)
    metadata = {"name": "a", "namespace": "ns", "uid": "u", "resourceVersion": "1"}
    mirror.seen({"metadata": metadata, "spec": {"className": "big"}, "status": status})
    return api.vms["ns/a"]


def test_vm_that_was_to_be_resized_is_adopted_with_the_class_that_it_has() -> None:
    known = mirrored(**{"class": {"name": "small"}})
    assert as_made(known).spec.class_name == "small"
    assert known.spec.class_name == "big"


def test_vm_whose_status_names_no_class_is_adopted_with_the_class_that_is_wanted() -> None:
    assert as_made(mirrored()).spec.class_name == "big"
