"""The report is one offline file whose first words are the answer; its figures can be asked."""

import dataclasses
import json
import re
import shutil
import subprocess
from math import inf
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backends import opened
from vmsim.cli import app
from vmsim.loading import load
from vmsim.running import How, run
from vmsim.whatif import design, working
from vmsim.whatif.design import Cell, Design, suite
from vmsim.whatif.figures import POINTS_SHOWN, eventful_hosts, thinned
from vmsim.whatif.history import Level, binned, history
from vmsim.whatif.report import answer
from vmsim.whatif.statistics import Figure
from vmsim.whatif.studies import STUDIES
from vmsim.whatif.variants import Variant, Variants, front, heat, of_folder, ranked
from vmsim.whatif.working import Engine, Work

pytest.importorskip("vl_convert", reason="the extra report is not installed")

SCENARIOS = Path(__file__).parent.parent / "scenarios"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FIGURES = ("hosts", "vms", "load", "use", "waiting", "fragmentation", "downtimes")
ASK = """
<script>
const later = (test, then) => test() ? then() : setTimeout(() => later(test, then), 50);
later(() => Number(document.body.dataset.drawn) === COUNT, () => {
  const chart = document.querySelector("#run1-hosts");
  const say = (name, value) => { document.documentElement.dataset[name] = value; };
  say("drawn", document.body.dataset.drawn);
  const bar = chart.querySelector(".role-mark path"), box = bar.getBoundingClientRect();
  const at = {clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, bubbles: true};
  const axis = () => [...chart.querySelectorAll(".role-axis-label text")].map(
    (one) => Number(one.textContent)).filter((at) => at >= 0).sort((a, b) => a - b).join(" ");
  const what = {"0": "all", "+": "closer", ArrowRight: "later", "-": "wider", x: "same"};
  const ink = () => getComputedStyle(chart.querySelector(".role-axis-label text")).fill;
  say("ink", ink());
  say("paper", getComputedStyle(document.body).backgroundColor);
  const named = chart.querySelector("svg").closest("[aria-label]");
  say("label", named.getAttribute("aria-label"));
  say("role", named.getAttribute("role"));
  say("over", document.documentElement.scrollWidth - innerWidth);
  say("before", axis());
  for (const kind of ["pointerover", "pointermove", "mousemove"])
    bar.dispatchEvent(new PointerEvent(kind, at));
  bar.dispatchEvent(new WheelEvent("wheel",
    {...at, deltaY: -300, shiftKey: true, cancelable: true}));
  setTimeout(() => {
    const tip = document.querySelector("#vg-tooltip-element.visible");
    say("tip", tip ? tip.textContent : "");
    say("after", axis());
    press(["0", "+", "ArrowRight", "-", "x"]);
  }, 500);
  const press = (keys) => {
    if (!keys.length) return;
    chart.dispatchEvent(new KeyboardEvent("keydown", {key: keys[0], bubbles: true}));
    setTimeout(() => {
      say(what[keys[0]], axis());
      press(keys.slice(1));
    }, 200);
  };
});
</script>
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "run.jsonl"
    run(load(SCENARIOS / "gpu-stranded.yaml"), How(trace=path), opened)
    return path


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep over two factors."""
    folder = tmp_path_factory.mktemp("sweep")
    scenario = load(SCENARIOS / "gpu-stranded.yaml").resolved
    cells = [
        Cell({
            "host": "esx-1",
            "policies.retry.longest": longest,
            "policies.retry.wakeOnCapacity": wakes,
        })
        for longest in ("60s", "1000s") for wakes in (False, True)
    ]  # fmt: skip
    made = Design(scenario, cells, 2, 1, "retry-policy", 8, suite())
    design.write(made, folder / "plan.json")
    working.run(Work(made, folder, opened), Engine("serial"), made.shards())
    return folder


@pytest.fixture(scope="module")
def page(trace: Path, swept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "report.html"
    result = CliRunner().invoke(app, ["report", str(trace), str(swept), "-o", str(out)])
    assert result.exit_code == 0, result.output
    return out


def test_report_answers_first_and_needs_no_network(page: Path) -> None:
    text = page.read_text()

    assert text.index("the longest was demo/trainer for 2.2 h") < text.index("<figure")
    assert not re.search(r"(src|href)=\"?https?:|@import|<link", text)
    names = [*(f"run1-{name}" for name in FIGURES), "sweep1-variants", "sweep1-heat"]
    assert [
        name for name in names if f"<div class=chart id={name!r}".replace("'", '"') in text
    ] == (names)
    assert len(text) < 3e6


def shown(page: Path, folder: Path, scheme: int, width: int = 1100) -> dict[str, str]:
    """What the page says of itself in a browser without a network; scheme 0 is dark, 1 light."""
    text = page.read_text()
    count = text.count("<div class=chart")
    asked = folder / "page.html"
    asked.write_text(text.rpartition("</body>")[0] + ASK.replace("COUNT", str(count)))
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu",
            f"--window-size={width},3000", "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--blink-settings=preferredColorScheme={scheme}", "--virtual-time-budget=20000",
            f"--user-data-dir={folder / 'profile'}", "--dump-dom", f"file://{asked}",
        ],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    root = re.search(r"<html([^>]*)>", done.stdout)
    assert root is not None
    return dict(re.findall(r'data-(\w+)="([^"]*)"', root.group(1)))


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_figures_answer_the_pointer_in_a_browser(page: Path, tmp_path: Path) -> None:
    said = shown(page, tmp_path, scheme=1)

    assert said["drawn"] == str(page.read_text().count("<div class=chart"))
    assert said["label"] == "States of 3 of 3 hosts over time."
    assert said["role"] == "graphics-document"
    assert "esx-1" in said["tip"] and "state" in said["tip"]
    assert said["before"] != said["after"], "shift and the wheel zoom"
    assert said["all"] == said["before"], "0 shows all again"
    ends = {
        name: [float(said[name].split()[end]) for end in (0, -1)]
        for name in ("all", "closer", "later", "wider")
    }
    (low, high), (begin, end) = ends["all"], ends["closer"]
    assert low < begin < end < high, "+ zooms"
    assert ends["later"][0] > begin and ends["later"][1] > end, "an arrow moves"
    assert ends["wider"][0] < ends["later"][0], "- shows more"
    assert said["same"] == said["wider"], "other keys do nothing"
    assert (said["ink"], said["paper"]) == ("rgb(34, 34, 34)", "rgb(255, 255, 255)")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_page_is_light_on_dark_and_fits_a_narrow_screen(page: Path, tmp_path: Path) -> None:
    said = shown(page, tmp_path, scheme=0, width=500)

    assert (said["ink"], said["paper"]) == ("rgb(221, 221, 221)", "rgb(24, 24, 24)")
    assert int(said["over"]) <= 0


def test_every_figure_has_its_sentence_and_its_table_for_a_screen_reader(page: Path) -> None:
    text = page.read_text()
    count = text.count("<figure>")
    charts = re.findall(
        r'<div class=chart id="[^"]+" tabindex=0 role=group[^>]* aria-label="([^"]+)"', text
    )
    assert len(charts) == count
    assert all(sentence.endswith(".") for sentence in charts)
    assert text.count("<summary>The figures as a table</summary>") == count


def test_files_for_slides_and_for_other_tools(trace: Path, swept: Path, tmp_path: Path) -> None:
    command = ["report", str(trace), str(swept), "-o", str(tmp_path / "r.html")]
    done = CliRunner().invoke(app, [*command, "--export", str(tmp_path / "out")])

    assert done.exit_code == 0, done.output
    there = {path.name for path in (tmp_path / "out").iterdir()}
    for name in (*(f"run1-{name}" for name in FIGURES), "sweep1-heat", "sweep1-pareto"):
        assert {f"{name}.svg", f"{name}.png"} <= there
    assert (tmp_path / "out" / "run1-hosts.png").read_bytes().startswith(b"\x89PNG")
    head, first = (tmp_path / "out" / "run1-incidents.csv").read_text().splitlines()[:2]
    assert head.startswith("vm,class_name,cause,host,began_s")
    assert first.startswith("demo/trainer,gpu,Evacuation,esx-1,")


def test_answer_to_a_question_has_its_report(tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    command = ["whatif", "retry-policy", "--on", "gpu-stranded", "--set", "host=esx-1"]
    command += ["--replications", "2", "--out", str(tmp_path), "--report", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    text = out.read_text()
    assert "From 0 s in each run with" in text
    assert text.count("<div class=chart") == 3


def test_states_of_a_vm_follow_each_other_without_gaps(trace: Path) -> None:
    found = history(trace)
    for lane in found.vms.values():
        assert all(
            one[1] == two[0] for one, two in zip(lane.segments, lane.segments[1:], strict=False)
        )
    states = [state for _, _, state in found.vms["demo/trainer"].segments]
    assert states[:3] == ["starting", "booting", "running"]
    assert states[-4:] == ["waiting", "starting", "booting", "running"]


def test_vm_that_is_made_off_is_off(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    run(load(SCENARIOS / "rolling-upgrade.yaml"), How(trace=path), opened)
    states = [state for _, _, state in history(path).vms["demo/off-1"].segments]
    assert states == ["starting", "off"]


def test_host_that_failed_is_shown_though_it_is_one_of_many(tmp_path: Path) -> None:
    """The shipped run of 200 hosts: four in maintenance, and esx-150 fails."""
    path = tmp_path / "large.jsonl"
    run(load(SCENARIOS / "large.yaml"), How(trace=path), opened)

    hosts = [name for name, _ in eventful_hosts(history(path))]

    assert len(hosts) == 40
    assert {"esx-11", "esx-12", "esx-21", "esx-22", "esx-150"} <= set(hosts)
    assert hosts == sorted(hosts, key=lambda name: int(name.removeprefix("esx-")))


@pytest.mark.parametrize(
    ("scenario", "sentence"),
    [
        ("rolling-upgrade", "was held up 3 times, by demo/two-1 and 7 more (blocked: memory)."),
        ("overfull-cluster", "At most 8 VMs waited for a host at once; all ran at the end."),
        ("drs-rules", "once, by demo/db-1 (blocked: rule). At most 1 VM waited"),
        ("rolling-maintenance", "None of the 24 VMs was down in 3.0 h."),
    ],
)
def test_answer_tells_who_waited_and_what_was_held_up(
    scenario: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.jsonl"
    run(load(SCENARIOS / f"{scenario}.yaml"), How(trace=path), opened)
    assert sentence in answer(history(path))


def test_answer_tells_how_many_did_not_run_at_the_end(trace: Path) -> None:
    until = history(trace)
    until.ledger.vms["demo/trainer"].running = False
    assert answer(until).endswith(
        "At most 1 VM waited for a host at once; 1 did not run at the end."
    )


def test_long_level_keeps_its_extremes() -> None:
    level = Level([float(at) for at in range(100_000)], [float(at % 97) for at in range(100_000)])
    level.values[77_777] = 1e6

    points = thinned(level)

    assert len(points) <= POINTS_SHOWN + 2
    assert points == sorted(points)
    assert (77_777.0, 1e6) in points


def test_parts_of_a_level_have_its_mean() -> None:
    level = Level([0.0, 3.0, 4.0, 10.0], [2.0, 6.0, 0.0, 0.0])
    assert binned(level, 5) == pytest.approx([2.0, 4.0, 0.0, 0.0, 0.0])


def test_load_of_the_hosts_adds_up_to_what_is_used(trace: Path) -> None:
    found = history(trace)
    ends = [level.values[-1] for level in found.load.values()]
    assert len(ends) == 3
    assert max(ends) <= 1.0
    assert sum(level.values[-1] > 0 for level in found.load.values()) >= 2


def test_thousand_vms_make_a_page_below_three_megabytes(tmp_path: Path) -> None:
    """A month of failures of 40 hosts with 1,000 VMs."""
    text = (SCENARIOS / "year-of-failures.yaml").read_text()
    assert "duration: 365d" in text
    large = text.replace("duration: 365d", "duration: 30d")
    large = re.sub(r"count: \d+", "count: 20", large, count=2)
    large = re.sub(r"(workload:.*?count:) \d+", r"\1 1000", large, count=1, flags=re.S)
    large = large.replace("memory: 64Gi", "memory: 256Gi")
    path = tmp_path / "large.yaml"
    path.write_text(large.replace("manifests/", f"{SCENARIOS}/manifests/"))
    trace = tmp_path / "large.jsonl"
    run(load(path), How(trace=trace), opened)
    out = tmp_path / "r.html"

    done = CliRunner().invoke(app, ["report", str(trace), "-o", str(out)])

    assert done.exit_code == 0, done.output
    assert "of 1000 VMs" in out.read_text()
    assert out.stat().st_size < 3e6


def variants(*pairs: tuple[float, float], metric: str = "downtime_s") -> Variants:
    """Variants a=0, a=1, ... with these two figures."""
    found = [
        Variant({"a": str(n), "b": str(n % 2)}, Figure(x, x, x, 1), Figure(y, y, y, 1))
        for n, (x, y) in enumerate(pairs)
    ]
    return Variants(Design({"metadata": {"name": "s"}}, [], 1), found, metric, "retries")


def test_front_is_what_no_other_variant_beats_in_both() -> None:
    low = variants((1, 9), (2, 5), (2, 6), (3, 5), (4, 1), (4, 1))
    assert [one.settings["a"] for one in front(low)] == ["0", "1", "4", "5"]
    high = variants((1, 1), (2, 5), (3, 5), (3, 9), metric="running")
    assert [one.settings["a"] for one in front(high)] == ["2", "0"]


def test_heat_map_averages_over_the_other_factors(swept: Path) -> None:
    table = heat(of_folder(swept)).table
    assert table[0] == [
        "policies.retry.longest",
        "policies.retry.wakeOnCapacity",
        "longest time from an open host to the power-on, min",
    ]
    assert [row[:2] for row in table[1:]] == [
        [longest, wakes] for longest in ("60s", "1000s") for wakes in ("false", "true")
    ]
    assert all(row[2] == 0 for row in table[1:] if row[1] == "true")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["308s", "1000s", "60.5s"], ["60.5s", "308s", "1000s"]),
        (["30m", "2h"], ["30m", "2h"]),
        (["worst_fit", "best_fit"], ["worst_fit", "best_fit"]),
    ],
)
def test_heat_map_has_numbers_in_order_and_words_as_given(
    given: list[str], shown: list[str]
) -> None:
    some = variants(*((n, 1) for n in range(2 * len(given))))
    cells = [
        dataclasses.replace(one, settings={"wakes": str(n % 2), "pause": given[n // 2]})
        for n, one in enumerate(some.found)
    ]
    table = heat(dataclasses.replace(some, found=cells)).table
    assert [row[1] for row in table[1 : 1 + len(given)]] == shown


def test_figures_of_variants_have_units_that_read_well() -> None:
    """Ten days are no 864,000 s on an axis."""
    some = variants((864_000, 1), (86_400, 2))
    for picture in some.pictures():
        assert "downtime of all VMs together, d" in json.dumps(picture.spec)
    assert some.pictures()[0].table[1:] == [
        ["a=1, b=1", 1.0, 1.0, 1.0, 2],
        ["a=0, b=0", 10.0, 10.0, 10.0, 1],
    ]


def test_report_of_a_study_begins_with_its_answer(swept: Path) -> None:
    found = of_folder(swept)
    first, other = found.sentence, of_folder(swept, "retries").sentence
    assert first.startswith(f"{STUDIES['retry-policy'].question} From 0 s in each run with ")
    assert other.startswith("tries that were put off: best with ")
    assert any(line.startswith("in some variants: a failed VM is") for line in found.assumptions)


def test_sentence_has_the_interval_and_names_how_many_are_alike() -> None:
    some = variants((1, 1), (1, 2), (5, 3))
    wide = dataclasses.replace(some.found[2], one=Figure(5, 2.5, 7.5, 9))
    said = dataclasses.replace(some, found=[*some.found[:2], wide]).sentence
    assert "best with a=0, b=0 and 1 more (1 s), worst with a=2, b=0 (5 s [2.5, 7.5])" in said


def test_sampled_factors_are_points_and_a_grid_is_a_heat_map(swept: Path) -> None:
    assert of_folder(swept).pictures()[1].spec["layer"][0]["mark"] == "rect"
    some = variants(*((n, 1) for n in range(9)))
    sampled = [
        dataclasses.replace(one, settings={"a": f"{n * 10}.5s", "b": str(9 - n)})
        for n, one in enumerate(some.found)
    ]
    points = dataclasses.replace(some, found=sampled).pictures()[1].spec
    assert points["mark"]["type"] == "point"
    first = points["data"]["values"][0]
    assert (first["x"], first["y"], first["value"]) == (0.5, 9.0, 0)


def test_what_stands_beside_a_case_names_it_and_is_no_factor() -> None:
    some = variants((1, 1), (2, 2), (3, 3))
    found = [
        dataclasses.replace(one, settings={"spares": str(n), "formula": f"0.{9 - n}"})
        for n, one in enumerate(some.found)
    ]
    told = dataclasses.replace(some, found=found)
    assert told.label(found[1]) == "spares=1, formula=0.8"
    pictures = told.pictures()
    assert [one.name for one in pictures] == ["along", "variants"]
    assert pictures[0].table[1:] == [["the only variant", n, n + 1.0] for n in range(3)]


def test_one_run_has_no_interval_to_draw() -> None:
    """What cannot be negative is cut at 0; that is no end of an interval that has no other."""
    some = variants((5, 1))
    alone = [dataclasses.replace(one, one=Figure(5.0, 0.0, inf, 1)) for one in some.found]
    assert ranked(dataclasses.replace(some, found=alone)).table[1][1:4] == [5.0, 5.0, 5.0]


def test_cases_are_no_choice_so_none_of_them_beats_another() -> None:
    some = variants((1, 1), (2, 2))
    found = [
        dataclasses.replace(one, settings={"host": f"esx-{n}"}) for n, one in enumerate(some.found)
    ]
    told = dataclasses.replace(some, found=found)
    assert [one.name for one in told.pictures()] == ["variants"]


def test_growth_of_each_variant_is_a_line_over_the_months() -> None:
    some = variants((0, 1), (3, 2), (0, 3), (1, 4))
    of = [{"month": month, "k": k} for k in "01" for month in "07"]
    found = [
        dataclasses.replace(one, settings=settings)
        for one, settings in zip(some.found, of, strict=True)
    ]
    told = dataclasses.replace(some, found=found)
    lines = next(one for one in told.pictures() if one.name == "along").table
    assert lines[1:] == [["k=0", 0, 0], ["k=0", 7, 3], ["k=1", 0, 0], ["k=1", 7, 1]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{swept}", "--metric", "joy"], "there is no metric joy"),
        (["{trace}", "--export", "{trace}"], "cannot write"),
        (["{folder}"], "plan.json"),
    ],
)
def test_what_cannot_be_reported_is_bad_input(
    words: list[str], message: str, trace: Path, swept: Path, tmp_path: Path
) -> None:
    places = {"swept": str(swept), "trace": str(trace), "folder": str(tmp_path)}
    command = ["report", "-o", str(tmp_path / "r.html"), *(word.format(**places) for word in words)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert message in done.output


def test_what_is_no_trace_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("hello\n")
    assert CliRunner().invoke(app, ["report", str(path)]).exit_code == 2
