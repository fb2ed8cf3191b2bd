"""What must hold in every run, whatever users, administrators and fate do, and in what order."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from builders import GPU, Run, host, scenario, unclaimed, vm
from hypothesis import given, settings
from hypothesis import strategies as st

from vmsim.fleet import Guest
from vmsim.ha import FailureKind
from vmsim.hosts import Refused
from vmsim.objects import HostState, PowerState
from vmsim.trace import Record

ON, OFF, SUSPENDED = PowerState.ON, PowerState.OFF, PowerState.SUSPENDED
VMS = ("a", "b", "c", "d", "e", "f")
HOSTS = ("esx-1", "esx-2", "esx-3", "far-1", "new-1", "new-2")
LONGEST_TASK_S = 2 * 600 + 100  # two time-outs of a task in its way, and its own time
LONG_ENOUGH_S = 4 * 3600

QUICK = dict.fromkeys(
    ("create", "powerOn", "guestBoot", "powerOff", "suspend", "destroy", "migrate",
     "enterMaintenance", "exitMaintenance"), "0s",
)  # fmt: skip

Move = tuple[Any, ...]

WAIT = st.tuples(st.just("wait"), st.sampled_from([0.004, 1, 3, 11, 12, 29, 31, 45, 700]))
USER = st.one_of(
    st.tuples(st.just("apply"), st.sampled_from(VMS), st.booleans(), st.booleans()),
    st.tuples(st.just("patch"), st.sampled_from(VMS), st.sampled_from(PowerState)),
    st.tuples(st.just("delete"), st.sampled_from(VMS)),
)
ADMINISTRATOR = st.one_of(
    st.tuples(st.just("enter_maintenance"), st.sampled_from(HOSTS), st.sampled_from([0, 40])),
    st.tuples(st.sampled_from(["fail", "recover", "exit_maintenance"]), st.sampled_from(HOSTS)),
    st.tuples(st.sampled_from(["remove", "add"]), st.sampled_from(HOSTS)),
    st.tuples(st.just("fail"), st.sampled_from(HOSTS), st.sampled_from(FailureKind)),
    st.tuples(st.just("power_off"), st.sampled_from(VMS)),
)
MOVES = st.lists(st.one_of(WAIT, USER, ADMINISTRATOR, ADMINISTRATOR), min_size=8, max_size=24)
FIRST = st.lists(st.tuples(st.sampled_from(VMS), st.booleans()), min_size=3, max_size=6)

FAULT = st.builds(
    lambda kind, verb, share, hits: {
        "kind": kind, "verb": verb, "probability": share, "maxHits": hits, "delay": "70s",
    },
    st.sampled_from(["fail", "delay", "drop"]),
    st.sampled_from(["*", "CreateVM", "PowerOnVM", "PowerOffVM", "MigrateVM", "Destroy"]),
    st.sampled_from([0.3, 1.0]),
    st.integers(1, 4),
)  # fmt: skip


NO_CONTROL: dict[str, Any] = {"admissionControl": {"policy": "disabled"}}
AVAILABILITY = (
    NO_CONTROL,
    {"enabled": False},
    NO_CONTROL | {"isolationResponse": "powerOff", "restart": {"maxAttempts": 2}},
    NO_CONTROL | {"storageProtection": False, "restart": {"perHost": 1, "ready": "poweredOn"}},
)


def plain(count: int) -> list[dict[str, Any]]:
    return [{"name": "esx-{}", "count": count, "cores": 2, "mhz": 1000, "memory": "16Gi"}]


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    """Scenarios of one or two small clusters; room for about one VM on each host."""
    gpu = {"name": "esx-3", "cores": 2, "mhz": 1000, "memory": "16Gi", "devices": {GPU: 1}}
    clusters = [{"name": "cluster-1", "hosts": [*plain(2), gpu]}]
    if draw(st.booleans()):
        far = {"name": "far-1", "cores": 2, "mhz": 1200, "memory": "8Gi"}
        clusters.append({"name": "cluster-2", "hosts": [far]})
    retry = {"watch": draw(st.booleans()), "wakeOnCapacity": draw(st.booleans())}
    policies = {
        "placement": draw(st.sampled_from(["first_fit", "best_fit", "worst_fit"])),
        "eviction": draw(st.sampled_from(["drs_poweroff", "block", "vm_eviction_policy"])),
        "vgpuHotMigrate": draw(st.booleans()),
        "overcommit": {"cpu": 1.0, "memory": 1.0},
        "retry": retry,
    }
    return scenario(
        draw(st.sampled_from(["2023-03", "2026-08"])),
        clusters=clusters,
        policies=policies,
        highAvailability=draw(st.sampled_from(AVAILABILITY)),
        durations=draw(st.sampled_from([{}, {}, QUICK])),
        faults=draw(st.lists(FAULT, max_size=2)),
        seed=draw(st.integers(0, 3)),
    )


class Play:
    """A run under test: makes moves and checks after each of them what must hold."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.run = Run(content)
        self.system = self.run.system
        self.edition = self.system.plan.edition
        self.busy_since: dict[int, tuple[Any, float]] = {}
        self.started: Counter[str] = Counter()
        self.system.trace.listen(self.count)

    def count(self, record: Record) -> None:
        """Count the tasks of each VM."""
        self.started[record.object] += record.kind == "TaskStarted"

    def begin(self, first: list[tuple[str, bool]]) -> None:
        """Apply these VMs, the ones with True needing a GPU, and give them their time."""
        for name, gpu in first:
            self.make(("apply", name, gpu, True))
        self.wait(100)

    def make(self, move: Move) -> None:
        """Make the move; what is refused or denied is no failure."""
        what, *rest = move
        act: dict[str, Callable[..., Any]] = {
            "apply": self.apply,
            "patch": self.patch,
            "delete": self.run.delete,
            "wait": self.wait,
            "add": self.add,
            "power_off": lambda name: self.system.hosts.power_off(f"demo/{name}"),
        }
        with suppress(Refused):
            act.get(what, getattr(self.system.hosts, what, None))(*rest)
        self.check()

    def apply(self, name: str, gpu: bool, power: bool) -> None:
        edition = self.edition.name
        self.run.apply(vm(name, needs=GPU if gpu else "", power=power, edition=edition))

    def patch(self, name: str, power: PowerState) -> None:
        self.run.patch(name, powerState=self.edition.power_words.get(power, power.value))

    def add(self, name: str) -> None:
        self.system.hosts.add(host(name, cpu_cores=2))

    def wait(self, delay_s: float) -> None:
        """Let time pass, checking at every instant in which something happens."""
        end_s = self.run.env.now + delay_s
        while self.run.env.peek() < end_s:
            instant_s = self.run.env.peek()
            while self.run.env.peek() == instant_s:
                self.run.env.step()
            self.check()
        self.run.env.run(until=end_s)

    def check(self) -> None:
        """What must hold now."""
        fleet = self.system.fleet
        assert fleet.inventory.overcommitted() == []
        assert unclaimed(fleet) == []
        places = [key for residents in fleet.residents for key in residents]
        assert len(places) == len(set(places)), "a VM is on two hosts"
        for guest in fleet.guests.values():
            self.check_guest(guest)
        assert set(places) == {key for key, guest in fleet.guests.items() if guest.exists}

    def check_guest(self, guest: Guest) -> None:
        """What must hold of one VM."""
        inventory = self.system.fleet.inventory
        if guest.exists:
            assert inventory.hosts[guest.row].name == guest.host
            assert self.system.fleet.residents[guest.row].get(guest.key) is guest
        if guest.power is ON:
            state = inventory.states[guest.row]
            assert guest.claim == guest.row, f"{guest.key} runs without room"
            cut_off = HostState.STORAGE_LOST if guest.connected else HostState.DOWN
            able = (HostState.UP, HostState.ENTERING_MAINTENANCE, cut_off)
            assert state in able, f"{guest.key}: {state}"
        elif guest.busy is None:
            kept = guest.row if guest.reserved else -1
            assert (guest.claim, guest.target) == (kept, -1), f"{guest.key} keeps room"
        task, since_s = self.busy_since.get(id(guest), (None, 0.0))
        now_s = self.run.env.now
        now = (guest.busy, self.started[guest.key])
        if guest.busy is None or now != task:
            self.busy_since[id(guest)] = (now, now_s)
        else:
            assert now_s - since_s <= LONGEST_TASK_S, f"{guest.key} is busy since {since_s}"

    def mend(self) -> None:
        """Bring every host back, and let all that waits have its time."""
        for act in ("recover", "exit_maintenance"):
            self.wait(1000)
            for name in list(self.system.fleet.inventory.row_of):
                self.make((act, name))
        self.wait(LONG_ENOUGH_S)

    def check_end(self) -> None:
        """What must have come about when all hosts are back and nothing fails any more."""
        fleet, api = self.system.fleet, self.system.api
        assert {s for s in fleet.inventory.states} <= {HostState.UP, HostState.REMOVED}
        assert not [key for key, found in api.vms.items() if found.deleting]
        assert set(fleet.guests) <= set(api.vms), "a VM that nobody knows is remembered"
        for key, found in api.vms.items():
            self.check_wish(key, found.spec.power_state or ON)

    def check_wish(self, key: str, wanted: PowerState) -> None:
        """A VM is as its user wants it, or there is no room for it."""
        fleet = self.system.fleet
        seen = fleet.observe(key)
        assert (seen.busy, seen.reserved) == (None, False)
        guest = fleet.guests.get(key)
        if wanted is ON and seen.power is not ON:
            assert guest is not None
            asked = self.system.cluster._startable(guest)  # evicted: maybe its own host only
            assert fleet.place(asked) == -1, f"{key} fits and is {seen.power}"
        elif wanted is SUSPENDED:
            assert seen.power in (SUSPENDED, OFF)
        else:
            assert seen.power is wanted
        status = self.system.api.vms[key].status
        if seen.exists:
            shown = (status.host, status.power_state, status.ip)
            assert shown == (seen.host, self.edition.power_words[seen.power], seen.ip)


@pytest.mark.timeout(600)
@settings(max_examples=150)
@given(worlds(), FIRST, MOVES)
def test_what_must_hold_holds_after_every_move_and_wishes_come_true_in_the_end(
    content: dict[str, Any], first: list[tuple[str, bool]], moves: list[Move]
) -> None:
    play = Play(content)
    play.begin(first)
    for move in moves:
        play.make(move)
    play.mend()
    play.check_end()


@settings(max_examples=10)
@given(worlds(), FIRST, MOVES)
def test_same_seed_and_moves_give_the_same_digest(
    content: dict[str, Any], first: list[tuple[str, bool]], moves: list[Move]
) -> None:
    def digest() -> str:
        play = Play(content)
        play.begin(first)
        for move in moves:
            play.make(move)
        play.wait(2000)
        return play.system.trace.digest()

    assert digest() == digest()
