"""How does a scenario say what a live migration meets?

The block `vmotion`: the network, the rules of pre-copy, vSphere's limits, the stun of a vGPU, and
what VMs do to their memory: all of them, those of a class, or one VM. Defaults are those of
`vmsim.vmotion`, which names their sources.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Literal

from pydantic import Field, field_validator

from vmsim.bandwidth import Network
from vmsim.objects import HostSpec
from vmsim.precopy import Rules
from vmsim.problems import Problem
from vmsim.schema import Duration, MemoryMib, Strict
from vmsim.vmotion import (
    RECOMMENDED_NIC_MBPS,
    STUN_FITS,
    Limits,
    Traits,
    VMotion,
    concurrent,
)

NETWORK, RULES, LIMITS, TRAITS, VMOTION = Network(), Rules(), Limits(), Traits(), VMotion()
FAULTS = {"off": "VMotionNotConfigured", "linkDown": "VMotionLinkDown"}
"""Why a host takes no part in live migrations, by the word of its field `vmotion`."""

LEAST_MBPS = 250
"""What vMotion needs for each migration at a time ("vMotion Networking Requirements", vSphere
documentation 6.0 to 8.0)."""


class VmotionNetwork(Strict):
    """What of a host's network card vMotion can use; see Host.nicMbps."""

    streams: int | None = Field(default=None, ge=1, le=64)
    """Streams of one migration: by default as many as the slower card needs (7.0 U2 and later);
    1 before that."""
    stream_mbps: float = Field(default=NETWORK.stream_mbps, gt=0)
    """What one stream carries at most: a CPU core's work (VMware vSphere Blog 2019/09)."""
    efficiency: float = Field(default=NETWORK.efficiency, gt=0, le=1)
    """What is left of a link after protocol overheads; no source."""
    share: float = Field(default=NETWORK.share, gt=0, le=1)
    """What Network I/O Control grants vMotion."""


class VmotionPreCopy(Strict):
    """When the copying ends, and how the guest is held back."""

    switchover: Duration = RULES.switchover_s
    """The VM is stopped once the rest can be sent in this time; vSphere aims at less than 1 s in
    all."""
    max_rounds: int = Field(default=RULES.max_rounds, ge=0, le=1000)
    """Rounds beyond the first, at most (29 in Xen, Akoush 2010)."""
    max_sent: float = Field(default=RULES.max_sent, ge=1, le=1000)
    """The VM is stopped when more than so many times its memory was sent (3 in Xen)."""
    sdps: bool = RULES.sdps
    """Stun during page send: a guest that writes faster than the link sends is slowed down."""
    sdps_share: float = Field(default=RULES.sdps_share, gt=0, lt=1)
    """What such a guest may write, as a share of what is sent; no source."""
    saturating: bool = RULES.saturating
    """Pages written twice count once: working set x (1 - exp(-written/working set)); false: the
    linear form min(working set, written)."""


class VmotionLimits(Strict):
    """Cost units at a time; vMotion costs 1 of each, without shared storage 4, 1 and 16."""

    host: int = Field(default=LIMITS.host, ge=1, le=1000)
    """Of a host."""
    network_fast: int = Field(default=LIMITS.network_fast, ge=1, le=1000)
    """Of the network of a host with 10 Gbit/s or more."""
    network_slow: int = Field(default=LIMITS.network_slow, ge=1, le=1000)
    """Of the network of a host below 10 Gbit/s."""
    datastore: int = Field(default=LIMITS.datastore, ge=1, le=100_000)
    """Of a datastore."""


class VmotionVm(Strict):
    """What a VM does to its memory, and what hinders it; what is not given is that of its class,
    or of all."""

    dirty_mib_per_s: float | None = Field(default=None, ge=0, le=1e6)
    """Memory that it writes per second, in MiB."""
    working_set_share: float | None = Field(default=None, ge=0, le=1)
    """The part of its memory that it writes to at all."""
    disk: MemoryMib | None = None
    """What its disks hold; sent when they move as well."""
    framebuffer_gib: float | None = Field(default=None, ge=0)
    """Framebuffer in use by its vGPUs: by default what their profiles' names say."""
    pinned: bool | None = None
    """CPU or memory affinity: it cannot be migrated live (AffinityConfigured)."""


class VmotionDefaults(Strict):
    """What VMs do to their memory unless their class or they themselves differ."""

    dirty_mib_per_s: float = Field(default=round(TRAITS.dirty_mib_s, 3), ge=0, le=1e6)
    """Memory that a VM writes per second, in MiB: 50 MB/s for a general server; no vSphere
    source."""
    working_set_share: float = Field(default=TRAITS.working_set_share, ge=0, le=1)
    """The part of its memory that it writes to at all; no vSphere source."""
    disk: MemoryMib = TRAITS.disk_mib
    """What its disks hold; sent when they move as well."""


class Vmotion(Strict):
    """Live migration: what it may use, how it ends, and what VMs do meanwhile."""

    network: VmotionNetwork = VmotionNetwork()
    """See VmotionNetwork."""
    pre_copy: VmotionPreCopy = VmotionPreCopy()
    """See VmotionPreCopy."""
    limits: VmotionLimits = VmotionLimits()
    """See VmotionLimits."""
    fixed_stun: Duration = VMOTION.fixed_stun_s
    """Downtime beside the last copy, contained in `durations.migrate`; no source."""
    gpu_stun: Literal[tuple(STUN_FITS)] = VMOTION.stun_fit  # type: ignore[valid-type]
    """Which published table tells how long a vGPU stops its VM: the vSphere documentation's of
    6.7 U1 (P40), 7.0 (V100), or the worst case of 7.0."""
    stun_limit: Duration = VMOTION.stun_limit_s
    """A VM whose vGPUs would stop it for longer is not migrated live (vSphere 8.0: 100 s)."""
    storage: bool = VMOTION.storage
    """Whether a VM may move to a host that does not mount its datastore, disks and all."""
    defaults: VmotionDefaults = VmotionDefaults()
    """See VmotionDefaults."""
    classes: dict[str, VmotionVm] = {}
    """By the name of the VirtualMachineClass."""
    vms: dict[str, VmotionVm] = {}
    """By `namespace/name`."""

    @field_validator("vms")
    @classmethod
    def _full_names(cls, vms: dict[str, VmotionVm]) -> dict[str, VmotionVm]:
        short = sorted(name for name in vms if "/" not in name)
        if short:
            raise ValueError(f"{', '.join(short)}: `namespace/name` is expected, else no VM is it")
        return vms


def parameters(block: Vmotion) -> VMotion:
    """The block as the model's parameters."""
    network = block.network
    defaults = _traits(block.defaults)
    return VMotion(
        Network(network.streams or 0, network.stream_mbps, network.efficiency, network.share),
        Rules(block.pre_copy.switchover, **_same(block.pre_copy, Rules)),
        Limits(**_same(block.limits, Limits)),
        block.fixed_stun,
        block.gpu_stun,
        block.stun_limit,
        block.storage,
        Traits(**defaults),
        {name: Traits(**defaults | _traits(one)) for name, one in block.classes.items()},
        {name: _traits(one) for name, one in block.vms.items()},
    )


def _same(part: Strict, target: type) -> dict[str, Any]:
    """The fields that part and target call the same."""
    names = [item.name for item in fields(target)]
    return {name: getattr(part, name) for name in names if name in type(part).model_fields}


def _traits(part: Strict) -> dict[str, Any]:
    """What the part says, by the names of Traits."""
    names = {"dirty_mib_per_s": "dirty_mib_s", "disk": "disk_mib"}
    said = {name: getattr(part, name) for name in type(part).model_fields}
    return {names.get(name, name): value for name, value in said.items() if value is not None}


def warnings(block: Vmotion, hosts: Sequence[HostSpec]) -> list[Problem]:
    """What vSphere would warn of, and what would end in long stops: one of a kind, with a host."""
    model = parameters(block)
    slowest = min((host for host in hosts if not host.vmotion_fault), key=_speed, default=None)
    if slowest is None:
        return []
    found = _slow_links(model, slowest)
    rate = model.network.link_mib_s(slowest.nic_mbps)
    named = [("defaults", model.defaults), *(("classes." + k, v) for k, v in model.classes.items())]
    named += [("vms." + key, replace(model.defaults, **own)) for key, own in model.vms.items()]
    for name, traits in named:
        if traits.dirty_mib_s >= rate and not model.rules.sdps:
            what = (
                f"VMs write {traits.dirty_mib_s:g} MiB/s, and host {slowest.name} sends "
                f"{rate:.0f} at most: the copying never catches up, and stops the VM for long"
            )
            where = f"spec.vmotion.{name}.dirtyMibPerS"
            found.append(Problem(what, where, hint="turn preCopy.sdps on, or expect the downtime"))
    return found


def _slow_links(model: VMotion, slowest: HostSpec) -> list[Problem]:
    """Whether the slowest card is below what vSphere recommends, or demands per migration."""
    where = "spec.clusters.hosts.nicMbps"
    name, mbps = slowest.name, slowest.nic_mbps
    if mbps < RECOMMENDED_NIC_MBPS:
        what = f"VMotionLinkCapacityLow: host {name} has {mbps} Mbit/s for vMotion"
        return [Problem(what, where, hint=f"vSphere recommends {RECOMMENDED_NIC_MBPS}")]
    at_once = concurrent(mbps, model.limits)
    if mbps * model.network.share < at_once * LEAST_MBPS:
        what = f"host {name} has less than {LEAST_MBPS} Mbit/s for each of {at_once} migrations"
        return [Problem(what, where, hint="lower vmotion.limits, or take a faster card")]
    return []


def _speed(host: HostSpec) -> int:
    return host.nic_mbps
