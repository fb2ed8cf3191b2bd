"""The cases of chance hold, and each fails on a model that is broken where the case looks.

The reduced cases take the same seeds with a fiftieth of the effort, or less, and wider intervals. A
new seed would fail a right model once in a hundred findings; these seeds are fixed.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench import validation_queueing as queueing
from bench.validate import BY_CHANCE
from vmsim import distributions, failures, workqueue
from vmsim.workqueue import Backoff

EFFORT = dict.fromkeys(BY_CHANCE, 0.02) | {"V4": 0.0025, "V5": 0.0025}
Break = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("case", BY_CHANCE)
def test_case_holds(case: str) -> None:
    found = BY_CHANCE[case](EFFORT[case])
    assert [str(each) for each in found if not each.holds] == []


def failures_come_twice_as_soon(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(failures, "time_to_failure_s", lambda drawn_s, repeat: drawn_s / 2)


def every_repair_has_a_crew(patch: pytest.MonkeyPatch) -> None:
    start = failures.Failures._start

    def broken(self: Any, clock: Any, *, repaired: bool) -> None:
        clock.needs_crew = False
        start(self, clock, repaired=repaired)

    patch.setattr(failures.Failures, "_start", broken)


def all_hosts_draw_from_one_stream(patch: pytest.MonkeyPatch) -> None:
    stream = failures.stream
    patch.setattr(failures, "stream", lambda seed, name: stream(seed, name[-2:]))


def crews_rest_after_a_repair(patch: pytest.MonkeyPatch) -> None:
    def broken(self: Any) -> None:
        if not self._crews.waiting:
            self._crews.busy -= 1
            return
        clock = self._crews.waiting.popleft()
        self._later(48 * 3600.0, lambda _: self._repair(clock))

    patch.setattr(failures.Failures, "_next_repair", broken)


def mean_is_taken_for_the_median(patch: pytest.MonkeyPatch) -> None:
    def broken(mean_s: float, cv: float) -> distributions.Law:
        sigma = np.log1p(cv * cv) ** 0.5
        return distributions.Law(
            "", mean_s, lambda rng, n: mean_s * np.exp(sigma * rng.standard_normal(n))
        )

    patch.setattr(distributions, "lognormal", broken)


def a_third_of_the_gpus_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    init = queueing.Slots.__init__

    def broken(self: Any, slots: int, *others: Any, **more: Any) -> None:
        init(self, slots * 2 // 3, *others, **more)

    patch.setattr(queueing.Slots, "__init__", broken)


def those_who_wait_are_not_woken(patch: pytest.MonkeyPatch) -> None:
    use_room = queueing.Slots._use_room

    def broken(self: Any) -> None:
        if int(self._env.now) % 2:
            use_room(self)
        self._due = False

    patch.setattr(queueing.Slots, "_use_room", broken)


def some_waits_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    count = queueing.Slots._count

    def broken(self: Any) -> None:
        if self._env.now <= 36_000:
            self._last_s = self._env.now
        count(self)

    patch.setattr(queueing.Slots, "_count", broken)


def first_pause_is_ten_milliseconds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(queueing, "Backoff", lambda: dataclasses.replace(Backoff(), first_s=0.01))


def back_off_has_no_longest_pause(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(workqueue.Backoff, "delay_s", lambda self, failures: 0.005 * 2.0**failures)


BREAKS: list[tuple[str, Break]] = [
    ("V1", failures_come_twice_as_soon),
    ("V2", failures_come_twice_as_soon),
    ("V2", all_hosts_draw_from_one_stream),
    ("V3", every_repair_has_a_crew),
    ("V3", crews_rest_after_a_repair),
    ("V4", mean_is_taken_for_the_median),
    ("V4", a_third_of_the_gpus_is_forgotten),
    ("V5", a_third_of_the_gpus_is_forgotten),
    ("V5", those_who_wait_are_not_woken),
    ("V6", mean_is_taken_for_the_median),
    ("V7", some_waits_are_not_counted),
    ("V12", first_pause_is_ten_milliseconds),
    ("V12", back_off_has_no_longest_pause),
]


@pytest.mark.parametrize(("case", "broken"), BREAKS, ids=[f"{c}-{b.__name__}" for c, b in BREAKS])
def test_broken_model_is_noticed(case: str, broken: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch)
    assert not all(each.holds for each in BY_CHANCE[case](EFFORT[case]))
