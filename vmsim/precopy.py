"""How long does it take to copy the memory of a VM that goes on writing to it?

A live migration sends all memory once (round 0), then again and again what was written meanwhile,
until what is left can be sent within the switchover target; then the VM is stopped and the rest
follows. Amounts are in MiB, rates in MiB/s. The rate may change at any moment, because migrations
share their links, so a copy is a value (`Progress`) that is carried forward: `advance` by a while
at a rate, `advance` without an end to the finish.

Symbols: M memory, B rate, D dirty rate, W writable working set, rho = D/B, V_i volume of round i.
    V_0 = M;  t_i = V_i/B;  V_{i+1} = W (1 - exp(-D t_i / W)), or min(W, D t_i) in the linear form
Sources: Clark et al., "Live Migration of Virtual Machines", NSDI 2005 (rounds, writable working
set); Akoush et al., "Predicting the Performance of Virtual Machine Migration", MASCOTS 2010
(stop rules and bounds); "The vMotion Process Under the Hood", VMware vSphere Blog 2019 (stun
during page send).
"""

from dataclasses import dataclass
from math import ceil, exp, inf, log

from msgspec import Struct
from msgspec.structs import astuple

PAGE_MIB = 4 / 1024
DISK_ROUND = -1


@dataclass(frozen=True, slots=True)
class Rules:
    """When the copying ends, and how the guest is held back.

    The VM is stopped once the rest can be sent within `switchover_s`, after `max_rounds` rounds
    beyond the first, or when more than `max_sent` times its memory was sent. With `sdps` (stun
    during page send) a guest writes at most `sdps_share` of what the link sends. `saturating`:
    pages written twice in a round count once, which the linear form ignores.
    """

    switchover_s: float = 0.5
    max_rounds: int = 29
    max_sent: float = 3.0
    sdps: bool = True
    sdps_share: float = 0.9
    saturating: bool = True


DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True)
class Copy:
    """What is to be sent: the memory, and before it the disks when the storage moves as well."""

    memory_mib: float
    dirty_mib_s: float = 0.0
    working_set_mib: float = 0.0
    disk_mib: float = 0.0
    rules: Rules = DEFAULT_RULES


class Progress(Struct, frozen=True, gc=False):
    """How far a copy is.

    `round` is DISK_ROUND while disks are sent; `left_mib` is what remains of the round;
    `written_mib` is what the guest wrote in this round, repetitions included; `last` means that
    the VM is stopped. `live_s` and `total_written_mib` are of all rounds in which it ran.
    """

    round: int
    left_mib: float
    last: bool = False
    sent_mib: float = 0.0
    written_mib: float = 0.0
    total_written_mib: float = 0.0
    live_s: float = 0.0
    stopped_s: float = 0.0


def begin(copy: Copy, rate: float) -> Progress:
    """A copy of which nothing is sent yet, on a link that gives it `rate`."""
    if copy.disk_mib > 0.0:
        return Progress(DISK_ROUND, copy.disk_mib)
    return Progress(*_next_round(copy, DISK_ROUND, 0.0, 0.0, rate))


def advance(
    copy: Copy, progress: Progress, rate: float, for_s: float = inf
) -> tuple[Progress, float]:
    """The copy `for_s` seconds later at a constant rate, and the seconds used: fewer if it ends.

    Bounded by `max_rounds` rounds.
    """
    number, left_mib, last, sent_mib, written_mib, total_mib, live_s, stopped_s = astuple(progress)
    writes, used_s = dirty_rate(copy, rate), 0.0
    while True:
        lasts_s = left_mib / rate
        whole = for_s - used_s >= lasts_s
        if whole:
            used_s, sent_mib, left_mib = used_s + lasts_s, sent_mib + left_mib, 0.0
        else:
            lasts_s, used_s = for_s - used_s, for_s
            now_mib = min(left_mib, lasts_s * rate)
            sent_mib, left_mib = sent_mib + now_mib, left_mib - now_mib
        if last:
            stopped_s += lasts_s
        elif number > DISK_ROUND:
            written_mib += writes * lasts_s
            total_mib += writes * lasts_s
            live_s += lasts_s
        if last or not whole:
            break
        number, left_mib, last = _next_round(copy, number, written_mib, sent_mib, rate)
        written_mib = 0.0
    done = Progress(number, left_mib, last, sent_mib, written_mib, total_mib, live_s, stopped_s)
    return done, used_s


def _next_round(
    copy: Copy, done: int, written_mib: float, sent_mib: float, rate: float
) -> tuple[int, float, bool]:
    """The round after round `done`: its number, its volume in MiB, and whether it is the last.

    `written_mib` is what the guest wrote in that round, `sent_mib` what was sent in all of them.
    """
    rules = copy.rules
    volume = copy.memory_mib if done == DISK_ROUND else dirtied_mib(copy, written_mib)
    last = (
        volume <= rules.switchover_s * rate
        or done + 1 >= rules.max_rounds
        or sent_mib - copy.disk_mib > rules.max_sent * copy.memory_mib - PAGE_MIB > 0.0
    )
    return done + 1, volume, last


def dirty_rate(copy: Copy, rate: float) -> float:
    """What the guest writes per second while the link sends `rate`, held back where need be."""
    if copy.rules.sdps:
        return min(copy.dirty_mib_s, copy.rules.sdps_share * rate)
    return copy.dirty_mib_s


def dirtied_mib(copy: Copy, written_mib: float) -> float:
    """Memory that is to be sent again after the guest wrote so much: at most the working set."""
    working_set_mib = min(copy.working_set_mib, copy.memory_mib)
    if working_set_mib <= 0.0 or written_mib <= 0.0:
        return 0.0
    if copy.rules.saturating:
        return working_set_mib * (1.0 - exp(-written_mib / working_set_mib))
    return min(working_set_mib, written_mib)


def slowdown(copy: Copy, progress: Progress) -> float:
    """By which share the guest wrote less than it wanted while it was copied live (SDPS)."""
    wanted_mib = copy.dirty_mib_s * progress.live_s
    return max(0.0, 1.0 - progress.total_written_mib / wanted_mib) if wanted_mib > 0.0 else 0.0


def converges(copy: Copy, rate: float) -> bool:
    """Whether what is left shrinks from round to round at this rate."""
    return dirty_rate(copy, rate) < rate


@dataclass(frozen=True, slots=True)
class Span:
    """A lowest and a highest value."""

    least: float
    most: float


def geometric_s(memory_mib: float, rate: float, rho: float, rounds: int) -> float:
    """Seconds to send rounds 0 to `rounds`, linear form, constant rho < 1, nothing saturated."""
    return memory_mib / rate * (1.0 - rho ** (rounds + 1)) / (1.0 - rho)


def geometric_last_s(memory_mib: float, rate: float, rho: float, rounds: int) -> float:
    """Seconds that the last of these rounds takes: the part of the downtime that is copying."""
    return memory_mib / rate * rho**rounds


def geometric_rounds(memory_mib: float, rate: float, rho: float, switchover_s: float) -> int:
    """Rounds after round 0 until the rest is within the switchover target."""
    share = switchover_s * rate / memory_mib
    return 0 if share >= 1.0 else ceil(log(share) / log(rho))


def total_bounds(memory_mib: float, rate: float, overhead_s: float) -> Span:
    """Between which seconds a migration ends, whatever the guest writes (Akoush 2010).

    For the stop rules of `Rules` with `max_sent` 3 and any `max_rounds`.
    """
    most_mib = 5.0 * memory_mib - PAGE_MIB
    return Span(overhead_s + memory_mib / rate, overhead_s + most_mib / rate)


def downtime_bounds(memory_mib: float, rate: float, fixed_s: float) -> Span:
    """Between which seconds the VM stands still, whatever the guest writes (Akoush 2010)."""
    return Span(fixed_s, fixed_s + memory_mib / rate)
