"""The rolling maintenance through vmsim: API, both roles, the plant with shared bandwidth, trace.

Nothing is left out of the model but dirty pages and fixed times, which the baseline does not have.

    python -m bench.rolling_system WORKLOAD_FILE TRACE_FILE
"""

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO

import simpy

from backends import opened
from bench import churn, rolling, system
from bench.stopwatch import Stopwatch
from vmsim import loading
from vmsim.documents import Document, Lines
from vmsim.inventory import CPU
from vmsim.objects import HostState, VirtualMachine
from vmsim.simulate import System
from vmsim.trace import Record

OVERCOMMIT = {"cpu": 4.0, "memory": 1.0}
BLOCK = {
    "network": {"efficiency": 1.0},
    "limits": {"host": rolling.AT_ONCE},
    "defaults": {"dirtyMibPerS": 0},
}


def scenario(vms: list[tuple[int, int]]) -> dict[str, Any]:
    """The churn's scenario, with these hosts and a class for each size of VM."""
    made = system.scenario(len(vms) // rolling.VMS_PER_HOST)
    spec = made["spec"]
    spec["vmotion"] = BLOCK
    spec["policies"] |= {"placement": "most_free_memory", "overcommit": OVERCOMMIT}
    spec["clusters"][0]["hosts"][0]["nicMbps"] = rolling.NIC_MBPS
    known = {(cpus, gib) for cpus, gib, _ in churn.CLASSES}
    new = sorted({(cpus, mib // 1024) for cpus, mib in vms} - known)
    spec["manifests"] += [system.vm_class(*size) for size in new]
    return made


class Rolling:
    """A system with all VMs where the workload has them, ready to be rolled."""

    def __init__(self, vms: list[tuple[int, int]], sink: BinaryIO | None) -> None:
        self.env = simpy.Environment()
        plan = loading.plan(Document(scenario(vms), "rolling", Lines(0)), Path())
        with opened("memory", plan.hosts) as backend:
            self.system = System(plan, backend, self.env, sink)
        self.system.begin()
        self._settle()
        self._fill(vms)
        self._entered = self.env.event()
        self.migrations = 0
        self.system.trace.listen(self._see)

    def run(self) -> None:
        """Take every host into maintenance and out again."""
        over = self.env.process(self._roll())
        self.env.run(until=over)

    def rows(self) -> list[int]:
        """The row of each VM."""
        return [guest.row for guest in self.system.fleet.guests.values()]

    def _fill(self, vms: list[tuple[int, int]]) -> None:
        """Let each host take its 25 VMs while the others are closed."""
        inventory = self.system.fleet.inventory
        names = range(len(inventory))
        specs = {size: system.admitted(self.system, size[0], size[1] // 1024) for size in {*vms}}
        for row in names:
            inventory.set_state(row, HostState.MAINTENANCE)
        for row in names:
            inventory.set_state(row, HostState.UP)
            first = row * rolling.VMS_PER_HOST
            for number in range(first, first + rolling.VMS_PER_HOST):
                key = f"{system.NAMESPACE}/vm-{number}"
                self.system.api.submit(VirtualMachine(key, specs[vms[number]]), "template")
            self._settle()
            inventory.set_state(row, HostState.MAINTENANCE)
        for row in names:
            inventory.set_state(row, HostState.UP)
        assert all(
            guest.row == number // rolling.VMS_PER_HOST
            for number, guest in enumerate(self.system.fleet.guests.values())
        )
        assert inventory.room[CPU].min() >= 0

    def _settle(self) -> None:
        while self.env.peek() <= self.env.now:
            self.env.step()

    def _see(self, record: Record) -> None:
        if record.kind == "VmMigrated":
            self.migrations += 1
        elif record.kind == "EnteredMaintenanceMode":
            entered, self._entered = self._entered, self.env.event()
            entered.succeed()

    def _roll(self) -> Generator[simpy.Event, None, None]:
        hosts = self.system.hosts
        for spec in list(self.system.fleet.inventory.hosts):
            entered = self._entered
            hosts.enter_maintenance(spec.name)
            yield entered
            yield self.env.timeout(rolling.WORK_S)
            hosts.exit_maintenance(spec.name)
            yield self.env.timeout(0.0)


def run(path: Path, trace: Path) -> str:
    """Run the workload; the result line."""
    vms = rolling.records(path)
    with trace.open("wb") as sink:
        rolled = Rolling(vms, sink)
        watch = Stopwatch()
        rolled.run()
        digest = rolled.system.trace.digest()
        makespan_h = round(rolled.env.now / 3600, 4)
        return watch.result(
            rolled.rows(), migrations=rolled.migrations, makespan_h=makespan_h, digest=digest
        )


if __name__ == "__main__":
    print(run(Path(sys.argv[1]), Path(sys.argv[2])))
