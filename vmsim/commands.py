"""What do the commands of the command line do once their options are read?

Everything heavy is imported here, and this module is imported when a command runs: `vmsim --help`
needs none of it.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rich.console import Console

from backends import opened
from vmsim import documents, running, views
from vmsim.console import Story, print_result, progress
from vmsim.expectations import clock
from vmsim.fold import Picture
from vmsim.kinds import Kind, resolve
from vmsim.loading import Overrides, Plan, load
from vmsim.manifests import parse
from vmsim.problems import BadInput, Problem
from vmsim.scenario import GROUP
from vmsim.shell import scenario_path, seconds, trace_folder
from vmsim.trace import read_header


def load_all(paths: Sequence[Path], overrides: Overrides) -> list[Plan]:
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


def run_all(
    names: Sequence[str], overrides: Overrides, how: running.How, *, as_json: bool
) -> list[int]:
    """Run each scenario on the console; their exit codes.

    `how.trace` is where the only one writes; without it each has its own file.
    """
    plans = load_all([scenario_path(name) for name in names], overrides)
    if how.trace is not None and len(plans) > 1:
        raise BadInput([Problem("--trace names one file, but there are several scenarios")])
    results = []
    for plan in plans:
        file = how.trace or trace_folder() / f"{plan.scenario.metadata.name}.jsonl"
        console = Console(stderr=as_json, highlight=False)
        results.append(_run_one(plan, replace(how, trace=file), console))
    if as_json:
        print(json.dumps([result.as_json() for result in results], indent=2))
    return [result.exit_code for result in results]


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


def validated(path: Path, edition: str) -> str:
    """What the file is, in a few words; BadInput when it is nothing that we can read."""
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


class Looked(NamedTuple):
    """A trace, looked at: its header, and the picture at a time."""

    header: dict[str, Any]
    picture: Picture

    @property
    def namespace(self) -> str:
        """The namespace of the scenario."""
        return str(self.header["scenario"]["spec"]["namespace"])


def look(trace: Path | None, at: str | None) -> Looked:
    """What `trace` (None: the last run's) holds at the time `at` (None: at its end)."""
    path = _last_trace() if trace is None else trace
    return Looked(read_header(path), views.picture_at(path, seconds(at)))


def _last_trace() -> Path:
    traces = sorted(trace_folder().glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    if not traces:
        raise BadInput([Problem("there is no trace yet", hint="`vmsim run SCENARIO` writes one")])
    return traces[-1]


class Wanted(NamedTuple):
    """What `get` is to show: the kind, one name (None: all), where ('': the scenario's namespace,
    None: everywhere), and how (table, wide, yaml or json)."""

    kind: str
    name: str | None
    namespace: str | None
    output: str


def get(looked: Looked, wanted: Wanted) -> None:
    """Print objects as kubectl would."""
    edition = views.edition_of(looked.header)
    kind = resolve(wanted.kind, edition.name)
    scope = looked.namespace if wanted.namespace == "" else wanted.namespace
    raws = views.objects(looked.picture, kind, scope, edition)
    if wanted.name is not None:
        raws = [raw for raw in raws if raw["metadata"].get("name") == wanted.name]
        if not raws:
            raise views.not_found(kind.plural, wanted.name)
    if wanted.output in ("yaml", "json"):
        _print_objects(raws, wanted.output, alone=wanted.name is not None)
    elif not raws:
        where = "" if scope is None or not kind.namespaced else f" in {scope} namespace"
        print(f"No resources found{where}.", file=sys.stderr)
    else:
        _print_table(raws, kind, looked, wanted)


def _print_table(raws: list[dict[str, Any]], kind: Kind, looked: Looked, wanted: Wanted) -> None:
    everywhere = wanted.namespace is None and kind.namespaced
    wide = wanted.output == "wide"
    rows = views.table(raws, kind, looked.picture.now_s, wide=wide, with_namespace=everywhere)
    print("\n".join(views.aligned(rows)))


def _print_objects(raws: list[dict[str, Any]], output: str, *, alone: bool) -> None:
    value: Any = {"apiVersion": "v1", "kind": "List", "items": raws}
    if alone:
        value = raws[0]
    if output == "json":
        print(json.dumps(value, indent=4))
    else:
        print(yaml.safe_dump(value, sort_keys=False), end="")


def explain(looked: Looked, vm: str) -> None:
    """Print why a VM is where it is, or why it waits."""
    key = vm if "/" in vm else f"{looked.namespace}/{vm}"
    for line in views.explain(looked.picture, key):
        print(line)
