"""A report holds, and no change of it does."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from judged import Lenient, descriptor, options, report

from vmsim.conformance.attempts import sha256
from vmsim.conformance.report import canonical, read, written
from vmsim.conformance.report import digest as digest_of
from vmsim.conformance.session import RENDERINGS
from vmsim.conformance.verify import verify
from vmsim.problems import BadInput

Raw = dict[str, Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with passes, fails and a clause that nobody can test."""
    folder = tmp_path_factory.mktemp("report")
    report(folder, descriptor(Lenient), options("S-15", "S-22", "P-11", "S-26"))
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def _change(folder: Path, change: Callable[[Raw], object], *, sealed: bool = True) -> None:
    """Change the report; `sealed` gives it the digest and the pages of the changed one."""
    file = folder / "report.json"
    raw = json.loads(file.read_bytes())
    change(raw)
    file.write_text(json.dumps(raw))
    if not sealed:
        return
    found = read(file.read_bytes())
    found.digest = digest_of(found)
    file.write_bytes(written(found))
    for name, render in RENDERINGS.items():
        (folder / name).write_text(render(found), encoding="utf-8")


def _cases(raw: Raw) -> list[Raw]:
    found: list[Raw] = raw["targets"][0]["cases"]
    return found


def _first(raw: Raw, verdict: str) -> Raw:
    return next(case for case in _cases(raw) if case["verdict"] == verdict)


def _evidence(folder: Path, verdict: str, change: Callable[[Raw], object]) -> None:
    """Change the evidence of the first case with the verdict, and seal everything again."""

    def reseal(raw: Raw) -> None:
        attempt = _first(raw, verdict)["attempts"][0]
        file = folder / attempt["evidence"]
        evidence = json.loads(file.read_bytes())
        change(evidence)
        file.write_bytes(canonical(evidence))
        attempt["sha256"] = sha256(file.read_bytes())

    _change(folder, reseal)


def test_a_report_with_fails_holds(original: Path) -> None:
    assert verify(original) == []
    raw = json.loads((original / "report.json").read_bytes())
    assert {case["verdict"] for case in _cases(raw)} == {"pass", "fail"}


def test_the_same_seed_gives_the_same_report_but_for_its_run(
    original: Path, tmp_path: Path
) -> None:
    again = report(tmp_path, descriptor(Lenient), options("S-15", "S-22", "P-11", "S-26"))
    assert again.digest == read((original / "report.json").read_bytes()).digest


def _pass_all(raw: Raw) -> None:
    for case in _cases(raw):
        case.update(verdict="pass", reason="")
        case["attempts"][0].update(verdict="pass", reason="")
    for clause in raw["targets"][0]["clauses"]:
        clause.update(verdict="pass", reason="")
    raw["targets"][0].update(result="conformant")
    raw.update(result="conformant", exit_code=0)


def _drop_failed(raw: Raw) -> None:
    target = raw["targets"][0]
    target["cases"] = [case for case in target["cases"] if case["verdict"] == "pass"]


def _not_run(raw: Raw) -> None:
    _first(raw, "fail").update(verdict="unknown", reason="not run", attempts=[])


def _swap_evidence(raw: Raw) -> None:
    good = _first(raw, "pass")["attempts"]
    _first(raw, "fail").update(verdict="pass", reason="", attempts=good)


def _declare_lacking(raw: Raw) -> None:
    raw["targets"][0]["capabilities"][0].update(state="not supported", reason="no")


@pytest.mark.parametrize(
    "change",
    [
        _pass_all,
        _drop_failed,
        _not_run,
        _swap_evidence,
        lambda raw: _first(raw, "fail").update(verdict="pass", reason=""),
        lambda raw: _first(raw, "fail").update(verdict="not supported"),
        lambda raw: _first(raw, "fail").update(reason="nothing much"),
        lambda raw: _first(raw, "fail").update(reproduce="true"),
        lambda raw: raw["targets"][0]["clauses"][0].update(verdict="pass"),
        lambda raw: raw["targets"][0]["clauses"].pop(),
        lambda raw: raw["targets"][0]["clauses"][0].update(level="provisional"),
        lambda raw: raw["targets"][0]["clauses"][0].update(text="anything goes"),
        lambda raw: raw["targets"][0]["counts"].update({"pass": 99}),
        lambda raw: raw["targets"][0].update(result="conformant"),
        lambda raw: raw["targets"][0]["waits"].update(running_s=1e6),
        lambda raw: raw.update(result="conformant", exit_code=0),
        lambda raw: raw.update(complete=False),
        lambda raw: raw.update(incomplete="interrupted"),
        lambda raw: raw["options"].update(only=["S-15"]),
        lambda raw: raw["options"].update(seed=2),
        lambda raw: raw["options"].update(targets=["memory", "vcsim"]),
        lambda raw: raw["targets"][0].update(name="vcsim"),
        lambda raw: raw["skipped"].clear(),
        lambda raw: raw["suite"].update(sha256="0" * 64),
        lambda raw: _cases(raw).append(_cases(raw)[0]),
        lambda raw: _cases(raw).reverse(),
        lambda raw: _first(raw, "pass")["attempts"].append(_first(raw, "fail")["attempts"][0]),
        lambda raw: _first(raw, "pass")["attempts"][0].update(sha256="0" * 64),
        lambda raw: _first(raw, "pass")["attempts"][0].update(evidence="../report.json"),
    ],
)
def test_a_changed_report_does_not_hold_even_with_a_new_digest(
    folder: Path, change: Callable[[Raw], object]
) -> None:
    _change(folder, change)
    assert verify(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw["targets"][0]["implementation"].update(project="another"),
        lambda raw: raw["suite"].update(commit="0" * 40),
        lambda raw: raw.update(extra=1),
        lambda raw: raw.update(apiVersion="vmsim.dev/v2"),
        lambda raw: raw.pop("targets"),
        lambda raw: raw["targets"].clear(),
    ],
)
def test_a_changed_report_does_not_hold_with_the_old_digest(
    folder: Path, change: Callable[[Raw], object]
) -> None:
    _change(folder, change, sealed=False)
    assert verify(folder)


def _calls(evidence: Raw) -> list[Raw]:
    return [event for step in evidence["steps"] for event in step["events"]]


def _lie_about_answer(evidence: Raw) -> None:
    for event in _calls(evidence):
        if event.get("read") == "answer":
            event["value"] = {"reasons": ["spec.imageName: no"], "warnings": []}


def _finish(evidence: Raw) -> None:
    evidence.pop("error")
    for step in evidence["steps"]:
        step["done"] = True


@pytest.mark.parametrize(
    "change",
    [
        _lie_about_answer,
        _finish,
        lambda evidence: evidence.pop("error"),
        lambda evidence: evidence["steps"].pop(),
        lambda evidence: evidence["steps"][-1]["events"].clear(),
        lambda evidence: evidence["steps"][0].update(text="the API of edition 1999"),
        lambda evidence: evidence["made"].update(target="another"),
        lambda evidence: evidence["made"].update(seed=2),
        lambda evidence: evidence.update(case="another"),
        lambda evidence: evidence.update(format=0),
        lambda evidence: evidence.pop("steps"),
        lambda evidence: evidence["error"].update(kind="NotSupported"),
    ],
)
def test_changed_evidence_of_a_fail_does_not_hold(
    folder: Path, change: Callable[[Raw], object]
) -> None:
    _evidence(folder, "fail", change)
    assert verify(folder)


def _waits(evidence: Raw) -> list[Raw]:
    return [event for event in _calls(evidence) if "until" in event]


@pytest.mark.parametrize(
    "change",
    [
        lambda evidence: evidence.pop("end"),
        lambda evidence: evidence["end"].clear(),
        lambda evidence: evidence["end"][0].update(value=["a VM too many"]),
        lambda evidence: evidence["steps"][-1].update(done=False),
        lambda evidence: evidence["steps"][0]["events"].append({"read": "edition", "value": ""}),
        lambda evidence: _waits(evidence)[0].update(answer=False),
        lambda evidence: _waits(evidence)[0]["looks"].clear(),
        lambda evidence: _waits(evidence)[0].update(end_s=-1.0),
        lambda evidence: _waits(evidence)[0]["looks"][-1].update(first_s=1e9),
        lambda evidence: _waits(evidence)[0]["looks"].append(_waits(evidence)[0]["looks"][0]),
        lambda evidence: _waits(evidence)[-1].update({"until": 1.0}),
    ],
)
def test_changed_evidence_of_a_pass_does_not_hold(
    folder: Path, change: Callable[[Raw], object]
) -> None:
    raw = json.loads((folder / "report.json").read_bytes())
    waiting = next(case for case in _cases(raw) if "asking-for-the-power" in case["id"])
    file = folder / waiting["attempts"][0]["evidence"]
    evidence = json.loads(file.read_bytes())
    change(evidence)
    file.write_bytes(canonical(evidence))

    def seal(raw: Raw) -> None:
        case = next(case for case in _cases(raw) if case["id"] == waiting["id"])
        case["attempts"][0]["sha256"] = sha256(file.read_bytes())

    _change(folder, seal)
    assert verify(folder)


def test_missing_extra_and_unreadable_files_do_not_hold(original: Path, tmp_path: Path) -> None:
    for number, change in enumerate(
        (
            lambda folder: next(folder.glob("evidence/*/*.json")).unlink(),
            lambda folder: next(folder.glob("evidence/*/*.json")).write_text("{"),
            lambda folder: next(folder.glob("evidence/*/*.json")).write_text("[]"),
            lambda folder: (folder / "evidence" / "memory" / "more.json").write_text("{}"),
            lambda folder: (folder / "report.html").write_text("all passed"),
            lambda folder: (folder / "report.md").unlink(),
            lambda folder: (folder / "junit.xml").write_text(""),
            lambda folder: (folder / "report.json").write_text("{}"),
            lambda folder: (folder / "report.json").write_bytes(b"\xff\xfe"),
        )
    ):
        copy = Path(shutil.copytree(original, tmp_path / str(number)))
        change(copy)
        assert verify(copy), number


def test_a_folder_without_a_report_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        verify(tmp_path)
