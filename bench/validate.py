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

from bench import validation_queueing, validation_repair
from bench.findings import CONFIDENCE, Cases, Finding
from bench.report import machine
from bench.validation_exact import EXACT
from vmsim.whatif.drawing import on_white, quantity, word

DOCS = Path(__file__).parent.parent / "docs"
REDUCED = 0.05
BY_CHANCE: Cases = {**validation_repair.CASES, **validation_queueing.CASES}

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


def drawn(found: list[Finding]) -> str:
    """docs/validation.svg: expected against simulated, both on logarithmic scales."""
    rows = [
        {"expected": each.expected, "simulated": each.simulated, "high": each.high,
         "low": each.low if each.low > 0 else each.simulated,
         "verdict": "holds" if each.holds else "fails"}
        for each in found if each.expected > 0 and each.simulated > 0
    ]  # fmt: skip
    ends = [f([row["expected"] for row in rows]) for f in (min, max)]
    line = [{"expected": end, "simulated": end} for end in ends]
    axis, scale = {"grid": False, "tickCount": 8}, {"type": "log"}
    x = quantity("expected", "expected", scale=scale, axis=axis)
    y = quantity("simulated", "simulated", scale=scale, axis=axis)
    verdicts = {"domain": ["holds", "fails"], "range": ["#0072B2", "#D55E00"]}
    colour = word("verdict", "", scale=verdicts)
    layers = [
        {"data": {"values": line}, "mark": {"type": "line", "color": "#999999"},
         "encoding": {"x": x, "y": y}},
        {"mark": "rule",
         "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"},
                      "color": colour}},
        {"mark": {"type": "point", "filled": True, "size": 50, "opacity": 1},
         "encoding": {"x": x, "y": y, "color": colour}},
    ]  # fmt: skip
    spec = {"width": 560, "height": 460, "data": {"values": rows}, "layer": layers}
    return on_white(spec) + "\n"


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
        (DOCS / "validation.svg").write_text(drawn(found))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
