"""Which controller is judged behind a Kubernetes API, and what is left there afterwards?

KUBECONFIG and VMSIM_CONTEXT say where it is: one context, or several with commas, each of another
edition. A cluster that does not answer is a target that cannot be reached; one that has not the
API, or where rights are missing, is wrong usage.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from vmsim.conformance.trial import CASE_LIMIT_S
from vmsim.kube import Denial
from vmsim.problems import BadInput, Problem, Unreachable

if TYPE_CHECKING:
    from features.kube.cluster import Cluster

CONTEXTS = "VMSIM_CONTEXT"
LONGEST_CASE_S = 4_000_000.0
CASE_MOST_S = 1_000_000.0
SEEN = "what the hosts hold is what the VMs' statuses and the Nodes report"
LOOKED = "what the hosts hold is what vSphere's own API says"
STEPPED = "time stands still while nobody waits, and is moved by who waits"

Clusters = Mapping[str, "Cluster"]


def found() -> dict[str, "Cluster"]:
    """The clusters of KUBECONFIG and VMSIM_CONTEXT, by edition."""
    try:
        from features.kube.cluster import cluster
    except ImportError:
        hint = "pip install 'vmsim[kubernetes]'"
        raise BadInput([Problem("the package kubernetes is not installed", hint=hint)]) from None
    kubeconfig = os.environ.get("KUBECONFIG")
    named = os.environ.get(CONTEXTS, "").split(",")
    clusters: dict[str, Cluster] = {}
    for context in [name or None for name in named]:
        one = cluster(Path(kubeconfig) if kubeconfig else None, context)
        if one.edition in clusters:
            message = f"{context} and {clusters[one.edition].context} have both {one.edition}"
            raise BadInput([Problem(message, field="--context", hint="name one of them")])
        clusters[one.edition] = one
    return clusters


def about(clusters: Clusters) -> dict[str, Any]:
    """The fields of the target's `Descriptor`."""
    looked = all(one.inventory for one in clusters.values())
    ours = all(one.about.get("vsphere") for one in clusters.values())
    blind = {} if looked and ours else {"vm-without-object": SEEN}
    for one in clusters.values():
        blind |= one.hosts.blind
    stepped = any(not one.speed for one in clusters.values())
    return {
        "implementation": _implementation(clusters),
        "open": partial(_supervisor, clusters),
        "check": partial(_check, clusters),
        "blind": blind,
        "played": (LOOKED if looked else SEEN, *([STEPPED] if stepped else [])),
        "clean": partial(_clean, clusters),
        "left_behind": partial(_left, clusters),
        "end": partial(_end, clusters),
        "case_s": _case_s(clusters),
    }


def _implementation(clusters: Clusters) -> dict[str, str]:
    """Who it is: what each cluster tells, values that differ with commas between them."""
    words: dict[str, dict[str, None]] = {
        name: {} for name in ("project", "version", "commit", "edition", "speed", "kubernetes")
    }
    for one in clusters.values():
        told = {**one.about, "project": one.about.get("implementation", "")}
        told |= {"edition": one.edition, "kubernetes": one.version, "speed": f"{one.speed:g}"}
        for name, values in words.items():
            if told.get(name):
                values[told[name]] = None
    return {"organization": "", **{name: ", ".join(values) for name, values in words.items()}}


def _case_s(clusters: Clusters) -> float:
    """How long a case may take in real time: the longest one in the slowest cluster."""
    slowest = min((one.speed for one in clusters.values() if one.speed), default=0.0)
    return min(CASE_LIMIT_S + LONGEST_CASE_S / slowest, CASE_MOST_S) if slowest else 0.0


def _check(clusters: Clusters) -> None:
    for one in clusters.values():
        if not one.api.is_ready():
            raise Unreachable(f"{one.api.url} is not ready")


@contextmanager
def _supervisor(clusters: Clusters, seed: int) -> Iterator[Any]:
    from features.kube.target import KubeTarget

    target = KubeTarget(clusters=clusters)
    try:
        yield target
    finally:
        target.close()


def _clean(clusters: Clusters) -> list[str]:
    """Take away what a run left that was killed; what it was."""
    from features.kube.leftovers import sweep

    try:
        return [what for one in clusters.values() for what in sweep(one)]
    except (msgspec.DecodeError, Denial) as error:
        raise Unreachable(f"what an earlier run left cannot be taken away: {error}") from None


def _left(clusters: Clusters) -> list[str]:
    """Objects of cases that should be gone; namespaces may still be on their way out."""
    return [path for one in clusters.values() for path in one.left()]


def _end(clusters: Clusters) -> list[str]:
    """Give the hosts back, wait until the namespaces are gone; what is there nevertheless."""
    from features.kube.leftovers import give_back, remaining

    left: list[str] = []
    for one in clusters.values():
        give_back(one)
        left += remaining(one)
        one.close()
    return left
