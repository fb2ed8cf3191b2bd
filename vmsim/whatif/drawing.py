"""How does a figure get onto a page, or onto a slide?

A figure is a Vega-Lite specification with the sentence that it says and the table behind it. On a
page Vega draws it as SVG: text stays text, states have tooltips, and a screen reader gets the
sentence and the table. The scripts are inlined, so the page needs no network. For slides the same
figure is rendered to SVG and PNG without a browser.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

from vmsim.problems import BadInput, Problem

SLIDE_WIDTH = 900
SLIDE_SCALE = 2.0
ROWS_SHOWN = 200
ROW_PX = 16
GRID = "#8884"
LINES = ["#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"]
"""Colours of Okabe and Ito, which people with colour blindness can tell apart."""
CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"labelFontSize": 11, "titleFontSize": 12, "gridColor": GRID, "domainColor": GRID,
             "tickColor": GRID, "labelLimit": 240, "titleFontWeight": "normal"},
    "axisQuantitative": {"tickCount": 8},
    "axisX": {"labelOverlap": "greedy", "labelSeparation": 8},
    "legend": {"labelFontSize": 11, "title": None, "orient": "bottom", "columns": 8,
               "labelLimit": 0, "symbolStrokeWidth": 2},
    "title": {"anchor": "start", "fontSize": 14},
}  # fmt: skip
ZOOM = [
    {
        "name": "zoom",
        "select": {"type": "interval", "encodings": ["x"], "zoom": "wheel![event.shiftKey]"},
        "bind": "scales",
    }
]
"""Drag moves along the time, shift and wheel zoom, a double click goes back to all of it; KEYS do
the same."""
KEYS = {
    "+": [0.25, 0.5], "=": [0.25, 0.5], "-": [-0.5, 2], "0": [0, 1e9],
    "ArrowLeft": [-0.25, 1], "ArrowRight": [0.25, 1],
}  # fmt: skip
"""What a key does to what is seen: where it begins, and how wide it is, in parts of its width."""
HELP = (
    "<p class=keys>Figures over time zoom with + and - or with shift and the wheel, move with the "
    "arrow keys or when dragged, and show all again with 0 or a double click.</p>"
)

SCRIPT = (
    f"const keys = {json.dumps(KEYS)};"
    + """
const figures = JSON.parse(document.getElementById("figures").textContent);
const menu = {export: true, source: false, compiled: false, editor: false};
function listen(chart, view, signal) {
  const [least, most] = view.scale("x").domain();
  chart.addEventListener("keydown", (event) => {
    const step = keys[event.key], [low, high] = view.scale("x").domain();
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const wide = Math.min(step[1] * (high - low), most - least);
    const begin = Math.max(least, Math.min(low + step[0] * (high - low), most - wide));
    view.signal(signal, [begin, begin + wide]).runAsync();
  });
}
for (const [id, spec] of Object.entries(figures)) {
  vegaEmbed("#" + id, spec, {renderer: "svg", actions: menu, downloadFileName: id})
    .then((drawn) => {
      const chart = document.getElementById(id);
      if (spec.params) listen(chart, drawn.view, spec.params[0].name + "_" + spec.encoding.x.field);
      document.body.dataset.drawn = Number(document.body.dataset.drawn || 0) + 1;
    })
    .catch((error) => { document.getElementById(id).textContent = error; });
}
"""
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure: a name for files, what it says in a sentence, its specification, and the table
    behind it (first row: the heads)."""

    name: str
    sentence: str
    spec: dict[str, Any]
    table: Sequence[Sequence[object]] = field(default_factory=list)


def charted(title: str, values: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A specification with these rows of data, as wide as the page."""
    return {
        "title": title,
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": CONFIG,
        "data": {"values": list(values)},
        **more,
    }


def quantity(name: str, title: str, **more: Any) -> dict[str, Any]:
    """The channel of a number."""
    return {"field": name, "type": "quantitative", "title": title, **more}


def word(name: str, title: str, **more: Any) -> dict[str, Any]:
    """The channel of a name."""
    return {"field": name, "type": "nominal", "title": title, **more}


def engine() -> ModuleType:
    """The renderer; BadInput when it is not installed."""
    try:
        import vl_convert
    except ImportError:
        hint = "pip install 'vmsim[report]'"
        message = "a report needs the package vl-convert-python"
        raise BadInput([Problem(message, hint=hint)]) from None
    found: ModuleType = vl_convert
    return found


def placed(picture: Picture, prefix: str) -> str:
    """The place of a figure on the page, its sentence, and its table."""
    name = f"{prefix}-{picture.name}"
    keys = f' aria-keyshortcuts="{" ".join(KEYS)}"' if "params" in picture.spec else ""
    return (
        f'<figure><div class=chart id="{name}" tabindex=0 role=group{keys} '
        f'aria-label="{escape(picture.sentence)}"></div>'
        f"<figcaption>{escape(picture.sentence)}</figcaption>{_table(picture)}</figure>"
    )


def _table(picture: Picture) -> str:
    if len(picture.table) < 2:
        return ""
    heads, *rows = picture.table
    top = "".join(f"<th scope=col>{escape(str(head))}</th>" for head in heads)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(_shown(cell))}</td>' for cell in row)}</tr>"
        for row in rows[:ROWS_SHOWN]
    )
    more = f"<p>and {len(rows) - ROWS_SHOWN} rows more</p>" if len(rows) > ROWS_SHOWN else ""
    return (
        f"<details><summary>The figures as a table</summary><table><thead><tr>{top}</tr></thead>"
        f"<tbody>{lines}</tbody></table>{more}</details>"
    )


def _shown(cell: object) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def scripts(pictures: Sequence[tuple[str, Picture]]) -> str:
    """The scripts that draw figures with these prefixes, without any address of the network."""
    specs = {
        f"{prefix}-{one.name}": {**one.spec, "description": one.sentence}
        for prefix, one in pictures
    }
    data = json.dumps(specs, separators=(",", ":")).replace("</", "<\\/")
    return (
        f"<script>{engine().javascript_bundle()}</script>"
        f'<script type="application/json" id=figures>{data}</script><script>{SCRIPT}</script>'
    )


def on_white(spec: dict[str, Any]) -> str:
    """The figure as SVG, without a browser."""
    config = {**CONFIG, "background": "white"}
    return str(engine().vegalite_to_svg({**spec, "config": config}))


def export(pictures: Sequence[tuple[str, Picture]], folder: Path) -> list[Path]:
    """Each figure as SVG and as PNG, for slides; the files."""
    paths = []
    for prefix, one in pictures:
        drawn = on_white({**one.spec, "width": SLIDE_WIDTH, "description": one.sentence})
        paths += [folder / f"{prefix}-{one.name}.{kind}" for kind in ("svg", "png")]
        paths[-2].write_text(drawn)
        paths[-1].write_bytes(engine().svg_to_png(drawn, scale=SLIDE_SCALE))
    return paths
