"""What does a person see while a scenario runs, and after it?

Records of one instant and one kind are shown as one line, so the story stays readable with four
VMs and with four thousand. On a terminal a bar shows how far the simulated time is; into a pipe
go plain lines only. Everything shown comes from records.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from vmsim.expectations import Verdict, clock
from vmsim.fold import Picture
from vmsim.trace import Record

NAMES_SHOWN = 3
QUIET = frozenset(
    ("Host", "Applied", "Status", "Requeued", "TaskStarted", "WorkloadTemplate", "Event", "End")
)
"""Kinds that a reader of the story does not need; the trace has them."""

STYLES = {
    "Denied": "red",
    "NoCompatibleHost": "yellow",
    "EvacuationBlocked": "yellow",
    "HostConnectionLost": "red",
    "TaskFailed": "red",
    "VmPoweredOn": "green",
    "VmMigrated": "cyan",
    "Refused": "red",
}


class Story:
    """Prints the records of a run, those of one instant and kind on one line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.has_begun = False
        self._now = 0.0
        self._same: dict[tuple[str, str], list[str]] = {}

    def see(self, record: Record) -> None:
        """Take one record in; lines come out when the time moves on."""
        self.has_begun = True
        if record.kind in QUIET:
            return
        if record.t != self._now:
            self.flush()
            self._now = record.t
        key = (record.kind, _tail(record))
        self._same.setdefault(key, []).append(record.object)

    def flush(self) -> None:
        """Print what is held back."""
        for (kind, tail), names in self._same.items():
            style = STYLES.get(kind, "")
            word = escape(f"{kind:<24}")
            word = f"[{style}]{word}[/]" if style else word
            line = f"[dim]{clock(self._now):>10}[/]  {word} {escape(_list(names))}"
            line += f"  [dim]{escape(tail)}[/]" if tail else ""
            self._console.print(line, soft_wrap=True)
        self._same.clear()


def progress(console: Console) -> Progress:
    """A bar of simulated time; nothing at all where there is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[clock]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def print_result(
    console: Console, picture: Picture, verdicts: Sequence[Verdict], differences: Sequence[str]
) -> None:
    """How the VMs and hosts ended, and each expectation with its verdict."""
    out = partial(console.print, soft_wrap=True)
    out(f"\n[bold]VMs[/]    {_counts(picture.vm_states()) or 'none'}")
    out(f"[bold]Hosts[/]  {_counts(picture.host_states())}")
    for verdict in verdicts:
        sign = {True: "[green]met[/]    ", False: "[red]MISSED[/] ", None: "[yellow]open[/]   "}
        out(f"{sign[verdict.met]} {escape(verdict.text)}")
        if not verdict.met and verdict.instead:
            out(f"         instead: {escape(verdict.instead)}")
    for difference in differences:
        out(f"[red]DIFFERS[/] {escape(difference)}")


def _tail(record: Record) -> str:
    data = record.data
    if record.kind in ("VmPoweredOn", "VmPoweredOff", "VmReset", "VmMigrated", "VmRelocated"):
        move = f"from {data['from']}, " if "from" in data else ""
        cause = "" if data["cause"] == "User" else f"{move}{data['cause']}"
        return cause
    if record.kind == "Denied":
        return "; ".join(data["errors"])
    if record.kind == "EvacuationBlocked":
        vms = data["vms"]
        return f"by {_list([f'{name} ({why})' for name, why in vms.items()])}" if vms else "no more"
    for name in ("summary", "fault", "message"):
        if name in data:
            return str(data[name])
    return ""


def _list(names: Sequence[str]) -> str:
    if len(names) <= NAMES_SHOWN + 1:
        return ", ".join(names)
    return f"{len(names)} objects: {', '.join(names[:NAMES_SHOWN])}, ..."


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(counter.items()))
