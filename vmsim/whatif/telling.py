"""How is an answer told: the table, the JSON, one replication's row."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vmsim.problems import BadInput, Problem
from vmsim.running import Opened
from vmsim.whatif.answers import Answer, Found, badness, figure_of, label, number, plain, shown
from vmsim.whatif.asking import Question, assumed, designed
from vmsim.whatif.design import Design
from vmsim.whatif.metrics import METRICS, YEAR_S
from vmsim.whatif.statistics import Figure, percent
from vmsim.whatif.studies.study import Study
from vmsim.whatif.working import replicated

ROWS_SHOWN = 40
NAMES_SHOWN = 6


def as_text(
    question: Question,
    design: Design,
    found: Answer,
    *,
    compare: bool,
    worst: tuple[Found, str] | None,
) -> Iterator[str]:
    """The answer in lines."""
    study = question.study
    yield f"{study.question}  (question {study.number}, scenario {design.name})"
    yield f"  {found.headline}"
    yield f"  {_measured(study, found)}"
    yield ""
    yield from _cells(question, found)
    yield from _beside(study)
    if compare:
        yield from _differences(study, found)
    yield from _worst(question, worst)
    yield from _short_of(question, found)
    yield ""
    yield "assumptions"
    yield from (f"  {text}" for text in assumed(design, question.sets))
    yield f"design {design.id[:16]}, vmsim {design.suite}, root seed {design.seed}"


def _measured(study: Study, found: Answer) -> str:
    """What the figures are, and how many runs there are."""
    done = f"{found.done} of {found.wanted}" if found.done < found.wanted else f"{found.done}"
    runs = f"{done} runs, {len(found.found)} cells"
    means = METRICS[study.metric].means
    figures = [one.figure for one in found.found if not one.problem]
    if figures and all(one.count == 1 and one.half_width == 0.0 for one in figures):
        return f"{means}; nothing is left to chance, so one run of a cell says all ({runs})"
    if study.how == "share":
        return f"share of the runs with: {means}; [95 % interval] ({runs})"
    return f"{means}; mean over the runs and its [95 % interval] ({runs})"


def _cells(question: Question, found: Answer) -> Iterator[str]:
    study = question.study
    for one in _worst_first(study, found.found)[:ROWS_SHOWN]:
        if one.problem:
            yield f"  {label(one.settings)}: cannot be run: {one.problem}"
            continue
        yield f"  {label(one.settings)}: {shown(study, one.figure)}"
        yield from (f"      {line}" for line in _details(study, one))
    if len(found.found) > ROWS_SHOWN:
        yield f"  and {len(found.found) - ROWS_SHOWN} more, none of them worse: --json shows all"


def _worst_first(study: Study, cells: list[Found]) -> list[Found]:
    """The cells as they are, or the worst ones first if not all can be shown."""
    if len(cells) <= ROWS_SHOWN:
        return cells
    sound = [one for one in cells if not one.problem]
    sound.sort(key=lambda one: badness(study, one.worst_row), reverse=True)
    return [*(one for one in cells if one.problem), *sound]


def _details(study: Study, one: Found) -> Iterator[str]:
    """What is told of a cell below its figure."""
    if one.spread is not None:
        unit = METRICS[study.metric].unit
        half, most = (number(value, unit) for value in one.spread)
        end = "least" if study.best == "high" else "most"
        yield f"half of the runs: at {end} {half}; 95 % of them: at {end} {most}"
    if one.also:
        yield "; ".join(f"{k} {number(v, METRICS[k].unit)}" for k, v in one.also.items())
    if len(one.by_class) > 1:
        yield "by class, per VM and year:"
        yield from (f"  {name}: {_of_class(values)}" for name, values in one.by_class.items())
    yield f"because: {one.because or 'nothing was short'}"
    if one.worst_row["blocking"]:
        yield f"blocking: {_blocking(study, one.worst_row['blocking'])}"
    if one.waiting:
        of = one.figure.count
        told = [f"{vm} ({count} of {of})" for vm, count in one.waiting.most_common(NAMES_SHOWN)]
        yield f"waiting at the end: {', '.join(told)}{_more(len(one.waiting))}"


def _of_class(values: Mapping[str, Figure]) -> str:
    """The downtime of a class, and the share of the time that its VMs were not down."""
    told = "; ".join(f"{word} {number(value, 'min')}" for word, value in values.items())
    return f"{told}; available {1.0 - values['mean'].value * 60.0 / YEAR_S:.6g}"


def _blocking(study: Study, text: str) -> str:
    """The VMs by what keeps them; all of them if they are what is asked for."""
    if study.metric == "blockers":
        return text
    told = []
    for group in text.split("; "):
        vms, _, why = group.partition(" (")
        names = vms.split(", ")
        told.append(f"{', '.join(names[:NAMES_SHOWN])}{_more(len(names))} ({why}")
    return "; ".join(told)


def _more(count: int) -> str:
    return f" and {count - NAMES_SHOWN} more" if count > NAMES_SHOWN else ""


def _beside(study: Study) -> Iterator[str]:
    """What the names of the other figures mean."""
    if study.also:
        yield ""
        yield from (f"  {name}: {METRICS[name].means}" for name in study.also)


def _differences(study: Study, found: Answer) -> Iterator[str]:
    base, shares = -1, study.how == "share"
    unit = "percentage points" if shares else METRICS[study.metric].unit
    for one in found.differences[:ROWS_SHOWN]:
        if one.base.cell != base:
            yield ""
            yield f"differences to {label(one.base.settings)}, run by run on the same chance:"
            base = one.base.cell
        text = number(percent(one.figure) if shares else one.figure, unit, signed=True)
        bounds = " (between lower bounds)" if one.base.figure.cut or one.other.figure.cut else ""
        yield f"  {label(one.other.settings)}: {text}{bounds or _sure(one.figure)}"
        beside = [
            f"{name} {number(value, METRICS[name].unit, signed=True)}"
            for name, value in one.also.items()
            if value.low != 0.0 or value.high != 0.0
        ]
        if beside:
            yield f"      {'; '.join(beside)}"
    if len(found.differences) > ROWS_SHOWN:
        yield f"  and {len(found.differences) - ROWS_SHOWN} more: --json shows all"


def _worst(question: Question, worst: tuple[Found, str] | None) -> Iterator[str]:
    if worst is None:
        return
    one, command = worst
    row, study = one.worst_row, question.study
    how = study.how if METRICS[study.metric].most == 1.0 else "mean"
    figure = figure_of([row], study.metric, how, certain=True)
    text = shown(study, figure) if how == "share" else number(figure, METRICS[study.metric].unit)
    vm = f", longest without running: VM {row['worst_vm']}" if row["worst_vm"] else ""
    yield ""
    yield f"worst case: {text}{vm}, seed {row['seed']}; see it with"
    yield f"  {command}"


def _short_of(question: Question, found: Answer) -> Iterator[str]:
    if question.precision and found.widest > question.precision:
        from vmsim.whatif.statistics import wanted_count

        need = max(wanted_count(one.figure, question.precision) for one in found.found)
        yield ""
        yield (
            f"not as narrow as wanted: {found.widest:.2%} instead of {question.precision:.2%}; "
            f"about {need} replications would do it (--most {need})"
        )


def _sure(figure: Figure) -> str:
    if figure.low > 0 or figure.high < 0 or figure.low == figure.high:
        return ""
    return " (may be none)"


def to_json(question: Question, design: Design, found: Answer) -> str:
    """The answer for machines."""
    study = question.study
    value = {
        "study": study.name,
        "question": study.question,
        "scenario": design.name,
        "design": design.id,
        "suite": design.suite,
        "seed": design.seed,
        "metric": study.metric,
        "estimate": study.how,
        "headline": found.headline,
        "done": found.done,
        "wanted": found.wanted,
        "cells": [_cell_json(one) for one in found.found],
        "differences": [
            {
                "settings": one.other.settings,
                "against": one.base.settings,
                **_ends(one.figure),
                "also": {name: _ends(value) for name, value in one.also.items()},
            }
            for one in found.differences
        ],
        "assumptions": assumed(design, question.sets),
    }
    return json.dumps(value, indent=2)


def _cell_json(one: Found) -> dict[str, object]:
    if one.problem:
        return {"settings": one.settings, "problem": one.problem}
    return {
        "settings": one.settings,
        **_ends(one.figure),
        "replications": one.figure.count,
        "atLeast": one.figure.cut > 0,
        "half": one.spread and _ends(one.spread[0]),
        "far": one.spread and _ends(one.spread[1]),
        "because": one.because,
        "waiting": dict(one.waiting.most_common()),
        "blocking": one.worst_row["blocking"],
        "worst": one.worst,
        "worstSeed": one.worst_row["seed"],
        "worstVm": one.worst_row["worst_vm"],
        "byClass": {
            name: {word: _ends(value) for word, value in figures.items()}
            for name, figures in one.by_class.items()
        },
        "also": {name: _ends(value) for name, value in one.also.items()},
    }


def _ends(figure: Figure) -> dict[str, float | None]:
    return {"value": figure.value, "low": _finite(figure.low), "high": _finite(figure.high)}


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


def _told(name: str, value: Any) -> str:
    return plain(value, METRICS[name].unit) if name in METRICS else str(value)


def single(question: Question, replication: int, trace: Path | None, opened: Opened) -> list[str]:
    """Run one replication of the question's first cell; its row in lines, and its trace."""
    design = designed(question, opened)
    if len(design.cells) > 1:
        message = f"--only needs one cell, there are {len(design.cells)}"
        raise BadInput([Problem(message, hint="--set what the study varies")])
    path = trace or Path(f"{question.study.name}-{replication}.jsonl")
    with path.open("wb") as file:
        row = replicated(design, 0, replication, opened, file).row
    lines = [
        f"{name:<26} {_told(name, value)}"
        for name, value in row.items()
        if value not in (0.0, "") or name == question.study.metric
    ]
    return [*lines, f"trace {path}: `vmsim explain VM --from {path}`, `vmsim replay {path}`"]
