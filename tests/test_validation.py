"""Every case of `make validate` without chance holds; those with chance are in `make validate`."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.findings import Finding, exactly, finding
from bench.validation_exact import EXACT


@pytest.mark.parametrize("case", EXACT, ids=lambda case: case.__name__)
def test_case_holds(case: Callable[[float], list[Finding]]) -> None:
    found = case(0.1)
    assert found
    assert [str(each) for each in found if not each.holds] == []


def test_finding_fails_when_the_answer_is_outside_or_the_interval_is_vague() -> None:
    good = exactly("V0", "a length", 10.0, 10.0, 0.1)
    assert good.holds
    assert not replace(good, expected=10.2).holds
    assert not replace(good, low=5.0, high=15.0).holds


def test_what_chance_did_to_a_control_is_taken_out_of_the_figure() -> None:
    off = (0.3, -0.1, 0.2, 0.25, -0.05)
    plain = finding("V0", "a wait", 3.0, [3 + 2 * each for each in off], 1.0)
    assert plain.simulated == pytest.approx(3.24)
    assert plain.low < 3.0 < plain.high
    freed = finding("V0", "a wait", 3.0, [(3 + 2 * each, each) for each in off], 1.0)
    assert (freed.low, freed.high) == pytest.approx((3.0, 3.0))
