"""The profile on vcsim gives the verdicts that are noted, and the page says so."""

from functools import partial

import pytest

from backends.vcsim_process import Program, find
from features.clauses import clauses
from features.vsphere.checks import Check
from features.vsphere.expected import PAGE, difference, page, rows, versions
from features.vsphere.lab import on_vcsim
from features.vsphere.profile import CHECKS, judge


@pytest.fixture(scope="session")
def program(request: pytest.FixtureRequest) -> Program:
    """The vcsim to judge."""
    if request.config.getoption("--backend") != "vcsim":
        pytest.skip("the vSphere API profile needs a vSphere API: --backend vcsim")
    return find()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_verdict_is_the_one_that_is_noted(check: Check, program: Program) -> None:
    if program.version not in versions():
        found = judge(check, partial(on_vcsim, program))
        pytest.skip(f"nothing is noted of vcsim {program.version}: {found.verdict} {found.saw}")
    assert difference(judge(check, partial(on_vcsim, program)), program.version) == ""


def test_every_check_has_one_row_and_real_clauses() -> None:
    ids = [check.id for check in CHECKS]
    assert sorted(ids) == sorted(rows()), "checks and rows of expected.yaml differ"
    assert len(ids) == len(set(ids))
    known = {clause.id for clause in clauses()}
    assert {name for check in CHECKS for name in check.clauses} <= known


def test_every_departure_says_what_is_seen() -> None:
    for name, row in rows().items():
        assert set(row.verdicts) == set(versions()), name
        assert set(row.verdicts.values()) == {"conforms"} or row.saw, name


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m features.vsphere --page"
