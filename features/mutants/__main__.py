"""`python -m features.mutants`: which fault is noticed by which scenario?"""

import argparse
import json
import os
import sys
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from features.mutants import telling
from features.mutants.matrix import FAULTY, Matrix, Outcome, run
from features.mutants.registry import MUTANTS
from vmsim.conformance import suite


def main() -> int:
    """0: every mutant is killed or excused; 1: one is not; 2: no such mutant; 5: not judged."""
    parser = argparse.ArgumentParser(prog="python -m features.mutants", description=__doc__)
    parser.add_argument("--only", action="append", metavar="ID", help="a mutant, or a glob")
    parser.add_argument("--cases", default="*", metavar="GLOB", help="only cases with such an id")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--quick", action="store_true", help="one kill per mutant is enough")
    parser.add_argument("--json", action="store_true", help="the whole matrix as JSON")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write docs/mutants.md, too")
    asked = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if _is_chosen(mutant.id, asked.only)]
    cases = [case for case in suite.cases() if fnmatchcase(case.id, asked.cases)]
    if not chosen or not cases:
        parser.error(f"no mutant is named {asked.only}, or no case {asked.cases}")
    # Mutants are forked: no thread may draw the bar meanwhile.
    columns = (TextColumn("mutants"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        all_ = bar.add_task("", total=len(chosen))
        done = partial(bar.update, all_, advance=1, refresh=True)
        matrix = run(chosen, cases, max(1, asked.jobs), asked.quick, done)
    if asked.page and not matrix.failed:
        asked.page.write_text("\n".join([*telling.page(matrix), ""]), encoding="utf-8")
    value = json.dumps(telling.as_value(matrix), indent=1) if asked.json else ""
    print(value or "\n".join(telling.text(matrix)))
    return exit_code(matrix)


def _is_chosen(name: str, globs: list[str] | None) -> bool:
    return globs is None or any(fnmatchcase(name, glob) for glob in globs)


def exit_code(matrix: Matrix) -> int:
    """See `main`."""
    if matrix.failed or not matrix.outcomes:
        return 5
    return 1 if any(_is_bad(outcome) for outcome in matrix.outcomes) else 0


def _is_bad(outcome: Outcome) -> bool:
    excused = bool(telling.mutant(outcome).excuse) and outcome.verdict == "survived"
    return outcome.verdict in FAULTY and not excused


if __name__ == "__main__":
    sys.exit(main())
