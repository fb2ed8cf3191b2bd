"""Closed forms, published tables and golden examples that a deterministic model must meet.

V8 and V9 run migrations in the plant, V11 and V12 run whole scenarios; V10 and V14 compare with
published figures; V13 compares sampled sets of failed hosts with all of them, V15 the hosts that
a policy uses with the bound and the optimum of the packing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import ceil, comb, inf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import simpy
from scipy import optimize, stats

from backends import opened
from backends.memory import MemoryPlant
from bench.findings import CONFIDENCE, Finding, exactly
from vmsim import precopy
from vmsim.actions import Cause, Task, Verb
from vmsim.bandwidth import MBPS_IN_MIB_S, Network
from vmsim.documents import Document, Lines
from vmsim.durations import Durations
from vmsim.ha import Amount, failover_capacity, free_percent, slot_size, slots_of_host, usable_slots
from vmsim.inventory import Inventory, Overcommit
from vmsim.loading import plan
from vmsim.objects import HostSpec, HostState
from vmsim.placement import Placer, Requirement
from vmsim.policies import BUILT_IN
from vmsim.precopy import Rules
from vmsim.rng import stream
from vmsim.running import How, run
from vmsim.trace import Record
from vmsim.vmotion import STUN_FITS, Limits, Traits, VMotion

GIB = 1024
WIRE = Network(efficiency=1.0)
STILL = Traits(dirty_mib_s=0.0)
GEOMETRIC = ((16, 0.3, 2, 9.552, 0.618), (64, 0.5, 4, 53.258, 1.718), (256, 0.7, 7, 345.376, 9.055))
EVACUATIONS = ((48, 16, 20_000, 329.9), (48, 16, 9_000, 733.0), (30, 32, 20_000, 412.3))
STUN_67 = {1: 9.0, 2: 16.5, 4: 31.4, 8: 61.3, 10: 76.3, 12: 91.2}
STUN_70 = {1: 2, 2: 4, 4: 6, 8: 12, 16: 22, 32: 39}


def v8(effort: float = 1.0) -> list[Finding]:
    """Pre-copy of a guest that writes at a fixed rate: a geometric sum."""
    found = []
    for gib, rho, rounds, total_s, last_s in GEOMETRIC:
        rate = 20_000 * MBPS_IN_MIB_S
        rules = Rules(0.0, rounds, inf, sdps=False, saturating=False)
        traits = Traits(dirty_mib_s=rho * rate, working_set_share=1.0)
        model = VMotion(WIRE, rules, defaults=traits, fixed_stun_s=0.0)
        (ended_s,) = _migrations(model, 20_000, [gib])
        exact = precopy.geometric_s(gib * GIB, rate, rho, rounds)
        assert round(exact, 3) == total_s, (exact, total_s)
        found.append(exactly("V8", f"{gib} GiB, D/B {rho}: seconds", exact, ended_s, 1e-9 * exact))
        last = precopy.geometric_last_s(gib * GIB, rate, rho, rounds)
        found.append(exactly("V8", f"{gib} GiB, D/B {rho}: last copy", last_s, last, 5e-4))
    return found


def v9(effort: float = 1.0) -> list[Finding]:
    """A host is empty when its card has sent all, however many migrations run at once."""
    found = []
    for count, gib, mbps, second in EVACUATIONS:
        exact = count * gib * GIB / (mbps * MBPS_IN_MIB_S)
        assert round(exact, 1) == second, (exact, second)
        for at_once in (1, 8):
            model = VMotion(WIRE, limits=Limits(host=at_once), defaults=STILL)
            last_s = max(_migrations(model, mbps, [gib] * count))
            what = f"{count} x {gib} GiB at {mbps / 1000:g} Gbit/s, {at_once} at once"
            found.append(exactly("V9", what, exact, last_s, 1e-6))
    return found


def v10(effort: float = 1.0) -> list[Finding]:
    """Admission control of the availability guide's example cluster."""
    hosts = [Amount(9000, 9000), Amount(9000, 6000), Amount(6000, 6000)]
    vms = [(Amount(c * 1000, m * 1000), 1) for c, m in ((2, 1), (2, 1), (1, 2), (1, 1), (1, 1))]
    slots = [slots_of_host(host, slot_size(vms)) for host in hosts]
    rows: list[tuple[str, float, float]] = [
        (f"slots of host {number + 1}", expected, slots[number])
        for number, expected in enumerate((4, 3, 3))
    ]
    rows += [
        ("failover capacity", 1, failover_capacity(slots, len(vms))),
        ("free CPU, percent", 70, free_percent(24_000, 7000)),
        ("free memory, percent", 71, free_percent(21_000, 6000)),
    ]
    deep = [slots_of_host(Amount(99_000, gib), Amount(1, 1)) for gib in (16, 16, 32)]
    rows += [
        (f"usable slots with {failures} failures", expected, usable_slots(deep, failures))
        for failures, expected in ((0, 64), (1, 32), (2, 16))
    ]
    return [exactly("V10", what, expected, got, 0.0) for what, expected, got in rows]


def v11(effort: float = 1.0) -> list[Finding]:
    """Restart of 100 VMs: placement 10 s after the host is declared dead at 18 s, then batches."""
    found = []
    for survivors, first, last in ((7, 38.0, 38.0), (1, 38.0, 68.0)):
        records = _records(_failing_host(survivors))
        (failed_s,) = [record.t for record in records if record.kind == "HostConnectionLost"]
        on = [r.t - failed_s for r in records if r.kind == "VmPoweredOn" and r.t > failed_s]
        assert len(on) == 100, len(on)
        found += [
            exactly("V11", f"{survivors} survivors: first VM on", first, min(on), 1e-6),
            exactly("V11", f"{survivors} survivors: all 100 on", last, max(on), 1e-6),
        ]
    return found


def v12(effort: float = 1.0) -> list[Finding]:
    """Rolling upgrade of 8 hosts; a VM that only its own host can run waits for it."""
    found = []
    for wake, down_s in ((False, 1860 + 450.715 + 45), (True, 1860 + 45.0)):
        records = _records(_upgrade(wake))
        at = {(r.kind, r.object): r.t for r in reversed(records)}
        powered = [r.t for r in records if (r.kind, r.object) == ("VmPoweredOn", "demo/a")]
        off_s = at["VmPoweredOff", "demo/a"]
        span_s = at["UpgradeFinished", "upgrade"] - at["UpgradeStarted", "upgrade"]
        how = "woken by room" if wake else "by back-off"
        found += [
            exactly("V12", f"makespan, {how}", 14_880, span_s, 1e-6),
            exactly("V12", f"VM down, {how}", down_s, powered[1] + 45 - off_s, 1e-3),
        ]
    return found


def v13(effort: float = 1.0) -> list[Finding]:
    """Sampled pairs of failed hosts against all pairs: how often everything still fits."""
    rng = stream(13, "v13")
    cores = [int(n) for n in rng.integers(8, 33, 12)]
    wanted = [int(n) for n in rng.choice([2, 4, 8], 41)]
    pairs = list(combinations(range(len(cores)), 2))
    fits = {pair: _fits(cores, wanted, pair) for pair in pairs}
    exact = sum(fits.values()) / comb(len(cores), 2)
    count = max(400, round(4000 * effort))
    drawn = rng.integers(0, len(pairs), count)
    share = sum(fits[pairs[int(index)]] for index in drawn) / count
    half = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * sqrt(share * (1 - share) / count)
    what = f"share of pairs of {len(cores)} hosts without which all fits"
    return [Finding("V13", what, exact, share, share - half, share + half, 0.1)]


def v14(effort: float = 1.0) -> list[Finding]:
    """Stun of vGPU VMs as published, by GiB of framebuffer in use."""
    return [
        *_stuns("6.7U1", STUN_67, 0.05),
        *_stuns("7.0", STUN_70, 1.3),
    ]


def v15(effort: float = 1.0) -> list[Finding]:
    """Hosts that a policy uses are never fewer than the optimum, nor that than its bound."""
    sizes = np.array([[2, 4], [4, 16], [8, 32], [16, 64]])
    room = np.array([64, 256])
    found = []
    for number in range(3):
        counts = stream(15, f"v15-{number}").integers(5, 40, len(sizes))
        patterns = _patterns(sizes, room, counts)
        relaxed, best = (
            _packing(patterns, counts, whole=False),
            _packing(patterns, counts, whole=True),
        )
        used = _used(sizes, counts, room)
        assert ceil(relaxed - 1e-9) <= best <= used, (relaxed, best, used)
        what = f"instance {number + 1}: hosts of best fit by the optimum"
        found.append(exactly("V15", what, float(best), float(used), 1.0))
    return found


EXACT = (v8, v9, v10, v11, v12, v13, v14, v15)


def _migrations(model: VMotion, mbps: int, sizes_gib: Sequence[int]) -> list[float]:
    """When each migration from one host to sixteen others ends."""
    env = simpy.Environment()
    spec = HostSpec("x", "c", "z", 8, 2400, 65_536, nic_mbps=mbps)
    plant = MemoryPlant(
        env, Durations(migrate_s=0.0), lambda name: replace(spec, name=name), None, vmotion=model
    )
    ended: list[float] = []
    for number, gib in enumerate(sizes_gib):
        task = Task(Verb.MIGRATE, str(number), "x", f"y{number % 16}", Cause.EVACUATION)
        task.memory_mib = gib * GIB
        plant.start(task, lambda task, fault: ended.append(float(env.now)))
    env.run()
    return ended


def _stuns(name: str, published: Mapping[int, float], tolerance: float) -> list[Finding]:
    fit = STUN_FITS[name]
    return [
        exactly(
            "V14",
            f"vSphere {name}, {gib} GiB: seconds",
            float(seconds),
            fit.stun_s(gib, 0),
            tolerance,
        )
        for gib, seconds in published.items()
    ]


def _records(scenario: dict[str, Any]) -> list[Record]:
    """The records of a scenario, run in memory."""
    document = Document(scenario, "validation", Lines(1))
    records: list[Record] = []
    run(plan(document, Path()), How(), opened, records.append)
    return records


def _scenario(spec: dict[str, Any], cpus: int, gpu: bool) -> dict[str, Any]:
    """A scenario with a namespace, a class `one`, an image and a storage class of 2026-08."""
    group = "vmoperator.vmware.com/v1alpha6"
    hardware: dict[str, Any] = {"cpus": cpus, "memory": "1Gi"}
    if gpu:
        hardware["devices"] = {"vgpuDevices": [{"profileName": "gpu"}]}
    scoped = {"namespace": "demo"}
    manifests = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}},
        {"apiVersion": group, "kind": "VirtualMachineClass", "spec": {"hardware": hardware},
         "metadata": {"name": "one", **scoped}},
        {"apiVersion": group, "kind": "VirtualMachineImage",
         "metadata": {"name": "vmi-0123456789abcdef0", **scoped}},
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "s"},
         "provisioner": "csi.vsphere.vmware.com", "parameters": {"storagePolicyID": "p"}},
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", **scoped},
         "spec": {"hard": {"s.storageclass.storage.k8s.io/requests.storage": "1Ti"}}},
    ]  # fmt: skip
    return {
        "apiVersion": "vmsim.dev/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": "validation"},
        "spec": {"edition": "2026-08", "namespace": "demo", "manifests": manifests, **spec},
    }


VM_SPEC = {"className": "one", "imageName": "vmi-0123456789abcdef0", "storageClass": "s"}


def _failing_host(survivors: int) -> dict[str, Any]:
    """A host that 100 VMs prefer fails; another one is the primary."""
    size = {"cores": 100, "memory": "256Gi"}
    others = [f"esx-{number}" for number in range(2, 2 + survivors)]
    hosts = [{"name": "esx-1", **size}, *({"name": name, **size} for name in others)]
    return _scenario(
        {
            "duration": "2h",
            "clusters": [{"name": "c", "hosts": hosts}],
            "durations": {"powerOn": "10s", "create": "0s"},
            "policies": {"overcommit": {"cpu": 4}},
            "highAvailability": {"primary": [others[0]], "detection": {"placement": "10s"},
                                 "admissionControl": {"policy": "disabled"}},
            "drs": {"rules": [{"name": "home", "kind": "runOn", "must": False, "vms": ["*"],
                               "hosts": ["esx-1"]}]},
            "timeline": [{"at": "1h", "failHost": "esx-1"}],
            "workload": [{"name": "vm-{}", "count": 100, "at": "1m", "spec": VM_SPEC}],
        },
        cpus=1,
        gpu=False,
    )  # fmt: skip


def _upgrade(wake: bool) -> dict[str, Any]:
    size = {"cores": 8, "memory": "16Gi"}
    first = {"name": "esx-1", "devices": {"gpu": 1}, **size}
    vm = {"apiVersion": "vmoperator.vmware.com/v1alpha6", "kind": "VirtualMachine",
          "metadata": {"name": "a"}, "spec": VM_SPEC}  # fmt: skip
    return _scenario(
        {
            "duration": "12h",
            "clusters": [{"name": "c", "hosts": [first, {"name": "x{}", "count": 7, **size}]}],
            "durations": {"powerOn": "0s", "powerOff": "0s", "guestBoot": "45s",
                          "enterMaintenance": "300s", "exitMaintenance": "60s"},
            "policies": {"eviction": "drs_poweroff",
                         "retry": {"resync": "10d", "wakeOnCapacity": wake}},
            "upgrade": [{"at": "1h", "clusters": ["c"], "work": "1500s"}],
            "timeline": [{"at": "0s", "apply": vm}],
        },
        cpus=1,
        gpu=True,
    )  # fmt: skip


def _fits(cores: Sequence[int], wanted: Sequence[int], failed: Sequence[int]) -> bool:
    """Whether best fit places all VMs, the largest first, without the failed hosts."""
    specs = [HostSpec(str(n), "c", "z", size, 2400, 10**6) for n, size in enumerate(cores)]
    inventory = Inventory(specs, Overcommit(cpu=1.0))
    for row in failed:
        inventory.set_state(row, HostState.DOWN)
    placer = Placer(inventory, BUILT_IN["best_fit"])
    for cpus in sorted(wanted, reverse=True):
        shape = placer.shape(Requirement(cpus, 1))
        row = placer.place(shape)
        if row < 0:
            return False
        inventory.claim(shape.needs, row)
    return True


def _patterns(sizes: Any, room: Any, counts: Any) -> Any:
    """Every way to fill one host, as counts by class: (classes, patterns)."""
    found: list[list[int]] = []

    def fill(index: int, left: Any, chosen: list[int]) -> None:
        if index == len(sizes):
            if any(chosen):
                found.append(chosen)
            return
        most = int(min((left // sizes[index]).min(), counts[index]))
        for number in range(most + 1):
            fill(index + 1, left - number * sizes[index], [*chosen, number])

    fill(0, room, [])
    return np.array(found).T


def _packing(patterns: Any, counts: Any, *, whole: bool) -> float:
    """The fewest hosts for these counts (Gilmore and Gomory): relaxed, or in whole hosts."""
    cover = optimize.LinearConstraint(patterns, lb=counts)
    answer = optimize.milp(
        np.ones(patterns.shape[1]), constraints=cover, integrality=int(whole),
        options={"mip_rel_gap": 0.0},
    )  # fmt: skip
    assert answer.success, answer.message
    return float(answer.fun)


def _used(sizes: Any, counts: Any, room: Any) -> int:
    """Hosts on which best fit puts anything, the largest VMs first."""
    spec = HostSpec("", "c", "z", int(room[0]), 2400, int(room[1]) * GIB)
    inventory = Inventory([replace(spec, name=str(n)) for n in range(60)], Overcommit(cpu=1.0))
    placer = Placer(inventory, BUILT_IN["best_fit"])
    rows = set()
    for index in reversed(range(len(sizes))):
        shape = placer.shape(Requirement(int(sizes[index][0]), int(sizes[index][1]) * GIB))
        for _ in range(int(counts[index])):
            row = placer.place(shape)
            inventory.claim(shape.needs, row)
            rows.add(row)
    return len(rows)
