"""What may a scenario say about vSphere HA?

The block `highAvailability`: how failures are noticed, how VMs are restarted, and what admission
control keeps free for that. A scenario without the block has HA with the defaults below, but
neither admission control nor memory overhead; one with the block has both unless it says
otherwise, as a cluster on which HA is turned on in the vSphere Client.
"""

import dataclasses
from collections.abc import Iterator, Mapping

from pydantic import Field, model_validator

from vmsim import ha
from vmsim.schema import Duration, MemoryMib, Strict, durations_model

HaDetection = durations_model(
    "HaDetection",
    "How long it takes vSphere HA to notice a failure and to begin with the restarts.",
    ha.Detection,
    lambda says: f"{says['means']} ({says['source']})",
)


class HaRestart(Strict):
    """In which order VMs are restarted, and how often it is tried."""

    default: ha.Tier = ha.Tier.MEDIUM
    """The priority of VMs that are not named below; a disabled one is not restarted."""
    classes: dict[str, ha.Tier] = {}
    """Priorities by VM class."""
    vms: dict[str, ha.Tier] = {}
    """Priorities by `namespace/name` or glob; the first that matches counts, before the class."""
    ready: ha.Ready = ha.Ready.NONE
    """What a host waits for before it restarts VMs of the next priority: the end of the power-on
    tasks (none), the VMs powered on, or their guests up."""
    ready_timeout: Duration = 600.0
    """It waits no longer than that (restartPriorityTimeout); unused when `ready` is none."""
    max_attempts: int = Field(default=5, ge=1, le=20)
    """So many power-ons of a VM fail, the first included, until HA gives up
    (das.maxvmrestartcount)."""
    first_retry: Duration = Field(default=120.0, gt=0)
    """From a failed attempt to the second one; each further pause is twice as long."""
    per_host: int = Field(default=32, ge=1)
    """Concurrent power-ons of a host (das.perHostConcurrentFailoversLimit)."""


class HaSlot(Strict):
    """A fixed slot size."""

    cpu_mhz: int = Field(ge=1)
    memory: MemoryMib = Field(gt=0)


class HaPercent(Strict):
    """How much of the cluster is kept free, in per cent."""

    cpu: int = Field(ge=0, le=100)
    memory: int = Field(ge=0, le=100)


class HaAdmissionControl(Strict):
    """What is kept free for failovers; a power-on that would use it up is refused, and so is the
    evacuation of a host for maintenance."""

    policy: ha.ControlPolicy = ha.ControlPolicy.PERCENTAGE
    """Percentage is what the vSphere Client chooses when HA is turned on (vSphere Availability,
    6.7)."""
    host_failures: int = Field(default=1, ge=1, le=64)
    """So many hosts may fail: with slots, and for a percentage that is not given."""
    slot: HaSlot | None = None
    """With slots: by default the largest CPU and memory reservation of the VMs that run."""
    percent: HaPercent | None = None
    """With percentage: by default the share of the largest `hostFailures` hosts."""
    failover_hosts: list[str] = []
    """With dedicatedHosts: they run nothing but restarted VMs, and are tried first for these."""
    min_cpu_mhz: int = Field(default=32, ge=0)
    """Counts for a VM that reserves less CPU (das.vmcpuminmhz)."""

    @model_validator(mode="after")
    def _fits_the_policy(self) -> "HaAdmissionControl":
        own = {
            "slot": ha.ControlPolicy.SLOTS,
            "percent": ha.ControlPolicy.PERCENTAGE,
            "failover_hosts": ha.ControlPolicy.DEDICATED,
        }
        for name, policy in own.items():
            if getattr(self, name) and self.policy is not policy:
                field = type(self).model_fields[name].alias
                raise ValueError(f"{field} would have no effect: it needs policy {policy.value}")
        if self.policy is ha.ControlPolicy.DEDICATED and not self.failover_hosts:
            raise ValueError("policy dedicatedHosts would keep nothing free: name failoverHosts")
        return self


class FailHost(Strict):
    """A host that fails, and how."""

    host: str
    kind: ha.FailureKind = ha.FailureKind.CRASH
    """It dies (crash), loses its network (isolation), or all paths to its datastores for a while
    (apd) or for good (pdl)."""


class HighAvailability(Strict):
    """vSphere HA: what restarts the VMs of a failed host elsewhere."""

    enabled: bool = True
    """Whether VMs are restarted, and admission control is in force, at all."""
    primary: list[str] = []
    """The hosts that are primary at the start, at most one for each cluster; by default the first
    connected one by name, which also decides elections."""
    heartbeat_datastores: bool = True
    """Whether hosts have heartbeat datastores; it takes longer to declare them dead then."""
    isolation_response: ha.IsolationResponse = ha.IsolationResponse.NONE
    """What an isolated host does with its VMs; none, as the vSphere Client, leaves them running."""
    storage_protection: bool = True
    """VM Component Protection: whether VMs of a host that lost its storage are stopped and
    restarted elsewhere."""
    memory_overhead: bool = True
    """Whether the memory overhead of VMs counts: in admission control, and on top of their memory
    reservation on the host."""
    detection: HaDetection = HaDetection()  # type: ignore[valid-type]
    """See HaDetection."""
    restart: HaRestart = HaRestart()
    """See HaRestart."""
    admission_control: HaAdmissionControl = HaAdmissionControl()
    """See HaAdmissionControl."""


def settings(block: HighAvailability | None) -> ha.Settings:
    """HA as the block describes it; without a block, as the module docstring says."""
    if block is None:
        return ha.Settings()
    control = block.admission_control
    return ha.Settings(
        block.enabled,
        tuple(block.primary),
        block.heartbeat_datastores,
        block.isolation_response,
        block.storage_protection,
        block.memory_overhead,
        _detection(block),
        _restart(block.restart),
        ha.Control(
            control.policy if block.enabled else ha.ControlPolicy.DISABLED,
            control.host_failures,
            ha.Amount(control.slot.cpu_mhz, control.slot.memory) if control.slot else None,
            (control.percent.cpu, control.percent.memory) if control.percent else None,
            tuple(control.failover_hosts),
            control.min_cpu_mhz,
        ),
    )


def problems(
    block: HighAvailability | None, clusters: Mapping[str, str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Fields that name hosts wrongly, each with what is wrong; `clusters` is by host name."""
    if block is None:
        return
    control = ("admissionControl", "failoverHosts")
    for where, names in (
        (("primary",), block.primary),
        (control, block.admission_control.failover_hosts),
    ):
        for name in names:
            if name not in clusters:
                yield where, f"there is no host {name}"
    at: dict[str, str] = {}
    for name in block.primary:
        other = at.setdefault(clusters.get(name, ""), name)
        if other != name and name in clusters:
            yield ("primary",), f"{other} and {name} are in one cluster: it has one primary"


def _detection(block: HighAvailability) -> ha.Detection:
    names = [item.name for item in dataclasses.fields(ha.Detection)]
    given = {name: getattr(block.detection, name.removesuffix("_s")) for name in names}
    return ha.Detection(**given)


def _restart(block: HaRestart) -> ha.RestartPolicy:
    return ha.RestartPolicy(
        block.default,
        block.classes,
        block.vms,
        block.ready,
        block.ready_timeout,
        block.max_attempts,
        block.first_retry,
        block.per_host,
    )


def said(now: ha.Settings) -> list[str]:
    """What a run takes for granted about HA, one sentence each."""
    if not now.enabled:
        return ["vSphere HA is off: the VMs of a failed host stay off until it is back"]
    seen, restart, control = now.detection, now.restart, now.control
    figures = [
        f"{item.name.removesuffix('_s')} {getattr(seen, item.name):g} s"
        for item in dataclasses.fields(ha.Detection)
    ]
    named = f" ({', '.join(now.primaries)} at the start)" if now.primaries else ""
    overhead = "counts" if now.memory_overhead else "does not count"
    return [
        f"vSphere HA is on; the primary is the first connected host by name{named}; heartbeat "
        f"datastores: {'yes' if now.heartbeat_datastores else 'no'}; isolation response: "
        f"{now.isolation_response.value}; storage protection: "
        f"{'on' if now.storage_protection else 'off'}",
        f"HA detection (Epping, vSphere 6.x HA Deepdive; vSphere API): {', '.join(figures)}",
        f"HA restarts: priority {restart.default.value} by default, {restart.per_host} power-ons "
        f"at once per host, {restart.max_attempts} attempts, the second "
        f"{restart.first_retry_s:g} s after a failed first, pauses doubling; VMs of the next "
        f"priority wait for: {restart.ready.value}",
        f"HA admission control: {control.policy.value}, for {control.tolerated} host failures; "
        f"memory overhead of VMs {overhead} (fit to vSphere Resource Management 6.5, p. 34)",
    ]
