"""What a scenario may draw from, and that a draw does not depend on how many are drawn."""

import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from vmsim.chance_schema import law_of
from vmsim.distributions import at_most, cut, draws
from vmsim.rng import stream

HOUR = 3600.0
LAWS: dict[str, tuple[Any, float]] = {
    "constant": ("20s", 20.0),
    "exponential": ({"exponential": {"mean": "1780h"}}, 1780 * HOUR),
    "weibull": ({"weibull": {"shape": 0.48, "scale": "816.6h"}}, 1766.14 * HOUR),
    "lognormal": ({"lognormal": {"mean": "24h", "cv": 1.5}}, 24 * HOUR),
    "uniform": ({"uniform": {"low": "1h", "high": "6h"}}, 3.5 * HOUR),
    "triangular": ({"triangular": {"low": "8m", "mode": "12m", "high": "20m"}}, 800.0),
    "empirical": ({"empirical": ["1s", "3s", "5s"]}, 3.0),
    "scipy": ({"scipy": {"name": "gamma", "a": 2, "scale": "3h"}}, 6 * HOUR),
}
EACH = pytest.mark.parametrize(("written", "mean_s"), LAWS.values(), ids=LAWS)


@EACH
def test_mean_is_that_of_the_law(written: Any, mean_s: float) -> None:
    assert law_of(written).mean_s == pytest.approx(mean_s, rel=1e-5)


@EACH
def test_draws_have_that_mean(written: Any, mean_s: float) -> None:
    """Within 4 standard errors: one false alarm in 16,000 seeds; the seed is fixed."""
    drawn = law_of(written).draw(stream(1, "mean"), 200_000)
    error = drawn.std() / len(drawn) ** 0.5
    assert abs(drawn.mean() - mean_s) <= 4 * error + 1e-5 * mean_s
    assert error <= 0.01 * mean_s


@EACH
def test_size_of_a_block_changes_nothing(written: Any, mean_s: float) -> None:
    law = law_of(written)
    runs = [
        list(itertools.islice(draws(law, stream(1, "block"), block), 100))
        for block in (0, 1, 7, 100)
    ]
    assert runs[0] == runs[1] == runs[2] == runs[3]


@EACH
def test_name_and_mean_are_printed(written: Any, mean_s: float) -> None:
    words = str(law_of(written))
    assert "mean" in words


def test_mean_is_printed_in_a_readable_unit() -> None:
    assert str(law_of({"lognormal": {"mean": "24h", "cv": 1.5}})) == (
        "lognormal with cv 1.5, mean 24 h"
    )


def test_draws_of_a_seed_are_these() -> None:
    """A change of these numbers changes every digest with chance in it."""
    drawn = law_of(LAWS["weibull"][0]).draw(stream(1, "pinned"), 3)
    assert drawn.tolist() == PINNED


PINNED = [57216.98435211182, 1890882.4372558594, 22867316.537109375]


def test_a_draw_has_34_significant_bits() -> None:
    values = cut(np.array([1 / 3, 1e7 / 3, 0.0]))
    assert values == pytest.approx([1 / 3, 1e7 / 3, 0.0], rel=1e-10)
    assert values[0] == round(values[0] * 2**35) / 2**35


def test_last_digits_do_not_reach_the_result() -> None:
    value = 12345.678
    assert cut(np.array([value])) == cut(np.array([np.nextafter(value, np.inf)]))


def test_longest_time_is_kept() -> None:
    law = at_most(law_of({"lognormal": {"mean": "20s", "cv": 5}}), 300.0)
    drawn = law.draw(stream(1, "longest"), 10_000)
    assert drawn.max() == 300.0


REFUSED: dict[str, tuple[Any, str]] = {
    "unknown name": ({"scipy": {"name": "gama"}}, "did you mean gamma"),
    "unknown parameter": ({"scipy": {"name": "gamma", "b": 2}}, "known: a, loc, scale"),
    "missing parameter": ({"scipy": {"name": "gamma"}}, "gamma needs a"),
    "no name": ({"scipy": {"a": 2}}, "the name of a distribution is required"),
    "word for a number": ({"scipy": {"name": "gamma", "a": "2"}}, "a is a number"),
    "scale without unit": ({"scipy": {"name": "gamma", "a": 2, "scale": 3}}, "unit"),
    "negative values": ({"scipy": {"name": "norm"}}, "may draw negative durations"),
    "undefined": ({"scipy": {"name": "gamma", "a": -2}}, "not defined for these parameters"),
    "unknown kind": ({"foo": 1}, "foo"),
    "nothing": ({}, "give exactly one of constant, exponential"),
    "two": ({"constant": "1s", "exponential": {"mean": "1s"}}, "give exactly one of"),
    "mean of 0": ({"exponential": {"mean": 0}}, "mean must be above 0"),
    "negative shape": ({"weibull": {"shape": -1, "scale": "1s"}}, "greater than 0"),
    "wrong order": ({"uniform": {"low": "2s", "high": "1s"}}, "below high"),
    "mode outside": ({"triangular": {"low": "1s", "mode": "9s", "high": "2s"}}, "in this order"),
    "empty list": ({"empirical": []}, "at least one value"),
    "no unit": ("20", "missing unit"),
}


@pytest.mark.parametrize(("written", "why"), REFUSED.values(), ids=REFUSED)
def test_refused_with_the_reason(written: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        law_of(written)


def test_scipy_is_not_imported_by_a_run_without_laws() -> None:
    code = "import sys, vmsim.running; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
