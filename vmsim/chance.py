"""Everything that comes about by chance or by the calendar in a run, connected to its parts.

Workloads submit VMs, failures and maintenance act through the administration, guests have their
times. The timeline is somebody else's: it only tells of hosts that join.
"""

from dataclasses import dataclass

import simpy

from vmsim import failures, maintenance_calendar
from vmsim.administration import Administration, Refused
from vmsim.apiserver import ApiServer
from vmsim.fleet import Fleet
from vmsim.guests import GuestLaw, GuestTimes
from vmsim.objects import HostSpec, HostState
from vmsim.plan import Plan
from vmsim.sources import Sources


@dataclass(frozen=True, slots=True)
class Parts:
    """What chance acts on."""

    env: simpy.Environment
    api: ApiServer
    fleet: Fleet
    hosts: Administration


class Chance:
    """The sources of chance of one run."""

    def __init__(self, plan: Plan, parts: Parts) -> None:
        spec, trace = plan.scenario.spec, parts.fleet.trace
        self._plan = plan
        self._parts = parts
        acts = failures.Acts(self._fail, self._recover)
        self._failures = failures.Failures(parts.env, spec.failures, spec.seed, acts, trace)
        laws = [GuestLaw(one.classes, one.boot_law(), one.shutdown.law()) for one in spec.guests]
        parts.fleet.guest_times = GuestTimes(plan.durations, laws, spec.seed, self._class_of)

    def begin(self) -> None:
        """Start the workloads, the clocks of all hosts and the calendar."""
        plan, parts = self._plan, self._parts
        spec, trace = plan.scenario.spec, parts.fleet.trace
        sources = Sources(parts.env, parts.api, plan.edition, trace, spec.seed)
        for planned in plan.workload:
            sources.start(planned)
        for host in plan.hosts:
            self.joined(host)
        if spec.maintenance_calendar:
            acts = maintenance_calendar.Acts(self._enter, self._exit, self._names)
            calendar = maintenance_calendar.Calendar(parts.env, spec.seed, acts, trace)
            for number, entry in enumerate(spec.maintenance_calendar):
                calendar.follow(number, entry)

    def joined(self, host: HostSpec) -> None:
        """The host is there from now on, and can fail."""
        self._failures.join(host)

    def _class_of(self, key: str) -> str:
        vm = self._parts.api.vms.get(key)
        return "" if vm is None else vm.spec.class_name

    def _names(self) -> list[str]:
        inventory = self._parts.fleet.inventory
        rows = zip(inventory.hosts, inventory.states, strict=True)
        return [host.name for host, state in rows if state is not HostState.REMOVED]

    def _fail(self, host: str) -> bool:
        try:
            self._parts.hosts.fail(host)
        except Refused:  # it is down already, or gone
            return False
        return True

    def _recover(self, host: str) -> None:
        try:
            self._parts.hosts.recover(host)
        except Refused:  # the administrator was faster
            return

    def _enter(self, host: str, timeout_s: float) -> bool:
        try:
            self._parts.hosts.enter_maintenance(host, timeout_s)
        except Refused as refused:
            self._note(refused)
            return False
        return True

    def _exit(self, host: str) -> bool:
        try:
            self._parts.hosts.exit_maintenance(host)
        except Refused as refused:
            self._note(refused)
            return False
        return True

    def _note(self, refused: Refused) -> None:
        self._parts.fleet.trace.write("host", "Refused", "", {"fault": str(refused)})
