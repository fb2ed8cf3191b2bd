"""What can be said of a case, of a clause and of a whole run?

Verdicts are ordered by how far they are from a pass. A clause has the worst verdict of its cases,
so a pass means that every case of it ran and passed; nothing that did not run can become one. The
result of a run counts the core and the extended clauses only.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType


class Verdict(StrEnum):
    """What is known; see docs/conform.md."""

    PASS = "pass"
    NOT_TESTABLE = "not testable"
    NOT_SUPPORTED = "not supported"
    UNKNOWN = "unknown"
    FLAKY = "flaky"
    FAIL = "fail"


class Code(IntEnum):
    """How `vmsim conform` ends."""

    CONFORMANT = 0
    NOT_CONFORMANT = 1
    USAGE = 2
    INCONCLUSIVE = 3
    UNREACHABLE = 4
    DEFECT = 5
    INTERRUPTED = 130


ORDER = {verdict: number for number, verdict in enumerate(Verdict)}
RESULTS: Mapping[Code, str] = MappingProxyType(
    {
        Code.CONFORMANT: "conformant",
        Code.NOT_CONFORMANT: "not conformant",
        Code.INCONCLUSIVE: "inconclusive",
        Code.UNREACHABLE: "unreachable",
        Code.DEFECT: "defect of vmsim",
        Code.INTERRUPTED: "interrupted",
    }
)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; unknown when there is none, because then nothing ran."""
    return max(verdicts, key=lambda verdict: ORDER[verdict], default=Verdict.UNKNOWN)


def of_attempts(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a case from its attempts: a fail that passed another time is flaky."""
    found = set(verdicts)
    if {Verdict.PASS, Verdict.FAIL} <= found:
        return Verdict.FLAKY
    return worst(found)


def result(clauses: Iterable[tuple[str, Verdict, bool]]) -> Code:
    """Whether the target conforms, from level, verdict and "nobody can test it" of each clause.

    Provisional clauses and those that nobody can test from outside do not count.
    """
    counted = {verdict for level, verdict, moot in clauses if level != "provisional" and not moot}
    if Verdict.FAIL in counted:
        return Code.NOT_CONFORMANT
    return Code.CONFORMANT if counted == {Verdict.PASS} else Code.INCONCLUSIVE
