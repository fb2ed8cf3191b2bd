"""`vmsim.run`: what a program gets, and what it costs to import."""

import subprocess
import sys
from pathlib import Path

import pytest

import vmsim
from vmsim.problems import BadInput


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_run_has_what_the_command_line_prints() -> None:
    run = vmsim.run("gpu-stranded")

    assert run.exit_code == 0
    assert all(verdict.met for verdict in run.verdicts)
    assert run.metrics["incidents"] == 1.0
    assert (
        run.digest
        in subprocess.run(
            [sys.executable, "-m", "vmsim", "run", "gpu-stranded"], capture_output=True, text=True
        ).stdout
    )


def test_settings_and_seed_change_the_run() -> None:
    usual = vmsim.run("gpu-stranded")
    slow = vmsim.run("gpu-stranded", set={"durations.guestBoot": "10m"})
    other = vmsim.run("year-of-failures", seed=2, until="30d")

    assert slow.trace == usual.trace
    assert slow.metrics["start_s"] - usual.metrics["start_s"] == pytest.approx(570.0)
    assert other.digest != vmsim.run("year-of-failures", seed=3, until="30d").digest


def test_frames_are_tables() -> None:
    pytest.importorskip("pyarrow", reason="the extra whatif is not installed")
    run = vmsim.run("gpu-stranded")

    incidents = run.frame("incidents")

    assert incidents.num_rows == len(run.rows("incidents")) == 1
    assert incidents.column("vm").to_pylist() == ["demo/trainer"]
    assert incidents.column("lasted_s").to_pylist() == [run.metrics["downtime_s"]]
    for name in ("metrics", "vms", "hosts", "levels"):
        assert run.frame(name).num_rows > 0


def test_bad_input_is_told_as_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no field retri"):
        vmsim.run("gpu-stranded", set={"policies.retri.longest": "1s"})
    with pytest.raises(BadInput, match="there is no frame joys"):
        vmsim.run("gpu-stranded").rows("joys")
    with pytest.raises(AttributeError, match="no attribute 'walk'"):
        vmsim.walk  # noqa: B018 - asking for it is the test


def test_import_alone_imports_nothing_else() -> None:
    code = "import sys, vmsim; print(sorted(name for name in sys.modules if 'vmsim' in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['vmsim']"
