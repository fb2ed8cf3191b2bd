"""What if the way to a vCenter, or what it answers, cannot be trusted?

An `Unreliable` stands before a session and lets requests and answers go wrong by chance: lost on
the way there or back, late, done twice, or not what happened. The chance is drawn from one named
stream, so a run can be repeated. Nothing above knows of it: a run must end with a clear verdict,
differences or `Unreachable`, or with an inventory that is truly the one it believes in.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from backends.effects import Driver
from backends.vsphere_reads import VMSeen
from backends.vsphere_session import HostVerb, NewVM, TaskRef
from vmsim.actions import Fault, Verb
from vmsim.objects import Hardware, PowerState
from vmsim.problems import Unreachable
from vmsim.rng import stream

STREAM = "unreliable"
NO_ANSWER = Fault("Timedout", "there was no answer", unknown=True)
ALLEGED = Fault("GenericVmConfigFault", "so the answer says")


class Mishap(StrEnum):
    """What can happen to one request and its answer."""

    LOST = "request lost"
    MUTE = "answer lost"
    LATE = "answer late"
    TWICE = "done twice"
    LIE = "answer false"


Struck = Counter[Mishap]


@dataclass(frozen=True, slots=True)
class Odds:
    """The share of requests, and of reads, that go wrong in each way; a late answer comes after
    `late_s`, and one that takes more than `patience_s` never does."""

    requests: dict[Mishap, float] = field(default_factory=dict)
    reads: dict[Mishap, float] = field(default_factory=dict)
    late_s: float = 0.05
    patience_s: float = 30.0


class Strikes:
    """Draws from the named stream what goes wrong; `struck` counts it."""

    def __init__(self, seed: int, name: str) -> None:
        self.struck: Struck = Counter()
        self._chance = stream(seed, name)

    def strike(self, odds: Mapping[Mishap, float]) -> Mishap | None:
        """What goes wrong this time; one number is drawn whatever the odds are."""
        drawn = float(self._chance.random())
        for mishap, share in odds.items():
            if drawn < share:
                self.struck[mishap] += 1
                return mishap
            drawn -= share
        return None

    def heads(self) -> bool:
        """Either, evenly."""
        return float(self._chance.random()) < 0.5


class Unreliable:
    """A driver before another one; `struck` counts what went wrong."""

    def __init__(
        self,
        driver: Driver,
        odds: Odds,
        seed: int = 0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._strikes = Strikes(seed, STREAM)
        self._driver = driver
        self._odds = odds
        self._sleep = sleep
        self._outcomes: dict[TaskRef, Fault | None] = {}
        self._last_vms: dict[str, VMSeen] = {}

    @property
    def struck(self) -> Struck:
        """How often what went wrong."""
        return self._strikes.struck

    def create(self, new: NewVM) -> Fault | None:
        """As `Session.create`."""
        return self._request(lambda: self._driver.create(new))

    def resize(self, key: str, hardware: Hardware) -> Fault | None:
        """As `Session.resize`."""
        return self._request(lambda: self._driver.resize(key, hardware))

    def relocate(self, key: str, host: str) -> Fault | None:
        """As `Session.relocate`."""
        return self._request(lambda: self._driver.relocate(key, host))

    def submit(self, verb: Verb, key: str, host_name: str = "") -> TaskRef | Fault:
        """As `Session.submit`; the operation is over when this returns."""
        driver = self._driver
        outcome = self._request(lambda: driver.wait([driver.submit(verb, key, host_name)])[0])
        task = TaskRef(f"unreliable-{len(self._outcomes)}")
        self._outcomes[task] = outcome
        return task

    def wait(
        self, started: Sequence[TaskRef | Fault], timeout_s: float = 60.0
    ) -> list[Fault | None]:
        """As `Session.wait`."""
        return [task if isinstance(task, Fault) else self._outcomes[task] for task in started]

    def command(self, verb: HostVerb, host: str) -> Fault | None:
        """As `Session.command`."""
        return self._request(lambda: self._driver.command(verb, host))

    def vms(self) -> dict[str, VMSeen]:
        """As `Session.vms`; `TWICE` is the answer of the read before, `LIE` one VM otherwise."""
        mishap = self._strikes.strike(self._odds.reads)
        if mishap in (Mishap.LOST, Mishap.MUTE):
            raise Unreachable("the read was not answered")
        if mishap is Mishap.LATE:
            self._wait_for_it()
        seen = self._driver.vms()
        stale, self._last_vms = self._last_vms, seen
        if mishap is Mishap.TWICE:
            return stale
        return _falsified(seen) if mishap is Mishap.LIE else seen

    def _request(self, call: Callable[[], Fault | None]) -> Fault | None:
        mishap = self._strikes.strike(self._odds.requests)
        if mishap is Mishap.LOST:
            return NO_ANSWER
        if mishap is Mishap.LIE:
            return self._lied(call)
        if mishap is Mishap.TWICE:
            call()
        outcome = call()
        if mishap is Mishap.LATE:
            self._wait_for_it()
        return NO_ANSWER if mishap is Mishap.MUTE else outcome

    def _lied(self, call: Callable[[], Fault | None]) -> Fault | None:
        """Success of what was not done, or the failure of what was."""
        if self._strikes.heads():
            return None
        return call() or ALLEGED

    def _wait_for_it(self) -> None:
        if self._odds.late_s > self._odds.patience_s:
            raise Unreachable(f"no answer after {self._odds.patience_s:g} s")
        self._sleep(self._odds.late_s)


def _falsified(seen: dict[str, VMSeen]) -> dict[str, VMSeen]:
    """The same VMs, the first of which is said to be on when it is off, and off when it is on."""
    name = min(seen, default="")
    if not name:
        return seen
    vm = seen[name]
    other = PowerState.OFF if vm.powered_on else PowerState.ON
    return seen | {name: replace(vm, power=other)}
