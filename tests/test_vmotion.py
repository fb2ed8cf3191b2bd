"""Live migration against closed forms, published tables and bounds, and its laws in simulation."""

from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import pytest
import simpy
from builders import host
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.memory import MemoryPlant
from backends.moves import Link
from vmsim import precopy
from vmsim.actions import Cause, Fault, Task, Verb
from vmsim.bandwidth import MBPS_IN_MIB_S, Flow, Network, fair_rates, held_back
from vmsim.durations import Durations
from vmsim.faults import FaultInjector, FaultRule
from vmsim.ports import HostCommand
from vmsim.precopy import Copy, Rules, advance, begin
from vmsim.rng import stream
from vmsim.vmotion import STUN_FITS, Limits, Traits, VMotion, concurrent, framebuffer_gib

GIB = 1024
WIRE = Network(efficiency=1.0)
NOTHING_ELSE = Durations(migrate_s=0.0)
IDLE = Traits(dirty_mib_s=0.0)


@dataclass
class Bench:
    """A plant of hosts with one kind of network card; `ended` is (second, VM, fault or '')."""

    nic_mbps: int = 20_000
    vmotion: VMotion = VMotion(WIRE, defaults=IDLE, fixed_stun_s=0.0)  # noqa: RUF009
    durations: Durations = NOTHING_ELSE
    rules: tuple[FaultRule, ...] = ()
    cards: dict[str, int] = field(default_factory=dict)
    ended: list[tuple[float, str, str]] = field(default_factory=list)
    reports: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env = simpy.Environment()
        faults = FaultInjector(self.rules, stream(1, "faults")) if self.rules else None
        self.plant = MemoryPlant(self.env, self.durations, self.host, faults, vmotion=self.vmotion)

    def host(self, name: str) -> Any:
        return host(name, nic_mbps=self.cards.get(name, self.nic_mbps))

    def migrate(self, vm: str, gib: float, source: str = "x", target: str = "y") -> Task:
        task = Task(Verb.MIGRATE, vm, source, target, Cause.EVACUATION, memory_mib=gib * GIB)
        self.plant.start(task, self._note)
        return task

    def run(self) -> list[tuple[float, str, str]]:
        self.env.run()
        assert_nothing_is_held(self.plant.migrations)
        return self.ended

    def _note(self, task: Task, fault: Fault | None) -> None:
        self.ended.append((self.env.now, task.vm, fault.name if fault else ""))
        self.reports[task.vm] = task.report


def assert_nothing_is_held(moves: Any) -> None:
    """No unit, no line and no link is held once all is over."""
    for port in moves._ports.values():
        assert (port.units.used, port.network.used) == (0, 0)
        assert not port.units.waiting and not port.network.waiting
        assert not port.out.moves and not port.into.moves
    assert all(pool.used == 0 and not pool.waiting for pool in moves._datastores.values())


LINEAR = [
    (16, 0.3, 2, 9.552, 0.618),
    (64, 0.5, 4, 53.258, 1.718),
    (256, 0.7, 7, 345.376, 9.055),
]
"""(GiB, dirty rate by link rate, rounds, seconds in all, seconds of the last copy) at 20 Gbit/s:
the geometric sum of Clark et al. 2005, by hand."""


def linear(rho: float, rounds: int) -> VMotion:
    rules = Rules(0.0, rounds, inf, sdps=False, saturating=False)
    traits = Traits(dirty_mib_s=rho * 20_000 * MBPS_IN_MIB_S, working_set_share=1.0)
    return VMotion(WIRE, rules, defaults=traits, fixed_stun_s=0.0)


@pytest.mark.parametrize(("gib", "rho", "rounds", "total_s", "last_s"), LINEAR)
def test_v8_rounds_are_a_geometric_sum(
    gib: int, rho: float, rounds: int, total_s: float, last_s: float
) -> None:
    bench = Bench(vmotion=linear(rho, rounds))
    bench.migrate("a", gib)
    ((second, _, _),) = bench.run()
    rate = 20_000 * MBPS_IN_MIB_S
    assert second == pytest.approx(precopy.geometric_s(gib * GIB, rate, rho, rounds), rel=1e-9)
    downtime_s = bench.reports["a"]["downtime_s"]
    wanted_s = precopy.geometric_last_s(gib * GIB, rate, rho, rounds)
    assert downtime_s == pytest.approx(wanted_s, abs=1e-6)
    assert (round(second, 3), round(downtime_s, 3)) == (total_s, last_s)
    assert bench.reports["a"]["rounds"] == rounds


@pytest.mark.parametrize(("gib", "rho", "rounds", "total_s", "last_s"), LINEAR)
def test_v8_rounds_end_at_the_switchover_target(
    gib: int, rho: float, rounds: int, total_s: float, last_s: float
) -> None:
    rate = 20_000 * MBPS_IN_MIB_S
    target_s = last_s * 1.01
    assert precopy.geometric_rounds(gib * GIB, rate, rho, target_s) == rounds
    model = linear(rho, 100)
    bench = Bench(vmotion=replace(model, rules=replace(model.rules, switchover_s=target_s)))
    bench.migrate("a", gib)
    assert round(bench.run()[0][0], 3) == total_s


V9 = [(48, 16, 20_000, 329.9), (48, 16, 9_000, 733.0), (30, 32, 20_000, 412.3)]


@pytest.mark.parametrize(("count", "gib", "mbps", "second"), V9)
@pytest.mark.parametrize("at_once", [1, 3, 8])
def test_v9_host_is_empty_when_its_card_has_sent_all(
    count: int, gib: int, mbps: int, second: float, at_once: int
) -> None:
    model = VMotion(WIRE, limits=Limits(host=at_once), defaults=IDLE)
    bench = Bench(nic_mbps=mbps, vmotion=model)
    for number in range(count):
        bench.migrate(str(number), gib, "x", f"y{number % 16}")
    last_s = bench.run()[-1][0]
    assert last_s == pytest.approx(count * gib * GIB / (mbps * MBPS_IN_MIB_S), abs=1e-6)
    assert round(last_s, 1) == second


def test_v9_overhead_adds_once_per_batch() -> None:
    bench = Bench(durations=Durations(migrate_s=7.0))
    for number in range(48):
        bench.migrate(str(number), 16, "x", f"y{number % 16}")
    copying_s = 48 * 16 * GIB / (20_000 * MBPS_IN_MIB_S)
    assert bench.run()[-1][0] == pytest.approx(copying_s + 6 * 7.0, abs=1e-6)


STUN_67 = [(1, 9.0), (2, 16.5), (4, 31.4), (8, 61.3), (10, 76.3), (12, 91.2)]
STUN_70 = [(1, 2), (2, 4), (4, 6), (8, 12), (16, 22), (32, 39)]
STUN_70_WORST = {
    1: (5, 6, 8, 12), 2: (7, 9, 11, 15), 4: (13, 14, 16, 21),
    8: (24, 25, 28, 32), 16: (47, 48, 50, 54), 32: (91, 92, 95, 99),
}  # fmt: skip


@pytest.mark.parametrize(("gib", "seconds"), STUN_67)
def test_v14_stun_of_6_7(gib: int, seconds: float) -> None:
    assert STUN_FITS["6.7U1"].stun_s(gib) == pytest.approx(seconds, abs=0.05)


@pytest.mark.parametrize("gib", [16, 24])
def test_v14_stun_of_6_7_is_beyond_the_limit_where_the_table_says_so(gib: int) -> None:
    assert STUN_FITS["6.7U1"].stun_s(gib) > VMotion().stun_limit_s


@pytest.mark.parametrize(("gib", "seconds"), STUN_70)
def test_v14_stun_of_7_0(gib: int, seconds: float) -> None:
    assert STUN_FITS["7.0"].stun_s(gib) == pytest.approx(seconds, abs=1.3)


@pytest.mark.parametrize("gib", STUN_70_WORST)
def test_v14_worst_stun_of_7_0(gib: int) -> None:
    found = [STUN_FITS["7.0-worst"].stun_s(gib, memory_gib) for memory_gib in (4, 8, 16, 32)]
    assert found == pytest.approx(STUN_70_WORST[gib], abs=0.5)


def test_framebuffer_is_read_from_the_names_of_profiles() -> None:
    assert framebuffer_gib((("grid_t4-16q", 1), ("grid_a100-8c", 2), ("0x10de:0x1eb8", 1))) == 32


RATES = st.floats(1.0, 1e5)
COPIES = st.builds(
    Copy,
    memory_mib=st.integers(1, 2**20),
    dirty_mib_s=st.floats(0.0, 1e5),
    working_set_mib=st.floats(0.0, 2.0**21),
    rules=st.builds(
        Rules,
        switchover_s=st.floats(0.0, 10.0),
        max_rounds=st.integers(0, 200),
        max_sent=st.just(3.0),
        sdps=st.booleans(),
        saturating=st.booleans(),
    ),
)


@settings(max_examples=400, deadline=None)
@given(COPIES, RATES, st.floats(0.0, 60.0))
def test_migration_is_never_outside_the_bounds_of_akoush(
    copy: Copy, rate: float, overhead_s: float
) -> None:
    done, used_s = advance(copy, begin(copy, rate), rate)
    total = precopy.total_bounds(copy.memory_mib, rate, overhead_s)
    down = precopy.downtime_bounds(copy.memory_mib, rate, overhead_s)
    slack = 1e-9 * used_s
    assert total.least - slack <= overhead_s + used_s <= total.most + slack
    assert down.least <= overhead_s + done.stopped_s <= down.most + slack


@settings(max_examples=200, deadline=None)
@given(COPIES, st.lists(st.tuples(RATES, st.floats(0.01, 20.0)), max_size=6), RATES)
def test_memory_is_conserved_whatever_the_rates_do(
    copy: Copy, spells: list[tuple[float, float]], rate: float
) -> None:
    progress = begin(copy, spells[0][0] if spells else rate)
    carried = 0.0
    for each, for_s in spells:
        progress, used_s = advance(copy, progress, each, for_s)
        carried += each * used_s
        if used_s < for_s:
            break
    else:
        progress, used_s = advance(copy, progress, rate)
        carried += rate * used_s
    assert progress.sent_mib == pytest.approx(carried, rel=1e-9)
    assert progress.sent_mib >= copy.memory_mib * (1 - 1e-12)


def test_copy_in_pieces_is_the_copy_in_one() -> None:
    copy = Copy(65_536, 500.0, 13_000.0)
    whole, whole_s = advance(copy, begin(copy, 2_000.0), 2_000.0)
    progress, pieces_s = begin(copy, 2_000.0), 0.0
    while True:
        progress, used_s = advance(copy, progress, 2_000.0, 0.37)
        pieces_s += used_s
        if used_s < 0.37:
            break
    assert pieces_s == pytest.approx(whole_s, rel=1e-12)
    assert progress.sent_mib == pytest.approx(whole.sent_mib, rel=1e-12)
    assert progress.round == whole.round


def test_working_set_saturates() -> None:
    copy = Copy(10_000, 100.0, 1_000.0, rules=Rules(0.0, 1))
    done, _ = advance(copy, begin(copy, 1_000.0), 1_000.0)
    assert done.sent_mib - 10_000 == pytest.approx(632.12, abs=0.01)  # 1000 (1 - 1/e)
    linear_copy = replace(copy, rules=Rules(0.0, 1, saturating=False))
    done, _ = advance(linear_copy, begin(linear_copy, 1_000.0), 1_000.0)
    assert done.sent_mib == 11_000


def test_sdps_slows_the_guest_until_the_copy_converges() -> None:
    held = Copy(10_000, 2_000.0, 10_000.0, rules=Rules(0.5, 200, inf))
    done, _ = advance(held, begin(held, 1_000.0), 1_000.0)
    assert done.stopped_s <= 0.5
    assert precopy.slowdown(held, done) == pytest.approx(1 - 0.9 / 2)
    free = replace(held, rules=replace(held.rules, sdps=False))
    done, _ = advance(free, begin(free, 1_000.0), 1_000.0)
    assert done.stopped_s > 5
    assert precopy.slowdown(free, done) == 0


def test_vm_without_memory_takes_no_time() -> None:
    bench = Bench()
    bench.migrate("a", 0)
    assert bench.ended == [(0, "a", "")]


def test_rates_are_found_anew_when_a_migration_begins_or_ends() -> None:
    """1 GiB/s: a alone for 2 s, then shared with b; b ends, a goes on alone."""
    bench = Bench(nic_mbps=8_590, vmotion=VMotion(WIRE, defaults=IDLE, fixed_stun_s=0.0))
    bench.cards = {}
    bench.migrate("a", 8, "x", "y")
    bench.env.run(until=2)
    bench.migrate("b", 1, "x", "z")
    seconds = {vm: round(second, 2) for second, vm, _ in bench.run()}
    assert seconds == {"b": 4, "a": 9}


def test_slow_target_leaves_its_share_to_others() -> None:
    flows = [Flow(0, 1, inf), Flow(0, 2, inf), Flow(0, 2, inf)]
    assert fair_rates(flows, [100.0, 10.0, 100.0]) == [10.0, 45.0, 45.0]
    assert fair_rates([Flow(0, 1, 5.0), Flow(0, 2, inf)], [100.0] * 3) == [5.0, 95.0]


@pytest.mark.parametrize(
    ("flows", "capacity", "held"),
    [
        ([Flow(0, 1, inf), Flow(0, 2, inf)], [100.0, 10.0, 100.0], ["target", "source"]),
        ([Flow(0, 1, 5.0), Flow(0, 2, inf)], [100.0] * 3, ["stream", "source"]),
        ([Flow(0, 2, inf), Flow(1, 2, inf)], [100.0] * 3, ["target", "target"]),
        ([Flow(0, 1, inf)], [100.0, 100.0], ["source"]),
    ],
)
def test_what_holds_a_migration_back(
    flows: list[Flow], capacity: list[float], held: list[str]
) -> None:
    assert held_back(flows, capacity, fair_rates(flows, capacity)) == held


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[Flow], list[float]]:
    links = draw(st.integers(2, 8))
    capacity = draw(st.lists(st.floats(1.0, 1e4), min_size=links, max_size=links))
    ends = st.integers(0, links - 1)
    flow = st.builds(Flow, ends, ends, st.one_of(st.just(inf), st.floats(0.5, 1e4)))
    flows = draw(st.lists(flow.filter(lambda each: each.out != each.into), max_size=20))
    return flows, capacity


@settings(max_examples=300, deadline=None)
@given(networks())
def test_rates_are_max_min_fair(network: tuple[list[Flow], list[float]]) -> None:
    """No link is over its capacity, and each flow is at its ceiling or has a full link on its way
    on which nobody is faster (Bertsekas and Gallager, 6.5.2: that is max-min fairness)."""
    flows, capacity = network
    check_fair(flows, capacity, fair_rates(flows, capacity))


def check_fair(flows: list[Flow], capacity: list[float], rates: list[float]) -> None:
    load = [0.0] * len(capacity)
    fastest = [0.0] * len(capacity)
    for flow, rate in zip(flows, rates, strict=True):
        for link in (flow.out, flow.into):
            load[link] += rate
            fastest[link] = max(fastest[link], rate)
    assert all(load[link] <= capacity[link] * (1 + 1e-9) for link in range(len(capacity)))
    for flow, rate in zip(flows, rates, strict=True):
        full = [
            load[link] >= capacity[link] * (1 - 1e-9) and rate >= fastest[link] * (1 - 1e-9)
            for link in (flow.out, flow.into)
        ]
        assert rate >= flow.ceiling * (1 - 1e-12) or any(full)


STARTS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0.5, 2, 7]), st.integers(0, 4), st.integers(0, 4),
        st.sampled_from([0.25, 1, 3, 8]),
    ),
    min_size=1, max_size=25,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(STARTS, st.integers(1, 3), st.sampled_from([None, 0, 3]), st.booleans())
def test_laws_of_the_plant(starts: list[Any], limit: int, failing: int | None, fails: bool) -> None:
    """At every re-evaluation no card carries more than it can, and the rates are those that all
    migrations together would get; units are kept; all end, and nothing is held afterwards."""
    check_laws(starts, limit, failing, FaultRule("fail", vm="3") if fails else None)


def check_laws(starts: list[Any], limit: int, failing: int | None, rule: FaultRule | None) -> None:
    model = VMotion(WIRE, limits=Limits(host=limit), defaults=Traits(dirty_mib_s=100.0))
    cards = {"h1": 10_000, "h2": 40_000}
    durations = Durations(migrate_s=1.5)
    bench = Bench(20_000, model, durations, (rule,) if rule else (), cards)
    moves = bench.plant.migrations
    settle = moves._settle

    def watched(event: Any) -> None:
        settle(event)
        check_rates(moves, limit)

    moves._settle = watched  # type: ignore[method-assign]
    count = 0
    for number, (pause_s, source, target, gib) in enumerate(starts):
        bench.env.run(until=bench.env.now + pause_s) if pause_s else None
        if source != target:
            bench.migrate(str(number), gib, f"h{source}", f"h{target}")
            count += 1
    if failing is not None:
        bench.plant.command(f"h{failing}", HostCommand.FAIL, lambda: None)
    assert len(bench.run()) == count
    moved = [each for each in bench.reports.values() if each]
    assert all(each["moved_mib"] >= 256 for each in moved)


def check_rates(moves: Any, limit: int) -> None:
    links: list[Link] = []
    for port in moves._ports.values():
        assert port.units.used <= limit
        assert len(port.out.moves) + len(port.into.moves) <= limit
        links += [port.out, port.into]
    for link in links:
        total = sum(move.rate for move in link.moves.values())
        assert total <= link.capacity * (1 + 1e-9)
    every = {move.serial: move for link in links for move in link.moves.values()}
    in_order = [every[serial] for serial in sorted(every)]
    number = {id(link): index for index, link in enumerate(links)}
    flows = [
        Flow(number[id(move.source.out)], number[id(move.target.into)], move.ceiling)
        for move in in_order
    ]
    rates = fair_rates(flows, [link.capacity for link in links])
    assert [move.rate for move in in_order] == pytest.approx(rates, rel=1e-9)


def test_first_come_first_served_on_every_pool() -> None:
    bench = Bench(vmotion=VMotion(WIRE, limits=Limits(host=2), defaults=IDLE))
    for number in range(7):
        bench.migrate(str(number), 1, "x", f"y{number}")
    assert [vm for _, vm, _ in bench.run()] == [str(number) for number in range(7)]


def test_migration_that_needs_more_units_is_not_overtaken() -> None:
    bench = Bench()
    for number in range(6):
        bench.migrate(f"small-{number}", 1 + number, "x", f"y{number}")
    big = Task(Verb.MIGRATE, "big", "x", "z", Cause.EVACUATION, memory_mib=GIB)
    big.datastore, big.from_datastore = "new", "old"
    bench.plant.start(big, bench._note)
    for number in range(6):
        bench.migrate(f"late-{number}", 1, "x", f"y{number}")
    began = [vm for _, vm, _ in bench.run()]
    assert began.index("small-2") < began.index("late-0")
    moves = bench.plant.migrations
    assert all(port.units.used == 0 for port in moves._ports.values())
    assert bench.reports["big"]["moved_mib"] == GIB + 40 * GIB


def test_storage_migrations_cost_four_units_of_a_host() -> None:
    bench = Bench()
    for number in range(3):
        task = Task(Verb.MIGRATE, str(number), "x", f"y{number}", Cause.EVACUATION)
        task.memory_mib, task.datastore, task.from_datastore = GIB, "new", "old"
        bench.plant.start(task, bench._note)
    begun = [move.begun for run in bench.plant._moving.values() if (move := run.move)]
    assert begun == [True, True, False]
    pools = bench.plant.migrations._datastores
    assert {name: pool.used for name, pool in pools.items()} == {"new": 32, "old": 32}
    bench.run()


@pytest.mark.parametrize(("nic_mbps", "at_once"), [(1_000, 4), (10_000, 8), (25_000, 8)])
def test_concurrency_by_network_card(nic_mbps: int, at_once: int) -> None:
    assert concurrent(nic_mbps, Limits()) == at_once
    bench = Bench(nic_mbps=nic_mbps)
    for number in range(10):
        bench.migrate(str(number), 1, "x", f"y{number}")
    assert sum(run.move.begun for run in bench.plant._moving.values() if run.move) == at_once


def test_failing_target_gives_its_share_back_at_once() -> None:
    bench = Bench(nic_mbps=8_590)
    bench.migrate("a", 8, "x", "y")
    bench.migrate("b", 8, "x", "z")
    bench.env.run(until=4)
    bench.plant.command("z", HostCommand.FAIL, lambda: None)
    seconds = [(round(second, 2), vm, fault) for second, vm, fault in bench.run()]
    assert seconds == [(4, "b", "HostNotConnected"), (10, "a", "")]


def test_migration_without_answer_sends_nothing() -> None:
    bench = Bench(nic_mbps=8_590, rules=(FaultRule("drop", vm="b"),))
    bench.migrate("a", 8, "x", "y")
    bench.migrate("b", 8, "x", "z")
    seconds = [(round(second, 2), vm, fault) for second, vm, fault in bench.run()]
    assert seconds == [(8, "a", ""), (600, "b", "TaskTimeout")]


def test_record_of_a_migration() -> None:
    model = VMotion(WIRE, defaults=Traits(dirty_mib_s=100.0, working_set_share=0.5))
    bench = Bench(nic_mbps=8_590, vmotion=model, durations=Durations(migrate_s=10.0))
    bench.migrate("a", 8)
    bench.run()
    said = bench.reports["a"]
    assert list(said) == [
        "duration_s", "downtime_s", "moved_mib", "rounds", "slowdown", "copy_s", "again_mib", "held"
    ]  # fmt: skip
    assert said["duration_s"] == pytest.approx(bench.ended[0][0], abs=1e-6)
    assert said["moved_mib"] > 8 * GIB and 0.1 <= said["downtime_s"] <= 0.6
    assert (said["rounds"], said["slowdown"], said["held"]) == (2, 0, "source")
    assert said["copy_s"] == pytest.approx(said["duration_s"] - 10.0, abs=1e-5)
    assert said["again_mib"] == pytest.approx(said["moved_mib"] - 8 * GIB, abs=1e-5)
