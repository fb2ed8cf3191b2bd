"""The suite on a real vSphere API: the same verdicts, and nothing is left behind."""

from pathlib import Path

import pytest
from judged import options

from backends.vcsim_inventory import write_inventory
from backends.vcsim_process import Vcsim
from vmsim.conformance import targets
from vmsim.conformance.session import Session
from vmsim.conformance.verify import verify
from vmsim.objects import HostSpec

pytestmark = pytest.mark.vcsim


def test_vcsim_is_judged_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    wanted = options("P-11", "P-03", targets=["vcsim"])
    found = Session(wanted, tmp_path).run([targets.target("vcsim")])
    assert (found.result, found.incomplete) == ("conformant", "")
    assert found.targets[0].played
    assert verify(tmp_path) == []


def test_a_vcenter_is_emptied_after_each_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = [HostSpec(f"esx-{n}", "cluster-zone-1", "zone-1", 16, 2600, 65536) for n in (1, 2)]
    write_inventory(tmp_path / "inventory", hosts)
    simulator = Vcsim()
    with simulator.start(tmp_path / "inventory"):
        url = simulator.endpoint.url
        monkeypatch.setenv("GOVC_URL", url)
        monkeypatch.setenv("GOVC_USERNAME", simulator.endpoint.user)
        monkeypatch.setenv("GOVC_PASSWORD", simulator.endpoint.password)
        monkeypatch.setenv("GOVC_INSECURE", "1")
        wanted = options("X-04", "T-03", "S-12", targets=["vsphere"])
        found = Session(wanted, tmp_path / "out").run([targets.target("vsphere")])
    said = {clause.id: clause.verdict for clause in found.targets[0].clauses}
    assert said["X-04"] == said["T-03"] == "pass"
    assert said["S-12"] == "not testable"
    assert verify(tmp_path / "out") == []
