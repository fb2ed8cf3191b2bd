"""One run of a changed scenario, and the row that it leaves.

A replication is fixed by the scenario, what is set in it, the study that arranges it, and its
number; seeds come from the number and the root seed alone, so two variants see the same chance
(common random numbers) and neither the engine nor the order matters.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import msgspec
import simpy

from vmsim.documents import Document, Lines
from vmsim.loading import Plan, plan
from vmsim.running import Opened
from vmsim.simulate import System
from vmsim.whatif.binding import holds_moves
from vmsim.whatif.capacity import Capacity
from vmsim.whatif.entries import enter
from vmsim.whatif.incidents import Incident
from vmsim.whatif.ledger import Ledger
from vmsim.whatif.metrics import measured, minutes_by_class

NAMES_KEPT = 1_000
NOT_RESTARTED = "not restarted"


class Outcome(msgspec.Struct):
    """A replication's row and the incidents behind it."""

    row: dict[str, Any]
    incidents: list[Incident]


def seed_of(root: int, replication: int) -> int:
    """The seed of a replication: 48 bits of the root seed and its number."""
    text = f"{root}/{replication}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "big")


@lru_cache(maxsize=4)
def _loaded(text: bytes, folder: str) -> Plan:
    value = msgspec.json.decode(text)
    return plan(Document(value, value["metadata"]["name"], Lines(0)), Path(folder))


def ready(scenario: Mapping[str, Any], seed: int) -> Plan:
    """The plan of a scenario with this seed; scenarios that differ only in it load once."""
    value = {**scenario, "spec": {**scenario["spec"], "seed": 0}}
    made = _loaded(msgspec.json.encode(value), ".")
    spec = made.scenario.spec.model_copy(update={"seed": seed})
    resolved = {**made.resolved, "spec": {**made.resolved["spec"], "seed": seed}}
    changed = made.scenario.model_copy(update={"spec": spec})
    return dataclasses.replace(made, scenario=changed, resolved=resolved)


@contextmanager
def started(
    made: Plan, opened: Opened, sink: Any = None, warm_s: float = 0.0
) -> Iterator[tuple[System, Ledger]]:
    """A run of the plan in memory that is about to begin, and the ledger that listens to it."""
    promise = made.scenario.spec.policies.overcommit
    with opened("memory", made.all_hosts) as backend:
        system = System(made, backend, simpy.Environment(), sink)
        ledger = Ledger(Capacity(made.edition.name, promise.cpu, promise.memory), warm_s)
        system.trace.listen(partial(enter, ledger))
        try:
            yield system, ledger
        finally:
            system.trace.close()


def replicate(made: Plan, opened: Opened, sink: Any = None, warm_s: float = 0.0) -> Outcome:
    """Run the plan once, in memory; what happens before `warm_s` is not measured."""
    with started(made, opened, sink, warm_s) as (system, ledger):
        system.begin()
        system.advance(made.scenario.spec.duration)
        ledger.close(float(system.env.now))
    row: dict[str, Any] = {
        "seed": made.scenario.spec.seed,
        "because": _short(ledger.bound),
        "kept_off": _short(_kept_off(ledger)),
        "took": _short(_took(ledger)),
        "worst_vm": _worst(ledger),
        "waiting": _names([vm.key for vm in ledger.vms.values() if vm.wanted and not vm.running]),
        "blocking": _blocking(ledger.blockers),
        "by_class": json.dumps(minutes_by_class(ledger)),
        "digest": system.trace.digest(),
        "records": system.trace.count,
        **measured(ledger),
    }
    return Outcome(row, ledger.incidents)


def _kept_off(ledger: Ledger) -> dict[str, float]:
    """For how long each constraint kept VMs from running; a VM that is down to the end and was
    refused no host is one that nobody restarts."""
    bound = {word: time_s for word, time_s in ledger.bound.items() if not holds_moves(word)}
    left = sum(one.lasted_s for one in ledger.downtimes if one.open and not one.because)
    return bound | ({NOT_RESTARTED: left} if left else {})


def _took(ledger: Ledger) -> dict[str, float]:
    """For how long moves were held up, and what they took."""
    held = {word: time_s for word, time_s in ledger.bound.items() if holds_moves(word)}
    return held | {word: time_s for word, time_s in ledger.moving.items() if time_s > 0.0}


def _short(bound: Mapping[str, float]) -> str:
    """What was short for the longest time, summed over VMs, or ''."""
    return max(bound, key=lambda word: (bound[word], word), default="")


def _worst(ledger: Ledger) -> str:
    """The VM with the longest downtime (or, if none was down, the longest wait), or ''."""
    longest = max(ledger.incidents, key=lambda one: (one.lasted_s, one.vm), default=None)
    return "" if longest is None else longest.vm


def _blocking(blockers: Mapping[str, str]) -> str:
    """`a, b (reason); c (other reason)`."""
    by_reason: dict[str, list[str]] = {}
    for vm, why in sorted(blockers.items()):
        by_reason.setdefault(why, []).append(vm)
    return "; ".join(f"{_names(vms)} ({why})" for why, vms in by_reason.items())


def _names(names: list[str]) -> str:
    """The first NAMES_KEPT; metrics say how many there are."""
    return ", ".join(names[:NAMES_KEPT])
