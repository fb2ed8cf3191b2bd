"""How long will it be this time?

A law is a distribution of durations in seconds: its words, its mean and how to draw from it. The
few that scenarios name most are made with numpy alone; every other one comes from scipy.stats by
its name, which is imported when one is used. A draw takes its random numbers from the stream one
after the other, so a result does not depend on how many are drawn at a time. Drawn seconds are cut
to 34 significant bits: the last digits of log and exp differ between machines, results may not.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Seconds: TypeAlias = NDArray[np.float64]
Drawer: TypeAlias = Callable[[np.random.Generator, int], Seconds]

SIGNIFICANT = float(1 << 34)
FIRST_BLOCK = 8
LARGEST_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Law:
    """A distribution of durations; `draw(rng, n)` gives n seconds, float64 (n,), 0 or more."""

    words: str
    mean_s: float
    draw: Drawer

    def __str__(self) -> str:
        return f"{self.words}, mean {_words_of(self.mean_s)}"


def constant(seconds: float) -> Law:
    """Always the same."""
    return Law(f"constant {_words_of(seconds)}", seconds, lambda rng, n: np.full(n, seconds))


def exponential(mean_s: float) -> Law:
    """Without memory: the rest of a wait does not depend on how long it was so far."""
    _positive(mean=mean_s)
    return Law("exponential", mean_s, lambda rng, n: cut(mean_s * rng.standard_exponential(n)))


def weibull(shape: float, scale_s: float) -> Law:
    """A hazard that falls with time when `shape` is below 1, and rises when it is above."""
    _positive(shape=shape, scale=scale_s)
    mean_s = scale_s * math.gamma(1.0 + 1.0 / shape)
    return Law(
        f"Weibull with shape {shape:g} and scale {_words_of(scale_s)}",
        mean_s,
        lambda rng, n: cut(scale_s * rng.standard_exponential(n) ** (1.0 / shape)),
    )


def lognormal(mean_s: float, cv: float) -> Law:
    """The logarithm is normal; `cv` is the standard deviation by the mean, of the seconds."""
    _positive(mean=mean_s, cv=cv)
    variance = math.log1p(cv * cv)
    location, sigma = math.log(mean_s) - variance / 2, math.sqrt(variance)
    return Law(
        f"lognormal with cv {cv:g}",
        mean_s,
        lambda rng, n: cut(np.exp(location + sigma * rng.standard_normal(n))),
    )


def uniform(low_s: float, high_s: float) -> Law:
    """Anything between the two, alike."""
    if not 0.0 <= low_s < high_s:
        raise ValueError("low must be 0 or more, and below high")
    return Law(
        f"uniform from {_words_of(low_s)} to {_words_of(high_s)}",
        (low_s + high_s) / 2,
        lambda rng, n: cut(low_s + (high_s - low_s) * rng.random(n)),
    )


def triangular(low_s: float, mode_s: float, high_s: float) -> Law:
    """Between low and high, most often near the mode."""
    if not (0.0 <= low_s <= mode_s <= high_s and low_s < high_s):
        raise ValueError("low, mode and high must come in this order, and differ")
    span_s = high_s - low_s
    turn = (mode_s - low_s) / span_s

    def draw(rng: np.random.Generator, n: int) -> Seconds:
        share = rng.random(n)
        left = low_s + np.sqrt(share * span_s * (mode_s - low_s))
        right = high_s - np.sqrt((1.0 - share) * span_s * (high_s - mode_s))
        return cut(np.where(share < turn, left, right))

    words = f"triangular {_words_of(low_s)}, {_words_of(mode_s)}, {_words_of(high_s)}"
    return Law(words, (low_s + mode_s + high_s) / 3, draw)


def empirical(seconds: Sequence[float]) -> Law:
    """One of these, each as likely as the others."""
    values = np.asarray(seconds, dtype=np.float64)
    if not len(values):
        raise ValueError("give at least one value")
    return Law(
        f"one of {len(values)} measured values",
        float(values.mean()),
        lambda rng, n: values[(rng.random(n) * len(values)).astype(np.intp)],
    )


def from_scipy(name: str, parameters: Mapping[str, float]) -> Law:
    """The continuous distribution `name` of scipy.stats; ValueError says what it does not know.

    `loc` and `scale` are seconds, the others are its shape parameters. Values come from the
    quantile function, one uniform number each.
    """
    from scipy import stats  # half a second, and only for those who use it

    known = {item: getattr(stats, item) for item in _names(stats)}
    if name not in known:
        close = get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "see scipy.stats for the names"
        raise ValueError(f"scipy.stats has no continuous distribution {name!r}; {hint}")
    law = known[name]
    shapes = [item.strip() for item in (law.shapes or "").split(",") if item.strip()]
    unknown = sorted(set(parameters) - {*shapes, "loc", "scale"})
    missing = sorted(set(shapes) - set(parameters))
    if unknown or missing:
        wrong = [f"does not know {item}" for item in unknown]
        wrong += [f"needs {item}" for item in missing]
        raise ValueError(
            f"{name} {', '.join(wrong)}; known: {', '.join([*shapes, 'loc', 'scale'])}"
        )
    frozen = law(**parameters)
    low = float(frozen.support()[0])
    if math.isnan(low):
        raise ValueError(f"{name} is not defined for these parameters")
    if low < 0.0:
        raise ValueError(
            f"{name} may draw negative durations (from {low:g} s): no duration is negative; "
            "raise loc or take a distribution without negative values"
        )
    given = ", ".join(f"{key} {value:g}" for key, value in parameters.items())
    return Law(
        f"{name} ({given})" if given else name,
        float(frozen.mean()),
        lambda rng, n: cut(np.asarray(frozen.ppf(rng.random(n)), dtype=np.float64)),
    )


def at_most(law: Law, longest_s: float) -> Law:
    """The same, but never longer; its mean is an upper bound of the true one."""
    return Law(
        f"{law.words}, at most {_words_of(longest_s)}",
        min(law.mean_s, longest_s),
        lambda rng, n: np.minimum(law.draw(rng, n), longest_s),
    )


def cut(seconds: Seconds) -> Seconds:
    """The seconds, rounded to 34 significant bits."""
    mantissa, exponent = np.frexp(seconds)
    rounded: Seconds = np.ldexp(np.rint(mantissa * SIGNIFICANT) / SIGNIFICANT, exponent)
    return rounded


def draws(law: Law, rng: np.random.Generator, block: int = 0) -> Iterator[float]:
    """Draws of a law without end, made in blocks: of `block`, or by default of a growing size."""
    size = block or FIRST_BLOCK
    while True:
        yield from law.draw(rng, size).tolist()
        size = block or min(size * 2, LARGEST_BLOCK)


def _positive(**parameters: float) -> None:
    for name, value in parameters.items():
        if not (value > 0.0 and math.isfinite(value)):
            raise ValueError(f"{name} must be above 0")


def _names(stats: Any) -> list[str]:
    """The continuous distributions that scipy.stats has."""
    kind = stats.rv_continuous
    return sorted(name for name, item in vars(stats).items() if isinstance(item, kind))


_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def _words_of(seconds: float) -> str:
    """Seconds in the largest unit that they fill twice."""
    for size, unit in _UNITS:
        if 2 * size <= seconds < math.inf:
            return f"{seconds / size:.6g} {unit}"
    return f"{seconds:.6g} s"
