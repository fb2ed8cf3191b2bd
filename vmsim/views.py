"""What would kubectl show, at this moment of the trace?

`objects` turns a picture back into Kubernetes objects, `table` prints them with kubectl's own
columns, and `explain` says in words why a VM is where it is, or why it waits.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from vmsim.editions import EDITIONS, Edition
from vmsim.expectations import clock
from vmsim.fold import HostPicture, Picture, VMPicture
from vmsim.kinds import Column, Kind
from vmsim.manifests import Manifest, to_vm
from vmsim.objects import Condition, Conditions
from vmsim.problems import BadInput, Problem
from vmsim.rendering import EPOCH, timestamp, to_raw
from vmsim.trace import read

NODE_COLUMNS = (
    Column("Status", ("status", "text")),
    Column("Roles", ("status", "roles")),
    Column("Age", ("metadata", "creationTimestamp")),
    Column("Version", ("status", "nodeInfo", "kubeletVersion")),
    Column("Zone", ("metadata", "labels", "topology.kubernetes.io/zone"), 1),
    Column("CPU", ("status", "capacity", "cpu"), 1),
    Column("Memory", ("status", "capacity", "memory"), 1),
    Column("Devices", ("status", "devices"), 1),
)
AGE = Column("Age", ("metadata", "creationTimestamp"))
HOST_WORDS = {
    "Up": "Ready",
    "EnteringMaintenance": "Ready,SchedulingDisabled",
    "Maintenance": "NotReady,SchedulingDisabled",
    "NotResponding": "NotReady",
    "StorageLost": "NotReady",
}
AGE_STEPS = (
    ("m", "s", 600),
    ("m", "", 10800),
    ("h", "m", 28800),
    ("h", "", 172800),
    ("d", "h", 691200),
    ("d", "", 10**12),
)
"""kubectl's units, from short to long: the large one, the small one, and up to how many seconds."""

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def picture_at(path: Path, at_s: float | None) -> Picture:
    """The picture of the trace at `path` when second `at_s` is over (None: at its end)."""
    picture = Picture()
    for record in read(path):
        if at_s is not None and record.t > at_s:
            break
        picture.apply(record)
    if at_s is not None:
        picture.now_s = at_s
    return picture


def objects(
    picture: Picture, kind: Kind, namespace: str | None, edition: Edition
) -> list[dict[str, Any]]:
    """The objects of a kind in a namespace (None: all), sorted as kubectl sorts them."""
    if kind.name == "Node":
        return [_node(host) for _, host in sorted(picture.hosts.items()) if host.state != "Removed"]
    if kind.name == "VirtualMachine":
        found = [vm for vm in picture.vms.values() if vm.exists]
        raws = [virtual_machine(vm, edition) for vm in found]
    else:
        raws = [_dated(item.manifest, item.created_s) for (name, _), item in
                picture.objects.items() if name == kind.name]  # fmt: skip
    if kind.namespaced and namespace is not None:
        raws = [raw for raw in raws if raw["metadata"].get("namespace") == namespace]
    return sorted(raws, key=lambda raw: (raw["metadata"].get("namespace", ""), _name(raw)))


def virtual_machine(picture: VMPicture, edition: Edition) -> dict[str, Any]:
    """The Kubernetes object of a VM, status included, in the words of the edition."""
    namespace, _, name = picture.key.partition("/")
    vm = to_vm(Manifest("VirtualMachine", namespace, name, picture.manifest), edition.name)
    vm.created_s = picture.created_s
    vm.finalizer = edition.finalizer
    status = vm.status
    for field, value in picture.status.items():
        setattr(status, field, value)
    said = picture.conditions.items()
    status.conditions = Conditions({kind: Condition(kind, *words) for kind, words in said})
    status.since_s = dict.fromkeys(picture.conditions, picture.since_s)
    return to_raw(vm, edition.name)


def table(raws: Sequence[Mapping[str, Any]], kind: Kind, now_s: float, *, wide: bool,
          with_namespace: bool) -> list[list[str]]:  # fmt: skip
    """Header and rows as `kubectl get` prints them; ages count up to second `now_s`."""
    columns = NODE_COLUMNS if kind.name == "Node" else kind.columns or (AGE,)
    shown = [column for column in columns if wide or not column.priority]
    header = (["NAMESPACE"] if with_namespace else []) + ["NAME"]
    rows = [header + [column.header.upper() for column in shown]]
    for raw in raws:
        start = [raw["metadata"].get("namespace", "")] if with_namespace else []
        rows.append([*start, _name(raw), *(_cell(column, raw, now_s) for column in shown)])
    return rows


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows as text, columns three spaces apart as in kubectl."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        padded = (cell.ljust(width + 3) for cell, width in zip(row, widths, strict=True))
        yield "".join(padded).rstrip()


def age(seconds: float) -> str:
    """A duration as kubectl prints ages: `45s`, `3m20s`, `5h10m`, `2d3h`, `12d`."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole}s"
    for unit, small, limit in AGE_STEPS:
        if whole < limit:
            count, rest = divmod(whole, SECONDS[unit])
            part = rest // SECONDS[small] if small else 0
            return f"{count}{unit}" + (f"{part}{small}" if part else "")
    raise AssertionError("no limit left")


def explain(picture: Picture, key: str) -> Iterator[str]:
    """Why the VM is where it is, why it waits, and what happened to it."""
    vm = picture.vms.get(key)
    if vm is None or not vm.exists:
        yield from _explain_absent(picture, key)
        return
    wanted = vm.manifest.get("spec", {}).get("powerState", "PoweredOn")
    yield f"{key} is {vm.state} since {clock(vm.since_s)} (now {clock(picture.now_s)})"
    yield f"  wanted    {wanted[:1].upper()}{wanted[1:]}"
    yield f"  observed  {vm.power or 'not created'}{f' on {vm.host}' if vm.host else ''}"
    if vm.busy:
        yield f"  busy      {vm.busy}"
    host = picture.hosts.get(vm.host)
    if host is not None and host.state != "Up":
        yield f"  host      {host.name} is {host.state} since {clock(host.since_s)}"
    if host is not None and key in host.blockers:
        yield f"  holds up  {host.name}: {host.blockers[key]}"
    yield from (f"  DRS score {low[key]:g} of 100" for low in picture.scores.values() if key in low)
    yield from _explain_refusal(picture, vm)
    for name, (word, reason, message) in sorted(vm.conditions.items()):
        text = ": ".join(part for part in (reason, message) if part)
        yield f"  {name} {word}" + (f" ({text})" if text else "")
    yield "  history"
    for record in vm.history:
        yield f"    {clock(record.t):>10}  {_told(record.kind, record.data)}"


def not_found(kind: str, name: str) -> BadInput:
    """The refusal to show what the trace does not hold, in kubectl's words."""
    return BadInput([Problem(f'{kind} "{name}" not found', hint="`vmsim get` lists what there is")])


def edition_of(header: Mapping[str, Any]) -> Edition:
    """The edition that a trace was run under."""
    return EDITIONS[header["edition"]]


def _explain_absent(picture: Picture, key: str) -> Iterator[str]:
    denials = [record for record in picture.denials if record.object == key]
    if not denials:
        raise not_found("virtualmachines", key)
    yield f"{key} does not exist: it was refused"
    for record in denials:
        for error in record.data["errors"]:
            yield f"    {clock(record.t):>10}  {error}"


def _explain_refusal(picture: Picture, vm: VMPicture) -> Iterator[str]:
    if not vm.refusal:
        return
    yield f"  why       {vm.refusal['kind']} since {clock(vm.refused_s)}: {vm.refusal['summary']}"
    hosts = vm.refusal["hosts"]
    width = max((len(name) for name in hosts), default=0)
    for name, fault in sorted(hosts.items()):
        host = picture.hosts.get(name)
        state = f"   ({host.state})" if host is not None and host.state != "Up" else ""
        yield f"    {name:<{width}}  {fault}{state}"
    if vm.retry_s > picture.now_s:
        yield f"  next try  {clock(vm.retry_s)}, after {vm.retries} failures"


def _told(kind: str, data: Mapping[str, Any]) -> str:
    parts = []
    for name in ("from", "host", "cause", "reason", "message", "summary", "fault", "state"):
        if data.get(name):
            parts.append(f"{name} {data[name]}" if name in ("from", "host") else str(data[name]))
    return f"{kind} {', '.join(parts)}".rstrip()


def _node(host: HostPicture) -> dict[str, Any]:
    spec = host.spec
    devices = ",".join(f"{name}={units}" for name, units in spec.get("devices", {}).items())
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": host.name,
            "creationTimestamp": timestamp(0),
            "labels": {"topology.kubernetes.io/zone": spec.get("zone", "")},
        },
        "spec": {"unschedulable": host.state != "Up"},
        "status": {
            "text": HOST_WORDS.get(host.state, host.state),
            "roles": "agent",
            "nodeInfo": {"kubeletVersion": ""},
            "capacity": {
                "cpu": str(spec.get("cores", "")),
                "memory": f"{spec.get('memory_mib', 0)}Mi",
            },
            "devices": devices,
        },
    }


def _dated(manifest: Mapping[str, Any], created_s: float) -> dict[str, Any]:
    metadata = {**manifest.get("metadata", {}), "creationTimestamp": timestamp(created_s)}
    return {**manifest, "metadata": metadata}


def _name(raw: Mapping[str, Any]) -> str:
    return str(raw["metadata"].get("name", ""))


def _cell(column: Column, raw: Mapping[str, Any], now_s: float) -> str:
    text = column.text(raw)
    if column.path == AGE.path:
        return age(now_s - (datetime.fromisoformat(text) - EPOCH).total_seconds())
    return text
