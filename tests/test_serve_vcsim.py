"""vcsim with a brain: what clients do on its own API is noticed, and our roles see to it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.vcsim_inventory import write_inventory
from backends.vcsim_process import Vcsim
from backends.vsphere_session import Endpoint, HostVerb, NewVM, Session
from tests.serving import Served
from tests.test_serve import apply, condition, is_on, scenario
from vmsim.loading import load
from vmsim.objects import Hardware

pytestmark = [pytest.mark.kube, pytest.mark.vcsim, pytest.mark.timeout(600)]

WORDS = ("--speed", "60", "--backend", "vcsim")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("vcsim")
    with Served(scenario(folder, "2026-08"), folder, *WORDS) as there:
        yield there


@pytest.fixture
def vsphere(served: Served) -> Iterator[Session]:
    """A client of the vcsim, found as `vmsim serve` tells users."""
    variables = dict(re.findall(r"^export (GOVC_\w+)=(\S+)$", served.log, re.MULTILINE))
    with Session.connect(Endpoint.from_environment(variables)) as session:
        yield session


def running(served: Served, name: str) -> str:
    """Apply a VM, and wait until it runs; its host."""
    apply(served, name)
    served.eventually(lambda: is_on(served, name))
    return str(served.vm(name)["nodeName"])


def test_host_that_a_vsphere_client_puts_into_maintenance_is_emptied(
    served: Served, vsphere: Session
) -> None:
    host = running(served, "moved")

    assert vsphere.command(HostVerb.ENTER_MAINTENANCE, host) is None

    served.eventually(lambda: condition(served, host, "Maintenance") == "True", 60)
    assert served.vm("moved")["nodeName"] != host
    assert is_on(served, "moved")
    there = vsphere.vms()["demo/moved"]
    assert (there.host, there.powered_on) == (served.vm("moved")["nodeName"], True)
    assert vsphere.hosts()[host].in_maintenance
    assert "SchedulingDisabled" in served.kubectl("get", "node", host)

    assert vsphere.command(HostVerb.EXIT_MAINTENANCE, host) is None

    served.eventually(lambda: condition(served, host, "Ready") == "True", 60)
    assert "SchedulingDisabled" not in served.kubectl("get", "node", host)
    assert not vsphere.hosts()[host].in_maintenance
    assert served.kubectl("describe", "node", host).count("AskedOnVSphere") == 2


def test_vm_that_is_powered_off_on_vsphere_is_powered_on_again(
    served: Served, vsphere: Session
) -> None:
    running(served, "switched")

    assert vsphere.power_off("demo/switched") is None

    served.eventually(lambda: not is_on(served, "switched"))
    served.eventually(lambda: is_on(served, "switched"), 60)
    assert vsphere.vms()["demo/switched"].powered_on
    assert "Administrator" in served.kubectl("describe", "vm", "switched", "-n", "demo")


def test_vm_that_is_deleted_on_vsphere_is_made_again(served: Served, vsphere: Session) -> None:
    running(served, "deleted")
    before = vsphere.vms()["demo/deleted"].moref

    assert vsphere.power_off("demo/deleted") is None
    assert vsphere.destroy("demo/deleted") is None

    served.eventually(lambda: "demo/deleted" in vsphere.vms(), 60)
    served.eventually(lambda: is_on(served, "deleted"), 60)
    again = vsphere.vms()["demo/deleted"]
    assert again.powered_on
    assert again.moref != before


def test_host_that_is_disconnected_takes_no_vm_until_it_is_connected_again(
    served: Served, vsphere: Session
) -> None:
    host = running(served, "cut-off")

    assert vsphere.command(HostVerb.DISCONNECT, host) is None

    served.eventually(lambda: condition(served, host, "Ready") == "Unknown")
    assert vsphere.vms()["demo/cut-off"].powered_on
    assert running(served, "elsewhere") != host

    assert vsphere.command(HostVerb.RECONNECT, host) is None

    served.eventually(lambda: condition(served, host, "Ready") == "True")
    assert is_on(served, "cut-off")


def test_vm_of_somebody_else_is_told_of(served: Served, vsphere: Session) -> None:
    assert vsphere.create(NewVM("guest", "esx-1", Hardware(1, 512))) is None
    served.eventually(lambda: "guest is on the vSphere API and not ours" in served.log)


def test_vms_are_made_again_when_serve_was_killed(tmp_path: Path) -> None:
    served = Served(scenario(tmp_path, "2026-08"), tmp_path, *WORDS).start()
    try:
        running(served, "real")
        served.kill()
        served.start()
        assert "1 VMs taken up" in served.log
        assert "vcsim had forgotten 1 VMs; they were made again" in served.log
        assert is_on(served, "real")
        served.kubectl("delete", "vm", "real", "-n", "demo", "--timeout=60s")
    finally:
        served.stop()


def test_vms_of_a_vcsim_that_outlives_serve_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_inventory(tmp_path / "inventory", load(scenario(tmp_path, "2026-08")).hosts)
    with Vcsim().start(tmp_path / "inventory") as simulator:
        monkeypatch.setenv("VMSIM_VCSIM", simulator.url)
        served = Served(scenario(tmp_path, "2026-08"), tmp_path, *WORDS).start()
        try:
            running(served, "kept")
            running(served, "lost")
            served.kill()
            with Session.connect(simulator.endpoint) as session:
                before = session.vms()
                assert session.power_off("demo/lost") is None
                assert session.destroy("demo/lost") is None

            served.start()

            assert "2 VMs taken up" in served.log
            assert "vcsim had forgotten 1 VMs" in served.log
            served.eventually(lambda: is_on(served, "lost"), 60)
            assert is_on(served, "kept")
            with Session.connect(simulator.endpoint) as session:
                after = session.vms()
            assert after["demo/kept"] == before["demo/kept"]
            assert after["demo/lost"].powered_on
            assert len(after) == 2
        finally:
            served.stop()
