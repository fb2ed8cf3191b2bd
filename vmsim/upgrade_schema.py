"""What does a scenario say about rolling upgrades of its hosts?"""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from pydantic import Field, model_validator

from vmsim.objects import HostSpec
from vmsim.schema import Duration, Strict
from vmsim.upgrade import UpgradePlan, named


class RollingUpgrade(Strict):
    """Hosts that get a new version, so many at a time, in the order in which they are declared."""

    name: str = "upgrade"
    """What its records are about."""
    at: Duration = 0.0
    """When it begins."""
    clusters: list[str] = []
    """All hosts of these clusters."""
    hosts: list[str] = []
    """Names of hosts, or globs."""
    parallel: int = Field(default=1, ge=1)
    """Hosts at a time. Two at once need the room of two: what one after the other could be
    emptied may then block."""
    work: Duration = 1500.0
    """From maintenance mode to ready to leave it: patching, reboot. A default without a
    measurement behind it."""
    timeout: Duration = 1800.0
    """How long emptying a host may take; 0: as long as it takes. A default without a measurement
    behind it."""
    retries: int = Field(default=3, ge=0)
    """How often a host that could not be emptied is tried again (vSphere Lifecycle Manager)."""
    retry_delay: Duration = 300.0
    """The pause before that (vSphere Lifecycle Manager)."""
    stop_on_failure: bool | None = None
    """Whether the upgrade stops at a host that cannot be emptied, or skips it: by default it stops
    with one host at a time and skips with several, as Lifecycle Manager does."""

    evacuate_powered_off_vms: bool | None = None
    """Whether VMs that are off leave the hosts, too; by default as `drs` says."""

    @model_validator(mode="after")
    def _some_hosts(self) -> "RollingUpgrade":
        if not self.clusters and not self.hosts:
            raise ValueError("give the clusters or hosts; nothing would be upgraded")
        return self

    def plan(self, hosts: Iterable[HostSpec]) -> UpgradePlan:
        """The upgrade of those of these hosts that it names."""
        pairs = [(host.name, host.cluster) for host in hosts]
        stops = self.parallel == 1 if self.stop_on_failure is None else self.stop_on_failure
        return UpgradePlan(
            self.name,
            named(pairs, self.clusters, self.hosts, fnmatchcase),
            self.parallel,
            self.work,
            self.timeout,
            self.retries,
            self.retry_delay,
            stops,
            self.evacuate_powered_off_vms,
        )


def problems(
    upgrades: Sequence[RollingUpgrade], hosts: Sequence[HostSpec]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where an upgrade names hosts or clusters that are not there, and what is wrong."""
    clusters = {host.cluster for host in hosts}
    for index, upgrade in enumerate(upgrades):
        for number, cluster in enumerate(upgrade.clusters):
            if cluster not in clusters:
                yield (index, "clusters", number), f"there is no cluster {cluster}"
        for number, glob in enumerate(upgrade.hosts):
            if not any(fnmatchcase(host.name, glob) for host in hosts):
                yield (index, "hosts", number), f"no host matches {glob}"


def said(upgrades: Sequence[RollingUpgrade]) -> list[str]:
    """One sentence per upgrade, for the assumptions of a run."""
    return [
        f"upgrade {item.name}: {item.parallel} at a time, {item.work:g} s of work on a host, "
        f"emptied in {item.timeout:g} s (0: no limit) or tried {item.retries} times more after "
        f"{item.retry_delay:g} s (figures of vSphere Lifecycle Manager or without a measurement)"
        for item in upgrades
    ]
