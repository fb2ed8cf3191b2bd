"""The plant of virtual time: tasks take time, migrations queue, a failed host drops its own."""

from dataclasses import replace
from typing import Any

import pytest
import simpy
from builders import host

from backends.memory import MemoryPlant
from vmsim.actions import Cause, Fault, Task, Verb
from vmsim.durations import Durations
from vmsim.faults import FaultInjector, FaultRule
from vmsim.ports import HostCommand
from vmsim.precopy import Rules
from vmsim.rng import stream
from vmsim.vmotion import Limits, Traits, VMotion

TIMES = Durations(
    create_s=30, power_on_s=5, guest_boot_s=40, power_off_s=20, suspend_s=10, destroy_s=6,
    migrate_s=14, enter_maintenance_s=8, exit_maintenance_s=9,
    task_timeout_s=600,
)  # fmt: skip
AT_ONCE = Durations(
    create_s=0, power_on_s=0, guest_boot_s=0, power_off_s=0, suspend_s=0, destroy_s=0,
    migrate_s=0, relocate_s=0, resize_s=0, enter_maintenance_s=0, exit_maintenance_s=0,
)  # fmt: skip


IDLE = VMotion(rules=Rules(switchover_s=0.0), defaults=Traits(dirty_mib_s=0.0), fixed_stun_s=0.0)


class Bench:
    """A plant and what it said: `ended` is (second, VM, fault or '').

    Its VMs have no memory, so that a migration takes its fixed time only.
    """

    def __init__(
        self, *rules: FaultRule, durations: Durations = TIMES, slots: int = 2, effects: Any = None
    ) -> None:
        self.env = simpy.Environment()
        injector = FaultInjector(rules, stream(1, "faults")) if rules else None
        vmotion = replace(IDLE, limits=Limits(host=slots))
        self.plant = MemoryPlant(self.env, durations, host, injector, effects, vmotion)
        self.ended: list[tuple[float, str, str]] = []

    def start(self, verb: Verb, vm: str = "a", source: str = "x", host: str = "y") -> None:
        task = Task(verb, vm, source, host, Cause.USER)
        self.plant.start(task, self.note)

    def migrate(self, vm: str, source: str = "x", host: str = "y") -> None:
        self.start(Verb.MIGRATE, vm, source, host)

    def note(self, task: Task, fault: Fault | None) -> None:
        self.ended.append((self.env.now, task.vm, fault.name if fault else ""))

    def run(self) -> list[tuple[float, str, str]]:
        self.env.run()
        return self.ended


@pytest.mark.parametrize(
    ("verb", "second"),
    [
        (Verb.CREATE, 30),
        (Verb.POWER_ON, 5),
        (Verb.POWER_OFF, 20),
        (Verb.SUSPEND, 10),
        (Verb.DESTROY, 6),
        (Verb.MIGRATE, 14),
        (Verb.RELOCATE, 5),
        (Verb.RESIZE, 2),
    ],
)
def test_task_takes_its_time(verb: Verb, second: float) -> None:
    bench = Bench()
    bench.start(verb)
    assert bench.run() == [(second, "a", "")]


@pytest.mark.parametrize("verb", Verb)
def test_task_without_duration_ends_before_start_returns(verb: Verb) -> None:
    bench = Bench(durations=AT_ONCE)
    bench.start(verb)
    assert bench.ended == [(0, "a", "")]


def test_guest_is_up_after_its_boot() -> None:
    bench, up = Bench(), []
    bench.plant.boot("a", lambda: up.append(bench.env.now))
    bench.run()
    assert up == [40]


def test_guest_without_boot_time_is_up_at_once() -> None:
    up: list[str] = []
    Bench(durations=AT_ONCE).plant.boot("a", lambda: up.append("a"))
    assert up == ["a"]


def test_guests_started_in_one_instant_are_up_in_one_event_in_their_order() -> None:
    bench, up = Bench(), []
    for vm, lasts_s in (("a", -1.0), ("b", 40.0), ("c", 3.0), ("d", 40.0)):
        bench.plant.boot(vm, lambda vm=vm: up.append((bench.env.now, vm)), lasts_s)
    steps = 0
    while bench.env.peek() < 100:
        bench.env.step()
        steps += 1
    assert up == [(3, "c"), (40, "a"), (40, "b"), (40, "d")]
    assert steps == 3


@pytest.mark.parametrize(
    ("command", "second"),
    [
        (HostCommand.ENTER_MAINTENANCE, 8),
        (HostCommand.EXIT_MAINTENANCE, 9),
        (HostCommand.FAIL, 0),
        (HostCommand.RECOVER, 0),
        (HostCommand.ADD, 0),
        (HostCommand.REMOVE, 0),
    ],
)
def test_host_command_takes_its_time(command: HostCommand, second: float) -> None:
    bench, over = Bench(), []
    bench.plant.command("x", command, lambda: over.append(bench.env.now))
    bench.run()
    assert over == [second]


def test_migrations_beyond_the_slots_wait_and_go_first_in_first_out() -> None:
    bench = Bench(slots=2)
    for vm in "abcde":
        bench.migrate(vm)
    assert bench.run() == [
        (14, "a", ""),
        (14, "b", ""),
        (28, "c", ""),
        (28, "d", ""),
        (42, "e", ""),
    ]


def test_migration_needs_a_slot_on_both_hosts() -> None:
    bench = Bench(slots=1)
    bench.migrate("a", "x", "y")
    bench.migrate("b", "z", "y")
    bench.migrate("c", "x", "w")
    bench.migrate("d", "v", "u")
    assert bench.run() == [(14, "a", ""), (14, "d", ""), (28, "b", ""), (28, "c", "")]


def test_power_operations_do_not_wait_for_slots() -> None:
    bench = Bench(slots=1)
    bench.migrate("a")
    bench.start(Verb.POWER_ON, "b")
    assert bench.run() == [(5, "b", ""), (14, "a", "")]


def test_failed_migration_frees_its_slots() -> None:
    bench = Bench(FaultRule("fail", vm="a"), slots=1)
    bench.migrate("a")
    bench.migrate("b")
    assert bench.run() == [(14, "a", "GenericVmConfigFault"), (28, "b", "")]


def test_instant_migrations_that_waited_for_a_slow_one_all_end() -> None:
    bench = Bench(FaultRule("delay", vm="slow", delay_s=7), durations=AT_ONCE, slots=1)
    for vm in ("slow", "a", "b", "c"):
        bench.migrate(vm)
    assert bench.run() == [(7, "slow", ""), (7, "a", ""), (7, "b", ""), (7, "c", "")]


@pytest.mark.parametrize("end", ["x", "y"])
def test_failing_host_ends_running_and_waiting_tasks_at_once(end: str) -> None:
    bench = Bench(slots=1)
    for vm in ("a", "b"):
        bench.migrate(vm)
    bench.start(Verb.POWER_ON, "c")
    bench.env.run(until=3)
    bench.plant.command(end, HostCommand.FAIL, lambda: None)
    assert sorted(bench.run()) == [(3, vm, "HostNotConnected") for vm in "abc"]


def test_failing_host_leaves_the_tasks_of_others_alone_and_frees_their_slots() -> None:
    bench = Bench(slots=1)
    bench.migrate("a", "x", "y")
    bench.migrate("b", "z", "y")
    bench.start(Verb.POWER_ON, "c", "z", "z")
    bench.env.run(until=3)
    bench.plant.command("x", HostCommand.FAIL, lambda: None)
    assert bench.run() == [(3, "a", "HostNotConnected"), (5, "c", ""), (17, "b", "")]


def test_task_ends_once_also_when_its_host_fails_twice() -> None:
    bench = Bench()
    bench.start(Verb.POWER_ON)
    for _ in range(2):
        bench.plant.command("y", HostCommand.FAIL, lambda: None)
    assert bench.run() == [(0, "a", "HostNotConnected")]


def test_fault_fail_ends_the_task_with_the_fault_after_its_time() -> None:
    bench = Bench(FaultRule("fail", fault="InsufficientMemoryResourcesFault"))
    bench.start(Verb.POWER_ON)
    assert bench.run() == [(5, "a", "InsufficientMemoryResourcesFault")]


def test_fault_delay_makes_the_task_longer() -> None:
    bench = Bench(FaultRule("delay", delay_s=100))
    bench.start(Verb.POWER_ON)
    assert bench.run() == [(105, "a", "")]


def test_fault_drop_ends_at_the_time_out_with_an_unknown_outcome() -> None:
    bench, faults = Bench(FaultRule("drop")), []
    task = Task(Verb.POWER_ON, "a", "x", "y", Cause.USER)
    bench.plant.start(task, lambda _, fault: faults.append(fault))
    bench.run()
    assert bench.env.now == 600
    assert faults == [Fault("TaskTimeout", "the task did not answer", unknown=True)]


class Real:
    """Effects that note what they are asked for, and fail as told."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.done: list[str] = []
        self.fault = fault

    def task(self, task: Task) -> Fault | None:
        self.done.append(f"{task.verb} {task.vm}")
        return self.fault

    def host(self, host: str, command: HostCommand) -> None:
        self.done.append(f"{command} {host}")


def test_task_is_carried_out_for_real_when_its_time_is_over() -> None:
    real = Real()
    bench = Bench(effects=real)
    bench.start(Verb.POWER_ON)
    bench.env.run(until=4)
    assert real.done == []
    bench.run()
    assert real.done == ["PowerOnVM a"]


def test_fault_of_the_real_side_is_the_outcome() -> None:
    bench = Bench(effects=Real(Fault("InvalidState")))
    bench.start(Verb.POWER_ON)
    assert bench.run() == [(5, "a", "InvalidState")]


def test_fault_repeat_carries_the_task_out_twice_and_ends_it_once() -> None:
    real = Real()
    bench = Bench(FaultRule("repeat"), effects=real)
    bench.start(Verb.POWER_ON)
    assert bench.run() == [(5, "a", "")]
    assert real.done == ["PowerOnVM a", "PowerOnVM a"]


@pytest.mark.parametrize("kind", ["fail", "drop"])
def test_task_that_fails_or_is_lost_is_not_carried_out(kind: Any) -> None:
    real = Real()
    bench = Bench(FaultRule(kind), effects=real)
    bench.start(Verb.POWER_ON)
    bench.run()
    assert real.done == []


def test_host_command_is_carried_out_for_real_after_its_time() -> None:
    real = Real()
    bench = Bench(effects=real)
    bench.plant.command("x", HostCommand.ENTER_MAINTENANCE, lambda: None)
    assert real.done == []
    bench.run()
    assert real.done == ["EnterMaintenanceMode x"]
