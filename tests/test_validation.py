"""Every case of `make validate` without chance holds; those with chance are in `make validate`."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.validation_chance import Finding, exactly
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
