"""From rows to an answer: the figure of each cell, what was short, the worst case, differences."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from vmsim.whatif.design import Cell, Design
from vmsim.whatif.metrics import METRICS
from vmsim.whatif.statistics import ESTIMATES, Figure, exact, mean
from vmsim.whatif.studies.study import Study


@dataclass(frozen=True, slots=True)
class Found:
    """What the rows of one cell say."""

    cell: int
    settings: dict[str, Any]
    figure: Figure
    also: dict[str, Figure]
    because: str
    worst: int
    worst_row: dict[str, Any]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a study says; `differences` are each cell's to the first one, pairwise."""

    found: list[Found]
    headline: str
    done: int
    wanted: int
    differences: list[tuple[Found, Figure]] = field(default_factory=list)

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


def found(
    design: Design, study: Study, where: int, rows: list[tuple[int, dict[str, Any]]], certain: bool
) -> Found:
    """What the rows of a cell say."""
    settings = design.cells[where].settings
    problem = next((row["problem"] for _, row in rows if "problem" in row), "")
    if problem:
        return Found(where, settings, mean([]), {}, "", rows[0][0], {}, problem)
    values = [row[study.metric] for _, row in rows]
    estimate = partial(exact, how=study.how) if certain else ESTIMATES[study.how]
    beside = partial(exact, how="mean") if certain else mean
    pick = min if study.best == "high" else max
    at = pick(range(len(rows)), key=lambda index: (values[index], -index))
    words = Counter(row["because"] for _, row in rows if row["because"])
    because = ", ".join(f"{word} ({count} of {len(rows)})" for word, count in words.most_common(3))
    return Found(
        where,
        settings,
        estimate(values),
        {name: beside([row[name] for _, row in rows]) for name in study.also},
        because,
        rows[at][0],
        rows[at][1],
    )


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
        _headline(study, cells, wanted),
        len(results),
        wanted,
        _differences(study, rows, cells, certain),
    )


def worst_of(study: Study, cells: Sequence[Found]) -> Found | None:
    """The cell whose worst replication is the worst of all."""
    sound = [one for one in cells if not one.problem]
    pick = min if study.best == "high" else max
    return pick(sound, key=lambda one: one.worst_row[study.metric]) if sound else None


def _headline(study: Study, cells: list[Found], wanted: int) -> str:
    sound = [one for one in cells if not one.problem]
    if not sound:
        return "no cell could be run"
    if study.verdict is not None and len(sound) > 1 and len(sound) == len(cells):
        return study.verdict([(one.settings, one.figure.value) for one in sound])
    if len(sound) == 1:
        return shown(study, sound[0].figure)
    key = min if study.best == "low" else max
    best = key(sound, key=lambda one: one.figure.value)
    last = (
        max(sound, key=lambda one: one.figure.value)
        if key is min
        else min(sound, key=lambda one: one.figure.value)
    )
    if best.figure.value == last.figure.value:
        return f"{shown(study, best.figure)} with each of the {len(sound)} variants"
    return (
        f"from {shown(study, best.figure)} with {label(best.settings)} "
        f"to {shown(study, last.figure)} with {label(last.settings)}"
    )


def _differences(
    study: Study, rows: Rows, cells: list[Found], certain: bool
) -> list[tuple[Found, Figure]]:
    """Of every cell but the first, over the replications that both have."""
    sound = [one for one in cells if not one.problem]
    made = []
    for other in sound[1:]:
        base = {number: row[study.metric] for number, row in rows[sound[0].cell]}
        pairs = [
            (base[number], row[study.metric]) for number, row in rows[other.cell] if number in base
        ]
        estimate = partial(exact, how="mean") if certain else mean
        made.append((other, estimate([b - a for a, b in pairs])))
    return made


def label(settings: dict[str, Any]) -> str:
    """The settings of a cell in one line."""
    return str(Cell(settings)) or "the scenario as it is"


def shown(study: Study, figure: Figure) -> str:
    """A figure with its interval, in a unit that reads well."""
    unit = "" if study.how == "share" else METRICS[study.metric].unit
    return number(figure, unit)


def number(figure: Figure, unit: str) -> str:
    """A figure with its interval."""
    scale, word = _scaled(unit, figure.value)
    digits = 6 if 0.99 < figure.value < 1.0 else 4
    value, low, high = (
        f"{end / scale:.{digits}g}" for end in (figure.value, figure.low, figure.high)
    )
    return f"{value}{word}" if figure.low == figure.high else f"{value}{word} [{low}, {high}]"


def _scaled(unit: str, value: float) -> tuple[float, str]:
    if unit == "s" and abs(value) >= 7200.0:
        return 3600.0, " h"
    if unit == "s" and abs(value) >= 300.0:
        return 60.0, " min"
    return 1.0, f" {unit}" if unit else ""
