"""How long does this VM's guest take to start and to shut down, and which address has it?

By the VM's class, from a stream of the VM's own: what other VMs do shifts nothing. A guest that is
not described takes the scenario's fixed durations. Powering off, or restarting, hard asks no guest
(P-08).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from vmsim.actions import PowerOffMode
from vmsim.distributions import Law, draws
from vmsim.durations import Durations
from vmsim.rng import stream

TRY_SOFT_S = 300.0
"""TrySoft gives the guest five minutes, then powers off hard. Source: VM Operator documentation,
"Power state", powerOffMode; `DefaultTrySoftTimeout` in its code."""


@dataclass(frozen=True, slots=True)
class GuestLaw:
    """How long guests of the classes that match the glob take to start and to shut down."""

    classes: str
    boot: Law
    shutdown: Law


@dataclass(slots=True)
class GuestTimes:
    """The times of every VM's guest; `class_of` gives the class of a VM by its key."""

    durations: Durations
    laws: Sequence[GuestLaw] = ()
    seed: int = 0
    class_of: Callable[[str], str] = str
    _streams: dict[str, Iterator[float]] = field(default_factory=dict)

    def boot_s(self, vm: str) -> float:
        """From power-on until the guest answers, this time."""
        law = self._law(vm)
        return self.durations.guest_boot_s if law is None else self._next(vm, "boot", law.boot)

    def power_off_s(self, vm: str, mode: PowerOffMode) -> float:
        """How long it takes to power off, or to stop for a restart, this time (P-07 to P-09)."""
        if mode is PowerOffMode.HARD:
            return self.durations.power_off_hard_s
        law = self._law(vm)
        if law is None:
            asked_s = self.durations.power_off_s
        else:
            asked_s = self._next(vm, "shutdown", law.shutdown)
        return min(asked_s, TRY_SOFT_S) if mode is PowerOffMode.TRY_SOFT else asked_s

    def _law(self, vm: str) -> GuestLaw | None:
        if not self.laws:
            return None
        name = self.class_of(vm)
        return next((law for law in self.laws if fnmatchcase(name, law.classes)), None)

    def _next(self, vm: str, what: str, law: Law) -> float:
        name = f"guests/{what}/{vm}"
        if name not in self._streams:
            self._streams[name] = draws(law, stream(self.seed, name), block=1)
        return next(self._streams[name])


def address(serial: int) -> str:
    """A private address that differs for each of 16 million VMs."""
    return f"10.{serial >> 16 & 255}.{serial >> 8 & 255}.{serial & 255}"


def serial_of(address: str) -> int:
    """The number of the guest that was given the address; 0 for an address of another origin."""
    parts = address.split(".")
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):
        return 0
    high, middle, low = (int(part) & 255 for part in parts[1:])
    return high << 16 | middle << 8 | low
