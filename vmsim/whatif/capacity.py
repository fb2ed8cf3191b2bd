"""How full were the hosts over time, and how much of what was free could be used?

Packing density counts hosts that run something; free cores of a host whose memory is too small for
the smallest class are stranded, and so is the reverse. A host's part is worked out anew only when
it changes; sums over hosts are integrated over time. `changed` names the hosts whose use changed,
for a reader who takes them out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmsim.manifests import Manifest, to_class
from vmsim.objects import VMClass
from vmsim.problems import BadInput

PARTS = (
    "open", "empty", "busy_cpu", "busy_mem", "used_cpu", "used_mem", "all_cpu", "all_mem",
    "stranded_cpu", "stranded_mem", "gpu_used", "gpu_all", "running",
    "over_mem", "over_vms",
)  # fmt: skip
"""What is summed over the open hosts, in this order; `busy` is the size of hosts that are used,
`over` the memory promised beyond what a host has, and the VMs on such hosts."""


@dataclass(slots=True)
class _Host:
    size: NDArray[np.float64]
    used: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    count: int = 0
    open: bool = True
    part: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(PARTS)))


class Capacity:
    """What runs where, integrated over time; resources are vCPUs, MiB and device units."""

    def __init__(self, edition: str, cpu: float, memory: float) -> None:
        self._edition = edition
        self._promise = np.array([cpu, memory, 1.0])
        self._classes: dict[str, VMClass] = {}
        self._smallest = np.zeros(3)
        self._hosts: dict[str, _Host] = {}
        self._at: dict[str, tuple[str, str]] = {}
        self.total = np.zeros(len(PARTS))
        self.integral = np.zeros(len(PARTS))
        self.seen_s = self._now_s = 0.0
        self.changed: set[str] = set()

    def declare(self, name: str, data: Mapping[str, Any]) -> None:
        """A host with this size is there."""
        devices = sum(data["devices"].values())
        size = np.array([data["cores"], data["memory_mib"], devices], dtype=float)
        self._hosts[name] = _Host(size * self._promise)
        self.changed.add(name)
        self._refresh(self._hosts[name])

    def learn(self, manifest: Mapping[str, Any]) -> None:
        """Take in a class."""
        if manifest.get("kind") != "VirtualMachineClass":
            return
        name = manifest["metadata"]["name"]
        try:
            found = to_class(
                Manifest("VirtualMachineClass", "", name, dict(manifest)), self._edition
            )
        except (BadInput, ValueError, TypeError):
            return
        self._classes[name] = found
        sizes = np.array([self._size(one) for one in self._classes])
        self._smallest = sizes.min(axis=0)
        for host in self._hosts.values():
            self._refresh(host)

    def devices_of(self, class_name: str) -> Mapping[str, int]:
        """The devices of a class."""
        found = self._classes.get(class_name)
        return {} if found is None else found.devices

    def enter(self, vm: str, class_name: str, host: str) -> None:
        """The VM runs there from now on."""
        if self._at.get(vm) == (host, class_name):
            return
        self.leave(vm)
        self._at[vm] = (host, class_name)
        self._add(host, class_name, 1)

    def leave(self, vm: str) -> None:
        """The VM runs nowhere."""
        where = self._at.pop(vm, None)
        if where is not None:
            self._add(*where, -1)

    def open(self, host: str, is_open: bool) -> None:
        """The host takes VMs, or does not."""
        found = self._hosts.get(host)
        if found is not None:
            found.open = is_open
            self._refresh(found)

    def pass_to(self, now_s: float) -> None:
        """Time goes on to `now_s` with everything as it is."""
        self.integral += self.total * (now_s - self._now_s)
        self.seen_s += now_s - self._now_s
        self._now_s = now_s

    def forget(self) -> None:
        """Integrals count from here on."""
        self.integral = np.zeros(len(PARTS))
        self.seen_s = 0.0

    def sum_of(self, name: str) -> float:
        """A part, integrated over time."""
        return float(self.integral[PARTS.index(name)])

    def mean(self, name: str) -> float:
        """The mean over time of a part."""
        return self.sum_of(name) / self.seen_s if self.seen_s else 0.0

    def share(self, part: str, whole: str) -> float:
        """The time-weighted share of one part in another; 0 of nothing."""
        top, bottom = self.integral[PARTS.index(part)], self.integral[PARTS.index(whole)]
        return float(top / bottom) if bottom else 0.0

    def load(self, host: str) -> float:
        """The share of the host's memory that is used; of its vCPUs, if that is more."""
        found = self._hosts[host]
        return float(np.max(found.used[:2] / np.maximum(found.size[:2], 1.0)))

    def now(self, part: str, whole: str) -> float:
        """The share of one part in another at this moment; 0 of nothing."""
        top, bottom = self.total[PARTS.index(part)], self.total[PARTS.index(whole)]
        return float(top / bottom) if bottom else 0.0

    def _size(self, class_name: str) -> tuple[float, float, float]:
        found = self._classes.get(class_name)
        if found is None:
            return 0.0, 0.0, 0.0
        return float(found.cpus), float(found.memory_mib), float(sum(found.devices.values()))

    def _add(self, host: str, class_name: str, sign: int) -> None:
        found = self._hosts.get(host)
        if found is not None:
            self.changed.add(host)
            found.used = found.used + sign * np.array(self._size(class_name))
            found.count += sign
            self._refresh(found)

    def _refresh(self, host: _Host) -> None:
        """Work a host's part out anew."""
        self.total = self.total - host.part
        size, used, count = host.size, host.used, host.count
        free = np.maximum(size - used, 0.0)
        short = free < self._smallest
        over = max(used[1] - size[1] / self._promise[1], 0.0)
        busy = size if count else np.zeros(3)
        part = np.array([
            1.0, float(count == 0), busy[0], busy[1], used[0], used[1], size[0], size[1],
            free[0] if short[1] else 0.0, free[1] if short[0] else 0.0, used[2], size[2],
            float(count), over, float(count) if over else 0.0,
        ])  # fmt: skip
        host.part = part if host.open else np.zeros(len(PARTS))
        self.total = self.total + host.part
