"""Who was in which state from when to when, in one run? Read from its trace.

A VM is pending, starting, booting, running, migrating, waiting or off; a host is what its records
say. Only changes are kept, so a year of a quiet cluster is short.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vmsim.trace import Record, read, read_header
from vmsim.whatif.capacity import Capacity
from vmsim.whatif.entries import enter
from vmsim.whatif.ledger import Ledger

Segment = tuple[float, float, str]

VM_STATES = ("pending", "starting", "booting", "running", "migrating", "waiting", "off")
_STARTED = {"CreateVM": "starting", "PowerOnVM": "starting", "MigrateVM": "migrating"}
_BECAME = {
    "VmCreated": "off",
    "VmPoweredOn": "booting",
    "VmReset": "booting",
    "VmPoweredOff": "off",
    "VmTerminated": "off",
    "VmSuspended": "off",
    "VmMigrated": "running",
    "NoCompatibleHost": "waiting",
    "InsufficientFailoverResources": "waiting",
}


@dataclass(slots=True)
class Lane:
    """One VM's or host's states, in order; the last one is still going on."""

    state: str
    since_s: float
    segments: list[Segment] = field(default_factory=list)

    def turn(self, state: str, now_s: float) -> None:
        """Another state from now on."""
        if state != self.state:
            self.end(now_s)
            self.state, self.since_s = state, now_s

    def end(self, now_s: float) -> None:
        """The state is over; one that comes back in the same instant was never away."""
        if now_s <= self.since_s:
            return
        since_s = self.since_s
        if self.segments and self.segments[-1][1:] == (since_s, self.state):
            since_s = self.segments.pop()[0]
        self.segments.append((since_s, now_s, self.state))


@dataclass(slots=True)
class Level:
    """A figure that changes in steps."""

    times_s: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def put(self, now_s: float, value: float) -> None:
        """The figure from now on."""
        if self.times_s and self.times_s[-1] == now_s:
            self.values[-1] = value
        elif not self.values or self.values[-1] != value:
            self.times_s.append(now_s)
            self.values.append(value)


def binned(level: Level, count: int) -> list[float]:
    """The mean of a level over each of `count` equal parts of the time up to its last point."""
    end_s = level.times_s[-1]
    area = np.zeros(len(level.times_s))
    area[1:] = np.cumsum(np.diff(level.times_s) * level.values[:-1])
    edges = np.linspace(0.0, end_s, count + 1)
    parts = np.diff(np.interp(edges, level.times_s, area))
    return [float(part) for part in parts / (end_s / count)] if end_s else []


@dataclass(slots=True)
class History:
    """A run as its trace tells it."""

    header: dict[str, Any]
    ledger: Ledger
    end_s: float = 0.0
    vms: dict[str, Lane] = field(default_factory=dict)
    hosts: dict[str, Lane] = field(default_factory=dict)
    waiting: Level = field(default_factory=Level)
    cpu: Level = field(default_factory=Level)
    memory: Level = field(default_factory=Level)
    stranded_cpu: Level = field(default_factory=Level)
    stranded_memory: Level = field(default_factory=Level)
    empty_hosts: Level = field(default_factory=Level)
    load: dict[str, Level] = field(default_factory=dict)
    _total: object = None

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.header["scenario"]["metadata"]["name"])

    def see(self, record: Record) -> None:
        """Take one record in."""
        enter(self.ledger, record)
        now_s, name, kind = record.t, record.object, record.kind
        if kind in ("Host", "HostAdded"):
            self.hosts[name] = Lane("Up", now_s)
        elif name in self.hosts and "state" in record.data:
            self.hosts[name].turn(record.data["state"], now_s)
        elif kind == "Added":
            self.vms[name] = Lane("pending", now_s)
        elif name in self.vms:
            self._vm(self.vms[name], record)
        self._levels(now_s)

    def _vm(self, lane: Lane, record: Record) -> None:
        vm = self.ledger.vms.get(record.object)
        if record.kind == "TaskStarted":
            lane.turn(_STARTED.get(record.data["verb"], lane.state), record.t)
        elif record.kind == "Status" and record.data.get("ip"):
            lane.turn("running", record.t)
        elif record.kind == "NoCompatibleHost" and vm is not None and vm.running:
            return
        elif record.kind in _BECAME:
            lane.turn(_BECAME[record.kind], record.t)
        elif vm is None or (not vm.running and lane.state in ("running", "booting")):
            lane.turn("off", record.t)

    def _levels(self, now_s: float) -> None:
        self.waiting.put(now_s, float(self.ledger.waiting_now))
        total = self.ledger.capacity.total
        if total is self._total:
            return
        self._total = total
        capacity = self.ledger.capacity
        for name in capacity.changed:
            self.load.setdefault(name, Level()).put(now_s, capacity.load(name))
        capacity.changed.clear()
        share = capacity.now
        self.cpu.put(now_s, share("used_cpu", "all_cpu"))
        self.memory.put(now_s, share("used_mem", "all_mem"))
        self.stranded_cpu.put(now_s, share("stranded_cpu", "all_cpu"))
        self.stranded_memory.put(now_s, share("stranded_mem", "all_mem"))
        self.empty_hosts.put(now_s, share("empty", "open"))

    def host_lost(self, record: Record) -> None:
        """A host's failure turns its VMs off, though no record names them."""
        for name, vm in self.ledger.vms.items():
            if vm.now is not None and vm.now.began_s == record.t and not vm.running:
                self.vms[name].turn("off", record.t)

    def close(self, end_s: float) -> None:
        """The run is over."""
        self.end_s = end_s
        for lane in (*self.vms.values(), *self.hosts.values()):
            lane.end(end_s)
        for level in (
            self.waiting, self.cpu, self.memory, self.stranded_cpu, self.stranded_memory,
            self.empty_hosts, *self.load.values(),
        ):  # fmt: skip
            level.times_s.append(end_s)
            level.values.append(level.values[-1] if level.values else 0.0)
        self.ledger.close(end_s)


def history(path: Path) -> History:
    """The history of the run whose trace is at `path`; BadInput if it is no trace."""
    header = read_header(path)
    spec = header["scenario"]["spec"]
    promise = (spec.get("policies") or {}).get("overcommit") or {}
    capacity = Capacity(header["edition"], promise.get("cpu", 4.0), promise.get("memory", 1.0))
    found = History(header, Ledger(capacity))
    last_s = 0.0
    for record in read(path):
        found.see(record)
        if record.kind == "HostConnectionLost":
            found.host_lost(record)
        last_s = record.t
    found.close(last_s)
    return found
