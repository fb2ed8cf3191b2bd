"""`python -m features.vsphere [--page]`: judge a vcsim by the profile, or print `docs/vcsim.md`."""

import argparse
import sys
from functools import partial

from backends.vcsim_process import find
from features.vsphere.expected import difference, page, versions
from features.vsphere.lab import on_vcsim
from features.vsphere.profile import CHECKS, UNREACHABLE, judge
from vmsim.problems import Unreachable


def main() -> int:
    """0: as noted; 1: otherwise, or nothing is noted of this version; 4: not to be reached."""
    parser = argparse.ArgumentParser(prog="python -m features.vsphere", description=__doc__)
    parser.add_argument("--page", action="store_true", help="print the page instead")
    if parser.parse_args().page:
        print(page(), end="")
        return 0
    try:
        program = find()
    except Unreachable as error:
        print(error, file=sys.stderr)
        return 4
    lost = changed = False
    for check in CHECKS:
        found = judge(check, partial(on_vcsim, program))
        known = program.version in versions()
        odd = difference(found, program.version) if known else "nothing is noted"
        print(f"{found.verdict:11} {check.id:7} {check.says} {found.saw}".rstrip())
        print(*([f"            {odd}"] if odd else []), sep="\n", end="\n" if odd else "")
        lost |= found.verdict == UNREACHABLE
        changed |= bool(odd)
    return 4 if lost else int(changed)


if __name__ == "__main__":
    sys.exit(main())
