"""What did this run take for granted?

A simulation is as good as its assumptions, so every run states them: the policies, the timers and
the durations that were in force, with where they come from.
"""

import dataclasses

from vmsim import chance_schema, drs_schema, ha_schema, sources, timing, upgrade_schema
from vmsim.durations import Durations
from vmsim.loading import Plan
from vmsim.vmotion import assumed


def assumptions(plan: Plan) -> list[str]:
    """One sentence per assumption, in a fixed order."""
    spec = plan.scenario.spec
    policies = spec.policies
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
        *assumed(plan.vmotion),
        *timing.said(plan),
        *chance_schema.said(spec.failures, spec.maintenance_calendar, spec.guests),
        *sources.said(plan.workload),
        *drs_schema.said(spec.drs),
        *upgrade_schema.said(spec.upgrade),
    ]
    durations = plan.durations
    parts = [
        f"{item.name.removesuffix('_s')} {getattr(durations, item.name):g} s"
        for item in dataclasses.fields(Durations)
    ]
    said.append(f"durations: {', '.join(parts)}")
    return said
