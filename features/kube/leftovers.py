"""What did an earlier run of the suite leave on a cluster, and how is it taken away?

A run that is killed cleans nothing up. What it made carries the label of its case, and so do the
Nodes of the hosts that it took out of service. These come back first, since VMs on a host that does
not serve may not go; then the VMs go, as a user deletes them; then all the rest.
"""

import time
from collections.abc import Iterator
from contextlib import suppress

from features.kube.clocks import GONE_S, HOSTS_S
from features.kube.cluster import VM, Cluster, path_of
from vmsim.kinds import Kind, kinds
from vmsim.kube import Denial
from vmsim.problems import Unreachable

END_S = 60.0


def sweep(cluster: Cluster) -> list[str]:
    """What was left, in words, once it is gone; `Unreachable` when it does not go."""
    if not [*cluster.left(), *cluster.terminating(), *cluster.hosts.lent()]:
        return []
    cluster.hosts.reopen()
    found = [*_vms(cluster), *_rest(cluster)]
    hosts = give_back(cluster)
    if left := remaining(cluster):
        raise Unreachable(f"an earlier run left what does not go away: {', '.join(left)}")
    return [*(f"host {name} out of service" for name in hosts), *found]


def give_back(cluster: Cluster) -> list[str]:
    """Have the hosts that the suite took in service again; which they were."""
    hosts = cluster.hosts
    if not hosts.lent():
        return []
    cluster.time().until(hosts.rested, HOSTS_S, ())
    hosts.reopen()
    cluster.time().until(hosts.settled, HOSTS_S, (hosts.kind,))
    return hosts.forget()


def remaining(cluster: Cluster) -> list[str]:
    """What is still there when namespaces have had their time to go."""
    deadline = time.monotonic() + END_S
    while (spaces := cluster.terminating()) and time.monotonic() < deadline:
        time.sleep(0.5)
    closed = [f"host {name} out of service" for name in cluster.hosts.lent()]
    return [*spaces, *cluster.left(), *closed]


def _vms(cluster: Cluster) -> Iterator[str]:
    """Delete the VMs and wait for it; on vSphere those of the namespaces that lost their object."""
    known = kinds(cluster.edition)
    yield from _delete(cluster, known[VM])
    touched = (VM, cluster.hosts.kind)
    cluster.time().until(lambda: not cluster.labelled(known[VM]), GONE_S, touched)
    if cluster.inventory is not None:
        for raw in cluster.labelled(known["Namespace"]):
            found = cluster.inventory.clear(f"{raw['metadata']['name']}/")
            yield from (f"{key} on vSphere" for key in found)


def _rest(cluster: Cluster) -> Iterator[str]:
    """Delete what is in no namespace, and the namespaces."""
    for kind in kinds(cluster.edition).values():
        if not kind.namespaced and kind.name != "Node":
            yield from _delete(cluster, kind)


def _delete(cluster: Cluster, kind: Kind) -> Iterator[str]:
    for raw in cluster.labelled(kind):
        path = path_of(kind, raw)
        if notes := raw["metadata"].get("annotations"):  # one of them may hold the deletion back
            with suppress(Denial):
                cluster.api.patch(path, {"metadata": {"annotations": dict.fromkeys(notes)}})
        cluster.api.delete(path)
        yield path
