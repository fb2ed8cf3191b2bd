"""Where in a scenario is `policies.retry.longest`, and what happens when it is set?

A path names a place below `spec` of a scenario file: names parted by dots, numbers in brackets,
`[*]` for every element of a list. A value is written as in YAML. A path that leads nowhere is the
user's mistake; a value that the scenario does not allow is for whoever loads it to report.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from vmsim.problems import BadInput, Problem, did_you_mean

Value = dict[str, Any]
Steps = tuple[str | int, ...]

EVERY = "*"
_STEP = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)|\[([0-9]+|\*)\]")


@dataclass(frozen=True, slots=True)
class Setting:
    """One place and what is put there."""

    path: str
    value: Any

    def __str__(self) -> str:
        shown = yaml.safe_dump(self.value, default_flow_style=True, width=10_000).strip()
        return f"{self.path}={shown.removesuffix('...').strip()}"


def setting(text: str) -> Setting:
    """The setting written as `path=value`; BadInput when it is not one."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise BadInput([Problem("write it as path=value", field=text)])
    return Setting(path, parsed(value, text))


def parsed(value: str, where: str) -> Any:
    """The value of a YAML scalar, list or mapping; `off` and `on` stay words."""
    try:
        found = yaml.safe_load(value)
    except yaml.YAMLError:
        raise BadInput([Problem(f"{value} is not a YAML value", field=where)]) from None
    return value if isinstance(found, bool) and value not in ("true", "false") else found


def steps(path: str) -> Steps:
    """The steps of a path; BadInput when it cannot be read."""
    found: list[str | int] = []
    at, text = 0, path.removeprefix("spec.")
    while at < len(text):
        if text[at] == "." and at:
            at += 1
        match = _STEP.match(text, at)
        if match is None:
            hint = "as in clusters[0].hosts[*].memory"
            raise BadInput([Problem("this is not a path", field=path, hint=hint)])
        name, number = match.groups()
        found.append(name or (EVERY if number == EVERY else int(number)))
        at = match.end()
    return tuple(found)


def changed(scenario: Value, given: Setting) -> Value:
    """The scenario with the setting, sharing with it what is not on the way there; BadInput when
    the path leads nowhere."""
    return {**scenario, "spec": _with(scenario.get("spec", {}), steps(given.path), given)}


def _with(node: Any, left: Steps, given: Setting) -> Any:
    """A copy of `node` with the value put where the steps lead."""
    step, rest = left[0], left[1:]
    made = copy.copy(node)
    for key in _keys(node, step, given.path):
        if rest:
            inner = node.get(key) if isinstance(node, dict) else node[key]
            if inner is None and isinstance(node, dict):
                inner = {} if isinstance(rest[0], str) and rest[0] != EVERY else []
            made[key] = _with(inner, rest, given)
        else:
            made[key] = copy.deepcopy(given.value)
    return made


def _keys(node: Any, step: str | int, path: str) -> Iterator[Any]:
    """The keys of `node` that a step names."""
    if isinstance(node, list) and (step == EVERY or isinstance(step, int)):
        if step == EVERY and node:
            yield from range(len(node))
        elif isinstance(step, int) and step < len(node):
            yield step
        else:
            raise BadInput([Problem(f"there is no [{step}]: {len(node)} elements", field=path)])
    elif isinstance(node, dict) and isinstance(step, str) and step != EVERY:
        if step not in node and step not in _words():
            hint = did_you_mean(step, sorted(_words()))
            raise BadInput([Problem(f"unknown path: no field {step}", field=path, hint=hint)])
        yield step
    else:
        raise BadInput([Problem(f"unknown path: {step} leads nowhere", field=path)])


@cache
def _words() -> frozenset[str]:
    """Every field name that a scenario has anywhere."""
    from vmsim.scenario import json_schema  # its types take a while to build

    schema = json_schema()
    parts = [schema, *schema["$defs"].values()]
    return frozenset(name for part in parts for name in part.get("properties", {}))
