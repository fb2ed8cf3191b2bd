"""How is an answer told: the table, the JSON, one replication's row."""

import json
from collections.abc import Iterator
from pathlib import Path

from vmsim.problems import BadInput, Problem
from vmsim.running import Opened
from vmsim.whatif.answers import Answer, Found, label, number, shown
from vmsim.whatif.asking import Question, assumed, designed
from vmsim.whatif.design import Design
from vmsim.whatif.metrics import METRICS
from vmsim.whatif.statistics import Figure
from vmsim.whatif.working import replicated

ROWS_SHOWN = 40


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
    metric = METRICS[study.metric]
    yield f"{study.question}  (question {study.number}, scenario {design.name})"
    yield f"  {found.headline}"
    done = f"{found.done} of {found.wanted}" if found.done < found.wanted else f"{found.done}"
    runs = f"{done} runs in {len(found.found)} cells"
    yield f"  {metric.means}; {study.how} over replications, 95 % interval ({runs})"
    yield ""
    yield from _cells(question, found)
    if compare and found.differences:
        yield ""
        yield f"differences to {label(found.found[0].settings)}, on the same chance:"
        unit = metric.unit
        for one, figure in found.differences:
            yield f"  {label(one.settings)}: {number(figure, unit)}{_sure(figure)}"
    yield from _worst(question, worst)
    yield from _short_of(question, found)
    yield ""
    yield "assumptions"
    yield from (f"  {text}" for text in assumed(question, design))
    yield f"design {design.id[:16]}, vmsim {design.suite}, root seed {design.seed}"


def _cells(question: Question, found: Answer) -> Iterator[str]:
    study = question.study
    for one in found.found[:ROWS_SHOWN]:
        if one.problem:
            yield f"  {label(one.settings)}: cannot be run: {one.problem}"
            continue
        yield f"  {label(one.settings)}: {shown(study, one.figure)}"
        beside = [f"{name} {number(value, METRICS[name].unit)}" for name, value in one.also.items()]
        if beside:
            yield f"      {'; '.join(beside)}"
        if one.because:
            yield f"      because: {one.because}"
        for name in ("blocking", "waiting"):
            if one.worst_row.get(name):
                yield f"      {name}: {one.worst_row[name]}"
    if len(found.found) > ROWS_SHOWN:
        yield f"  and {len(found.found) - ROWS_SHOWN} more: --json shows all"


def _worst(question: Question, worst: tuple[Found, str] | None) -> Iterator[str]:
    if worst is None:
        return
    one, command = worst
    value = one.worst_row[question.study.metric]
    text = number(Figure(value, value, value, 1), METRICS[question.study.metric].unit)
    vm = f", VM {one.worst_row['worst_vm']}" if one.worst_row["worst_vm"] else ""
    yield ""
    yield f"worst case: {text}{vm}, seed {one.worst_row['seed']}; see it with"
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
    if figure.low > 0 or figure.high < 0:
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
            {"settings": one.settings, **_ends(figure)} for one, figure in found.differences
        ],
        "assumptions": assumed(question, design),
    }
    return json.dumps(value, indent=2)


def _cell_json(one: Found) -> dict[str, object]:
    if one.problem:
        return {"settings": one.settings, "problem": one.problem}
    return {
        "settings": one.settings,
        **_ends(one.figure),
        "replications": one.figure.count,
        "because": one.because,
        "worst": one.worst,
        "worstSeed": one.worst_row["seed"],
        "worstVm": one.worst_row["worst_vm"],
        "also": {name: _ends(value) for name, value in one.also.items()},
    }


def _ends(figure: Figure) -> dict[str, float | None]:
    return {"value": figure.value, "low": _finite(figure.low), "high": _finite(figure.high)}


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


def single(question: Question, replication: int, trace: Path | None, opened: Opened) -> list[str]:
    """Run one replication of the question's first cell; its row in lines, and its trace."""
    design = designed(question, opened)
    if len(design.cells) > 1:
        message = f"--only needs one cell, there are {len(design.cells)}"
        raise BadInput([Problem(message, hint="--set what the study varies")])
    path = trace or Path(f"{question.study.name}-{replication}.jsonl")
    with path.open("wb") as file:
        row = replicated(design, 0, replication, opened, file).row
    lines = [f"{name:<26} {value}" for name, value in row.items() if value not in (0.0, "")]
    return [*lines, f"trace {path}: `vmsim explain VM --from {path}`, `vmsim replay {path}`"]
