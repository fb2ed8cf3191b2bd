"""A stepped server carries out what a client did on vSphere before its clock moves on."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from backends import opened
from vmsim.actions import Fault, Task
from vmsim.loading import load
from vmsim.nodes import node
from vmsim.objects import HostState
from vmsim.ports import HostCommand, HostShown, Sighting
from vmsim.serving import Serving, Supervisor

SCENARIO = """apiVersion: vmsim.dev/v1alpha1
kind: Scenario
metadata: {name: small}
spec:
  clusters: [{name: c, hosts: [{name: esx-1, cores: 4, memory: 16Gi}]}]
"""


class Server:
    """Nodes that can be listed and patched; it tells of no change by itself."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}

    def items(self, path: str) -> list[dict[str, Any]]:
        return list(self.nodes.values()) if path.endswith("/nodes") else []

    def listed(self, path: str) -> tuple[list[dict[str, Any]], str]:
        return self.items(path), "1"

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        raw = self.nodes.get(path.rpartition("/")[2])
        if raw is not None:
            raw["metadata"]["annotations"].update(body["metadata"]["annotations"])
        return {}


class Obedient:
    """A vSphere API that does what it is told."""

    def task(self, task: Task) -> Fault | None:
        return None

    def host(self, host: str, command: HostCommand) -> None:
        pass


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    (tmp_path / "small.yaml").write_text(SCENARIO)
    plan = load(tmp_path / "small.yaml")
    server = Server()
    server.nodes = {host.name: node(host) for host in plan.hosts}
    shown = Sighting({"esx-1": HostShown(True, True)}, {}, lambda name: True)
    with opened("memory", list(plan.hosts)) as backend:
        below = replace(backend, look=lambda: shown, effects=cast(Any, Obedient()))
        found = Supervisor(plan, below, cast(Any, server), Serving(stepped=True))
        found.system.begin()
        yield found
        found.outbox.close()


def test_maintenance_asked_for_on_vsphere_begins_at_the_second_at_which_it_was(
    supervisor: Supervisor,
) -> None:
    assert supervisor.step(0.0, False, ["vSphere"]) == 0.0
    assert supervisor.system.fleet.inventory.states[0] is HostState.ENTERING_MAINTENANCE
