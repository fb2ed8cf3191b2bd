"""The mutants are faults that can be made and unmade, and a sample of them is noticed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from types import CodeType

import pytest

from features.clauses import clauses
from features.mutants import Mutant
from features.mutants.patching import Stale, both, edit, function_at, put
from features.mutants.registry import MUTANTS
from vmsim import names

SAMPLE = ("uppercase-name", "label-of-64", "no-name-advice")


def test_there_are_at_least_sixty_with_names_of_their_own() -> None:
    assert len(MUTANTS) >= 60
    assert len({mutant.id for mutant in MUTANTS}) == len(MUTANTS)
    assert len({mutant.wrong for mutant in MUTANTS}) == len(MUTANTS)


def test_every_mutant_breaks_clauses_that_there_are() -> None:
    known = {clause.id for clause in clauses() if not clause.untestable}
    assert {name for mutant in MUTANTS for name in mutant.breaks} <= known
    assert all(mutant.breaks for mutant in MUTANTS)


def codes(mutant: Mutant) -> Iterator[CodeType]:
    for place in mutant.patch.reach:
        yield function_at(place).__code__


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.id)
def test_mutant_changes_what_it_names_and_puts_it_back(mutant: Mutant) -> None:
    before = list(codes(mutant))
    with mutant.patch():
        changed = list(codes(mutant)) != before
        by_value = set(mutant.patch.reach) <= {"vmsim.rules:denials"}
        assert changed or by_value, f"{mutant.id} changes nothing"
    assert list(codes(mutant)) == before


def test_edit_changes_behaviour_and_restores_it() -> None:
    patch = edit("vmsim.names:host_name_warning", "if is_label(name)", "if False")
    assert names.host_name_warning("db") is None
    with patch():
        assert names.host_name_warning("db")
    assert names.host_name_warning("db") is None


def test_put_changes_a_constant_and_restores_it() -> None:
    with put("vmsim.names", "LABEL_LENGTH_MAX", 1)():
        assert not names.is_label("db")
    assert names.is_label("db")


@pytest.mark.parametrize(
    "patch",
    [
        edit("vmsim.names:is_label", "no such piece", ""),
        edit("vmsim.names:gone", "if", "if not"),
        put("vmsim.names", "GONE", 1),
    ],
)
def test_fault_that_cannot_be_made_any_more_is_stale(patch: object) -> None:
    with pytest.raises(Stale), patch():  # type: ignore[operator]
        pass


def test_second_edit_of_a_function_is_refused_inside_another_pair_too() -> None:
    first = edit("vmsim.names:is_label", "LABEL_LENGTH_MAX", "1")
    second = edit("vmsim.names:is_label", "LABEL_LENGTH_MAX", "2")
    other = edit("vmsim.names:host_name_warning", "if is_label(name)", "if False")
    with pytest.raises(ValueError, match=r"edited twice, .*: vmsim\.names:is_label"):
        both(both(first, other), second)


def test_patches_that_are_felt_through_one_function_are_no_edits_of_it() -> None:
    reach = "vmsim.names:is_label"
    parts = [put("vmsim.names", "LABEL_LENGTH_MAX", length, reach) for length in (2, 1)]
    assert both(*parts, edit(reach, "LABEL_LENGTH_MAX", "1")).edits == (reach,)


@pytest.mark.timeout(300)
def test_sample_is_killed_by_its_clauses() -> None:
    only = [word for name in SAMPLE for word in ("--only", name)]
    done = subprocess.run(
        [sys.executable, "-m", "features.mutants", "--json", "--cases", "*-name-*", *only],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    found = {row["id"]: row for row in json.loads(done.stdout)["mutants"]}
    assert {name: row["verdict"] for name, row in found.items()} == dict.fromkeys(SAMPLE, "killed")
    assert done.returncode == 0
    assert "S-13" in found["uppercase-name"]["clauses"]
