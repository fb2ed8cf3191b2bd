"""May this VirtualMachine be created, changed or deleted, and what is added to it first?

An API server completes an object (defaults, the image a display name stands for) and then judges
it. Here both are one list of steps per edition and operation, in the order of the fields: a step
sees the draft, may complete it, and yields every reason to refuse. The answer is a value:
`Admitted` carries the completed object and advice, `Denied` carries all reasons at once.

A manifest is a plain dict in the newest version of its edition; without a namespace it belongs to
`default`. The class, and at 2023-03 the image, need not exist: that is found out later, and shown
as a condition (see `prerequisites`). Where the page and the code disagree `Terms.verdict` decides.
Privileged users, who may do more, are out of scope; so are feature gates, taken as by default off.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Protocol

from vmsim.bounds import class_refusals, refusals
from vmsim.editions import EDITION_2023_03, EDITION_2026_08, GROUP, Edition
from vmsim.names import host_name_warning, is_label, subdomain_problem
from vmsim.objects import ZONE_LABEL, PowerState
from vmsim.rules import ErrorKind, FieldError, Raw, Verdict, denials, dig, printed

NO_DEFAULT_NIC = "vmoperator.vmware.com/no-default-nic"
DEFAULT_NETWORK = "VM Network"
NAMESPACED_IMAGE = "VirtualMachineImage"
CLUSTER_IMAGE = "ClusterVirtualMachineImage"
WINDOWS_NAME_MAX = 15
FQDN_MAX = 255


class ImageRef(Protocol):
    """An image as admission sees it: object name, and kind (namespaced or cluster-wide)."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...


class AdmissionCatalog(Protocol):
    """What admission asks about the objects beside the VM."""

    def image_matches(self, namespace: str, name: str) -> Sequence[ImageRef]: ...
    def storage_class(self, name: str) -> object | None: ...
    def storage_class_in_namespace(self, namespace: str, name: str) -> bool: ...
    def zones(self, namespace: str) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What a request is judged by; `now` is the time that a restart asked for `now` gets."""

    catalog: AdmissionCatalog
    edition: Edition
    verdict: Verdict = Verdict.DOCUMENT
    now: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The object to store, completed, and the advice to print."""

    raw: dict[str, Any]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Denied:
    """Every reason for which the object is refused; prints as the API server's message."""

    errors: tuple[FieldError, ...]
    name: str = ""
    kind: str = "VirtualMachine"

    def __str__(self) -> str:
        texts = list(dict.fromkeys(str(error) for error in self.errors))
        shown = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        return f'{self.kind}.{GROUP} "{self.name}" is invalid: {shown}'


@dataclass(frozen=True, slots=True)
class _Draft:
    """An object under judgement: `raw` is a copy that steps complete, `old` what is stored."""

    raw: dict[str, Any]
    old: Raw
    terms: Terms

    @property
    def name(self) -> str:
        return str(dig(self.raw, "metadata", "name") or "")

    @property
    def namespace(self) -> str:
        return str(dig(self.raw, "metadata", "namespace") or "default")

    def spec(self, *keys: str) -> object:
        return dig(self.raw, "spec", *keys)

    def complete(self, *keys: str, value: object) -> None:
        """Set a field of the spec, with the objects around it."""
        place = self.raw
        for key in ("spec", *keys[:-1]):
            if not isinstance(place.get(key), dict):
                place[key] = {}
            place = place[key]
        place[keys[-1]] = value


Step = Callable[[_Draft], Iterator[FieldError]]


def admit_create(raw: Raw, terms: Terms) -> Admitted | Denied:
    """Whether a new VM may be stored, completed; `raw` itself is left alone."""
    return _judged(_Draft(deepcopy(dict(raw)), {}, terms), _CREATE[terms.edition.name])


def admit_update(old: Raw, new: Raw, terms: Terms) -> Admitted | Denied:
    """Whether `new` may take the place of the stored `old`; both are whole objects."""
    return _judged(_Draft(deepcopy(dict(new)), old, terms), _UPDATE[terms.edition.name])


def admit_class(raw: Raw) -> Admitted | Denied:
    """Whether a new VirtualMachineClass may be stored."""
    errors = tuple(class_refusals(raw))
    name = str(dig(raw, "metadata", "name"))
    return Denied(errors, name, "VirtualMachineClass") if errors else Admitted(dict(raw))


def admit_delete(raw: Raw) -> Admitted:
    """A delete is always admitted (N-12)."""
    return Admitted(dict(raw))


def _judged(draft: _Draft, steps: Sequence[Step]) -> Admitted | Denied:
    errors = tuple(error for step in steps for error in step(draft))
    return Denied(errors, draft.name) if errors else Admitted(draft.raw, _warnings(draft))


def _invalid(place: str, value: object, detail: str, rule: str) -> FieldError:
    return FieldError(place, ErrorKind.INVALID, detail, rule, printed(value))


def _required(place: str, rule: str) -> FieldError:
    return FieldError(place, ErrorKind.REQUIRED, "", rule)


def _name(draft: _Draft) -> Iterator[FieldError]:
    if problem := subdomain_problem(draft.name):
        yield _invalid("metadata.name", draft.name, problem, "NAME-1")


def _host_name(draft: _Draft) -> Iterator[FieldError]:
    if draft.terms.verdict is Verdict.CODE and subdomain_problem(draft.name) is None:
        yield from _host_name_problems(draft)


def _host_name_problems(draft: _Draft) -> Iterator[FieldError]:
    """At most one: what makes the guest's effective host name unfit (N-02)."""
    given, domain = draft.spec("network", "hostName"), draft.spec("network", "domainName")
    host, place = (given, "spec.network.hostName") if given else (draft.name, "metadata.name")
    host, fqdn = str(host), f"{host}.{domain}"
    if not is_label(host.lower()) and not _is_ip(host):
        yield _invalid(place, host, "host name must adhere to RFC-1123", "NAME-3")
    elif domain and _is_ip(host):
        detail = "host name may not be IP address when domain name is non-empty"
        yield _invalid(place, host, detail, "NAME-3")
    elif _is_windows(draft) and len(host) > WINDOWS_NAME_MAX:
        yield _invalid(place, host, "host name may not exceed 15 characters for Windows", "NAME-4")
    elif domain and len(fqdn) > FQDN_MAX:
        detail = "host name and domain name combined exceed 255 characters"
        yield _invalid("spec.network", fqdn, detail, "NAME-3")


def _is_windows(draft: _Draft) -> bool:
    bootstrap = draft.spec("bootstrap")
    return isinstance(bootstrap, Mapping) and bootstrap.get("sysprep") is not None


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _warnings(draft: _Draft) -> tuple[str, ...]:
    """Advice about an object that is admitted (S-14): under the page's verdict, the code's rule."""
    if not draft.spec("network", "hostName") and (warning := host_name_warning(draft.name)):
        return (warning,)
    return tuple(f"{error.field}: {error.detail}" for error in _host_name_problems(draft))


def _zone(draft: _Draft) -> Iterator[FieldError]:
    """Z-02, Z-03: the label names a zone that exists; one that does not change is left alone."""
    zone = dig(draft.raw, "metadata", "labels", ZONE_LABEL)
    if zone is None or zone == dig(draft.old, "metadata", "labels", ZONE_LABEL):
        return
    if str(zone) not in draft.terms.catalog.zones(draft.namespace):
        detail = f'AvailabilityZone.topology.tanzu.vmware.com "{zone}" not found'
        yield _invalid(f"metadata.labels[{ZONE_LABEL}]", zone, detail, "ZONE-1")


def _image_name(draft: _Draft) -> Iterator[FieldError]:
    if draft.spec("imageName") is None:
        yield _required("spec.imageName", "IMAGE-1")


def _image(draft: _Draft) -> Iterator[FieldError]:
    """I-01, I-02, I-03: `imageName` is resolved to `image`, and both mean the same."""
    wanted, reference = draft.spec("imageName"), draft.spec("image")
    if wanted is None and reference is None:
        yield _required("spec.image", "IMAGE-1")
    if reference is not None:
        yield from _image_kind(draft)
    if wanted is None:
        return
    name = str(wanted)
    found = _resolve(name, draft)
    if isinstance(found, FieldError):
        yield found
    elif reference is None:
        draft.complete("image", value={"kind": found.kind, "name": found.name})
    elif (found.kind, found.name) != (draft.spec("image", "kind"), draft.spec("image", "name")):
        detail = "must refer to the same resource as spec.image"
        yield _invalid("spec.imageName", name, detail, "IMAGE-4")


def _image_kind(draft: _Draft) -> Iterator[FieldError]:
    kind, place = draft.spec("image", "kind"), "spec.image.kind"
    detail = f"supported: {NAMESPACED_IMAGE}; {CLUSTER_IMAGE}"
    if kind is None:
        yield FieldError(place, ErrorKind.REQUIRED, detail, "IMAGE-3")
    elif kind not in (NAMESPACED_IMAGE, CLUSTER_IMAGE):
        yield _invalid(place, kind, detail, "IMAGE-3")


def _resolve(name: str, draft: _Draft) -> ImageRef | FieldError:
    """The one image that `name` stands for, or why there is none."""
    found = draft.terms.catalog.image_matches(draft.namespace, name)
    if len(found) == 1:
        return found[0]
    if not found:
        detail = f'no VM image exists for "{name}" in namespace or cluster scope'
        return FieldError("spec.imageName", ErrorKind.NOT_FOUND, detail, "IMAGE-2", printed(name))
    words = {NAMESPACED_IMAGE: "namespace", CLUSTER_IMAGE: "cluster"}
    kinds = {image.kind for image in found}
    scope = " and ".join(word for kind, word in words.items() if kind in kinds)
    detail = f'multiple VM images exist for "{name}" in {scope} scope'
    return _invalid("spec.imageName", name, detail, "IMAGE-2")


def _class(draft: _Draft) -> Iterator[FieldError]:
    if draft.spec("className") is None:
        yield _required("spec.className", "CLASS-1")


def _storage(draft: _Draft) -> Iterator[FieldError]:
    """S-19 against ST-02: the page requires a storage class, the code admits none."""
    name, place = draft.spec("storageClass"), "spec.storageClass"
    if name is None:
        if draft.terms.verdict is Verdict.DOCUMENT:
            yield _required(place, "STORAGE-1")
        return
    exists = draft.terms.catalog.storage_class(str(name)) is not None
    if exists and draft.terms.catalog.storage_class_in_namespace(draft.namespace, str(name)):
        return
    detail = f"Storage policy is not associated with the namespace {draft.namespace}"
    if draft.terms.edition is EDITION_2026_08:
        missing = f'StorageClass.storage.k8s.io "{name}" not found'
        detail = f"{detail} by object {name}" if exists else missing
    yield _invalid(place, name, detail, "STORAGE-2")


def _default_nic_2023(draft: _Draft) -> Iterator[FieldError]:
    """NW-01, and NW-02 below: as with the provider of named networks."""
    if not _declines_nic(draft) and draft.spec("networkInterfaces") is None:
        draft.complete("networkInterfaces", value=[{"networkName": DEFAULT_NETWORK}])
    return iter(())


def _default_nic_2026(draft: _Draft) -> Iterator[FieldError]:
    disabled = draft.spec("network", "disabled") is True or _declines_nic(draft)
    if not disabled and draft.spec("network", "interfaces") is None:
        nic = {"name": "eth0", "network": {"name": DEFAULT_NETWORK}}
        draft.complete("network", "interfaces", value=[nic])
    return iter(())


def _declines_nic(draft: _Draft) -> bool:
    annotations = dig(draft.raw, "metadata", "annotations")
    return isinstance(annotations, Mapping) and NO_DEFAULT_NIC in annotations


def _power_words(draft: _Draft) -> Iterator[FieldError]:
    power, words = draft.spec("powerState"), sorted(draft.terms.edition.power_words.values())
    if power is not None and str(power).lower() not in [word.lower() for word in words]:
        detail = "supported values: " + ", ".join(printed(word) for word in words)
        unsupported = (ErrorKind.UNSUPPORTED, detail, "POWER-2", printed(power))
        yield FieldError("spec.powerState", *unsupported)


def _power_stated(draft: _Draft) -> Iterator[FieldError]:
    if draft.spec("powerState") is None:
        yield _required("spec.powerState", "POWER-1")
    yield from _power_words(draft)


def _power_on_create(draft: _Draft) -> Iterator[FieldError]:
    if draft.spec("powerState") is None:
        draft.complete("powerState", value=PowerState.ON.value)
    if draft.spec("powerState") == PowerState.SUSPENDED:
        detail = "cannot set a new VM's power state to Suspended"
        yield _invalid("spec.powerState", PowerState.SUSPENDED, detail, "POWER-4")
    yield from _power_words(draft)


def _power_off_mode(draft: _Draft) -> Iterator[FieldError]:
    if draft.spec("powerOffMode") is None:
        draft.complete("powerOffMode", value=draft.terms.edition.power_off_mode)
    return iter(())


def _power_on_update(draft: _Draft) -> Iterator[FieldError]:
    old, new = dig(draft.old, "spec", "powerState"), draft.spec("powerState")
    if new is None:
        yield _invalid("spec.powerState", "", "cannot set power state to empty string", "POWER-5")
    elif (old, new) == (PowerState.OFF, PowerState.SUSPENDED):
        detail = "cannot suspend a VM that is powered off"
        yield _invalid("spec.powerState", new, detail, "POWER-6")
    yield from _power_words(draft)


def _restart_on_create(draft: _Draft) -> Iterator[FieldError]:
    if (asked := draft.spec("nextRestartTime")) is not None:
        yield _invalid("spec.nextRestartTime", asked, "cannot restart VM on create", "RESTART-1")


def _restart_on_update(draft: _Draft) -> Iterator[FieldError]:
    """P-18, M-15: `now` becomes the time of the request, nothing else may be asked for."""
    asked, stored = draft.spec("nextRestartTime"), dig(draft.old, "spec", "nextRestartTime")
    detail = ""
    if asked == stored:
        return
    if asked is None:
        draft.complete("nextRestartTime", value=stored)
    elif str(asked).lower() != "now":
        detail = 'may only be set to "now"'
    elif dig(draft.old, "spec", "powerState") != PowerState.ON:
        detail = "can only restart powered on vm"
    elif not draft.terms.now:
        detail = "mutation webhooks are required to restart VM"
    else:
        draft.complete("nextRestartTime", value=draft.terms.now)
    if detail:
        yield _invalid("spec.nextRestartTime", asked, detail, "RESTART-2")


def _kept_secret_name(draft: _Draft) -> Iterator[FieldError]:
    """M-15: an update that empties the secret's name, but keeps vmMetadata, keeps the name too."""
    stored = dig(draft.old, "spec", "vmMetadata", "secretName")
    if stored and draft.spec("vmMetadata") and not draft.spec("vmMetadata", "secretName"):
        draft.complete("vmMetadata", "secretName", value=stored)
    return iter(())


def _refused_changes(draft: _Draft) -> Iterator[FieldError]:
    return iter(denials(draft.old, draft.raw, draft.terms.edition, draft.terms.verdict))


def _bounds(draft: _Draft) -> Iterator[FieldError]:
    return refusals(draft.raw, draft.old, draft.terms.edition)


_CREATE: Mapping[str, tuple[Step, ...]] = {
    EDITION_2023_03.name: (
        *(_name, _zone, _image_name, _class, _storage),
        *(_default_nic_2023, _power_stated, _bounds),
    ),
    EDITION_2026_08.name: (
        *(_name, _host_name, _zone, _image, _class, _storage),
        *(_default_nic_2026, _power_on_create, _power_off_mode),
        *(_restart_on_create, _bounds),
    ),
}
_UPDATE: Mapping[str, tuple[Step, ...]] = {
    EDITION_2023_03.name: (*(_kept_secret_name, _refused_changes, _zone, _power_stated, _bounds),),
    EDITION_2026_08.name: (
        *(_host_name, _refused_changes, _zone),
        *(_power_on_update, _restart_on_update, _bounds),
    ),
}
