"""The report is one offline file whose first words are the answer."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backends import opened
from vmsim.cli import app
from vmsim.loading import load
from vmsim.running import How, run
from vmsim.whatif.history import history

pytest.importorskip("matplotlib", reason="the extra report is not installed")

SCENARIOS = Path(__file__).parent.parent / "scenarios"


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "run.jsonl"
    run(load(SCENARIOS / "gpu-stranded.yaml"), How(trace=path), opened)
    return path


def test_report_answers_first_and_needs_no_network(trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["report", str(trace), "-o", str(out)])
    text = out.read_text()

    assert result.exit_code == 0, result.output
    assert text.index("the longest was demo/trainer for 2.2 h") < text.index("<figure")
    assert not re.search(r"(src|href)=\"https?:|@import|<script|<link", text)
    assert text.count('role="img" aria-label=') == text.count("<svg") == 4
    assert len(text) < 3e6


def test_states_of_a_vm_follow_each_other_without_gaps(trace: Path) -> None:
    found = history(trace)
    for lane in found.vms.values():
        assert all(
            one[1] == two[0] for one, two in zip(lane.segments, lane.segments[1:], strict=False)
        )
    states = [state for _, _, state in found.vms["demo/trainer"].segments]
    assert states[:3] == ["starting", "booting", "running"]
    assert states[-4:] == ["waiting", "starting", "booting", "running"]


def test_what_is_no_trace_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("hello\n")
    assert CliRunner().invoke(app, ["report", str(path)]).exit_code == 2
