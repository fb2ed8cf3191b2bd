"""How do the hosts and their Nodes on an API server keep in step?

What a Node asks for is carried out on its host, again and again until it is so; what a host does is
written to its Node's status. A host without a Node gets one; a Node with a description and without
a host becomes a host; a Node that is deleted takes its host away, or comes back if VMs are on it.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from vmsim import nodes
from vmsim.administration import Refused
from vmsim.kube import Change, Denial, Kube
from vmsim.mirror import Clock
from vmsim.objects import HostSpec, HostState
from vmsim.outbox import Outbox
from vmsim.problems import BadInput
from vmsim.simulate import System
from vmsim.timer import call_later
from vmsim.trace import Record

PATH = "/api/v1/nodes"
RETRY_S = 5.0


class LiveHosts:
    """See the module docstring; everything but the writes runs in the thread of the clock."""

    def __init__(self, system: System, kube: Kube, outbox: Outbox) -> None:
        self.clock = Clock(0.0, 1.0)
        self._system = system
        self._kube = kube
        self._outbox = outbox
        self._nodes: dict[str, dict[str, Any]] = {}
        self._dirty: dict[str, None] = {}
        self._since: dict[str, tuple[str, str]] = {}
        system.trace.listen(self._noted)

    def begin(self) -> None:
        """Give every host its Node, and every described Node its host."""
        there = {raw["metadata"]["name"]: raw for raw in self._kube.items(PATH)}
        inventory = self._system.fleet.inventory
        for name in inventory.row_of:
            if name not in there:
                self._create(inventory.hosts[inventory.row_of[name]])
            self._dirty[name] = None
        for raw in there.values():
            self._keep(raw)

    def steer(self) -> None:
        """Carry out what every Node asks for."""
        for name in list(self._nodes):
            self._steer(name)

    def seen(self, change: Change) -> None:
        """The server told of Nodes."""
        names = {raw["metadata"]["name"] for raw in change.objects}
        if change.type == "DELETED":
            for name in names:
                self._deleted(name)
            return
        if change.type == "LISTED":
            for name in [name for name in self._nodes if name not in names]:
                self._deleted(name)
        for raw in change.objects:
            self._keep(raw)
            self._steer(raw["metadata"]["name"])

    def ask(self, name: str, body: Mapping[str, Any]) -> None:
        """Write to the Node what somebody asks for who does not speak with the API server."""
        self._outbox.put(f"node-asked/{name}", partial(self._kube.patch, f"{PATH}/{name}", body))

    def flush(self) -> bool:
        """Hand over the statuses that changed; whether there were any."""
        some = bool(self._dirty)
        for name in self._dirty:
            host, state = self._host(name), self._state(name)
            if host is None or state is None:
                continue
            blockers = self._system.hosts.blockers(name)
            body = nodes.status(host, state, self._changed_at(name, state), blockers)
            job = partial(self._write_status, name, body)
            self._outbox.put(f"node/{name}", job)
        self._dirty.clear()
        return some

    def _write_status(self, name: str, body: dict[str, Any]) -> None:
        try:
            self._kube.patch(f"{PATH}/{name}/status", {"status": body})
        except Denial as denial:
            if denial.status != 404:
                raise

    def _changed_at(self, name: str, state: HostState) -> str:
        """When the host came into its state."""
        known, since = self._since.get(name, ("", ""))
        if known != state:
            since = self.clock.written(self._system.env.now)
            self._since[name] = (state, since)
        return since

    def _keep(self, raw: dict[str, Any]) -> None:
        name = raw["metadata"]["name"]
        self._nodes[name] = raw
        if name in self._system.fleet.inventory.row_of:
            return
        try:
            self._system.hosts.add(nodes.host(raw))
        except (BadInput, Refused) as error:
            self._note(name, f"is not taken as a host: {error}")

    def _steer(self, name: str) -> None:
        raw, state = self._nodes.get(name), self._state(name)
        if raw is None or state is None:
            return
        asked = nodes.wanted(raw)
        self._cordon(name, asked.cordoned)
        command = nodes.next_command(asked, state)
        if not command:
            return
        try:
            getattr(self._system.hosts, command)(name)
        except Refused:
            self._later(partial(self._steer, name))  # it is on its way somewhere; ask again

    def _cordon(self, name: str, cordoned: bool) -> None:
        """Close the host to new VMs, or open it again, whatever else it does."""
        if self._system.fleet.inventory.cordon(name, cordoned):
            self._system.trace.write("host", "Cordoned" if cordoned else "Uncordoned", name, {})
            if not cordoned:
                self._system.fleet.on_room()

    def _deleted(self, name: str) -> None:
        self._nodes.pop(name, None)
        host = self._host(name)
        if host is None:
            return
        try:
            self._system.hosts.remove(name)
        except Refused as refused:
            self._note(name, f"stays, since its host cannot leave: {refused}")
            self._create(host)
            self._dirty[name] = None

    def _create(self, host: HostSpec) -> None:
        self._outbox.put(f"node-made/{host.name}", partial(self._make, nodes.node(host)))

    def _make(self, body: dict[str, Any]) -> None:
        try:
            self._kube.create(PATH, body)
        except Denial as denial:
            if denial.status != 409:
                raise

    def _note(self, name: str, message: str) -> None:
        self._system.trace.write("host", "Refused", name, {"fault": message})

    def _noted(self, record: Record) -> None:
        if record.source != "host" or not record.object:
            return
        self._dirty[record.object] = None
        if "state" in record.data and record.object in self._nodes:
            self._later(partial(self._steer, record.object), 0.0)

    def _host(self, name: str) -> HostSpec | None:
        inventory = self._system.fleet.inventory
        row = inventory.row_of.get(name)
        return None if row is None else inventory.hosts[row]

    def _state(self, name: str) -> HostState | None:
        inventory = self._system.fleet.inventory
        row = inventory.row_of.get(name)
        return None if row is None else inventory.states[row]

    def _later(self, call: Any, delay_s: float = RETRY_S) -> None:
        call_later(self._system.env, delay_s, lambda _: call())
