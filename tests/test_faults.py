"""Which rule hits which task, how often, and with what chance."""

from typing import Any

import pytest

from vmsim.actions import Cause, Task, Verb
from vmsim.faults import FaultInjector, FaultRule
from vmsim.rng import stream


def task(verb: Verb = Verb.POWER_ON, vm: str = "ns/web-1", host: str = "esx-2") -> Task:
    return Task(verb, vm, "esx-1", host, Cause.USER)


def injector(*rules: FaultRule, seed: int = 1) -> FaultInjector:
    return FaultInjector(rules, stream(seed, "faults"))


def rule(**other: Any) -> FaultRule:
    return FaultRule("fail", **other)


@pytest.mark.parametrize(
    ("given", "hits"),
    [
        ({}, True),
        ({"verb": "PowerOnVM"}, True),
        ({"verb": "MigrateVM"}, False),
        ({"vm": "ns/web-1"}, True),
        ({"vm": "ns/web-*"}, True),
        ({"vm": "web-1"}, False),
        ({"host": "esx-2"}, True),
        ({"host": "esx-?"}, True),
        ({"host": "esx-1"}, False),
        ({"verb": "PowerOnVM", "vm": "*", "host": "esx-9"}, False),
        ({"probability": 0.0}, False),
    ],
)
def test_rule_hits_by_verb_vm_and_destination(given: dict[str, Any], hits: bool) -> None:
    assert (injector(rule(**given)).strike(task()) is not None) is hits


def test_task_without_a_destination_is_matched_by_where_its_vm_is() -> None:
    assert injector(rule(host="esx-1")).strike(task(host="")) is not None


def test_first_rule_that_hits_decides() -> None:
    first, second = rule(vm="db"), rule(vm="ns/*")
    third = rule()
    assert injector(first, second, third).strike(task()) is second


def test_so_many_matches_pass_unharmed_and_so_many_are_hit() -> None:
    made = injector(rule(skip=2, max_hits=3))
    found = [made.strike(task()) is not None for _ in range(8)]
    assert found == [False, False, True, True, True, False, False, False]


def test_tasks_that_do_not_match_are_not_counted() -> None:
    made = injector(rule(vm="ns/db", skip=1))
    assert made.strike(task()) is None
    assert made.strike(task(vm="ns/db")) is None
    assert made.strike(task(vm="ns/db")) is not None


def test_rule_that_is_spent_leaves_the_task_to_the_next_one() -> None:
    last = rule(fault="Second")
    made = injector(rule(max_hits=1), last)
    made.strike(task())
    assert made.strike(task()) is last


def test_chance_hits_about_as_often_as_it_says() -> None:
    made = injector(rule(probability=0.3))
    assert sum(made.strike(task()) is not None for _ in range(1000)) == pytest.approx(300, abs=45)


def test_same_seed_hits_the_same_tasks_and_another_seed_others() -> None:
    def hits(seed: int) -> list[bool]:
        made = injector(rule(probability=0.5), seed=seed)
        return [made.strike(task()) is not None for _ in range(50)]

    assert hits(1) == hits(1)
    assert hits(1) != hits(2)


def test_rule_without_chance_draws_nothing() -> None:
    chance = stream(1, "faults")
    FaultInjector([rule()], chance).strike(task())
    assert chance.random() == stream(1, "faults").random()
