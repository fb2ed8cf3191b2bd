"""The VM role is as fast, and comes back as soon, as the controller of its edition."""

from typing import Any

import pytest

from tests.builders import GPU, Run, scenario, vm
from vmsim.actions import PowerOffMode
from vmsim.chance_schema import law_of
from vmsim.durations import Durations
from vmsim.guests import GuestLaw, GuestTimes

BIG = [{"name": "c", "hosts": [{"name": "esx-1", "cores": 64, "memory": "512Gi"}]}]


def run(edition: str = "2026-08", retry: dict[str, Any] | None = None, **spec: Any) -> Run:
    return Run(scenario(edition, clusters=BIG, policies={"retry": retry or {}}, **spec))


def made(count: int, edition: str = "2026-08", **retry: Any) -> list[float]:
    """When so many VMs that are applied at once are created."""
    system = run(edition, retry, durations={"create": "25s"})
    system.apply(*(vm(f"a{number}", edition=edition) for number in range(count)))
    system.until(1000)
    return [round(t, 2) for t, _, _ in system.log("VmCreated")]


def attempts(edition: str, **retry: Any) -> list[float]:
    """When a VM that needs a GPU nobody has is tried, after its creation at 30 s."""
    system = run(edition, retry)
    system.apply(vm("a", needs=GPU, edition=edition))
    system.until(2400)
    return [t - 30 for t, _, _ in system.log("Requeued")]


@pytest.mark.parametrize("edition", ["2023-03", "2026-08"])
def test_failing_vm_is_tried_at_5_ms_times_2_to_the_n_less_1(edition: str) -> None:
    times = attempts(edition, resync="1d")
    assert times[:19] == pytest.approx([0.005 * (2**n - 1) for n in range(19)], abs=2e-3)
    assert times[19] == pytest.approx(2310.715, abs=2e-3)


def test_at_most_80_vms_are_created_at_a_time_in_2026() -> None:
    assert [made(100).count(second) for second in (25, 55)] == [80, 20]


def test_creations_that_are_too_many_ask_again_after_ten_seconds() -> None:
    assert made(3, maxCreates=2) == [25, 25, 55]
    assert made(3, maxCreates=2, createRequeue="7s") == [25, 25, 53]


def test_creation_that_was_refused_makes_way_for_another() -> None:
    other = {"name": "d", "hosts": [{"name": "esx-2", "cores": 64, "memory": "512Gi"}]}
    system = Run(scenario(clusters=[*BIG, other], policies={"retry": {"maxCreates": 1}}))
    system.apply(vm("a", needs=GPU))
    system.until(10)
    system.apply(vm("b"))
    system.until(100)
    assert [name for _, name, _ in system.log("VmCreated")] == ["demo/b"]


def test_creations_of_2023_are_four_fifths_of_the_workers() -> None:
    """Five workers create four VMs; the fifth VM waits for a resync (Q-04)."""
    assert made(5, "2023-03", workers=5) == [25, 25, 25, 25, 625]


def test_creations_of_2023_have_no_limit_without_a_number_of_workers() -> None:
    assert made(100, "2023-03").count(25) == 100


def test_creations_go_before_deletions_in_2026_only() -> None:
    for edition, first in (("2026-08", "Submitted"), ("2023-03", "Deleting")):
        system = run(edition, {"workers": 1, "reconcile": "1s", "maxCreates": 0})
        system.apply(vm("old", edition=edition))
        system.until(200)
        system.apply(vm("other", edition=edition))
        system.delete("old")
        system.apply(vm("new", edition=edition))
        system.until(400)
        started = [r.object for r in system.records if r.kind == "TaskStarted" and r.t > 200]
        order = [started.index("demo/new"), started.index("demo/old")]
        assert order == sorted(order) if first == "Submitted" else order[0] > order[1]


def test_a_visit_that_takes_time_delays_what_it_decides() -> None:
    assert made(2, workers=1, reconcile="2s") == [27, 29]


def test_vm_without_address_is_visited_every_ten_seconds_in_2023() -> None:
    """It runs at 35 s and answers at 69 s; nobody tells, so it is seen at the next visit."""
    system = run("2023-03", guests=[{"boot": "34s"}])
    system.apply(vm("a", edition="2023-03"))
    system.until(200)
    seen = [r.t for r in system.records if r.kind == "Status" and r.data.get("ip")]
    assert seen == pytest.approx([75.0], abs=0.01)


def off(edition: str, **spec: Any) -> list[float]:
    """How long after the patch the VM is off; its guest takes ten minutes to shut down."""
    system = run(edition, guests=[{"shutdown": "10m"}])
    system.apply(vm("a", edition=edition, **spec))
    system.until(200)
    system.patch("a", powerState="poweredOff" if edition == "2023-03" else "PoweredOff")
    system.until(2000)
    return [round(t - 200, 3) for t, _, _ in system.log("VmPoweredOff")]


def test_hard_powers_off_at_once() -> None:
    assert off("2026-08", powerOffMode="Hard") == [0]


def test_soft_waits_for_the_guest() -> None:
    assert off("2026-08", powerOffMode="Soft") == [600]


def test_try_soft_powers_off_hard_after_five_minutes() -> None:
    assert off("2026-08", powerOffMode="TrySoft") == [300]


def test_each_edition_has_its_default_mode() -> None:
    assert off("2026-08") == [300]
    assert off("2023-03") == [0]


def test_guest_that_shuts_down_in_time_is_not_cut_short() -> None:
    times = GuestTimes(Durations(), [GuestLaw("*", law_of("40s"), law_of("20s"))])
    assert times.power_off_s("ns/a", PowerOffMode.TRY_SOFT) == 20.0


@pytest.mark.parametrize(("system", "boot_s"), [("linux", 40), ("windows", 120)])
def test_guest_boots_as_its_system_does(system: str, boot_s: float) -> None:
    started = run(guests=[{"classes": "small", "os": system}])
    started.apply(vm("a"))
    started.until(300)
    seen = [r.t for r in started.records if r.kind == "Status" and r.data.get("ip")]
    assert seen == pytest.approx([35 + boot_s], abs=0.01)


def test_guests_without_an_entry_take_the_fixed_durations() -> None:
    times = GuestTimes(Durations())
    assert (times.boot_s("a"), times.power_off_s("a", PowerOffMode.SOFT)) == (30.0, 20.0)


def test_each_vm_has_its_own_times() -> None:
    law = law_of({"lognormal": {"mean": "40s", "cv": 0.3}})
    alone = GuestTimes(Durations(), [GuestLaw("*", law, law)])
    together = GuestTimes(Durations(), [GuestLaw("*", law, law)])
    together.boot_s("ns/b")
    assert alone.boot_s("ns/a") == together.boot_s("ns/a") != together.boot_s("ns/b")


def test_timers_are_printed() -> None:
    said = "\n".join(run("2023-03").system.header["assumptions"])
    assert "retries of all VMs: 10 a second after a burst of 100" in said
    assert "at most 80 VMs" in "\n".join(run().system.header["assumptions"])
