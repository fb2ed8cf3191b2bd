"""Compare vmsim with plain SimPy and CloudSim Plus, and write docs/bench.md.

python -m bench            all of it, about an hour on two cores
python -m bench --quick    small sizes, about a minute; writes nothing
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import churn, cloudsim, measure, report
from bench.churn import Size
from bench.report import Row

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


FULL = Effort(
    churn=Size(1_000, 100_000),
    rounds=5,
    cloudsim_rounds=5,
    scaling=(Size(100, 20_000), Size(1_000, 100_000), Size(10_000, 300_000)),
    scaling_rounds=5,
    memory=Size(10_000, 1_000_000),
)
QUICK = Effort(
    churn=Size(1_000, 20_000),
    rounds=3,
    cloudsim_rounds=1,
    scaling=(Size(100, 5_000), Size(1_000, 10_000)),
    scaling_rounds=3,
    memory=None,
)


class Bench:
    """One run of the benchmarks in a folder of its own."""

    def __init__(self, effort: Effort, folder: Path) -> None:
        self._effort = effort
        self._folder = folder

    def rows(self) -> list[Row]:
        """The rows of the table, in order."""
        return [*self._churn(), *self._cloudsim(), *self._scaling(), *self._memory()]

    def _churn(self) -> list[Row]:
        size = self._effort.churn
        drivers = {"vmsim": self._vmsim(size), "plain": self._plain(size)}
        found = measure.rounds(drivers, self._effort.rounds)
        return [
            Row.at_most(f"{_name(size)}: CPU time by plain SimPy's",
                        measure.ratios(found, "vmsim", "plain"), 1.5, 1.0),
            Row.fact("CPU µs per VM, vmsim", measure.per_vm_us(found, "vmsim")),
            Row.fact("CPU µs per VM, plain SimPy", measure.per_vm_us(found, "plain")),
            Row.yes("same host for every VM as a naive best fit", measure.same_placements(found)),
        ]  # fmt: skip

    def _cloudsim(self) -> list[Row]:
        size = self._effort.churn
        what = f"{_name(size)}: CPU time of CloudSim Plus {cloudsim.VERSION} by vmsim's"
        command = cloudsim.command(self._folder)
        if isinstance(command, str):
            return [Row.skipped(what, command)]
        drivers = {
            "vmsim": self._vmsim(size),
            "cloudsim": [*command, str(self._file(size)), str(size.hosts)],
        }
        found = measure.rounds(drivers, self._effort.cloudsim_rounds)
        return [
            Row.at_least(what, measure.ratios(found, "cloudsim", "vmsim"), 5.0, 10.0),
            Row.fact("CPU µs per VM, CloudSim Plus", measure.per_vm_us(found, "cloudsim")),
            Row.yes("same host for every VM as CloudSim Plus", measure.same_placements(found)),
        ]

    def _scaling(self) -> list[Row]:
        sizes = self._effort.scaling
        drivers = {_name(size): self._vmsim(size) for size in sizes}
        found = measure.rounds(drivers, self._effort.scaling_rounds)
        least, most = _name(sizes[0]), _name(sizes[-1])
        per_vm = [_per_vm(each[most]) / _per_vm(each[least]) for each in found]
        rows = [
            Row.fact(f"CPU µs per VM, vmsim, {name}", measure.per_vm_us(found, name))
            for name in drivers
        ]
        what = f"CPU time per VM: {sizes[-1].hosts:,} hosts by {sizes[0].hosts:,} hosts"
        return [*rows, Row.at_most(what, measure.spread(per_vm), 2.0)]

    def _memory(self) -> list[Row]:
        size = self._effort.memory
        if size is None:
            return []
        result = measure.once(self._vmsim(size))
        found = [{"vmsim": result}]
        mib = measure.spread([result["rss_mib"]])
        return [
            Row.at_most(f"{_name(size)}: MiB of resident memory, at most", mib, 1024.0),
            Row.fact("CPU µs per VM, vmsim", measure.per_vm_us(found, "vmsim")),
        ]

    def _vmsim(self, size: Size) -> list[str]:
        trace = self._folder / "trace.jsonl"
        return [*_python("bench.system"), str(self._file(size)), str(size.hosts), str(trace)]

    def _plain(self, size: Size) -> list[str]:
        return [*_python("bench.plain"), str(self._file(size)), str(size.hosts)]

    def _file(self, size: Size) -> Path:
        return churn.store(size, self._folder)


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def _name(size: Size) -> str:
    return f"{size.hosts:,} hosts, {size.vms:,} VMs"


def _per_vm(result: measure.Result) -> float:
    return float(result["cpu_s"] / result["vms"])


def main() -> None:
    """Run, print the table, and write the document unless it was a quick run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes; writes nothing")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        rows = Bench(QUICK if quick else FULL, Path(folder)).rows()
    print(report.table(rows))
    if not quick:
        DOCUMENT.write_text(report.document(rows))


if __name__ == "__main__":
    main()
