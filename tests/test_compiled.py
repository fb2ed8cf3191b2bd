"""The compiled model tells the same story as the one that is read, and is never an old one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_scenarios import DIGESTS, SMALL, first_run

from bench import compiled
from vmsim.problems import Unreachable

MODULE = """
from vmsim import fleet
print(fleet.__file__)
"""


@pytest.mark.slow
@pytest.mark.skipif(bool(compiled.missing()), reason=compiled.missing())
@pytest.mark.timeout(compiled.TIMEOUT_S)
def test_every_scenario_has_the_same_digest_compiled() -> None:
    folder = compiled.built()
    words = compiled.command(folder, "-c", DIGESTS + MODULE, str(Path(__file__).parent))
    done = subprocess.run(words, capture_output=True, text=True, check=True)

    digests, module = done.stdout.splitlines()
    assert json.loads(digests) == {path.stem: first_run(path).digest for path in SMALL}
    assert Path(module).parent == folder / "vmsim"
    assert Path(module).suffix == ".so"


@pytest.mark.slow
@pytest.mark.skipif(bool(compiled.missing()), reason=compiled.missing())
@pytest.mark.timeout(compiled.TIMEOUT_S)
def test_question_has_the_same_parts_compiled(tmp_path: Path) -> None:
    question = ["-m", "vmsim", "whatif", "downtime-per-year", "--on", "year-of-failures"]
    words = [*question, "--replications", "3", "--engine", "serial", "--out"]
    forms = (["env", sys.executable, "-P"], compiled.command(compiled.built()))
    for name, form in zip(("read", "compiled"), forms, strict=True):
        subprocess.run([*form, *words, str(tmp_path / name)], capture_output=True, check=True)

    made = [
        {path.name: path.read_bytes() for path in (tmp_path / name / "parts").iterdir()}
        for name in ("read", "compiled")
    ]
    assert made[0] and made[0] == made[1]


def test_edited_module_is_not_the_one_that_was_compiled(tmp_path: Path) -> None:
    for folder, _ in compiled.SOURCES:
        shutil.copytree(compiled.ROOT / folder, tmp_path / folder)
    assert compiled.place(tmp_path) == compiled.place()

    with (tmp_path / "vmsim" / "fleet.py").open("a") as file:
        file.write("EDITED = True\n")
    assert compiled.place(tmp_path) != compiled.place()


def test_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler -pthread")

    with pytest.raises(Unreachable, match="run it as it is: there is no C compiler no-such-comp"):
        compiled.built()
