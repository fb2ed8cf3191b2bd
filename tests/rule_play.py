"""A cluster under rules, played by random moves: is a must rule broken at any instant?"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from builders import GPU, World, hosts, need
from hypothesis import strategies as st

from vmsim.administration import Refused
from vmsim.affinity import Kind, Rule
from vmsim.cluster import ClusterPolicy
from vmsim.drs import Drs
from vmsim.fleet import Guest
from vmsim.objects import PowerState

KEYS = tuple(f"ns/{name}" for name in "abcdef")
HOSTS = ("esx-1", "esx-2", "esx-3", "esx-4")
MUSTS = (
    Rule("apart", Kind.APART, vms=("ns/a", "ns/b", "ns/c")),
    Rule("together", Kind.TOGETHER, vms=("ns/d", "ns/e")),
    Rule("on", Kind.RUN_ON, vms=("ns/a", "ns/f"), hosts=("esx-[12]",)),
    Rule("off", Kind.NOT_ON, vms=("ns/d",), hosts=("esx-1",)),
    Rule("wish", Kind.APART, must=False, vms=("ns/d", "ns/f")),
)
MOVES = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["running", "create", "power_on", "power_off"]), st.sampled_from(KEYS)
        ),
        st.tuples(
            st.sampled_from(["enter_maintenance", "exit_maintenance", "fail", "recover"]),
            st.sampled_from(HOSTS),
        ),
        st.tuples(st.just("wait"), st.sampled_from([1, 7, 30, 60])),
    ),
    max_size=30,
)


def bound_for(guest: Guest) -> int:
    """The row on which the guest will run when its task is over; -1: it runs nowhere."""
    return guest.target if guest.target >= 0 else guest.claim


def broken(made: World, rules: Sequence[Rule]) -> list[str]:
    """The must rules that are broken now.

    Those that keep VMs apart or to hosts hold for every host on which a VM runs or will run. VMs
    that keep together do so where they are bound for: while they move, they are on two hosts.
    """
    guests = [guest for guest in made.fleet.guests.values() if guest.claim >= 0]
    names = [host.name for host in made.inventory.hosts]
    found = []
    for rule in rules:
        members = [guest for guest in guests if rule.binds(guest.key, "")]
        rows = [row for guest in members for row in {guest.claim, guest.target} if row >= 0]
        bad = {
            Kind.APART: len(set(rows)) < len(rows),
            Kind.TOGETHER: len({bound_for(guest) for guest in members}) > 1,
        }.get(rule.kind, not all(rule.accepts(names[row]) for row in rows))
        if rule.must and bad:
            found.append(rule.name)
    return found


class Play:
    """Makes the moves; `broken` gathers the rules that were ever broken."""

    def __init__(self, rules: Sequence[Rule] = MUSTS, **policy: Any) -> None:
        specs = hosts(len(HOSTS), devices={GPU: 2})
        self.made = World(specs, policy=ClusterPolicy(drs=Drs(tuple(rules)), **policy))
        self.rules = rules
        self.broken: set[str] = set()

    def make(self, move: tuple[Any, ...]) -> None:
        """Make the move if it is possible now, and look."""
        what, on = move
        made, guest = self.made, self.made.fleet.guests.get(on)
        if what == "wait":
            self.wait(on)
        elif what in ("running", "create") and guest is None:
            made.cluster.create(on, need(GPU if on == "ns/f" else ""), what == "running")
        elif what == "power_on" and guest and guest.exists and guest.power is PowerState.OFF:
            if guest.busy is None and guest.connected:
                made.cluster.power_on(on)
        elif what == "power_off" and guest and guest.power is PowerState.ON:
            if guest.busy is None and guest.connected:
                made.cluster.power_off(on)
        elif on in HOSTS:
            with suppress(Refused):
                getattr(made.hosts, what)(on)
        self.look()

    def wait(self, delay_s: float) -> None:
        """Let time pass, looking after each event."""
        end_s = self.made.env.now + delay_s
        while self.made.env.peek() < end_s:
            self.made.env.step()
            self.look()
        self.made.env.run(until=end_s)

    def look(self) -> None:
        """Note what is broken."""
        self.broken.update(broken(self.made, self.rules))


def played(moves: Sequence[tuple[Any, ...]]) -> set[str]:
    """The must rules that were broken at any instant; half of the VMs run before the moves."""
    play = Play()
    first = [("running", key) for key in KEYS[len(moves) % 2 :: 2]]
    for move in [*first, ("wait", 60), *moves]:
        play.make(move)
    play.wait(3600)
    return play.broken
