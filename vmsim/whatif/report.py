"""One file that answers for a run: the answer in a sentence, then figures, then what was assumed.

The file needs no network and no script. Text in figures is text, so it can be searched and read
aloud; in dark mode only colours change.
"""

from collections.abc import Sequence
from html import escape

from vmsim.problems import BadInput, Problem
from vmsim.whatif.figures import LANES_SHOWN, distribution, lanes, levels, svg, worst_lanes
from vmsim.whatif.history import History
from vmsim.whatif.metrics import METRICS, downtimes, measured

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
figure { margin: 1.5rem 0; } figure svg { width: 100%; height: auto; }
figcaption, .dim { opacity: .75; } table { border-collapse: collapse; }
td, th { padding: .15rem .8rem .15rem 0; text-align: left; } td.n { text-align: right; }
.answer { font-size: 1.25rem; } :focus { outline: 2px solid #0072B2; }
@media (prefers-color-scheme: dark) { figure svg { filter: invert(1) hue-rotate(180deg); } }
@media print { body { max-width: none; margin: 0; } figure { break-inside: avoid; } }
"""
SHOWN = (
    "incidents", "downtime_s", "downtime_worst_s", "downtime_p95_s", "waiting_worst", "unplaced",
    "makespan_s", "migrations", "moved_gib", "retries", "host_failures", "packing_memory",
)  # fmt: skip


def html(runs: Sequence[History]) -> str:
    """The report of these runs; BadInput without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        hint = "pip install 'vmsim[report]'"
        raise BadInput([Problem("the report needs matplotlib", hint=hint)]) from None
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "vmsim", "font.size": 9}):
        body = [_compared(runs)] if len(runs) > 1 else []
        body += [_run(run) for run in runs]
    title = escape("vmsim: " + ", ".join(run.name for run in runs))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>{title}</h1>{''.join(body)}</body></html>\n"
    )


def answer(run: History) -> str:
    """What became of the VMs, in a sentence or two."""
    found = downtimes(run.ledger)
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


def _run(run: History) -> str:
    waits = int(max(run.waiting.values, default=0))
    parts = [f"<section><h2>{escape(run.name)}</h2><p class=answer>{escape(answer(run))}</p>"]
    parts.append(_table([run]))
    hosts = list(run.hosts.items())[:LANES_SHOWN]
    parts.append(_figure(svg(lanes(hosts, "Hosts"), "States of hosts over time"),
                         f"{len(hosts)} of {len(run.hosts)} hosts."))  # fmt: skip
    chosen = worst_lanes(run)
    parts.append(_figure(svg(lanes(chosen, "VMs"), "States of VMs over time"),
                         f"{len(chosen)} of {len(run.vms)} VMs, most downtime first."))  # fmt: skip
    parts.append(_figure(svg(levels(run), "Use of hosts and waiting VMs over time"),
                         f"At most {waits} VMs waited at once."))  # fmt: skip
    parts.append(_figure(svg(distribution([run]), "Distribution of downtimes"),
                         f"{len(downtimes(run.ledger))} downtimes."))  # fmt: skip
    said = "".join(f"<li>{escape(line)}</li>" for line in run.header["assumptions"])
    seed = f"seed {run.header['seed']}, backend {run.header['backend']}"
    parts.append(f"<details><summary>Assumptions ({seed})</summary><ul>{said}</ul></details>")
    return "".join([*parts, "</section>"])


def _compared(runs: Sequence[History]) -> str:
    picture = svg(distribution(runs), "Distributions of downtimes, run by run")
    return f"<section><h2>Compared</h2>{_table(runs)}{_figure(picture, 'All runs.')}</section>"


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


def _figure(picture: str, caption: str) -> str:
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def _value(name: str, value: float) -> str:
    unit = METRICS[name].unit
    return _time(value) if unit == "s" else f"{value:.4g} {unit}".strip()


def _time(seconds: float) -> str:
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"
