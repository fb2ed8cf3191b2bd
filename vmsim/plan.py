"""What is a scenario that is ready to run?

A `Plan`: the scenario with its hosts counted out, its manifests parsed, and its parameters as the
roles and the plant want them. `loading` makes it; whoever runs, shows or repeats it reads it.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vmsim.arrivals import Row
from vmsim.durations import Durations
from vmsim.editions import Edition
from vmsim.evacuation import Eviction
from vmsim.faults import FaultRule
from vmsim.manifests import Manifest
from vmsim.objects import HostSpec
from vmsim.problems import Problem
from vmsim.scenario import Cluster, Entry, Host, Scenario, Workload
from vmsim.vmotion import VMotion
from vmsim.vmotion_schema import FAULTS, parameters


@dataclass(frozen=True, slots=True)
class Planned:
    """A timeline entry with its manifests parsed."""

    entry: Entry
    manifests: tuple[Manifest, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedWorkload:
    """A workload with a VM's manifest for each of its kinds, and the rows of its recording."""

    workload: Workload
    kinds: Mapping[str, Manifest]
    rows: tuple[Row, ...] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario that is ready to run. `resolved` is the scenario with all manifests inline."""

    scenario: Scenario
    edition: Edition
    hosts: tuple[HostSpec, ...]
    manifests: tuple[Manifest, ...]
    timeline: tuple[Planned, ...]
    workload: tuple[PlannedWorkload, ...]
    resolved: dict[str, Any]
    warnings: tuple[Problem, ...] = ()

    @property
    def default_eviction(self) -> Eviction:
        """The eviction policy of the edition."""
        return Eviction(self.edition.eviction)

    @property
    def durations(self) -> Durations:
        """The durations of the model."""
        model = self.scenario.spec.durations
        names = [item.name for item in dataclasses.fields(Durations)]
        return Durations(**{name: getattr(model, name.removesuffix("_s")) for name in names})

    @property
    def vmotion(self) -> VMotion:
        """The parameters of live migration."""
        return parameters(self.scenario.spec.vmotion)

    @property
    def faults(self) -> list[FaultRule]:
        """The fault rules, in order."""
        return [
            FaultRule(
                rule.kind, rule.verb, rule.vm, rule.host, rule.fault, rule.delay,
                rule.probability, rule.skip, rule.max_hits,
            )
            for rule in self.scenario.spec.faults
        ]  # fmt: skip

    @property
    def all_hosts(self) -> list[HostSpec]:
        """Every host that the scenario ever has: those of the start, then those that join."""
        hosts = list(self.hosts)
        for planned in self.timeline:
            if planned.entry.add_host is not None:
                hosts += expand_added(planned.entry, self.scenario.spec.clusters)
        return hosts


def expand_added(entry: Entry, clusters: list[Cluster]) -> list[HostSpec]:
    """The hosts that an `addHost` entry adds."""
    assert entry.add_host is not None
    cluster = next(item for item in clusters if item.name == entry.add_host.cluster)
    return list(expand(entry.add_host, cluster))


def expand(host: Host, cluster: Cluster | None = None) -> Iterator[HostSpec]:
    """The hosts that one entry stands for."""
    evc = cluster.evc if cluster else None
    generation = host.cpu_generation if evc is None else min(evc, host.cpu_generation)
    for number in range(1, host.count + 1):
        yield HostSpec(
            name=host.name.replace("{}", str(number)),
            cluster=cluster.name if cluster else "",
            zone=cluster.zone if cluster else "",
            cpu_cores=host.cores,
            cpu_mhz=host.mhz,
            memory_mib=host.memory,
            nic_mbps=host.nic_mbps,
            vmotion_fault=FAULTS.get(host.vmotion, ""),
            devices=dict(host.devices),
            cpu_generation=generation,
            hardware_version=host.hardware_version,
            datastores=tuple(host.datastores or (cluster.datastores if cluster else ())),
            rack=host.rack.replace("{}", str(number)),
        )
