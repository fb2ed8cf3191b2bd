"""Each check of live migration notices a model that is broken on purpose."""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

import pytest
import test_vmotion as checks

from backends import migrations
from vmsim import bandwidth, precopy, vmotion
from vmsim.bandwidth import Flow
from vmsim.precopy import Copy, Rules
from vmsim.vmotion import StunFit


def geometric() -> None:
    for row in checks.LINEAR:
        checks.test_v8_rounds_are_a_geometric_sum(*row)


def evacuation() -> None:
    for row in checks.V9:
        checks.test_v9_host_is_empty_when_its_card_has_sent_all(*row, 8)


def stun_tables() -> None:
    for gib, seconds in checks.STUN_67:
        checks.test_v14_stun_of_6_7(gib, seconds)
    for gib, seconds in checks.STUN_70:
        checks.test_v14_stun_of_7_0(gib, seconds)
    for gib in checks.STUN_70_WORST:
        checks.test_v14_worst_stun_of_7_0(gib)


def bounds() -> None:
    """The property of Hypothesis on the cases in which a break shows at once."""
    check = checks.test_migration_is_never_outside_the_bounds_of_akoush.hypothesis.inner_test
    for dirty_mib_s in (0.0, 500.0, 5_000.0):
        rules = Rules(0.0, 200, 3.0, sdps=False)
        check(Copy(10_000, dirty_mib_s, 10_000.0, rules=rules), 1_000.0, 2.0)


def conserved() -> None:
    check = checks.test_memory_is_conserved_whatever_the_rates_do.hypothesis.inner_test
    check(Copy(10_000, 100.0, 1_000.0), [(1_000.0, 3.0), (300.0, 4.0)], 2_000.0)


def fair() -> None:
    check = checks.test_rates_are_max_min_fair.hypothesis.inner_test
    flows = [Flow(0, 1, inf), Flow(0, 2, inf), Flow(0, 2, inf), Flow(3, 2, 7.0)]
    check((flows, [100.0, 10.0, 100.0, 50.0]))


def laws() -> None:
    starts = [(0, 0, 1, 8), (0, 0, 2, 3), (2, 0, 3, 1), (0.5, 4, 1, 8), (2, 2, 1, 3), (7, 0, 1, 1)]
    for failing in (None, 0):
        checks.check_laws(starts, 2, failing, None)


DIRTIED = precopy.dirtied_mib
ADVANCE = migrations.advance
SETTLE = bandwidth._settle
REACHED = migrations._reached
LEAVE = migrations.Migrations._leave_links
DROP = migrations.Migrations.drop
RATES = migrations._rates


def last_round_is_forgotten(copy: Any, progress: Any, rate: float, *for_s: float) -> Any:
    done, used_s = ADVANCE(copy, progress, rate, *for_s)
    return done, max(0.0, used_s - done.stopped_s)


def everybody_gets_all(flows: Any, capacity: Any) -> list[float]:
    return [float(capacity[flow.out]) for flow in flows]


def all_of_the_card(moves: Any) -> list[tuple[float, str]]:
    return [(float(move.source.out.capacity), "") for move in moves]


def equal_shares_without_what_others_leave(flows: Any, capacity: Any) -> list[float]:
    most = max((sum(each.out == flow.out for each in flows) for flow in flows), default=1)
    return [
        min(capacity[flow.out] / most, capacity[flow.into] / most, flow.ceiling) for flow in flows
    ]


def only_the_touched_links(links: Any) -> Any:
    return [move for link in list(links)[:1] for move in link.moves.values()]


def links_are_kept(self: Any, move: Any) -> None:
    return None


def units_are_kept(self: Any, move: Any) -> None:
    move.over = True
    move.timer = None
    self._leave_links(move)


def young_overtake(self: Any, move: Any) -> bool:
    if all(pool.used + units <= pool.limit for pool, units in move.needs):
        for pool, units in move.needs:
            pool.used += units
        return True
    next(pool for pool, units in move.needs if pool.used + units > pool.limit).waiting.append(move)
    return False


def youngest_first(self: Any, pool: Any) -> bool:
    for move in reversed(pool.waiting):
        if all(each.used + units <= each.limit for each, units in move.needs):
            pool.waiting.remove(move)
            for each, units in move.needs:
                each.used += units
            self._begin(move)
            return True
    return False


def a_round_too_many(copy: Any, *done: Any, real: Any = precopy._next_round) -> Any:
    return real(replace(copy, rules=replace(copy.rules, max_sent=9.0)), *done)


FITS = {**vmotion.STUN_FITS, "7.0-worst": StunFit(0.82, 2.793, 0.0)}

BREAKS: dict[str, tuple[Any, str, Any, Callable[[], None]]] = {
    "every round sends all memory": (
        precopy, "dirtied_mib", lambda copy, mib: copy.memory_mib if mib else 0.0, geometric),
    "the dirty set saturates in the linear form": (
        precopy, "dirtied_mib",
        lambda copy, mib: DIRTIED(replace(copy, rules=replace(copy.rules, saturating=True)), mib),
        geometric),
    "the last copy takes no time": (migrations, "advance", last_round_is_forgotten, geometric),
    "bandwidth is not shared": (migrations, "_rates", all_of_the_card, evacuation),
    "bandwidth is shared by nine tenths": (
        migrations, "_rates",
        lambda moves: [(0.9 * rate, "") for rate, _ in RATES(moves)], evacuation),
    "the quick way forgets the targets": (
        migrations, "_equal_share", lambda moves: moves[0].source.out.capacity / len(moves), laws),
    "links carry more than they can": (migrations, "fair_rates", everybody_gets_all, laws),
    "the memory term of the stun is lost": (checks, "STUN_FITS", FITS, stun_tables),
    "nothing stops the rounds": (precopy, "_next_round", a_round_too_many, bounds),
    "the guest dirties more than it has": (
        precopy, "dirtied_mib", lambda copy, mib: DIRTIED(copy, mib) * 3, bounds),
    "half of the memory is skipped": (
        precopy, "begin", lambda copy, rate: precopy.Progress(0, copy.memory_mib / 2), conserved),
    "what a slow flow leaves is lost": (
        checks, "fair_rates", equal_shares_without_what_others_leave, fair),
    "a settled flow stays in the count": (
        bandwidth, "_settle", lambda flow, rate, rest, count: None, fair),
    "the neighbours of neighbours are forgotten": (
        migrations, "_reached", only_the_touched_links, laws),
    "a finished migration stays on its links": (
        migrations.Migrations, "_leave_links", links_are_kept, laws),
    "an aborted migration keeps its units": (migrations.Migrations, "drop", units_are_kept, laws),
    "the young overtake the old": (
        migrations.Migrations, "_takes", young_overtake,
        checks.test_migration_that_needs_more_units_is_not_overtaken),
    "the youngest goes first": (
        migrations.Migrations, "_serve", youngest_first,
        checks.test_first_come_first_served_on_every_pool),
    "storage moves cost as little as others": (
        migrations, "VMOTION_WITHOUT_SHARED_STORAGE", vmotion.VMOTION,
        checks.test_storage_migrations_cost_four_units_of_a_host),
}  # fmt: skip
"""By what is broken: where, the name, what stands there instead, and the check that notices."""


@pytest.mark.parametrize("name", BREAKS)
def test_check_notices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, what, broken, check = BREAKS[name]
    monkeypatch.setattr(where, what, broken)
    if where is precopy and what == "begin":
        monkeypatch.setattr(checks, "begin", broken)
    with pytest.raises((AssertionError, KeyError, ZeroDivisionError)):
        check()


@pytest.mark.parametrize("check", {entry[3]: None for entry in BREAKS.values()})
def test_check_passes_on_the_model_as_it_is(check: Callable[[], None]) -> None:
    check()
