"""What happens to each VM of a host that is emptied, in each of the three behaviours."""

import pytest
from builders import GPU, PASSTHROUGH

from vmsim.evacuation import (
    EVICTION_POLICY,
    RESTART_POLICY,
    Disposition,
    Eviction,
    disposition,
    is_movable,
    is_passthrough,
    restart_host,
)
from vmsim.objects import PowerState

POWER_OFF, BLOCK, POLICY = Eviction.POWER_OFF, Eviction.BLOCK, Eviction.POLICY


@pytest.mark.parametrize(
    ("devices", "hot", "movable"),
    [
        ((), False, True),
        ((), True, True),
        (((GPU, 1),), False, False),
        (((GPU, 1),), True, True),
        (((PASSTHROUGH, 1),), False, False),
        (((PASSTHROUGH, 1),), True, False),
        (((GPU, 1), (PASSTHROUGH, 1)), True, False),
    ],
)
def test_vm_moves_alive_without_devices_or_with_vgpus_where_that_is_on(
    devices: tuple[tuple[str, int], ...], hot: bool, movable: bool
) -> None:
    assert is_movable(devices, vgpu_hot_migrate=hot) is movable


def test_passthrough_device_is_named_by_vendor_and_device() -> None:
    assert is_passthrough(PASSTHROUGH)
    assert not is_passthrough(GPU)


@pytest.mark.parametrize("eviction", Eviction)
@pytest.mark.parametrize("power", [PowerState.OFF, PowerState.SUSPENDED])
@pytest.mark.parametrize("movable", [True, False])
def test_vm_that_does_not_run_stays(eviction: Eviction, power: PowerState, movable: bool) -> None:
    found = disposition(power, movable=movable, eviction=eviction, policies=(EVICTION_POLICY,))
    assert found is Disposition.STAY


@pytest.mark.parametrize("power", [PowerState.OFF, PowerState.SUSPENDED])
def test_vm_that_does_not_run_is_registered_elsewhere_on_request(power: PowerState) -> None:
    found = disposition(power, movable=True, eviction=BLOCK, policies=(), registers=True)
    assert found is Disposition.REGISTER


@pytest.mark.parametrize("eviction", Eviction)
@pytest.mark.parametrize("policies", [(), (EVICTION_POLICY,)])
def test_vm_that_can_move_alive_is_migrated(eviction: Eviction, policies: tuple[str, ...]) -> None:
    found = disposition(PowerState.ON, movable=True, eviction=eviction, policies=policies)
    assert found is Disposition.MIGRATE


@pytest.mark.parametrize(
    ("eviction", "policies", "expected"),
    [
        (POWER_OFF, (), Disposition.POWER_OFF),
        (POWER_OFF, (EVICTION_POLICY,), Disposition.POWER_OFF),
        (BLOCK, (), Disposition.BLOCK),
        (BLOCK, (EVICTION_POLICY,), Disposition.BLOCK),
        (POLICY, (), Disposition.BLOCK),
        (POLICY, (RESTART_POLICY,), Disposition.BLOCK),
        (POLICY, (EVICTION_POLICY,), Disposition.POWER_OFF),
    ],
)
def test_vm_that_cannot_move_alive(
    eviction: Eviction, policies: tuple[str, ...], expected: Disposition
) -> None:
    found = disposition(PowerState.ON, movable=False, eviction=eviction, policies=policies)
    assert found is expected


@pytest.mark.parametrize(
    ("eviction", "policies", "expected"),
    [
        (POWER_OFF, (), ""),
        (BLOCK, (), ""),
        (POLICY, (), "esx-1"),
        (POLICY, (EVICTION_POLICY,), "esx-1"),
        (POLICY, (EVICTION_POLICY, RESTART_POLICY), ""),
    ],
)
def test_evicted_vm_starts_again_anywhere_or_on_its_own_host(
    eviction: Eviction, policies: tuple[str, ...], expected: str
) -> None:
    assert restart_host("esx-1", eviction, policies) == expected
