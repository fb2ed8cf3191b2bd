"""`vmsim bounds`: the distance of a scenario's placement to the best there could be."""

import json
from typing import Annotated

import typer

from vmsim.problems import BadInput, Problem
from vmsim.shell import exit_codes, scenario_path, seconds


def bounds(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped one.")],
    at: Annotated[str | None, typer.Option("--at", help="When; by default at the end.")] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="Only this class; by default each one.")
    ] = None,
    limit: Annotated[str, typer.Option(help="How long to search for each proof.")] = "10s",
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """How many hosts do the VMs need at least, and how many more would fit?"""
    with exit_codes():
        from backends import opened
        from vmsim.loading import load
        from vmsim.whatif.bounds import hosts_needed, room_for, to_json, told
        from vmsim.whatif.scene import scene

        plan = load(scenario_path(scenario))
        duration_s = plan.scenario.spec.duration
        at_s, limit_s = seconds(at), seconds(limit) or 0.0
        if limit_s <= 0.0:
            raise BadInput([Problem("a limit above 0 is needed", field="--limit")])
        seen = scene(plan, duration_s if at_s is None else min(at_s, duration_s), opened)
        found = hosts_needed(seen, limit_s)
        rooms = (room_for(seen, name, limit_s) for name in classes or seen.class_names)
        if as_json:
            print(json.dumps(to_json(seen, found, rooms), indent=2))
            return
        for line in told(seen, found, rooms):
            print(line)
