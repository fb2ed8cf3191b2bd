"""The report as one page that needs no network, no script and no wide screen.

The matrix has a row per clause and a column per target. A verdict is a word and a sign, never a
colour alone. On a narrow screen each row becomes a card, and each cell names its target.
"""

from collections.abc import Iterator
from html import escape

from vmsim.conformance.report import CaseReport, Report, TargetReport
from vmsim.conformance.tables import MARKS, facts, rows
from vmsim.conformance.verdicts import Verdict

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --pass: #1a7f37; --fail: #c62828;
  --open: #9a6700; --mute: #57606a; }
@media (prefers-color-scheme: dark) {
  :root { --pass: #56d364; --fail: #ff7b72; --open: #e3b341; --mute: #9aa4ae; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 75rem;
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--mute); padding-bottom: .5rem; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .5rem; text-align: left;
  vertical-align: top; overflow-wrap: normal; }
thead th { position: sticky; top: 0; background: Canvas; }
td.says { overflow-wrap: anywhere; min-width: 14rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; }
dt { color: var(--mute); } dd { margin: 0; }
.v { font-weight: 600; white-space: nowrap; } .pass { color: var(--pass); }
.fail, .flaky { color: var(--fail); } .unknown { color: var(--open); }
.not-supported, .not-testable { color: var(--mute); }
.why { display: block; font-size: .85rem; color: var(--mute); }
code { font: .85rem ui-monospace, monospace; background: var(--soft); padding: .1rem .25rem; }
.incomplete { border: 2px solid var(--fail); padding: .5rem 1rem; }
summary { cursor: pointer; padding: .3rem 0; } details { border-bottom: 1px solid var(--line); }
a:focus-visible, summary:focus-visible { outline: 2px solid; }
@media (max-width: 40rem) {
  dl { display: block; } dd { margin-bottom: .4rem; }
  table, tbody, tr, td, tbody th, caption { display: block; }
  thead { position: absolute; left: -9999px; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  td, tbody th { border: 0; padding: .1rem 0; }
  td[data-target]::before { content: attr(data-target) ": "; color: var(--mute); } }
@media print { thead th { position: static; } details { break-inside: avoid; }
  body { max-width: none; font-size: 10pt; } tr { break-inside: avoid; } }
"""


def html(report: Report) -> str:
    """The whole page."""
    title = f"Conformance report: {report.result}"
    head = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<header><h1>{escape(title)}</h1></header><main>",
    ]
    if not report.complete:
        why = escape(report.incomplete)
        head.append(f'<p class="incomplete" role="note"><strong>Incomplete</strong>: {why}</p>')
    body = [*head, *_facts(report), *_matrix(report)]
    for target in report.targets:
        body += _cases(target, report)
    return "\n".join([*body, *_skipped(report), "</main></body></html>", ""])


def _facts(report: Report) -> Iterator[str]:
    yield '<section aria-label="What was run"><dl>'
    for name, text in facts(report):
        yield f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>"
    yield "</dl></section>"


def _matrix(report: Report) -> Iterator[str]:
    yield '<section aria-labelledby="matrix"><h2 id="matrix">Clauses</h2><table>'
    yield "<caption>Each clause and its verdict on each target</caption><thead><tr>"
    names = [target.name for target in report.targets]
    for name in ("clause", "level", *names, "what it says"):
        yield f'<th scope="col">{escape(name)}</th>'
    yield "</tr></thead><tbody>"
    for id, level, text, verdicts, reasons in rows(report):
        yield f'<tr><th scope="row" id="{escape(id)}">{escape(id)}</th><td>{escape(level)}</td>'
        for name, verdict in zip(names, verdicts, strict=True):
            yield f'<td data-target="{escape(name)}">{_verdict(verdict)}</td>'
        why = "".join(_why(line) for line in _told(names, reasons))
        yield f'<td class="says">{escape(text)}{why}</td></tr>'
    yield "</tbody></table></section>"


def _told(names: list[str], reasons: list[str]) -> Iterator[str]:
    """Each reason once, with the targets that it is of unless it is of all."""
    for reason in filter(None, dict.fromkeys(reasons)):
        of = [name for name, own in zip(names, reasons, strict=True) if own == reason]
        yield _short(reason) if of == names else f"{', '.join(of)}: {_short(reason)}"


def _why(line: str) -> str:
    return f'<span class="why">{escape(line)}</span>'


def _short(text: str) -> str:
    return text if len(text) <= 300 else text[:300] + " …"


def _verdict(verdict: str) -> str:
    name = verdict.replace(" ", "-")
    return f'<span class="v {name}">{escape(MARKS[verdict])}</span>'


def _cases(target: TargetReport, report: Report) -> Iterator[str]:
    yield f'<section aria-label="Cases on {escape(target.name)}">'
    yield f"<h2>Cases on {escape(target.name)}</h2>"
    if target.stopped:
        yield f'<p class="incomplete"><strong>Stopped</strong>: {escape(target.stopped)}</p>'
    shown = {clause.id for clause in target.clauses}
    order = sorted(target.cases, key=lambda case: case.verdict == Verdict.PASS)
    for case in order:
        took_s = report.run.cases.get(f"{target.name}/{case.id}", 0.0)
        yield from _case(case, took_s, shown)
    yield "</section>"


def _case(case: CaseReport, took_s: float, shown: set[str]) -> Iterator[str]:
    """One case; its clauses are links where the matrix has them."""
    opened = " open" if case.verdict == Verdict.FAIL else ""
    clauses = ", ".join(
        f'<a href="#{escape(id)}">{escape(id)}</a>' if id in shown else escape(id)
        for id in case.clauses
    )
    yield f"<details{opened}><summary>{_verdict(case.verdict)} {escape(case.id)}</summary>"
    yield f"<dl><dt>clauses</dt><dd>{clauses}</dd>"
    if case.reason:
        yield f"<dt>reason</dt><dd>{escape(case.reason)}</dd>"
    yield f"<dt>run it alone</dt><dd><code>{escape(case.reproduce)}</code></dd>"
    for number, attempt in enumerate(case.attempts, start=1):
        link = f'<a href="{escape(attempt.evidence)}">evidence</a>'
        yield f"<dt>attempt {number}</dt><dd>{escape(attempt.verdict)}, {link}</dd>"
    yield f"<dt>took</dt><dd>{took_s} s</dd></dl></details>"


def _skipped(report: Report) -> Iterator[str]:
    if not report.skipped:
        return
    yield '<section aria-label="Left out"><h2>Left out</h2><ul>'
    for left in report.skipped:
        names = ", ".join(left.clauses) or "no clause"
        yield f"<li>{escape(left.reason)}: {left.cases} cases; {escape(names)}</li>"
    yield "</ul></section>"
