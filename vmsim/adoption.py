"""Which VMs are there already when a run begins on an API server that has a past?

Their statuses tell: a VM with an identifier exists, on the host and in the power state that were
written last. `adopt` puts such a VM back onto its host in the fleet's books, its room claimed, as
if it had never been forgotten. A machine whose status was not written yet is unknown here; in
memory it died with the process, and the VM role makes it again. What an API of its own still
shows of a machine is believed before the status.
"""

from dataclasses import dataclass, replace

from vmsim.actions import Cause, Task, Verb
from vmsim.editions import Edition
from vmsim.fleet import Fleet, datastore_on
from vmsim.guests import serial_of
from vmsim.objects import HostState, PowerState, VirtualMachine
from vmsim.placement import Requirement
from vmsim.ports import VMShown
from vmsim.requirement import belonging, hardware


@dataclass(frozen=True, slots=True)
class Remembered:
    """A VM as its status has it."""

    key: str
    host: str
    power: PowerState
    ip: str = ""
    restarted: str = ""


def remembered(vm: VirtualMachine, edition: Edition) -> Remembered | None:
    """What the status says about the machine, or None: there is none."""
    status = vm.status
    if not status.unique_id or not status.host:
        return None
    words = {word: state for state, word in edition.power_words.items()}
    power = words.get(status.power_state, PowerState.OFF)
    if power is PowerState.ON and not status.ip:
        power = PowerState.OFF  # its guest was starting, and died with the process
    return Remembered(vm.key, status.host, power, status.ip, status.last_restart)


def as_made(vm: VirtualMachine) -> VirtualMachine:
    """The VM with the class whose hardware it has."""
    in_force = vm.status.class_name or vm.spec.class_name
    return replace(vm, spec=replace(vm.spec, class_name=in_force))


def as_shown(told: Remembered | None, key: str, shown: VMShown) -> Remembered:
    """What is true of a VM that a real API still has, whatever its status told.

    One that runs and has no address yet counts as off until the API is looked at again, so that
    its guest starts for us, too.
    """
    ip = told.ip if told is not None else ""
    runs = shown.power is PowerState.ON
    if runs and not ip:
        return Remembered(key, shown.host, PowerState.OFF)
    return Remembered(key, shown.host, shown.power, ip if runs else "")


def adopt(fleet: Fleet, known: Remembered, requirement: Requirement) -> list[Task]:
    """Put the VM onto its host; the answer is how to make it on a plant that has forgotten it.

    Empty if the host is gone: then the VM counts as not there.
    """
    inventory = fleet.inventory
    row = inventory.row_of.get(known.host, -1)
    if row < 0:
        return []
    host = inventory.hosts[row]
    datastore = datastore_on(host, requirement)
    guest = fleet.enrol(known.key, belonging(requirement, host.cluster, datastore))
    assert guest.shape is not None, "enrol gives a shape"
    guest.exists = True
    guest.power = known.power
    guest.restarted = known.restarted
    guest.row = guest.bound_for = row
    guest.host, guest.zone = host.name, host.zone
    guest.connected = inventory.states[row] is not HostState.DOWN
    fleet.residents[row][known.key] = guest
    made = Task(Verb.CREATE, known.key, "", host.name, Cause.USER, hardware(requirement))
    made.datastore = datastore
    tasks = [made]
    if known.power is PowerState.ON:
        inventory.claim(guest.shape.needs, row)
        guest.claim = row
        guest.boots = 1
        guest.generation = host.cpu_generation
        guest.ip = known.ip
        fleet.number(guest, serial_of(known.ip))
        tasks.append(Task(Verb.POWER_ON, known.key, host.name, host.name, Cause.USER))
    return tasks
