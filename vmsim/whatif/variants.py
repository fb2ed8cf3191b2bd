"""How do the variants of a sweep compare?

A variant is a cell of a design. Its figures are those of a metric with their intervals, a heat map
over two factors, and the front of variants that no other one beats in two metrics at once.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmsim.problems import BadInput, Problem
from vmsim.whatif import design as designs
from vmsim.whatif import store
from vmsim.whatif.answers import answer, by_cell, figure_of, number, scaled
from vmsim.whatif.asking import assumed
from vmsim.whatif.certainty import is_certain
from vmsim.whatif.design import Design
from vmsim.whatif.drawing import LINES, Picture, charted, quantity, word
from vmsim.whatif.metrics import METRICS, cost
from vmsim.whatif.statistics import Figure
from vmsim.whatif.studies import CASE_OPTIONS, NOTES, ORDERED, STUDIES

PLAN = "plan.json"
SHOWN = 60
POINTS = 2_000
USUAL = ("downtime_s", "waiting_worst")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
DIGITS = ",.4~r"
BLUE, ORANGE = "#0072B2", "#D55E00"


@dataclass(frozen=True, slots=True)
class Variant:
    """One cell: its settings as text, and the figures of two metrics."""

    settings: dict[str, str]
    one: Figure
    other: Figure


@dataclass(frozen=True, slots=True)
class Variants:
    """The variants of a design that were run, and what is compared."""

    design: Design
    found: list[Variant]
    metric: str
    against: str
    problems: int = 0
    headline: str = ""

    @property
    def name(self) -> str:
        """The scenario, and the study if there is one."""
        return f"{self.design.name}: {self.design.study}" if self.design.study else self.design.name

    @property
    def factors(self) -> list[str]:
        """The settings that make variants differ."""
        return [name for name in self.apart if name not in NOTES]

    @property
    def apart(self) -> list[str]:
        """The settings that are not the same in all variants."""
        names = dict.fromkeys(name for one in self.found for name in one.settings)
        return [name for name in names if len({one.settings.get(name) for one in self.found}) > 1]

    def label(self, one: Variant, but: Sequence[str] = ()) -> str:
        """What sets the variant apart from the others, but for these settings."""
        return ", ".join(
            f"{self.short(name)}={one.settings[name]}"
            for name in self.apart
            if name in one.settings and name not in but
        ) or "the only variant"  # fmt: skip

    def short(self, factor: str) -> str:
        """The last word of a factor's path, if it is the only one that ends so."""
        last = factor.rpartition(".")[2]
        alike = [name for name in self.apart if name.rpartition(".")[2] == last]
        return last if len(alike) == 1 else factor

    @property
    def sentence(self) -> str:
        """The study's answer, or the best and the worst variant, in a sentence."""
        if not self.found:
            return "No variant could be run."
        lost = f" {self.problems} variants could not be run." if self.problems else ""
        if self.headline:
            told = self.headline[0].upper() + self.headline[1:]
            return f"{STUDIES[self.design.study].question} {told}.{lost}"
        ranked = sorted(self.found, key=lambda one: cost(self.metric, one.one.value))
        best, worst = self._alike(ranked), self._alike(ranked[::-1])
        means = METRICS[self.metric].means
        if len(best) == len(ranked):
            alike = f" with each of the {len(ranked)} variants" if len(ranked) > 1 else ""
            return f"{means}: {self._figure(best[0])}{alike}.{lost}"
        return f"{means}: best {self._named(best)}, worst {self._named(worst)}.{lost}"

    def _alike(self, ranked: Sequence[Variant]) -> list[Variant]:
        """The first one, and those with the same value."""
        return [one for one in ranked if one.one.value == ranked[0].one.value]

    def _named(self, alike: Sequence[Variant]) -> str:
        more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        return f"with {self.label(alike[0])}{more} ({self._figure(alike[0])})"

    def _figure(self, one: Variant) -> str:
        return number(one.one, METRICS[self.metric].unit)

    @property
    def assumptions(self) -> list[str]:
        """What the figures rest on."""
        runs = f"{self.design.replications} replications, root seed {self.design.seed}"
        first = self.found[0].settings if self.found else {}
        same = [f"{name}={value}" for name, value in first.items() if name not in self.apart]
        return [runs, f"design {self.design.id[:16]}", *same, *assumed(self.design)]

    def shown(self, metric: str) -> tuple[float, str]:
        """By what the metric's values are divided in figures, and its title with the unit."""
        figures = [one.one if metric == self.metric else one.other for one in self.found]
        size, unit = scaled(METRICS[metric].unit, max(abs(one.value) for one in figures))
        return size, METRICS[metric].means + (f", {unit.strip()}" if unit else "")

    def pictures(self) -> list[Picture]:
        """The figures."""
        if not self.found:
            return []
        made = [along(self, name) for name in self.factors if name in ORDERED]
        made.append(ranked(self))
        if len(self.factors) > 1:
            made.append(heat(self) if _is_grid(self) else scattered(self))
        if any(name not in CASE_OPTIONS for name in self.factors):
            made.append(pareto(self))
        return made


def of_folder(folder: Path, metric: str = "", against: str = "") -> Variants:
    """The variants of a sweep's folder; BadInput for a metric that there is not."""
    return compared(designs.read(folder / PLAN), folder, metric, against)


def compared(design: Design, folder: Path, metric: str = "", against: str = "") -> Variants:
    """The variants of a design whose parts are in the folder, by the study's metrics if none are
    named."""
    study = STUDIES.get(design.study)
    usual = (study.metric, *study.also, *USUAL) if study else USUAL
    metric = metric or usual[0]
    against = against or next(name for name in usual if name != metric)
    for name in (metric, against):
        if name not in METRICS:
            hint = f"one of {', '.join(METRICS)}"
            raise BadInput([Problem(f"there is no metric {name}", field="--metric", hint=hint)])
    how = study.how if study and metric == study.metric else "mean"
    results = list(store.rows(folder, design))
    headline, certain = "", is_certain(design)
    if study and metric == study.metric and results:
        headline = answer(design, study, results, certain=certain).headline
    found, problems = [], 0
    for cell, pairs in by_cell(results).items():
        rows = [row for _, row in pairs if "problem" not in row]
        problems += not rows
        if rows:
            given = design.cells[cell].settings
            settings = {name: designs.shown(value) for name, value in given.items()}
            one = figure_of(rows, metric, how, certain=certain)
            other = figure_of(rows, against, "mean", certain=certain)
            found.append(Variant(settings, one, other))
    return Variants(design, found, metric, against, problems, headline)


def _row(sweep: Variants, one: Variant) -> dict[str, Any]:
    low, high = one.one.low, one.one.high
    if math.isinf(high - low):
        low = high = one.one.value
    size, other = sweep.shown(sweep.metric)[0], sweep.shown(sweep.against)[0]
    return {"variant": sweep.label(one), "value": one.one.value / size, "low": low / size,
            "high": high / size, "other": one.other.value / other}  # fmt: skip


def _tips(sweep: Variants) -> list[dict[str, Any]]:
    title, against = sweep.shown(sweep.metric)[1], sweep.shown(sweep.against)[1]
    return [word("variant", "variant"), quantity("value", title, format=DIGITS),
            quantity("low", "from", format=DIGITS), quantity("high", "to", format=DIGITS),
            quantity("other", against, format=DIGITS)]  # fmt: skip


def ranked(sweep: Variants) -> Picture:
    """Each variant's figure with its interval, the best first."""
    chosen = sorted(sweep.found, key=lambda one: cost(sweep.metric, one.one.value))[:SHOWN]
    rows = [_row(sweep, one) for one in chosen]
    y = word("variant", "", sort=None, axis={"title": None, "labelLimit": 360})
    title = sweep.shown(sweep.metric)[1]
    x = quantity("value", title, scale={"zero": False})
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 2, "color": BLUE},
         "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}}},
        {"mark": {"type": "point", "filled": True, "size": 60, "opacity": 1, "color": BLUE},
         "encoding": {"y": y, "x": x, "tooltip": _tips(sweep)}},
    ]  # fmt: skip
    spec = charted("Variants", rows, layer=layers, height=18 * len(rows))
    few = f"{len(rows)} of {len(sweep.found)} variants, the best first, with 95 % intervals."
    heads = ["variant", title, "from", "to", sweep.shown(sweep.against)[1]]
    return Picture("variants", few, spec, [heads, *(list(row.values()) for row in rows)])


def along(sweep: Variants, case: str) -> Picture:
    """The metric over the cases that are more and more of something, a line for each variant."""
    title, beside = sweep.shown(sweep.metric)[1], (case, *NOTES)
    rows = [
        {**_row(sweep, one), "at": _number(one.settings[case]), "line": sweep.label(one, beside)}
        for one in sweep.found
    ]
    lines = list(dict.fromkeys(row["line"] for row in rows))
    x = quantity("at", case, axis={"tickMinStep": 1})
    y = quantity("value", "")
    colour = word("line", "", scale={"domain": lines, "range": LINES},
                  legend={} if len(lines) > 1 else None)  # fmt: skip
    layers = [
        {"mark": {"type": "line", "point": True},
         "encoding": {"x": x, "y": y, "color": colour, "tooltip": _tips(sweep)}},
        {"mark": "rule", "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"},
                                      "color": colour}},
    ]  # fmt: skip
    spec = charted(f"{title}, by {case}", rows, layer=layers, height=220)
    table: Sequence[Sequence[object]] = [
        ["variant", case, title],
        *([row["line"], row["at"], row["value"]] for row in rows),
    ]
    said = f"{METRICS[sweep.metric].means} by {case}, with 95 % intervals."
    return Picture("along", said, spec, table)


def heat(sweep: Variants) -> Picture:
    """The metric over the first two factors, averaged over the others."""
    across, down = sweep.factors[:2]
    size, title = sweep.shown(sweep.metric)
    cells: dict[tuple[str, str], list[float]] = {}
    for one in sweep.found:
        key = (one.settings.get(across, ""), one.settings.get(down, ""))
        cells.setdefault(key, []).append(one.one.value / size)
    x_at, y_at = (_by_size([key[axis] for key in cells]) for axis in (0, 1))
    ranked = sorted(cells, key=lambda key: (x_at.index(key[0]), y_at.index(key[1])))
    means = {key: sum(cells[key]) / len(cells[key]) for key in ranked}
    rows = [{"x": x, "y": y, "value": value} for (x, y), value in means.items()]
    axes = {
        "x": word("x", sweep.short(across), sort=None, axis={"labelAngle": 0}),
        "y": word("y", sweep.short(down), sort=None),
        "tooltip": [word("x", across), word("y", down),
                    quantity("value", title, format=DIGITS)],
    }  # fmt: skip
    middle = (min(means.values()) + max(means.values())) / 2
    ink = {"condition": {"test": f"datum.value > {middle}", "value": "white"}, "value": "black"}
    colour = quantity("value", "", scale={"scheme": "viridis", "reverse": True})
    layers = [
        {"mark": "rect", "encoding": {**axes, "color": colour}},
        {"mark": {"type": "text", "fontSize": 11},
         "encoding": {**axes, "text": quantity("value", "", format=DIGITS), "color": ink}},
    ]  # fmt: skip
    height = 34 * len({row["y"] for row in rows})
    spec = charted(title, rows, layer=layers, height=height)
    said = f"{METRICS[sweep.metric].means} by {across} and {down}"
    more = ", averaged over the other factors" if len(sweep.factors) > 2 else ""
    heads = [across, down, title]
    return Picture("heat", f"{said}{more}.", spec, [heads, *(list(r.values()) for r in rows)])


def _is_grid(sweep: Variants) -> bool:
    """Whether the first two factors meet in at least half of the places where they could."""
    across, down = sweep.factors[:2]
    pairs = {(one.settings.get(across), one.settings.get(down)) for one in sweep.found}
    return 2 * len(pairs) >= len({x for x, _ in pairs}) * len({y for _, y in pairs})


def scattered(sweep: Variants) -> Picture:
    """The metric over two sampled factors, as points, larger and darker where it is more."""
    across, down = sweep.factors[:2]
    size, title = sweep.shown(sweep.metric)
    rows = [
        {"x": _number(one.settings.get(across, "")), "y": _number(one.settings.get(down, "")),
         "value": one.one.value / size, "variant": sweep.label(one)}
        for one in sweep.found[:POINTS]
    ]  # fmt: skip
    value = quantity("value", title)
    encoding = {
        "x": quantity("x", across, scale={"zero": False}),
        "y": quantity("y", down, scale={"zero": False}),
        "color": {**value, "title": None, "scale": {"scheme": "viridis", "reverse": True}},
        "size": {**value, "legend": None, "scale": {"range": [40, 300]}},
        "tooltip": [word("variant", "variant"), {**value, "format": DIGITS}],
    }
    mark = {"type": "point", "filled": True, "opacity": 1, "stroke": "#888"}
    spec = charted(title, rows, mark=mark, encoding=encoding, height=260)
    said = f"{METRICS[sweep.metric].means} by {across} and {down}, at {len(rows)} sampled points."
    heads = [across, down, title, "variant"]
    return Picture("heat", said, spec, [heads, *(list(row.values()) for row in rows)])


def _by_size(texts: Sequence[str]) -> list[str]:
    """The values of a factor once each: by size if all are numbers of one unit, else as given."""
    found = list(dict.fromkeys(texts))
    units = {_NUMBER.sub("", text, count=1) for text in found if _NUMBER.match(text)}
    alike = len(units) == 1 and all(map(_NUMBER.match, found))
    return sorted(found, key=lambda text: float(_number(text))) if alike else found


def _number(text: str) -> float | str:
    """The number at the beginning of a value, without its unit; the text if there is none."""
    found = _NUMBER.match(text)
    return float(found.group()) if found else text


def front(sweep: Variants) -> list[Variant]:
    """The variants that no other one beats in both metrics, by the first metric."""

    def costs(one: Variant) -> tuple[float, float]:
        return cost(sweep.metric, one.one.value), cost(sweep.against, one.other.value)

    found: list[Variant] = []
    for one in sorted(sweep.found, key=costs):
        last = costs(found[-1]) if found else (-math.inf, math.inf)
        if costs(one)[1] < last[1] or costs(one) == last:
            found.append(one)
    return found


def pareto(sweep: Variants) -> Picture:
    """All variants by two metrics, and the line of those that no other one beats."""
    best = front(sweep)
    kept = {id(one) for one in best}
    rows = [{**_row(sweep, one), "front": id(one) in kept} for one in sweep.found]
    rows.sort(key=lambda row: row["front"])
    rows = rows[-POINTS:]
    line = [_row(sweep, one) for one in best]
    title, against = sweep.shown(sweep.metric)[1], sweep.shown(sweep.against)[1]
    x = quantity("value", title, scale={"zero": False})
    y = quantity("other", against, scale={"zero": False})
    colour = word("front", "", legend=None, scale={"domain": [True, False],
                                                   "range": [ORANGE, BLUE]})  # fmt: skip
    shape = word("front", "", legend=None, scale={"domain": [True, False],
                                                  "range": ["diamond", "circle"]})  # fmt: skip
    layers: list[dict[str, Any]] = [
        {"data": {"values": line}, "mark": {"type": "line", "color": ORANGE, "strokeDash": [4, 3]},
         "encoding": {"x": x, "y": y, "order": quantity("value", "")}},
        {"mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
         "encoding": {"x": x, "y": y, "color": colour, "shape": shape, "tooltip": _tips(sweep)}},
    ]  # fmt: skip
    spec = charted("Which variants no other one beats", rows, layer=layers, height=260)
    said = f"{len(best)} of {len(sweep.found)} variants are beaten by no other one in both: "
    said += "; ".join(_names(sweep, best))
    table: Sequence[Sequence[object]] = [
        ["variant", title, against],
        *([row["variant"], row["value"], row["other"]] for row in line),
    ]
    return Picture("pareto", said + ".", spec, table)


def _names(sweep: Variants, best: Sequence[Variant]) -> list[str]:
    more = [f"and {len(best) - 3} more"] if len(best) > 3 else []
    return [*(sweep.label(one) for one in best[:3]), *more]
