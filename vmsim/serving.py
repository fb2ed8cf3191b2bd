"""How do the roles work behind a real API server, in real time?

One thread has the clock and all decisions; it is the loop of `Supervisor.serve`. Watch threads put
what the server tells into its inbox, an outbox takes what it wants written. The loop sleeps until
something comes in or the next simulated event is due: nothing is polled but whether the server's
process still runs. Simulated time is real time, times the speed.

The VM role, the cluster role, the plant and the store are those of any other run
(`simulate.System`); a `Mirror` keeps the store as a real API server tells.
"""

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO

import simpy

from vmsim import live_events
from vmsim.actions import Task
from vmsim.admission import Terms
from vmsim.adoption import adopt, as_made, as_shown, remembered
from vmsim.controller import Surroundings
from vmsim.crds import resource_path, served
from vmsim.editions import Edition
from vmsim.kinds import Kind, kinds
from vmsim.kube import Change, Denial, Kube
from vmsim.live_hosts import LiveHosts
from vmsim.live_vsphere import LiveVSphere
from vmsim.live_writes import send
from vmsim.mirror import Clock, Mirror, version_of
from vmsim.outbox import Outbox
from vmsim.plan import Plan
from vmsim.ports import Backend, Effects, HostCommand
from vmsim.problems import Unreachable
from vmsim.reviewing import review
from vmsim.simulate import System
from vmsim.timer import call_later
from vmsim.trace import Record

VM = "VirtualMachine"
NODE = "Node"
VSPHERE = "vSphere"
NOT_WATCHED = frozenset(("ConfigMap", "Secret", VM, NODE))
TICK_S = 0.5
BATCH = 1000
WRITERS = 8
LATE_S = 1.0
RETRY_S = 5.0
LAST_WORDS_S = 5.0
JUDGED_S = 8.0
SETTLE_S, HEAR_S = 15.0, 0.1
LOOK_S, LOOK_SHARE = 2.0, 20.0
LOOKS = 3

Work = Callable[[], None]
Send = Callable[[str, Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Serving:
    """How to serve: simulated seconds per real one, the file for the trace, what to call now and
    then to keep the API server alive (it tells whether it had died), and whether time stands still
    but for `Supervisor.step`."""

    speed: float = 1.0
    sink: BinaryIO | None = None
    keep_alive: Callable[[], bool] = lambda: False
    stepped: bool = False


class Supervisor:
    """The controller and the cluster behind one API server; `serve` returns after `stop`."""

    def __init__(self, plan: Plan, backend: Backend, kube: Kube, how: Serving) -> None:
        self._kube = kube
        self._how = how
        self._backend = backend
        self._edition: Edition = plan.edition
        bare = replace(plan, manifests=(), timeline=(), workload=())
        self.system = System(bare, backend, simpy.Environment(), how.sink)
        self.mirror = Mirror(self.system.api, plan.edition, self.system.trace)
        self.outbox = Outbox(WRITERS)
        self._later = Outbox(1)  # labels and Events: what nobody waits for
        self.hosts = LiveHosts(self.system, kube, self.outbox)
        self._inbox: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._began_s = 0.0
        self._stands_s = 0.0
        self._seen_at: dict[str, int] = {}
        self._looked_s = 0.0
        self._refusing = False
        self._storage = {name: tuple(stores) for name, stores in plan.scenario.spec.storage.items()}
        self.system.trace.listen(self._tell)

    def begin(self) -> int:
        """Learn what the server has, and take up the VMs that exist; how many those are."""
        self._began_s = time.monotonic()
        self.mirror.clock = self.hosts.clock = Clock(time.time(), self._how.speed)
        self.system.begin()
        for kind in served(self._edition):
            if kind.name not in NOT_WATCHED:
                found = tuple(self._kube.items(resource_path(kind)))
                self.mirror.keep(kind.name, Change("LISTED", found))
        self.hosts.begin()
        self.mirror.listed(tuple(self._kube.items(self._path())))
        adopted = self._adopt()
        self.hosts.steer()
        for kind in served(self._edition):
            if kind.name not in NOT_WATCHED or kind.name in (VM, NODE):
                thread = threading.Thread(target=self._watch, args=(kind,), daemon=True)
                thread.start()
        if self._backend.look is not None:
            threading.Thread(target=self._watch_vsphere, daemon=True).start()
        return adopted

    def serve(self) -> None:
        """Work until `stop` is called."""
        while not self._stopped.is_set():
            self._handle()
            self.system.advance(self._now_s())
            self._flush()
            self._keep_alive()
            self._wait()
        self._flush()
        self.outbox.drained(LAST_WORDS_S)
        self.outbox.close()
        self._later.drained(LAST_WORDS_S)
        self._later.close()
        self.system.trace.close()

    def judge(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to an AdmissionReview; asked in other threads, found in that of the clock."""
        found: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

        def find() -> None:
            now = self.mirror.clock.written(self.system.env.now)
            api = self.system.api
            terms = Terms(api.catalog, self._edition, api.verdict, now)
            found.put(review(request, terms))

        self._inbox.put(find)
        return found.get(timeout=JUDGED_S)

    def make(self, admin: Kube, path: str, body: Mapping[str, Any]) -> None:
        """Make the object for `admin`, as the controller may make none; one that is there is left
        alone. The server may ask us before it takes it."""
        name = f"made/{path}/{body['metadata']['name']}"
        self.outbox.put(name, partial(_make, admin, path, body))

    def do(self, work: Work) -> None:
        """Have the thread of the clock do it soon; may be called from any thread."""
        self._inbox.put(work)

    def step(self, until_s: float, whole: bool, touched: Iterable[str]) -> float:
        """Let time pass until then, or (not `whole`) until the server has something new to show;
        where the clock stands now. `touched` are kinds whose objects may just have changed.
        For the thread of the clock, where time stands still otherwise."""
        for name in touched:
            if name == VSPHERE:
                self._look_below()
                self.outbox.drained(LAST_WORDS_S)
                name = NODE  # what is wanted of hosts was written there
            found, version = self._kube.listed(resource_path(kinds(self._edition.name)[name]))
            self._seen_at[name] = int(version)
            self._seen(name, Change("LISTED", tuple(found)))
        while not (self._settle() and not whole) and self._stands_s < until_s:
            self._stands_s = min(until_s, max(self._stands_s, self.system.env.peek()))
        return self._stands_s

    def _look_below(self) -> None:
        """Follow what a client did on the hypervisor's own API just now, if there is one."""
        if self._backend.look is not None:
            self._vsphere().seen(self._backend.look())

    def _settle(self) -> bool:
        """Do and write all that is to be done at this second; whether something was written.

        Questions are heard meanwhile: the server may ask before it takes what it is to be given.
        """
        told, deadline_s = False, time.monotonic() + SETTLE_S
        while not self._stopped.is_set():
            self._handle()
            self._catch_up()
            wrote = self._flush()
            told = told or wrote
            drained = self.outbox.drained(HEAR_S) and self._later.drained(HEAR_S)
            if drained and not wrote and self._inbox.empty():
                break
            if time.monotonic() > deadline_s:
                say(f"{len(self.outbox)} writes and {len(self._later)} late ones do not end")
                break
        return told

    def stop(self) -> None:
        """End `serve` soon; may be called from a signal handler or another thread."""
        self._stopped.set()
        self._inbox.put(_nothing)

    def _now_s(self) -> float:
        if self._how.stepped:
            return self._stands_s
        return (time.monotonic() - self._began_s) * self._how.speed

    def _wait(self) -> None:
        """Sleep until something comes in or is due, and leave what came in the inbox."""
        due_s = (self.system.env.peek() - self._now_s()) / self._how.speed
        due_s = TICK_S if self._how.stepped else due_s
        if due_s <= 0.0:
            return
        try:
            work = self._inbox.get(timeout=min(TICK_S, due_s))
        except queue.Empty:
            return
        self._catch_up()
        work()

    def _handle(self) -> None:
        """Do what came in, not too much at a time."""
        if self._inbox.empty():
            return
        self._catch_up()
        for _ in range(BATCH):
            try:
                work = self._inbox.get_nowait()
            except queue.Empty:
                return
            work()

    def _catch_up(self) -> None:
        """Bring simulated time up to now, so that what came in happens now."""
        self.system.advance(self._now_s())

    def _keep_alive(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s >= TICK_S:
            self._looked_s = now_s
            if self._how.keep_alive():
                say("the API server had ended and was started again")

    def _watch(self, kind: Kind) -> None:
        for change in self._kube.watched(resource_path(kind), self._stopped):
            if change.type == "BROKEN":
                say(f"{kind.plural} cannot be watched, which is tried again: {change.told}")
            else:
                self._inbox.put(partial(self._seen, kind.name, change))

    def _watch_vsphere(self) -> None:
        """Look at the hypervisor's own API now and then, and tell what it shows."""
        look, vsphere = self._backend.look, self._vsphere()
        assert look is not None, "asked for only when there is one"
        pause_s, failures = LOOK_S, 0
        while not self._stopped.wait(pause_s):
            began_s = time.monotonic()
            try:
                self._inbox.put(partial(vsphere.seen, look()))
                failures = 0
            except Unreachable as error:
                failures += 1
                if failures == LOOKS:
                    self._inbox.put(partial(_fail, error))
            pause_s = max(LOOK_S, LOOK_SHARE * (time.monotonic() - began_s))

    def _vsphere(self) -> LiveVSphere:
        effects = self._backend.effects
        assert effects is not None, "an API that can be looked at can be driven"
        leave = partial(effects.host, command=HostCommand.EXIT_MAINTENANCE)
        return LiveVSphere(self.system.fleet, self.hosts.ask, leave, say)

    def _seen(self, kind: str, change: Change) -> None:
        if change.type != "LISTED" and version_of(change.objects[0]) <= self._seen_at.get(kind, 0):
            return
        if kind == NODE:
            self.hosts.seen(change)
        elif kind != VM:
            self.mirror.keep(kind, change)
        elif change.type == "LISTED":
            self.mirror.listed(change.objects)
        else:
            raw = change.objects[0]
            if change.type == "DELETED":
                metadata = raw["metadata"]
                self.mirror.gone(f"{metadata['namespace']}/{metadata['name']}", metadata["uid"])
            else:
                self.mirror.seen(raw)

    def _adopt(self) -> int:
        api, fleet = self.system.api, self.system.fleet
        there = self._backend.look().vms if self._backend.look is not None else {}
        lowest_mhz = fleet.inventory.lowest_mhz
        surroundings = Surroundings(api, self._edition, self._storage, lowest_mhz)
        count = again = 0
        for vm in api.vms.values():
            vm, known = as_made(vm), remembered(vm, self._edition)
            if shown := there.get(vm.key):
                known = as_shown(known, vm.key, shown)
            if known is None:
                continue
            if api.catalog.vm_class(vm.namespace, vm.spec.class_name) is None:
                say(f"{vm.key}: its class {vm.spec.class_name} is gone; it is left as it is")
                continue
            tasks = adopt(fleet, known, surroundings.requirement(vm))
            count += bool(tasks)
            if self._backend.effects is not None and not shown:
                again += bool(tasks)
                self._make_again(self._backend.effects, tasks)
        if again:
            say(f"{self._backend.name} had forgotten {again} VMs; they were made again")
        return count

    def _make_again(self, effects: Effects, tasks: list[Task]) -> None:
        """Carry the tasks out on an API that has forgotten the VM with its process."""
        for task in tasks:
            if fault := effects.task(task):
                say(f"{task.vm}: {fault}")

    def _path(self, key: str = "") -> str:
        namespace, _, name = key.partition("/")
        return resource_path(kinds(self._edition.name)[VM], namespace, name)

    def _flush(self) -> bool:
        """Hand over everything that the server shall learn; whether there was something."""
        some = bool(self.mirror.dirty)
        for key in list(self.mirror.dirty):
            if (write := self.mirror.write(key)) is not None:
                job = partial(send, self._kube, self._path(key), write)
                self.outbox.put(key, job, self._sent)
                if marks := write.marks():
                    late = partial(self._send_late, self._kube.patch, self._path(key))
                    late = partial(late, {"metadata": marks})
                    self._later.put(f"label/{key}", late, partial(self._labelled, key))
        self.mirror.dirty.clear()
        return self.hosts.flush() or some

    def _sent(self, key: str, answer: Any, refusal: Exception | None) -> None:
        if refusal is not None:
            self._inbox.put(partial(self._refused, key, refusal))
        elif answer is not None:
            self._refusing = False
            self._inbox.put(partial(self.mirror.written, key, answer))

    def _labelled(self, key: str, _: str, answer: Any, refusal: Exception | None) -> None:
        """A label that lost against another write is written again; so is the status with it."""
        if isinstance(refusal, Denial) and refusal.status == 409:
            self._inbox.put(partial(self._refused, key, refusal))

    def _refused(self, key: str, refusal: Exception) -> None:
        if not self._refusing:
            say(f"{key} could not be written: {refusal}")
        self._refusing = True  # one of many tells enough, until a write succeeds again
        call_later(
            self.system.env, RETRY_S * self._how.speed, lambda _: self.mirror.dirty.setdefault(key)
        )

    def _tell(self, record: Record) -> None:
        """Make an Event of what happened, if it is of interest to the object's users."""
        vm = self.system.api.vms.get(record.object)
        api_version = self._edition.api_version
        found = live_events.event(record, vm, api_version, self.mirror.clock)
        if found is not None and len(self._later) < live_events.MOST_WAITING:
            path = f"/api/v1/namespaces/{found['metadata']['namespace']}/events"
            name = found["metadata"]["name"]
            self._later.put(name, partial(self._send_late, self._kube.create, path, found))

    def _send_late(self, call: Send, path: str, body: Mapping[str, Any]) -> None:
        """Statuses first: what nobody waits for waits a moment while there are any to write."""
        self.outbox.drained(LATE_S)
        call(path, body)


def _make(kube: Kube, path: str, body: Mapping[str, Any]) -> None:
    try:
        kube.create(path, body)
    except Denial as denial:
        if denial.status != 409:
            say(f"{body['kind']} {body['metadata']['name']} is refused: {denial}")


def say(message: str) -> None:
    """Tell whoever watches the terminal."""
    print(f"vmsim: {message}", file=sys.stderr, flush=True)


def _fail(error: Exception) -> None:
    raise error


def _nothing() -> None:
    return None
