"""From rows to an answer: the figure of each cell, what was short, the worst case, differences."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from vmsim.whatif.design import Cell, Design
from vmsim.whatif.metrics import METRICS, cost
from vmsim.whatif.statistics import ESTIMATES, Figure, exact, percent, quantile, within
from vmsim.whatif.studies import CASE_OPTIONS
from vmsim.whatif.studies.study import Study

FEWEST_SPREAD = 10
VERDICTS = 12
ByClass = dict[str, dict[str, Figure]]


def _variant(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings without those that say which case of the study it is."""
    return {name: value for name, value in settings.items() if name not in CASE_OPTIONS}


@dataclass(frozen=True, slots=True)
class Found:
    """What the rows of one cell say.

    `spread` is what half of the runs and what 95 % of them keep to, if they are enough to tell;
    `waiting` counts the runs at whose end a VM waited; `by_class` is the downtime per VM and year
    of each class, in minutes: its mean over the VMs, and their percentiles.
    """

    cell: int
    settings: dict[str, Any]
    figure: Figure
    also: dict[str, Figure] = field(default_factory=dict)
    because: str = ""
    worst: int = 0
    worst_row: dict[str, Any] = field(default_factory=dict)
    spread: tuple[Figure, Figure] | None = None
    waiting: Counter[str] = field(default_factory=Counter)
    by_class: ByClass = field(default_factory=dict)
    problem: str = ""

    @property
    def variant(self) -> str:
        """What sets it apart, beside which case of the study it is."""
        return str(Cell(_variant(self.settings)))

    @property
    def case(self) -> str:
        """Which case of the study it is, or ''."""
        return str(Cell({k: v for k, v in self.settings.items() if k in CASE_OPTIONS}))


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much a cell's runs differ from those of another cell with the same chance."""

    base: Found
    other: Found
    figure: Figure
    also: dict[str, Figure]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a study says; `differences` are pairwise."""

    found: list[Found]
    headline: str
    done: int
    wanted: int
    differences: list[Difference] = field(default_factory=list)

    @property
    def widest(self) -> float:
        """The widest relative half-width of a cell."""
        return max((one.figure.relative for one in self.found if not one.problem), default=0.0)


Rows = dict[int, list[tuple[int, dict[str, Any]]]]


def by_cell(results: Iterable[tuple[int, int, dict[str, Any]]]) -> Rows:
    """(replication, row) of each cell, in order."""
    rows: Rows = {}
    for cell, number, row in results:
        rows.setdefault(cell, []).append((number, row))
    return rows


def figure_of(
    rows: Sequence[dict[str, Any]], name: str, how: str, *, certain: bool = False
) -> Figure:
    """The estimate of a metric, within what it can be."""
    metric, values = METRICS[name], [row[name] for row in rows]
    figure = exact(values, how) if certain else ESTIMATES[how](values)
    if how == "share":
        return figure
    cut = sum(row[metric.unless] > 0 for row in rows) if metric.unless else 0
    return within(figure, metric.most, cut)


def found(
    design: Design, study: Study, where: int, rows: list[tuple[int, dict[str, Any]]], certain: bool
) -> Found:
    """What the rows of a cell say."""
    settings = design.cells[where].settings
    only = [row for _, row in rows]
    problem = next((row["problem"] for row in only if "problem" in row), "")
    if problem:
        return Found(where, settings, ESTIMATES["mean"]([]), problem=problem)
    number, worst = max(rows, key=lambda one: (badness(study, one[1]), -one[0]))
    words = Counter(row[study.short] for row in only if row[study.short])
    because = ", ".join(f"{word} ({count} of {len(rows)})" for word, count in words.most_common(3))
    return Found(
        where,
        settings,
        figure_of(only, study.metric, study.how, certain=certain),
        {name: figure_of(only, name, "mean", certain=certain) for name in study.also},
        because,
        number,
        worst,
        _spread(study, [row[study.metric] for row in only]),
        Counter(vm for row in only for vm in row["waiting"].split(", ") if vm),
        _by_class(only, certain=certain) if study.by_class else {},
    )


def _by_class(rows: Sequence[dict[str, Any]], *, certain: bool) -> ByClass:
    """Over the runs in which a class had VMs."""
    seen: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        for name, figures in json.loads(row["by_class"]).items():
            for word, minutes in figures.items():
                seen.setdefault(name, {}).setdefault(word, []).append(minutes)
    how = partial(exact, how="mean") if certain else ESTIMATES["mean"]
    return {
        name: {word: within(how(values), math.inf) for word, values in figures.items()}
        for name, figures in sorted(seen.items())
    }


def badness(study: Study, row: dict[str, Any]) -> tuple[float, float]:
    """What makes a replication the worst: the study's figure, then the first one beside it."""
    value = row[study.metric] * (-1.0 if study.best == "high" else 1.0)
    return value, cost(study.also[0], row[study.also[0]])


def _spread(study: Study, values: Sequence[float]) -> tuple[Figure, Figure] | None:
    if study.how != "mean" or len(values) < FEWEST_SPREAD or min(values) == max(values):
        return None
    tail = 0.05 if study.best == "high" else 0.95
    most = METRICS[study.metric].most
    half, far = (within(quantile(level)(values), most) for level in (0.5, tail))
    return half, far


def answer(
    design: Design,
    study: Study,
    results: Sequence[tuple[int, int, dict[str, Any]]],
    *,
    certain: bool = False,
) -> Answer:
    """The answer that these rows give, however many of the wanted ones are there."""
    rows = by_cell(results)
    cells = [found(design, study, cell, rows[cell], certain) for cell in sorted(rows)]
    wanted = design.replications * len(design.cells)
    return Answer(
        cells,
        _headline(study, cells),
        len(results),
        wanted,
        _differences(study, rows, cells, certain),
    )


def worst_of(study: Study, cells: Sequence[Found]) -> Found | None:
    """The cell whose worst replication is the worst of all."""
    sound = [one for one in cells if not one.problem]
    return max(sound, key=lambda one: badness(study, one.worst_row), default=None)


def _headline(study: Study, cells: list[Found]) -> str:
    sound = [one for one in cells if not one.problem]
    if not sound:
        return "no cell could be run" if cells else "no run has ended yet"
    if study.verdict is not None and len(sound) > 1 and len(sound) == len(cells):
        return _verdict(study, sound)
    if len(sound) == 1:
        return shown(study, sound[0].figure)
    ranked = sorted(_worst_cases(study, sound), key=lambda one: one.figure.value)
    if ranked[0].figure.value == ranked[-1].figure.value:
        return f"{shown(study, ranked[0].figure)} with each of the {len(ranked)} variants"
    best, last = ranked[:: len(ranked) - 1] if study.best == "low" else ranked[:: 1 - len(ranked)]
    best_is, last_is = (label(_apart(one, sound)) for one in (best, last))
    return (
        f"from {shown(study, best.figure)} with {best_is} "
        f"to {shown(study, last.figure)} with {last_is}"
    )


def _apart(one: Found, cells: Sequence[Found]) -> dict[str, Any]:
    """The settings of a cell that not all cells share."""
    return {
        name: value
        for name, value in one.settings.items()
        if any(other.settings.get(name) != value for other in cells)
    }


def _verdict(study: Study, sound: Sequence[Found]) -> str:
    """The study's verdict over the cases, of each variant if they are judged differently."""
    assert study.verdict is not None
    by_variant: dict[str, str] = {}
    for cells in _by_variant(sound).values():
        more = " (some figures are lower bounds)" if any(one.figure.cut for one in cells) else ""
        said = study.verdict([(one.settings, one.figure.value) for one in cells])
        by_variant[label(_variant(_apart(cells[0], sound)))] = said + more
    if len(set(by_variant.values())) == 1:
        return next(iter(by_variant.values()))
    told = [f"with {name}: {said}" for name, said in by_variant.items()]
    left = [f"and {len(told) - VERDICTS} variants more"] if len(told) > VERDICTS else []
    return "; ".join([*told[:VERDICTS], *left])


def _by_variant(sound: Sequence[Found]) -> dict[str, list[Found]]:
    variants: dict[str, list[Found]] = {}
    for one in sound:
        variants.setdefault(one.variant, []).append(one)
    return variants


def _worst_cases(study: Study, sound: Sequence[Found]) -> list[Found]:
    """The worst case of each variant; every cell if there is one variant only."""
    variants = _by_variant(sound)
    pick = min if study.best == "high" else max
    if len(variants) == 1:
        return list(sound)
    return [pick(cells, key=lambda one: one.figure.value) for cells in variants.values()]


def _differences(study: Study, rows: Rows, cells: list[Found], certain: bool) -> list[Difference]:
    """Of every cell to the first with the same case, or to the first of all if there is one variant
    only, over the replications that both have."""
    sound = [one for one in cells if not one.problem]
    alone = len({one.variant for one in sound}) == 1
    bases: dict[str, Found] = {}
    made = []
    for other in sound:
        base = bases.setdefault("" if alone else other.case, other)
        if base is other:
            continue
        before = dict(rows[base.cell])
        pairs = [(before[number], row) for number, row in rows[other.cell] if number in before]
        figure = _paired(pairs, study.metric, certain, share=study.how == "share")
        also = {name: _paired(pairs, name, certain) for name in study.also}
        made.append(Difference(base, other, figure, also))
    return made


def _paired(
    pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]],
    name: str,
    certain: bool,
    *,
    share: bool = False,
) -> Figure:
    """The mean difference of a metric, or of the share of the runs where it is above 0."""
    values = [(base[name], other[name]) for base, other in pairs]
    if share:
        values = [(float(base > 0), float(other > 0)) for base, other in values]
    apart = [other - base for base, other in values]
    return exact(apart, "mean") if certain else ESTIMATES["mean"](apart)


def label(settings: dict[str, Any]) -> str:
    """The settings of a cell in one line."""
    return str(Cell(settings)) or "the scenario as it is"


def shown(study: Study, figure: Figure) -> str:
    """A figure with its interval, in a unit that reads well."""
    if study.how != "share":
        return number(figure, METRICS[study.metric].unit)
    if figure.low == figure.high and figure.value in (0.0, 1.0):
        return "yes" if figure.value else "no"
    return f"{number(percent(figure), '%')} of the runs"


def number(figure: Figure, unit: str, *, signed: bool = False) -> str:
    """A figure with its interval."""
    scale, word = scaled(unit, figure.value)
    digits = 6 if 0.99 < figure.value < 1.0 else 4
    plus = "+" if signed and figure.value else ""
    value, low, high = (
        f"{end / scale:{plus}.{digits}g}" for end in (figure.value, figure.low, figure.high)
    )
    least = "at least " if figure.cut else ""
    if figure.low < figure.high:
        return f"{least}{value}{word} [{low}, {high}]"
    return f"{least}{value}{word}" + (" in each run" if figure.count > 1 else "")


def plain(value: float, unit: str) -> str:
    """A value that was seen, in a unit that reads well."""
    return number(Figure(value, value, value, 1), unit)


def scaled(unit: str, value: float) -> tuple[float, str]:
    """By what values of this size are divided, and the unit that they have then."""
    if unit == "s" and abs(value) >= 172_800.0:
        return 86_400.0, " d"
    if unit == "s" and abs(value) >= 7200.0:
        return 3600.0, " h"
    if unit == "s" and abs(value) >= 300.0:
        return 60.0, " min"
    return 1.0, f" {unit}" if unit else ""
