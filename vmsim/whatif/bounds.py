"""How far is a placement from the best there could be?

A scenario is run up to a moment; the VMs that are wanted on then are packed anew onto the hosts
that are open then, as if every VM could be moved at will. What a VM takes, and which hosts it may
have, is what the simulator itself counts: reservations, overheads, devices, clusters, datastores,
CPU generations, rules about hosts and rules that keep VMs apart.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import simpy

from vmsim.affinity import PLENTY
from vmsim.inventory import Inventory
from vmsim.loading import Plan
from vmsim.objects import HostState, PowerState
from vmsim.placement import FILTERS, Requirement, needs
from vmsim.problems import BadInput, Problem
from vmsim.running import Opened
from vmsim.simulate import System
from vmsim.whatif.columns import Bound, Clock, bounds, more_that_fit
from vmsim.whatif.packing import Counts, Packing, fitting

LEFT_OUT = (
    "every VM could be moved at will, and none loses room to tasks under way",
    "left out: rules that keep VMs together, resource pools, admission control; with them more "
    "hosts may be needed, so a bound holds and an exact figure may be too good",
)


@dataclass(frozen=True, slots=True)
class Scene:
    """What was there at a moment: the hosts that are open, the VMs by what they ask for, how many
    open hosts run any, and how many VMs no cluster knows yet."""

    inventory: Inventory
    rows: list[int]
    asked: Counter[Requirement]
    in_use: int
    unknown: int

    @property
    def class_names(self) -> list[str]:
        """The classes of the VMs."""
        return sorted({one.class_name for one in self.asked})


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
    running = {guests[key].claim for key in wanted if key in guests}
    in_use = len(running & set(open_rows))
    return Scene(inventory, open_rows, asked, in_use, len(wanted) - sum(asked.values()))


def packing(seen: Scene, asked: Iterable[tuple[Requirement, int]]) -> Packing:
    """VMs of these kinds and the open hosts as a packing problem; resources that are never short
    are left out."""
    kinds = list(asked)
    inventory, rows = seen.inventory, np.array(seen.rows, dtype=np.int64)
    wanted = [dict(needs(requirement, inventory)) for requirement, _ in kinds]
    resources = sorted({resource for one in wanted for resource in one})
    need = np.array([[one.get(resource, 0) for resource in resources] for one in wanted])
    size = np.array([inventory.total[resource][rows] for resource in resources]).T
    fixed = np.array([_fixed(requirement, inventory)[rows] for requirement, _ in kinds]).T
    both = np.hstack([size, fixed])
    made, hosts = np.unique(both, axis=0, return_counts=True)
    count = np.array([number for _, number in kinds], dtype=np.int64)
    width = len(resources)
    short = made[:, :width].max(axis=0) < PLENTY
    return Packing(need[:, short], count, made[:, :width][:, short], hosts,
                   made[:, width:].T.astype(bool))  # fmt: skip


def _fixed(requirement: Requirement, inventory: Inventory) -> Counts:
    """Which hosts may run such a VM, whatever runs there now."""
    asked = [filter_ for filter_ in FILTERS if filter_.fixed and filter_.applies(requirement)]
    tests = [filter_.test(requirement, inventory) for filter_ in asked]
    rows = range(len(inventory))
    return np.array([all(test(row) for test in tests) for row in rows], dtype=np.int64)


def hosts_needed(seen: Scene, limit_s: float) -> Iterator[Bound]:
    """The fewest hosts that the VMs need, method by method."""
    if not seen.rows or not seen.asked:
        raise BadInput([Problem("no host is open, or no VM is wanted on, at that time")])
    return bounds(packing(seen, seen.asked.items()), limit_s)


@dataclass(frozen=True, slots=True)
class Room:
    """How many more VMs of a class fit: beside what runs where it runs, and at least and at most
    if everything could be moved; with the seconds that the latter took."""

    class_name: str
    here: int
    sure: int
    most: int
    seconds: float


def room_for(seen: Scene, class_name: str, limit_s: float) -> Room:
    """How many more VMs of this class fit; BadInput when no VM has it."""
    of_class = [(number, one) for one, number in seen.asked.items() if one.class_name == class_name]
    if not of_class:
        hint = f"classes of its VMs: {', '.join(seen.class_names)}"
        raise BadInput([Problem(f"no VM has class {class_name}", field="--class", hint=hint)])
    commonest = max(of_class, key=lambda pair: pair[0])[1]
    new = replace(commonest, cluster="", only_host="")
    clock = Clock(limit_s)
    sure, most = more_that_fit(packing(seen, [*seen.asked.items(), (new, 0)]), -1, limit_s)
    return Room(class_name, _beside(seen, new), sure, most, clock.passed_s)


def _beside(seen: Scene, new: Requirement) -> int:
    inventory = seen.inventory
    pairs = needs(new, inventory)
    mask = _fixed(new, inventory)
    one: Counts = np.array([[units for _, units in pairs]], dtype=np.int64)
    return sum(
        int(fitting(one, np.array([inventory.room[resource][row] for resource, _ in pairs]))[0])
        for row in seen.rows
        if mask[row] and inventory.states[row] is HostState.UP
    )


def told(seen: Scene, found: Iterable[Bound], rooms: Iterable[Room]) -> Iterator[str]:
    """The answer in lines, each as soon as it is known."""
    number = sum(seen.asked.values())
    yield f"How many hosts do the {number} VMs need? {len(seen.rows)} are open."
    if seen.unknown:
        yield f"  {seen.unknown} VMs more are wanted on, but no cluster knows them yet"
    yield f"  in use now  {seen.in_use}"
    low = 0
    for bound in found:
        yield f"  {bound.method:<10}  {_says(bound, len(seen.rows))}  ({bound.seconds:.3f} s)"
        low = bound.low
    if low <= len(seen.rows):
        gap = seen.in_use - low
        yield f"  distance of what runs to the bound: {gap} hosts ({gap / low:.1%})"
    yield "How many more VMs of a class fit? Beside what runs, and if all could be moved."
    for room in rooms:
        moved = f"{room.sure}, proved" if room.sure == room.most else f"{room.sure} to {room.most}"
        yield f"  {room.class_name}: {room.here}, {moved}  ({room.seconds:.3f} s)"
    yield "assumptions"
    yield from (f"  {text}" for text in LEFT_OUT)


def _says(bound: Bound, hosts: int) -> str:
    if bound.low > hosts:
        return "too few hosts"
    if bound.high is None:
        return f"{bound.low} at least"
    if bound.high == bound.low:
        return f"{bound.low} at least, proved: so many are enough"
    return f"{bound.low} at least, {bound.high} are enough; between them nothing is proved"
