"""The fewest hosts: bounds against brute force, known instances, and what runs."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from backends import opened
from vmsim.cli import app
from vmsim.loading import load
from vmsim.problems import BadInput
from vmsim.whatif.bounds import hosts_needed, room_for
from vmsim.whatif.columns import Clock, bounds, exact, more_that_fit, relaxed
from vmsim.whatif.packing import Packing, least_by_large, least_by_sums, packed
from vmsim.whatif.scene import packing, parts, scene

SCENARIOS = Path(__file__).parent.parent / "scenarios"

EMPTY = """
apiVersion: vmsim.dev/v1alpha1
kind: Scenario
metadata: {name: empty}
spec: {clusters: [{name: c, hosts: [{name: esx-1, cores: 4, memory: 16Gi}]}]}
"""


def vms(*sizes: tuple[int, int], size: int, hosts: int) -> Packing:
    """One resource: (need, count) pairs, and hosts alike."""
    need, count = zip(*sizes, strict=True)
    return Packing(
        np.array([need]).T, np.array(count), np.array([[size]]), np.array([hosts]),
        np.ones((len(sizes), 1), dtype=bool),
    )  # fmt: skip


def drawn(seed: int) -> Packing:
    """A few VMs in up to 3 classes, up to 2 resources, up to 2 types of hosts."""
    chance = np.random.default_rng(seed)
    kinds, types, resources = chance.integers(1, 4), chance.integers(1, 3), chance.integers(1, 3)
    need = chance.integers(0, 9, (kinds, resources))
    need[need.sum(axis=1) == 0] = 1
    return Packing(
        need,
        chance.integers(1, 4, kinds),
        chance.integers(6, 13, (types, resources)),
        chance.integers(1, 4, types),
        chance.random((kinds, types)) < 0.9,
    )


def fewest(given: Packing) -> int:
    """By trying every host for every VM; one more than there are when they do not fit."""
    types = np.repeat(np.arange(len(given.size)), given.hosts).tolist()
    kinds = np.repeat(np.arange(len(given.count)), given.count).tolist()
    rooms, used = [given.size[host].copy() for host in types], [0] * len(types)
    best = len(types) + 1

    def place(number: int) -> None:
        nonlocal best
        in_use = sum(1 for count in used if count)
        if in_use >= best:
            return
        if number == len(kinds):
            best = in_use
            return
        kind, tried = kinds[number], set()
        for row, host in enumerate(types):
            alike = (host, tuple(rooms[row]))
            if alike in tried or not given.allowed[kind, host]:
                continue
            tried.add(alike)
            if (given.need[kind] <= rooms[row]).all():
                rooms[row] -= given.need[kind]
                used[row] += 1
                place(number + 1)
                used[row] -= 1
                rooms[row] += given.need[kind]

    place(0)
    return best


@pytest.mark.parametrize("seeds", [range(0, 30), range(30, 60)], ids=str)
def test_no_bound_is_above_the_fewest_and_the_exact_one_is_it(seeds: range) -> None:
    for seed in seeds:
        given = drawn(seed)
        best = fewest(given)

        found = list(bounds(given, 10.0))

        assert all(one.low <= best for one in found), seed
        assert found[-1].low == best, seed
        assert found[-1].high == (best if best <= given.total else None), seed


def test_what_is_packed_by_hand_fits() -> None:
    for seed in range(60):
        given = drawn(seed)
        rows = packed(given)
        if rows is not None:
            assert rows.sum(axis=0).tolist() == given.count.tolist()
            sizes = np.repeat(given.size, given.hosts, axis=0)
            for row in rows:
                assert any((row @ given.need <= size).all() for size in sizes)


def test_large_vms_never_share_a_host() -> None:
    """L1 sees sums only; L2 sees that two of 6 do not go into 10."""
    given = vms((6, 7), size=10, hosts=9)
    assert (least_by_sums(given), least_by_large(given)) == (5, 7)


def test_patterns_see_that_two_thirds_of_a_host_stay_empty() -> None:
    """Five VMs of 4 go two by two into hosts of 10."""
    given = vms((4, 5), size=10, hosts=9)
    assert (least_by_large(given), relaxed(given, Clock(10.0))[0]) == (2, 3)


def test_instance_whose_program_over_patterns_is_too_low() -> None:
    """15, 10, 10, 6, 6, 6, 6 in 30: 59 of 60 units, and yet no two hosts do. The smallest known
    cutting-stock instance without the integer round-up property is of this kind."""
    given = vms((15, 1), (10, 2), (6, 4), size=30, hosts=4)
    assert least_by_large(given) == 2
    _, patterns = relaxed(given, Clock(10.0))
    assert exact(given, 2, patterns, Clock(10.0)) == (3, 3)


def test_triplets_fill_every_host() -> None:
    """Falkenauer's triplets: three VMs each, of a quarter to a half, fill a host to the last."""
    chance = np.random.default_rng(7)
    sizes = []
    for _ in range(6):
        first, second = chance.integers(380, 490), chance.integers(255, 300)
        sizes += [first, second, 1000 - first - second]
    need, count = np.unique(sizes, return_counts=True)
    given = vms(*zip(need.tolist(), count.tolist(), strict=True), size=1000, hosts=8)

    last = list(bounds(given, 20.0))[-1]

    assert (last.low, last.high) == (6, 6)


def test_too_few_hosts_are_called_too_few() -> None:
    found = list(bounds(vms((6, 7), size=10, hosts=6), 10.0))
    assert [(one.low, one.high) for one in found[1:]] == [(7, None)] * 3


def test_time_that_is_short_leaves_a_bound_that_holds() -> None:
    given = vms(*((37 * k % 61 + 20, 2) for k in range(1, 7)), size=150, hosts=12)
    low, high = exact(given, *relaxed(given, Clock(0.0)), Clock(0.0))
    best = list(bounds(given, 20.0))[-1]
    assert low <= best.low
    assert high is None or best.low <= high


def test_more_that_fit_is_where_one_more_would_not() -> None:
    given = vms((4, 3), (3, 2), size=10, hosts=3)
    sure, most = more_that_fit(partial(given.with_more, 1), 9, 10.0)
    assert sure == most
    assert fewest(given.with_more(1, most)) <= 3 < fewest(given.with_more(1, most + 1))


def test_what_the_simulator_counts_is_what_is_packed() -> None:
    """39 VMs wait and run in the overfull cluster: 13 fit on a host, 48 on all."""
    seen = scene(load(SCENARIOS / "overfull-cluster.yaml"), 3600.0, opened)
    found = list(hosts_needed(seen, 10.0))

    assert (found[-1].low, found[-1].high) == (len(seen.rows), len(seen.rows))
    room = room_for(seen, "my-vm-class", 10.0)
    assert room.here <= room.sure == room.most


def test_vms_that_must_keep_apart_need_a_host_each() -> None:
    seen = scene(load(SCENARIOS / "drs-rules.yaml"), 3600.0, opened)
    given = packing(seen, parts(seen)[0])
    assert relaxed(given, Clock(10.0))[0] == 3


def test_pools_that_let_no_more_in_are_told() -> None:
    """Pool c may promise 8 GiB, and two of its VMs want 8 each."""
    done = CliRunner().invoke(app, ["bounds", "resource-pools"])
    assert "exact       1 at least, proved: so many are enough" in done.output
    assert "admission   not even all hosts let all VMs in" in done.output
    why = "the VMs that are wanted on come first, and not all of them find room or are let in"
    assert f"guaranteed: 37, 0, proved: {why}" in done.output


def test_class_that_no_vm_has_is_bad_input() -> None:
    seen = scene(load(SCENARIOS / "overfull-cluster.yaml"), 60.0, opened)
    with pytest.raises(BadInput, match="no VM has class moon"):
        room_for(seen, "moon", 1.0)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 0, "exact       3 at least, proved: so many are enough"),
        (["--json"], 0, '"method": "exact",\n      "low": 3,\n      "high": 3,'),
        (["--class", "moon"], 2, "no VM has class moon"),
        (["--limit", "0s"], 2, "a limit above 0 is needed"),
        (["--limit", "ten"], 2, "ten"),
    ],
)
def test_command_line(words: list[str], code: int, text: str) -> None:
    done = CliRunner().invoke(app, ["bounds", "zone-pinning", *words])
    assert done.exit_code == code, done.output
    assert text in done.output
    assert "come first" not in done.output


def test_scenario_without_vms_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text(EMPTY)
    done = CliRunner().invoke(app, ["bounds", str(path)])
    assert done.exit_code == 2
    assert "no VM is wanted on" in done.output
