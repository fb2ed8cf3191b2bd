"""Placement policies against their definitions, written once more the plain way."""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from builders import GIB, GPU, hosts, inventory, need
from hypothesis import given
from hypothesis import strategies as st
from test_affinity import refusal

from vmsim import policies
from vmsim.affinity import PLENTY
from vmsim.inventory import CPU, MEMORY, Inventory
from vmsim.placement import LIFETIME_CLASSES, Placer, Requirement, needs
from vmsim.policies import BUILT_IN, first_fit

HOUR_S = 3600.0
KINDS = (need(cpus=1), need(cpus=4), need(GPU, cpus=2), need(cpus=2, memory_mib=10 * GIB))
LIVES = (0.0, 0.5 * HOUR_S, 5 * HOUR_S, 50 * HOUR_S, 500 * HOUR_S)
Naive = Callable[[Requirement, Inventory, int], float]


def share(found: Inventory, resource: int, units: float, row: int) -> float:
    return float(units / max(int(found.total[resource][row]), 1))


def free(found: Inventory, resource: int, row: int) -> float:
    return share(found, resource, int(found.room[resource][row]), row)


def naive_dot(vm: Requirement, found: Inventory, row: int) -> float:
    wanted = {CPU: vm.cpus, MEMORY: vm.memory_mib}
    return sum(share(found, r, wanted[r], row) * free(found, r, row) for r in wanted)


def naive_l2(vm: Requirement, found: Inventory, row: int) -> float:
    wanted = {CPU: vm.cpus, MEMORY: vm.memory_mib}
    left = [free(found, r, row) - share(found, r, wanted[r], row) for r in wanted]
    return -float(sum(part * part for part in left))


def naive_fgd(vm: Requirement, found: Inventory, row: int) -> float:
    """Stranded GPUs before minus after, weight by weight."""

    def lost(taken: dict[int, int]) -> float:
        room = [int(column[row]) - taken.get(r, 0) for r, column in enumerate(found.room)]
        total = 0.0
        for kind, weight in found.mix:
            fits = all(room[resource] >= units for resource, units in kind)
            wants = [r for r, _ in kind if r == found.resource(GPU)]
            total += sum(weight * max(room[r], 0) for r in wants if not fits)
        return total

    return lost({}) - lost(dict(needs(vm, found)))


def naive_lifetime(vm: Requirement, found: Inventory, row: int) -> float:
    there = [
        number
        for number in range(1, LIFETIME_CLASSES + 1)
        if found.room[found.resource(f"lifetime/{number}")][row] < PLENTY
    ]
    if not there:
        return -5.0
    longer = max(there) - vm.lifetime_class
    return -longer if longer >= 0 else -10.0 + longer


NAIVE: Mapping[str, Naive] = {
    "first_fit": lambda vm, found, row: 0.0,
    "best_fit": lambda vm, found, row: -float(found.room[CPU][row]),
    "worst_fit": lambda vm, found, row: min(free(found, CPU, row), free(found, MEMORY, row)),
    "most_free_cpu": lambda vm, found, row: float(found.room[CPU][row]),
    "most_free_memory": lambda vm, found, row: float(found.room[MEMORY][row]),
    "dot_product": naive_dot,
    "l2_norm": naive_l2,
    "fragmentation_gradient": naive_fgd,
    "lifetime_aware": naive_lifetime,
}


def test_every_policy_has_its_definition() -> None:
    assert set(NAIVE) == set(BUILT_IN)


def prepared(gpus: list[int], claims: list[tuple[int, int, int]]) -> Inventory:
    specs = [
        host_ for count in [len(gpus)] for host_ in hosts(count, cpu_cores=16, memory_mib=32 * GIB)
    ]
    found = inventory(
        [
            type(spec)(**{**_fields(spec), "devices": {GPU: units} if units else {}})
            for spec, units in zip(specs, gpus, strict=True)
        ]
    )
    for number in range(1, LIFETIME_CLASSES + 1):
        found.declare(f"lifetime/{number}", PLENTY)
    found.mix = tuple((needs(kind, found), 1 / len(KINDS)) for kind in KINDS)
    for row, kind, life in claims:
        wanted = needs(need_of(kind, life), found)
        if all(found.room[r][row % len(gpus)] >= units for r, units in wanted):
            found.claim(wanted, row % len(gpus))
    return found


def _fields(spec: object) -> dict[str, object]:
    return {name: getattr(spec, name) for name in spec.__slots__}  # type: ignore[attr-defined]


def need_of(kind: int, life: int) -> Requirement:
    from dataclasses import replace

    return replace(KINDS[kind % len(KINDS)], lifetime_s=LIVES[life % len(LIVES)])


INSTANCES = {
    "gpus": st.lists(st.integers(0, 4), min_size=1, max_size=6),
    "claims": st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 4)), max_size=20
    ),
    "vm": st.tuples(st.integers(0, 3), st.integers(0, 4)),
}


def differences(
    name: str, gpus: list[int], claims: list[tuple[int, int, int]], vm: tuple[int, int]
) -> list[tuple[int, float, float]]:
    """Rows on which the policy's score is not the one of its definition."""
    found = prepared(gpus, claims)
    wanted = need_of(*vm)
    score = BUILT_IN[name](wanted, found)
    pairs = [(row, score(row), NAIVE[name](wanted, found, row)) for row in range(len(found))]
    return [(row, a, b) for row, a, b in pairs if abs(a - b) > 1e-12]


@pytest.mark.parametrize("name", BUILT_IN)
@given(**INSTANCES)
def test_policy_is_what_its_definition_says(
    name: str, gpus: list[int], claims: list[tuple[int, int, int]], vm: tuple[int, int]
) -> None:
    assert differences(name, gpus, claims, vm) == []


def test_fragmentation_gradient_keeps_plain_vms_off_hosts_with_gpus() -> None:
    found = prepared([2, 0], [])
    placer = Placer(found, BUILT_IN["fragmentation_gradient"])
    small = placer.shape(need(cpus=15))
    assert placer.place(small) == 1
    plain = Placer(found, first_fit)
    assert plain.place(plain.shape(need(cpus=15))) == 0


def test_lifetime_aware_joins_hosts_that_are_kept_longer_anyway() -> None:
    found = prepared([0, 0, 0], [(1, 0, 2), (2, 0, 4)])
    placer = Placer(found, BUILT_IN["lifetime_aware"])
    assert placer.place(placer.shape(need_of(0, 1))) == 1
    assert placer.place(placer.shape(need_of(0, 3))) == 2
    assert placer.place(placer.shape(need_of(0, 2))) == 1


@pytest.mark.parametrize(
    ("lifetime_s", "number"), [(0, 4), (1, 1), (3600, 2), (36_000, 3), (359_999, 3), (360_000, 4)]
)
def test_lifetimes_have_four_classes(lifetime_s: float, number: int) -> None:
    assert need(lifetime_s=lifetime_s).lifetime_class == number


def test_unknown_policy_is_refused_with_a_guess() -> None:
    (problem,) = refusal(policies={"placement": "wurst_fit"})
    assert problem.startswith("spec.policies.placement: there is no placement policy wurst_fit")
    assert "worst_fit" in problem.partition("known")[0]


def test_policy_of_a_plug_in_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("last_fit", "vmsim.policies:best_fit", policies.GROUP)
    shadow = EntryPoint("first_fit", "vmsim.policies:best_fit", policies.GROUP)
    found = EntryPoints([point, shadow])
    monkeypatch.setattr(policies, "entry_points", lambda **wanted: found.select(**wanted))
    assert policies.names() == [*BUILT_IN, "last_fit"]
    assert policies.policy("last_fit") is BUILT_IN["best_fit"]
    assert policies.policy("first_fit") is first_fit, "a built-in policy cannot be replaced"
    with pytest.raises(KeyError):
        policies.policy("no_fit")
