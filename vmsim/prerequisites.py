"""Does everything that this VM names exist, and may its namespace use it?

A VM may name a class that nobody made yet: the object is admitted, nothing is built, and a
condition tells what is missing until it appears. At 2023-03 one condition gives the first thing
that is missing (Q-13); at 2026-08 class, image and storage have a condition each, all set at once.
Of the storage class the admission already asked whether it exists, but it may have gone since.
Sources: facts 4.2, C-01, C-02, I-05, I-06, ST-03, ST-05.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from vmsim.editions import EDITION_2023_03, EDITION_2026_08, GROUP, Edition
from vmsim.objects import Condition, VirtualMachine

PREREQ_READY = "VirtualMachinePrereqReady"
CLASS_READY = "VirtualMachineClassReady"
IMAGE_READY = "VirtualMachineImageReady"
STORAGE_READY = "VirtualMachineStorageReady"
IMAGE_KINDS = ("VirtualMachineImage", "ClusterVirtualMachineImage")


class ImageState(Protocol):
    """An image as this module sees it: `reason` is why it is not ready, '' if it gives none."""

    @property
    def name(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def ready(self) -> bool: ...
    @property
    def reason(self) -> str: ...


class StorageState(Protocol):
    """A storage class as this module sees it."""

    @property
    def policy_id(self) -> str: ...


ImageT = TypeVar("ImageT", bound=ImageState)


class PrerequisiteCatalog(Protocol[ImageT]):
    """What is asked about the objects that a VM names; `content_source_reason` '' means usable."""

    def vm_class(self, namespace: str, name: str) -> object | None: ...
    def class_bound(self, namespace: str, name: str) -> bool: ...
    def image(self, namespace: str, name: str) -> ImageT | None: ...
    def image_object(self, namespace: str, name: str, kind: str = "") -> ImageT | None: ...
    def content_source_reason(self, namespace: str, image: ImageT) -> str: ...
    def storage_class(self, name: str) -> StorageState | None: ...


def prerequisites(
    vm: VirtualMachine, catalog: PrerequisiteCatalog[ImageT], edition: Edition
) -> tuple[Condition, ...]:
    """The conditions about what the VM names, true or false, in the order of their discovery."""
    return _EDITIONS[edition.name](vm, catalog)


def unmet(conditions: Iterable[Condition]) -> list[Condition]:
    """Those that keep the VM from being built."""
    return [condition for condition in conditions if condition.status != "True"]


def _first_missing(
    vm: VirtualMachine, catalog: PrerequisiteCatalog[ImageT]
) -> tuple[Condition, ...]:
    """2023-03: one condition; when false its severity is Error."""
    for step in (_class_2023, _image_2023):
        reason, message = step(vm, catalog)
        if reason:
            return (Condition(PREREQ_READY, "False", reason, message),)
    return (Condition(PREREQ_READY, "True"),)


def _class_2023(vm: VirtualMachine, catalog: PrerequisiteCatalog[ImageT]) -> tuple[str, str]:
    name, namespace = vm.spec.class_name, vm.namespace
    if catalog.vm_class(namespace, name) is None:
        return "VirtualMachineClassNotFound", f"Failed to get VirtualMachineClass: {name}"
    if not catalog.class_bound(namespace, name):
        message = f"Namespace {namespace} does not have access to VirtualMachineClass {name}"
        return "VirtualMachineClassBindingNotFound", message
    return "", ""


def _image_2023(vm: VirtualMachine, catalog: PrerequisiteCatalog[ImageT]) -> tuple[str, str]:
    """The chain image, its provider, its source, the namespace's binding to that (I-05)."""
    name, namespace = vm.spec.image_name, vm.namespace
    image = catalog.image(namespace, name)
    if image is None:
        return "VirtualMachineImageNotFound", f"Failed to get VirtualMachineImage: {name}"
    if not image.ready:
        return "VirtualMachineImageNotReady", f"VM's image provider is not ready: {name}"
    reason = catalog.content_source_reason(namespace, image)
    if reason == "ContentLibraryProviderNotFound":
        return reason, f"Failed to get ContentLibraryProvider: {image.provider}"
    source = f"ContentSource {image.provider}" if image.provider else "any ContentSource"
    refused = f"Namespace {namespace} does not have access to {source}"
    return reason, f"{refused} for VirtualMachineImage {name}" if reason else ""


def _all_at_once(vm: VirtualMachine, catalog: PrerequisiteCatalog[ImageT]) -> tuple[Condition, ...]:
    """2026-08: a condition each for class, image and storage."""
    found = (
        (CLASS_READY, _class_2026(vm, catalog)),
        (IMAGE_READY, _image_2026(vm, catalog)),
        (STORAGE_READY, _storage_2026(vm, catalog)),
    )
    return tuple(
        Condition(kind, "False", reason, message) if reason else Condition(kind, "True", "True")
        for kind, (reason, message) in found
    )


def _class_2026(vm: VirtualMachine, catalog: PrerequisiteCatalog[ImageT]) -> tuple[str, str]:
    if catalog.vm_class(vm.namespace, vm.spec.class_name) is None:
        return "NotFound", f'VirtualMachineClass.{GROUP} "{vm.spec.class_name}" not found'
    return "", ""


def _image_2026(vm: VirtualMachine, catalog: PrerequisiteCatalog[ImageT]) -> tuple[str, str]:
    """I-06."""
    name, kind = vm.spec.image_name, _image_kind(vm)
    if not name:
        return "NotSet", ""
    if kind and kind not in IMAGE_KINDS:
        return "UnknownKind", kind
    image = named_image(vm, catalog)
    if image is None:
        return "NotFound", f'{kind or IMAGE_KINDS[0]}.{GROUP} "{name}" not found'
    if not image.ready:
        return image.reason or "NotReady", "VirtualMachineImage is not ready"
    return "", ""


def named_image(vm: VirtualMachine, catalog: PrerequisiteCatalog[ImageT]) -> ImageT | None:
    """The image that the VM names; a reference without a kind is looked up by name, as
    `spec.imageName` is."""
    name, kind = vm.spec.image_name, _image_kind(vm)
    if kind:
        return catalog.image_object(vm.namespace, name, kind)
    return catalog.image(vm.namespace, name)


def _image_kind(vm: VirtualMachine) -> str:
    reference = vm.spec.extra.get("image")
    return str(reference.get("kind") or "") if isinstance(reference, Mapping) else ""


def _storage_2026(vm: VirtualMachine, catalog: PrerequisiteCatalog[ImageT]) -> tuple[str, str]:
    """ST-03 and ST-05: a storage class is needed, exists, and names a storage policy."""
    name = vm.spec.storage_class
    if not name:
        return "StorageClassRequired", "StorageClass is required but not specified"
    storage = catalog.storage_class(name)
    if storage is None:
        return "NotFound", f'StorageClass.storage.k8s.io "{name}" not found'
    if not storage.policy_id:
        return "GetError", f'StorageClass "{name}" does not have "storagePolicyID" parameter'
    return "", ""


_EDITIONS: Mapping[str, Callable[[VirtualMachine, Any], tuple[Condition, ...]]] = {
    EDITION_2023_03.name: _first_missing,
    EDITION_2026_08.name: _all_at_once,
}
