"""What stands around the VMs: classes, images, storage, zones, namespaces?

Admission and reconcile ask the same few questions about every VM ("does this class exist here?"),
so the catalog answers each from an index and never by search. It holds the manifests of all kinds
but VirtualMachine; editions differ in scope and in what binds an object to a namespace. `version`
grows with each change, so a reader can tell whether an answer it kept may be stale.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vmsim.kinds import kinds, resolve
from vmsim.manifests import Manifest, to_class
from vmsim.objects import ZONE_LABEL, VMClass

IMAGE_KINDS = ("VirtualMachineImage", "ClusterVirtualMachineImage")
IMAGE_PREFIX = "vmi-"
BUILT_IN_NAMESPACES = frozenset(("default", "kube-node-lease", "kube-public", "kube-system"))
PROVIDER_NOT_FOUND = "ContentLibraryProviderNotFound"
CLAIM_TOPOLOGY = (
    "csi.vsphere.volume-accessible-topology",
    "csi.vsphere.volume-requested-topology",
)
"""Annotations of a claim that name zones: of a volume that there is, before a wish for one."""

BINDING_NOT_FOUND = "ContentSourceBindingNotFound"

_SEED = "2023-03"
_QUOTA_MARK = ".storageclass.storage.k8s.io/"

_Key = tuple[str, str]
_Index = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ImageSeen:
    """An image object: `display_name` is what users may call it, `reason` why it is not ready."""

    kind: str
    namespace: str
    name: str
    display_name: str = ""
    provider: str = ""
    ready: bool = True
    reason: str = ""
    firmware: str = ""


@dataclass(frozen=True, slots=True)
class StorageClassSeen:
    """A storage class; `policy_id` is '' if its parameters name no storage policy (ST-05)."""

    name: str
    policy_id: str = ""


class Catalog:
    """The objects of the API besides VMs, with constant-time answers about them."""

    def __init__(self, edition: str) -> None:
        self.edition = edition
        self.version = 0
        self._kinds = kinds(edition)
        self._objects: dict[str, dict[_Key, Manifest]] = {name: {} for name in self._kinds}
        self._classes: dict[_Key, VMClass] = {}
        self._images: dict[tuple[str, str, str], ImageSeen] = {}
        self._index: dict[_Index, dict[tuple[str, str, str], None]] = {}

    def put(self, manifest: Manifest) -> None:
        """Add or replace an object; the same object again changes nothing."""
        if manifest.kind == "VirtualMachine" or manifest.kind not in self._objects:
            raise ValueError(f"the catalog of {self.edition} keeps no {manifest.kind}")
        key = (manifest.namespace, manifest.name)
        before = self._objects[manifest.kind].get(key)
        if before is not None and before.raw == manifest.raw:
            return
        vm_class = to_class(manifest, self.edition) if _is_class(manifest) else None
        self._forget(before)
        self._objects[manifest.kind][key] = manifest
        if vm_class is not None:
            self._classes[key] = vm_class
        if manifest.kind in IMAGE_KINDS:
            self._images[(manifest.kind, *key)] = _image_seen(manifest)
        for index in _index_keys(manifest):
            self._index.setdefault(index, {})[(manifest.kind, *key)] = None
        self.version += 1

    def remove(self, kind: str, namespace: str, name: str) -> bool:
        """Take an object out; whether it was there."""
        found = self._objects[resolve(kind, self.edition).name].get((namespace, name))
        self._forget(found)
        self.version += found is not None
        return found is not None

    def _forget(self, manifest: Manifest | None) -> None:
        if manifest is None:
            return
        key = (manifest.namespace, manifest.name)
        del self._objects[manifest.kind][key]
        if _is_class(manifest):
            self._classes.pop(key)
        self._images.pop((manifest.kind, *key), None)
        for index in _index_keys(manifest):
            members = self._index[index]
            members.pop((manifest.kind, *key), None)
            if not members:
                del self._index[index]

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object, or None; for a cluster-scoped kind any namespace will do."""
        row = resolve(kind, self.edition)
        return self._objects[row.name].get((namespace if row.namespaced else "", name))

    def objects(self, kind: str, namespace: str | None = None) -> list[Manifest]:
        """Objects of a kind by namespace and name; of all namespaces if None is given.

        For a cluster-scoped kind the namespace is ignored, as `kubectl -n` does (S-16, S-18).
        """
        row = resolve(kind, self.edition)
        all_of_kind = sorted(self._objects[row.name].items())
        every = namespace is None or not row.namespaced
        return [manifest for (at, _), manifest in all_of_kind if every or at == namespace]

    def vm_class(self, namespace: str, name: str) -> VMClass | None:
        """The class a VM of the namespace means: cluster-scoped at 2023-03 (C-01, C-02)."""
        return self._classes.get((self._scope("VirtualMachineClass", namespace), name))

    def class_bound(self, namespace: str, name: str) -> bool:
        """Whether the namespace may use the class; later editions ask for no binding (C-02)."""
        return self.edition != _SEED or ("class-binding", namespace, name) in self._index

    def image(self, namespace: str, name: str) -> ImageSeen | None:
        """The one image that `spec.imageName` means here; None if there is none, or several."""
        matches = self.image_matches(namespace, name)
        return matches[0] if len(matches) == 1 else None

    def image_matches(self, namespace: str, name: str) -> tuple[ImageSeen, ...]:
        """All images the name may mean, the namespace's before the cluster's (I-02).

        At 2023-03, and for a name that starts with `vmi-`, it is an object's name and at most one
        matches; any other name is a display name, matched over both scopes.
        """
        if self.edition == _SEED or name.startswith(IMAGE_PREFIX):
            found = self.image_object(namespace, name)
            return (found,) if found else ()
        members = [
            member
            for scope in (namespace, "")
            for member in self._index.get(("image", scope, name), ())
        ]
        return tuple(self._images[member] for member in members)

    def image_object(self, namespace: str, name: str, kind: str = "") -> ImageSeen | None:
        """The image object of this name, as `spec.image` means it; of any image kind if none."""
        for option in (kind,) if kind else IMAGE_KINDS:
            if option in self._kinds:
                found = self._images.get((option, self._scope(option, namespace), name))
                if found is not None:
                    return found
        return None

    def image_ready(self, namespace: str, name: str) -> bool:
        """Whether the name means exactly one image and that one can be deployed (I-06)."""
        image = self.image(namespace, name)
        return image is not None and image.ready

    def content_source_bound(self, namespace: str, image: ImageSeen) -> bool:
        """Whether the image's library is bound to the namespace; always so after 2023-03."""
        return self.content_source_reason(namespace, image) == ""

    def content_source_reason(self, namespace: str, image: ImageSeen) -> str:
        """'' if the image may be used here, or the reason that I-05 gives for the broken link.

        The chain is image, ContentLibraryProvider, ContentSource, ContentSourceBinding. An image
        that names no provider stands for one of any library, so any binding of the namespace does.
        """
        if self.edition != _SEED:
            return ""
        if not image.provider:
            bound = ("any-source-binding", namespace, "") in self._index
            return "" if bound else BINDING_NOT_FOUND
        provider = self._objects["ContentLibraryProvider"].get(("", image.provider))
        if provider is None:
            return PROVIDER_NOT_FOUND
        members = self._index.get(("sources", "", image.provider), {})
        sources = {name for _, _, name in members} | set(_owners(provider, "ContentSource"))
        known = self._objects["ContentSource"]
        bound = any(
            ("", source) in known and ("source-binding", namespace, source) in self._index
            for source in sources
        )
        return "" if bound else BINDING_NOT_FOUND

    def storage_class(self, name: str) -> StorageClassSeen | None:
        """The storage class, or None."""
        found = self._objects["StorageClass"].get(("", name))
        if found is None:
            return None
        return StorageClassSeen(name, str(_at(found.raw, "parameters").get("storagePolicyID", "")))

    def storage_class_in_namespace(self, namespace: str, name: str) -> bool:
        """Whether a quota of the namespace names the class (ST-01), or its policy (ST-04)."""
        if ("quota", namespace, name) in self._index:
            return True
        seen = self.storage_class(name)
        policy = seen.policy_id if seen else ""
        return bool(policy) and ("policy-quota", namespace, policy) in self._index

    def zones(self, namespace: str) -> tuple[str, ...]:
        """Names of the zones that the namespace may use, sorted.

        Zone objects of the namespace if it has any, else each AvailabilityZone that names the
        namespace, or names none.
        """
        found = self._index.get(("zone", namespace, "")) or {
            **self._index.get(("zone-for", namespace, ""), {}),
            **self._index.get(("zone-for-all", "", ""), {}),
        }
        return tuple(sorted(name for _, _, name in found))

    def claim_zones(self, namespace: str, name: str) -> tuple[str, ...]:
        """The zones of a claim: where its volume is, or may be made; () when none is named."""
        found = self.get("PersistentVolumeClaim", namespace, name)
        notes = _at(found.raw, "metadata", "annotations") if found else {}
        try:
            segments = json.loads(
                next((notes[key] for key in CLAIM_TOPOLOGY if key in notes), "[]")
            )
        except (TypeError, ValueError):
            return ()
        return tuple(str(one[ZONE_LABEL]) for one in _mappings(segments) if ZONE_LABEL in one)

    def namespace_exists(self, namespace: str) -> bool:
        """Whether the namespace was made; Kubernetes makes a few of its own."""
        built_in = namespace in BUILT_IN_NAMESPACES
        return built_in or ("", namespace) in self._objects["Namespace"]

    def _scope(self, kind: str, namespace: str) -> str:
        return namespace if self._kinds[kind].namespaced else ""


def _is_class(manifest: Manifest) -> bool:
    return manifest.kind == "VirtualMachineClass"


def _at(raw: Any, *path: str) -> dict[str, Any]:
    """The mapping at the path, or {} where there is none."""
    for step in path:
        raw = raw.get(step) if isinstance(raw, dict) else None
    return raw if isinstance(raw, dict) else {}


def _mappings(value: Any) -> list[dict[str, Any]]:
    """The items of a list that are mappings; none of anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _owners(manifest: Manifest, kind: str) -> Iterator[str]:
    """Names of the owners of that kind."""
    for owner in _mappings(_at(manifest.raw, "metadata").get("ownerReferences")):
        if owner.get("kind") == kind:
            yield str(owner.get("name", ""))


def _image_seen(manifest: Manifest) -> ImageSeen:
    """An image is ready unless a condition says otherwise: a hand-written one has no conditions."""
    spec, status = _at(manifest.raw, "spec"), _at(manifest.raw, "status")
    reference = _at(spec, "providerRef")
    provider = ""
    if reference.get("kind", "ContentLibraryProvider") == "ContentLibraryProvider":
        provider = str(reference.get("name") or "")
    conditions = _mappings(status.get("conditions"))
    failing = [condition for condition in conditions if condition.get("status") != "True"]
    return ImageSeen(
        kind=manifest.kind,
        namespace=manifest.namespace,
        name=manifest.name,
        display_name=str(status.get("name") or status.get("imageName") or ""),
        provider=provider or next(_owners(manifest, "ContentLibraryProvider"), ""),
        ready=not failing,
        firmware=str(status.get("firmware") or ""),
        reason=str(failing[0].get("reason") or "") if failing else "",
    )


def _image_keys(manifest: Manifest) -> list[_Index]:
    display_name = _image_seen(manifest).display_name
    return [("image", manifest.namespace, display_name)] if display_name else []


def _class_binding_keys(manifest: Manifest) -> list[_Index]:
    name = _at(manifest.raw, "classRef").get("name")
    return [("class-binding", manifest.namespace, str(name))]


def _source_keys(manifest: Manifest) -> list[_Index]:
    return [("sources", "", str(_at(manifest.raw, "spec", "providerRef").get("name")))]


def _source_binding_keys(manifest: Manifest) -> list[_Index]:
    name = _at(manifest.raw, "contentSourceRef").get("name")
    at = manifest.namespace
    return [("source-binding", at, str(name)), ("any-source-binding", at, "")]


def _quota_keys(manifest: Manifest) -> list[_Index]:
    limits = _at(manifest.raw, "spec", "hard")
    names = (key.partition(_QUOTA_MARK)[0] for key in limits if _QUOTA_MARK in key)
    return [("quota", manifest.namespace, name) for name in names]


def _policy_quota_keys(manifest: Manifest) -> list[_Index]:
    policy = _at(manifest.raw, "spec").get("storagePolicyId")
    return [("policy-quota", manifest.namespace, str(policy))] if policy else []


def _zone_keys(manifest: Manifest) -> list[_Index]:
    return [("zone", manifest.namespace, "")]


def _availability_zone_keys(manifest: Manifest) -> list[_Index]:
    namespaces = _at(manifest.raw, "spec", "namespaces")
    return [("zone-for", name, "") for name in namespaces] or [("zone-for-all", "", "")]


_ROWS: Mapping[str, Callable[[Manifest], list[_Index]]] = {
    "VirtualMachineImage": _image_keys,
    "ClusterVirtualMachineImage": _image_keys,
    "VirtualMachineClassBinding": _class_binding_keys,
    "ContentSource": _source_keys,
    "ContentSourceBinding": _source_binding_keys,
    "ResourceQuota": _quota_keys,
    "StoragePolicyQuota": _policy_quota_keys,
    "Zone": _zone_keys,
    "AvailabilityZone": _availability_zone_keys,
}


def _index_keys(manifest: Manifest) -> list[_Index]:
    """The questions that the object answers, as (question, namespace, word)."""
    keys = _ROWS.get(manifest.kind)
    return keys(manifest) if keys else []
