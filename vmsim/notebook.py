"""How does a program, or a notebook, run a scenario and look at the outcome?

    import vmsim
    run = vmsim.run("gpu-stranded", seed=7, set={"policies.retry.longest": "60s"})
    run.exit_code, run.digest, run.metrics["downtime_worst_s"]
    run.frame("incidents")            # an Arrow table: .to_pandas(), polars.from_arrow(...)
    run.report("report.html")

Problems with the input are `vmsim.problems.BadInput`, with every reason that was found.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends import opened
from vmsim import running
from vmsim.documents import Document, Lines
from vmsim.expectations import Verdict
from vmsim.loading import Overrides, Plan, load, plan
from vmsim.shell import scenario_path, seconds, trace_folder
from vmsim.whatif import frames
from vmsim.whatif.history import History, history
from vmsim.whatif.metrics import measured
from vmsim.whatif.paths import Setting, changed

if TYPE_CHECKING:
    import pyarrow as pa


class Run:
    """A run that is over. `trace` is its file, which another run may write anew; `history` says
    who was in which state from when to when."""

    def __init__(self, result: running.Result, trace: Path) -> None:
        self._result = result
        self.trace = trace
        self.history: History = history(trace)

    @property
    def digest(self) -> str:
        """SHA-256 of all records."""
        return self._result.digest

    @property
    def exit_code(self) -> int:
        """What `vmsim run` would have ended with."""
        return self._result.exit_code

    @property
    def verdicts(self) -> list[Verdict]:
        """What the scenario expects, judged."""
        return self._result.verdicts

    @property
    def assumptions(self) -> list[str]:
        """What the run took for granted."""
        return self._result.assumptions

    @property
    def metrics(self) -> dict[str, float]:
        """Every figure of the run by its name; `frame("metrics")` has the units."""
        return measured(self.history.ledger)

    def frame(self, name: str) -> "pa.Table":
        """Incidents, metrics, vms, hosts or levels as an Arrow table."""
        return frames.table(self.history, name)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The same as a list of dictionaries, for those who have no pyarrow."""
        return frames.rows(self.history, name)

    def report(self, path: str | Path) -> Path:
        """Write the report of this run as one HTML file."""
        from vmsim.whatif.report import html, write

        write(Path(path), html([self.history]))
        return Path(path)

    def __repr__(self) -> str:
        """The name, how it ended, and the digest."""
        name = self._result.plan.scenario.metadata.name
        return f"<vmsim run of {name}: exit code {self.exit_code}, digest {self.digest[:12]}>"


def run(
    scenario: str | Path,
    *,
    seed: int | None = None,
    set: Mapping[str, Any] | None = None,
    until: str | None = None,
    trace: str | Path | None = None,
) -> Run:
    """Run a scenario (a file, or the name of a shipped one) in memory.

    `set` puts values at paths below `spec`, as `--set` does. Without `trace`, the trace goes where
    `vmsim run` puts it.
    """
    made = load(scenario_path(str(scenario)), Overrides(seed, None))
    if set:
        made = _changed(made, set)
    name = made.scenario.metadata.name
    path = Path(trace) if trace is not None else trace_folder() / f"{name}.jsonl"
    how = running.How(until_s=seconds(until), trace=path)
    return Run(running.run(made, how, opened), path)


def _changed(made: Plan, values: Mapping[str, Any]) -> Plan:
    value = made.resolved
    for path, new in values.items():
        value = changed(value, Setting(path, new))
    return plan(Document(value, made.scenario.metadata.name, Lines(0)), Path())
