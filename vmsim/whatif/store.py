"""Where are the results of shards, and can they be trusted?

A part is one file per shard, written whole or not at all: first beside its place, then renamed. It
ends with its checksum. Several processes may write the same part at the same time: they write the
same bytes. A part that is cut off or changed is no part; it is computed again, so nobody waits
until a part is safe on the disk.
"""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.json import Decoder

from vmsim.problems import BadInput, Problem
from vmsim.whatif.design import Design, Shard
from vmsim.whatif.replication import Outcome

T = TypeVar("T")
CHECKSUM = 64


class _Row(msgspec.Struct):
    """An outcome without its incidents, which may be a thousand times as much."""

    row: dict[str, Any]


_OUTCOMES, _ROWS = Decoder(list[Outcome]), Decoder(list[_Row])


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
        beside.write_bytes(body)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        hint = "free some space, or give another --out" if error.errno == errno.ENOSPC else ""
        reason = error.strerror or str(error)
        raise BadInput([Problem(f"cannot write: {reason}", file=str(path), hint=hint)]) from None


def is_there(folder: Path, shard: Shard) -> bool:
    """Whether the shard needs no work."""
    return _whole(folder, shard) is not None


def _whole(folder: Path, shard: Shard) -> bytes | None:
    """What a part says; None when there is none, or its checksum is another."""
    try:
        raw = part(folder, shard).read_bytes()
    except OSError:
        return None
    body, mark = raw[:-CHECKSUM], raw[-CHECKSUM:]
    return body if hashlib.sha256(body).hexdigest().encode() == mark else None


def results(folder: Path, design: Design) -> Iterator[tuple[int, int, Outcome]]:
    """What there is, as (cell, replication, outcome), in this order, part by part."""
    return _read(folder, design, _OUTCOMES)


def rows(folder: Path, design: Design) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """The rows of what there is, as (cell, replication, row), in this order."""
    return ((cell, number, one.row) for cell, number, one in _read(folder, design, _ROWS))


def _read(folder: Path, design: Design, decoder: Decoder[list[T]]) -> Iterator[tuple[int, int, T]]:
    parts: list[list[Shard]] = [[] for _ in design.cells]
    for shard in design.shards():
        for cell in range(shard.begin, shard.end):
            parts[cell].append(shard)
    kept: dict[str, list[T]] = {}  # parts that belong to later cells, too
    for cell, shards in enumerate(parts):
        for shard in shards:
            body = None if shard.key in kept else _whole(folder, shard)
            if body is not None:
                kept[shard.key] = decoder.decode(body)
            found = kept.get(shard.key, [])
            if cell + 1 == shard.end:
                kept.pop(shard.key, None)
            numbers = range(shard.first, shard.stop)
            first = (cell - shard.begin) * len(numbers)
            for number, one in zip(numbers, found[first:], strict=False):
                yield cell, number, one


def rows_digest(rows: list[dict[str, Any]]) -> str:
    """SHA-256 of rows in their order: the same whatever engine made them."""
    return hashlib.sha256(msgspec.json.encode(rows, order="sorted")).hexdigest()
