"""One file that answers for runs or for a sweep: the answer in a sentence, then figures, then what
was assumed.

The file needs no network. The sentence, the figures' sentences and the tables behind them are
plain text for those who search, listen or print; what is dark on light turns with the system.
"""

import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from vmsim.problems import BadInput, Problem
from vmsim.whatif.binding import blocked_by
from vmsim.whatif.drawing import HELP, Picture, engine, placed, scripts
from vmsim.whatif.figures import distribution, pictures
from vmsim.whatif.history import History
from vmsim.whatif.metrics import METRICS, measured, unplaced
from vmsim.whatif.variants import Variants

STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #ddd; --paper: #181818; } }
@media print { :root { --ink: #000; --paper: #fff; color-scheme: light; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem;
  color: var(--ink); background: var(--paper); }
figure { margin: 1.5rem 0; } .chart { width: 100%; min-height: 2rem; }
figcaption { opacity: .8; } table { border-collapse: collapse; }
td, th { padding: .15rem .8rem .15rem 0; text-align: left; } td.n { text-align: right; }
.answer { font-size: 1.25rem; } :focus-visible { outline: 2px solid #0072B2; }
[class*="role-axis-"] text, [class*="role-legend-"] text, .role-title text, .ink text {
  fill: var(--ink); }
.vega-embed summary { opacity: .7; }
@media print { body { max-width: none; margin: 0; } figure { break-inside: avoid; }
  details:not([open]), .vega-embed details, .keys { display: none; } }
"""
SHOWN = (
    "incidents", "downtime_s", "downtime_worst_s", "downtime_p95_s", "waiting_worst", "unplaced",
    "makespan_s", "migrations", "moved_gib", "retries", "host_failures", "packing_memory",
    "stranded_cpu", "stranded_memory",
)  # fmt: skip
Named = list[tuple[str, Picture]]


def drawn(runs: Sequence[History], sweeps: Sequence[Variants] = ()) -> Named:
    """All figures of a report, each with the prefix of its name."""
    found: Named = [("all", distribution(runs))] if len(runs) > 1 else []
    found += [(f"run{number}", one) for number, run in enumerate(runs, 1) for one in pictures(run)]
    for number, sweep in enumerate(sweeps, 1):
        found += [(f"sweep{number}", one) for one in sweep.pictures()]
    return found


def html(runs: Sequence[History], sweeps: Sequence[Variants] = ()) -> str:
    """The report of these runs and sweeps; BadInput without vl-convert-python."""
    engine()
    found = drawn(runs, sweeps)
    at = {prefix: [one for name, one in found if name == prefix] for prefix, _ in found}
    body = [_compared(runs, at["all"])] if len(runs) > 1 else []
    body += [_run(run, f"run{number}", at) for number, run in enumerate(runs, 1)]
    body += [_sweep(sweep, f"sweep{number}", at) for number, sweep in enumerate(sweeps, 1)]
    names = [*(run.name for run in runs), *(sweep.name for sweep in sweeps)]
    title = escape("vmsim: " + ", ".join(names))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>{title}</h1><main>{''.join(body)}</main>"
        f"{HELP if any('params' in one.spec for _, one in found) else ''}"
        "<noscript><p>Figures are drawn by a script in this file; without it, the tables "
        f"say the same.</p></noscript>{scripts(found)}</body></html>\n"
    )


def write(path: Path, text: str) -> None:
    """Write the report, and say how large it is; BadInput if there is no way."""
    try:
        path.write_text(text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput([Problem(f"cannot write: {reason}", file=str(path))]) from None
    print(f"{path} ({len(text) / 1e6:.2f} MB)", file=sys.stderr)


def answer(run: History) -> str:
    """What became of the VMs and of hosts that were to be emptied, in a few sentences."""
    said, ledger = [_down(run)], run.ledger
    if ledger.blockers:
        vm, why = min(ledger.blockers.items())
        more = f" and {len(ledger.blockers) - 1} more" if len(ledger.blockers) > 1 else ""
        held = f"{_times(ledger.counts.stalls)}, by {vm}{more} ({blocked_by(why)})"
        said.append(f"Emptying hosts was held up {held}.")
    if ledger.waiting_worst:
        left, waited = int(unplaced(ledger)), ledger.waiting_worst
        end = f"{left} did not run" if left else "all ran"
        vms = f"{waited} VM{'s' if waited > 1 else ''}"
        said.append(f"At most {vms} waited for a host at once; {end} at the end.")
    return " ".join(said)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _down(run: History) -> str:
    found = run.ledger.downtimes
    if not found:
        return f"None of the {len(run.vms)} VMs was down in {_time(run.end_s)}."
    worst = max(found, key=lambda one: one.lasted_s)
    hit = len({one.vm for one in found})
    because = f", because of {worst.because}" if worst.because else ""
    still = " and was still down at the end" if worst.open else ""
    were = "was" if hit == 1 else "were"
    return (
        f"{hit} of {len(run.vms)} VMs {were} down in {_time(run.end_s)}; "
        f"the longest was {worst.vm} for {_time(worst.lasted_s)} ({worst.cause}{because}){still}."
    )


def _section(name: str, text: str, table: str, figures: str, said: Sequence[str]) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in said)
    return (
        f"<section><h2>{escape(name)}</h2><p class=answer>{escape(text)}</p>{table}{figures}"
        f"<details><summary>Assumptions</summary><ul>{lines}</ul></details></section>"
    )


def _run(run: History, prefix: str, at: dict[str, list[Picture]]) -> str:
    figures = "".join(placed(one, prefix) for one in at[prefix])
    where = f"seed {run.header['seed']}, backend {run.header['backend']}"
    return _section(
        run.name, answer(run), _table([run]), figures, [where, *run.header["assumptions"]]
    )


def _sweep(sweep: Variants, prefix: str, at: dict[str, list[Picture]]) -> str:
    figures = "".join(placed(one, prefix) for one in at.get(prefix, []))
    return _section(sweep.name, sweep.sentence, "", figures, sweep.assumptions)


def _compared(runs: Sequence[History], found: Sequence[Picture]) -> str:
    figures = "".join(placed(one, "all") for one in found)
    return f"<section><h2>Compared</h2>{_table(runs)}{figures}</section>"


def _table(runs: Sequence[History]) -> str:
    rows = [measured(run.ledger) for run in runs]
    heads = "".join(f"<th scope=col>{escape(run.name)}</th>" for run in runs)
    lines = [
        f"<tr><th scope=row>{escape(METRICS[name].means)}</th>"
        + "".join(f"<td class=n>{_value(name, row[name])}</td>" for row in rows)
        + "</tr>"
        for name in SHOWN
    ]
    return f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _value(name: str, value: float) -> str:
    unit = METRICS[name].unit
    return _time(value) if unit == "s" else f"{value:.4g} {unit}".strip()


def _time(seconds: float) -> str:
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"
