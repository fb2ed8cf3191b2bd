"""What does the VM role see of a real API server, and what does it want written there?

A `Mirror` keeps the objects of the simulated API server as the real one last told, and has its
watchers told. Specs, labels and annotations are the real server's; status is ours alone, so a
status that somebody else wrote is written over. Nothing is sent from here: a key in `dirty` has
something to write, and `write` says what.

`Clock` turns simulated seconds into times of day and back, for conditions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vmsim.apiserver import ApiServer
from vmsim.editions import Edition
from vmsim.kube import Change
from vmsim.manifests import Manifest, to_vm
from vmsim.objects import FIRST_BOOT, ZONE_LABEL, Condition, Conditions, VirtualMachine, VMStatus
from vmsim.rendering import to_raw, told_hardware
from vmsim.trace import Record, Trace

STATUS_FIELDS = (
    "powerState", "lastRestartTime", "host", "nodeName", "zone", "uniqueID", "biosUUID",
    "instanceUUID", "phase", "vmIp", "network", "class",
    "hardware",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clock:
    """`origin` is the time of day (seconds since 1970) of simulated second 0."""

    origin: float
    speed: float

    def written(self, second: float) -> str:
        """The time of day of a simulated second, as Kubernetes writes it."""
        when = datetime.fromtimestamp(round(self.origin + second / self.speed), UTC)
        return when.strftime("%Y-%m-%dT%H:%M:%SZ")

    def second(self, text: str) -> float:
        """The simulated second of a time that Kubernetes wrote; 0 if it wrote none."""
        try:
            when = datetime.fromisoformat(text).timestamp()
        except ValueError:
            return 0.0
        return (when - self.origin) * self.speed


@dataclass(frozen=True, slots=True)
class Write:
    """What the server shall have of a VM: the finalizer or not, the zone label if it has none, the
    note of its first power-on, and the status (None: leave it, the object goes)."""

    key: str
    uid: str
    finalizer: str
    has_finalizer: bool
    zone: str
    has_booted: bool
    status: Mapping[str, Any] | None
    seen: Mapping[str, Any]

    def finalizers(self, raw: Mapping[str, Any]) -> dict[str, Any] | None:
        """The merge patch that `raw` needs, or None: nothing. It fails when `raw` is outdated."""
        known = raw["metadata"]
        now = list(known.get("finalizers") or ())
        wanted = [name for name in now if name != self.finalizer]
        if self.has_finalizer:
            may_add = self.finalizer not in now and not known.get("deletionTimestamp")
            wanted = [*now, self.finalizer] if may_add else now
        if wanted == now:
            return None
        return {
            "finalizers": wanted, "uid": self.uid, "resourceVersion": known["resourceVersion"],
        }  # fmt: skip

    def marks(self) -> dict[str, Any] | None:
        """The merge patch with the label of its zone (Z-06) and the annotation of its first
        power-on (P-12), or None: it has them."""
        known, marks = self.seen["metadata"], {}
        if self.zone and not (known.get("labels") or {}).get(ZONE_LABEL):
            marks["labels"] = {ZONE_LABEL: self.zone}
        if self.has_booted and FIRST_BOOT not in (known.get("annotations") or {}):
            marks["annotations"] = {FIRST_BOOT: "true"}
        return {**marks, "uid": self.uid} if marks else None


class Mirror:
    """See the module docstring. Everything here runs in the thread of the clock."""

    def __init__(self, api: ApiServer, edition: Edition, trace: Trace) -> None:
        self._api = api
        self._edition = edition
        self._trace = trace
        self.clock = Clock(0.0, 1.0)
        self.dirty: dict[str, None] = {}
        self._heads: dict[str, dict[str, Any]] = {}
        self._next: dict[str, dict[str, Any]] = {}
        self._leaving: dict[str, str] = {}
        self._version_written: dict[str, int] = {}
        api.finalized = self._finalized
        trace.listen(self._noted)

    def seen(self, raw: dict[str, Any]) -> None:
        """The server has this VM now."""
        key, uid = key_of(raw), raw["metadata"]["uid"]
        if self._leaving.get(key) == uid:
            self._heads[key] = _head(raw)
            return
        known = self._api.vms.get(key)
        if known is not None and known.uid != uid:
            self._next[key] = raw  # another VM of that name; the old one's machine goes first
            self.gone(key, known.uid)
            return
        fresh = self._as_vm(key, raw)
        self._heads[key] = _head(raw)
        if known is None:
            self._admit(key, fresh, raw)
            return
        changed = (fresh.spec, fresh.labels, fresh.annotations, fresh.deleting) != (
            known.spec, known.labels, known.annotations, known.deleting,
        )  # fmt: skip
        known.spec, known.labels, known.annotations = fresh.spec, fresh.labels, fresh.annotations
        known.generation, known.resource_version = fresh.generation, fresh.resource_version
        newly_deleting = fresh.deleting and not known.deleting
        known.deleting = fresh.deleting
        if changed:
            kind = "Deleting" if newly_deleting else "Modified"
            data = None if newly_deleting else {"manifest": raw}
            self._trace.write("api", kind, key, data)
            self._api.tell(key)
        self._compare(key, raw)

    def gone(self, key: str, uid: str) -> None:
        """The server has this VM no more; one that still has a machine is taken down."""
        if self._leaving.get(key) == uid:
            del self._leaving[key]
        self._version_written.pop(key, None)
        known = self._api.vms.get(key)
        if known is None or known.uid != uid:
            if known is None:
                self._heads.pop(key, None)
                self._next.pop(key, None)
            return
        if not known.deleting:
            self._trace.write("api", "Deleting", key)
        known.deleting = True
        self._api.tell(key)

    def listed(self, raws: tuple[dict[str, Any], ...]) -> None:
        """The server has these VMs, and no others."""
        there = {key_of(raw): raw["metadata"]["uid"] for raw in raws}
        for key, vm in list(self._api.vms.items()):
            if there.get(key) != vm.uid:
                self.gone(key, vm.uid)
        for key, uid in list(self._leaving.items()):
            if there.get(key) != uid:
                self.gone(key, uid)
        for raw in raws:
            self.seen(raw)

    def keep(self, kind: str, change: Change) -> None:
        """The server has these objects of another kind now, or has one no more."""
        if change.type == "LISTED":
            there = {key_of(raw) for raw in change.objects}
            for manifest in self._api.catalog.objects(kind):
                if f"{manifest.namespace}/{manifest.name}" not in there:
                    self._api.catalog.remove(kind, manifest.namespace, manifest.name)
        before = self._api.catalog.version
        for raw in change.objects:
            namespace, _, name = key_of(raw).partition("/")
            if change.type == "DELETED":
                self._api.catalog.remove(kind, namespace, name)
                continue
            try:
                self._api.catalog.put(Manifest(kind, namespace, name, raw))
            except ValueError as error:
                self._trace.write("api", "Unusable", key_of(raw), {"message": str(error)})
        if self._api.catalog.version != before or change.type == "LISTED":
            self._api.tell_catalog()

    def write(self, key: str) -> Write | None:
        """What the server shall have of the VM; None: nothing is known of it."""
        raw, vm = self._heads.get(key), self._api.vms.get(key)
        if raw is None:
            return None
        finalizer = self._edition.finalizer
        if vm is None:
            return Write(key, raw["metadata"]["uid"], finalizer, False, "", False, None, raw)
        zone = vm.labels.get(ZONE_LABEL, "")
        status = self.status(vm)
        marks = (zone, FIRST_BOOT in vm.annotations)
        return Write(key, vm.uid, finalizer, bool(vm.finalizer), *marks, status, raw)

    def written(self, key: str, raw: dict[str, Any]) -> None:
        """The server answered a write with this object."""
        self._version_written[key] = version_of(raw)
        known = self._api.vms.get(key)
        if known is not None and known.uid == raw["metadata"]["uid"]:
            self._heads[key] = _head(raw)

    def status(self, vm: VirtualMachine) -> dict[str, Any]:
        """The status as a merge patch: every field of ours, null where there is nothing."""
        found: dict[str, Any] = dict.fromkeys(STATUS_FIELDS)
        found |= to_raw(vm, self._edition.name)["status"]
        found["conditions"] = [self._condition(vm, item) for item in found.get("conditions") or ()]
        return found

    def _condition(self, vm: VirtualMachine, raw: Mapping[str, Any]) -> dict[str, Any]:
        since_s = vm.status.since_s[raw["type"]]
        found = {**raw, "lastTransitionTime": self.clock.written(since_s)}
        return found if self._edition.phases else found | {"observedGeneration": vm.generation}

    def _admit(self, key: str, fresh: VirtualMachine, raw: dict[str, Any]) -> None:
        fresh.status = self._status_of(raw)
        fresh.created_s = self.clock.second(raw["metadata"].get("creationTimestamp", ""))
        self._api.vms[key] = fresh
        self._trace.write("api", "Added", key, {"manifest": raw})
        self._api.tell(key)

    def _as_vm(self, key: str, raw: dict[str, Any]) -> VirtualMachine:
        namespace, _, name = key.partition("/")
        vm = to_vm(Manifest("VirtualMachine", namespace, name, raw), self._edition.name)
        metadata = raw["metadata"]
        vm.uid = metadata["uid"]
        vm.generation = metadata.get("generation", 1)
        vm.resource_version = version_of(raw)
        vm.deleting = bool(metadata.get("deletionTimestamp"))
        ours = self._edition.finalizer
        vm.finalizer = ours if ours in (metadata.get("finalizers") or ()) else ""
        return vm

    def _status_of(self, raw: dict[str, Any]) -> VMStatus:
        """The status that was written before a restart."""
        given = raw.get("status") or {}
        network, said = given.get("network") or {}, given.get("conditions") or ()
        conditions = Conditions(
            {
                item["type"]: Condition(
                    item["type"],
                    item["status"],
                    item.get("reason", ""),
                    item.get("message", ""),
                )
                for item in said
            }
        )
        times = {item["type"]: item.get("lastTransitionTime", "") for item in said}
        return VMStatus(
            phase=given.get("phase") or "",
            power_state=given.get("powerState") or "",
            host=given.get(self._edition.host_field) or "",
            zone=given.get("zone") or "",
            ip=given.get("vmIp") or network.get("primaryIP4") or "",
            last_restart=given.get("lastRestartTime") or "",
            unique_id=given.get("uniqueID") or "",
            class_name=(given.get("class") or {}).get("name") or "",
            hardware=told_hardware(given),
            conditions=conditions,
            since_s={kind: self.clock.second(time) for kind, time in times.items()},
        )

    def _compare(self, key: str, raw: dict[str, Any]) -> None:
        """Write the status again when somebody else changed it."""
        if version_of(raw) <= self._version_written.get(key, 0) or key in self.dirty:
            return
        wanted = {name: value for name, value in self.status(self._api.vms[key]).items() if value}
        given = raw.get("status") or {}
        there = {name: given[name] for name in (*STATUS_FIELDS, "conditions") if given.get(name)}
        write = self.write(key)
        assert write is not None, "the VM was just seen"
        if wanted != there or write.finalizers(raw) or write.marks():
            self.dirty[key] = None

    def _finalized(self, vm: VirtualMachine) -> None:
        """Have the finalizer written; a VM that went makes room for another of its name."""
        self.dirty[vm.key] = None
        if vm.key in self._api.vms:
            return
        self._leaving[vm.key] = vm.uid
        if (another := self._next.pop(vm.key, None)) is not None:
            self.seen(another)

    def _noted(self, record: Record) -> None:
        if record.kind == "Status" and record.source == "vm":
            self.dirty[record.object] = None


def key_of(raw: Mapping[str, Any]) -> str:
    """`namespace/name` of an object."""
    return f"{raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"


def version_of(raw: Mapping[str, Any]) -> int:
    """The object's resource version: those of one server can be compared."""
    return int(raw["metadata"].get("resourceVersion") or 0)


def _head(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What writes must know of an object: it is kept for every VM, so the rest is left out."""
    notes = raw["metadata"].get("annotations") or {}
    kept = {name: notes[name] for name in (FIRST_BOOT,) if name in notes}
    return {"metadata": {**raw["metadata"], "annotations": kept}}
