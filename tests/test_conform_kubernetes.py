"""The target `kubernetes` when what is behind the kubeconfig is not as it should be.

The API server here is a stub that answers with what a test gives it; tests/test_conform_kube.py has
the real one.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from judged import options
from typer.testing import CliRunner

from backends.vsphere_reads import VMSeen
from features.kube import clocks, leftovers
from features.kube import cluster as clusters
from features.kube.clocks import RealTime, StepTime
from features.kube.inventory import differences
from features.kube.refusals import reasons, warning
from features.kube.target import KubeTarget
from vmsim.cli import app
from vmsim.conformance import targets
from vmsim.conformance.session import Session
from vmsim.conformance.verify import verify
from vmsim.objects import Hardware, PowerState
from vmsim.problems import Unreachable

GROUP = "/apis/vmoperator.vmware.com"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
ABOUT = "/api/v1/namespaces/kube-system/configmaps/vmsim-serve"
runner = CliRunner()

Answer = tuple[int, Any] | Callable[[], tuple[int, Any]]


def _listed(*items: Mapping[str, Any]) -> tuple[int, Any]:
    return 200, {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "7"},
                 "items": list(items)}  # fmt: skip


def _status(code: int, message: str) -> tuple[int, Any]:
    return code, {"kind": "Status", "reason": "", "message": message}


def healthy() -> dict[str, Answer]:
    """A cluster with the API of 2026-08, full rights, no Nodes and nobody who does anything."""
    return {
        "/readyz": (200, {}),
        "/version": (200, {"gitVersion": "v1.36.3"}),
        GROUP: (200, {"versions": [{"version": "v1alpha6"}]}),
        f"{GROUP}/v1alpha6": (200, {"resources": [{"name": "virtualmachines"}]}),
        REVIEWS: (201, {"status": {"allowed": True}}),
        "/api/v1/nodes": _listed(),
        ABOUT: _status(404, "not found"),
    }


@pytest.fixture
def routes() -> dict[str, Answer]:
    return healthy()


@pytest.fixture
def stub(
    routes: dict[str, Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ThreadingHTTPServer]:
    """A server that answers as `routes` say, by path or by method and path, other reads with
    nothing; KUBECONFIG names it."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            route = routes.get(f"{self.command} {path}", routes.get(path, _listed()))
            code, body = route() if callable(route) else route
            text = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_config(f"http://127.0.0.1:{server.server_port}")))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("VMSIM_CONTEXT", raising=False)
    monkeypatch.setattr(clusters, "ATTEMPTS", 1)
    monkeypatch.setattr(leftovers, "END_S", 0.1)
    yield server
    server.shutdown()
    server.server_close()


def _config(url: str) -> dict[str, Any]:
    contexts = [{"name": name, "context": {"cluster": "it", "user": "me"}} for name in ("a", "b")]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "a",
        "clusters": [{"name": "it", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": contexts,
    }


def _conform(folder: Path, *more: str) -> tuple[int, str]:
    words = ["conform", "--target", "kubernetes", "--only", "S-15", "-o", str(folder / "out")]
    found = runner.invoke(app, [*words, *more])
    return found.exit_code, found.output


def _nothing_behind(routes: dict[str, Answer]) -> None:
    routes[GROUP] = _status(404, "the server could not find the requested resource")


def _other_versions(routes: dict[str, Answer]) -> None:
    routes[GROUP] = (200, {"versions": [{"version": "v2"}]})


def _no_rights(routes: dict[str, Answer]) -> None:
    routes[REVIEWS] = (201, {"status": {"allowed": False}})


def _forbidden(routes: dict[str, Answer]) -> None:
    routes[GROUP] = _status(403, "no")


def _odd_speed(routes: dict[str, Answer]) -> None:
    routes[ABOUT] = (200, {"data": {"speed": "fast"}})


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        (_nothing_behind, ("has no API group vmoperator.vmware.com",)),
        (_other_versions, ("serves v2, none of v1alpha1, v1alpha6",)),
        (_no_rights, ("may not create namespaces", "may not patch virtualmachines")),
        (_forbidden, ("a kubeconfig of an administrator",)),
        (_odd_speed, ("ConfigMap kube-system/vmsim-serve: data.speed: speed is 'fast'",)),
    ],
)
def test_cluster_that_cannot_be_judged_is_wrong_usage(
    breaks: Callable[[dict[str, Answer]], None], words: tuple[str, ...],
    routes: dict[str, Answer], stub: object, tmp_path: Path,
) -> None:  # fmt: skip
    breaks(routes)
    code, text = _conform(tmp_path)
    assert code == 2, text
    assert all(word in text for word in words), text


def test_context_that_does_not_exist_is_wrong_usage(stub: object, tmp_path: Path) -> None:
    code, text = _conform(tmp_path, "--context", "nowhere")
    assert code == 2 and "the kubeconfig cannot be used" in text


ODD = "{current-context: a, contexts: 5, clusters: 5, users: 5}"


@pytest.mark.parametrize("content", [None, "", "{", "[1]", "a: b", ODD, "\0"])
def test_kubeconfig_that_is_none_is_wrong_usage(
    stub: object, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "mine"
    if content is not None:
        file.write_text(content)
    code, text = _conform(tmp_path, "--kubeconfig", str(file))
    assert (code, "--kubeconfig: the kubeconfig cannot be used" in text) == (2, True), text


def test_address_of_vsphere_that_is_none_is_wrong_usage(
    stub: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVC_URL", "")
    code, text = _conform(tmp_path, "--vsphere", "ftp://vcenter")
    assert code == 2 and "GOVC_URL: scheme 'ftp' is neither http nor https" in text


def test_vsphere_that_does_not_answer_leaves_a_report(
    stub: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVC_URL", "")
    code, text = _conform(tmp_path, "--vsphere", "https://127.0.0.1:1")
    assert code == 4 and "https://127.0.0.1:1/sdk cannot be reached" in text
    assert _report(tmp_path)["complete"] is False
    assert verify(tmp_path / "out") == []


def test_what_a_killed_run_left_and_cannot_be_listed_is_never_passed_over(
    routes: dict[str, Answer], stub: object, tmp_path: Path
) -> None:
    routes["/api/v1/namespaces"] = (200, "<html>")
    for words in ((), ("--clean",)):
        code, text = _conform(tmp_path, *words)
        assert code == 4 and "left cannot be taken away" in text


def test_contexts_of_the_same_cluster_are_wrong_usage(stub: object, tmp_path: Path) -> None:
    code, text = _conform(tmp_path, "--context", "a", "--context", "b")
    assert code == 2 and "b and a are one cluster" in text


def test_cluster_that_is_not_there_leaves_a_report(
    stub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    stub.shutdown()
    stub.server_close()
    code, text = _conform(tmp_path)
    assert code == 4 and "does not answer" in text
    assert _report(tmp_path)["complete"] is False
    assert verify(tmp_path / "out") == []


def test_server_that_speaks_something_else_cannot_be_reached(
    routes: dict[str, Answer], stub: object, tmp_path: Path
) -> None:
    routes["/version"] = (200, "<html>")
    code, text = _conform(tmp_path)
    assert code == 4 and "does not answer as Kubernetes does" in text


def test_garbage_in_the_middle_is_never_a_verdict_on_the_controller(
    routes: dict[str, Answer], stub: object, tmp_path: Path
) -> None:
    routes["POST /api/v1/namespaces"] = (201, "<html>")
    code, text = _conform(tmp_path)
    found = _report(tmp_path)["targets"][0]
    assert code == 3, text
    assert {case["verdict"] for case in found["cases"] if case["edition"] == "2026-08"} == {
        "unknown"
    }
    assert verify(tmp_path / "out") == []


def test_edition_that_the_cluster_has_not_is_not_supported(
    routes: dict[str, Answer], stub: object, tmp_path: Path
) -> None:
    code, _ = _conform(tmp_path, "--edition", "2023-03")
    cases = _report(tmp_path)["targets"][0]["cases"]
    assert code == 3
    assert {case["verdict"] for case in cases} == {"not supported"}
    assert "the API is of edition 2026-08, not 2023-03" in cases[0]["reason"]


def test_server_that_dies_in_the_middle_is_lost(
    routes: dict[str, Answer], stub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    def die() -> tuple[int, Any]:
        stub.shutdown()
        stub.server_close()
        return 500, {}

    routes["POST /api/v1/namespaces"] = die
    code, _ = _conform(tmp_path)
    found = _report(tmp_path)
    assert code == 4
    assert found["complete"] is False and "lost" in found["incomplete"]
    assert verify(tmp_path / "out") == []


def test_server_that_hangs_in_the_middle_is_given_up(
    routes: dict[str, Answer], stub: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "READ_S", 0.2)

    def hang() -> tuple[int, Any]:
        time.sleep(1.0)
        return 200, {}

    routes["POST /api/v1/namespaces"] = hang
    code, text = _conform(tmp_path)
    assert code == 4 and "does not answer" in text


def test_interrupted_clean_up_is_done_to_its_end(
    stub: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    def close(target: KubeTarget) -> None:
        closed.append(target.run)
        if len(closed) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(KubeTarget, "close", close)
    with pytest.raises(KeyboardInterrupt), targets.target("kubernetes").open(1):
        pass
    assert len(closed) == 2 and len(set(closed)) == 1


def test_who_it_is_and_what_it_cannot_show_is_in_the_report(
    routes: dict[str, Answer], stub: object, tmp_path: Path
) -> None:
    told = {"implementation": "acme", "version": "2.1", "commit": "abc", "speed": "60"}
    routes[ABOUT] = (200, {"data": told})
    found = targets.target("kubernetes")
    expected = {"project": "acme", "version": "2.1", "commit": "abc", "edition": "2026-08"}
    assert dict(found.implementation) == {
        "organization": "", **expected, "speed": "60", "kubernetes": "v1.36.3"
    }  # fmt: skip
    assert set(found.blind) == {"host-failure", "new-hosts", "vm-without-object"}
    assert found.case_s > 300


def test_what_was_left_behind_ends_the_run_as_inconclusive(
    routes: dict[str, Answer], stub: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = targets.target("kubernetes")
    some = _listed({"metadata": {"name": "conform-0-demo", "labels": {"vmsim.dev/conform": "0"}}})
    looks = iter([_listed()])  # at the beginning
    routes["/api/v1/namespaces"] = lambda: next(looks, some)
    wanted = options("S-15", targets=["kubernetes"], edition="2023-03")
    report = Session(wanted, tmp_path / "out").run([about])
    assert report.exit_code == 3 and not report.complete
    assert report.incomplete == "left behind on the target: /api/v1/namespaces/conform-0-demo"
    assert verify(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            'VirtualMachine.vmoperator.vmware.com "db" is invalid: spec.powerState: Unsupported '
            'value: "x": supported values: "PoweredOn"',
            ['spec.powerState: Unsupported value: "x": supported values: "PoweredOn"'],
        ),
        (
            'admission webhook "w" denied the request: [spec.image: Required value, '
            "metadata.labels[topology.kubernetes.io/zone]: Forbidden: field is immutable]",
            ["spec.image: Required value",
             "metadata.labels[topology.kubernetes.io/zone]: Forbidden: field is immutable"],
        ),
        (
            'strict decoding error: unknown field "spec.colour", unknown field "spec.size"',
            ["spec.colour: unknown field", "spec.size: unknown field"],
        ),
        ('namespaces "a" not found', ['metadata.namespace: Not found: "a"']),
        ("something else", ["something else"]),
    ],
)  # fmt: skip
def test_fields_are_found_in_any_refusal(message: str, expected: list[str]) -> None:
    assert reasons(message) == expected


def test_warning_is_read_from_its_header() -> None:
    assert warning('299 - "a \\"b\\" c"') == 'a "b" c'


def _on_vsphere(**changes: Any) -> dict[str, VMSeen]:
    values = {"key": "ns/db", "moref": "vm-1", "host": "esx-1", "power": PowerState.ON,
              "connected": True, "hardware": Hardware(2, 4096), "instance_uuid": "",
              "bios_uuid": "", "ip": ""} | changes  # fmt: skip
    return {values["key"]: VMSeen(**values)}


@pytest.mark.parametrize(
    ("vms", "count"),
    [
        (_on_vsphere(), 0),
        (_on_vsphere(key="their-name"), 0),  # found by its identifier
        (_on_vsphere(host="esx-2"), 1),
        (_on_vsphere(power=PowerState.OFF), 1),
        ({}, 1),
    ],
)
def test_status_that_vsphere_contradicts_is_told(vms: dict[str, VMSeen], count: int) -> None:
    status = {"uniqueID": "vm-1", "nodeName": "esx-1", "powerState": "PoweredOn"}
    raw = {"status": status}
    assert len(differences({"ns/db": raw}, {"esx-1": "Up"}, vms, "nodeName")) == count


def test_status_that_names_no_node_is_told() -> None:
    raw = {"status": {"uniqueID": "vm-1", "nodeName": "esx-9", "powerState": "PoweredOn"}}
    assert differences({"ns/db": raw}, {"esx-1": "Up"}, None, "nodeName") == [
        "ns/db is on esx-9, which is no Node"
    ]


class _Server:
    """Answers what a stepped server does that has something new to show every 10 s."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.asked: list[tuple[float, bool, list[str]]] = []
        self._said = "{}"

    def patch(self, path: str, body: Mapping[str, Any]) -> None:
        ask = json.loads(body["data"]["ask"])
        self.asked.append((ask["until"], ask["whole"], ask["touched"]))
        step_s = ask["until"] - self.now_s if ask["whole"] else 10.0
        self.now_s += max(0.0, min(step_s, ask["until"] - self.now_s))
        self._said = json.dumps({"id": ask["id"], "now": self.now_s})

    def get(self, path: str) -> dict[str, Any]:
        return {"data": {"said": self._said}}


def test_stepped_time_stops_when_it_holds_and_not_after_the_limit() -> None:
    server = _Server()
    clock = StepTime(cast(Any, server))
    assert clock.until(lambda: clock.now_s >= 20, 60, ())
    assert clock.now_s == 20
    assert not clock.until(lambda: False, 25, ("Node",))
    assert clock.now_s == 45
    clock.wait(3600, ())
    assert clock.now_s == 3645
    assert (server.asked[3][1:], server.asked[-1][1:]) == ((True, ["Node"]), (True, []))


def test_server_that_did_not_hear_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(_Server):
        heard = 0

        def patch(self, path: str, body: Mapping[str, Any]) -> None:
            self.heard += 1
            if self.heard != 2:
                super().patch(path, body)

    monkeypatch.setattr(clocks, "ANSWER_S", 0.05)
    server = Deaf()
    clock = StepTime(cast(Any, server))
    clock.wait(60, ())
    assert (clock.now_s, server.heard) == (60, 3)


def test_server_that_never_answers_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "ANSWER_S", 0.02)
    monkeypatch.setattr(_Server, "patch", lambda *_: None)
    with pytest.raises(Unreachable, match="does not move its clock"):
        StepTime(cast(Any, _Server()))


def test_real_time_is_as_fast_as_the_server_says() -> None:
    clock = RealTime(1000.0)
    began_s = time.monotonic()
    assert not clock.until(lambda: False, 200, ())
    assert clock.now_s >= 200 and time.monotonic() - began_s < 2
    assert clock.until(lambda: True, 1e9, ())


def _report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out" / "report.json").read_bytes())
    return found
