"""Hosts fail and are repaired by clocks of their own, together with their rack, and in turn."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import simpy

from tests.builders import Run, host, scenario
from vmsim.chance_schema import Failures as Spec
from vmsim.chance_schema import Repeat
from vmsim.failures import Acts, Failures, time_to_failure_s
from vmsim.trace import Record, Trace

Log = list[tuple[float, str, str]]


@dataclass
class Hosts:
    """Hosts that only note what is done to them; `states` are those that are down."""

    written: dict[str, Any]
    seed: int = 1
    log: Log = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    down: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        env = self.env = simpy.Environment()
        trace = Trace(lambda: env.now)
        trace.listen(self.records.append)
        spec = Spec.model_validate(self.written)
        self.failures = Failures(env, spec, self.seed, Acts(self._fail, self._recover), trace)

    def _fail(self, name: str) -> bool:
        if name in self.down:
            return False
        self.down.add(name)
        self.log.append((self.env.now, name, "down"))
        return True

    def _recover(self, name: str) -> None:
        self.down.remove(name)
        self.log.append((self.env.now, name, "up"))

    def run(self, until_s: float) -> Log:
        self.env.run(until=until_s)
        return self.log


def rule(mtbf: Any, mttr: Any, **other: Any) -> dict[str, Any]:
    return {"hosts": [{"mtbf": mtbf, "mttr": mttr, **other}]}


def at(made: Hosts, *names: str, **other: Any) -> Hosts:
    for name in names:
        made.failures.join(host(name, **other))
    return made


def test_host_alternates_between_up_and_down() -> None:
    assert at(Hosts(rule("100s", "10s")), "a").run(225) == [
        (100, "a", "down"),
        (110, "a", "up"),
        (210, "a", "down"),
        (220, "a", "up"),
    ]


def test_host_that_no_entry_matches_never_fails() -> None:
    assert at(Hosts(rule("100s", "10s", hosts="esx-*")), "a").run(1000) == []


def test_idle_host_has_one_event() -> None:
    made = at(Hosts(rule("100s", "10s")), "a", "b", "c")
    assert len(made.env._queue) == 3


def test_two_clocks_keep_a_host_down_until_both_are_through() -> None:
    entries = rule("100s", "50s")["hosts"] + rule("120s", "100s")["hosts"]
    assert at(Hosts({"hosts": entries}), "a").run(225) == [(100, "a", "down"), (220, "a", "up")]


def test_one_crew_repairs_first_what_failed_first() -> None:
    made = Hosts({**rule("100s", "30s"), "crews": 1})
    made.failures.join(host("a"))
    made.env.run(until=10)
    made.failures.join(host("b"))
    made.env.run(until=15)
    made.failures.join(host("c"))
    assert made.run(195) == [
        (100, "a", "down"),
        (110, "b", "down"),
        (115, "c", "down"),
        (130, "a", "up"),
        (160, "b", "up"),
        (190, "c", "up"),
    ]


def test_repair_without_a_crew_does_not_wait_for_one() -> None:
    made = at(Hosts({**rule("100s", "30s", needsCrew=False), "crews": 1}), "a", "b")
    assert made.run(135)[2:] == [(130, "a", "up"), (130, "b", "up")]


def test_shock_takes_the_rack_down_and_nothing_else() -> None:
    made = Hosts({"shocks": [{"scope": "rack", "mtbf": "100s", "lasts": "10s"}]})
    at(at(made, "a", "b", rack="r1"), "c", rack="")
    assert made.run(115) == [
        (100, "a", "down"),
        (100, "b", "down"),
        (110, "a", "up"),
        (110, "b", "up"),
    ]


def test_host_that_joins_its_rack_is_hit_by_the_next_shock() -> None:
    made = at(Hosts({"shocks": [{"scope": "rack", "mtbf": "100s", "lasts": "10s"}]}), "a", rack="r")
    made.env.run(until=105)
    at(made, "b", rack="r")
    assert made.run(215)[2:] == [(210, "a", "down"), (210, "b", "down")]


def test_zones_fail_each_by_its_own_clock() -> None:
    shock = {"scope": "zone", "mtbf": {"exponential": {"mean": "1h"}}, "lasts": "1s"}
    made = at(at(Hosts({"shocks": [shock]}), "a", zone="z1"), "b", zone="z2")
    log = made.run(40_000)
    times = {name: [t for t, of, _ in log if of == name] for name in "ab"}
    assert times["a"] and times["b"] and not set(times["a"]) & set(times["b"])


def test_another_host_shifts_no_other_ones_failures() -> None:
    law = {"exponential": {"mean": "10h"}}
    few = at(Hosts(rule(law, law)), "a", "b").run(1e6)
    more = at(Hosts(rule(law, law)), "z", "b", "a").run(1e6)
    assert [each for each in more if each[1] == "a"] == [each for each in few if each[1] == "a"]


def test_another_seed_gives_other_failures() -> None:
    law = {"exponential": {"mean": "10h"}}
    assert at(Hosts(rule(law, law), 1), "a").run(1e6) != at(Hosts(rule(law, law), 2), "a").run(1e6)


def test_outage_is_recorded_with_its_cause() -> None:
    made = at(Hosts({"shocks": [{"scope": "zone", "mtbf": "9s", "lasts": "1s"}]}), "a", "b")
    made.run(9.5)
    assert [(r.kind, r.object, r.data) for r in made.records] == [
        ("OutageBegan", "zone-1", {"cause": "zone", "hosts": 2})
    ]


def test_clock_runs_faster_after_a_repair() -> None:
    repeat = Repeat.model_validate({"factor": 5, "lasting": "100s"})
    found = [time_to_failure_s(drawn_s, repeat) for drawn_s in (50.0, 500.0, 600.0)]
    assert found == [10.0, 100.0, 200.0]


def test_first_failure_does_not_come_sooner() -> None:
    made = at(Hosts(rule("100s", "10s", repeat={"factor": 5, "lasting": "10s"})), "a")
    assert [t for t, _, what in made.run(300) if what == "down"] == [100, 170, 240]


def failing(**spec: Any) -> Run:
    return Run(scenario(**spec))


THREE = [{"name": "c", "hosts": [{"name": "esx-{}", "count": 3, "cores": 8, "memory": "16Gi"}]}]


def test_failure_in_a_run_takes_the_host_and_its_vms_down() -> None:
    made = failing(failures=rule("1h", "1h", hosts="esx-1"))
    made.until(2.5 * 3600)
    assert made.log("HostConnectionLost", "HostConnected") == [
        (3600, "esx-1", "HostConnectionLost"),
        (7200, "esx-1", "HostConnected"),
    ]


def test_host_that_the_administrator_repaired_stays_up() -> None:
    timeline = [{"at": "70m", "recoverHost": "esx-1"}]
    made = failing(failures=rule("1h", "1h"), timeline=timeline)
    made.until(2.5 * 3600)
    assert made.log("HostConnected") == [(4200, "esx-1", "HostConnected")]


def test_outage_of_the_administrators_making_is_not_ours_to_end() -> None:
    timeline = [{"at": "50m", "failHost": "esx-1"}]
    made = failing(failures=rule("1h", "1h"), timeline=timeline)
    made.until(2.5 * 3600)
    assert made.log("HostConnectionLost", "HostConnected") == [
        (3000, "esx-1", "HostConnectionLost")
    ]


def test_host_that_joins_later_fails_too() -> None:
    new = {"name": "esx-9", "cluster": "cluster-1", "cores": 8, "memory": "16Gi"}
    made = failing(
        failures=rule("1h", "1h", hosts="esx-*"), timeline=[{"at": "10m", "addHost": new}]
    )
    made.until(2 * 3600)
    assert (4200, "esx-9", "HostConnectionLost") in made.log()


def calendar(**entry: Any) -> Log:
    made = failing(clusters=THREE, maintenanceCalendar=[{"first": "1h", "work": "10m", **entry}])
    made.until(3 * 86400)
    return made.log("EnteredMaintenanceMode", "ExitMaintenanceMode")


def test_calendar_works_on_one_host_after_the_other() -> None:
    assert calendar() == [
        (3610, "esx-1", "EnteredMaintenanceMode"),
        (4220, "esx-1", "ExitMaintenanceMode"),
        (4230, "esx-2", "EnteredMaintenanceMode"),
        (4840, "esx-2", "ExitMaintenanceMode"),
        (4850, "esx-3", "EnteredMaintenanceMode"),
        (5460, "esx-3", "ExitMaintenanceMode"),
    ]


def test_calendar_works_on_as_many_hosts_at_a_time_as_it_says() -> None:
    entered = [(t, name) for t, name, kind in calendar(parallel=2) if kind[:2] == "En"]
    assert entered == [(3610, "esx-1"), (3610, "esx-2"), (4230, "esx-3")]


def test_calendar_comes_round() -> None:
    entered = [t for t, name, kind in calendar(hosts="esx-2", every="1d") if kind[:2] == "En"]
    assert entered == [3610, 86_400 + 3610, 2 * 86_400 + 3610]


def test_calendar_passes_over_a_host_that_fails() -> None:
    made = failing(
        clusters=THREE,
        maintenanceCalendar=[{"first": "1h", "work": "10m"}],
        timeline=[{"at": "50m", "failHost": "esx-1"}, {"at": "3610s", "failHost": "esx-2"}],
    )
    made.until(86400)
    assert made.log("EnteredMaintenanceMode")[-1] == (3620, "esx-3", "EnteredMaintenanceMode")


def test_host_that_fails_while_it_is_worked_on_comes_back_when_it_is_repaired() -> None:
    made = failing(
        clusters=THREE,
        maintenanceCalendar=[{"first": "1h", "work": "10m", "every": "1d"}],
        timeline=[{"at": "65m", "failHost": "esx-1"}, {"at": "3h", "recoverHost": "esx-1"}],
    )
    made.until(2 * 86400)
    kinds = ("EnteredMaintenanceMode", "ExitMaintenanceMode")
    of_host = [(t, kind) for t, name, kind in made.log(*kinds) if name == "esx-1"]
    assert of_host == [
        (3610, "EnteredMaintenanceMode"),
        (10_810, "ExitMaintenanceMode"),
        (86_400 + 3610, "EnteredMaintenanceMode"),
        (86_400 + 4220, "ExitMaintenanceMode"),
    ]


REFUSED = {
    "no such host": ({"failures": rule("1h", "1h", hosts="esxi-*")}, "no host matches esxi-"),
    "no rack": (
        {"failures": {"shocks": [{"scope": "rack", "mtbf": "1h", "lasts": "1h"}]}},
        "no rack matches",
    ),
    "endless": ({"failures": rule("0s", "1h")}, "without end in one instant"),
    "calendar": ({"maintenanceCalendar": [{"hosts": "x", "first": "1h"}]}, "no host matches x"),
    "crews": ({"failures": {"crews": -1}}, "greater than or equal to 0"),
    "kind": ({"failures": rule("1h", "1h", kind="explosion")}, "'crash'"),
}


@pytest.mark.parametrize(("spec", "why"), REFUSED.values(), ids=REFUSED)
def test_refused_with_the_reason(spec: Any, why: str) -> None:
    from vmsim.problems import BadInput

    with pytest.raises(BadInput) as refused:
        failing(**spec)
    assert any(why in str(problem) for problem in refused.value.problems)
