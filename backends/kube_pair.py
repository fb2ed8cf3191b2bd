"""What runs etcd and kube-apiserver that lie on this machine as kubeone would run its own?

usage: python -m backends.kube_pair <etcd> <kube-apiserver> <data-dir> <etcd-url> <flags>

After the two programs the words are kubeone's. Both are ended when standard input ends, or when
one of them does. No controller comes with them: deleted namespaces are emptied here, and owner
references are not followed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from backends.kube_api import KubeApi
from backends.kube_files import pair
from backends.kube_namespaces import empty_namespaces

END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def etcd_flags(folder: Path, url: str) -> list[str]:
    """A store of one member whose clients, and peers if any came, must show a certificate of our
    authority; not synced to disk, because a killed process loses nothing by that."""
    server, authority = pair(folder, "server"), pair(folder, "ca").certificate
    keys = [
        f"--{who}{flag}={path}"
        for who in ("", "peer-")
        for flag, path in {
            "cert-file": server.certificate,
            "key-file": server.key,
            "trusted-ca-file": authority,
        }.items()
    ]
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        "--listen-peer-urls=https://127.0.0.1:0",
        *keys,
        "--client-cert-auth",
        "--peer-client-cert-auth",
        "--unsafe-no-fsync",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=10m",
        "--log-level=error",
    ]


def main(words: Sequence[str]) -> int:
    """Run both until standard input ends: 0, or until one of them does: 1."""
    etcd, api_server, folder, url, *flags = words
    commands = ([etcd, *etcd_flags(Path(folder), url)], [api_server, *flags])
    running = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent)
        for command in commands
    ]
    over, asked = threading.Event(), threading.Event()

    def await_end_of_input() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        asked.set()
        over.set()

    def await_end_of(process: subprocess.Popen[bytes]) -> None:
        process.wait()
        over.set()

    threading.Thread(target=await_end_of_input, daemon=True).start()
    for process in running:
        threading.Thread(target=await_end_of, args=(process,), daemon=True).start()
    api = KubeApi(Path(folder) / "kubeconfig")
    threading.Thread(target=empty_namespaces, args=(api, over), daemon=True).start()
    over.wait()
    for process in running:
        process.kill()  # what was acknowledged is in the store's log, as after any crash
        process.wait()
    return 0 if asked.is_set() else 1


def _end_with_parent() -> None:
    """Have the kernel end this process with its parent, also if that is killed; Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
