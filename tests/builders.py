"""Small hosts, requirements and worlds for the tests; every default is the dullest one."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import simpy

from backends import opened
from backends.memory import MemoryPlant
from vmsim.actions import Observed
from vmsim.administration import Administration
from vmsim.cluster import Cluster, ClusterPolicy
from vmsim.documents import load
from vmsim.durations import Durations
from vmsim.editions import EDITIONS
from vmsim.faults import FaultInjector, FaultRule
from vmsim.fleet import Fleet
from vmsim.inventory import Inventory, Overcommit
from vmsim.loading import plan
from vmsim.manifests import parse
from vmsim.objects import HostSpec
from vmsim.placement import Placer, Requirement, needs
from vmsim.policies import BUILT_IN
from vmsim.precopy import Copy
from vmsim.rng import stream
from vmsim.simulate import System
from vmsim.trace import Record, Trace
from vmsim.vmotion import DEFAULT_VMOTION, Traits, VMotion

GPU = "grid_a100-8c"
PASSTHROUGH = "0x10de:0x1eb8"
NO_OVERCOMMIT = Overcommit(cpu=1.0, memory=1.0)
GIB = 1024


def host(name: str = "esx-1", **other: Any) -> HostSpec:
    """A host with 8 cores of 1,000 MHz and 16 GiB, and what else is given."""
    plain = HostSpec(name, "cluster-1", "zone-1", cpu_cores=8, cpu_mhz=1000, memory_mib=16 * GIB)
    return replace(plain, **other)


def hosts(count: int, **other: Any) -> list[HostSpec]:
    """The hosts esx-1, esx-2 and so on, alike."""
    return [host(f"esx-{number}", **other) for number in range(1, count + 1)]


def need(needs: str = "", **other: Any) -> Requirement:
    """What a VM with 2 vCPUs and 4 GiB asks for; `needs` names a device."""
    devices = ((needs, 1),) if needs else ()
    return replace(Requirement(2, 4 * GIB, devices=devices), **other)


def inventory(specs: Sequence[HostSpec]) -> Inventory:
    """The hosts, each vCPU on a core of its own."""
    return Inventory(specs, NO_OVERCOMMIT)


class NothingToCopy(VMotion):
    """Live migration without memory: it takes its fixed time only."""

    def copy(self, traits: Traits, memory_mib: int, *, storage: bool = False) -> Copy:
        """Nothing."""
        return Copy(0.0)


Said = tuple[float, str, str]


@dataclass
class World:
    """A cluster role on the memory plant, without a VM role; `log` is (second, object, kind)."""

    specs: Sequence[HostSpec]
    policy: ClusterPolicy = field(default_factory=ClusterPolicy)
    durations: Durations = field(default_factory=Durations)
    faults: Sequence[FaultRule] = ()
    placement: str = "first_fit"
    records: list[Record] = field(default_factory=list)
    changes: list[tuple[str, bool]] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        env = self.env = simpy.Environment()
        self.inventory = inventory(self.specs)
        trace = Trace(lambda: env.now)
        trace.listen(self.records.append)
        injector = FaultInjector(self.faults, stream(1, "faults")) if self.faults else None
        told = self.policy.vmotion
        model = NothingToCopy() if told is DEFAULT_VMOTION else told
        self.plant = MemoryPlant(env, self.durations, self._host, injector, vmotion=model)
        self.fleet = Fleet(Placer(self.inventory, BUILT_IN[self.placement]), self.plant, trace)
        self.cluster = Cluster(self.fleet, self.policy)
        self.cluster.wake = self.woken.append
        self.hosts = Administration(env, self.fleet, self.plant, self.policy)
        self.cluster.admits = self.hosts.admission.refusal
        self.cluster.sized = self.hosts.admission.sized
        self.cluster.subscribe(lambda key, requested: self.changes.append((key, requested)))
        self.fleet.on_room = self._room
        self._due = False

    def running(self, key: str, requirement: Requirement | None = None) -> Observed:
        """Create the VM, power it on and let all that end; the answer is what is seen then."""
        self.cluster.create(key, requirement or need(), True)
        self.settle()
        self.cluster.power_on(key)
        self.settle()
        return self.seen(key)

    def off(self, key: str, requirement: Requirement | None = None) -> Observed:
        """Create the VM without powering it on."""
        self.cluster.create(key, requirement or need(), False)
        self.settle()
        return self.seen(key)

    def settle(self) -> None:
        """Let time pass until nothing is under way."""
        self.env.run()

    def until(self, second: float) -> None:
        """Let time pass up to that second."""
        self.env.run(until=second)

    def seen(self, key: str) -> Observed:
        """What the VM role would see of the VM."""
        return self.cluster.observe(key)

    def state(self, name: str) -> str:
        """The state of a host."""
        return self.inventory.states[self.inventory.row_of[name]].value

    def log(self, *kinds: str) -> list[Said]:
        """The records so far, of these kinds when any are given."""
        chosen = (record for record in self.records if not kinds or record.kind in kinds)
        return [(record.t, record.object, record.kind) for record in chosen]

    def free(self) -> list[tuple[int, int]]:
        """Free vCPUs and MiB by host."""
        cpu, memory = self.inventory.room[0], self.inventory.room[1]
        return list(zip(cpu.tolist(), memory.tolist(), strict=True))

    def _host(self, name: str) -> HostSpec:
        return self.inventory.hosts[self.inventory.row_of[name]]

    def _room(self) -> None:
        if not self._due:
            self._due = True
            timer = self.env.timeout(0.0)
            timer.callbacks.append(lambda _: self._use_room())

    def _use_room(self) -> None:
        self._due = False
        self.hosts.use_room()
        self.cluster.use_room()


def unclaimed(fleet: Fleet) -> list[str]:
    """Where the room kept differs from total minus the claims of the guests, as text."""
    inventory = fleet.inventory
    room = [column.copy() for column in inventory.total]
    for guest in fleet.guests.values():
        for row in (guest.claim, guest.target):
            if row >= 0:
                for resource, units in needs(guest.requirement, inventory):
                    room[resource][row] -= units
    names = list(inventory.resources)
    return [
        f"{names[index]} on row {row}: {kept} kept, {right} right"
        for index in range(len(names))
        for row, (kept, right) in enumerate(
            zip(inventory.room[index].tolist(), room[index].tolist(), strict=True)
        )
        if kept != right
    ]


PREREQUISITES = Path(__file__).parent.parent / "scenarios" / "manifests"
NAMES = {
    "2023-03": ("iscsi", "photon4", "poweredOn", "poweredOff", "v1alpha1"),
    "2026-08": (
        "my-storage-class",
        "vmi-0a0044d7c690bcbea",
        "PoweredOn",
        "PoweredOff",
        "v1alpha6",
    ),
}


def vm_class(name: str, edition: str, needs: str = "", cpus: int = 2, gib: int = 4) -> list[Any]:
    """The manifests that make class `name` usable in namespace demo."""
    group = "vmoperator.vmware.com"
    version = f"{group}/{EDITIONS[edition].version}"
    hardware: dict[str, Any] = {"cpus": cpus, "memory": f"{gib}Gi"}
    if needs:
        hardware["devices"] = {"vgpuDevices": [{"profileName": needs}]}
    made = {
        "apiVersion": version,
        "kind": "VirtualMachineClass",
        "metadata": {"name": name},
        "spec": {"hardware": hardware},
    }
    if edition == "2026-08":
        made["metadata"] = {"name": name, "namespace": "demo"}
        return [made]
    reference = {"apiVersion": version, "kind": "VirtualMachineClass", "name": name}
    binding = {
        "apiVersion": version,
        "kind": "VirtualMachineClassBinding",
        "metadata": {"name": name, "namespace": "demo"},
        "classRef": reference,
    }
    return [made, binding]


def vm(
    name: str, *, needs: str = "", power: bool = True, edition: str = "2026-08", **spec: Any
) -> dict[str, Any]:
    """The manifest of a VM of class small, or of class gpu when it needs one."""
    storage, image, on, off, version = NAMES[edition]
    return {
        "apiVersion": f"vmoperator.vmware.com/{version}",
        "kind": "VirtualMachine",
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {
            "className": "gpu" if needs else "small",
            "imageName": image,
            "storageClass": storage,
            "powerState": on if power else off,
            **spec,
        },
    }


def scenario(edition: str = "2026-08", **spec: Any) -> dict[str, Any]:
    """A scenario in namespace demo with the classes small and gpu; `spec` replaces parts of it."""
    base: dict[str, Any] = {
        "edition": edition,
        "duration": "30d",
        "namespace": "demo",
        "clusters": [{"name": "cluster-1", "hosts": [{"name": "esx-1", "cores": 8, **SIZE}]}],
        "manifests": [
            f"prerequisites-{edition}.yaml",
            *(vm_class("small", edition) if edition != "2023-03" else []),
            *vm_class("gpu", edition, needs=GPU),
        ],
    }
    return {
        "apiVersion": "vmsim.dev/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": "test"},
        "spec": base | spec,
    }


SIZE: Mapping[str, Any] = {"mhz": 1000, "memory": "16Gi"}


@dataclass
class Run:
    """A whole system in memory, stepped by the test; `log` is (second, object, kind)."""

    content: Mapping[str, Any]
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = plan(load(json.dumps(self.content), "scenario.yaml")[0], PREREQUISITES)
        self.env = simpy.Environment()
        with opened("memory", made.hosts) as backend:
            self.system = System(made, backend, self.env)
        self.system.trace.listen(self.records.append)
        self.system.begin()
        self.env.run(until=0.001)

    def apply(self, *manifests: Mapping[str, Any]) -> list[Any]:
        """Apply the manifests; the answers are the refusals, or None."""
        edition = self.system.plan.edition.name
        found = [load(json.dumps(item), "vm.yaml")[0] for item in manifests]
        return [self.system.api.apply(item) for item in parse(found, edition, "demo")]

    def patch(self, name: str, **spec: Any) -> Any:
        """Patch the spec of the VM."""
        return self.system.api.patch(f"demo/{name}", {"spec": spec})

    def delete(self, name: str) -> Any:
        """Delete the VM."""
        return self.system.api.delete("VirtualMachine", f"demo/{name}")

    def at(self, second: float, act: Callable[..., Any], *arguments: Any) -> None:
        """Let `act` happen at that second."""
        timer = self.env.timeout(second - self.env.now)
        timer.callbacks.append(partial(_call, act, arguments))

    def until(self, second: float) -> None:
        """Let time pass up to that second."""
        self.env.run(until=second)

    def status(self, name: str) -> Any:
        """The status of the VM as the API has it."""
        return self.system.api.vms[f"demo/{name}"].status

    def seen(self, name: str) -> Observed:
        """What the hypervisor shows of the VM."""
        return self.system.cluster.observe(f"demo/{name}")

    def condition(self, name: str, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition of the VM."""
        found = self.status(name).conditions[kind]
        return found.status, found.reason, found.message

    def log(self, *kinds: str) -> list[Said]:
        """The records so far, of these kinds when any are given."""
        chosen = (record for record in self.records if not kinds or record.kind in kinds)
        return [(record.t, record.object, record.kind) for record in chosen]


def _call(act: Callable[..., Any], arguments: tuple[Any, ...], _: object) -> None:
    act(*arguments)
