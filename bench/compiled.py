"""How is the model compiled to machine code, once, and kept for all later runs?

mypyc compiles MODULES of a copy of the packages; the rest of the copy, the shipped scenarios too,
stays as it is. The folder of the copy is named by the digest of its sources, so one that is edited
is never shadowed by an older build, and nothing is compiled where the sources are. `command` runs a
module on it.

    PYTHONPATH="$(make -s compiled)" .venv/bin/vmsim run scenarios/large.yaml
"""

import contextlib
import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from backends import building
from vmsim.problems import Unreachable

ROOT = Path(__file__).parent.parent
SOURCES = (("vmsim", "*.py"), ("backends", "*.py"), ("scenarios", "*.*"))
"""The folders of which there is a copy, and which files make a difference to it."""
MODULES = (
    "vmsim/actions.py",
    "vmsim/administration.py",
    "vmsim/admission_control.py",
    "vmsim/apiserver.py",
    "vmsim/availability.py",
    "vmsim/bandwidth.py",
    "vmsim/cluster.py",
    "vmsim/controller.py",
    "vmsim/evacuation.py",
    "vmsim/fleet.py",
    "vmsim/fold.py",
    "vmsim/guests.py",
    "vmsim/ha.py",
    "vmsim/inventory.py",
    "vmsim/maintenance.py",
    "vmsim/objects.py",
    "vmsim/placement.py",
    "vmsim/policies.py",
    "vmsim/precopy.py",
    "vmsim/prerequisites.py",
    "vmsim/reconcile.py",
    "vmsim/requirement.py",
    "vmsim/status.py",
    "vmsim/timer.py",
    "vmsim/trace.py",
    "vmsim/vmotion.py",
    "vmsim/whatif/capacity.py",
    "vmsim/whatif/entries.py",
    "vmsim/whatif/ledger.py",
    "vmsim/workqueue.py",
    "backends/memory.py",
    "backends/migrations.py",
    "backends/moves.py",
)
SETTINGS = {"MYPYC_OPT_LEVEL": "3", "MYPYC_DEBUG_LEVEL": "0"}
TIMEOUT_S = 1800.0


def place(root: Path = ROOT) -> Path:
    """Where the compiled form of the packages in `root` is, or will be: named by their content,
    the compiler and this Python."""
    made_by = f"{sys.implementation.cache_tag} {version('mypy')} {MODULES} {SETTINGS}"
    digest = hashlib.sha256(made_by.encode())
    for folder, files in SOURCES:
        for path in sorted((root / folder).rglob(files)):
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return building.cache_dir() / f"compiled-{digest.hexdigest()[:16]}"


def built() -> Path:
    """The folder with the compiled packages, made now unless it is there; or Unreachable."""
    kept = place()
    if kept.exists():
        return kept
    if why := missing():
        raise _failed(why)
    building.say("compiling the model; a minute or two, once")
    with tempfile.TemporaryDirectory(dir=building.cache_dir()) as scratch:
        made = Path(scratch, "made")
        for folder, _ in SOURCES:
            caches = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / folder, made / folder, ignore=caches)
        words = [sys.executable, "-m", "mypyc", "--ignore-missing-imports", *MODULES]
        done = building.run(words, SETTINGS, made, TIMEOUT_S)
        if done.returncode:
            raise _failed(building.last_line(done))
        shutil.rmtree(made / "build")
        kept = place(made)  # of what was copied, whatever was edited since
        with contextlib.suppress(OSError):  # another process put it there first
            made.rename(kept)
    return kept


def command(folder: Path, *words: str) -> list[str]:
    """How to run Python with these words on the packages in the folder."""
    path = os.pathsep.join([str(folder), str(ROOT)])
    return ["env", f"PYTHONPATH={path}", sys.executable, "-P", *words]


def missing() -> str:
    """What a build needs and is not there, or ''."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler {compiler}"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "there is no Python.h; the package python3-dev has it"
    if find_spec("setuptools") is None:
        return "there is no setuptools; pip installs it"
    return ""


def _failed(why: str) -> Unreachable:
    return Unreachable(f"the model cannot be compiled, run it as it is: {why}")


if __name__ == "__main__":
    try:
        print(built())
    except Unreachable as error:
        sys.exit(f"vmsim: {error}")
