"""The W1 workload: VMs that come, stay for a while and go, on hosts that are 85 % full.

Hosts have 48 cores and 512 GiB. Arrivals are a Poisson process, lifetimes are exponential with a
mean of one day, and the rate is such that on average 85 % of the cores are promised. Each VM is
of one of eight classes. The file has one record per VM, little endian, so that every driver reads
the same trace: arrival and lifetime in seconds (float64), vCPUs and MiB (int32).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HOST_CORES = 48
HOST_MIB = 512 * 1024
LOAD = 0.85
MEAN_LIFETIME_S = 86_400.0
SEED = 42

CLASSES = (
    (2, 4, 0.25), (2, 8, 0.20), (4, 8, 0.20), (4, 16, 0.12),
    (8, 16, 0.10), (8, 32, 0.06), (16, 32, 0.04), (16, 64, 0.03),
)  # fmt: skip
"""Rows of (vCPUs, GiB, share of all VMs)."""

RECORD = np.dtype([("arrival", "<f8"), ("lifetime", "<f8"), ("cpus", "<i4"), ("mib", "<i4")])
CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Size:
    """So many hosts, and so many VMs that come and go on them."""

    hosts: int
    vms: int

    @property
    def file_name(self) -> str:
        """Name of the file with this workload."""
        return f"churn-{self.hosts}-{self.vms}.bin"


def generate(size: Size) -> np.ndarray:
    """The workload as an array of RECORD, sorted by arrival."""
    shapes = np.array([(cpus, gib) for cpus, gib, _ in CLASSES])
    shares = np.array([share for _, _, share in CLASSES])
    running = LOAD * HOST_CORES * size.hosts / float((shapes[:, 0] * shares).sum())
    rng = np.random.default_rng(SEED)
    trace = np.zeros(size.vms, dtype=RECORD)
    trace["arrival"] = np.cumsum(rng.exponential(MEAN_LIFETIME_S / running, size.vms))
    trace["lifetime"] = rng.exponential(MEAN_LIFETIME_S, size.vms)
    chosen = shapes[rng.choice(len(CLASSES), size.vms, p=shares)]
    trace["cpus"] = chosen[:, 0]
    trace["mib"] = chosen[:, 1] * 1024
    return trace


def store(size: Size, folder: Path) -> Path:
    """The file with the workload, made when it is not there yet."""
    path = folder / size.file_name
    if not path.exists():
        generate(size).tofile(path)
    return path


def records(path: Path) -> Iterator[tuple[float, float, int, int]]:
    """The VMs of a file in order, read a chunk at a time."""
    for chunk in np.array_split(np.memmap(path, dtype=RECORD, mode="r"), _chunks(path)):
        yield from chunk.tolist()


def count(path: Path) -> int:
    """How many VMs the file has."""
    return path.stat().st_size // RECORD.itemsize


def end_s(path: Path) -> float:
    """A second after the last VM of the file has gone."""
    vms = np.memmap(path, dtype=RECORD, mode="r")
    return float((vms["arrival"] + vms["lifetime"]).max()) + 1.0


def _chunks(path: Path) -> int:
    return max(1, count(path) // CHUNK)
