"""Prove the model against closed forms, published tables and golden examples.

python -m bench.validate           a reduced set, in a minute
python -m bench.validate --full    all of it, seven minutes of CPU time
  --write                          writes docs/validation.md and docs/validation.svg as well

Exit code 1 when a finding fails.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.report import machine
from bench.validation_chance import CASES as BY_CHANCE
from bench.validation_chance import CONFIDENCE, Finding
from bench.validation_exact import EXACT

DOCS = Path(__file__).parent.parent / "docs"
REDUCED = 0.05

TEXT = """# Validation

Written by `{command}`; do not edit by hand. Machine: {machine}. Effort {effort:.0%} of the
replications' length: with less effort the cases with chance have wider tolerances (by one over the
square root), and the two largest of V4 and V5 are left out.

Each line is a quantity with a known answer: a closed form, a published table, or an example worked
out in the product's documentation. A finding **holds** when the known answer lies in the interval
of what was simulated and half the interval is no wider than the tolerance, so a vague simulation
fails. Intervals of cases with chance are {confidence:.0%} confidence intervals over independent
replications with fixed seeds: with another seed, about {alarm:.0f} in 100 right findings would
fail. V4 and V5 take out of each replication what chance did to its load (control variates: the
mean time with a GPU and between arrivals, of which the expectations are known). For cases without
chance the interval is the tolerance around the one result.

![Expected against simulated](validation.svg)

{table}
"""


def findings(effort: float) -> Iterator[Finding]:
    """Every finding, in the order of the cases."""
    for case in BY_CHANCE.values():
        yield from case(effort)
    for exact in EXACT:
        yield from exact(effort)


def document(found: list[Finding], effort: float) -> str:
    """docs/validation.md."""
    lines = ["| case | quantity | expected | simulated | interval | tolerance | verdict |"]
    lines += ["|---|---|--:|--:|---|--:|---|"]
    for each in sorted(found, key=lambda finding: int(finding.case[1:])):
        lines.append(
            f"| {each.case} | {each.quantity} | {each.expected:.6g} | {each.simulated:.6g} | "
            f"{each.low:.6g} to {each.high:.6g} | {each.tolerance:.2g} | "
            f"{'holds' if each.holds else '**FAILS**'} |"
        )
    full = " --full" if effort >= 1 else ""
    return TEXT.format(
        command=f"python -m bench.validate{full} --write",
        effort=effort,
        machine=machine(),
        confidence=CONFIDENCE,
        alarm=100 * (1 - CONFIDENCE),
        table="\n".join(lines),
    )


def draw(found: list[Finding], path: Path) -> None:
    """Expected against simulated, both on logarithmic scales, with intervals."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "vmsim"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 6))
    shown = [each for each in found if each.expected > 0 and each.simulated > 0]
    for holds, colour, label in ((True, "#0072b2", "holds"), (False, "#d55e00", "fails")):
        some = [each for each in shown if each.holds is holds]
        if some:
            errors = [
                [max(0.0, each.simulated - each.low) for each in some],
                [max(0.0, each.high - each.simulated) for each in some],
            ]
            axes.errorbar(
                [each.expected for each in some],
                [each.simulated for each in some],
                yerr=errors, fmt="o", markersize=4, capsize=2, color=colour, label=label,
            )  # fmt: skip
    ends = [min(each.expected for each in shown), max(each.expected for each in shown)]
    axes.plot(ends, ends, color="#999999", linewidth=1, zorder=0, label="expected = simulated")
    axes.set(xscale="log", yscale="log", xlabel="expected", ylabel="simulated")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})


def main() -> int:
    """Print every finding; with `--write` write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.validate")
    parser.add_argument("--full", action="store_true", help="all of it, seven minutes of CPU time")
    parser.add_argument("--write", action="store_true", help="write docs/validation.*")
    chosen = parser.parse_args()
    effort = 1.0 if chosen.full else REDUCED
    found = []
    for each in findings(effort):
        found.append(each)
        print(each, flush=True)
    failed = [each for each in found if not each.holds]
    print(f"{len(found) - len(failed)} of {len(found)} findings hold")
    if chosen.write:
        (DOCS / "validation.md").write_text(document(found, effort))
        draw(found, DOCS / "validation.svg")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
