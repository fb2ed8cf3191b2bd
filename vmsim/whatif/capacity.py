"""How full were the hosts over time, and how much of what was free could be used?

Packing density counts hosts that run something; free cores of a host whose memory is too small for
the smallest class are stranded, and so is the reverse. A host's part is worked out anew when time
goes on after it changed; sums over hosts are integrated over time. `changed` names the hosts whose
use changed, for a reader who takes them out.
"""

from collections.abc import Collection, Mapping
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


@dataclass(slots=True, eq=False)
class _Host:
    name: str
    size: Size
    cpu: float = 0.0
    mem: float = 0.0
    devices: float = 0.0
    vms: dict[str, str] = field(default_factory=dict)
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
        self._stale: dict[_Host, None] = {}
        self._at: dict[str, _Host] = {}
        self._total = np.zeros(len(PARTS))
        self.integral = np.zeros(len(PARTS))
        self.seen_s = self._now_s = 0.0
        self.changed: set[str] = set()

    def declare(self, name: str, data: Mapping[str, Any]) -> None:
        """A host with this size is there."""
        cpu, mem = data["cores"] * self._promised_cpu, data["memory_mib"] * self._promised_mem
        size = (cpu, mem, float(sum(data["devices"].values())))
        host = self._hosts[name] = _Host(name, size)
        self.changed.add(name)
        self._stale[host] = None

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
        self._stale |= dict.fromkeys(self._hosts.values())

    def devices_of(self, class_name: str) -> Mapping[str, int]:
        """The devices of a class."""
        found = self._classes.get(class_name)
        return {} if found is None else found.devices

    def size_of(self, class_name: str) -> Size:
        """What a VM of the class takes; nothing if there is no such class."""
        return self._sizes.get(class_name, (0.0, 0.0, 0.0))

    def enter(self, vm: str, class_name: str, host: str) -> None:
        """The VM runs there from now on."""
        found, before = self._hosts.get(host), self._at.get(vm)
        if before is not None:
            if before is found and before.vms[vm] == class_name:
                return
            self.leave(vm)
        if found is not None:
            self._at[vm] = found
            found.vms[vm] = class_name
            self._use(found, class_name, 1.0)

    def leave(self, vm: str) -> None:
        """The VM runs nowhere."""
        found = self._at.pop(vm, None)
        if found is not None:
            self._use(found, found.vms.pop(vm), -1.0)

    def on(self, host: str) -> Collection[str]:
        """The VMs that run there."""
        found = self._hosts.get(host)
        return () if found is None else found.vms

    def open(self, host: str, is_open: bool) -> None:
        """The host takes VMs, or does not."""
        found = self._hosts.get(host)
        if found is not None:
            found.open = is_open
            self._stale[found] = None

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
        cpu, mem, _ = found.size
        return max(found.cpu / max(cpu, 1.0), found.mem / max(mem, 1.0))

    def now(self, part: str, whole: str) -> float:
        """The share of one part in another at this moment; 0 of nothing."""
        top, bottom = self.total[PARTS.index(part)], self.total[PARTS.index(whole)]
        return float(top / bottom) if bottom else 0.0

    def _use(self, host: _Host, class_name: str, sign: float) -> None:
        size = self._sizes.get(class_name)
        if size is not None:
            cpu, mem, devices = size
            host.cpu += sign * cpu
            host.mem += sign * mem
            host.devices += sign * devices
        self.changed.add(host.name)
        self._stale[host] = None

    @property
    def total(self) -> NDArray[np.float64]:
        """The parts, summed over the open hosts, at this moment; another array when they change."""
        for host in self._stale:
            part = self._part(host) if host.open else NOTHING
            self._total = self._total + (part - host.part)
            host.part = part
        self._stale.clear()
        return self._total

    def _part(self, host: _Host) -> NDArray[np.float64]:
        """What an open host adds to the total."""
        (cpu, mem, devices), used_cpu, used_mem = host.size, host.cpu, host.mem
        free_cpu, free_mem = max(cpu - used_cpu, 0.0), max(mem - used_mem, 0.0)
        over = max(used_mem - mem / self._promised_mem, 0.0)
        count, busy = len(host.vms), bool(host.vms)
        return np.array([
            1.0, not busy, cpu * busy, mem * busy, used_cpu, used_mem, cpu, mem,
            free_cpu * (free_mem < self._least_mem), free_mem * (free_cpu < self._least_cpu),
            host.devices, devices, count, over, count * (over > 0.0),
        ], dtype=float)  # fmt: skip
