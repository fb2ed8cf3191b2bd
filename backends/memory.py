"""A vSphere cluster that exists in memory only: tasks queue for slots and take time.

The plant decides nothing: it is told which VM goes to which host. Power operations run at once;
migrations wait, first in first out, until both hosts have a slot. With `effects`, each task is
carried out for real when its modelled time is over, so that a real API can run on modelled time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import simpy

from vmsim.actions import Fault, Task, Verb
from vmsim.durations import Durations
from vmsim.faults import FaultInjector, FaultRule
from vmsim.ports import Effects, HostCommand, HostEnded, TaskEnded

MIB_PER_GIB = 1024


@dataclass(slots=True, eq=False)
class _Run:
    """A task on its way: waiting for a slot (`running` False), running, or over.

    `lasts` tells whether it takes any time, so that its hosts know of it.
    """

    task: Task
    ended: TaskEnded
    strike: FaultRule | None
    running: bool = False
    lasts: bool = False
    over: bool = False


@dataclass(slots=True)
class MemoryPlant:
    """The plant of virtual time; `slots` is the number of concurrent migrations per host name."""

    env: simpy.Environment
    durations: Durations
    slots: Callable[[str], int]
    faults: FaultInjector | None = None
    effects: Effects | None = None
    _waiting: list[_Run] = field(default_factory=list)
    _moves: dict[str, int] = field(default_factory=dict)
    _on_host: dict[str, dict[int, _Run]] = field(default_factory=dict)
    _fixed_s: dict[Verb, float] = field(init=False)

    def __post_init__(self) -> None:
        parameters = self.durations
        self._fixed_s = {
            Verb.CREATE: parameters.create_s,
            Verb.POWER_ON: parameters.power_on_s,
            Verb.POWER_OFF: parameters.power_off_s,
            Verb.SUSPEND: parameters.suspend_s,
            Verb.DESTROY: parameters.destroy_s,
            Verb.MIGRATE: parameters.migrate_s,
        }

    def start(self, task: Task, ended: TaskEnded) -> None:
        """See `vmsim.ports.Plant`. A task without duration ends before this returns."""
        strike = self.faults.strike(task) if self.faults else None
        smooth = strike is None and self.effects is None and task.verb is not Verb.MIGRATE
        if smooth and self.task_duration_s(task) <= 0.0:
            ended(task, None)  # nothing to wait for, and nothing that can go wrong
            return
        run = _Run(task, ended, strike)
        if task.verb is Verb.MIGRATE:
            self._waiting.append(run)
            self._admit()
        else:
            self._go(run)

    def boot(self, vm: str, ready: Callable[[], None]) -> None:
        """See `vmsim.ports.Plant`."""
        if self.durations.guest_boot_s:
            self._after(self.durations.guest_boot_s, lambda _: ready())
        else:
            ready()

    def command(self, host: str, command: HostCommand, ended: HostEnded) -> None:
        """See `vmsim.ports.Plant`."""
        if command is HostCommand.FAIL:
            self._abort(host)
        duration_s = {
            HostCommand.ENTER_MAINTENANCE: self.durations.enter_maintenance_s,
            HostCommand.EXIT_MAINTENANCE: self.durations.exit_maintenance_s,
        }.get(command, 0.0)

        def over(_: object = None) -> None:
            if self.effects:
                self.effects.host(host, command)
            ended()

        if duration_s:
            self._after(duration_s, over)
        else:
            over()

    def task_duration_s(self, task: Task) -> float:
        """Seconds that the task takes once it runs."""
        fixed_s = self._fixed_s[task.verb]
        if task.verb is Verb.MIGRATE:
            return fixed_s + self.durations.migrate_per_gib_s * (task.memory_mib / MIB_PER_GIB)
        return fixed_s

    def _admit(self) -> None:
        """Start every waiting migration whose two hosts have a free slot, oldest first.

        One that ends at once admits others in its turn, so each is looked at again when its
        turn comes here.
        """
        for run in list(self._waiting):
            if run.running or run.over:
                continue
            ends = (run.task.source, run.task.host)
            if all(self._moves.get(host, 0) < self.slots(host) for host in ends):
                self._waiting.remove(run)
                for host in ends:
                    self._moves[host] = self._moves.get(host, 0) + 1
                self._go(run)

    def _go(self, run: _Run) -> None:
        run.running = True
        duration_s = self.task_duration_s(run.task)
        if run.strike is not None:
            duration_s += run.strike.delay_s
            if run.strike.kind == "drop":
                duration_s = self.durations.task_timeout_s
        if duration_s <= 0.0:
            self._finish(run)
            return
        run.lasts = True
        for host in {run.task.source: 0, run.task.host: 0}:
            self._on_host.setdefault(host, {})[id(run)] = run
        self._after(duration_s, lambda _: self._finish(run))

    def _finish(self, run: _Run) -> None:
        if run.over:
            return
        fault = self._outcome(run)
        self._leave(run)
        run.ended(run.task, fault)
        if run.task.verb is Verb.MIGRATE:
            self._admit()

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

    def _leave(self, run: _Run) -> None:
        """Free what the run holds; afterwards it can neither finish nor be aborted."""
        run.over = True
        if run.lasts:
            for host in (run.task.source, run.task.host):
                self._on_host.get(host, {}).pop(id(run), None)
        if run.task.verb is Verb.MIGRATE and run.running:
            for host in (run.task.source, run.task.host):
                self._moves[host] -= 1

    def _abort(self, host: str) -> None:
        """End every task that touches `host`: it does not answer any more."""
        lost = list(self._on_host.get(host, {}).values())
        queued = [run for run in self._waiting if host in (run.task.source, run.task.host)]
        for run in lost + queued:
            if run in self._waiting:
                self._waiting.remove(run)
            self._leave(run)
            run.ended(run.task, Fault("HostNotConnected", f"host {host} does not respond"))
        self._admit()

    def _after(self, delay_s: float, call: Callable[[simpy.Event], None]) -> None:
        timer = self.env.timeout(delay_s)
        assert timer.callbacks is not None
        timer.callbacks.append(call)
