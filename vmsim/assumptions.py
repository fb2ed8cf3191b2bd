"""What did this run take for granted?

A simulation is as good as its assumptions, so every run states them: the policies, the timers and
the durations that were in force, with where they come from.
"""

import dataclasses

from vmsim import ha_schema
from vmsim.durations import Durations
from vmsim.loading import Plan


def assumptions(plan: Plan) -> list[str]:
    """One sentence per assumption, in a fixed order."""
    spec = plan.scenario.spec
    policies, retry = spec.policies, spec.policies.retry
    resync_s = plan.edition.resync_s if retry.resync is None else retry.resync
    watch = plan.edition.watches if retry.watch is None else retry.watch
    said = [
        f"edition {spec.edition}; where page and code disagree, the {spec.verdict.value} counts",
        f"a host promises {policies.overcommit.cpu:g} vCPU per core and "
        f"{policies.overcommit.memory:g} MiB per MiB; powered-off VMs take no room",
        f"placement: {policies.placement}, ties to the first host declared",
        "a VM that cannot be migrated off a host entering maintenance: "
        f"{policies.eviction or plan.default_eviction}",
        f"vGPU VMs {'can' if policies.vgpu_hot_migrate else 'cannot'} be live-migrated; "
        "DirectPath I/O VMs cannot",
        *ha_schema.said(ha_schema.settings(spec.high_availability)),
        "at most 8 concurrent migrations per host (4 below 10 Gbit/s)",
        f"a failed VM is retried after {retry.first:g} s, doubling up to {retry.longest:g} s; "
        f"resync every {resync_s:g} s",
        f"the controller is {'' if watch else 'not '}told of changes that it did not ask for; "
        f"free capacity {'wakes' if retry.wake_on_capacity else 'does not wake'} waiting VMs",
    ]
    durations = plan.durations
    parts = [
        f"{item.name.removesuffix('_s')} {getattr(durations, item.name):g} s"
        for item in dataclasses.fields(Durations)
    ]
    said.append(f"durations: {', '.join(parts)}")
    return said
