"""Whatever goes wrong on the way to a vSphere API, a client of another process notices it."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from backends import driven
from backends.effects import VSphereEffects
from backends.soap_proxy import SoapProxy, called, changes, falsified, odds
from backends.unreliable import Mishap, Odds
from backends.vcsim_inventory import template_of, write_inventory
from backends.vcsim_process import Vcsim, find
from backends.vsphere_endpoint import Endpoint
from backends.vsphere_session import NewVM, Session
from features.target import Target
from features.vsphere import lab, profile
from features.vsphere.expected import rows
from vmsim.actions import Fault
from vmsim.conformance import suite, trial
from vmsim.conformance.verdicts import Verdict
from vmsim.objects import Hardware, HostSpec
from vmsim.ports import Backend, Believed
from vmsim.problems import BadInput, Unreachable

PATIENCE_S = 2.0
LATE_S = 4.0  # longer than any client here waits
ALWAYS = 1.0
HARMFUL = (Mishap.LOST, Mishap.MUTE, Mishap.LATE, Mishap.LIE)  # what is done twice may be right
STATE = b"<x><val>poweredOn</val></x>"


def envelope(name: str) -> bytes:
    return f'<e:Envelope><e:Body>\n<{name} xmlns="urn:vim25"/></e:Body></e:Envelope>'.encode()


@contextmanager
def api(told: list[str]) -> Iterator[Endpoint]:
    """An API that answers everything with one state, and tells what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(called(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Set-Cookie", "vmware_soap_session=1")
            self.end_headers()
            self.wfile.write(STATE)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Endpoint(f"http://127.0.0.1:{server.server_port}/sdk")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(mishap: Mishap | None, name: str = "PowerOnVM_Task") -> tuple[bytes | str, list[str]]:
    """The answer to a call to which this happens, and what the API was asked."""
    told: list[str] = []
    shares = {mishap: ALWAYS} if mishap else {}
    with api(told) as endpoint, SoapProxy(endpoint, Odds(shares, {}, late_s=LATE_S)) as proxy:
        try:
            with urllib.request.urlopen(proxy.url, envelope(name), PATIENCE_S) as answer:
                assert answer.headers["Set-Cookie"] == "vmware_soap_session=1"
                return answer.read(), told
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__, told


@pytest.mark.parametrize(
    ("mishap", "answer", "calls"),
    [
        (None, STATE, 1),
        (Mishap.LOST, "RemoteDisconnected", 0),
        (Mishap.MUTE, "RemoteDisconnected", 1),
        (Mishap.LATE, "TimeoutError", 1),
        (Mishap.TWICE, STATE, 2),
        (Mishap.LIE, b"<x><val>poweredOff</val></x>", 1),
    ],
)
def test_mishap_happens_to_the_call_and_its_answer(
    mishap: Mishap | None, answer: bytes | str, calls: int
) -> None:
    assert asked(mishap) == (answer, ["PowerOnVM_Task"] * calls)


def test_reads_have_odds_of_their_own() -> None:
    assert asked(Mishap.LOST, "RetrievePropertiesEx") == (STATE, ["RetrievePropertiesEx"])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("PowerOnVM_Task", True),
        ("CreateFolder", True),
        ("RegisterChildVM_Task", True),
        ("RetrievePropertiesEx", False),
        ("CreateContainerView", False),
        ("Login", False),
        ("", False),
    ],
)
def test_call_is_a_change_or_a_read(name: str, change: bool) -> None:
    assert changes(name) is change


def test_an_answer_without_a_state_is_cut_short() -> None:
    assert falsified(b"<returnval>task-1</returnval>") == b"<returnval>tas"
    assert falsified(b"<val>success</val>") == b"<val>error</val>"


def test_the_same_seed_gives_the_same_mishaps() -> None:
    def struck(seed: int) -> list[Mishap | None]:
        shares = {Mishap.LOST: 0.3, Mishap.TWICE: 0.3}
        with SoapProxy(Endpoint("http://127.0.0.1:1/sdk"), Odds(shares), seed) as proxy:
            return [proxy.strike("PowerOnVM_Task") for _ in range(30)]

    assert struck(1) == struck(1) != struck(2)


@pytest.mark.parametrize(
    "shares", [["lost"], ["lots=1"], ["lost=x"], ["lost=0"], ["lost=-1"], ["lost=0.7", "lie=0.7"]]
)
def test_odds_that_are_none_are_bad_input(shares: list[str]) -> None:
    with pytest.raises(BadInput):
        odds(shares)


def test_odds_are_those_that_were_asked_for() -> None:
    found = odds(["lost=0.1", "late=0.2"])
    assert found.requests == found.reads == {Mishap.LOST: 0.1, Mishap.LATE: 0.2}


def _cli(*words: str, **variables: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "vmsim", "vcsim", "faults", *words]
    env = {**os.environ, **variables}
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_command_serves_until_it_is_interrupted_and_counts_what_went_wrong() -> None:
    told: list[str] = []
    with api(told) as endpoint, _cli("twice=1", GOVC_URL=endpoint.url) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip().removeprefix("export GOVC_URL=")
        with urllib.request.urlopen(url, envelope("Login"), 10.0):
            pass
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10.0) == ("# done twice: 1\n", "")
    assert (process.returncode, told) == (0, ["Login", "Login"])


@pytest.mark.parametrize(
    ("words", "url", "code"),
    [
        (["lots=1"], "http://127.0.0.1:1/sdk", 2),
        (["lost=1"], "ftp://127.0.0.1", 2),
        (["lost=1"], "http://127.0.0.1:1/sdk", 4),
    ],
)
def test_command_refuses_what_it_cannot_do(words: list[str], url: str, code: int) -> None:
    with _cli(*words, GOVC_URL=url) as process:
        said = process.communicate(timeout=20.0)[1]
    assert process.returncode == code
    assert said and "Traceback" not in said


# On vcsim: clients of our own, which do not know of the proxy.


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vcsim]:
    """A vcsim with the hosts of the profile."""
    folder = tmp_path_factory.mktemp("vcsim") / "inventory"
    program = find()
    write_inventory(folder, lab.HOSTS, template=template_of(program))
    with Vcsim(program).start(folder) as simulator:
        yield simulator


@pytest.mark.vcsim
@pytest.mark.parametrize("kind", ["requests", "reads"])
@pytest.mark.parametrize("mishap", HARMFUL)
def test_session_reports_no_success_that_it_did_not_see(
    mishap: Mishap, kind: str, simulator: Vcsim
) -> None:
    new = NewVM(f"ns/{mishap.name.lower()}-{kind}", "esx-1", Hardware(1, 1024))
    with SoapProxy(simulator.endpoint, Odds(late_s=LATE_S)) as proxy:
        endpoint = replace(simulator.endpoint, url=proxy.url)
        with Session.connect(endpoint, PATIENCE_S) as session:
            proxy.odds = replace(proxy.odds, **{kind: {mishap: ALWAYS}})
            outcome: Fault | Unreachable | None
            try:
                outcome = session.create(new)
            except Unreachable as error:
                outcome = error
            proxy.odds = Odds()
    assert proxy.strikes.struck[mishap]
    assert outcome is not None, "a creation of which nothing is known counts as done"


def _kept(check: str) -> bool:
    """Whether vcsim does what this check of the profile wants."""
    return set(rows()[check].verdicts.values()) == {profile.CONFORMS}


@pytest.mark.vcsim
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mishap", HARMFUL)
def test_profile_of_an_api_behind_mishaps_never_conforms(
    mishap: Mishap, simulator: Vcsim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "CALL_S", PATIENCE_S)
    chosen = [check for check in profile.CHECKS if _kept(check.id)][:2]
    with SoapProxy(simulator.endpoint, Odds(late_s=LATE_S)) as proxy:
        endpoint = replace(simulator.endpoint, url=proxy.url)

        @contextmanager
        def opened() -> Iterator[lab.Lab]:
            proxy.odds = replace(proxy.odds, requests={})
            with lab.connected(endpoint) as found:
                proxy.odds = replace(proxy.odds, requests={mishap: ALWAYS})
                yield found

        verdicts = {found.check: found.verdict for found in profile.judge_all(opened, chosen)}
    assert len(verdicts) == 2 and profile.CONFORMS not in verdicts.values(), verdicts


def judged(odds: Odds, seed: int) -> tuple[Verdict, list[str], int]:
    """What is said of a case whose vcsim is behind a proxy, what is truly different at its end,
    and how many mishaps there were."""
    case = next(case for case in suite.cases() if case.clauses == ("P-11",))
    truth: list[str] = []
    struck: list[int] = []

    @contextmanager
    def opened(hosts: Sequence[HostSpec]) -> Iterator[Backend]:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory())) / "inventory"
            write_inventory(folder, hosts)
            simulator = stack.enter_context(Vcsim().start(folder))
            straight = stack.enter_context(Session.connect(simulator.endpoint))
            proxy = stack.enter_context(SoapProxy(simulator.endpoint, Odds(), seed))
            behind = replace(simulator.endpoint, url=proxy.url)
            session = stack.enter_context(Session.connect(behind, PATIENCE_S))
            backend = driven("vcsim", session)
            proxy.odds = odds

            def compare(believed: Iterable[Believed]) -> list[str]:
                picture = list(believed)
                truth.extend(VSphereEffects(straight).compare(picture))
                return backend.compare(picture)

            try:
                yield replace(backend, compare=compare)
            finally:
                proxy.odds = Odds()
                struck.append(proxy.strikes.struck.total())

    @contextmanager
    def supervisor() -> Iterator[Target]:
        with ExitStack() as stack:
            yield Target(opened, stack)

    evidence = trial.run(case, supervisor, {})
    return trial.judge(case, evidence).verdict, truth, sum(struck)


@pytest.mark.vcsim
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mishap", Mishap)
def test_case_behind_mishaps_passes_only_if_it_is_true(mishap: Mishap) -> None:
    found = [judged(Odds({mishap: 0.7}, {mishap: 0.1}, late_s=LATE_S), seed) for seed in (1, 2)]
    for verdict, truth, _ in found:
        assert verdict in (Verdict.FAIL, Verdict.UNKNOWN) or not truth
    assert all(struck for _, _, struck in found)
    if mishap in HARMFUL:
        assert {verdict for verdict, _, _ in found} <= {Verdict.FAIL, Verdict.UNKNOWN}
