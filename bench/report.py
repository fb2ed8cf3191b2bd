"""The result of the benchmarks as a table, and as docs/bench.md."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.measure import Spread

LIBRARIES = ("simpy", "numpy", "msgspec")

TEXT = """# Benchmarks

Written by `{command}`; do not edit by hand.

Everything here is a ratio within one run of this command: the drivers take turns, each in a
process of its own, and a ratio compares neighbours. Costs are CPU seconds of the simulation
itself, without start-up and without building the hosts. Figures are the median, with the least
and the greatest in parentheses. CPU times of different runs cannot be compared.

Machine: {machine}. {versions}.

{table}

What is compared: the churn workload of `bench/churn.py` (hosts of 48 cores and 512 GiB, 85 % of
the cores in use, VMs of eight classes that stay for a day on average, best fit, no overcommit).

- *vmsim* (`bench/system.py`) takes every VM along the whole path: the object is stored, gets its
  finalizer, its prerequisites are looked at, a host is found, the VM is created, powered on and
  reported; when its time is over the object is deleted, the VM is powered off and destroyed, and
  the finalizer is removed. Nine records per VM go to a trace file, which is hashed as it is
  written. Durations are 0. Expectations are not watched.
- *plain SimPy* (`bench/plain.py`) has one process per VM, host objects and a linear scan. It has
  no object store, no rules, no queue and no trace.
- *CloudSim Plus* (`bench/cloudsimplus/`) asks the library's best-fit policy for a host at each
  arrival and gives it back at each departure, without broker, cloudlets or logging.

The other rows:

- *maintenance in turn* (`bench/rolling.py`): every host of a cluster with 25 VMs per host is
  emptied by live migration, kept in maintenance for half an hour and opened again. vmsim
  (`bench/rolling_system.py`) shares the cards max-min fair and takes the way through both roles,
  with a trace; plain SimPy gives each migration a fixed quarter of the card. SimGrid shares them as
  vmsim does: the hours that the whole takes are compared with its. Only the run is timed, for all.
- *a year of failures* (`bench/year.py`): hosts fail and are repaired, HA restarts their VMs, which
  run from the beginning. A replication is the system, its hosts and VMs, and the year; four figures
  are folded from its records, and no trace is kept. CloudSim Plus (`bench/cloudsimplus/Year.java`)
  fails and repairs by an entity of our own; both run one replication before they are timed.
- *a sweep of years* (`bench/sweeping.py`): the same year by `vmsim sweep run`. Its VMs are created
  and powered on in the first instant, and a replication leaves a row of all metrics, its incidents
  and the digest of its trace. The creations are a sixth of its time, the ledger from which metrics
  are worked out is a tenth, and the digest a fifteenth.
- *a sweep of 64 years*, *summary* (`bench/sweeping.py`): seconds of the clock, so on a machine that
  does something else beside it, two workers gain less.
- *vcsim* (`bench/vsphere.py`): our session beside bare pyvmomi with a pool of eight threads, in
  seconds of the clock.

- *vmsim serve* (`bench/serving.py`): 8 clients apply VMs to a kube-apiserver, with no modelled
  durations; seconds of the clock, on cores that the API server and the clients share. The bare
  loop lists, watches and writes one field per VM, without admission. Memory and processor time
  are those of `vmsim serve`, without the API server's.

Rows of *vmsim compiled* are the same runs on a build of the model by mypyc, which nobody has by
default: `make compiled` makes it, and `PYTHONPATH="$(make -s compiled)" .venv/bin/vmsim run` takes
it. Its bars are those of vmsim, and each form is judged by itself.

A bar is what the project asks for; a goal is what is to come after it. Where the last column says
NOT MET, the project is slower than it asks of itself.

Where the time of a VM goes, by samples of the churn at 1,000 hosts: nine trace records, encoded,
hashed and written, about a fifth; SimPy's events and the driver a sixth; finding the host a tenth;
reporting the status a tenth; the rest is the four tasks, the object store and the steps of the VM
role. It is about 200 calls of Python functions for each VM, each of which does little: no single
part dominates, so only fewer calls would help.

Plain SimPy spends most of its time in the linear scan, so its cost per VM grows with the number
of hosts, and vmsim's does not: a change of one host is looked at once for each kind of VM. At 100
hosts plain SimPy is about six times faster than vmsim, at 10,000 hosts about five times slower; the
bar above is for 1,000 hosts.

Everything above is memory-only and without expectations: a run of a scenario file with
expectations also keeps the picture of every VM, which takes time and memory that is not in here.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    what: str
    figure: str
    bar: str = ""
    met: str = ""

    @classmethod
    def at_most(cls, what: str, figure: Spread, bar: float, goal: float | None = None) -> "Row":
        """A figure that shall not be above `bar`, and later not above `goal`."""
        reached = goal is not None and figure.middle <= goal
        words = f"≤ {bar:g}" + (f", goal ≤ {goal:g}" if goal is not None else "")
        return cls(what, str(figure), words, _met(figure.middle <= bar, reached, goal))

    @classmethod
    def at_least(cls, what: str, figure: Spread, bar: float, goal: float | None = None) -> "Row":
        """A figure that shall not be below `bar`, and later not below `goal`."""
        reached = goal is not None and figure.middle >= goal
        words = f"≥ {bar:g}" + (f", goal ≥ {goal:g}" if goal is not None else "")
        return cls(what, str(figure), words, _met(figure.middle >= bar, reached, goal))

    @classmethod
    def fact(cls, what: str, figure: Spread) -> "Row":
        """A figure without a bar."""
        return cls(what, str(figure))

    @classmethod
    def yes(cls, what: str, so: bool) -> "Row":
        """Something that shall be so."""
        return cls(what, "yes" if so else "no", "yes", "met" if so else "NOT MET")

    @classmethod
    def skipped(cls, what: str, reason: str) -> "Row":
        """Something that was not measured."""
        return cls(what, f"skipped: {reason}")


def _met(met: bool, reached: bool, goal: float | None) -> str:
    if not met:
        return "NOT MET"
    if goal is None:
        return "met"
    return "goal met" if reached else "met, goal not met"


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    return "\n".join(["| | figure | bar | |", "|---|---|---|---|", *map(line, rows)])


def line(row: Row) -> str:
    """A row as a line of the table."""
    return f"| {row.what} | {row.figure} | {row.bar} | {row.met} |"


def document(rows: Sequence[Row], command: str) -> str:
    """The text of docs/bench.md."""
    found = [f"Python {platform.python_version()}"]
    found += [f"{name} {version(name)}" for name in LIBRARIES]
    return TEXT.format(
        command=command, machine=machine(), versions=", ".join(found), table=table(rows)
    )


def machine() -> str:
    """The CPU's model and how many cores there are."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if _linux() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores"


def _linux() -> bool:
    return Path("/proc/cpuinfo").exists()
