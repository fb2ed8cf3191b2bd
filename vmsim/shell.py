"""What do all commands of the command line share?

Where files are kept and found, and how an error becomes a message and an exit code: 0 done, 1 an
expectation failed, 2 bad input or usage, 3 inconclusive, 4 the backend cannot be reached, 5 a
defect of vmsim, 130 interrupted.
"""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from vmsim.problems import BadInput, Problem, Unreachable, did_you_mean
from vmsim.quantities import duration_s

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
FAILED, BAD_INPUT, INCONCLUSIVE, UNREACHABLE, DEFECT, INTERRUPTED = 1, 2, 3, 4, 5, 130


def state_folder() -> Path:
    """Where vmsim keeps what it shall find again: under `$XDG_STATE_HOME`."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "vmsim"


def trace_folder() -> Path:
    """Where traces go that nobody gave a name."""
    return state_folder() / "traces"


def shipped_scenarios() -> Path:
    """The folder of the scenarios that come with vmsim."""
    packaged = Path(__file__).parent / "_scenarios"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "scenarios"


def scenario_path(name: str) -> Path:
    """The file called `name`, or the shipped scenario of that name; BadInput without either."""
    path = Path(name)
    if path.exists() or path.suffix in (".yaml", ".yml", ".json"):
        return path
    shipped = {path.stem: path for path in sorted(shipped_scenarios().glob("*.yaml"))}
    if name not in shipped:
        hint = did_you_mean(name, list(shipped)) or "a path, or the name of a shipped scenario"
        raise BadInput([Problem(f"there is no scenario {name}", hint=hint)])
    return shipped[name]


def seconds(text: str | None) -> float | None:
    """A duration option in seconds."""
    if text is None:
        return None
    try:
        return duration_s(text)
    except ValueError as error:
        raise BadInput([Problem(str(error), field=text)]) from None


def wait_for_interrupt() -> None:
    """Return at Ctrl-C or when the process is told to end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        signal.pause()


def commit() -> str:
    """The commit of the checkout that this runs from, '' outside of one."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip()


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what may go wrong into a message and the documented exit code."""
    try:
        yield
    except typer.Exit:
        raise
    except BadInput as error:
        _stop(BAD_INPUT, *(f"error: {problem}" for problem in error.problems))
    except Unreachable as error:
        _stop(UNREACHABLE, f"error: {error}")
    except KeyboardInterrupt:
        _stop(INTERRUPTED, "interrupted")
    except BrokenPipeError:
        sys.stderr.close()
        _stop(0)
    except Exception as error:
        if os.environ.get("VMSIM_DEBUG"):
            raise
        _stop(*_unexpected(error))


def _unexpected(error: Exception) -> tuple[int, str, str]:
    """Exit code and lines for what no place foresaw: a full disk, or a defect."""
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return BAD_INPUT, f"error: cannot write: {error}", "free some space, or write elsewhere"
    return (
        DEFECT,
        f"error: a defect of vmsim: {type(error).__name__}: {error}",
        "VMSIM_DEBUG=1 shows where; please report it with the scenario and the seed",
    )


def _stop(code: int, *lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)
    raise typer.Exit(code)
