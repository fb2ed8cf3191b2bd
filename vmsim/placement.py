"""Which host shall run this VM?

A host is a row of `Inventory`; `rows` selects hosts (a slice or an index array); a mask is bool
and a score is float over those rows, higher is better. Filters say no, one policy says how much,
ties go to the lowest row. A filter is a function and its row in FILTERS, a policy a function and
its row in `policies.BUILT_IN`; nothing else has to know. Should rules then narrow the choice.

VMs with equal requirements share a `Shape`, which keeps the score of every host and rescores only
the hosts that were touched since it was last asked; every host where a must rule looks beyond one.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vmsim import affinity
from vmsim.affinity import Kind, Mask, Rows
from vmsim.inventory import (
    CPU,
    CPU_RESERVATION,
    MEMORY,
    MEMORY_RESERVATION,
    Inventory,
)
from vmsim.objects import HostState
from vmsim.pools import CPU_MHZ, MEMORY_MIB
from vmsim.requirement import LIFETIME_CLASSES as LIFETIME_CLASSES
from vmsim.requirement import Requirement as Requirement
from vmsim.requirement import live as live
from vmsim.requirement import needs as needs

Scores: TypeAlias = NDArray[np.float64]

EVERY_ROW = slice(None)
NO_FIT = -np.inf
NEVER = np.array(NO_FIT)
FEW_HOSTS = 512  # below this, rescoring every host costs less than picking out the touched ones


@dataclass(frozen=True, slots=True)
class Filter:
    """A reason for refusing a host; `fault` is the vSphere name of the refusal.

    `fixed` filters depend on the hosts' make only, not on what runs there now. `applies` tells
    whether a VM asks for anything that this filter looks at.
    """

    name: str
    fault: str
    fixed: bool
    applies: Callable[[Requirement], bool]
    passes: Callable[[Requirement, Inventory, Rows], Mask]


def _by_host(test: Callable[[Requirement, Inventory, int], bool]) -> Callable[..., Mask]:
    """A slow but plain filter from a test of one row; for fixed filters only."""

    def passes(requirement: Requirement, inventory: Inventory, rows: Rows) -> Mask:
        chosen = np.arange(len(inventory))[rows]
        return np.array([test(requirement, inventory, int(row)) for row in chosen], dtype=bool)

    return passes


def _is_candidate(requirement: Requirement, inventory: Inventory, row: int) -> bool:
    host = inventory.hosts[row]
    in_zone = not requirement.zones or host.zone in requirement.zones
    in_cluster = not requirement.cluster or host.cluster == requirement.cluster
    return in_zone and in_cluster and inventory.states[row] is not HostState.REMOVED


def _has_device(requirement: Requirement, inventory: Inventory, row: int) -> bool:
    host = inventory.hosts[row]
    return all(host.devices.get(name, 0) >= units for name, units in requirement.devices)


def _reaches_datastore(requirement: Requirement, inventory: Inventory, row: int) -> bool:
    return any(name in requirement.datastores for name in inventory.hosts[row].datastores)


def _vmotion_filter(name: str, fault: str) -> Filter:
    """Refuses hosts that cannot take part in live migrations for this reason."""
    passes = _by_host(lambda vm, hosts, row: hosts.hosts[row].vmotion_fault != fault)
    return Filter(name, fault, True, lambda vm: vm.live, passes)


def _devices_free(requirement: Requirement, inventory: Inventory, rows: Rows) -> Mask:
    free: Mask = np.ones(len(inventory.open[rows]), dtype=bool)
    for name, units in requirement.devices:
        free &= inventory.room[inventory.resource(name)][rows] >= units
    return free


SCHEDULABLE = Filter(
    "Schedulable",
    "InvalidHostState",
    False,
    lambda vm: True,
    lambda vm, hosts, rows: hosts.open[rows],
)

FILTERS = (
    Filter(
        "Candidate",
        "VmHostAffinityRuleViolation",
        True,
        lambda vm: True,
        _by_host(_is_candidate),
    ),
    Filter(
        "OwnHost",
        "RestartOnCurrentHostRequired",
        True,
        lambda vm: bool(vm.only_host),
        _by_host(lambda vm, hosts, row: hosts.hosts[row].name == vm.only_host),
    ),
    Filter(
        "VMHostRule",
        "VmHostAffinityRuleViolation",
        True,
        lambda vm: bool(affinity.musts(vm.rules, *affinity.OF_HOSTS)),
        _by_host(lambda vm, hosts, row: affinity.keeps_to_hosts(vm.rules, hosts.hosts[row].name)),
    ),
    Filter(
        "HardwareVersion",
        "VirtualHardwareVersionNotSupported",
        True,
        lambda vm: vm.min_hardware_version > 0,
        _by_host(
            lambda vm, hosts, row: hosts.hosts[row].hardware_version >= vm.min_hardware_version
        ),
    ),
    Filter(
        "CPUGeneration",
        "FeatureRequirementsNotMet",
        True,
        lambda vm: vm.min_cpu_generation > 0,
        _by_host(lambda vm, hosts, row: hosts.hosts[row].cpu_generation >= vm.min_cpu_generation),
    ),
    _vmotion_filter("VMotionNetwork", "VMotionNotConfigured"),
    _vmotion_filter("VMotionLink", "VMotionLinkDown"),
    Filter(
        "Datastore",
        "CannotAccessVmDisk",
        True,
        lambda vm: bool(vm.datastores),
        _by_host(_reaches_datastore),
    ),
    Filter(
        "Device",
        "CannotAccessVmDevice",
        True,
        lambda vm: bool(vm.devices),
        _by_host(_has_device),
    ),
    SCHEDULABLE,
    Filter(
        "AntiAffinity",
        "RuleViolation",
        False,
        lambda vm: bool(affinity.musts(vm.rules, Kind.APART)),
        lambda vm, hosts, rows: affinity.keeps_apart(vm.rules, hosts, rows),
    ),
    Filter(
        "Affinity",
        "RuleViolation",
        False,
        lambda vm: bool(affinity.musts(vm.rules, Kind.TOGETHER)),
        lambda vm, hosts, rows: affinity.keeps_together(vm.rules, hosts, rows),
    ),
    Filter(
        "DeviceFree",
        "InsufficientGraphicsResourcesFault",
        False,
        lambda vm: bool(vm.devices),
        _devices_free,
    ),
    Filter(
        "CPU",
        "InsufficientHostCpuCapacityFault",
        False,
        lambda vm: vm.cpus > 0,
        lambda vm, hosts, rows: hosts.room[CPU][rows] >= vm.cpus,
    ),
    Filter(
        "Memory",
        "InsufficientHostMemoryCapacityFault",
        False,
        lambda vm: vm.memory_mib > 0,
        lambda vm, hosts, rows: hosts.room[MEMORY][rows] >= vm.memory_mib,
    ),
    Filter(
        "PoolCPU",
        "InsufficientCpuResourcesFault",
        False,
        lambda vm: vm.pool is not None and vm.cpu_reservation_mhz > 0,
        lambda vm, hosts, rows: hosts.pool_admits(vm.pool, CPU_MHZ, vm.cpu_reservation_mhz)[rows],
    ),
    Filter(
        "PoolMemory",
        "InsufficientMemoryResourcesFault",
        False,
        lambda vm: vm.pool is not None and vm.memory_reservation_mib > 0,
        lambda vm, hosts, rows: hosts.pool_admits(vm.pool, MEMORY_MIB, vm.memory_reservation_mib)[
            rows
        ],
    ),
    Filter(
        "CPUReservation",
        "InsufficientHostCpuCapacityFault",
        False,
        lambda vm: vm.cpu_reservation_mhz > 0,
        lambda vm, hosts, rows: hosts.room[CPU_RESERVATION][rows] >= vm.cpu_reservation_mhz,
    ),
    Filter(
        "MemoryReservation",
        "InsufficientHostMemoryCapacityFault",
        False,
        lambda vm: vm.memory_reservation_mib > 0,
        lambda vm, hosts, rows: hosts.room[MEMORY_RESERVATION][rows] >= vm.memory_reservation_mib,
    ),
)
"""In the order in which a host's first reason is reported: what waiting cannot change is first."""

Policy: TypeAlias = Callable[[Requirement, Inventory, Rows], Scores]


class Shape:
    """All VMs with one requirement: what they take, and the score of every host for them.

    `scores` is float (N,), minus infinity where the VM does not fit.
    """

    __slots__ = (
        "_all_fixed", "_fixed", "_live", "_prefers", "_wide",
        "needs", "requirement", "scores", "seen", "topology",
    )  # fmt: skip

    def __init__(self, requirement: Requirement, inventory: Inventory) -> None:
        self.requirement = requirement
        self.needs = needs(requirement, inventory)
        self.topology = -1
        self.seen = 0
        self.scores: Scores = np.zeros(0)
        self._fixed: Mask = np.zeros(0, dtype=bool)
        self._all_fixed = False
        rules, pool = requirement.rules, requirement.pool
        self._wide = affinity.looks_beyond_the_row(rules) or pool is not None
        self._prefers = any(not rule.must for rule in requirement.rules)
        self._live = [
            filter_.passes
            for filter_ in FILTERS
            if not filter_.fixed and filter_ is not SCHEDULABLE and filter_.applies(requirement)
        ]

    def refresh(self, inventory: Inventory, policy: Policy) -> Scores:
        """`scores`, brought up to date with every host touched since the last call."""
        touched = inventory.forgotten + len(inventory.touched)
        if self.topology != inventory.topology:
            self._fixed = _all_pass(self.requirement, inventory, fixed=True)
            self._all_fixed = bool(self._fixed.all())
            self.scores = np.empty(len(inventory))
            self.topology = inventory.topology
            self._rescore(inventory, policy, EVERY_ROW)
        elif touched > self.seen:
            start, count = self.seen - inventory.forgotten, len(self.scores)
            every = start < 0 or self._wide or count <= FEW_HOSTS or touched - self.seen > count
            rows = EVERY_ROW if every else np.frombuffer(inventory.touched[start:], np.int64)
            self._rescore(inventory, policy, rows)
        self.seen = touched
        return self.scores

    def choice(self, inventory: Inventory, policy: Policy) -> Scores:
        """`scores` up to date, minus infinity also where the should rules are kept less well."""
        scores = self.refresh(inventory, policy)
        if not self._prefers or len(scores) == 0:
            return scores
        best = affinity.prefer(self.requirement.rules, inventory, scores > -np.inf)
        return np.where(best, scores, -np.inf)

    def _rescore(self, inventory: Inventory, policy: Policy, rows: Rows) -> None:
        requirement = self.requirement
        passes = inventory.open[rows]
        if not self._all_fixed:
            passes = passes & self._fixed[rows]
        for test in self._live:
            passes = passes & test(requirement, inventory, rows)
        self.scores[rows] = np.where(passes, policy(requirement, inventory, rows), NEVER)


class Placer:
    """Answers where a VM fits best on an inventory, under one policy."""

    def __init__(self, inventory: Inventory, policy: Policy) -> None:
        self.inventory = inventory
        self._policy = policy
        self._shapes: dict[Requirement, Shape] = {}
        self._refusals: dict[Requirement, tuple[int, dict[str, str]]] = {}

    def shape(self, requirement: Requirement) -> Shape:
        """The shape of `requirement`: the same object for equal requirements."""
        shape = self._shapes.get(requirement)
        if shape is None:
            shape = self._shapes[requirement] = Shape(requirement, self.inventory)
        return shape

    def place(self, shape: Shape) -> int:
        """Row of the best host that fits, or -1. Ties go to the lowest row. Claims nothing."""
        scores = shape.choice(self.inventory, self._policy)
        if len(scores) == 0:
            return -1
        self.inventory.forget(4 * len(scores) + 4096)
        best = int(scores.argmax())
        return best if scores[best] > NO_FIT else -1

    def fits(self, shape: Shape, row: int) -> bool:
        """Whether the host of this row fits."""
        return bool(shape.refresh(self.inventory, self._policy)[row] > -np.inf)

    def preferred_rows(self, requirement: Requirement) -> NDArray[np.int64]:
        """The hosts on which such a VM fits, and its should rules are kept best."""
        scores = self.shape(requirement).choice(self.inventory, self._policy)
        return np.flatnonzero(scores > -np.inf)

    def ranked(self, requirement: Requirement) -> list[int]:
        """The rows that `preferred_rows` gives, best first; ties go to the lowest row."""
        scores = self.shape(requirement).choice(self.inventory, self._policy)
        order: list[int] = np.argsort(-scores, kind="stable").tolist()
        return [row for row in order if scores[row] > -np.inf]

    def refusals(self, requirement: Requirement) -> dict[str, str]:
        """For each candidate host that refuses, by name: the fault of the first filter to say no.

        Hosts outside the VM's zone or cluster are not candidates and are left out.
        """
        inventory = self.inventory
        changes = inventory.forgotten + len(inventory.touched) + inventory.topology
        known = self._refusals.get(requirement)
        if known and known[0] == changes:
            return known[1]
        reasons: dict[str, str] = {}
        first: list[Filter | None] = [None] * len(inventory)
        for filter_ in FILTERS:
            if filter_.applies(requirement):
                for row in np.flatnonzero(
                    ~filter_.passes(requirement, inventory, EVERY_ROW)
                ).tolist():
                    first[row] = first[row] or filter_
        for host, refused in zip(inventory.hosts, first, strict=True):
            if refused is not None and refused is not FILTERS[0]:
                reasons[host.name] = refused.fault
        self._refusals[requirement] = (changes, reasons)
        return reasons


def summary(refusals: Mapping[str, str]) -> str:
    """Refusals counted by fault, most frequent first: `2 InvalidHostState, 1 DeviceInUse`."""
    counts = Counter(refusals.values())
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {fault}" for fault, count in ranked)


def _all_pass(requirement: Requirement, inventory: Inventory, *, fixed: bool) -> Mask:
    mask: Mask = np.ones(len(inventory), dtype=bool)
    for filter_ in FILTERS:
        if filter_.fixed is fixed and filter_.applies(requirement):
            mask &= filter_.passes(requirement, inventory, EVERY_ROW)
    return mask
