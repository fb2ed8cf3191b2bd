"""The baseline: the churn in plain SimPy, as a competent user writes it.

One process per VM, host objects with slots, a linear scan for the best fit (fewest free vCPUs,
the first host wins a tie). No rules, no queue, no record of what happened.

    python -m bench.plain WORKLOAD_FILE HOSTS
"""

import sys
from collections.abc import Generator
from pathlib import Path

import simpy

from bench import churn
from bench.stopwatch import Stopwatch


class Host:
    """A host and what is free on it."""

    __slots__ = ("cpus", "mib", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.cpus = churn.HOST_CORES
        self.mib = churn.HOST_MIB


def best_fit(hosts: list[Host], cpus: int, mib: int) -> Host | None:
    """The host with the fewest free vCPUs among those that fit."""
    best, fewest = None, sys.maxsize
    for host in hosts:
        if host.cpus >= cpus and host.mib >= mib and host.cpus < fewest:
            best, fewest = host, host.cpus
    return best


def run(path: Path, host_count: int) -> str:
    """Run the workload; the result line."""
    vms = list(churn.records(path))
    rows = [-1] * len(vms)
    hosts = [Host(number) for number in range(host_count)]
    env = simpy.Environment()

    def vm(
        number: int, lifetime_s: float, cpus: int, mib: int
    ) -> Generator[simpy.Event, None, None]:
        host = best_fit(hosts, cpus, mib)
        if host is None:
            return
        host.cpus -= cpus
        host.mib -= mib
        rows[number] = host.number
        yield env.timeout(lifetime_s)
        host.cpus += cpus
        host.mib += mib

    def source() -> Generator[simpy.Event, None, None]:
        for number, (arrival_s, lifetime_s, cpus, mib) in enumerate(vms):
            yield env.timeout(arrival_s - env.now)
            env.process(vm(number, lifetime_s, cpus, mib))

    env.process(source())
    watch = Stopwatch()
    env.run()
    return watch.result(rows)


if __name__ == "__main__":
    print(run(Path(sys.argv[1]), int(sys.argv[2])))
