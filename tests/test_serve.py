"""Users type kubectl: a real API server, our roles behind it, a cluster below."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from backends.kube_process import KubeProcess
from features.kube.clocks import StepTime
from tests.serving import Served
from vmsim.crds import resource_path
from vmsim.editions import EDITIONS
from vmsim.kinds import kinds
from vmsim.kube import Denial

pytestmark = [pytest.mark.kube, pytest.mark.timeout(600)]

CLUSTER = """
apiVersion: vmsim.dev/v1alpha1
kind: Scenario
metadata: {{name: served-{edition}}}
spec:
  edition: {edition}
  duration: 1h
  namespace: demo
  clusters:
    - name: cluster-1
      zone: zone-1
      hosts: [{{name: "esx-{{}}", count: 3, cores: 16, memory: 64Gi}}]
  manifests: [{prerequisites}]
"""
MANIFESTS = Path(__file__).parent.parent / "scenarios" / "manifests"
SEED, HEAD = EDITIONS["2023-03"], EDITIONS["2026-08"]
EXAMPLE = {name: f"scenarios/manifests/vm-example-{name}.yaml" for name in EDITIONS}


def scenario(folder: Path, edition: str) -> Path:
    path = folder / "cluster.yaml"
    prerequisites = MANIFESTS / f"prerequisites-{edition}.yaml"
    path.write_text(CLUSTER.format(edition=edition, prerequisites=prerequisites))
    return path


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("head")
    with Served(scenario(folder, "2026-08"), folder, "--speed", "60") as served:
        yield served


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("seed")
    with Served(scenario(folder, "2023-03"), folder, "--speed", "60") as served:
        yield served


def manifest(name: str, **spec: Any) -> str:
    raw = yaml.safe_load(Path(EXAMPLE["2026-08"]).read_text())
    raw["metadata"] |= {"name": name, "namespace": "demo"}
    raw["spec"] |= spec
    return yaml.safe_dump(raw)


def apply(served: Served, name: str, **spec: Any) -> None:
    served.kubectl("apply", "-f", "-", stdin=manifest(name, **spec))


def is_on(served: Served, name: str) -> bool:
    status = served.vm(name)
    address = status.get("vmIp") or status.get("network", {}).get("primaryIP4")
    return str(status.get("powerState")).lower() == "poweredon" and bool(address)


@pytest.mark.parametrize("edition", list(EDITIONS))
def test_example_of_the_page_is_applied_runs_and_is_deleted(
    edition: str, request: pytest.FixtureRequest
) -> None:
    served: Served = request.getfixturevalue("head" if edition == "2026-08" else "seed")
    served.kubectl("apply", "-n", "demo", "-f", EXAMPLE[edition])
    served.eventually(lambda: is_on(served, "my-vm"))

    raw = served.json("vm", "my-vm", "-n", "demo")
    assert raw["metadata"]["finalizers"] == [EDITIONS[edition].finalizer]
    assert raw["metadata"]["labels"]["topology.kubernetes.io/zone"] == "zone-1"
    assert raw["status"]["zone"] == "zone-1"
    described = served.kubectl("describe", "vm", "my-vm", "-n", "demo")
    assert "VmPoweredOn" in described
    served.kubectl("delete", "vm", "my-vm", "-n", "demo", "--timeout=30s")
    assert "NotFound" in served.kubectl("get", "vm", "my-vm", "-n", "demo", fails=True)


@pytest.mark.parametrize("edition", list(EDITIONS))
@pytest.mark.parametrize("wide", [False, True])
def test_columns_are_those_of_the_specification(
    edition: str, wide: bool, request: pytest.FixtureRequest
) -> None:
    served: Served = request.getfixturevalue("head" if edition == "2026-08" else "seed")
    for word in ("VirtualMachine", "VirtualMachineClass", "VirtualMachineImage",
                 "ClusterVirtualMachineImage", "StorageClass"):  # fmt: skip
        kind = kinds(edition)[word]
        table = _table(served, kind.group, kind.versions[-1], kind.plural)
        shown = [column for column in kind.columns if wide or not column.priority]
        columns = [name for name, priority in table if wide or not priority]
        assert [name.lower() for name in columns] == ["name", *(c.header.lower() for c in shown)]


def _table(served: Served, group: str, version: str, plural: str) -> list[tuple[str, int]]:
    """The columns of a kind as the server prints them, each with its priority."""
    with served.api as api:
        url = f"{api.url}/apis/{group}/{version}/{plural}"
        answer = api._pool.request("GET", url, headers={"Accept": TABLE})
    columns = yaml.safe_load(answer.data)["columnDefinitions"]
    return [(column["name"], column["priority"]) for column in columns]


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def test_short_names_mean_the_kinds(head: Served, seed: Served) -> None:
    for word in ("vm", "vmclass", "vmimage", "clustervmimage", "storageclass", "vmi", "cvmi"):
        head.kubectl("get", "-n", "demo", word)
        seed.kubectl("get", "-n", "demo", word)
    assert "my-vm-class   2     4Gi" in head.kubectl("get", "-n", "demo", "vmclass")


def test_explain_shows_descriptions(head: Served) -> None:
    text = head.kubectl("explain", "vm.spec.className")
    assert "VirtualMachineClass that supplies the VM's virtual hardware" in " ".join(text.split())


def test_condition_can_be_waited_for(head: Served) -> None:
    apply(head, "waited-for")
    condition = "--for=condition=VirtualMachinePowerStateSynced"
    head.kubectl("wait", condition, "vm/waited-for", "-n", "demo", "--timeout=30s")


def test_vm_waits_for_its_class_and_says_so(head: Served) -> None:
    apply(head, "classless", className="later")
    head.eventually(lambda: head.vm("classless").get("conditions"))
    conditions = {item["type"]: item for item in head.vm("classless")["conditions"]}
    assert conditions["VirtualMachineClassReady"]["reason"] == "NotFound"

    raw = head.json("vmclass", "my-vm-class", "-n", "demo")
    raw["metadata"] = {"name": "later", "namespace": "demo"}
    head.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(raw))
    head.eventually(lambda: is_on(head, "classless"))


def test_status_that_somebody_else_wrote_is_written_over(head: Served) -> None:
    apply(head, "tampered")
    head.eventually(lambda: is_on(head, "tampered"))
    patch = '{"status":{"powerState":"PoweredOff","nodeName":"elsewhere"}}'
    words = ("vm", "tampered", "-n", "demo", "--subresource=status", "--type=merge", "-p", patch)
    head.kubectl("patch", *words)
    head.eventually(lambda: head.vm("tampered")["nodeName"].startswith("esx-"))
    assert is_on(head, "tampered")


def test_power_is_switched_and_generations_follow(head: Served) -> None:
    apply(head, "switched")
    head.eventually(lambda: is_on(head, "switched"))
    patch = '{"spec":{"powerState":"PoweredOff"}}'
    head.kubectl("patch", "vm", "switched", "-n", "demo", "--type=merge", "-p", patch)
    head.eventually(lambda: head.vm("switched")["powerState"] == "PoweredOff")
    head.eventually(
        lambda: all(item["observedGeneration"] == 2 for item in head.vm("switched")["conditions"])
    )


def test_host_is_emptied_and_comes_back(head: Served) -> None:
    for number in range(6):
        apply(head, f"moving-{number}")
    for number in range(6):
        head.eventually(lambda n=number: is_on(head, f"moving-{n}"))  # type: ignore[misc]
    host = head.vm("moving-0")["nodeName"]

    head.vmsim("node", "maintenance", host)

    head.eventually(lambda: condition(head, host, "Maintenance") == "True", 60)
    assert "SchedulingDisabled" in head.kubectl("get", "node", host)
    for number in range(6):
        assert head.vm(f"moving-{number}")["nodeName"] != host
        assert is_on(head, f"moving-{number}")
    head.vmsim("node", "return", host)
    head.eventually(lambda: condition(head, host, "Ready") == "True")
    assert "EnteredMaintenanceMode" in head.kubectl("describe", "node", host)
    assert f"from {host} to esx-" in head.kubectl("get", "events", "-n", "demo")


def condition(served: Served, host: str, kind: str) -> str:
    conditions = served.json("node", host)["status"].get("conditions") or ()
    return next((item["status"] for item in conditions if item["type"] == kind), "")


def test_cordoned_hosts_take_no_vms_until_uncordoned(head: Served) -> None:
    hosts = [item["metadata"]["name"] for item in head.json("node")["items"]]
    head.kubectl("cordon", *hosts)
    head.eventually(lambda: head.kubectl("get", "events").count("Cordoned") >= len(hosts))
    apply(head, "cordoned-out")
    head.eventually(lambda: "NoCompatibleHost" in head.kubectl("describe", "vm", "-n", "demo"))
    assert not is_on(head, "cordoned-out")
    head.kubectl("uncordon", *hosts)
    head.eventually(lambda: is_on(head, "cordoned-out"), 60)


def test_failed_host_loses_its_vms_to_others(head: Served) -> None:
    apply(head, "restarted")
    head.eventually(lambda: is_on(head, "restarted"))
    host = head.vm("restarted")["nodeName"]
    head.vmsim("node", "fail", host)
    head.eventually(lambda: head.vm("restarted").get("nodeName") not in ("", host), 60)
    head.eventually(lambda: is_on(head, "restarted"))
    assert "NotReady" in head.kubectl("get", "node", host)
    head.vmsim("node", "return", host)
    head.eventually(lambda: condition(head, host, "Ready") == "True")


def test_host_joins(head: Served) -> None:
    head.vmsim("node", "add", "esx-new", "--like", "esx-1", "--memory", "128Gi")
    head.eventually(lambda: condition(head, "esx-new", "Ready") == "True")
    assert head.json("node", "esx-new")["status"]["capacity"]["memory"] == "128Gi"


def test_namespace_is_deleted_with_its_vms(head: Served) -> None:
    prerequisites = (MANIFESTS / "prerequisites-2026-08.yaml").read_text()
    there = prerequisites.replace("namespace: demo", "namespace: doomed")
    head.kubectl("apply", "-f", "-", stdin=there.replace("name: demo\n", "name: doomed\n"))
    raw = yaml.safe_load(manifest("in-doomed"))
    raw["metadata"]["namespace"] = "doomed"
    eventually_applied(head, yaml.safe_dump(raw))
    head.eventually(
        lambda: head.json("vm", "in-doomed", "-n", "doomed")["metadata"].get("finalizers")
    )
    head.kubectl("delete", "namespace", "doomed", "--timeout=60s")


def eventually_applied(served: Served, text: str) -> None:
    """Apply it once the server has heard of what it names."""
    with served.api as api:
        raw = yaml.safe_load(text)
        kind = kinds("2026-08")["VirtualMachine"]
        path = resource_path(kind, raw["metadata"]["namespace"])

        def taken() -> bool:
            try:
                api.create(path, raw)
            except Denial as denial:
                return denial.status == 409
            return True

        served.eventually(taken)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"imageName": ""}, "spec.image: Required value"),
        ({"imageName": "nothing"}, 'no VM image exists for "nothing"'),
        ({"className": ""}, "spec.className: Required value"),
        ({"storageClass": ""}, "spec.storageClass: Required value"),
        ({"storageClass": "fast"}, 'StorageClass.storage.k8s.io "fast" not found'),
        ({"powerState": "Suspended"}, "cannot set a new VM's power state to Suspended"),
        ({"powerState": "Sideways"}, "Unsupported value"),
        ({"minHardwareVersion": 99}, "should be less than or equal to 22"),
        ({"nextRestartTime": "now"}, "cannot restart VM on create"),
    ],
)
def test_vm_that_breaks_a_rule_is_refused_in_our_words(
    head: Served, spec: dict[str, Any], said: str
) -> None:
    words = ("apply", "--dry-run=server", "-f", "-")
    assert said in head.kubectl(*words, stdin=manifest("wrong", **spec), fails=True)


def test_every_reason_is_told_at_once_and_advice_is_given(head: Served) -> None:
    bare = manifest("wrong", imageName="", className="", storageClass="")
    told = head.kubectl("apply", "--dry-run=server", "-f", "-", stdin=bare, fails=True)
    for field in ("spec.image", "spec.className", "spec.storageClass"):
        assert f"{field}: Required value" in told
    dotted = ("apply", "--dry-run=server", "-f", "-")
    head.kubectl(*dotted, stdin=manifest("a.b"))


def test_display_name_is_resolved_and_a_network_interface_added(head: Served) -> None:
    apply(head, "completed", imageName="photon-5")
    spec = head.json("vm", "completed", "-n", "demo")["spec"]
    image = {"kind": "VirtualMachineImage", "name": "vmi-0a0044d7c690bcbea"}
    assert (spec["image"], spec["powerState"]) == (image, "PoweredOn")
    assert spec["network"]["interfaces"][0]["name"] == "eth0"
    assert "vmi-0a0044d7c690bcbea" in head.kubectl("get", "vm", "-n", "demo", "-o", "wide")


def test_restart_is_asked_for_with_now(head: Served) -> None:
    apply(head, "restarting")
    words = ("patch", "vm", "restarting", "-n", "demo", "--type=merge", "-p")
    head.kubectl(*words, '{"spec":{"nextRestartTime":"now"}}')
    stored = head.json("vm", "restarting", "-n", "demo")["spec"]["nextRestartTime"]
    assert stored.startswith("20")
    told = head.kubectl(*words, '{"spec":{"nextRestartTime":"soon"}}', fails=True)
    assert 'may only be set to "now"' in told


def test_vm_goes_with_its_owner(head: Served) -> None:
    if "kube_pair" in head.log:
        pytest.skip("no garbage collector comes with this etcd and kube-apiserver")
    head.kubectl("create", "configmap", "owner", "-n", "demo")
    owner = head.json("configmap", "owner", "-n", "demo")["metadata"]
    raw = yaml.safe_load(manifest("owned"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    raw["metadata"]["ownerReferences"] = [reference]
    head.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(raw))
    head.eventually(lambda: is_on(head, "owned"))
    head.kubectl("delete", "configmap", "owner", "-n", "demo")
    words = ("get", "vm", "owned", "-n", "demo", "--ignore-not-found")
    head.eventually(lambda: not head.kubectl(*words), 60)


def test_unprivileged_user_cannot_write_status_of_nodes(head: Served) -> None:
    user = head.kubeconfig.parent / "user.kubeconfig"
    told = head.kubectl(f"--kubeconfig={user}", "delete", "node", "esx-1", fails=True)
    assert "Forbidden" in told
    assert user.stat().st_mode & 0o777 == 0o600
    assert head.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_api_server_that_is_killed_comes_back_and_nothing_is_lost(head: Served) -> None:
    apply(head, "survivor")
    os.kill(head.api_server(), signal.SIGKILL)
    head.eventually(lambda: "was started again" in head.log, 60)
    head.eventually(lambda: is_on(head, "survivor"))
    apply(head, "newcomer")
    head.eventually(lambda: is_on(head, "newcomer"))


def test_killed_server_resumes_with_every_vm_once(tmp_path: Path) -> None:
    served = Served(scenario(tmp_path, "2026-08"), tmp_path, "--speed", "60").start()
    try:
        for number in range(4):
            apply(served, f"kept-{number}")
        served.eventually(lambda: is_on(served, "kept-0"))
        before = served.vm("kept-0")
        apply(served, "midway")
        served.kubectl("delete", "vm", "kept-3", "-n", "demo", "--wait=false")
        served.kill()

        served.start()

        for name in ("kept-0", "kept-1", "kept-2", "midway"):
            served.eventually(lambda name=name: is_on(served, name))  # type: ignore[misc]
        after = served.vm("kept-0")
        assert (after["uniqueID"], after["nodeName"]) == (before["uniqueID"], before["nodeName"])
        assert after["conditions"] == before["conditions"]
        words = ("get", "vm", "kept-3", "-n", "demo", "--ignore-not-found")
        served.eventually(lambda: not served.kubectl(*words))
        addresses = [item["status"]["network"]["primaryIP4"]
                     for item in served.json("vm", "-n", "demo")["items"]]  # fmt: skip
        assert len(set(addresses)) == 4
        assert served.stop() == 0
    finally:
        served.stop()


def test_vms_of_the_scenario_are_made_once_and_completed(tmp_path: Path) -> None:
    served = Served("gpu-stranded", tmp_path, "--speed", "60").start()
    try:
        served.eventually(lambda: is_on(served, "trainer"))
        raw = served.json("vm", "trainer", "-n", "demo")
        assert raw["metadata"]["finalizers"] == [SEED.finalizer]
        assert raw["spec"]["networkInterfaces"]
        served.kubectl("delete", "vm", "trainer", "-n", "demo", "--timeout=30s")
        served.stop()
        served.start()
        assert served.json("vm", "-n", "demo")["items"] == []
    finally:
        served.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeProcess]:
    """A cluster that exists already."""
    with KubeProcess(tmp_path_factory.mktemp("cluster") / "data") as there:
        yield there


def on_cluster(cluster: KubeProcess, folder: Path, *words: str) -> Served:
    options = ("--speed", "60", "--kubeconfig", str(cluster.kubeconfig), *words)
    served = Served(scenario(folder, "2026-08"), folder, *options)
    served.kubeconfig = cluster.kubeconfig
    return served


def test_cluster_that_exists_is_served(cluster: KubeProcess, tmp_path: Path) -> None:
    with on_cluster(cluster, tmp_path) as served:
        assert "the cluster cannot ask us" in served.log
        apply(served, "guest")
        served.eventually(lambda: is_on(served, "guest"))
        served.kubectl("delete", "vm", "guest", "-n", "demo", "--timeout=30s")
        for field, place in (("className", "className"), ("storageClass", "storageClass"),
                             ("imageName", "image")):  # fmt: skip
            text = manifest("lacking", **{field: ""})
            served.eventually(
                lambda text=text, place=place: (
                    f"spec.{place}: Required value"  # type: ignore[misc]
                    in served.kubectl(
                        "create", "--dry-run=server", "-f", "-", stdin=text, fails=True
                    )
                )
            )


def asking(cluster: KubeProcess, folder: Path, *words: str) -> Served:
    """A `vmsim serve` that the cluster can ask."""
    tls = folder / "tls"
    tls.mkdir()
    ours = {"tls.crt": "webhook.crt", "tls.key": "webhook.key", "ca.crt": "ca.crt"}
    for name, theirs in ours.items():
        (tls / name).write_bytes((cluster.folder / "pki" / theirs).read_bytes())
    where = ("--webhook-host", "127.0.0.1", "--webhook-tls", str(tls))
    return on_cluster(cluster, folder, *where, *words)


def webhooks(served: Served) -> list[str]:
    items = served.json("mutatingwebhookconfiguration")["items"]
    return [item["metadata"]["name"] for item in items]


def test_cluster_that_exists_asks_us_where_we_say(cluster: KubeProcess, tmp_path: Path) -> None:
    with asking(cluster, tmp_path) as served:
        assert "cannot ask us" not in served.log
        wrong = {"className": "", "imageName": "none", "storageClass": "none"}
        text = manifest("every-rule", **wrong)
        served.eventually(
            lambda: "[" in served.kubectl("create", "-f", "-", stdin=text, fails=True)
        )
        told = served.kubectl("create", "-f", "-", stdin=text, fails=True)
        assert all(f"spec.{field}" in told for field in wrong), told
        apply(served, "asked")
        served.eventually(lambda: is_on(served, "asked"))
        served.kubectl("delete", "vm", "asked", "-n", "demo", "--timeout=30s")
    assert webhooks(served) == []


def test_clock_that_stands_still_answers_a_cluster_that_asks(
    cluster: KubeProcess, tmp_path: Path
) -> None:
    with asking(cluster, tmp_path, "--speed", "0") as served, served.api as api:
        clock = StepTime(api)
        apply(served, "stepped")
        began_s = time.monotonic()
        clock.wait(600, ("VirtualMachine",))
        assert is_on(served, "stepped")
        served.kubectl("delete", "vm", "stepped", "-n", "demo", "--wait=false")
        clock.wait(600, ("VirtualMachine",))
        took_s = time.monotonic() - began_s
        assert took_s < 10
        assert "NotFound" in served.kubectl("get", "vm", "stepped", "-n", "demo", fails=True)


def test_what_a_killed_serve_left_is_taken_over_or_taken_back(
    cluster: KubeProcess, tmp_path: Path
) -> None:
    served = asking(cluster, tmp_path).start()
    try:
        apply(served, "left")
        served.eventually(lambda: is_on(served, "left"))
        served.kill()

        refused = served.kubectl("apply", "-f", "-", stdin=manifest("refused"), fails=True)
        assert "failed calling webhook" in refused
        served.kubectl("delete", "vm", "left", "-n", "demo", "--wait=false")

        with on_cluster(cluster, tmp_path) as another:
            assert webhooks(another) == []
            another.kubectl("wait", "--for=delete", "vm/left", "-n", "demo", "--timeout=30s")
        served.start()
        apply(served, "left")
        served.eventually(lambda: is_on(served, "left"))
        served.kill()
        served.kubectl("delete", "vm", "left", "-n", "demo", "--wait=false")

        served.vmsim("uninstall", "--kubeconfig", str(cluster.kubeconfig))

        served.kubectl("wait", "--for=delete", "vm/left", "-n", "demo", "--timeout=30s")
        assert webhooks(served) == []
        for kind in ("node", "validatingadmissionpolicy", "validatingadmissionpolicybinding"):
            assert served.json(kind)["items"] == []
        for kind in ("clusterrole", "clusterrolebinding", "configmap -n kube-system"):
            names = [item["metadata"]["name"] for item in served.json(*kind.split())["items"]]
            assert not [name for name in names if name.startswith("vmsim")]
        apply(served, "of-nobody")
        served.kubectl("delete", "vm", "of-nobody", "-n", "demo", "--timeout=30s")
    finally:
        served.stop()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--webhook-host", "127.0.0.1"), "--webhook-host and --webhook-tls go together"),
        (("--webhook-host", "127.0.0.1", "--webhook-tls", "."), "--webhook-tls"),
    ],
)
def test_webhook_that_cannot_be_is_bad_input(
    words: tuple[str, ...], told: str, cluster: KubeProcess, tmp_path: Path
) -> None:
    served = on_cluster(cluster, tmp_path, *words)
    with pytest.raises(AssertionError, match=told):
        served.start()
    assert served.stop() == 2


def test_older_version_of_a_kind_is_not_there(cluster: KubeProcess, tmp_path: Path) -> None:
    with on_cluster(cluster, tmp_path) as served:
        told = served.kubectl("apply", "-f", EXAMPLE["2023-03"], "-n", "demo", fails=True)
        assert 'no matches for kind "VirtualMachine" in version "vmoperator.vmware.com/v1' in told


def test_kinds_of_another_edition_are_not_taken_over(tmp_path: Path) -> None:
    with Served(scenario(tmp_path, "2023-03"), tmp_path):
        pass
    again = Served(scenario(tmp_path, "2026-08"), tmp_path)
    with pytest.raises(AssertionError, match="has VirtualMachine v1alpha1, not v1alpha6"):
        again.start()
    assert again.stop() == 2


def test_kind_that_is_removed_under_us_does_no_harm(tmp_path: Path) -> None:
    with Served(scenario(tmp_path, "2026-08"), tmp_path, "--speed", "60") as served:
        apply(served, "orphan")
        served.eventually(lambda: is_on(served, "orphan"))
        name = "virtualmachines.vmoperator.vmware.com"
        served.kubectl("delete", "crd", name, "--timeout=60s")
        served.kubectl("get", "node")
        assert served.stop() == 0
        with served:
            apply(served, "again")
            served.eventually(lambda: is_on(served, "again"))
