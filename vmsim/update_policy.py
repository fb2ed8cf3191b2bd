"""How does an API server refuse the updates that the specification's table refuses?

By a ValidatingAdmissionPolicy, written from the rows of `rules`: the server evaluates it itself,
also when no controller runs. (A schema's own rules do not see labels, and the table has one.) Each
row becomes two expressions for the value before and after, and one that must hold. Rows that read
something else than a path have their expressions here; a row that is missing is a defect.
Another policy has what a new VM must name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vmsim.editions import EDITION_2023_03, GROUP, Edition
from vmsim.kinds import Shape, kinds
from vmsim.objects import ZONE_LABEL, PowerState
from vmsim.rules import HOLD_ANNOTATION, UPDATE_RULES, Cell, UpdateRule, Verdict

NAME = "vmsim-virtualmachine-updates"
CREATIONS = "vmsim-virtualmachine-creations"
_EMPTY = {"string": "''", "array": "[]", "object": "{{}}", "count": "0", "integer": "0"}
_CDROM = "{o}.?spec.?hardware.?cdrom.orValue([])"
_NIC = "{o}.?spec.?network.?interfaces.orValue([])"
_VOLUMES = "{o}.?spec.?volumes.orValue([])"


@dataclass(frozen=True, slots=True)
class _Reading:
    """CEL for the value in the object `{o}`, for "unset" of the value `{o}`, and for "changed" of
    the values `{o}` before and `{n}` after."""

    value: str
    unset: str
    changed: str = "{o} != {n}"


def _element(field: str, empty: str) -> _Reading:
    """Elements of a list by name: a field of those that were there before."""
    was = f"{{o}}.exists(a, a.name == b.name && a.?{field}.orValue({empty})"
    return _Reading(_CDROM, "false", f"{{n}}.exists(b, {was} != b.?{field}.orValue({empty})))")


_SPECIAL: Mapping[str, _Reading] = {
    "UPD-ZONE": _Reading(f"{{o}}.metadata.?labels[?'{ZONE_LABEL}'].orValue('')", "{o} == ''"),
    "UPD-VSPHERE-VOLUMES": _Reading(
        _VOLUMES + ".filter(v, has(v.vsphereVolume) && v.vsphereVolume != {{}})",
        "size({o}) == 0",
        "!({o}.all(a, {n}.exists(b, a == b)) && {n}.all(b, {o}.exists(a, a == b)))",
    ),
    "UPD-CDROM-NAME": _Reading(_CDROM + ".map(c, c.?name.orValue(''))", "size({o}) == 0"),
    "UPD-CDROM-IMAGE": _element("image", "{{}}"),
    "UPD-CDROM-CONNECTED": _element("connected", "false"),
    "UPD-CDROM-GUEST": _element("allowGuestControl", "false"),
    "UPD-NICS": _Reading(_NIC + ".map(c, c.?name.orValue(''))", "size({o}) == 0"),
    "UPD-BOOTSTRAP-TYPE": _Reading(
        "['cloudInit', 'linuxPrep', 'sysprep'].filter(k, k in {o}.?spec.?bootstrap.orValue({{}}))",
        "size({o}) == 0",
        "{o}.exists(k, !(k in {n}))",
    ),
}
_COUNTS = {"UPD-HARDWARE-UP": "{n} > {o}", "UPD-HARDWARE-DOWN": "{n} < {o}"}


def policy(edition: Edition, verdict: Verdict = Verdict.DOCUMENT) -> list[dict[str, Any]]:
    """The policy and its binding, for the edition's newest version."""
    rules = [rule for rule in UPDATE_RULES if rule.edition == edition.name]
    variables = [
        {"name": "on", "expression": _both_on()},
        {"name": "off", "expression": _any_off()},
    ]
    validations: list[dict[str, Any]] = []
    for number, rule in enumerate(rules):
        expression = _allowed(rule, number, edition, verdict)
        if expression is None:
            continue
        reading = _reading(rule, edition)
        variables += [
            {"name": f"o{number}", "expression": reading.value.format(o="oldObject")},
            {"name": f"n{number}", "expression": reading.value.format(o="object")},
        ]
        validations += expression
    return _bodies(NAME, "UPDATE", variables, validations)


def creation_policy(edition: Edition, verdict: Verdict = Verdict.DOCUMENT) -> list[dict[str, Any]]:
    """As `policy`, of what a new VM must have; what its names stand for only a webhook can see."""
    seed = edition is EDITION_2023_03
    image = ("imageName", ("imageName",)) if seed else ("image", ("imageName", "image"))
    fields = dict([("className", ("className",)), ("storageClass", ("storageClass",)), image])
    if verdict is not Verdict.DOCUMENT:
        del fields["storageClass"]
    validations = [
        {
            "expression": " || ".join(
                f"size(object.?spec.?{name}.orValue('')) > 0" for name in names
            ),
            "message": f"spec.{place}: Required value",
            "reason": "Invalid",
        }
        for place, names in fields.items()
    ]
    return _bodies(CREATIONS, "CREATE", [], validations)


def _bodies(
    name: str, operation: str, variables: list[dict[str, Any]], validations: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    match = {
        "apiGroups": [GROUP],
        "apiVersions": ["*"],
        "operations": [operation],
        "resources": ["virtualmachines"],
    }
    group = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    return [
        {
            **group,
            "kind": "ValidatingAdmissionPolicy",
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [match]},
                "variables": variables,
                "validations": validations,
            },
        },
        {
            **group,
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    ]


def _allowed(
    rule: UpdateRule, number: int, edition: Edition, verdict: Verdict
) -> list[dict[str, Any]] | None:
    """What must hold for the row to have nothing against an update; None: it never has."""
    found = list(_validations(rule, number, _reading(rule, edition), verdict))
    return found or None


def _validations(
    rule: UpdateRule, number: int, reading: _Reading, verdict: Verdict
) -> Iterator[dict[str, Any]]:
    old, new = f"variables.o{number}", f"variables.n{number}"
    before, now = reading.unset.format(o=old), reading.unset.format(o=new)
    refused = _refused(rule, before, verdict)
    if refused != "false":
        changed = _COUNTS.get(rule.id, reading.changed).format(o=old, n=new)
        yield _validation(rule, f"!({changed} && {refused})", f"{rule.kind}: {rule.detail}")
    if rule.required:
        yield _validation(rule, f"!({now}) || {before}", "Required value")


def _refused(rule: UpdateRule, unset: str, verdict: Verdict) -> str:
    """When the row's cells say no, given that the value changed."""
    cells = rule.cells(verdict)
    on = "!variables.off" if rule.off_only else "variables.on"
    words = {
        (Cell.NO, Cell.NO): "true",
        (Cell.NO, Cell.YES): on,
        (Cell.YES, Cell.NO): f"!({on})",
        (Cell.YES, Cell.YES): "false",
    }
    set_before = words[(cells.on, cells.off)]
    if cells.unset is Cell.NA:
        return set_before
    if (cells.unset is Cell.NO) == (set_before == "true"):
        return set_before
    return f"({unset} ? {'true' if cells.unset is Cell.NO else 'false'} : {set_before})"


def _validation(rule: UpdateRule, expression: str, detail: str) -> dict[str, Any]:
    place = (rule.place or rule.field).replace("[]", "")
    return {"expression": expression, "message": f"{place}: {detail}", "reason": "Invalid"}


def _reading(rule: UpdateRule, edition: Edition) -> _Reading:
    special = _SPECIAL.get(rule.id) if rule.read else None
    if special is not None:
        return special
    assert rule.read is None, f"{rule.id} of {rule.edition} needs its own expressions"
    steps = rule.field.split(".")
    empty = _EMPTY[_type_at(steps, edition)]
    path = "".join(f".?{step}" for step in steps)
    return _Reading(f"{{o}}{path}.orValue({empty})", f"{{o}} == {empty}")


def _type_at(steps: list[str], edition: Edition) -> str:
    """The type of a field; below an open object names tell: a policy's name is a string."""
    kind = kinds(edition.name)["VirtualMachine"]
    shape: Shape | None = kind.shapes[kind.versions[-1]]
    for step in steps:
        shape = (shape.fields or {}).get(step) if shape is not None else None
    if shape is not None:
        return shape.type
    return "string" if steps[-1].endswith("Name") else "object"


def _both_on() -> str:
    """M-04, M-05: desired power before and after is on, and nothing holds the VM back."""
    on = PowerState.ON.lower()
    both = " && ".join(f"{_power(name)} == '{on}'" for name in ("oldObject", "object"))
    held = f".exists(k, k.startsWith('{HOLD_ANNOTATION}'))"
    return f"{both} && !oldObject.metadata.?annotations.orValue({{}}){held}"


def _any_off() -> str:
    off = PowerState.OFF.lower()
    return " || ".join(f"{_power(name)} == '{off}'" for name in ("oldObject", "object"))


def _power(name: str) -> str:
    return f"{name}.?spec.?powerState.orValue('').lowerAscii()"
