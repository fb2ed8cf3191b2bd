"""Sweeps: what a second processor gives, and how long a million rows take to add up.

    python -m bench.sweeping scale WORKERS FOLDER   replications of `year-of-failures`
    python -m bench.sweeping rows COUNT FOLDER      the summary of so many rows

Seconds are those of the clock, since that is what a second processor is for; imports, and the
start of the workers, are not counted.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from backends import opened
from vmsim.loading import load
from vmsim.shell import scenario_path
from vmsim.whatif import store, working
from vmsim.whatif.design import Cell, Design, suite
from vmsim.whatif.metrics import METRICS
from vmsim.whatif.summary import summary
from vmsim.whatif.working import Engine, Work

REPLICATIONS, PER_SHARD = 64, 2
CELLS = 1_000


def design(replications: int, seed: int) -> Design:
    """So many years of failures of a small cluster with its VMs."""
    scenario = load(scenario_path("year-of-failures")).resolved
    return Design(scenario, [Cell({})], replications, seed, "", PER_SHARD, suite())


def scale(workers: int, folder: Path) -> dict[str, Any]:
    """Seconds for all replications with so many workers that run already."""
    engine = Engine("joblib", workers)
    first = design(PER_SHARD * workers, 2)
    working.run(Work(first, folder / f"first-{workers}", opened), engine, first.shards())
    made = design(REPLICATIONS, 1)
    where = folder / f"scale-{workers}"
    begun_s = time.perf_counter()
    working.run(Work(made, where, opened), engine, made.shards())
    wall_s = time.perf_counter() - begun_s
    rows = [row for _, _, row in store.rows(where, made)]
    return {"wall_s": wall_s, "digest": store.rows_digest(rows)}


def rows(count: int, folder: Path) -> dict[str, Any]:
    """Seconds to add up so many rows in a thousand cells, three metrics, from a file of all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = np.random.default_rng(1)
    columns: dict[str, Any] = {"cell": np.repeat(np.arange(CELLS, dtype="i4"), count // CELLS)}
    columns |= {name: chance.exponential(100.0, count) for name in METRICS}
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "replications.parquet", compression="zstd")
    del columns
    begun_s = time.perf_counter()
    lines = list(summary(folder, ["downtime_s", "waiting_worst", "makespan_s"]))
    wall_s = time.perf_counter() - begun_s
    return {"wall_s": wall_s, "lines": len(lines)}


if __name__ == "__main__":
    acts = {"scale": scale, "rows": rows}
    print(json.dumps(acts[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))))
