"""The command line: what it prints, and its exit codes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from vmsim.cli import app
from vmsim.scenario import json_schema

COMMAND = (sys.executable, "-m", "vmsim", "run", "gpu-stranded")
OFF = '"kind":"VmPoweredOff"'
MISSED = """
apiVersion: vmsim.dev/v1alpha1
kind: Scenario
metadata: {name: missed}
spec:
  duration: 10m
  clusters: [{name: c, hosts: [{name: esx-1, cores: 4, memory: 16Gi}]}]
  expect:
    - {host: esx-1, state: Maintenance, by: 5m}
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def vmsim(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def trace_of(tmp_path: Path, scenario: str = "gpu-stranded") -> str:
    path = tmp_path / f"{scenario}.jsonl"
    assert vmsim("run", scenario, "--trace", str(path)).exit_code == 0
    return str(path)


def test_run_ends_with_0_and_tells_assumptions_digest_and_trace() -> None:
    done = vmsim("run", "gpu-stranded")

    assert done.exit_code == 0, done.output
    for word in ("VmPoweredOn", "Assumptions", "retried after 0.005 s", "Digest", "Trace"):
        assert word in done.output
    assert "MISSED" not in done.output


def test_missed_expectation_ends_with_1_and_says_what_happened_instead(tmp_path: Path) -> None:
    file = tmp_path / "missed.yaml"
    file.write_text(MISSED)

    done = vmsim("run", str(file))

    assert done.exit_code == 1
    assert "MISSED  esx-1 Maintenance by 5m00s" in done.output
    assert "instead: esx-1 ended Up since 0s" in done.output


def test_run_cut_short_leaves_expectations_open_and_ends_with_3() -> None:
    done = vmsim("run", "gpu-stranded", "--until", "3m")

    assert done.exit_code == 3, done.output
    assert "open    demo/trainer PoweredOn on esx-1 at the end" in done.output


def test_unknown_command_and_unknown_option_end_with_2() -> None:
    assert vmsim("fly").exit_code == 2
    assert vmsim("run", "gpu-stranded", "--fly").exit_code == 2
    assert vmsim("run", "gpu-stranded", "--backend", "moon").exit_code == 2


def test_defect_ends_with_5_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the moon fell down")

    monkeypatch.setattr("vmsim.running.run", broken)
    done = vmsim("run", "gpu-stranded")

    assert done.exit_code == 5
    assert "a defect of vmsim: RuntimeError: the moon fell down" in done.output
    assert "Traceback" not in done.output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full")
def test_full_disk_is_told_and_no_defect() -> None:
    done = vmsim("run", "gpu-stranded", "--trace", "/dev/full")

    assert done.exit_code == 2
    assert "No space left on device" in done.output
    assert "defect" not in done.output


def test_interrupt_ends_with_130_and_names_the_trace(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    process = subprocess.Popen(
        [*COMMAND, "--speed", "60", "--trace", str(trace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    while "Added" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert f"the trace so far is {trace}" in errors
    assert "Traceback" not in errors
    assert trace.read_text().count("\n") > 10


def test_json_has_the_verdicts_for_machines() -> None:
    done = CliRunner().invoke(app, ["run", "gpu-stranded", "--json"])

    (result,) = json.loads(done.stdout)
    assert result["exitCode"] == 0
    assert result["hosts"] == {"Up": 3}
    assert all(item["met"] for item in result["expectations"])
    assert result["assumptions"]


def test_get_prints_kubectls_columns(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "vm-example-2026-08")

    narrow = vmsim("get", "vm", "--from", trace, "--at", "5m").output.splitlines()
    wide = vmsim(
        "get", "virtualmachines", "--from", trace, "-o", "wide", "--at", "5m"
    ).output.splitlines()

    assert narrow[0].split() == ["NAME", "POWER-STATE", "AGE"]
    assert narrow[1].split() == ["my-vm", "PoweredOn", "5m"]
    assert wide[0].split() == ["NAME", "POWER-STATE", "CLASS", "IMAGE", "PRIMARY-IP4", "AGE"]


def test_get_names_the_columns_of_the_first_edition(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "vm-example-2023-03")

    wide = vmsim("get", "vm", "--from", trace, "-o", "wide", "--at", "5m").output.splitlines()
    classes = vmsim("get", "vmclass", "--from", trace).output.splitlines()
    storage = vmsim("get", "sc", "--from", trace).output.splitlines()

    assert wide[0].split() == ["NAME", "POWER-STATE", "CLASS", "IMAGE", "PRIMARY-IP", "AGE"]
    assert classes[0].split() == ["NAME", "CPU", "MEMORY", "AGE"]
    assert storage[1].split()[0] == "iscsi"


def test_get_yaml_is_the_object_with_its_status(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "vm-example-2023-03")

    done = vmsim("get", "vm", "my-vm", "-o", "json", "--from", trace, "--at", "5m")

    raw = json.loads(done.stdout)
    assert raw["apiVersion"] == "vmoperator.vmware.com/v1alpha1"
    assert raw["status"]["phase"] == "Created"
    assert raw["status"]["powerState"] == "poweredOn"
    assert raw["status"]["vmIp"]
    assert raw["metadata"]["finalizers"] == ["virtualmachine.vmoperator.vmware.com"]


def test_get_of_what_is_not_there_ends_with_2(tmp_path: Path) -> None:
    trace = trace_of(tmp_path)

    missing = vmsim("get", "vm", "nobody", "--from", trace)
    unknown = vmsim("get", "vmclas", "--from", trace)

    assert missing.exit_code == 2
    assert 'virtualmachines "nobody" not found' in missing.output
    assert unknown.exit_code == 2
    assert "vmclass" in unknown.output


def test_explain_names_each_hosts_reason_while_the_vm_waits(tmp_path: Path) -> None:
    trace = trace_of(tmp_path)

    done = vmsim("explain", "trainer", "--from", trace, "--at", "30m")

    assert done.exit_code == 0
    assert "demo/trainer is Waiting" in done.output
    assert "esx-1   InvalidHostState   (Maintenance)" in done.output
    assert "esx-1x  CannotAccessVmDevice" in done.output
    assert "next try" in done.output


def test_replay_tells_the_same_story(tmp_path: Path) -> None:
    done = vmsim("replay", trace_of(tmp_path))

    assert done.exit_code == 0
    assert "records, digest" in done.output


def test_replay_of_a_changed_trace_shows_the_first_difference(tmp_path: Path) -> None:
    path = Path(trace_of(tmp_path))
    path.write_text(path.read_text().replace(OFF, '"kind":"VmMigrated"', 1))

    done = vmsim("replay", str(path))

    assert done.exit_code == 1
    assert "differs" in done.output
    assert '"kind":"VmMigrated"' in done.output
    assert OFF in done.output


def test_schema_is_that_of_the_types_that_parse() -> None:
    assert json.loads(vmsim("schema").stdout) == json.loads(json.dumps(json_schema()))


def test_output_into_a_pipe_has_no_escape_codes_and_no_bar() -> None:
    done = subprocess.run(
        COMMAND,
        capture_output=True,
        check=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )

    assert b"\x1b" not in done.stdout + done.stderr


def test_shipped_scenarios_are_found_by_name() -> None:
    assert vmsim("validate", "scenarios/gpu-stranded.yaml").exit_code == 0
    assert vmsim("run", "no-such-scenario").exit_code == 2


HEAVY = {
    "joblib", "kubernetes", "numpy", "pyVmomi", "pyarrow", "pydantic", "scipy", "simpy",
    "vl_convert", "yaml",
}  # fmt: skip
"""Packages of other people that take a while to import."""


def imported_by(*words: str) -> set[str]:
    """The heavy packages that a command has imported when it ends."""
    code = (
        "import sys\nfrom vmsim.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print('\\nimported', *{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    return HEAVY & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_imports_nothing_that_takes_time(word: str) -> None:
    assert imported_by(word) == set()


def test_list_of_questions_imports_no_engine() -> None:
    assert not imported_by("whatif", "--list") & {"pyarrow", "scipy", "simpy"}


def test_run_in_memory_imports_what_it_needs() -> None:
    needed = {"numpy", "pydantic", "simpy", "yaml"}

    assert imported_by("run", "vm-example-2026-08") == needed
