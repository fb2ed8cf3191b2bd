"""The command line: run a scenario, look into its trace, check files.

Options are here; what the commands do is in `commands` and imported when one runs, so that
`vmsim --help` starts fast.

Exit codes: 0 done, 1 an expectation failed, 2 bad input or usage, 3 inconclusive, 4 the backend
cannot be reached, 5 a defect of vmsim, 130 interrupted.
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import backends
from backends import BACKENDS
from vmsim import __version__, serve_cli
from vmsim.conformance import cli as conform_cli
from vmsim.problems import BadInput, Problem
from vmsim.shell import FAILED, exit_codes, scenario_path, seconds, wait_for_interrupt
from vmsim.whatif import bounds_cli, report_cli, sweep_cli, whatif_cli

app = typer.Typer(
    name="vmsim",
    help="Run the VM Operator VirtualMachine specification: simulate it, drive vSphere with it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
vcsim_app = typer.Typer(help="Start, stop and look at a vcsim process.", no_args_is_help=True)
app.add_typer(vcsim_app, name="vcsim")

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
        from vmsim import commands, running
        from vmsim.loading import Overrides

        overrides = Overrides(seed, edition.value if edition else None)
        how = running.How(backend.value, seconds(until), speed, trace)
        codes = commands.run_all(scenarios, overrides, how, as_json=as_json)
        raise typer.Exit(FAILED if FAILED in codes else max(codes, default=0))


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="Scenario or manifest files; - is stdin.")],
    edition: Annotated[
        EditionName, typer.Option(help="Edition of manifests; a scenario names its own.")
    ] = EditionName.CURRENT,
) -> None:
    """Check files without running anything."""
    with exit_codes():
        from vmsim.commands import validated

        problems: list[Problem] = []
        for path in files:
            try:
                print(f"{path}: {validated(path, edition.value)}")
            except BadInput as error:
                problems += error.problems
        if problems:
            raise BadInput(problems)


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
        from vmsim import commands

        where = None if every else namespace or ""
        wanted = commands.Wanted(kind, name, where, output.value)
        commands.get(commands.look(trace, at), wanted)


@app.command()
def explain(
    vm: Annotated[str, typer.Argument(help="namespace/name, or the name alone.")],
    trace: From = None,
    at: At = None,
) -> None:
    """Say why a VM is where it is, or why it waits."""
    with exit_codes():
        from vmsim import commands

        commands.explain(commands.look(trace, at), vm)


@app.command()
def replay(trace: Annotated[Path, typer.Argument(help="A trace that `vmsim run` wrote.")]) -> None:
    """Run a trace's scenario again: the same digest, or the first record that differs."""
    with exit_codes():
        from vmsim import replaying

        outcome = replaying.replay(trace, backends.opened)
        print(outcome.text)
        raise typer.Exit(0 if outcome.same else FAILED)


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from vmsim.scenario import json_schema

    print(json.dumps(json_schema(), indent=2))


@vcsim_app.command("start")
def vcsim_start(
    scenario: Annotated[str | None, typer.Argument(help="Whose hosts it shall have.")] = None,
) -> None:
    """Start a vcsim that outlives this command, and print how to reach it."""
    with exit_codes():
        from vmsim import loading, running

        plan = None if scenario is None else loading.load(scenario_path(scenario))
        hosts = [] if plan is None else running.all_hosts(plan)
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


@vcsim_app.command("faults")
def vcsim_faults(
    shares: Annotated[list[str], typer.Argument(help="Of calls: lost=0.1 mute late twice lie.")],
    seed: Annotated[int, typer.Option(min=0, help="Of what goes wrong.")] = 1,
    late: Annotated[str, typer.Option(help="How late a late answer is.")] = "2s",
) -> None:
    """Stand before GOVC_URL, or before that vcsim, and let calls go wrong until Ctrl-C."""
    with exit_codes(), backends.faulty(shares, seed, seconds(late) or 0.0) as (url, struck):
        print(f"export GOVC_URL={url}", flush=True)
        wait_for_interrupt()
        print("\n".join(f"# {what}: {count}" for what, count in sorted(struck.items())))


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


app.command()(serve_cli.serve)
app.command()(serve_cli.uninstall)
app.add_typer(serve_cli.node_app, name="node")
app.add_typer(conform_cli.app, name="conform")
app.command()(whatif_cli.whatif)
app.command()(bounds_cli.bounds)
app.add_typer(sweep_cli.app, name="sweep")
app.command()(report_cli.report)


def main() -> None:
    """The entry point of the `vmsim` command."""
    app()
