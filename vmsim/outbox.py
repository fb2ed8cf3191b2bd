"""How do slow writes leave a loop that must not wait?

A job is filed under a key, and carried out by one of a few threads: jobs of one key one after
another, and only the newest that waits. So a job must bring about a state, not a step: what an
older one would have written is contained in it. A job that fails because the server cannot be
reached is tried again until it succeeds or a newer one takes its place; one that is refused is
handed back with the refusal.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vmsim.problems import Unreachable

Job = Callable[[], Any]
Finished = Callable[[str, Any, Exception | None], None]

PAUSE_S = 0.5


@dataclass(slots=True)
class _Waiting:
    job: Job
    finished: Finished | None


class Outbox:
    """Carries out jobs in `threads` threads; `close` lets those that run end and drops the rest."""

    def __init__(self, threads: int = 8) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[str, _Waiting] = {}
        self._running: set[str] = set()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"outbox-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, key: str, job: Job, finished: Finished | None = None) -> None:
        """Do `job` soon, in place of one of the key that still waits; then call `finished`
        (from another thread) with the key, the job's answer and its refusal."""
        with self._changed:
            self._waiting[key] = _Waiting(job, finished)
            self._changed.notify_all()  # one alone might wake somebody in `drained`, and no worker

    def holds(self, key: str) -> bool:
        """Whether a job of the key waits or runs."""
        with self._changed:
            return key in self._waiting or key in self._running

    def __len__(self) -> int:
        with self._changed:
            return len(self._waiting) + len(self._running)

    def drained(self, timeout_s: float) -> bool:
        """Wait until nothing waits or runs; whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._running, timeout_s
            )

    def close(self) -> None:
        """Take no more; wait a little for jobs that run."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(2.0)

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            key, waiting = taken
            answer, refusal, again = _done(waiting.job)
            if again:
                self._pause()
            elif waiting.finished is not None:
                waiting.finished(key, answer, refusal)
            with self._changed:
                self._running.discard(key)
                if again and not self._closed:
                    self._waiting.setdefault(key, waiting)
                self._changed.notify_all()

    def _take(self) -> tuple[str, _Waiting] | None:
        """The next key that is not at work; None when closed."""
        with self._changed:
            while not self._closed:
                key = next((key for key in self._waiting if key not in self._running), None)
                if key is not None:
                    self._running.add(key)
                    return key, self._waiting.pop(key)
                self._changed.wait()
        return None

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, PAUSE_S)


def _done(job: Job) -> tuple[Any, Exception | None, bool]:
    """The job's answer, its refusal, and whether it is worth another attempt."""
    try:
        return job(), None, False
    except Unreachable:
        return None, None, True
    except Exception as error:  # a refusal of the server; `finished` judges it
        return None, error, False
