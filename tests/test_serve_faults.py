"""What goes wrong between `vmsim serve` and its API server: nothing is lost, nothing spins."""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends import kube_api
from backends.kube_api import KubeApi
from backends.kube_process import KubeProcess
from features.kube.clocks import StepTime
from tests.proxy import Mishap, Proxy
from tests.serving import Served
from tests.test_serve import apply, is_on, scenario

pytestmark = [pytest.mark.kube, pytest.mark.timeout(600)]

VMS = "virtualmachines"
STATUS = rf"^PATCH .*/{VMS}/\S+/status"
WATCH, LIST = rf"^GET .*/{VMS}\?watch=1", rf"^GET .*/{VMS}\?limit"
CRD = "virtualmachines.vmoperator.vmware.com"


@dataclass
class Lab:
    """A cluster of the test's own, and a `vmsim serve` that reaches it through a proxy only."""

    served: Served
    proxy: Proxy

    def recovery_s(self, what: str, break_it: Callable[[], object], name: str) -> float:
        """Seconds from the mishap until a VM that is applied right after it runs; printed."""
        since_s = time.monotonic()
        break_it()
        apply(self.served, name)
        self.served.eventually(lambda: is_on(self.served, name), 60)
        took_s = time.monotonic() - since_s
        print(f"{what}: a VM runs after {took_s:.1f} s, {self.proxy.count('', since_s)} requests")
        return took_s

    def quiet(self, seconds: float = 5.0) -> int:
        """Requests in a while in which nothing happens."""
        time.sleep(seconds)
        since_s = time.monotonic()
        time.sleep(seconds)
        return self.proxy.count("", since_s)


@contextmanager
def lab_at(folder: Path, speed: str) -> Iterator[Lab]:
    """A lab in the folder, for as long as the block lasts."""
    with KubeProcess(folder / "cluster") as cluster, KubeApi(cluster.kubeconfig) as upstream:
        proxy = Proxy(upstream)
        proxy.token = "first"
        kubeconfig = proxy.kubeconfig(folder / "proxied", "first")
        words = ("--speed", speed, "--kubeconfig", str(kubeconfig))
        served = Served(scenario(folder, "2026-08"), folder, *words)
        served.kubeconfig = cluster.kubeconfig
        try:
            with served:
                yield Lab(served, proxy)
        finally:
            proxy.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab_at(tmp_path_factory.mktemp("faults"), "60") as there:
        yield there


@pytest.fixture(autouse=True)
def whole(lab: Lab) -> Iterator[None]:
    """Each test leaves a way on which nothing goes wrong."""
    yield
    lab.proxy.mishaps.clear()
    lab.proxy.refuses = False
    lab.proxy.years_ahead = 0


def test_nothing_is_asked_while_nothing_happens(lab: Lab) -> None:
    apply(lab.served, "first")
    lab.served.eventually(lambda: is_on(lab.served, "first"), 60)
    assert lab.quiet() == 0


@pytest.mark.parametrize("status", [0, 409, 429, 500, 503, 504])
def test_status_that_was_not_taken_is_written_again(lab: Lab, status: int) -> None:
    mishap = Mishap(STATUS, status, times=3)
    name = f"refused-{status}"
    since_s = time.monotonic()
    lab.recovery_s(f"status refused with {status}", lambda: lab.proxy.mishaps.append(mishap), name)
    assert mishap.met == 3
    assert lab.proxy.count(rf"{name}/status", since_s) <= 20
    assert lab.quiet() == 0


def test_retry_after_is_respected(lab: Lab) -> None:
    mishap = Mishap(rf"^PATCH .*/{VMS}/", 429, times=2, headers={"Retry-After": "2"})
    took_s = lab.recovery_s("429 with Retry-After: 2", lambda: lab.proxy.mishaps.append(mishap),
                            "throttled")  # fmt: skip
    assert mishap.met == 2
    assert took_s >= 2.0


@pytest.mark.parametrize("in_stream", [False, True])
def test_watch_that_the_server_has_forgotten_begins_with_a_list(lab: Lab, in_stream: bool) -> None:
    def forget() -> None:
        lab.proxy.mishaps.append(Mishap(WATCH, 410, in_stream=in_stream))
        assert lab.proxy.cut() > 0

    since_s = time.monotonic()
    lab.recovery_s("410 on a watch", forget, f"forgotten-{in_stream}".lower())
    assert lab.proxy.mishaps[0].met == 1
    assert 1 <= lab.proxy.count(LIST, since_s) <= 3


def test_list_that_is_refused_for_long_is_not_asked_for_without_a_pause(lab: Lab) -> None:
    mishaps = [Mishap(pattern, 410, times=6) for pattern in (WATCH, LIST)]
    lab.proxy.mishaps += mishaps
    since_s = time.monotonic()
    lab.recovery_s("410 on watches and lists", lab.proxy.cut, "listed")
    lab.served.eventually(lambda: all(each.met == each.times for each in mishaps), 60)
    assert lab.proxy.count(f"{WATCH}|{LIST}", since_s) <= 30
    assert lab.quiet(6.0) == 0


def test_list_whose_rest_is_forgotten_begins_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_api, "PAGE", 1)
    lab.proxy.mishaps.append(Mishap("^GET /api/v1/nodes.*continue=", 410, times=2))
    with KubeApi(lab.served.folder / "proxied") as api:
        names = [raw["metadata"]["name"] for raw in api.items("/api/v1/nodes")]
    assert names == ["esx-1", "esx-2", "esx-3"]
    assert lab.proxy.mishaps[0].met == 2


def test_watches_that_are_cut_are_resumed_without_a_list(lab: Lab) -> None:
    since_s = time.monotonic()
    for number in range(3):
        assert lab.proxy.cut() > 0
        time.sleep(0.5)
        lab.recovery_s("watches cut", lambda: None, f"cut-{number}")
    assert lab.proxy.count(LIST, since_s) == 0


def test_server_that_does_not_answer_is_asked_with_pauses(lab: Lab) -> None:
    lab.proxy.refuses = True
    lab.proxy.cut()
    since_s = time.monotonic()
    apply(lab.served, "meanwhile")
    time.sleep(15.0)
    asked = lab.proxy.count("", since_s)
    lab.proxy.refuses = False
    lab.recovery_s("15 s without an answer", lambda: None, "afterwards")
    lab.served.eventually(lambda: is_on(lab.served, "meanwhile"))
    assert 1 <= asked <= 400, asked


def test_token_that_was_exchanged_is_read_again(lab: Lab, tmp_path: Path) -> None:
    kubeconfig = lab.served.folder / "proxied"

    def exchange() -> None:
        lab.proxy.kubeconfig(kubeconfig, "second")
        lab.proxy.token = "second"
        lab.proxy.cut()

    lab.recovery_s("token exchanged", exchange, "with-second-token")


def test_token_that_is_no_longer_good_is_told_and_waited_for(lab: Lab) -> None:
    lab.proxy.token = "third"
    lab.proxy.cut()
    since_s = time.monotonic()
    apply(lab.served, "unauthorized")
    lab.served.eventually(lambda: "does not accept our credentials" in lab.served.log)
    time.sleep(10.0)
    asked = lab.proxy.count("", since_s)
    assert asked <= 400, asked

    lab.proxy.kubeconfig(lab.served.folder / "proxied", "third")
    lab.recovery_s("token renewed after 10 s", lambda: None, "authorized")
    lab.served.eventually(lambda: is_on(lab.served, "unauthorized"))


def test_server_whose_clock_is_a_year_ahead(lab: Lab) -> None:
    lab.proxy.years_ahead = 1
    lab.proxy.mishaps.append(Mishap(WATCH, 410))
    lab.recovery_s("the server's clock a year ahead", lab.proxy.cut, "from-the-future")
    conditions = lab.served.vm("from-the-future")["conditions"]
    assert {item["lastTransitionTime"][:4] for item in conditions} == {time.strftime("%Y")}
    assert lab.quiet() == 0


def test_kind_that_is_removed_and_put_back(lab: Lab) -> None:
    definition = lab.served.json("crd", CRD)
    definition["metadata"] = {"name": CRD, "labels": definition["metadata"]["labels"]}
    del definition["status"]
    lab.served.kubectl("delete", "crd", CRD, "--timeout=60s")
    since_s = time.monotonic()
    time.sleep(10.0)
    asked = lab.proxy.count("", since_s)
    assert asked <= 100, asked
    lab.served.kubectl("create", "-f", "-", stdin=json.dumps(definition))
    lab.served.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=30s")
    time.sleep(3.0)
    lab.recovery_s("kind removed and put back", lambda: None, "first")


def test_clock_that_stands_still_is_moved_in_time_whatever_fails(tmp_path: Path) -> None:
    patterns = [STATUS, rf"^PATCH .*/{VMS}/", "^PATCH .*/nodes", "^POST .*/events", WATCH,
                "^PATCH .*/configmaps", ""]  # fmt: skip
    chance = random.Random(1)
    with lab_at(tmp_path, "0") as lab, lab.served.api as api:
        clock = StepTime(api)
        for number in range(12):
            for _ in range(chance.randrange(4)):
                status, times = chance.choice([0, 429, 500, 503, 504]), chance.randrange(1, 4)
                lab.proxy.mishaps.append(Mishap(chance.choice(patterns), status, times))
            if chance.random() < 0.3:
                lab.proxy.cut()
            apply(lab.served, f"vm-{number}")
            if number >= 3:
                words = ("vm", f"vm-{number - 3}", "-n", "demo", "--wait=false")
                lab.served.kubectl("delete", *words)
            began_s = time.monotonic()
            clock.wait(600, ("VirtualMachine",))
            assert time.monotonic() - began_s < 15
            lab.proxy.mishaps = [each for each in lab.proxy.mishaps if each.met < each.times]
        assert all(is_on(lab.served, f"vm-{number}") for number in range(9, 12))
        assert len(lab.served.json("vm", "-n", "demo")["items"]) == 3
