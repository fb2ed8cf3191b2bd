"""The baseline: the rolling maintenance in plain SimPy, as a competent user writes it.

Each migration has a fixed quarter of the card. No rules, no sharing, no record of what happened.

    python -m bench.rolling_plain WORKLOAD_FILE
"""

import sys
from collections.abc import Generator
from pathlib import Path

import simpy

from bench import rolling
from bench.stopwatch import Stopwatch


class Host:
    """A host, what is free on it, and its VMs."""

    __slots__ = ("cpus", "mib", "number", "open", "vms")

    def __init__(self, number: int) -> None:
        self.number = number
        self.cpus = rolling.HOST_CPUS
        self.mib = rolling.HOST_MIB
        self.open = True
        self.vms: list[int] = []


def most_free_memory(hosts: list[Host], cpus: int, mib: int) -> Host:
    """The open host with the most free memory among those that fit."""
    best, most = None, -1
    for host in hosts:
        if host.open and host.mib >= mib and host.cpus >= cpus and host.mib > most:
            best, most = host, host.mib
    assert best is not None
    return best


def filled(vms: list[tuple[int, int]]) -> tuple[list[Host], list[Host]]:
    """All hosts with their VMs, and the host of each VM."""
    hosts = [Host(number) for number in range(len(vms) // rolling.VMS_PER_HOST)]
    where = [hosts[number // rolling.VMS_PER_HOST] for number in range(len(vms))]
    for number, (cpus, mib) in enumerate(vms):
        where[number].cpus -= cpus
        where[number].mib -= mib
        where[number].vms.append(number)
    return hosts, where


def run(path: Path) -> str:
    """Run the workload; the result line."""
    vms = rolling.records(path)
    hosts, where = filled(vms)
    env = simpy.Environment()
    rate = rolling.NIC_MBPS / rolling.AT_ONCE
    moved = 0

    def migrate(number: int, slots: simpy.Resource) -> Generator[simpy.Event, None, None]:
        nonlocal moved
        cpus, mib = vms[number]
        with slots.request() as request:
            yield request
            source, target = where[number], most_free_memory(hosts, cpus, mib)
            target.cpus -= cpus
            target.mib -= mib
            yield env.timeout(mib * 2**20 * 8 / 1e6 / rate)
            source.cpus += cpus
            source.mib += mib
            source.vms.remove(number)
            target.vms.append(number)
            where[number] = target
            moved += 1

    def roll() -> Generator[simpy.Event, None, None]:
        for host in hosts:
            host.open = False
            slots = simpy.Resource(env, rolling.AT_ONCE)
            moves = [env.process(migrate(number, slots)) for number in sorted(host.vms)]
            if moves:
                yield simpy.AllOf(env, moves)
            yield env.timeout(rolling.WORK_S)
            host.open = True

    env.process(roll())
    watch = Stopwatch()
    env.run()
    rows = [host.number for host in where]
    return watch.result(rows, migrations=moved, makespan_h=round(env.now / 3600, 4))


if __name__ == "__main__":
    print(run(Path(sys.argv[1])))
