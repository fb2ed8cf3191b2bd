"""The command line: run a scenario, look into its trace, check files.

Exit codes: 0 done, 1 an expectation failed, 2 bad input or usage, 3 inconclusive, 4 the backend
cannot be reached, 5 a defect of vmsim, 130 interrupted.
"""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

import backends
from backends import BACKENDS, opened
from vmsim import __version__, documents, replaying, running, serve_cli, views
from vmsim.conformance import cli as conform_cli
from vmsim.console import Story, print_result, progress
from vmsim.expectations import clock
from vmsim.kinds import resolve
from vmsim.loading import Overrides, Plan, load
from vmsim.manifests import parse
from vmsim.problems import BadInput, Problem
from vmsim.quantities import duration_s
from vmsim.scenario import GROUP, json_schema
from vmsim.shell import FAILED, exit_codes, scenario_path, trace_folder
from vmsim.trace import read_header
from vmsim.whatif import report_cli, sweep_cli, whatif_cli

app = typer.Typer(
    name="vmsim",
    help="Run the VM Operator VirtualMachine specification: simulate it, drive vSphere with it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
vcsim_app = typer.Typer(help="Start, stop and look at a vcsim process.", no_args_is_help=True)
app.add_typer(vcsim_app, name="vcsim")
app.add_typer(conform_cli.app, name="conform")
app.command()(serve_cli.serve)
app.add_typer(serve_cli.node_app, name="node")
app.command()(whatif_cli.whatif)
app.command()(report_cli.report)
app.add_typer(sweep_cli.app, name="sweep")

BackendName = StrEnum("BackendName", {name: name for name in BACKENDS})  # type: ignore[misc]
MEMORY = BackendName("memory")


class EditionName(StrEnum):
    """The editions of the specification."""

    SEED = "2023-03"
    CURRENT = "2026-08"


class Output(StrEnum):
    """How `get` prints."""

    TABLE = "table"
    WIDE = "wide"
    YAML = "yaml"
    JSON = "json"


def seconds(text: str | None) -> float | None:
    """A duration option in seconds."""
    if text is None:
        return None
    try:
        return duration_s(text)
    except ValueError as error:
        raise BadInput([Problem(str(error), field=text)]) from None


Scenarios = Annotated[list[str], typer.Argument(help="Scenario files, or names of shipped ones.")]
From = Annotated[
    Path | None, typer.Option("--from", help="The trace; by default that of the last run.")
]
At = Annotated[str | None, typer.Option("--at", help="Simulated time, as in 1h30m.")]


@app.command()
def run(  # noqa: PLR0913 - one parameter per option of the command line
    scenarios: Scenarios,
    backend: Annotated[BackendName, typer.Option(help="Where to run.")] = MEMORY,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the scenario's.")] = None,
    edition: Annotated[EditionName | None, typer.Option(help="Instead of the scenario's.")] = None,
    until: Annotated[str | None, typer.Option(help="Stop at this simulated time.")] = None,
    speed: Annotated[
        float, typer.Option(min=0.0, help="Simulated seconds per real second; 0: at once.")
    ] = 0.0,
    trace: Annotated[Path | None, typer.Option(help="Write the trace here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Run scenarios and judge what they expect."""
    with exit_codes():
        overrides = Overrides(seed, edition.value if edition else None)
        plans = load_all([scenario_path(name) for name in scenarios], overrides)
        if trace is not None and len(plans) > 1:
            raise BadInput([Problem("--trace names one file, but there are several scenarios")])
        until_s = seconds(until)
        results = []
        for plan in plans:
            file = trace or trace_folder() / f"{plan.scenario.metadata.name}.jsonl"
            how = running.How(backend.value, until_s, speed, file)
            results.append(_run_one(plan, how, Console(stderr=as_json, highlight=False)))
        if as_json:
            print(json.dumps([result.as_json() for result in results], indent=2))
        codes = [result.exit_code for result in results]
        raise typer.Exit(FAILED if FAILED in codes else max(codes, default=0))


def load_all(paths: list[Path], overrides: Overrides) -> list[Plan]:
    """Every plan, or the problems of every file."""
    plans: list[Plan] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            plans.append(load(path, overrides))
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)
    return plans


def _run_one(plan: Plan, how: running.How, console: Console) -> running.Result:
    """Run one scenario with its story on the console; tell where the trace is, come what may."""
    spec = plan.scenario.spec
    story = Story(console)
    console.print(
        f"[bold]{plan.scenario.metadata.name}[/]  backend {how.backend}, edition {spec.edition}, "
        f"seed {spec.seed}, {len(plan.hosts)} hosts, {clock(spec.duration)}"
    )
    for warning in plan.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    try:
        with progress(console) as bar:
            task = bar.add_task("simulated time", total=spec.duration, clock="0s")

            def passed(now_s: float) -> None:
                bar.update(task, completed=now_s, clock=clock(now_s))

            result = running.run(plan, how, opened, story.see, passed)
    except BaseException:
        story.flush()
        if how.trace is not None and story.has_begun:
            note = f"the trace so far is {how.trace}; the same command runs it again from the start"
            print(note, file=sys.stderr)
        raise
    story.flush()
    print_result(console, result.picture, result.verdicts, result.differences)
    console.print("\n[bold]Assumptions[/]")
    for line in result.assumptions:
        console.print(f"  {line}", style="dim", soft_wrap=True)
    versions = ", ".join(f"{name} {text}" for name, text in result.versions.items())
    console.print(f"\n[bold]Digest[/]  {result.digest} ({result.records} records)", soft_wrap=True)
    console.print(f"[bold]Trace[/]   {how.trace}", soft_wrap=True)
    console.print(f"[bold]With[/]    {versions}", soft_wrap=True)
    return result


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="Scenario or manifest files; - is stdin.")],
    edition: Annotated[
        EditionName, typer.Option(help="Edition of manifests; a scenario names its own.")
    ] = EditionName.CURRENT,
) -> None:
    """Check files without running anything."""
    with exit_codes():
        problems: list[Problem] = []
        for path in files:
            try:
                print(f"{path}: {_validated(path, edition.value)}")
            except BadInput as error:
                problems += error.problems
        if problems:
            raise BadInput(problems)


def _validated(path: Path, edition: str) -> str:
    found = documents.read([path])
    if not found:
        raise BadInput([Problem("the file is empty", file=str(path))])
    first = found[0].value
    if isinstance(first, dict) and str(first.get("apiVersion")).startswith(GROUP):
        plan = load(path)
        for warning in plan.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        return f"a scenario with {len(plan.hosts)} hosts and {len(plan.manifests)} manifests"
    return f"{len(parse(found, edition))} manifests of edition {edition}"


@app.command()
def get(  # noqa: PLR0913 - one parameter per option of the command line
    kind: Annotated[str, typer.Argument(help="vm, vmimage, clustervmimage, vmclass, node, ...")],
    name: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
    namespace: Annotated[str | None, typer.Option("-n", "--namespace")] = None,
    every: Annotated[bool, typer.Option("-A", "--all-namespaces")] = False,
    output: Annotated[Output, typer.Option("-o", "--output")] = Output.TABLE,
    trace: From = None,
    at: At = None,
) -> None:
    """Show objects as kubectl would, at the end of a run or at any time of it."""
    with exit_codes():
        path = _last_trace() if trace is None else trace
        header = read_header(path)
        edition = views.edition_of(header)
        found = resolve(kind, edition.name)
        picture = views.picture_at(path, seconds(at))
        scope = None if every else namespace or header["scenario"]["spec"]["namespace"]
        raws = views.objects(picture, found, scope, edition)
        if name is not None:
            raws = [raw for raw in raws if raw["metadata"].get("name") == name]
            if not raws:
                raise views.not_found(found.plural, name)
        if output in (Output.YAML, Output.JSON):
            _print_objects(raws, output, alone=name is not None)
        elif not raws:
            where = "" if scope is None or not found.namespaced else f" in {scope} namespace"
            print(f"No resources found{where}.", file=sys.stderr)
        else:
            wide = output is Output.WIDE
            rows = views.table(
                raws, found, picture.now_s, wide=wide, with_namespace=every and found.namespaced
            )
            print("\n".join(views.aligned(rows)))


def _print_objects(raws: list[dict[str, Any]], output: Output, *, alone: bool) -> None:
    value: Any = {"apiVersion": "v1", "kind": "List", "items": raws}
    if alone:
        value = raws[0]
    if output is Output.JSON:
        print(json.dumps(value, indent=4))
    else:
        print(yaml.safe_dump(value, sort_keys=False), end="")


@app.command()
def explain(
    vm: Annotated[str, typer.Argument(help="namespace/name, or the name alone.")],
    trace: From = None,
    at: At = None,
) -> None:
    """Say why a VM is where it is, or why it waits."""
    with exit_codes():
        path = _last_trace() if trace is None else trace
        header = read_header(path)
        key = vm if "/" in vm else f"{header['scenario']['spec']['namespace']}/{vm}"
        for line in views.explain(views.picture_at(path, seconds(at)), key):
            print(line)


@app.command()
def replay(trace: Annotated[Path, typer.Argument(help="A trace that `vmsim run` wrote.")]) -> None:
    """Run a trace's scenario again: the same digest, or the first record that differs."""
    with exit_codes():
        outcome = replaying.replay(trace, opened)
        print(outcome.text)
        raise typer.Exit(0 if outcome.same else FAILED)


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    print(json.dumps(json_schema(), indent=2))


@vcsim_app.command("start")
def vcsim_start(
    scenario: Annotated[str | None, typer.Argument(help="Whose hosts it shall have.")] = None,
) -> None:
    """Start a vcsim that outlives this command, and print how to reach it."""
    with exit_codes():
        hosts = [] if scenario is None else running.all_hosts(load(scenario_path(scenario)))
        _print_vcsim(backends.start_vcsim(hosts))


@vcsim_app.command("stop")
def vcsim_stop() -> None:
    """Stop the vcsim that `vmsim vcsim start` started."""
    with exit_codes():
        print("stopped" if backends.stop_vcsim() else "no vcsim runs")


@vcsim_app.command("status")
def vcsim_status() -> None:
    """Print how to reach the vcsim that `vmsim vcsim start` started; exit code 1 if none runs."""
    with exit_codes():
        state = backends.vcsim_status()
        if not state:
            print("no vcsim runs")
            raise typer.Exit(FAILED)
        _print_vcsim(state)


def _print_vcsim(state: dict[str, str]) -> None:
    print(f"export GOVC_URL={state['url']} GOVC_INSECURE=1")
    print(f"# vcsim {state['version']}, process {state['pid']}")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"vmsim {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Run the VM Operator VirtualMachine specification."""


def _last_trace() -> Path:
    traces = sorted(trace_folder().glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    if not traces:
        raise BadInput([Problem("there is no trace yet", hint="`vmsim run SCENARIO` writes one")])
    return traces[-1]


def main() -> None:
    """The entry point of the `vmsim` command."""
    app()
