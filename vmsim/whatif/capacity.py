"""How full were the hosts over time, and how much of what was free could be used?

Packing density counts hosts that run something; free cores of a host whose memory is too small for
the smallest class are stranded, and so is the reverse. A host's part is worked out anew when time
goes on after it changed; sums over hosts are integrated over time. `changed` names the hosts whose
use changed, for a reader who takes them out.
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
NOTHING = np.zeros(len(PARTS))
Size = tuple[float, float, float]
"""vCPUs, MiB and device units."""


@dataclass(slots=True)
class _Host:
    size: Size
    used: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    count: int = 0
    open: bool = True
    part: NDArray[np.float64] = field(default_factory=lambda: NOTHING)


class Capacity:
    """What runs where, integrated over time; resources are vCPUs, MiB and device units."""

    def __init__(self, edition: str, cpu: float, memory: float) -> None:
        self._edition = edition
        self._promised_cpu, self._promised_mem = cpu, memory
        self._classes: dict[str, VMClass] = {}
        self._sizes: dict[str, Size] = {}
        self._least_cpu = self._least_mem = 0.0
        self._hosts: dict[str, _Host] = {}
        self._stale: dict[str, None] = {}
        self._at: dict[str, tuple[str, str]] = {}
        self._total = np.zeros(len(PARTS))
        self.integral = np.zeros(len(PARTS))
        self.seen_s = self._now_s = 0.0
        self.changed: set[str] = set()

    def declare(self, name: str, data: Mapping[str, Any]) -> None:
        """A host with this size is there."""
        cpu, mem = data["cores"] * self._promised_cpu, data["memory_mib"] * self._promised_mem
        self._hosts[name] = _Host((cpu, mem, float(sum(data["devices"].values()))))
        self.changed.add(name)
        self._stale[name] = None

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
        devices = float(sum(found.devices.values()))
        self._sizes[name] = (float(found.cpus), float(found.memory_mib), devices)
        self._least_cpu, self._least_mem, _ = map(min, zip(*self._sizes.values(), strict=True))
        self._stale |= dict.fromkeys(self._hosts)

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
            self._stale[host] = None

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
        pairs = zip(found.used[:2], found.size[:2], strict=True)
        return max(used / max(size, 1.0) for used, size in pairs)

    def now(self, part: str, whole: str) -> float:
        """The share of one part in another at this moment; 0 of nothing."""
        top, bottom = self.total[PARTS.index(part)], self.total[PARTS.index(whole)]
        return float(top / bottom) if bottom else 0.0

    def _add(self, host: str, class_name: str, sign: int) -> None:
        found = self._hosts.get(host)
        if found is not None:
            for resource, units in enumerate(self._sizes.get(class_name, ())):
                found.used[resource] += sign * units
            found.count += sign
            self.changed.add(host)
            self._stale[host] = None

    @property
    def total(self) -> NDArray[np.float64]:
        """The parts, summed over the open hosts, at this moment; another array when they change."""
        for name in self._stale:
            host = self._hosts[name]
            part = self._part(host) if host.open else NOTHING
            self._total = self._total + (part - host.part)
            host.part = part
        self._stale.clear()
        return self._total

    def _part(self, host: _Host) -> NDArray[np.float64]:
        """What an open host adds to the total."""
        (cpu, mem, devices), (used_cpu, used_mem, used_devices) = host.size, host.used
        free_cpu, free_mem = max(cpu - used_cpu, 0.0), max(mem - used_mem, 0.0)
        over = max(used_mem - mem / self._promised_mem, 0.0)
        count, busy = host.count, host.count > 0
        return np.array([
            1.0, not busy, cpu * busy, mem * busy, used_cpu, used_mem, cpu, mem,
            free_cpu * (free_mem < self._least_mem), free_mem * (free_cpu < self._least_cpu),
            used_devices, devices, count, over, count * (over > 0.0),
        ], dtype=float)  # fmt: skip
