"""How fast can a migration send, and how do migrations share the network cards of their hosts?

A card sends and receives at the same time (full duplex), so each host is two links. Rates are
max-min fair: all migrations get the same until a link, or a migration's own ceiling, holds some
back; what those leave is shared among the others (progressive filling; Bertsekas and Gallager,
"Data Networks", 6.5.2). Rates are in MiB/s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

MBPS_IN_MIB_S = 1e6 / 8 / 2**20
STREAM, SOURCE, TARGET = "stream", "source", "target"
"""What holds a migration back: what it can send at most, or a card."""
ALL = 1.0 - 1e-9


@dataclass(frozen=True, slots=True)
class Network:
    """What of a network card vMotion can use.

    One stream is bound by a CPU core: about 15 Gbit/s ("How to Tune vMotion for Lower Migration
    Times", VMware vSphere Blog 2019/09). Since 7.0 U2 the number of streams follows the card
    (vSphere 7.0 documentation, "vMotion Networking Requirements"): `streams` 0 does that.
    `efficiency` is what is left after protocol overheads (a choice, no source), `share` what
    Network I/O Control grants vMotion.
    """

    streams: int = 0
    stream_mbps: float = 15_000.0
    efficiency: float = 0.9
    share: float = 1.0

    def link_mib_s(self, nic_mbps: float) -> float:
        """What vMotion can send, and as much receive, through such a card."""
        return nic_mbps * MBPS_IN_MIB_S * self.share * self.efficiency

    def ceiling_mib_s(self, nic_mbps: float) -> float:
        """What one migration can send at most when the slower card of the two is such a one."""
        streams = self.streams or ceil(nic_mbps / self.stream_mbps)
        return streams * self.stream_mbps * MBPS_IN_MIB_S * self.efficiency


@dataclass(frozen=True, slots=True)
class Flow:
    """A migration as the network sees it: the numbers of its two links, and its ceiling."""

    out: int
    into: int
    ceiling: float


def fair_rates(flows: Sequence[Flow], capacity: Sequence[float]) -> list[float]:
    """The max-min fair rate of each flow, in order. Each round settles at least one flow."""
    rates = [0.0] * len(flows)
    rest = list(capacity)
    count = [0] * len(rest)
    for flow in flows:
        count[flow.out] += 1
        count[flow.into] += 1
    open_ = list(range(len(flows)))
    while open_:
        level = _level(flows, open_, rest, count)
        stays: list[int] = []
        settled: list[int] = []
        for number in open_:
            flow = flows[number]
            share = min(rest[flow.out] / count[flow.out], rest[flow.into] / count[flow.into])
            (settled if min(share, flow.ceiling) <= level else stays).append(number)
        for number in settled:
            _settle(flows[number], level, rest, count)
            rates[number] = level
        open_ = stays
    return rates


def held_back(
    flows: Sequence[Flow], capacity: Sequence[float], rates: Sequence[float]
) -> list[str]:
    """What holds each flow back at these max-min fair rates: its own ceiling (STREAM), or a full
    link on which no flow is faster, that of its source before that of its target."""
    load, fastest = [0.0] * len(capacity), [0.0] * len(capacity)
    for flow, rate in zip(flows, rates, strict=True):
        for link in (flow.out, flow.into):
            load[link] += rate
            fastest[link] = max(fastest[link], rate)

    def is_held(link: int, rate: float) -> bool:
        return load[link] >= ALL * capacity[link] and rate >= ALL * fastest[link]

    return [
        STREAM if rate >= ALL * flow.ceiling else SOURCE if is_held(flow.out, rate) else TARGET
        for flow, rate in zip(flows, rates, strict=True)
    ]


def _level(
    flows: Sequence[Flow], open_: Sequence[int], rest: Sequence[float], count: Sequence[int]
) -> float:
    """The rate at which the first of the open flows is held back."""
    return min(
        min(rest[flow.out] / count[flow.out], rest[flow.into] / count[flow.into], flow.ceiling)
        for flow in (flows[number] for number in open_)
    )


def _settle(flow: Flow, rate: float, rest: list[float], count: list[int]) -> None:
    for link in (flow.out, flow.into):
        rest[link] = max(0.0, rest[link] - rate)
        count[link] -= 1
