"""Write the generated parts of docs/: `make render` rewrites them, a test refuses a difference.

docs/scenarios.md comes from the types that parse a scenario; docs/run.svg from a run.
"""

import sys
from io import StringIO
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, PlainSerializer
from rich.console import Console

from backends import opened
from vmsim import (
    chance_schema,
    drs_schema,
    ha_schema,
    pools_schema,
    scenario,
    upgrade_schema,
    vmotion_schema,
)
from vmsim.console import Story, print_result
from vmsim.loading import load
from vmsim.running import How, run

HERE = Path(__file__).parent
MODULES = (
    scenario, vmotion_schema, ha_schema, drs_schema, pools_schema, upgrade_schema, chance_schema,
)  # fmt: skip
PARTS = (
    "Spec", "Cluster", "Host", "Policies", "Retry", "Overcommit", "DurationsModel", "Entry",
    "DrsBlock", "DrsRule", "ResourcePool", "DrsDemand",
    "LoadBalancing", "RollingUpgrade",
    "Vmotion", "VmotionNetwork", "VmotionPreCopy", "VmotionLimits", "VmotionDefaults", "VmotionVm",
    "After", "Maintenance", "FailHost", "NewHost", "Reference", "Patch",
    "HighAvailability", "HaDetection", "HaRestart",
    "HaAdmissionControl", "HaSlot", "HaPercent", "Workload", "Share", "Arrivals",
    "Distribution", "Failures", "HostFailures", "Repeat", "Shock", "MaintenanceCalendar", "Guests",
    "Fault", "Expect",
)  # fmt: skip
INTRO = """# The scenario file

This page is written by `make render` from the types that parse a scenario. `vmsim schema` prints
the same as JSON Schema; put `# yaml-language-server: $schema=FILE` on the first line of a scenario
to have an editor complete and check it.

A scenario has `apiVersion: vmsim.dev/v1alpha1`, `kind: Scenario`, `metadata` (`name`,
`description`) and `spec`. Durations carry a unit (`90s`, `5m30s`, `2h`, `3d`), memory too
(`256Gi`). Unknown fields are errors.
"""


def scenario_page() -> str:
    """docs/scenarios.md."""
    lines = [INTRO]
    for name in PARTS:
        model: type[BaseModel] = next(vars(each)[name] for each in MODULES if name in vars(each))
        title = "Durations" if name == "DurationsModel" else name
        lines += [f"## {title}", "", _one_line(model.__doc__), "", "| field | default | meaning |"]
        lines += ["|---|---|---|"]
        for key, info in model.model_fields.items():
            alias = info.alias or key
            lines.append(f"| `{alias}` | {_default(info)} | {_meaning(info)} |")
        lines.append("")
    return "\n".join(lines)


def picture() -> str:
    """docs/run.svg: what `make run` shows."""
    console = Console(record=True, width=108, highlight=False, file=StringIO(), force_terminal=True)
    plan = load(HERE.parent / "scenarios" / "gpu-stranded.yaml")
    story = Story(console)
    console.print("$ vmsim run gpu-stranded")
    result = run(plan, How(), opened, story.see)
    story.flush()
    print_result(console, result.picture, result.verdicts, result.differences)
    return console.export_svg(title="vmsim run gpu-stranded", unique_id="run") + "\n"


PAGES = {"scenarios.md": scenario_page, "run.svg": picture}


def _default(info: Any) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if isinstance(value, BaseModel) or value in (None, "", [], {}):
        return ""
    if any(isinstance(item, PlainSerializer) for item in info.metadata):
        return f"`{value:g}s`" if isinstance(value, float) else f"`{value}Mi`"
    return f"`{getattr(value, 'value', value)}`"


def _meaning(info: Any) -> str:
    words = [getattr(item, "value", item) for item in get_args(info.annotation)]
    choices = [str(word) for word in words if isinstance(word, str)]
    text = _one_line(info.description)
    return " ".join(part for part in (text, f"({', '.join(choices)})" if choices else "") if part)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def main() -> int:
    """Write the pages, or with `--check` tell which are out of date."""
    stale = []
    for name, page in PAGES.items():
        path = HERE / name
        text = page()
        if "--check" in sys.argv[1:]:
            stale += [name] if not path.exists() or path.read_text() != text else []
        else:
            path.write_text(text)
    if stale:
        print(f"out of date: {', '.join(stale)}; run `make render`")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
