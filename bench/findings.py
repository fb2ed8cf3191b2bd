"""How is the model held against a known answer?

A finding is one quantity: the known answer, what was simulated, its interval, and the tolerance. It
holds if the answer is in the interval and the interval is no wider than the tolerance, so a case
cannot pass by being vague. With chance, the interval is the 99 % confidence interval over
independent replications. Seeds are fixed: a case either always holds or never does; a new seed
would fail a right model once in a hundred findings.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

CONFIDENCE = 0.99
HOUR_S = 3600.0
SEED = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One quantity: its closed form, the simulated mean with its interval, and the tolerance."""

    case: str
    quantity: str
    expected: float
    simulated: float
    low: float
    high: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the closed form is in the interval, and the interval narrow enough."""
        margin = 1e-12 * abs(self.expected)
        inside = self.low - margin <= self.expected <= self.high + margin
        return inside and (self.high - self.low) / 2 <= self.tolerance * (1 + 1e-6)

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "FAILS"
        return (
            f"{verdict}  {self.case:<4} {self.quantity:<52} expected {self.expected:<12.6g} "
            f"simulated {self.simulated:<12.6g} [{self.low:.6g}, {self.high:.6g}] "
            f"tolerance {self.tolerance:.3g}"
        )


def finding(
    case: str,
    quantity: str,
    expected: float,
    found: Sequence[float | tuple[float, ...]],
    tolerance: float,
) -> Finding:
    """The finding of independent replications, each a figure, or a figure with its controls.

    A control is another figure of the same replication of which the expectation is known to be 0:
    what chance did to it is taken out of the first one by linear regression, and the interval is
    that of the intercept. Source: Lavenberg and Welch, Management Science 27 (1981).
    """
    rows = np.array(found, dtype=float).reshape(len(found), -1)
    terms = np.column_stack([np.ones(len(rows)), rows[:, 1:]])
    inverse = np.linalg.inv(terms.T @ terms)
    estimates = inverse @ terms.T @ rows[:, 0]
    free = len(rows) - terms.shape[1]
    spread = float(((rows[:, 0] - terms @ estimates) ** 2).sum()) / free
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, free)) * (spread * float(inverse[0, 0])) ** 0.5
    mean = float(estimates[0])
    return Finding(case, quantity, expected, mean, mean - half, mean + half, tolerance)


def exactly(case: str, quantity: str, expected: float, found: float, tolerance: float) -> Finding:
    """The finding of a quantity that is not random: the tolerance is its interval."""
    low, high = found - tolerance, found + tolerance
    return Finding(case, quantity, expected, found, low, high, tolerance)


def exponential(hours: float) -> dict[str, Any]:
    """An exponential distribution as a scenario writes it."""
    return {"exponential": {"mean": f"{hours}h"}}


def wider(effort: float) -> float:
    """By how much tolerances grow when replications have only this share of their length."""
    return max(1.0, 1.0 / math.sqrt(effort))


Cases = Mapping[str, Callable[[float], list[Finding]]]
"""By name, each a function of the effort (1.0: all of it)."""
