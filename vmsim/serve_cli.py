"""`vmsim serve` and `vmsim node`: a Supervisor in a box, and the administrator's hands on it.

`serve` starts an API server (or takes one that runs), makes it ready for a scenario's objects, and
works until it is interrupted. `node` asks something of a host by changing its Node, as kubectl
could; whoever serves carries it out.
"""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backends import BACKENDS, opened
from vmsim import __version__, nodes
from vmsim.kube import Denial, Kube
from vmsim.objects import HostSpec
from vmsim.problems import BadInput, Problem, Unreachable, did_you_mean
from vmsim.quantities import memory_mib
from vmsim.shell import commit, exit_codes, scenario_path, state_folder

if TYPE_CHECKING:
    from backends.kube_webhook import Place
    from vmsim.serving import Supervisor

NODES = "/api/v1/nodes"
LAST = "serve-kubeconfig"
MISSING = "the package kubernetes is not installed: pip install 'vmsim[kubernetes]'"
UNASKED = (
    "the cluster cannot ask us, so the schema, the required fields and the update table are all "
    "that it refuses VMs by: names of images, zones, storage classes and guests are not judged, "
    "and nothing is completed; --webhook-host lets it ask"
)
UNINSTALLED = (
    "webhook, policies, roles and Nodes are gone, and no VM waits for vmsim any more; the kinds "
    "stay, and all VMs would go with them: kubectl delete crd -l app.kubernetes.io/managed-by=vmsim"
)

node_app = typer.Typer(help="Act on a host of a running `vmsim serve`.", no_args_is_help=True)
ServedBackend = StrEnum(  # type: ignore[misc]
    "ServedBackend", {name: name for name in BACKENDS if name != "vsphere"}
)

MEMORY = ServedBackend("memory")

Config = Annotated[
    Path | None, typer.Option("--kubeconfig", help="Of a cluster that exists already.")
]
Context = Annotated[str | None, typer.Option(help="The context in the kubeconfig.")]
Name = Annotated[str, typer.Argument(help="The host, which is the Node's name.")]


def serve(  # noqa: PLR0913 - one parameter per option of the command line
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped one.")],
    backend: Annotated[ServedBackend, typer.Option(help="What the VMs run on.")] = MEMORY,
    speed: Annotated[
        float, typer.Option(min=0, help="Simulated seconds per real one; 0: only when asked.")
    ] = 1.0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the API server keeps its state.")
    ] = None,
    kubeconfig: Config = None,
    context: Context = None,
    port: Annotated[int, typer.Option(help="Of the API server on 127.0.0.1; 0: a free one.")] = 0,
    webhook_host: Annotated[
        str | None, typer.Option(help="Our address for a cluster that exists to ask at.")
    ] = None,
    webhook_tls: Annotated[
        Path | None, typer.Option(help="A folder with tls.crt, tls.key and ca.crt for it.")
    ] = None,
) -> None:
    """Serve a scenario's cluster on a real Kubernetes API server, until interrupted."""
    with exit_codes(), ExitStack() as stack:
        from vmsim.installing import install
        from vmsim.loading import load
        from vmsim.serving import Serving, Supervisor, say
        from vmsim.stepping import Steps, announce

        plan = load(scenario_path(scenario))
        folder = data_dir or state_folder() / "serve" / plan.scenario.metadata.name
        folder.mkdir(parents=True, exist_ok=True)
        enter = stack.enter_context
        if kubeconfig is None and context is None:
            server = enter(_own_server(folder, port))
        else:
            server = enter(_another(kubeconfig, context, _place(webhook_host, webhook_tls)))
        vms = install(server.admin, plan, say)
        chosen = enter(opened(backend.value, list(plan.all_hosts), resumes=True))
        serves = str(server.admin.get("/version")["gitVersion"])
        versions = {**chosen.versions, **server.versions, "kube-apiserver": serves}
        chosen = replace(chosen, versions=versions)
        sink = enter((folder / "trace.jsonl").open("wb"))
        how = Serving(speed or 1.0, sink, server.keep_alive, stepped=not speed)
        supervisor = Supervisor(plan, chosen, server.kube, how)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.stop())
        adopted = supervisor.begin()
        enter(_asked(server, supervisor))
        for path, body in vms:
            supervisor.make(server.admin, path, body)
        for name, value in chosen.variables.items():
            print(f"export {name}={value}", flush=True)
        where = {"vsphere": chosen.variables.get("GOVC_URL", "")}  # vcsim: its login is no secret
        announce(server.admin, _about(plan.edition.name, backend.value, speed) | where)
        if not speed:
            enter(Steps(server.admin, supervisor))
        words = f"{len(plan.hosts)} hosts, {adopted} VMs taken up, speed {speed:g}"
        say(f"serving {plan.scenario.metadata.name} on {chosen.name}: {words}, {serves}")
        supervisor.serve()
        say("stopped")


def uninstall(kubeconfig: Config = None, context: Context = None) -> None:
    """Take back from a cluster what `vmsim serve` put there; the kinds and their objects stay."""
    with exit_codes(), _api(kubeconfig, context) as api:
        from vmsim import installing, stepping

        installing.uninstall(api)
        stepping.retract(api)
        print(UNINSTALLED, file=sys.stderr)


def _about(edition: str, backend: str, speed: float) -> dict[str, str]:
    """What the server tells about us; see `stepping`."""
    who = {"implementation": f"vmsim serve on {backend}", "version": __version__}
    return {**who, "commit": commit(), "edition": edition, "speed": f"{speed:g}"}


@dataclass(frozen=True, slots=True)
class _Server:
    """An API server: for the controller, for the set-up, what keeps it alive, where it can reach
    us, if it can, and what is known of its parts."""

    kube: Kube
    admin: Kube
    keep_alive: Callable[[], bool]
    place: "Place | None"
    ours: bool = True
    versions: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def _own_server(folder: Path, port: int) -> Iterator[_Server]:
    """An API server that lives as long as this process, with its state in the folder."""
    from vmsim.serving import say

    try:
        from backends.kube_api import KubeApi
        from backends.kube_files import pair
        from backends.kube_process import KubeProcess
        from backends.kube_webhook import Place
    except ImportError:
        raise Unreachable(MISSING) from None
    with (
        KubeProcess(folder, port=port) as process,
        KubeApi(process.kubeconfig) as admin,
        KubeApi(process.controller_kubeconfig) as api,
    ):
        _remember(process.kubeconfig)
        say(f"{process.program} listens on {api.url}")
        print(f"export KUBECONFIG={process.kubeconfig.resolve()}", flush=True)
        ours, authority = pair(folder, "webhook"), pair(folder, "ca").certificate
        place = Place("127.0.0.1", authority, ours.certificate, ours.key)
        yield _Server(api, admin, process.revive, place, versions=process.program.versions)


@contextmanager
def _another(
    kubeconfig: Path | None, context: str | None, place: "Place | None"
) -> Iterator[_Server]:
    """An API server that exists; without a place to ask at only its own policies judge VMs."""
    with _api(kubeconfig, context) as api:
        yield _Server(api, api, lambda: False, place, ours=False)


def _place(host: str | None, folder: Path | None) -> "Place | None":
    """Where the cluster can reach us, or None; one option without the other is bad input."""
    if host is None and folder is None:
        return None
    if host is None or folder is None:
        message = "--webhook-host and --webhook-tls go together"
        raise BadInput([Problem(message, hint="the cluster checks our certificate for that host")])
    from backends.kube_webhook import Place

    return Place(host, folder / "ca.crt", folder / "tls.crt", folder / "tls.key")


@contextmanager
def _asked(server: _Server, supervisor: "Supervisor") -> Iterator[None]:
    """Answer the API server's questions about VMs, or say what it does not know without."""
    from backends.kube_webhook import Webhook
    from vmsim.installing import register, unregister
    from vmsim.serving import say

    if server.place is None:
        unregister(server.admin)
        say(UNASKED)
        yield
        return
    with Webhook(server.place, supervisor.judge) as webhook:
        register(server.admin, webhook.url, server.place.authority.read_bytes())
        yield
        if not server.ours:
            unregister(server.admin)


def _remember(kubeconfig: Path) -> None:
    """Note where the last server's kubeconfig is, for `vmsim node`."""
    path = state_folder() / LAST
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(str(kubeconfig.resolve()))
    shutil.move(temporary, path)


@contextmanager
def _api(kubeconfig: Path | None, context: str | None) -> Iterator[Kube]:
    """The API server that is meant: the named one, or that of the last `vmsim serve`."""
    try:
        from backends.kube_api import KubeApi
    except ImportError:
        raise Unreachable(MISSING) from None
    last = state_folder() / LAST
    if kubeconfig is None and context is None and last.exists():
        kubeconfig = Path(last.read_text().strip())
    with KubeApi(kubeconfig, context) as api:
        try:
            yield api
        except Denial as denial:
            raise BadInput([Problem(str(denial))]) from None


def _ask(name: str, config: Path | None, context: str | None, body: dict[str, Any]) -> None:
    with exit_codes(), _api(config, context) as api:
        names = [raw["metadata"]["name"] for raw in api.items(NODES)]
        if name not in names:
            raise BadInput([Problem(f'nodes "{name}" not found', hint=did_you_mean(name, names))])
        api.patch(f"{NODES}/{name}", body)
        print(f"node/{name} asked", file=sys.stderr)


@node_app.command("maintenance")
def node_maintenance(name: Name, kubeconfig: Config = None, context: Context = None) -> None:
    """Cordon the host, empty it, and put it into maintenance mode."""
    _ask(name, kubeconfig, context, nodes.asking(True, None, True))


@node_app.command("return")
def node_return(name: Name, kubeconfig: Config = None, context: Context = None) -> None:
    """Bring the host back: from maintenance, from a failure, from being cordoned."""
    _ask(name, kubeconfig, context, nodes.asking(None, None, False))


@node_app.command("fail")
def node_fail(name: Name, kubeconfig: Config = None, context: Context = None) -> None:
    """Let the host fail without warning."""
    _ask(name, kubeconfig, context, {"metadata": {"annotations": {nodes.FAILED: "true"}}})


@node_app.command("add")
def node_add(  # noqa: PLR0913 - one parameter per option of the command line
    name: Name,
    like: Annotated[str, typer.Option(help="The Node whose size and place it shall have.")],
    cores: Annotated[int | None, typer.Option(min=1, help="Instead of the other's.")] = None,
    memory: Annotated[str | None, typer.Option(help="As in 256Gi, instead of the other's.")] = None,
    kubeconfig: Config = None,
    context: Context = None,
) -> None:
    """Let a new host join the cluster of another."""
    with exit_codes(), _api(kubeconfig, context) as api:
        other = nodes.host(api.get(f"{NODES}/{like}"))
        api.create(NODES, nodes.node(_like(other, name, cores, memory)))
        print(f"node/{name} made", file=sys.stderr)


def _like(other: HostSpec, name: str, cores: int | None, memory: str | None) -> HostSpec:
    changes: dict[str, Any] = {"name": name}
    if cores is not None:
        changes["cpu_cores"] = cores
    if memory is not None:
        try:
            changes["memory_mib"] = memory_mib(memory)
        except ValueError as error:
            raise BadInput([Problem(str(error), field="--memory")]) from None
    return replace(other, **changes)
