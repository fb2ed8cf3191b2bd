"""Did the run do what its author expected?

Each `expect` line of a scenario is judged while the records come in: a line with `by` must come
about at some moment from `since` to `by`, a line without holds at the end. With a glob it must
come about for every VM that matches. A miss says what was the case instead.
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import msgspec

from vmsim.fold import Picture, VMPicture
from vmsim.scenario import Expect
from vmsim.trace import Record


@dataclass(frozen=True, slots=True)
class Verdict:
    """One expectation judged; `instead` tells what was the case when it was not met.

    `met` is None when the run was cut short before the expectation could be decided.
    """

    text: str
    met: bool | None
    instead: str = ""


@dataclass(slots=True)
class _Open:
    """An expectation on its way: who met it when, or how many events were counted."""

    expect: Expect
    met: dict[str, float] = field(default_factory=dict)
    count: int = 0


class Expectations:
    """Judges the expectations of one run over its records."""

    def __init__(self, expects: list[Expect], picture: Picture) -> None:
        self._picture = picture
        self.ended_s = 0.0
        self._open = [_Open(expect) for expect in expects]

    def see(self, record: Record) -> None:
        """Take one record in; the picture must have seen it already."""
        for item in self._open:
            expect = item.expect
            if expect.event is not None:
                self._count(item, record)
            elif expect.by is not None and expect.since <= record.t <= expect.by:
                for name in self._touched(record):
                    self._meet(item, name)

    def at(self, now_s: float) -> None:
        """The moment `now_s` begins: what holds already counts for windows that open now."""
        for item in self._open:
            expect = item.expect
            if expect.event is None and expect.by is not None and expect.since == now_s:
                for name in (*self._picture.vms, *self._picture.hosts):
                    self._meet(item, name)

    def starts(self) -> list[float]:
        """The moments at which `at` must be called, in order."""
        return sorted({item.expect.since for item in self._open if item.expect.since > 0})

    def verdicts(self, end_s: float) -> list[Verdict]:
        """Every expectation judged, in the order of the scenario, after the last record.

        `end_s` is when the scenario ends; a run cut short before leaves what is not met open.
        """
        return [self._judge(item, self._is_open(item.expect, end_s)) for item in self._open]

    def _is_open(self, expect: Expect, end_s: float) -> bool:
        return self.ended_s < (end_s if expect.by is None else expect.by)

    def _touched(self, record: Record) -> list[str]:
        """Whose state the record may have changed: that of all VMs, when a host fails."""
        vms = self._picture.vms if record.kind == "HostConnectionLost" else ()
        return [record.object, *vms]

    def _count(self, item: _Open, record: Record) -> None:
        expect = item.expect
        if record.kind != expect.event or not fnmatchcase(record.object, expect.object):
            return
        if not expect.since <= record.t <= (float("inf") if expect.by is None else expect.by):
            return
        text = msgspec.json.encode(record.data).decode()
        if expect.contains in text or expect.contains in text.replace('\\"', '"'):
            item.count += 1

    def _meet(self, item: _Open, name: str) -> None:
        if name not in item.met and self._holds(item.expect, name):
            item.met[name] = self._picture.now_s

    def _holds(self, expect: Expect, name: str) -> bool:
        if expect.vm is not None:
            if not fnmatchcase(name, expect.vm):
                return False
            vm = self._picture.vms.get(name) or VMPicture(name)
            state, host = vm.state, vm.host
        else:
            assert expect.host is not None
            if name not in self._picture.hosts or not fnmatchcase(name, expect.host):
                return False
            state, host = self._picture.hosts[name].state, name
        right_state = expect.state is None or state == expect.state
        return right_state and (expect.on_host is None or fnmatchcase(host, expect.on_host))

    def _judge(self, item: _Open, is_open: bool) -> Verdict:
        expect = item.expect
        text = describe(expect)
        if is_open and (expect.by is None or expect.count is not None):
            return Verdict(text, None, "the run ended before")
        if expect.event is not None:
            met = item.count == expect.count if expect.count is not None else item.count > 0
            undecided = None if is_open and not met else met
            return Verdict(text, undecided, "" if met else f"{item.count} such records")
        missing = [name for name in self._names(expect) if not self._is_met(item, name)]
        if not missing:
            return Verdict(text, met=True)
        shown = "; ".join(self._describe(name, expect) for name in missing[:3])
        more = f"; and {len(missing) - 3} more" if len(missing) > 3 else ""
        return Verdict(text, met=None if is_open else False, instead=shown + more)

    def _is_met(self, item: _Open, name: str) -> bool:
        if item.expect.by is None:
            return self._holds(item.expect, name)
        return name in item.met

    def _names(self, expect: Expect) -> list[str]:
        glob = expect.vm or expect.host
        assert glob is not None
        known = self._picture.hosts if expect.vm is None else self._picture.vms
        return [name for name in known if fnmatchcase(name, glob)] or [glob]

    def _describe(self, name: str, expect: Expect) -> str:
        if expect.host is not None:
            host = self._picture.hosts.get(name)
            if host is None:
                return f"there is no host {name}"
            held = f", held up by {', '.join(host.blockers)}" if host.blockers else ""
            return f"{name} ended {host.state} since {clock(host.since_s)}{held}"
        vm = self._picture.vms.get(name) or VMPicture(name)
        where = f" on {vm.host}" if vm.host else ""
        reason = f" ({vm.refusal['summary']})" if vm.refusal else ""
        return f"{name} ended {vm.state}{where} since {clock(vm.since_s)}{reason}"


def describe(expect: Expect) -> str:
    """The expectation in words."""
    window = f" by {clock(expect.by)}" if expect.by is not None else " at the end"
    if expect.since:
        window = f" from {clock(expect.since)}{window}"
    if expect.event is not None:
        number = "at least one" if expect.count is None else str(expect.count)
        of = f" of {expect.object}" if expect.object != "*" else ""
        having = f" with {expect.contains!r}" if expect.contains else ""
        window = window if expect.by is not None or expect.since else ""
        return f"{number} {expect.event}{of}{having}{window}"
    state = f" {expect.state}" if expect.state else ""
    on = f" on {expect.on_host}" if expect.on_host else ""
    return f"{expect.vm or expect.host}{state}{on}{window}"


def clock(seconds: float) -> str:
    """Simulated time as people read it: `1h02m03s`, `12.5s`."""
    whole = int(seconds)
    if seconds < 60:
        return f"{seconds:g}s" if seconds < 10 else f"{seconds:.4g}s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m{rest:02d}s" if hours else f"{minutes}m{rest:02d}s"
