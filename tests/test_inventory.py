"""Room is counted per host and resource, and nothing is lost on the way."""

from random import Random

import pytest
from builders import GIB, GPU, host, hosts, inventory, need
from hypothesis import given
from hypothesis import strategies as st

from vmsim.inventory import (
    BASE_RESOURCES,
    CPU,
    CPU_RESERVATION,
    MEMORY,
    MEMORY_RESERVATION,
    Inventory,
    Overcommit,
)
from vmsim.objects import HostState
from vmsim.placement import needs


def test_host_promises_four_vcpus_per_core_by_default_and_each_mib_once() -> None:
    found = Inventory([host()], Overcommit())
    assert [int(column[0]) for column in found.room] == [32, 16 * GIB, 8000, 16 * GIB]


def test_reservations_are_never_overcommitted() -> None:
    found = Inventory([host()], Overcommit(cpu=16.0, memory=2.0))
    assert found.room[CPU].tolist() == [128]
    assert found.room[MEMORY].tolist() == [32 * GIB]
    assert found.room[CPU_RESERVATION].tolist() == [8000]
    assert found.room[MEMORY_RESERVATION].tolist() == [16 * GIB]


def test_claim_takes_room_on_one_host_only_and_release_gives_it_back() -> None:
    found = inventory(hosts(2))
    taken = needs(need(), found)
    found.claim(taken, 1)
    assert found.room[CPU].tolist() == [8, 6]
    assert found.room[MEMORY].tolist() == [16 * GIB, 12 * GIB]
    found.release(taken, 1)
    assert found.room[CPU].tolist() == [8, 8]
    assert found.room[MEMORY].tolist() == [16 * GIB, 16 * GIB]


def test_device_has_units_only_on_the_hosts_that_have_it() -> None:
    found = inventory([host("a"), host("b", devices={GPU: 2})])
    assert found.room[found.resource(GPU)].tolist() == [0, 2]


def test_device_nobody_has_is_a_resource_without_units() -> None:
    found = inventory(hosts(2))
    assert found.room[found.resource("new")].tolist() == [0, 0]


def test_host_added_later_brings_its_devices() -> None:
    found = inventory(hosts(2))
    resource = found.resource(GPU)
    found.add([host("esx-3", devices={GPU: 4, "other": 1})])
    assert found.room[resource].tolist() == [0, 0, 4]
    assert found.room[found.resource("other")].tolist() == [0, 0, 1]
    assert found.room[CPU].tolist() == [8, 8, 8]
    assert found.open.tolist() == [True, True, True]


def test_host_that_is_added_keeps_what_the_others_run() -> None:
    found = inventory(hosts(1))
    found.claim(needs(need(), found), 0)
    found.add([host("esx-2")])
    assert found.room[CPU].tolist() == [6, 8]
    assert found.total[CPU].tolist() == [8, 8]


@pytest.mark.parametrize("state", HostState)
def test_only_a_host_that_is_up_is_open(state: HostState) -> None:
    found = inventory(hosts(1))
    found.set_state(0, state)
    assert found.open.tolist() == [state is HostState.UP]


def test_name_of_a_removed_host_may_be_used_again_on_a_new_row() -> None:
    found = inventory(hosts(2))
    found.set_state(0, HostState.REMOVED)
    found.add([host("esx-1")])
    assert found.row_of == {"esx-2": 1, "esx-1": 2}


def test_name_in_use_is_a_defect_of_the_caller() -> None:
    with pytest.raises(AssertionError, match="esx-1"):
        inventory([host("esx-1"), host("esx-1")])


def test_host_that_promised_too_much_is_named() -> None:
    found = inventory(hosts(2))
    for _ in range(5):
        found.claim(needs(need(), found), 1)
    assert found.overcommitted() == ["esx-2"]


def test_no_host_is_named_while_room_lasts() -> None:
    found = inventory(hosts(2))
    for _ in range(4):
        found.claim(needs(need(), found), 1)
    assert found.overcommitted() == []


def test_slowest_core_of_all_hosts_is_the_measure_of_cpu_requests() -> None:
    assert inventory([host("a", cpu_mhz=2400), host("b", cpu_mhz=1800)]).lowest_mhz() == 1800
    assert inventory([]).lowest_mhz() == 0


def test_measure_of_cpu_requests_follows_the_hosts_that_come_and_go() -> None:
    found = inventory([host("a", cpu_mhz=2400)])
    found.add([host("b", cpu_mhz=1800)])
    assert found.lowest_mhz() == 1800
    found.set_state(1, HostState.REMOVED)
    assert found.lowest_mhz() == 2400


def test_changes_that_may_let_a_vm_in_are_counted_and_claims_are_not() -> None:
    found = inventory(hosts(1))
    before = found.freed
    found.claim(needs(need(), found), 0)
    assert found.freed == before
    found.release(needs(need(), found), 0)
    found.set_state(0, HostState.UP)
    found.add([host("esx-2")])
    assert found.freed == before + 3


def test_every_change_of_a_row_is_noted_also_when_the_notes_are_dropped() -> None:
    found = inventory(hosts(2))
    found.claim(needs(need(), found), 1)
    found.release(needs(need(), found), 1)
    found.set_state(0, HostState.DOWN)
    assert found.forgotten + len(found.touched) == 3
    found.forget(2)
    assert found.forgotten + len(found.touched) == 3


sizes = st.tuples(st.integers(0, 8), st.integers(0, 64), st.integers(0, 2))


@given(st.lists(st.tuples(st.integers(0, 2), sizes), max_size=20), st.randoms())
def test_claims_released_in_any_order_leave_all_room_free(
    claims: list[tuple[int, tuple[int, int, int]]], random: Random
) -> None:
    found = inventory([host(name, devices={GPU: 2}) for name in "abc"])
    before = [column.tolist() for column in found.room]
    taken = []
    for row, (cpus, memory, gpus) in claims:
        devices = ((GPU, gpus),) if gpus else ()
        wanted = needs(need(cpus=cpus, memory_mib=memory, devices=devices), found)
        found.claim(wanted, row)
        taken.append((wanted, row))
    random.shuffle(taken)
    for wanted, row in taken:
        found.release(wanted, row)
    assert [column.tolist() for column in found.room] == before
    assert len(found.room) == len(BASE_RESOURCES) + 1


def test_cordoned_host_stays_closed_whatever_becomes_of_it() -> None:
    inv = inventory(hosts(2))
    assert inv.cordon("esx-1", True)
    assert not inv.cordon("esx-1", True)
    for state in (HostState.MAINTENANCE, HostState.DOWN, HostState.UP):
        inv.set_state(0, state)
        assert inv.open.tolist() == [False, True]
    assert inv.cordon("esx-1", False)
    assert inv.open.tolist() == [True, True]


def test_host_in_maintenance_is_not_opened_by_uncordoning_it() -> None:
    inv = inventory(hosts(1))
    inv.set_state(0, HostState.MAINTENANCE)
    assert not inv.cordon("esx-1", True)
    assert not inv.cordon("esx-1", False)
    assert inv.open.tolist() == [False]
