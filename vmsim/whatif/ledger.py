"""What happened to each VM and each host? `entries` tells it, record by record.

A VM is down from the record that it stopped until its guest is seen ready again (its status has an
address), or is seen to run when nobody saw an address. Being powered off by its user, or deleted,
is no downtime. A downtime has a cause and four phases: detect (until somebody first tries to start
it), wait (until a host opens), retry (until the power-on that succeeds begins), start (power-on and
boot). A VM waits from the record that refuses it a host until it runs. What began before the
warm-up was over is forgotten; the state it led to stays.
"""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from vmsim.whatif.binding import blocked_by
from vmsim.whatif.capacity import Capacity
from vmsim.whatif.incidents import CREATION, Incident


@dataclass(slots=True)
class VM:
    """What is known of one VM; `number` is that of the record that added it, `due_s` is when its
    last migration could have begun, and `down_s` is its downtime so far."""

    key: str
    class_name: str
    wanted: bool
    number: int
    added_s: float
    host: str = ""
    running: bool = False
    now: Incident | None = None
    tried_s: float = -1.0
    started_s: float = -1.0
    on_s: float = -1.0
    due_s: float = 0.0
    refused: str = ""
    refused_s: float = -1.0
    down_s: float = 0.0


@dataclass(slots=True)
class Host:
    """What is known of one host; times are of its last maintenance."""

    state: str = "Up"
    asked_s: float = -1.0
    entered_s: float = -1.0
    blocked: dict[str, str] = field(default_factory=dict)
    blocked_s: float = 0.0


@dataclass(slots=True)
class Counts:
    """What is only counted."""

    migrations: int = 0
    moved_mib: float = 0.0
    retries: int = 0
    tasks_failed: int = 0
    failovers_failed: int = 0
    host_failures: int = 0
    created: int = 0
    refused_creations: int = 0
    stalls: int = 0
    slowed: int = 0


class Ledger:
    """What is known so far; afterwards `close` it and read `metrics`."""

    def __init__(self, capacity: Capacity, warm_s: float = 0.0) -> None:
        self.capacity = capacity
        self.warm_s = warm_s
        self.vms: dict[str, VM] = {}
        self.hosts: dict[str, Host] = {}
        self.incidents: list[Incident] = []
        self.downtimes: list[Incident] = []
        self.downtimes_s: list[float] = []
        self.downtimes_by_s: defaultdict[str, list[float]] = defaultdict(list)
        self.creations_s: list[float] = []
        self.migrations_s: list[float] = []
        self.stuns_s: list[float] = []
        self.evacuations_s: list[float] = []
        self.maintenances: list[tuple[float, float]] = []
        self.bound: defaultdict[str, float] = defaultdict(float)
        self.moving: defaultdict[str, float] = defaultdict(float)
        self.blockers: dict[str, str] = {}
        self.refused_moves: dict[str, str] = {}
        self.counts = Counts()
        self.waiting_now = self.waiting_worst = 0
        self.waiting_vm_s = self.now_s = self.waited_until_s = 0.0
        self.added_s: list[float] = []
        self.elsewhere: defaultdict[str, int] = defaultdict(int)
        self.lived_s: defaultdict[str, float] = defaultdict(float)
        self.opened_s: list[float] = []
        self._wanted_of: dict[str, tuple[str, bool]] = {}

    def reach(self, now_s: float) -> None:
        """It is `now_s` at least; the warm-up ends when it is over."""
        if now_s > self.now_s:
            if self.now_s < self.warm_s <= now_s:
                self.pass_to(self.warm_s)
                self._forget()
            self.pass_to(now_s)

    @property
    def counted_s(self) -> float:
        """How long has counted so far."""
        return max(self.now_s - self.warm_s, 0.0)

    def pass_to(self, now_s: float) -> None:
        """Time goes on with everything as it is."""
        self.waiting_vm_s += self.waiting_now * (now_s - self.now_s)
        self.capacity.pass_to(now_s)
        self.now_s = now_s

    def _forget(self) -> None:
        """The warm-up is over: only what begins from here on counts."""
        for found in (
            self.incidents, self.downtimes, self.downtimes_s, self.creations_s, self.migrations_s,
            self.stuns_s, self.evacuations_s, self.maintenances,
        ):  # fmt: skip
            found.clear()
        self.downtimes_by_s.clear()
        self.elsewhere.clear()
        self.bound.clear()
        self.moving.clear()
        self.counts = Counts()
        self.lived_s.clear()
        self.waiting_worst, self.waiting_vm_s = self.waiting_now, 0.0
        self.capacity.forget()
        for vm in self.vms.values():
            vm.refused_s = self.now_s if vm.refused_s >= 0.0 else vm.refused_s
            vm.down_s = 0.0

    def close(self, end_s: float) -> None:
        """The run is over: what is still open stays open, up to here."""
        self.reach(end_s)
        for vm in self.vms.values():
            self.lived(vm)
            self._stop_waiting(vm)
            if vm.now is not None:
                if vm.on_s >= 0.0:
                    self.end(vm, vm.on_s)
                else:
                    self.end(vm, end_s, still_open=True)
        for host in self.hosts.values():
            self.unblock(host)

    def lived(self, vm: VM) -> None:
        """The VM is there no longer, or the run is over: its time counts for its class."""
        self.lived_s[vm.class_name] += max(0.0, self.now_s - max(vm.added_s, self.warm_s))

    def down(self, vm: VM, cause: str) -> None:
        """The VM stopped although it is wanted on."""
        if vm.now is not None and vm.on_s >= 0.0:
            self.end(vm, self.now_s)
        vm.running, vm.on_s = False, -1.0
        self.capacity.leave(vm.key)
        if vm.wanted and vm.now is None:
            vm.now = Incident(vm.key, vm.class_name, cause, vm.host, self.now_s)
            vm.tried_s = vm.started_s = -1.0

    def end(self, vm: VM, at_s: float, *, still_open: bool = False) -> None:
        """The incident of the VM is over, or is still open at the end."""
        now = vm.now
        assert now is not None
        now.ended_s, now.open = at_s, still_open
        tried_s = vm.tried_s if vm.tried_s >= 0.0 else at_s
        started_s = min(vm.started_s, at_s) if vm.started_s >= tried_s else at_s
        room_s = self._opened_last(tried_s, started_s) if now.because else tried_s
        now.detect_s = tried_s - now.began_s
        now.wait_s, now.retry_s = room_s - tried_s, started_s - room_s
        now.start_s = at_s - started_s
        vm.now, vm.on_s = None, -1.0
        if now.began_s < self.warm_s:
            return
        lasted_s = now.lasted_s
        if now.cause != CREATION:
            self.downtimes.append(now)
            self.downtimes_s.append(lasted_s)
            self.downtimes_by_s[now.cause].append(lasted_s)
            if vm.host != now.host:
                self.elsewhere[now.class_name] += 1
            vm.down_s += lasted_s
        else:
            self.creations_s.append(lasted_s)
            if not now.because and not still_open:
                return
        self.incidents.append(now)

    def _opened_last(self, after_s: float, until_s: float) -> float:
        """When a host opened last in that time; its end if none did."""
        past = bisect_right(self.opened_s, until_s)
        return self.opened_s[past - 1] if past and self.opened_s[past - 1] > after_s else until_s

    def refuse(self, vm: VM, why: str) -> None:
        """No host takes the VM now."""
        if vm.refused_s < 0.0:
            vm.refused_s = self.now_s
            self.waiting_now += 1
            self.waiting_worst = max(self.waiting_worst, self.waiting_now)
        else:
            self.bound[vm.refused] += self.now_s - vm.refused_s
            vm.refused_s = self.now_s
        vm.refused = why
        self.bound[why] += 1e-6
        if vm.now is not None:
            is_new = vm.now.cause == CREATION and vm.now.began_s >= self.warm_s
            if is_new and not vm.now.because:
                self.counts.refused_creations += 1
            vm.now.because = why
            vm.tried_s = self.now_s if vm.tried_s < 0.0 else vm.tried_s

    def _stop_waiting(self, vm: VM) -> None:
        if vm.refused_s >= 0.0:
            self.bound[vm.refused] += self.now_s - vm.refused_s
            vm.refused, vm.refused_s = "", -1.0
            self.waiting_now -= 1
            self.waited_until_s = self.now_s

    def runs(self, vm: VM, host: str) -> None:
        """The VM runs on this host."""
        self._stop_waiting(vm)
        vm.host, vm.running, vm.on_s = host, True, self.now_s
        self.capacity.enter(vm.key, vm.class_name, host)

    def gone(self, vm: VM) -> None:
        """The VM is not wanted on any more: nothing of it is downtime from here."""
        self._stop_waiting(vm)
        vm.wanted = False
        if vm.now is not None:
            self.end(vm, vm.on_s if vm.on_s >= 0.0 else self.now_s)

    def unblock(self, host: Host) -> None:
        """What held the host up is over, or changes."""
        for why in host.blocked.values():
            self.bound[blocked_by(why)] += self.now_s - host.blocked_s + 1e-6
        host.blocked, host.blocked_s = {}, self.now_s

    def wanted(self, manifest: dict[str, Any]) -> tuple[str, bool]:
        """Class of a manifest's VM, and whether it shall run."""
        spec = manifest.get("spec") or {}
        power = str(spec.get("powerState") or "PoweredOn").lower()
        return str(spec.get("className", "")), power == "poweredon"

    def template(self, name: str, manifest: dict[str, Any] | None = None) -> tuple[str, bool]:
        """Class and wish of a workload's template; with a manifest, it is kept first."""
        if manifest is not None:
            self._wanted_of[name] = self.wanted(manifest)
        return self._wanted_of.get(name, ("", True))
