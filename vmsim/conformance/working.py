"""Run the cases of a target in several processes.

Each case has a Supervisor of its own, with its own namespace and hosts, so cases do not meet. The
workers are forked: a target may be any functions, also such as cannot be sent to another process.
A worker gets one case at a time; what came of it is told in the order of arrival, and the report
has an order of its own. An interrupt reaches every worker, which closes its Supervisor and ends.
"""

import os
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from vmsim.conformance.attempts import Done, Runner
from vmsim.conformance.evidence import Tampered
from vmsim.conformance.suite import Case

CLEAN_S = 60.0  # how long a worker that was interrupted may take to close its Supervisor


def done(runner: Runner, cases: Sequence[Case], jobs: int) -> Generator[Done, None, None]:
    """What came of each case, `jobs` at a time; `Tampered` for a defect of ours."""
    workers = min(jobs, len(cases))
    if workers < 2:
        yield from map(runner.run, cases)
        return
    team = _Team(runner, cases)
    try:
        for _ in range(workers):
            team.hire()
        yield from team.work()
    finally:
        team.dismiss()


@dataclass(slots=True)
class _Team:
    """The workers, by the end of the pipe on which each is spoken to."""

    runner: Runner
    cases: Sequence[Case]
    given: int = 0
    workers: dict[Connection, BaseProcess] = field(default_factory=dict)

    def hire(self) -> None:
        """Start a worker and give it a case."""
        context = get_context("fork")
        ours, theirs = context.Pipe()
        worker = context.Process(target=_work, args=(theirs, self.runner, self.cases))
        worker.start()
        theirs.close()  # so that the end of the worker is the end of the pipe
        self.workers[ours] = worker
        self._give(ours)

    def work(self) -> Iterator[Done]:
        """Until every worker has told that it has nothing more to do."""
        while self.workers:
            for pipe in wait(list(self.workers)):
                assert isinstance(pipe, Connection)
                found = _heard(pipe)
                if isinstance(found, Done):
                    self._give(pipe)
                    yield found
                else:
                    self.workers.pop(pipe).join()
                    _check_left(found)

    def dismiss(self) -> None:
        """Interrupt those that still work, and wait until they have cleaned up."""
        for worker in self.workers.values():
            with suppress(ProcessLookupError):
                os.kill(worker.pid or 0, signal.SIGINT)
        for worker in self.workers.values():
            worker.join(CLEAN_S)
            worker.kill()  # for one that does not hear
            worker.join()

    def _give(self, pipe: Connection) -> None:
        number = self.given if self.given < len(self.cases) else None
        self.given += 1
        pipe.send(number)


def _heard(pipe: Connection) -> object:
    try:
        return pipe.recv()
    except EOFError:
        raise RuntimeError("a worker ended without a word") from None


def _check_left(found: object) -> None:
    """The last word of a worker: its defect, or the processes that it leaves."""
    if found:
        raise Tampered(str(found))


def _work(pipe: Connection, runner: Runner, cases: Sequence[Case]) -> None:
    """One worker: run what it is told to, then say what is wrong, '' for nothing."""
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
        try:
            while (number := pipe.recv()) is not None:
                pipe.send(runner.run(cases[number]))
        except Tampered as error:
            pipe.send(str(error))
        else:
            left = sorted(children())
            pipe.send(f"processes were left behind: {left}" if left else "")


def children() -> set[str]:
    """The processes that this one has started and not ended, where the system tells."""
    found: set[str] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        found |= set(file.read_text(encoding="ascii").split())
    return found
