"""When is a run in its steady state, so that its empty start no longer counts?

A run starts empty; how it is in the long run shows later. MSER-5 looks at what comes after each
possible cut and takes the cut after which the mean is surest: batches of five, and the least
standard error squared over the rest, in the first half of the run. The levels looked at are the
VMs that run and the VMs that wait, averaged over pilot runs; the later cut counts for all cells.

Source: K. P. White, "An effective truncation heuristic for bias reduction in simulation output",
Simulation 69 (1997) 323-334; batches of five: White, Cobb and Spratt, "A comparison of five
steady-state truncation heuristics for simulation", Winter Simulation Conference 2000.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from vmsim.loading import Plan
from vmsim.problems import BadInput, Problem
from vmsim.running import Opened
from vmsim.whatif.design import Cell, Design
from vmsim.whatif.replication import started
from vmsim.whatif.studies import WARM_UP
from vmsim.whatif.working import plan_of

AUTO = "auto"
PILOTS = 10
BINS = 1000
BATCH = 5
Series = NDArray[np.float64]


def mser5(values: Sequence[float] | Series) -> int:
    """How many values at the beginning do not belong to the steady state, a multiple of five.

    Half of them or more means that there is none to be seen.
    """
    count = len(values) // BATCH
    batches = np.asarray(values[: count * BATCH], dtype=float).reshape(count, BATCH).mean(axis=1)
    rest = np.arange(count, 0, -1)
    sums, squares = (np.cumsum(part[::-1])[::-1] for part in (batches, batches**2))
    spread = np.maximum(squares - sums**2 / rest, 0.0)
    error = spread / rest**2
    return int(np.argmin(error[: count // 2 + 1])) * BATCH


def levels(made: Plan, opened: Opened) -> Series:
    """VMs that run and VMs that wait, averaged over each of BINS parts of a run, (2, BINS)."""
    width_s = made.scenario.spec.duration / BINS
    sums = np.zeros((2, BINS + 1))
    with started(made, opened) as (system, ledger):
        system.begin()
        for number in range(1, BINS + 1):
            system.advance(number * width_s)
            ledger.pass_to(number * width_s)
            sums[:, number] = ledger.capacity.sum_of("running"), ledger.waiting_vm_s
    found: Series = np.diff(sums, axis=1) / width_s
    return found


def settled(design: Design, opened: Opened) -> Design:
    """The design with each warm-up that is `auto` found by pilot runs of the first such cell."""
    chosen = [row for row, cell in enumerate(design.cells) if cell.settings.get(WARM_UP) == AUTO]
    if not chosen:
        return design
    plans = [plan_of(design, chosen[0], number) for number in range(PILOTS)]
    runs = np.mean([levels(made, opened) for made in plans], axis=0)
    cut = max(mser5(level) for level in runs)
    width_s = plans[0].scenario.spec.duration / BINS
    if 2 * cut >= BINS:
        hint = "let it run longer, or give the warm-up as a duration"
        message = "MSER-5 sees no steady state in the first half of the run"
        raise BadInput([Problem(message, field=WARM_UP, hint=hint)])
    found = {WARM_UP: f"{cut * width_s:.0f}s"}
    cells = [
        Cell({**cell.settings, **found}) if row in set(chosen) else cell
        for row, cell in enumerate(design.cells)
    ]
    return msgspec.structs.replace(design, cells=cells)


def said(design: Design, given: Sequence[str]) -> list[str]:
    """What does not count, as assumptions; `given` are the user's settings."""
    cuts = sorted({str(cell.settings.get(WARM_UP, "")) for cell in design.cells} - {""})
    how = f", found by MSER-5 in {PILOTS} runs" if f"{WARM_UP}={AUTO}" in given else ""
    return [f"the first {cut} of a run do not count (warm-up{how})" for cut in cuts]
