"""The VM role at work: visit each VM that is due, take its next step, report, come back later.

All decisions are those of `reconcile` and `status`; this module carries them out. A visit
goes on while steps end at once, and stops when something must be waited for: a task (the
hypervisor tells when it ends), a back-off, an address, or nothing more to do. A periodic resync
visits what is not settled, and what changed without the controller being told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import simpy

from vmsim.actions import Fault, Observed, PowerOffMode, Verb
from vmsim.apiserver import ApiServer
from vmsim.editions import Edition
from vmsim.objects import FIRST_BOOT, ON, ZONE_LABEL, Conditions, VirtualMachine
from vmsim.placement import Requirement
from vmsim.ports import Hypervisor
from vmsim.prerequisites import named_image, prerequisites, unmet
from vmsim.reconcile import (
    CREATE,
    REMOVE_FINALIZER,
    SETTLED,
    WAIT_FOR_IP,
    Next,
    Step,
    boot_firmware,
    claims,
    firmware,
    lifetime_s,
    next_step,
    policy_words,
    requirement,
    within,
)
from vmsim.status import by_type, conditions, report, report_hardware, report_phase
from vmsim.timer import call_later
from vmsim.trace import Trace
from vmsim.workqueue import NO_LIMITS, Backoff, Pace, WorkQueue

HARD: Final = PowerOffMode.HARD
BOOTED: Final[Mapping[str, str]] = {FIRST_BOOT: "true"}  # P-12, one for all VMs without another
STEPS_PER_VISIT: Final = 16  # a VM takes at most five steps at once; more is a defect, not a wait

CREATING, POWER_CHANGE, DELETING, WAITING_FOR_IP, OTHER = 100, 99, 98, 97, -1
"""Priorities in the queue (Q-11). Source: VM Operator, docs/ref/vm-controller, "Priority queue"."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When the VM role looks again. `watch`: it is told of changes that it did not ask for
    (Q-11); else it finds them at the next resync. `wake_on_room`: waiting VMs are visited when a
    host comes back or room comes free, instead of at their back-off (Q-12). `pace` is the queue's,
    `prioritised` whether it knows priorities. `max_creates` VMs are created at a time (0: no
    limit); what is too much comes again after `create_requeue_s` (Q-05; 0: when something else
    visits it, Q-04). A VM without an address is visited every `ip_requeue_s`."""

    backoff: Backoff
    resync_s: float
    watch: bool
    wake_on_room: bool
    pace: Pace = NO_LIMITS
    prioritised: bool = False
    max_creates: int = 0
    create_requeue_s: float = 10.0
    ip_requeue_s: float = 10.0


class Surroundings:
    """What a VM's creation needs to know beside the VM: answers kept until the catalog changes."""

    def __init__(
        self,
        api: ApiServer,
        edition: Edition,
        storage: dict[str, tuple[str, ...]],
        lowest_mhz: Callable[[], int],
    ) -> None:
        self.api = api
        self.edition = edition
        self._storage = storage
        self._lowest_mhz = lowest_mhz
        self._version = -1
        self._conditions: dict[tuple[str, ...], tuple[Conditions, bool]] = {}
        self._requirements: dict[tuple[object, ...], Requirement] = {}

    def prerequisites(self, vm: VirtualMachine) -> tuple[Conditions, bool]:
        """The conditions about what the VM names, and whether any of it is missing."""
        if self._version != self.api.catalog.version:
            self._forget()
        spec = vm.spec
        key = (vm.namespace, spec.class_name, spec.image_name, spec.storage_class)
        known = self._conditions.get(key)
        if known is None:
            found = prerequisites(vm, self.api.catalog, self.edition)
            known = self._conditions[key] = (by_type(found), bool(unmet(found)))
        return known

    def requirement(self, vm: VirtualMachine) -> Requirement:
        """What the VM asks of a host; its class must exist."""
        if self._version != self.api.catalog.version:
            self._forget()
        spec = vm.spec
        lowest_mhz, asked = self._lowest_mhz(), (policy_words(vm), lifetime_s(vm), vm.zone)
        names = (vm.namespace, spec.class_name, spec.storage_class)
        image, wanted = (spec.image_name, boot_firmware(vm)), claims(vm)
        whole = (names, asked, image, wanted, lowest_mhz, spec.min_hardware_version)
        known = self._requirements.get(whole)
        if known is None:
            vm_class = self.api.catalog.vm_class(vm.namespace, spec.class_name)
            assert vm_class is not None, f"class {spec.class_name} is a prerequisite"
            known = requirement(
                vm,
                vm_class,
                zones=tuple(self.api.catalog.zones(vm.namespace)),
                datastores=self._storage.get(spec.storage_class, ()),
                lowest_mhz=lowest_mhz,
            )
            found = named_image(vm, self.api.catalog)
            of_image = found.firmware if found is not None else ""
            known = replace(known, firmware=firmware(vm, of_image, vm_class.firmware))
            if wanted and self.edition.follows_claims:
                at = [self.api.catalog.claim_zones(vm.namespace, name) for name in wanted]
                known = replace(known, zones=within(known.zones, at))
            self._requirements[whole] = known
        return known

    def _forget(self) -> None:
        self._version = self.api.catalog.version
        self._conditions.clear()
        self._requirements.clear()


class Controller:
    """The VM role of one run."""

    def __init__(
        self,
        env: simpy.Environment,
        surroundings: Surroundings,
        hypervisor: Hypervisor,
        retry: RetryPolicy,
        trace: Trace,
    ) -> None:
        self._env = env
        self._api = surroundings.api
        self._edition = surroundings.edition
        self._hypervisor = hypervisor
        self._surroundings = surroundings
        self._retry = retry
        self._trace = trace
        pace = replace(retry.pace, rank=self._rank) if retry.prioritised else retry.pace
        self._queue = WorkQueue(env, self._visit, retry.backoff, pace)
        self._creating: dict[str, None] = {}
        self._unsettled: dict[str, None] = {}
        self._resync_s = 0.0
        self._failure: dict[str, Fault] = {}
        self._said: dict[str, str] = {}
        self._visited = ""
        # Polling that would find nothing new and take no time is left out.
        self._polls = not retry.watch or bool(retry.pace.visit_s)
        self._requests: Mapping[Next, Callable[[str], None]] = {
            Next.ADD_FINALIZER: self._add_finalizer,
            Next.CREATE: self._create,
            Next.POWER_ON: hypervisor.power_on,
            Next.POWER_OFF: self._power_off,
            Next.SUSPEND: hypervisor.suspend,
            Next.RESTART: self._restart,
            Next.RESIZE: self._resize,
            Next.DESTROY: hypervisor.destroy,
        }
        self._api.watch(self._queue.add, self._catalog_changed)
        self._api.hold, self._api.let_go = self._queue.hold, self._queue.let_go
        hypervisor.subscribe(self._vm_changed)

    def wake(self, key: str) -> None:
        """Room came free for this VM."""
        if self._retry.wake_on_room:
            self._queue.add(key)

    def _visit(self, key: str) -> None:
        vm = self._api.vms.get(key)
        if vm is None:
            self._forget(key)
            return
        self._visited = key
        required, missing = self._surroundings.prerequisites(vm)
        if vm.generation > 1 and self._hypervisor.observe(key).exists:
            self._hypervisor.tag(key, policy_words(vm))
        observe, edition, requests = self._hypervisor.observe, self._edition, self._requests
        for _ in range(STEPS_PER_VISIT):
            seen = observe(key)
            step = next_step(vm, seen, missing, edition)
            request = requests.get(step.next)
            if request is None:
                self._stop(vm, seen, step, required)
                break
            if step is CREATE and self._too_many():
                self._come_again(key)
                break
            request(key)
        else:
            raise AssertionError(f"{key} takes no end of steps, the last was {step}")
        if key in self._api.vms:
            self._report(vm, seen, required)
        self._visited = ""

    def _stop(self, vm: VirtualMachine, seen: Observed, step: Step, required: Conditions) -> None:
        """Take a step after which the visit ends: nothing more to do, or not now."""
        key = vm.key
        if step is SETTLED:
            self._queue.forget(key)
            self._unsettled.pop(key, None)
            self._failure.pop(key, None)
            return
        if step is REMOVE_FINALIZER:
            self._say(key, self._edition.events.delete_success, "")
            self._forget(key)
            self._hypervisor.forget(key)
            self._api.set_finalizer(vm, "")
            return
        self._unsettle(key)
        if step.next is Next.RETRY:
            self._fail(vm, seen, step, required)
        elif step is WAIT_FOR_IP:
            self._queue.forget(key)
            self._failure.pop(key, None)
            if self._polls:
                self._queue.add_after(key, self._retry.ip_requeue_s)

    def _add_finalizer(self, key: str) -> None:
        self._api.set_finalizer(self._api.vms[key], self._edition.finalizer)

    def _create(self, key: str) -> None:
        vm = self._api.vms[key]
        wanted = (vm.spec.power_state or ON) is ON
        self._creating[key] = None
        self._hypervisor.create(key, self._surroundings.requirement(vm), wanted)
        if self._hypervisor.observe(key).busy is not Verb.CREATE:
            del self._creating[key]  # it was refused, or made at once

    def _come_again(self, key: str) -> None:
        self._unsettle(key)
        if self._retry.create_requeue_s:
            self._queue.add_after(key, self._retry.create_requeue_s)

    def _too_many(self) -> bool:
        """Whether as many VMs are being created as may be (Q-04, Q-05)."""
        return 0 < self._retry.max_creates <= len(self._creating)

    def _power_off(self, key: str) -> None:
        """Power off as the VM's owner asked for; a deletion is always hard (X-02)."""
        vm = self._api.vms[key]
        if vm.deleting:
            self._hypervisor.power_off(key, HARD)
        else:
            word = vm.spec.power_off_mode or self._edition.power_off_mode
            self._hypervisor.power_off(key, PowerOffMode.of(word))

    def _restart(self, key: str) -> None:
        spec = self._api.vms[key].spec
        mode = PowerOffMode.of(spec.restart_mode or PowerOffMode.TRY_SOFT)
        self._hypervisor.restart(key, mode, spec.next_restart_time)

    def _resize(self, key: str) -> None:
        self._hypervisor.resize(key, self._surroundings.requirement(self._api.vms[key]))

    def _rank(self, key: str) -> int:
        """The priority of the VM in the queue (Q-11)."""
        vm = self._api.vms.get(key)
        if vm is None or vm.deleting:
            return DELETING
        seen = self._hypervisor.observe(key)
        if not seen.exists:
            return CREATING
        if seen.power is not (vm.spec.power_state or ON):
            return POWER_CHANGE
        return WAITING_FOR_IP if seen.power is ON and not seen.ip else OTHER

    def _fail(self, vm: VirtualMachine, seen: Observed, step: Step, required: Conditions) -> None:
        """Say why, once; forget the fault; come back after the back-off (Q-01, Q-10)."""
        key, events = vm.key, self._edition.events
        if seen.fault is not None:
            self._failure[key] = seen.fault
            message = str(seen.fault)
            self._hypervisor.acknowledge(key)
        else:
            missing = [f"{c.type}: {c.reason}" for c in unmet(required.values())]
            message = ", ".join(missing) if not seen.exists else step.reason
        failed = events.update_failure if seen.exists else events.create_failure
        self._say(key, events.delete_failure if vm.deleting else failed, message)
        delay_s = self._queue.retry(key)
        data = {"after_s": round(delay_s, 6), "failures": self._queue.failures(key)}
        self._trace.write("vm", "Requeued", key, data)

    def _report(self, vm: VirtualMachine, seen: Observed, required: Conditions) -> None:
        """Patch what changed of the status (T-13)."""
        old, edition, failure = vm.status, self._edition, self._failure.get(vm.key)
        found = conditions(vm, seen, required, failure, edition)
        data = report(vm, seen, found, edition, self._env.now)
        if edition.phases:
            data = report_phase(vm, seen, failure) | data
        if seen.exists and not old.unique_id:
            old.unique_id = data["unique_id"] = f"vm-{int(vm.uid[:8], 16)}"
        if seen.exists and not edition.phases:
            report_hardware(old, seen, data)
        if seen.restarted != old.last_restart:
            old.last_restart = data["last_restart"] = seen.restarted
        if seen.zone and not vm.zone:
            vm.labels = {**vm.labels, **_in_zone(seen.zone)} if vm.labels else _in_zone(seen.zone)
        if seen.power is ON and FIRST_BOOT not in vm.annotations:
            vm.annotations = {**vm.annotations, **BOOTED} if vm.annotations else BOOTED
        if data:
            self._trace.write("vm", "Status", vm.key, data)

    def _say(self, key: str, reason: str, message: str) -> None:
        """Emit an event, unless the last one of the VM said the same."""
        text = f"{reason}: {message}"
        if reason and self._said.get(key) != text:
            self._said[key] = text
            self._trace.write("vm", "Event", key, {"reason": reason, "message": message})

    def _vm_changed(self, key: str, requested: bool) -> None:
        if key == self._visited:
            return  # a step that ended at once: the visit looks at the VM again after each
        if self._creating and self._hypervisor.observe(key).busy is not Verb.CREATE:
            self._creating.pop(key, None)
        if requested or self._retry.watch:
            self._queue.add(key)
        else:
            self._unsettle(key)

    def _catalog_changed(self) -> None:
        for key in list(self._unsettled):
            self._queue.add(key)

    def _forget(self, key: str) -> None:
        self._queue.forget(key)
        for memory in (self._unsettled, self._failure, self._said):
            memory.pop(key, None)

    def _unsettle(self, key: str) -> None:
        """Let the next resync visit the VM (Q-02).

        A visit of a VM that is settled would change nothing, so it is left out, and so is a resync
        without any other VM.
        """
        if not self._unsettled:
            period_s = self._retry.resync_s
            due_s = (self._env.now // period_s + 1) * period_s
            if due_s != self._resync_s:
                self._resync_s = due_s
                call_later(self._env, due_s - self._env.now, self._resync)
        self._unsettled[key] = None

    def _resync(self, _: simpy.Event) -> None:
        unsettled = list(self._unsettled)
        self._unsettled.clear()
        for key in unsettled:
            self._unsettle(key)
            self._queue.add(key)


@lru_cache(maxsize=1024)
def _in_zone(zone: str) -> Mapping[str, str]:
    """The label of a VM in that zone (Z-06), one mapping for all that have no other."""
    return {ZONE_LABEL: zone}
