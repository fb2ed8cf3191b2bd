"""What is a host doing, and who is told when that changes?

`HostStates` is the one place that changes the state of a host: it records the change and tells
those who must know. It also refuses, as vSphere would, what a host's state does not allow.
"""

from collections.abc import Callable

import simpy

from vmsim.actions import Fault
from vmsim.fleet import Fleet
from vmsim.objects import HostState
from vmsim.timer import call_later


class Refused(Exception):
    """The administrator asked for something that vSphere would refuse; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


class HostStates:
    """The states of the hosts of a fleet; `on_change` is called with the row after each change."""

    def __init__(self, env: simpy.Environment, fleet: Fleet) -> None:
        self._env = env
        self._fleet = fleet
        self.on_change: Callable[[int], None] = _ignored

    def name(self, row: int) -> str:
        """The name of the host of that row."""
        return self._fleet.inventory.hosts[row].name

    def of(self, row: int) -> HostState:
        """What the host of that row is doing."""
        return self._fleet.inventory.states[row]

    def row(self, host: str, *states: HostState) -> int:
        """The row of the host, which must be in one of these states; else Refused."""
        row = self._fleet.inventory.row_of.get(host)
        if row is None:
            raise Refused(Fault("ManagedObjectNotFound", f"there is no host {host}"))
        if self.of(row) not in states:
            raise Refused(Fault("InvalidState", f"host {host} is {self.of(row).value}"))
        return row

    def set(self, row: int, state: HostState, kind: str) -> None:
        """Put the host into that state, with a record of this kind."""
        self._fleet.inventory.set_state(row, state)
        self._fleet.trace.write("host", kind, self.name(row), {"state": state.value})
        self.on_change(row)

    def open(self, row: int, kind: str) -> None:
        """Let the host work again: those who wait for room may have it."""
        self.set(row, HostState.UP, kind)
        self._fleet.on_room()

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call it after so many seconds; 0 is at the end of this instant."""
        call_later(self._env, delay_s, lambda _: call())


def _ignored(row: int) -> None:
    return None
