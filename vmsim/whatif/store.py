"""Where are the results of shards, and can they be trusted?

A part is one file per shard, written whole or not at all: first beside its place, then renamed. It
ends with its checksum. Several processes may write the same part at the same time: they write the
same bytes. A part that is cut off or changed is no part; it is computed again.
"""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from vmsim.problems import BadInput, Problem
from vmsim.whatif.design import Design, Shard
from vmsim.whatif.incidents import Incident
from vmsim.whatif.replication import Outcome

_DECODE = msgspec.json.Decoder(list[Outcome])
CHECKSUM = 64


def part(folder: Path, shard: Shard) -> Path:
    """Where the shard's results are, or will be."""
    return folder / "parts" / f"{shard.key}.json"


def save(folder: Path, shard: Shard, outcomes: list[Outcome]) -> None:
    """Write a part whole or not at all; BadInput if the folder cannot take it."""
    path = part(folder, shard)
    body = msgspec.json.encode(outcomes) + b"\n"
    body += hashlib.sha256(body).hexdigest().encode()
    beside = path.with_name(f".{shard.key[:16]}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        hint = "free some space, or give another --out" if error.errno == errno.ENOSPC else ""
        reason = error.strerror or str(error)
        raise BadInput([Problem(f"cannot write: {reason}", file=str(path), hint=hint)]) from None


def load(folder: Path, shard: Shard) -> list[Outcome] | None:
    """The outcomes of a shard, or None when there is no such part that is whole."""
    try:
        raw = part(folder, shard).read_bytes()
    except OSError:
        return None
    body, mark = raw[:-CHECKSUM], raw[-CHECKSUM:]
    if hashlib.sha256(body).hexdigest().encode() != mark:
        return None
    outcomes = _DECODE.decode(body)
    return outcomes if len(outcomes) == len(list(shard.items)) else None


def is_there(folder: Path, shard: Shard) -> bool:
    """Whether the shard needs no work."""
    return load(folder, shard) is not None


def results(folder: Path, design: Design) -> Iterator[tuple[int, int, Outcome]]:
    """What there is, as (cell, replication, outcome), in this order."""
    found = []
    for shard in design.shards():
        outcomes = load(folder, shard)
        if outcomes is not None:
            pairs = zip(shard.items, outcomes, strict=True)
            found += [(cell, number, outcome) for (cell, number), outcome in pairs]
    return iter(sorted(found, key=lambda one: one[:2]))


def rows_digest(rows: list[dict[str, Any]]) -> str:
    """SHA-256 of rows in their order: the same whatever engine made them."""
    return hashlib.sha256(msgspec.json.encode(rows, order="sorted")).hexdigest()


def incident_rows(found: Iterator[tuple[int, int, Outcome]]) -> Iterator[dict[str, Any]]:
    """One row per incident, with its cell and replication."""
    for cell, number, outcome in found:
        for incident in outcome.incidents:
            assert isinstance(incident, Incident)
            yield {
                "cell": cell,
                "replication": number,
                **msgspec.structs.asdict(incident),
                "lasted_s": incident.lasted_s,
            }
