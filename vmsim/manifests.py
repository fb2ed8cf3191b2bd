"""Is this a Kubernetes object that the API would decode, and what does it say?

`parse` takes documents apart into manifests and names everything that the schema refuses: unknown
fields, wrong types, words outside an enumeration, versions that the edition does not serve, the
same object twice. `to_vm` and `to_class` translate; `rendering` goes the other way. Nothing here
judges admission: a VM without an image is a fine manifest. Spelling follows the API version:
v1alpha1 says `poweredOn`, `host` and `vmIp` where later versions say `PoweredOn`, `nodeName`
(v1alpha4) and a network status.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vmsim.documents import Document
from vmsim.kinds import KINDS, Kind, Shape, kinds, spec_versions
from vmsim.names import is_label, subdomain_problem
from vmsim.objects import PowerState, VirtualMachine, VMClass, VMSpec
from vmsim.problems import BadInput, Problem, did_you_mean
from vmsim.quantities import cpu_milli, memory_mib

_OWN_FIELDS = frozenset(
    ("className", "imageName", "storageClass", "powerState", "powerOffMode", "restartMode",
     "nextRestartTime", "minHardwareVersion")
)  # fmt: skip
_TYPES: Mapping[str, type] = {"string": str, "integer": int, "object": dict, "array": list}
_COUNT_MAX = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object of the API as the user wrote it; `namespace` is '' for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str
    raw: dict[str, Any]
    file: str = ""
    line: int = 0

    @property
    def key(self) -> str:
        """`namespace/name`, or the name alone if there is no namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def version(self) -> str:
        """The version part of `apiVersion`."""
        return str(self.raw.get("apiVersion", "")).rpartition("/")[2]


Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """An object within a document; `problem` makes a problem at a path below it."""

    document: Document
    base: Path
    kind: str
    problems: list[Problem]

    def line(self, path: Path = ()) -> int:
        return self.document.line_of(self.base + path)

    def problem(self, path: Path, message: str, hint: str = "") -> None:
        self.problems.append(
            Problem(message, _dotted(path), self.document.file, self.line(path), hint)
        )


def _dotted(path: Path) -> str:
    """`spec.volumes[0].name` for ("spec", "volumes", 0, "name")."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def parse(
    documents: Sequence[Document], edition: str, default_namespace: str = "default"
) -> list[Manifest]:
    """The objects of the documents in order, lists expanded; BadInput with every problem."""
    problems: list[Problem] = []
    manifests: list[Manifest] = []
    first: dict[tuple[str, str, str], Manifest] = {}
    for document in documents:
        for raw, base in _objects(document.value, ()):
            name = str(raw.get("kind")) if isinstance(raw, dict) else ""
            place = _Place(document, base, name, problems)
            kind = _kind_of(raw, place, edition)
            manifest = _manifest(raw, kind, place, default_namespace) if kind else None
            if manifest is None:
                continue
            earlier = first.setdefault((manifest.kind, manifest.namespace, manifest.name), manifest)
            if earlier is not manifest:
                where = f"{earlier.file}:{earlier.line}"
                message = f"{manifest.kind} {manifest.key} is already defined at {where}"
                place.problem(("metadata", "name"), message, "remove or rename one of them")
            manifests.append(manifest)
    if problems:
        files = {document.file: order for order, document in enumerate(documents)}
        raise BadInput(sorted(problems, key=lambda problem: (files[problem.file], problem.line)))
    return manifests


def _objects(value: Any, base: Path) -> Iterator[tuple[Any, Path]]:
    """The object itself, or the items of a List."""
    is_list = (
        isinstance(value, dict)
        and str(value.get("kind", "")).endswith("List")
        and isinstance(value.get("items"), list)
    )
    if not is_list:
        yield value, base
        return
    for index, item in enumerate(value["items"]):
        yield item, (*base, "items", index)


def _kind_of(raw: Any, place: _Place, edition: str) -> Kind | None:
    """The kind of an object if the edition serves it in that version; else a problem."""
    if not isinstance(raw, dict):
        place.problem((), f"expected an object with apiVersion and kind, got {_type_of(raw)}")
        return None
    name, api_version = raw.get("kind"), raw.get("apiVersion")
    if not isinstance(name, str) or not isinstance(api_version, str):
        for word, value in (("apiVersion", api_version), ("kind", name)):
            if not isinstance(value, str) or not value:
                place.problem((word,), f"expected a string, got {_type_of(value)}", "set it")
        return None
    kind = kinds(edition).get(name)
    message = f'no matches for kind "{name}" in version "{api_version}"'
    if kind is None:
        place.problem(("kind",), message, _kind_hint(name, edition))
    elif api_version not in kind.api_versions:
        expected = f"edition {edition} serves {', '.join(kind.api_versions)}"
        place.problem(("apiVersion",), message, expected)
    else:
        return kind
    return None


def _kind_hint(name: str, edition: str) -> str:
    others = [other for other, table in KINDS.items() if other != edition and name in table]
    if others:
        return f"edition {others[0]} has it, edition {edition} has not"
    guess = did_you_mean(name, list(kinds(edition)))
    return guess or f"expected one of {', '.join(sorted(kinds(edition)))}"


def _manifest(
    raw: dict[str, Any], kind: Kind, place: _Place, default_namespace: str
) -> Manifest | None:
    """The manifest with its faults noted, or None if it has no usable name.

    Only the name of a VM is left to admission, which answers with the rule that it breaks.
    """
    _check(raw, kind.shapes[raw["apiVersion"].rpartition("/")[2]], (), place)
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name, namespace = metadata.get("name"), metadata.get("namespace") or default_namespace
    if name is None or name == "":
        place.problem(("metadata", "name"), "Required value: name is required", "give it a name")
        return None
    if not isinstance(name, str) or not isinstance(namespace, str):
        return None
    own_namespace = namespace if kind.namespaced else ""
    wrong = None if kind.name == "VirtualMachine" else subdomain_problem(name)
    if wrong:
        place.problem(("metadata", "name"), f'Invalid value: "{name}": {wrong}', "rename it")
    if own_namespace and not is_label(own_namespace):
        message = f'Invalid value: "{namespace}": must be a DNS label (RFC 1123)'
        place.problem(("metadata", "namespace"), message, "lower-case letters, digits and '-'")
    return Manifest(kind.name, own_namespace, name, raw, place.document.file, place.line())


def _type_of(value: Any) -> str:
    for word, python in (("boolean", bool), *_TYPES.items(), ("number", float)):
        if isinstance(value, python):
            return word
    return "nothing"


def _check(value: Any, shape: Shape, path: Path, place: _Place) -> None:
    """Note all that is wrong with the value and below it."""
    if shape.type in _AMOUNTS:
        _check_amount(value, shape.type, path, place)
    elif shape.type not in (_type_of(value), "any"):
        scalar = not isinstance(value, dict | list | None)
        hint = "put it in quotes" if shape.type == "string" and scalar else ""
        place.problem(path, f"expected {shape.type}, got {_type_of(value)}", hint)
    elif shape.words and value not in shape.words:
        words = [word for word in shape.words if word]
        known = ", ".join(f'"{word}"' for word in words)
        message = f'Unsupported value: "{value}": supported values: {known}'
        place.problem(path, message, did_you_mean(value, words))
    elif isinstance(value, dict):
        _check_fields(value, shape, path, place)
    elif isinstance(value, list) and shape.items is not None:
        for index, item in enumerate(value):
            _check(item, shape.items, (*path, index), place)


def _count(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value <= _COUNT_MAX or isinstance(value, bool):
        raise ValueError(f"must be an integer between 0 and {_COUNT_MAX}")
    return value


_AMOUNTS: Mapping[str, tuple[Callable[[object], int], str]] = {
    "cpu": (cpu_milli, "write 500m or 2"),
    "memory": (memory_mib, "write 512Mi or 2Gi"),
    "count": (_count, "write a plain number"),
}


def _check_amount(value: Any, unit: str, path: Path, place: _Place) -> None:
    read, hint = _AMOUNTS[unit]
    try:
        read(value)
    except ValueError as error:
        place.problem(path, f"Invalid value: {value!r}: {error}", hint)


def _check_fields(value: Mapping[str, Any], shape: Shape, path: Path, place: _Place) -> None:
    """As `_check` for each field; a field of null counts as not given."""
    for name, item in value.items():
        if shape.fields is not None and name not in shape.fields:
            message = f'unknown field "{_dotted((*path, name))}"'
            elsewhere = spec_versions(place.kind, name) if path == ("spec",) else ()
            where = f"it is a field of {', '.join(elsewhere)}" if elsewhere else ""
            hint = did_you_mean(name, list(shape.fields)) or where
            place.problem((*path, name), message, hint)
            continue
        below = shape.fields[name] if shape.fields is not None else shape.items
        if below is not None and item is not None:
            _check(item, below, (*path, name), place)


def to_vm(manifest: Manifest, edition: str) -> VirtualMachine:
    """The VirtualMachine that a parsed manifest asks for; what it omits stays empty.

    `spec.image.name` goes before `spec.imageName`. `extra` keeps every field that `VMSpec` has no
    place for, and also `image` and `policies` as written (their kinds are there), and `imageName`
    if both image fields are given, for the rule that they must agree (I-03).
    """
    kinds(edition)
    spec = _given(manifest.raw.get("spec"))
    metadata = _given(manifest.raw.get("metadata"))
    image = _given(spec.get("image")).get("name") or ""
    extra = {name: v for name, v in spec.items() if name not in _OWN_FIELDS and v is not None}
    if image and spec.get("imageName"):
        extra["imageName"] = spec["imageName"]
    power = _capital(spec.get("powerState") or "")
    return VirtualMachine(
        key=f"{manifest.namespace}/{manifest.name}",
        labels=_words(metadata.get("labels")),
        annotations=_words(metadata.get("annotations")),
        spec=VMSpec(
            class_name=spec.get("className") or "",
            image_name=image or spec.get("imageName") or "",
            storage_class=spec.get("storageClass") or "",
            power_state=PowerState(power) if power else None,
            power_off_mode=_capital(spec.get("powerOffMode") or ""),
            restart_mode=_capital(spec.get("restartMode") or ""),
            next_restart_time=spec.get("nextRestartTime") or "",
            min_hardware_version=spec.get("minHardwareVersion") or 0,
            policies=tuple(item.get("name") or "" for item in spec.get("policies") or ()),
            extra=extra,
        ),
    )


def _given(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(value: Any) -> dict[str, str]:
    """Labels or annotations; null is the empty word."""
    return {name: word or "" for name, word in _given(value).items()}


def _capital(word: str) -> str:
    """The v1alpha2 spelling of a v1alpha1 word; a later spelling is kept."""
    return word[:1].upper() + word[1:]


def to_class(manifest: Manifest, edition: str) -> VMClass:
    """The VMClass of a parsed manifest: reservations of 0 if it has none, and a limit
    of 0 or none at all is None, unlimited (C-04). Of the configuration that it may bring only the
    firmware counts; its own hardware goes before the rest (C-11).

    A DirectPath I/O device is named `0x10de:0x1eb8`, with `:label` after it if it has a custom
    label, since such a device fits only hosts that carry the label.
    """
    kinds(edition)
    spec = _given(manifest.raw.get("spec"))
    hardware = _given(spec.get("hardware"))
    resources = _given(_given(spec.get("policies")).get("resources"))
    requests, limits = _given(resources.get("requests")), _given(resources.get("limits"))
    return VMClass(
        name=manifest.name,
        namespace=manifest.namespace,
        cpus=hardware.get("cpus") or 0,
        memory_mib=memory_mib(hardware.get("memory") or 0),
        cpu_reservation_milli=cpu_milli(requests.get("cpu") or 0),
        memory_reservation_mib=memory_mib(requests.get("memory") or 0),
        cpu_limit_milli=cpu_milli(limits.get("cpu") or 0) or None,
        memory_limit_mib=memory_mib(limits.get("memory") or 0) or None,
        devices=_devices(_given(hardware.get("devices"))),
        firmware=str(_given(spec.get("configSpec")).get("firmware") or ""),
    )


def _devices(devices: Mapping[str, Any]) -> dict[str, int]:
    """Units by device name, in the order of first mention (C-08)."""
    names = [item.get("profileName") or "" for item in devices.get("vgpuDevices") or ()]
    for item in devices.get("dynamicDirectPathIODevices") or ():
        label = item.get("customLabel")
        name = f"{item.get('vendorID') or 0:#06x}:{item.get('deviceID') or 0:#06x}"
        names.append(f"{name}:{label}" if label else name)
    return dict(Counter(names))
