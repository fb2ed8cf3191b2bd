"""The figures of a report, drawn by matplotlib as SVG text.

Colours are those of Okabe and Ito, which people with colour blindness can tell apart; every figure
has a sentence that says what it shows. Long runs show the VMs with the most downtime only.
"""

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vmsim.whatif.history import History, Lane
from vmsim.whatif.metrics import downtimes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LANES_SHOWN = 40
HOUR_S = 3600.0
COLOURS = {
    "Up": "#009E73", "EnteringMaintenance": "#F0E442", "Maintenance": "#E69F00",
    "NotResponding": "#D55E00", "StorageLost": "#CC79A7", "Removed": "#999999",
    "pending": "#999999", "starting": "#56B4E9", "booting": "#0072B2", "running": "#009E73",
    "migrating": "#F0E442", "waiting": "#D55E00", "off": "#E69F00",
}  # fmt: skip


def svg(figure: "Figure", sentence: str) -> str:
    """The figure as SVG that a screen reader announces with the sentence."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    body = text.getvalue()
    body = body[body.index("<svg") :]
    label = sentence.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    body = re.sub(r'width="[0-9.]+pt" height="[0-9.]+pt"', "", body, count=1)
    return body.replace("<svg", f'<svg role="img" aria-label="{label}" tabindex="0"', 1)


def lanes(found: Sequence[tuple[str, Lane]], title: str) -> "Figure":
    """Bars of states over time, one lane for each name."""
    figure, axes = _axes(0.8 + 0.22 * len(found))
    used: dict[str, None] = {}
    for row, (_, lane) in enumerate(found):
        for state in dict.fromkeys(item for _, _, item in lane.segments):
            used[state] = None
            spans = [
                (begin / HOUR_S, (end - begin) / HOUR_S)
                for begin, end, item in lane.segments
                if item == state
            ]
            axes.broken_barh(spans, (row - 0.4, 0.8), facecolors=COLOURS.get(state, "#999999"))
    axes.set_yticks(range(len(found)), [name for name, _ in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.margins(x=0)
    _legend(axes, list(used))
    return _done(figure, axes, title)


def _legend(axes: Any, states: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(color=COLOURS.get(state, "#999999"), label=state) for state in states]
    axes.legend(handles=patches, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def levels(run: History) -> "Figure":
    """What is used of the open hosts, and how many VMs wait, over time."""
    figure, axes = _axes(2.6)
    for name, level, colour in (("vCPUs", run.cpu, "#0072B2"), ("memory", run.memory, "#E69F00")):
        hours = [time_s / HOUR_S for time_s in level.times_s]
        axes.step(hours, [100 * value for value in level.values], where="post", label=name,
                  color=colour)  # fmt: skip
    axes.set_ylabel("used, %")
    axes.set_ylim(0, None)
    other = axes.twinx()
    hours = [time_s / HOUR_S for time_s in run.waiting.times_s]
    other.step(hours, run.waiting.values, where="post", color="#D55E00", linestyle="--")
    other.set_ylabel("VMs that wait (dashed)")
    other.yaxis.get_major_locator().set_params(integer=True)
    other.set_ylim(0, max([*run.waiting.values, 1]) * 1.1)
    axes.legend(loc="upper left", bbox_to_anchor=(1.08, 1.0), frameon=False)
    return _done(figure, axes, "What is used, and who waits")


def distribution(runs: Sequence[History]) -> "Figure":
    """How long downtimes were: share of them not longer than."""
    figure, axes = _axes(2.6)
    for run in runs:
        lengths = sorted(item.lasted_s / 60.0 for item in downtimes(run.ledger))
        if lengths:
            shares = [100 * (number + 1) / len(lengths) for number in range(len(lengths))]
            axes.step([0, *lengths], [0, *shares], where="post", marker=".", label=run.name)
    axes.set_ylabel("downtimes not longer, %")
    axes.set_ylim(0, 102)
    axes.set_xlim(0, None)
    if axes.lines:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    made = _done(figure, axes, "How long VMs were down")
    axes.set_xlabel("minutes")
    return made


def worst_lanes(run: History) -> list[tuple[str, Lane]]:
    """The VMs with most downtime, or those with most changes, at most LANES_SHOWN."""
    lost: dict[str, float] = {}
    for item in run.ledger.incidents:
        lost[item.vm] = lost.get(item.vm, 0.0) + item.lasted_s
    key = sorted(run.vms, key=lambda name: (-lost.get(name, 0.0), -len(run.vms[name].segments)))
    return [(name, run.vms[name]) for name in key[:LANES_SHOWN]]


def _axes(height: float) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, height), layout="constrained")
    return figure, figure.subplots()


def _done(figure: "Figure", axes: Any, title: str) -> "Figure":
    axes.set_title(title, loc="left")
    axes.set_xlabel("simulated hours")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
