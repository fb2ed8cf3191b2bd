"""Keys are visited once per reason, in order, and failures come back later and later."""

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from vmsim.workqueue import Backoff, Pace, WorkQueue

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


def paced(pace: Pace) -> tuple[simpy.Environment, WorkQueue, Visits]:
    env = simpy.Environment()
    visits: Visits = []
    made = WorkQueue(env, lambda key: visits.append((env.now, key)), Backoff(), pace)
    return env, made, visits


def test_bucket_lets_a_burst_pass_and_then_ten_a_second() -> None:
    _, made, _ = paced(Pace(bucket_per_s=10.0, bucket_burst=100))
    delays = [made.retry(f"vm-{number}") for number in range(103)]
    assert delays[:100] == [0.005] * 100
    assert delays[100:] == pytest.approx([0.1, 0.2, 0.3])


def test_bucket_fills_again() -> None:
    env, made, _ = paced(Pace(bucket_per_s=10.0, bucket_burst=2))
    for number in range(4):
        made.retry(f"vm-{number}")
    env.run(until=10)
    assert [made.retry(f"new-{number}") for number in range(3)] == pytest.approx(
        [0.005, 0.005, 0.1]
    )


def test_without_a_bucket_only_the_back_off_counts() -> None:
    _, made, _ = paced(Pace())
    assert {made.retry(f"vm-{number}") for number in range(1000)} == {0.005}


def test_keys_of_one_instant_come_by_priority_and_then_in_order() -> None:
    env, made, visits = paced(Pace(rank={"a": 1, "b": 9, "c": 1, "d": 5}.__getitem__))
    for key in "abcd":
        made.add(key)
    env.run()
    assert [key for _, key in visits] == ["b", "d", "a", "c"]


def test_key_added_during_a_visit_takes_its_place_by_priority() -> None:
    env = simpy.Environment()
    seen: list[str] = []

    def handle(key: str) -> None:
        seen.append(key)
        if key == "first":
            made.add("urgent")

    ranks = {"first": 9, "idle": -1, "urgent": 5}
    made = WorkQueue(env, handle, Backoff(), Pace(rank=ranks.__getitem__))
    made.add("idle")
    made.add("first")
    env.run()
    assert seen == ["first", "urgent", "idle"]


KEYS = st.lists(st.sampled_from("abcdef"), max_size=5)


@given(
    KEYS,
    st.dictionaries(st.sampled_from("abcdef"), KEYS),
    st.lists(st.integers(0, 2), min_size=6, max_size=6),
)
def test_next_is_always_the_highest_of_those_that_are_due_the_first_of_several(
    first: list[str], then: dict[str, list[str]], given_ranks: list[int]
) -> None:
    """Each key adds others, once, when it is visited; ranks are those of the keys."""
    env = simpy.Environment()
    ranks = dict(zip("abcdef", given_ranks, strict=True))
    due, adds = list(dict.fromkeys(first)), dict(then)

    def handle(key: str) -> None:
        assert key == max(due, key=lambda each: ranks[each])
        due.remove(key)
        for other in adds.pop(key, []):
            made.add(other)
            due.extend([other] if other not in due else [])

    made = WorkQueue(env, handle, Backoff(), Pace(rank=ranks.__getitem__))
    for key in first:
        made.add(key)
    env.run()
    assert due == []


def test_a_worker_takes_one_key_at_a_time() -> None:
    env, made, visits = paced(Pace(workers=1, visit_s=2.0))
    for key in "abc":
        made.add(key)
    env.run()
    assert visits == [(2, "a"), (4, "b"), (6, "c")]


def test_two_workers_take_two_keys_at_a_time() -> None:
    env, made, visits = paced(Pace(workers=2, visit_s=2.0))
    for key in "abc":
        made.add(key)
    env.run()
    assert visits == [(2, "a"), (2, "b"), (4, "c")]


def test_key_added_while_it_is_visited_is_visited_once_more() -> None:
    env, made, visits = paced(Pace(workers=2, visit_s=2.0))
    made.add("a")
    env.run(until=1)
    made.add("a")
    made.add("a")
    env.run()
    assert visits == [(2, "a"), (4, "a")]


@pytest.mark.parametrize("busy", [False, True])
def test_held_keys_are_handled_when_let_go_unless_the_instant_has_more(busy: bool) -> None:
    env, made, visits = queue()
    order: list[str] = []

    def act(_: object) -> None:
        if busy:
            env.timeout(0.0).callbacks.append(lambda _: order.append("other"))  # type: ignore
        made.hold()
        made.add("a")
        made.add("b")
        assert visits == []
        made.let_go()
        order.extend(key for _, key in visits)

    env.timeout(5.0).callbacks.append(act)  # type: ignore[union-attr]
    env.run(until=6.0)
    assert visits == [(5.0, "a"), (5.0, "b")]
    assert order == (["other"] if busy else ["a", "b"])


def test_letting_go_of_nothing_handles_nothing() -> None:
    env, made, visits = queue()
    made.hold()
    made.let_go()
    env.run(until=1.0)
    assert visits == []
