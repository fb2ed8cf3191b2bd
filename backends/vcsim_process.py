"""Where does a vcsim come from, and who stops it?

`find()` returns a `Program` (a binary, a container image or the URL of one that runs already),
tried in this order: VMSIM_VCSIM, PATH, a build of the pinned version in the cache, a container.
`Vcsim` is one running process; it ends when its owner ends, however that happens, because it
watches its standard input.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.building import Recipe, built, cache_dir, found, last_line, run
from backends.vsphere_session import Endpoint
from vmsim.problems import Unreachable

PINNED = "v0.46.0"  # the last version that `go install` can build: later ones are a nested module
MODULE = "github.com/vmware/govmomi/vcsim"
IMAGE = "vmware/vcsim:v0.52.0"
API_VERSION = "8.0.3.0"
START_TIMEOUT_S = 120.0
RECIPE = Recipe(
    "vcsim",
    "vcsim",
    f"vcsim-{PINNED}",
    ("install", f"{MODULE}@{PINNED}"),
    {"GOBIN": "{out}", "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""},
    None,
    "takes a minute or two",
    900.0,
)
_BUILT_FROM = re.compile(rb"(?:mod|dep)\tgithub\.com/vmware/govmomi\t(v[0-9][\w.+-]*)")
_READY = re.compile(r"export GOVC_URL=(\S+) GOVC_SIM_PID=(\d+)")


@dataclass(frozen=True, slots=True)
class Program:
    """How to run vcsim: a command line prefix, or the URL of a vcsim that runs already."""

    command: tuple[str, ...]
    version: str
    url: str = ""

    def __str__(self) -> str:
        return f"{self.url or ' '.join(self.command)} {self.version}"


def find(*, build: bool = True) -> Program:
    """The first vcsim of the order in the module docstring; `build` False never compiles."""
    tried: list[str] = []
    for source in (_from_environment, _from_path, _from_cache):
        if program := source(tried):
            return program
    if build and (program := _from_go(tried)):
        return program
    if program := _from_container(tried):
        return program
    raise Unreachable(
        "no vcsim found: "
        + "; ".join(tried)
        + f". Install Go and run `go install {MODULE}@{PINNED}`"
        " or set VMSIM_VCSIM to a vcsim binary or to the URL of a running one."
    )


def _from_environment(tried: list[str]) -> Program | None:
    value = os.environ.get("VMSIM_VCSIM", "")
    if not value:
        tried.append("VMSIM_VCSIM is not set")
        return None
    if value.startswith(("http://", "https://")):
        return Program((), "unknown", url=value)
    if os.access(value, os.X_OK) and Path(value).is_file():
        return _binary(Path(value))
    raise Unreachable(f"VMSIM_VCSIM={value} is neither an executable file nor an http(s) URL.")


def _from_path(tried: list[str]) -> Program | None:
    if path := shutil.which("vcsim"):
        return _binary(Path(path))
    tried.append("no vcsim on PATH")
    return None


def _binary(path: Path) -> Program:
    """The program, with the version that the Go linker wrote into the file."""
    match = _BUILT_FROM.search(path.read_bytes())
    return Program((str(path),), match.group(1).decode() if match else "unknown")


def _from_cache(tried: list[str]) -> Program | None:
    """A build kept earlier."""
    if path := found(RECIPE):
        return Program((str(path),), PINNED)
    tried.append(f"no vcsim {PINNED} in {cache_dir()}")
    return None


def _from_go(tried: list[str]) -> Program | None:
    """A build of the pinned version, made now."""
    try:
        return Program((str(built(RECIPE)),), PINNED)
    except Unreachable as error:
        tried.append(str(error))
        return None


def _from_container(tried: list[str]) -> Program | None:
    """The image, on the host's network so that the printed URL holds, with our folders mounted."""
    for runtime in ("docker", "podman"):
        if not shutil.which(runtime):
            continue
        done = run([runtime, "version"], {}, None, 20.0)
        if done.returncode:
            tried.append(f"{runtime} does not answer: {last_line(done)}")
            continue
        mounts = [f"--volume={path}:{path}" for path in (cache_dir(), tempfile.gettempdir())]
        command = (runtime, "run", "--rm", "--interactive", "--network=host", *mounts, IMAGE)
        return Program(command, IMAGE.rpartition(":")[2])
    tried.append("no container runtime")
    return None


class Vcsim:
    """One vcsim process, or one that somebody else runs when `program` is a URL.

    `start` returns when it is ready; `stop` may be called twice. With `detached` the process
    outlives us (for `vmsim vcsim start`) and nobody but `stop_detached` ends it.
    """

    def __init__(self, program: Program | None = None, *, detached: bool = False) -> None:
        self.program = program or find()
        self.detached = detached
        self.url = self.program.url
        self.version = self.program.version
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = cache_dir() / "detached"  # one at a time, and nobody cleans up after it
        if not detached:
            self._folder = Path(tempfile.mkdtemp(prefix="vmsim-vcsim-"))
        self._folder.mkdir(exist_ok=True)

    @property
    def endpoint(self) -> Endpoint:
        """Where to connect. vcsim signs its certificate itself, so TLS is not verified."""
        return Endpoint.from_environment({"GOVC_URL": self.url, "GOVC_INSECURE": "1"})

    @property
    def stderr(self) -> str:
        """What the process wrote to its standard error so far, shortened to the end."""
        path = self._folder / "stderr"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def start(
        self,
        load_dir: Path | None = None,
        extra_args: Sequence[str] = (),
        timeout_s: float = START_TIMEOUT_S,
    ) -> "Vcsim":
        """Run the process and wait until it answers; `load_dir` is an inventory folder."""
        if self.program.url:
            if load_dir is not None:
                raise Unreachable(f"{self.url} runs already and cannot load {load_dir}.")
            return self
        options = ["-api-version", API_VERSION, "-l", "127.0.0.1:0"]
        options += ["-load", str(load_dir)] if load_dir is not None else []
        options += [] if self.detached else ["-stdinexit"]
        out_path = self._folder / "stdout"
        with out_path.open("wb") as out, (self._folder / "stderr").open("wb") as err:
            self._process = subprocess.Popen(
                [*self.program.command, *options, *extra_args],
                stdin=subprocess.DEVNULL if self.detached else subprocess.PIPE,
                stdout=out,
                stderr=err,
                start_new_session=True,  # Ctrl-C is for us; we then stop the process
            )
        self.pid = self._process.pid
        self._wait_until_ready(out_path, timeout_s)
        if self.detached:
            self._process.returncode = 0  # not ours any more: Popen shall not warn that it runs
        return self

    def _wait_until_ready(self, out_path: Path, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not (ready := _READY.search(out_path.read_text())):
            if not self.alive() or time.monotonic() > deadline:
                state = "does not get ready" if self.alive() else "ended"
                message = f"vcsim {self.version} {state}: {self.stderr.strip() or 'no message'}"
                self.stop()
                raise Unreachable(message)
            time.sleep(0.01)
        self.url = ready.group(1)

    def alive(self) -> bool:
        """Whether the process runs; one that somebody else runs counts as alive."""
        return bool(self.program.url) or (
            self._process is not None and self._process.poll() is None
        )

    def stop(self) -> None:
        """End the process, by force when it does not end in 5 s; its files are removed."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin:
                process.stdin.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> "Vcsim":
        return self if self.alive() else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _state_path() -> Path:
    return cache_dir() / "vcsim-state.json"


def status() -> dict[str, str]:
    """`pid`, `url` and `version` of the vcsim that `start_detached` started, or nothing."""
    try:
        state: dict[str, str] = json.loads(_state_path().read_text())
        os.kill(int(state["pid"]), 0)
        words = Path("/proc", state["pid"], "cmdline")
        if words.parent.parent.exists() and b"-api-version" not in words.read_bytes():
            return {}  # the number belongs to another program by now
    except (OSError, ValueError, KeyError):
        return {}
    return state


def start_detached(load_dir: Path | None = None, extra_args: Sequence[str] = ()) -> dict[str, str]:
    """Start a vcsim that outlives us and note it down; one that runs already is returned."""
    if state := status():
        return state
    simulator = Vcsim(detached=True).start(load_dir, extra_args)
    state = {"pid": str(simulator.pid), "url": simulator.url, "version": simulator.version}
    temporary = _state_path().with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(state))
    temporary.replace(_state_path())
    return state


def stop_detached() -> bool:
    """End the noted vcsim and wait up to 5 s; False when none ran."""
    state = status()
    if state:
        os.kill(int(state["pid"]), signal.SIGTERM)
        deadline = time.monotonic() + 5
        while status() and time.monotonic() < deadline:
            time.sleep(0.05)
    _state_path().unlink(missing_ok=True)
    return bool(state)


def main() -> int:
    """`python -m backends.vcsim_process ensure|start|stop|status`."""
    parser = argparse.ArgumentParser(prog="python -m backends.vcsim_process")
    parser.add_argument("command", choices=("ensure", "start", "stop", "status"))
    command = parser.parse_args().command
    try:
        if command == "ensure":
            print(find())
        elif command == "stop":
            print("stopped" if stop_detached() else "none runs")
        else:
            state = start_detached() if command == "start" else status()
            print(" ".join(f"{key}={value}" for key, value in state.items()) or "none runs")
    except Unreachable as error:
        print(f"vmsim: {error}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
