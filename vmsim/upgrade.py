"""How do the hosts of a cluster get a new version, one after another, while their VMs run on?

A rolling upgrade puts so many hosts at a time into maintenance, works on each, and takes it out
again. A host that cannot be emptied in time is tried again after a pause; when that does not help
either, the upgrade skips it or stops. What to begin next is a pure function of where each host
stands; `Upgrade` asks for it and hears from the trace how the hosts fare.

Source: vSphere Lifecycle Manager, "Configuring Remediation Settings"; 3 retries 5 minutes apart
are what its dialog offers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from vmsim.hosts import Refused
from vmsim.trace import Record, Trace


class Stage(StrEnum):
    """Where a host stands."""

    WAITING = "Waiting"
    ENTERING = "Entering"
    PAUSED = "Paused"
    WORKING = "Working"
    LEAVING = "Leaving"
    DONE = "Done"
    SKIPPED = "Skipped"


ACTIVE = (Stage.ENTERING, Stage.PAUSED, Stage.WORKING, Stage.LEAVING)
LOST = ("HostConnectionLost", "HostIsolated", "HostStorageLost", "HostRemoved")


@dataclass(frozen=True, slots=True)
class UpgradePlan:
    """What is to be done: `parallel` hosts at a time, `work_s` of work on each; to empty a host
    may take `timeout_s` (0: as long as it takes), is tried `retries` times more, `retry_delay_s`
    apart, and then the host is skipped, or the upgrade stops there (`stops`). `powered_off`: VMs
    that are off leave the hosts, too (None: as DRS says)."""

    name: str
    hosts: tuple[str, ...]
    parallel: int = 1
    work_s: float = 1500.0
    timeout_s: float = 1800.0
    retries: int = 3
    retry_delay_s: float = 300.0
    stops: bool = True
    powered_off: bool | None = None


class Hosts(Protocol):
    """The host operations that an upgrade needs; each may raise Refused."""

    def enter_maintenance(
        self, host: str, timeout_s: float = 0.0, powered_off: bool | None = None
    ) -> None:
        """Empty the host and put it into maintenance mode."""
        ...

    def exit_maintenance(self, host: str) -> None:
        """Take the host out of maintenance mode."""
        ...


def next_hosts(plan: UpgradePlan, stages: Mapping[str, Stage]) -> list[str]:
    """The hosts to begin with now, in the order of the plan; none once the upgrade has stopped."""
    if plan.stops and Stage.SKIPPED in stages.values():
        return []
    free = plan.parallel - sum(stage in ACTIVE for stage in stages.values())
    waiting = [host for host in plan.hosts if stages[host] is Stage.WAITING]
    return waiting[: max(free, 0)]


def is_over(plan: UpgradePlan, stages: Mapping[str, Stage]) -> bool:
    """Whether nothing is under way and nothing will be begun."""
    busy = any(stage in ACTIVE for stage in stages.values())
    return not busy and not next_hosts(plan, stages)


@dataclass(slots=True)
class Upgrade:
    """An upgrade under way; `later` calls after so many seconds. Call `start` once."""

    plan: UpgradePlan
    hosts: Hosts
    trace: Trace
    later: Callable[[float, Callable[[], None]], None]
    stages: dict[str, Stage] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    over: bool = False

    def start(self) -> None:
        """Begin with the first hosts."""
        self.stages = dict.fromkeys(self.plan.hosts, Stage.WAITING)
        self.trace.listen(self._see)
        data = {"hosts": list(self.plan.hosts), "parallel": self.plan.parallel}
        self.trace.write("host", "UpgradeStarted", self.plan.name, data)
        self._go_on()

    def _see(self, record: Record) -> None:
        """Note what a record says of one of the hosts; act on it at the end of the instant."""
        host, stage = record.object, self.stages.get(record.object)
        if stage not in ACTIVE:
            return
        if record.kind in LOST:
            self._then(lambda: self._skip(host, record.kind))
        elif stage is Stage.ENTERING and record.kind == "EnteredMaintenanceMode":
            self.stages[host] = Stage.WORKING
            self.later(self.plan.work_s, lambda: self._worked(host))
        elif stage is Stage.ENTERING and record.kind == "MaintenanceFailed":
            self._then(lambda: self._failed(host, "Timedout"))
        elif stage is Stage.LEAVING and record.kind == "ExitMaintenanceMode":
            self.stages[host] = Stage.DONE
            data = {"upgrade": self.plan.name, "attempts": self.attempts[host]}
            self._then(lambda: self._settle(host, "HostRemediated", data))

    def _then(self, call: Callable[[], None]) -> None:
        self.later(0.0, call)

    def _go_on(self) -> None:
        """Begin with as many hosts as may be worked on; say so when it is all over."""
        for host in next_hosts(self.plan, self.stages):
            self._enter(host)
        if is_over(self.plan, self.stages) and not self.over:
            self.over = True
            count = list(self.stages.values()).count
            data = {
                "remediated": count(Stage.DONE),
                "skipped": count(Stage.SKIPPED),
                "left": count(Stage.WAITING),
            }
            self.trace.write("host", "UpgradeFinished", self.plan.name, data)

    def _enter(self, host: str) -> None:
        self.stages[host] = Stage.ENTERING
        self.attempts[host] = self.attempts.get(host, 0) + 1
        try:
            self.hosts.enter_maintenance(host, self.plan.timeout_s, self.plan.powered_off)
        except Refused as refused:
            reason = refused.fault.name
            self._then(lambda: self._failed(host, reason))

    def _failed(self, host: str, reason: str) -> None:
        """The host could not be emptied: try again after a pause, or leave it out."""
        if self.stages[host] is not Stage.ENTERING:
            return
        if self.attempts[host] > self.plan.retries:
            self._skip(host, reason)
        else:
            self.stages[host] = Stage.PAUSED
            self.later(self.plan.retry_delay_s, lambda: self._again(host))

    def _again(self, host: str) -> None:
        if self.stages[host] is Stage.PAUSED:
            self._enter(host)

    def _worked(self, host: str) -> None:
        if self.stages[host] is Stage.WORKING:
            self.stages[host] = Stage.LEAVING
            try:
                self.hosts.exit_maintenance(host)
            except Refused as refused:
                self._skip(host, refused.fault.name)

    def _skip(self, host: str, reason: str) -> None:
        if self.stages[host] in ACTIVE:
            self.stages[host] = Stage.SKIPPED
            data = {"upgrade": self.plan.name, "fault": reason, "attempts": self.attempts[host]}
            self._settle(host, "HostSkipped", data)

    def _settle(self, host: str, kind: str, data: dict[str, object]) -> None:
        self.trace.write("host", kind, host, data)
        self._go_on()


def named(hosts: Sequence[tuple[str, str]], clusters: Sequence[str], globs: Sequence[str],
          matches: Callable[[str, str], bool]) -> tuple[str, ...]:  # fmt: skip
    """The names of the hosts, given as (name, cluster), in these clusters or with these globs."""
    return tuple(
        name
        for name, cluster in hosts
        if cluster in clusters or any(matches(name, glob) for glob in globs)
    )
