"""Where do VMs come from that nobody applies, and who takes them away again?

A workload's VMs are submitted as its arrivals say, and deleted when their lifetime is over, or when
they were not powered on while their patience lasted. Their like is admitted once for each kind,
when the workload starts; a kind that is denied never comes.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import simpy

from vmsim.admission import Denied, Terms, admit_create
from vmsim.apiserver import ApiServer
from vmsim.arrivals import AT_ONCE, Arrival, Drawn, recorded
from vmsim.editions import Edition
from vmsim.manifests import Manifest, to_vm
from vmsim.objects import VirtualMachine
from vmsim.plan import PlannedWorkload
from vmsim.rendering import timestamp
from vmsim.scenario import Workload
from vmsim.timer import call_later
from vmsim.trace import Record, Trace


@dataclass(frozen=True, slots=True)
class _Like:
    """What the VMs of a kind are like, and the object of the record that says so."""

    vm: VirtualMachine
    name: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The workloads of one run."""

    env: simpy.Environment
    api: ApiServer
    edition: Edition
    trace: Trace
    seed: int
    waiting: dict[str, float | None] = field(default_factory=dict)
    """Lifetimes of VMs that were never powered on, where that matters."""

    def start(self, planned: PlannedWorkload) -> None:
        """Let the VMs of a workload come from its start on."""
        self.env.process(self._source(planned))

    def _source(self, planned: PlannedWorkload) -> Generator[simpy.Event, None, None]:
        workload = planned.workload
        if _looks_at_power(workload):
            self.trace.listen(self._see)
        yield self.env.timeout(workload.at)
        likes = [
            self._like(template, f"{template.key}/{label}" if number else template.key)
            for number, (label, template) in enumerate(planned.kinds.items())
        ]
        namespace = next(iter(planned.kinds.values())).namespace
        api = self.api
        for number, arrival in enumerate(arrivals(planned, namespace, self.seed), start=1):
            if arrival.pause_s:
                api.let_go()
                yield self.env.timeout(arrival.pause_s)
                api.hold()
            like = likes[arrival.kind]
            if like is not None:
                key = f"{namespace}/{workload.name.replace('{}', str(number))}"
                self._submit(key, like)
                self._follow(key, workload, arrival.lifetime_s)
        api.let_go()

    def _submit(self, key: str, like: _Like) -> None:
        vm = like.vm
        new = VirtualMachine(key, vm.spec, labels=vm.labels, annotations=vm.annotations)
        self.api.submit(new, like.name)

    def _follow(self, key: str, workload: Workload, lifetime_s: float | None) -> None:
        """See to it that the VM goes when its time has come."""
        if _looks_at_power(workload):
            from_power_on = workload.lifetime_from == "powerOn"
            self.waiting[key] = lifetime_s if from_power_on else None
            lifetime_s = None if from_power_on else lifetime_s
        if lifetime_s is not None:
            call_later(self.env, lifetime_s, self._end(key))
        if workload.patience is not None:
            call_later(self.env, workload.patience, partial(self._give_up, key))

    def _see(self, record: Record) -> None:
        if record.kind == "VmPoweredOn" and record.object in self.waiting:
            lifetime_s = self.waiting.pop(record.object)
            if lifetime_s is not None:
                call_later(self.env, lifetime_s, self._end(record.object))

    def _give_up(self, key: str, event: simpy.Event) -> None:
        if key in self.waiting:
            del self.waiting[key]
            self._end(key)(event)

    def _end(self, key: str) -> Callable[[simpy.Event], None]:
        def end(_: simpy.Event) -> None:
            self.api.hold()
            self.api.delete("VirtualMachine", key)
            self.api.let_go()

        return end

    def _like(self, template: Manifest, name: str) -> _Like | None:
        """The like of a kind, or None if it is denied."""
        now = timestamp(self.env.now)
        terms = Terms(self.api.catalog, self.edition, self.api.verdict, now)
        answer = admit_create(template.raw, terms)
        if isinstance(answer, Denied):
            errors = {"errors": [str(error) for error in answer.errors]}
            self.trace.write("api", "Denied", name, errors)
            return None
        self.trace.write("api", "WorkloadTemplate", name, {"manifest": answer.raw})
        manifest = Manifest(template.kind, template.namespace, template.name, answer.raw)
        return _Like(to_vm(manifest, self.edition.name), name)


def _looks_at_power(workload: Workload) -> bool:
    """Whether it matters when a VM of the workload is powered on for the first time."""
    return workload.lifetime_from == "powerOn" or workload.patience is not None


def arrivals(planned: PlannedWorkload, namespace: str, seed: int) -> Iterator[Arrival]:
    """The arrivals of a workload, recorded or drawn."""
    workload = planned.workload
    if planned.rows is not None:
        return recorded(planned.rows, {name: row for row, name in enumerate(planned.kinds)})
    return Drawn(
        f"workload/{namespace}/{workload.name}",
        workload.count,
        AT_ONCE if workload.every is None else workload.every.law(),
        None if workload.lifetime is None else workload.lifetime.law(),
        tuple(share.weight for share in workload.mix) or (1.0,),
    ).arrivals(seed)


def said(workload: Iterable[PlannedWorkload]) -> Iterator[str]:
    """The assumptions about the workloads whose arrivals or lifetimes are drawn."""
    for planned in workload:
        item = planned.workload
        if planned.rows is not None:
            yield f"VMs {item.name}: {len(planned.rows)} recorded arrivals"
        elif item.every is not None or item.lifetime is not None:
            every = "all at once" if item.every is None else f"one every {item.every.law()}"
            stay = "for good" if item.lifetime is None else f"for {item.lifetime.law()}"
            yield f"VMs {item.name}: {every}; they stay {stay}{_since(item)}"


def _since(workload: Workload) -> str:
    since = " from their first power-on" if workload.lifetime_from == "powerOn" else ""
    if workload.patience is None:
        return since
    return f"{since}, and go when they wait {workload.patience:g} s for it"
