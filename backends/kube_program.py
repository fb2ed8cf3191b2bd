"""Where does a Kubernetes API server come from, when there is no cluster and no container?

`find()` returns a `Program`, tried in this order: VMSIM_KUBEONE, a build in the cache, a build of
the Go sources that lie beside this file. The build takes minutes of processor time once; its name
carries the digest of the sources and of itself, so a changed source or a damaged file is not used.
`kubectl()` is that of PATH, or built from the same module.
"""

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backends.vcsim_process import cache_dir, go_command
from vmsim.problems import Unreachable

SOURCES = Path(__file__).parent / "kubeone"
BUILD_TIMEOUT_S = 3600.0
PROGRESS_EVERY_S = 15.0
KUBECTL = "k8s.io/kubernetes/cmd/kubectl"
_VERSION = re.compile(r"^(?:require|\s)\s*k8s\.io/kubernetes (v\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Program:
    """A kubeone binary, and the version of Kubernetes in it."""

    path: Path
    version: str

    def __str__(self) -> str:
        return f"{self.path} (kube-apiserver {self.version})"


def version() -> str:
    """The pinned version of Kubernetes."""
    found = _VERSION.search((SOURCES / "go.mod").read_text())
    assert found, "go.mod requires k8s.io/kubernetes"
    return found.group(1)


def source_digest() -> str:
    """A word that changes with any of the Go sources."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        if path.suffix in (".go", ".mod", ".sum"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def find(*, build: bool = True) -> Program:
    """The first program of the order in the module docstring; `build` False never compiles."""
    if given := os.environ.get("VMSIM_KUBEONE"):
        if not os.access(given, os.X_OK):
            raise Unreachable(f"VMSIM_KUBEONE={given} is not an executable file.")
        return Program(Path(given), "unknown")
    found = _kept("kubeone")
    if found is None and build:
        found = _built("kubeone", ".")
    if found is None:
        raise Unreachable(f"no kubeone in {cache_dir()}: `make kube` builds it once.")
    return Program(found, version())


def kubectl(*, build: bool = True) -> Path:
    """kubectl of PATH, or one of the pinned version, built when there is none."""
    if path := shutil.which("kubectl"):
        return Path(path)
    found = _kept("kubectl") or (_built("kubectl", KUBECTL) if build else None)
    if found is None:
        raise Unreachable("no kubectl on PATH: `make kube` builds one once.")
    return found


def _folder() -> Path:
    folder = cache_dir() / "kube"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _kept(name: str) -> Path | None:
    for path in _folder().glob(f"{name}-{version()}-{source_digest()}-*"):
        with path.open("rb") as file:
            if path.name.rpartition("-")[2] == _digest_of(file):
                return path
    return None


def _digest_of(file: object) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()[:16]  # type: ignore[arg-type]


def _built(name: str, package: str) -> Path:
    """Build it, unless another process does: then wait for that, and use its result."""
    with (_folder() / f"{name}.lock").open("w") as lock:
        _wait_for(lock.fileno(), name)
        return _kept(name) or _compiled(name, package)


def _wait_for(descriptor: int, name: str) -> None:
    deadline, announced = time.monotonic() + BUILD_TIMEOUT_S, False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Unreachable(f"another process builds {name} without end.") from None
        if not announced:
            _say(f"another process builds {name}; waiting for it")
        announced = True
        time.sleep(0.5)


def _compiled(name: str, package: str) -> Path:
    tried: list[str] = []
    go = go_command(tried)
    if go is None:
        raise Unreachable(f"{name} cannot be built: {'; '.join(tried)}.")
    _say(f"building {name} {version()} with {go}; about 10 minutes of processor time, once")
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(dir=_folder()) as scratch:
        sources = Path(scratch, "src")
        shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        built = Path(scratch, name)
        with _progress(name):
            done = _go_build(go, package, sources, built)
        if done.returncode or not built.exists():
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise Unreachable(f"{name} could not be built: {last}")
        with built.open("rb") as file:
            digest = _digest_of(file)
        kept = _folder() / f"{name}-{version()}-{source_digest()}-{digest}"
        built.replace(kept)
    _say(f"built {kept} in {time.monotonic() - started_s:.0f} s")
    return kept


def _go_build(
    go: str, package: str, sources: Path, built: Path
) -> subprocess.CompletedProcess[str]:
    number = version()
    major, minor = number.removeprefix("v").split(".")[:2]
    about = "k8s.io/component-base/version"
    words = {"gitVersion": number, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(["-s -w", *(f"-X {about}.{name}={word}" for name, word in words.items())])
    command = [go, "build", "-p", "2", "-trimpath", "-ldflags", flags, "-o", str(built), package]
    settings = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    try:
        return subprocess.run(
            ["nice", "-n", "10", *command] if shutil.which("nice") else command,
            cwd=sources,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


@contextmanager
def _progress(name: str) -> Iterator[None]:
    """Say now and then that the build goes on."""
    over = threading.Event()
    started_s = time.monotonic()

    def tell() -> None:
        while not over.wait(PROGRESS_EVERY_S):
            _say(f"building {name}: {time.monotonic() - started_s:.0f} s so far")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _say(message: str) -> None:
    print(f"vmsim: {message}", file=sys.stderr, flush=True)


def main() -> int:
    """`python -m backends.kube_program ensure|status`."""
    parser = argparse.ArgumentParser(prog="python -m backends.kube_program")
    parser.add_argument("command", choices=("ensure", "status"))
    build = parser.parse_args().command == "ensure"
    try:
        print(find(build=build))
        print(kubectl(build=build))
    except Unreachable as error:
        print(f"vmsim: {error}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
