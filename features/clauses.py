"""Which clause of the page is shown by which scenario?

`catalogue/` has every clause in our own words, one file per letter; the feature files carry its id
as a tag, and the page `docs/clauses.md` is written from both: `python -m features.clauses` prints
it. A clause that no scenario shows says why: it is `untestable` from outside, or it is `pending`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from gherkin.parser import Parser

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "clauses.md"

CAPABILITIES: Mapping[str, str] = {
    "host-failure": "a host can fail without warning, and come back",
    "new-hosts": "a host can join a cluster",
    "vm-without-object": "a VM is seen on its host, and removed in the end, without its object",
}

PLAYED: Mapping[str, tuple[str, ...]] = {
    "memory": (),
    "vcsim": (
        "the cluster's decisions (placement, evacuation, restart) and the time are vmsim's",
        "a host that fails: its VMs are powered off there, then it is disconnected",
        "a host that joins: it is there from the start, unused until then",
    ),
}
"""For each backend what vmsim does in its place; the backend's inventory must agree at the end."""


LEVELS = ("core", "extended", "provisional")
EDITIONS = ("2023-03", "2026-08")
LETTERS = ("S", "N", "M", "P", "Z", "C", "I", "ST", "Q", "X", "T")


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of the specification.

    `later` is what 2026-08 says instead, `partly` what no scenario shows. `level`: core and
    extended clauses count for the result, provisional ones are only reported. `source` is page,
    api (its schema), admission (the code of its webhooks) or controller (its code). `how` it is
    seen: answer (of the API), object (as the API shows it), host (in the hosts' inventory) or
    time (how long something takes). `needs`: the capabilities that a target must have.
    """

    id: str
    text: str
    editions: tuple[str, ...] = EDITIONS
    level: str = "core"
    source: str = "page"
    how: tuple[str, ...] = ("object",)
    needs: tuple[str, ...] = ()
    later: str = ""
    partly: str = ""
    untestable: str = ""
    pending: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario as its feature file has it.

    `steps` are the keyword (an And repeats the one before it) and the text of each step, those of
    the Background included; `rows` are those of the examples of an outline.
    `examples_are_sound`: an outline has rows, and tags only above it, because a tag on its
    examples would be lost.
    """

    feature: str
    file: str
    name: str
    tags: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    rows: tuple[Mapping[str, str], ...]
    examples_are_sound: bool
    docstrings: tuple[str, ...] = ()

    @property
    def clauses(self) -> tuple[str, ...]:
        """The clauses that it shows."""
        return tuple(tag for tag in self.tags if not tag.startswith("needs-"))

    def sentences(self) -> Iterator[tuple[str, str]]:
        """Keyword and text of each step as it is run, once per row."""
        for row in self.rows or ({},):
            for keyword, text, _ in self.lines(row):
                yield keyword, text

    def lines(self, row: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
        """Keyword, text and docstring of each step with the values of one row."""
        for (keyword, text), docstring in zip(self.steps, self.docstrings, strict=True):
            yield keyword, _filled(text, row), _filled(docstring, row)

    @property
    def needs(self) -> tuple[str, ...]:
        """The capabilities that a target must have for it."""
        return tuple(tag.removeprefix("needs-") for tag in self.tags if tag.startswith("needs-"))


@cache
def clauses() -> tuple[Clause, ...]:
    """Every clause, in order."""
    return tuple(clause for letter in LETTERS for clause in _read(letter))


def _read(letter: str) -> Iterator[Clause]:
    text = (FOLDER / "catalogue" / f"{letter}.yaml").read_text(encoding="utf-8")
    for name, row in yaml.safe_load(text).items():
        lists = {key: tuple(row[key]) for key in ("editions", "how", "needs") if key in row}
        yield Clause(id=name, **(row | lists))


@cache
def scenarios() -> tuple[Scenario, ...]:
    """Every scenario of the feature files, by file and place."""
    files = sorted(FOLDER.glob("*.feature"))
    return tuple(scenario for file in files for scenario in _scenarios(file))


def _scenarios(file: Path) -> Iterator[Scenario]:
    document: Any = Parser().parse(file.read_text(encoding="utf-8"))
    feature = document["feature"]
    common: list[Any] = []
    for child in feature["children"]:
        if "background" in child:
            common = child["background"]["steps"]
        else:
            part = child["scenario"]
            tags = tuple(tag["name"][1:] for tag in feature["tags"] + part["tags"])
            steps = tuple(_steps(common + part["steps"]))
            rows = tuple(row for table in part["examples"] for row in _rows(table))
            docstrings = tuple(_docstring(step) for step in common + part["steps"])
            found = (feature["name"], file.name, part["name"], tags, steps, rows)
            yield Scenario(*found, _is_sound(part), docstrings)


def _filled(text: str, row: Mapping[str, str]) -> str:
    for name, value in row.items():
        text = text.replace(f"<{name}>", value)
    return text


def _docstring(step: Any) -> str:
    return str(step.get("docString", {}).get("content", ""))


def _rows(table: Any) -> Iterator[Mapping[str, str]]:
    names = [cell["value"] for cell in table["tableHeader"]["cells"]]
    for row in table["tableBody"]:
        yield dict(zip(names, (cell["value"] for cell in row["cells"]), strict=True))


def _steps(steps: list[Any]) -> Iterator[tuple[str, str]]:
    """Keyword and text of each step."""
    keyword = ""
    for step in steps:
        own = step["keyword"].strip()
        keyword = keyword if own == "And" else own
        yield keyword, step["text"]


def _is_sound(part: Any) -> bool:
    tables = part["examples"]
    rows = all(table["tableBody"] and not table["tags"] for table in tables)
    return rows and bool(tables) == part["keyword"].startswith("Scenario Outline")


def page() -> str:
    """The text of `docs/clauses.md`."""
    return "\n".join(_HEAD + [line for letter in LETTERS for line in _chapter(letter)])


_HEAD = [
    "# Clauses",
    "",
    "What the specification says, clause by clause in our own words, and the scenarios that show",
    "it. S clauses are what the VirtualMachine page of 2023-03 says; *2026-08* is what the later",
    "page says instead. The other letters are what the API's schema, its webhooks and the",
    "controller add. `vmsim conform` judges an implementation by them: [conform.md](conform.md).",
    "",
    "<!-- Written by `python -m features.clauses > docs/clauses.md`; do not edit by hand. -->",
    "",
]
TITLES: Mapping[str, str] = {
    "S": "The page",
    "N": "Names and required fields",
    "M": "Changes",
    "P": "Power",
    "Z": "Zones and placement",
    "C": "Classes",
    "I": "Images",
    "ST": "Storage",
    "Q": "Failure and trying again",
    "X": "Deletion",
    "T": "Status",
}


def _chapter(letter: str) -> Iterator[str]:
    yield from (f"# {TITLES[letter]}", "")
    for clause in clauses():
        if clause.id.partition("-")[0] == letter:
            yield from _section(clause)


def _section(clause: Clause) -> Iterator[str]:
    yield from (f"## {clause.id}", "", clause.text, "")
    seen = ", ".join(clause.how)
    yield f"{clause.level}; from the {clause.source}; {' and '.join(clause.editions)}; by {seen}"
    yield ""
    for title, text in (
        ("*2026-08*", clause.later),
        ("**Not testable**", clause.untestable),
        ("**Not shown yet**", clause.pending),
        ("**In part**", clause.partly),
    ):
        if text:
            yield from (f"{title}: {text}", "")
    shown = [scenario for scenario in scenarios() if clause.id in scenario.clauses]
    for scenario in shown:
        yield f"- {scenario.feature}: {scenario.name} (`features/{scenario.file}`)"
    if shown:
        yield ""


if __name__ == "__main__":
    print(page(), end="")
