"""What does a scenario say about DRS: rules between VMs and hosts?

A rule binds VMs by globs of `namespace/name` or by class. What could never be kept is refused when
the scenario is loaded, with the smallest set of rules that cannot be kept together.
"""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from vmsim.affinity import OF_HOSTS, Kind, Rule
from vmsim.drs import Balance, Demand, Drs
from vmsim.evacuation import Order
from vmsim.policies import BUILT_IN, names
from vmsim.pools_schema import ResourcePool
from vmsim.problems import did_you_mean
from vmsim.schema import Duration, Strict


def _known_policy(name: str) -> str:
    if name in BUILT_IN:
        return name
    known = names()  # of all packages that are installed, which takes milliseconds
    if name not in known:
        hint = did_you_mean(name, known)
        raise ValueError(
            f"there is no placement policy {name}{f', {hint}' if hint else ''}; "
            f"known: {', '.join(known)}"
        )
    return name


PolicyName = Annotated[str, AfterValidator(_known_policy)]
"""The name of a placement policy, built in or of an installed package."""


class DrsRule(Strict):
    """VMs that keep together or apart, or to some hosts; the first of two in the file is older."""

    name: str = Field(min_length=1)
    """What the rule is called."""
    kind: Kind
    """VMs on one host (affinity), each on another (antiAffinity), on hosts that match (runOn) or
    on none of them (notRunOn), or spread over the zones."""
    must: bool = True
    """Whether nothing is ever placed against it. Otherwise it is a preference, kept if it pushes
    no host over 100 %; a zone spread always is one."""
    vms: list[str] = []
    """`namespace/name` of VMs, or globs."""
    classes: list[str] = []
    """Every VM of these classes."""
    hosts: list[str] = []
    """Of runOn and notRunOn: names of hosts, or globs."""

    @model_validator(mode="after")
    def _complete(self) -> "DrsRule":
        if not self.vms and not self.classes:
            raise ValueError("give the VMs that it binds: vms or classes")
        if bool(self.hosts) != (self.kind in OF_HOSTS):
            other = "runOn and notRunOn need hosts, the other kinds take none"
            raise ValueError(f"{other}; a rule without them would bind nothing")
        return self

    def rule(self) -> Rule:
        """The rule as the cluster role knows it."""
        must = self.must and self.kind is not Kind.SPREAD
        groups = (tuple(self.vms), tuple(self.classes), tuple(self.hosts))
        return Rule(self.name, self.kind, must, *groups)


class DrsDemand(Strict):
    """How much of what they have some VMs use; the first that names a VM counts. Without one it is
    a quarter of the vCPUs and half of the memory, a default without a measurement behind it."""

    vms: list[str] = []
    """`namespace/name` of VMs, or globs."""
    classes: list[str] = []
    """Every VM of these classes."""
    cpu: float = Field(default=0.25, ge=0, le=1)
    """Share of its vCPUs' clock."""
    memory: float = Field(default=0.5, ge=0, le=1)
    """Share of its memory."""


class LoadBalancing(Strict):
    """DRS moves VMs that would run better elsewhere, never against a must rule."""

    threshold: int = Field(default=3, ge=1, le=5)
    """From 1 (never) over 3 (good improvements) to 5 (slight ones), as in the vSphere Client; the
    API's vmotionRate is 6 minus this."""
    every: Duration = Field(default=60.0, gt=0)
    """How often it looks."""


def said(block: "DrsBlock") -> list[str]:
    """What a run takes for granted of DRS, one sentence each; nothing without a block."""
    balancing = block.load_balancing
    if block == DrsBlock():
        return []
    moves = f"every {balancing.every:g} s, threshold {balancing.threshold}" if balancing else "off"
    return [
        f"DRS: {len(block.rules)} rules, {len(block.pools)} pools, load balancing {moves}; "
        "a VM demands 25 % of its vCPUs and 50 % of its memory unless the scenario says more "
        "(not measured)",
        f"hosts are emptied in this order: {block.evacuation_order.value}; VMs that are off "
        f"{'leave, too' if block.evacuate_powered_off_vms else 'stay'}",
    ]


class DrsBlock(Strict):
    """What DRS keeps to when it places VMs."""

    rules: list[DrsRule] = []
    """See DrsRule; the first of two that disagree wins."""
    pools: list[ResourcePool] = []
    """See ResourcePool; a parent comes before its pools."""
    demand: list[DrsDemand] = []
    """See DrsDemand."""
    load_balancing: LoadBalancing | None = None
    """See LoadBalancing; without it no VM is moved for its load."""
    evacuation_order: Order = Order.DECLARED
    """Which VMs leave a host that enters maintenance first."""
    evacuate_powered_off_vms: bool = False
    """Whether VMs that are off or suspended are registered on other hosts before theirs enters
    maintenance; one that no host may have, or that fails, stays (vSphere API,
    EnterMaintenanceMode_Task)."""

    @model_validator(mode="after")
    def _distinct(self) -> "DrsBlock":
        seen: set[str] = set()
        for rule in self.rules:
            if rule.name in seen:
                raise ValueError(f"rule {rule.name} is there twice; its members would be mixed up")
            seen.add(rule.name)
        return self

    def drs(self) -> Drs:
        """The block as the cluster role knows it."""
        balancing = self.load_balancing
        return Drs(
            tuple(rule.rule() for rule in self.rules),
            tuple(pool.pool() for pool in self.pools),
            tuple(
                Demand(one.cpu, one.memory, tuple(one.vms), tuple(one.classes))
                for one in self.demand
            ),
            Balance(balancing.threshold, balancing.every) if balancing else None,
            self.evacuation_order,
            self.evacuate_powered_off_vms,
        )
