"""Is every clause of the page shown by a scenario, or said to be untestable, and why?"""

import ast
import importlib
from collections import Counter
from pathlib import Path

import pytest
from pytest_bdd.parsers import StepParser
from pytest_bdd.steps import step_function_context_registry

from features.clauses import (
    CAPABILITIES,
    EDITIONS,
    FOLDER,
    LEVELS,
    PAGE,
    Clause,
    Scenario,
    clauses,
    page,
    scenarios,
)
from vmsim.conformance.suite import cases

STEPS_MAX = 8
STEPS_IMPORT = {"features", "parse", "pytest_bdd", "re", "typing"}


NUMBERS = {"S": 29, "N": 12, "M": 16, "P": 26, "Z": 17, "C": 15, "I": 9, "ST": 9, "Q": 14}
NUMBERS |= {"X": 8, "T": 14}


def test_every_clause_is_listed() -> None:
    expected = [f"{name}-{n:02}" for name, last in NUMBERS.items() for n in range(1, last + 1)]
    assert [clause.id for clause in clauses()] == expected


@pytest.mark.parametrize("clause", clauses(), ids=lambda clause: clause.id)
def test_record_of_a_clause_is_sound(clause: Clause) -> None:
    assert clause.level in LEVELS
    assert clause.source in ("page", "api", "admission", "controller")
    assert set(clause.how) <= {"answer", "object", "host", "time"} and clause.how
    assert clause.editions and set(clause.editions) <= set(EDITIONS)
    assert set(clause.needs) <= set(CAPABILITIES)
    assert (clause.level == "provisional") == bool(clause.pending)


@pytest.mark.parametrize("clause", clauses(), ids=lambda clause: clause.id)
def test_clause_that_is_shown_is_shown_in_each_of_its_editions(clause: Clause) -> None:
    shown = {case.edition for case in cases() if clause.id in case.clauses}
    assert not shown or shown == set(clause.editions)


def test_every_case_shows_a_clause_of_its_edition_and_has_an_id_of_its_own() -> None:
    assert [case.id for case in cases() if not case.clauses] == []
    assert len({case.id for case in cases()}) == len(cases())


@pytest.mark.parametrize("clause", clauses(), ids=lambda clause: clause.id)
def test_clause_has_a_scenario_or_a_reason_why_not(clause: Clause) -> None:
    shown = [scenario.name for scenario in scenarios() if clause.id in scenario.clauses]
    reasons = (shown, clause.untestable, clause.pending)
    assert [bool(reason) for reason in reasons].count(True) == 1, f"{clause.id}: {reasons}"


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
    for name in ("given", "when", "then", "hardware"):
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


def test_the_features_open_no_backend_themselves() -> None:
    own = [*FOLDER.glob("*.py"), *FOLDER.glob("steps/*.py")]
    assert [file.name for file in own if _uses(file, "backends")] == []


def _uses(file: Path, package: str) -> bool:
    return any(name.split(".")[0] == package for name in _imports(file))


def test_no_step_is_a_coroutine() -> None:
    """An `async def` step would pass without being run."""
    texts = (file.read_text(encoding="utf-8") for file in FOLDER.rglob("*.py"))
    nodes = (node for text in texts for node in ast.walk(ast.parse(text)))
    assert not any(isinstance(node, ast.AsyncFunctionDef) for node in nodes)
