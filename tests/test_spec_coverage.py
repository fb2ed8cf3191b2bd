"""Is every clause of the page shown by a scenario, or said to be untestable, and why?"""

import ast
import importlib
from collections import Counter
from pathlib import Path

import pytest
from pytest_bdd.parsers import StepParser
from pytest_bdd.steps import step_function_context_registry

from features.clauses import CAPABILITIES, FOLDER, PAGE, Clause, Scenario, clauses, page, scenarios

STEPS_MAX = 8
STEPS_IMPORT = {"features", "parse", "pytest_bdd", "re", "typing"}
OPENS_BACKENDS = "conftest.py"


def test_every_clause_of_the_page_is_listed() -> None:
    assert [clause.id for clause in clauses()] == [f"S-{number:02}" for number in range(1, 30)]


@pytest.mark.parametrize("clause", clauses(), ids=lambda clause: clause.id)
def test_clause_has_a_scenario_or_a_reason_why_not(clause: Clause) -> None:
    shown = [scenario.name for scenario in scenarios() if clause.id in scenario.clauses]
    assert bool(shown) != bool(clause.untestable), f"{clause.id}: {shown}, {clause.untestable!r}"


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.name)
def test_scenario_shows_a_clause_and_every_tag_is_known(scenario: Scenario) -> None:
    known = {clause.id for clause in clauses()} | {f"needs-{name}" for name in CAPABILITIES}
    assert scenario.clauses, "no clause"
    assert set(scenario.tags) <= known


def test_no_two_scenarios_share_a_name() -> None:
    counted = Counter(scenario.name for scenario in scenarios())
    assert [name for name, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.name)
def test_scenario_builds_acts_once_and_looks(scenario: Scenario) -> None:
    acts = [words for words, _ in scenario.steps if words == "When"]
    looks = [words for words, _ in scenario.steps if words == "Then"]
    assert (len(acts), bool(looks)) == (1, True)
    assert len(scenario.steps) <= STEPS_MAX


def _definitions() -> list[tuple[str, StepParser]]:
    """Keyword and parser of every step definition of ours (pytest-bdd has one, "trace")."""
    for name in ("given", "when", "then"):
        importlib.import_module(f"features.steps.{name}")
    ours = [
        step
        for step in step_function_context_registry.values()
        if step.step_func.__module__.startswith("features.")
    ]
    return [(str(step.type).capitalize(), step.parser) for step in ours]


def test_every_sentence_has_one_definition_and_every_definition_is_used() -> None:
    """Of two definitions that match, pytest-bdd would silently take one."""
    definitions = _definitions()
    sentences = {sentence for scenario in scenarios() for sentence in scenario.sentences()}
    used: set[str] = set()
    for keyword, text in sorted(sentences):
        matching = [p.name for word, p in definitions if word == keyword and p.is_matching(text)]
        assert len(matching) == 1, f"{keyword} {text}: {matching}"
        used.update(matching)
    assert [parser.name for _, parser in definitions if parser.name not in used] == []


def test_an_outline_has_examples_and_its_examples_have_no_tags() -> None:
    assert [scenario.name for scenario in scenarios() if not scenario.examples_are_sound] == []


def test_page_is_written_from_the_clauses_and_the_scenarios() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run python -m features.clauses > docs/clauses.md"
    )


def _imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("file", sorted(FOLDER.glob("steps/*.py")), ids=lambda file: file.name)
def test_steps_speak_only_through_the_target(file: Path) -> None:
    assert {name.split(".")[0] for name in _imports(file)} <= STEPS_IMPORT


def test_only_the_conftest_of_the_features_opens_backends() -> None:
    users = [file.name for file in FOLDER.rglob("*.py") if _uses(file, "backends")]
    assert users == [OPENS_BACKENDS]


def _uses(file: Path, package: str) -> bool:
    return any(name.split(".")[0] == package for name in _imports(file))


def test_no_step_is_a_coroutine() -> None:
    """An `async def` step would pass without being run."""
    texts = (file.read_text(encoding="utf-8") for file in FOLDER.rglob("*.py"))
    nodes = (node for text in texts for node in ast.walk(ast.parse(text)))
    assert not any(isinstance(node, ast.AsyncFunctionDef) for node in nodes)
