"""Would some VM be better off on another host?

Each host divides its CPU and its memory among its VMs by their shares: nobody gets more than it
demands, and at least what it reserves. The DRS score of a VM is how much of its demand it gets,
CPU times memory, from 0 to 100; that of the cluster is the mean, weighted by vCPUs. A move is worth
it when the VM's score rises by more than the threshold asks, net of what the migration costs, and
the cluster's score rises too, so no move makes the cluster less balanced.

Source: VMware blog, "vSphere 7: Improved DRS", 2020, for the score and the minute between two
looks; vSphere API, ClusterDrsConfigInfo, for the threshold. There `vmotionRate` counts the other
way round: 1 is the most aggressive, so it is 6 minus the threshold here. The points that a
threshold asks for, and that a minute of migration costs, are defaults without a measurement.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

GAIN_BY_THRESHOLD = {2: 20.0, 3: 10.0, 4: 5.0, 5: 1.0}
"""Points of score that a move must gain; threshold 1 keeps to rules and maintenance only."""

POINTS_PER_MINUTE = 1.0
LEAST = 1e-9
FULL = 100.0
"""The score of a VM that gets all that it demands."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one VM demands of a resource, is guaranteed of it, and its shares."""

    demand: float
    reservation: float = 0.0
    shares: float = 1000.0


@dataclass(frozen=True, slots=True)
class Load:
    """A running VM: the host it is on or bound for, its claims, its weight in the cluster's score,
    and what moving it costs in points."""

    key: str
    host: int
    cpu: Claim
    memory: Claim
    weight: float = 1.0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a host has for its VMs."""

    cpu_mhz: float
    memory_mib: float


@dataclass(frozen=True, slots=True)
class Move:
    """VM `key` should go to row `host`, and gains so many points, net of the cost."""

    key: str
    host: int
    gain: float


def divided(capacity: float, claims: Sequence[Claim]) -> list[float]:
    """What each gets: its guarantee, then by shares up to its demand, until nothing is left."""
    got = [min(claim.demand, claim.reservation) for claim in claims]
    left = capacity - sum(got)
    hungry = [number for number, claim in enumerate(claims) if got[number] < claim.demand]
    while hungry and left > LEAST:
        shares = sum(claims[number].shares for number in hungry)
        part = {number: left * claims[number].shares / shares for number in hungry}
        full = [n for n in hungry if got[n] + part[n] >= claims[n].demand]
        for number in full or hungry:
            more = claims[number].demand - got[number] if full else part[number]
            got[number] += more
            left -= more
        hungry = [number for number in hungry if number not in full] if full else []
    return got


def scores(capacity: Capacity, vms: Sequence[Load]) -> dict[str, float]:
    """The DRS score of each VM of a host."""
    cpu = divided(capacity.cpu_mhz, [vm.cpu for vm in vms])
    memory = divided(capacity.memory_mib, [vm.memory for vm in vms])
    return {
        vm.key: 100.0 * _share(cpu[n], vm.cpu) * _share(memory[n], vm.memory)
        for n, vm in enumerate(vms)
    }


def _share(got: float, claim: Claim) -> float:
    return min(1.0, got / claim.demand) if claim.demand > 0 else 1.0


def all_scores(hosts: Mapping[int, Capacity], vms: Sequence[Load]) -> dict[str, float]:
    """The DRS score of each VM of these hosts, in the order of the VMs."""
    on: dict[int, list[Load]] = {row: [] for row in hosts}
    for vm in vms:
        on[vm.host].append(vm)
    found = {
        key: score for row, here in on.items() for key, score in scores(hosts[row], here).items()
    }
    return {vm.key: found[vm.key] for vm in vms}


def mean_score(vms: Sequence[Load], by_vm: Mapping[str, float]) -> float:
    """The score of a cluster whose VMs have these scores."""
    weight = sum(vm.weight for vm in vms)
    return sum(vm.weight * by_vm[vm.key] for vm in vms) / weight if weight else FULL


def cluster_score(hosts: Mapping[int, Capacity], vms: Sequence[Load]) -> float:
    """The weighted mean of the VMs' scores; 100 without VMs."""
    return mean_score(vms, all_scores(hosts, vms))


def best_move(
    hosts: Mapping[int, Capacity],
    vms: Sequence[Load],
    allowed: Mapping[str, Collection[int]],
    threshold: int,
) -> Move | None:
    """The move that gains most, or None; `allowed` are the rows to which each VM may go.

    Ties go to the VM that comes first, then to the lowest row.
    """
    least = GAIN_BY_THRESHOLD.get(threshold)
    if least is None:
        return None
    now = all_scores(hosts, vms)
    best: Move | None = None
    for vm in vms:
        if 100.0 - now[vm.key] - vm.cost < least:
            continue
        for row in sorted(set(allowed.get(vm.key, ())) - {vm.host}):
            move = _judged(hosts, vms, vm, row)
            gain = move.gain - now[vm.key] if move else 0.0
            if move and gain >= least and (best is None or gain > best.gain):
                best = replace(move, gain=gain)
    return best


def _judged(hosts: Mapping[int, Capacity], vms: Sequence[Load], vm: Load, row: int) -> Move | None:
    """The VM's score on another host net of the cost, or None if the cluster would lose."""
    there = [other for other in vms if other.host == row]
    moved = replace(vm, host=row)
    after = [moved if other is vm else other for other in vms if other.host in (row, vm.host)]
    before = _sum(hosts, vms, vm.host) + _sum(hosts, vms, row)
    if _sum(hosts, after, vm.host) + _sum(hosts, after, row) <= before + LEAST:
        return None
    return Move(vm.key, row, scores(hosts[row], [*there, moved])[vm.key] - vm.cost)


def _sum(hosts: Mapping[int, Capacity], vms: Sequence[Load], row: int) -> float:
    here = [vm for vm in vms if vm.host == row]
    score = scores(hosts[row], here)
    return sum(vm.weight * score[vm.key] for vm in here)
