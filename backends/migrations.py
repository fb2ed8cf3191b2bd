"""Live migrations in virtual time: they queue for units, and share the links of their hosts.

A migration first waits, first in first out, until both hosts, their networks and the datastores
have the units it costs; then it is prepared; then it sends at a max-min fair rate; then a vGPU
may hold it up; then it is over. When migrations begin or end to send, the rates of those that
share a link with them, directly or through others, are found anew at the end of that instant;
only a migration whose rate changed gets a new timer.

Queue: a migration that lacks units of a pool waits in the line of that pool. Nobody who comes
later takes units of that pool before it, but of other pools they do.
"""

from bisect import insort
from collections.abc import Callable, Iterable

import simpy
from simpy.events import Event, EventPriority

from backends.moves import Link, Move, Needs, Pool, Port
from vmsim.actions import Task
from vmsim.bandwidth import SOURCE, Flow, fair_rates, held_back
from vmsim.objects import HostSpec
from vmsim.precopy import Copy, Progress, advance, begin
from vmsim.timer import call_later
from vmsim.vmotion import (
    VMOTION,
    VMOTION_WITHOUT_SHARED_STORAGE,
    Cost,
    Devices,
    VMotion,
    report,
)

LAST = EventPriority(2)
NOTHING = Progress(0, 0.0)


class Migrations:
    """All migrations of a plant; `finished` is called with each one that got to its end."""

    def __init__(
        self,
        env: simpy.Environment,
        vmotion: VMotion,
        host: Callable[[str], HostSpec],
        finished: Callable[[Move], None],
    ) -> None:
        self._env = env
        self._vmotion = vmotion
        self._host = host
        self._finished = finished
        self._ports: dict[str, Port] = {}
        self._datastores: dict[str, Pool] = {}
        self._stores: dict[tuple[str, str], Needs] = {}
        self._cargo: dict[tuple[str, int, bool, Devices], tuple[Copy, float]] = {}
        self._serial = 0
        self._touched: dict[Link, None] = {}
        self._freed: list[Pool] = []

    def move(self, task: Task, prepare_s: float, *, sends: bool = True) -> Move:
        """A migration that is ready to be started."""
        source, target = self.port(task.source), self.port(task.host)
        copy, stun_s = self._carries(task)
        self._serial += 1
        return Move(
            self._serial,
            task,
            prepare_s,
            copy if sends else None,
            stun_s,
            min(source.ceiling, target.ceiling),
            source,
            target,
            self._needs(task, source, target),
        )

    def start(self, move: Move) -> None:
        """Begin, or wait for units; one that takes no time is over before this returns."""
        if self._takes(move):
            self._begin(move)

    def drop(self, move: Move) -> None:
        """Take it out, wherever it is; `finished` is not called."""
        if move.over:
            return
        move.over = True
        move.timer = None
        if not move.begun:
            for pool, _ in move.needs:
                if move in pool.waiting:
                    pool.waiting.remove(move)
        else:
            self._leave_links(move)
            for pool, units in move.needs:
                pool.used -= units

    def serve(self, move: Move) -> None:
        """Let those go on that waited for what `move` held, oldest first.

        One that ends at once frees its pools in turn; they are added to the same list.
        """
        idle = not self._freed
        self._freed += [pool for pool, _ in move.needs if pool.waiting]
        while idle and self._freed:
            pool = min(self._freed, key=_oldest)
            if not self._serve(pool):
                self._freed.remove(pool)

    def port(self, host: str) -> Port:
        """What the host has for migrations."""
        port = self._ports.get(host)
        if port is None:
            port = self._ports[host] = self._new_port(self._host(host))
        return port

    def forget(self, host: str) -> None:
        """The host joins (again): it may have another network card."""
        self._ports.pop(host, None)

    def _new_port(self, spec: HostSpec) -> Port:
        limits, network = self._vmotion.limits, self._vmotion.network
        mib_s, ceiling = network.link_mib_s(spec.nic_mbps), network.ceiling_mib_s(spec.nic_mbps)
        units, sends = Pool(limits.host), Pool(limits.network(spec.nic_mbps))

        def needs(cost: Cost) -> Needs:
            return _capped((units, cost.host), (sends, cost.network))

        both = needs(VMOTION), needs(VMOTION_WITHOUT_SHARED_STORAGE)
        return Port(units, sends, Link(mib_s), Link(mib_s), ceiling, *both)

    def _carries(self, task: Task) -> tuple[Copy, float]:
        """What is to be sent, and for how long its vGPUs stop the VM; alike for VMs of a kind."""
        vmotion, storage = self._vmotion, bool(task.from_datastore)
        key = task.class_name, task.memory_mib, storage, task.devices
        known = self._cargo.get(key)
        if known is None or task.vm in vmotion.vms:
            traits = vmotion.traits(task.vm, task.class_name)
            stun_s = vmotion.stun_s(traits, task.devices, task.memory_mib)
            known = vmotion.copy(traits, task.memory_mib, storage=storage), stun_s
            if task.vm not in vmotion.vms:
                self._cargo[key] = known
        return known

    def _needs(self, task: Task, source: Port, target: Port) -> Needs:
        between = task.datastore, task.from_datastore
        stores = self._stores.get(between)
        if stores is None:
            cost = VMOTION_WITHOUT_SHARED_STORAGE if task.from_datastore else VMOTION
            pools = [self._datastore(name) for name in dict.fromkeys(between) if name]
            stores = self._stores[between] = _capped(*((pool, cost.datastore) for pool in pools))
        if task.from_datastore:
            return source.moves_storage + target.moves_storage + stores
        return source.moves + target.moves + stores

    def _datastore(self, name: str) -> Pool:
        pool = self._datastores.get(name)
        if pool is None:
            pool = self._datastores[name] = Pool(self._vmotion.limits.datastore)
        return pool

    def _takes(self, move: Move) -> bool:
        """Take all units, or wait for the first pool that has not enough, or an older one."""
        for pool, units in move.needs:
            older = pool.waiting and pool.waiting[0].serial < move.serial
            if older or pool.used + units > pool.limit:
                insort(pool.waiting, move)
                return False
        for pool, units in move.needs:
            pool.used += units
        return True

    def _serve(self, pool: Pool) -> bool:
        """Whether the oldest one that waits here found its units in this pool, and went on."""
        if not pool.waiting:
            return False
        move = pool.waiting[0]
        if any(each is pool and pool.used + units > pool.limit for each, units in move.needs):
            return False
        del pool.waiting[0]
        if self._takes(move):
            self._begin(move)
        return True

    def _begin(self, move: Move) -> None:
        move.begun = True
        move.started_s = self._env.now
        self._then(move, move.prepare_s, self._send)

    def _send(self, move: Move) -> None:
        """Put it on its links; its rate is found at the end of this instant."""
        if move.copy is None or move.copy.memory_mib + move.copy.disk_mib <= 0.0:
            self._then(move, move.stun_s, self._end)
            return
        move.copy_s = -self._env.now
        for link in (move.source.out, move.target.into):
            link.moves[move.serial] = move
            self._touch(link)

    def _sent(self, move: Move) -> None:
        move.copy_s += self._env.now
        self._leave_links(move)
        self._then(move, move.stun_s, self._end)

    def _end(self, move: Move) -> None:
        move.over = True
        move.timer = None
        for pool, units in move.needs:
            pool.used -= units
        self._finished(move)
        self.serve(move)

    def _leave_links(self, move: Move) -> None:
        for link in (move.source.out, move.target.into):
            if link.moves.pop(move.serial, None) is not None:
                self._touch(link)

    def _touch(self, link: Link) -> None:
        """Note that the rates of the link's migrations are to be found anew in this instant."""
        if not self._touched:
            AtTheEnd(self._env, self._settle)
        self._touched[link] = None

    def _settle(self, _: Event) -> None:
        """Find the rates of all migrations that the touched links reach, in order of arrival."""
        moves = _reached(self._touched)
        self._touched = {}
        for move, (rate, held) in zip(moves, _rates(moves), strict=True):
            move.held = held
            if rate != move.rate:
                self._retime(move, rate)

    def _retime(self, move: Move, rate: float) -> None:
        """From now on it sends at `rate`."""
        assert move.copy is not None, "what sends has something to send"
        now = self._env.now
        if move.progress is None:
            move.progress = begin(move.copy, rate)
        elif now > move.since_s:
            sent_s = now - move.since_s
            move.progress, _ = advance(move.copy, move.progress, move.rate, sent_s)
        move.since_s = now
        move.rate = rate
        move.final, left_s = advance(move.copy, move.progress, rate)
        self._timer(move, left_s, self._sent)

    def _then(self, move: Move, delay_s: float, call: Callable[[Move], None]) -> None:
        if delay_s > 0.0:
            self._timer(move, delay_s, call)
        else:
            call(move)

    def _timer(self, move: Move, delay_s: float, call: Callable[[Move], None]) -> None:
        """Set the one timer of the migration; the one before it counts no more."""

        def ring(timer: Event) -> None:
            if move.timer is timer:
                call(move)

        move.timer = call_later(self._env, delay_s, ring)


class AtTheEnd(Event):
    """An event of this instant that comes after all others, those still to be made included."""

    def __init__(self, env: simpy.Environment, call: Callable[[Event], None]) -> None:
        super().__init__(env)
        assert self.callbacks is not None
        self.callbacks.append(call)
        self._ok = True
        self._value = None
        env.schedule(self, LAST)


def outcome(move: Move, now_s: float, fixed_stun_s: float) -> dict[str, float | str]:
    """What the record of a finished migration says."""
    stun_s = move.stun_s + min(fixed_stun_s, move.prepare_s)
    copy = move.copy or Copy(0.0)
    done, lasted_s = move.final or NOTHING, now_s - move.started_s
    return report(copy, done, lasted_s, stun_s, (move.copy_s, move.held))


def _oldest(pool: Pool) -> int:
    return pool.waiting[0].serial if pool.waiting else 0


def _capped(*needs: tuple[Pool, int]) -> Needs:
    return tuple((pool, min(units, pool.limit)) for pool, units in needs)


def _reached(touched: Iterable[Link]) -> list[Move]:
    """The migrations on these links, on the links of those, and so on; oldest first."""
    found: dict[int, Move] = {}
    links = list(touched)
    known = set(links)
    for link in links:  # grows on the way
        for move in link.moves.values():
            if move.serial not in found:
                found[move.serial] = move
                _follow(move, links, known)
    return [found[serial] for serial in sorted(found)]


def _follow(move: Move, links: list[Link], known: set[Link]) -> None:
    """Add the links of the migration that are not known yet."""
    for end in (move.source.out, move.target.into):
        if end not in known:
            known.add(end)
            links.append(end)


def _equal_share(moves: list[Move]) -> float:
    """The rate of all when they leave one host, and neither targets nor ceilings hold them back."""
    out = moves[0].source.out
    level = out.capacity / len(moves)
    for move in moves:
        into = move.target.into
        held = level > move.ceiling or level * len(into.moves) > into.capacity
        if held or move.source.out is not out:
            return 0.0
    return level


def _rates(moves: list[Move]) -> list[tuple[float, str]]:
    """The max-min fair rates of migrations that share links with nobody else, and what holds each
    of them back.

    Most often one card holds all of them back, and they share it equally; that is seen at once.
    """
    if moves and (level := _equal_share(moves)):
        return [(level, SOURCE)] * len(moves)
    number: dict[Link, int] = {}
    flows = []
    for move in moves:
        out = number.setdefault(move.source.out, len(number))
        into = number.setdefault(move.target.into, len(number))
        flows.append(Flow(out, into, move.ceiling))
    capacity = [link.capacity for link in number]
    rates = fair_rates(flows, capacity)
    return list(zip(rates, held_back(flows, capacity, rates), strict=True))
