"""Put a plan together with a clock and a plant, and run it.

`System` is one run: the API server, the VM role, the cluster role and the plant, connected. The
timeline and the workload are its only sources of change. Given the same plan and seed it writes
the same trace, whichever machine it runs on.
"""

import gc
import platform
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache, partial
from importlib.metadata import version
from typing import Any, BinaryIO

import simpy

from vmsim import ha_schema
from vmsim.administration import Administration, host_data
from vmsim.apiserver import ApiServer
from vmsim.assumptions import assumptions
from vmsim.balancer import Balancer
from vmsim.catalog import Catalog
from vmsim.chance import Chance, Parts
from vmsim.cluster import Cluster, ClusterPolicy
from vmsim.controller import Controller, Surroundings
from vmsim.expectations import Expectations, Verdict
from vmsim.expected import prepared
from vmsim.faults import FaultInjector
from vmsim.fleet import Fleet
from vmsim.fold import Picture
from vmsim.ha_schema import FailHost
from vmsim.hosts import Refused
from vmsim.kinds import resolve
from vmsim.loading import Plan, Planned, expand_added
from vmsim.manifests import Manifest
from vmsim.objects import HostSpec
from vmsim.placement import Placer
from vmsim.policies import policy
from vmsim.ports import Backend, PlantNeeds
from vmsim.rng import stream
from vmsim.scenario import Entry, Maintenance
from vmsim.timer import call_later, clock
from vmsim.timing import retry_policy
from vmsim.trace import Record, Trace
from vmsim.upgrade import Upgrade
from vmsim.upgrade_schema import RollingUpgrade

_version = cache(version)  # each question reads a file of the package


class System:
    """One run of a plan on a backend; the trace goes to `sink`."""

    def __init__(
        self,
        plan: Plan,
        backend: Backend,
        env: simpy.Environment,
        sink: BinaryIO | None = None,
    ) -> None:
        spec = plan.scenario.spec
        policies = spec.policies
        self.plan = plan
        self.env = env
        self.differences: list[str] = []
        self._backend = backend
        self.trace = Trace(clock(env), sink)
        self.header = header(plan, backend)
        self.trace.write_header(self.header)
        self.picture = Picture()
        self.expectations = Expectations(spec.expect, self.picture)
        inventory = prepared(plan)
        injector = FaultInjector(plan.faults, stream(spec.seed, "faults")) if plan.faults else None
        plant = backend.make(PlantNeeds(env, plan.durations, self._host, injector, plan.vmotion))
        self.fleet = Fleet(Placer(inventory, policy(policies.placement)), plant, self.trace)
        self.fleet.on_room = self._room
        self._room_due = False
        behaviour = cluster_policy(plan)
        self.cluster = Cluster(self.fleet, behaviour)
        self.hosts = Administration(env, self.fleet, plant, behaviour)
        self.balancer = Balancer(env, self.fleet, behaviour)
        self.hosts.availability.class_of = self._class_of
        self.hosts.maintenance.offers_room = lambda: self._room_due
        self.cluster.admits = self.hosts.admission.refusal
        self.cluster.sized = self.hosts.admission.sized
        self.api = ApiServer(clock(env), Catalog(spec.edition), plan.edition, self.trace)
        self.api.verdict = spec.verdict
        storage = {name: tuple(stores) for name, stores in spec.storage.items()}
        surroundings = Surroundings(self.api, plan.edition, storage, inventory.lowest_mhz)
        self.controller = Controller(
            env, surroundings, self.cluster, retry_policy(plan), self.trace
        )
        self.chance = Chance(plan, Parts(env, self.api, self.fleet, self.hosts))
        self._wakes = policies.retry.wake_on_capacity
        self._waiting = (*self.hosts.waiting, self.cluster.waiting if self._wakes else ())
        self.cluster.wake = self.controller.wake

    def watch(self) -> None:
        """Keep the picture and judge the expectations while records come in."""
        self.trace.listen(self._see)
        for start_s in self.expectations.starts():
            self._later(start_s, partial(self.expectations.at, start_s))

    def begin(self) -> None:
        """Declare the hosts, apply the first manifests, and start the timeline and the workload."""
        for host in self.plan.hosts:
            self.trace.write("host", "Host", host.name, host_data(host))
        self._follow_events()
        for manifest in self.plan.manifests:
            self.api.apply(manifest)
        self.env.process(self._timeline())
        self.chance.begin()
        for block in self.plan.scenario.spec.upgrade:
            self._later(block.at, partial(self._upgrade, block))

    def run(self) -> list[Verdict]:
        """Run from the beginning to the end of the scenario, and judge its expectations."""
        self.watch()
        self.begin()
        self.advance(self.plan.scenario.spec.duration)
        return self.finish()

    def advance(self, until_s: float) -> None:
        """Run up to second `until_s`, what happens at that second included."""
        with _few_collections():
            if until_s > self.env.now:
                self.env.run(until=until_s)
            while self.env.peek() <= until_s:
                self.env.step()

    def finish(self) -> list[Verdict]:
        """Check what must always hold, and judge the expectations.

        Afterwards `differences` holds where the backend's own inventory is not what we think.
        """
        broken = self.fleet.inventory.overcommitted()
        assert not broken, f"hosts without room for what they run: {broken}"
        self.differences = self._backend.compare(self.fleet.existing())
        self.trace.write("run", "End", "", {})
        self.expectations.ended_s = self.env.now
        return self.expectations.verdicts(self.plan.scenario.spec.duration)

    def perform(self, entry: Entry, manifests: tuple[Manifest, ...] = ()) -> None:
        """Do what a timeline entry says; what vSphere refuses is recorded, not raised."""
        try:
            self._perform_on_host(entry)
        except Refused as refused:
            self.trace.write("host", "Refused", "", {"fault": str(refused)})
        for manifest in manifests:
            self.api.apply(manifest)
        if entry.patch is not None:
            self.api.patch(self._key(entry.patch.namespace, entry.patch.name), entry.patch.merge)
        if entry.delete is not None:
            kind = resolve(entry.delete.kind, self.plan.edition.name)
            key = self._key(entry.delete.namespace, entry.delete.name)
            self.api.delete(kind.name, key if kind.namespaced else entry.delete.name)

    def _perform_on_host(self, entry: Entry) -> None:
        hosts = self.hosts
        simple = {
            "exit_maintenance": hosts.exit_maintenance,
            "recover_host": hosts.recover,
            "remove_host": hosts.remove,
            "power_off": hosts.power_off,
        }
        for name, act in simple.items():
            if getattr(entry, name) is not None:
                act(getattr(entry, name))
        if isinstance(entry.fail_host, FailHost):
            hosts.fail(entry.fail_host.host, entry.fail_host.kind)
        elif entry.fail_host is not None:
            hosts.fail(entry.fail_host)
        self._maintain(entry)

    def _maintain(self, entry: Entry) -> None:
        hosts, wanted = self.hosts, entry.enter_maintenance
        if isinstance(wanted, Maintenance):
            off = wanted.evacuate_powered_off_vms
            hosts.enter_maintenance(wanted.host, wanted.timeout, off)
        elif wanted is not None:
            hosts.enter_maintenance(wanted)
        if entry.add_host is not None:
            for spec in expand_added(entry, self.plan.scenario.spec.clusters):
                hosts.add(spec)
                self.chance.joined(spec)

    def _timeline(self) -> Generator[simpy.Event, None, None]:
        for planned in self.plan.timeline:
            if planned.entry.at is not None:
                # A sum of floats may be past its second by a hair, and a delay is never negative.
                yield self.env.timeout(max(0.0, planned.entry.at - self.env.now))
                self.perform(planned.entry, planned.manifests)

    def _upgrade(self, block: RollingUpgrade) -> None:
        """Start the upgrade of the hosts that are there now."""
        there = self.fleet.inventory.row_of
        hosts = [host for host in self.fleet.inventory.hosts if host.name in there]
        Upgrade(block.plan(hosts), self.hosts, self.trace, self._later).start()

    def _follow_events(self) -> None:
        waiting = [planned for planned in self.plan.timeline if planned.entry.after]
        if not waiting:
            return

        def see(record: Record) -> None:
            for planned in list(waiting):
                after = planned.entry.after
                assert after is not None
                if record.kind == after.event and fnmatchcase(record.object, after.object):
                    waiting.remove(planned)
                    self._later(after.delay, partial(self._perform, planned))

        self.trace.listen(see)

    def _perform(self, planned: Planned) -> None:
        self.perform(planned.entry, planned.manifests)

    def _see(self, record: Record) -> None:
        self.picture.apply(record)
        self.expectations.see(record)

    def _room(self) -> None:
        """Let those who wait use the room that came free, once per instant."""
        if not self._room_due and any(self._waiting):
            self._room_due = True
            self._later(0.0, self._use_room)

    def _use_room(self) -> None:
        self._room_due = False
        self.hosts.use_room()
        if self._wakes:
            self.cluster.use_room()

    def _class_of(self, key: str) -> str:
        vm = self.api.vms.get(key)
        return vm.spec.class_name if vm is not None else ""

    def _host(self, name: str) -> HostSpec:
        inventory = self.fleet.inventory
        return inventory.hosts[inventory.row_of[name]]

    def _key(self, namespace: str | None, name: str) -> str:
        return f"{namespace or self.plan.scenario.spec.namespace}/{name}"

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        call_later(self.env, delay_s, lambda _: call())


@contextmanager
def _few_collections() -> Iterator[None]:
    """Collect garbage seldom: a run makes many values that live on, and hardly a cycle."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 100)
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def cluster_policy(plan: Plan) -> ClusterPolicy:
    """How the cluster role behaves in a plan, the edition's way where the scenario gives none."""
    spec = plan.scenario.spec
    return ClusterPolicy(
        spec.policies.eviction or plan.default_eviction,
        spec.policies.vgpu_hot_migrate,
        ha_schema.settings(spec.high_availability),
        plan.vmotion,
        spec.drs.drs(),
        plan.durations.evacuation_retry_s,
    )


def header(plan: Plan, backend: Backend) -> dict[str, Any]:
    """What the first line of the trace says about the run."""
    versions = {name: _version(name) for name in ("vmsim", "simpy", "numpy")}
    spec = plan.scenario.spec
    return {
        "format": 1,
        "scenario": plan.resolved,
        "seed": spec.seed,
        "edition": spec.edition,
        "backend": backend.name,
        "versions": {**versions, "python": platform.python_version(), **backend.versions},
        "assumptions": assumptions(plan),
    }
