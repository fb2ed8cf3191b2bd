"""`vmsim report`: one HTML file about one or several runs, from their traces."""

from pathlib import Path
from typing import Annotated

import typer

from vmsim.problems import BadInput, Problem
from vmsim.shell import exit_codes


def report(
    traces: Annotated[list[Path], typer.Argument(help="Traces that `vmsim run` wrote.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write.")] = Path(
        "report.html"
    ),
) -> None:
    """Write one offline HTML file about runs: the answer, figures, assumptions."""
    with exit_codes():
        from vmsim.whatif.history import history
        from vmsim.whatif.report import html

        text = html([history(path) for path in traces])
        try:
            out.write_text(text)
        except OSError as error:
            reason = error.strerror or str(error)
            raise BadInput([Problem(f"cannot write: {reason}", file=str(out))]) from None
        print(f"{out} ({len(text) / 1e6:.2f} MB)")
