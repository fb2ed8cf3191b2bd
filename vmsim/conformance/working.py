"""Run the cases of a target in several processes.

Each case has a Supervisor of its own, with its own namespace and hosts, so cases do not meet. The
workers are forked: a target may be any functions, also such as cannot be sent to another process.
Each has its lane, the part of the target that nobody else uses meanwhile, and gets one case at a
time of those that can run there; what came of it is told in the order of arrival, and the report
has an order of its own. An interrupt reaches every worker, which closes its Supervisor and ends.
"""

import os
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from vmsim.conformance.attempts import Done, Runner
from vmsim.conformance.evidence import Tampered
from vmsim.conformance.suite import Case
from vmsim.conformance.targets import Lane
from vmsim.problems import BadInput, Unreachable

CLEAN_S = 60.0  # how long a worker that was interrupted may take to close its Supervisor


def done(runner: Runner, cases: Sequence[Case], jobs: int) -> Generator[Done, None, None]:
    """What came of each case, `jobs` at a time; `Tampered` for a defect of ours."""
    workers = min(jobs, len(cases))
    if workers < 2:
        yield from map(runner.run, cases)
        return
    team = _Team(runner, cases, list(range(len(cases))))
    try:
        for lane in runner.about.shared(workers):
            team.hire(lane)
        yield from team.work()
    finally:
        team.dismiss()


@dataclass(slots=True)
class _Team:
    """The workers and their lanes, by the end of the pipe on which each is spoken to; `waiting`
    are the numbers of cases that nobody was given."""

    runner: Runner
    cases: Sequence[Case]
    waiting: list[int]
    workers: dict[Connection, BaseProcess] = field(default_factory=dict)
    lanes: dict[Connection, Lane] = field(default_factory=dict)

    def hire(self, lane: Lane) -> None:
        """Start a worker and give it a case."""
        context = get_context("fork")
        ours, theirs = context.Pipe()
        worker = context.Process(target=_work, args=(theirs, self.runner, lane, self.cases))
        worker.start()
        theirs.close()  # so that the end of the worker is the end of the pipe
        self.workers[ours], self.lanes[ours] = worker, lane
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
        editions = self.lanes[pipe].editions
        number = next((n for n in self.waiting if self.cases[n].edition in editions), None)
        if number is not None:
            self.waiting.remove(number)
        pipe.send(number)


def _heard(pipe: Connection) -> object:
    try:
        return pipe.recv()
    except EOFError:
        raise RuntimeError("a worker ended without a word") from None


def _check_left(found: object) -> None:
    """The last word of a worker: its defect, the processes that it leaves, or a lost target."""
    if isinstance(found, Unreachable):
        raise found
    if found:
        raise Tampered(str(found))


def _work(pipe: Connection, runner: Runner, lane: Lane, cases: Sequence[Case]) -> None:
    """One worker: run what it is told to, then have the last word."""
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
        pipe.send(_worked(pipe, runner, lane, cases))


def _worked(pipe: Connection, runner: Runner, lane: Lane, cases: Sequence[Case]) -> object:
    """What was wrong when there was nothing more to do, '' for nothing."""
    try:
        with lane.open() as about:
            own = replace(runner, about=about)
            while (number := pipe.recv()) is not None:
                pipe.send(own.run(cases[number]))
    except Tampered as error:
        return str(error)
    except (Unreachable, BadInput) as error:  # the lane could be reached a moment ago
        return Unreachable(str(error))
    left = sorted(children())
    return f"processes were left behind: {left}" if left else ""


def children() -> set[str]:
    """The processes that this one has started and not ended, where the system tells."""
    found: set[str] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        found |= set(file.read_text(encoding="ascii").split())
    return found
