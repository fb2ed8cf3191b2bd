"""Runs drivers side by side and compares what they cost.

One round runs each driver once, in a process of its own; rounds are repeated. A ratio is taken
within a round, so that a busy moment of the machine weighs on both sides, and the median and the
spread of the rounds' ratios are told. Costs are CPU seconds of the timed part, set-up excluded.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
TIMEOUT_S = 3600

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, with the least and the greatest of them."""

    middle: float
    least: float
    most: float
    rounds: int

    def __str__(self) -> str:
        if self.rounds == 1:
            return f"{self.middle:.2f} (one round)"
        return f"{self.middle:.2f} ({self.least:.2f} to {self.most:.2f}, {self.rounds} rounds)"


def spread(figures: Sequence[float]) -> Spread:
    """Median, least and greatest."""
    return Spread(median(figures), min(figures), max(figures), len(figures))


def once(words: Sequence[str]) -> Result:
    """What the driver says; a driver that fails raises with its words."""
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=TIMEOUT_S, env=os.environ | ONE_THREAD
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:4])} failed:\n{done.stderr}")
    result: Result = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def rounds(drivers: Mapping[str, Sequence[str]], count: int) -> list[dict[str, Result]]:
    """`count` rounds in which each driver runs once, in the order given."""
    return [{name: once(words) for name, words in drivers.items()} for _ in range(count)]


def ratios(found: Sequence[Mapping[str, Result]], over: str, under: str) -> Spread:
    """CPU seconds of `over` by those of `under`, round by round."""
    return spread([each[over]["cpu_s"] / each[under]["cpu_s"] for each in found])


def per_vm_us(found: Sequence[Mapping[str, Result]], name: str) -> Spread:
    """CPU microseconds per VM of a driver."""
    return spread([1e6 * each[name]["cpu_s"] / each[name]["vms"] for each in found])


def same_placements(found: Sequence[Mapping[str, Result]]) -> bool:
    """Whether every driver put every VM on the same host, in every round."""
    return len({result["crc"] for each in found for result in each.values()}) == 1
