"""The VMs on the hosts, as our cluster role knows them, and the tasks that change them.

A `Guest` is a VM that the hypervisor holds: where it is, whether it runs, which task it is busy
with, and on which row it has claimed room. `Fleet` starts tasks and applies their outcome; it
decides nothing about *which* task or *which* host.

Room: a powered-on VM holds its room; a task that will run the VM somewhere claims the room there
when it starts. A powered-off VM holds none, except between a creation and its power-on.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from vmsim.actions import (
    ABSENT,
    CREATE,
    MIGRATE,
    USER,
    Cause,
    Fault,
    Observed,
    PowerOffMode,
    Task,
    Verb,
)
from vmsim.guests import GuestTimes, address
from vmsim.inventory import Inventory
from vmsim.objects import DOWN, OFF, ON, SUSPENDED, HostSpec
from vmsim.placement import Placer, Requirement, Shape, summary
from vmsim.ports import Believed, Changed, Plant
from vmsim.requirement import hardware
from vmsim.trace import Trace

EVENTS: Final = {
    Verb.CREATE: "VmCreated",
    Verb.POWER_ON: "VmPoweredOn",
    Verb.POWER_OFF: "VmPoweredOff",
    Verb.SUSPEND: "VmSuspended",
    Verb.RESTART: "VmReset",
    Verb.RESIZE: "VmReconfigured",
    Verb.MIGRATE: "VmMigrated",
    Verb.RELOCATE: "VmRelocated",
    Verb.DESTROY: "VmRemoved",
}
"""Kind of the record of a task that succeeded: vSphere's event names."""

VERBS: Final = {verb: verb.value for verb in Verb}  # a look-up costs less than an enum's `value`
CAUSES: Final = {cause: cause.value for cause in Cause}
NOTHING: Final = Requirement(0, 0)
TO_A_HOST: Final = frozenset((Verb.POWER_ON, Verb.MIGRATE))
WITHOUT_ROOM: Final = frozenset((Verb.CREATE, Verb.RELOCATE))
STOPS_THE_GUEST: Final = frozenset((Verb.POWER_OFF, Verb.RESTART))
MOVES: Final = TO_A_HOST | {Verb.RELOCATE}
DESCRIBED: Final = WITHOUT_ROOM | {Verb.MIGRATE, Verb.RESIZE}


@dataclass(slots=True)
class Guest(Observed):
    """A VM on a host. `row` is where it is, `claim` and `target` are rows with claimed room
    (-1: none): `claim` for running where it is, `target` for the task under way. `generation` is
    the CPU generation it was powered on with: a live migration must find the same or a newer.
    `bound_for` is the row on which it is, or was, created or registered. `resized` is what it asks
    once it has the hardware that it is being given. `charged` is the
    cluster in which its pool stands for its reservations, or ''."""

    key: str = ""
    requirement: Requirement = NOTHING
    shape: Shape | None = None
    row: int = -1
    bound_for: int = -1
    claim: int = -1
    target: int = -1
    boots: int = 0
    generation: int = 0
    serial: int = 0
    lost_power: bool = False
    evicted_from: str = ""
    stores: tuple[str, ...] = ()
    refused: str = ""
    off_mode: PowerOffMode = PowerOffMode.TRY_SOFT
    restart_asked: str = ""
    resized: Requirement = NOTHING
    charged: str = ""


class Fleet:
    """Guests by key and by host, over an inventory; see the module docstring."""

    def __init__(self, placer: Placer, plant: Plant, trace: Trace) -> None:
        self.placer = placer
        self.inventory: Inventory = placer.inventory
        self.trace = trace
        self.guests: dict[str, Guest] = {}
        self.residents: list[dict[str, Guest]] = [{} for _ in self.inventory.hosts]
        self.on_room: Callable[[], None] = _nothing
        self.on_settled: Callable[[int], None] = _nothing_with
        self.draining: Collection[int] = ()
        self.guest_times: GuestTimes | None = None
        self._plant = plant
        self._changed: list[Changed] = []
        self._serial = 0
        self._outcomes: Mapping[Verb, Callable[[Guest, Task], None]] = {
            Verb.CREATE: self._created,
            Verb.POWER_ON: self._powered_on,
            Verb.POWER_OFF: self._powered_off,
            Verb.SUSPEND: self._suspended,
            Verb.RESTART: self._restarted,
            Verb.RESIZE: self._resized,
            Verb.MIGRATE: self._arrived,
            Verb.RELOCATE: self._relocated,
            Verb.DESTROY: self._destroyed,
        }

    def subscribe(self, changed: Changed) -> None:
        """See `vmsim.ports.Hypervisor`."""
        self._changed.append(changed)

    def observe(self, key: str) -> Observed:
        """See `vmsim.ports.Hypervisor`."""
        return self.guests.get(key, ABSENT)

    def existing(self) -> list[Believed]:
        """Every VM that exists, for comparison with a backend's inventory."""
        return [
            Believed(guest.key, guest.host, guest.power, guest.hardware)
            for guest in self.guests.values()
            if guest.exists
        ]

    def enrol(self, key: str, requirement: Requirement) -> Guest:
        """The guest `key`, made known (not yet existing) when it is new."""
        guest = self.guests.get(key)
        if guest is None:
            self._serial += 1
            guest = self.guests[key] = Guest(key=key, serial=self._serial)
        guest.requirement, guest.class_name = requirement, requirement.class_name
        guest.hardware = hardware(requirement)
        guest.shape = self.placer.shape(requirement)
        return guest

    def number(self, guest: Guest, serial: int) -> None:
        """Give the guest the number that it had before; no later one gets it again."""
        guest.serial = serial
        self._serial = max(self._serial, serial)

    def place(self, requirement: Requirement) -> int:
        """Row of the best host for such a VM, or -1."""
        return self.placer.place(self.placer.shape(requirement))

    def start(self, guest: Guest, verb: Verb, row: int, cause: Cause) -> None:
        """Start `verb` on the guest; `row` is the destination of a creation, power-on or move."""
        guest.busy = verb
        guest.fault = None
        if verb in WITHOUT_ROOM:
            guest.bound_for = row
        elif verb in TO_A_HOST and guest.claim != row:
            self._claim(guest, row)
        host = guest.host if row < 0 else self.inventory.hosts[row].name
        task = Task(verb, guest.key, guest.host, host, cause)
        if verb in DESCRIBED:
            self._describe(guest, task, row)
        elif verb in STOPS_THE_GUEST and self.guest_times is not None:
            task.mode = guest.off_mode if cause is USER else PowerOffMode.TRY_SOFT
            task.lasts_s = self.guest_times.power_off_s(guest.key, task.mode)
        self._plant.start(task, self._ended)
        if self.observe(guest.key).busy is verb:
            data = {"verb": VERBS[verb], "host": host, "cause": CAUSES[cause]}
            self.trace.write("cluster", "TaskStarted", guest.key, data)

    def _describe(self, guest: Guest, task: Task, row: int) -> None:
        """Tell in the task what the VM is like, and on which datastore it is to lie."""
        if task.verb is Verb.RESIZE:
            task.hardware = hardware(guest.resized)
            return
        requirement, destination = guest.requirement, self.inventory.hosts[row]
        task.datastore = datastore_on(destination, requirement)
        if task.verb is CREATE:
            task.hardware = guest.hardware
        elif task.verb is MIGRATE:
            task.memory_mib = requirement.memory_mib
            task.class_name, task.devices = requirement.class_name, requirement.devices
            if requirement.datastores and not task.datastore:
                task.from_datastore = requirement.datastores[0]
                anywhere = replace(requirement, datastores=guest.stores)
                task.datastore = datastore_on(destination, anywhere)

    def learn(self, guest: Guest, verb: Verb, row: int) -> None:
        """Somebody else did `verb` to a guest that is not busy, past us; `row` is where it is now.

        It counts as a task of an administrator that just ended, also where there is no room.
        """
        assert guest.busy is None, f"{guest.key} is busy with {guest.busy}"
        if verb in WITHOUT_ROOM:
            guest.bound_for = row
        if verb in TO_A_HOST and guest.claim != row:
            self._claim(guest, row)
        host = self.inventory.hosts[row].name
        task = Task(verb, guest.key, guest.host, host, Cause.ADMINISTRATOR)
        self._ended(task, None)

    def reserve(self, guest: Guest, row: int) -> None:
        """Claim room on `row` for the power-on that will follow the guest's creation."""
        assert guest.shape is not None
        self.inventory.claim(guest.shape.needs, row)
        guest.claim = row
        guest.reserved = True
        self._account(guest)

    def unreserve(self, guest: Guest) -> None:
        """Give back what `reserve` took."""
        guest.reserved = False
        self._release(guest)

    def refuse(self, guest: Guest, verb: Verb, requirement: Requirement) -> Fault:
        """The fault of a VM that no host fits; the reasons are recorded when they change."""
        reasons = self.placer.refusals(requirement)
        counted = summary(reasons) or "no placement candidates"
        fault = Fault("NoCompatibleHost", counted)
        self.note_refusal(guest, verb, fault, reasons)
        return fault

    def note_refusal(
        self, guest: Guest, verb: Verb, fault: Fault, hosts: Mapping[str, str]
    ) -> None:
        """Record that the VM is refused, unless it was refused just so before."""
        if guest.refused != fault.message:
            guest.refused = fault.message
            data = {"verb": verb.value, "summary": fault.message, "hosts": hosts}
            self.trace.write("cluster", fault.name.removesuffix("Fault"), guest.key, data)

    def lose_power(self, guest: Guest) -> None:
        """The guest's host is gone: it stops at once, without a task."""
        guest.connected = False
        if guest.power is ON:
            guest.lost_power = True
            guest.power = OFF
            guest.ip = ""
        guest.reserved = False
        self._release(guest)

    def notify(self, guest: Guest, *, requested: bool) -> None:
        """Tell the subscribers that the guest changed."""
        for changed in self._changed:
            changed(guest.key, requested)

    def _ended(self, task: Task, fault: Fault | None) -> None:
        guest = self.guests[task.vm]
        guest.busy = None
        if fault is None:
            data: dict[str, Any] = {"host": task.host, "cause": CAUSES[task.cause]}
            if task.source != task.host and task.verb in MOVES:
                data["from"] = task.source
            if task.report:
                data |= task.report
            self._outcomes[task.verb](guest, task)
            guest.refused = ""
            self.trace.write("cluster", EVENTS[task.verb], guest.key, data)
        else:
            self._roll_back(guest, task, fault)
        if guest.row in self.draining:
            self.on_settled(guest.row)
        for changed in self._changed:
            changed(guest.key, task.cause is USER)

    def _created(self, guest: Guest, task: Task) -> None:
        guest.exists = True
        self._move_to(guest, guest.bound_for)

    def _relocated(self, guest: Guest, task: Task) -> None:
        self._move_to(guest, guest.bound_for)

    def _arrived(self, guest: Guest, task: Task) -> None:
        if task.from_datastore:
            self.enrol(guest.key, replace(guest.requirement, datastores=(task.datastore,)))
        if guest.target >= 0:
            self._release(guest)
            guest.claim, guest.target = guest.target, -1
        self._move_to(guest, guest.claim)

    def _powered_off(self, guest: Guest, task: Task) -> None:
        guest.power = OFF
        guest.ip = ""
        self._release(guest)

    def _suspended(self, guest: Guest, task: Task) -> None:
        self._powered_off(guest, task)
        guest.power = SUSPENDED

    def _destroyed(self, guest: Guest, task: Task) -> None:
        self._release(guest)
        del self.guests[guest.key]
        del self.residents[guest.row][guest.key]
        guest.exists = False

    def _powered_on(self, guest: Guest, task: Task) -> None:
        self._arrived(guest, task)
        guest.power = ON
        guest.reserved = False
        guest.lost_power = False
        guest.evicted_from = ""
        guest.generation = self.inventory.hosts[guest.row].cpu_generation
        self._boot(guest)

    def _restarted(self, guest: Guest, task: Task) -> None:
        guest.restarted = guest.restart_asked
        guest.ip = ""
        self._boot(guest)

    def _resized(self, guest: Guest, task: Task) -> None:
        self.enrol(guest.key, guest.resized)

    def _boot(self, guest: Guest) -> None:
        """Let the guest start; it has an address once it is up."""
        guest.boots += 1
        boot = guest.boots

        def ready() -> None:
            if guest.boots == boot and guest.power is ON:
                guest.ip = address(guest.serial)
                self.notify(guest, requested=False)

        times = self.guest_times
        self._plant.boot(guest.key, ready, -1.0 if times is None else times.boot_s(guest.key))

    def _roll_back(self, guest: Guest, task: Task, fault: Fault) -> None:
        if guest.target >= 0:
            assert guest.shape is not None
            self.inventory.release(guest.shape.needs, guest.target)
            guest.target = -1
            self._account(guest)
            self.on_room()
        elif task.verb in (Verb.CREATE, Verb.POWER_ON):
            guest.reserved = False
            self._release(guest)
        elif task.verb is Verb.POWER_OFF:
            guest.evicted_from = ""  # it still runs, so nothing evicted it
        if task.cause is USER:
            guest.fault = fault
        data = {"verb": task.verb.value, "host": task.host, "fault": str(fault)}
        self.trace.write("cluster", "TaskFailed", guest.key, data)

    def _claim(self, guest: Guest, row: int) -> None:
        assert guest.shape is not None
        self.inventory.claim(guest.shape.needs, row)
        if guest.claim < 0:
            guest.claim = row
        else:
            guest.target = row
        self._account(guest)

    def _account(self, guest: Guest) -> None:
        """Charge the guest's reservations to its pool once while it holds room anywhere."""
        pools = self.inventory.pools
        if pools is None:
            return
        row = max(guest.claim, guest.target)
        if (row >= 0) is bool(guest.charged):
            return
        vm, sign = guest.requirement, 1 if row >= 0 else -1
        guest.charged = self.inventory.hosts[row].cluster if row >= 0 else guest.charged
        wanted = (sign * vm.cpu_reservation_mhz, sign * vm.memory_reservation_mib)
        pools.take(guest.charged, vm.pool or "", wanted)
        guest.charged = guest.charged if row >= 0 else ""

    def _release(self, guest: Guest) -> None:
        if guest.claim >= 0:
            assert guest.shape is not None
            self.inventory.release(guest.shape.needs, guest.claim)
            guest.claim = -1
            self._account(guest)
            self.on_room()

    def _move_to(self, guest: Guest, row: int) -> None:
        if guest.row != row:
            if guest.row >= 0:
                self.residents[guest.row].pop(guest.key, None)
                if guest.row in self.draining:
                    self.on_settled(guest.row)
            guest.row = row
            self.residents[row][guest.key] = guest
            host = self.inventory.hosts[row]
            guest.host, guest.zone = host.name, host.zone
        guest.connected = self.inventory.states[row] is not DOWN


def datastore_on(host: HostSpec, requirement: Requirement) -> str:
    """The first datastore of the host that such a VM may lie on, or ''."""
    for name in host.datastores:
        if not requirement.datastores or name in requirement.datastores:
            return name
    return ""


def _nothing() -> None:
    return None


def _nothing_with(row: int) -> None:
    return None
