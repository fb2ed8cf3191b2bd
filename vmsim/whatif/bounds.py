"""How far is a placement from the best there could be?

A scenario is run up to a moment; the VMs that are wanted on then are packed anew onto the hosts
that are open then, as if every VM could be moved at will. Clusters that share no VM are packed
apart. Admission control and resource pools ask for hosts beside those that the VMs fill
(`admitted`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from vmsim import groups
from vmsim.admission_control import reserved
from vmsim.affinity import keeps_together
from vmsim.inventory import Inventory
from vmsim.placement import Requirement, needs
from vmsim.problems import BadInput, Problem
from vmsim.whatif.admitted import Terms, fewest, most_more
from vmsim.whatif.columns import Bound, Clock, bounds, more_that_fit
from vmsim.whatif.packing import Counts, Packing, fitting
from vmsim.whatif.scene import Part, Scene, allowed, items_of, packing, parts

MOVED = "every VM could be moved at will, and none loses room to tasks under way"
LAST = "admission"
LET_IN = (
    f"{LAST}: the hosts that must be there so that vSphere HA admission control and resource "
    "pools let all VMs be powered on anew; restarts by vSphere HA need not ask the former"
)
LEFT_OUT = "left out: should rules, and rules that spread VMs over zones, which are wishes here"


NOT_ALL = ", and not all of them find room or are let in"


def hosts_needed(seen: Scene, limit_s: float) -> Iterator[Bound]:
    """The fewest hosts that the VMs need, method by method, summed over the parts."""
    if not seen.rows or not seen.asked:
        raise BadInput([Problem("no host is open, or no VM is wanted on, at that time")])
    found = parts(seen)
    steps = zip(*(_bounds(seen, part, limit_s) for part in found), strict=True)
    return (_summed(seen, found, step) for step in steps)


def _bounds(seen: Scene, part: Part, limit_s: float) -> Iterator[Bound]:
    found = Bound("", 0, None, 0.0)
    for found in bounds(packing(seen, part), limit_s):
        yield found
    clock = Clock(limit_s)
    terms = list(_terms(seen, part))
    if any(one.bind for one in terms):
        lows, highs = zip(*map(fewest, terms), strict=True)
        few = any(low > len(one.open) for low, one in zip(lows, terms, strict=True))
        low = max(found.low, len(part.rows) + 1 if few else sum(lows))
        both = (found.high, highs[0] if len(highs) == 1 else None)
        high = None if None in both else max(end for end in both if end is not None)
        yield Bound(LAST, low, high, clock.passed_s)


def _terms(seen: Scene, part: Part) -> Iterator[Terms]:
    """The terms of each cluster; of several, each with the VMs that can be in no other."""
    for cluster in part.clusters:
        sure = part.asked
        if len(part.clusters) > 1:
            sure = Counter({one: n for one, n in sure.items() if one.cluster == cluster})
        yield seen.terms(cluster, sure)


def _summed(seen: Scene, found: Sequence[Part], step: Sequence[Bound]) -> Bound:
    few = any(one.low > len(part.rows) for one, part in zip(step, found, strict=True))
    highs = [one.high for one in step if one.high is not None]
    return Bound(
        step[0].method,
        len(seen.rows) + 1 if few else sum(one.low for one in step),
        None if few or len(highs) < len(step) else sum(highs),
        sum(one.seconds for one in step),
    )


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
    rules = tuple(rule for rule in commonest.rules if class_name in rule.classes)
    new = replace(commonest, cluster="", only_host="", rules=rules)
    clock = Clock(limit_s)
    here = sum(_beside(seen, new, cluster) for cluster in seen.clusters)
    ends = [_moved(seen, part, new, limit_s) for part in _homes(seen, new)]
    sure, most = (sum(end) for end in zip(*ends, strict=True))
    return Room(class_name, here, sure, most, clock.passed_s)


def _homes(seen: Scene, new: Requirement) -> list[Part]:
    """Where more of this VM may go: anywhere, or where those are that it must keep to."""
    found = parts(seen)
    if groups.binding(new):
        return [part for part in found if groups.companions(new, list(part.asked))]
    used = {cluster for part in found for cluster in part.clusters}
    free = [cluster for cluster in seen.clusters if cluster not in used]
    return found + [Part([cluster], [], seen.rows_of(cluster)) for cluster in free]


def _moved(seen: Scene, part: Part, new: Requirement, limit_s: float) -> tuple[int, int]:
    """How many more VMs fit into the part, at least and at most, if all could be moved."""

    def joined(number: int) -> Packing:
        return packing(seen, replace(part, items=items_of(part.asked + Counter({new: number}))))

    more: Callable[[int], Packing] = joined
    if not groups.binding(new):
        given = packing(seen, replace(part, items=[*part.items, (Counter({new: 1}), 0)]))
        more = partial(given.with_more, len(part.items))
    alone = _numbers(new, seen.inventory, seen.inventory.total, part.rows)
    sure, most = more_that_fit(more, sum(alone), limit_s)
    terms = list(_terms(seen, part))
    if any(one.bind for one in terms):
        let_in = [most_more(one, reserved(new), new.pool, most) for one in terms]
        most = min(most, sum(let_in))
        sure = min(sure, let_in[0]) if len(let_in) == 1 else 0
    return sure, most


def _beside(seen: Scene, new: Requirement, cluster: str) -> int:
    """How many more VMs the cluster takes beside what runs, where it runs."""
    inventory, together = seen.inventory, groups.binding(new)
    beside = keeps_together(new.rules, inventory)
    rows = [row for row in seen.rows_of(cluster) if beside(row)]
    found = _numbers(new, inventory, inventory.room, rows)
    number = max(found, default=0) if together else sum(found)
    terms = seen.terms(cluster, seen.running.get(cluster, Counter()))
    return most_more(terms, reserved(new), new.pool, number) if terms.bind else number


def _numbers(
    new: Requirement, inventory: Inventory, room: Sequence[Counts], rows: Sequence[int]
) -> list[int]:
    """How many such VMs each of these hosts takes by itself, with so much room."""
    pairs = needs(new, inventory)
    one: Counts = np.array([[units for _, units in pairs]], dtype=np.int64)
    may = allowed([new], inventory)
    return [
        int(fitting(one, np.array([room[resource][row] for resource, _ in pairs]))[0])
        for row in rows
        if may[row]
    ]


def told(seen: Scene, found: Iterable[Bound], rooms: Iterable[Room]) -> Iterator[str]:
    """The answer in lines, each as soon as it is known."""
    number = sum(seen.asked.values())
    yield f"How many hosts do the {number} VMs need? {len(seen.rows)} are open."
    if seen.unknown:
        yield f"  {seen.unknown} VMs more are wanted on, but no cluster knows them yet"
    yield f"  in use now  {seen.in_use}"
    few = False
    for bound in found:
        few = few or bound.low > len(seen.rows)
        yield f"  {bound.method:<10}  {_says(bound, len(seen.rows))}  ({bound.seconds:.3f} s)"
        if bound.method == "exact" and bound.low <= len(seen.rows):
            gap = seen.in_use - bound.low
            yield f"  distance of what runs to the bound: {gap} hosts ({gap / bound.low:.1%})"
    yield "How many more VMs of a class fit? Beside what runs, and if all could be moved."
    for room in rooms:
        moved = f"{room.sure}, proved" if room.sure == room.most else f"{room.sure} to {room.most}"
        if room.most < room.here:
            moved += f": the VMs that are wanted on come first{NOT_ALL if few else ''}"
        yield f"  {room.class_name}: {room.here}, {moved}  ({room.seconds:.3f} s)"
    yield "assumptions"
    yield from (f"  {text}" for text in assumed(seen))


def assumed(seen: Scene) -> list[str]:
    """What the bounds take for granted, and what they leave out."""
    lets_in = [LET_IN] if seen.terms("", Counter()).bind else []
    return [MOVED, *lets_in, LEFT_OUT]


def to_json(seen: Scene, found: Iterable[Bound], rooms: Iterable[Room]) -> dict[str, Any]:
    """The answer for machines; a `low` above the open hosts says that they are too few."""
    return {
        "vms": sum(seen.asked.values()),
        "unknown": seen.unknown,
        "open": len(seen.rows),
        "inUse": seen.in_use,
        "bounds": [asdict(bound) for bound in found],
        "room": [
            {"class": room.class_name, "here": room.here, "low": room.sure, "high": room.most,
             "seconds": room.seconds}
            for room in rooms
        ],
        "assumptions": assumed(seen),
    }  # fmt: skip


def _says(bound: Bound, hosts: int) -> str:
    if bound.low > hosts:
        return "not even all hosts let all VMs in" if bound.method == LAST else "too few hosts"
    if bound.high is None:
        return f"{bound.low} at least"
    if bound.high == bound.low:
        return f"{bound.low} at least, proved: so many are enough"
    return f"{bound.low} at least, {bound.high} are enough; between them nothing is proved"
