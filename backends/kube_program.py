"""Where does a Kubernetes API server come from, when there is no cluster and no container?

`find()` returns a `Program`, tried in this order: VMSIM_KUBEONE, etcd and kube-apiserver in the
folder KUBEBUILDER_ASSETS or on PATH, a build in the cache, a build of the Go sources that lie
beside this file. The build takes minutes of processor time once; its name carries the digest of
the sources and of itself, so a changed source or a damaged file is not used.
`kubectl()` is that of KUBEBUILDER_ASSETS or of PATH, or built from the same module.
"""

import argparse
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backends.building import Recipe, built, cache_dir, found, last_line, run
from vmsim.problems import Unreachable

SOURCES = Path(__file__).parent / "kubeone"
KUBECTL = "k8s.io/kubernetes/cmd/kubectl"
KUBERNETES, ETCD = "k8s.io/kubernetes", "go.etcd.io/etcd/server/v3"
_NUMBER = re.compile(r"\bv?(\d+\.\d+\.\d+\S*)")


@dataclass(frozen=True, slots=True)
class Program:
    """How to run an API server with its store: what a command line begins with, which takes
    kubeone's words after that; and which version of what is in it, as far as that is known."""

    command: tuple[str, ...]
    versions: Mapping[str, str]

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return f"{' '.join(self.command)} ({versions or 'of unknown versions'})"


def version(module: str = KUBERNETES) -> str:
    """The pinned version of a module of the Go sources."""
    pattern = rf"^(?:require|\s)\s*{re.escape(module)} (v\S+)$"
    match = re.search(pattern, (SOURCES / "go.mod").read_text(), re.MULTILINE)
    assert match, f"go.mod requires {module}"
    return match.group(1)


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
        return Program((given,), {})
    if there := _there("etcd", "kube-apiserver"):
        versions = {Path(path).name: _version_of(path) for path in there}
        return Program((sys.executable, "-m", "backends.kube_pair", *there), versions)
    recipe = _recipe("kubeone", ".")
    path = found(recipe) or (built(recipe) if build else None)
    if path is None:
        raise Unreachable(f"no kubeone in {cache_dir()}: `make kube` builds it once.")
    return Program((str(path),), {"etcd": version(ETCD), "kube-apiserver": version()})


def kubectl(*, build: bool = True) -> Path:
    """kubectl of KUBEBUILDER_ASSETS or PATH, or one of the pinned version, built if need be."""
    if there := _there("kubectl"):
        return Path(there[0])
    recipe = _recipe("kubectl", KUBECTL)
    kept = found(recipe) or (built(recipe) if build else None)
    if kept is None:
        raise Unreachable("no kubectl on PATH: `make kube` builds one once.")
    return kept


def _there(*names: str) -> tuple[str, ...]:
    """These programs, all of KUBEBUILDER_ASSETS or all of PATH; () when neither has them all."""
    for folders in (os.environ.get("KUBEBUILDER_ASSETS"), None):
        if folders != "":
            paths = (shutil.which(name, path=folders) for name in names)
            if all(there := tuple(path or "" for path in paths)):
                return there
    return ()


def _version_of(path: str) -> str:
    """What the program says of itself: `Kubernetes v1.36.3`, `etcd Version: 3.6.8`."""
    done = run([path, "--version"], {}, None, 30.0)
    match = _NUMBER.search(done.stdout)
    if match is None:
        raise Unreachable(f"{path} --version tells none: {last_line(done)}")
    return f"v{match.group(1)}"


def _recipe(name: str, package: str) -> Recipe:
    number = version()
    major, minor = number.removeprefix("v").split(".")[:2]
    about = "k8s.io/component-base/version"
    words = {"gitVersion": number, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(["-s -w", *(f"-X {about}.{name}={word}" for name, word in words.items())])
    return Recipe(
        name,
        "kube",
        f"{name}-{number}-{source_digest()}",
        ("build", "-p", "2", "-trimpath", "-ldflags", flags, "-o", "{out}/" + name, package),
        {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly -buildvcs=false"},
        SOURCES,
        "about 10 minutes of processor time",
        3600.0,
    )


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
