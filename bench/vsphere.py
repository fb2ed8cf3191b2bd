"""How does our vSphere session compare with pyvmomi as a competent user would write it?

One vcsim with 128 hosts and 10,000 VMs. Reading: `Session.vms` against one RetrievePropertiesEx
of the same properties. Power-on of 1,000 VMs: `Session.power_on_many` against a pool of eight
threads that each submit and wait. Seconds of the clock, because a server works on the other side;
the two take turns, and a ratio compares neighbours. Prints one JSON line.
"""

import json
import ssl
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from pyVim import connect as typed_connect

from backends.vcsim_inventory import PlacedVM, write_inventory
from backends.vcsim_process import Vcsim
from backends.vsphere_endpoint import vim, vmodl
from backends.vsphere_reads import VM_PATHS, to_inventory_name
from backends.vsphere_session import Session
from vmsim.actions import Verb
from vmsim.objects import HostSpec

connect: Any = typed_connect  # published without types
HOSTS, VMS, STARTED, ROUNDS, THREADS = 128, 10_000, 1_000, 5, 8


def measure(rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of each driver in each round, by name."""
    hosts = [HostSpec(f"esx-{n}", "cluster-1", "zone-1", 64, 2400, 524_288) for n in range(HOSTS)]
    keys = [f"bench/vm-{n}" for n in range(VMS)]
    vms = [
        PlacedVM(key, hosts[n % HOSTS].name, powered_on=n >= STARTED, cpus=2, memory_mib=4096)
        for n, key in enumerate(keys)
    ]
    found: dict[str, list[float]] = {"read": [], "read bare": [], "start": [], "start bare": []}
    with tempfile.TemporaryDirectory(prefix="vmsim-bench-") as folder:
        inventory = Path(folder) / "inventory"
        write_inventory(inventory, hosts, vms)
        simulator = Vcsim()
        with simulator.start(inventory), Session.connect(simulator.endpoint) as session:
            bare = _Bare(simulator)
            session.vms()
            for _ in range(rounds):
                _time(found, "read", session.vms)
                _time(found, "read bare", bare.read)
                off = keys[:STARTED]
                _time(found, "start", partial(session.power_on_many, off))
                _stop(session, off)
                _time(found, "start bare", partial(bare.power_on, off))
                _stop(session, off)
            bare.close()
    return found


def _time(found: dict[str, list[float]], name: str, call: Callable[[], object]) -> None:
    start = time.perf_counter()
    call()
    found[name].append(time.perf_counter() - start)


def _stop(session: Session, keys: list[str]) -> None:
    faults = session.wait([session.submit(Verb.POWER_OFF, key) for key in keys])
    assert not any(faults), faults


class _Bare:
    """pyvmomi without anything of ours."""

    def __init__(self, simulator: Vcsim) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        endpoint = simulator.endpoint
        host, _, port = endpoint.url.split("/")[2].rpartition(":")
        self._instance: Any = connect.SmartConnect(
            host=host, port=int(port), user="user", pwd="pass", sslContext=context
        )
        self._instance._stub.poolSize = THREADS
        self._refs: dict[str, Any] = {}

    def read(self) -> None:
        """One call for all VMs."""
        content = self._instance.RetrieveContent()
        view = content.viewManager.CreateContainerView(
            content.rootFolder, [vim.VirtualMachine], True
        )
        collector = vmodl.query.PropertyCollector
        walk = collector.TraversalSpec(path="view", skip=False, type=vim.view.ContainerView)
        start = collector.ObjectSpec(obj=view, skip=True, selectSet=[walk])
        wanted = collector.PropertySpec(type=vim.VirtualMachine, pathSet=list(VM_PATHS))
        filter_ = collector.FilterSpec(objectSet=[start], propSet=[wanted])
        answer = content.propertyCollector.RetrievePropertiesEx(
            [filter_], collector.RetrieveOptions()
        )
        objects = list(answer.objects)
        while answer.token:
            answer = content.propertyCollector.ContinueRetrievePropertiesEx(answer.token)
            objects += answer.objects
        self._refs = {
            next(prop.val for prop in item.propSet if prop.name == "name"): item.obj
            for item in objects
        }
        view.Destroy()
        assert len(self._refs) == VMS, len(self._refs)

    def power_on(self, keys: list[str]) -> None:
        """Eight threads, each submitting and waiting."""
        refs = [self._refs[to_inventory_name(key)] for key in keys]

        def start(ref: Any) -> None:
            task = ref.PowerOnVM_Task(None)
            while task.info.state not in ("success", "error"):
                time.sleep(0.002)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(start, refs))

    def close(self) -> None:
        """Log out."""
        connect.Disconnect(self._instance)


if __name__ == "__main__":
    print(json.dumps(measure()))
