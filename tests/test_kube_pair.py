"""An API server and its store as two programs: what they are told, and how they end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509

from backends import kube_namespaces
from backends.kube_api import KubeApi
from backends.kube_files import KUBECONFIGS, SUBJECTS, pair, prepare
from backends.kube_process import KubeProcess
from backends.kube_program import Program
from vmsim.kube import Change, Denial
from vmsim.problems import BadInput, Unreachable

LONG_S = 60.0
STAND_IN = '#!/bin/sh\necho "$@" > {told}\necho $$ > {told}.pid\nexec sleep 60\n'


def stand_in(folder: Path, name: str) -> Path:
    """A program that writes down its words, and stays."""
    path = folder / name
    path.write_text(STAND_IN.format(told=folder / f"{name}.told"))
    path.chmod(0o755)
    return path


def eventually(holds: Any) -> None:
    deadline = time.monotonic() + LONG_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A pair of stand-ins that were told by `python -m backends.kube_pair`."""
    programs = [str(stand_in(tmp_path, name)) for name in ("etcd", "api")]
    prepare(tmp_path / "data", 6443)
    words = [*programs, str(tmp_path / "data"), "https://127.0.0.1:2379", "--secure-port=6443"]
    command = [sys.executable, "-m", "backends.kube_pair", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        eventually(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        eventually(lambda: all(path.read_text() for path in tmp_path.glob("*.pid")))
        yield process
        process.kill()


def pids(folder: Path) -> list[int]:
    return [int((folder / f"{name}.told.pid").read_text()) for name in ("etcd", "api")]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_store_is_on_loopback_and_wants_certificates(
    running: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    told = (tmp_path / "etcd.told").read_text().split()
    pki = tmp_path / "data" / "pki"
    assert f"--data-dir={tmp_path / 'data' / 'etcd'}" in told
    assert {word for word in told if "urls" in word} == {
        "--listen-client-urls=https://127.0.0.1:2379",
        "--advertise-client-urls=https://127.0.0.1:2379",
        "--listen-peer-urls=https://127.0.0.1:0",
    }
    for who in ("", "peer-"):
        assert f"--{who}client-cert-auth" in told
        assert f"--{who}trusted-ca-file={pki / 'ca.crt'}" in told
    assert (tmp_path / "api.told").read_text().split() == ["--secure-port=6443"]


def test_both_end_with_the_input(running: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert running.stdin is not None
    running.stdin.close()
    assert running.wait(LONG_S) == 0
    assert not any(alive(pid) for pid in pids(tmp_path))


@pytest.mark.parametrize("which", [0, 1])
def test_one_ends_with_the_other(
    running: subprocess.Popen[bytes], tmp_path: Path, which: int
) -> None:
    os.kill(pids(tmp_path)[which], signal.SIGKILL)
    assert running.wait(LONG_S) == 1
    assert not any(alive(pid) for pid in pids(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_both_end_when_the_process_is_killed(
    running: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    running.kill()
    eventually(lambda: not any(alive(pid) for pid in pids(tmp_path)))


def test_server_is_told_of_loopback_certificates_and_rbac(tmp_path: Path) -> None:
    program = stand_in(tmp_path, "server")
    program.write_text(program.read_text().replace("exec sleep 60", "echo no store >&2; exit 1"))
    process = KubeProcess(tmp_path / "data", Program((str(program),), {}))
    with pytest.raises(Unreachable, match="the API server ended: no store"):
        process.start()
    process.stop()
    folder, store, *flags = (tmp_path / "server.told").read_text().split()
    assert folder == str(tmp_path / "data")
    assert store.startswith("https://127.0.0.1:")
    port = (tmp_path / "data" / "port").read_text().strip()
    for flag in (f"--etcd-servers={store}", "--bind-address=127.0.0.1", f"--secure-port={port}",
                 "--anonymous-auth=false", "--authorization-mode=RBAC"):  # fmt: skip
        assert flag in flags
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_certificates_are_of_one_authority_and_stay(tmp_path: Path) -> None:
    prepare(tmp_path, 6443)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    authority = x509.load_pem_x509_certificate(pair(tmp_path, "ca").certificate.read_bytes())
    for stem, (name, group) in SUBJECTS.items():
        found = x509.load_pem_x509_certificate(pair(tmp_path, stem).certificate.read_bytes())
        found.verify_directly_issued_by(authority)
        attributes = [str(item.value) for item in found.subject]
        assert attributes == [word for word in (name, group) if word]

    prepare(tmp_path, 6443)
    assert {path: path.read_bytes() for path in before} == before
    prepare(tmp_path, 6444)
    changed = {path.name for path in before if path.read_bytes() != before[path]}
    assert changed == set(KUBECONFIGS.values())


@pytest.mark.parametrize("name", ["ca.crt", "server.key"])
def test_file_that_is_damaged_is_bad_input(tmp_path: Path, name: str) -> None:
    prepare(tmp_path, 6443)
    pair(tmp_path, "server").certificate.unlink()
    (tmp_path / "pki" / name).write_text("damaged")
    with pytest.raises(BadInput, match=f"{name}: cannot be used"):
        prepare(tmp_path, 6443)


class Server:
    """A namespace on its way out with two objects, of which one has a finalizer for a while."""

    def __init__(self) -> None:
        self.there = {"/api/v1": {"free": False}, "/apis/g/v1": {"held": False}}
        self.asked = 0
        self.finalized: list[dict[str, Any]] = []
        self.over = threading.Event()

    def watched(self, path: str, stopped: threading.Event) -> Iterator[Change]:
        stays = {"metadata": {"name": "stays", "uid": "1"}}
        leaves = {"metadata": {"name": "leaves", "uid": "2", "deletionTimestamp": "now"}}
        yield Change("LISTED", (stays, leaves))
        yield Change("MODIFIED", (leaves,))
        assert self.over.wait(10)

    def get(self, path: str) -> dict[str, Any]:
        if path == "/apis":
            return {"groups": [{"preferredVersion": {"groupVersion": "g/v1"}}]}
        if path == "/api/v1/namespaces/leaves":
            return {"metadata": {}, "spec": {"finalizers": ["kubernetes", "another"]}}
        self.asked += 1
        if self.asked == 1:
            raise Denial(503, "", "not yet")
        kind = {"namespaced": True, "verbs": ["list", "delete", "get"]}
        return {"resources": [kind | {"name": "things"}, kind | {"name": "x", "verbs": ["get"]},
                              kind | {"name": "nodes", "namespaced": False}]}  # fmt: skip

    def items(self, path: str) -> list[dict[str, Any]]:
        root, _, rest = path.partition("/namespaces/")
        assert rest == "leaves/things"
        if self.there[root].get("held") and self.asked > 6:
            self.there[root].clear()
        return [
            {"metadata": {"name": name} | ({"deletionTimestamp": "now"} if leaving else {})}
            for name, leaving in self.there[root].items()
        ]

    def delete(self, path: str) -> None:
        root, name = path.partition("/namespaces/")[0], path.rpartition("/")[2]
        assert not self.there[root][name], "asked for once"
        if name == "free":
            del self.there[root][name]
        else:
            self.there[root][name] = True

    def request(self, method: str, path: str, body: dict[str, Any]) -> None:
        assert (method, path) == ("PUT", "/api/v1/namespaces/leaves/finalize")
        assert not any(self.there.values())
        self.finalized.append(body)
        self.over.set()


def test_namespace_that_leaves_is_emptied_and_then_let_go() -> None:
    server = Server()
    kube_namespaces.empty_namespaces(cast(KubeApi, server), threading.Event())
    assert server.finalized == [{"metadata": {}, "spec": {"finalizers": ["another"]}}]
