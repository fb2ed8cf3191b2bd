"""How does an API stand to the profile?

Each check is judged on a lab of its own. `conforms`, `departs` (with what was seen) and
`not offered` are verdicts about the API; `unreachable` says that none could be reached, because it
hung, died or answered what cannot be read.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from features.vsphere import maintenance, moving, placement, telling
from features.vsphere.checks import Check, Departs, NotOffered
from features.vsphere.lab import Lab, vmodl
from vmsim.problems import Unreachable

CONFORMS, DEPARTS, NOT_OFFERED, UNREACHABLE = "conforms", "departs", "not offered", "unreachable"
CHECKS: tuple[Check, ...] = (
    *(*maintenance.CHECKS, *placement.CHECKS, *moving.CHECKS, *telling.CHECKS),
)

OpenLab = Callable[[], AbstractContextManager[Lab]]


@dataclass(frozen=True, slots=True)
class Found:
    """The verdict of one check, and what was seen if the API departs."""

    check: str
    verdict: str
    saw: str = ""
    seconds: float = 0.0


def judge(check: Check, open_lab: OpenLab) -> Found:
    """The verdict of the check on a fresh lab."""
    started_s = time.monotonic()
    verdict, saw = _judge(check, open_lab)
    return Found(check.id, verdict, saw, time.monotonic() - started_s)


def _judge(check: Check, open_lab: OpenLab) -> tuple[str, str]:
    try:
        with open_lab() as lab:
            check.judge(lab)
    except Departs as error:
        return DEPARTS, str(error)
    except NotOffered as error:
        return NOT_OFFERED, str(error)
    except Unreachable as error:
        return UNREACHABLE, str(error)
    except vmodl.MethodFault as error:
        return UNREACHABLE, f"a read was answered with {type(error).__name__}: {error.msg}"
    except AssertionError as error:
        return UNREACHABLE, f"the preparation failed: {error}"
    return CONFORMS, ""


def judge_all(open_lab: OpenLab, checks: Sequence[Check] = CHECKS) -> Iterator[Found]:
    """The verdict of every check, in order."""
    for check in checks:
        yield judge(check, open_lab)
