"""How is the matrix of mutants told: in words, as a page, as values for other programs?"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from features.mutants import Mutant
from features.mutants.matrix import FAULTY, RARE, Matrix, Outcome, scenario
from features.mutants.registry import MUTANTS

BROKEN = "The suite fails without any fault; nothing is judged."


def mutant(outcome: Outcome) -> Mutant:
    """The mutant that this became of."""
    return next(mutant for mutant in MUTANTS if mutant.id == outcome.mutant)


def as_value(matrix: Matrix) -> dict[str, Any]:
    """The matrix as plain values, for `--json` and for reports."""
    rare = matrix.rare()
    clauses = _clauses(matrix)
    return {
        "format": 2,
        "backend": "memory",
        "seconds": round(matrix.seconds, 1),
        "failed": matrix.failed,
        "mutants": [_row(matrix, outcome) for outcome in matrix.outcomes],
        "scenarios": [
            {"scenario": name, "clauses": clauses[name], "kills": found, "rare": rare[name]}
            for name, found in matrix.kills().items()
        ],
    }


def _clauses(matrix: Matrix) -> dict[str, list[str]]:
    """The clauses of every scenario."""
    found: dict[str, dict[str, None]] = {}
    for case in matrix.cases:
        found.setdefault(scenario(case), {}).update(dict.fromkeys(case.clauses))
    return {name: list(clauses) for name, clauses in found.items()}


def _row(matrix: Matrix, outcome: Outcome) -> dict[str, Any]:
    about = mutant(outcome)
    return {
        "id": about.id,
        "wrong": about.wrong,
        "breaks": list(about.breaks),
        "verdict": outcome.verdict,
        "excuse": about.excuse,
        "message": outcome.message,
        "clauses": matrix.clauses(outcome),
        "scenarios": matrix.scenarios(outcome),
        "kills": [asdict(kill) | {"case": matrix.cases[kill.case].id} for kill in outcome.kills],
        "leftOut": outcome.left_out,
        "seconds": round(outcome.seconds, 2),
    }


def text(matrix: Matrix) -> list[str]:
    """The matrix in words: mutants, scenarios, survivors, and the sum."""
    if matrix.failed:
        return [BROKEN, *matrix.failed]
    lines = [line for outcome in matrix.outcomes for line in _told(matrix, outcome)]
    lines += ["", "Scenarios and the mutants that they kill:"]
    for name, found in matrix.kills().items():
        lines.append(f"  {len(found):3}  {name}")
        lines += [f"         {', '.join(found)}"] if found else []
    lines += ["", *_survivors(matrix)]
    return [*lines, f"{total(matrix)}; {matrix.seconds:.0f} s"]


def _told(matrix: Matrix, outcome: Outcome) -> Iterator[str]:
    about = mutant(outcome)
    yield f"{outcome.verdict:9} {about.id}: {about.wrong}"
    killers = ", ".join(matrix.clauses(outcome)) or "no clause"
    yield f"          breaks {', '.join(about.breaks)}; killed by the scenarios of {killers}"
    yield from (f"            {name}" for name in matrix.scenarios(outcome))
    if noticed := len([kill for kill in outcome.kills if not kill.counts]):
        yield f"          {noticed} more fail before their Then"
    if outcome.left_out:
        yield f"          {outcome.left_out} were left out after {len(outcome.kills)} kills"
    if outcome.message:
        yield f"          {outcome.message}"


def _survivors(matrix: Matrix) -> list[str]:
    """Every mutant that was not killed as it should be, and why."""
    bad = [outcome for outcome in matrix.outcomes if outcome.verdict in FAULTY]
    return [
        f"{outcome.verdict}: {outcome.mutant}: {mutant(outcome).excuse or mutant(outcome).wrong}"
        for outcome in bad
    ]


def total(matrix: Matrix) -> str:
    """The sum in one sentence."""
    by: dict[str, int] = {}
    for outcome in matrix.outcomes:
        by[outcome.verdict] = by.get(outcome.verdict, 0) + 1
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(by.items()))
    idle = [name for name, found in matrix.kills().items() if not found]
    common = [name for name, found in matrix.rare().items() if not found]
    return (
        f"{len(matrix.outcomes)} mutants: {counts}; {len(matrix.kills())} scenarios: {len(idle)} "
        f"kill none, {len(common)} kill none that at most {RARE} kill"
    )


def page(matrix: Matrix) -> list[str]:
    """docs/mutants.md: what every mutant gets wrong, who catches it, and what is not caught."""
    survivors = _survivors(matrix)
    return [
        "# Can the suite fail?",
        "",
        "Written by `make mutants`; do not edit. Each mutant is our own implementation with one "
        "fault, in memory. A scenario kills it when `vmsim conform` calls a case of it a fail, or "
        "when a Then never ends. *Few* are mutants that at most "
        f"{RARE} scenarios kill: without that scenario they might go unseen.",
        "",
        f"{total(matrix)}.",
        "",
        "## Not killed",
        "",
        *([f"- {line}" for line in survivors] or ["None."]),
        "",
        "## Mutants",
        "",
        "| mutant | what is wrong | breaks | caught by the clauses | scenarios |",
        "|---|---|---|---|--:|",
        *(_mutant_row(matrix, outcome) for outcome in matrix.outcomes),
        "",
        "## Scenarios",
        "",
        "| scenario | clauses | kills | few | for example |",
        "|---|---|--:|--:|---|",
        *_scenario_rows(matrix),
    ]


def _mutant_row(matrix: Matrix, outcome: Outcome) -> str:
    about = mutant(outcome)
    cells = [
        about.id if outcome.verdict == "killed" else f"{about.id} (**{outcome.verdict}**)",
        about.wrong,
        ", ".join(about.breaks),
        ", ".join(matrix.clauses(outcome)),
        str(len(matrix.scenarios(outcome))),
    ]
    return f"| {' | '.join(cells)} |"


def _scenario_rows(matrix: Matrix) -> Iterator[str]:
    rare, clauses = matrix.rare(), _clauses(matrix)
    for name, found in matrix.kills().items():
        example = ", ".join((rare[name] or found)[:3])
        counts = f"{len(found)} | {len(rare[name])}"
        yield f"| {name} | {', '.join(clauses[name])} | {counts} | {example} |"
