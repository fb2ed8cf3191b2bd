"""Break vSphere HA on purpose: each break must be caught by a check that otherwise passes."""

from collections.abc import Callable
from typing import Any

import pytest
import test_availability as simulated
import test_ha as figures

from vmsim import admission_control, ha
from vmsim.availability import Availability

Break = Callable[[pytest.MonkeyPatch], None]


def replace(where: Any, name: str, broken: Any) -> Break:
    """What puts `broken` in the place of a function, here and where the tests know it by name."""

    def put(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(where, name, broken)
        for module in (figures, simulated):
            if hasattr(module, name):
                patch.setattr(module, name, broken)

    return put


def exhaustive_promise() -> None:
    """One instance of the property of slots: 3 hosts of 4, 3 and 3 slots, 7 VMs."""
    load = [(ha.Amount(2000, 2000), 7)]
    control = ha.Control(ha.ControlPolicy.SLOTS)
    assert figures.broken_promises(control, figures.GOLDEN_HOSTS, load) == 0


def monotone_capacity() -> None:
    assert figures.failover_capacity([3, 3, 9], 6) >= figures.failover_capacity([3, 3], 6)


def published_overhead() -> None:
    figures.test_memory_overhead_is_that_of_the_published_table()


def linear_gap(policy: ha.RestartPolicy, attempts: int) -> float | None:
    return None if attempts >= policy.max_attempts else policy.first_retry_s * attempts


def endless_gap(policy: ha.RestartPolicy, attempts: int) -> float | None:
    return policy.first_retry_s if attempts < 50 else None


def smallest_first(slots: Any, failures: int) -> int:
    return sum(sorted(slots)[failures:])


def nothing_fails(slots: list[int], needed: int) -> int:
    return len(slots) if sum(slots) >= needed else 0


def as_secondary(kind: Any, settings: Any, *, primary: bool, real: Any = ha.timeline) -> Any:
    return real(kind, settings, primary=False)


def in_order(self: Availability, restart: Any, row: int) -> bool:
    begun = self._begun.get(row, {})
    return sum(other.runs for other in begun.values()) < self._policy.per_host


def without_limit(self: Availability, restart: Any, row: int) -> bool:
    return True


def asleep(self: Availability) -> None:
    return None


def every_load(policy: Any, hosts: Any) -> ha.Judge:
    return lambda load: ""


BREAKS: dict[str, tuple[Break, Callable[[], None]]] = {
    "pauses grow by two minutes": (
        replace(ha.RestartPolicy, "gap_s", linear_gap),
        figures.test_attempts_at_0_2_6_14_and_30_minutes_and_no_sixth,
    ),
    "there is a sixth attempt": (
        replace(ha.RestartPolicy, "gap_s", endless_gap),
        lambda: simulated.test_failing_power_on_is_tried_at_0_2_6_14_and_30_min_then_given_up(
            simulated.AT_ONCE, [0, 120, 360, 840, 1800]
        ),
    ),
    "the smallest hosts fail": (
        replace(ha, "usable_slots", smallest_first),
        figures.test_slots_of_the_availability_guide,
    ),
    "slots are promised that a failure takes": (
        replace(ha, "failover_capacity", nothing_fails),
        exhaustive_promise,
    ),
    "capacity shrinks with hosts": (
        replace(ha, "failover_capacity", lambda slots, needed: needed // len(slots)),
        monotone_capacity,
    ),
    "overhead has no part by vCPU": (
        replace(ha, "memory_overhead_mib", lambda cpus, memory: 18.0 + 0.00743 * memory),
        published_overhead,
    ),
    "percentages are rounded up": (
        replace(ha, "free_percent", lambda total, used: -(-(total - used) * 100 // total)),
        figures.test_percentages_of_the_availability_guide,
    ),
    "the primary is a host like any other": (
        replace(ha, "timeline", as_secondary),
        lambda: figures.test_dead_host_is_noticed_after_so_long(ha.Settings(), True, 35.0),
    ),
    "restarts go on without a primary": (
        replace(Availability, "_hold", lambda self, cluster: None),
        simulated.test_nobody_restarts_anything_while_a_primary_is_elected,
    ),
    "a host powers everything on at once": (
        replace(Availability, "_is_its_turn", without_limit),
        simulated.test_100_vms_on_1_survivor_come_in_batches_of_32_and_run_at_68_s,
    ),
    "priorities do not count": (
        replace(Availability, "_is_its_turn", in_order),
        simulated.test_vms_restart_by_priority_and_disabled_ones_not_at_all,
    ),
    "nothing wakes a pending VM": (
        replace(Availability, "_wake", asleep),
        lambda: simulated.test_pending_vm_is_woken_by_room_and_hosts_and_has_burnt_no_attempt(
            "room"
        ),
    ),
    "everything is admitted": (
        replace(admission_control, "judge", every_load),
        simulated.test_power_on_that_breaks_the_failover_level_is_refused_with_its_fault,
    ),
    "maintenance is always admitted": (
        replace(admission_control.AdmissionControl, "evacuation_refusal", lambda self, row: None),
        simulated.test_host_is_not_emptied_while_the_others_could_not_bear_a_failure,
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_break_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put, check = BREAKS[name]
    check()
    put(monkeypatch)
    with pytest.raises(AssertionError):
        check()
