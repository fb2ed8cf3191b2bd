"""A year of host failures through vmsim: the W3 workload, one replication per seed.

Hosts fail by themselves (exponential, mean 2,000 h) and are repaired (exponential, mean 24 h). The
VMs of a failed host lose power; HA restarts them 120 s later, and their guests take 60 s to start.
70 % of the cores are promised. A replication is all of it: a new system, its VMs, and the year.

    python -m bench.year HOSTS REPLICATIONS
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import simpy

from backends import opened
from bench import churn, system
from bench.stopwatch import Stopwatch
from vmsim import loading
from vmsim.documents import Document, Lines
from vmsim.objects import VirtualMachine
from vmsim.plan import Plan
from vmsim.simulate import System

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


def scenario(hosts: int) -> dict[str, Any]:
    """The scenario without its VMs."""
    made = system.scenario(hosts)
    spec = made["spec"]
    spec["duration"] = f"{int(YEAR_S)}s"
    spec["policies"]["placement"] = "worst_fit"
    spec["durations"] = system.NO_TIME | {"guest_boot": f"{BOOT_S}s"}
    spec["highAvailability"] = {
        "detection": {"secondaryWithHeartbeats": f"{DETECTION_S}s", "placement": "0s"}
    }
    law = {"exponential": {"mean": MTBF}}, {"exponential": {"mean": MTTR}}
    spec["failures"] = {"hosts": [{"mtbf": law[0], "mttr": law[1]}]}
    return made


def replicate(plan: Plan, seed: int, vms: list[tuple[int, int]]) -> System:
    """One year."""
    spec = plan.scenario.spec.model_copy(update={"seed": seed})
    mine = dataclasses.replace(plan, scenario=plan.scenario.model_copy(update={"spec": spec}))
    with opened("memory", mine.hosts) as backend:
        made = System(mine, backend, simpy.Environment())
    made.begin()
    specs = {size: system.admitted(made, *size) for size in sorted(set(vms))}
    for number, size in enumerate(vms):
        made.api.submit(VirtualMachine(f"{system.NAMESPACE}/vm-{number}", specs[size]), "template")
    made.advance(YEAR_S)
    return made


def main() -> str:
    """Run the replications; the result line."""
    hosts, count = int(sys.argv[1]), int(sys.argv[2])
    vms = sizes(hosts)
    plan = loading.plan(Document(scenario(hosts), "year", Lines(0)), Path())
    replicate(plan, 0, vms)
    watch = Stopwatch()
    runs = [replicate(plan, seed, vms) for seed in range(1, count + 1)]
    result = json.loads(watch.result([0] * len(vms)))
    result["ms_per_replication"] = round(1e3 * result["cpu_s"] / count, 1)
    result["records"] = sum(run.trace.count for run in runs) / count
    return json.dumps(result)


if __name__ == "__main__":
    print(main())
