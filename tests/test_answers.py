"""What a user reads: no figure that cannot be, no bound that looks like a value, no stale word."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backends import opened
from vmsim.cli import app
from vmsim.loading import load
from vmsim.whatif import store
from vmsim.whatif.answers import Answer, answer, figure_of, number, shown, worst_of
from vmsim.whatif.asking import Question, ask, assumed, designed
from vmsim.whatif.statistics import Figure
from vmsim.whatif.studies import STUDIES
from vmsim.whatif.telling import as_text, to_json
from vmsim.whatif.variants import compared
from vmsim.whatif.working import Engine

SCENARIOS = Path(__file__).parent.parent / "scenarios"


def question(study: str, scenario: str, *sets: str, **more: Any) -> Question:
    return Question(STUDIES[study], load(SCENARIOS / f"{scenario}.yaml"), sets, **more)


def answered(asked: Question, folder: Path) -> Answer:
    return ask(asked, folder, Engine("serial"), opened, lambda *_: None)[1]


def told(asked: Question, folder: Path) -> str:
    design, found = ask(asked, folder, Engine("serial"), opened, lambda *_: None)
    return "\n".join(as_text(asked, design, found, compare=True, worst=None))


def rows(**columns: list[float]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_interval_keeps_to_what_the_quantity_can_be() -> None:
    down = figure_of(rows(downtime_s=[0, 0, 0, 90], lost=[0, 0, 0, 0]), "downtime_s", "mean")
    up = figure_of(rows(availability=[1, 1, 0.9]), "availability", "mean")

    assert (down.value, down.low) == (22.5, 0.0)
    assert down.high == pytest.approx(22.5 + 3.1824 * 22.5, rel=1e-4), "Student's, as ever"
    assert (up.high, up.low > 0.8) == (1.0, True)


def test_runs_that_are_all_alike_are_called_so() -> None:
    alike = figure_of(rows(creations_refused=[1 / 22] * 30), "creations_refused", "mean")
    assert number(alike, "") == "0.04545 in each run"


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(0.5, 0.25, 0.75, 8), "50 % [25, 75] of the runs"),
        (Figure(1.0, 1.0, 1.0, 1), "yes"),
        (Figure(0.0, 0.0, 0.0, 1), "no"),
    ],
)
def test_share_reads_as_runs_or_as_yes_and_no(figure: Figure, text: str) -> None:
    assert shown(STUDIES["any-k-down"], figure) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(299, "299 s"), (3600, "60 min"), (7200, "2 h"), (3 * 86_400, "3 d"), (-7200, "-2 h")],
)
def test_long_times_have_units_that_read_well(seconds: float, text: str) -> None:
    assert number(Figure(seconds, seconds, seconds, 1), "s") == text


def test_host_that_never_gets_empty_is_the_worst_not_the_fastest(tmp_path: Path) -> None:
    found = answered(question("evacuation-time", "eviction-block"), tmp_path)

    blocked, free = found.found[0], found.found[1]
    assert (blocked.settings["host"], blocked.figure.value, blocked.figure.cut) == (
        "esx-1", 7200.0, 1,
    )  # fmt: skip
    assert (free.figure.value, free.figure.cut) == (10.0, 0)
    assert found.headline == "at least 2 h with each of the 2 variants"


def test_vm_that_never_came_back_makes_a_lower_bound(tmp_path: Path) -> None:
    text = told(question("boot-storm", "host-failure"), tmp_path)
    assert "at least 60 min with each of the 3 variants" in text
    assert "down=esx-2: 0 s (between lower bounds)" in text


def test_probes_that_all_run_are_a_lower_bound(tmp_path: Path) -> None:
    few, many = (
        answered(question("best-change", "drs-rules", f"most={most}"), tmp_path)
        for most in (3, 200)
    )
    assert few.headline == "no change gains anything (some figures are lower bounds)"
    assert "one more esx-{}" in many.headline
    assert "lower bounds" not in many.headline


def test_assumptions_are_those_of_what_was_run(tmp_path: Path) -> None:
    line = "a VM that cannot be migrated off a host entering maintenance: {}"
    usual = question("retry-policy", "gpu-stranded")
    fixed = question("retry-policy", "gpu-stranded", "policies.eviction=block")
    varied = question("gpu-stranded", "gpu-stranded")
    once = question("upgrade-duration", "rolling-upgrade")

    said = [assumed(designed(one, opened)) for one in (usual, fixed, varied, once)]

    assert line.format("drs_poweroff") in said[0]
    assert line.format("block") in said[1]
    assert not any("drs_poweroff" in one for one in said[1])
    assert f"in some variants: {line.format('block')}" in said[2]
    assert not any("one-by-one" in one for one in said[3]), "the study has its own upgrade"


def test_differences_are_to_the_same_case_of_the_first_variant(tmp_path: Path) -> None:
    asked = question("restart-policy", "eviction-policy", replications=3)
    pairs = [
        (one.base.settings, one.other.settings) for one in answered(asked, tmp_path).differences
    ]
    assert pairs == [
        ({"restart": "own-host", "host": host}, {"restart": "anywhere", "host": host})
        for host in ("esx-1", "esx-2")
    ]


def test_headline_goes_from_variant_to_variant_by_their_worst_cases(tmp_path: Path) -> None:
    asked = question("restart-policy", "eviction-policy", replications=3)
    headline = answered(asked, tmp_path).headline
    assert "from 70 s in each run with restart=anywhere, host=esx-1 to" in headline
    assert headline.endswith("with restart=own-host, host=esx-1")


def test_queue_for_moves_is_no_reason_of_downtime(tmp_path: Path) -> None:
    asked = question("downtime-per-year", "year-of-failures", "years=60d", replications=2)
    found = answered(asked, tmp_path).found[0]
    assert found.worst_row["because"] == "vMotion queue"
    assert found.because == ""


def test_worst_of_equal_cases_is_the_one_that_is_worse_beside(tmp_path: Path) -> None:
    asked = question("any-k-down", "host-failure", varies=["k=1,2"])

    found = answered(asked, tmp_path).found
    worst = worst_of(asked.study, found)

    assert {one.figure.value for one in found} == {0.0}
    unplaced = {one.settings["down"]: one.worst_row["unplaced"] for one in found}
    assert worst is not None
    assert unplaced[worst.settings["down"]] == max(unplaced.values()) > min(unplaced.values())


def test_all_that_waits_and_blocks_is_there(tmp_path: Path) -> None:
    """Six names are shown of what stands beside; who asks for the VMs gets all."""
    fits, blocks = (
        question("what-fits", "zone-pinning", "k=0"),
        question("who-blocks", "overfull-cluster", "host=esx-1"),
    )
    design, found = ask(fits, tmp_path, Engine("serial"), opened, lambda *_: None)

    value = json.loads(to_json(fits, design, found))["cells"][0]
    text = told(blocks, tmp_path)

    assert len(value["waiting"]) == 200 - value["value"]
    blocking = next(line for line in text.splitlines() if "blocking: " in line)
    assert len(blocking.split(", ")) > 6
    assert " more" not in blocking


def test_names_say_in_how_many_runs_a_vm_waited(tmp_path: Path) -> None:
    asked = question("all-run-k-down", "host-failure", "k=1", replications=6)
    waiting = answered(asked, tmp_path).found[0].waiting
    assert sum(waiting.values()) == 6
    assert f"{waiting.most_common(1)[0][0]} ({waiting.most_common(1)[0][1]} of 6)" in told(
        asked, tmp_path
    )


def test_reason_that_no_cell_can_be_run_is_told_once(tmp_path: Path) -> None:
    words = ["whatif", "decommission", "--on", "rolling-upgrade", "--set", "hosts=none-*"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert done.output.count("none-* names 0 hosts") == 1
    assert "--set hosts=GLOB" in done.output
    assert "assumptions" not in done.output


def test_host_that_its_vms_cannot_leave_is_not_given_up(tmp_path: Path) -> None:
    clusters = (
        "clusters=[{name: a, hosts: [{name: esx-1, cores: 32, memory: 128Gi,"
        " devices: {grid_a100-8c: 2}}]}, {name: b, hosts: [{name: 'esx-1{}', count: 2, cores: 32,"
        " memory: 256Gi}]}]"
    )
    found = answered(question("consolidate", "eviction-block", clusters), tmp_path)
    assert [one.figure.value for one in found.found] == [0.0, 2.0]
    assert found.headline.startswith("0 hosts can be given up")


def test_one_cluster_instead_of_two_frees_a_host(tmp_path: Path) -> None:
    """A database of 28 GiB fits on no second one of the smaller hosts beside the others."""
    found = answered(question("consolidate", "two-clusters"), tmp_path)
    assert [one.figure.value for one in found.found][:3] == [0.0, 0.0, 1.0]
    assert found.headline.startswith("1 host can be given up")
    assert list(found.found[2].waiting) == ["demo/db-2"]


def test_figures_of_a_study_without_chance_have_no_interval(tmp_path: Path) -> None:
    asked = question("growth", "overfull-cluster", "months=1")
    design, _ = ask(asked, tmp_path, Engine("serial"), opened, lambda *_: None)
    found = compared(design, tmp_path).found
    assert [(one.one.low, one.one.high) for one in found] == [(2.0, 2.0)] * 2


@pytest.mark.parametrize(
    ("host", "nic_mbps", "told"),
    [
        ("esx-1", 25_000, "network card of the source"),
        ("esx-2", 25_000, "memory that guests write meanwhile"),
        ("esx-1", 1_000_000, "what a move takes beside the copying"),
    ],
)
def test_what_emptying_a_host_took_is_named(
    host: str, nic_mbps: int, told: str, tmp_path: Path
) -> None:
    """The VMs of esx-1 are quiet, those of esx-2 write a lot."""
    sets = (f"host={host}", f"clusters[*].hosts[*].nicMbps={nic_mbps}")
    found = answered(question("evacuation-time", "vmotion-bandwidth", *sets), tmp_path).found
    assert [one.because for one in found] == [f"{told} (1 of 1)"]


def test_rules_that_only_together_leave_no_room_are_named(tmp_path: Path) -> None:
    """Three databases that keep apart, on three hosts that are licensed: one of these fails."""
    asked = question("rules-and-failures", "drs-rules", replications=6)
    assert answered(asked, tmp_path).headline == (
        "yes; leaving out one of these is enough: apart, licensed; "
        "the fewest that do it: apart + licensed"
    )


def test_what_fits_is_told_by_zone_where_vms_choose_one(tmp_path: Path) -> None:
    """Of 4 GiB each: two hosts of 128 GiB with two VMs, a full one, and one of 64 with one."""
    asked = question("what-fits", "zone-pinning", varies=["k=0"])
    assert answered(asked, tmp_path).headline == (
        "room for 62 of my-vm-class in zone-1, 0 of my-vm-class in zone-2, "
        "15 of my-vm-class in zone-3"
    )


def test_what_a_lost_zone_leaves_without_room_is_told_in_size(tmp_path: Path) -> None:
    """Four VMs of 2 vCPUs and 4 GiB ran in the zone."""
    found = answered(question("zone-loss", "zone-pinning", "zone=zone-2"), tmp_path).found[0]
    assert [found.also[name].value for name in ("missing_cpus", "missing_gib")] == [8.0, 16.0]


def test_restarting_anywhere_takes_device_units_elsewhere(tmp_path: Path) -> None:
    sets, varied = ("host=esx-1",), ["restart=own-host,anywhere"]
    asked = question("restart-policy", "eviction-policy", *sets, varies=varied, replications=2)
    found = answered(asked, tmp_path).found
    assert [one.also["devices_elsewhere"].value for one in found] == [0.0, 2.0]


def test_phases_of_the_longest_downtime_add_up_to_it(tmp_path: Path) -> None:
    """Of three VMs of a failed host, one waits for room to the end."""
    asked = question("boot-storm", "host-failure", "down=esx-1")
    row = answered(asked, tmp_path).found[0].worst_row
    phases = [row[f"longest_{phase}_s"] for phase in ("detect", "wait", "retry", "start")]
    assert sum(phases) == pytest.approx(row["downtime_worst_s"])
    assert phases[1] > 3000.0


def test_replication_alone_is_told_with_units_and_what_was_asked(tmp_path: Path) -> None:
    words = ["whatif", "any-k-down", "--on", "host-failure", "--set", "down=esx-1", "--only", "0"]
    done = CliRunner().invoke(app, [*words, "--trace", str(tmp_path / "one.jsonl")])
    lines = dict(line.split(maxsplit=1) for line in done.output.splitlines())
    assert (lines["all_run"], lines["downtime_worst_s"]) == ("0", "60 min")


def test_scenario_that_there_is_not_is_told_with_the_nearest_name() -> None:
    done = CliRunner().invoke(app, ["whatif", "any-k-down", "--on", "host-failur"])
    assert (done.exit_code, 'did you mean "host-failure"?' in done.output) == (2, True)


def test_headline_names_only_what_sets_the_variants_apart(tmp_path: Path) -> None:
    asked = question("retry-policy", "gpu-stranded", "host=esx-1", replications=2)
    assert "host" not in answered(asked, tmp_path).headline


def test_verdict_is_told_of_each_variant(tmp_path: Path) -> None:
    """So a planner reads how many hosts are enough until when."""
    count = "clusters[0].hosts[0].count"
    sets = ("months=4", "growth=10")
    asked = question("growth", "failover-capacity", *sets, varies=[f"{count}=4,5,6"])
    assert answered(asked, tmp_path).headline == (
        f"with {count}=4: month 0 needs more hosts; 2 more are enough up to month 4; "
        f"with {count}=5: month 3 is the first that needs more hosts; "
        "1 more is enough up to month 4; "
        f"with {count}=6: the hosts are enough up to month 4, the last one looked at"
    )


def test_vm_that_nobody_restarts_is_not_short_of_room(tmp_path: Path) -> None:
    """vSphere HA is told to leave web-9 alone, and its host fails."""
    asked = question("any-k-down", "failover-capacity", "clusters[0].hosts[0].count=6")
    found = [one for one in answered(asked, tmp_path).found if one.waiting]
    assert [list(one.waiting) for one in found] == [["demo/web-9"]]
    assert found[0].because == "not restarted (1 of 1)"


def test_downtime_per_year_is_told_by_class(tmp_path: Path) -> None:
    """Weighted with the VMs of each, the classes give the figure of all; databases start first, and
    HA leaves one of the others alone."""
    asked = question("downtime-per-year", "failover-capacity", "years=90d", replications=3)
    found = answered(asked, tmp_path).found[0]
    counts = {"database": 12, "my-vm-class": 10}

    mean = sum(found.by_class[name]["mean"].value * count for name, count in counts.items()) / 22
    assert mean == pytest.approx(found.figure.value, rel=1e-3)
    database, other = (found.by_class[name] for name in counts)
    assert 0.0 < database["mean"].value < other["mean"].value
    assert other["p50"].value <= other["p95"].value <= other["p99"].value
    assert "\n        database: mean " in told(asked, tmp_path)


def test_sets_that_are_too_many_are_drawn_often_enough() -> None:
    """Of 200 hosts, 19,900 pairs: one that is drawn would say next to nothing."""
    pairs = designed(question("any-k-down", "large", "k=2"), opened)
    one = designed(question("any-k-down", "large", "k=2", "down=esx-1+esx-2"), opened)
    assert (len(pairs.cells), pairs.replications) == (1, 200)
    assert one.replications == 1


def test_one_run_of_what_chance_decides_is_not_called_certain(tmp_path: Path) -> None:
    asked = question("gpu-stranded", "gpu-stranded", replications=1)
    assert "nothing is left to chance" not in told(asked, tmp_path)


def test_worst_cases_come_first_when_not_all_can_be_shown(tmp_path: Path) -> None:
    """Of 60 hosts the last but one has a VM that cannot leave."""
    gpu = "{name: 'gpu-{}', count: 2, cores: 32, memory: 256Gi, devices: {grid_a100-8c: 2}}"
    free = "{name: 'esx-{}', count: 58, cores: 32, memory: 256Gi}"
    sets = (f"clusters=[{{name: c, hosts: [{free}, {gpu}]}}]", "patience=30m")
    lines = told(question("who-blocks", "eviction-block", *sets), tmp_path).splitlines()
    shown = [line for line in lines if "host=" in line and line.startswith("  clusters=")]
    assert "host=gpu-1: 2" in shown[0]
    assert "  and 20 more, none of them worse: --json shows all" in lines


def test_mean_comes_with_the_quantiles_of_runs_and_their_intervals(tmp_path: Path) -> None:
    """Of 20 runs, the interval of the median goes from the 6th to the 15th."""
    asked = question("gpu-stranded", "gpu-stranded", "policies.eviction=block", replications=20)
    design, found = ask(asked, tmp_path, Engine("serial"), opened, lambda *_: None)
    values = sorted(row["gpu_hours_lost"] for _, _, row in store.rows(tmp_path, design))

    assert found.found[0].spread is not None
    half, far = found.found[0].spread
    assert (half.low, half.value, half.high) == (values[5], values[9], values[14])
    assert (far.value, far.high) == (values[18], math.inf)
    assert f"half of the runs: at most {number(half, 'h')}; 95 % of them" in told(asked, tmp_path)


def test_interrupt_before_the_first_run_says_so() -> None:
    asked = question("gpu-stranded", "gpu-stranded")
    design = designed(asked, opened)
    found = answer(design, asked.study, [])
    text = "\n".join(as_text(asked, design, found, compare=True, worst=None))
    assert "no run has ended yet" in text
    assert "(0 of 90 runs, 0 cells)" in text
    assert "nothing is left to chance" not in text


def test_difference_of_shares_counts_runs_not_vms(tmp_path: Path) -> None:
    """One host fewer leaves a VM without room, two leave three: in both cases, in every run."""
    asked = question("ha-gives-up", "host-failure", replications=2, varies=["k=1,2"])
    study = dataclasses.replace(asked.study, metric="unplaced")
    design, _ = ask(asked, tmp_path, Engine("serial"), opened, lambda *_: None)
    runs = list(store.rows(tmp_path, design))

    difference = answer(design, study, runs).differences[0]

    assert [row["unplaced"] for _, _, row in runs] == [1.0, 1.0, 3.0, 3.0]
    assert difference.figure.value == 0.0
    assert difference.also["unplaced"].value == 2.0


def test_differences_have_what_stands_beside_the_figure(tmp_path: Path) -> None:
    text = told(question("upgrade-duration", "rolling-upgrade"), tmp_path)
    assert "  parallel=2: -25.93 min\n      stalls +6" in text
