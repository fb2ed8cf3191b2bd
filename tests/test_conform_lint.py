"""The traps of pytest-bdd in which a run looks green: each has a lint, and each lint can fail."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gherkin.parser import Parser

from features.clauses import FOLDER

ROOT = FOLDER.parent
TAG = re.compile(r"@([A-Z]{1,2}-\d\d|needs-[a-z-]+)")
FORBIDDEN_CALLS = {"skip", "xfail", "importorskip", "exit"}


def lint(text: str) -> list[str]:
    """What is wrong with a feature file, as "trap: where"."""
    feature: Any = Parser().parse(text)["feature"]
    found = [f"tag above scenarios: {tag['name']}" for tag in feature["tags"]]
    children = feature["children"]
    found += [f"rule: {child['rule']['name']}" for child in children if "rule" in child]
    parts = [child["scenario"] for child in children if "scenario" in child]
    counted = Counter(part["name"] for part in parts)
    found += [f"same name: {name}" for name, number in counted.items() if number > 1]
    for part in parts:
        found += [f"{trap}: {part['name']}" for trap in _traps(part)]
    return found


def _traps(part: Any) -> Iterator[str]:
    words = [step["keyword"].strip() for step in part["steps"]]
    outline = part["keyword"].startswith("Scenario Outline")
    holds = {
        "no steps": not words,
        "looks at nothing": bool(words) and "Then" not in words,
        "no name": not part["name"],
        "no tag": not part["tags"],
        "strange tag": any(not TAG.fullmatch(tag["name"]) for tag in part["tags"]),
        "outline without examples, or examples without outline": outline != bool(part["examples"]),
    }
    yield from (trap for trap, held in holds.items() if held)
    for table in part["examples"]:
        yield from _traps_of_examples(part, table)


def _traps_of_examples(part: Any, table: Any) -> Iterator[str]:
    if table["tags"]:
        yield "tag on examples"
    if not table["tableBody"]:
        yield "examples without rows"
    if _unused(part, table):
        yield "column that no step uses, or the other way round"


def _unused(part: Any, table: Any) -> bool:
    texts = [step["text"] + step.get("docString", {}).get("content", "") for step in part["steps"]]
    used = set(re.findall(r"<([\w ]+)>", " ".join(texts)))
    return used != {cell["value"] for cell in table["tableHeader"]["cells"]}


def lint_code(source: str) -> list[str]:
    """What is wrong with a module of steps, as "trap: name"."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AsyncFunctionDef):
            found.append(f"coroutine: {node.name}")
        if isinstance(node, ast.Attribute) and node.attr in FORBIDDEN_CALLS:
            found.append(f"outcome decided in a step: {node.attr}")
        if isinstance(node, ast.Try):
            found.append("a step that catches")
        if isinstance(node, ast.FunctionDef) and node.name == "pytest_bdd_apply_tag":
            found.append("hook that another answers first: pytest_bdd_apply_tag")
        if isinstance(node, ast.FunctionDef) and _returns_a_verdict(node):
            found.append(f"verdict that nobody reads: {node.name}")
    return found


def _returns_a_verdict(node: ast.FunctionDef) -> bool:
    """A step that returns its finding instead of asserting it would always pass."""
    decorated = any(
        isinstance(one, ast.Call) and getattr(one.func, "id", "") in ("given", "when", "then")
        for one in node.decorator_list
    )
    own = [one for one in node.body if isinstance(one, ast.Return) and one.value is not None]
    return decorated and bool(own)


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.feature")), ids=lambda file: file.name)
def test_feature_has_no_trap(file: Path) -> None:
    assert lint(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", sorted(FOLDER.glob("steps/*.py")), ids=lambda file: file.name)
def test_steps_have_no_trap(file: Path) -> None:
    assert lint_code(file.read_text(encoding="utf-8")) == []


BODY = "    Given a\n    When b\n    Then c\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"Feature: F\n  @S-01\n  Scenario: A\n{BODY}", []),
        (f"@S-01\nFeature: F\n  @S-01\n  Scenario: A\n{BODY}", ["tag above scenarios: @S-01"]),
        (f"Feature: F\n  Rule: R\n    @S-01\n    Scenario: A\n{BODY}", ["rule: R"]),
        (
            f"Feature: F\n  @S-01\n  Scenario: A\n{BODY}\n  @S-01\n  Scenario: A\n{BODY}",
            ["same name: A"],
        ),
        ("Feature: F\n  @S-01\n  Scenario: A\n", ["no steps: A"]),
        ("Feature: F\n  @S-01\n  Scenario: A\n    Given a\n", ["looks at nothing: A"]),
        (f"Feature: F\n  Scenario: A\n{BODY}", ["no tag: A"]),
        (f"Feature: F\n  @clause:S-01\n  Scenario: A\n{BODY}", ["strange tag: A"]),
        (f"Feature: F\n  @slow\n  Scenario: A\n{BODY}", ["strange tag: A"]),
        (
            f"Feature: F\n  @S-01\n  Scenario Outline: A\n{BODY}",
            ["outline without examples, or examples without outline: A"],
        ),
        (
            "Feature: F\n  @S-01\n  Scenario Outline: A\n    When <a>\n    Then c\n"
            "    @slow\n    Examples:\n      | a |\n      | 1 |\n",
            ["tag on examples: A"],
        ),
        (
            "Feature: F\n  @S-01\n  Scenario Outline: A\n    When <a>\n    Then c\n"
            "    Examples:\n      | a |\n",
            ["examples without rows: A"],
        ),
        (
            "Feature: F\n  @S-01\n  Scenario Outline: A\n    When a\n    Then c\n"
            "    Examples:\n      | a |\n      | 1 |\n",
            ["column that no step uses, or the other way round: A"],
        ),
    ],
)
def test_traps_of_features_are_found(text: str, found: list[str]) -> None:
    assert lint(text) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("@then('x')\ndef f(target): assert target.ok\n", []),
        ("@then('x')\nasync def f(target): assert False\n", ["coroutine: f"]),
        ("def f(): pytest.skip('no')\n", ["outcome decided in a step: skip"]),
        ("def f():\n try: g()\n except Exception: pass\n", ["a step that catches"]),
        ("@then('x')\ndef f(target): return target.ok\n", ["verdict that nobody reads: f"]),
        (
            "def pytest_bdd_apply_tag(tag, function): ...\n",
            ["hook that another answers first: pytest_bdd_apply_tag"],
        ),
    ],
)
def test_traps_of_steps_are_found(source: str, found: list[str]) -> None:
    assert lint_code(source) == found


def test_no_report_is_made_from_what_pytest_bdd_says() -> None:
    """Its JSON loses scenarios, and a second session in one process reads old features."""
    files = [*ROOT.glob("vmsim/conformance/*.py"), *FOLDER.glob("*.py"), ROOT / "Makefile"]
    texts = {file.name: file.read_text(encoding="utf-8") for file in files}
    bad = ("cucumberjson", "pytest.main(", "gherkin-terminal-reporter")
    assert [name for name, text in texts.items() if any(word in text for word in bad)] == []
