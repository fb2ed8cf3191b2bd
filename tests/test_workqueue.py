"""Keys are visited once per reason, in order, and failures come back later and later."""

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from vmsim.workqueue import Backoff, WorkQueue

Visits = list[tuple[float, str]]


def queue(backoff: Backoff | None = None) -> tuple[simpy.Environment, WorkQueue, Visits]:
    env = simpy.Environment()
    visits: Visits = []
    made = WorkQueue(env, lambda key: visits.append((env.now, key)), backoff or Backoff())
    return env, made, visits


def test_pauses_are_five_milliseconds_and_double() -> None:
    found = [Backoff().delay_s(failures) for failures in range(6)]
    assert found == pytest.approx([0.005, 0.01, 0.02, 0.04, 0.08, 0.16])


def test_pause_is_at_most_a_thousand_seconds() -> None:
    found = [Backoff().delay_s(failures) for failures in (17, 18, 19, 64, 10_000)]
    assert found == pytest.approx([655.36, 1000.0, 1000.0, 1000.0, 1000.0])


@pytest.mark.parametrize("failures", range(19))
def test_attempt_n_comes_at_5_ms_times_2_to_the_n_less_1(failures: int) -> None:
    times = attempts(19)
    assert times[failures] == pytest.approx(0.005 * (2**failures - 1))


def test_attempts_after_the_eighteenth_come_every_thousand_seconds() -> None:
    assert attempts(21)[18:] == pytest.approx([1310.715, 2310.715, 3310.715])


def attempts(count: int) -> list[float]:
    """Seconds of the first attempts of a key that fails every time."""
    env = simpy.Environment()
    times: list[float] = []

    def fail(key: str) -> None:
        times.append(env.now)
        if len(times) < count:
            made.retry(key)

    made = WorkQueue(env, fail, Backoff())
    made.add("a")
    env.run()
    return times


@pytest.mark.parametrize(
    ("outage_s", "next_s"),
    [(60, 81.9), (300, 327.7), (600, 655.4), (900, 1310.7), (1800, 2310.7), (14400, 15310.7)],
)
def test_wait_after_an_outage_is_as_published(outage_s: float, next_s: float) -> None:
    found = next(second for second in attempts(40) if second >= outage_s)
    assert found == pytest.approx(next_s, abs=0.05)


def test_key_added_twice_is_visited_once() -> None:
    env, made, visits = queue()
    for key in "aba":
        made.add(key)
    env.run()
    assert visits == [(0, "a"), (0, "b")]


def test_key_added_during_its_own_visit_is_visited_again() -> None:
    env = simpy.Environment()
    visits: list[str] = []

    def handle(key: str) -> None:
        visits.append(key)
        if len(visits) < 3:
            made.add(key)

    made = WorkQueue(env, handle, Backoff())
    made.add("a")
    env.run()
    assert visits == ["a", "a", "a"]


def test_delayed_key_is_visited_when_it_is_due() -> None:
    env, made, visits = queue()
    made.add_after("a", 7.0)
    env.run()
    assert visits == [(7, "a")]


def test_earlier_of_two_due_times_counts() -> None:
    env, made, visits = queue()
    made.add_after("a", 7.0)
    made.add_after("a", 3.0)
    made.add_after("a", 5.0)
    env.run()
    assert visits == [(3, "a")]


def test_key_that_becomes_due_now_is_not_visited_again_later() -> None:
    env, made, visits = queue()
    made.add_after("a", 7.0)
    made.add("a")
    env.run()
    assert visits == [(0, "a")]


def test_key_that_is_ready_needs_no_delay() -> None:
    env, made, visits = queue()
    made.add("a")
    made.add_after("a", 7.0)
    env.run()
    assert visits == [(0, "a")]


def test_success_makes_the_next_failure_a_first_one() -> None:
    _, made, _ = queue()
    assert [made.retry("a"), made.retry("a")] == [0.005, 0.01]
    assert made.failures("a") == 2
    made.forget("a")
    assert made.failures("a") == 0
    assert made.retry("a") == 0.005


def test_keys_fail_apart() -> None:
    _, made, _ = queue()
    made.retry("a")
    assert made.retry("b") == 0.005


def test_wake_does_not_undo_the_failures() -> None:
    env, made, _ = queue()
    made.retry("a")
    made.add("a")
    env.run()
    assert made.retry("a") == 0.01


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=15))
def test_every_key_is_visited_no_later_than_its_earliest_due_time(
    due: list[tuple[str, int]],
) -> None:
    env, made, visits = queue()
    for key, delay_s in due:
        made.add_after(key, delay_s)
    env.run()
    first = {key: min(delay for other, delay in due if other == key) for key, _ in due}
    assert sorted(visits) == sorted((delay, key) for key, delay in first.items())
