"""Is anything left to chance? If not, one replication says all, and its figure has no width.

Two things can draw: the study (it arranges other scenarios for other seeds), and the scenario
(distributions that are not constant, failures, faults with a probability, mixes).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from vmsim.problems import BadInput
from vmsim.whatif.design import Cell, Design
from vmsim.whatif.replication import seed_of
from vmsim.whatif.studies import arranged

SEEDS_TRIED = 3
CHECKED_CELLS = 50


def is_certain(design: Design) -> bool:
    """Whether every replication of a cell would be the same run; of many cells, some are tried."""
    step = max(1, len(design.cells) // CHECKED_CELLS)
    return all(_is_certain(design, cell) for cell in design.cells[::step])


def _is_certain(design: Design, cell: Cell) -> bool:
    try:
        made = [
            arranged(design.scenario, design.study, cell.settings, seed_of(design.seed, number))
            for number in range(SEEDS_TRIED)
        ]
    except BadInput:
        return True
    return all(one == made[0] for one in made[1:]) and not any(drawn(made[0]["spec"]))


def drawn(spec: Mapping[str, Any]) -> Iterator[bool]:
    """For each part of a scenario that may draw, whether it does."""
    failures = spec.get("failures") or {}
    yield bool(failures.get("hosts") or failures.get("shocks"))
    for item in spec.get("faults", []):
        yield item.get("probability", 1.0) < 1.0
    for item in spec.get("workload", []):
        yield len(item.get("mix", [])) > 1
        yield any(_is_law(item.get(name)) for name in ("every", "lifetime"))
    for item in spec.get("guests", []):
        yield any(_is_law(item.get(name)) for name in ("boot", "shutdown"))
    for item in spec.get("maintenanceCalendar", []):
        yield _is_law(item.get("work"))


def _is_law(value: Any) -> bool:
    """Whether it is a distribution that is not constant."""
    return isinstance(value, Mapping) and set(value) != {"constant"}
