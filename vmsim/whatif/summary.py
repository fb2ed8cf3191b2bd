"""What do the rows of a merged sweep say, cell by cell, however many there are?

Only the columns that are asked for are read from replications.parquet, and cells are added up as
columns: a million rows take a second or two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from vmsim.problems import BadInput, Problem
from vmsim.whatif import dataset
from vmsim.whatif.metrics import METRICS
from vmsim.whatif.statistics import CONFIDENCE, Figure, within

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """A metric in a cell: its mean, and the least and the most of a replication."""

    cell: int
    metric: str
    figure: Figure
    least: float
    most: float


def summary(folder: Path, metrics: Sequence[str]) -> Iterator[Line]:
    """A line for each cell and metric, in order; BadInput if there is no such file or metric."""
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        hint = f"one of {', '.join(METRICS)}"
        raise BadInput([Problem(f"there is no metric {unknown[0]}", field="--metric", hint=hint)])
    beside = {METRICS[name].unless for name in metrics} - {""}
    columns = dataset.columns(folder, ["cell", *dict.fromkeys([*metrics, *sorted(beside)])])
    order = np.argsort(columns["cell"], kind="stable")
    cells, starts = np.unique(columns["cell"][order], return_index=True)
    sums = {name: np.add.reduceat(columns[name][order] > 0.0, starts) for name in beside}
    found = {name: _found(columns[name][order], starts) for name in metrics}
    for row, cell in enumerate(cells.tolist()):
        for name in metrics:
            *ends, least, most = found[name][row]
            cut = int(sums[METRICS[name].unless][row]) if METRICS[name].unless else 0
            yield Line(int(cell), name, within(Figure(*ends), METRICS[name].most, cut), least, most)


def _found(values: Column, starts: NDArray[np.intp]) -> list[Any]:
    """Mean, ends, count, least and most of each group; values that are not there do not count."""
    there = ~np.isnan(values)
    count = np.add.reduceat(there.astype(float), starts)
    some = np.maximum(count, 1.0)
    mean = np.add.reduceat(np.where(there, values, 0.0), starts) / some
    groups = np.repeat(mean, np.diff([*starts, len(values)]))
    squares = np.add.reduceat(np.where(there, (values - groups) ** 2, 0.0), starts)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(squares / (count - 1) / count)
        half = special.stdtrit(count - 1, 0.5 + CONFIDENCE / 2) * error
    half = np.where(count > 1, half, np.inf)
    least = np.fmin.reduceat(values, starts)
    most = np.fmax.reduceat(values, starts)
    columns = (mean, mean - half, mean + half, count.astype(int), least, most)
    return list(zip(*(column.tolist() for column in columns), strict=True))
