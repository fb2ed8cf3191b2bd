"""Bad input: file and line, what was expected, all problems at once, exit code 2 or 4, and
never a traceback."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from vmsim.cli import app

HEAD = """apiVersion: vmsim.dev/v1alpha1
kind: Scenario
metadata: {name: bad}
spec:
  clusters: [{name: c, hosts: [{name: esx-1, cores: 4, memory: 16Gi}]}]
"""
VM = """  manifests:
    - {apiVersion: v1, kind: Namespace, metadata: {name: demo}}
    - apiVersion: vmoperator.vmware.com/v1alpha6
      kind: VirtualMachine
      metadata: {name: one, namespace: demo}
      spec: {%s}
"""

CASES = {
    "unknown field": (
        HEAD + "  polices: {}\n",
        ["bad.yaml:6: spec.polices: unknown field"],
    ),
    "two problems at once": (
        HEAD.replace("16Gi", "16") + "  seed: -1\n",
        ["bad.yaml:5: spec.clusters[0].hosts[0].memory", "bad.yaml:6: spec.seed"],
    ),
    "wrong kind": (HEAD.replace("Scenario", "Story"), ["bad.yaml:2: kind", "Scenario"]),
    "wrong version": (HEAD.replace("vmsim.dev/v1alpha1", "vmsim.dev/v9"), ["bad.yaml:1:"]),
    "duplicate key": (HEAD + "  seed: 1\n  seed: 2\n", ["bad.yaml:7", "seed"]),
    "unit-less duration": (HEAD + "  duration: 3600\n", ["bad.yaml:6: spec.duration", "'90s'"]),
    "negative duration": (HEAD + "  duration: -5m\n", ["bad.yaml:6: spec.duration"]),
    "negative memory": (HEAD.replace("16Gi", "-16Gi"), ["bad.yaml:5:", "memory"]),
    "times out of order": (
        HEAD + "  timeline:\n    - {at: 9m, failHost: esx-1}\n    - {at: 8m, recoverHost: esx-1}\n",
        ["bad.yaml:8: spec.timeline[1].at: earlier than the entry before it"],
    ),
    "unknown host": (
        HEAD + "  timeline:\n    - {at: 1m, failHost: esx-11}\n",
        ["bad.yaml:7: spec.timeline[0].failHost: there is no host esx-11", "esx-1"],
    ),
    "cycle": (HEAD + "  storage: &s {a: *s}\n", ["bad.yaml:6"]),
    "missing image, class and storage class": (
        HEAD + VM % "powerState: PoweredOn",
        [
            "bad.yaml:8: spec.image",
            "bad.yaml:8: spec.className: Required value",
            "bad.yaml:8: spec.storageClass: Required value",
        ],
    ),
    "unknown field of a manifest": (
        HEAD + VM % "clasName: small",
        ["bad.yaml:11: spec.clasName", "className"],
    ),
    "duplicate names": (
        HEAD + VM % "className: a" + VM.split("\n", 2)[2] % "className: b",
        ["bad.yaml:14: metadata.name", "already defined at", "bad.yaml:8"],
    ),
    "wrong version of a manifest": (
        HEAD + (VM % "className: a").replace("v1alpha6", "v1alpha9"),
        ["bad.yaml:8", "v1alpha9"],
    ),
    "name that is no subdomain": (
        HEAD + (VM % "className: a").replace("name: one", "name: One_VM"),
        ["metadata.name: Invalid value", "RFC 1123"],
    ),
    "binary garbage": (b"\x00\x01\xff\xfe" * 64, ["bad.yaml"]),
    "not YAML": (b"spec: [1, 2\n", ["bad.yaml:"]),
    "empty": (b"", ["bad.yaml"]),
    "a list": (b"- 1\n", ["bad.yaml"]),
}


def vmsim(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize("command", ["run", "validate"])
@pytest.mark.parametrize("name", CASES)
def test_bad_scenario_is_refused_with_file_and_line(
    name: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, expected = CASES[name]
    Path("bad.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())

    done = vmsim(command, "bad.yaml")

    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    for words in expected:
        assert words in done.output
    assert all(line.startswith("error: bad.yaml") for line in done.output.splitlines())


def test_file_of_100_mb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)

    done = vmsim("validate", str(path))

    assert done.exit_code == 2
    assert "32 MiB" in done.output


def test_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(HEAD + "  polices: {}\n")

    done = vmsim("validate", *(str(tmp_path / f"{name}.yaml") for name in ("one", "two", "three")))

    assert done.exit_code == 2
    assert [name in done.output for name in ("one.yaml:6", "two.yaml:6", "three.yaml")] == [
        True
    ] * 3


def test_trace_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text("hello\n")

    for command in (("get", "vm", "--from"), ("explain", "vm", "--from"), ("replay",)):
        done = vmsim(*command, str(path))
        assert done.exit_code == 2
        assert "trace.jsonl:1: not a line of a trace" in done.output


@pytest.fixture
def web_server() -> Iterator[str]:
    """A web server that is not a vCenter."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/sdk"
    server.shutdown()
    thread.join()
    server.server_close()


def test_url_that_is_no_vsphere_ends_with_4(
    web_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVC_URL", web_server)

    done = vmsim("run", "gpu-stranded", "--backend", "vsphere")

    assert done.exit_code == 4, done.output
    assert web_server in done.output


def test_closed_port_ends_with_4(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("GOVC_URL", f"https://127.0.0.1:{port}/sdk")

    done = vmsim("run", "gpu-stranded", "--backend", "vsphere")

    assert done.exit_code == 4
    assert "cannot be reached" in done.output


def test_no_url_at_all_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOVC_URL", raising=False)

    done = vmsim("run", "gpu-stranded", "--backend", "vsphere")

    assert done.exit_code == 2
    assert "GOVC_URL" in done.output


@pytest.mark.vcsim
def test_wrong_password_ends_with_4(monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.vcsim_process import Vcsim

    simulator = Vcsim()
    with simulator.start(extra_args=("-username", "me", "-password", "right")):
        monkeypatch.setenv("GOVC_URL", simulator.url.replace("right", "wrong"))
        monkeypatch.setenv("GOVC_INSECURE", "1")
        done = vmsim("run", "gpu-stranded", "--backend", "vsphere")

    assert done.exit_code == 4, done.output
    assert "Traceback" not in done.output
    assert "right" not in done.output.replace("is GOVC_URL right", "")
