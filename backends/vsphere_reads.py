"""What does a vCenter say about its hosts and VMs?

A `Collector` reads some properties of all objects of a kind by one property collector call (more
pages when there are many): reading 10,000 VMs one by one takes ten times as long. What it read is
pairs of a moref and a mapping of property path to text; a path that is unset is absent, the items
of an array are separated by a blank.
"""

import contextlib
import http.client
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import VmomiSupport
from pyVmomi import vim as typed_vim
from pyVmomi import vmodl as typed_vmodl
from pyVmomi.SoapAdapter import SoapResponseDeserializer

from backends.vsphere_endpoint import Endpoint, reaching
from backends.vsphere_hardware import HARDWARE_PATHS, hardware_seen
from vmsim.objects import Hardware, PowerState
from vmsim.ports import HostShown, VMShown
from vmsim.problems import Unreachable

PAGE = 2_000  # objects per answer: bounds the memory of both sides
VM_PATHS = (
    "name",
    "runtime.host",
    "runtime.powerState",
    "runtime.connectionState",
    *HARDWARE_PATHS,
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
SHOWN_OF_HOSTS = ("name", "runtime.connectionState", "runtime.inMaintenanceMode")
SHOWN_OF_VMS = ("name", "runtime.host", "runtime.powerState")
vim: Any = typed_vim  # the published types are partial, so Any at this border
vmodl: Any = typed_vmodl
deserializer: Any = SoapResponseDeserializer
_POWER = {
    "poweredOn": PowerState.ON,
    "poweredOff": PowerState.OFF,
    "suspended": PowerState.SUSPENDED,
}
XMLNS = "{urn:vim25}"
Read = tuple[str, dict[str, str]]
Shown = tuple[Mapping[str, HostShown], Mapping[str, VMShown]]
"""What an API shows: hosts by name, VMs by key."""


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
class Place:
    """What a VM needs to go to a host: morefs of host, cluster and pool, datastores by moref."""

    host: str
    cluster: str
    pool: str
    stores: dict[str, str]  # names, the most widely mounted first


@dataclass(frozen=True, slots=True)
class VMSeen:
    """A VM as vCenter reports it; `host` is '' when it is on none that we may see."""

    key: str
    moref: str
    host: str
    power: PowerState
    connected: bool
    hardware: Hardware
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
        """Every object of a kind below a container, pages of PAGE objects at a time.

        Values are the server's words: of 10,000 VMs pyVmomi makes its own objects in twice the
        time that all the rest takes.
        """
        found: list[Read] = []
        try:
            with reaching(self._endpoint), self._view(root, kind) as objects:
                wanted = vmodl.query.PropertyCollector.PropertySpec(type=kind, pathSet=list(paths))
                options = vmodl.query.PropertyCollector.RetrieveOptions(maxObjects=PAGE)
                method, arguments = "RetrievePropertiesEx", [[_filter(objects, wanted)], options]
                while method:
                    page = ElementTree.fromstring(self._raw(method, arguments))
                    found += [_read(node) for node in page.iter(f"{XMLNS}objects")]
                    token = page.find(f".//{XMLNS}returnval/{XMLNS}token")
                    method = "ContinueRetrievePropertiesEx" if token is not None else ""
                    arguments = [token.text if token is not None else ""]
        except vmodl.MethodFault as error:
            message = f"refuses to be read: {type(error).__name__}: {error.msg}"
            raise Unreachable(f"{self._endpoint.url} {message}") from error
        return found

    def of(self, refs: Sequence[Any], kind: Any, paths: Sequence[str]) -> list[Any]:
        """The named objects: (moref, path to pyVmomi's value); a fault of vSphere goes on up."""
        found: list[Any] = []
        collector = vmodl.query.PropertyCollector
        objects = [collector.ObjectSpec(obj=ref) for ref in refs]
        wanted = collector.PropertySpec(type=kind, pathSet=list(paths))
        with reaching(self._endpoint):
            page = self._pages.RetrievePropertiesEx(
                [_filter(objects, wanted)], collector.RetrieveOptions()
            )
            while page is not None:
                for content in page.objects:
                    values = {each.name: each.val for each in content.propSet}
                    found.append((str(content.obj._moId), values))
                token = page.token
                page = self._pages.ContinueRetrievePropertiesEx(token) if token else None
        return found

    def as_xml(self, root: Any) -> str:
        """The server's own XML for all properties of `root` and of every entity below it."""
        collector = vmodl.query.PropertyCollector
        with reaching(self._endpoint), self._view(root) as objects:
            objects = [*objects, collector.ObjectSpec(obj=root)]
            wanted = collector.PropertySpec(type=vim.ManagedEntity, all=True)
            arguments = [[_filter(objects, wanted)], collector.RetrieveOptions()]
            return str(self._raw("RetrievePropertiesEx", arguments), "utf-8")

    @contextlib.contextmanager
    def _view(self, root: Any, *kinds: Any) -> Iterator[list[Any]]:
        """Object specs that reach all objects of the kinds below `root`, while they are read."""
        view = self._views.CreateContainerView(root, list(kinds), True)
        try:
            step = vmodl.query.PropertyCollector.TraversalSpec(
                name="view", path="view", skip=False, type=vim.view.ContainerView
            )
            yield [vmodl.query.PropertyCollector.ObjectSpec(obj=view, skip=True, selectSet=[step])]
        finally:
            with contextlib.suppress(vmodl.MethodFault, OSError, http.client.HTTPException):
                view.DestroyView()

    def _raw(self, method_name: str, arguments: Sequence[Any]) -> bytes:
        """The answer to a property collector call as it came; a fault is raised as by pyVmomi."""
        method = type(self._pages)._GetMethodInfo(method_name)
        body = self._stub.SerializeRequest(self._pages, method, arguments)
        headers = {
            "Cookie": self._stub.cookie,
            "SOAPAction": self._stub.versionId,
            "Content-Type": "text/xml; charset=UTF-8",
        }
        connection = self._stub.GetConnection()
        try:
            connection.request("POST", self._stub.path, body, headers)
            answer = connection.getresponse()
            content = bytes(answer.read())
        except BaseException:
            connection.close()
            raise
        self._stub.ReturnConnection(connection)
        if answer.status == 200:
            return content
        if answer.status == 500:
            raise deserializer(self._stub).Deserialize(content, method.result)
        raise http.client.HTTPException(f"HTTP {answer.status} {answer.reason}")


def _filter(objects: Sequence[Any], wanted: Any) -> Any:
    return vmodl.query.PropertyCollector.FilterSpec(objectSet=list(objects), propSet=[wanted])


def _read(content: ElementTree.Element) -> Read:
    """Moref and properties of an ObjectContent."""
    values: dict[str, str] = {}
    for node in content.iterfind(f"{XMLNS}propSet"):
        if len(node) < 2:  # vcsim names an unset property without a value
            continue
        value = node[1]
        items = (item.text or "" for item in value)
        values[str(node[0].text)] = " ".join(items) if len(value) else value.text or ""
    return str(content[0].text), values


def host_seen(read: Read, cluster: str, datastores: tuple[str, ...]) -> HostSeen:
    """The host of what was read with HOST_PATHS."""
    moref, values = read
    return HostSeen(
        name=values["name"],
        moref=moref,
        cluster=cluster,
        connected=values["runtime.connectionState"] == "connected",
        in_maintenance=values["runtime.inMaintenanceMode"] in ("true", "1"),
        cpu_cores=int(values.get("summary.hardware.numCpuCores", 0)),
        cpu_mhz=int(values.get("summary.hardware.cpuMhz", 0)),
        memory_mib=int(values.get("summary.hardware.memorySize", 0)) // 2**20,
        datastores=datastores,
    )


def vm_seen(read: Read, host_names: Mapping[str, str]) -> VMSeen:
    """The VM of what was read with VM_PATHS; `host_names` is by moref."""
    moref, values = read
    return VMSeen(
        key=from_inventory_name(values["name"]),
        moref=moref,
        host=host_names.get(values.get("runtime.host", ""), ""),
        power=_POWER[values["runtime.powerState"]],
        connected=values["runtime.connectionState"] == "connected",
        hardware=hardware_seen(values),
        instance_uuid=values.get("config.instanceUuid", ""),
        bios_uuid=values.get("config.uuid", ""),
        ip=values.get("guest.ipAddress", ""),
    )


def shown(hosts: Sequence[Read], vms: Sequence[Read]) -> Shown:
    """What was read with SHOWN_OF_HOSTS and SHOWN_OF_VMS."""
    names = {moref: read["name"] for moref, read in hosts}
    return {
        read["name"]: HostShown(
            read["runtime.connectionState"] == "connected",
            read["runtime.inMaintenanceMode"] in ("true", "1"),
        )
        for _, read in hosts
    }, {
        from_inventory_name(read["name"]): VMShown(
            names.get(read.get("runtime.host", ""), ""), _POWER[read["runtime.powerState"]]
        )
        for _, read in vms
    }
