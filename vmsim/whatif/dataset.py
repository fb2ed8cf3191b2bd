"""The results of a design as a Parquet dataset: a row per replication, a row per VM incident.

Both files carry the design's id, the version and the units in their metadata, and have the same
columns for every scenario. The rows are in the order of the design, so the same design gives the
same bytes, whoever ran it.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from vmsim.problems import BadInput, Problem
from vmsim.whatif import store
from vmsim.whatif.design import Design
from vmsim.whatif.incidents import Incident
from vmsim.whatif.metrics import METRICS
from vmsim.whatif.replication import Outcome

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS = ("because", "worst_vm", "waiting", "blocking", "digest", "problem")
COMPRESSION = "zstd"


def rows(design: Design, results: Sequence[tuple[int, int, Outcome]]) -> Iterator[dict[str, Any]]:
    """One row per replication: where it belongs, what was set, what came out."""
    for cell, number, outcome in results:
        row = outcome.row
        yield {
            "cell": cell,
            "replication": number,
            "settings": json.dumps(design.cells[cell].settings, sort_keys=True),
            "seed": row["seed"],
            "records": row.get("records", 0),
            **{name: row.get(name, "") for name in TEXTS},
            **{name: row.get(name) for name in METRICS},
        }


def write(design: Design, results: Sequence[tuple[int, int, Outcome]], folder: Path) -> list[Path]:
    """Write replications.parquet and incidents.parquet; BadInput without pyarrow."""
    pa, pq = _arrow()
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "replications": pa.Table.from_pylist(
            list(rows(design, results)), schema=_replications(pa, design)
        ),
        "incidents": pa.Table.from_pylist(
            list(store.incident_rows(iter(results))), schema=_incidents(pa, design)
        ),
    }
    paths = []
    for name, table in tables.items():
        path = folder / f"{name}.parquet"
        beside = path.with_suffix(".parquet.part")
        pq.write_table(table, beside, compression=COMPRESSION)
        beside.replace(path)
        paths.append(path)
    return paths


def columns(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """These columns of replications.parquet as float arrays, NaN where there is no value;
    BadInput if there is no such file."""
    _, pq = _arrow()
    path = folder / "replications.parquet"
    try:
        table = pq.read_table(path, columns=list(names))
    except (OSError, ValueError) as error:
        hint = f"`vmsim sweep merge {folder}` writes it"
        reason = str(error).partition("\n")[0]
        raise BadInput([Problem(f"cannot read: {reason}", file=str(path), hint=hint)]) from None
    return {name: table.column(name).cast("float64").to_numpy() for name in names}


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        hint = "pip install 'vmsim[whatif]'"
        raise BadInput([Problem("Parquet needs the package pyarrow", hint=hint)]) from None
    return pa, pq


def provenance(design: Design) -> dict[bytes, bytes]:
    """What the files say about where they come from."""
    said = {
        "design": design.id,
        "suite": design.suite,
        "scenario": design.name,
        "study": design.study,
        "seed": design.seed,
        "units": {name: metric.unit for name, metric in METRICS.items()},
    }
    return {b"vmsim": json.dumps(said, sort_keys=True).encode()}


def _replications(pa: Any, design: Design) -> "pa.Schema":
    fields = [
        ("cell", pa.int32()),
        ("replication", pa.int32()),
        ("settings", pa.string()),
        ("seed", pa.int64()),
        ("records", pa.int64()),
        *((name, pa.string()) for name in TEXTS),
        *((name, pa.float64()) for name in METRICS),
    ]
    return pa.schema(fields, metadata=provenance(design))


def _incidents(pa: Any, design: Design) -> "pa.Schema":
    kinds = {str: pa.string(), float: pa.float64(), bool: pa.bool_()}
    fields = [("cell", pa.int32()), ("replication", pa.int32())]
    fields += [(one.name, kinds[one.type]) for one in msgspec.structs.fields(Incident)]
    return pa.schema([*fields, ("lasted_s", pa.float64())], metadata=provenance(design))
