"""Which VMs want to run at a moment of a scenario, and on which hosts may they?

What a VM takes, and which hosts it may have, is what the simulator itself counts: reservations,
overheads, devices, clusters, datastores, CPU generations, and rules. VMs that must keep together
are one that takes what all of them take. Clusters that share no VM are parts of their own.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import simpy
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from vmsim import groups
from vmsim.admission_control import OUT, counts, reserved
from vmsim.affinity import PLENTY
from vmsim.ha import Amount, Control
from vmsim.inventory import Inventory
from vmsim.loading import Plan
from vmsim.objects import HostState, PowerState
from vmsim.placement import FILTERS, Requirement, needs
from vmsim.pools import Pool
from vmsim.running import Opened
from vmsim.simulate import System, cluster_policy
from vmsim.whatif.admitted import Terms
from vmsim.whatif.packing import Packing

Asked = Counter[Requirement]
Item = tuple[Asked, int]
"""VMs that share a host, and how many such there are."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What was there at a moment: the hosts that are open, the VMs by what they ask for, how many
    open hosts run any, how many VMs no cluster knows yet, the hosts that count for admission
    control and for pools though they are not open, and what VMs reserve then, by cluster."""

    inventory: Inventory
    rows: list[int]
    asked: Asked
    in_use: int
    unknown: int
    control: Control
    pools: tuple[Pool, ...]
    beside_control: list[int]
    beside_pools: list[int]
    running: Mapping[str, Asked]

    @property
    def class_names(self) -> list[str]:
        """The classes of the VMs."""
        return sorted({one.class_name for one in self.asked})

    @property
    def clusters(self) -> list[str]:
        """The clusters that have hosts."""
        return sorted({host.cluster for host in self.inventory.hosts})

    def rows_of(self, cluster: str) -> list[int]:
        """The open hosts of a cluster."""
        return [row for row in self.rows if self.inventory.hosts[row].cluster == cluster]

    def terms(self, cluster: str, asked: Asked) -> Terms:
        """On what terms the cluster lets these VMs in."""
        load: Counter[Amount] = Counter()
        own: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        for one, number in asked.items():
            amount = reserved(one)
            load[amount] += number
            own[0][one.pool or ""] += number * amount.cpu_mhz
            own[1][one.pool or ""] += number * amount.memory_mib
        open_, control, pools = (
            self._sizes(rows, cluster)
            for rows in (self.rows, self.beside_control, self.beside_pools)
        )
        return Terms(self.control, self.pools, open_, control, pools, load, own)

    def _sizes(self, rows: Sequence[int], cluster: str) -> list[Amount]:
        hosts = [self.inventory.hosts[row] for row in rows]
        return [
            Amount(host.cpu_cores * host.cpu_mhz, host.memory_mib)
            for host in hosts
            if host.cluster == cluster
        ]


def scene(plan: Plan, at_s: float, opened: Opened) -> Scene:
    """Run the plan in memory up to second `at_s` and look."""
    with opened("memory", plan.all_hosts) as backend:
        system = System(plan, backend, simpy.Environment())
        system.begin()
        system.advance(at_s)
    inventory, guests = system.fleet.inventory, system.fleet.guests
    wanted = [key for key, vm in system.api.vms.items() if vm.spec.power_state is PowerState.ON]
    asked = Counter(guests[key].requirement for key in wanted if key in guests)
    open_rows = [int(row) for row in np.flatnonzero(inventory.open)]
    in_use = len({guests[key].claim for key in wanted if key in guests} & set(open_rows))
    running: dict[str, Asked] = {}
    for guest in filter(counts, guests.values()):
        running.setdefault(guest.requirement.cluster, Counter())[guest.requirement] += 1
    closed = [row for row in range(len(inventory)) if row not in set(open_rows)]
    leaving, state = system.hosts.maintenance.is_leaving, inventory.states
    away = (HostState.UP, HostState.ENTERING_MAINTENANCE)
    policy = cluster_policy(plan)
    return Scene(
        inventory, open_rows, asked, in_use, len(wanted) - sum(asked.values()),
        policy.ha.control, policy.drs.pools,
        [row for row in closed if state[row] not in OUT and not leaving(row)],
        [row for row in closed if state[row] in away],
        running,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """Clusters that share no VM with others: the VMs that may be there, and their open hosts."""

    clusters: list[str]
    items: list[Item]
    rows: list[int]

    @property
    def asked(self) -> Asked:
        """The VMs, whoever must keep together."""
        found: Asked = Counter()
        for members, number in self.items:
            found.update({one: count * number for one, count in members.items()})
        return found


def parts(seen: Scene) -> list[Part]:
    """The clusters that have VMs, together where a VM may be in either."""
    inventory, every = seen.inventory, seen.clusters
    items = items_of(seen.asked)
    cluster_of = np.array([every.index(host.cluster) for host in inventory.hosts])
    shared = np.zeros((len(every) + len(items),) * 2)
    for number, (members, _) in enumerate(items, start=len(every)):
        may = allowed(members, inventory)[seen.rows]
        home = next(iter(members)).cluster or every[0]
        shared[number, cluster_of[seen.rows][may] if may.any() else [every.index(home)]] = 1
    _, label = connected_components(shared, directed=False)
    labels = dict.fromkeys(label[len(every) :].tolist())
    return [
        Part(
            [name for name, own in zip(every, label, strict=False) if own == mine],
            [item for item, own in zip(items, label[len(every) :], strict=True) if own == mine],
            [row for row in seen.rows if label[cluster_of[row]] == mine],
        )
        for mine in labels
    ]


def items_of(asked: Asked) -> list[Item]:
    """VMs one by one, those that must keep together as one."""
    bound = [one for one in asked if groups.binding(one)]
    found = [(Counter({one: 1}), number) for one, number in asked.items() if one not in bound]
    while bound:
        together = [bound[row] for row in groups.companions(bound[0], bound)]
        found.append((Counter({one: asked[one] for one in together}), 1))
        bound = [one for one in bound if one not in together]
    return found


def packing(seen: Scene, part: Part) -> Packing:
    """The part as a packing problem; resources that are never short are left out."""
    inventory, rows = seen.inventory, np.array(part.rows, dtype=np.int64)
    wanted = [_needs(members, inventory) for members, _ in part.items]
    resources = sorted({resource for one in wanted for resource in one})
    need = np.array([[one[resource] for resource in resources] for one in wanted])
    size = np.array([inventory.total[resource][rows] for resource in resources]).T
    fixed = np.array([allowed(members, inventory)[rows] for members, _ in part.items]).T
    made, hosts = np.unique(np.hstack([size, fixed]), axis=0, return_counts=True)
    count = np.array([number for _, number in part.items], dtype=np.int64)
    width = len(resources)
    short = made[:, :width].max(axis=0, initial=0) < PLENTY
    return Packing(need[:, short], count, made[:, :width][:, short], hosts,
                   made[:, width:].T.astype(bool))  # fmt: skip


def _needs(members: Asked, inventory: Inventory) -> Counter[int]:
    """What these VMs together take of a host."""
    found: Counter[int] = Counter()
    for one, number in members.items():
        found.update({resource: number * units for resource, units in needs(one, inventory)})
    return found


def allowed(members: Iterable[Requirement], inventory: Inventory) -> NDArray[np.bool_]:
    """Which hosts may run all of these VMs, whatever runs there now."""
    tests = [
        filter_.test(one, inventory)
        for one in members
        for filter_ in FILTERS
        if filter_.fixed and filter_.applies(one)
    ]
    return np.array([all(test(row) for test in tests) for row in range(len(inventory))])
