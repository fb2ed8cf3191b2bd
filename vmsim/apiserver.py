"""The Kubernetes API as users meet it: apply, patch, delete, and what the server keeps.

Every request is admitted or denied as a whole. Accepted VirtualMachines are stored with their
generation, resource version and finalizer, and whoever watches is told the key. Objects of other
kinds go to the catalog. Nothing here acts on a VM; that is the VM role's work.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final

from vmsim.admission import Admitted, Denied, Terms, admit_class, admit_create, admit_update
from vmsim.catalog import Catalog
from vmsim.documents import Document, Lines
from vmsim.editions import GROUP, Edition
from vmsim.manifests import Manifest, parse, to_vm
from vmsim.objects import VirtualMachine
from vmsim.problems import BadInput
from vmsim.rendering import instant, to_raw
from vmsim.rules import ErrorKind, FieldError, Verdict
from vmsim.trace import Trace

VM_KIND, CLASS_KIND = "VirtualMachine", "VirtualMachineClass"
_REMOVABLE: Final = ("labels", "annotations")

Watcher = Callable[[str], None]


class ApiServer:
    """The store of one run; `now` gives the simulated second.

    Who makes a request as the last thing of an event may do so between `hold` and `let_go`: its
    watcher then acts in the same event, if it can. `finalized` is told of a VM whose finalizer came
    or went.
    """

    def __init__(
        self, now: Callable[[], float], catalog: Catalog, edition: Edition, trace: Trace
    ) -> None:
        self.vms: dict[str, VirtualMachine] = {}
        self.catalog = catalog
        self.verdict = Verdict.DOCUMENT
        self._now = now
        self._edition = edition
        self._trace = trace
        self._watchers: list[Watcher] = []
        self._catalog_watchers: list[Callable[[], None]] = []
        self._version = 0
        self.hold: Callable[[], None] = _nothing
        self.let_go: Callable[[], None] = _nothing
        self.finalized: Callable[[VirtualMachine], None] = _nothing_of

    def watch(self, changed: Watcher, catalog_changed: Callable[[], None]) -> None:
        """Call `changed(key)` after each change of a VM's spec or metadata, and
        `catalog_changed()` after each change of another kind."""
        self._watchers.append(changed)
        self._catalog_watchers.append(catalog_changed)

    def tell(self, key: str) -> None:
        """Tell whoever watches that the VM changed."""
        for changed in self._watchers:
            changed(key)

    def tell_catalog(self) -> None:
        """Tell whoever watches that an object of another kind changed."""
        for changed in self._catalog_watchers:
            changed()

    def apply(self, manifest: Manifest) -> Denied | None:
        """Create or update the object, as `kubectl apply` does; the answer is the refusal.

        An update merges: a field that the manifest no longer has stays as it is.
        """
        if manifest.namespace and not self.catalog.namespace_exists(manifest.namespace):
            return self._deny(manifest.key, _no_namespace(manifest))
        if manifest.kind == CLASS_KIND and isinstance(answer := self._class(manifest), Denied):
            return self._deny(manifest.key, answer)
        if manifest.kind != VM_KIND:
            self.catalog.put(manifest)
            self._trace.write("api", "Applied", manifest.key, {"manifest": manifest.raw})
            self.tell_catalog()
            return None
        old = self.vms.get(manifest.key)
        if old is None:
            return self._create(manifest)
        return self._update(old, merged(to_raw(old, self._edition.name), manifest.raw))

    def patch(self, key: str, merge: Mapping[str, Any]) -> Denied | None:
        """Merge `merge` into the VM (RFC 7386), as `kubectl patch --type=merge` does."""
        old = self.vms.get(key)
        if old is None:
            return self._deny(key, _not_found(key))
        raw = merged(to_raw(old, self._edition.name), merge)
        problems = _schema_problems(raw, self._edition.name)
        if problems:
            return self._deny(key, Denied(problems, old.name))
        return self._update(old, raw)

    def delete(self, kind: str, key: str) -> Denied | None:
        """Ask for the deletion of an object; a VM stays until its finalizer is gone (X-01)."""
        if kind != VM_KIND:
            namespace, _, name = key.rpartition("/")
            if not self.catalog.remove(kind, namespace, name):
                return self._deny(key, _not_found(key))
            self._trace.write("api", "Deleted", key, {"kind": kind})
            self.tell_catalog()
            return None
        vm = self.vms.get(key)
        if vm is None:
            return self._deny(key, _not_found(key))
        if not vm.deleting:
            vm.deleting = True
            self._stamp(vm)
            self._trace.write("api", "Deleting", key)
            self.tell(key)
        return None

    def submit(self, vm: VirtualMachine, template: str) -> None:
        """Store a VM whose like was admitted already; `template` names the record of that."""
        if vm.key in self.vms:
            errors = [f'virtualmachines.{GROUP} "{vm.name}" already exists']
            self._trace.write("api", "Denied", vm.key, {"errors": errors})
            return
        self._store(vm, {"template": template})

    def set_finalizer(self, vm: VirtualMachine, finalizer: str) -> None:
        """Put the finalizer on the VM, or take it off (''); a deleted VM without one is gone."""
        vm.finalizer = finalizer
        self._version += 1
        vm.resource_version = self._version
        if vm.deleting and not finalizer:
            del self.vms[vm.key]
            self._trace.write("api", "Deleted", vm.key)
        self.finalized(vm)

    def _class(self, manifest: Manifest) -> Admitted | Denied:
        """A class is judged when it is made, and not when it is changed (C-05)."""
        known = self.catalog.vm_class(manifest.namespace, manifest.name) is not None
        return Admitted({}) if known else admit_class(manifest.raw)

    def _create(self, manifest: Manifest) -> Denied | None:
        raw = deepcopy(manifest.raw)
        raw.setdefault("metadata", {})["namespace"] = manifest.namespace
        answer = admit_create(raw, self._terms())
        if isinstance(answer, Denied):
            return self._deny(manifest.key, answer)
        self._warn(manifest.key, answer)
        data = {"manifest": answer.raw}
        self._store(to_vm(_with(manifest, answer.raw), self._edition.name), data)
        return None

    def _update(self, old: VirtualMachine, raw: Mapping[str, Any]) -> Denied | None:
        before = to_raw(old, self._edition.name)
        new = {**deepcopy(dict(raw)), "status": before.get("status", {})}
        kept = {name: v for name, v in before["metadata"].items() if name not in _REMOVABLE}
        new["metadata"] = kept | new.get("metadata", {})
        answer = admit_update(before, new, self._terms())
        if isinstance(answer, Denied):
            return self._deny(old.key, answer)
        self._warn(old.key, answer)
        manifest = Manifest(VM_KIND, old.namespace, old.name, answer.raw)
        wanted = to_vm(manifest, self._edition.name)
        if wanted.spec != old.spec:
            old.generation += 1
        old.spec, old.labels, old.annotations = wanted.spec, wanted.labels, wanted.annotations
        self._stamp(old)
        self._trace.write("api", "Modified", old.key, {"manifest": answer.raw})
        self.tell(old.key)
        return None

    def _store(self, vm: VirtualMachine, data: dict[str, Any]) -> None:
        vm.created_s = self._now()
        self._stamp(vm)
        vm.uid = f"{self._version:08x}-0000-4000-8000-000000000000"
        self.vms[vm.key] = vm
        self._trace.write("api", "Added", vm.key, data)
        self.tell(vm.key)

    def _stamp(self, vm: VirtualMachine) -> None:
        self._version += 1
        vm.resource_version = self._version

    def _terms(self) -> Terms:
        return Terms(self.catalog, self._edition, self.verdict, instant(self._now()))

    def _deny(self, key: str, denied: Denied) -> Denied:
        errors = [str(error) for error in denied.errors]
        self._trace.write("api", "Denied", key, {"errors": errors})
        return denied

    def _warn(self, key: str, admitted: Admitted) -> None:
        for warning in admitted.warnings:
            self._trace.write("api", "Warning", key, {"message": warning})


def merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`target` with the JSON merge patch applied: null removes, objects merge, others replace."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            inner = result.get(name)
            result[name] = merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            result[name] = value
    return result


def _schema_problems(raw: dict[str, Any], edition: str) -> tuple[FieldError, ...]:
    """What the schema of the kind has against the object, as field errors."""
    try:
        parse([Document(raw, "", Lines(0))], edition)
    except BadInput as error:
        return tuple(_field_error(problem.field, problem.message) for problem in error.problems)
    return ()


def _field_error(place: str, message: str) -> FieldError:
    """A problem's message as a field error; it may begin with the kind already."""
    for kind in ErrorKind:
        if message.startswith(f"{kind}: "):
            return FieldError(place, kind, message.removeprefix(f"{kind}: "))
    return FieldError(place, ErrorKind.INVALID, message)


def _with(manifest: Manifest, raw: dict[str, Any]) -> Manifest:
    return Manifest(manifest.kind, manifest.namespace, manifest.name, raw)


def _nothing() -> None:
    return None


def _nothing_of(_: VirtualMachine) -> None:
    return None


def _no_namespace(manifest: Manifest) -> Denied:
    name = f'"{manifest.namespace}"'
    error = FieldError("metadata.namespace", ErrorKind.NOT_FOUND, "no such namespace", value=name)
    return Denied((error,), manifest.name)


def _not_found(key: str) -> Denied:
    name = key.rpartition("/")[2]
    return Denied((FieldError("metadata.name", ErrorKind.NOT_FOUND, value=f'"{name}"'),), name)
