"""Studies against what is known in closed form, exactly or within their own intervals."""

import itertools
import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from backends import opened
from vmsim.documents import Document, Lines
from vmsim.loading import Plan, load, plan
from vmsim.objects import HostSpec
from vmsim.ports import Backend
from vmsim.problems import BadInput
from vmsim.whatif import store
from vmsim.whatif.answers import Answer, figure_of
from vmsim.whatif.asking import Question, ask, assumed, designed
from vmsim.whatif.binding import blocked_by
from vmsim.whatif.capacity import Capacity
from vmsim.whatif.design import Cell, Design, suite
from vmsim.whatif.ledger import VM, Ledger
from vmsim.whatif.metrics import METRICS
from vmsim.whatif.replication import ready, replicate
from vmsim.whatif.statistics import Figure
from vmsim.whatif.studies import STUDIES, arranged, study_named
from vmsim.whatif.warmup import mser5
from vmsim.whatif.working import Engine, Work, run

GPU = "grid_a100-8c"
SCENARIOS = Path(__file__).parent.parent / "scenarios"
SERIAL = Engine("serial")
INSTANT = {
    name: "0s"
    for name in ("create", "powerOn", "guestBoot", "powerOff", "destroy", "enterMaintenance")
}


def shipped(name: str) -> Plan:
    return load(SCENARIOS / f"{name}.yaml")


def made(spec: dict[str, Any]) -> Plan:
    """A scenario of its own, with the classes and images of the shipped ones."""
    manifests = ["manifests/prerequisites-2026-08.yaml"]
    value = {
        "apiVersion": "vmsim.dev/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": "made"},
        "spec": {"edition": "2026-08", "namespace": "demo", "manifests": manifests, **spec},
    }
    return plan(Document(value, "made.yaml", Lines(0)), SCENARIOS)


def hosts(count: int, **more: Any) -> list[dict[str, Any]]:
    entry = {"name": "esx-{}", "count": count, "cores": 16, "memory": "64Gi", **more}
    return [{"name": "c", "hosts": [entry]}]


def web(count: int, **more: Any) -> dict[str, Any]:
    spec = {"className": "my-vm-class", "imageName": "photon-5", "storageClass": "my-storage-class"}
    return {"name": "web-{}", "count": count, "spec": spec, **more}


def answered(question: Question, folder: Path) -> Answer:
    return ask(question, folder, SERIAL, opened, lambda *_: None)[1]


def sampled(scenario: Plan, metric: str, count: int, folder: Path, seed: int = 1) -> Figure:
    """The mean of a metric over replications of a scenario as it is."""
    design = Design(scenario.resolved, [Cell({})], count, seed, per_shard=50, suite=suite())
    run(Work(design, folder, opened), SERIAL, design.shards())
    return figure_of([row for _, _, row in store.rows(folder, design)], metric, "mean")


def failing(n: int, mtbf_h: float, mttr_h: float, days: int, crews: int = 0) -> Plan:
    law = {
        "mtbf": {"exponential": {"mean": f"{mtbf_h}h"}},
        "mttr": {"exponential": {"mean": f"{mttr_h}h"}},
    }
    return made(
        {
            "duration": f"{days}d",
            "clusters": hosts(n),
            "durations": INSTANT,
            "failures": {"hosts": [law], "crews": crews},
        }
    )


def open_hosts(n: int, mtbf_h: float, mttr_h: float, hours: float) -> float:
    """Mean number of hosts up from 0 to `hours` that start all up (alternating renewal)."""
    rate = 1 / mtbf_h + 1 / mttr_h
    down = mttr_h / (mtbf_h + mttr_h)
    return n * (1 - down * (1 - (1 - math.exp(-rate * hours)) / (rate * hours)))


def open_in_a_year(scenario: Plan, count: int, folder: Path) -> Figure:
    """Hosts open, over time, as the study of yearly downtime tells it beside its answer."""
    days = [f"years={scenario.scenario.spec.duration}s"]
    question = Question(STUDIES["downtime-per-year"], scenario, days, replications=count)
    return answered(question, folder).found[0].also["hosts_open"]


def test_hosts_up_is_that_of_alternating_renewal(tmp_path: Path) -> None:
    figure = open_in_a_year(failing(8, 400, 24, 365), 60, tmp_path)

    assert figure.low <= open_hosts(8, 400, 24, 365 * 24) <= figure.high
    assert figure.half_width < 0.02


def test_machine_repair_with_one_technician(tmp_path: Path) -> None:
    """Birth and death: 4 machines, one crew; E[down] from the balance equations."""
    rho, n = 24 / 200, 4
    weights = [math.factorial(n) / math.factorial(n - j) * rho**j for j in range(n + 1)]
    down = sum(j * weight for j, weight in enumerate(weights)) / sum(weights)

    figure = open_in_a_year(failing(n, 200, 24, 3650, crews=1), 30, tmp_path)

    assert figure.low <= n - down <= figure.high
    assert figure.half_width < 0.02


def queue(slots: int, load: float, hours: int = 400, **more: Any) -> Plan:
    """VMs with one device each, one an hour; a VM leaves when its lifetime is over."""
    gpu = {
        "apiVersion": "vmoperator.vmware.com/v1alpha6",
        "kind": "VirtualMachineClass",
        "metadata": {"name": "gpu", "namespace": "demo"},
        "spec": {
            "hardware": {
                "cpus": 1,
                "memory": "1Gi",
                "devices": {"vgpuDevices": [{"profileName": GPU}]},
            }
        },
    }
    vms = web(
        2000,
        every={"exponential": {"mean": "1h"}},
        lifetime={"exponential": {"mean": f"{load}h"}},
        **more,
    )
    vms["spec"] = {**vms["spec"], "className": "gpu"}
    return made(
        {
            "duration": f"{hours}h",
            "clusters": hosts(1, devices={GPU: slots}, cores=64),
            "durations": INSTANT,
            "policies": {"retry": {"wakeOnCapacity": True}},
            "manifests": ["manifests/prerequisites-2026-08.yaml", gpu],
            "workload": [vms],
        }
    )


def test_share_of_vms_that_wait_for_a_device(tmp_path: Path) -> None:
    """With lifetimes that run from creation the VMs there are Poisson (M/G/oo, PASTA)."""
    question = Question(STUDIES["gpu-spares"], queue(8, 6.0), ["spares=0"], replications=20)
    hours = np.arange(0.0, 400.0, 0.5)
    there = 6.0 * (1 - np.exp(-hours / 6.0))  # it starts empty
    waits = float(stats.poisson.sf(7, there).mean())

    figure = answered(question, tmp_path).found[0].figure

    assert figure.low <= waits <= figure.high
    assert figure.half_width < 0.03


@pytest.mark.parametrize(
    ("since", "formula"),
    [
        ("creation", {0: 0.143, 1: 0.0527, 2: 0.0166, 3: 0.00453, 4: 0.0011}),  # P(N >= 4 + spares)
        ("powerOn", {0: 0.174, 2: 0.018, 3: 0.00481, 4: 0.00115}),  # Erlang's tables, load 2
    ],
)
def test_fewest_spares_are_those_of_theory(
    since: str, formula: dict[int, float], tmp_path: Path
) -> None:
    plan = queue(4, 2.0, hours=1000, lifetimeFrom=since)
    answer = answered(Question(STUDIES["gpu-spares"], plan, replications=8), tmp_path)

    assert answer.headline.startswith("3 more units are the fewest")
    told = {one.settings["spares"]: one.settings["formula"] for one in answer.found}
    assert {spares: told[spares] for spares in formula} == formula
    for one in answer.found:
        assert one.figure.low <= one.settings["formula"] <= one.figure.high


def test_spare_units_are_on_hosts_like_those_that_have_the_device() -> None:
    spec = queue(4, 2.0).resolved["spec"]
    more = arranged({"spec": spec}, "gpu-spares", {"spares": 9}, 1)["spec"]["clusters"][0]["hosts"]

    added = [(one["name"], one.get("count", 1), one["devices"]) for one in more[1:]]
    assert added == [("spare-{}", 2, {GPU: 4}), ("spare", 1, {GPU: 1})]


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        (lambda: queue(0, 2.0), f"no host has the device {GPU}"),
        (lambda: made({"clusters": hosts(1), "workload": [web(1)]}), "no VM asks for a device"),
    ],
)
def test_question_about_spares_needs_a_device(plan: Callable[[], Plan], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        STUDIES["gpu-spares"].cases(plan().resolved["spec"], {"model": ""})


def test_loss_is_that_of_erlang(tmp_path: Path) -> None:
    """Erlang B: a VM that finds no device goes away; 8 devices, load 6."""
    scenario = queue(8, 6.0, patience="1s")
    question = Question(
        STUDIES["gpu-spares"], scenario, ["warmUp=60h", "spares=0"], replications=40, seed=2
    )

    figure = answered(question, tmp_path).found[0].figure

    assert figure.low <= 0.121876 <= figure.high
    assert figure.half_width < 0.015


@pytest.mark.parametrize(
    ("warm_up", "hours", "width"),
    [("150h", 600, 0.1), pytest.param("auto", 1500, 0.06, marks=pytest.mark.slow)],
)
def test_waiting_is_that_of_erlang(warm_up: str, hours: int, width: float, tmp_path: Path) -> None:
    """Erlang C: a VM waits for its device and then has it for its lifetime; 8 devices, load 6."""
    scenario = queue(8, 6.0, hours=hours, lifetimeFrom="powerOn")
    question = Question(
        STUDIES["gpu-spares"], scenario, [f"warmUp={warm_up}", "spares=0"], replications=15
    )

    design, answer = ask(question, tmp_path, SERIAL, opened, lambda *_: None)

    found = answer.found[0]
    assert found.figure.low <= 0.356981 <= found.figure.high
    assert found.figure.half_width < width
    waits = found.also["waiting_mean"]
    assert waits.low <= 1.07094 <= waits.high
    told = "\n".join(assumed(design, question.sets))
    assert ("found by MSER-5 in 10 runs" in told) is (warm_up == "auto")
    assert "of a run do not count (warm-up" in told


def test_mser_cuts_where_the_level_stops_climbing() -> None:
    chance = np.random.default_rng(3)
    noise = chance.normal(0.0, 1.0, 1000)
    climb = 20.0 * np.minimum(np.arange(1000) / 200.0, 1.0)

    assert mser5(noise) <= 50
    assert 150 <= mser5(climb + noise) <= 300
    assert mser5(np.arange(1000.0)) == 500
    assert mser5([7.0] * 1000) == 0


def test_what_happens_in_the_warm_up_is_not_measured(tmp_path: Path) -> None:
    """One host of two is down from 10 to 20 min; of the hour after 30 min, both are open."""
    fails = [{"at": "10m", "failHost": "esx-1"}, {"at": "20m", "recoverHost": "esx-1"}]
    scenario = made(
        {"duration": "90m", "clusters": hosts(2), "workload": [web(2)], "timeline": fails}
    )

    rows = [
        answered(Question(STUDIES["fragmentation"], scenario, sets), tmp_path).found[0].worst_row
        for sets in ([], ["warmUp=30m"])
    ]

    names = ("incidents", "host_failures", "hosts_open", "running")
    assert [rows[0][name] for name in names] == [1, 1, pytest.approx(2 - 10 / 90), 2]
    assert [rows[1][name] for name in names] == [0, 0, 2, 2]


@pytest.mark.parametrize(("sets", "minutes"), [([], 30 + 60), (["warmUp=70m"], 50)])
def test_downtime_is_by_the_years_for_which_vms_were_there(
    sets: list[str], minutes: int, tmp_path: Path
) -> None:
    """Of two hours one VM is there for the first 30 min, another for the last 60; their only host
    is away for 10 min of those, and the VM runs again at once."""
    load = web(0, trace={"rows": [[0, 1800, "my-vm-class"], [3600, None, "my-vm-class"]]})
    fails = [{"at": "80m", "failHost": "esx-1"}, {"at": "90m", "recoverHost": "esx-1"}]
    scenario = made(
        {
            "duration": "2h", "clusters": hosts(1), "durations": INSTANT, "timeline": fails,
            "workload": [load], "policies": {"retry": {"wakeOnCapacity": True}},
        }
    )  # fmt: skip

    question = Question(STUDIES["fragmentation"], scenario, sets)
    row = answered(question, tmp_path).found[0].worst_row

    year_min = 365 * 24 * 60
    assert row["downtime_s"] == pytest.approx(600)
    assert row["downtime_min_per_vm_year"] == pytest.approx(10 * year_min / minutes)
    assert row["vm_year_p99_min"] == pytest.approx(10 * year_min / min(60, minutes))
    assert row["availability"] == pytest.approx(1 - 10 / minutes)


def test_share_of_the_vms_keeps_to_its_quantile_of_downtime_a_year() -> None:
    """A hundred VMs were down for 1, 2, ... 100 min, each in the half year that it was there."""
    ledger = Ledger(Capacity("2026-08", 1.0, 1.0))
    half_s = 365 * 86_400.0 / 2
    ledger.now_s = 2 * half_s
    for n in range(1, 101):
        ledger.vms[str(n)] = VM(str(n), "small", True, n, half_s, down_s=60.0 * n)

    found = [METRICS[f"vm_year_p{level}_min"].of(ledger) for level in (50, 95, 99)]
    assert found == pytest.approx([100, 190, 198])


@pytest.mark.parametrize(
    ("warm_up", "message"),
    [("soon", "is no duration"), ("5h", "leave nothing of a run of 3600 s")],
)
def test_warm_up_that_cannot_be_is_refused(warm_up: str, message: str, tmp_path: Path) -> None:
    scenario = made({"duration": "1h", "clusters": hosts(2)})
    question = Question(STUDIES["fragmentation"], scenario, [f"warmUp={warm_up}"])
    assert message in answered(question, tmp_path).found[0].problem


def test_run_that_never_settles_is_called_so(tmp_path: Path) -> None:
    vms = web(100, every="15m")
    scenario = made({"duration": "20h", "clusters": hosts(8), "workload": [vms]})
    question = Question(STUDIES["fragmentation"], scenario, ["warmUp=auto"])
    with pytest.raises(BadInput, match="sees no steady state in the first half"):
        answered(question, tmp_path)


def test_k_of_n_is_the_hypergeometric_share(tmp_path: Path) -> None:
    """6 hosts, 3 of them with more memory than the others; one VM needs such a host. It is lost
    only if those three fail: 1 of the 20 sets of three."""
    large = {"name": "big-{}", "count": 3, "cores": 16, "memory": "64Gi", "cpuGeneration": 5}
    small = {"name": "old-{}", "count": 3, "cores": 16, "memory": "2Gi", "cpuGeneration": 5}
    clusters = [{"name": "c", "hosts": [large, small]}]
    scenario = made({"duration": "1h", "clusters": clusters, "workload": [web(1)]})

    every = answered(Question(STUDIES["any-k-down"], scenario, ["k=3"]), tmp_path)
    question = Question(STUDIES["all-run-k-down"], scenario, ["k=3"], replications=150)
    drawn = answered(question, tmp_path).found[0].figure

    assert sum(one.figure.value for one in every.found) == math.comb(6, 3) - 1
    assert drawn.low <= 0.95 <= drawn.high
    assert drawn.half_width < 0.06


def test_makespan_of_empty_hosts_is_their_work(tmp_path: Path) -> None:
    scenario = made({"duration": "1h", "clusters": hosts(5)})
    question = Question(STUDIES["upgrade-duration"], scenario, ["work=20m"], ["parallel=1,2,5"])

    found = answered(question, tmp_path).found

    each = 10 + 1200 + 10
    assert [one.figure.value for one in found] == pytest.approx([5 * each, 3 * each, each])
    assert all(one.figure.half_width == 0 for one in found)


def test_wait_for_the_next_try_is_that_of_the_backoff(tmp_path: Path) -> None:
    """Attempts at 0.005 * (2**n - 1) s and then every 1000 s, as long as nothing wakes the VM."""
    sets = ["work=2h", "workMost=2h", "policies.retry.resync=9h", "policies.retry.bucketRate=0"]
    varied = ["policies.retry.wakeOnCapacity=false"]
    question = Question(STUDIES["retry-policy"], shipped("gpu-stranded"), sets, varied)

    row = answered(question, tmp_path).found[0].worst_row

    off_s, step = 0.0, 0.005
    opened_s = row["wait_s"]
    while off_s < opened_s:
        off_s, step = off_s + step, min(step * 2, 1000.0)
    assert row["retry_worst_s"] == pytest.approx(off_s - opened_s, abs=0.5)


@pytest.mark.parametrize("k", [1, 2])
def test_every_set_of_hosts_is_tried_and_sampling_agrees(k: int, tmp_path: Path) -> None:
    scenario = made({"duration": "1h", "clusters": hosts(5), "workload": [web(43)]})
    sets = [f"k={k}"]

    every = answered(Question(STUDIES["any-k-down"], scenario, sets), tmp_path)
    drawn = answered(Question(STUDIES["all-run-k-down"], scenario, sets, replications=80), tmp_path)

    by_hand = []
    for down in itertools.combinations([f"esx-{number}" for number in range(1, 6)], k):
        value = {**scenario.resolved, "spec": {**scenario.resolved["spec"]}}
        value["spec"]["duration"] = "75m"
        value["spec"]["timeline"] = [{"at": "15m", "failHost": name} for name in down]
        by_hand.append(replicate(ready(value, 1), opened).row["all_run"])
    assert [one.figure.value for one in every.found] == by_hand
    share = sum(by_hand) / len(by_hand)
    assert drawn.found[0].figure.low <= share <= drawn.found[0].figure.high


def test_paired_comparison_finds_a_known_difference(tmp_path: Path) -> None:
    """Ten minutes more of boot are ten minutes more of downtime, for every incident."""
    scenario = made(
        {"duration": "1h", "clusters": hosts(3), "workload": [web(1)], "durations": INSTANT}
    )
    question = Question(
        STUDIES["boot-storm"], scenario, ["down=esx-1"], ["durations.guestBoot=0s,10m"]
    )

    answer = answered(question, tmp_path)

    figure = answer.differences[0].figure
    assert figure.value == pytest.approx(600.0)
    assert figure.low == figure.value == figure.high, "nothing is left to chance"


def test_growth_names_the_first_month_without_room(tmp_path: Path) -> None:
    """4 GiB a VM: three hosts of 64 GiB less one hold 32; 20 grow by 10 % to 32.2 in month 5."""
    scenario = made({"duration": "1h", "clusters": hosts(3), "workload": [web(20)]})
    question = Question(STUDIES["growth"], scenario, ["growth=10", "months=7"])

    answer = answered(question, tmp_path)

    counts = [round(20 * 1.1**month) for month in range(8)]
    missing = [max(0, math.ceil(n / 16) - 2) for n in counts]
    assert [one.figure.value for one in answer.found] == missing == [0, 0, 0, 0, 0, 0, 1, 1]
    assert [one.also["hosts_needed"].value for one in answer.found][-2:] == [4, 4]
    assert answer.headline == (
        "month 6 is the first that needs more hosts; 1 more is enough up to month 7"
    )
    assert answer.found[-1].because == "memory (1 of 1)"


def test_reservations_cost_what_the_promise_would_have_given(tmp_path: Path) -> None:
    """Two hosts of 64 GiB hold 32 VMs of 4 GiB; promising half more, 48."""
    scenario = made({"duration": "1h", "clusters": hosts(2), "workload": [web(4)]})

    found = answered(Question(STUDIES["reservations"], scenario), tmp_path).found

    assert [one.figure.value for one in found] == [32, 48]
    assert found[0].worst_row["exposed_vm_s"] == 0.0
    ends_s = 900 + 1800 + 600
    assert found[1].worst_row["reclaim_gib"] == pytest.approx(64 * 600 / ends_s, rel=0.1)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("NoCompatibleHost: 2 InsufficientHostMemoryCapacityFault, 2 InvalidHostState", "memory"),
        ("NoCompatibleHost: 3 InvalidHostState", "hosts closed"),
        ("DisallowedMigrationDeviceAttached", "a device that stays"),
    ],
)
def test_what_held_an_evacuation_up_is_named_as_elsewhere(reason: str, word: str) -> None:
    assert blocked_by(reason) == f"blocked: {word}"


@pytest.mark.parametrize(("limit", "because"), [(8, "vMotion queue"), (64, "")])
def test_migrations_that_wait_for_their_turn_are_a_constraint(
    limit: int, because: str, tmp_path: Path
) -> None:
    """A host has ten VMs to send; it may send as many at a time as its units say."""
    limits = {"host": limit, "networkFast": limit}
    scenario = made(
        {
            "duration": "1h", "clusters": hosts(3), "workload": [web(30)],
            "vmotion": {"limits": limits},
        }
    )  # fmt: skip
    question = Question(STUDIES["evacuation-time"], scenario, ["host=esx-1"], replications=2)

    answer = answered(question, tmp_path)

    assert {one.worst_row["because"] for one in answer.found} == {because}


def test_variants_that_are_alike_are_told_once(tmp_path: Path) -> None:
    question = Question(STUDIES["way-back"], shipped("rolling-maintenance"))
    assert answered(question, tmp_path).headline == "0 with each of the 3 variants"


def test_blocking_vms_and_the_constraint_are_named(tmp_path: Path) -> None:
    question = Question(STUDIES["who-blocks"], shipped("eviction-block"), ["host=esx-1"])

    found = answered(question, tmp_path).found[0]

    assert found.figure.value == 2
    assert "DisallowedMigrationDeviceAttached" in found.worst_row["blocking"]


def test_precision_adds_replications_until_it_is_met(tmp_path: Path) -> None:
    question = Question(STUDIES["downtime-per-year"], shipped("host-failure"), precision=0.2)

    answer = answered(question, tmp_path)

    assert answer.widest <= 0.2
    assert answer.done > 10


def test_every_figure_that_a_study_shows_is_a_metric() -> None:
    shown = {name for study in STUDIES.values() for name in (study.metric, *study.also)}
    assert shown <= set(METRICS)


def test_every_question_has_a_study() -> None:
    numbers = [study.number for study in STUDIES.values()]
    assert sorted(numbers) == list(range(1, 29))


def test_page_lists_every_study() -> None:
    page = (SCENARIOS.parent / "docs" / "whatif.md").read_text()
    for study in STUDIES.values():
        assert f"| {study.number} | `{study.name}` | {study.question} |" in page


TWO_CLUSTERS = [
    {"name": f"c-{n}", "hosts": [{"name": f"{n}-{{}}", "count": 2, "cores": 32, "memory": "64Gi"}]}
    for n in (1, 2)
]


@pytest.mark.parametrize("name", STUDIES)
def test_study_can_be_arranged(name: str, tmp_path: Path) -> None:
    scenario = shipped("gpu-stranded" if "gpu" in name else "rolling-maintenance")
    sets = {
        "decommission": ["hosts=esx-3", "months=1"],
        "downtime-per-year": ["years=2d"],
        "predictive-evacuation": ["horizon=2d"],
        "growth": ["months=1"],
        "what-fits": ["most=3"],
        "best-change": ["most=3"],
        "reservations": ["most=3"],
        "consolidate": [f"clusters={json.dumps(TWO_CLUSTERS)}"],
    }.get(name, [])
    if name == "rules-and-failures":
        rule = "drs.rules=[{name: apart, kind: antiAffinity, vms: [demo/web-1, demo/web-2]}]"
        sets = [rule]

    found = answered(Question(study_named(name), scenario, sets, replications=1), tmp_path).found

    assert [one.problem for one in found] == [""] * len(found)


@pytest.mark.parametrize(("count", "times"), [(1, 1), (2, 3)])
def test_question_with_one_run_is_not_run_before(count: int, times: int, tmp_path: Path) -> None:
    runs: list[str] = []

    def counted(name: str, there: list[HostSpec]) -> AbstractContextManager[Backend]:
        runs.append(name)
        return opened(name, there)

    scenario = failing(2, 100, 10, days=1)
    question = Question(STUDIES["downtime-per-year"], scenario, ["years=1d"], replications=count)
    ask(question, tmp_path, SERIAL, counted, lambda *_: None)
    assert len(runs) == times


@pytest.mark.parametrize(
    ("sets", "varied", "message"),
    [
        (["policies.retri.longest=1s"], [], "no field retri (did you mean"),
        ([], ["clusters[7].hosts[0].cores=1,2"], "there is no [7]"),
        ([], ["k"], "write it as path=a,b,c"),
        (["kk=2"], [], "unknown option"),
        (["k=9"], [], "k is a number from 1 to 2"),
        (["k=1", "k2=[1"], [], "is not a YAML value"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(
    sets: list[str], varied: list[str], message: str
) -> None:
    question = Question(STUDIES["any-k-down"], shipped("host-failure"), sets, varied)
    with pytest.raises(BadInput) as error:
        designed(question, opened)
    assert message in str(error.value)


def test_cell_that_is_no_scenario_is_reported_and_the_rest_runs(tmp_path: Path) -> None:
    varied = ["clusters[0].hosts[0].cores=16,-3"]
    question = Question(STUDIES["boot-storm"], shipped("host-failure"), ["down=esx-1"], varied)

    found = answered(question, tmp_path).found

    assert [bool(one.problem) for one in found] == [False, True]
    assert "cores" in found[1].problem


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_intervals_cover_the_truth_as_often_as_they_say(tmp_path: Path) -> None:
    """200 answers of 20 replications each: 92 to 98 % hold the mean from theory."""
    scenario = failing(3, 100, 12, 60)
    truth = open_hosts(3, 100, 12, 60 * 24)

    held = 0
    for seed in range(200):
        figure = sampled(scenario, "hosts_open", 20, tmp_path, seed)
        held += figure.low <= truth <= figure.high

    assert 184 <= held <= 196
