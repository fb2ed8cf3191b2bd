"""The suite on `vmsim serve`, behind real Kubernetes API servers."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from judged import options

from backends.kube_api import KubeApi
from features.kube import lab
from features.kube.clocks import StepTime
from features.kube.hosts import is_lent, state
from vmsim import nodes
from vmsim.conformance import targets
from vmsim.conformance.report import Report
from vmsim.conformance.session import Session
from vmsim.conformance.verify import verify
from vmsim.crds import resource_path
from vmsim.kinds import kinds
from vmsim.stepping import CONFIG_MAPS, NAME

pytestmark = [pytest.mark.kube, pytest.mark.timeout(600)]

POLICIES = "/apis/admissionregistration.k8s.io/v1"
BINDINGS = f"{POLICIES}/validatingadmissionpolicybindings"
WEBHOOKS = f"{POLICIES}/mutatingwebhookconfigurations"
EDITIONS = ("2023-03", "2026-08")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lab.serving(tmp_path_factory.mktemp("lab"), "memory") as kubeconfig:
        yield kubeconfig


@pytest.fixture(autouse=True)
def connected(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(served))
    monkeypatch.setenv("VMSIM_CONTEXT", ",".join(EDITIONS))


def conform(folder: Path, *only: str, **changes: Any) -> Report:
    wanted = options(*only, targets=["kubernetes"], **changes)
    return Session(wanted, folder).run([targets.target("kubernetes")])


def verdicts(report: Report) -> dict[str, str]:
    return {clause.id: clause.verdict for clause in report.targets[0].clauses}


def left(kubeconfig: Path, *editions: str) -> list[str]:
    """What is there that the servers had not when they began."""
    found: list[str] = []
    for edition in editions or EDITIONS:
        with KubeApi(kubeconfig, edition) as api:
            for kind in kinds(edition).values():
                for raw in api.items(resource_path(kind)):
                    labels = raw["metadata"].get("labels") or {}
                    notes = raw["metadata"].get("annotations") or {}
                    asked = {"vmsim.dev/maintenance", "vmsim.dev/failed"} & set(notes)
                    if "vmsim.dev/conform" in labels or asked:
                        found.append(f"{kind.name} {raw['metadata']['name']}")
    return found


def test_a_served_cluster_passes_and_nothing_is_left(served: Path, tmp_path: Path) -> None:
    report = conform(tmp_path, "S-12", "S-15", "S-28")
    assert verdicts(report) == {"S-12": "pass", "S-15": "pass", "S-28": "pass"}
    assert report.exit_code == 0 and report.complete
    assert verify(tmp_path) == []
    about = report.targets[0].implementation
    assert about["project"] == "vmsim serve on memory"
    assert (about["edition"], about["speed"]) == ("2023-03, 2026-08", "0")
    assert len(about["commit"]) == 40
    assert left(served) == []


def test_a_server_that_forgot_its_policies_is_caught(served: Path, tmp_path: Path) -> None:
    with KubeApi(served, "2026-08") as api:
        kept = [(root, raw) for root in (BINDINGS, WEBHOOKS) for raw in api.items(root)]
        assert kept
        try:
            for root, raw in kept:
                api.delete(f"{root}/{raw['metadata']['name']}")
            report = conform(tmp_path, "M-01", edition="2026-08")
        finally:
            for root, raw in kept:
                bare = {key: raw["metadata"][key] for key in ("name",)}
                api.create(root, raw | {"metadata": bare})
    assert verdicts(report) == {"M-01": "fail"}
    assert report.exit_code == 1
    assert left(served) == []


COMMAND = [sys.executable, "-m", "vmsim", "conform", "--target", "kubernetes"]


def in_the_middle(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """A run into the folder that has judged two cases and goes on."""
    running = subprocess.Popen(
        [*COMMAND, "--level", "core", "-o", str(folder), *more],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(list(folder.glob("evidence/kubernetes/*.json"))) < 2:
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    return running


def killed(folder: Path, served: Path) -> list[str]:
    """What a run leaves that is killed while a case of it has a VM."""
    running = in_the_middle(folder)
    try:
        while True:
            running.send_signal(signal.SIGSTOP)
            found = left(served)
            if any(name.startswith("VirtualMachine ") for name in found):
                return found
            assert running.poll() is None, "it ended before it was killed"
            running.send_signal(signal.SIGCONT)
            time.sleep(0.05)
    finally:
        running.kill()
        running.communicate()


def test_what_a_killed_run_left_is_removed_by_the_next(served: Path, tmp_path: Path) -> None:
    before = killed(tmp_path / "killed", served)
    assert {name.partition(" ")[0] for name in before} >= {"Namespace", "Node", "StorageClass"}
    command = [*COMMAND, "--only", "S-15", "-o", str(tmp_path / "next")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "an earlier run left host plain-1 out of service, which is removed" in done.stdout
    assert "/namespaces/conform-" in done.stdout
    assert left(served) == []


def test_what_a_killed_run_left_is_removed_when_that_is_asked(served: Path, tmp_path: Path) -> None:
    assert killed(tmp_path / "killed", served)
    for expected in ("removed /api/v1/namespaces/conform-", "removed nothing"):
        done = subprocess.run([*COMMAND, "--clean"], capture_output=True, text=True, check=False)
        assert (done.returncode, expected in done.stdout) == (0, True), done.stdout + done.stderr
        assert left(served) == []


def test_a_host_that_somebody_else_took_out_of_service_stays_there(
    served: Path, tmp_path: Path
) -> None:
    node = "/api/v1/nodes/plain-1"
    closed = {"metadata": {"annotations": {nodes.MAINTENANCE: "true"}}}
    with KubeApi(served, "2026-08") as api:
        clock = StepTime(api)
        try:
            api.patch(node, closed)
            clock.until(lambda: state(api.get(node)) == "Maintenance", 600, ("Node",))
            report = conform(tmp_path, "P-02", edition="2026-08")
            assert state(api.get(node)) == "Maintenance"
        finally:
            api.patch(node, {"metadata": {"annotations": {nodes.MAINTENANCE: None}}})
            assert clock.until(lambda: state(api.get(node)) == "Up", 600, ("Node",))
    assert verdicts(report) == {"P-02": "pass"}


def test_editions_are_judged_at_the_same_time(served: Path, tmp_path: Path) -> None:
    wanted = options("S-12", "P-02", targets=["kubernetes"])
    report = Session(wanted, tmp_path, jobs=4).run([targets.target("kubernetes")])
    assert report.run.lanes == {"kubernetes": 2}
    assert verdicts(report) == {"S-12": "pass", "P-02": "pass"}
    assert verify(tmp_path) == []
    assert left(served) == []


def test_each_worker_has_a_server_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts = ("2026-08", "2026-08.2")
    with lab.serving(tmp_path / "lab", "memory", contexts) as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        monkeypatch.setenv("VMSIM_CONTEXT", ",".join(contexts))
        wanted = options("P-02", "S-12", targets=["kubernetes"], edition="2026-08")
        report = Session(wanted, tmp_path / "out", jobs=2).run([targets.target("kubernetes")])
        for context in contexts:
            with KubeApi(kubeconfig, context) as api:
                assert json.loads(api.get(f"{CONFIG_MAPS}/{NAME}")["data"]["said"])["now"] > 0
                assert not [raw for raw in api.items("/api/v1/nodes") if is_lent(raw)]
    assert report.run.lanes == {"kubernetes": 2}
    assert verdicts(report) == {"P-02": "pass", "S-12": "pass"}


def test_an_interrupt_leaves_a_report_and_nothing_else(served: Path, tmp_path: Path) -> None:
    running = in_the_middle(tmp_path, "-n", "2")
    running.send_signal(signal.SIGINT)
    text = running.communicate(timeout=120)[0].decode()
    assert running.returncode == 130, text
    assert verify(tmp_path) == []
    assert json.loads((tmp_path / "report.json").read_bytes())["incomplete"] == "interrupted"
    assert left(served) == []


def test_a_user_without_rights_is_told_which_are_missing(
    served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = served.parent / "2026-08" / "data" / "user.kubeconfig"
    monkeypatch.setenv("VMSIM_CONTEXT", "")
    words = [*COMMAND, "--kubeconfig", str(user)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "may not create namespaces" in done.stderr
    assert "virtualmachines" not in done.stderr


def test_an_object_that_is_somebody_elses_is_left_alone(served: Path, tmp_path: Path) -> None:
    path = "/apis/storage.k8s.io/v1/storageclasses"
    body = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": "my-storage-class"}, "provisioner": "theirs"}  # fmt: skip
    with KubeApi(served, "2026-08") as api:
        api.create(path, body)
        try:
            report = conform(tmp_path, "S-24", edition="2026-08")
            assert api.get(f"{path}/my-storage-class")["provisioner"] == "theirs"
        finally:
            api.delete(f"{path}/my-storage-class")
    assert verdicts(report) == {"S-24": "not testable"}
    assert "is there already, and is not the case's" in report.targets[0].clauses[0].reason


def test_a_server_in_real_time_is_judged_by_its_own_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lab.serving(tmp_path / "lab", "memory", ("2026-08",), "120") as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        monkeypatch.setenv("VMSIM_CONTEXT", "")
        report = conform(tmp_path / "out", "P-02")
        assert left(kubeconfig, "2026-08") == []
    assert verdicts(report) == {"P-02": "pass"}
    assert report.targets[0].implementation["speed"] == "120"
    assert report.targets[0].waits["case_s"] > 300
    assert verify(tmp_path / "out") == []


COLUMNS = {
    "2023-03": {
        "vm": ("POWER-STATE", "*CLASS", "*IMAGE", "*PRIMARY-IP", "AGE"),
        "vmimage": ("PROVIDER-NAME", "CONTENT-LIBRARY-NAME", "IMAGE-NAME", "VERSION", "OS-TYPE",
                    "FORMAT", "*IMAGE-SUPPORTED", "AGE"),
        "clustervmimage": ("PROVIDER-NAME", "CONTENT-LIBRARY-NAME", "IMAGE-NAME", "VERSION",
                           "OS-TYPE", "FORMAT", "*IMAGE-SUPPORTED", "AGE"),
        "vmclass": ("CPU", "MEMORY", "*VGPU-DEVICES-PROFILE-NAMES", "*PASSTHROUGH-DEVICEIDS",
                    "AGE"),
    },
    "2026-08": {
        "vm": ("POWER-STATE", "*CLASS", "*IMAGE", "*PRIMARY-IP4", "AGE"),
        "vmimage": ("DISPLAY NAME", "TYPE", "IMAGE VERSION", "OS NAME", "OS VERSION",
                    "HARDWARE VERSION", "CAPABILITIES"),
        "clustervmimage": ("DISPLAY NAME", "TYPE", "IMAGE VERSION", "OS NAME", "OS VERSION",
                           "HARDWARE VERSION"),
        "vmclass": ("CPU", "MEMORY", "*CAPABILITIES"),
    },
}  # fmt: skip
"""What kubectl prints by the CRDs of each edition; `*`: with `-o wide` only."""


@pytest.mark.parametrize(
    ("edition", "word"), [(edition, word) for edition in COLUMNS for word in COLUMNS[edition]]
)
def test_kubectl_prints_the_columns_of_the_edition(edition: str, word: str, served: Path) -> None:
    with KubeApi(served, edition) as api:
        group = kinds(edition)["VirtualMachine"]
        listed = api.get(resource_path(group).rpartition("/")[0])["resources"]
        path = next(one["name"] for one in listed if word in one.get("shortNames", ()))
        url = f"{api.url}{resource_path(group).rpartition('/')[0]}/{path}"
        answer = api._pool.request("GET", url, headers={"Accept": TABLE})
    found = [
        "*" * bool(column["priority"]) + column["name"].upper()
        for column in json.loads(answer.data)["columnDefinitions"]
    ]
    assert found == ["NAME", *COLUMNS[edition][word]]


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
