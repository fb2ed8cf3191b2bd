"""What a session reads, does and refuses; and what it says when a vCenter cannot be reached."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from pyVmomi import vim

from backends.vcsim_process import Vcsim, find
from backends.vsphere_endpoint import Endpoint
from backends.vsphere_reads import from_inventory_name, to_inventory_name
from backends.vsphere_session import HostVerb, NewVM, Session, TaskRef
from vmsim.actions import Verb
from vmsim.objects import Hardware, PowerState
from vmsim.problems import BadInput, Unreachable

needs_vcsim = [pytest.mark.vcsim, pytest.mark.timeout(900)]  # the first one may build vcsim


# ---------------------------------------------------------------------------------- endpoint


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("vc.lab", "https://vc.lab/sdk"),
        ("vc.lab:8989", "https://vc.lab:8989/sdk"),
        ("https://vc.lab", "https://vc.lab/sdk"),
        ("https://user:pass@vc.lab/sdk", "https://vc.lab/sdk"),
        ("http://127.0.0.1:80/", "http://127.0.0.1:80/sdk"),
        ("[::1]:8989", "https://[::1]:8989/sdk"),
    ],
)
def test_an_address_gets_the_scheme_and_the_path_that_govc_gives_it(address: str, url: str) -> None:
    assert Endpoint.from_environment({"GOVC_URL": address}).url == url


def test_user_and_password_come_from_the_url_with_their_escapes_resolved() -> None:
    endpoint = Endpoint.from_environment({"GOVC_URL": "https://a%40lab:p%2Fw@vc.lab"})

    assert (endpoint.user, endpoint.password) == ("a@lab", "p/w")


def test_user_and_password_of_the_environment_win_over_the_url() -> None:
    env = {"GOVC_URL": "https://a:b@vc.lab", "GOVC_USERNAME": "c", "GOVC_PASSWORD": "d"}

    endpoint = Endpoint.from_environment(env)

    assert (endpoint.user, endpoint.password) == ("c", "d")


@pytest.mark.parametrize(
    ("word", "insecure"), [("1", True), ("true", True), ("TRUE", True), ("0", False), ("", False)]
)
def test_tls_is_verified_unless_insecure_is_asked_for(word: str, insecure: bool) -> None:
    env = {"GOVC_URL": "vc.lab", "GOVC_INSECURE": word}

    assert Endpoint.from_environment(env).insecure is insecure


def test_all_unusable_values_are_named_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        Endpoint.from_environment({"GOVC_URL": "ftp://vc.lab", "GOVC_INSECURE": "perhaps"})

    assert [problem.field for problem in caught.value.problems] == ["GOVC_URL", "GOVC_INSECURE"]


@pytest.mark.parametrize("address", ["", "https://", "vc.lab:port", "vc.lab:99999", "two words"])
def test_an_address_without_a_usable_host_and_port_is_bad_input(address: str) -> None:
    with pytest.raises(BadInput):
        Endpoint.from_environment({"GOVC_URL": address})


def test_the_password_is_not_printed() -> None:
    assert "secret" not in repr(Endpoint("https://vc.lab/sdk", "user", "secret"))


@pytest.mark.parametrize("key", ["ns/web", "ns/web.example.com", "foreign", "ns/"])
def test_a_key_survives_the_way_to_an_inventory_name_and_back(key: str) -> None:
    assert from_inventory_name(to_inventory_name(key)) == key


@pytest.mark.parametrize("key", ["a.b/web", "ns/web/disk", "no.namespace"])
def test_a_key_that_would_come_back_as_another_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="no key of a VM"):
        to_inventory_name(key)


# ------------------------------------------------------------------- what stands in the way


@contextmanager
def web_server(answer: bytes) -> Iterator[str]:
    """The URL of a server that gives this answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/sdk"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("answer", [b"<html>hello</html>", b"plain text", b""])
def test_a_web_server_that_is_no_vcenter_is_named_as_such(answer: bytes) -> None:
    with web_server(answer) as url, pytest.raises(Unreachable, match="no vSphere API"):
        Session.connect(Endpoint(url))


def test_a_closed_port_is_unreachable_and_says_what_to_check() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/sdk"

        with pytest.raises(Unreachable, match=r"Connection refused.*GOVC_URL"):
            Session.connect(Endpoint(url))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_never_answers_is_given_up_after_the_time_out(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/sdk"

        with pytest.raises(Unreachable, match="did not answer in time"):
            Session.connect(Endpoint(url), timeout_s=0.2)


def test_a_server_that_speaks_no_http_is_unreachable() -> None:
    with web_server(b"") as url, pytest.raises(Unreachable, match="cannot be reached"):
        Session.connect(Endpoint(url.replace("http:", "https:"), insecure=True))


# ------------------------------------------------------------------------------- with vcsim


@pytest.fixture(scope="module")
def simulator() -> Iterator[Vcsim]:
    options = ["-vm=0", "-cluster=2", "-host=3", "-standalone-host=0"]
    with Vcsim(find()).start(extra_args=options) as running:
        yield running


@pytest.fixture
def session(simulator: Vcsim) -> Iterator[Session]:
    """A session at a vcsim in which no VM is left over from the test before."""
    with Session.connect(simulator.endpoint) as connected:
        for key, vm in connected.vms().items():
            if vm.powered_on:
                connected.power_off(key)
            connected.destroy(key)
        yield connected


HERE, THERE, ELSEWHERE = "DC0_C0_H0", "DC0_C0_H1", "DC0_C1_H0"  # ELSEWHERE is another cluster


@pytest.mark.vcsim
class TestWithVcsim:
    pytestmark = needs_vcsim

    def test_the_simulator_is_recognised_and_the_change_of_pyvmomi_noted(
        self, session: Session
    ) -> None:
        assert session.is_simulator
        assert session.about.api == "8.0.3.0"
        assert [note for note in session.notes if "0.53" in note]

    def test_hosts_are_read_with_cluster_hardware_and_datastores(self, session: Session) -> None:
        hosts = session.hosts()

        assert len(hosts) == 6
        host = hosts[HERE]
        assert (host.cluster, host.cpu_cores, host.cpu_mhz) == ("DC0_C0", 2, 2294)
        assert (host.connected, host.in_maintenance) == (True, False)
        assert host.memory_mib == 4095
        assert host.datastores == ("LocalDS_0",)

    def test_a_created_vm_is_seen_off_on_its_host_with_its_hardware(self, session: Session) -> None:
        instance, bios = (f"{digit}0000000-0000-4000-8000-000000000000" for digit in "12")
        hardware = Hardware(3, 2048, 500, 512, 3000, None, "efi")
        new = NewVM("ns/a.b", HERE, hardware, instance_uuid=instance, bios_uuid=bios)

        assert session.create(new) is None

        seen = session.vms()["ns/a.b"]
        assert (seen.host, seen.power, seen.hardware) == (HERE, PowerState.OFF, hardware)
        assert (seen.instance_uuid, seen.bios_uuid) == (instance, bios)

    def test_a_vm_that_is_off_is_resized_and_one_that_is_not_there_is_not_found(
        self, session: Session
    ) -> None:
        wanted = Hardware(4, 4096, 0, 1024, None, 2048)
        session.create(NewVM("ns/a", HERE, Hardware(1, 64, 100, 32, 1000, 64)))

        assert session.resize("ns/a", wanted) is None

        assert session.vms()["ns/a"].hardware == wanted
        fault = session.resize("ns/zz", wanted)
        assert fault is not None and fault.name == "NotFound"

    def test_power_states_are_read_as_they_change(self, session: Session) -> None:
        session.create(NewVM("ns/a", HERE, Hardware(1, 64)))
        states = []
        for verb in (Verb.POWER_ON, Verb.SUSPEND, Verb.POWER_ON, Verb.POWER_OFF):
            assert session.wait([session.submit(verb, "ns/a")]) == [None]
            states.append(session.vms()["ns/a"].power.value)

        assert states == ["PoweredOn", "Suspended", "PoweredOn", "PoweredOff"]

    @pytest.mark.parametrize("host", [THERE, ELSEWHERE])
    def test_a_running_vm_is_relocated_within_and_across_clusters(
        self, session: Session, host: str
    ) -> None:
        session.create(NewVM("ns/a", HERE, Hardware(1, 64)))
        session.power_on("ns/a")

        assert session.relocate("ns/a", host) is None

        assert session.vms()["ns/a"].host == host
        pools = dict(session.read(vim.VirtualMachine, ["resourcePool"]))
        clusters = dict(session.read(vim.ComputeResource, ["name", "resourcePool"]))
        (pool,) = [read["resourcePool"] for read in pools.values()]
        assert [c["name"] for c in clusters.values() if c["resourcePool"] == pool] == [host[:6]]

    def test_a_destroyed_vm_is_gone_and_its_name_free(self, session: Session) -> None:
        session.create(NewVM("ns/a", HERE, Hardware(1, 64)))

        assert session.destroy("ns/a") is None

        assert session.vms() == {}
        assert session.create(NewVM("ns/a", HERE, Hardware(1, 64))) is None

    def test_a_vm_that_another_client_destroyed_leaves_its_name_free(
        self, session: Session
    ) -> None:
        session.create(NewVM("ns/a", HERE, Hardware(1, 64)))
        with Session.connect(session.endpoint) as other:
            assert other.destroy("ns/a") is None

        assert session.create(NewVM("ns/a", HERE, Hardware(1, 64))) is None

    def test_a_vm_whose_destruction_failed_keeps_its_name(self, session: Session) -> None:
        session.create(NewVM("ns/a", HERE, Hardware(1, 64)))
        session.power_on("ns/a")

        faults = [session.destroy("ns/a"), session.create(NewVM("ns/a", THERE, Hardware(1, 64)))]

        assert [fault and fault.name for fault in faults] == ["InvalidPowerState", "DuplicateName"]

    def test_a_wrong_power_state_is_the_fault_of_that_name(self, session: Session) -> None:
        session.create(NewVM("ns/a", HERE, Hardware(1, 64)))

        faults = [session.power_off("ns/a"), session.power_on("ns/a"), session.power_on("ns/a")]

        assert [fault and fault.name for fault in faults] == [
            "InvalidPowerState",
            None,
            "InvalidPowerState",
        ]

    def test_a_host_in_maintenance_powers_nothing_on_until_it_leaves(
        self, session: Session
    ) -> None:
        session.create(NewVM("ns/a", HERE, Hardware(1, 64)))

        assert session.command(HostVerb.ENTER_MAINTENANCE, HERE) is None
        refused = session.power_on("ns/a")
        seen = session.hosts()[HERE].in_maintenance
        assert session.command(HostVerb.EXIT_MAINTENANCE, HERE) is None

        assert refused is not None and refused.name == "InvalidState"
        assert seen is True
        assert session.power_on("ns/a") is None

    def test_a_disconnected_host_is_seen_so_until_it_is_reconnected(self, session: Session) -> None:
        assert session.command(HostVerb.DISCONNECT, HERE) is None
        assert session.hosts()[HERE].connected is False
        assert session.command(HostVerb.RECONNECT, HERE) is None
        assert session.hosts()[HERE].connected is True

    def test_what_would_kill_vcsim_is_refused_before_the_call(self, session: Session) -> None:
        fault = session.create(NewVM("ns/a", HERE, Hardware(1, 64), datastore="nowhere"))

        assert fault is not None and fault.name == "NoCompatibleHost"
        assert session.vms() == {}

    def test_a_second_vm_of_one_name_is_refused_also_by_a_new_session(
        self, session: Session, simulator: Vcsim
    ) -> None:
        session.create(NewVM("ns/a", HERE, Hardware(1, 64)))

        with Session.connect(simulator.endpoint) as other:
            fault = other.create(NewVM("ns/a", THERE, Hardware(1, 64)))

        assert fault is not None and fault.name == "DuplicateName"

    def test_unknown_names_are_not_found(self, session: Session) -> None:
        session.create(NewVM("ns/a", HERE, Hardware(1, 64)))
        faults = [
            session.power_on("ns/zz"),
            session.relocate("ns/a", "esx-zz"),
            session.create(NewVM("ns/b", "esx-zz", Hardware(1, 64))),
            session.command(HostVerb.ENTER_MAINTENANCE, "esx-zz"),
        ]

        assert [fault and fault.name for fault in faults] == ["NotFound"] * 4

    def test_a_vm_that_somebody_else_made_and_deleted_is_found_and_missed(
        self, session: Session, simulator: Vcsim
    ) -> None:
        assert session.vms() == {}
        with Session.connect(simulator.endpoint) as other:
            other.create(NewVM("ns/a", HERE, Hardware(1, 64)))
            assert session.power_on("ns/a") is None
            other.power_off("ns/a")
            other.destroy("ns/a")

        fault = session.power_on("ns/a")

        assert fault is not None and fault.name in ("ManagedObjectNotFound", "NotFound")

    def test_a_vm_that_somebody_else_deleted_cannot_be_relocated(
        self, session: Session, simulator: Vcsim
    ) -> None:
        session.create(NewVM("ns/a", HERE, Hardware(1, 64)))
        with Session.connect(simulator.endpoint) as other:
            other.destroy("ns/a")

        fault = session.relocate("ns/a", THERE)

        assert fault is not None and fault.name in ("ManagedObjectNotFound", "NotFound")

    def test_a_task_that_the_server_forgot_has_an_unknown_outcome(self, session: Session) -> None:
        (fault,) = session.wait([TaskRef("task-987654321")])

        assert fault is not None and fault.unknown

    def test_a_session_that_was_ended_is_unreachable_for_reads_and_operations(
        self, simulator: Vcsim
    ) -> None:
        with Session.connect(simulator.endpoint) as ended:
            ended._content.sessionManager.Logout()

            for call in (ended.vms, lambda: ended.command(HostVerb.ENTER_MAINTENANCE, HERE)):
                with pytest.raises(Unreachable, match="ended our session"):
                    call()

    def test_many_vms_are_powered_on_at_once_and_each_has_its_outcome(
        self, session: Session
    ) -> None:
        keys = [f"ns/v{number}" for number in range(30)]
        started = [session.submit_create(NewVM(key, HERE, Hardware(1, 64))) for key in keys]
        assert session.wait(started) == [None] * 30
        session.power_on(keys[3])

        outcomes = session.power_on_many([*keys, "ns/zz"])

        names = [fault and fault.name for fault in outcomes]
        assert names == [None] * 3 + ["InvalidPowerState"] + [None] * 26 + ["NotFound"]
        assert all(vm.powered_on for vm in session.vms().values())

    def test_reading_in_pages_gives_every_vm(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys = {f"ns/v{number}" for number in range(7)}
        session.wait([session.submit_create(NewVM(key, HERE, Hardware(1, 64))) for key in keys])
        monkeypatch.setattr("backends.vsphere_reads.PAGE", 3)

        assert set(session.vms()) == keys

    def test_a_datacenter_that_is_not_there_is_named_with_those_that_are(
        self, simulator: Vcsim
    ) -> None:
        env = {"GOVC_URL": simulator.url, "GOVC_INSECURE": "1", "GOVC_DATACENTER": "DC9"}

        with pytest.raises(Unreachable, match=r"DC9.*one of: DC0"):
            Session.connect(Endpoint.from_environment(env))

    def test_a_certificate_that_nobody_signed_is_refused(self, simulator: Vcsim) -> None:
        with pytest.raises(Unreachable, match=r"certificate.*GOVC_INSECURE"):
            Session.connect(Endpoint.from_environment({"GOVC_URL": simulator.url}))

    def test_a_wrong_password_is_unreachable_and_names_the_user(self) -> None:
        options = ["-vm=0", "-host=1", "-username=admin", "-password=right"]
        with Vcsim(find()).start(extra_args=options) as guarded:
            url = guarded.endpoint.url
            with pytest.raises(Unreachable, match="refuses user 'admin'"):
                Session.connect(Endpoint(url, "admin", "wrong", insecure=True))
            Session.connect(Endpoint(url, "admin", "right", insecure=True)).close()

    def test_a_process_that_dies_is_unreachable_at_the_next_call(self) -> None:
        with Vcsim(find()).start(extra_args=["-vm=0", "-host=1"]) as doomed:
            session = Session.connect(doomed.endpoint)
            doomed.stop()

            with pytest.raises(Unreachable, match="cannot be reached"):
                session.vms()
            session.close()

    def test_a_process_that_hangs_is_unreachable_after_the_time_out(self) -> None:
        with Vcsim(find()).start(extra_args=["-vm=0", "-host=1"]) as wedged:
            session = Session.connect(wedged.endpoint, timeout_s=0.3)
            os.kill(wedged.pid, signal.SIGSTOP)
            try:
                with pytest.raises(Unreachable, match="did not answer in time"):
                    session.vms()
            finally:
                os.kill(wedged.pid, signal.SIGCONT)
            session.close()

    def test_a_task_that_does_not_end_in_time_has_an_unknown_outcome(self) -> None:
        options = ["-vm=0", "-host=1", "-method-delay=CreateVm:2000,LockHandoff:0"]
        with (
            Vcsim(find()).start(extra_args=options) as slow,
            Session.connect(slow.endpoint) as session,
        ):
            task = session.submit_create(NewVM("ns/a", HERE, Hardware(1, 64)))

            (fault,) = session.wait([task], timeout_s=0.2)

        assert fault is not None and fault.unknown
