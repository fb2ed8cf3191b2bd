"""Which objects are due to be looked at, and when again after a failure?

Keys only, never work: adding a key twice before it is handled means one visit. Due keys are
handled by priority, and else in the order in which they were added; with visits that take no time,
all of one instant in one event. A failed key comes back after 5 ms, then twice as long each time,
up to 1,000 s (Q-01), or when the bucket that all failures share has a token; success forgets that.
Source: Kubernetes client-go `workqueue`, controller-runtime `priorityqueue`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import simpy

from vmsim.timer import call_later


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds until the first retry, and the longest pause between two."""

    first_s: float = 0.005
    longest_s: float = 1000.0

    def delay_s(self, failures: int) -> float:
        """The pause after so many failures in a row (0: the first)."""
        return min(self.longest_s, self.first_s * 2.0 ** min(failures, 64))


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast keys are handled: `workers` at a time (0: any number), each visit taking
    `visit_s`; `bucket_per_s` retries of all keys together after a burst of `bucket_burst`
    (0: no bucket). `rank` gives a key's priority, higher first; None handles keys in order."""

    workers: int = 0
    visit_s: float = 0.0
    bucket_per_s: float = 0.0
    bucket_burst: int = 100
    rank: Callable[[str], int] | None = None


NO_LIMITS: Final = Pace()


class Bucket:
    """A token bucket that may owe tokens: golang.org/x/time/rate, `Reserve().Delay()`."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._since_s = 0.0

    def delay_s(self, now_s: float) -> float:
        """Take a token; the answer is how long it takes until it is there."""
        grown = self._tokens + (now_s - self._since_s) * self._per_s
        self._tokens = min(self._burst, grown) - 1.0
        self._since_s = now_s
        return max(0.0, -self._tokens / self._per_s)


class WorkQueue:
    """Calls `handle(key)` for each key that is due; see the module docstring."""

    def __init__(
        self,
        env: simpy.Environment,
        handle: Callable[[str], None],
        backoff: Backoff,
        pace: Pace = NO_LIMITS,
    ) -> None:
        self._env = env
        self._handle = handle
        self._backoff = backoff
        self._pace = pace
        self._bucket = Bucket(pace.bucket_per_s, pace.bucket_burst) if pace.bucket_per_s else None
        self._ready: dict[str, None] = {}
        self._new: list[str] = []
        self._ranked: dict[int, deque[str]] = {}
        self._rank = pace.rank or _alike
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._busy: dict[str, bool] = {}
        self._draining = False
        self._held = False

    def hold(self) -> None:
        """Start nothing before `let_go`, which its caller calls as the last thing it does."""
        self._held = True

    def let_go(self) -> None:
        """Handle what is due: at once if nothing else happens in this instant, which saves an
        event, and else after what was to come before it."""
        self._held = False
        if self._ready and not self._draining:
            self._draining = True
            if self._env.peek() > self._env.now:
                self._drain()
            else:
                self._call(0.0, self._drain)

    def add(self, key: str) -> None:
        """Make the key due now; a later due time of the key is dropped."""
        if self._due:
            self._due.pop(key, None)
        if key in self._busy:
            self._busy[key] = True
            return
        if key not in self._ready:
            self._ready[key] = None
            self._new.append(key)
        if not self._draining and not self._held:
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
        if self._bucket is not None:
            delay_s = max(delay_s, self._bucket.delay_s(self._env.now))
        self.add_after(key, delay_s)
        return delay_s

    def forget(self, key: str) -> None:
        """The key succeeded: its next failure is a first one again."""
        if self._failures:
            self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        """How often the key failed in a row."""
        return self._failures.get(key, 0)

    def _drain(self, _: simpy.Event | None = None) -> None:
        if self._pace.visit_s:
            self._employ()
        else:
            ready, handle = self._ready, self._handle
            while ready:
                handle(self._first())
        self._draining = False

    def _employ(self) -> None:
        """Give every free worker a key; it acts at the end of its visit."""
        workers = self._pace.workers
        while self._ready and (not workers or len(self._busy) < workers):
            key = self._first()
            self._busy[key] = False
            self._call(self._pace.visit_s, partial(self._visited, key))

    def _visited(self, key: str, _: simpy.Event) -> None:
        again = self._busy.pop(key)
        self._handle(key)
        if again:
            self.add(key)
        self._employ()

    def _first(self) -> str:
        """Take the key whose turn it is out of `ready`; one that is alone needs no rank."""
        ready, new = self._ready, self._new
        if new and len(ready) == 1:
            ready.clear()
            return new.pop()
        if new:
            self._rank_new()
        for keys in self._ranked.values():
            if keys:
                break
        key = keys.popleft()
        del ready[key]
        return key

    def _rank_new(self) -> None:
        """Put what was added to those of its rank; the highest rank is first."""
        ranked = self._ranked
        for key in self._new:
            rank = self._rank(key)
            if rank not in ranked:
                ranked[rank] = deque()
                self._ranked = ranked = dict(sorted(ranked.items(), reverse=True))
            ranked[rank].append(key)
        self._new.clear()

    def _call(self, delay_s: float, callback: Callable[[simpy.Event], None]) -> None:
        call_later(self._env, delay_s, callback)


def _alike(key: str) -> int:
    return 0
