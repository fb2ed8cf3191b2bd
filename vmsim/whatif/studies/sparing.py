"""How many units of a device are enough?

The study goes through numbers of spare units, on hosts like the first one that has the device, and
sets the figure of a formula beside each where there is one: for Poisson arrivals the number of VMs
there is Poisson if lifetimes run from creation (M/G/∞, PASTA), and Erlang's delay formula holds if
they run from the power-on and are exponential (Erlang, 1917).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vmsim.problems import BadInput, Problem
from vmsim.whatif.studies.study import Case, Option, Spec, Study

HARDLY_ANY = 0.01
TRIED, AROUND = 5, 2
"""Spare units that are tried where no formula says how many it takes, and beside its answer."""
MOST = 10_000

Formula = Callable[[int], float]
"""The share of the new VMs that wait, by the number of units."""


def _spares(spec: Spec, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    model = _model(spec, options["model"])
    _first(spec, model)
    there, formula = _units(spec, model), _formula(spec, model)
    if formula is None:
        return [{"spares": spares} for spares in range(TRIED)]
    enough = next((n for n in range(MOST) if formula(there + n) <= HARDLY_ANY), MOST)
    tried = (0, *range(max(enough - AROUND, 1), enough + AROUND))
    return [{"spares": n, "formula": float(f"{formula(there + n):.3g}")} for n in tried]


def _model(spec: Spec, given: Any) -> str:
    """The device that is meant: by default the first one that a workload or VM asks for."""
    asked = [name for devices in _asked(spec) for name in devices]
    if not asked or (given and given not in asked):
        wanted = f"asks for {given}" if given else "asks for a device"
        hint = f"asked for are: {', '.join(dict.fromkeys(asked)) or 'none'}"
        raise BadInput([Problem(f"no VM {wanted}", field="model", hint=hint)])
    return str(given or asked[0])


def _asked(spec: Spec) -> list[Mapping[str, int]]:
    """What the classes of the workloads and VMs ask for, by device."""
    classes = _devices(spec)
    vms = [one for one in spec.get("manifests", []) if one.get("kind") == "VirtualMachine"]
    return [
        classes.get(name, {}) for one in (*spec.get("workload", []), *vms) for name in _classes(one)
    ]


def _classes(one: Mapping[str, Any]) -> list[str]:
    """The classes that VMs of a workload, or a VM, have; of a recording they are not known."""
    shares = [one["spec"] | share for share in one.get("mix") or [{}]]
    return [str(share.get("className", "")) for share in shares]


def _devices(spec: Spec) -> dict[str, Mapping[str, int]]:
    """The devices of each class."""
    from vmsim.manifests import Manifest, to_class

    found = {}
    for one in spec.get("manifests", []):
        if one.get("kind") == "VirtualMachineClass":
            name = one["metadata"]["name"]
            made = Manifest("VirtualMachineClass", "", name, dict(one))
            found[name] = to_class(made, spec["edition"]).devices
    return found


def _units(spec: Spec, model: str) -> int:
    entries = [entry for cluster in spec["clusters"] for entry in cluster["hosts"]]
    return sum((one.get("devices") or {}).get(model, 0) * one.get("count", 1) for one in entries)


def _first(spec: Spec, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first cluster and entry of hosts with the device; BadInput when there is none."""
    for cluster in spec["clusters"]:
        for entry in cluster["hosts"]:
            if (entry.get("devices") or {}).get(model):
                return cluster, entry
    hint = "give one host of the scenario a unit of it"
    raise BadInput([Problem(f"no host has the device {model}", field="model", hint=hint)])


def _asking(spec: Spec, model: str) -> list[tuple[dict[str, Any], int]]:
    """The workloads that may ask for the device, and how many units their VMs have at most."""
    classes = _devices(spec)
    found = [
        (one, max(classes.get(name, {}).get(model, 0) for name in _classes(one)))
        for one in spec.get("workload", [])
    ]
    return [(one, units) for one, units in found if units or one.get("trace")]


def _formula(spec: Spec, model: str) -> Formula | None:
    """What theory says, or None: not all VMs come by chance, or they are not alike."""
    asking = _asking(spec, model)
    loads = [_load(one) for one, _ in asking]
    alike = {(one.get("lifetimeFrom", "creation"), units) for one, units in asking}
    if len(alike) != 1 or 0.0 in loads:
        return None
    since, per_vm = alike.pop()
    law = _erlang_c if since == "powerOn" else _poisson_tail
    return lambda units: law(sum(loads), units // per_vm)


def _load(workload: Mapping[str, Any]) -> float:
    """How many of its VMs there would be on average without limits, if they come by chance and
    no other law than the formula's holds; else 0."""
    from vmsim.chance_schema import law_of

    every, lifetime = workload.get("every"), workload.get("lifetime")
    if any(map(workload.get, ("mix", "trace", "patience"))) or not lifetime:
        return 0.0
    if not isinstance(every, dict) or "exponential" not in every:
        return 0.0
    if workload.get("lifetimeFrom") == "powerOn" and "exponential" not in lifetime:
        return 0.0
    return law_of(lifetime).mean_s / law_of(every).mean_s


def _poisson_tail(load: float, slots: int) -> float:
    """P(N ≥ slots) for a Poisson number N of VMs."""
    from scipy.special import pdtrc

    return float(pdtrc(slots - 1, load)) if slots else 1.0


def _erlang_c(load: float, slots: int) -> float:
    """Erlang's delay formula, by way of his loss formula's recursion."""
    if load >= slots:
        return 1.0
    lost = 1.0
    for number in range(1, slots + 1):
        lost = load * lost / (number + load * lost)
    return slots * lost / (slots - load * (1.0 - lost))


def _spare(case: Case) -> None:
    case.spec.pop("expect", None)
    model = _model(case.spec, case.given("model"))
    case.spec["workload"] = [one for one, _ in _asking(case.spec, model)]
    left = case.whole("spares")
    cluster, like = _first(case.spec, model)
    full, rest = divmod(left, like["devices"][model])
    for name, count, units in (("spare-{}", full, like["devices"][model]), ("spare", 1, rest)):
        if count and units:
            new = {**like, "name": name, "count": count, "devices": {model: units}}
            cluster["hosts"].append(new)


def _verdict(figures: Sequence[tuple[dict[str, Any], float]]) -> str:
    enough = [settings["spares"] for settings, share in figures if share <= HARDLY_ANY]
    if not enough:
        last = max(settings["spares"] for settings, _ in figures)
        return f"even with {last} more units more than 1 % of the new VMs wait"
    if min(enough) == 0:
        return "the units that are there are enough: no more than 1 % of the new VMs wait"
    return (
        f"{min(enough)} more units are the fewest with which no more than 1 % of the new VMs wait"
    )


STUDIES = (
    Study(
        10, "gpu-spares", "How many device units for hardly any wait?", "creations_refused",
        "mean", _spare,
        {"model": Option("", "the device, by default the first one that a VM asks for")},
        _spares, also=("creation_p99_s", "waiting_mean", "devices_used"),
        assumes=("arrivals and lifetimes are those of the scenario's workloads; those that do not "
                 "ask for the device are left out",
                 "spare units are on hosts like the first one that has the device",
                 "formula: what theory says of the share that waits in the long run"),
        verdict=_verdict,
    ),
)  # fmt: skip
