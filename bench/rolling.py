"""The W2 workload: every host of a cluster in its turn is emptied, kept in maintenance, reopened.

Hosts have 48 cores promised four times, 512 GiB, a card of 10 Gbit/s, and 25 VMs each at the
start. At most four migrations leave a host at a time; a VM goes to the host with the most free
memory, the first of several. A host stays in maintenance for 1,800 s, then comes the next one.
"""

from pathlib import Path

import numpy as np

from bench.churn import CLASSES, HOST_CORES

HOST_MIB = 512 * 1024
HOST_CPUS = 4 * HOST_CORES
VMS_PER_HOST = 25
AT_ONCE = 4
NIC_MBPS = 10_000
WORK_S = 1800.0
SEED = 7
MOST_MIB = 480 * 1024
RECORD = np.dtype([("cpus", "<i4"), ("mib", "<i4")])


def generate(hosts: int) -> np.ndarray:
    """The VMs as an array of RECORD, 25 for each host in order."""
    shapes = np.array([(cpus, gib) for cpus, gib, _ in CLASSES])
    shares = np.array([share for _, _, share in CLASSES])
    chosen = np.random.default_rng(SEED).choice(len(CLASSES), hosts * VMS_PER_HOST, p=shares)
    vms = np.zeros(hosts * VMS_PER_HOST, dtype=RECORD)
    vms["cpus"] = shapes[chosen, 0]
    vms["mib"] = shapes[chosen, 1] * 1024
    for first in range(0, len(vms), VMS_PER_HOST):
        mine = vms["mib"][first : first + VMS_PER_HOST]
        while mine.sum() > MOST_MIB:
            mine[int(mine.argmax())] //= 2
    return vms


def store(hosts: int, folder: Path) -> Path:
    """The file with the workload, made when it is not there yet."""
    path = folder / f"rolling-{hosts}.bin"
    if not path.exists():
        generate(hosts).tofile(path)
    return path


def records(path: Path) -> list[tuple[int, int]]:
    """vCPUs and MiB of each VM, in order."""
    return [(int(cpus), int(mib)) for cpus, mib in np.fromfile(path, dtype=RECORD).tolist()]
