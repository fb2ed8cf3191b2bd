"""The command `vmsim conform` as people and CI systems use it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from judged import Lenient, descriptor, options, report
from typer.testing import CliRunner

from vmsim.cli import app
from vmsim.conformance import cli, page, targets
from vmsim.conformance.report import read, schema
from vmsim.conformance.session import Session
from vmsim.conformance.tables import junit, markdown

runner = CliRunner()
SCHEMA = Path(page.__file__).parent / "report.schema.json"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def _run(*arguments: str) -> tuple[int, str]:
    found = runner.invoke(app, ["conform", *arguments])
    return found.exit_code, found.output


def test_a_run_ends_with_its_code_and_says_where_the_report_is(tmp_path: Path) -> None:
    code, text = _run("--only", "S-22", "-o", str(tmp_path))
    assert code == 0
    assert "memory: conformant; clauses: 1 pass" in text and "report.html" in text
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"report.json", "report.md", "report.html", "junit.xml", "evidence"}
    assert _run("verify", str(tmp_path))[0] == 0
    assert _run("diff", str(tmp_path), str(tmp_path)) == (0, "no verdict differs\n")
    file = next(tmp_path.glob("evidence/memory/*.json"))
    assert _run("replay", str(file))[0] == 0
    file.write_text("{}")
    assert _run("verify", str(tmp_path))[0] == 1


def test_a_failure_is_told_with_how_to_see_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "target", lambda name: descriptor(Lenient))
    code, text = _run("--only", "S-22", "-o", str(tmp_path))
    assert code == 1
    case = read((tmp_path / "report.json").read_bytes()).targets[0].cases[0]
    assert f"vmsim conform --target memory --only {case.id} --seed 1" in text


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--target", "memry"), "did you mean memory?"),
        (("--only", "S-99"), "there is no 'S-99'"),
        (("--edition", "2024"), "one of 2023-03, 2026-08"),
        (("--level", "cor"), "did you mean core?"),
        (("--tag", "needs-hosts"), "did you mean needs-new-hosts?"),
        (("--attempts", "0"), "attempts"),
        (("--seed", "-1"), "seed"),
        (("verify", "nowhere"), "nowhere"),
        (("diff", "nowhere", "nowhere"), "nowhere"),
        (("replay", "nothing"), "there is no 'nothing'"),
        (("--clean", "--target", "memry"), "did you mean memory?"),
        (("--frobnicate",), "frobnicate"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], word: str, tmp_path: Path) -> None:
    code, text = _run(*arguments)
    assert code == 2, text
    assert word in text


def test_the_exit_codes_are_in_the_help() -> None:
    assert "3 inconclusive" in _run("--help")[1]


def test_an_edition_selects_its_cases(tmp_path: Path) -> None:
    assert _run("--only", "S-22", "--edition", "2023-03", "-o", str(tmp_path))[0] == 0
    found = read((tmp_path / "report.json").read_bytes())
    assert {case.edition for case in found.targets[0].cases} == {"2023-03"}


def test_a_level_and_a_tag_select(tmp_path: Path) -> None:
    assert _run("--tag", "needs-new-hosts", "--level", "core", "-o", str(tmp_path))[0] in (0, 3)
    found = read((tmp_path / "report.json").read_bytes())
    assert {clause.level for clause in found.targets[0].clauses} == {"core"}
    assert found.targets[0].cases
    assert found.skipped[0].cases > 0


def test_listing_judges_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = _run("list", "--only", "S-22")
    assert code == 0 and "S-22" in text
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_removed_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def called(name: str, *found: str) -> list[str]:
        calls.append(name)
        return list(found)

    about = descriptor(
        check=lambda: called("check"),
        clean=lambda: called("clean", "VM db", "VM web"),
        end=lambda: called("end"),
    )
    monkeypatch.setattr(targets, "target", lambda name: about)
    monkeypatch.chdir(tmp_path)
    assert _run("--clean") == (0, "memory: removed VM db\nmemory: removed VM web\n")
    assert calls == ["check", "clean", "end"]
    assert list(tmp_path.iterdir()) == []


def test_a_seed_and_the_attempts_are_in_the_report(tmp_path: Path) -> None:
    _run("--only", "P-03", "--seed", "7", "--attempts", "2", "-o", str(tmp_path))
    found = read((tmp_path / "report.json").read_bytes()).options
    assert (found.seed, found.attempts) == (7, 2)


def test_without_pytest_bdd_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest_bdd", None)
    code, text = _run("--only", "S-22")
    assert code == 2 and "vmsim[conform]" in text


def test_a_defect_of_ours_ends_with_5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "_run", broken)
    assert _run("-o", str(tmp_path))[0] == 5


def test_options_of_pytest_do_not_change_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing --collect-only")
    assert _run("--only", "P-03", "-o", str(tmp_path))[0] == 0


def test_ctrl_c_leaves_a_report_that_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vmsim", "conform", "-o", str(tmp_path / "out")]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(tmp_path.glob("out/evidence/*/*"))) < 3:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    found = read((tmp_path / "out" / "report.json").read_bytes())
    assert (found.complete, found.exit_code) == (False, 130)
    assert _run("verify", str(tmp_path / "out"))[0] == 0


def test_the_schema_that_is_shipped_is_that_of_the_report() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == schema(), (
        "run vmsim conform schema > vmsim/conformance/report.schema.json"
    )
    assert json.loads(_run("schema")[1]) == schema()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on two targets whose words want to be markup."""
    folder = tmp_path_factory.mktemp("hostile")
    bad = "<script>alert(1)</script> & |"
    about = [
        descriptor(name="memory", implementation={"project": bad}, lacking={"new-hosts": bad}),
        descriptor(Lenient, name="a-target-with-a-long-name"),
    ]
    wanted = options("S-12", "S-22", targets=[one.name for one in about])
    found = Session(wanted, folder).run(about)
    assert all(bad not in text for text in (page.html(found), junit(found), markdown(found)))
    return folder


def test_the_page_needs_nothing_else_and_names_what_it_shows(hostile: Path) -> None:
    text = (hostile / "report.html").read_text(encoding="utf-8")
    for word in ("<script", "<link", "http://", "https://", "<img", "@import", "url("):
        assert word not in text
    assert '<html lang="en">' in text and 'name="viewport"' in text
    assert text.count('scope="col"') == 5 and text.count('scope="row"') == 2
    assert 'data-target="a-target-with-a-long-name"' in text and "@media print" in text
    assert "✗ fail" in text and "- not supported" in text
    assert _run("verify", str(hostile))[0] == 0


def test_the_page_says_which_target_a_reason_is_of(hostile: Path) -> None:
    text = (hostile / "report.html").read_text(encoding="utf-8")
    assert '<span class="why">a-target-with-a-long-name: 4 of 4 cases; updates.' in text
    found = read((hostile / "report.json").read_bytes())
    for target in found.targets:
        for clause in target.clauses:
            clause.reason = "the same"
    assert '<span class="why">the same</span>' in page.html(found)


def test_the_links_of_the_page_lead_somewhere(hostile: Path) -> None:
    text = (hostile / "report.html").read_text(encoding="utf-8")
    places = set(re.findall(r'id="([^"]+)"', text))
    assert set(re.findall(r'href="#([^"]+)"', text)) == places & {"S-12", "S-22"} != set()
    for file in re.findall(r'href="([^#"]+)"', text):
        assert (hostile / file).is_file()


MEASURE = (
    "<script>document.body.dataset.over="
    "document.documentElement.scrollWidth-document.documentElement.clientWidth</script>"
)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_fits_a_screen(hostile: Path, tmp_path: Path, width: int) -> None:
    text = (hostile / "report.html").read_text(encoding="utf-8")
    text = text.replace("</body>", f"{MEASURE}</body>")
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    options_ = ["--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [str(CHROMIUM), *options_, profile, "--dump-dom", f"file://{tmp_path}/page.html"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert 'data-over="0"' in shown.stdout


def test_a_failed_case_is_a_failure_in_junit_and_an_unknown_one_an_error(tmp_path: Path) -> None:
    found = report(tmp_path, descriptor(Lenient), options("S-22", "P-11"))
    text = junit(found)
    assert text.count("<failure") == 4 and text.count("<error") == 0
    found.targets[0].cases[0].verdict = "unknown"
    assert junit(found).count("<error") == 1
