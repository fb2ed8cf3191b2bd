"""Run what is missing of a design, on one processor or many, here or elsewhere.

An engine is a function and a row of ENGINES: it takes the shards that are to be run and calls back
when one is done. What a shard gives depends on the design alone, so engines differ in speed only,
and a run that was killed goes on with what is missing.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vmsim.loading import Plan
from vmsim.problems import BadInput, Problem, Unreachable
from vmsim.quantities import duration_s
from vmsim.running import Opened
from vmsim.whatif import store
from vmsim.whatif.design import Design, Shard
from vmsim.whatif.replication import Outcome, ready, replicate, seed_of
from vmsim.whatif.studies import WARM_UP, arranged

AT_MOST_HERE = 2
ROUNDS = 5
MOST_BLOCKS = 3_000_000
"""Some 300 MB. The objects of a run refer to each other, so they stay until they are collected; to
look for them after each shard would take twice the time."""
FOUND_WITHIN, WORKERS_WITHIN = "10s", "60s"


@dataclass(frozen=True, slots=True)
class Work:
    """A design, where its parts go, and how a backend is had."""

    design: Design
    folder: Path
    opened: Opened


@dataclass(frozen=True, slots=True)
class Engine:
    """Which engine, with how many workers (0: as many as processors), and where it is."""

    name: str = "auto"
    workers: int = 0
    address: str = ""


def plan_of(design: Design, cell: int, number: int) -> Plan:
    """The plan of one replication; BadInput if the cell is no valid scenario."""
    seed = seed_of(design.seed, number)
    settings = design.cells[cell].settings
    return ready(arranged(design.scenario, design.study, settings, seed), seed)


def replicated(design: Design, cell: int, number: int, opened: Opened, sink: Any = None) -> Outcome:
    """Run one replication; BadInput if the cell is no valid scenario."""
    made = plan_of(design, cell, number)
    warm_s = _warm_s(design.cells[cell].settings.get(WARM_UP, 0), made.scenario.spec.duration)
    return replicate(made, opened, sink, warm_s)


def _warm_s(given: Any, duration_of_run_s: float) -> float:
    try:
        found = 0.0 if given == 0 else duration_s(given)
    except (ValueError, TypeError):
        message = f"{given!r} is no duration, as in 10h, and not auto"
        raise BadInput([Problem(message, field=WARM_UP)]) from None
    if found >= duration_of_run_s:
        message = f"{given} leave nothing of a run of {duration_of_run_s:g} s"
        raise BadInput([Problem(message, field=WARM_UP)])
    return found


def outcome(design: Design, cell: int, number: int, opened: Opened) -> Outcome:
    """Run one replication; a cell that is no valid scenario gives a row with its problem."""
    try:
        return replicated(design, cell, number, opened)
    except BadInput as error:
        return Outcome({"seed": seed_of(design.seed, number), "problem": str(error)}, [])


def compute(work: Work, shard: Shard) -> str:
    """Run a shard unless its part is there; its key."""
    if not store.is_there(work.folder, shard):
        made = [outcome(work.design, *item, work.opened) for item in shard.items]
        store.save(work.folder, shard, made)
        if sys.getallocatedblocks() > MOST_BLOCKS:
            gc.collect()
    return shard.key


def missing(work: Work, chosen: Sequence[Shard]) -> list[Shard]:
    """Those of the shards that have no part yet."""
    return [shard for shard in chosen if not store.is_there(work.folder, shard)]


def run(
    work: Work,
    engine: Engine,
    chosen: Sequence[Shard],
    done: Callable[[int], None] = lambda count: None,
) -> None:
    """Run the missing ones of these shards; `done` is told how many are there by now."""
    todo = missing(work, chosen)
    count = len(chosen) - len(todo)
    done(count)
    if not todo:
        return
    name = _chosen(engine, work, todo)
    for _ in ENGINES[name](work, engine, todo):
        count += 1
        done(count)


def _chosen(engine: Engine, work: Work, todo: Sequence[Shard]) -> str:
    """`auto` stays in this process when that takes no longer than starting workers would."""
    if engine.name != "auto":
        return engine.name
    return "serial" if len(todo) < AT_MOST_HERE else "joblib"


def _serial(work: Work, engine: Engine, todo: Sequence[Shard]) -> Iterator[str]:
    for shard in todo:
        yield compute(work, shard)


def _joblib(work: Work, engine: Engine, todo: Sequence[Shard]) -> Iterator[str]:
    try:
        import joblib
        from joblib.externals.loky.process_executor import (
            TerminatedWorkerError,
        )
    except ImportError:
        yield from _serial(work, engine, todo)
        return
    workers = engine.workers or os.cpu_count() or 1
    parallel = joblib.Parallel(workers, batch_size=1, return_as="generator_unordered")
    try:
        yield from parallel(joblib.delayed(compute)(work, shard) for shard in todo)
    except TerminatedWorkerError:
        hint = "what is done is kept: the same command goes on"
        raise Unreachable(f"a worker process was killed; {hint}") from None


def _dask(work: Work, engine: Engine, todo: Sequence[Shard]) -> Iterator[str]:
    try:
        from dask.distributed import (
            Client,
            as_completed,
        )
    except ImportError:
        message = "the engine dask needs the package distributed"
        raise BadInput([Problem(message, hint="pip install 'vmsim[cluster]'")]) from None
    where: dict[str, Any] = (
        {"scheduler_file": engine.address}
        if Path(engine.address).exists()
        else {"address": engine.address}
    )
    try:
        client = Client(**where, timeout=FOUND_WITHIN)
    except (OSError, TimeoutError, ValueError) as error:
        raise Unreachable(f"no Dask scheduler at {engine.address!r}: {error}") from None
    with client:
        for _ in range(ROUNDS):
            shared = _scattered(client, work)
            futures = [client.submit(compute, shared, shard, pure=False) for shard in todo]
            yield from _kept(as_completed(futures))
            todo = missing(work, todo)
            if not todo:
                return
    hint = "what is done is kept: the same command goes on"
    raise Unreachable(f"workers were lost {ROUNDS} times; {hint}")


def _scattered(client: Any, work: Work) -> Any:
    """The work on every worker that there is, sent anew: one that was lost may have had it."""
    try:
        client.wait_for_workers(1, timeout=WORKERS_WITHIN)
        return client.scatter(work, broadcast=True, hash=False)
    except TimeoutError as error:
        raise Unreachable(f"the Dask scheduler has no workers: {error}") from None


def _kept(futures: Iterable[Any]) -> Iterator[str]:
    """The keys of those that ended well. What they give is not fetched: it may lie on a worker
    that is gone by now, and their parts are in the folder."""
    for future in futures:
        if future.status == "error":
            raise future.exception()
        if future.status == "finished":
            yield str(future.key)


ENGINES: Mapping[str, Callable[[Work, Engine, Sequence[Shard]], Iterable[str]]] = MappingProxyType(
    {"serial": _serial, "joblib": _joblib, "dask": _dask}
)
"""How shards may be run; `auto` picks one of the first two."""


def share_of(shards: Sequence[Shard], index: int, count: int) -> list[Shard]:
    """The shards of worker `index` (from 0) of `count`."""
    if not 0 <= index < count:
        raise BadInput([Problem(f"shard {index} of {count}: counted from 0", field="--shard")])
    return list(shards[index::count])


def index_here(environment: Mapping[str, str]) -> int | None:
    """The index that a Kubernetes Indexed Job or a SLURM array gave this process."""
    for name in ("JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID"):
        if environment.get(name, "").isdigit():
            return int(environment[name])
    return None


def engine_named(name: str, workers: int, address: str) -> Engine:
    """The engine; BadInput for an unknown one, and for dask without an address."""
    if name not in ("auto", *ENGINES):
        hint = f"one of auto, {', '.join(ENGINES)}"
        raise BadInput([Problem(f"there is no engine {name}", hint=hint)])
    if name == "dask" and not address:
        raise BadInput([Problem("dask needs --address", hint="tcp://host:8786, or a file")])
    return Engine(name, workers, address)
