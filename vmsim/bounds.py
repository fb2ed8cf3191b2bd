"""Which values of a VirtualMachine are out of bounds, whatever else is said of it?

What a schema writes as a pattern, a format or a range, and what the webhook asks of lists of
drives and volumes. Each row of BOUNDS is a place, where `[]` means every item of a list, a test of
one value that is set, what is said when it fails, and the clause that asks for it. Classes have
their own questions.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vmsim.editions import EDITION_2023_03, EDITION_2026_08, Edition
from vmsim.quantities import MIB, quantity
from vmsim.rules import ErrorKind, FieldError, Raw, dig, printed

INTERFACES_MAX = 10
HARDWARE_VERSION_MIN, HARDWARE_VERSION_MAX = 13, 22
PROBE_S_MAX = 60
DRIVES = "spec.hardware.cdrom"
APART: Mapping[str, tuple[str, ...]] = {
    "cloudInit": ("linuxPrep", "sysprep", "vAppConfig"),
    "linuxPrep": ("cloudInit", "sysprep"),
    "sysprep": ("cloudInit", "linuxPrep"),
    "vAppConfig": ("cloudInit",),
}
"""Bootstrap providers, and those that each cannot go with."""


@dataclass(frozen=True, slots=True)
class Bound:
    """One row of the table."""

    place: str
    holds: Callable[[Any], bool]
    detail: str
    rule: str


def _matching(place: str, pattern: str, detail: str, rule: str = "N-10") -> Bound:
    known = re.compile(pattern)
    return Bound(place, lambda value: bool(known.fullmatch(str(value))), detail, rule)


def _named(place: str) -> Bound:
    return _matching(place, "[a-z0-9]{2,}", "should match '^[a-z0-9]{2,}$'")


def _uuid(place: str) -> Bound:
    pattern = "(?i:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    return _matching(place, pattern, "must be of type uuid")


def _whole(place: str) -> Bound:
    return _matching(place, "[0-9]+", "must be a whole number of CPUs", "N-11")


def _range(place: str, low: int, high: int) -> Bound:
    return Bound(
        place,
        lambda value: isinstance(value, int) and low <= value <= high,
        f"should be from {low} to {high}",
        "N-10",
    )


def _amount(value: object) -> Fraction | None:
    """The quantity, or None for what is none."""
    try:
        return quantity(value)
    except ValueError:
        return None


def _is_whole_mib(value: object) -> bool:
    amount = _amount(value)
    return amount is not None and amount % MIB == 0


def _is_thin_or_zeroed(options: Any) -> bool:
    thin, zeroed = (dig(options, name) for name in ("thinProvisioned", "eagerZeroed"))
    return not (thin is True and zeroed is True)


_OPTIONS = "spec.advancedOptions.defaultVolumeProvisioningOptions"
BOUNDS: Mapping[str, tuple[Bound, ...]] = {
    EDITION_2023_03.name: (
        Bound(_OPTIONS, _is_thin_or_zeroed, "cannot be both thin and eager-zeroed", "ST-09"),
    ),
    EDITION_2026_08.name: (
        Bound(
            "spec.minHardwareVersion",
            lambda version: not isinstance(version, int) or version <= HARDWARE_VERSION_MAX,
            f"should be less than or equal to {HARDWARE_VERSION_MAX}",
            "HARDWARE-1",
        ),
        Bound(
            "spec.minHardwareVersion",
            lambda version: (
                not isinstance(version, int) or version == 0 or version >= HARDWARE_VERSION_MIN
            ),
            f"should be greater than or equal to {HARDWARE_VERSION_MIN}",
            "N-10",
        ),
        Bound(
            "spec.network.interfaces",
            lambda items: not isinstance(items, list) or len(items) <= INTERFACES_MAX,
            f"must have at most {INTERFACES_MAX} items",
            "N-10",
        ),
        _named("spec.network.interfaces[].name"),
        _named(f"{DRIVES}[].name"),
        _uuid("spec.biosUUID"),
        _uuid("spec.instanceUUID"),
        _range("spec.readinessProbe.timeoutSeconds", 1, PROBE_S_MAX),
        *(_whole(f"spec.resources.{part}.cpu") for part in ("size", "requests", "limits")),
        Bound(
            "spec.advanced.bootDiskCapacity", _is_whole_mib, "must be a multiple of 1Mi", "ST-08"
        ),
    ),
}


def refusals(raw: Raw, old: Raw, edition: Edition) -> Iterator[FieldError]:
    """All that this module has against a VM; `old` is what is stored, {} for a new one."""
    yield from out_of_bounds(raw, edition)
    yield from drives(raw)
    yield from lost_volumes(old, raw)
    yield from providers(raw)


def out_of_bounds(raw: Raw, edition: Edition) -> Iterator[FieldError]:
    """Every value of the object that a row of the table refuses."""
    for bound in BOUNDS[edition.name]:
        for place, value in _values(raw, bound.place.split(".")):
            if not bound.holds(value):
                shown = printed(value)
                yield FieldError(place, ErrorKind.INVALID, bound.detail, bound.rule, shown)


def _values(value: Any, steps: list[str], place: str = "") -> Iterator[tuple[str, Any]]:
    """The values at a place, each with its own name; those that are unset are left out."""
    if not steps:
        yield place, value
        return
    name, many = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    found = value.get(name) if isinstance(value, Mapping) else None
    below = f"{place}.{name}" if place else name
    if many:
        for number, item in enumerate(found if isinstance(found, list) else ()):
            yield from _values(item, steps[1:], f"{below}[{number}]")
    elif found is not None:
        yield from _values(found, steps[1:], below)


def drives(raw: Raw) -> Iterator[FieldError]:
    """I-08: a VM with a CD-ROM names its guest's identifier, and no image twice."""
    names = [name for _, name in _values(raw, f"{DRIVES}[].image.name".split("."))]
    if dig(raw, *DRIVES.split(".")) and not dig(raw, "spec", "guestID"):
        detail = "when deploying a VM with CD-ROMs"
        yield FieldError("spec.guestID", ErrorKind.REQUIRED, detail, "I-08")
    for number, name in enumerate(names):
        if name in names[:number]:
            place = f"{DRIVES}[{number}].image.name"
            yield FieldError(place, ErrorKind.DUPLICATE, "", "I-08", printed(name))


def lost_volumes(old: Raw, raw: Raw) -> Iterator[FieldError]:
    """M-12: a volume that is not removable stays."""
    kept = {name for _, name in _values(raw, ["spec", "volumes[]", "name"])}
    for place, volume in _values(old, ["spec", "volumes[]"]):
        name = dig(volume, "name")
        if dig(volume, "removable") is False and name not in kept:
            detail = f"volume {name} is not removable"
            yield FieldError(place, ErrorKind.FORBIDDEN, detail, "M-12")


def providers(raw: Raw) -> Iterator[FieldError]:
    """S-27: one bootstrap provider customises a guest; vApp properties may go with LinuxPrep or
    with Sysprep."""
    bootstrap = dig(raw, "spec", "bootstrap")
    fields = bootstrap if isinstance(bootstrap, Mapping) else {}
    given = [name for name in APART if fields.get(name) is not None]
    for name in given:
        if found := [other for other in given if other in APART[name]]:
            detail = f"may not be used with {' and '.join(found)}"
            yield FieldError(f"spec.bootstrap.{name}", ErrorKind.FORBIDDEN, detail, "S-27")


def class_refusals(raw: Raw) -> Iterator[FieldError]:
    """C-05, C-14: a new class requests no more than its limits; slots are of a profile."""
    policies = ("spec", "policies", "resources")
    for name in ("cpu", "memory"):
        wanted = dig(raw, *policies, "requests", name)
        request, limit = _amount(wanted), _amount(dig(raw, *policies, "limits", name))
        if request is not None and limit is not None and request > limit:
            place = f"{'.'.join(policies)}.requests.{name}"
            detail = "must not be larger than its limit"
            yield FieldError(place, ErrorKind.INVALID, detail, "C-05", printed(wanted))
    if dig(raw, "spec", "reservedSlots") and not dig(raw, "spec", "reservedProfileID"):
        detail = "when slots are reserved"
        yield FieldError("spec.reservedProfileID", ErrorKind.REQUIRED, detail, "C-14")
