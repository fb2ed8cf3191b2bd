"""Which VMs will there be, as far as a scenario says, and which hosts could run each of them?

Only what is declared is known before a run: VMs among the manifests, those applied on the way, and
workloads. They are admitted as the run will do it; one that is denied, or whose class is not
there, is no VM here. A VM that the timeline deletes may make way for another, so it is left out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from vmsim.admission import Denied, Terms, admit_create
from vmsim.affinity import PLENTY
from vmsim.catalog import Catalog
from vmsim.conflicts import Member, conflict
from vmsim.inventory import Inventory, Needs, Overcommit
from vmsim.manifests import Manifest, to_vm
from vmsim.placement import LIFETIME_CLASSES, Placer, Requirement, needs
from vmsim.plan import Plan
from vmsim.policies import BUILT_IN, first_fit
from vmsim.reconcile import requirement


@dataclass(frozen=True, slots=True)
class Named:
    """VMs alike, by their template: the keys ('{}' stands for 1, 2, ...), and how many."""

    key: str
    template: Manifest
    count: int = 1


@dataclass(frozen=True, slots=True)
class Kind:
    """VMs alike with what each asks of a host."""

    named: Named
    requirement: Requirement


def prepared(plan: Plan) -> Inventory:
    """The hosts at the start, keeping also what the placement policy reads beside the room."""
    inventory = Inventory(plan.hosts, _overcommit(plan))
    name = plan.scenario.spec.policies.placement
    if name == "lifetime_aware":
        for number in range(1, LIFETIME_CLASSES + 1):
            inventory.declare(f"lifetime/{number}", PLENTY)
    if name == "fragmentation_gradient" or name not in BUILT_IN:
        inventory.mix = mix(kinds(plan, inventory), inventory)
    return inventory


def _overcommit(plan: Plan) -> Overcommit:
    given = plan.scenario.spec.policies.overcommit
    return Overcommit(given.cpu, given.memory)


def kinds(plan: Plan, inventory: Inventory) -> Iterator[Kind]:
    """What each kind of VM asks of a host, of those that will be admitted."""
    catalog = Catalog(plan.edition.name)
    applied = [manifest for planned in plan.timeline for manifest in planned.manifests]
    for manifest in (*plan.manifests, *applied):
        if manifest.kind != "VirtualMachine":
            catalog.put(manifest)
    terms = Terms(catalog, plan.edition, plan.scenario.spec.verdict)
    for named in _named(plan, applied):
        wanted = _requirement(named.template, terms, plan, inventory.lowest_mhz())
        if wanted is not None:
            yield Kind(named, wanted)


def _named(plan: Plan, applied: Iterable[Manifest]) -> Iterator[Named]:
    namespace = plan.scenario.spec.namespace
    deletions = [planned.entry.delete for planned in plan.timeline if planned.entry.delete]
    deleted = {f"{item.namespace or namespace}/{item.name}" for item in deletions}
    for manifest in (*plan.manifests, *applied):
        if manifest.kind == "VirtualMachine" and manifest.key not in deleted:
            yield Named(manifest.key, manifest)
    for planned in plan.workload:
        workload = planned.workload
        stays = workload.lifetime is None and workload.patience is None
        if stays and planned.rows is None:
            weights = [share.weight for share in workload.mix] or [1.0]
            for weight, template in zip(weights, planned.kinds.values(), strict=True):
                key = f"{template.namespace}/{workload.name}"
                yield Named(key, template, round(workload.count * weight / sum(weights)))


def _requirement(
    template: Manifest, terms: Terms, plan: Plan, lowest_mhz: int
) -> Requirement | None:
    """What the VM of this manifest asks of a host; None if it is denied or has no class."""
    metadata = {**template.raw.get("metadata", {}), "namespace": template.namespace}
    answer = admit_create({**template.raw, "metadata": metadata}, terms)
    if isinstance(answer, Denied):
        return None
    admitted = Manifest(template.kind, template.namespace, template.name, answer.raw)
    vm = to_vm(admitted, plan.edition.name)
    catalog = terms.catalog
    assert isinstance(catalog, Catalog)
    vm_class = catalog.vm_class(vm.namespace, vm.spec.class_name)
    if vm_class is None:
        return None
    return requirement(
        vm,
        vm_class,
        zones=tuple(catalog.zones(vm.namespace)),
        datastores=tuple(plan.scenario.spec.storage.get(vm.spec.storage_class, ())),
        lowest_mhz=lowest_mhz,
    )


def unkeepable(plan: Plan) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Where the must rules leave no place for the VMs on empty hosts: field, why, what to do."""
    rules = plan.scenario.spec.drs.drs().rules
    if not any(rule.must for rule in rules):
        return
    inventory = Inventory(plan.all_hosts, _overcommit(plan))
    placer = Placer(inventory, first_fit)
    members: list[Member] = []
    for kind in kinds(plan, inventory):
        scores = placer.shape(kind.requirement).refresh(inventory, first_fit)
        fits = np.flatnonzero(scores > -np.inf).tolist()
        hosts = frozenset(inventory.hosts[row].name for row in fits)
        enough = min(kind.named.count, len(inventory) + 1)  # more could not keep apart anyway
        keys = [kind.named.key.replace("{}", str(number)) for number in range(1, enough + 1)]
        members += [Member(key, kind.requirement.class_name, hosts) for key in keys]
    found = conflict(rules, members)
    if found is not None:
        names = " and ".join(rule.name for rule in found.rules)
        hint = "drop or change one of them" if len(found.rules) > 1 else "drop or change it"
        where = ("spec", "drs", "rules", rules.index(found.rules[-1]))
        yield where, f"rule {names} cannot be kept: {found.reason}, and would wait for ever", hint


def mix(kinds: Iterable[Kind], inventory: Inventory) -> tuple[tuple[Needs, float], ...]:
    """What each kind of VM takes, with its share of all VMs."""
    counted: dict[Needs, int] = {}
    for kind in kinds:
        taken = needs(kind.requirement, inventory)
        counted[taken] = counted.get(taken, 0) + kind.named.count
    every = sum(counted.values())
    return tuple((taken, count / every) for taken, count in counted.items())
