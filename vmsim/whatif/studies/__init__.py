"""The studies there are, and how one arranges a scenario.

A new study is one more row of a module here; listing, help and answers come from the row.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from vmsim.problems import BadInput, Problem, did_you_mean
from vmsim.whatif.paths import Setting, changed
from vmsim.whatif.studies import failing, filling, growing, maintaining, sparing
from vmsim.whatif.studies.study import Case, Study

_ALL = sorted(
    (
        *failing.STUDIES,
        *maintaining.STUDIES,
        *filling.STUDIES,
        *growing.STUDIES,
        *sparing.STUDIES,
    ),
    key=lambda one: one.number,
)

STUDIES: Mapping[str, Study] = MappingProxyType({study.name: study for study in _ALL})
"""By name, in the order of their numbers."""


def study_named(name: str) -> Study:
    """The study; BadInput with the nearest name when there is none."""
    if name not in STUDIES:
        hint = did_you_mean(name, list(STUDIES)) or "`vmsim whatif --list` shows them"
        raise BadInput([Problem(f"there is no study {name}", hint=hint)])
    return STUDIES[name]


def options_of(study: Study, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The study's options with what is set of them, and what its cases set."""
    given = {name: option.default for name, option in study.options.items()}
    return given | {name: value for name, value in settings.items() if is_option(study, name)}


def is_option(study: Study | None, name: str) -> bool:
    """Whether a setting is for the study, not a path of the scenario."""
    of_study = study is not None and (name in study.options or name in CASE_OPTIONS)
    return name == WARM_UP or of_study


WARM_UP = "warmUp"
"""How much of the beginning of a run is not measured: an option of every study, and of none."""


NOTES = frozenset(("formula",))
"""What stands beside a case and changes nothing."""
CASE_OPTIONS = NOTES | {
    "down", "host", "zone", "month", "class", "freed", "leftOut", "change", "spares"
}  # fmt: skip
"""What the cases of studies set."""
ORDERED = ("month", "freed", "spares")
"""Cases that are more and more of something."""


def arranged(
    scenario: Mapping[str, Any], name: str, settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """The scenario of one replication: settings put in, then arranged by the study ('': none)."""
    study = study_named(name) if name else None
    value = dict(scenario)
    for path, new in settings.items():
        if not is_option(study, path):
            value = changed(value, Setting(path, new))
    if study is None:
        spec = {name: part for name, part in value["spec"].items() if name != "expect"}
        return {**value, "spec": spec}
    own: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    case = Case(own["spec"], options_of(study, settings), seed)
    study.arrange(case)
    case.sort()
    return own
