"""`vmsim conform`: run the suite, and check, compare or replay what it left.

Exit codes: 0 conformant, 1 not, 2 usage, 3 inconclusive (unknown, flaky, not supported or nothing
ran), 4 a target that cannot be reached or was lost, 5 a defect of vmsim, 130 interrupted.
"""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vmsim.problems import BadInput, Problem
from vmsim.shell import exit_codes

app = typer.Typer()

Targets = Annotated[
    list[str] | None,
    typer.Option("--target", help="memory, vcsim, vsphere, kubernetes, or one that is installed."),
]
Only = Annotated[list[str] | None, typer.Option("--only", help="A clause or a case, as S-12.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Cases with this tag.")]
Level = Annotated[str, typer.Option(help="core, extended or provisional.")]
EditionOption = Annotated[str, typer.Option(help="2023-03 or 2026-08; by default both.")]
Out = Annotated[Path, typer.Option("-o", "--output", help="The folder of the report.")]
Seed = Annotated[int, typer.Option(min=0, help="Of what is left to chance.")]
Attempts = Annotated[int, typer.Option(min=1, max=10, help="Runs of a case that fails.")]
Jobs = Annotated[int, typer.Option("-n", "--jobs", min=1, help="Cases at a time.")]
Kubeconfig = Annotated[
    Path | None, typer.Option(help="For the target kubernetes; by default as kubectl finds it.")
]
Contexts = Annotated[
    list[str] | None, typer.Option("--context", help="Of the kubeconfig; one per edition.")
]
VSphere = Annotated[
    str, typer.Option(help="Of the hosts of the target kubernetes; by default GOVC_URL.")
]
Clean = Annotated[bool, typer.Option("--clean", help="Only remove what a killed run left.")]
Mutants = Annotated[bool, typer.Option("--mutants", help="Judge the suite by faulty copies.")]
DEFAULT_OUT = Path("conformance-report")


@app.callback(invoke_without_command=True)
def conform(  # noqa: PLR0913 - one parameter per option of the command line
    context: typer.Context,
    target: Targets = None,
    only: Only = None,
    tag: Tags = None,
    level: Level = "",
    edition: EditionOption = "",
    seed: Seed = 1,
    attempts: Attempts = 1,
    jobs: Jobs = 1,
    output: Out = DEFAULT_OUT,
    mutants: Mutants = False,
    kubeconfig: Kubeconfig = None,
    contexts: Contexts = None,
    vsphere: VSphere = "",
    clean: Clean = False,
) -> None:
    """Judge an implementation by the clauses of the specification, and write a report.

    Exit codes: 0 conformant, 1 not, 2 usage, 3 inconclusive, 4 unreachable, 5 a defect of vmsim,
    130 interrupted.
    """
    if context.invoked_subcommand is not None:
        return
    with exit_codes():
        _need_pytest_bdd()
        if mutants:
            raise typer.Exit(_run_mutants(jobs))
        from vmsim.conformance.report import Options

        if kubeconfig is not None:
            os.environ["KUBECONFIG"] = str(kubeconfig)
        if contexts:
            os.environ["VMSIM_CONTEXT"] = ",".join(contexts)
        if vsphere:
            os.environ["GOVC_URL"] = vsphere
        names = list(dict.fromkeys(target or ["memory"]))
        if clean:
            return _clean(names)
        options = Options(names, only or [], tag or [], level, edition, seed, attempts)
        raise typer.Exit(_run(options, output, jobs))


def _run(options: Any, folder: Path, jobs: int) -> int:
    from vmsim.conformance import targets
    from vmsim.conformance.session import Session

    chosen = [targets.target(name) for name in options.targets]
    session = Session(options, folder, _tell, jobs, print)
    report = session.run(chosen)
    for one in report.targets:
        from vmsim.conformance.tables import counted

        print(f"{one.name}: {one.result}; clauses: {counted(one)}")
        if one.stopped:
            print(f"  {one.stopped}", file=sys.stderr)
    if not report.complete:
        print(f"the report is incomplete: {report.incomplete}", file=sys.stderr)
    print(f"{report.result} (exit code {report.exit_code}), {report.run.seconds} s")
    print(f"report: {folder / 'report.html'}; `vmsim conform verify {folder}` checks it")
    return report.exit_code


def _clean(names: list[str]) -> None:
    """Take away what runs left that were killed, and say what it was."""
    from vmsim.conformance import targets

    for about in map(targets.target, names):
        try:
            about.check()
            found = about.clean()
        finally:
            about.end()
        print("\n".join(f"{about.name}: removed {what}" for what in found or ["nothing"]))


def _tell(target: str, case: Any) -> None:
    """What a case that was run and did not pass says, and how to run it alone."""
    if case.verdict in ("fail", "flaky", "unknown"):
        print(f"{target}: {case.verdict}: {', '.join(case.clauses)}: {case.reason}")
        print(f"  {case.reproduce}")


@app.command()
def verify(folder: Annotated[Path, typer.Argument(help="The folder of a report.")]) -> None:
    """Compute every verdict of a report again from its evidence; 1 when anything differs."""
    with exit_codes():
        _need_pytest_bdd()
        from vmsim.conformance.verify import verify as check

        problems = check(folder)
        for problem in problems:
            print(problem)
        print("the report does not hold" if problems else "every verdict follows from the evidence")
        raise typer.Exit(1 if problems else 0)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="A folder of a report, or its report.json.")],
    after: Annotated[Path, typer.Argument(help="Another.")],
) -> None:
    """Which verdicts differ between two reports; 1 when any does."""
    with exit_codes():
        _need_pytest_bdd()
        from vmsim.conformance.comparing import differences, load

        found = differences(load(before), load(after))
        print("\n".join(found) or "no verdict differs")
        raise typer.Exit(1 if found else 0)


@app.command()
def replay(
    case: Annotated[str, typer.Argument(help="The id of a case, or a file of evidence.")],
    target: Annotated[str, typer.Option(help="Where to run it.")] = "memory",
    seed: Seed = 1,
) -> None:
    """Run one case again; one that fails is cut down to the steps that it needs to fail."""
    with exit_codes():
        _need_pytest_bdd()
        from vmsim.conformance.replaying import replay as again

        code, lines = again(case, target, seed)
        print("\n".join(lines))
        raise typer.Exit(code)


@app.command("list")
def list_cases(level: Level = "", edition: EditionOption = "", only: Only = None) -> None:
    """Print the cases that would run, with their clauses; nothing is run, so nothing is judged."""
    with exit_codes():
        _need_pytest_bdd()
        from vmsim.conformance.suite import Selection, selected

        for case in selected(Selection(tuple(only or ()), level, edition)):
            print(f"{case.id}  {', '.join(case.clauses)}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a report."""
    from vmsim.conformance.report import schema as find

    print(json.dumps(find(), indent=2))


def _run_mutants(jobs: int) -> int:
    """The suite against faulty copies of our own implementation, each in a process of its own."""
    given = ["--jobs", str(jobs)] if jobs > 1 else []
    return subprocess.call([sys.executable, "-m", "features.mutants", *given])


def _need_pytest_bdd() -> None:
    try:
        importlib.import_module("pytest_bdd")
    except ImportError:
        hint = "pip install 'vmsim[conform]'"
        raise BadInput([Problem("vmsim conform needs pytest-bdd", hint=hint)]) from None
