"""Where a vcsim comes from, how it starts and that it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backends import vcsim_process
from backends.building import digest_of
from backends.vcsim_process import Program, Vcsim, find
from backends.vsphere_session import Session
from vmsim.problems import Unreachable

pytestmark = [pytest.mark.vcsim, pytest.mark.timeout(900)]  # the first one may build vcsim

SMALL = ["-vm=0", "-cluster=1", "-host=1", "-standalone-host=0"]


def is_running(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and nothing to find but what a test puts there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("VMSIM_VCSIM", raising=False)
    return tmp_path / "vmsim"


def program_at(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_named_binary_is_taken_before_the_path(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, on_path = program_at(tmp_path / "named"), program_at(tmp_path / "bin" / "vcsim")
    assert find().command == (str(on_path),)

    monkeypatch.setenv("VMSIM_VCSIM", str(named))

    assert find().command == (str(named),)


def test_a_url_is_taken_as_a_vcsim_that_somebody_else_runs(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMSIM_VCSIM", "https://127.0.0.1:8989/sdk")

    with Vcsim(find()) as simulator:
        assert simulator.alive()
        assert simulator.endpoint.url == "https://127.0.0.1:8989/sdk"
        assert simulator.pid == 0


def test_a_named_binary_that_is_not_there_is_not_replaced_by_another(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMSIM_VCSIM", "/nowhere/vcsim")

    with pytest.raises(Unreachable, match="/nowhere/vcsim"):
        find()


def test_the_version_is_read_from_the_binary(cache: Path, tmp_path: Path) -> None:
    program_at(tmp_path / "bin" / "vcsim", "\nmod\tgithub.com/vmware/govmomi\tv0.46.0\th1:x=\n")

    assert find().version == "v0.46.0"


def test_a_kept_build_is_used_only_when_its_content_is_what_was_built(cache: Path) -> None:
    kept = program_at(cache / "vcsim" / "vcsim-v0.46.0-0123456789abcdef")
    with pytest.raises(Unreachable):
        find(build=False)

    good = kept.rename(kept.with_name(f"vcsim-v0.46.0-{digest_of(kept)}"))

    assert find(build=False) == Program((str(good),), "v0.46.0")


def test_when_nothing_is_found_the_message_lists_what_was_tried(cache: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        find(build=False)

    for words in ("VMSIM_VCSIM is not set", "on PATH", str(cache), "container", "go install"):
        assert words in str(caught.value)


def test_a_build_that_fails_says_why(cache: Path, tmp_path: Path) -> None:
    program_at(tmp_path / "bin" / "go", "#!/bin/sh\necho no network >&2; exit 1\n")

    with pytest.raises(Unreachable, match="no network"):
        find()


def test_two_processes_build_once(cache: Path, tmp_path: Path) -> None:
    builds = tmp_path / "builds"
    program_at(
        tmp_path / "bin" / "go",
        f'#!/bin/sh\n/bin/sleep 0.3\necho "$@" >> {builds}\necho "#!/bin/sh" > "$GOBIN/vcsim"\n',
    )
    command = [sys.executable, "-m", "backends.vcsim_process", "ensure"]

    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate()[0] for process in processes]

    assert builds.read_text() == "install github.com/vmware/govmomi/vcsim@v0.46.0\n"
    assert answers[0] == answers[1] != ""


def test_a_started_vcsim_answers_and_a_stopped_one_is_gone() -> None:
    with Vcsim().start(extra_args=SMALL) as simulator:
        pid = simulator.pid
        with Session.connect(simulator.endpoint) as session:
            assert len(session.hosts()) == 1
        assert simulator.alive()
    assert not simulator.alive()
    assert wait_until_gone(pid)
    simulator.stop()  # twice is no error


def test_vcsim_ends_when_its_owner_is_killed() -> None:
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time; from backends.vcsim_process import Vcsim\n"
            f"print(Vcsim().start(extra_args={SMALL}).pid, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    assert is_running(pid)

    owner.kill()
    owner.communicate()

    assert wait_until_gone(pid)


def test_a_start_that_fails_shows_what_vcsim_wrote() -> None:
    with pytest.raises(Unreachable, match="flag provided but not defined"):
        Vcsim().start(extra_args=["-nonsense"])


def test_a_start_that_takes_too_long_is_ended() -> None:
    simulator = Vcsim(Program(("/bin/sh", "-c", "sleep 30"), "v0"))

    with pytest.raises(Unreachable, match="does not get ready"):
        simulator.start(timeout_s=0.2)

    assert wait_until_gone(simulator.pid)


def test_a_detached_vcsim_is_noted_found_again_and_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMSIM_VCSIM", find().command[0])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert vcsim_process.status() == {}

    state = vcsim_process.start_detached(extra_args=SMALL)
    try:
        assert vcsim_process.status() == state == vcsim_process.start_detached()
    finally:
        assert vcsim_process.stop_detached()

    assert wait_until_gone(int(state["pid"]))
    assert vcsim_process.status() == {}
    assert not vcsim_process.stop_detached()


def test_a_note_about_a_process_that_is_another_by_now_is_not_believed(cache: Path) -> None:
    cache.mkdir()
    note = {"pid": str(os.getpid()), "url": "https://127.0.0.1:1/sdk", "version": "v0"}
    (cache / "vcsim-state.json").write_text(json.dumps(note))

    assert vcsim_process.status() == {}


def test_terminating_a_vcsim_ends_it_in_order() -> None:
    with Vcsim().start(extra_args=SMALL) as simulator:
        os.kill(simulator.pid, signal.SIGTERM)

        assert wait_until_gone(simulator.pid)
        deadline = time.monotonic() + 5  # its last thread may end a moment after its first
        while simulator.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not simulator.alive()
