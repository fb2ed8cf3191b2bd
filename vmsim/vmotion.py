"""May this VM be migrated live, how many at a time, and what comes with the move?

`VMotion` holds every parameter of the model. How memory is copied is in `precopy`, how migrations
share the network in `bandwidth`; here are the limits of vSphere, the stun of a vGPU, the reasons
for which vCenter refuses a live migration, and the result as it is recorded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from vmsim.bandwidth import Network
from vmsim.precopy import DEFAULT_RULES, Copy, Progress, Rules, slowdown

Devices = tuple[tuple[str, int], ...]

FAST_NIC_MBPS = 10_000
RECOMMENDED_NIC_MBPS = 1_000
PROFILE_GIB = re.compile(r"-(\d+)[a-z]+\d*$", re.IGNORECASE)
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Limits:
    """Cost units that fit at once ("Limits on Simultaneous Migrations", VMware vSphere
    documentation 6.5 and 6.7); a migration takes units on its source and on its target."""

    host: int = 8
    network_fast: int = 8
    network_slow: int = 4
    datastore: int = 128

    def network(self, nic_mbps: int) -> int:
        """Units of the network: 8 with 10 Gbit/s or more, 4 below."""
        return self.network_fast if nic_mbps >= FAST_NIC_MBPS else self.network_slow


@dataclass(frozen=True, slots=True)
class Cost:
    """Units that one migration takes of each host, network and datastore."""

    host: int
    network: int
    datastore: int


VMOTION = Cost(host=1, network=1, datastore=1)
STORAGE_VMOTION = Cost(host=4, network=0, datastore=16)
VMOTION_WITHOUT_SHARED_STORAGE = Cost(host=4, network=1, datastore=16)


@dataclass(frozen=True, slots=True)
class StunFit:
    """Seconds that a VM with a vGPU stands still: fixed, per GiB of framebuffer, of memory."""

    fixed_s: float
    per_framebuffer_gib_s: float
    per_memory_gib_s: float = 0.0

    def stun_s(self, framebuffer_gib: float, memory_gib: float = 0.0) -> float:
        """The stun; none without a framebuffer."""
        if framebuffer_gib <= 0.0:
            return 0.0
        fixed = self.fixed_s + self.per_framebuffer_gib_s * framebuffer_gib
        return fixed + self.per_memory_gib_s * memory_gib


STUN_FITS: Mapping[str, StunFit] = MappingProxyType(
    {
        "6.7U1": StunFit(1.53, 7.474),
        "7.0": StunFit(1.67, 1.190),
        "7.0-worst": StunFit(0.82, 2.793, 0.273),
    }
)
"""Lines through the published tables ("Using vMotion to Migrate vGPU Virtual Machines", vSphere
documentation 6.7 and 7.0: P40 and V100 cards, 10 GbE)."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a VM does to its memory, and what of it hinders a migration.

    There is no vSphere source for dirty rates; 50 MB/s over a fifth of the memory stands for a
    general server. `framebuffer_gib` None: what the names of its vGPU profiles say.
    """

    dirty_mib_s: float = 50e6 / 2**20
    working_set_share: float = 0.2
    disk_mib: int = 40 * 1024
    framebuffer_gib: float | None = None
    pinned: bool = False


DEFAULT_NETWORK = Network()
DEFAULT_LIMITS = Limits()
DEFAULT_TRAITS = Traits()


@dataclass(frozen=True, slots=True)
class VMotion:
    """Every parameter of live migration; `classes` and `vms` hold what differs from the rest.

    `fixed_stun_s` is the part of the downtime that does not depend on memory; it is contained in
    the duration `migrate`. `stun_limit_s`: what vCenter allows, 100 s by default
    ("vMotion stun time limit", vSphere 8.0 documentation).
    """

    network: Network = DEFAULT_NETWORK
    rules: Rules = DEFAULT_RULES
    limits: Limits = DEFAULT_LIMITS
    fixed_stun_s: float = 0.1
    stun_fit: str = "7.0"
    stun_limit_s: float = 100.0
    storage: bool = False
    defaults: Traits = DEFAULT_TRAITS
    classes: Mapping[str, Traits] = field(default_factory=dict)
    vms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def traits(self, vm: str, class_name: str) -> Traits:
        """Those of the VM's class, or of all, with what is said of the VM itself."""
        found = self.classes.get(class_name, self.defaults)
        own = self.vms.get(vm)
        return replace(found, **own) if own else found

    def stun_s(self, traits: Traits, devices: Devices, memory_mib: int) -> float:
        """Seconds that the framebuffer of the VM's vGPUs adds to its downtime."""
        if not devices and not traits.framebuffer_gib:
            return 0.0
        gib = traits.framebuffer_gib
        gib = framebuffer_gib(devices) if gib is None else gib
        return STUN_FITS[self.stun_fit].stun_s(gib, memory_mib / 1024)

    def copy(self, traits: Traits, memory_mib: int, *, storage: bool = False) -> Copy:
        """What a migration of such a VM has to send."""
        return Copy(
            memory_mib,
            traits.dirty_mib_s,
            traits.working_set_share * memory_mib,
            traits.disk_mib if storage else 0.0,
            self.rules,
        )


DEFAULT_VMOTION = VMotion()


def framebuffer_gib(devices: Devices) -> float:
    """GiB of framebuffer by the profiles' names: 16 of `grid_t4-16q`, as NVIDIA names them."""
    sizes = ((PROFILE_GIB.search(name), units) for name, units in devices)
    return float(sum(int(size.group(1)) * units for size, units in sizes if size))


def assumed(model: VMotion) -> list[str]:
    """What a live migration takes for granted, in sentences with the sources of the defaults."""
    network, rules, limits, usual = model.network, model.rules, model.limits, model.defaults
    streams = f"{network.streams}" if network.streams else "as many as the card needs"
    form = "saturating" if rules.saturating else "linear"
    held = f"at {rules.sdps_share:g} of the link" if rules.sdps else "never"
    return [
        f"migrations share each card max-min fair, {network.efficiency:g} of its speed (a choice); "
        f"streams of {network.stream_mbps:g} Mbit/s (vSphere Blog 2019/09), {streams}",
        f"pre-copy: {form} dirty set, switchover within {rules.switchover_s:g} s, at most "
        f"{rules.max_rounds} rounds and {rules.max_sent:g} times the memory (Akoush 2010); guests "
        f"are slowed down {held}; fixed stun {model.fixed_stun_s:g} s",
        f"units at a time: host {limits.host}, network {limits.network_fast} "
        f"({limits.network_slow} below 10 Gbit/s), datastore {limits.datastore}; vMotion costs 1, "
        "with its disks 4, 1 and 16 (vSphere 6.7 documentation)",
        f"VMs write {usual.dirty_mib_s:g} MiB/s over {usual.working_set_share:g} of their memory "
        f"(no vSphere source); classes and VMs that differ: {len(model.classes)}, {len(model.vms)}",
        f"a vGPU stops its VM as in the vSphere documentation's table {model.stun_fit}, at most "
        f"{model.stun_limit_s:g} s; storage moves {'too' if model.storage else 'never'}",
    ]


def concurrent(nic_mbps: int, limits: Limits) -> int:
    """vMotions that a host takes part in at a time."""
    return min(limits.host // VMOTION.host, limits.network(nic_mbps) // VMOTION.network)


def report(
    copy: Copy, done: Progress, duration_s: float, stun_s: float, sent: tuple[float, str]
) -> dict[str, float | str]:
    """What the record of a migration says; `stun_s` is the stun beside the last copy, `sent` for
    how long it sent and what held it back."""
    again_mib = max(0.0, done.sent_mib - copy.memory_mib - copy.disk_mib)
    return {
        "duration_s": round(duration_s, DIGITS),
        "downtime_s": round(done.stopped_s + stun_s, DIGITS),
        "moved_mib": round(done.sent_mib, DIGITS),
        "rounds": done.round,
        "slowdown": round(slowdown(copy, done), DIGITS),
        "copy_s": round(sent[0], DIGITS),
        "again_mib": round(again_mib, DIGITS),
        "held": sent[1],
    }
