"""What exactly has to be run for an answer?

A design is the product, the engine a detail: the scenario with everything inline, the cells (what
is set in it), the number of replications, and the root seed. Its id is the SHA-256 of all that and
of the version of vmsim, so equal ids mean equal results. It falls into shards of a few seconds of
work; a shard is named by its content as well, so designs that share work share its results.
"""

import functools
import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

import vmsim
from vmsim.problems import BadInput, Problem

FORMAT = 1
RECORDS_PER_SHARD = 100_000
REPLICATIONS_PER_SHARD = 50
MAX_CELLS = 100_000


class Cell(msgspec.Struct, frozen=True):
    """What is set in the scenario, and which options the study gets."""

    settings: dict[str, Any]

    def __str__(self) -> str:
        return ", ".join(f"{path}={shown(value)}" for path, value in self.settings.items())


class Shard(msgspec.Struct, frozen=True):
    """Replications `first` to before `stop` of cells `begin` to before `end`."""

    key: str
    begin: int
    end: int
    first: int
    stop: int

    @property
    def items(self) -> Iterator[tuple[int, int]]:
        """Pairs of cell and replication, in the order of the results."""
        return itertools.product(range(self.begin, self.end), range(self.first, self.stop))


class Design(msgspec.Struct, frozen=True):
    """See the module docstring. `study` is '' when nothing arranges the scenario."""

    scenario: dict[str, Any]
    cells: list[Cell]
    replications: int
    seed: int = 1
    study: str = ""
    per_shard: int = 1
    suite: str = ""
    format: int = FORMAT

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.scenario["metadata"]["name"])

    @property
    def id(self) -> str:
        """The design's content in 64 hexadecimal digits."""
        return digest(self)

    def with_replications(self, count: int) -> "Design":
        """The same with another number of replications; whole shards are kept."""
        return msgspec.structs.replace(self, replications=count)

    def shards(self) -> list[Shard]:
        """All work, first replications first, so that what is there early covers every cell."""
        keys = self.cell_keys()
        found = []
        for first in range(0, self.replications, self.per_shard):
            stop = min(first + self.per_shard, self.replications)
            cells = max(1, self.per_shard // (stop - first))
            for begin in range(0, len(keys), cells):
                end = min(begin + cells, len(keys))
                found.append(Shard(digest([keys[begin:end], first, stop]), begin, end, first, stop))
        return found

    def cell_keys(self) -> list[str]:
        """The content of each cell: what its replications depend on."""
        base = digest([self.format, self.suite, self.scenario, self.study, self.seed])
        return [digest([base, cell.settings]) for cell in self.cells]


def digest(value: Any) -> str:
    """SHA-256 of a value's JSON with sorted keys."""
    text = msgspec.json.encode(value, order="sorted")
    return hashlib.sha256(text).hexdigest()


@functools.cache
def suite() -> str:
    """The version of vmsim with a digest of its sources: other code is another design."""
    root = Path(vmsim.__file__).parent
    folders = (root, root.parent / "backends")
    paths = sorted(path for folder in folders for path in folder.rglob("*.py"))
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return f"{vmsim.__version__}+{found.hexdigest()[:12]}"


def per_shard(records: int) -> int:
    """How many replications with so many records are a shard of a few seconds."""
    return max(1, min(REPLICATIONS_PER_SHARD, RECORDS_PER_SHARD // max(records, 1)))


def grid(factors: Mapping[str, Sequence[Any]]) -> list[Cell]:
    """Every combination of the factors' values; one cell without factors."""
    count = math.prod(len(values) for values in factors.values())
    if count > MAX_CELLS:
        message = f"{count} cells are more than {MAX_CELLS}"
        raise BadInput([Problem(message, hint="vary less, or sample with lhs or sobol")])
    rows = itertools.product(*factors.values())
    return [Cell(dict(zip(factors, row, strict=True))) for row in rows]


def sampled(
    ranges: Mapping[str, tuple[float, float, str]], points: int, how: str, seed: int
) -> list[Cell]:
    """`points` cells from a Latin hypercube or Sobol design over (low, high, unit) ranges."""
    from scipy.stats import qmc

    chance = {"lhs": qmc.LatinHypercube, "sobol": qmc.Sobol}[how](len(ranges), rng=seed)
    lows = [low for low, _, _ in ranges.values()]
    highs = [high for _, high, _ in ranges.values()]
    rows = qmc.scale(chance.random(points), lows, highs)
    return [
        Cell(
            {path: _with_unit(value, ranges[path]) for path, value in zip(ranges, row, strict=True)}
        )
        for row in rows.tolist()
    ]


def _with_unit(value: float, given: tuple[float, float, str]) -> Any:
    low, high, unit = given
    whole = float(low).is_integer() and float(high).is_integer()
    number = round(value) if whole and (high - low >= 1) else round(value, 6)
    return f"{number}{unit}" if unit else number


def crossed(one: Sequence[Cell], other: Sequence[Cell]) -> list[Cell]:
    """Every cell of one list with every cell of the other."""
    if len(one) * len(other) > MAX_CELLS:
        raise BadInput([Problem(f"more than {MAX_CELLS} cells", hint="vary less")])
    return [Cell({**a.settings, **b.settings}) for a in one for b in other]


def write(design: Design, path: Path) -> None:
    """The design as a JSON file, with its id."""
    path.parent.mkdir(parents=True, exist_ok=True)
    value = {"id": design.id, **msgspec.to_builtins(design)}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def read(path: Path) -> Design:
    """The design of a file; BadInput if it is none, was changed, or is of another version."""
    try:
        raw = msgspec.json.decode(path.read_bytes())
        found = msgspec.convert(raw, Design)
    except OSError as error:
        hint = "name a folder of `vmsim sweep plan`; `vmsim whatif` has an option --report"
        reason = error.strerror or str(error)
        raise BadInput([Problem(reason, file=str(path), hint=hint)]) from None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        hint = "`vmsim sweep plan` writes one"
        raise BadInput([Problem(f"not a sweep plan: {error}", file=str(path), hint=hint)]) from None
    if raw.get("id") != found.id:
        raise BadInput([Problem("the plan was changed: its id is another", file=str(path))])
    if found.suite != suite():
        message = f"planned with vmsim {found.suite}, this is {suite()}"
        raise BadInput([Problem(message, file=str(path), hint="plan it anew")])
    return found


def shown(value: Any) -> str:
    """A value of a setting as text."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
