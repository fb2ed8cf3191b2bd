"""Which controller is judged behind a Kubernetes API, and what is left there afterwards?

KUBECONFIG and VMSIM_CONTEXT say where it is: one context, or several with commas, each of another
edition. A cluster that does not answer is a target that cannot be reached; one that has not the
API, or where rights are missing, is wrong usage.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from features.clauses import EDITIONS
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

Clusters = Sequence["Cluster"]


def found() -> list["Cluster"]:
    """The clusters of KUBECONFIG and VMSIM_CONTEXT, by edition."""
    clusters: dict[str, Cluster] = {}
    for context in os.environ.get(CONTEXTS, "").split(","):
        one = _cluster(context)
        if one.api.url in clusters:
            message = f"{context} and {clusters[one.api.url].context} are one cluster"
            raise BadInput([Problem(message, field="--context", hint="name one of them")])
        clusters[one.api.url] = one
    return sorted(clusters.values(), key=lambda one: one.edition)


def _cluster(context: str) -> "Cluster":
    try:
        from features.kube.cluster import cluster
    except ImportError:
        hint = "pip install 'vmsim[kubernetes]'"
        raise BadInput([Problem("the package kubernetes is not installed", hint=hint)]) from None
    kubeconfig = os.environ.get("KUBECONFIG")
    return cluster(Path(kubeconfig) if kubeconfig else None, context or None)


@contextmanager
def reached(contexts: Sequence[str]) -> Iterator[Clusters]:
    """The clusters of these contexts, over connections of their own."""
    clusters = [_cluster(context) for context in contexts]
    try:
        yield clusters
    finally:
        for one in clusters:
            one.close()


def lanes(clusters: Clusters, workers: int) -> list[tuple[frozenset[str], list[str]]]:
    """For each worker the editions whose cases it can run, and the contexts of the clusters that
    it has for itself: a case has all hosts and the clock of its cluster. What no cluster has can
    be said by anybody."""
    nowhere = set(EDITIONS) - {one.edition for one in clusters}
    shares = [clusters[number::workers] for number in range(workers)]
    return [
        (frozenset(nowhere.union(one.edition for one in share)), [one.context for one in share])
        for share in shares
    ]


def about(clusters: Clusters) -> dict[str, Any]:
    """The fields of the target's `Descriptor`."""
    looked = all(one.inventory for one in clusters)
    ours = all(one.about.get("vsphere") for one in clusters)
    blind = {} if looked and ours else {"vm-without-object": SEEN}
    for one in clusters:
        blind |= one.hosts.blind
    stepped = any(not one.speed for one in clusters)
    return {
        "implementation": _implementation(clusters),
        "open": partial(_supervisor, {one.edition: one for one in reversed(clusters)}),
        "check": partial(_check, clusters),
        "blind": blind,
        "played": (LOOKED if looked else SEEN, *([STEPPED] if stepped else [])),
        "clean": partial(_clean, clusters),
        "left_behind": partial(_left, clusters),
        "end": partial(_end, clusters),
        "case_s": _case_s(clusters),
        "parallel": 1 if os.environ.get("GOVC_URL") else len(clusters),  # one vCenter is shared
    }


def _implementation(clusters: Clusters) -> dict[str, str]:
    """Who it is: what each cluster tells, values that differ with commas between them."""
    words: dict[str, dict[str, None]] = {
        name: {} for name in ("project", "version", "commit", "edition", "speed", "kubernetes")
    }
    for one in clusters:
        told = {**one.about, "project": one.about.get("implementation", "")}
        told |= {"edition": one.edition, "kubernetes": one.version, "speed": f"{one.speed:g}"}
        for name, values in words.items():
            if told.get(name):
                values[told[name]] = None
    return {"organization": "", **{name: ", ".join(values) for name, values in words.items()}}


def _case_s(clusters: Clusters) -> float:
    """How long a case may take in real time: the longest one in the slowest cluster."""
    slowest = min((one.speed for one in clusters if one.speed), default=0.0)
    return min(CASE_LIMIT_S + LONGEST_CASE_S / slowest, CASE_MOST_S) if slowest else 0.0


def _check(clusters: Clusters) -> None:
    for one in clusters:
        if not one.api.is_ready():
            raise Unreachable(f"{one.api.url} is not ready")


@contextmanager
def _supervisor(clusters: Mapping[str, "Cluster"], seed: int) -> Iterator[Any]:
    from features.kube.target import KubeTarget

    target = KubeTarget(clusters=clusters)
    try:
        yield target
    finally:
        try:
            target.close()
        except KeyboardInterrupt:
            target.close()  # all of it: an interrupt must not leave a half of the case there
            raise


def _clean(clusters: Clusters) -> list[str]:
    """Take away what a run left that was killed; what it was."""
    from features.kube.leftovers import sweep

    try:
        return [what for one in clusters for what in sweep(one)]
    except (msgspec.DecodeError, Denial) as error:
        raise Unreachable(f"what an earlier run left cannot be taken away: {error}") from None


def _left(clusters: Clusters) -> list[str]:
    """Objects of cases that should be gone; namespaces may still be on their way out."""
    return [path for one in clusters for path in one.left()]


def _end(clusters: Clusters) -> list[str]:
    """Give the hosts back, wait until the namespaces are gone; what is there nevertheless."""
    from features.kube.leftovers import give_back, remaining

    left: list[str] = []
    for one in clusters:
        give_back(one)
        left += remaining(one)
        one.close()
    return left
