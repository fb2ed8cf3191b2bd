"""Which objects are due to be looked at, and when again after a failure?

Keys only, never work: adding a key twice before it is handled means one visit. Due keys are
handled in the order in which they were added, all of one instant in one event. A failed key
comes back after 5 ms, then twice as long each time, up to 1,000 s (Q-01); success forgets that.
"""

from collections.abc import Callable
from dataclasses import dataclass

import simpy


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds until the first retry, and the longest pause between two."""

    first_s: float = 0.005
    longest_s: float = 1000.0

    def delay_s(self, failures: int) -> float:
        """The pause after so many failures in a row (0: the first)."""
        return min(self.longest_s, self.first_s * 2.0 ** min(failures, 64))


class WorkQueue:
    """Calls `handle(key)` for each key that is due; see the module docstring."""

    def __init__(
        self, env: simpy.Environment, handle: Callable[[str], None], backoff: Backoff
    ) -> None:
        self._env = env
        self._handle = handle
        self._backoff = backoff
        self._ready: dict[str, None] = {}
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._draining = False

    def add(self, key: str) -> None:
        """Make the key due now; a later due time of the key is dropped."""
        self._due.pop(key, None)
        self._ready[key] = None
        if not self._draining:
            self._draining = True
            self._call(0.0, self._drain)

    def add_after(self, key: str, delay_s: float) -> None:
        """Make the key due in `delay_s`, unless it is due before that anyway."""
        due_s = self._env.now + delay_s
        if key in self._ready or self._due.get(key, float("inf")) <= due_s:
            return
        self._due[key] = due_s

        def come(_: simpy.Event) -> None:
            if self._due.get(key) == due_s:
                self.add(key)

        self._call(delay_s, come)

    def retry(self, key: str) -> float:
        """Make the key due after its back-off; the answer is the pause in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay_s = self._backoff.delay_s(failures)
        self.add_after(key, delay_s)
        return delay_s

    def forget(self, key: str) -> None:
        """The key succeeded: its next failure is a first one again."""
        if self._failures:
            self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        """How often the key failed in a row."""
        return self._failures.get(key, 0)

    def _drain(self, _: simpy.Event) -> None:
        ready = self._ready
        while ready:
            key = next(iter(ready))
            del ready[key]
            self._handle(key)
        self._draining = False

    def _call(self, delay_s: float, callback: Callable[[simpy.Event], None]) -> None:
        timer = self._env.timeout(delay_s)
        assert timer.callbacks is not None
        timer.callbacks.append(callback)
