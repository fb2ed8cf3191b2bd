"""Compare vmsim with plain SimPy, CloudSim Plus, SimGrid and pyvmomi, and write docs/bench.md.

python -m bench            all of it, about half an hour
python -m bench --short    smaller sizes and no other language, minutes; writes the document
python -m bench --quick    small sizes, about a minute; writes nothing
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from backends import kube_program
from bench import churn, cloudsim, compiled, measure, report, rolling, year
from bench.churn import Size
from bench.report import Row
from vmsim.problems import Unreachable

DOCUMENT = Path(__file__).parent.parent / "docs" / "bench.md"


@dataclass(frozen=True, slots=True)
class Effort:
    """What is run: sizes, and how many rounds of each."""

    churn: Size
    rounds: int
    cloudsim_rounds: int
    scaling: tuple[Size, ...]
    scaling_rounds: int
    memory: Size | None
    rolling: tuple[int, ...] = (64, 1_000)
    rolling_rounds: int = 5
    year_replications: int = 20
    sweep_replications: int = 8
    sweep_rounds: int = 5
    vsphere: bool = True
    served: tuple[int, int] = (1_000, 10_000)


FULL = Effort(
    churn=Size(1_000, 100_000),
    rounds=5,
    cloudsim_rounds=5,
    scaling=(Size(100, 20_000), Size(1_000, 50_000), Size(10_000, 200_000)),
    scaling_rounds=5,
    memory=Size(10_000, 1_000_000),
)
QUICK = Effort(
    churn=Size(1_000, 10_000),
    rounds=2,
    cloudsim_rounds=1,
    scaling=(Size(100, 5_000), Size(1_000, 10_000)),
    scaling_rounds=3,
    memory=None,
    rolling=(64,),
    rolling_rounds=2,
    year_replications=3,
    sweep_replications=3,
    sweep_rounds=1,
    vsphere=False,
    served=(0, 0),
)
SHORT = Effort(
    churn=Size(1_000, 20_000),
    rounds=5,
    cloudsim_rounds=0,
    scaling=(Size(100, 5_000), Size(10_000, 20_000)),
    scaling_rounds=2,
    memory=None,
    rolling_rounds=3,
    year_replications=3,
    vsphere=False,
    served=(0, 0),
)


class Bench:
    """One run of the benchmarks in a folder of its own."""

    def __init__(self, effort: Effort, folder: Path) -> None:
        self._effort = effort
        self._folder = folder
        self._compiled: Path | None = None

    def rows(self) -> Iterator[Row]:
        """The rows of the table, each as soon as it is measured."""
        try:
            self._compiled = compiled.built()
        except Unreachable as error:
            yield Row.skipped("vmsim compiled", str(error))
        first = (self._churn, self._cloudsim, self._scaling, self._memory, self._rolling)
        then = (self._simgrid, self._year, self._sweep, self._vsphere, self._serving)
        for part in (*first, *then):
            yield from part()

    def _churn(self) -> Iterator[Row]:
        size = self._effort.churn
        forms = self._forms("bench.system", *self._workload(size))
        drivers = forms | {"plain SimPy": self._plain(size)}
        found = measure.rounds(drivers, self._effort.rounds)
        for name in forms:
            by_plain = measure.ratios(found, name, "plain SimPy")
            what = f"{_name(size)}: CPU time of {name} by plain SimPy's"
            yield Row.at_most(what, by_plain, 1.5, 1.0)
        yield Row.yes("every VM on the same host in all", measure.same_placements(found))
        for name in drivers:
            yield Row.fact(f"CPU µs per VM, {name}", measure.per_vm_us(found, name))

    def _cloudsim(self) -> Iterator[Row]:
        size = self._effort.churn
        what = f"{_name(size)}: CPU time of CloudSim Plus {cloudsim.VERSION} by vmsim's"
        if not self._effort.cloudsim_rounds:
            yield Row.skipped(what, "no rounds asked for")
            return
        command = cloudsim.command("Churn", self._folder)
        if isinstance(command, str):
            yield Row.skipped(what, command)
            return
        drivers = {
            "vmsim": self._vmsim(size),
            "CloudSim Plus": [*command, str(self._file(size)), str(size.hosts)],
        }
        found = measure.rounds(drivers, self._effort.cloudsim_rounds)
        yield Row.at_least(what, measure.ratios(found, "CloudSim Plus", "vmsim"), 5.0, 10.0)
        yield Row.yes("every VM on the same host in both", measure.same_placements(found))
        yield Row.fact("CPU µs per VM, CloudSim Plus", measure.per_vm_us(found, "CloudSim Plus"))

    def _scaling(self) -> Iterator[Row]:
        sizes = self._effort.scaling
        drivers = {_name(size): self._vmsim(size) for size in sizes}
        alone = {"plain": self._plain(sizes[0])}
        found = measure.rounds(drivers | alone, self._effort.scaling_rounds)
        least, most = _name(sizes[0]), _name(sizes[-1])
        for name in drivers:
            yield Row.fact(f"CPU µs per VM, vmsim, {name}", measure.per_vm_us(found, name))
        by_plain = measure.ratios(found, least, "plain")
        yield Row.fact(f"{least}: CPU time of vmsim by plain SimPy's", by_plain)
        per_vm = [_per_vm(each[most]) / _per_vm(each[least]) for each in found]
        what = f"CPU time per VM: {sizes[-1].hosts:,} hosts by {sizes[0].hosts:,} hosts"
        yield Row.at_most(what, measure.spread(per_vm), 2.0)

    def _memory(self) -> Iterator[Row]:
        size = self._effort.memory
        if size is None:
            return
        found = [{"vmsim": measure.once(self._vmsim(size))}]
        mib = measure.spread([found[0]["vmsim"]["rss_mib"]])
        yield Row.at_most(f"{_name(size)}: greatest resident memory in MiB", mib, 1024.0)
        yield Row.fact(f"CPU µs per VM, {_name(size)}", measure.per_vm_us(found, "vmsim"))

    def _rolling(self) -> Iterator[Row]:
        trace = str(self._folder / "rolling.jsonl")
        for hosts in self._effort.rolling:
            path = str(rolling.store(hosts, self._folder))
            forms = self._forms("bench.rolling_system", path, trace)
            drivers = forms | {"plain SimPy": [*_python("bench.rolling_plain"), path]}
            found = measure.rounds(drivers, self._effort.rolling_rounds)
            what = f"maintenance of {hosts:,} hosts in turn"
            for name in forms:
                by_plain = measure.ratios(found, name, "plain SimPy")
                yield Row.at_most(f"{what}: CPU time of {name} by plain SimPy's", by_plain, 1.0)
            for name in drivers:
                counts = [each[name]["migrations"] for each in found]
                cost = [1e6 * each[name]["cpu_s"] / each[name]["migrations"] for each in found]
                words = f"CPU µs per migration, {counts[0]:,} migrations, {name}"
                yield Row.fact(words, measure.spread(cost))

    def _simgrid(self) -> Iterator[Row]:
        hosts, what = self._effort.rolling[0], "how long it lasts: off SimGrid's answer by percent"
        path, folder = str(rolling.store(hosts, self._folder)), str(self._folder)
        theirs = measure.once([*_python("bench.rolling_simgrid"), path, folder])
        if "skipped" in theirs:
            yield Row.skipped(what, theirs["skipped"])
            return
        trace = str(self._folder / "rolling.jsonl")
        ours = measure.once([*_python("bench.rolling_system"), path, trace])
        off = abs(3600 * ours["makespan_h"] / theirs["makespan_s"] - 1)
        yield Row.at_most(f"{hosts} hosts, {what}", measure.spread([100 * off]), 2.0)

    def _year(self) -> Iterator[Row]:
        what, count = "64 hosts, a year of failures", str(self._effort.year_replications)
        forms = self._forms("bench.year", "64", count)
        drivers, theirs = dict(forms), "CloudSim Plus"
        wanted = self._effort.cloudsim_rounds
        command = cloudsim.command("Year", self._folder) if wanted else "no rounds asked for"
        if isinstance(command, list):
            drivers[theirs] = [*command, str(year.store(64, self._folder)), "64", count]
        found = measure.rounds(drivers, 3)
        for name in forms:
            cost = measure.spread([each[name]["ms_per_replication"] for each in found])
            yield Row.at_most(f"{what}: CPU ms per replication, {name}", cost, 25.0)
        if isinstance(command, str):
            yield Row.skipped(f"{what}: {theirs}", command)
            return
        for name in forms:
            words = f"{what}: CPU time of {theirs} by that of {name}"
            yield Row.at_least(words, measure.ratios(found, theirs, name), 3.0)
        for name in drivers:
            down_h = measure.spread([each[name]["downtime_h"] for each in found])
            yield Row.fact(f"{what}: hours for which VMs were down, {name}", down_h)

    def _sweep(self) -> Iterator[Row]:
        count = str(self._effort.sweep_replications)
        forms = self._forms("bench.sweeping", "years", count, str(self._folder))
        found = measure.rounds(forms, 3)
        what = "a sweep of years of failures of 64 hosts"
        for name in forms:
            cost = measure.spread([each[name]["ms_per_replication"] for each in found])
            yield Row.at_most(f"{what}: CPU ms per replication, {name}", cost, 60.0)
        digests = {each[name]["digest"] for each in found for name in forms}
        yield Row.yes(f"{what}: the same rows each time", len(digests) == 1)
        yield from self._workers()

    def _workers(self) -> Iterator[Row]:
        gains, seconds = [], []
        for number in range(self._effort.sweep_rounds):
            folder = str(self._folder / f"sweep-{number}")
            one, two = (
                measure.once([*_python("bench.sweeping"), "scale", count, folder])
                for count in ("1", "2")
            )
            assert one["digest"] == two["digest"], "workers changed the result"
            gains.append(one["wall_s"] / two["wall_s"])
            words = [*_python("bench.sweeping"), "rows", "1000000", folder]
            seconds.append(measure.once(words)["wall_s"])
        what = "a sweep of 64 years of failures: seconds with one worker by those with two"
        yield Row.at_least(what, measure.spread(gains), 1.8)
        what = "summary of 1,000,000 rows in 1,000 cells: seconds"
        yield Row.at_most(what, measure.spread(seconds), 2.0)

    def _vsphere(self) -> Iterator[Row]:
        if not self._effort.vsphere:
            yield Row.skipped("vcsim: our session beside bare pyvmomi", "not asked for")
            return
        acts = {"read": "reading 10,000 VMs", "start": "powering on 1,000 VMs"}
        try:
            found = measure.once(_python("bench.vsphere"))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            yield Row.skipped("vcsim: our session beside bare pyvmomi", reason)
            return
        for name, what in acts.items():
            pairs = zip(found[name], found[f"{name} bare"], strict=True)
            ratio = measure.spread([ours / theirs for ours, theirs in pairs])
            yield Row.at_most(f"vcsim, {what}: seconds by those of bare pyvmomi", ratio, 2.0)

    def _serving(self) -> Iterator[Row]:
        some, many = self._effort.served
        what = "vmsim serve, beside a bare list-and-watch loop"
        try:
            reason = "" if some else "not asked for"
            kube_program.find(build=False)
        except Unreachable as error:
            reason = str(error)
        if reason:
            yield Row.skipped(what, reason)
            return
        found = measure.once([*_python("bench.serving"), "burst", str(some)])
        for name, words in {"serve": "vmsim serve", "bare": "the bare loop"}.items():
            words = f"{some:,} VMs by 8 clients, {words}"
            ratio = measure.spread([found[name]["all_on_s"] / found[name]["created_s"]])
            yield Row.at_most(f"{words}: all on, by the time of their creation", ratio, 1.5)
            late = measure.spread([found[name]["p99_s"]])
            yield Row.at_most(f"{words}: seconds to on, 99th percentile", late, 1.0)
        rest = measure.once([*_python("bench.serving"), "rest", str(many)])["serve"]
        cpu, mib = measure.spread([rest["cpu_percent"]]), measure.spread([rest["rss_mib"]])
        words = f"vmsim serve, {many:,} VMs"
        yield Row.at_most(f"{words} at rest: percent of a core, over a minute", cpu, 2.0)
        yield Row.at_most(f"{words}: greatest resident memory in MiB", mib, 300.0)

    def _forms(self, *words: str) -> dict[str, list[str]]:
        """How to run a driver on vmsim as it is, and compiled."""
        forms = {"vmsim": _python(*words)}
        if self._compiled is not None:
            forms["vmsim compiled"] = compiled.command(self._compiled, "-m", *words)
        return forms

    def _vmsim(self, size: Size) -> list[str]:
        return _python("bench.system", *self._workload(size))

    def _workload(self, size: Size) -> tuple[str, str, str]:
        return str(self._file(size)), str(size.hosts), str(self._folder / "trace.jsonl")

    def _plain(self, size: Size) -> list[str]:
        return [*_python("bench.plain"), str(self._file(size)), str(size.hosts)]

    def _file(self, size: Size) -> Path:
        return churn.store(size, self._folder)


def _python(*words: str) -> list[str]:
    return [sys.executable, "-m", *words]


def _name(size: Size) -> str:
    return f"{size.hosts:,} hosts, {size.vms:,} VMs"


def _per_vm(result: measure.Result) -> float:
    return float(result["cpu_s"] / result["vms"])


def main() -> None:
    """Run, print each row, and write the document unless it was a quick run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes; writes nothing")
    parser.add_argument("--cloudsim-rounds", type=int, default=FULL.cloudsim_rounds)
    parser.add_argument("--scaling-rounds", type=int, default=FULL.scaling_rounds)
    parser.add_argument("--short", action="store_true", help="fewer, smaller rounds; writes")
    said = parser.parse_args()
    asked = replace(FULL, cloudsim_rounds=said.cloudsim_rounds, scaling_rounds=said.scaling_rounds)
    asked = SHORT if said.short else asked
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for row in Bench(QUICK if said.quick else asked, Path(folder)).rows():
            print(report.line(row), flush=True)
            rows.append(row)
    if not said.quick:
        DOCUMENT.write_text(report.document(rows, " ".join(["python -m bench", *sys.argv[1:]])))


if __name__ == "__main__":
    main()
