"""A vSphere cluster that exists in memory only: tasks queue for slots and take time.

The plant decides nothing: it is told which VM goes to which host. Power operations run at once;
migrations queue and share bandwidth (`backends.migrations`). With `effects`, each task is
carried out for real when its modelled time is over, so that a real API can run on modelled time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import simpy

from backends.migrations import Migrations, outcome
from backends.moves import Move
from vmsim.actions import MIGRATE, Fault, Task, Verb
from vmsim.durations import Durations
from vmsim.faults import FaultInjector, FaultRule
from vmsim.objects import HostSpec
from vmsim.ports import Effects, HostCommand, HostEnded, TaskEnded
from vmsim.timer import call_later
from vmsim.vmotion import DEFAULT_VMOTION, VMotion

ENDS_TASKS = (
    HostCommand.FAIL,
    HostCommand.ISOLATE,
    HostCommand.LOSE_STORAGE,
    HostCommand.STOP_VMS,
)


_Boots: TypeAlias = tuple[tuple[float, float], list[Callable[[], None]]]
"""Guests that were started in one instant (the second, and how long they take) are up in one."""


@dataclass(slots=True, eq=False)
class _Run:
    """A task on its way, or over; `move` is there for a migration."""

    task: Task
    ended: TaskEnded
    strike: FaultRule | None
    move: Move | None = None
    over: bool = False


@dataclass(slots=True)
class MemoryPlant:
    """The plant of virtual time; `host` knows the hosts by name."""

    env: simpy.Environment
    durations: Durations
    host: Callable[[str], HostSpec]
    faults: FaultInjector | None = None
    effects: Effects | None = None
    vmotion: VMotion = DEFAULT_VMOTION
    migrations: Migrations = field(init=False)
    _fixed_s: dict[Verb, float] = field(init=False)
    _command_s: dict[HostCommand, float] = field(init=False)
    _moving: dict[int, _Run] = field(default_factory=dict)
    _on_host: dict[str, dict[int, _Run]] = field(default_factory=dict)
    _losses: dict[str, int] = field(default_factory=dict)
    _booting: _Boots = field(default_factory=lambda: ((-1.0, 0.0), []))

    def __post_init__(self) -> None:
        self.migrations = Migrations(self.env, self.vmotion, self.host, self._moved)
        parameters = self.durations
        self._fixed_s = {
            Verb.CREATE: parameters.create_s,
            Verb.POWER_ON: parameters.power_on_s,
            Verb.POWER_OFF: parameters.power_off_s,
            Verb.RESTART: parameters.power_off_s,
            Verb.SUSPEND: parameters.suspend_s,
            Verb.RESIZE: parameters.resize_s,
            Verb.MIGRATE: parameters.migrate_s,
            Verb.RELOCATE: parameters.relocate_s,
            Verb.DESTROY: parameters.destroy_s,
        }
        self._command_s = {
            HostCommand.ENTER_MAINTENANCE: parameters.enter_maintenance_s,
            HostCommand.EXIT_MAINTENANCE: parameters.exit_maintenance_s,
        }

    def start(self, task: Task, ended: TaskEnded) -> None:
        """See `vmsim.ports.Plant`. A task without duration ends before this returns."""
        strike = self.faults.strike(task) if self.faults else None
        migrates = task.verb is MIGRATE
        fixed_s = task.lasts_s if task.lasts_s >= 0.0 else self._fixed_s[task.verb]
        if strike is None and not migrates and fixed_s <= 0.0:
            ended(task, self.effects.task(task) if self.effects else None)
            return
        run = _Run(task, ended, strike)
        lost = strike is not None and strike.kind == "drop"
        delay_s = strike.delay_s if strike is not None else 0.0
        delay_s = self.durations.task_timeout_s if lost else delay_s + fixed_s
        if migrates:
            run.move = self.migrations.move(task, delay_s, sends=not lost)
            self._moving[run.move.serial] = run
            self._enter(run)
            self.migrations.start(run.move)
        elif delay_s <= 0.0:
            self._finish(run)
        else:
            self._enter(run)
            self._after(delay_s, lambda _: self._finish(run))

    def boot(self, vm: str, ready: Callable[[], None], lasts_s: float = -1.0) -> None:
        """See `vmsim.ports.Plant`."""
        boot_s = self.durations.guest_boot_s if lasts_s < 0.0 else lasts_s
        if not boot_s:
            ready()
            return
        moment = self.env.now, boot_s
        if self._booting[0] != moment:
            together: list[Callable[[], None]] = []
            self._booting = moment, together
            self._after(boot_s, lambda _: _call_all(together))
        self._booting[1].append(ready)

    def command(self, host: str, command: HostCommand, ended: HostEnded) -> None:
        """See `vmsim.ports.Plant`."""
        if command in ENDS_TASKS:
            self._losses[host] = self._losses.get(host, 0) + 1
            self._abort(host)
        elif command is HostCommand.ADD:
            self.migrations.forget(host)
        duration_s = self._command_s.get(command, 0.0)
        losses = self._losses.get(host, 0)

        def over(_: object = None) -> None:
            if self._losses.get(host, 0) != losses:
                return  # the host failed meanwhile, and this went down with it
            if self.effects:
                self.effects.host(host, command)
            ended()

        if duration_s:
            self._after(duration_s, over)
        else:
            over()

    def _moved(self, move: Move) -> None:
        run = self._moving[move.serial]
        run.task.report = outcome(move, self.env.now, self.vmotion.fixed_stun_s)
        self._finish(run)

    def _finish(self, run: _Run) -> None:
        if not run.over:
            fault = self._outcome(run)
            self._leave(run)
            run.ended(run.task, fault)

    def _outcome(self, run: _Run) -> Fault | None:
        strike = run.strike
        if strike is not None and strike.kind == "fail":
            return Fault(strike.fault, "injected by the scenario")
        if strike is not None and strike.kind == "drop":
            return Fault("TaskTimeout", "the task did not answer", unknown=True)
        if self.effects is None:
            return None
        fault = self.effects.task(run.task)
        if strike is not None and strike.kind == "repeat":
            self.effects.task(run.task)
        return fault

    def _enter(self, run: _Run) -> None:
        for host in {run.task.source: 0, run.task.host: 0}:
            self._on_host.setdefault(host, {})[id(run)] = run

    def _leave(self, run: _Run) -> None:
        """Free what the run holds; afterwards it can neither finish nor be aborted."""
        run.over = True
        for host in (run.task.source, run.task.host):
            self._on_host.get(host, {}).pop(id(run), None)
        if run.move is not None:
            del self._moving[run.move.serial]
            self.migrations.drop(run.move)

    def _abort(self, host: str) -> None:
        """End every task that touches `host`, also those that wait: it does not answer any more."""
        lost = list(self._on_host.get(host, {}).values())
        for run in lost:
            self._leave(run)
            run.ended(run.task, Fault("HostNotConnected", f"host {host} does not respond"))
        for run in lost:
            if run.move is not None:
                self.migrations.serve(run.move)

    def _after(self, delay_s: float, call: Callable[[simpy.Event], None]) -> None:
        call_later(self.env, delay_s, call)


def _call_all(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        call()
