"""How is a host shown as a Kubernetes Node, and what does its Node ask for?

A Node has the host's zone, size and devices, and whether it is ready. Administrators act on it
with ordinary tools: `kubectl cordon` closes the host to new VMs, the annotation
`vmsim.dev/maintenance: "true"` empties it and puts it into maintenance, `vmsim.dev/failed: "true"`
lets it fail (`isolation` instead of `true`: it only loses its network). `next_command` compares
what is asked with what is, so nothing depends on the order in which changes are seen. The host's
description is kept in an annotation: a Node that somebody adds with one becomes a host.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from vmsim.objects import ZONE_LABEL, HostSpec, HostState
from vmsim.problems import BadInput, Problem

MAINTENANCE = "vmsim.dev/maintenance"
FAILED = "vmsim.dev/failed"
ISOLATION = "isolation"
DESCRIPTION = "vmsim.dev/host"
CLUSTER_LABEL = "vmsim.dev/cluster"
MANAGED = "app.kubernetes.io/managed-by"
ROLE = "node-role.kubernetes.io/agent"
PODS = "0"

_READY: Mapping[HostState, tuple[str, str, str]] = {
    HostState.UP: ("True", "HostConnected", "the host takes VMs"),
    HostState.ENTERING_MAINTENANCE: ("True", "EnteringMaintenance", "the host is being emptied"),
    HostState.MAINTENANCE: ("False", "Maintenance", "the host is in maintenance mode"),
    HostState.DOWN: ("Unknown", "NotResponding", "the host does not respond"),
    HostState.REMOVED: ("Unknown", "Removed", "the host has left its cluster"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a Node asks of its host."""

    maintenance: bool = False
    failed: bool = False
    cordoned: bool = False
    isolated: bool = False


def wanted(node: Mapping[str, Any]) -> Wanted:
    """What the Node asks for; anything but "true" or "isolation" asks for nothing."""
    notes = node["metadata"].get("annotations") or {}
    return Wanted(
        notes.get(MAINTENANCE) == "true",
        notes.get(FAILED) == "true",
        bool((node.get("spec") or {}).get("unschedulable")),
        notes.get(FAILED) == ISOLATION,
    )


def asking(maintenance: bool | None, failed: str | None, cordoned: bool) -> dict[str, Any]:
    """The merge patch that lets a Node ask for this, and for nothing else."""
    words = {MAINTENANCE: "true" if maintenance else None, FAILED: failed}
    return {"metadata": {"annotations": words}, "spec": {"unschedulable": cordoned or None}}


def next_command(asked: Wanted, state: HostState) -> str:
    """The method of `Administration` that brings the host nearer to what is asked, or ''."""
    if asked.failed or asked.isolated:
        command = "fail" if asked.failed else "isolate"
        return command if state in _REACHED else ""
    if state not in _REACHED:
        return "recover"
    if asked.maintenance:
        return "enter_maintenance" if state is HostState.UP else ""
    return "exit_maintenance" if state in _CLOSED else ""


_CLOSED = (HostState.MAINTENANCE, HostState.ENTERING_MAINTENANCE)
_REACHED = (HostState.UP, *_CLOSED)


def node(host: HostSpec) -> dict[str, Any]:
    """The Node of a host, without its status."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": host.name,
            "labels": {
                "kubernetes.io/hostname": host.name,
                ZONE_LABEL: host.zone,
                CLUSTER_LABEL: host.cluster,
                MANAGED: "vmsim",
                ROLE: "",
            },
            "annotations": {DESCRIPTION: json.dumps(asdict(host))},
        },
        "spec": {"providerID": f"vmsim://{host.cluster}/{host.name}"},
    }


def host(node: Mapping[str, Any]) -> HostSpec:
    """The host that the Node describes; BadInput when it does not."""
    name = node["metadata"]["name"]
    text = (node["metadata"].get("annotations") or {}).get(DESCRIPTION, "")
    try:
        given = json.loads(text)
        known = {item.name for item in fields(HostSpec)}
        given = {word: value for word, value in given.items() if word in known} | {"name": name}
        given["datastores"] = tuple(given.get("datastores") or ())
        return HostSpec(**given)
    except (ValueError, TypeError, AttributeError) as error:
        message = f"Node {name} does not describe a host: {error}"
        raise BadInput([Problem(message, field=f"metadata.annotations[{DESCRIPTION}]")]) from None


def status(
    host: HostSpec, state: HostState, now: str, blockers: Mapping[str, str]
) -> dict[str, Any]:
    """The Node's status; `now` is the time at which the host came into this state."""
    ready, reason, message = _READY.get(state, ("Unknown", str(state), "the host is impaired"))
    if blockers:
        message += "; held up by " + ", ".join(f"{vm} ({why})" for vm, why in blockers.items())
    in_maintenance = "True" if state is HostState.MAINTENANCE else "False"
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    words = {"reason": reason, "message": message, **times}
    room = {"cpu": str(host.cpu_cores), "memory": f"{host.memory_mib}Mi", "pods": PODS}
    room |= {_resource(name): str(units) for name, units in host.devices.items()}
    return {
        "conditions": [
            {"type": "Ready", "status": ready, **words},
            {"type": "Maintenance", "status": in_maintenance, **words},
        ],
        "capacity": room,
        "allocatable": room,
        "nodeInfo": _system(host),
    }


def _system(host: HostSpec) -> dict[str, str]:
    """What a kubelet would report; there is none, and `kubectl get node` shows the version."""
    blank = ("machineID", "systemUUID", "bootID", "kernelVersion", "containerRuntimeVersion")
    own = {
        "kubeletVersion": f"vmx-{host.hardware_version}",
        "kubeProxyVersion": "",
        "operatingSystem": "ESXi",
        "osImage": "VMware ESXi (simulated)",
        "architecture": "amd64",
    }
    return dict.fromkeys(blank, "") | own


def _resource(device: str) -> str:
    """A device as an extended resource: `vmsim.dev/` and the name in its letters."""
    return "vmsim.dev/" + re.sub(r"[^A-Za-z0-9_.-]", "-", device)[:63].strip("-_.")
