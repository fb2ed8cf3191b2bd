"""A vcsim that starts with given hosts and VMs has them, and can work with them."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.vcsim_inventory import PlacedVM, template_of, write_inventory
from backends.vcsim_process import Vcsim
from backends.vsphere_session import HostVerb, NewVM, Session
from vmsim.objects import Hardware, HostSpec, HostState, PowerState

pytestmark = [pytest.mark.vcsim, pytest.mark.timeout(900)]  # the first one may build vcsim

BOTH, LEFT, RIGHT = ("left", "right", "shared"), ("left", "shared"), ("right",)


def host(name: str, cluster: str = "one", stores: tuple[str, ...] = BOTH) -> HostSpec:
    return HostSpec(name, cluster, "z", 64, 2600, 1_048_576, datastores=stores)


HOSTS = [
    host("esx-1"),
    host("esx-2"),
    host("esx-3", "two", LEFT),
    host("esx-4", "two", RIGHT),
    host("esx-5", "two"),
]
VMS = [
    PlacedVM("ns/on", "esx-1", True, 4, 8192),
    PlacedVM("ns/off", "esx-2", False, 2, 2048),
    PlacedVM("ns/lost", "esx-3"),
    PlacedVM(
        "other/exact",
        "esx-1",
        instance_uuid="10000000-0000-4000-8000-000000000000",
        bios_uuid="20000000-0000-4000-8000-000000000000",
    ),
]
STATES = {"esx-3": HostState.DOWN, "esx-5": HostState.MAINTENANCE}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    write_inventory(tmp_path / "inventory", HOSTS, VMS, STATES)
    with (
        Vcsim().start(tmp_path / "inventory") as simulator,
        Session.connect(simulator.endpoint) as connected,
    ):
        yield connected


def test_hosts_have_the_hardware_cluster_and_datastores_that_were_given(session: Session) -> None:
    hosts = session.hosts()

    assert sorted(hosts) == ["esx-1", "esx-2", "esx-3", "esx-4", "esx-5"]
    for seen in hosts.values():
        assert (seen.cpu_cores, seen.cpu_mhz, seen.memory_mib) == (64, 2600, 1_048_576)
    assert [hosts[f"esx-{n}"].cluster for n in range(1, 6)] == ["one", "one", "two", "two", "two"]
    assert hosts["esx-4"].datastores == RIGHT
    assert hosts["esx-1"].datastores == BOTH


def test_a_host_starts_in_maintenance_or_without_connection_when_told(session: Session) -> None:
    hosts = session.hosts()

    assert {name: (h.connected, h.in_maintenance) for name, h in hosts.items()} == {
        "esx-1": (True, False),
        "esx-2": (True, False),
        "esx-3": (False, False),
        "esx-4": (True, False),
        "esx-5": (True, True),
    }


def test_vms_are_where_and_what_was_given(session: Session) -> None:
    seen = session.vms()

    assert {
        key: (vm.host, vm.power, vm.connected, vm.hardware.cpus, vm.hardware.memory_mib)
        for key, vm in seen.items()
    } == {
        "ns/on": ("esx-1", PowerState.ON, True, 4, 8192),
        "ns/off": ("esx-2", PowerState.OFF, True, 2, 2048),
        "ns/lost": ("esx-3", PowerState.ON, False, 1, 1024),
        "other/exact": ("esx-1", PowerState.ON, True, 1, 1024),
    }
    assert seen["other/exact"].instance_uuid == "10000000-0000-4000-8000-000000000000"
    assert seen["other/exact"].bios_uuid == "20000000-0000-4000-8000-000000000000"
    assert len({vm.instance_uuid for vm in seen.values()} | {"", "x"}) == 6


def test_the_api_version_is_one_that_pyvmomi_can_use_fully(session: Session) -> None:
    assert session.is_simulator
    assert session.about.api == "8.0.3.0"


def test_a_loaded_vm_goes_through_its_whole_life(session: Session) -> None:
    steps = [
        session.power_on("ns/off"),
        session.relocate("ns/off", "esx-1"),
        session.relocate("ns/off", "esx-5"),
        session.power_off("ns/off"),
        session.destroy("ns/off"),
    ]

    assert steps == [None] * 5
    assert "ns/off" not in session.vms()


@pytest.mark.parametrize("name", ["esx-1", "esx-4", "esx-5"])
def test_a_vm_is_created_on_every_host_of_every_cluster(session: Session, name: str) -> None:
    assert session.create(NewVM("new/vm", name, Hardware(2, 512))) is None

    seen = session.vms()
    assert seen["new/vm"].host == name
    assert len(seen) == 5


def test_created_vms_go_through_their_whole_life_too(session: Session) -> None:
    steps = [
        session.create(NewVM("new/vm", "esx-1", Hardware(2, 512))),
        session.power_on("new/vm"),
        session.relocate("new/vm", "esx-2"),
        session.power_off("new/vm"),
        session.destroy("new/vm"),
    ]

    assert steps == [None] * 5


def test_a_move_to_a_host_without_the_vms_datastore_is_refused(session: Session) -> None:
    fault = session.relocate("ns/off", "esx-4")

    assert fault is not None and fault.name == "NoCompatibleHost"
    assert session.destroy("ns/off") is None


def test_a_loaded_host_enters_and_leaves_maintenance(session: Session) -> None:
    session.create(NewVM("new/vm", "esx-5", Hardware(1, 64)))
    refused = session.power_on("new/vm")

    assert session.command(HostVerb.EXIT_MAINTENANCE, "esx-5") is None
    assert refused is not None and refused.name == "InvalidState"
    assert session.power_on("new/vm") is None
    assert session.command(HostVerb.ENTER_MAINTENANCE, "esx-2") is None
    assert session.hosts()["esx-2"].in_maintenance


def test_the_same_inventory_is_written_the_same_twice(tmp_path: Path) -> None:
    template = template_of()
    for folder in ("a", "b"):
        write_inventory(tmp_path / folder, HOSTS, VMS, STATES, template)

    written = [
        {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        for folder in ("a", "b")
    ]

    assert written[0] == written[1]


def test_a_vm_on_an_unknown_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="esx-9"):
        write_inventory(tmp_path / "inventory", HOSTS, [PlacedVM("ns/a", "esx-9")])


def test_a_folder_that_holds_something_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()

    with pytest.raises(ValueError, match="not empty"):
        write_inventory(tmp_path, HOSTS)


def test_names_with_markup_arrive_unchanged(tmp_path: Path) -> None:
    odd = host("esx <1> & co", "a & b", ("d <&> s",))
    write_inventory(tmp_path / "inventory", [odd], [PlacedVM("ns/a", odd.name)])

    with (
        Vcsim().start(tmp_path / "inventory") as simulator,
        Session.connect(simulator.endpoint) as session,
    ):
        seen = session.hosts()[odd.name]
        assert (seen.cluster, seen.datastores) == ("a & b", ("d <&> s",))
        assert session.vms()["ns/a"].host == odd.name


def test_128_hosts_with_10000_vms_are_written_loaded_and_read_in_time(tmp_path: Path) -> None:
    hosts = [host(f"esx-{number:03d}", f"c{number % 4}") for number in range(128)]
    vms = [PlacedVM(f"ns/vm-{number}", hosts[number % 128].name) for number in range(10_000)]
    template = template_of()

    started_s = time.monotonic()
    write_inventory(tmp_path / "inventory", hosts, vms, template=template)
    with Vcsim().start(tmp_path / "inventory") as simulator:
        loaded_s = time.monotonic()
        with Session.connect(simulator.endpoint) as session:
            seen = session.vms()
            read_s = time.monotonic()

    assert {vm.key: vm.host for vm in vms} == {key: vm.host for key, vm in seen.items()}
    assert loaded_s - started_s < 60, "about 8 s when nothing else runs"
    assert read_s - loaded_s < 30, "about 2 s when nothing else runs"
