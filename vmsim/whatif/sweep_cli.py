"""`vmsim sweep`: plan once, run anywhere and as often as it takes, then merge.

vmsim sweep plan experiment.yaml -o runs/e1
vmsim sweep run runs/e1                      here, on all processors
vmsim sweep run runs/e1 --shard 0/8          one of eight machines
vmsim sweep status runs/e1
vmsim sweep merge runs/e1
vmsim sweep summary runs/e1
"""

import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmsim.problems import BadInput, Problem
from vmsim.shell import FAILED, INCONCLUSIVE, exit_codes, scenario_path
from vmsim.whatif.whatif_cli import Address, EngineName, Sets, Varies, Workers

if TYPE_CHECKING:
    from vmsim.loading import Plan
    from vmsim.whatif.design import Design
    from vmsim.whatif.experiment import ExperimentSpec

PLAN = "plan.json"

app = typer.Typer(help="Plan, run and merge experiments, on one machine or many.",
                  no_args_is_help=True)  # fmt: skip

Folder = Annotated[Path, typer.Argument(help="The folder that `vmsim sweep plan` made.")]


class Where(StrEnum):
    """What manifests there are."""

    K8S = "k8s"
    SLURM = "slurm"


@app.command()
def plan(  # noqa: PLR0913 - one parameter per option of the command line
    source: Annotated[str, typer.Argument(help="An experiment or scenario file, or a name.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the plan and results.")],
    study: Annotated[str, typer.Option(help="Arrange it as this study does.")] = "",
    sets: Sets = None,
    vary: Varies = None,
    replications: Annotated[int | None, typer.Option(help="Runs of each cell.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="What chance is drawn from.")] = None,
) -> None:
    """Write down all that has to be run; the same input gives the same plan everywhere."""
    with exit_codes():
        from backends import opened
        from vmsim.whatif import design, experiment, warmup

        base, given = _experiment(source, study)
        given = _amended(given, sets or [], vary or [], (replications, seed))
        made = experiment.designed(given, lambda name: _load(base, name), opened)
        design.write(made, out / PLAN)
        shards = len(made.shards())
        print(f"{len(made.cells)} cells, {made.replications} replications, {shards} shards")
        print(f"plan {made.id}")
        print("".join(f"{line}\n" for line in warmup.said(made, [])), end="")
        print(f"vmsim sweep run {shlex.quote(str(out))}")


def _experiment(source: str, study: str) -> tuple[Path, "ExperimentSpec"]:
    from vmsim.whatif import experiment

    path = scenario_path(source)
    given = experiment.read(path)
    if given is None:
        given = experiment.ExperimentSpec(base=str(path.absolute()), study=study)
    elif study:
        given = given.model_copy(update={"study": study})
    return path.parent, given


def _amended(
    given: "ExperimentSpec",
    sets: list[str],
    vary: list[str],
    counts: tuple[int | None, int | None],
) -> "ExperimentSpec":
    """The experiment with what the command line says on top."""
    from vmsim.whatif.asking import counted, factors
    from vmsim.whatif.paths import setting

    settings = given.settings | {one.path: one.value for one in map(setting, sets)}
    update: dict[str, Any] = {"settings": settings, "factors": given.factors | factors(vary)}
    if counts[0] is not None:
        update["replications"] = counted(counts[0])
    if counts[1] is not None:
        update["seed"] = counts[1]
    return given.model_copy(update=update)


def _load(base: Path, name: str) -> "Plan":
    from vmsim.loading import load

    beside = base / name
    return load(beside if beside.exists() else scenario_path(name))


@app.command()
def run(  # noqa: PLR0913 - one parameter per option of the command line
    folder: Folder,
    shard: Annotated[str, typer.Option(help="i/N: every N-th shard from the i-th, from 0.")] = "",
    of: Annotated[
        int, typer.Option(min=0, help="N, where JOB_COMPLETION_INDEX or SLURM gives i.")
    ] = 0,
    engine: EngineName = "auto",
    workers: Workers = 0,
    address: Address = "",
) -> None:
    """Run what is missing. Killed, it goes on where it was when it is run again."""
    with exit_codes():
        from backends import opened
        from vmsim.whatif import design, working

        work = working.Work(design.read(folder / PLAN), folder, opened)
        chosen = _chosen(work.design, shard, of)
        total = len(chosen)
        from vmsim.whatif.whatif_cli import bar

        with bar() as progress:
            task = progress.add_task("shards", total=total, width="")
            working.run(
                work,
                working.engine_named(engine, workers, address),
                chosen,
                lambda count: progress.update(task, completed=count),
            )
        print(f"{total} of {total} shards are there")


def _chosen(design: "Design", shard: str, of: int) -> list[Any]:
    from vmsim.whatif import working

    shards = design.shards()
    here = working.index_here(os.environ)
    if shard:
        index, slash, count = shard.partition("/")
        if not (index.isdigit() and slash and count.isdigit()):
            raise BadInput([Problem("write it as i/N", field=f"--shard {shard}")])
        return working.share_of(shards, int(index), int(count))
    if here is not None:
        return working.share_of(shards, here, of or len(shards))
    return shards


@app.command()
def status(folder: Folder) -> None:
    """Say what is there and what is missing; exit code 3 while something is."""
    with exit_codes():
        from vmsim.whatif import design, store

        made = design.read(folder / PLAN)
        shards = made.shards()
        missing = [one for one in shards if not store.is_there(folder, one)]
        print(f"plan {made.id}: {len(shards) - len(missing)} of {len(shards)} shards are there")
        for one in missing[:20]:
            print(f"missing: cells {one.begin}-{one.end - 1}, "
                  f"replications {one.first}-{one.stop - 1}")  # fmt: skip
        raise typer.Exit(INCONCLUSIVE if missing else 0)


@app.command()
def merge(
    folder: Folder,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="By default the folder.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Take what is there.")] = False,
) -> None:
    """Write the Parquet files and print the digest of all rows; the order of runs is no matter."""
    with exit_codes():
        from vmsim.whatif import dataset, design, store

        made = design.read(folder / PLAN)
        shards = made.shards()
        missing = [one for one in shards if not store.is_there(folder, one)]
        if missing and not partial:
            hint = f"`vmsim sweep run {folder}` first, or --partial"
            message = f"only {len(shards) - len(missing)} of {len(shards)} shards are there"
            raise BadInput([Problem(message, file=str(folder), hint=hint)])
        paths, rows = dataset.write(made, store.results(folder, made), out or folder)
        for path in paths:
            print(path)
        problems = {row["cell"]: row["problem"] for row in rows if row["problem"]}
        for cell, text in problems.items():
            print(f"cell {cell} ({made.cells[cell]}) cannot be run: {text}")
        print(f"digest {store.rows_digest(rows)}")
        raise typer.Exit(FAILED if problems else 0)


@app.command()
def summary(
    folder: Folder,
    metric: Annotated[
        list[str] | None, typer.Option(help="A metric; by default the study's.")
    ] = None,
) -> None:
    """Print the mean of each cell with its 95 % interval, from what `merge` wrote."""
    with exit_codes():
        from vmsim.whatif import design, summary
        from vmsim.whatif.answers import label, number, plain
        from vmsim.whatif.metrics import METRICS
        from vmsim.whatif.studies import STUDIES

        made = design.read(folder / PLAN)
        study = STUDIES.get(made.study)
        names = metric or [study.metric if study else "downtime_s"]
        for one in summary.summary(folder, names):
            cell, unit = label(made.cells[one.cell].settings), METRICS[one.metric].unit
            if not one.figure.count:
                print(f"{cell}: cannot be run: `vmsim sweep merge {folder}` says why")
                continue
            ends = f"from {plain(one.least, unit)} to {plain(one.most, unit)}"
            count = f"{one.figure.count} runs"
            print(f"{cell}: {one.metric} {number(one.figure, unit)}; {ends} in {count}")


@app.command()
def render(
    where: Annotated[Where, typer.Argument(help="k8s or slurm.")],
    folder: Folder,
    count: Annotated[int, typer.Option(min=1, help="Processes.")] = 8,
    image: Annotated[str, typer.Option(help="An image with vmsim as its entry point.")] = "vmsim",
    claim: Annotated[str, typer.Option(help="The volume claim that holds the folder.")] = "sweep",
) -> None:
    """Print the manifest that runs the plan on Kubernetes or SLURM."""
    with exit_codes():
        from vmsim.whatif import design, rendering

        made = design.read(folder / PLAN)
        count = min(count, len(made.shards()))
        short = made.id[:12]
        if where is Where.K8S:
            print(rendering.kubernetes(short, count, image, claim), end="")
        else:
            print(rendering.slurm(short, count, shlex.quote(str(folder.absolute()))))
