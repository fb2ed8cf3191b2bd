"""What somebody did on the vSphere API past us is seen, and leads to what it must."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.builders import World, hosts
from vmsim import nodes
from vmsim.adoption import Remembered, as_shown
from vmsim.live_vsphere import LiveVSphere
from vmsim.objects import HostState, PowerState
from vmsim.ports import HostShown, Sighting, VMShown

ON, OFF, SUSPENDED = PowerState.ON, PowerState.OFF, PowerState.SUSPENDED
FINE = HostShown(connected=True, in_maintenance=False)
CLOSED = HostShown(connected=True, in_maintenance=True)
LOST = HostShown(connected=False, in_maintenance=False)


@dataclass
class Seen:
    """A world of two hosts with VM ns/a on esx-1, and what was asked and said about it."""

    world: World = field(default_factory=lambda: World(hosts(2)))
    asked: list[tuple[str, Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.running("ns/a")
        self.live = LiveVSphere(
            self.world.fleet,
            lambda name, body: self.asked.append((name, body)),
            self.left.append,
            self.said.append,
        )

    def look(
        self,
        shown: Mapping[str, HostShown] | None = None,
        vms: Mapping[str, VMShown] | None = None,
        touched: tuple[str, ...] = (),
    ) -> None:
        there = {"esx-1": FINE, "esx-2": FINE} | dict(shown or {})
        machines = {"ns/a": VMShown("esx-1", ON)} if vms is None else vms
        self.live.seen(Sighting(there, machines, lambda name: name not in touched))

    @property
    def vm(self) -> tuple[bool, str, PowerState]:
        seen = self.world.seen("ns/a")
        return seen.exists, seen.host, seen.power


def test_nothing_follows_from_what_is_as_we_made_it() -> None:
    seen = Seen()
    before = len(seen.world.records)
    seen.look()
    assert (seen.asked, seen.left, seen.said) == ([], [], [])
    assert len(seen.world.records) == before


def test_maintenance_mode_is_asked_for_once_and_its_flag_taken_back() -> None:
    seen = Seen()
    seen.look({"esx-1": CLOSED})
    seen.look({"esx-1": CLOSED})
    assert seen.asked == [("esx-1", nodes.asking(True, None, True))]
    assert seen.left == ["esx-1"]


def test_host_that_we_put_into_maintenance_is_left_alone_until_somebody_opens_it() -> None:
    seen = Seen()
    seen.world.hosts.enter_maintenance("esx-2")
    seen.world.settle()
    seen.look({"esx-2": CLOSED})
    assert seen.asked == []

    seen.look({"esx-2": FINE})
    assert seen.asked == [("esx-2", nodes.asking(None, None, False))]
    assert seen.left == []


def test_host_that_is_disconnected_and_connected_again() -> None:
    seen = Seen()
    seen.look({"esx-1": LOST})
    seen.world.hosts.isolate("esx-1")
    seen.look({"esx-1": LOST})
    seen.look({"esx-1": FINE})
    wishes = [body["metadata"]["annotations"][nodes.FAILED] for _, body in seen.asked]
    assert wishes == ["isolation", None]
    assert seen.vm == (True, "esx-1", ON)


def test_wish_is_asked_again_after_it_was_withdrawn() -> None:
    seen = Seen()
    for shown in (CLOSED, FINE, CLOSED):
        seen.look({"esx-1": shown})
    assert len(seen.asked) == 2


@pytest.mark.parametrize(
    ("shown", "expected", "kinds"),
    [
        (VMShown("esx-1", OFF), (True, "esx-1", OFF), ["VmPoweredOff"]),
        (VMShown("esx-1", SUSPENDED), (True, "esx-1", SUSPENDED), ["VmSuspended"]),
        (VMShown("esx-2", ON), (True, "esx-2", ON), ["VmMigrated"]),
        (VMShown("esx-2", OFF), (True, "esx-2", OFF), ["VmPoweredOff", "VmRelocated"]),
        (None, (False, "", OFF), ["VmPoweredOff", "VmRemoved"]),
    ],
)
def test_vm_is_taken_for_what_it_was_made(
    shown: VMShown | None, expected: tuple[bool, str, PowerState], kinds: list[str]
) -> None:
    seen = Seen()
    before = len(seen.world.records)

    seen.look(vms={} if shown is None else {"ns/a": shown})

    assert seen.vm == expected
    told = seen.world.records[before:]
    assert [record.kind for record in told] == kinds
    assert {record.data["cause"] for record in told} == {"Administrator"}
    assert not seen.world.fleet.inventory.overcommitted()


def test_room_of_a_vm_that_was_powered_off_is_free_and_taken_again() -> None:
    seen = Seen()
    inventory = seen.world.fleet.inventory
    seen.look(vms={"ns/a": VMShown("esx-1", OFF)})
    assert not inventory.is_claimed(0)
    seen.look(vms={"ns/a": VMShown("esx-2", ON)})
    assert (inventory.is_claimed(0), inventory.is_claimed(1)) == (False, True)
    assert seen.vm == (True, "esx-2", ON)


def test_vm_that_was_powered_off_lets_its_host_finish_entering_maintenance() -> None:
    seen = Seen(World(hosts(1)))
    seen.world.hosts.enter_maintenance("esx-1")
    seen.world.until(seen.world.env.now + 60)
    assert seen.world.fleet.inventory.states[0] is HostState.ENTERING_MAINTENANCE
    seen.look(vms={"ns/a": VMShown("esx-1", OFF)})
    seen.world.settle()
    assert seen.world.fleet.inventory.states[0] is HostState.MAINTENANCE


def test_what_we_changed_since_the_reading_began_is_not_believed() -> None:
    seen = Seen()
    seen.look({"esx-1": CLOSED}, vms={}, touched=("esx-1", "ns/a"))
    assert seen.asked == []
    assert seen.vm == (True, "esx-1", ON)


def test_busy_vm_is_left_to_its_task() -> None:
    seen = Seen()
    seen.world.cluster.power_off("ns/a")
    seen.look(vms={"ns/a": VMShown("esx-1", OFF)})
    assert seen.vm == (True, "esx-1", ON)
    seen.world.settle()
    assert seen.vm == (True, "esx-1", OFF)


@pytest.mark.parametrize(
    ("ip", "power", "believed"),
    [
        ("10.0.0.1", ON, Remembered("ns/a", "esx-2", ON, "10.0.0.1")),
        ("10.0.0.1", OFF, Remembered("ns/a", "esx-2", OFF)),
        ("", ON, Remembered("ns/a", "esx-2", OFF)),
        ("", SUSPENDED, Remembered("ns/a", "esx-2", SUSPENDED)),
    ],
)
def test_vm_that_the_api_still_has_is_taken_up_as_it_is_there(
    ip: str, power: PowerState, believed: Remembered
) -> None:
    told = Remembered("ns/a", "esx-1", ON, ip)
    assert as_shown(told, "ns/a", VMShown("esx-2", power)) == believed
    assert as_shown(None, "ns/a", VMShown("esx-2", power)).ip == ""


def test_vm_of_somebody_else_is_told_of_once() -> None:
    seen = Seen()
    vms = {"ns/a": VMShown("esx-1", ON), "other/x": VMShown("esx-1", ON)}
    seen.look(vms=vms)
    seen.look(vms=vms)
    (said,) = seen.said
    assert "other/x is on the vSphere API and not ours" in said
