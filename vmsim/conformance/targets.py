"""Which implementations can be judged, and what does each of them have?

A target is a `Descriptor`: how to open one Supervisor per case, what the implementation lacks, and
what cannot be seen or done with it from here. Ours are listed below; others come by entry point
group `vmsim.targets`, each a function without arguments that returns a `Descriptor`.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from typing import Any

from backends import opened
from features.clauses import CAPABILITIES, EDITIONS, PLAYED
from features.target import Target
from vmsim import __version__
from vmsim.conformance import kubernetes_target
from vmsim.conformance.evidence import NotTestable
from vmsim.conformance.suite import unknown
from vmsim.problems import BadInput, Unreachable

GROUP = "vmsim.targets"
OWN_HOSTS = "its hosts are its own, and each scenario needs other ones"
CLEAN_S = 3600.0
ENTERING, CLOSED = "EnteringMaintenance", "Maintenance"


def _no_one_left() -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One implementation that can be judged.

    `open(seed)` is a fresh Supervisor for one case; it must offer what `features.target.Target`
    does. `lacking` are capabilities that the implementation has not got (those cases are not
    supported), `blind` what cannot be done or seen from here (not testable), each with the reason.
    `check` raises `Unreachable`. `clean` takes away what an earlier run left that was killed, and
    lists it. `left_behind` lists what is still there after a case. So many cases as `parallel` may
    run at a time, because their Supervisors do not share anything; `lanes` says which part of the
    target each of so many workers has, where the parts are not alike.
    `end` is called after the last case, however the run ended: it puts back what was changed and
    lists what is there nevertheless. `case_s` is how long a case may take in real time (0: as
    long as the suite allows).
    `unavailable` says why nothing can be run at all.
    """

    name: str
    implementation: Mapping[str, str]
    open: Callable[[int], AbstractContextManager[Any]]
    check: Callable[[], None] = lambda: None
    lacking: Mapping[str, str] = field(default_factory=dict)
    blind: Mapping[str, str] = field(default_factory=dict)
    played: tuple[str, ...] = ()
    clean: Callable[[], list[str]] = _no_one_left
    left_behind: Callable[[], list[str]] = _no_one_left
    end: Callable[[], list[str]] = _no_one_left
    case_s: float = 0.0
    unavailable: str = ""
    parallel: int = 1
    lanes: Callable[[int], list["Lane"]] | None = None

    def shared(self, workers: int) -> list["Lane"]:
        """A lane for each of the workers."""
        if self.lanes is not None:
            return self.lanes(workers)
        return [Lane(frozenset(EDITIONS), lambda: nullcontext(self))] * workers


@dataclass(frozen=True, slots=True)
class Lane:
    """What one worker has for itself: the editions whose cases it can run, and the target, which
    is opened in the worker."""

    editions: frozenset[str]
    open: Callable[[], AbstractContextManager[Descriptor]]


@contextmanager
def supervisor(backend: str, seed: int) -> Iterator[Target]:
    """Our VM role on one of our backends."""
    with ExitStack() as stack:
        yield Target(partial(opened, backend), stack, seed=seed)


@contextmanager
def _on_vcenter(seed: int) -> Iterator[Target]:
    """Our VM role on the vCenter of GOVC_URL, as far as its hosts are those of the case."""
    try:
        with supervisor("vsphere", seed) as target:
            try:
                yield target
            finally:
                _clean(target)
    except BadInput as error:
        raise NotTestable(str(error)) from None


def _clean(target: Target) -> None:
    """Delete the VMs of the case, then open its hosts, which no VM holds up any more."""
    if target.now_s == 0.0:
        return
    for key, vm in list(target.system.api.vms.items()):
        namespace, _, name = key.rpartition("/")
        held = {"metadata": {"annotations": dict.fromkeys(vm.annotations)}}
        target.system.api.patch(key, held)  # one of them may hold the deletion back
        target.delete("VirtualMachine", name, namespace)
    done = target.until(lambda: not target.vm_count() and not _hosts(target, ENTERING), CLEAN_S)
    for host in _hosts(target, CLOSED):
        target.administer(exitMaintenance=host)
    if not done or not target.until(lambda: not _hosts(target, CLOSED), CLEAN_S):
        raise RuntimeError("the VMs or the hosts of the case could not be set free")


def _hosts(target: Target, state: str) -> list[str]:
    return [host for host in target.hosts() if target.host_state(host) == state]


def _left_on_vcenter() -> list[str]:
    try:
        _check("vsphere")
    except BadInput as error:
        return [str(error)]
    return []


def _check(backend: str) -> None:
    with opened(backend, []):
        pass


def _ours(name: str) -> Descriptor:
    implementation = {
        "organization": "vmsim",
        "project": f"vmsim on {name}",
        "version": __version__,
    }
    return Descriptor(
        name,
        implementation,
        partial(supervisor, name),
        partial(_check, name),
        played=PLAYED.get(name, ()),
        parallel=64,
    )


def _vsphere() -> Descriptor:
    from backends.vsphere_endpoint import Endpoint

    where = Endpoint.from_environment(os.environ).url  # GOVC_URL may hold a password
    implementation = {"organization": "", "project": "vCenter", "version": "", "url": where}
    return Descriptor(
        "vsphere",
        implementation,
        _on_vcenter,
        partial(_check, "vsphere"),
        blind={
            "new-hosts": OWN_HOSTS,
            "host-failure": "nobody may make its hosts fail",
            "vm-without-object": "it would be left behind",
        },
        played=PLAYED["vcsim"][:1],
        left_behind=_left_on_vcenter,
    )


@contextmanager
def _nothing(seed: int) -> Iterator[Any]:
    raise Unreachable("the cluster did not answer")
    yield


def _kubernetes() -> Descriptor:
    """Any controller behind a Kubernetes API; a cluster that does not answer fails the check."""
    try:
        clusters = kubernetes_target.found()
        about = kubernetes_target.about(clusters)
        return Descriptor("kubernetes", **about, lanes=partial(_kubernetes_lanes, clusters))
    except Unreachable as error:
        message = str(error)

    def check() -> None:
        raise Unreachable(message)

    implementation = {"organization": "", "project": "", "version": ""}
    return Descriptor("kubernetes", implementation, _nothing, check)


def _kubernetes_lanes(clusters: kubernetes_target.Clusters, workers: int) -> list[Lane]:
    shares = kubernetes_target.lanes(clusters, workers)
    return [Lane(editions, partial(_on_clusters, contexts)) for editions, contexts in shares]


@contextmanager
def _on_clusters(contexts: Sequence[str]) -> Iterator[Descriptor]:
    with kubernetes_target.reached(contexts) as clusters:
        yield Descriptor("kubernetes", **kubernetes_target.about(clusters))


BUILT_IN: Mapping[str, Callable[[], Descriptor]] = {
    "memory": partial(_ours, "memory"),
    "vcsim": partial(_ours, "vcsim"),
    "vsphere": _vsphere,
    "kubernetes": _kubernetes,
}


def names() -> list[str]:
    """The targets that can be asked for: ours, and those that other packages bring."""
    return [*BUILT_IN, *sorted({point.name for point in entry_points(group=GROUP)} - {*BUILT_IN})]


def target(name: str) -> Descriptor:
    """The target of that name; `BadInput` when there is none, or it does not say what it has."""
    if name in BUILT_IN:
        return BUILT_IN[name]()
    for point in entry_points(group=GROUP):
        if point.name == name:
            found = point.load()()
            return _checked(found, point.value)
    raise BadInput([unknown("--target", name, set(names()))])


def _checked(found: Any, where: str) -> Descriptor:
    from vmsim.problems import Problem

    if not isinstance(found, Descriptor):
        raise BadInput([Problem(f"{where} gives no Descriptor", field="--target")])
    strange = sorted({*found.lacking, *found.blind} - {*CAPABILITIES})
    if strange:
        raise BadInput([unknown(where, name, set(CAPABILITIES)) for name in strange])
    return found
