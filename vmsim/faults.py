"""Which tasks shall go wrong, and how?

A rule names tasks by verb, VM and host, and what happens to those it hits: they fail with a
vSphere fault, take longer, are lost without an answer, or arrive twice. Rules are tried in order;
the first that hits decides. Chance comes from the run's stream "faults".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np

from vmsim.actions import Task


@dataclass(frozen=True, slots=True)
class FaultRule:
    """Tasks of `verb` whose VM and destination match the globs; `skip` matches pass unharmed,
    at most `max_hits` are hit (0: no limit), each with `probability`."""

    kind: Literal["fail", "delay", "drop", "repeat"]
    verb: str = "*"
    vm: str = "*"
    host: str = "*"
    fault: str = "GenericVmConfigFault"
    delay_s: float = 0.0
    probability: float = 1.0
    skip: int = 0
    max_hits: int = 0


class FaultInjector:
    """Decides about each task that is about to start; keeps count per rule."""

    def __init__(self, rules: Sequence[FaultRule], chance: np.random.Generator) -> None:
        self._rules = tuple(rules)
        self._chance = chance
        self._matches = [0] * len(self._rules)
        self._hits = [0] * len(self._rules)

    def strike(self, task: Task) -> FaultRule | None:
        """The rule that hits `task`, or None. Draws once per matching rule with a probability."""
        for index, rule in enumerate(self._rules):
            if self._matches_task(rule, task) and self._hit(index, rule):
                return rule
        return None

    def _hit(self, index: int, rule: FaultRule) -> bool:
        self._matches[index] += 1
        spent = rule.max_hits and self._hits[index] >= rule.max_hits
        if spent or self._matches[index] <= rule.skip:
            return False
        if rule.probability < 1.0 and self._chance.random() >= rule.probability:
            return False
        self._hits[index] += 1
        return True

    @staticmethod
    def _matches_task(rule: FaultRule, task: Task) -> bool:
        return (
            rule.verb in ("*", task.verb)
            and fnmatchcase(task.vm, rule.vm)
            and fnmatchcase(task.host or task.source, rule.host)
        )
