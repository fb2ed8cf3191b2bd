"""The results of a design as a Parquet dataset: a row per replication, a row per VM incident.

Both files carry the design's id, the version and the units in their metadata, and have the same
columns for every scenario. The rows are in the order of the design, so the same design gives the
same bytes, whoever ran it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from vmsim.problems import BadInput, Problem
from vmsim.whatif.design import Design
from vmsim.whatif.incidents import Incident
from vmsim.whatif.metrics import METRICS
from vmsim.whatif.replication import Outcome

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS = (
    "because", "kept_off", "took", "worst_vm", "waiting", "blocking", "by_class", "digest",
    "problem",
)  # fmt: skip
COMPRESSION = "zstd"
ROW_GROUP = 100_000
Results = Iterable[tuple[int, int, Outcome]]


def rows(design: Design, found: Iterable[tuple[int, int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """One row per replication: where it belongs, what was set, what came out."""
    return [
        {
            "cell": cell,
            "replication": number,
            "settings": json.dumps(design.cells[cell].settings, sort_keys=True),
            "seed": row["seed"],
            "records": row.get("records", 0),
            **{name: row.get(name, "") for name in TEXTS},
            **{name: row.get(name) for name in METRICS},
        }
        for cell, number, row in found
    ]


def write(
    design: Design, results: Results, folder: Path
) -> tuple[list[Path], list[dict[str, Any]]]:
    """Write replications.parquet and incidents.parquet; their paths, and the rows of the former.

    Incidents, of which there may be millions, are written as they come. BadInput without pyarrow.
    """
    pa, pq = _arrow()
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "replications.parquet", folder / "incidents.parquet"]
    begun = [path.with_suffix(".parquet.part") for path in paths]
    made, schema = [], _incidents(pa, design)
    with pq.ParquetWriter(begun[1], schema, compression=COMPRESSION) as file:
        for chunk in _chunks(results):
            made += rows(design, ((cell, number, one.row) for cell, number, one in chunk))
            file.write_table(_table(pa, schema, chunk))
    table = pa.Table.from_pylist(made, schema=_replications(pa, design))
    pq.write_table(table, begun[0], compression=COMPRESSION)
    for beside, path in zip(begun, paths, strict=True):
        beside.replace(path)
    return paths, made


def _chunks(results: Results) -> Iterator[list[tuple[int, int, Outcome]]]:
    """Results with about as many incidents as a row group shall have."""
    chunk, count = [], 0
    for one in results:
        chunk.append(one)
        count += len(one[2].incidents)
        if count >= ROW_GROUP:
            yield chunk
            chunk, count = [], 0
    yield chunk


def _table(pa: Any, schema: "pa.Schema", chunk: list[tuple[int, int, Outcome]]) -> "pa.Table":
    """One row per incident, with its cell and replication."""
    counts = [len(outcome.incidents) for _, _, outcome in chunk]
    where = [np.repeat([one[column] for one in chunk], counts) for column in (0, 1)]
    fields = attrgetter(*schema.names[2:])
    found = [fields(incident) for _, _, outcome in chunk for incident in outcome.incidents]
    columns = [*where, *zip(*found, strict=True)] if found else [()] * len(schema)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


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
