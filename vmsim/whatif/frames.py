"""What is known of a run, as tables for other tools.

A frame is one of FRAMES: rows of equal columns, made from the history of a run. As an Arrow table
it goes into polars, pandas and DuckDB without a copy; as files it is CSV and Parquet.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from vmsim.problems import BadInput, Problem
from vmsim.whatif.history import History, Lane
from vmsim.whatif.metrics import METRICS, measured

if TYPE_CHECKING:
    import pyarrow as pa

Rows = Iterator[dict[str, Any]]


def _incidents(run: History) -> Rows:
    for incident in run.ledger.incidents:
        yield {**msgspec.structs.asdict(incident), "lasted_s": incident.lasted_s}


def _metrics(run: History) -> Rows:
    for name, value in measured(run.ledger).items():
        yield {"metric": name, "value": value, "unit": METRICS[name].unit,
               "means": METRICS[name].means}  # fmt: skip


def _states(lanes: Mapping[str, Lane]) -> Rows:
    for name, lane in lanes.items():
        for begin_s, end_s, state in lane.segments:
            yield {"name": name, "state": state, "begin_s": begin_s, "end_s": end_s}


def _levels(run: History) -> Rows:
    for name in ("cpu", "memory", "waiting", "stranded_cpu", "stranded_memory", "empty_hosts"):
        level = getattr(run, name)
        for at_s, value in zip(level.times_s, level.values, strict=True):
            yield {"level": name, "at_s": at_s, "value": value}


FRAMES: Mapping[str, Callable[[History], Rows]] = MappingProxyType(
    {
        "incidents": _incidents,
        "metrics": _metrics,
        "vms": lambda run: _states(run.vms),
        "hosts": lambda run: _states(run.hosts),
        "levels": _levels,
    }
)
"""Downtimes and waits with their phases; figures of the whole run; states of VMs and of hosts from
when to when; levels from one change to the next."""


def rows(run: History, name: str) -> list[dict[str, Any]]:
    """The rows of a frame; BadInput for a name that there is not."""
    if name not in FRAMES:
        hint = f"one of {', '.join(FRAMES)}"
        raise BadInput([Problem(f"there is no frame {name}", hint=hint)])
    return list(FRAMES[name](run))


def table(run: History, name: str) -> "pa.Table":
    """A frame as an Arrow table; BadInput without pyarrow."""
    found = rows(run, name)
    try:
        import pyarrow as pa
    except ImportError:
        hint = "pip install 'vmsim[whatif]'"
        raise BadInput([Problem("a frame needs the package pyarrow", hint=hint)]) from None
    return pa.Table.from_pylist(found)


def export(run: History, prefix: str, folder: Path) -> list[Path]:
    """Every frame as CSV, and as Parquet where pyarrow is there; the files."""
    paths = []
    for name in FRAMES:
        found = rows(run, name)
        path = folder / f"{prefix}-{name}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(found[0]) if found else [])
            writer.writeheader()
            writer.writerows(found)
        paths += [path, *_parquet(found, path.with_suffix(".parquet"))]
    return paths


def _parquet(found: list[dict[str, Any]], path: Path) -> Iterator[Path]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return
    pq.write_table(pa.Table.from_pylist(found), path, compression="zstd")
    yield path
