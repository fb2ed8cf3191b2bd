"""A `vmsim serve` in a process of its own, and kubectl to look at it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from backends import kube_program
from backends.kube_api import KubeApi

ROOT = Path(__file__).parent.parent
READY_S = 90.0


class Served:
    """`vmsim serve SCENARIO` on a data folder; `kubectl` speaks to its API server."""

    def __init__(self, scenario: Path | str, folder: Path, *options: str) -> None:
        self.folder = folder
        self._command = [sys.executable, "-m", "vmsim", "serve", str(scenario)]
        self._command += ["--data-dir", str(folder / "data"), *options]
        self._process: subprocess.Popen[bytes] | None = None
        self.kubeconfig = folder / "data" / "kubeconfig"

    def start(self) -> "Served":
        """Run it, and return when it serves."""
        state = {"XDG_STATE_HOME": str(self.folder / "state")}
        log = self.folder / "serve.log"
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env={**os.environ, **state}, stdout=sink, stderr=sink
            )
        deadline = time.monotonic() + READY_S
        while "vmsim: serving " not in self.log:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        return self

    @property
    def log(self) -> str:
        """What it printed."""
        return (self.folder / "serve.log").read_text()

    @property
    def api(self) -> KubeApi:
        """A client with the administrator's rights."""
        return KubeApi(self.kubeconfig)

    def kill(self) -> None:
        """End it as the kernel would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Interrupt it; the answer is its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        return process.wait(30)

    def api_server(self) -> int:
        """The process of the API server and its store."""
        assert self._process is not None
        return _child_of(self._process.pid)

    def kubectl(self, *words: str, fails: bool = False, stdin: str = "") -> str:
        """Output of a kubectl that succeeds, or error output of one that fails."""
        cache = f"--cache-dir={self.folder / 'cache'}"
        command = [str(kube_program.kubectl()), f"--kubeconfig={self.kubeconfig}", cache, *words]
        done = subprocess.run(
            command, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert bool(done.returncode) == fails, f"{words}\n{done.stdout}{done.stderr}\n{self.log}"
        return done.stderr if fails else done.stdout

    def json(self, *words: str) -> dict[str, Any]:
        """What `kubectl get -o json` shows."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *words, "-o", "json"))
        return found

    def vmsim(self, *words: str) -> None:
        """Another command of vmsim, which finds the server by itself."""
        state = {"XDG_STATE_HOME": str(self.folder / "state")}
        command = [sys.executable, "-m", "vmsim", *words]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **state}, timeout=60, check=True)

    def eventually(self, holds: Callable[[], object], timeout_s: float = 30.0) -> None:
        """Wait until `holds()` is true."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)

    def vm(self, name: str, namespace: str = "demo") -> Mapping[str, Any]:
        """Status of the VM, {} while it has none."""
        status: Mapping[str, Any] = self.json("vm", name, "-n", namespace).get("status") or {}
        return status

    def __enter__(self) -> "Served":
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _child_of(pid: int) -> int:
    """The API server that belongs to the process."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, words = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        is_child = int(status.rpartition(")")[2].split()[1]) == pid
        if is_child and (b"kubeone" in words or b"kube_pair" in words):
            return int(folder.name)
    raise AssertionError("no API server runs")
