"""Which VMs come, after which pause, of which kind, and for how long?

A workload is either drawn (pauses, lifetimes and kinds each from a stream of their own, so that
another lifetime does not move the arrivals) or read from a recording. Both give the same values,
one per VM; making the VMs is somebody else's work.
"""

import csv
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeAlias

from vmsim.distributions import Law, constant, draws
from vmsim.quantities import duration_s
from vmsim.rng import stream

Row: TypeAlias = tuple[float, float | None, str]
"""Arrival and lifetime in seconds (None: it stays), class ('': the workload's own)."""

ROWS_MAX = 10_000_000
AT_ONCE = constant(0.0)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A VM that comes `pause_s` after the one before, is of the kind `kind` (a row of the
    workload's kinds) and goes after `lifetime_s` (None: it stays)."""

    pause_s: float
    kind: int
    lifetime_s: float | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A workload that is drawn: `name` names its streams, `weights` has one weight per kind."""

    name: str
    count: int
    every: Law = AT_ONCE
    lifetime: Law | None = None
    weights: tuple[float, ...] = (1.0,)

    def arrivals(self, seed: int) -> Iterator[Arrival]:
        """Its VMs in order; the first comes without a pause."""
        pauses = draws(self.every, stream(seed, f"{self.name}/every"))
        lives = self._lifetimes(seed)
        kinds = self._kinds(seed)
        for number in range(self.count):
            pause_s = next(pauses) if number else 0.0
            yield Arrival(pause_s, next(kinds), next(lives))

    def _lifetimes(self, seed: int) -> Iterator[float | None]:
        if self.lifetime is not None:
            yield from draws(self.lifetime, stream(seed, f"{self.name}/lifetime"))
        while True:
            yield None

    def _kinds(self, seed: int) -> Iterator[int]:
        limits = list(accumulate(self.weights))
        rng = stream(seed, f"{self.name}/mix")
        while True:
            if len(limits) == 1:
                yield 0
            else:
                yield bisect_right(limits, rng.random() * limits[-1], hi=len(limits) - 1)


def recorded(rows: Iterable[Row], kinds: Mapping[str, int]) -> Iterator[Arrival]:
    """The VMs of a recording, in order of arrival; `kinds` has the row of each class."""
    before_s = 0.0
    for arrival_s, lifetime_s, name in rows:
        yield Arrival(arrival_s - before_s, kinds[name], lifetime_s)
        before_s = arrival_s


def kinds(
    spec: Mapping[str, Any],
    shares: Iterable[Mapping[str, Any]],
    rows: Iterable[Row] | None,
    classes: Mapping[str, str],
) -> dict[str, dict[str, Any]]:
    """The VM specs of a workload by the label of their kind: one for each class of a recording,
    or for each share of a mix, or just its own."""
    if rows is not None:
        names = dict.fromkeys(row[2] for row in rows)
        return {
            name: {**spec, "className": classes.get(name, name)} if name else dict(spec)
            for name in names
        }
    mixed = [{**spec, **share} for share in shares] or [dict(spec)]
    return {str(number): each for number, each in enumerate(mixed)}


def read_recording(path: Path) -> list[Row]:
    """The rows of a CSV or parquet file, sorted by arrival; ValueError says what is wrong."""
    if path.suffix.lower() in (".parquet", ".pq"):
        found = _parquet(path)
    else:
        with path.open(newline="", encoding="utf-8-sig") as file:
            found = [_row(line, row) for line, row in enumerate(_table(file), start=2)]
    if not found:
        raise ValueError("no arrivals in it")
    return sorted(found, key=lambda row: row[0])


def _table(file: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    reader = csv.DictReader(file)
    _check_columns(reader.fieldnames or [])
    for number, row in enumerate(reader):
        if number >= ROWS_MAX:
            raise ValueError(f"more than {ROWS_MAX:,} arrivals")
        yield row


def _parquet(path: Path) -> list[Row]:
    try:
        from pyarrow import parquet  # an extra
    except ImportError:
        hint = "pip install 'vmsim[traces]', or convert the file to CSV"
        raise ValueError(f"reading parquet needs pyarrow: {hint}") from None
    table = parquet.read_table(path)
    _check_columns(table.column_names)
    return [_row(number, row) for number, row in enumerate(table.to_pylist(), start=1)]


def _check_columns(names: Iterable[str]) -> None:
    missing = [name for name in ("arrival", "lifetime") if name not in names]
    if missing:
        raise ValueError(f"columns arrival and lifetime are expected, {missing[0]} is missing")


def _row(line: int, row: Mapping[str, Any]) -> Row:
    try:
        arrival_s = _seconds(row["arrival"])
        lifetime_s = None if row["lifetime"] in (None, "") else _seconds(row["lifetime"])
    except ValueError as error:
        raise ValueError(f"row {line}: {error}") from None
    return arrival_s, lifetime_s, str(row.get("class") or "")


def _seconds(value: Any) -> float:
    """Seconds of a number, or of a duration with a unit."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return duration_s(value)
    if not math.isfinite(seconds):
        raise ValueError(f"{value} is not a time")
    return duration_s(seconds, bare_seconds=True)
