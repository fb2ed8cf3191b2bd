"""Faults of the bounds: values, drives and volumes that should be refused and are not."""

from features.mutants import Mutant
from features.mutants.patching import Patch, edit

MODULE = "vmsim.bounds"
JUDGED = "if not bound.holds(value):"


def _without(place: str) -> Patch:
    """Values at these places are not judged."""
    return edit(f"{MODULE}:out_of_bounds", JUDGED, f"{JUDGED[:-1]} and {place!r} not in place:")


MUTANTS = (
    Mutant("any-uuid", "Any word is a UUID.", ("N-10",), _without("UUID")),
    Mutant("any-nic-name", "An interface may have any name.", ("N-10",), _without("interfaces[")),
    Mutant(
        "any-number-of-nics",
        "A VM may have any number of network interfaces.",
        ("N-10",),
        edit(f"{MODULE}:out_of_bounds", JUDGED, f"{JUDGED[:-1]} and place[-5:] != 'faces':"),
    ),
    Mutant(
        "any-hardware-version",
        "Every hardware version is known.",
        ("N-10", "M-11"),
        _without("HardwareVersion"),
    ),
    Mutant("any-probe", "A probe may take any time.", ("N-10",), _without("Probe")),
    Mutant("half-a-cpu", "A VM may have half a CPU.", ("N-11",), _without("cpu")),
    Mutant("half-a-mib", "A boot disk may end within a MiB.", ("ST-08",), _without("bootDisk")),
    Mutant(
        "thin-and-zeroed",
        "A disk may be thin and zeroed in advance.",
        ("ST-09",),
        _without("Provisioning"),
    ),
    Mutant(
        "thick-only",
        "A thin disk is refused.",
        ("ST-09",),
        edit(f"{MODULE}:_is_thin_or_zeroed", "thin is True and zeroed is True", "thin is True"),
    ),
    Mutant(
        "drive-without-guest",
        "A VM with a CD-ROM need not say which guest it has.",
        ("I-08",),
        edit(f"{MODULE}:drives", 'not dig(raw, "spec", "guestID")', "False"),
    ),
    Mutant(
        "same-image-twice",
        "Two CD-ROMs may have one image.",
        ("I-08",),
        edit(f"{MODULE}:drives", "if name in names[:number]:", "if False:"),
    ),
    Mutant(
        "one-drive-only",
        "A VM has at most one CD-ROM.",
        ("I-08",),
        edit(f"{MODULE}:drives", "if name in names[:number]:", "if number:"),
    ),
    Mutant(
        "volume-lost",
        "A volume that is not removable may be removed.",
        ("M-12",),
        edit(f"{MODULE}:lost_volumes", "name not in kept", "False"),
    ),
    Mutant(
        "volume-stuck",
        "No volume may be removed.",
        ("M-12",),
        edit(f"{MODULE}:lost_volumes", 'dig(volume, "removable") is False and ', ""),
    ),
    Mutant(
        "many-providers",
        "Any bootstrap providers may be used together.",
        ("S-27",),
        edit(f"{MODULE}:providers", "other in APART[name]", "False"),
    ),
    Mutant(
        "one-provider-only",
        "A bootstrap provider goes with no other at all.",
        ("S-27",),
        edit(f"{MODULE}:providers", "other in APART[name]", "other != name"),
    ),
    Mutant(
        "requests-above-limits",
        "A class may request more than its limits.",
        ("C-05",),
        edit(f"{MODULE}:class_refusals", "request > limit", "False"),
    ),
    Mutant(
        "requests-at-limits",
        "A class may not request all of its limits.",
        ("C-05",),
        edit(f"{MODULE}:class_refusals", "request > limit", "request >= limit"),
    ),
    Mutant(
        "slots-without-profile",
        "Slots may be reserved without a profile.",
        ("C-14",),
        edit(f"{MODULE}:class_refusals", 'not dig(raw, "spec", "reservedProfileID")', "False"),
    ),
)
