"""Does a report follow from its evidence?

Nothing in the report is believed but what the options were, what the target declares, and the
evidence. Cases, verdicts, clauses, results and the pages are made again and compared, and each
difference is a line. What this cannot see: evidence that was invented as a whole; for that a report
must be signed by somebody.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from vmsim.conformance import judging, suite, trial
from vmsim.conformance.attempts import made_by, sha256
from vmsim.conformance.evidence import Tampered
from vmsim.conformance.report import Attempt, CaseReport, Report, TargetReport, digest, read
from vmsim.conformance.session import (
    DEFECT,
    INTERRUPTED,
    LEFT,
    LOST,
    RENDERINGS,
    REPORT,
    finished,
)
from vmsim.conformance.suite import Case
from vmsim.conformance.verdicts import RESULTS, Code, Verdict
from vmsim.problems import BadInput, Problem


def verify(folder: Path) -> list[str]:
    """What does not hold, one line each; `BadInput` when there is no report."""
    try:
        text = (folder / REPORT).read_bytes()
    except OSError as error:
        raise BadInput([Problem(error.strerror or str(error), file=str(folder / REPORT))]) from None
    try:
        report = read(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return [f"{REPORT}: not a report: {error}"]
    if report.suite.sha256 != suite.digest():
        return ["the report was made with another suite; verify it with the vmsim that it names"]
    return list(_problems(folder, report))


def _problems(folder: Path, report: Report) -> Iterator[str]:
    if report.digest != digest(report):
        yield "digest: the report is not what its digest says"
    try:
        cases = suite.selected(judging.selection(report.options))
    except BadInput as error:
        yield f"options: {error}"
        return
    if report.options.targets != [target.name for target in report.targets]:
        yield "targets: not those that were asked for"
    for target in report.targets:
        yield from _of_target(folder, report, target, cases)
    yield from _strangers(folder, report)
    yield from _of_result(report)
    yield from _of_pages(folder, report)


def _of_target(
    folder: Path, report: Report, target: TargetReport, cases: list[Case]
) -> Iterator[str]:
    if [case.id for case in target.cases] != [case.id for case in cases]:
        yield f"{target.name}: not exactly the cases that were asked for"
        return
    said = judging.declared(target.capabilities)
    waits = judging.waits(target.waits.get("case_s", 0.0))
    if target.capabilities != judging.capabilities(said) or target.waits != waits:
        yield f"{target.name}: the capabilities or the waits are not those of the suite"
    for case, found in zip(cases, target.cases, strict=True):
        made = partial(made_by, target.name, report.options.seed)
        attempts, problems = _attempts(folder, case, found, made)
        if not _may_repeat(found, report.options.attempts):
            yield f"{target.name}: {case.id}: has attempts that no run makes"
        yield from (f"{target.name}: {case.id}: {problem}" for problem in problems)
        again = judging.case_report(case, attempts, said, target.name, report.options.seed)
        if attempts and judging.barred(case, said):
            yield f"{target.name}: {case.id}: was run although the target has not got what it needs"
        if again != found:
            yield f"{target.name}: {case.id}: the verdict that follows is {again.verdict}"
        if found.reason == judging.NOT_RUN and not target.stopped:
            yield f"{target.name}: {case.id}: was not run, and nothing says why"
    yield from _of_clauses(report, target)


def _of_clauses(report: Report, target: TargetReport) -> Iterator[str]:
    again = judging.clause_reports(report.options, target.cases)
    if again != target.clauses:
        kept = {clause.id: clause for clause in target.clauses}
        wrong = [clause.id for clause in again if kept.get(clause.id) != clause]
        yield f"{target.name}: clauses that do not follow from the cases: {wrong or 'extra ones'}"
    if target.counts != judging.counts(again):
        yield f"{target.name}: the counts are wrong"
    if target.result != RESULTS[judging.code_of(again, target.stopped)]:
        yield f"{target.name}: the result does not follow from the clauses"


def _may_repeat(found: CaseReport, attempts_max: int) -> bool:
    """A case is run again only after it failed, and not more often than was asked for."""
    again = [attempt.verdict for attempt in found.attempts[:-1]]
    return len(found.attempts) <= attempts_max and set(again) <= {Verdict.FAIL.value}


def _attempts(
    folder: Path, case: Case, found: CaseReport, made: Callable[[int], dict[str, object]]
) -> tuple[list[Attempt], list[str]]:
    """The attempts as the evidence has them, and what is wrong with it."""
    attempts, problems = [], []
    for number, attempt in enumerate(found.attempts, start=1):
        try:
            again = _judged(folder, case, attempt, made(number))
        except Tampered as error:
            problems.append(str(error))
            again = attempt
        if again.sha256 != attempt.sha256:
            problems.append("the evidence is not what its digest says")
        attempts.append(again)
    if len({attempt.evidence for attempt in attempts}) != len(attempts):
        problems.append("two attempts share their evidence")
    return attempts, problems


def _judged(folder: Path, case: Case, attempt: Attempt, made: dict[str, object]) -> Attempt:
    file = folder / attempt.evidence
    if not file.resolve().is_relative_to((folder / "evidence").resolve()):
        raise Tampered("the evidence is somewhere else")
    try:
        text = file.read_bytes()
        evidence: dict[str, Any] = json.loads(text)
        if evidence["made"] != made:
            raise Tampered("the evidence is of another run")
        outcome = trial.judge(case, evidence)
    except OSError:
        raise Tampered("the evidence is missing") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Tampered(f"the evidence cannot be read: {error!r}") from None
    return Attempt(outcome.verdict.value, outcome.reason, attempt.evidence, sha256(text))


def _strangers(folder: Path, report: Report) -> Iterator[str]:
    cases = [case for target in report.targets for case in target.cases]
    listed = [attempt.evidence for case in cases for attempt in case.attempts]
    there = {
        file.relative_to(folder).as_posix()
        for file in (folder / "evidence").rglob("*")
        if file.is_file()
    }
    if extra := sorted(there - set(listed)):
        yield f"evidence that the report does not name: {extra}"
    if len(set(listed)) != len(listed):
        yield "two cases share their evidence"


def _of_result(report: Report) -> Iterator[str]:
    stops = [target.stopped for target in report.targets if target.stopped]
    codes = {_code(stop) for stop in stops}
    if report.complete == bool(stops) or "; ".join(stops) != report.incomplete:
        yield "the report does not say what stopped it, or says that it is complete and is not"
    if report.skipped != judging.skipped(report.options):
        yield "what was left out is not what the options leave out"
    copy = msgspec.convert(msgspec.to_builtins(report), Report)
    again = finished(copy, codes, report.complete, report.incomplete)
    if (again.result, again.exit_code) != (report.result, report.exit_code):
        yield f"the result that follows is {again.result!r} (exit code {again.exit_code})"


def _code(stopped: str) -> Code:
    starts = {
        INTERRUPTED: Code.INTERRUPTED,
        LOST: Code.UNREACHABLE,
        LEFT: Code.INCONCLUSIVE,
        DEFECT: Code.DEFECT,
    }
    return next((c for start, c in starts.items() if stopped.startswith(start)), Code.DEFECT)


def _of_pages(folder: Path, report: Report) -> Iterator[str]:
    for name, render in RENDERINGS.items():
        try:
            same = (folder / name).read_text(encoding="utf-8") == render(report)
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            yield f"{name}: not the page of this report"
