"""`python -m features.mutants [--only ID] [--json]`: which fault is noticed by which scenario?"""

import argparse
import contextlib
import json
import os
import sys
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Any

from features.clauses import FOLDER
from features.mutants import Mutant
from features.mutants.matrix import FAULTY, Matrix, Outcome, run
from features.mutants.registry import MUTANTS


def main() -> int:
    """0: every mutant is killed or excused; 1: one is not; 2: no such mutant; 5: not judged."""
    parser = argparse.ArgumentParser(prog="python -m features.mutants", description=__doc__)
    parser.add_argument("--only", action="append", metavar="ID", help="a mutant, or a glob")
    parser.add_argument("--json", action="store_true", help="the whole matrix as JSON")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--match", default="", help="only scenarios that pytest -k selects so")
    asked = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if _is_chosen(mutant, asked.only)]
    if not chosen:
        parser.error(f"no mutant is named {', '.join(asked.only)}")
    with contextlib.redirect_stdout(sys.stderr):
        matrix = run(chosen, FOLDER, max(1, asked.jobs), asked.match)
    lines = json.dumps(as_value(matrix), indent=1) if asked.json else "\n".join(text(matrix))
    print(lines)
    return exit_code(matrix)


def _is_chosen(mutant: Mutant, globs: list[str] | None) -> bool:
    return globs is None or any(fnmatchcase(mutant.id, glob) for glob in globs)


def exit_code(matrix: Matrix) -> int:
    """See `main`."""
    if matrix.failed or not matrix.outcomes:
        return 5
    return 1 if any(_is_bad(outcome) for outcome in matrix.outcomes) else 0


def _is_bad(outcome: Outcome) -> bool:
    excused = bool(_mutant(outcome).excuse) and outcome.verdict == "survived"
    return outcome.verdict in FAULTY and not excused


def _mutant(outcome: Outcome) -> Mutant:
    return next(mutant for mutant in MUTANTS if mutant.id == outcome.mutant)


def as_value(matrix: Matrix) -> dict[str, Any]:
    """The matrix as plain values, for `--json` and for reports."""
    kills = matrix.kills()
    clauses = {case.scenario: list(case.clauses) for case in matrix.cases}
    return {
        "format": 1,
        "backend": "memory",
        "seconds": round(matrix.seconds, 1),
        "failed": matrix.failed,
        "mutants": [_row(matrix, outcome) for outcome in matrix.outcomes],
        "scenarios": [
            {"scenario": name, "clauses": clauses[name], "kills": found}
            for name, found in kills.items()
        ],
    }


def _row(matrix: Matrix, outcome: Outcome) -> dict[str, Any]:
    mutant = _mutant(outcome)
    return {
        "id": mutant.id,
        "wrong": mutant.wrong,
        "breaks": list(mutant.breaks),
        "verdict": outcome.verdict,
        "excuse": mutant.excuse,
        "message": outcome.message,
        "clauses": matrix.clauses(outcome),
        "scenarios": matrix.scenarios(outcome),
        "kills": [asdict(kill) | asdict(matrix.cases[kill.case]) for kill in outcome.kills],
        "leftOut": outcome.left_out,
        "seconds": round(outcome.seconds, 2),
    }


def text(matrix: Matrix) -> list[str]:
    """The matrix in words: mutants, scenarios, survivors, and the sum."""
    if matrix.failed:
        return ["The features fail without any fault; nothing is judged.", *matrix.failed]
    lines: list[str] = []
    for outcome in matrix.outcomes:
        lines += _told(matrix, outcome)
    lines += ["", "Scenarios and the mutants that they kill:"]
    for name, found in matrix.kills().items():
        lines.append(
            f"  {len(found):3}  {name}" + (f"\n         {', '.join(found)}" if found else "")
        )
    return lines + _sum(matrix)


def _told(matrix: Matrix, outcome: Outcome) -> list[str]:
    mutant = _mutant(outcome)
    lines = [f"{outcome.verdict:9} {mutant.id}: {mutant.wrong}"]
    lines.append(f"          breaks {', '.join(mutant.breaks)}; killed by the scenarios of "
                 f"{', '.join(matrix.clauses(outcome)) or 'no clause'}")  # fmt: skip
    lines += [f"            {name}" for name in matrix.scenarios(outcome)]
    noticed = len([kill for kill in outcome.kills if not kill.counts])
    if noticed:
        lines.append(f"          {noticed} more fail before their Then")
    if outcome.left_out:
        lines.append(f"          {outcome.left_out} were left out after {len(outcome.kills)} kills")
    if outcome.message:
        lines.append(f"          {outcome.message}")
    return lines


def _sum(matrix: Matrix) -> list[str]:
    by: dict[str, list[Outcome]] = {}
    for outcome in matrix.outcomes:
        by.setdefault(outcome.verdict, []).append(outcome)
    lines = [""]
    for verdict in FAULTY:
        for outcome in by.get(verdict, []):
            mutant = _mutant(outcome)
            lines.append(f"{verdict}: {mutant.id}: {mutant.excuse or mutant.wrong}")
    idle = [name for name, found in matrix.kills().items() if not found]
    counts = ", ".join(f"{len(found)} {verdict}" for verdict, found in sorted(by.items()))
    lines.append(f"{len(matrix.outcomes)} mutants: {counts}; {len(matrix.kills())} scenarios, "
                 f"{len(idle)} kill none; {matrix.seconds:.0f} s")  # fmt: skip
    return lines


if __name__ == "__main__":
    sys.exit(main())
