"""Targets and reports for the tests of the conformance suite."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from backends import opened
from features.target import Target
from vmsim.conformance.report import Options, Report
from vmsim.conformance.session import Session
from vmsim.conformance.targets import Descriptor

ONLY = ("S-15", "S-22", "P-11")


class Lenient(Target):
    """An implementation that never refuses a request for its fields, as the user sees it."""

    def _note(self, answer: object) -> None:
        pass


def descriptor(kind: Callable[..., Any] = Target, **changes: Any) -> Descriptor:
    """A target in memory; `kind` makes its Supervisor."""

    @contextmanager
    def supervisor(seed: int) -> Iterator[Any]:
        with ExitStack() as stack:
            yield kind(partial(opened, "memory"), stack, seed=seed)

    values: Mapping[str, Any] = {"name": "memory", "implementation": {"project": "test"}}
    return Descriptor(**{**values, "open": supervisor, **changes})


def options(*only: str, **changes: Any) -> Options:
    """Options for these clauses on the target in memory."""
    values = {"targets": ["memory"], "only": list(only), "tags": [], "level": "", "edition": ""}
    return Options(**{**values, "seed": 1, "attempts": 1, **changes})


def report(
    folder: Path, about: Descriptor | None = None, wanted: Options | None = None, **session: Any
) -> Report:
    """The report of a run into the folder."""
    chosen = options(*ONLY) if wanted is None else wanted
    return Session(chosen, folder, **session).run([about or descriptor()])
