"""The same scenario on the model and on a real vcsim: the same decisions, the same inventory."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backends import opened
from vmsim.loading import load
from vmsim.running import How, Result, run

SCENARIOS = sorted(Path("scenarios").glob("*.yaml"))


def result(path: Path, backend: str) -> Result:
    return run(load(path), How(backend), opened)


@pytest.mark.vcsim
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_decides_the_same_on_vcsim_as_in_memory(path: Path) -> None:
    plan = load(path)
    if plan.scenario.spec.memory_only:
        pytest.skip(plan.scenario.spec.memory_only)

    real = result(path, "vcsim")

    assert real.differences == []
    assert real.exit_code == 0, [verdict for verdict in real.verdicts if not verdict.met]
    assert real.digest == result(path, "memory").digest


@pytest.mark.vcsim
def test_inventory_that_somebody_changed_is_an_error(tmp_path: Path) -> None:
    from backends.effects import VSphereEffects
    from backends.vcsim_inventory import PlacedVM, write_inventory
    from backends.vcsim_process import Vcsim
    from backends.vsphere_session import Session
    from vmsim.objects import Hardware, HostSpec, PowerState
    from vmsim.ports import Believed

    hosts = [HostSpec(f"esx-{n}", "c", "z", 8, 2400, 65536) for n in (1, 2)]
    vms = [PlacedVM("ns/moved", "esx-2"), PlacedVM("ns/extra", "esx-1", powered_on=False)]
    write_inventory(tmp_path / "inventory", hosts, vms)
    simulator = Vcsim()
    with (
        simulator.start(tmp_path / "inventory"),
        Session.connect(simulator.endpoint) as session,
    ):
        lines = VSphereEffects(session).compare(
            [
                Believed("ns/moved", "esx-1", PowerState.ON, Hardware(1, 1024)),
                Believed("ns/gone", "esx-1", PowerState.ON, Hardware(1, 1024)),
            ]
        )

    assert lines == [
        "ns/moved: host is esx-1 in the model, esx-2 on the API",
        "ns/gone: the model has it on esx-1, the API has no such VM",
        "ns/extra: the API has it on esx-1, the model has no such VM",
    ]


@pytest.mark.vcsim
def test_vcsim_that_dies_ends_the_run_with_4_and_keeps_the_trace(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    command = [sys.executable, "-m", "vmsim", "run", "gpu-stranded", "--backend", "vcsim"]
    process = subprocess.Popen(
        [*command, "--speed", "60", "--trace", str(trace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    while "VmCreated" not in process.stdout.readline():
        assert process.poll() is None
    os.kill(_child(process.pid), signal.SIGKILL)
    _, errors = process.communicate(timeout=90)

    assert process.returncode == 4, errors
    assert "Traceback" not in errors
    assert f"the trace so far is {trace}" in errors
    assert '"VmCreated"' in trace.read_text()


def _child(parent: int) -> int:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return next(
        int(pid) for pid in children if b"vcsim" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
