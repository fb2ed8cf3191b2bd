"""Where a run can take place: in memory, on a vcsim process, on a vCenter.

`opened(name, hosts)` is the one way in; each backend is one row of BACKENDS and one module, which
is imported only when it is asked for.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from vmsim.problems import BadInput, Problem

if TYPE_CHECKING:
    from backends.effects import Driver
    from backends.unreliable import Struck
    from backends.vsphere_eyes import Eyes
    from backends.vsphere_session import Session
    from vmsim.objects import HostSpec
    from vmsim.ports import Backend


@contextmanager
def memory(hosts: Sequence["HostSpec"], resumes: bool) -> Iterator["Backend"]:
    """A cluster that exists in memory only, on virtual time."""
    from backends.memory import MemoryPlant
    from vmsim.ports import Backend

    yield Backend(
        "memory",
        {},
        lambda needs: MemoryPlant(
            needs.env, needs.durations, needs.host, needs.faults, vmotion=needs.vmotion
        ),
        lambda believed: [],
    )


@contextmanager
def vcsim(hosts: Sequence["HostSpec"], resumes: bool) -> Iterator["Backend"]:
    """A vcsim process that has exactly these hosts, on modelled time."""
    from backends.vcsim_inventory import write_inventory
    from backends.vcsim_process import Vcsim
    from backends.vsphere_eyes import Eyes
    from backends.vsphere_session import Session

    with tempfile.TemporaryDirectory(prefix="vmsim-") as folder, ExitStack() as stack:
        simulator, variables = Vcsim(), {}
        if not simulator.program.url:
            inventory = Path(folder) / "inventory"
            write_inventory(inventory, hosts)
            stack.enter_context(simulator.start(inventory))
            variables = {"GOVC_URL": simulator.url, "GOVC_INSECURE": "1"}
        eyes = stack.enter_context(closing(Eyes(simulator.endpoint)))
        session = stack.enter_context(Session.connect(simulator.endpoint))
        _check_hosts(session, hosts, resumes)
        backend = driven("vcsim", session, eyes=eyes)
        yield replace(backend, variables=variables)


@contextmanager
def vsphere(hosts: Sequence["HostSpec"], resumes: bool) -> Iterator["Backend"]:
    """The vCenter that GOVC_URL names, on modelled time; it must have the scenario's hosts."""
    from backends.vsphere_session import Endpoint, Session

    with Session.connect(Endpoint.from_environment(os.environ)) as session:
        _check_hosts(session, hosts, resumes)
        yield driven("vsphere", session)


def driven(
    name: str,
    session: "Session",
    driver: "Driver | None" = None,
    eyes: "Eyes | None" = None,
) -> "Backend":
    """A backend whose plant keeps the time and whose session, or the driver before it, works."""
    from backends.effects import VSphereEffects
    from backends.memory import MemoryPlant
    from vmsim.ports import Backend

    effects = VSphereEffects(driver or session)
    about = session.about
    versions = {name: f"{about.product} (API {about.api})", "notes": "; ".join(session.notes)}
    return Backend(
        name,
        versions,
        lambda needs: MemoryPlant(
            needs.env, needs.durations, needs.host, needs.faults, effects, needs.vmotion
        ),
        effects.compare,
        effects,
        None if eyes is None else partial(effects.sighting, eyes.look),
    )


def _check_hosts(session: "Session", hosts: Sequence["HostSpec"], resumes: bool) -> None:
    """Refuse to drive an endpoint whose hosts are not those of the scenario, or that has VMs."""
    seen = session.hosts()
    where = session.endpoint.url
    problems = []
    for host in hosts:
        real = seen.get(host.name)
        if real is None:
            problems.append(Problem(f"{where} has no host {host.name}", field="clusters"))
        elif (real.cpu_cores, real.memory_mib) != (host.cpu_cores, host.memory_mib):
            have = f"{real.cpu_cores} cores and {real.memory_mib} MiB"
            problems.append(
                Problem(f"host {host.name} has {have} on {where}", field="clusters",
                        hint=f"the scenario says {host.cpu_cores} and {host.memory_mib}")
            )  # fmt: skip
    existing = session.vms()
    if existing and not resumes:
        message = f"{where} already has {len(existing)} VMs, such as {min(existing)}"
        hint = "use an empty datacenter, chosen by GOVC_DATACENTER"
        problems.append(Problem(message, hint=hint))
    if problems:
        raise BadInput(problems)


_Opening = Callable[[Sequence["HostSpec"], bool], AbstractContextManager["Backend"]]
BACKENDS: Mapping[str, _Opening] = MappingProxyType(
    {"memory": memory, "vcsim": vcsim, "vsphere": vsphere}
)


def opened(
    name: str, hosts: Sequence["HostSpec"], *, resumes: bool = False
) -> AbstractContextManager["Backend"]:
    """The backend `name`, holding the scenario's hosts, until the context ends.

    `hosts` are all hosts that the scenario ever has; `resumes`: there may be VMs. Raises
    `Unreachable`, or `BadInput` for an endpoint that does not have these hosts.
    """
    return BACKENDS[name](hosts, resumes)


@contextmanager
def faulty(shares: Sequence[str], seed: int, late_s: float) -> Iterator[tuple[str, "Struck"]]:
    """Where clients find the endpoint of GOVC_URL, or our running vcsim, with faults on the way.

    The second value counts the faults. Raises `BadInput` or `Unreachable`.
    """
    from backends.soap_proxy import SoapProxy, check, odds
    from backends.vsphere_endpoint import Endpoint

    wanted, variables = odds(shares, late_s), dict(os.environ)
    if "GOVC_URL" not in variables and (state := vcsim_status()):
        variables |= {"GOVC_URL": state["url"], "GOVC_INSECURE": "1"}
    endpoint = Endpoint.from_environment(variables)
    check(endpoint)
    with SoapProxy(endpoint, wanted, seed) as proxy:
        yield proxy.url, proxy.strikes.struck


def start_vcsim(hosts: Sequence["HostSpec"]) -> dict[str, str]:
    """Start a vcsim that outlives us, with these hosts (none: vcsim's own); its pid and url."""
    from backends.vcsim_inventory import write_inventory
    from backends.vcsim_process import start_detached

    if not hosts:
        return start_detached()
    with tempfile.TemporaryDirectory(prefix="vmsim-") as folder:
        inventory = Path(folder) / "inventory"
        write_inventory(inventory, hosts)
        return start_detached(inventory)


def stop_vcsim() -> bool:
    """Stop the vcsim that `start_vcsim` started; False if none runs."""
    from backends.vcsim_process import stop_detached

    return stop_detached()


def vcsim_status() -> dict[str, str]:
    """Pid, url and version of the vcsim that `start_vcsim` started, or nothing."""
    from backends.vcsim_process import status

    return status()
