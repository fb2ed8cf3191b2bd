"""The year of failures: what a replication tells, with and without a trace of it."""

import io

import pytest

from backends import opened
from bench import sweeping, year
from vmsim.objects import HostState, PowerState
from vmsim.whatif.replication import ready, replicate

HOSTS = 12


@pytest.fixture(scope="module")
def runs() -> tuple[year.Figures, year.Figures, list[str]]:
    """The figures of one year with and without a trace, and the digests of two with one."""
    made = year.plan(HOSTS)
    placed = year.start(made, year.sizes(HOSTS))
    bare = year.replicate(made, 3, placed)[1]
    traced = [year.replicate(made, 3, placed, io.BytesIO()) for _ in range(2)]
    return bare, traced[0][1], [run.trace.digest() for run, _ in traced]


def test_a_year_without_a_trace_is_the_year_with_one(
    runs: tuple[year.Figures, year.Figures, list[str]],
) -> None:
    bare, traced, digests = runs
    assert bare == traced
    assert digests[0] == digests[1]


def test_every_restart_takes_detection_and_boot_where_all_find_room(
    runs: tuple[year.Figures, year.Figures, list[str]],
) -> None:
    figures = runs[0]
    assert (figures.failures, figures.unplaced, figures.down) == (42, 0, {})
    assert figures.downtime_s == pytest.approx(180 * figures.restarts)


def test_the_year_begins_with_every_vm_running_and_reported() -> None:
    made, vms = year.plan(HOSTS), year.sizes(HOSTS)
    run, figures = year.replicate(made, 3, year.start(made, vms), until_s=0.0)
    guests = run.fleet.guests.values()
    assert (len(guests), figures) == (len(vms), year.Figures())
    assert all(guest.power is PowerState.ON and guest.connected for guest in guests)
    assert all(vm.status.host == run.fleet.guests[key].host for key, vm in run.api.vms.items())
    assert set(run.fleet.inventory.states) == {HostState.UP}
    assert not run.fleet.inventory.overcommitted()
    cores = sum(cpus for cpus, _ in vms)
    assert int(run.fleet.inventory.room[0].sum()) == HOSTS * 48 - cores


def test_a_sweep_of_the_year_tells_the_same_story() -> None:
    made = year.plan(HOSTS)
    figures = year.replicate(made, 3, year.start(made, year.sizes(HOSTS)))[1]
    row = replicate(ready(sweeping.loaded(HOSTS).resolved, 3), opened).row
    assert (row["host_failures"], row["incidents"]) == (figures.failures, figures.restarts)
    assert row["downtime_s"] == pytest.approx(figures.downtime_s)
