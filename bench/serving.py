"""Does `vmsim serve` keep up with users who apply many VMs at once?

python -m bench.serving burst COUNT     and a bare loop beside it
python -m bench.serving rest COUNT      what VMs cost at which nobody does anything

Eight clients apply VMs; the time until all are powered on is compared with the time that the
creation itself takes, and both with a bare list-and-watch loop on a server of its own that writes
one status field per VM. No duration is modelled, so only the way through the API is measured. The
answer is one line of JSON: seconds, MiB, and percent of a core.
"""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.kube_api import KubeApi
from backends.kube_process import KubeProcess
from vmsim.crds import resource_path
from vmsim.installing import install
from vmsim.kinds import kinds
from vmsim.loading import load

CLIENTS = 8
LONGEST_S = 900.0
SETTLE_S, SETTLED_S, SETTLED_PERCENT, REST_S = 600.0, 10.0, 0.5, 60.0
WARM_UP_S = 4.0  # the server holds back the first object of a new kind
PATH = resource_path(kinds("2026-08")["VirtualMachine"], "demo")
MANIFESTS = Path(__file__).parent.parent / "scenarios" / "manifests"
SCENARIO = f"""
apiVersion: vmsim.dev/v1alpha1
kind: Scenario
metadata: {{name: bench}}
spec:
  edition: 2026-08
  duration: 1h
  namespace: demo
  durations: {{create: 0s, powerOn: 0s, guestBoot: 0s, powerOff: 0s, destroy: 0s}}
  clusters:
    - name: cluster-1
      zone: zone-1
      hosts: [{{name: "esx-{{}}", count: 500, cores: 64, memory: 1024Gi}}]
  manifests: [{MANIFESTS / "prerequisites-2026-08.yaml"}]
"""
SPEC = {
    "className": "my-vm-class",
    "imageName": "vmi-0a0044d7c690bcbea",
    "storageClass": "my-storage-class",
}


def burst(kubeconfig: Path, count: int) -> dict[str, float]:
    """Apply `count` VMs, wait until all are on, and tell how long that took."""
    made: dict[str, float] = {}
    on: dict[str, float] = {}
    watcher = threading.Thread(target=_watch, args=(kubeconfig, count, on), daemon=True)
    watcher.start()
    time.sleep(1.0)
    started_s = time.monotonic()
    with KubeApi(kubeconfig) as api:
        clients = [
            threading.Thread(target=_apply, args=(api, range(first, count, CLIENTS), made))
            for first in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        created_s = time.monotonic() - started_s
        watcher.join(LONGEST_S)
    assert len(on) == count, f"{count - len(on)} VMs are not on"
    late = sorted(on[name] - made[name] for name in made)
    return {
        "created_s": created_s,
        "all_on_s": max(on.values()) - started_s,
        "p50_s": late[count // 2],
        "p99_s": late[int(count * 0.99)],
    }


def at_rest(pid: int) -> dict[str, float]:
    """What the process costs in a minute, once it has written what it had to."""
    waited_s = 0.0
    while waited_s < SETTLE_S and _percent(pid, SETTLED_S) > SETTLED_PERCENT:
        waited_s += SETTLED_S
    text = Path(f"/proc/{pid}/status").read_text()
    peak_kib = next(line.split()[1] for line in text.splitlines() if line.startswith("VmHWM"))
    return {
        "cpu_percent": _percent(pid, REST_S),
        "rss_mib": int(peak_kib) / 1024,
        "settled_s": waited_s,
    }


def _percent(pid: int, lasts_s: float) -> float:
    """The share of a core that the process takes in the next seconds."""
    before = _cpu_s(pid)
    time.sleep(lasts_s)
    return 100.0 * (_cpu_s(pid) - before) / lasts_s


def _cpu_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _apply(api: KubeApi, numbers: range, made: dict[str, float]) -> None:
    for number in numbers:
        name = f"vm-{number}"
        body: dict[str, Any] = {"apiVersion": "vmoperator.vmware.com/v1alpha6", "spec": SPEC}
        body |= {"kind": "VirtualMachine", "metadata": {"name": name, "namespace": "demo"}}
        api.create(PATH, body)
        made[name] = time.monotonic()


def _watch(kubeconfig: Path, count: int, on: dict[str, float]) -> None:
    with KubeApi(kubeconfig) as api:
        for change in api.watched(PATH, threading.Event()):
            for name in _names_on(change.objects):
                on.setdefault(name, time.monotonic())
            if len(on) == count:
                return


def _names_on(raws: Iterable[Mapping[str, Any]]) -> list[str]:
    return [
        raw["metadata"]["name"]
        for raw in raws
        if (raw.get("status") or {}).get("powerState") == "PoweredOn"
    ]


@contextmanager
def served(folder: Path) -> Iterator[tuple[Path, int]]:
    """A `vmsim serve` with room for all: its kubeconfig and its process."""
    scenario = folder / "bench.yaml"
    command = [sys.executable, "-m", "vmsim", "serve", str(scenario)]
    command += ["--data-dir", str(folder / "served")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        while "serving bench" not in process.stderr.readline():
            assert process.poll() is None, "vmsim serve ended"
        yield folder / "served" / "kubeconfig", process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def bare(folder: Path) -> Iterator[tuple[Path, int]]:
    """A server on which a bare loop in this process writes one field per VM."""
    with KubeProcess(folder / "bare") as process, KubeApi(process.kubeconfig) as api:
        install(api, load(folder / "bench.yaml"), print)
        names: queue.SimpleQueue[str] = queue.SimpleQueue()

        def see() -> None:
            for change in api.watched(PATH, threading.Event()):
                for raw in change.objects:
                    if not raw.get("status"):
                        names.put(raw["metadata"]["name"])

        def write() -> None:
            while True:
                status = {"status": {"powerState": "PoweredOn"}}
                api.patch(f"{PATH}/{names.get()}/status", status)

        for work in (see, *[write] * CLIENTS):
            threading.Thread(target=work, daemon=True).start()
        yield process.kubeconfig, os.getpid()


def main() -> int:
    """Measure what is asked for, and print it."""
    what, count = sys.argv[1], int(sys.argv[2])
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="vmsim-bench-") as name:
        folder = Path(name)
        (folder / "bench.yaml").write_text(SCENARIO)
        ways = {"serve": served, "bare": bare} if what == "burst" else {"serve": served}
        for label, way in ways.items():
            with way(folder) as (kubeconfig, pid):
                time.sleep(WARM_UP_S)
                found[label] = burst(kubeconfig, count)
                found[label] |= at_rest(pid) if what == "rest" else {}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
