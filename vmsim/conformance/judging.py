"""From the attempts of each case to the verdict of each clause and the result of a run.

The same functions write a report and check one: what they say depends only on the suite, the
options, what a target declares, and the outcomes of the attempts.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from features.clauses import CAPABILITIES, Clause
from features.words import Timeouts
from vmsim.conformance import suite
from vmsim.conformance.report import (
    Attempt,
    Capability,
    CaseReport,
    ClauseReport,
    Options,
    Skipped,
    TargetReport,
)
from vmsim.conformance.suite import Case, Selection
from vmsim.conformance.targets import Descriptor
from vmsim.conformance.trial import CASE_LIMIT_S
from vmsim.conformance.verdicts import RESULTS, Code, Verdict, of_attempts, result, worst

NOT_RUN = "not run"
TOO_HARD = "cannot be tested from outside: "
PENDING = "no scenario yet: "


@dataclass(frozen=True, slots=True)
class Declared:
    """What a target says of itself, by name of the capability, each with the reason."""

    lacking: Mapping[str, str]
    blind: Mapping[str, str]


def selection(options: Options) -> Selection:
    """What the options select."""
    return Selection(tuple(options.only), options.level, options.edition, tuple(options.tags))


def capabilities(declared: Declared) -> list[Capability]:
    """Every capability and whether the target has it."""
    return [_capability(name, text, declared) for name, text in CAPABILITIES.items()]


def _capability(name: str, text: str, declared: Declared) -> Capability:
    if name in declared.lacking:
        return Capability(name, text, Verdict.NOT_SUPPORTED.value, declared.lacking[name])
    if name in declared.blind:
        return Capability(name, text, Verdict.NOT_TESTABLE.value, declared.blind[name])
    return Capability(name, text, "supported", "")


def declared(found: Sequence[Capability]) -> Declared:
    """What a target said of itself, from its report."""
    states = {
        state: {one.name: one.reason for one in found if one.state == state.value}
        for state in (Verdict.NOT_SUPPORTED, Verdict.NOT_TESTABLE)
    }
    return Declared(states[Verdict.NOT_SUPPORTED], states[Verdict.NOT_TESTABLE])


def barred(case: Case, said: Declared) -> tuple[Verdict, str] | None:
    """Why a case is not run on a target with these capabilities; None when it is."""
    for need in case.needs:
        if need in said.lacking:
            return Verdict.NOT_SUPPORTED, f"{need}: {said.lacking[need]}"
    for need in case.needs:
        if need in said.blind:
            return Verdict.NOT_TESTABLE, f"{need}: {said.blind[need]}"
    return None


def case_report(
    case: Case, attempts: list[Attempt], said: Declared, target: str, seed: int
) -> CaseReport:
    """What is said of the case: from its attempts, or why there is none."""
    why = barred(case, said)
    if attempts:
        verdict = of_attempts(Verdict(one.verdict) for one in attempts)
        reason = next((one.reason for one in attempts if one.verdict != Verdict.PASS), "")
    else:
        verdict, reason = why or (Verdict.UNKNOWN, NOT_RUN)
    command = f"vmsim conform --target {target} --only {case.id} --seed {seed}"
    return CaseReport(
        case.id, list(case.clauses), case.edition, verdict.value, reason, command, attempts
    )


def clause_reports(options: Options, cases: Sequence[CaseReport]) -> list[ClauseReport]:
    """What is said of every clause that was asked for."""
    return [_clause(clause, cases) for clause in suite.selected_clauses(selection(options))]


def _clause(clause: Clause, cases: Sequence[CaseReport]) -> ClauseReport:
    shown = [case for case in cases if clause.id in case.clauses]
    verdict, reason = _said(clause, shown)
    names = [case.id for case in shown]
    rest = (clause.level, list(clause.editions), verdict.value, reason, names)
    return ClauseReport(clause.id, clause.text, *rest)


def _said(clause: Clause, shown: Sequence[CaseReport]) -> tuple[Verdict, str]:
    if clause.untestable:
        return Verdict.NOT_TESTABLE, TOO_HARD + clause.untestable
    if not shown:
        return Verdict.UNKNOWN, PENDING + (clause.pending or "none in this selection")
    verdict = worst(Verdict(case.verdict) for case in shown)
    if verdict is Verdict.PASS:
        return verdict, f"in part: {clause.partly}" if clause.partly else ""
    bad = [case for case in shown if case.verdict == verdict]
    return verdict, f"{len(bad)} of {len(shown)} cases; {bad[0].id}: {bad[0].reason}"


def code_of(clauses: Sequence[ClauseReport], stopped: str) -> Code:
    """Whether a target conforms; one that was stopped does not conform for certain."""
    rows = [
        (clause.level, Verdict(clause.verdict), clause.reason.startswith(TOO_HARD))
        for clause in clauses
    ]
    found = result(rows)
    return Code.INCONCLUSIVE if stopped and found is Code.CONFORMANT else found


def target_report(
    about: Descriptor, options: Options, cases: list[CaseReport], stopped: str
) -> TargetReport:
    """What is said of a target."""
    clauses = clause_reports(options, cases)
    return TargetReport(
        about.name,
        dict(about.implementation),
        capabilities(Declared(about.lacking, about.blind)),
        list(about.played),
        waits(about.case_s),
        RESULTS[code_of(clauses, stopped)],
        stopped,
        counts(clauses),
        clauses,
        cases,
    )


def counts(clauses: Sequence[ClauseReport]) -> dict[str, int]:
    """How many clauses have each verdict."""
    found = Counter(clause.verdict for clause in clauses)
    return {verdict.value: found.get(verdict.value, 0) for verdict in Verdict}


def waits(case_s: float = 0.0) -> dict[str, float]:
    """Every wait that is not written in a scenario, with its limit in seconds."""
    limits = Timeouts()
    return {
        "running_s": limits.running_s,
        "maintenance_s": limits.maintenance_s,
        "case_s": case_s or CASE_LIMIT_S,
    }


def skipped(options: Options) -> list[Skipped]:
    """What the options left out."""
    chosen = selection(options)
    kept = {clause.id for clause in suite.selected_clauses(chosen)}
    left = [clause.id for clause in suite.selected_clauses(Selection()) if clause.id not in kept]
    number = len(suite.cases()) - len(suite.selected(chosen))
    if not left and not number:
        return []
    return [Skipped("not asked for", left, number)]
