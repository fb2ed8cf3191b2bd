"""How is the suite run on `vmsim serve` itself, behind real Kubernetes API servers?

`python -m features.kube.lab [--backend vcsim] [--each N] [--apart] COMMAND...` starts N (one)
`vmsim serve` per edition, with the hosts that the scenarios declare and a clock that stands still,
runs the command with a KUBECONFIG whose contexts are the editions (a second of an edition is called
2026-08.2), and stops them. Its exit code is the command's. `--apart` runs the command for each
edition by itself, at the same time.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from features.clauses import EDITIONS
from vmsim.problems import Unreachable

READY_S = 120.0
STOP_S = 60.0
VGPU, DEVICE = "grid_a100-8c", "0x10de:0x1eb8"
HOSTS: dict[str, list[dict[str, Any]]] = {
    "zone-1": [
        {"name": "plain-{}", "count": 6},
        {"name": "slow-{}", "count": 1, "mhz": 2000},
        {"name": "fast-{}", "count": 1, "mhz": 3000},
        {"name": "vgpu-{}", "count": 3, "devices": {VGPU: 1}},
        {"name": "device-{}", "count": 2, "devices": {DEVICE: 1}},
        {"name": "tiny-{}", "count": 2, "memory": "2Gi"},
        {"name": "small-{}", "count": 1, "memory": "6Gi"},
        {"name": "medium-{}", "count": 1, "memory": "16Gi"},
        {"name": "half-{}", "count": 2, "memory": "32Gi"},
        {"name": "huge-{}", "count": 1, "memory": "512Gi"},
    ],
    "zone-2": [{"name": "second-{}", "count": 2}],
    "zone-3": [{"name": "third-{}", "count": 1}],
}
"""By zone: enough hosts of each size for any scenario."""


def scenario(edition: str) -> str:
    """The scenario file of the lab."""
    clusters = [
        {
            "name": f"cluster-{zone}",
            "zone": zone,
            "hosts": [{"cores": 16, "memory": "64Gi"} | one for one in hosts],
        }
        for zone, hosts in HOSTS.items()
    ]
    spec = {"edition": edition, "duration": "3650d", "namespace": "lab", "clusters": clusters}
    head = {"apiVersion": "vmsim.dev/v1alpha1", "kind": "Scenario"}
    return yaml.safe_dump(head | {"metadata": {"name": f"lab-{edition}"}, "spec": spec})


@contextmanager
def serving(
    folder: Path, backend: str, contexts: Sequence[str] = EDITIONS, speed: str = "0"
) -> Iterator[Path]:
    """A kubeconfig with these contexts, while one `vmsim serve` runs for each; what follows a dot
    in a name is not of the edition's."""
    with ExitStack() as stack:
        serve = partial(_served, backend=backend, speed=speed)
        found = {
            name: stack.enter_context(serve(folder / name, name.partition(".")[0]))
            for name in contexts
        }
        for process, log in found.values():
            _await(process, log)
        configs = {name: folder / name / "data" / "kubeconfig" for name in found}
        kubeconfig = folder / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(yaml.safe_dump(merged(configs)))
        yield kubeconfig


@contextmanager
def _served(
    folder: Path, edition: str, backend: str, speed: str
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    folder.mkdir(parents=True)
    (folder / "lab.yaml").write_text(scenario(edition))
    log = folder / "serve.log"
    command = [sys.executable, "-m", "vmsim", "serve", str(folder / "lab.yaml"), "--speed", speed]
    command += ["--backend", backend, "--data-dir", str(folder / "data")]
    state = {"XDG_STATE_HOME": str(folder / "state")}
    with log.open("wb") as sink:
        process = subprocess.Popen(command, env={**os.environ, **state}, stdout=sink, stderr=sink)
    try:
        yield process, log
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while "vmsim: serving " not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise Unreachable(f"vmsim serve does not serve: {log.read_text()}")
        time.sleep(0.1)


def merged(configs: dict[str, Path]) -> dict[str, Any]:
    """One kubeconfig with a context for each of these, called as its key."""
    found: dict[str, Any] = {"apiVersion": "v1", "kind": "Config"}
    for name, path in configs.items():
        one = yaml.safe_load(path.read_text())
        for part in ("clusters", "users"):
            found.setdefault(part, []).append(one[part][0] | {"name": name})
        context = {"name": name, "context": {"cluster": name, "user": name}}
        found.setdefault("contexts", []).append(context)
    return found | {"current-context": next(iter(configs))}


def _together(command: Sequence[str], kubeconfig: Path, contexts: Sequence[str]) -> int:
    """Run the command once, with all contexts; its exit code."""
    return subprocess.call(command, env=_settings(kubeconfig, contexts))


def _apart(command: Sequence[str], kubeconfig: Path, contexts: Sequence[str]) -> int:
    """Run the command for each context at the same time; the highest of the exit codes."""
    running = {
        context: subprocess.Popen(
            command,
            env=_settings(kubeconfig, (context,)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for context in contexts
    }
    for context, process in running.items():
        print(f"--- {context} ---\n{process.communicate()[0]}", flush=True)
    return max(process.returncode for process in running.values())


def _settings(kubeconfig: Path, contexts: Sequence[str]) -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": str(kubeconfig), "VMSIM_CONTEXT": ",".join(contexts)}


def main() -> int:
    """Run the command of the arguments beside the servers."""
    parser = argparse.ArgumentParser(prog="python -m features.kube.lab")
    parser.add_argument("--backend", choices=("memory", "vcsim"), default="memory")
    parser.add_argument("--each", type=int, default=1, help="so many servers for each edition")
    parser.add_argument("--apart", action="store_true", help="once per edition, at the same time")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    others = [f".{number}" for number in range(2, given.each + 1)]
    contexts = [edition + more for edition in EDITIONS for more in ("", *others)]
    run = _apart if given.apart else _together
    with tempfile.TemporaryDirectory() as folder:
        try:
            with serving(Path(folder), given.backend, contexts) as kubeconfig:
                return run(given.command, kubeconfig, contexts)
        except Unreachable as error:
            print(f"vmsim: {error}", file=sys.stderr)
            return 4


if __name__ == "__main__":
    sys.exit(main())
