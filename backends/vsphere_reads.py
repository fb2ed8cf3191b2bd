"""What does a vCenter say about its hosts and VMs?

A `Collector` reads some properties of all objects of a kind by one property collector call (more
pages when there are many): reading 10,000 VMs one by one takes ten times as long. What it read is
pairs of a moref and a mapping of property path to value; a path that is unset is absent.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import VmomiSupport
from pyVmomi import vim as typed_vim
from pyVmomi import vmodl as typed_vmodl

from backends.vsphere_endpoint import Endpoint, reaching
from vmsim.objects import PowerState
from vmsim.problems import Unreachable

PAGE = 2_000  # objects per answer: bounds the memory of both sides
VM_PATHS = (
    "name",
    "runtime.host",
    "runtime.powerState",
    "runtime.connectionState",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.instanceUuid",
    "config.uuid",
    "guest.ipAddress",
)
HOST_PATHS = (
    "name",
    "parent",
    "datastore",
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "summary.hardware.numCpuCores",
    "summary.hardware.cpuMhz",
    "summary.hardware.memorySize",
)
vim: Any = typed_vim  # the published types are partial, so Any at this border
vmodl: Any = typed_vmodl
_POWER = {
    "poweredOn": PowerState.ON,
    "poweredOff": PowerState.OFF,
    "suspended": PowerState.SUSPENDED,
}
Read = tuple[str, dict[str, Any]]


def to_inventory_name(key: str) -> str:
    """The vSphere name of VM `namespace/name`: `namespace.name`.

    Reversible, because a namespace of Kubernetes has no dot. A key without a slash is a VM that
    is not ours and keeps its name.
    """
    namespace, slash, name = key.partition("/")
    if "/" in name or (slash and "." in namespace) or (not slash and "." in key):
        raise ValueError(f"{key!r} is no key of a VM: namespace/name, no dot in the namespace")
    return f"{namespace}.{name}" if slash else key


def from_inventory_name(name: str) -> str:
    """The key of a VM by its vSphere name, where `/`, `%` and `\\` stay percent-encoded."""
    return name.replace(".", "/", 1)


@dataclass(frozen=True, slots=True)
class About:
    """What the endpoint says it is."""

    product: str
    version: str
    api: str


@dataclass(frozen=True, slots=True)
class HostSeen:
    """A host as vCenter reports it; `cpu_mhz` is the clock of one core."""

    name: str
    moref: str
    cluster: str
    connected: bool
    in_maintenance: bool
    cpu_cores: int
    cpu_mhz: int
    memory_mib: int
    datastores: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VMSeen:
    """A VM as vCenter reports it; `host` is '' when it is on none that we may see."""

    key: str
    moref: str
    host: str
    power: PowerState
    connected: bool
    cpus: int
    memory_mib: int
    instance_uuid: str
    bios_uuid: str
    ip: str

    @property
    def powered_on(self) -> bool:
        """Whether it runs; a suspended VM does not."""
        return self.power is PowerState.ON


class _EmptyEnum:
    """Reads an empty enum element as '', where pyvmomi would drop the whole property."""

    def __get__(self, owner: Any, kind: Any) -> Any:
        return kind("")


def read_empty_enums() -> None:
    """Make pyVmomi accept what vcsim >= 0.53 sends; no effect on other answers, done once."""
    if "" not in vars(VmomiSupport.Enum):
        setattr(VmomiSupport.Enum, "", _EmptyEnum())


class Collector:
    """Batched reads over one login."""

    def __init__(self, endpoint: Endpoint, stub: Any, content: Any) -> None:
        self._endpoint = endpoint
        self._stub = stub
        self._pages = content.propertyCollector
        self._views = content.viewManager

    def below(self, root: Any, kind: Any, paths: Sequence[str]) -> list[Read]:
        """Every object of a kind below a container; Unreachable when reading is refused."""
        try:
            with reaching(self._endpoint):
                view = self._views.CreateContainerView(root, [kind], True)
                try:
                    step = vmodl.query.PropertyCollector.TraversalSpec(
                        name="view", path="view", skip=False, type=vim.view.ContainerView
                    )
                    start = vmodl.query.PropertyCollector.ObjectSpec(
                        obj=view, skip=True, selectSet=[step]
                    )
                    return list(self._read([start], kind, paths))
                finally:
                    view.DestroyView()
        except vmodl.MethodFault as error:
            message = f"refuses to be read: {type(error).__name__}: {error.msg}"
            raise Unreachable(f"{self._endpoint.url} {message}") from error

    def of(self, refs: Sequence[Any], kind: Any, paths: Sequence[str]) -> list[Read]:
        """The named objects of a kind; a fault of vSphere, like one that is gone, goes on up."""
        specs = [vmodl.query.PropertyCollector.ObjectSpec(obj=ref) for ref in refs]
        with reaching(self._endpoint):
            return list(self._read(specs, kind, paths))

    def as_xml(self, root: Any) -> str:
        """The server's own XML for all properties of `root` and of every entity below it."""
        collector = vmodl.query.PropertyCollector
        with reaching(self._endpoint):
            view = self._views.CreateContainerView(root, [], True)
            step = collector.TraversalSpec(
                name="view", path="view", skip=False, type=vim.view.ContainerView
            )
            objects = [collector.ObjectSpec(obj=view, skip=True, selectSet=[step])]
            objects.append(collector.ObjectSpec(obj=root))
            wanted = collector.PropertySpec(type=vim.ManagedEntity, all=True)
            filter_spec = collector.FilterSpec(objectSet=objects, propSet=[wanted])
            method = type(self._pages)._GetMethodInfo("RetrievePropertiesEx")
            arguments = [[filter_spec], collector.RetrieveOptions()]
            body = self._stub.SerializeRequest(self._pages, method, arguments)
            headers = {"Cookie": self._stub.cookie, "SOAPAction": self._stub.versionId}
            connection = self._stub.GetConnection()
            with contextlib.closing(connection):
                connection.request("POST", self._stub.path, body, headers)
                return str(connection.getresponse().read(), "utf-8")

    def _read(self, objects: Sequence[Any], kind: Any, paths: Sequence[str]) -> Iterator[Read]:
        wanted = vmodl.query.PropertyCollector.PropertySpec(type=kind, pathSet=list(paths))
        filter_spec = vmodl.query.PropertyCollector.FilterSpec(
            objectSet=list(objects), propSet=[wanted]
        )
        options = vmodl.query.PropertyCollector.RetrieveOptions(maxObjects=PAGE)
        page = self._pages.RetrievePropertiesEx([filter_spec], options)
        while page is not None:
            for content in page.objects:
                yield str(content.obj._moId), {p.name: p.val for p in content.propSet}
            token = page.token
            page = self._pages.ContinueRetrievePropertiesEx(token) if token else None


def host_seen(read: Read, cluster: str, datastores: tuple[str, ...]) -> HostSeen:
    """The host of what was read with HOST_PATHS."""
    moref, values = read
    return HostSeen(
        name=str(values["name"]),
        moref=moref,
        cluster=cluster,
        connected=str(values["runtime.connectionState"]) == "connected",
        in_maintenance=bool(values["runtime.inMaintenanceMode"]),
        cpu_cores=int(values.get("summary.hardware.numCpuCores", 0)),
        cpu_mhz=int(values.get("summary.hardware.cpuMhz", 0)),
        memory_mib=int(values.get("summary.hardware.memorySize", 0)) // 2**20,
        datastores=datastores,
    )


def vm_seen(read: Read, host_names: Mapping[str, str]) -> VMSeen:
    """The VM of what was read with VM_PATHS; `host_names` is by moref."""
    moref, values = read
    host = values.get("runtime.host")
    return VMSeen(
        key=from_inventory_name(str(values["name"])),
        moref=moref,
        host=host_names.get(host._moId, "") if host else "",
        power=_POWER[str(values["runtime.powerState"])],
        connected=str(values["runtime.connectionState"]) == "connected",
        cpus=int(values.get("config.hardware.numCPU", 0)),
        memory_mib=int(values.get("config.hardware.memoryMB", 0)),
        instance_uuid=str(values.get("config.instanceUuid", "")),
        bios_uuid=str(values.get("config.uuid", "")),
        ip=str(values.get("guest.ipAddress") or ""),
    )
