"""Which updates of a VirtualMachine are refused, and with which words?

vm.md answers with a table: one row per field, and a cell for "while powered on", "while powered
off" and "not already set". Here that table is data: a row per field and edition, with the rows
that only the code of the day knows next to those that the page prints. Where the page and the
code disagree the row carries both answers, and the caller chooses whose verdict counts; the
page's is the default. Rules that the page states in prose have ids, too, to be pointed at.

A manifest is a plain dict as YAML gives it, in the edition's own API version. `""` counts as
unset. "Powered on" means that the *desired* state is on before and after the update (M-04).
Privileged users, who may do more, are out of scope.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from vmsim.editions import EDITION_2023_03, EDITION_2026_08, Edition
from vmsim.objects import ZONE_LABEL, PowerState

Raw = Mapping[str, object]
Values = Mapping[str, object]
Reader = Callable[[Raw], Values]

IMMUTABLE = "field is immutable"
NOT_WHILE_ON = "updates to this field is not allowed when VM power is on"
HOLD_ANNOTATION = "poweron.check.vmoperator.vmware.com/"


class Cell(StrEnum):
    """One cell of the page's table."""

    YES = "yes"
    NO = "no"
    NA = "na"


class Verdict(StrEnum):
    """Whose word counts where the page and the code disagree."""

    DOCUMENT = "document"
    CODE = "code"


class ErrorKind(StrEnum):
    """The kinds of `field.Error` in k8s.io/apimachinery, as it prints them."""

    REQUIRED = "Required value"
    INVALID = "Invalid value"
    FORBIDDEN = "Forbidden"
    NOT_FOUND = "Not found"
    UNSUPPORTED = "Unsupported value"
    DUPLICATE = "Duplicate value"


@dataclass(frozen=True, slots=True)
class FieldError:
    """Why one field is refused; prints as Kubernetes does. `value` is already printed JSON."""

    field: str
    kind: ErrorKind
    detail: str = ""
    rule: str = ""
    value: str = ""

    def __str__(self) -> str:
        shown = "" if self.kind in (ErrorKind.REQUIRED, ErrorKind.FORBIDDEN) else self.value
        return ": ".join(part for part in (self.field, self.kind.value, shown, self.detail) if part)


@dataclass(frozen=True, slots=True)
class Cells:
    """The three answers of a row; `unset` NA means that `on` or `off` answers then too."""

    on: Cell
    off: Cell
    unset: Cell


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """One field of one edition.

    `document` answers; `code` answers instead under the code's verdict, where it is given.
    `read` finds the values of a manifest, one under the key '' or one per list element by name;
    without it the field is a path. `place` is where errors point. `counts` tells which changes
    the row is about. `required`: emptying the field is refused as such. `off_only`: nothing but
    a desired power-off counts as off (M-11).
    """

    id: str
    edition: str
    field: str
    document: Cells
    source: str
    code: Cells | None = None
    read: Reader | None = None
    place: str = ""
    kind: ErrorKind = ErrorKind.FORBIDDEN
    detail: str = IMMUTABLE
    required: bool = False
    off_only: bool = False
    counts: Callable[[object, object], bool] = lambda old, new: old != new

    @property
    def text(self) -> str:
        """What the page says the field is; '' for a field that the page's table leaves out."""
        return PAGE_TEXTS.get(self.field, "")

    def cells(self, verdict: Verdict) -> Cells:
        """The answers under `verdict`."""
        return self.code if self.code and verdict is Verdict.CODE else self.document

    def values(self, raw: Raw) -> Values:
        """What stands in `raw`: key '' for the field itself, else one entry per list element."""
        return self.read(raw) if self.read else {"": dig(raw, *self.field.split("."))}


@dataclass(frozen=True, slots=True)
class ProseRule:
    """A rule that is a sentence: `editions` are the names of the editions it belongs to."""

    id: str
    text: str
    source: str
    editions: tuple[str, ...] = (EDITION_2023_03.name, EDITION_2026_08.name)


def printed(value: object) -> str:
    """`value` as a field error shows it: strings quoted, nothing as `""`, the rest as JSON."""
    return json.dumps("" if value is None else value, ensure_ascii=False, default=str)


def dig(raw: object, *keys: str) -> object:
    """What stands in nested dicts under `keys`, or None; `""`, `[]` and `{}` count as unset."""
    for key in keys:
        raw = raw.get(key) if isinstance(raw, Mapping) else None
    return None if raw in ("", [], {}) else raw


def _one(*keys: str) -> Reader:
    return lambda raw: {"": dig(raw, *keys)}


def _elements(raw: Raw, *keys: str) -> Iterator[tuple[str, Raw]]:
    listed = dig(raw, *keys)
    for index, element in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(element, Mapping):
            yield str(element.get("name", index)), element


def _cdrom(key: str) -> Reader:
    return lambda raw: {name: dig(element, key) for name, element in _elements(raw, *_CDROM)}


def _names(*keys: str) -> Reader:
    return lambda raw: {"": [name for name, _ in _elements(raw, *keys)] or None}


def _vsphere_volumes(raw: Raw) -> Values:
    volumes = _elements(raw, "spec", "volumes")
    return {"": {name: one for name, one in volumes if dig(one, "vsphereVolume")} or None}


def _bootstrap_types(raw: Raw) -> Values:
    bootstrap = dig(raw, "spec", "bootstrap")
    types = bootstrap if isinstance(bootstrap, Mapping) else {}
    kinds = ("cloudInit", "linuxPrep", "sysprep")
    return {"": [kind for kind in kinds if types.get(kind) is not None] or None}


def _loses_one(old: object, new: object) -> bool:
    kept = new if isinstance(new, list) else []
    return isinstance(old, list) and any(one not in kept for one in old)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0


def _raised(old: object, new: object) -> bool:
    return _number(new) > _number(old)


def _lowered(old: object, new: object) -> bool:
    return _number(new) < _number(old)


_YES_YES = Cells(Cell.YES, Cell.YES, Cell.NA)
_NO_NO = Cells(Cell.NO, Cell.NO, Cell.NA)
_NEVER = Cells(Cell.NO, Cell.NO, Cell.NO)
_ALWAYS = Cells(Cell.YES, Cell.YES, Cell.YES)
_ONCE = Cells(Cell.NO, Cell.NO, Cell.YES)
_WHILE_OFF = Cells(Cell.NO, Cell.YES, Cell.NA)

_SEED = EDITION_2023_03.name
_HEAD = EDITION_2026_08.name
_ZONE_FIELD = f"metadata.labels.{ZONE_LABEL}"
_CDROM = ("spec", "hardware", "cdrom")
_CD = "spec.hardware.cdrom[]"

PAGE_TEXTS: Mapping[str, str] = {
    "spec.imageName": "The name of the `VirtualMachineImage` that supplies the VM's disk(s)",
    "spec.className": "The name of the `VirtualMachineClass` that supplies the VM's "
    "virtual hardware",
    "spec.powerState": "The VM's desired power state",
    "spec.policies": "The list of vSphere policies to apply to the VM",
    _ZONE_FIELD: "The desired availability zone in which to schedule the VM",
    f"{_CD}.name": "The name of the CD-ROM device to mount ISO in the VM",
    f"{_CD}.image": "The reference to an ISO type `VirtualMachineImage` or "
    "`ClusterVirtualMachineImage` to mount in the VM",
    f"{_CD}.connected": "The desired connection state of the CD-ROM device",
    f"{_CD}.allowGuestControl": "Whether the guest OS is allowed to "
    "connect/disconnect the CD-ROM device",
}


def _zone(edition: str, document: Cells, source: str) -> UpdateRule:
    rule = UpdateRule("UPD-ZONE", edition, _ZONE_FIELD, document, source, code=_ONCE)
    read = _one("metadata", "labels", ZONE_LABEL)
    return replace(rule, read=read, place=f"metadata.labels[{ZONE_LABEL}]")


def _while_off(
    id: str, edition: str, field: str, source: str, read: Reader | None = None
) -> UpdateRule:
    rule = UpdateRule(id, edition, field, _WHILE_OFF, source, read=read)
    return replace(rule, kind=ErrorKind.FORBIDDEN, detail=NOT_WHILE_ON)


def _forbidden(rule: UpdateRule, detail: str) -> UpdateRule:
    return replace(rule, kind=ErrorKind.FORBIDDEN, detail=detail)


UPDATE_RULES: tuple[UpdateRule, ...] = (
    # 2023-03: first what the page prints, then what only the code of that day knows.
    UpdateRule("UPD-IMAGE", _SEED, "spec.imageName", _NO_NO, "S-22"),
    UpdateRule("UPD-CLASS", _SEED, "spec.className", _NO_NO, "S-23"),
    UpdateRule("UPD-POWER", _SEED, "spec.powerState", _YES_YES, "S-24"),
    _zone(_SEED, _ALWAYS, "S-25, Z-04"),
    UpdateRule("UPD-STORAGE", _SEED, "spec.storageClass", _NEVER, "M-02"),
    UpdateRule("UPD-RESOURCE-POLICY", _SEED, "spec.resourcePolicyName", _NEVER, "M-02"),
    _while_off("UPD-PORTS", _SEED, "spec.ports", "M-03"),
    _while_off("UPD-METADATA", _SEED, "spec.vmMetadata", "M-03"),
    _while_off("UPD-NICS", _SEED, "spec.networkInterfaces", "M-03"),
    _while_off(
        "UPD-PROVISIONING", _SEED, "spec.advancedOptions.defaultVolumeProvisioningOptions", "M-03"
    ),
    _while_off(
        "UPD-VSPHERE-VOLUMES", _SEED, "spec.volumes[VsphereVolume]", "M-03", _vsphere_volumes
    ),
    # 2026-08, likewise.
    UpdateRule("UPD-IMAGE", _HEAD, "spec.imageName", _NO_NO, "M-01, M-06"),
    UpdateRule(
        *("UPD-CLASS", _HEAD, "spec.className", _YES_YES, "M-01, M-07"), code=_NO_NO, required=True
    ),
    UpdateRule("UPD-POWER", _HEAD, "spec.powerState", _YES_YES, "M-01"),
    UpdateRule("UPD-POLICIES", _HEAD, "spec.policies", _YES_YES, "M-01"),
    _zone(_HEAD, _ONCE, "M-01, Z-04"),
    replace(
        _while_off("UPD-CDROM-NAME", _HEAD, f"{_CD}.name", "M-01, M-05", _names(*_CDROM)),
        place="spec.hardware.cdrom",
    ),
    _while_off("UPD-CDROM-IMAGE", _HEAD, f"{_CD}.image", "M-01, M-05", _cdrom("image")),
    UpdateRule(
        *("UPD-CDROM-CONNECTED", _HEAD, f"{_CD}.connected", _YES_YES, "M-01"),
        read=_cdrom("connected"),
    ),
    UpdateRule(
        *("UPD-CDROM-GUEST", _HEAD, f"{_CD}.allowGuestControl", _YES_YES, "M-01"),
        read=_cdrom("allowGuestControl"),
    ),
    UpdateRule("UPD-IMAGE-REF", _HEAD, "spec.image", _NO_NO, "M-06"),
    UpdateRule("UPD-STORAGE", _HEAD, "spec.storageClass", _NEVER, "M-08"),
    UpdateRule("UPD-BIOS-UUID", _HEAD, "spec.biosUUID", _ONCE, "M-08"),
    UpdateRule("UPD-INSTANCE-UUID", _HEAD, "spec.instanceUUID", _ONCE, "M-08"),
    UpdateRule("UPD-RESOURCE-POLICY", _HEAD, "spec.reserved.resourcePolicyName", _NEVER, "M-08"),
    _forbidden(
        UpdateRule("UPD-AFFINITY", _HEAD, "spec.affinity", _NEVER, "M-08"),
        "updating Affinity is not allowed",
    ),
    _forbidden(
        UpdateRule(
            *("UPD-NICS", _HEAD, "spec.network.interfaces", _NEVER, "M-09"),
            read=_names("spec", "network", "interfaces"),
        ),
        "network interfaces cannot be added or removed",
    ),
    _forbidden(
        UpdateRule(
            *("UPD-BOOTSTRAP-TYPE", _HEAD, "spec.bootstrap", _ONCE, "M-10"),
            read=_bootstrap_types,
            counts=_loses_one,
        ),
        "bootstrap provider type cannot be changed",
    ),
    _while_off("UPD-GUEST-ID", _HEAD, "spec.guestID", "M-05"),
    _while_off("UPD-BOOT-OPTIONS", _HEAD, "spec.bootOptions", "M-05"),
    UpdateRule(
        *("UPD-HARDWARE-UP", _HEAD, "spec.minHardwareVersion", _WHILE_OFF, "M-11"),
        kind=ErrorKind.INVALID,
        detail="cannot upgrade hardware version unless powered off",
        off_only=True,
        counts=_raised,
    ),
    UpdateRule(
        *("UPD-HARDWARE-DOWN", _HEAD, "spec.minHardwareVersion", _NO_NO, "M-11"),
        kind=ErrorKind.INVALID,
        detail="cannot downgrade hardware version",
        counts=_lowered,
    ),
)

PROSE_RULES: tuple[ProseRule, ...] = (
    ProseRule("NAME-1", "A VM's name is a DNS subdomain.", "S-13, N-01"),
    ProseRule("NAME-2", "A name that is no DNS label is legal and warned about.", "S-14"),
    ProseRule("NAME-3", "The host name is an RFC 1123 host name, by the code.", "N-02", (_HEAD,)),
    ProseRule("NAME-4", "A Windows host name has at most 15 characters.", "N-02", (_HEAD,)),
    ProseRule("IMAGE-1", "A new VM names its image.", "S-15, N-05, N-06"),
    ProseRule("IMAGE-2", "A display name stands for exactly one image.", "I-02", (_HEAD,)),
    ProseRule("IMAGE-3", "An image is namespaced or cluster-wide.", "I-01", (_HEAD,)),
    ProseRule("IMAGE-4", "imageName and image mean the same image.", "I-03", (_HEAD,)),
    ProseRule("CLASS-1", "A new VM names its class.", "S-17, N-05, N-07"),
    ProseRule("STORAGE-1", "A new VM names its storage class.", "S-19, ST-02"),
    ProseRule("STORAGE-2", "A storage class exists and serves the namespace.", "ST-01, ST-04"),
    ProseRule("ZONE-1", "A zone label names a zone that exists.", "Z-02, Z-03"),
    ProseRule("POWER-1", "The manifest states the power state.", "N-04", (_SEED,)),
    ProseRule("POWER-2", "The power state is one of the edition's words.", "P-01"),
    ProseRule("POWER-3", "A VM created without a power state is on.", "P-02", (_HEAD,)),
    ProseRule("POWER-4", "A new VM cannot be suspended.", "P-03", (_HEAD,)),
    ProseRule("POWER-5", "The power state cannot be emptied.", "P-04", (_HEAD,)),
    ProseRule("POWER-6", "A VM that is off cannot be suspended.", "P-05", (_HEAD,)),
    ProseRule("RESTART-1", "A new VM cannot be restarted.", "P-17", (_HEAD,)),
    ProseRule("RESTART-2", "A restart is asked for with `now`, while on.", "P-18", (_HEAD,)),
    ProseRule("NIC-1", "A VM without a network interface gets one.", "NW-01, NW-02"),
    ProseRule("METADATA-1", "A secret's name that was set stays.", "M-15", (_SEED,)),
    ProseRule("HARDWARE-1", "The hardware version is one that is known.", "M-11", (_HEAD,)),
    ProseRule("DELETE-1", "A delete is always admitted.", "N-12"),
)


def denials(
    old: Raw, new: Raw, edition: Edition, verdict: Verdict = Verdict.DOCUMENT
) -> list[FieldError]:
    """Every refused change between two manifests of one VM, in the order of the rows."""
    rules = [rule for rule in UPDATE_RULES if rule.edition == edition.name]
    return [error for rule in rules for error in _refusals(rule, old, new, verdict)]


def _refusals(rule: UpdateRule, old: Raw, new: Raw, verdict: Verdict) -> Iterator[FieldError]:
    before, after = rule.values(old), rule.values(new)
    for index, (name, value) in enumerate(after.items()):
        if name not in before or not rule.counts(before[name], value):
            continue  # a list element that is new is the business of the row about names
        place = (rule.place or rule.field).replace("[]", f"[{index}]")
        if _cell(rule, before[name], _counts_as_on(rule, old, new), verdict) is Cell.NO:
            yield FieldError(place, rule.kind, rule.detail, rule.id, printed(value))
        elif rule.required and value is None:
            yield FieldError(place, ErrorKind.REQUIRED, "", rule.id)


def _cell(rule: UpdateRule, before: object, on: bool, verdict: Verdict) -> Cell:
    cells = rule.cells(verdict)
    if before is None and cells.unset is not Cell.NA:
        return cells.unset
    return cells.on if on else cells.off


def _counts_as_on(rule: UpdateRule, old: Raw, new: Raw) -> bool:
    """Whether the VM is taken for running: its desired power before and after says so (M-04)."""
    desired = [str(dig(raw, "spec", "powerState")).lower() for raw in (old, new)]
    if rule.off_only:
        return PowerState.OFF.lower() not in desired
    if any(str(key).startswith(HOLD_ANNOTATION) for key in _annotations(old)):
        return False  # M-05: held back from being powered on
    return desired == [PowerState.ON.lower()] * 2


def _annotations(raw: Raw) -> Raw:
    annotations = dig(raw, "metadata", "annotations")
    return annotations if isinstance(annotations, Mapping) else {}


_MARKS = {Cell.YES: "✓", Cell.NO: "✗", Cell.NA: "_NA_"}
_HEADER = (
    "| Update | Description | While Powered On | While Powered Off | Not Already Set |\n"
    "|--------|-------------|:----------------:|:-----------------:|:---------------:|\n"
)


def table_markdown(edition: Edition, verdict: Verdict = Verdict.DOCUMENT) -> str:
    """The page's table of an edition, in Markdown, as the page prints it."""
    rules = [rule for rule in UPDATE_RULES if rule.edition == edition.name and rule.text]
    return _HEADER + "".join(_table_row(rule, rule.cells(verdict)) for rule in rules)


def _table_row(rule: UpdateRule, cells: Cells) -> str:
    on, off, unset = (_MARKS[cell] for cell in (cells.on, cells.off, cells.unset))
    return f"| `{rule.field}` | {rule.text} | {on} | {off} | {unset} |\n"
