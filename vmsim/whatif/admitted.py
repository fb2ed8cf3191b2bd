"""How many hosts must a cluster have so that all its VMs are let in?

vSphere HA's admission control keeps room for failovers, and resource pools promise no more than
their cluster has. Both ask for the sum over hosts, whether those run anything or not, so they may
want more hosts than the VMs fill. What holds for any n hosts is found from hosts that need not
exist: the n largest CPUs beside the n largest memories give all that any n could, and the n
smallest beside the n smallest what each n gives at least.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from vmsim.ha import Amount, Control, ControlPolicy, shortage
from vmsim.pools import Pool, broken


@dataclass(frozen=True, slots=True)
class Terms:
    """Of a cluster, on what VMs are let in: the hosts that are open, those that count beside them
    for admission control and for pools, what VMs reserve, and what they reserve by pool: of CPU
    and of memory."""

    control: Control
    pools: tuple[Pool, ...]
    open: Sequence[Amount]
    beside_control: Sequence[Amount] = ()
    beside_pools: Sequence[Amount] = ()
    load: Counter[Amount] = field(default_factory=Counter)
    own: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {})

    @property
    def bind(self) -> bool:
        """Whether anything is asked at all."""
        works = self.control.policy in (ControlPolicy.SLOTS, ControlPolicy.PERCENTAGE)
        return bool(self.pools) or works

    def with_more(self, amount: Amount, pool: str | None, number: int) -> "Terms":
        """The same with so many more VMs that reserve this amount in this pool (None: in none)."""
        cpu, memory = (dict(own) for own in self.own)
        if pool is not None:
            cpu[pool] = cpu.get(pool, 0) + number * amount.cpu_mhz
            memory[pool] = memory.get(pool, 0) + number * amount.memory_mib
        return replace(self, load=self.load + Counter({amount: number}), own=(cpu, memory))


def fewest(terms: Terms) -> tuple[int, int | None]:
    """At least so many open hosts must be there, and so many are enough, whichever they are.

    The former is one more than there are when all are too few, and the latter None then.
    """
    cpu = sorted(host.cpu_mhz for host in terms.open)
    memory = sorted(host.memory_mib for host in terms.open)
    small = [Amount(*pair) for pair in zip(cpu, memory, strict=True)]
    counts = range(len(small) + 1)
    low = next((n for n in counts if _lets_in(terms, small[len(small) - n :], False)), len(counts))
    high = next((n for n in counts if _lets_in(terms, small[:n], True)), None)
    return low, high


def most_more(terms: Terms, amount: Amount, pool: str | None, most: int) -> int:
    """How many more VMs that reserve this much all open hosts let in, up to `most`."""
    low, over = 0, most + 1
    while over - low > 1:
        middle = (low + over) // 2
        more = terms.with_more(amount, pool, middle)
        passes = _controls(more, terms.open) and _promises(more, terms.open)
        low, over = (middle, over) if passes else (low, middle)
    return low


def _lets_in(terms: Terms, hosts: Sequence[Amount], surely: bool) -> bool:
    """Whether hosts of these sizes may let all VMs in; `surely`: also those that are larger."""
    shares = terms.control.policy is ControlPolicy.PERCENTAGE and terms.control.percent is None
    there = [*hosts, *terms.beside_control]
    if shares and terms.load and len({*terms.open, *terms.beside_control}) > 1:
        return _promises(terms, hosts) and _shares(terms, there, surely)
    return _promises(terms, hosts) and _controls(terms, hosts)


def _controls(terms: Terms, hosts: Sequence[Amount]) -> bool:
    there = [*hosts, *terms.beside_control]
    return not terms.load or not shortage(terms.control, there, list(terms.load.items()))


def _shares(terms: Terms, hosts: Sequence[Amount], surely: bool) -> bool:
    """The share of the largest hosts of T is kept, cut off to whole per cents: between all that
    they have, and that less T / 100. More hosts may lose by the cut, so both ends are judged."""
    least = terms.control.min_cpu_mhz
    used = (
        sum(count * max(vm.cpu_mhz, least) for vm, count in terms.load.items()),
        sum(count * vm.memory_mib for vm, count in terms.load.items()),
    )
    sizes = [host.cpu_mhz for host in hosts], [host.memory_mib for host in hosts]
    for had, wanted in zip(sizes, used, strict=True):
        left = sum(sorted(had, reverse=True)[terms.control.tolerated :])
        if 100 * left + (0 if surely else sum(had)) < 100 * wanted or not sum(had):
            return False
    return True


def _promises(terms: Terms, hosts: Sequence[Amount]) -> bool:
    there = [*hosts, *terms.beside_pools]
    has = sum(host.cpu_mhz for host in there), sum(host.memory_mib for host in there)
    return not any(
        any(own.values()) and broken(terms.pools, resource, own, has[resource])
        for resource, own in enumerate(terms.own)
        if terms.pools
    )
