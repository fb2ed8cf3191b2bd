"""How sure is a figure that comes from a few replications?

Means get Student's interval, shares Wilson's, quantiles the order statistics' interval; all of
them hold for independent replications. A figure is a value with its interval; an interval that
cannot be had (one replication, too few for a P99) is infinite, never narrow. What the quantity
itself cannot be (a negative downtime) is cut off: the truth is not there, so the interval covers
it as often as before.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import special

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """An estimate with the ends of its interval and the number of replications behind it.

    In `cut` of them the run ended before the value was known, so it is at least this much.
    """

    value: float
    low: float
    high: float
    count: int
    cut: int = 0

    @property
    def half_width(self) -> float:
        """How far the farther end is away."""
        return max(self.high - self.value, self.value - self.low)

    @property
    def relative(self) -> float:
        """The half-width by the value: infinite for a value of 0 with a width."""
        if self.half_width == 0.0:
            return 0.0
        return self.half_width / abs(self.value) if self.value else math.inf


def mean(values: Sequence[float]) -> Figure:
    """The mean with Student's interval."""
    found = np.asarray(values, dtype=float)
    count = len(found)
    if count == 0:
        return Figure(math.nan, -math.inf, math.inf, 0)
    if count > 1 and float(np.ptp(found)) == 0.0:
        return Figure(values[0], values[0], values[0], count)
    centre = float(found.mean())
    if count == 1:
        return Figure(centre, -math.inf, math.inf, 1)
    error = float(found.std(ddof=1)) / math.sqrt(count)
    half = float(special.stdtrit(count - 1, 0.5 + CONFIDENCE / 2)) * error
    return Figure(centre, centre - half, centre + half, count)


def share(values: Sequence[float]) -> Figure:
    """The share of replications with a value above 0, with Wilson's interval."""
    count = len(values)
    if count == 0:
        return Figure(math.nan, 0.0, 1.0, 0)
    from scipy import stats

    hits = sum(1 for value in values if value > 0)
    low, high = stats.binomtest(hits, count).proportion_ci(CONFIDENCE, method="wilson")
    return Figure(hits / count, float(low), float(high), count)


def quantile(level: float) -> Callable[[Sequence[float]], Figure]:
    """What estimates the quantile, with the interval of two order statistics."""

    def estimate(values: Sequence[float]) -> Figure:
        found = np.sort(np.asarray(values, dtype=float))
        count = len(found)
        if count == 0:
            return Figure(math.nan, -math.inf, math.inf, 0)
        value = float(np.quantile(found, level, method="inverted_cdf"))
        tail = (1 - CONFIDENCE) / 2
        at_most = special.bdtr(np.arange(count + 1), count, level)
        below, above = np.searchsorted(at_most, (tail, 1 - tail)).tolist()
        below -= 1
        low = float(found[below]) if below >= 0 else -math.inf
        high = float(found[above]) if above < count else math.inf
        return Figure(value, low, high, count)

    return estimate


ESTIMATES: Mapping[str, Callable[[Sequence[float]], Figure]] = MappingProxyType(
    {
        "mean": mean,
        "share": share,
    }
)
"""What may be asked of the values of a metric, one for each replication."""


def exact(values: Sequence[float], how: str) -> Figure:
    """The figure when every case there is was run: no chance is left, so it has no width."""
    found = ESTIMATES[how](values)
    return Figure(found.value, found.value, found.value, found.count)


def within(figure: Figure, most: float, cut: int = 0) -> Figure:
    """The figure of a quantity from 0 to `most`, with what cannot be cut off its interval."""
    low, high = max(figure.low, 0.0), min(figure.high, most)
    return dataclasses.replace(figure, low=low, high=high, cut=cut)


def percent(share: Figure) -> Figure:
    """A share from 0 to 1 in per cent."""
    low, high = 100.0 * share.low, 100.0 * share.high
    return dataclasses.replace(share, value=100.0 * share.value, low=low, high=high)


def wanted_count(figure: Figure, relative: float) -> int:
    """How many replications a relative half-width would take, as far as these tell."""
    if not math.isfinite(figure.relative) or figure.relative <= relative:
        return figure.count * (1 if figure.relative <= relative else 10)
    return math.ceil(figure.count * (figure.relative / relative) ** 2)
