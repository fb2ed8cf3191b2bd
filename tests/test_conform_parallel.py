"""In several processes the suite says what it says in one."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from judged import Lenient, descriptor, options, report

from features.target import Target
from vmsim.conformance.report import read
from vmsim.conformance.session import Session
from vmsim.conformance.targets import Descriptor, Lane
from vmsim.conformance.verify import verify
from vmsim.conformance.working import CLEAN_S, children
from vmsim.problems import Unreachable

SEVERAL = options("S-12", "S-15", "S-22", "P-11", "X-01")


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("evidence/*/*.json")}


def test_two_processes_leave_the_report_of_one(tmp_path: Path) -> None:
    about = descriptor(Lenient, parallel=8)
    one = report(tmp_path / "one", about, SEVERAL)
    two = report(tmp_path / "two", about, SEVERAL, jobs=2)
    assert list(one.run.cases) and set(one.run.cases) == set(two.run.cases)
    two.run = one.run
    assert two == one
    assert _files(tmp_path / "two") == _files(tmp_path / "one")
    assert verify(tmp_path / "two") == []


class Signed(Target):
    """A target that signs with the number of its process."""

    def differences(self) -> list[str]:
        with Path(os.environ["SIGNED"]).open("a", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
        return super().differences()


@pytest.mark.parametrize(("parallel", "workers"), [(1, 1), (2, 2)])
def test_no_more_cases_run_at_a_time_than_the_target_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallel: int, workers: int
) -> None:
    monkeypatch.setenv("SIGNED", str(tmp_path / "signed"))
    report(tmp_path / "out", descriptor(Signed, parallel=parallel), SEVERAL, jobs=3)
    signed = Counter((tmp_path / "signed").read_text(encoding="ascii").split())
    assert len(signed) == workers
    assert (str(os.getpid()) in signed) == (parallel == 1)
    assert children() == set()


class Dated(Target):
    """A target that signs with its worker's lane and the edition that it was asked about."""

    lane = ""

    def differences(self) -> list[str]:
        with Path(os.environ["SIGNED"]).open("a", encoding="ascii") as file:
            file.write(f"{self.lane}:{self.edition}\n")
        return super().differences()


def lanes(*editions: str, error: Exception | None = None) -> Callable[[int], list[Lane]]:
    """A lane for each of the editions; `error` is what opening it raises."""

    @contextmanager
    def opened(edition: str) -> Iterator[Descriptor]:
        if error is not None:
            raise error
        Dated.lane = edition
        yield descriptor(Dated)

    found = [Lane(frozenset((edition,)), partial(opened, edition)) for edition in editions]
    return lambda workers: found[:workers]


def test_a_worker_gets_the_cases_that_its_lane_can_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNED", str(tmp_path / "signed"))
    about = descriptor(Dated, parallel=2, lanes=lanes("2023-03", "2026-08"))
    found = report(tmp_path / "out", about, SEVERAL, jobs=4)
    signed = Counter((tmp_path / "signed").read_text(encoding="ascii").split())
    assert set(signed) == {"2023-03:2023-03", "2026-08:2026-08"}
    assert signed.total() == len(found.targets[0].cases)
    assert (found.run.lanes, found.complete) == ({"memory": 2}, True)
    assert "up to 2 cases at a time" in (tmp_path / "out" / "report.html").read_text()


def test_a_lane_that_cannot_be_opened_is_a_lost_target(tmp_path: Path) -> None:
    shared = lanes("2023-03", "2026-08", error=Unreachable("connection refused"))
    about = descriptor(Dated, parallel=2, lanes=shared)
    found = report(tmp_path, about, SEVERAL, jobs=2)
    assert (found.exit_code, found.complete) == (4, False)
    assert "connection refused" in found.incomplete


class Gone(Target):
    """A target that cannot be reached any more."""

    def differences(self) -> list[str]:
        raise Unreachable("connection refused")


def test_a_target_that_is_lost_ends_all_workers(tmp_path: Path) -> None:
    found = report(tmp_path, descriptor(Gone, parallel=2), SEVERAL, jobs=2)
    assert (found.exit_code, found.complete) == (4, False)
    assert len(found.run.cases) < len(found.targets[0].cases)
    assert verify(tmp_path) == []


class Dead(Target):
    """A target that takes its process with it."""

    def differences(self) -> list[str]:
        os._exit(3)


def test_a_worker_that_ends_without_a_word_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="without a word"):
        report(tmp_path, descriptor(Dead, parallel=2), SEVERAL, jobs=2)


class Littering(Target):
    """A target that leaves a process behind."""

    def differences(self) -> list[str]:
        subprocess.Popen(["sleep", "5"])
        return super().differences()


def test_a_process_that_a_worker_leaves_is_a_defect(tmp_path: Path) -> None:
    found = report(tmp_path, descriptor(Littering, parallel=2), SEVERAL, jobs=2)
    assert found.exit_code == 5
    assert "processes were left behind" in found.incomplete


def test_ctrl_c_reaches_the_workers(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "vmsim", "conform", "-n", "2", "-o", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + CLEAN_S
    while time.monotonic() < deadline and len(_files(out)) < 5:
        time.sleep(0.02)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=CLEAN_S)[1]
    assert (process.returncode, len(workers)) == (130, 2)
    assert "Traceback" not in said
    assert not any(Path("/proc", worker).exists() for worker in workers)
    found = read((out / "report.json").read_bytes())
    assert (found.complete, found.exit_code) == (False, 130)
    assert verify(out) == []


def test_the_session_is_serial_unless_asked(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SIGNED", str(tmp_path / "signed"))
    Session(SEVERAL, tmp_path / "out").run([descriptor(Signed, parallel=2)])
    assert set((tmp_path / "signed").read_text(encoding="ascii").split()) == {str(os.getpid())}
