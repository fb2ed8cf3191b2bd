"""`vmsim report`: one HTML file about runs, from their traces, and about sweeps."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmsim.problems import BadInput, Problem
from vmsim.shell import exit_codes

if TYPE_CHECKING:
    from vmsim.whatif.history import History
    from vmsim.whatif.variants import Variants


def report(
    sources: Annotated[
        list[Path], typer.Argument(help="Traces of `vmsim run`, or folders of `vmsim sweep`.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write.")] = Path(
        "report.html"
    ),
    export: Annotated[
        Path | None, typer.Option(help="A folder for figures (SVG, PNG) and tables (CSV, Parquet).")
    ] = None,
    metric: Annotated[str, typer.Option(help="Of sweeps; by default the study's.")] = "",
    against: Annotated[str, typer.Option(help="The other one of the two that are compared.")] = "",
) -> None:
    """Write one offline HTML file: the answer, figures, assumptions."""
    with exit_codes():
        from vmsim.whatif.history import history
        from vmsim.whatif.report import html, write
        from vmsim.whatif.variants import of_folder

        runs = [history(path) for path in sources if not path.is_dir()]
        sweeps = [of_folder(path, metric, against) for path in sources if path.is_dir()]
        write(out, html(runs, sweeps))
        if export is not None:
            _export(runs, sweeps, export)


def _export(runs: "list[History]", sweeps: "list[Variants]", folder: Path) -> None:
    from vmsim.whatif import drawing, frames
    from vmsim.whatif.report import drawn

    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = drawing.export(drawn(runs, sweeps), folder)
        for number, run in enumerate(runs, 1):
            paths += frames.export(run, f"run{number}", folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput([Problem(f"cannot write: {reason}", file=str(folder))]) from None
    print(f"{folder}: {len(paths)} files", file=sys.stderr)
