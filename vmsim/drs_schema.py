"""What does a scenario say about DRS: rules between VMs and hosts?

A rule binds VMs by globs of `namespace/name` or by class. What could never be kept is refused when
the scenario is loaded, with the smallest set of rules that cannot be kept together.
"""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from vmsim.affinity import OF_HOSTS, Kind, Rule
from vmsim.drs import Drs
from vmsim.kinds import did_you_mean
from vmsim.policies import names
from vmsim.pools_schema import ResourcePool
from vmsim.schema import Strict


def _known_policy(name: str) -> str:
    known = names()
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


class DrsBlock(Strict):
    """What DRS keeps to when it places VMs."""

    rules: list[DrsRule] = []
    """See DrsRule; the first of two that disagree wins."""
    pools: list[ResourcePool] = []
    """See ResourcePool; a parent comes before its pools."""

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
        return Drs(
            tuple(rule.rule() for rule in self.rules), tuple(pool.pool() for pool in self.pools)
        )
