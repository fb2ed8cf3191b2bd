"""Faults of the table that says which field may be changed when."""

from functools import partial

from features.mutants import Mutant
from features.mutants.patching import Patch, both, edit, field
from vmsim.rules import Cell, Cells

SEED, HEAD = "2023-03", "2026-08"
RULES = "vmsim.rules:UPDATE_RULES"


def cells(rule: str, edition: str, answers: str) -> Patch:
    """The row of that rule with other answers: on, off, unset."""
    cells = Cells(*(Cell(word) for word in answers.split()))
    return field(RULES, partial(_is, rule, edition), "document", cells, "vmsim.rules:denials")


def _is(rule: str, edition: str, row: object) -> bool:
    found = (getattr(row, "id", ""), getattr(row, "edition", ""))
    return found == (rule, edition)


def _every(rule: str, answers: str) -> Patch:
    return both(cells(rule, SEED, answers), cells(rule, HEAD, answers))


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "class-change-on",
        "The class name may be changed while the VM is powered on.",
        ("S-21", "S-23"),
        cells("UPD-CLASS", SEED, "yes no na"),
    ),
    Mutant(
        "class-change-off",
        "The class name may be changed while the VM is powered off.",
        ("S-21", "S-23"),
        cells("UPD-CLASS", SEED, "no yes na"),
    ),
    Mutant(
        "class-change-refused",
        "The later API refuses a change of the class name.",
        ("S-21", "S-23"),
        cells("UPD-CLASS", HEAD, "no no na"),
    ),
    Mutant(
        "class-change-refused-on",
        "The later API refuses a change of the class name while the VM is on.",
        ("S-21", "S-23"),
        cells("UPD-CLASS", HEAD, "no yes na"),
    ),
    Mutant(
        "image-change-on",
        "The image name may be changed while the VM is powered on.",
        ("S-21", "S-22"),
        both(_every("UPD-IMAGE", "yes no na"), cells("UPD-IMAGE-REF", HEAD, "yes no na")),
    ),
    Mutant(
        "image-change-off",
        "The image name may be changed while the VM is powered off.",
        ("S-21", "S-22"),
        both(_every("UPD-IMAGE", "no yes na"), cells("UPD-IMAGE-REF", HEAD, "no yes na")),
    ),
    Mutant(
        "power-change-refused-off",
        "A VM that is off cannot be changed to be on.",
        ("S-21", "S-24"),
        _every("UPD-POWER", "yes no na"),
    ),
    Mutant(
        "zone-kept",
        "The zone label cannot be changed once it is set, as by the code of the day.",
        ("S-21", "S-25"),
        cells("UPD-ZONE", SEED, "no no yes"),
    ),
    Mutant(
        "zone-changed-later",
        "The later API lets a zone label that is set be changed.",
        ("S-21", "S-25"),
        cells("UPD-ZONE", HEAD, "yes yes yes"),
    ),
    Mutant(
        "zone-never-set",
        "The zone label cannot be put on a VM that has none.",
        ("S-21", "S-25"),
        _every("UPD-ZONE", "yes yes no"),
    ),
    Mutant(
        "ports-while-on",
        "The ports may be changed while the VM is on.",
        ("S-21",),
        cells("UPD-PORTS", SEED, "yes yes na"),
    ),
    Mutant(
        "metadata-never",
        "The metadata cannot be changed even while the VM is off.",
        ("S-21",),
        cells("UPD-METADATA", SEED, "no no na"),
    ),
    Mutant(
        "guest-id-while-on",
        "The guest's kind may be changed while the VM is on.",
        ("S-21",),
        cells("UPD-GUEST-ID", HEAD, "yes yes na"),
    ),
    Mutant(
        "bios-uuid-changes",
        "A BIOS UUID that is set may be changed.",
        ("S-21",),
        cells("UPD-BIOS-UUID", HEAD, "yes yes yes"),
    ),
    Mutant(
        "bios-uuid-never",
        "A BIOS UUID cannot be set later, even when there is none.",
        ("S-21",),
        cells("UPD-BIOS-UUID", HEAD, "no no no"),
    ),
    Mutant(
        "cdrom-image-while-on",
        "The image of a CD-ROM may be changed while the VM is on.",
        ("S-21",),
        cells("UPD-CDROM-IMAGE", HEAD, "yes yes na"),
    ),
    Mutant(
        "cdrom-connect-only-off",
        "A CD-ROM can be disconnected only while the VM is off.",
        ("S-21",),
        cells("UPD-CDROM-CONNECTED", HEAD, "no yes na"),
    ),
    Mutant(
        "power-state-as-observed",
        "A VM counts as off whatever its power state, so every field may be changed.",
        ("S-21",),
        edit("vmsim.rules:_counts_as_on", "== [PowerState.ON.lower()] * 2", "== []"),
    ),
)
