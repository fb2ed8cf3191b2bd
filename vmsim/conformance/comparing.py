"""What changed between two reports?"""

from pathlib import Path

import msgspec

from vmsim.conformance.report import Report, TargetReport, read
from vmsim.problems import BadInput, Problem

ABSENT = "not in the report"


def load(path: Path) -> Report:
    """The report in a folder, or in a file; `BadInput` when there is none."""
    file = path / "report.json" if path.is_dir() else path
    try:
        return read(file.read_bytes())
    except OSError as error:
        raise BadInput([Problem(error.strerror or str(error), file=str(file))]) from None
    except msgspec.MsgspecError as error:
        raise BadInput([Problem(f"not a report: {error}", file=str(file))]) from None


def differences(before: Report, after: Report) -> list[str]:
    """One line for each target, clause or case whose verdict is another."""
    found = []
    if before.suite.sha256 != after.suite.sha256:
        found.append("the reports were made with different suites")
    pairs = _paired(before, after)
    for name, (old, new) in pairs.items():
        verdicts = (_verdicts(old), _verdicts(new))
        for key in dict.fromkeys([*verdicts[0], *verdicts[1]]):
            was, now = (of.get(key, ABSENT) for of in verdicts)
            if was != now:
                found.append(f"{name}: {key}: {was} -> {now}")
    return found


def _paired(
    before: Report, after: Report
) -> dict[str, tuple[TargetReport | None, TargetReport | None]]:
    """Targets by name; the only target of one report meets the only one of the other."""
    old = {target.name: target for target in before.targets}
    new = {target.name: target for target in after.targets}
    if len(old) == len(new) == 1 and old.keys() != new.keys():
        name = f"{next(iter(old))} -> {next(iter(new))}"
        return {name: (before.targets[0], after.targets[0])}
    return {name: (old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new])}


def _verdicts(target: TargetReport | None) -> dict[str, str]:
    if target is None:
        return {}
    clauses = {f"clause {clause.id}": clause.verdict for clause in target.clauses}
    return {"result": target.result} | clauses | {f"case {c.id}": c.verdict for c in target.cases}
