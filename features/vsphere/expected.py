"""Which verdicts are known of which vcsim?

`expected.yaml` has a row per check: the verdict, either one for every version or one by version,
what was seen, and the public issue about it where there is one. The page `docs/vcsim.md` is written
from it and from the checks: `python -m features.vsphere --page`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from features.vsphere.checks import Check
from features.vsphere.profile import CHECKS, CONFORMS, UNREACHABLE, Found

FILE = Path(__file__).parent / "expected.yaml"
PAGE = Path(__file__).parents[2] / "docs" / "vcsim.md"


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one check: verdicts by version, what is seen, and the issue about it."""

    verdicts: Mapping[str, str]
    saw: str = ""
    issue: str = ""


@cache
def versions() -> tuple[str, ...]:
    """The versions of vcsim whose verdicts are known."""
    return tuple(_table()["versions"])


@cache
def rows() -> Mapping[str, Row]:
    """What is known, by the id of the check."""
    return {name: _row(value) for name, value in _table()["checks"].items()}


@cache
def never() -> tuple[str, ...]:
    """What is never asked of a vcsim, because it hangs or dies of it."""
    return tuple(_table()["never"])


@cache
def _table() -> dict[str, dict[str, dict[str, str]]]:
    table: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return table


def _row(value: dict[str, str]) -> Row:
    verdict = value["verdict"]
    known = verdict if isinstance(verdict, dict) else dict.fromkeys(versions(), verdict)
    return Row(known, value.get("saw", ""), value.get("issue", ""))


def difference(found: Found, version: str) -> str:
    """How the verdict differs from what is known of that version, or ''."""
    wanted = rows()[found.check].verdicts[version]
    if found.verdict == wanted and found.verdict != UNREACHABLE:
        return ""
    saw = f" ({found.saw})" if found.saw else ""
    return f"{found.check} {found.verdict}{saw} on vcsim {version}, and {wanted} is noted"


def page() -> str:
    """The text of `docs/vcsim.md`."""
    return "\n".join([*_HEAD, *_sum(), "", *_chapters(), *_harmful()]) + "\n"


_HEAD = [
    "# Where vcsim departs from vSphere",
    "",
    "What the specification needs from the hypervisor's own API, judged through pyvmomi with our",
    "roles switched off, on vcsim as it is. Where a check departs, vmsim does it itself when it",
    "runs on vcsim. The demands are those of VMware's API documentation; no vCenter was at hand to",
    "confirm them. A verdict that changes, either way, fails",
    "`pytest features/vsphere --backend vcsim`.",
    "",
    "<!-- Written by `python -m features.vsphere --page > docs/vcsim.md`; not by hand. -->",
    "",
]


def _sum() -> Iterator[str]:
    for version in versions():
        found = [row.verdicts[version] for row in rows().values()]
        counts = ", ".join(f"{found.count(word)} {word}" for word in sorted(set(found)))
        yield f"- vcsim {version}: {len(found)} checks, {counts}"


def _chapters() -> Iterator[str]:
    for area in dict.fromkeys(check.area for check in CHECKS):
        yield from (f"## {area}", "")
        yield "| Check | vSphere | " + " | ".join(versions()) + " | vcsim | Clauses |"
        yield "|---|---|" + "---|" * len(versions()) + "---|---|"
        yield from (_line(check) for check in CHECKS if check.area == area)
        yield ""


def _line(check: Check) -> str:
    row = rows()[check.id]
    words = " | ".join(row.verdicts[version] for version in versions())
    saw = "" if set(row.verdicts.values()) == {CONFORMS} else row.saw
    link = f" {_link(row.issue)}" if row.issue else ""
    return f"| {check.id} | {check.says} | {words} | {saw}{link} | {', '.join(check.clauses)} |"


def _link(issue: str) -> str:
    return f"[govmomi #{issue}](https://github.com/vmware/govmomi/issues/{issue})"


def _harmful() -> Iterator[str]:
    yield from ("## Never asked", "", "What hangs or ends a vcsim is not asked of it:", "")
    yield from (f"- {line}" for line in never())
