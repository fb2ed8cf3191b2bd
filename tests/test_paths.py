"""A setting changes a scenario where it says, and nothing else, and never the one it was given."""

from copy import deepcopy
from typing import Any

import pytest

from vmsim.loading import load
from vmsim.problems import BadInput
from vmsim.shell import scenario_path
from vmsim.whatif.paths import Setting, changed
from vmsim.whatif.studies import arranged

SPEC = {"duration": "1h", "clusters": [{"name": "a", "hosts": [{"cores": 8}, {"cores": 16}]}]}


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("duration", {"duration": 4}),
        ("policies.retry.longest", {"policies": {"retry": {"longest": 4}}}),
        ("clusters[0].hosts[1].cores",
         {"clusters": [{"name": "a", "hosts": [{"cores": 8}, {"cores": 4}]}]}),
        ("clusters[*].hosts[*].cores",
         {"clusters": [{"name": "a", "hosts": [{"cores": 4}, {"cores": 4}]}]}),
    ],
)  # fmt: skip
def test_value_is_put_where_the_path_leads(path: str, part: dict[str, Any]) -> None:
    scenario = {"metadata": {"name": "x"}, "spec": deepcopy(SPEC)}
    assert changed(scenario, Setting(path, 4)) == {**scenario, "spec": {**SPEC, **part}}
    assert scenario["spec"] == SPEC


@pytest.mark.parametrize("path", ["clusters[1].name", "duration.name", "clusters.hosts", "wrong"])
def test_path_that_leads_nowhere_is_refused(path: str) -> None:
    with pytest.raises(BadInput):
        changed({"spec": deepcopy(SPEC)}, Setting(path, 4))


@pytest.mark.parametrize("study", ["", "failures-in-upgrade"])
def test_arranging_leaves_the_scenario_as_it_was(study: str) -> None:
    scenario = load(scenario_path("year-of-failures")).resolved
    before = deepcopy(scenario)
    arranged(scenario, study, {}, 1)
    assert scenario == before
