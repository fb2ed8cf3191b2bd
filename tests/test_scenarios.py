"""Every shipped scenario comes out as it says, twice the same, and breaks no law of the page."""

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import simpy

from backends import opened
from vmsim.actions import Cause
from vmsim.documents import read
from vmsim.expectations import Verdict
from vmsim.ha import FailureKind
from vmsim.loading import load
from vmsim.quantities import memory_mib
from vmsim.simulate import System
from vmsim.trace import Record

FOLDER = Path(__file__).parent.parent / "scenarios"
SCENARIOS = sorted(FOLDER.glob("*.yaml"))
SMALL = [path for path in SCENARIOS if path.stem != "large"]
RESTARTING = ("host-failure", "failure-during-maintenance")
EVICTIONS = ["eviction-block", "eviction-drs-poweroff", "eviction-policy"]


def by_name(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


@dataclass(frozen=True)
class Ran:
    """A finished run."""

    verdicts: list[Verdict]
    records: list[Record]
    digest: str
    trace: bytes
    overcommitted: list[str]


class _Sink(io.BytesIO):
    def close(self) -> None:
        """Keep the bytes: the trace closes its file."""


def run(path: Path) -> Ran:
    """Run the scenario in memory, to its end."""
    plan = load(path)
    records: list[Record] = []
    sink = _Sink()
    with opened("memory", plan.hosts) as backend:
        system = System(plan, backend, simpy.Environment(), sink)
        system.trace.listen(records.append)
        verdicts = system.run()
        system.trace.close()
        over = list(system.fleet.inventory.overcommitted())
    return Ran(verdicts, records, system.trace.digest(), sink.getvalue(), over)


@cache
def first_run(path: Path) -> Ran:
    return run(path)


def body(path: Path) -> dict[str, Any]:
    """The scenario as plain values, which the caller may change."""
    value: dict[str, Any] = read([path])[0].value
    return value


def changed(path: Path, tmp_path: Path, **spec: Any) -> Path:
    """A copy of the scenario elsewhere, with these fields of its spec in place of its own."""
    scenario = body(path)
    scenario["spec"] |= spec
    manifests = scenario["spec"]["manifests"]
    scenario["spec"]["manifests"] = [
        str(FOLDER / item) if isinstance(item, str) else item for item in manifests
    ]
    copy = tmp_path / "changed.yaml"
    copy.write_text(json.dumps(scenario), encoding="utf-8")
    return copy


@by_name(SCENARIOS)
def test_every_expectation_of_the_scenario_is_met(path: Path) -> None:
    missed = [f"{v.text}: {v.instead}" for v in first_run(path).verdicts if not v.met]

    assert missed == []


@by_name(SCENARIOS)
def test_scenario_is_named_as_its_file_describes_itself_and_expects_something(path: Path) -> None:
    scenario = body(path)

    assert scenario["metadata"]["name"] == path.stem
    assert len(scenario["metadata"]["description"]) > 100
    assert len(scenario["spec"]["expect"]) >= 2


@by_name(SCENARIOS)
def test_run_breaks_no_law(path: Path) -> None:
    ran = first_run(path)

    assert violations(ran.records, body(path)) == []
    assert ran.overcommitted == []


@by_name(SMALL)
def test_same_scenario_gives_the_same_digest_again(path: Path) -> None:
    assert run(path).digest == first_run(path).digest


DIGESTS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_scenarios import SMALL, run
print(json.dumps({path.stem: run(path).digest for path in SMALL}))
"""


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_digest_does_not_depend_on_the_process_or_its_hash_seed(hash_seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIGESTS, str(Path(__file__).parent)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout) == {path.stem: first_run(path).digest for path in SMALL}


def test_digest_is_that_of_the_record_lines_without_the_header(tmp_path: Path) -> None:
    original = FOLDER / "vm-example-2023-03.yaml"
    copy = changed(original, tmp_path, memoryOnly="Told otherwise.")

    one, other = first_run(original), run(copy)
    header, _, records = one.trace.partition(b"\n")

    assert b"vmsim" in header and header != other.trace.partition(b"\n")[0]
    assert one.digest == other.digest == hashlib.sha256(records).hexdigest()


def test_false_expectation_is_missed_and_says_what_was_so_instead(tmp_path: Path) -> None:
    expect = [
        {"vm": "demo/trainer", "state": "PoweredOn"},
        {"host": "esx-1", "state": "Up"},
        {"event": "VmMigrated", "object": "demo/trainer"},
        {"event": "VmPoweredOff", "count": 0},
    ]
    copy = changed(FOLDER / "gpu-stranded.yaml", tmp_path, duration="1h", expect=expect)

    assert run(copy).verdicts == [
        Verdict(
            "demo/trainer PoweredOn at the end",
            False,
            "demo/trainer ended Waiting on esx-1 since 10m20s "
            "(2 CannotAccessVmDevice, 1 InvalidHostState)",
        ),
        Verdict("esx-1 Up at the end", False, "esx-1 ended Maintenance since 10m30s"),
        Verdict("at least one VmMigrated of demo/trainer", False, "0 such records"),
        Verdict("0 VmPoweredOff", False, "1 such records"),
    ]


def test_the_three_evictions_differ_in_nothing_but_the_policy() -> None:
    scenarios = [body(FOLDER / f"{name}.yaml")["spec"] for name in EVICTIONS]
    policies = [scenario["policies"].pop("eviction") for scenario in scenarios]
    for scenario in scenarios:
        del scenario["expect"]

    assert policies == ["block", "drs_poweroff", "vm_eviction_policy"]
    assert scenarios[0] == scenarios[1] == scenarios[2]


@pytest.mark.parametrize("name", EVICTIONS)
@pytest.mark.parametrize("other", EVICTIONS)
def test_eviction_expectations_hold_under_their_own_policy_only(
    name: str, other: str, tmp_path: Path
) -> None:
    policies = body(FOLDER / f"{other}.yaml")["spec"]["policies"]
    copy = changed(FOLDER / f"{name}.yaml", tmp_path, policies=policies)

    assert all(verdict.met for verdict in run(copy).verdicts) is (name == other)


@pytest.mark.parametrize(
    "name, policies",
    [
        ("overfull-cluster", {"retry": {"wakeOnCapacity": False}}),
        ("zone-pinning", {"retry": {"wakeOnCapacity": False}}),
        ("gpu-stranded", {"vgpuHotMigrate": True}),
        ("gpu-stranded", {"eviction": "block"}),
        ("overfull-cluster", {"overcommit": {"memory": 2.0}}),
    ],
)
def test_another_policy_is_noticed_by_the_expectations(
    name: str, policies: dict[str, Any], tmp_path: Path
) -> None:
    path = FOLDER / f"{name}.yaml"
    copy = changed(path, tmp_path, policies=body(path)["spec"].get("policies", {}) | policies)

    assert not all(verdict.met for verdict in run(copy).verdicts)


@pytest.mark.parametrize(
    "name, spec",
    [
        ("drs-rules", {"drs": {}}),
        ("load-balancing", {"drs": {"loadBalancing": {"threshold": 1}}}),
        ("resource-pools", {"drs": {}}),
        ("vmotion-bandwidth", {"vmotion": {"preCopy": {"sdps": False}}}),
        ("rolling-upgrade", {"upgrade": [{"clusters": ["cluster-1", "cluster-2"]}]}),
        ("year-of-failures", {"failures": {}}),
        ("year-of-failures", {"maintenanceCalendar": []}),
    ],
)
def test_scenario_without_what_it_is_about_misses_an_expectation(
    name: str, spec: dict[str, Any], tmp_path: Path
) -> None:
    copy = changed(FOLDER / f"{name}.yaml", tmp_path, **spec)

    assert not all(verdict.met for verdict in run(copy).verdicts)


@by_name([path for path in SCENARIOS if path.stem.startswith("update-storm")])
def test_each_storm_is_missed_under_the_other_verdict(path: Path, tmp_path: Path) -> None:
    other = "document" if path.stem.endswith("-code") else "code"

    assert not all(v.met for v in run(changed(path, tmp_path, verdict=other)).verdicts)


@by_name([path for path in SCENARIOS if path.stem in RESTARTING])
def test_cluster_without_ha_is_noticed_by_the_expectations(path: Path, tmp_path: Path) -> None:
    copy = changed(path, tmp_path, highAvailability={"enabled": False})

    assert not all(v.met for v in run(copy).verdicts)


@dataclass
class _Watch:
    """The hosts and VMs as the records tell, kept apart from the code under test."""

    overcommit: float
    moves: tuple[Cause, ...] = (Cause.EVACUATION,)
    states: dict[str, str] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    on: dict[str, str] = field(default_factory=dict)
    needs: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    templates: dict[str, int] = field(default_factory=dict)

    def see(self, record: Record) -> Iterator[str]:
        """Take the record in; what it breaks."""
        if record.source == "host" and "memory_mib" in record.data:
            self.states[record.object] = "Up"
            self.memory[record.object] = record.data["memory_mib"] * self.overcommit
        elif record.source == "host":
            yield from self._host(record)
        elif record.source == "api":
            self._api(record)
        elif record.source == "cluster" and record.kind.startswith("Vm"):
            yield from self._cluster(record)

    def _api(self, record: Record) -> None:
        manifest = record.data.get("manifest", {})
        if manifest.get("kind") == "VirtualMachineClass":
            self.classes[manifest["metadata"]["name"]] = memory_mib(
                manifest["spec"]["hardware"]["memory"]
            )
        elif record.kind == "WorkloadTemplate":
            self.templates[record.object] = self.classes[manifest["spec"]["className"]]
        elif record.kind == "Added" and "template" in record.data:
            self.needs[record.object] = self.templates[record.data["template"]]
        elif record.kind == "Added":
            self.needs[record.object] = self.classes.get(manifest["spec"]["className"], 0)

    def _host(self, record: Record) -> Iterator[str]:
        state = record.data.get("state")
        if state is None:
            return
        self.states[record.object] = state
        running = [vm for vm, host in self.on.items() if host == record.object]
        if state == "NotResponding":
            for vm in running:
                del self.on[vm]
        elif state in ("Maintenance", "Removed") and running:
            yield f"{record.object} is in {state} and runs {running[0]}"

    def _cluster(self, record: Record) -> Iterator[str]:
        vm, host, cause = record.object, record.data["host"], record.data["cause"]
        if cause not in (list(FailureKind) if record.kind == "VmTerminated" else list(Cause)):
            yield f"{vm}: {record.kind} without a cause"
        if record.kind == "VmPoweredOn":
            if vm in self.on:
                yield f"{vm} is powered on while it runs on {self.on[vm]}"
            yield from self._arrive(vm, host)
        elif record.kind in ("VmMigrated", "VmRelocated"):
            yield from self._move(record, vm, host)
        elif record.kind != "VmCreated" and self.on.pop(vm, host) != host:
            yield f"{vm}: {record.kind} where it is not"

    def _move(self, record: Record, vm: str, host: str) -> Iterator[str]:
        if record.kind == "VmRelocated":
            if vm in self.on or record.data["cause"] != Cause.EVACUATION:
                yield f"{vm} is registered elsewhere for no reason"
            return
        if record.data["cause"] not in self.moves:
            yield f"{vm} moves for no reason"
        if self.on.get(vm) != record.data["from"]:
            yield f"{vm} is not where it is migrated from"
        yield from self._arrive(vm, host)

    def _arrive(self, vm: str, host: str) -> Iterator[str]:
        if self.states[host] in ("Maintenance", "NotResponding", "Removed"):
            yield f"{vm} arrives on {host}, which is {self.states[host]}"
        self.on[vm] = host
        used = sum(self.needs[other] for other, at in self.on.items() if at == host)
        if used > self.memory[host]:
            yield f"{host} has promised {used} MiB of {self.memory[host]:g}"


def violations(records: Iterable[Record], scenario: dict[str, Any]) -> list[str]:
    """Every law that the run broke, judged from its records alone."""
    overcommit = scenario["spec"].get("policies", {}).get("overcommit", {}).get("memory", 1.0)
    balances = scenario["spec"].get("drs", {}).get("loadBalancing") is not None
    moves = (Cause.EVACUATION, Cause.LOAD_BALANCING) if balances else (Cause.EVACUATION,)
    watch = _Watch(overcommit, moves)
    return [f"{record.t:g}s: {text}" for record in records for text in watch.see(record)]


def told(*lines: tuple[str, str, dict[str, Any]], **spec: Any) -> list[str]:
    """What is wrong with a story of a VM of 4 GiB, and two hosts of 6 GiB that it may run on."""
    hardware = {"hardware": {"memory": "4Gi"}}
    vm_class = {
        "kind": "VirtualMachineClass",
        "metadata": {"name": "small"},
        "spec": hardware,
    }
    vm = {"spec": {"className": "small"}}
    start: list[tuple[str, str, dict[str, Any]]] = [
        ("Host", "a", {"memory_mib": 6144}),
        ("Host", "b", {"memory_mib": 6144}),
        ("Applied", "small", {"manifest": vm_class}),
        ("Added", "vm-1", {"manifest": vm}),
        ("Added", "vm-2", {"manifest": vm}),
    ]
    records = []
    for number, (kind, name, data) in enumerate([*start, *lines]):
        source = "cluster" if kind.startswith("Vm") else "host"
        source = "api" if kind in ("Applied", "Added") else source
        records.append(Record(1.0, number, source, kind, name, data))
    return violations(records, {"spec": spec})


ON_A = ("VmPoweredOn", "vm-1", {"host": "a", "cause": "User"})
A_IN_MAINTENANCE = ("EnteredMaintenanceMode", "a", {"state": "Maintenance"})
A_DOWN = ("HostConnectionLost", "a", {"state": "NotResponding"})


def test_checker_accepts_a_lawful_story() -> None:
    move = ("VmMigrated", "vm-1", {"host": "b", "from": "a", "cause": "Evacuation"})
    again = ("VmPoweredOn", "vm-1", {"host": "b", "cause": "Restart"})

    assert told(ON_A, move, A_IN_MAINTENANCE) == []
    assert told(ON_A, A_DOWN, again) == []
    off = ("VmRelocated", "vm-1", {"host": "b", "from": "a", "cause": "Evacuation"})
    assert told(off, A_IN_MAINTENANCE) == []


def test_load_balancing_is_a_reason_to_move_only_where_it_is_on() -> None:
    move = ("VmMigrated", "vm-1", {"host": "b", "from": "a", "cause": "LoadBalancing"})

    assert told(ON_A, move, drs={"loadBalancing": {}}) == []
    assert told(ON_A, move) == ["1s: vm-1 moves for no reason"]


@pytest.mark.parametrize(
    "lines, wrong",
    [
        ([ON_A, ON_A], "1s: vm-1 is powered on while it runs on a"),
        ([A_IN_MAINTENANCE, ON_A], "1s: vm-1 arrives on a, which is Maintenance"),
        ([A_DOWN, ON_A], "1s: vm-1 arrives on a, which is NotResponding"),
        ([ON_A, A_IN_MAINTENANCE], "1s: a is in Maintenance and runs vm-1"),
        (
            [ON_A, ("VmMigrated", "vm-1", {"host": "b", "from": "a", "cause": "User"})],
            "1s: vm-1 moves for no reason",
        ),
        (
            [ON_A, ("VmMigrated", "vm-1", {"host": "a", "from": "b", "cause": "Evacuation"})],
            "1s: vm-1 is not where it is migrated from",
        ),
        (
            [ON_A, ("VmRelocated", "vm-1", {"host": "b", "from": "a", "cause": "Evacuation"})],
            "1s: vm-1 is registered elsewhere for no reason",
        ),
        (
            [ON_A, ("VmPoweredOff", "vm-1", {"host": "b", "cause": "User"})],
            "1s: vm-1: VmPoweredOff where it is not",
        ),
        (
            [("VmPoweredOn", "vm-1", {"host": "a", "cause": "Balance"})],
            "1s: vm-1: VmPoweredOn without a cause",
        ),
        (
            [ON_A, ("VmPoweredOn", "vm-2", {"host": "a", "cause": "User"})],
            "1s: a has promised 8192 MiB of 6144",
        ),
    ],
)
def test_checker_finds_each_broken_law(lines: list[Any], wrong: str) -> None:
    assert told(*lines) == [wrong]
