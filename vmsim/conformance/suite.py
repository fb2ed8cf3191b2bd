"""What is there to run, and is it the same suite that made a report?

A case is one scenario with one row of its examples. Its id is made of the names of the file and
of the scenario and of the values of the row, so it stays when other scenarios come.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from features import clauses as catalogue
from features.clauses import Clause, Scenario
from vmsim.problems import BadInput, Problem

EDITION_STEP = "the API of edition "
ID_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One step of a case."""

    keyword: str
    text: str
    docstring: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario with one row of its examples; `edition` is the one that it is about."""

    id: str
    feature: str
    file: str
    name: str
    clauses: tuple[str, ...]
    needs: tuple[str, ...]
    edition: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases are wanted: ids of clauses or cases, a level, an edition; empty means all."""

    only: tuple[str, ...] = ()
    level: str = ""
    edition: str = ""
    tags: tuple[str, ...] = ()


@cache
def cases() -> tuple[Case, ...]:
    """Every case, in the order of the files."""
    return tuple(case for scenario in catalogue.scenarios() for case in _cases(scenario))


def _cases(scenario: Scenario) -> Iterator[Case]:
    for row in scenario.rows or ({},):
        lines = tuple(Line(*line) for line in scenario.lines(row))
        words = [Path(scenario.file).stem, scenario.name, *row.values()]
        edition = next(
            line.text.removeprefix(EDITION_STEP)
            for line in lines
            if line.text.startswith(EDITION_STEP)
        )
        where = (scenario.feature, scenario.file, scenario.name)
        shown = tuple(id for id in scenario.clauses if edition in _editions()[id])
        yield Case(slug(words), *where, shown, scenario.needs, edition, lines)


@cache
def _editions() -> dict[str, tuple[str, ...]]:
    return {clause.id: clause.editions for clause in catalogue.clauses()}


def slug(words: Sequence[str]) -> str:
    """The words as a name of a file: short ones as they are, long ones with a digest."""
    text = ".".join(re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words)
    mark = hashlib.sha256("\0".join(words).encode()).hexdigest()[:8]
    return f"{text[:ID_LENGTH].rstrip('-.')}.{mark}"


def selected(selection: Selection) -> list[Case]:
    """The cases of the selection; `BadInput` for an id, level, edition or tag that is unknown."""
    _check(selection)
    levels = {clause.id: clause.level for clause in catalogue.clauses()}
    return [
        case
        for case in cases()
        if (not selection.only or _is_named(case, selection.only))
        and (not selection.level or any(levels[id] == selection.level for id in case.clauses))
        and (not selection.edition or case.edition == selection.edition)
        and set(selection.tags) <= {*case.clauses, *(f"needs-{need}" for need in case.needs)}
    ]


def selected_clauses(selection: Selection) -> list[Clause]:
    """The clauses that the selection judges, in order."""
    found = catalogue.clauses()
    names = {id for case in selected(selection) for id in case.clauses}
    if selection.only or selection.tags:
        wanted = {id for id in names if not _clause_ids(selection) or id in _clause_ids(selection)}
        wanted |= set(_clause_ids(selection))
        found = tuple(clause for clause in found if clause.id in wanted)
    return [
        clause
        for clause in found
        if (not selection.level or clause.level == selection.level)
        and (not selection.edition or selection.edition in clause.editions)
    ]


def _clause_ids(selection: Selection) -> tuple[str, ...]:
    known = {clause.id for clause in catalogue.clauses()}
    return tuple(id for id in selection.only if id in known)


def _is_named(case: Case, only: Sequence[str]) -> bool:
    return case.id in only or bool(set(case.clauses) & set(only))


def _check(selection: Selection) -> None:
    names = {clause.id for clause in catalogue.clauses()} | {case.id for case in cases()}
    tags = {clause.id for clause in catalogue.clauses()}
    tags |= {f"needs-{name}" for name in catalogue.CAPABILITIES}
    problems = [_unknown("--only", name, names) for name in selection.only if name not in names]
    problems += [_unknown("--tag", name, tags) for name in selection.tags if name not in tags]
    for option, value, known in (
        ("--level", selection.level, catalogue.LEVELS),
        ("--edition", selection.edition, catalogue.EDITIONS),
    ):
        if value and value not in known:
            problems.append(_unknown(option, value, set(known)))
    if problems:
        raise BadInput(problems)


def _unknown(option: str, value: str, known: set[str]) -> Problem:
    return unknown(option, value, known)


def unknown(option: str, value: str, known: set[str]) -> Problem:
    """The problem of a value that is none of the known ones, with the nearest of them."""
    from difflib import get_close_matches

    near = get_close_matches(value, sorted(known), n=1)
    many = len(known) > 12
    hint = f"did you mean {near[0]}?" if near else ""
    if not near and not many:
        hint = "one of " + ", ".join(sorted(known))
    return Problem(f"there is no {value!r}", field=option, hint=hint)


@cache
def digest() -> str:
    """SHA-256 of everything that decides a verdict: features, catalogue, steps, the target."""
    folder = catalogue.FOLDER
    files = [*folder.glob("*.feature"), *folder.glob("catalogue/*.yaml")]
    files += [*folder.glob("steps/*.py"), *folder.glob("*.py"), *folder.glob("kube/*.py")]
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
