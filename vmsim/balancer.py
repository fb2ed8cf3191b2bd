"""Load balancing at work: looks at each cluster every minute, and moves VMs that gain by it.

All decisions are `balancing.best_move`; this module tells it what runs where, and where each VM
may go: only where the placement would let it, so never against a must rule.
"""

from collections.abc import Generator

import numpy as np
import simpy

from vmsim.actions import Cause, Verb
from vmsim.balancing import (
    FULL,
    POINTS_PER_MINUTE,
    Capacity,
    Claim,
    Load,
    all_scores,
    best_move,
    cluster_score,
    mean_score,
)
from vmsim.cluster import ClusterPolicy
from vmsim.drs import Balance
from vmsim.fleet import Fleet, Guest
from vmsim.objects import HostState, PowerState
from vmsim.placement import live

MOVES_PER_LOOK = 8
BITS_PER_MIB = 8 * 1024 * 1024


class Balancer:
    """The load balancing of every cluster; without `balance` in the policy there is none."""

    def __init__(self, env: simpy.Environment, fleet: Fleet, policy: ClusterPolicy) -> None:
        self._env = env
        self._fleet = fleet
        self._policy = policy
        self._told: dict[str, dict[str, object]] = {}
        if policy.drs.balance is not None:
            env.process(self._looks(policy.drs.balance))

    def look(self, threshold: int) -> int:
        """Start the moves that are worth it now, in all clusters; the answer is how many."""
        clusters = dict.fromkeys(host.cluster for host in self._fleet.inventory.hosts)
        for cluster in clusters:
            self._tell(cluster)
        return sum(self._look_at(cluster, threshold) for cluster in clusters)

    def score(self, cluster: str) -> float:
        """The DRS score of the cluster now."""
        return cluster_score(self._hosts(cluster), self._loads(cluster))

    def _tell(self, cluster: str) -> None:
        """Record the DRS scores of a cluster and of its VMs below 100, if they have changed."""
        vms = self._loads(cluster)
        by_vm = all_scores(self._hosts(cluster), vms)
        score = round(mean_score(vms, by_vm), 1)
        low = {key: round(score, 1) for key, score in by_vm.items() if round(score, 1) < FULL}
        data = {"score": score, "vms": low}
        if self._told.get(cluster) != data:
            self._told[cluster] = data
            self._fleet.trace.write("cluster", "DrsScore", cluster, data)

    def _looks(self, balance: Balance) -> Generator[simpy.Event, None, None]:
        while True:
            yield self._env.timeout(balance.every_s)
            self.look(balance.threshold)

    def _look_at(self, cluster: str, threshold: int) -> int:
        hosts = self._hosts(cluster)
        for number in range(MOVES_PER_LOOK):
            loads = self._loads(cluster)
            allowed = {vm.key: self._allowed(self._fleet.guests[vm.key]) for vm in loads}
            move = best_move(hosts, loads, allowed, threshold)
            if move is None:
                return number
            guest = self._fleet.guests[move.key]
            self._fleet.start(guest, Verb.MIGRATE, move.host, Cause.LOAD_BALANCING)
        return MOVES_PER_LOOK

    def _hosts(self, cluster: str) -> dict[int, Capacity]:
        inventory = self._fleet.inventory
        return {
            row: Capacity(float(host.cpu_cores * host.cpu_mhz), float(host.memory_mib))
            for row, host in enumerate(inventory.hosts)
            if host.cluster == cluster and inventory.states[row] is HostState.UP
        }

    def _loads(self, cluster: str) -> list[Load]:
        hosts = self._hosts(cluster)
        guests = [guest for guest in self._fleet.guests.values() if guest.power is PowerState.ON]
        at = {guest.key: max(guest.target, -1) for guest in guests}
        rows = {key: row if row >= 0 else self._fleet.guests[key].row for key, row in at.items()}
        return [self._load(guest, rows[guest.key]) for guest in guests if rows[guest.key] in hosts]

    def _load(self, guest: Guest, row: int) -> Load:
        host, vm = self._fleet.inventory.hosts[row], guest.requirement
        wanted = self._policy.drs.demand_of(guest.key, vm.class_name)
        mhz = vm.cpus * host.cpu_mhz * wanted.cpu
        cpu = Claim(mhz, float(vm.cpu_reservation_mhz), self._policy.drs.shares_of(vm))
        mib = vm.memory_mib * wanted.memory
        memory = Claim(mib, float(vm.memory_reservation_mib), 10.0 * vm.memory_mib)
        minutes = vm.memory_mib * BITS_PER_MIB / (host.nic_mbps * 1e6) / 60
        return Load(guest.key, row, cpu, memory, float(vm.cpus), minutes * POINTS_PER_MINUTE)

    def _allowed(self, guest: Guest) -> list[int]:
        """The rows to which the guest may be moved now; none while it is busy, or if it cannot."""
        if guest.busy is not None or not guest.connected:
            return []
        source = self._fleet.inventory.hosts[guest.row]
        if source.vmotion_fault or self._policy.hindrance(guest.key, guest.requirement):
            return []
        rows = self._fleet.placer.preferred_rows(live(guest.requirement, guest.generation))
        return [row for row in np.asarray(rows).tolist() if row != guest.row]
