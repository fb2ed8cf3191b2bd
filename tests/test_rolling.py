"""Rolling maintenance of a cluster: all migrations done, and as long as the network takes."""

import json
from pathlib import Path

import pytest

from bench import rolling, rolling_simgrid
from bench.rolling_system import Rolling

SIMGRID_H = 37.08
"""What SimGrid 3.32 finds for 64 hosts with fairly shared cards; run again where it is there."""


def test_makespan_is_that_of_simgrid(tmp_path: Path) -> None:
    path = rolling.store(64, tmp_path)
    rolled = Rolling(rolling.records(path), None)
    rolled.run()
    makespan_h = rolled.env.now / 3600
    assert makespan_h == pytest.approx(SIMGRID_H, rel=0.02)
    assert rolled.migrations > 1600
    assert {spec.value for spec in rolled.system.fleet.inventory.states} == {"Up"}


@pytest.mark.parametrize("hosts", [4])
def test_makespan_is_that_of_simgrid_run_beside_it(hosts: int, tmp_path: Path) -> None:
    path = rolling.store(hosts, tmp_path)
    said = json.loads(rolling_simgrid.run(path, tmp_path))
    if "skipped" in said:
        pytest.skip(said["skipped"])
    rolled = Rolling(rolling.records(path), None)
    rolled.run()
    assert rolled.env.now == pytest.approx(said["makespan_s"], rel=0.02)
    assert rolled.migrations == pytest.approx(said["migrations"], rel=0.05)
