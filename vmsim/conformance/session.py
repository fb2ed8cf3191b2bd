"""Run the cases on the targets, keep what they leave, and always end with a report.

The folder is a report from the first second on: it is written again every few seconds, marked
incomplete until the last case is judged. So Ctrl-C, a lost target or a killed process leave what
is known so far, and nothing that was not run is more than unknown.
"""

import platform
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from vmsim import __version__
from vmsim.conformance import judging, page, suite, tables
from vmsim.conformance.attempts import Done, Runner
from vmsim.conformance.evidence import Tampered
from vmsim.conformance.report import (
    API_VERSION,
    KIND,
    CaseReport,
    Options,
    Report,
    Run,
    Suite,
    TargetReport,
    digest,
    written,
)
from vmsim.conformance.suite import Case
from vmsim.conformance.targets import Descriptor
from vmsim.conformance.verdicts import RESULTS, Code
from vmsim.conformance.working import children, done
from vmsim.problems import BadInput, Problem, Unreachable
from vmsim.shell import commit

WRITE_EVERY_S = 3.0
HUNG_MAX = 2
ORDER = (Code.INTERRUPTED, Code.DEFECT, Code.UNREACHABLE, Code.NOT_CONFORMANT, Code.INCONCLUSIVE)
REPORT = "report.json"
INTERRUPTED = "interrupted"
LOST = "the target was lost: "
DEFECT = "a defect of vmsim: "
LEFT = "left behind on the target: "

Seen = Callable[[str, CaseReport], None]


@dataclass(slots=True)
class Progress:
    """What is known of one target so far; `codes` are what ended it early."""

    about: Descriptor
    cases: list[Case]
    reports: dict[str, CaseReport]
    stopped: str = ""
    hung: int = 0
    codes: set[Code] = field(default_factory=set)


@dataclass(slots=True)
class Session:
    """One run of the suite into a folder, up to `jobs` cases at a time.

    `seen` is told each case as it is judged, `said` what else is worth a line; `lanes` are how many
    cases of each target run at a time.
    """

    options: Options
    folder: Path
    seen: Seen = lambda target, case: None
    jobs: int = 1
    said: Callable[[str], None] = lambda line: None
    started: float = field(default_factory=time.time)
    progress: list[Progress] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    lanes: dict[str, int] = field(default_factory=dict)
    written_at: float = 0.0

    def run(self, targets: Sequence[Descriptor]) -> Report:
        """The report of the options' cases on these targets, all of its files written."""
        cases = suite.selected(judging.selection(self.options))
        self._make_folder()
        for about in targets:
            said = judging.Declared(about.lacking, about.blind)
            blank = partial(judging.case_report, attempts=[], said=said, target=about.name)
            found = {case.id: blank(case, seed=self.options.seed) for case in cases}
            self.progress.append(Progress(about, cases, found))
        self._write(complete=False)
        try:
            for one in self.progress:
                self._run_target(one)
        except KeyboardInterrupt:
            for one in self.progress:
                one.stopped = one.stopped or (INTERRUPTED if self._waits(one) else "")
            self.progress[-1].codes.add(Code.INTERRUPTED)
        self._tidy()
        return self._write(complete=not any(one.stopped for one in self.progress))

    def _run_target(self, one: Progress) -> None:
        before = children()
        try:
            if not one.about.unavailable:
                one.about.check()
                for what in one.about.clean():
                    self.said(f"{one.about.name}: an earlier run left {what}, which is removed")
            runner = Runner(one.about, self.options, self.folder)
            self.lanes[one.about.name] = min(self.jobs, one.about.parallel)
            with closing(done(runner, one.cases, self.lanes[one.about.name])) as found:
                for each in found:
                    self._note(one, each)
        except Unreachable as error:
            one.stopped = f"{LOST}{error}"
            one.codes.add(Code.UNREACHABLE)
        except Tampered as error:
            one.stopped = f"{DEFECT}{error}"
            one.codes.add(Code.DEFECT)
        except KeyboardInterrupt:
            one.stopped = INTERRUPTED if self._waits(one) else ""
            raise
        finally:
            self._end(one)
        left = sorted(children() - before)
        if left:
            one.stopped = one.stopped or f"{DEFECT}processes were left behind: {left}"
            one.codes.add(Code.DEFECT)

    def _note(self, one: Progress, found: Done) -> None:
        self.seconds[f"{one.about.name}/{found.case}"] = found.seconds
        one.reports[found.case] = found.report
        self.seen(one.about.name, found.report)
        if time.time() - self.written_at > WRITE_EVERY_S:
            self._write(complete=False)
        one.hung = one.hung + 1 if found.hung else 0
        if found.lost or one.hung >= HUNG_MAX:
            raise Unreachable(found.report.reason)

    def _end(self, one: Progress) -> None:
        """Have the target put back what was changed; say what it could not."""
        try:
            left = one.about.end()
        except Unreachable as error:
            left = [str(error)] if not one.stopped else []
        if left:
            words = LEFT + "; ".join(left)
            one.stopped = f"{one.stopped}; {words}" if one.stopped else words
            one.codes.add(Code.INCONCLUSIVE)

    def _tidy(self) -> None:
        """Take away the evidence of an attempt that was not judged any more."""
        cases = [found for one in self.progress for found in one.reports.values()]
        kept = {self.folder / attempt.evidence for case in cases for attempt in case.attempts}
        for file in set(self.folder.glob("evidence/*/*.json")) - kept:
            file.unlink()

    def _waits(self, one: Progress) -> bool:
        return any(found.reason == judging.NOT_RUN for found in one.reports.values())

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()) and not (self.folder / REPORT).is_file():
                raise BadInput([Problem("the folder holds something else", file=str(self.folder))])
            for old in sorted(self.folder.glob("evidence/*/*.json")):
                old.unlink()
        except OSError as error:
            reason = error.strerror or str(error)
            raise BadInput([Problem(reason, field="-o", file=str(self.folder))]) from None

    def _write(self, *, complete: bool) -> Report:
        self.written_at = time.time()
        found = self._report(complete=complete)
        (self.folder / REPORT).write_bytes(written(found))
        for name, render in RENDERINGS.items():
            (self.folder / name).write_text(render(found), encoding="utf-8")
        return found

    def _report(self, *, complete: bool) -> Report:
        targets = [
            judging.target_report(one.about, self.options, list(one.reports.values()), one.stopped)
            for one in self.progress
        ]
        codes = {code for one in self.progress for code in one.codes}
        why = "; ".join(one.stopped for one in self.progress if one.stopped)
        found = assemble(self.options, targets, self._run(), commit())
        return finished(found, codes, complete, why or ("" if complete else "still running"))

    def _run(self) -> Run:
        began = datetime.fromtimestamp(self.started, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        took_s = round(time.time() - self.started, 2)
        where = f"{platform.system()} {platform.machine()}"
        python = platform.python_version()
        return Run(began, took_s, python, where, dict(self.seconds), dict(self.lanes))


RENDERINGS: dict[str, Callable[[Report], str]] = {
    "junit.xml": tables.junit,
    "report.md": tables.markdown,
    "report.html": page.html,
}


def assemble(options: Options, targets: list[TargetReport], run: Run, commit: str) -> Report:
    """A report whose result is still open."""
    made_by = Suite(__version__, commit, suite.digest())
    rest = (False, "", "", 0, targets, judging.skipped(options), "")
    return Report(API_VERSION, KIND, made_by, options, *rest, run)


def finished(report: Report, codes: set[Code], complete: bool, why: str) -> Report:
    """The report with its result and its digest; `codes` are what ended a target early."""
    found = codes | {judging.code_of(one.clauses, one.stopped) for one in report.targets}
    code = next((code for code in ORDER if code in found), Code.CONFORMANT)
    if not complete and code is Code.CONFORMANT:
        code = Code.INCONCLUSIVE
    report.complete, report.incomplete = complete, why
    report.result, report.exit_code = RESULTS[code], int(code)
    report.digest = digest(report)
    return report
