"""How much is "500m", "2Gi" or "5m30s"?

Manifests give CPU and memory as Kubernetes quantities, scenario files give durations with a unit.
Both become plain numbers once, here: CPU in thousandths of a core, memory in MiB, time in seconds.
A quantity is exact (no float in between) and rounds up, so that a claim is never counted too small.
"""

import re
from fractions import Fraction
from functools import lru_cache

MIB = 1 << 20
QUANTITY_MAX = (1 << 63) - 1
CPU_MAX = (1 << 31) - 1

_QUANTITY = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([eEinumkKMGTP]*[-+]?[0-9]*)")
_LIKE_A_QUANTITY = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)")
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]{1,3})")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SUFFIXES = {suffix: Fraction(10) ** power for suffix, power in _DECIMAL.items()} | {
    f"{letter}i": Fraction(1024) ** (step + 1) for step, letter in enumerate("KMGTPE")
}
_LENGTH_MAX = 64

_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+")
_UNIT_S = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
DURATION_MAX_S = 1e10


def quantity(value: object) -> Fraction:
    """The exact value of a Kubernetes quantity; a bare number stands for itself.

    ValueError, in the API server's words, for anything else, for a negative amount, and for one
    over 2**63 - 1.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"must be a quantity like 500m or 2Gi, not {type(value).__name__}")
    return _exact(value if isinstance(value, str) else repr(value))


@lru_cache(maxsize=1024)
def _exact(text: str) -> Fraction:
    match = _QUANTITY.fullmatch(text) if len(text) <= _LENGTH_MAX else None
    if match is None:
        raise ValueError(_why_not(text))
    sign, number, suffix = match.groups()
    exact = Fraction(number if number[0] != "." else f"0{number}") * _scale(suffix)
    if sign == "-" and exact:
        raise ValueError("must be greater than or equal to 0")
    if exact > QUANTITY_MAX:
        raise ValueError(f"must be less than or equal to {QUANTITY_MAX}")
    return exact


def _why_not(text: str) -> str:
    if len(text) <= _LENGTH_MAX and _LIKE_A_QUANTITY.fullmatch(text):
        return "unable to parse numeric part of quantity"
    return f"quantities must match the regular expression '^{_LIKE_A_QUANTITY.pattern}$'"


def _scale(suffix: str) -> Fraction:
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    exponent = _EXPONENT.fullmatch(suffix)
    if exponent is None:
        raise ValueError("unable to parse quantity's suffix")
    return Fraction(10) ** int(exponent[1])


def cpu_milli(value: object) -> int:
    """Thousandths of a core in a CPU quantity, rounded up: `"500m"` is 500, `"2"` is 2000.

    Over `CPU_MAX` cores is refused, which Kubernetes does not do: such a claim in MHz would not
    fit 64 bits.
    """
    cores = quantity(value)
    if cores > CPU_MAX:
        raise ValueError(f"must be less than or equal to {CPU_MAX}")
    return _ceil(cores * 1000)


def memory_mib(value: object) -> int:
    """MiB in a memory quantity, rounded up; a bare number is bytes, as in Kubernetes."""
    return _ceil(quantity(value) / MIB)


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)


def cpu_text(milli: int) -> str:
    """The usual spelling of a CPU quantity: `"2"`, or `"500m"` below whole cores."""
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


def memory_text(mib: int) -> str:
    """The usual spelling of a memory quantity: `"2Gi"`, or `"1536Mi"` between whole GiB."""
    return f"{mib}Mi" if mib % 1024 or not mib else f"{mib // 1024}Gi"


def duration_s(value: object, *, bare_seconds: bool = False) -> float:
    """Seconds in a duration such as `"5m30s"`, `"250ms"`, `"1.5h"` or `"2d"`.

    A bare number is seconds if `bare_seconds`, and refused otherwise. ValueError says what is
    wrong; negative durations and those over `DURATION_MAX_S` are refused.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not bare_seconds:
            raise ValueError(f"missing unit in duration {value!r}: write {value!r}s or {value!r}m")
        seconds = float(value) if abs(value) <= DURATION_MAX_S else DURATION_MAX_S * 2
    elif isinstance(value, str):
        seconds = _parse_duration(value)
    else:
        raise ValueError(f"must be a duration like 5m30s, not {type(value).__name__}")
    if not 0 <= seconds <= DURATION_MAX_S:
        raise ValueError(f"must be a duration between 0s and {DURATION_MAX_S:.0f}s")
    return seconds


def _parse_duration(text: str) -> float:
    if len(text) > _LENGTH_MAX or not _DURATION.fullmatch(text):
        if re.fullmatch(r"[0-9]{1,40}(\.[0-9]{1,20})?", text):
            raise ValueError(f'missing unit in duration "{text}": write {text}s or {text}m')
        raise ValueError(
            f'invalid duration "{text[:_LENGTH_MAX]}": write numbers with units ms, s, m, h or d, '
            "like 5m30s"
        )
    parts = _DURATION_PART.findall(text)
    return float(sum((Fraction(number) * _UNIT_S[unit] for number, unit in parts), Fraction(0)))
