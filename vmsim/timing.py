"""How fast is the VM role, and how soon does it look again?

The scenario's timers, the edition's where it gives none. Sources: controller-runtime's default
rate limiters and priority queue; VM Operator's configuration (`pkg/config`), of each edition's day.
"""

from typing import TypeVar

from vmsim.controller import RetryPolicy
from vmsim.plan import Plan
from vmsim.workqueue import Backoff, Pace

T = TypeVar("T")


def retry_policy(plan: Plan) -> RetryPolicy:
    """The retry policy of a plan, the edition's timers where the scenario gives none."""
    retry, edition = plan.scenario.spec.policies.retry, plan.edition
    return RetryPolicy(
        Backoff(retry.first, retry.longest),
        _given(retry.resync, edition.resync_s),
        _given(retry.watch, edition.watches),
        retry.wake_on_capacity,
        Pace(
            retry.workers,
            retry.reconcile,
            _given(retry.bucket_rate, edition.bucket_per_s),
            retry.bucket_burst,
        ),
        _given(retry.priorities, edition.prioritised),
        _given(retry.max_creates, most_creates(plan)),
        _given(retry.create_requeue, edition.create_requeue_s),
        _given(retry.ip_requeue, edition.ip_requeue_s),
    )


def most_creates(plan: Plan) -> int:
    """How many VMs the edition creates at a time; 0 is no limit (Q-04, Q-05).

    An edition that goes by its workers has no limit here while their number is not given.
    """
    share, workers = plan.edition.create_share, plan.scenario.spec.policies.retry.workers
    if share is None:
        return plan.edition.max_creates
    return max(1, int(share * workers)) if workers else 0


def said(plan: Plan) -> list[str]:
    """The assumptions about the VM role's timing."""
    policy = retry_policy(plan)
    pace, backoff = policy.pace, policy.backoff
    bucket = f"{pace.bucket_per_s:g} a second after a burst of {pace.bucket_burst}"
    again = f"come again after {policy.create_requeue_s:g} s"
    creates = f"at most {policy.max_creates} VMs are created at a time, others "
    creates += again if policy.create_requeue_s else "wait for their next visit"
    return [
        f"a failed VM is retried after {backoff.first_s:g} s, doubling up to "
        f"{backoff.longest_s:g} s; retries of all VMs: "
        f"{bucket if pace.bucket_per_s else 'no limit'}; resync every {policy.resync_s:g} s",
        f"the controller is {'' if policy.watch else 'not '}told of changes that it did not ask "
        f"for; free capacity {'wakes' if policy.wake_on_room else 'does not wake'} waiting VMs",
        f"its queue {'puts creations first, then power changes' if policy.prioritised else 'is'}"
        f"{', deletions, VMs without address' if policy.prioritised else ' first in, first out'}; "
        f"a visit takes {pace.visit_s:g} s, workers: {pace.workers or 'no limit'}",
        creates if policy.max_creates else "VMs created at a time: no limit",
        "power-off: Hard asks no guest, nor does a deletion; TrySoft is hard after 300 s",
    ]


def _given(value: T | None, default: T) -> T:
    """The scenario's value, or the edition's where it gives none."""
    return default if value is None else value
