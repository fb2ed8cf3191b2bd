"""Does the same scenario, run again, tell the same story?

The header of a trace holds the whole scenario, so nothing but the trace is needed: it is run
again on the same kind of backend, and the records are compared one by one.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from vmsim.documents import Document, Lines
from vmsim.expectations import clock
from vmsim.loading import plan
from vmsim.running import How, Opened, run
from vmsim.trace import Record, read, read_header


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether the replay told the same story, and what to print about it."""

    same: bool
    text: str


def replay(path: Path, opened: Opened) -> Outcome:
    """Run the scenario of the trace at `path` again and compare; BadInput if it is no trace."""
    header = read_header(path)
    document = Document(header["scenario"], str(path), Lines(1))
    expected = list(read(path))
    seen: list[Record] = []
    result = run(plan(document, path.parent), How(header["backend"]), opened, seen.append)
    for old, new in zip(expected, seen, strict=False):
        if old != new:
            return Outcome(False, _difference(old, new))
    if len(expected) > len(seen):
        return Outcome(False, f"the replay ends {len(expected) - len(seen)} records earlier")
    if len(expected) < len(seen):
        stop = clock(seen[len(expected)].t)
        return Outcome(True, f"the same {len(expected)} records; the trace stops before {stop}")
    return Outcome(True, f"the same {result.records} records, digest {result.digest}")


def _difference(old: Record, new: Record) -> str:
    encode = msgspec.json.encode
    lines = (
        f"record {old.n} at {clock(old.t)} differs",
        f"  trace   {encode(old).decode()}",
        f"  replay  {encode(new).decode()}",
    )
    return "\n".join(lines)
