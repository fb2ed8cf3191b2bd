"""Sweeps: what a replication costs, what a second processor gives, and how long a million rows
take to add up.

    python -m bench.sweeping years COUNT FOLDER     replications of a year of 64 hosts
    python -m bench.sweeping scale WORKERS FOLDER   replications of `year-of-failures`
    python -m bench.sweeping rows COUNT FOLDER      the summary of so many rows

`years` has the hosts, VMs and failures of `bench.year`, as a scenario that anybody can run: its VMs
come in the first instant and are created and powered on. A replication leaves a row of all metrics,
the digest of its trace and its incidents, in a part of the sweep's folder. Its seconds are those of
the processor, and one replication before is not counted. The others are seconds of the clock, since
that is what a second processor is for; imports, and the start of the workers, are not counted.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from backends import opened
from bench import system, year
from vmsim.documents import Document, Lines
from vmsim.loading import Plan, load, plan
from vmsim.shell import scenario_path
from vmsim.whatif import store, working
from vmsim.whatif.design import Cell, Design, suite
from vmsim.whatif.metrics import METRICS
from vmsim.whatif.summary import summary
from vmsim.whatif.working import Engine, Work

HOSTS = 64
REPLICATIONS, PER_SHARD = 64, 2
CELLS = 1_000


def loaded(hosts: int) -> Plan:
    """The year of failures of `bench.year`, with its VMs as a recording of arrivals."""
    made = year.scenario(hosts)
    rows = [(0.0, None, system.class_name(*size)) for size in year.sizes(hosts)]
    wanted = {"imageName": system.IMAGE, "storageClass": system.STORAGE}
    made["spec"]["workload"] = [{"name": "vm-{}", "spec": wanted, "trace": {"rows": rows}}]
    return plan(Document(made, "year", Lines(0)), Path())


def years(count: int, folder: Path) -> dict[str, Any]:
    """Milliseconds of the processor for each of so many replications, in one shard."""
    made = Design(loaded(HOSTS).resolved, [Cell({})], count, 1, "", count, suite())
    working.outcome(made, 0, count, opened)
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        work = Work(made, Path(fresh), opened)
        begun_s = time.process_time()
        working.compute(work, made.shards()[0])
        cpu_s = time.process_time() - begun_s
        digest = store.rows_digest([row for _, _, row in store.rows(work.folder, made)])
    return {"ms_per_replication": round(1e3 * cpu_s / count, 1), "digest": digest}


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
    acts = {"years": years, "scale": scale, "rows": rows}
    print(json.dumps(acts[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))))
