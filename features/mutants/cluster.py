"""Faults of the cluster: where a VM goes, what maintenance does, and what a failure does."""

from functools import partial

from features.mutants import Mutant
from features.mutants.patching import Patch, edit, field

MAINTENANCE = "vmsim.maintenance:Maintenance"
ADMINISTRATION = "vmsim.administration:Administration"
HA = "vmsim.availability:Availability"
FLEET = "vmsim.fleet:Fleet"
EVACUATION = "vmsim.evacuation"


def _open_to_all(*names: str) -> Patch:
    """These filters let every host pass."""
    return field("vmsim.placement:FILTERS", partial(_is_named, names), "test", _anywhere)


def _is_named(names: tuple[str, ...], row: object) -> bool:
    return getattr(row, "name", "") in names


def _anywhere(vm: object, hosts: object) -> object:
    return lambda row: True


PLACING = (
    Mutant(
        "host-in-maintenance",
        "A VM is placed on a host that is in maintenance, or that failed.",
        ("S-10", "S-11", "S-12", "S-28"),
        _open_to_all("Schedulable"),
    ),
    Mutant(
        "device-ignored",
        "A VM with a device is placed on a host without that device.",
        ("S-11", "S-12"),
        _open_to_all("Device", "DeviceFree"),
    ),
    Mutant(
        "device-in-use-ignored",
        "A device that another VM uses is given out again.",
        ("S-11", "C-08"),
        _open_to_all("DeviceFree"),
    ),
    Mutant(
        "memory-ignored",
        "A VM is placed on a host without room for its memory.",
        ("S-10", "S-12"),
        _open_to_all("Memory"),
    ),
    Mutant(
        "cpu-ignored",
        "A VM is placed on a host without room for its CPUs.",
        ("S-12",),
        _open_to_all("CPU"),
    ),
    Mutant(
        "zone-ignored",
        "Hosts of every zone and cluster are candidates.",
        ("S-25",),
        _open_to_all("Candidate"),
    ),
    Mutant(
        "first-host-only",
        "A VM goes to the first host or to none.",
        ("S-10", "S-12"),
        edit("vmsim.placement:Placer.place", "best = int(scores.argmax())", "best = 0"),
    ),
    Mutant(
        "room-not-given-back",
        "A VM that is powered off keeps the room that it had.",
        ("S-11", "S-12"),
        edit(f"{FLEET}._powered_off", "self._release(guest)", "pass"),
    ),
    Mutant(
        "reservation-leaked",
        "A deleted VM that was never powered off keeps the room that was reserved for it.",
        ("S-12",),
        edit(
            f"{FLEET}._release",
            "self.inventory.release(guest.shape.needs, guest.claim)",
            "self.inventory.release(guest.shape.needs[:1], guest.claim)",
        ),
    ),
    Mutant(
        "room-leaked-by-migration",
        "A VM that was live-migrated keeps its room on the old host.",
        ("S-10",),
        edit(f"{FLEET}._arrived", "self._release(guest)", "pass"),
    ),
    Mutant(
        "room-lost-with-the-host",
        "The room of a failed host's VMs stays taken.",
        ("S-12", "S-28"),
        edit(f"{FLEET}.lose_power", "self._release(guest)", "guest.claim = -1"),
    ),
    Mutant(
        "room-not-claimed",
        "Two VMs may count on the same room while they are being made.",
        ("S-10", "S-12"),
        edit("vmsim.inventory:Inventory.claim", "self.cells[resource][host] -= units", "pass"),
    ),
)

STAYING = (
    Mutant(
        "balances-on-join",
        "A running VM moves to a host that joins, for balance.",
        ("S-09",),
        edit(
            f"{ADMINISTRATION}.add",
            "self._fleet.on_room()",
            "row, fleet = len(self._fleet.inventory) - 1, self._fleet\n"
            "    on = [vm for vm in fleet.guests.values() if vm.power is PowerState.ON]\n"
            "    for guest in on[:1]:\n"
            "        fleet.start(guest, Verb.MIGRATE, row, Cause.EVACUATION)\n"
            "    self._fleet.on_room()",
        ),
    ),
    Mutant(
        "goes-home",
        "A VM that moved goes back when its old host leaves maintenance or recovers.",
        ("S-09", "S-28"),
        edit(
            "vmsim.hosts:HostStates.open",
            "self._fleet.on_room()",
            "from vmsim.actions import Cause, Verb\n"
            "    for guest in self._fleet.guests.values():\n"
            "        if guest.power == 'PoweredOn' and not guest.busy:\n"
            "            self._fleet.start(guest, Verb.MIGRATE, row, Cause.EVACUATION)\n"
            "    self._fleet.on_room()",
        ),
    ),
    Mutant(
        "all-hosts-emptied",
        "Maintenance of one host moves a VM of another.",
        ("S-09",),
        edit(
            f"{MAINTENANCE}.enter",
            "self._drain(row)",
            "self._drain(row)\n"
            "    for other in range(len(self._fleet.inventory)):\n"
            "        for guest in list(self._fleet.residents[other].values()):\n"
            "            if other != row and guest.busy is None and guest.power is PowerState.ON:\n"
            "                free = [one for one in (0, 1, 2) if one not in (row, other)]\n"
            "                self._fleet.start(guest, Verb.MIGRATE, free[0], Cause.EVACUATION)",
        ),
    ),
    Mutant(
        "failure-stops-all",
        "When a host fails, the VMs of other hosts lose power as well.",
        ("S-09", "S-28"),
        edit(
            f"{ADMINISTRATION}._lose",
            "lost = list(self._fleet.residents[row].values())",
            "lost = list(self._fleet.guests.values())",
        ),
    ),
    Mutant(
        "node-of-another",
        "A VM is shown on another host than that on which its room is taken.",
        ("S-10", "S-12"),
        edit(
            f"{FLEET}._move_to",
            "guest.host, guest.zone = host.name, host.zone",
            "guest.host, guest.zone = self.inventory.hosts[0].name, host.zone",
        ),
    ),
    Mutant(
        "off-vm-started",
        "A VM that is off is powered on when its host enters maintenance.",
        ("S-09", "S-24"),
        edit(
            f"{MAINTENANCE}._leave",
            "step = self._disposition(drain, guest)",
            "step = self._disposition(drain, guest)\n"
            "    if guest.power is PowerState.OFF and self._fleet.place(guest.requirement) >= 0:\n"
            "        self._fleet.start(guest, Verb.POWER_ON, self._fleet.place(guest.requirement), Cause.EVACUATION)\n"  # noqa: E501
            "        return ''",
        ),
    ),
)

LEAVING = (
    Mutant(
        "stopped-instead-of-moved",
        "A VM that could be live-migrated is powered off and on instead.",
        ("S-10",),
        edit(f"{MAINTENANCE}._disposition", "movable=not self._hindrance(guest)", "movable=False"),
    ),
    Mutant(
        "device-live-migrated",
        "A VM with a device is live-migrated although the device forbids it.",
        ("S-11",),
        edit(f"{MAINTENANCE}._disposition", "movable=not self._hindrance(guest)", "movable=True"),
    ),
    Mutant(
        "hot-migration-unknown",
        "A VM with a vGPU is not live-migrated where vCenter could.",
        ("S-10", "S-11"),
        edit("vmsim.cluster:ClusterPolicy.hindrance", "hot = self.vgpu_hot_migrate", "hot = False"),
    ),
    Mutant(
        "device-holds-maintenance-up",
        "A VM with a device is left running and holds maintenance up for ever.",
        ("S-11", "S-12"),
        edit(f"{EVACUATION}:disposition", "if eviction is Eviction.POWER_OFF:", "if False:"),
    ),
    Mutant(
        "stopped-unasked",
        "The later platform powers off a VM with a device on its own.",
        ("S-11",),
        edit(
            f"{EVACUATION}:disposition", "return Disposition.BLOCK", "return Disposition.POWER_OFF"
        ),
    ),
    Mutant(
        "only-its-own-host",
        "An evicted VM may run again only on the host that it left.",
        ("S-11",),
        edit(f"{EVACUATION}:restart_host", 'return ""', "return evicted_from"),
    ),
    Mutant(
        "enters-with-vms",
        "A host enters maintenance while VMs still run on it.",
        ("S-10",),
        edit(
            f"{MAINTENANCE}._enter_when_empty",
            "any(vm.busy or vm.power is PowerState.ON for vm in residents):\n        return\n"
            "    if self._fleet.inventory.is_claimed(row):",
            "False:\n        return\n    if False:",
        ),
    ),
    Mutant(
        "enters-never",
        "An empty host does not enter maintenance.",
        ("S-10",),
        edit(f"{MAINTENANCE}._entered", "if self._drains.get(row) is drain:", "if False:"),
    ),
    Mutant(
        "one-is-enough",
        "Emptying a host stops after its first VMs.",
        ("S-10",),
        edit(
            f"{MAINTENANCE}._look_again",
            "if drain is not None and not drain.due and not self.offers_room():",
            "if False:",
        ),
    ),
    Mutant(
        "stopped-when-stuck",
        "A VM for which there is no other host is powered off by maintenance.",
        ("S-10",),
        edit(
            f"{MAINTENANCE}._leave",
            'return str(self._migrate(drain, guest) or "")',
            "if self._migrate(drain, guest):\n"
            "            self._fleet.start(guest, Verb.POWER_OFF, -1, Cause.EVACUATION)",
        ),
    ),
    Mutant(
        "off-vm-holds-up",
        "A VM that is off holds maintenance up.",
        ("S-09", "S-24"),
        edit(
            f"{MAINTENANCE}._enter_when_empty",
            "vm.busy or vm.power is PowerState.ON for vm in residents",
            "True for vm in residents",
        ),
    ),
    Mutant(
        "never-open-again",
        "A host that leaves maintenance is not used any more.",
        ("S-12",),
        edit(f"{MAINTENANCE}._left", "if self._exits.get(row) is leaving:", "if False:"),
    ),
    Mutant(
        "powered-on-where-it-lies",
        "A VM that is off can be powered on only on the host where it lies.",
        ("S-10", "S-24"),
        edit(
            "vmsim.cluster:Cluster.power_on",
            "requirement = self._startable(guest)",
            "requirement = replace(self._startable(guest), only_host=guest.host)",
        ),
    ),
    Mutant(
        "evacuation-beyond-capacity",
        "A host is emptied onto hosts that have no room left.",
        ("S-10",),
        edit(
            f"{MAINTENANCE}._migrate",
            "if row < 0:\n        return self._fleet.refuse(guest, Verb.MIGRATE, requirement)",
            "if row < 0:\n        row = next((other for other in range(len(self._fleet.inventory))"
            " if other != guest.row), guest.row)",
        ),
    ),
)

FAILING = (
    Mutant(
        "no-restart",
        "The VMs of a failed host are not restarted.",
        ("S-10", "S-28"),
        edit(f"{HA}.restart", "if due_s == NEVER:", "if True:"),
    ),
    Mutant(
        "first-only-restarted",
        "Only the first VM of a failed host is restarted.",
        ("S-10", "S-28"),
        edit(f"{HA}.restart", "for guest in lost:", "for guest in list(lost)[:1]:"),
    ),
    Mutant(
        "restarted-on-the-dead",
        "The VMs of a failed host are restarted there.",
        ("S-10", "S-28"),
        edit(f"{HA}._place", "return self._fleet.place(guest.requirement)", "return guest.row"),
    ),
    Mutant(
        "failure-unseen",
        "The VMs of a failed host count as running.",
        ("S-10", "S-28"),
        edit(f"{FLEET}.lose_power", "guest.power = OFF", "pass"),
    ),
    Mutant(
        "off-vms-restarted",
        "After a failure also the VMs that were off are powered on.",
        ("S-24", "S-28"),
        edit(f"{FLEET}.lose_power", "if guest.power is ON:", "if guest.power:"),
    ),
    Mutant(
        "recovery-unseen",
        "A host that recovers is not used any more.",
        ("S-12", "S-28"),
        edit(f"{ADMINISTRATION}.recover", "if self._hosts.of(row) is state:", "if False:"),
    ),
    Mutant(
        "out-of-touch",
        "The VMs of a host that recovered count as unreachable for ever.",
        ("S-12", "S-28"),
        edit(f"{ADMINISTRATION}.recover", "guest.connected = True", "pass"),
    ),
    Mutant(
        "failed-migration-stops",
        "A live migration that fails with its destination takes the VM down.",
        ("S-10",),
        edit(
            f"{FLEET}._roll_back",
            "guest.target = -1",
            "guest.target = -1\n        guest.power = OFF",
        ),
    ),
    Mutant(
        "joined-host-ignored",
        "A host that joins is not used.",
        ("S-12",),
        edit(
            "vmsim.inventory:Inventory.add",
            "host.name not in self.kept_free for host in new",
            "self.topology == 0 for host in new",
        ),
    ),
)

MUTANTS = (*PLACING, *STAYING, *LEAVING, *FAILING)
