"""A year of host failures through vmsim: the W3 workload, one replication per seed.

Hosts fail by themselves (exponential, mean 2,000 h) and are repaired (exponential, mean 24 h). The
VMs of a failed host lose power; HA restarts them 120 s later on the host with the most free cores,
and their guests take 60 s to start. VMs that fit nowhere wait for room. 70 % of the cores are
promised.

A replication is all of it: the system, its hosts, its VMs, and the year. The VMs are there when
the year begins, as in the other programs that run this workload: each is on the host with the most
free cores, and none is created or started. Which host that is does not depend on the seed, so it
is found once (`start`). What a replication tells are four figures, folded from the records as they
come (`Figures`); no trace is kept.

    python -m bench.year HOSTS REPLICATIONS
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import simpy

from backends import opened
from bench import churn, system
from bench.stopwatch import Stopwatch
from vmsim import loading
from vmsim.adoption import Remembered, adopt
from vmsim.controller import Surroundings
from vmsim.documents import Document, Lines
from vmsim.guests import address
from vmsim.objects import ON, VirtualMachine, VMStatus
from vmsim.placement import Requirement
from vmsim.plan import Plan
from vmsim.simulate import System
from vmsim.status import conditions, report
from vmsim.trace import Record

YEAR_S = 8760 * 3600.0
MTBF, MTTR = "2000h", "24h"
DETECTION_S, BOOT_S = 120, 60
LOAD = 0.70
SEED = 9


def sizes(hosts: int) -> list[tuple[int, int]]:
    """vCPUs and GiB of each VM."""
    shares = [share for _, _, share in churn.CLASSES]
    count = int(LOAD * churn.HOST_CORES * hosts / 4.58)
    chosen = np.random.default_rng(SEED).choice(len(churn.CLASSES), count, p=shares)
    return [churn.CLASSES[each][:2] for each in chosen.tolist()]


def store(hosts: int, folder: Path) -> Path:
    """The file with the VMs, as pairs of vCPUs and MiB; made when it is not there yet."""
    path = folder / f"year-{hosts}.bin"
    if not path.exists():
        np.array([(cpus, gib * 1024) for cpus, gib in sizes(hosts)], dtype="<i4").tofile(path)
    return path


def scenario(hosts: int) -> dict[str, Any]:
    """The scenario without its VMs."""
    made = system.scenario(hosts)
    spec = made["spec"]
    spec["duration"] = f"{int(YEAR_S)}s"
    spec["policies"]["placement"] = "most_free_cpu"
    spec["durations"] = system.NO_TIME | {"guest_boot": f"{BOOT_S}s"}
    spec["highAvailability"] = {
        "detection": {
            "primary": f"{DETECTION_S}s",
            "secondaryWithHeartbeats": f"{DETECTION_S}s",
            "placement": "0s",
        }
    }
    law = {"exponential": {"mean": MTBF}}, {"exponential": {"mean": MTTR}}
    spec["failures"] = {"hosts": [{"mtbf": law[0], "mttr": law[1]}]}
    return made


def plan(hosts: int) -> Plan:
    """The scenario, checked as a file would be."""
    return loading.plan(Document(scenario(hosts), "year", Lines(0)), Path())


Placed: TypeAlias = tuple[VirtualMachine, dict[str, Any], Remembered, Requirement]
"""A VM, the fields of its status when the year begins, which host it is on, and what it asked of
it."""


@dataclasses.dataclass
class Figures:
    """What a year comes to: failures of hosts, restarts of VMs, VMs that found no host when their
    time came, and the hours for which VMs were down, from the loss of power to the guest's word."""

    failures: int = 0
    restarts: int = 0
    unplaced: int = 0
    downtime_s: float = 0.0
    down: dict[str, float] = dataclasses.field(default_factory=dict)

    def see(self, record: Record) -> None:
        """Count one record in."""
        kind, data = record.kind, record.data
        if kind == "Status":
            if data.get("ip"):
                self.downtime_s += record.t - self.down.pop(record.object, record.t)
            elif data.get("power_state") == "PoweredOff":
                self.down[record.object] = record.t
        elif kind == "VmPoweredOn":
            self.restarts += data["cause"] == "Restart"
        elif kind == "HostConnectionLost":
            self.failures += 1
        elif kind == "NoCompatibleHost":
            self.unplaced += 1


def start(made: Plan, vms: list[tuple[int, int]]) -> list[Placed]:
    """Put each VM onto the best host for it, running and reported."""
    run = _system(made)
    fleet, edition = run.fleet, run.plan.edition
    around = Surroundings(run.api, edition, {}, fleet.inventory.lowest_mhz)
    specs = {size: system.admitted(run, *size) for size in sorted(set(vms))}
    placed: list[Placed] = []
    for number, size in enumerate(vms, start=1):
        uid = f"{number:08x}-0000-4000-8000-000000000000"
        vm = VirtualMachine(f"{system.NAMESPACE}/vm-{number}", specs[size], uid)
        wanted = around.requirement(vm)
        host = fleet.inventory.hosts[fleet.place(wanted)]
        known = Remembered(vm.key, host.name, ON, address(number))
        adopt(fleet, known, wanted)
        seen, required = fleet.observe(vm.key), around.prerequisites(vm)[0]
        report(vm, seen, conditions(vm, seen, required, None, edition), edition, 0.0)
        vm.status.unique_id = f"vm-{number}"
        told = {one.name: getattr(vm.status, one.name) for one in dataclasses.fields(vm.status)}
        placed.append((vm, told, known, wanted))
    return placed


def replicate(
    made: Plan,
    seed: int,
    placed: list[Placed],
    sink: BinaryIO | None = None,
    until_s: float = YEAR_S,
) -> tuple[System, Figures]:
    """One year, or so many seconds of it; with a `sink` its trace is kept there."""
    spec = made.scenario.spec.model_copy(update={"seed": seed})
    mine = dataclasses.replace(made, scenario=made.scenario.model_copy(update={"spec": spec}))
    run, figures = _system(mine, sink), Figures()
    run.trace.listen(figures.see)
    finalizer = made.edition.finalizer
    for vm, told, known, wanted in placed:
        adopt(run.fleet, known, wanted)
        status = VMStatus(**told)
        run.api.vms[vm.key] = VirtualMachine(
            vm.key, vm.spec, vm.uid, finalizer=finalizer, status=status
        )
    run.advance(until_s)
    return run, figures


def _system(made: Plan, sink: BinaryIO | None = None) -> System:
    """A system with its hosts and no VMs, at the beginning."""
    with opened("memory", made.hosts) as backend:
        run = System(made, backend, simpy.Environment(), sink)
    if sink is None:
        run.trace.forgo_digest()
    run.begin()
    return run


def main() -> str:
    """Run the replications; the result line."""
    hosts, count = int(sys.argv[1]), int(sys.argv[2])
    made = plan(hosts)
    placed = start(made, sizes(hosts))
    replicate(made, 0, placed)
    watch = Stopwatch()
    runs = [replicate(made, seed, placed)[1] for seed in range(1, count + 1)]
    result = json.loads(watch.result([0] * len(placed)))
    result["ms_per_replication"] = round(1e3 * result["cpu_s"] / count, 1)
    for name in ("failures", "restarts", "unplaced"):
        result[name] = sum(getattr(run, name) for run in runs) / count
    result["downtime_h"] = round(sum(run.downtime_s for run in runs) / 3600 / count, 2)
    return json.dumps(result)


if __name__ == "__main__":
    print(main())
