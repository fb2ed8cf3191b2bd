"""What is the least that a case needs to fail?

A case that still fails is run again without one Given after the other, as long as the same Then
fails in the same words. A few runs are enough, because a case has at most eight steps.
"""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

from vmsim.conformance import suite, targets, trial
from vmsim.conformance.attempts import made_by
from vmsim.conformance.suite import Case
from vmsim.conformance.targets import Descriptor
from vmsim.conformance.trial import Outcome
from vmsim.conformance.verdicts import Code, Verdict
from vmsim.problems import BadInput, Problem, Unreachable

CODES = {Verdict.PASS: Code.CONFORMANT, Verdict.FAIL: Code.NOT_CONFORMANT}


def replay(name: str, target: str, seed: int) -> tuple[int, list[str]]:
    """The exit code and what to print, for a case's id or a file of its evidence."""
    case = find(name)
    about = targets.target(target)
    if about.unavailable:
        return int(Code.INCONCLUSIVE), [f"{target}: {about.unavailable}"]
    about.check()
    outcome = attempt(case, about, seed)
    lines = [f"{case.id} on {target}: {outcome.verdict.value}"]
    if outcome.reason:
        lines.append(f"  {outcome.reason}")
    if outcome.verdict is Verdict.FAIL:
        lines += ["", "the least that fails:"]
        lines += [f"  {line.keyword} {line.text}" for line in shrunk(case, about, seed).lines]
    return int(CODES.get(outcome.verdict, Code.INCONCLUSIVE)), lines


def find(name: str) -> Case:
    """The case of that id, or of that file of evidence; `BadInput` when there is none."""
    path = Path(name)
    if path.suffix == ".json":
        name = _case_of(path)
    known = {case.id: case for case in suite.cases()}
    if name not in known:
        raise BadInput([suite.unknown("CASE", name, set(known))])
    return known[name]


def _case_of(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["case"])
    except OSError as error:
        raise BadInput([Problem(error.strerror or str(error), file=str(path))]) from None
    except (ValueError, KeyError, TypeError):
        raise BadInput([Problem("not evidence of a case", file=str(path))]) from None


def attempt(case: Case, about: Descriptor, seed: int) -> Outcome:
    """What one run of the case says; `Unreachable` when the target is lost."""
    evidence = trial.run(case, partial(about.open, seed), made_by(about.name, seed, 1))
    if trial.is_lost(evidence):
        raise Unreachable(evidence["error"]["text"])
    return trial.judge(case, json.loads(json.dumps(evidence)))


def shrunk(case: Case, about: Descriptor, seed: int) -> Case:
    """The case without the Givens that its failure does not need."""
    wanted = _where(attempt(case, about, seed))
    for line in reversed(case.lines):
        if line.keyword != "Given":
            continue
        less = replace(case, lines=tuple(one for one in case.lines if one is not line))
        found = attempt(less, about, seed)
        if found.verdict is Verdict.FAIL and _where(found) == wanted:
            case = less
    return case


def _where(outcome: Outcome) -> str:
    return outcome.reason.partition(":")[0]
