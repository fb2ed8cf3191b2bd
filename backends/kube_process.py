"""Who starts a Kubernetes API server, keeps it running, and stops it?

`KubeProcess` is one process with its data folder: certificates, kubeconfigs and the store.
The folder keeps its port, so that a kubeconfig stays good over restarts. The process ends when its
owner ends, however that happens, because it watches its standard input. `revive` starts it again
when something killed it; nothing that was stored is lost by that.
"""

import contextlib
import fcntl
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import IO

from backends.kube_api import KubeApi
from backends.kube_files import pair, prepare
from backends.kube_program import Program, find
from vmsim.problems import BadInput, Problem, Unreachable

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
LOG_TAIL = 2000


class KubeProcess:
    """One API server on loopback; `start` returns when it is ready, `stop` may be called twice."""

    def __init__(self, folder: Path, program: Program | None = None, port: int = 0) -> None:
        self.program = program or find()
        self.folder = folder
        self._wanted_port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    @property
    def controller_kubeconfig(self) -> Path:
        """The one of the role with least rights."""
        return self.folder / "controller.kubeconfig"

    @property
    def pid(self) -> int:
        """The process, or 0 when none runs."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> "KubeProcess":
        """Run the process on the folder and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._take_folder()
        self._launch()
        return self

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def revive(self) -> bool:
        """Start the process again if it ended; whether it had."""
        if self._process is None or self.alive():
            return False
        self._reap()
        self._launch()
        return True

    def stop(self) -> None:
        """End the process, by force when it does not end in time; the folder stays."""
        self._reap()
        self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_folder(self) -> None:
        """One owner at a time: two stores on one folder would spoil it."""
        path = self.folder / "lock"
        path.touch(mode=0o600)
        self._lock = path.open("w")
        deadline = time.monotonic() + 10.0
        while True:
            try:
                fcntl.flock(self._lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"{self.folder} is in use by another `vmsim serve`"
                    raise BadInput([Problem(message, hint="--data-dir names another")]) from None
                time.sleep(0.1)

    def _port(self) -> int:
        """The folder's port: that of the last time, or a free one."""
        path = self.folder / "port"
        with contextlib.suppress(OSError, ValueError):
            kept = int(path.read_text())
            if self._wanted_port in (0, kept):
                return kept
        port = self._wanted_port or _free_port()
        path.touch(mode=0o600)
        path.write_text(f"{port}\n")
        return port

    def _launch(self) -> None:
        port = self._port()
        prepare(self.folder, port)
        store = f"https://127.0.0.1:{_free_port()}"
        log_path = self.folder / "api-server.log"
        descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as log:
            self._process = subprocess.Popen(
                [*self.program.command, str(self.folder), store, *_flags(self.folder, port, store)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us; we then stop the process
            )
        self._wait_until_ready(log_path)

    def _wait_until_ready(self, log_path: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if not self.alive() or time.monotonic() > deadline:
                state = "does not get ready" if self.alive() else "ended"
                log = log_path.read_text(errors="replace")[-LOG_TAIL:].strip()
                self._reap()
                raise Unreachable(f"the API server {state}: {log or 'no message'}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with KubeApi(self.kubeconfig) as api:
                return api.is_ready()
        except Unreachable:
            return False

    def _reap(self) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin:
            with contextlib.suppress(OSError):
                process.stdin.close()  # the process ends itself, the store closed in good order
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> "KubeProcess":
        return self if self.alive() else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _flags(folder: Path, port: int, store: str) -> list[str]:
    """The API server's: certificates verified both ways, RBAC, and no admission plugin that needs
    a controller which does not run here."""
    server, client = pair(folder, "server"), pair(folder, "etcd-client")
    authority, accounts = pair(folder, "ca").certificate, pair(folder, "accounts").key
    return [
        f"--etcd-servers={store}",
        f"--etcd-cafile={authority}",
        f"--etcd-certfile={client.certificate}",
        f"--etcd-keyfile={client.key}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        "--endpoint-reconciler-type=none",
        f"--cert-dir={server.folder}",
        f"--tls-cert-file={server.certificate}",
        f"--tls-private-key-file={server.key}",
        f"--client-ca-file={authority}",
        "--anonymous-auth=false",
        "--authorization-mode=RBAC",
        "--profiling=false",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={accounts}",
        f"--service-account-signing-key-file={accounts}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--disable-admission-plugins="
        "ServiceAccount,StorageObjectInUseProtection,TaintNodesByCondition",
        "--v=0",
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
