"""The suite takes hosts out of service on vSphere's own API, as it must with anybody's controller.

`vmsim serve` on vcsim stands for that controller: it follows what a client does there.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from backends.kube_api import KubeApi
from backends.vsphere_endpoint import Endpoint
from backends.vsphere_session import Session
from features.kube import lab
from features.kube.hosts import NODES, is_lent
from vmsim.conformance import suite
from vmsim.conformance.report import Report, read
from vmsim.conformance.verify import verify
from vmsim.stepping import CONFIG_MAPS, NAME

pytestmark = [pytest.mark.kube, pytest.mark.vcsim, pytest.mark.timeout(600)]

EDITION = "2026-08"


def conform(folder: Path, *words: str) -> Report:
    command = [sys.executable, "-m", "vmsim", "conform", "--target", "kubernetes", "-o"]
    subprocess.run([*command, str(folder), *words], check=False, timeout=500)
    return read((folder / "report.json").read_bytes())


def chosen(words: str) -> list[str]:
    """Options for the cases of the edition whose names have these words."""
    found = [one.id for one in suite.cases() if words in one.name and one.edition == EDITION]
    assert found, words
    return [word for id in found for word in ("--only", id)]


def test_maintenance_is_asked_for_on_vsphere_and_hosts_are_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVC_INSECURE", "1")
    cases = [*chosen("when another host enters maintenance"), *chosen("whose host failed runs")]
    with (
        lab.serving(tmp_path / "lab", "vcsim", (EDITION,)) as kubeconfig,
        KubeApi(kubeconfig) as api,
    ):
        url = api.get(f"{CONFIG_MAPS}/{NAME}")["data"]["vsphere"]
        found = conform(tmp_path / "out", "--kubeconfig", str(kubeconfig), "--vsphere", url, *cases)
        events = api.items("/api/v1/namespaces/default/events")
        lent = [raw for raw in api.items(NODES) if is_lent(raw)]
        variables = {"GOVC_URL": url, "GOVC_INSECURE": "1"}
        with Session.connect(Endpoint.from_environment(variables)) as session:
            closed = [host.name for host in session.hosts().values() if host.in_maintenance]
    assert {(case.verdict, case.reason) for case in found.targets[0].cases} == {
        ("pass", ""),
        ("not testable", "host-failure: vSphere's API cannot make a host fail"),
    }
    asked = {one["message"] for one in events if one["reason"] == "AskedOnVSphere"}
    assert asked == {"enter maintenance mode", "exit maintenance mode"}
    assert (lent, closed) == ([], [])
    assert verify(tmp_path / "out") == []
