"""How many hosts do these VMs need, and is that proved?

A pattern is what one host may run. The linear program over patterns (Gilmore and Gomory, 1961)
starts with few of them and asks a knapsack problem for the next, until none pays; with the duals
pi and the best value z of a host of each type, `pi * count + sum of hosts * min(0, 1 - z)` is a
bound at every step, even when time is short. Whole numbers of the patterns found give a packing.
Where the two differ, a program with a variable per host and class decides, within a limit.
scipy's HiGHS solves all three.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array

from vmsim.whatif.packing import Counts, Packing, least_by_large, least_by_sums, packed

TOLERANCE = 1e-6
MOST_VARIABLES = 20_000
Pattern = tuple[int, Counts]


@dataclass(frozen=True, slots=True)
class Bound:
    """What one method says: at least `low` hosts, `high` are enough (None: it does not say; a
    `low` above the number of hosts: they are too few), and the seconds it took."""

    method: str
    low: int
    high: int | None
    seconds: float


class Clock:
    """Seconds since it was made, and whether a limit is over."""

    def __init__(self, limit_s: float) -> None:
        self._begun_s = time.perf_counter()
        self._limit_s = limit_s

    @property
    def passed_s(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self._begun_s

    @property
    def left_s(self) -> float:
        """Seconds that are left, at least a moment."""
        return max(self._limit_s - self.passed_s, 0.01)

    @property
    def over(self) -> bool:
        """Whether the limit has passed."""
        return self.passed_s >= self._limit_s


def bounds(given: Packing, limit_s: float) -> Iterator[Bound]:
    """L1, L2, LP and exact, one after another; the last one ends after `limit_s` or so."""
    steps: dict[str, Callable[[Packing], int]] = {"L1": least_by_sums, "L2": least_by_large}
    low = 0
    for method, least in steps.items():
        clock = Clock(limit_s)
        low = max(low, least(given))
        yield Bound(method, low, None, clock.passed_s)
    clock = Clock(limit_s)
    bound, patterns = relaxed(given, clock)
    low = max(low, bound)
    yield Bound("LP", low, None, clock.passed_s)
    clock = Clock(limit_s)
    low, high = exact(given, low, patterns, clock)
    yield Bound("exact", low, high, clock.passed_s)


def relaxed(given: Packing, clock: Clock) -> tuple[int, list[Pattern]]:
    """The bound of the linear program over patterns, and the patterns that it needed."""
    patterns = list(_first(given))
    best = 0.0
    while True:
        value, pi, mu = _master(given, patterns)
        priced = [_priced(given, host, pi, clock) for host in range(len(given.size))]
        z = np.array([upper for upper, _ in priced])
        best = max(best, float(pi @ given.count + given.hosts @ np.minimum(0.0, 1.0 - z)))
        new = [
            (host, pattern)
            for host, (upper, pattern) in enumerate(priced)
            if pi @ pattern + mu[host] > 1.0 + TOLERANCE
        ]
        if not new or clock.over or _whole(best) >= _whole(value):
            return min(_whole(best), given.total + 1), patterns
        patterns += new


def exact(
    given: Packing, low: int, patterns: list[Pattern], clock: Clock
) -> tuple[int, int | None]:
    """The ends between which the fewest hosts are: equal when it is proved.

    The upper end is None when no packing was found.
    """
    if low > given.total:
        return low, None
    simple = packed(given)
    ends = [len(simple)] if simple is not None else []
    if low not in ends:
        ends += _rounded(given, patterns, clock)
    high = min(ends, default=None)
    if high == low or len(given.count) * given.total > MOST_VARIABLES:
        return low, high
    proved, found = _assigned(given, low, clock)
    return max(low, proved), min((end for end in (found, high) if end is not None), default=None)


def more_that_fit(more: Callable[[int], Packing], most: int, limit_s: float) -> tuple[int, int]:
    """How many more VMs the hosts take if all VMs may be moved at will: at least and at most, equal
    when it is proved. `more` is the packing with so many more, `most` an upper end."""
    clock = Clock(limit_s)
    sure, over = 0, most + 1
    while over - sure > 1:
        middle = (sure + over) // 2
        verdict = fits(more(middle), clock)
        if verdict is None:
            return sure, over - 1
        sure, over = (middle, over) if verdict else (sure, middle)
    return sure, over - 1


def fits(given: Packing, clock: Clock) -> bool | None:
    """Whether the hosts can run all these VMs; None when the limit came first."""
    if least_by_large(given) > given.total:
        return False
    if packed(given) is not None:
        return True
    low, patterns = relaxed(given, clock)
    low, high = exact(given, low, patterns, clock)
    return True if high is not None else False if low > given.total else None


def _whole(value: float) -> int:
    return math.ceil(value - TOLERANCE)


def _first(given: Packing) -> Iterator[Pattern]:
    """Patterns of one class each."""
    for host in range(len(given.size)):
        for kind, number in enumerate(given.most(host).tolist()):
            if number:
                pattern = np.zeros(len(given.count), dtype=np.int64)
                pattern[kind] = number
                yield host, pattern


def _rows(given: Packing, patterns: list[Pattern]) -> NDArray[np.float64]:
    """Of each pattern, what it covers of each class and which type of host it takes, (K+T, P)."""
    made = np.zeros((len(given.count) + len(given.size), len(patterns)))
    for column, (host, pattern) in enumerate(patterns):
        made[: len(pattern), column] = -pattern
        made[len(pattern) + host, column] = 1.0
    return made


def _master(
    given: Packing, patterns: list[Pattern]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Value and duals of the program over these patterns; a VM left out costs more than all
    hosts, so there is always a solution."""
    kinds, dear = len(given.count), float(given.total + 1)
    missing = np.vstack([-np.eye(kinds), np.zeros((len(given.size), kinds))])
    costs = np.concatenate([np.ones(len(patterns)), np.full(kinds, dear)])
    limits = np.concatenate([-given.count, given.hosts]).astype(float)
    solved = linprog(costs, np.hstack([_rows(given, patterns), missing]), limits, method="highs")
    assert solved.status == 0, f"the program over patterns: {solved.message}"
    duals = solved.ineqlin.marginals
    return float(solved.fun), np.maximum(-duals[:kinds], 0.0), duals[kinds:]


def _priced(
    given: Packing, host: int, pi: NDArray[np.float64], clock: Clock
) -> tuple[float, Counts]:
    """The most that a host of this type is worth at these prices (an upper end), and a pattern
    that is worth about that."""
    most = given.most(host)
    if not (pi * most).any():
        return 0.0, np.zeros_like(most)
    rows = LinearConstraint(given.need.T, -np.inf, given.size[host])
    options = {"time_limit": max(clock.left_s, 1.0), "mip_rel_gap": 0.0}
    solved = milp(-pi, integrality=1, bounds=Bounds(0, most), constraints=rows, options=options)
    if solved.x is None:
        return float(pi @ most), np.zeros_like(most)
    return max(-solved.mip_dual_bound, -solved.fun), _sound(given, host, solved.x)


def _sound(given: Packing, host: int, numbers: NDArray[np.float64]) -> Counts:
    """The pattern in whole numbers; an empty one if rounding made it too large."""
    pattern = np.rint(numbers).astype(np.int64)
    good = bool((pattern @ given.need <= given.size[host]).all())
    return pattern if good else np.zeros_like(pattern)


def _rounded(given: Packing, patterns: list[Pattern], clock: Clock) -> list[int]:
    """The hosts that a packing of whole patterns takes, if there is one: [] or one number."""
    limits = np.concatenate([-given.count, given.hosts])
    rows = LinearConstraint(_rows(given, patterns), -np.inf, limits)
    solved = milp(
        np.ones(len(patterns)), integrality=1, constraints=rows,
        options={"time_limit": clock.left_s / 2},
    )  # fmt: skip
    if solved.x is None:
        return []
    taken = np.rint(solved.x).astype(np.int64)
    good = bool((_rows(given, patterns) @ taken <= limits).all())
    return [int(taken.sum())] if good else []


def _assigned(given: Packing, low: int, clock: Clock) -> tuple[int, int | None]:
    """Bound and packing from the program with a number for each host and class."""
    which = np.repeat(np.arange(len(given.size)), given.hosts)
    hosts, kinds = len(which), len(given.count)
    most = np.array([given.most(int(host)) for host in which]).reshape(hosts, kinds)
    top = np.concatenate([most.ravel(), np.ones(hosts)])
    costs = np.concatenate([np.zeros(hosts * kinds), np.ones(hosts)])
    solved = milp(
        costs, integrality=1, bounds=Bounds(0, top),
        constraints=_program(given, which, low), options={"time_limit": clock.left_s},
    )  # fmt: skip
    if solved.status == 2:
        return given.total + 1, None
    bound = solved.mip_dual_bound
    low = _whole(bound) if bound is not None and math.isfinite(bound) else low
    if solved.x is None:
        return low, None
    placed = np.rint(solved.x[: hosts * kinds]).astype(np.int64).reshape(hosts, kinds)
    good = (placed @ given.need <= given.size[which]).all() and (
        placed.sum(axis=0) == given.count
    ).all()
    return low, int(placed.any(axis=1).sum()) if good else None


def _program(given: Packing, which: NDArray[np.intp], low: int) -> list[LinearConstraint]:
    """Room on each host in use, every VM once, hosts of a type in order, at least `low` hosts."""
    hosts, (kinds, resources) = len(which), given.need.shape
    row, column, value = [], [], []
    for host in range(hosts):
        for resource in range(resources):
            row += [host * resources + resource] * (kinds + 1)
            column += [*range(host * kinds, (host + 1) * kinds), hosts * kinds + host]
            value += [*given.need[:, resource].tolist(), -int(given.size[which[host], resource])]
    width = hosts * kinds + hosts
    room = coo_array((value, (row, column)), shape=(hosts * resources, width)).tocsr()
    every = np.hstack([np.tile(np.eye(kinds), hosts), np.zeros((kinds, hosts))])
    pairs = [host for host in range(hosts - 1) if which[host] == which[host + 1]]
    order = np.zeros((len(pairs) + 1, width))
    for number, host in enumerate(pairs):
        order[number, hosts * kinds + host], order[number, hosts * kinds + host + 1] = 1.0, -1.0
    order[-1, hosts * kinds :] = 1.0
    least = np.append(np.zeros(len(pairs)), low)
    return [
        LinearConstraint(room, -np.inf, 0.0),
        LinearConstraint(every, given.count, given.count),
        LinearConstraint(order, least, np.inf),
    ]
