"""Sweeps that are killed, raced, spoiled or spread over engines give the same result."""

import gc
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from backends import opened
from vmsim.cli import app
from vmsim.kube import Denial
from vmsim.loading import load
from vmsim.problems import BadInput, Unreachable
from vmsim.simulate import System
from vmsim.whatif import dataset, design, rendering, store, whatif_cli, working
from vmsim.whatif.answers import Answer
from vmsim.whatif.design import Cell, Design, suite
from vmsim.whatif.statistics import mean
from vmsim.whatif.summary import summary
from vmsim.whatif.working import Engine, Work

SCENARIOS = Path(__file__).parent.parent / "scenarios"


def sweep(cells: int = 2, replications: int = 4, per_shard: int = 2) -> Design:
    scenario = load(SCENARIOS / "gpu-stranded.yaml").resolved
    pauses = [
        Cell({"host": "esx-1", "policies.retry.longest": f"{60 * (n + 1)}s"}) for n in range(cells)
    ]
    return Design(scenario, pauses, replications, 1, "retry-policy", per_shard, suite())


def ran(plan: Design, folder: Path, engine: str = "serial", workers: int = 0) -> str:
    working.run(Work(plan, folder, opened), Engine(engine, workers), plan.shards())
    return digest(plan, folder)


def digest(plan: Design, folder: Path) -> str:
    rows = dataset.rows(plan, store.rows(folder, plan))
    assert len(rows) == len(plan.cells) * plan.replications
    return store.rows_digest(rows)


def systems() -> int:
    """How many runs are in memory."""
    return sum(isinstance(one, System) for one in gc.get_objects())


def started(folder: Path, *words: str, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "vmsim", "sweep", "run", str(folder), *words]
    return subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)


Processes = list[subprocess.Popen[bytes]]


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Those that are started end with the test, however it ends."""
    found: Processes = []
    yield found
    for one in found:
        one.kill()
        one.wait()


def parts(folder: Path) -> int:
    return len(list((folder / "parts").glob("*.json")))


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def test_engines_and_shard_sizes_give_the_same_rows(tmp_path: Path) -> None:
    one = ran(sweep(per_shard=1), tmp_path / "one")
    other = ran(sweep(per_shard=3), tmp_path / "other", "joblib", 2)
    assert one == other


def test_killed_run_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, processes: Processes
) -> None:
    plan = sweep(3, 40, 2)
    design.write(plan, tmp_path / "plan.json")
    process = started(tmp_path, "--engine", "serial")
    processes.append(process)
    wait_for(lambda: parts(tmp_path) >= 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = parts(tmp_path)
    assert 3 <= there < len(plan.shards())

    assert ran(plan, tmp_path) == ran(plan, tmp_path / "undisturbed")
    first, _ = dataset.write(plan, store.results(tmp_path, plan), tmp_path / "a")
    second, _ = dataset.write(plan, store.results(tmp_path / "undisturbed", plan), tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_two_processes_race_over_one_folder_and_one_is_killed(
    tmp_path: Path, processes: Processes
) -> None:
    plan = sweep(2, 40, 2)
    design.write(plan, tmp_path / "plan.json")
    racers = [started(tmp_path, "--engine", "serial") for _ in range(2)]
    processes += racers
    wait_for(lambda: parts(tmp_path) >= 2)
    racers[0].send_signal(signal.SIGKILL)
    assert [racer.wait() for racer in racers] == [-signal.SIGKILL, 0]

    assert digest(plan, tmp_path) == ran(plan, tmp_path / "alone")


def test_indexed_processes_share_the_work(tmp_path: Path) -> None:
    plan = sweep(2, 8, 1)
    design.write(plan, tmp_path / "plan.json")
    one = started(tmp_path, "--of", "2", JOB_COMPLETION_INDEX="0")
    assert one.wait() == 0
    assert parts(tmp_path) == len(plan.shards()) // 2
    other = started(tmp_path, "--of", "2", SLURM_ARRAY_TASK_ID="1")
    assert other.wait() == 0
    assert digest(plan, tmp_path) == ran(plan, tmp_path / "alone")


@pytest.mark.parametrize("spoil", [lambda raw: raw[:-30], lambda raw: b"x" + raw[1:]])
def test_spoiled_part_is_computed_again(spoil: Any, tmp_path: Path) -> None:
    plan = sweep()
    whole = ran(plan, tmp_path)
    victim = store.part(tmp_path, plan.shards()[1])
    victim.write_bytes(spoil(victim.read_bytes()))
    assert not store.is_there(tmp_path, plan.shards()[1])
    assert ran(plan, tmp_path) == whole


def test_more_replications_keep_the_shards_that_are_there(tmp_path: Path) -> None:
    plan = sweep(2, 4, 2)
    ran(plan, tmp_path)
    more = plan.with_replications(8)
    assert {one.key for one in plan.shards()} < {one.key for one in more.shards()}
    assert len(working.missing(Work(more, tmp_path, opened), more.shards())) == 4


def test_rows_are_in_order_although_shards_differ_in_width(tmp_path: Path) -> None:
    """Two replications of one cell to a shard, but one of each of two cells in the last ones; of
    the parts one is missing."""
    plan = sweep(3, 5, 2)
    widths = [(one.begin, one.end, one.first, one.stop) for one in plan.shards()]
    assert widths[-2:] == [(0, 2, 4, 5), (2, 3, 4, 5)]
    ran(plan, tmp_path)
    store.part(tmp_path, plan.shards()[1]).unlink()

    there = [(cell, number) for cell, number, _ in store.rows(tmp_path, plan)]

    gone = {(1, 0), (1, 1)}
    every = [(cell, number) for cell in range(3) for number in range(5)]
    assert there == [item for item in every if item not in gone]
    found = [(cell, number) for cell, number, _ in store.results(tmp_path, plan)]
    assert found == there


def test_incidents_that_are_written_in_pieces_are_the_same(
    tmp_path: Path, monkeypatch: Any
) -> None:
    plan = sweep(2, 4, 2)
    ran(plan, tmp_path)
    tables = []
    for rows in (dataset.ROW_GROUP, 1):
        monkeypatch.setattr(dataset, "ROW_GROUP", rows)
        (_, path), _ = dataset.write(plan, store.results(tmp_path, plan), tmp_path / str(rows))
        tables.append(pq.read_table(path))
        groups = pq.ParquetFile(path).num_row_groups

    assert groups > 1
    assert tables[0].equals(tables[1])
    incidents = [
        (cell, number, one)
        for cell, number, outcome in store.results(tmp_path, plan)
        for one in outcome.incidents
    ]
    assert len(incidents) == len(tables[0]) == 8
    for row, (cell, number, one) in zip(tables[0].to_pylist(), incidents, strict=True):
        wanted = msgspec.structs.asdict(one) | {"lasted_s": one.lasted_s}
        assert row == {"cell": cell, "replication": number} | wanted


def test_cells_see_the_same_chance(tmp_path: Path) -> None:
    plan = sweep()
    ran(plan, tmp_path)
    seeds = [(cell, row["seed"]) for cell, _, row in store.rows(tmp_path, plan)]
    assert [seed for cell, seed in seeds if cell == 0] == [seed for cell, seed in seeds if cell]


def test_changed_plan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    design.write(sweep(), path)
    value = json.loads(path.read_text())
    value["replications"] = 99
    path.write_text(json.dumps(value))
    with pytest.raises(BadInput, match="its id is another"):
        design.read(path)


def test_full_disk_is_told_and_leaves_nothing_half(tmp_path: Path, monkeypatch: Any) -> None:
    def full(path: Path, body: bytes) -> None:
        with path.open("wb") as file:
            file.write(body[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BadInput, match="No space left on device"):
        ran(sweep(), tmp_path)
    assert list((tmp_path / "parts").iterdir()) == []


def test_dask_that_is_not_there_is_unreachable(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(working, "FOUND_WITHIN", "1s")
    plan = sweep()
    with pytest.raises(Unreachable):
        working.run(
            Work(plan, tmp_path, opened), Engine("dask", 0, "tcp://127.0.0.1:1"), plan.shards()
        )


@pytest.mark.timeout(400)  # ten seconds of imports in four processes, on a machine that is busy
def test_dask_worker_is_killed_and_the_digest_stays(
    tmp_path: Path, processes: Processes, monkeypatch: Any
) -> None:
    monkeypatch.setattr(working, "WORKERS_WITHIN", "300s")
    scheduler, plan, folder = tmp_path / "scheduler.json", sweep(2, 40, 2), tmp_path / "dask"
    where = ["--scheduler-file", str(scheduler), "--no-dashboard"]
    alone = ["--nthreads", "1", "--no-nanny", "--death-timeout", "300"]

    def begin(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", *words, *where]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    master = begin("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0")
    wait_for(scheduler.exists, 300.0)
    processes += [begin("distributed.cli.dask_worker", *alone) for _ in range(2)]
    processes.append(master)  # workers end first, then the scheduler

    def kill_one() -> None:
        wait_for(lambda: parts(folder) >= 5, 300.0)
        processes[0].kill()

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    working.run(Work(plan, folder, opened), Engine("dask", 0, str(scheduler)), plan.shards())
    killer.join()
    assert digest(plan, folder) == ran(plan, tmp_path / "alone")


def test_sampled_designs_stay_in_their_ranges() -> None:
    ranges = {"policies.retry.longest": (30.0, 1000.0, "s"), "x": (1.0, 4.0, "")}
    for how in ("lhs", "sobol"):
        cells = design.sampled(ranges, 8, how, 1)
        assert cells == design.sampled(ranges, 8, how, 1)
        assert len({str(cell) for cell in cells}) == 8
        assert all(
            30 <= float(one.settings["policies.retry.longest"][:-1]) <= 1000 for one in cells
        )


def test_command_line_from_experiment_to_parquet(tmp_path: Path) -> None:
    experiment = {
        "apiVersion": "vmsim.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "e"},
        "spec": {
            "base": "gpu-stranded",
            "study": "retry-policy",
            "settings": {"warmUp": "1m"},
            "factors": {"policies.retry.wakeOnCapacity": [False, True]},
            "ranges": {"policies.retry.longest": {"low": 60, "high": 600, "unit": "s"}},
            "points": 2,
            "replications": 3,
        },
    }
    source, folder = tmp_path / "e.yaml", tmp_path / "out"
    source.write_text(yaml.safe_dump(experiment))
    runner = CliRunner()

    planned = runner.invoke(app, ["sweep", "plan", str(source), "-o", str(folder)])
    before = runner.invoke(app, ["sweep", "status", str(folder)])
    early = runner.invoke(app, ["sweep", "merge", str(folder)])
    done = runner.invoke(app, ["sweep", "run", str(folder), "--engine", "serial"])
    merged = runner.invoke(app, ["sweep", "merge", str(folder)])

    assert "4 cells, 3 replications" in planned.output
    assert "the first 1m of a run do not count (warm-up)" in planned.output
    codes = [one.exit_code for one in (planned, before, early, done, merged)]
    assert codes == [0, 3, 2, 0, 0], merged.output
    table = pq.read_table(folder / "replications.parquet")
    assert table.num_rows == 12
    assert json.loads(table.schema.metadata[b"vmsim"])["study"] == "retry-policy"
    assert pq.read_table(folder / "incidents.parquet").num_rows >= 12


def test_manifests_name_every_index(tmp_path: Path) -> None:
    design.write(sweep(), tmp_path / "plan.json")
    runner = CliRunner()
    job = yaml.safe_load(runner.invoke(app, ["sweep", "render", "k8s", str(tmp_path)]).output)
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["completions"] == len(sweep().shards())
    text = runner.invoke(app, ["sweep", "render", "slurm", str(tmp_path)]).output
    assert f"--array=0-{len(sweep().shards()) - 1}" in text


def manifest() -> dict[str, Any]:
    """The Job of a sweep of four processes."""
    value: dict[str, Any] = yaml.safe_load(rendering.kubernetes("abc", 4, "vmsim", "sweep"))
    return value


def unknown_fields(value: Any, kind: str, path: str = "") -> list[str]:
    """Fields that the official client's type `kind` does not have, with their paths."""
    from kubernetes.client import models

    if kind.lower().startswith("list["):
        parts = [unknown_fields(one, kind[5:-1], f"{path}[]") for one in value]
        return [name for part in parts for name in part]
    model = getattr(models, kind, None)
    if model is None:
        return []
    types = {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}
    found = [f"{path}.{name}" for name in value if name not in types]
    for name in value.keys() & types.keys():
        found += unknown_fields(value[name], types[name], f"{path}.{name}")
    return found


def test_job_has_only_fields_that_kubernetes_knows() -> None:
    pytest.importorskip("kubernetes", reason="the extra kubernetes is not installed")
    good = manifest()
    assert unknown_fields(good, "V1Job") == []
    good["spec"]["template"]["spec"]["containers"][0]["mounts"] = []
    assert unknown_fields(good, "V1Job") == [".spec.template.spec.containers[].mounts"]


@pytest.mark.kube
@pytest.mark.timeout(600)
def test_api_server_takes_the_job_strictly(tmp_path: Path) -> None:
    """The server itself judges it: defaults, validation and unknown fields, and stores nothing."""
    from backends.kube_api import KubeApi
    from backends.kube_process import KubeProcess

    strictly = "/apis/batch/v1/namespaces/default/jobs?dryRun=All&fieldValidation=Strict"
    process = KubeProcess(tmp_path).start()
    try:
        with KubeApi(process.kubeconfig) as api:
            assert api.create(strictly, manifest())["spec"]["completions"] == 4
            wrong = manifest()
            wrong["spec"]["parallel"] = 4
            with pytest.raises(Denial, match=r'unknown field "spec.parallel"'):
                api.create(strictly, wrong)
    finally:
        process.stop()


def test_batch_script_is_one_that_a_shell_can_read(tmp_path: Path) -> None:
    script = tmp_path / "sweep.sh"
    script.write_text(rendering.slurm("abc", 4, "'/a b/sweep'"))
    assert subprocess.run(["sh", "-n", str(script)]).returncode == 0
    options = re.findall(r"^#SBATCH --([a-z-]+)", script.read_text(), flags=re.M)
    assert options == ["job-name", "array", "cpus-per-task", "requeue"]


def test_summary_is_the_mean_of_each_cell(tmp_path: Path) -> None:
    plan = sweep(3, 5, 5)
    design.write(plan, tmp_path / "plan.json")
    ran(plan, tmp_path)
    _, rows = dataset.write(plan, store.results(tmp_path, plan), tmp_path)

    lines = list(summary(tmp_path, ["retry_worst_s", "retries"]))

    assert [(one.cell, one.metric) for one in lines[:2]] == [(0, "retry_worst_s"), (0, "retries")]
    for one in lines:
        values = [row[one.metric] for row in rows if row["cell"] == one.cell]
        expected = mean(values)
        assert (one.figure.count, one.least, one.most) == (5, min(values), max(values))
        assert (one.figure.value, one.figure.low, one.figure.high) == pytest.approx(
            (expected.value, max(expected.low, 0.0), expected.high)
        )
    done = CliRunner().invoke(app, ["sweep", "summary", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert done.output.count("retry_worst_s") == 3


def test_summary_has_units_and_names_cells_without_a_run(tmp_path: Path) -> None:
    plan = design.Design(
        sweep().scenario, [Cell({"duration": "3d"}), Cell({"duration": "soon"})], 2, suite=suite()
    )
    design.write(plan, tmp_path / "plan.json")
    ran(plan, tmp_path)
    dataset.write(plan, store.results(tmp_path, plan), tmp_path)

    words = ["sweep", "summary", str(tmp_path), "--metric", "makespan_s"]
    sound, invalid = CliRunner().invoke(app, words).output.splitlines()

    assert sound.startswith("duration=3d: makespan_s ")
    assert " h in each run; from " in sound
    assert invalid.startswith("duration=soon: cannot be run")


def test_summary_of_what_is_not_there_is_bad_input(tmp_path: Path) -> None:
    design.write(sweep(), tmp_path / "plan.json")
    runner = CliRunner()
    early = runner.invoke(app, ["sweep", "summary", str(tmp_path)])
    unknown = runner.invoke(app, ["sweep", "summary", str(tmp_path), "--metric", "joy"])
    assert (early.exit_code, unknown.exit_code) == (2, 2)
    assert "sweep merge" in early.output
    assert "there is no metric joy" in unknown.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--replications", "0"], "0 replications"),
        (["--precision", "soon"], "a precision is written as 1%"),
        (["--engine", "magic"], "there is no engine magic"),
        (["--engine", "dask"], "dask needs --address"),
        (["--vary", "policies.retri.longest=1s"], "no field retri"),
    ],
)
def test_bad_options_end_with_code_2(words: list[str], message: str, tmp_path: Path) -> None:
    command = ["whatif", "boot-storm", "--on", "host-failure", "--out", str(tmp_path), *words]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert message in result.output


def test_progress_takes_little_of_the_time(monkeypatch: Any) -> None:
    """It is asked for each second; when it takes half a second, every ten."""
    now_s, asked_s = [0.0], []

    def answer(takes_s: float) -> Answer:
        asked_s.append(now_s[0])
        now_s[0] += takes_s
        return Answer([], "", 0, 0)

    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    bar = whatif_cli._Bar(Console(file=io.StringIO(), force_terminal=True))
    for takes_s in (0.0, 0.5):
        for second in range(1, 25):
            now_s[0] = 100 * (takes_s > 0) + second
            bar.told(1, 9, lambda takes_s=takes_s: answer(takes_s))

    assert asked_s == [*range(1, 25), 101, 111, 121]


def test_runs_are_forgotten_when_there_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "MOST_BLOCKS", 1)
    gc.collect()
    before = systems()
    ran(sweep(), tmp_path)
    assert systems() == before


def test_interrupt_gives_the_partial_answer_and_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vmsim", "whatif", "retry-policy", "--on", "gpu-stranded"]
    command += ["--replications", "2000", "--engine", "serial", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: parts(tmp_path) >= 6)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "of 12000 runs, 6 cells" in out
    assert "the same command goes on from there" in err
    assert f"--replications 2000 --engine serial --out {tmp_path}" in err
