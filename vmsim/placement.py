"""Which host shall run this VM?

A host is a row of `Inventory`. Given a VM and the hosts, a filter is a test of a row, and a policy
gives a row its score, higher is better. Filters say no, one policy says how much, ties go to the
lowest row. A filter is a function and its row in FILTERS, a policy a function and its row in
`policies.BUILT_IN`; nothing else has to know. Should rules then narrow the choice.

VMs with equal requirements share a `Shape`, which keeps the score of every host and looks only at
the hosts that were touched since it was last asked: a change of one host costs what one host costs.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import filterfalse
from typing import Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from vmsim import affinity
from vmsim.affinity import Kind
from vmsim.inventory import (
    CPU,
    CPU_RESERVATION,
    MEMORY,
    MEMORY_RESERVATION,
    Inventory,
)
from vmsim.objects import HostSpec, HostState
from vmsim.pools import CPU_MHZ, MEMORY_MIB
from vmsim.requirement import LIFETIME_CLASSES as LIFETIME_CLASSES
from vmsim.requirement import Requirement as Requirement
from vmsim.requirement import live as live
from vmsim.requirement import needs as needs

Test: TypeAlias = Callable[[int], bool]
Scores: TypeAlias = NDArray[np.float64]
Policy: TypeAlias = Callable[[Requirement, Inventory], Callable[[int], float]]

NO_FIT: Final = -np.inf


@dataclass(frozen=True, slots=True)
class Filter:
    """A reason for refusing a host; `fault` is the vSphere name of the refusal.

    `applies` tells whether a VM asks for anything that this filter looks at, `test` is the test of
    a row for such a VM. A test holds while no host comes or goes. `fixed` filters depend on the
    hosts' make only; what a `wide` one says of a row may change with another row, so its test
    holds only until the next change of any host.
    """

    name: str
    fault: str
    applies: Callable[[Requirement], bool]
    test: Callable[[Requirement, Inventory], Test]
    fixed: bool = False
    wide: bool = False


def _make(
    name: str,
    fault: str,
    applies: Callable[[Requirement], bool],
    accepts: Callable[[Requirement, HostSpec], bool],
) -> Filter:
    """A filter that looks at the make of a host."""

    def test(requirement: Requirement, inventory: Inventory) -> Test:
        hosts = inventory.hosts
        return lambda row: accepts(requirement, hosts[row])

    return Filter(name, fault, applies, test, fixed=True)


def _vmotion(name: str, fault: str) -> Filter:
    """Refuses hosts that cannot take part in live migrations for this reason."""
    return _make(name, fault, lambda vm: vm.live, lambda vm, host: host.vmotion_fault != fault)


def _room(name: str, fault: str, resource: int, units: Callable[[Requirement], int]) -> Filter:
    """Refuses hosts with less room than the VM takes."""

    def test(requirement: Requirement, inventory: Inventory) -> Test:
        free, wanted = inventory.cells[resource], units(requirement)
        return lambda row: free[row] >= wanted

    return Filter(name, fault, lambda vm: units(vm) > 0, test)


def _pool(name: str, fault: str, resource: int, units: Callable[[Requirement], int]) -> Filter:
    """Refuses the hosts of clusters in which the VM's pool may not promise so much more."""

    def test(requirement: Requirement, inventory: Inventory) -> Test:
        admits = inventory.pool_admits(requirement.pool, resource, units(requirement))
        return lambda row: admits[inventory.hosts[row].cluster]

    return Filter(name, fault, lambda vm: vm.pool is not None and units(vm) > 0, test, wide=True)


def _is_candidate(requirement: Requirement, inventory: Inventory) -> Test:
    zones, cluster, removed = requirement.zones, requirement.cluster, HostState.REMOVED
    hosts, states = inventory.hosts, inventory.states

    def test(row: int) -> bool:
        host = hosts[row]
        there = (not zones or host.zone in zones) and (not cluster or host.cluster == cluster)
        return there and states[row] is not removed

    return test


def _is_open(requirement: Requirement, inventory: Inventory) -> Test:
    return cast(Test, inventory.open.data.__getitem__)  # it holds bools


def _has_devices(requirement: Requirement, host: HostSpec) -> bool:
    return all(host.devices.get(name, 0) >= units for name, units in requirement.devices)


def _has_devices_free(requirement: Requirement, inventory: Inventory) -> Test:
    wanted = [(inventory.cells[inventory.resource(name)], n) for name, n in requirement.devices]
    return lambda row: all(free[row] >= units for free, units in wanted)


def _reaches_datastore(requirement: Requirement, host: HostSpec) -> bool:
    return any(name in requirement.datastores for name in host.datastores)


FILTERS: Final = (
    Filter("Candidate", "VmHostAffinityRuleViolation", lambda vm: True, _is_candidate, fixed=True),
    _make(
        "OwnHost",
        "RestartOnCurrentHostRequired",
        lambda vm: bool(vm.only_host),
        lambda vm, host: host.name == vm.only_host,
    ),
    _make(
        "VMHostRule",
        "VmHostAffinityRuleViolation",
        lambda vm: bool(affinity.musts(vm.rules, *affinity.OF_HOSTS)),
        lambda vm, host: affinity.keeps_to_hosts(vm.rules, host.name),
    ),
    _make(
        "HardwareVersion",
        "VirtualHardwareVersionNotSupported",
        lambda vm: vm.min_hardware_version > 0,
        lambda vm, host: host.hardware_version >= vm.min_hardware_version,
    ),
    _make(
        "CPUGeneration",
        "FeatureRequirementsNotMet",
        lambda vm: vm.min_cpu_generation > 0,
        lambda vm, host: host.cpu_generation >= vm.min_cpu_generation,
    ),
    _vmotion("VMotionNetwork", "VMotionNotConfigured"),
    _vmotion("VMotionLink", "VMotionLinkDown"),
    _make(
        "Datastore",
        "CannotAccessVmDisk",
        lambda vm: bool(vm.datastores),
        _reaches_datastore,
    ),
    _make("Device", "CannotAccessVmDevice", lambda vm: bool(vm.devices), _has_devices),
    Filter(
        "Schedulable",
        "InvalidHostState",
        lambda vm: True,
        _is_open,
    ),
    Filter(
        "AntiAffinity",
        "RuleViolation",
        lambda vm: bool(affinity.musts(vm.rules, Kind.APART)),
        lambda vm, hosts: affinity.keeps_apart(vm.rules, hosts),
    ),
    Filter(
        "Affinity",
        "RuleViolation",
        lambda vm: bool(affinity.musts(vm.rules, Kind.TOGETHER)),
        lambda vm, hosts: affinity.keeps_together(vm.rules, hosts),
        wide=True,
    ),
    Filter(
        "DeviceFree",
        "InsufficientGraphicsResourcesFault",
        lambda vm: bool(vm.devices),
        _has_devices_free,
    ),
    _room("CPU", "InsufficientHostCpuCapacityFault", CPU, lambda vm: vm.cpus),
    _room("Memory", "InsufficientHostMemoryCapacityFault", MEMORY, lambda vm: vm.memory_mib),
    _pool(
        "PoolCPU",
        "InsufficientCpuResourcesFault",
        CPU_MHZ,
        lambda vm: vm.cpu_reservation_mhz,
    ),
    _pool(
        "PoolMemory",
        "InsufficientMemoryResourcesFault",
        MEMORY_MIB,
        lambda vm: vm.memory_reservation_mib,
    ),
    _room(
        "CPUReservation",
        "InsufficientHostCpuCapacityFault",
        CPU_RESERVATION,
        lambda vm: vm.cpu_reservation_mhz,
    ),
    _room(
        "MemoryReservation",
        "InsufficientHostMemoryCapacityFault",
        MEMORY_RESERVATION,
        lambda vm: vm.memory_reservation_mib,
    ),
)
"""In the order in which a host's first reason is reported: what waiting cannot change is first."""


class Shape:
    """All VMs with one requirement: what they take, and the score of every host for them.

    `scores` is float (N,), minus infinity where the VM does not fit by filters that are not wide.
    """

    __slots__ = (
        "_cells", "_fixed", "_live", "_prefers", "_score", "_tests", "_wide",
        "needs", "requirement", "scores", "seen", "topology",
    )  # fmt: skip

    def __init__(self, requirement: Requirement, inventory: Inventory) -> None:
        self.requirement = requirement
        self.needs = needs(requirement, inventory)
        self.topology = -1
        self.seen = 0
        self._cells = array("d")
        self.scores: Scores = np.zeros(0)
        self._prefers = any(not rule.must for rule in requirement.rules)
        asked = [filter_ for filter_ in FILTERS if filter_.applies(requirement)]
        self._fixed = [filter_.test for filter_ in asked if filter_.fixed]
        self._live = [filter_.test for filter_ in asked if not (filter_.fixed or filter_.wide)]
        self._wide = [filter_.test for filter_ in asked if filter_.wide]
        self._tests: list[Test] = []
        self._score: Callable[[int], float] = float

    def refresh(self, inventory: Inventory, policy: Policy) -> Scores:
        """The score of every host, minus infinity where the VM does not fit, as things are now."""
        touched = inventory.forgotten + len(inventory.touched)
        if self.topology != inventory.topology:
            self._begin(inventory, policy)
        elif touched > self.seen:
            start = self.seen - inventory.forgotten
            every = start < 0 or touched - self.seen > len(self.scores)
            self._rescore(range(len(self.scores)) if every else set(inventory.touched[start:]))
        self.seen = touched
        if not self._wide:
            return self.scores
        tests = [test(self.requirement, inventory) for test in self._wide]
        fitting = list(_sift(np.flatnonzero(self.scores > NO_FIT).tolist(), tests))
        scores = np.full(len(self.scores), NO_FIT)
        scores[fitting] = self.scores[fitting]
        return scores

    def choice(self, inventory: Inventory, policy: Policy) -> Scores:
        """What `refresh` gives, minus infinity also where the should rules are kept less well."""
        scores = self.refresh(inventory, policy)
        if not self._prefers or len(scores) == 0:
            return scores
        best = affinity.prefer(self.requirement.rules, inventory, scores > NO_FIT)
        return np.where(best, scores, NO_FIT)

    def _begin(self, inventory: Inventory, policy: Policy) -> None:
        """Score all hosts of a new topology; those of the wrong make never fit."""
        self.topology = inventory.topology
        self._cells = array("d", [NO_FIT]) * len(inventory)
        self.scores = np.frombuffer(self._cells)
        self._score = policy(self.requirement, inventory)
        fixed = [test(self.requirement, inventory) for test in self._fixed]
        suited = list(_sift(range(len(inventory)), fixed))
        self._tests = [test(self.requirement, inventory) for test in self._live]
        if len(suited) < len(inventory):
            self._tests.insert(0, frozenset(suited).__contains__)
        self._rescore(suited)

    def _rescore(self, rows: Collection[int]) -> None:
        scores, score = self._cells, self._score
        for row in rows:
            scores[row] = NO_FIT
        for row in _sift(rows, self._tests):
            scores[row] = score(row)


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
        first: dict[int, Filter] = {}
        left = list(range(len(inventory)))
        for filter_ in FILTERS:
            if filter_.applies(requirement):
                test = filter_.test(requirement, inventory)
                first.update((row, filter_) for row in filterfalse(test, left))
                left = list(filter(test, left))
        for row in sorted(first):
            if first[row] is not FILTERS[0]:
                reasons[inventory.hosts[row].name] = first[row].fault
        self._refusals[requirement] = (changes, reasons)
        return reasons


def _sift(rows: Iterable[int], tests: Iterable[Test]) -> Iterable[int]:
    """The rows that pass all tests, in their order."""
    for test in tests:
        rows = filter(test, rows)
    return rows


def summary(refusals: Mapping[str, str]) -> str:
    """Refusals counted by fault, most frequent first: `2 InvalidHostState, 1 DeviceInUse`."""
    counts = Counter(refusals.values())
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {fault}" for fault, count in ranked)
