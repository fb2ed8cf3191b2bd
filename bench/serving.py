"""Does `vmsim serve` keep up with users who apply many VMs at once?

python -m bench.serving [COUNT]

Eight clients apply VMs; the time until all are powered on is compared with the time that the
creation itself takes, and both with a bare list-and-watch loop on a server of its own that writes
one status field per VM. No duration is modelled, so only the way through the API is measured.
"""

import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
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
      hosts: [{{name: "esx-{{}}", count: 200, cores: 64, memory: 1024Gi}}]
  manifests: [{MANIFESTS / "prerequisites-2026-08.yaml"}]
"""
SPEC = {
    "className": "my-vm-class",
    "imageName": "vmi-0a0044d7c690bcbea",
    "storageClass": "my-storage-class",
}


def measured(kubeconfig: Path, count: int) -> str:
    """Apply `count` VMs, wait until all are on, and say how long that took."""
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
        watcher.join(300.0)
    assert len(on) == count, f"{count - len(on)} VMs are not on"
    all_s = max(on.values()) - started_s
    late = sorted(on[name] - made[name] for name in made)
    p50, p99 = late[count // 2], late[int(count * 0.99)]
    ratio = f"{all_s / created_s:.2f} x"
    return f"created in {created_s:.1f} s, all on {ratio}, latency p50 {p50:.2f} p99 {p99:.2f} s"


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
            for raw in change.objects:
                if (raw.get("status") or {}).get("powerState") == "PoweredOn":
                    on.setdefault(raw["metadata"]["name"], time.monotonic())
            if len(on) == count:
                return


@contextmanager
def served(folder: Path) -> Iterator[Path]:
    """The kubeconfig of a `vmsim serve` with room for all."""
    scenario = folder / "bench.yaml"
    command = [sys.executable, "-m", "vmsim", "serve", str(scenario)]
    command += ["--data-dir", str(folder / "served")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        while "serving bench" not in process.stderr.readline():
            assert process.poll() is None, "vmsim serve ended"
        yield folder / "served" / "kubeconfig"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def bare(folder: Path) -> Iterator[Path]:
    """The kubeconfig of a server on which a bare loop writes one field per VM."""
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
        yield process.kubeconfig


def main() -> int:
    """Measure one after the other, and print a line each."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(prefix="vmsim-bench-") as name:
        folder = Path(name)
        (folder / "bench.yaml").write_text(SCENARIO)
        for label, way in (("bare loop", bare), ("vmsim serve", served)):
            with way(folder) as kubeconfig:
                time.sleep(WARM_UP_S)
                print(f"{count} VMs, {label}: {measured(kubeconfig, count)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
