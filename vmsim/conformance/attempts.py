"""Run a case as often as was asked, and keep the evidence of every attempt.

Nothing here is shared between cases, so they can be run one after the other or in several
processes (`working`); what came of a case is a `Done`, which whoever writes the report puts in.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vmsim.conformance import judging, suite, trial
from vmsim.conformance.report import Attempt, CaseReport, Options, canonical
from vmsim.conformance.suite import Case
from vmsim.conformance.targets import Descriptor
from vmsim.conformance.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a case; `hung` when it was stopped, `lost` says how the target was lost."""

    case: str
    report: CaseReport
    seconds: float
    hung: bool = False
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs the cases of one target, and writes their evidence below `folder`."""

    about: Descriptor
    options: Options
    folder: Path

    def run(self, case: Case) -> Done:
        """What came of the case; `Tampered` when its evidence is none, which is our defect."""
        said = judging.Declared(self.about.lacking, self.about.blind)
        began = time.perf_counter()
        attempts: list[Attempt] = []
        evidence: Mapping[str, object] = {}
        while not judging.barred(case, said) and len(attempts) < self.options.attempts:
            evidence = self._evidence(case, len(attempts) + 1)
            attempts.append(self._kept(case, evidence, len(attempts) + 1))
            if attempts[-1].verdict != Verdict.FAIL:
                break
        seconds = round(time.perf_counter() - began, 4)
        found = judging.case_report(case, attempts, said, self.about.name, self.options.seed)
        lost = attempts[-1].reason if trial.is_lost(evidence) else ""
        return Done(case.id, found, seconds, trial.hung(evidence), lost)

    def _evidence(self, case: Case, number: int) -> dict[str, object]:
        made = made_by(self.about.name, self.options.seed, number)
        opened = partial(self.about.open, self.options.seed)
        evidence = trial.run(case, opened, made, self.about.case_s)
        if (left := self.about.left_behind()) and "error" not in evidence:
            evidence["error"] = {"kind": "LeftBehind", "text": "; ".join(left), "line": ""}
        return evidence

    def _kept(self, case: Case, evidence: Mapping[str, object], number: int) -> Attempt:
        text = canonical(evidence)
        name = f"evidence/{self.about.name}/{case.id}.{number}.json"
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
        outcome = trial.judge(case, json.loads(text))
        return Attempt(outcome.verdict.value, outcome.reason, name, sha256(text))


def made_by(target: str, seed: int, attempt: int) -> dict[str, object]:
    """What evidence says of where it comes from."""
    return {"target": target, "seed": seed, "attempt": attempt, "suite": suite.digest()}


def sha256(text: bytes) -> str:
    """The digest of a file's content."""
    return hashlib.sha256(text).hexdigest()
