"""What does an experiment file say, and which design is it?

    apiVersion: vmsim.dev/v1alpha1
    kind: Experiment
    metadata: {name: hosts-and-retries}
    spec:
      base: gpu-stranded.yaml
      factors: {policies.retry.longest: [60s, 1000s]}
      replications: 20

`factors` are combined as a grid; `ranges` are sampled by a Latin hypercube or a Sobol sequence and
crossed with it. A scenario file with settings from the command line is an experiment as well.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from vmsim import documents
from vmsim.loading import Plan
from vmsim.problems import BadInput, Problem
from vmsim.running import Opened
from vmsim.scenario import Metadata
from vmsim.schema import Strict
from vmsim.whatif.asking import check_paths, sized, with_cases
from vmsim.whatif.design import Cell, Design, crossed, grid, sampled, suite
from vmsim.whatif.studies import study_named


class Range(Strict):
    """From where to where a factor goes; with a `unit`, as in `{low: 60, high: 1000, unit: s}`."""

    low: float
    high: float
    unit: str = ""

    @model_validator(mode="after")
    def _upwards(self) -> "Range":
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self


class ExperimentSpec(Strict):
    """The body of an experiment."""

    base: str
    """The scenario: a file relative to this one, or the name of a shipped one."""
    study: str = ""
    """How the scenario is arranged; by default it runs as it is."""
    settings: dict[str, Any] = {}
    """Values by path (or option of the study), for every cell."""
    factors: dict[str, list[Any]] = {}
    """Values by path: every combination is a cell."""
    ranges: dict[str, Range] = {}
    """Ranges by path, sampled."""
    sampling: Literal["lhs", "sobol"] = "lhs"
    points: int = Field(default=16, ge=1, le=100_000)
    """How many points are sampled; for sobol a power of 2."""
    replications: int = Field(default=10, ge=1, le=1_000_000)
    """Runs of each cell."""
    seed: int = Field(default=1, ge=0)
    """What chance is drawn from, the sampling included."""

    @model_validator(mode="after")
    def _sobol_points(self) -> "ExperimentSpec":
        if self.ranges and self.sampling == "sobol" and self.points & (self.points - 1):
            raise ValueError("points of a sobol sequence must be a power of 2 to be balanced")
        return self


class Experiment(Strict):
    """An experiment file."""

    api_version: Literal["vmsim.dev/v1alpha1"]
    kind: Literal["Experiment"]
    metadata: Metadata
    spec: ExperimentSpec


def read(path: Path) -> ExperimentSpec | None:
    """The experiment in the file, None if it holds something else; BadInput if it is wrong."""
    found = documents.read([path])
    if len(found) != 1 or not isinstance(found[0].value, dict):
        return None
    document = found[0]
    if document.value.get("kind") != "Experiment":
        return None
    try:
        return Experiment.model_validate(document.value).spec
    except ValidationError as error:
        problems = []
        for item in error.errors():
            where = ".".join(str(step) for step in item["loc"])
            line = document.line_of(item["loc"])
            message = item["msg"].removeprefix("Value error, ")
            problems.append(Problem(message, where, document.file, line))
        raise BadInput(problems) from None


def designed(given: ExperimentSpec, load: Callable[[str], Plan], opened: Opened) -> Design:
    """The design of an experiment; BadInput for a path or a study that is not there."""
    study = study_named(given.study) if given.study else None
    scenario = load(given.base).resolved
    cells = crossed([Cell(dict(given.settings))], grid(given.factors))
    if given.ranges:
        ends = {path: (one.low, one.high, one.unit) for path, one in given.ranges.items()}
        cells = crossed(cells, sampled(ends, given.points, given.sampling, given.seed))
    check_paths(scenario, study, cells)
    if study is not None:
        cells = [case for cell in cells for case in with_cases(study, scenario, cell)]
    design = Design(scenario, cells, given.replications, given.seed, given.study, 1, suite())
    return sized(design, opened)


def json_schema() -> Mapping[str, Any]:
    """The JSON Schema of an experiment file."""
    return Experiment.model_json_schema(by_alias=True)
