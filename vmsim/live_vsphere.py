"""What did somebody else do on the vSphere API, past us, and what shall follow from it?

A `Sighting` shows the API's hosts and VMs. What it shows of a host must be what our roles made of
it, so a difference is a wish of whoever calls the API: entering maintenance, leaving it, losing
the host, having it back. The wish is written to the host's Node, as an administrator with kubectl
would, and carried out from there. A VM that is elsewhere, has other power or is gone counts as
changed by an administrator, and the VM role sees to it.

vcsim sets the flag of maintenance mode at once, with VMs still running. It is taken back, and set
when the host is empty, as on vSphere.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vmsim import nodes
from vmsim.actions import Verb
from vmsim.fleet import Fleet, Guest
from vmsim.objects import HostState, PowerState
from vmsim.ports import HostShown, Sighting, VMShown

Ask = Callable[[str, Mapping[str, Any]], None]
Say = Callable[[str], None]

_SWITCH = {
    PowerState.ON: Verb.POWER_ON,
    PowerState.OFF: Verb.POWER_OFF,
    PowerState.SUSPENDED: Verb.SUSPEND,
}


class LiveVSphere:
    """Compares sightings with the fleet; `ask` writes a wish to a Node, `leave` takes a host out
    of maintenance mode on the API alone. Everything runs in the thread of the clock."""

    def __init__(self, fleet: Fleet, ask: Ask, leave: Callable[[str], None], say: Say) -> None:
        self._fleet = fleet
        self._ask = ask
        self._leave = leave
        self._say = say
        self._asked: dict[str, HostShown] = {}
        self._strangers: set[str] = set()

    def seen(self, sighting: Sighting) -> None:
        """Follow what the API shows, except where we changed something since it was read."""
        for name, shown in sighting.hosts.items():
            if sighting.is_current(name):
                self._host(name, shown)
        for guest in list(self._fleet.guests.values()):
            if sighting.is_current(guest.key):
                self._vm(guest, sighting.vms.get(guest.key))
        for key in sorted(sighting.vms.keys() - self._fleet.guests.keys() - self._strangers):
            if sighting.is_current(key):
                self._strangers.add(key)
                self._say(f"{key} is on the vSphere API and not ours: its room is not counted")

    def _host(self, name: str, shown: HostShown) -> None:
        row = self._fleet.inventory.row_of.get(name)
        if row is None:
            return
        wish = _wish(self._fleet.inventory.states[row], shown)
        if wish is None:
            self._asked.pop(name, None)
        elif self._asked.get(name) != shown:
            self._asked[name] = shown
            self._fleet.trace.write("host", "AskedOnVSphere", name, {"summary": wish[0]})
            if shown.in_maintenance:
                self._leave(name)
            self._ask(name, wish[1])

    def _vm(self, guest: Guest, shown: VMShown | None) -> None:
        if not guest.exists or not guest.connected:
            return
        for verb, row in list(self._steps(guest, shown)):
            if guest.busy is None and guest.exists:
                self._fleet.learn(guest, verb, row)

    def _steps(self, guest: Guest, shown: VMShown | None) -> Iterator[tuple[Verb, int]]:
        """What happened to the guest, as tasks that lead from what we know to what is shown."""
        if shown is None:
            if guest.power is not PowerState.OFF:
                yield Verb.POWER_OFF, guest.row
            yield Verb.DESTROY, guest.row
            return
        row = self._fleet.inventory.row_of.get(shown.host, guest.row)
        if shown.power is not guest.power and guest.power is PowerState.ON:
            yield _SWITCH[shown.power], guest.row
        if row != guest.row:
            runs = shown.power is guest.power is PowerState.ON
            yield Verb.MIGRATE if runs else Verb.RELOCATE, row
        if shown.power is not guest.power and guest.power is not PowerState.ON:
            yield _SWITCH[shown.power], row


def _wish(state: HostState, shown: HostShown) -> tuple[str, dict[str, Any]] | None:
    """What somebody asks for who made the API show this of a host in that state, in words and as
    a patch of its Node; None: nothing."""
    if not shown.connected:
        return None if state is HostState.DOWN else ("disconnect", _failed(nodes.ISOLATION))
    if state is HostState.DOWN:
        return "reconnect", _failed(None)
    if shown.in_maintenance is (state is HostState.MAINTENANCE):
        return None
    if shown.in_maintenance:
        return "enter maintenance mode", nodes.asking(True, None, True)
    return "exit maintenance mode", nodes.asking(None, None, False)


def _failed(how: str | None) -> dict[str, Any]:
    return {"metadata": {"annotations": {nodes.FAILED: how}}}
