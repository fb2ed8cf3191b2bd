"""The generated pages are up to date, complete, and a difference is noticed."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from vmsim.chance_schema import Distribution
from vmsim.scenario import Spec

ROOT = Path(__file__).parent.parent
SCENARIOS = (ROOT / "scenarios").glob("*.yaml")


@pytest.fixture(scope="module")
def render() -> ModuleType:
    found = importlib.util.spec_from_file_location("render", ROOT / "docs" / "render.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/render.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, ""), "run `make render`"


def test_page_that_is_out_of_date_is_named(
    render: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(render, "PAGES", {"scenarios.md": lambda: "Another text."})
    monkeypatch.setattr(sys, "argv", ["render.py", "--check"])

    assert render.main() == 1
    assert capsys.readouterr().out == "out of date: scenarios.md; run `make render`\n"


def types_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The types of a scenario that an annotation mentions, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from types_in(field.annotation)
    for part in get_args(annotation):
        yield from types_in(part)


def test_page_of_the_scenario_file_has_every_type(render: ModuleType) -> None:
    names = {model.__name__ for model in types_in(Spec)}
    told_by_example = {model.__name__ for model in types_in(Distribution)}

    assert names - set(render.PARTS) - told_by_example == set()


def test_every_shipped_scenario_is_in_the_table_of_the_folder() -> None:
    text = (ROOT / "scenarios" / "README.md").read_text()
    stems = {path.stem.removesuffix("-code") for path in SCENARIOS}

    assert [stem for stem in sorted(stems) if f"`{stem}`" not in text] == []
