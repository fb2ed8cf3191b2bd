"""Ask a study: from words of the command line to an answer, in batches until it is sure enough."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from vmsim.assumptions import assumptions
from vmsim.loading import Plan
from vmsim.problems import BadInput, Problem
from vmsim.running import Opened
from vmsim.whatif import store, working
from vmsim.whatif.answers import Answer, answer
from vmsim.whatif.certainty import is_certain
from vmsim.whatif.design import Cell, Design, crossed, grid, per_shard, suite
from vmsim.whatif.paths import Setting, changed, parsed, setting
from vmsim.whatif.replication import ready, seed_of
from vmsim.whatif.statistics import wanted_count
from vmsim.whatif.studies import CASE_OPTIONS, STUDIES, arranged, is_option, options_of
from vmsim.whatif.studies.study import Study
from vmsim.whatif.warmup import said as warm_up_said
from vmsim.whatif.warmup import settled
from vmsim.whatif.working import Engine, Work

FEWEST = 10
MOST = 2_000
COMPARED = 24
UNFINISHED = "what is not over at the end of a run counts up to there: such times are lower bounds"


@dataclass(frozen=True, slots=True)
class Question:
    """A study of a scenario: what is set, what is varied, and how sure the answer shall be
    (`precision` is the relative half-width, 0: run `replications`; both 0: the study's own)."""

    study: Study
    plan: Plan
    sets: Sequence[str] = ()
    varies: Sequence[str] = ()
    replications: int = 0
    precision: float = 0.0
    most: int = MOST
    seed: int = 1


def factors(texts: Sequence[str]) -> dict[str, list[Any]]:
    """`path=a,b,c` as values by path; a list in brackets is one value."""
    found: dict[str, list[Any]] = {}
    for text in texts:
        path, equals, values = text.partition("=")
        if not equals or not values:
            raise BadInput([Problem("write it as path=a,b,c", field=text)])
        if path in found:
            raise BadInput([Problem("varied twice", field=path)])
        found[path] = [parsed(value, text) for value in split(values)]
    return found


def split(text: str) -> list[str]:
    """The parts between commas that are in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def check_paths(scenario: Mapping[str, Any], study: Study | None, cells: Sequence[Cell]) -> None:
    """BadInput if a setting is neither an option of the study nor a path of the scenario."""
    first: dict[str, Any] = {}
    for cell in cells:
        first = {**cell.settings, **first}
    value = dict(scenario)
    for path, new in first.items():
        if not is_option(study, path):
            _check_option(scenario, study, path)
            value = changed(value, Setting(path, new))


def _check_option(scenario: Mapping[str, Any], study: Study | None, path: str) -> None:
    """BadInput for a plain word that is neither an option nor a field that the scenario has."""
    plain = "." not in path and "[" not in path
    if study is not None and plain and path not in scenario["spec"]:
        known = ", ".join(study.options) or "none"
        hint = f"options of {study.name}: {known}; or a path of the scenario"
        raise BadInput([Problem("unknown option", field=path, hint=hint)])


def designed(question: Question, opened: Opened) -> Design:
    """The design that answers the question, without having run it."""
    study, scenario = question.study, question.plan.resolved
    given = [setting(text) for text in question.sets]
    fixed = [Cell({one.path: one.value for one in given})]
    paths = {one.path for one in given}
    usual = [text for text in study.variants if text.partition("=")[0] not in paths]
    varied = grid(factors(question.varies or usual))
    cells = crossed(fixed, varied)
    check_paths(scenario, study, cells)
    cells = list(itertools.chain.from_iterable(with_cases(study, scenario, cell) for cell in cells))
    drawn = study.drawn and not any(CASE_OPTIONS & set(cell.settings) for cell in cells)
    enough = study.drawn if drawn else study.replications
    count = question.replications or (FEWEST if question.precision else enough)
    design = Design(scenario, cells, count, question.seed, study.name, 1, suite())
    if is_certain(design):
        design = design.with_replications(1)
    return sized(design, opened)


def with_cases(study: Study, scenario: Mapping[str, Any], cell: Cell) -> list[Cell]:
    """The cell, or one for each of the study's cases unless the cell says which."""
    options = options_of(study, cell.settings)
    spec = scenario["spec"]
    for path, value in cell.settings.items():
        if not is_option(study, path):
            spec = changed({"spec": spec}, Setting(path, value))["spec"]
    cases = study.cases(spec, options)
    if cases and set(cases[0]) & set(cell.settings):
        return [cell]
    return [Cell({**cell.settings, **case}) for case in cases] or [cell]


def sized(design: Design, opened: Opened) -> Design:
    """The design with its warm-up found where that is `auto`, and with shards of a few seconds,
    judged by the records of its first replication."""
    design = settled(design, opened)
    if len(design.cells) * design.replications == 1:
        return design  # one run is one shard
    try:
        records = working.replicated(design, 0, 0, opened).row["records"]
    except BadInput:
        records = 1
    return msgspec.structs.replace(design, per_shard=per_shard(records))


Told = Callable[[int, int, Callable[[], Answer]], None]
"""Hears how many shards of how many are there, and may ask what they say."""


def ask(
    question: Question, folder: Path, engine: Engine, opened: Opened, told: Told
) -> tuple[Design, Answer]:
    """Run what is missing and answer.

    With a precision, replications are added until the widest interval is narrow enough or `most`
    are there.
    """
    design = designed(question, opened)
    while True:
        run(Work(design, folder, opened), engine, question.study, told)
        now = so_far(design, question.study, folder)
        count = _more(question, design, now)
        if count <= design.replications:
            return design, now
        design = design.with_replications(count)


def run(work: Work, engine: Engine, study: Study, told: Told) -> None:
    """Run what is missing of a design."""
    shards = work.design.shards()

    def done(count: int) -> None:
        told(count, len(shards), lambda: so_far(work.design, study, work.folder))

    working.run(work, engine, shards, done)


def so_far(design: Design, study: Study, folder: Path) -> Answer:
    """What the parts that are there say."""
    rows = list(store.rows(folder, design))
    return answer(design, study, rows, certain=is_certain(design))


def _more(question: Question, design: Design, now: Answer) -> int:
    """How many replications it takes, at most the budget and at most doubling, whole shards."""
    if not question.precision or is_certain(design) or now.widest <= question.precision:
        return design.replications
    need = max(
        (wanted_count(one.figure, question.precision) for one in now.found if not one.problem),
        default=0,
    )
    step = min(need, design.replications * 2, question.most)
    return min(-(-step // design.per_shard) * design.per_shard, max(question.most, 1))


def assumed(design: Design, sets: Sequence[str] = ()) -> list[str]:
    """What the answer takes for granted: the study's assumptions, then those of what was run.

    Sentences that are not the same for all variants are marked.
    """
    study = STUDIES.get(design.study)
    variants: dict[str, Cell] = {}
    for cell in design.cells:
        kept = {name: value for name, value in cell.settings.items() if name not in CASE_OPTIONS}
        variants.setdefault(str(Cell(kept)), cell)
    told = list(filter(None, map(partial(_assumed, design), list(variants.values())[:COMPARED])))
    common = set[str].intersection(*map(set, told)) if told else set()
    lines = dict.fromkeys(line for one in told for line in one)
    return [
        *(study.assumes if study else ()),
        *warm_up_said(design, sets),
        UNFINISHED,
        *(line if line in common else f"in some variants: {line}" for line in lines),
    ]


def _assumed(design: Design, cell: Cell) -> list[str]:
    """The assumptions of a cell's first replication; none if it cannot be run."""
    seed = seed_of(design.seed, 0)
    try:
        scenario = arranged(design.scenario, design.study, cell.settings, seed)
        return assumptions(ready(scenario, seed))
    except BadInput:
        return []


def counted(replications: int | None) -> int:
    """The number of replications that was asked for, 0 for none given; BadInput below 1."""
    if replications is None:
        return 0
    if replications < 1:
        raise BadInput([Problem(f"{replications} replications answer nothing", hint="1 or more")])
    return replications


def relative(text: str | None) -> float:
    """`1%` as 0.01; 0 for none given; BadInput for what is no share between 0 and 1."""
    if text is None:
        return 0.0
    try:
        value = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1.0:
        raise BadInput([Problem("a precision is written as 1%", field=text)])
    return value
