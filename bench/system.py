"""The churn through vmsim: every VM takes the whole path, and the trace goes to a file.

Each arrival is submitted to the API server as a VirtualMachine of one of eight admitted classes.
It gets its finalizer, is created, powered on and reported; at the end of its lifetime its object
is deleted, so it is powered off, destroyed and let go. All durations are 0.

    python -m bench.system WORKLOAD_FILE HOSTS TRACE_FILE
"""

import sys
from collections.abc import Generator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import simpy

from backends import opened
from bench import churn
from bench.stopwatch import Stopwatch
from vmsim import loading
from vmsim.admission import Admitted, Terms, admit_create
from vmsim.documents import Document, Lines
from vmsim.durations import Durations
from vmsim.loading import Plan
from vmsim.manifests import Manifest, to_vm
from vmsim.objects import VirtualMachine, VMSpec
from vmsim.rendering import timestamp
from vmsim.scenario import DurationsModel
from vmsim.simulate import System

EDITION = "2026-08"
API = "vmoperator.vmware.com/v1alpha6"
NAMESPACE = "demo"
IMAGE = "vmi-0a0044d7c690bcbea"
STORAGE = "my-storage-class"
RETRY = "evacuation_retry"  # a pause after a failure, which must not be 0
NO_TIME = {name: "0s" for name in DurationsModel.model_fields if name != RETRY}


def scenario(hosts: int) -> dict[str, Any]:
    """A scenario of `hosts` hosts in one cluster, with everything the VMs need."""
    host = {"name": "esx-{}", "count": hosts, "cores": churn.HOST_CORES, "mhz": 2_000}
    host["memory"] = f"{churn.HOST_MIB}Mi"
    spec = {
        "edition": EDITION,
        "namespace": NAMESPACE,
        "duration": "36500d",
        "policies": {"placement": "best_fit", "overcommit": {"cpu": 1.0, "memory": 1.0}},
        "durations": NO_TIME,
        "clusters": [{"name": "cluster-1", "zone": "zone-1", "hosts": [host]}],
        "manifests": [*surroundings(), *(vm_class(cpus, gib) for cpus, gib, _ in churn.CLASSES)],
    }
    return {
        "apiVersion": "vmsim.dev/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": "churn"},
        "spec": spec,
    }


def surroundings() -> list[dict[str, Any]]:
    """What the VMs name beside their class."""
    quota = {f"{STORAGE}.storageclass.storage.k8s.io/requests.storage": "10Ti"}
    return [
        thing("v1", "Namespace", NAMESPACE),
        thing("topology.tanzu.vmware.com/v1alpha1", "Zone", "zone-1", spec={}),
        thing(
            "storage.k8s.io/v1",
            "StorageClass",
            STORAGE,
            provisioner="csi.vsphere.vmware.com",
            parameters={"storagePolicyID": "aa6d5a82-1c88-45da-85d3-3d74b91a5bad"},
        ),
        thing("v1", "ResourceQuota", "storage", spec={"hard": quota}),
        thing(
            API,
            "VirtualMachineImage",
            IMAGE,
            spec={"providerRef": {"kind": "ContentLibraryItem", "name": "photon-5"}},
            status={
                "name": "photon-5",
                "type": "OVF",
                "osInfo": {"type": "vmwarePhoton64Guest", "version": "5"},
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "lastTransitionTime": "2026-08-21T00:00:00Z",
                    }
                ],
            },
        ),
    ]


def thing(api: str, kind: str, name: str, **fields: Any) -> dict[str, Any]:
    """A manifest."""
    metadata = {"name": name}
    if kind not in ("Namespace", "StorageClass"):
        metadata["namespace"] = NAMESPACE
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def vm_class(cpus: int, gib: int) -> dict[str, Any]:
    """The class of VMs of that size."""
    hardware = {"cpus": cpus, "memory": f"{gib}Gi"}
    return thing(API, "VirtualMachineClass", class_name(cpus, gib), spec={"hardware": hardware})


def class_name(cpus: int, gib: int) -> str:
    """Name of the class of VMs of that size."""
    return f"c{cpus}-m{gib}"


def plan(hosts: int) -> Plan:
    """The scenario, checked as a file would be."""
    return loading.plan(Document(scenario(hosts), "churn", Lines(0)), Path())


def admitted(system: System, cpus: int, gib: int) -> VMSpec:
    """The spec of a VM of that size after admission."""
    wanted = {
        "className": class_name(cpus, gib),
        "imageName": IMAGE,
        "storageClass": STORAGE,
        "powerState": "PoweredOn",
    }
    raw = thing(API, "VirtualMachine", "like", spec=wanted)
    terms = Terms(system.api.catalog, system.plan.edition, system.api.verdict, timestamp(0.0))
    answer = admit_create(raw, terms)
    assert isinstance(answer, Admitted), answer
    manifest = Manifest("VirtualMachine", NAMESPACE, "like", answer.raw)
    return to_vm(manifest, system.plan.edition.name).spec


class Churn:
    """A system with the workload in front of it; `rows` has the host of each VM that came."""

    def __init__(self, path: Path, hosts: int, sink: BinaryIO | None) -> None:
        self.env = simpy.Environment()
        ready = plan(hosts)
        pauses = {field.name for field in fields(Durations) if getattr(ready.durations, field.name)}
        assert pauses == {f"{RETRY}_s"}, pauses
        with opened("memory", ready.hosts) as backend:
            self.system = System(ready, backend, self.env, sink)
        self.rows: list[int] = []
        self._path = path
        self._end_s = churn.end_s(path)

    def run(self) -> None:
        """Run until the last VM is gone."""
        system = self.system
        system.begin()
        specs = {(cpus, gib * 1024): admitted(system, cpus, gib) for cpus, gib, _ in churn.CLASSES}
        self.env.process(self._source(specs))
        system.advance(self._end_s)
        assert not system.api.vms, "every VM is gone"
        assert not system.fleet.guests, "and no guest is left"

    def _source(self, specs: dict[tuple[int, int], VMSpec]) -> Generator[simpy.Event, None, None]:
        env, api, guests = self.env, self.system.api, self.system.fleet.guests
        rows = self.rows

        def leave(key: str, number: int, _: simpy.Event) -> None:
            guest = guests.get(key)
            rows[number] = guest.row if guest and guest.claim >= 0 else -1
            api.hold()
            api.delete("VirtualMachine", key)
            api.let_go()

        for number, (arrival_s, lifetime_s, cpus, mib) in enumerate(churn.records(self._path)):
            yield env.timeout(arrival_s - env.now)
            key = f"{NAMESPACE}/vm-{number}"
            api.hold()
            api.submit(VirtualMachine(key, specs[cpus, mib]), "template")
            rows.append(-1)
            callbacks = env.timeout(lifetime_s).callbacks
            assert callbacks is not None
            callbacks.append(partial(leave, key, number))
            api.let_go()


def run(path: Path, hosts: int, trace: Path) -> str:
    """Run the workload; the result line."""
    with trace.open("wb") as sink:
        churned = Churn(path, hosts, sink)
        watch = Stopwatch()
        churned.run()
        digest = churned.system.trace.digest()
        return watch.result(
            churned.rows,
            records=churned.system.trace.count,
            digest=digest,
            trace_mib=round(trace.stat().st_size / 2**20, 1),
        )


if __name__ == "__main__":
    print(run(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
