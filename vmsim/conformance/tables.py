"""The report for a CI system (JUnit) and for a pull request (Markdown)."""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from vmsim.conformance.report import CaseReport, Report, TargetReport
from vmsim.conformance.verdicts import Verdict

MARKS = {
    "pass": "✓ pass",
    "fail": "✗ fail",
    "flaky": "≈ flaky",
    "unknown": "? unknown",
    "not supported": "- not supported",
    "not testable": "○ not testable",
}


def junit(report: Report) -> str:
    """JUnit XML: a suite per target, a test case per case; only a pass is without an element."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<testsuites name="vmsim conform">']
    for target in report.targets:
        lines += _suite(target, report)
    return "\n".join([*lines, "</testsuites>", ""])


def _suite(target: TargetReport, report: Report) -> Iterator[str]:
    kinds = [_element(case.verdict) for case in target.cases]
    numbers = {
        "tests": len(kinds),
        "failures": kinds.count("failure"),
        "errors": kinds.count("error"),
        "skipped": kinds.count("skipped"),
    }
    attributes = " ".join(f'{name}="{number}"' for name, number in numbers.items())
    yield f"  <testsuite name={quoteattr(target.name)} {attributes}>"
    for case in target.cases:
        yield from _testcase(case, target, report)
    yield "  </testsuite>"


def _testcase(case: CaseReport, target: TargetReport, report: Report) -> Iterator[str]:
    took_s = report.run.cases.get(f"{target.name}/{case.id}", 0.0)
    name = f"name={quoteattr(_xml(case.id))} classname={quoteattr(target.name)}"
    yield f'    <testcase {name} time="{took_s}">'
    yield "      <properties>"
    for clause in case.clauses:
        yield f'        <property name="clause" value={quoteattr(clause)}/>'
    yield f'        <property name="verdict" value={quoteattr(case.verdict)}/>'
    yield "      </properties>"
    if kind := _element(case.verdict):
        message = quoteattr(_xml(f"{case.verdict}: {case.reason}"))
        if kind == "skipped":
            yield f"      <skipped message={message}/>"
        else:
            yield f"      <{kind} message={message}>{escape(_xml(case.reproduce))}</{kind}>"
    yield "    </testcase>"


def _element(verdict: str) -> str:
    if verdict == Verdict.PASS:
        return ""
    if verdict in (Verdict.NOT_SUPPORTED, Verdict.NOT_TESTABLE):
        return "skipped"
    return "failure" if verdict == Verdict.FAIL else "error"


def _xml(text: str) -> str:
    """The text without what XML cannot hold."""
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)


def markdown(report: Report) -> str:
    """A page for a pull request: result, matrix, what is not a pass and how to see it again."""
    lines = [f"# Conformance report: {report.result}", ""]
    if not report.complete:
        lines += [f"**Incomplete**: {_cell(report.incomplete)}", ""]
    lines += [f"- {name}: {_cell(text)}" for name, text in facts(report)]
    lines += ["", *_matrix(report)]
    for target in report.targets:
        lines += _failures(target)
    for left in report.skipped:
        lines += ["", f"Left out, {left.reason}: {len(left.clauses)} clauses, {left.cases} cases."]
    return "\n".join([*lines, ""])


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """What a reader wants to know before the table."""
    options = report.options
    yield "suite", f"vmsim {report.suite.version}, commit {report.suite.commit or 'none'}"
    yield "edition", options.edition or "all"
    yield "seed", str(options.seed)
    if chosen := [*options.only, *options.tags, *filter(None, [options.level])]:
        yield "only", ", ".join(chosen)
    for target in report.targets:
        about = target.implementation
        name = " ".join(filter(None, (about.get("project"), about.get("version"))))
        yield f"target {target.name}", f"{name or 'unnamed'}: {target.result}; {counted(target)}"
        for one in target.capabilities:
            if one.state != "supported":
                yield f"{target.name}, {one.name}", f"{one.state}: {one.reason}"
        for line in target.played:
            yield f"{target.name}, played by vmsim", line
    yield "began", f"{report.run.started}, took {report.run.seconds} s"
    for name, number in report.run.lanes.items():
        if number > 1:
            yield f"lanes of {name}", f"up to {number} cases at a time"
    yield "digest", report.digest


def counted(target: TargetReport) -> str:
    """How many clauses have each verdict, in words."""
    return ", ".join(f"{number} {name}" for name, number in target.counts.items() if number)


def rows(report: Report) -> Iterator[tuple[str, str, str, list[str], list[str]]]:
    """Id, level, text, verdicts and reasons of each clause, a column per target."""
    for index, clause in enumerate(report.targets[0].clauses if report.targets else []):
        shown = [target.clauses[index] for target in report.targets]
        verdicts = [one.verdict for one in shown]
        yield clause.id, clause.level, clause.text, verdicts, [one.reason for one in shown]


def _matrix(report: Report) -> Iterator[str]:
    names = [target.name for target in report.targets]
    yield "| clause | level | " + " | ".join(map(_cell, names)) + " | what it says |"
    yield "|---|---|" + "---|" * (len(names) + 1)
    for id, level, text, verdicts, _ in rows(report):
        marks = " | ".join(MARKS[verdict] for verdict in verdicts)
        yield f"| {id} | {level} | {marks} | {_cell(text)} |"


def _failures(target: TargetReport) -> Iterator[str]:
    bad = [case for case in target.cases if case.verdict != Verdict.PASS]
    if not bad:
        return
    yield from ("", f"## Not passed on {target.name}", "")
    for case in bad:
        yield f"- **{case.verdict}** {', '.join(case.clauses)}: {_cell(case.reason)}"
        yield f"  `{case.reproduce}`"


def _cell(text: str) -> str:
    """The text on one line of a table."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
