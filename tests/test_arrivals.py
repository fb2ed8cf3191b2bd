"""VMs come as drawn or as recorded, of the kinds and for the times that the scenario says."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import PREREQUISITES, Run, scenario
from vmsim.arrivals import Arrival, Drawn, read_recording, recorded
from vmsim.chance_schema import law_of
from vmsim.documents import load
from vmsim.loading import plan
from vmsim.problems import BadInput

HOURLY = law_of({"exponential": {"mean": "1h"}})
DAYS = law_of({"lognormal": {"mean": "2d", "cv": 2}})


def test_first_vm_comes_without_a_pause() -> None:
    found = list(Drawn("w", 3, law_of("5s"), law_of("1h")).arrivals(1))
    assert found == [Arrival(0.0, 0, 3600.0), Arrival(5.0, 0, 3600.0), Arrival(5.0, 0, 3600.0)]


def test_other_lifetimes_do_not_move_the_arrivals() -> None:
    some = [each.pause_s for each in Drawn("w", 50, HOURLY, DAYS).arrivals(1)]
    other = [each.pause_s for each in Drawn("w", 50, HOURLY, HOURLY, (1, 2)).arrivals(1)]
    assert some == other


def test_another_workload_has_draws_of_its_own() -> None:
    a, b = (list(Drawn(name, 5, HOURLY).arrivals(1)) for name in "ab")
    assert a != b


def test_kinds_come_by_their_weights() -> None:
    """Within 4 standard errors of a quarter; the seed is fixed."""
    kinds = [each.kind for each in Drawn("w", 10_000, weights=(3.0, 1.0)).arrivals(1)]
    assert abs(kinds.count(1) - 2500) < 4 * (10_000 * 0.25 * 0.75) ** 0.5


def test_arrivals_are_the_vectorised_draws() -> None:
    from vmsim.rng import stream

    drawn = HOURLY.draw(stream(1, "w/every"), 100).tolist()
    found = [each.pause_s for each in itertools.islice(Drawn("w", 101, HOURLY).arrivals(1), 101)]
    assert found == [0.0, *drawn]


def test_recorded_pauses_are_differences() -> None:
    rows = [(5.0, 60.0, "a"), (7.5, None, "b")]
    found = list(recorded(rows, {"a": 0, "b": 1}))
    assert found == [Arrival(5.0, 0, 60.0), Arrival(2.5, 1, None)]


def written(folder: Path, text: str, name: str = "vms.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_csv_is_read_and_sorted(tmp_path: Path) -> None:
    path = written(tmp_path, "arrival,lifetime,class\n1h,,large\n30,90.5,\n")
    assert read_recording(path) == [(30.0, 90.5, ""), (3600.0, None, "large")]


BAD = {
    "no columns": ("a,b\n1,2\n", "arrival is missing"),
    "a word": ("arrival,lifetime\nsoon,1\n", "row 2"),
    "negative": ("arrival,lifetime\n1,1\n-5,1\n", "row 3"),
    "not a number": ("arrival,lifetime\nnan,1\n", "not a time"),
    "empty": ("arrival,lifetime\n", "no arrivals"),
    "binary": ("\x00\x01", "missing"),
}


@pytest.mark.parametrize(("text", "why"), BAD.values(), ids=BAD)
def test_bad_recording_is_refused(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=why):
        read_recording(written(tmp_path, text))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path) -> None:
    try:
        import pyarrow  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match=r"pip install 'vmsim\[traces\]'"):
            read_recording(written(tmp_path, "", "vms.parquet"))
    else:
        pytest.skip("pyarrow is here")


def workload(**more: Any) -> dict[str, Any]:
    spec = {
        "className": "small",
        "imageName": "vmi-0a0044d7c690bcbea",
        "storageClass": "my-storage-class",
    }
    return {"name": "w-{}", "spec": spec, **more}


def test_recorded_vms_come_and_go_in_a_run() -> None:
    rows = [[10.0, 100.0, ""], [20.0, None, "gpu"]]
    made = Run(scenario(workload=[workload(trace={"rows": rows})]))
    made.until(1000)
    assert [(t, name) for t, name, kind in made.log("VmCreated")] == [
        (40, "demo/w-1"),
        (50, "demo/w-2"),
    ]
    assert [(t, name) for t, name, kind in made.log("Deleted")] == [(115, "demo/w-1")]
    assert made.system.api.vms["demo/w-2"].spec.class_name == "gpu"


def test_names_of_the_recording_may_stand_for_classes() -> None:
    trace = {"rows": [[0.0, None, "A2"]], "classes": {"A2": "gpu"}}
    made = Run(scenario(workload=[workload(trace=trace)]))
    made.until(10)
    assert made.system.api.vms["demo/w-1"].spec.class_name == "gpu"


def test_mixed_workload_takes_each_kind() -> None:
    mix = [{"weight": 1, "spec": {}}, {"weight": 1, "spec": {"className": "gpu"}}]
    made = Run(scenario(workload=[workload(count=20, mix=mix)]))
    made.until(10)
    names = {vm.spec.class_name for vm in made.system.api.vms.values()}
    assert names == {"small", "gpu"}


def test_plain_durations_are_as_before() -> None:
    made = Run(scenario(workload=[workload(count=3, every="1m", lifetime="10m", at="5s")]))
    made.until(1000)
    assert [t for t, _, _ in made.log("VmCreated")] == [35, 95, 155]
    assert [t for t, _, _ in made.log("Deleted")] == [610, 670, 730]


def test_recording_is_part_of_the_trace_header(tmp_path: Path) -> None:
    written(tmp_path, "arrival,lifetime,class\n1,2,gpu\n")
    content = scenario(workload=[workload(trace={"file": "vms.csv"})])
    content["spec"]["manifests"] = [
        str(PREREQUISITES / each) if isinstance(each, str) else each
        for each in content["spec"]["manifests"]
    ]
    made = plan(load(json.dumps(content), "scenario.yaml")[0], tmp_path)
    again = plan(load(json.dumps(made.resolved), "again.yaml")[0], Path("/nowhere"))
    assert again.workload[0].rows == made.workload[0].rows == ((1.0, 2.0, "gpu"),)


REFUSED = {
    "no count": (workload(), "give `count`"),
    "count and trace": (workload(count=1, trace={"rows": []}), "a `trace` says what count"),
    "no file": (workload(trace={"file": "nothing.csv"}), "No such file"),
    "file and rows": (workload(trace={"file": "a", "rows": []}), "either `file` or `rows`"),
    "law": (workload(count=2, every={"scipy": {"name": "norm"}}), "negative durations"),
    "weight": (workload(count=2, mix=[{"weight": 0, "spec": {}}]), "greater than 0"),
}


@pytest.mark.parametrize(("item", "why"), REFUSED.values(), ids=REFUSED)
def test_workload_is_refused_with_the_reason(item: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput) as refused:
        Run(scenario(workload=[item]))
    assert any(why in str(problem) for problem in refused.value.problems)
