"""How does a vcsim start with exactly these hosts, and VMs that are already placed?

vcsim reads a folder with one XML file per object (`-load`). Its own options only make hosts of
2 cores and take 40 ms for each VM. What an object looks like is asked of the vcsim that will
load it: a `Template` is what one host and one VM said about themselves, kept in the cache by
version. Writing is then replacing: names, references, sizes and states.
"""

import json
import os
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from backends.building import cache_dir
from backends.vcsim_process import Program, Vcsim, find
from backends.vsphere_reads import to_inventory_name
from backends.vsphere_session import NewVM, Session
from vmsim.objects import Hardware, HostSpec, HostState
from vmsim.problems import Unreachable

Properties = dict[str, str]  # property path to its <val> element
FORMAT = 1  # counts changes of what a kept template holds
MODEL = ("-cluster=1", "-host=1", "-standalone-host=0", "-vm=0", "-pg=0")
XSI = "http://www.w3.org/2001/XMLSchema-instance"
# vcsim numbers new objects from 1 and would overwrite a loaded one of the same number
FIRST_NUMBER = 10_000_000
UNSET = ("recentTask", "disabledMethod", "permission")
NAMESPACE = uuid.UUID("c4d7ab0e-3f0f-5c0b-9d5e-3d1f5c1a7b10")


@dataclass(frozen=True, slots=True)
class PlacedVM:
    """A VM that exists when vcsim starts; an empty UUID is derived from the key."""

    key: str
    host: str
    powered_on: bool = True
    cpus: int = 1
    memory_mib: int = 1024
    instance_uuid: str = ""
    bios_uuid: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """Properties of one object of each kind, and its moref; folders are by their names."""

    objects: Mapping[str, Properties]
    morefs: Mapping[str, str]


def template_of(program: Program | None = None) -> Template:
    """The template of this vcsim: from the cache, or from a vcsim started for a moment."""
    program = program or find()
    path = cache_dir() / f"template-{program.version}-{FORMAT}.json"
    if program.version != "unknown" and path.exists():
        return Template(**json.loads(path.read_text()))
    with Vcsim(program).start(extra_args=MODEL) as simulator, _logged_in(simulator) as session:
        host = min(session.hosts())
        if fault := session.create(NewVM("vmsim/template", host, Hardware(1, 4))):
            raise Unreachable(f"{program}: no VM could be created for the template: {fault}")
        template = _parse(session.inventory_xml())
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({"objects": template.objects, "morefs": template.morefs}))
    temporary.replace(path)
    return template


def _logged_in(simulator: Vcsim) -> Session:
    return Session.connect(simulator.endpoint)


def _parse(answer: str) -> Template:
    """Cut the answer into objects and properties, without what is empty or does not matter."""
    objects: dict[str, Properties] = {}
    morefs: dict[str, str] = {}
    for part in re.findall(r"<objects>(.*?)</objects>", answer, re.DOTALL):
        head = re.search(r'<obj type="(\w+)">([^<]+)</obj>', part)
        assert head is not None, part[:200]
        found = re.findall(r"<propSet><name>([^<]+)</name>(<val.*?</val>)</propSet>", part, re.S)
        kept = {
            path: re.sub(r"<healthSystemRuntime>.*?</healthSystemRuntime>", "", value, flags=re.S)
            for path, value in found
            if path not in UNSET and not re.fullmatch(r"<val[^>]*></val>", value)
        }
        name = re.sub("<[^>]*>", "", kept["name"])
        kind = f"Folder {name}" if head.group(1) == "Folder" else head.group(1)
        objects[kind] = kept
        morefs[kind] = head.group(2)
    return Template(objects, morefs)


def write_inventory(
    folder: Path,
    hosts: Sequence[HostSpec],
    vms: Iterable[PlacedVM] = (),
    states: Mapping[str, HostState] | None = None,
    template: Template | None = None,
) -> None:
    """Write what `Vcsim.start(load_dir=folder)` loads; `folder` is made and must be empty.

    `states` is UP for a host that it does not name. VMs of a host that is DOWN are not connected.
    ValueError: a VM on an unknown host or on one without a datastore.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty")
    writer = _Writer(folder, template or template_of(), states or {}, hosts)
    placed = list(vms)
    for number, vm in enumerate(placed):
        writer.write_vm(f"vm-{FIRST_NUMBER + number}", vm)
    for host in hosts:
        writer.write_host(host)
    writer.write_clusters()
    writer.write_datastores()
    writer.write_folders()


def _reference(kind: str, moref: str) -> str:
    return f'<val xmlns:xsi="{XSI}" xsi:type="ManagedObjectReference" type="{kind}">{moref}</val>'


def _value(kind: str, content: str) -> str:
    return f'<val xmlns:xsi="{XSI}" xsi:type="{kind}">{content}</val>'


def _references(morefs: Iterable[tuple[str, str]]) -> str:
    items = "".join(
        f'<ManagedObjectReference type="{kind}">{moref}</ManagedObjectReference>'
        for kind, moref in morefs
    )
    return _value("ArrayOfManagedObjectReference", items)


def _text(value: str) -> str:
    return (
        f'<val xmlns:xsi="{XSI}" xmlns:xsd="{XSI[:-9]}" xsi:type="xsd:string">{escape(value)}</val>'
    )


def _set(xml: str, **texts: object) -> str:
    """`xml` with the text of every element of these names replaced."""
    for tag, text in texts.items():
        xml = re.sub(rf"<{tag}>[^<]*</{tag}>", f"<{tag}>{text}</{tag}>", xml)
    return xml


def _uuid(kind: str, key: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{kind} {key}"))


@dataclass(slots=True)
class _Writer:
    """The folder that is being written, and the references that its objects have to each other."""

    folder: Path
    template: Template
    states: Mapping[str, HostState]
    specs: Sequence[HostSpec]
    hosts: dict[str, str] = field(init=False)
    clusters: dict[str, int] = field(init=False)
    stores: dict[str, str] = field(init=False)
    mounts: Counter[str] = field(init=False)  # hosts by datastore
    vm_refs: dict[str, list[str]] = field(init=False)  # by host name
    vm_text: str = field(init=False)
    by_name: dict[str, HostSpec] = field(init=False)

    def __post_init__(self) -> None:
        self.by_name = {spec.name: spec for spec in self.specs}
        self.hosts = {spec.name: f"host-{FIRST_NUMBER + i}" for i, spec in enumerate(self.specs)}
        clusters = dict.fromkeys(spec.cluster for spec in self.specs)
        self.clusters = {name: FIRST_NUMBER + i for i, name in enumerate(clusters)}
        self.mounts = Counter(store for spec in self.specs for store in spec.datastores)
        stores = sorted(self.mounts)
        self.stores = {name: f"datastore-{FIRST_NUMBER + i}" for i, name in enumerate(stores)}
        self.vm_refs = {spec.name: [] for spec in self.specs}
        self.vm_text = self._vm_text()

    def _vm_text(self) -> str:
        """The template's VM with @words@ where one VM differs from another."""
        properties = dict(self.template.objects["VirtualMachine"])
        text = "".join(
            f"<propSet><name>{path}</name>{value}</propSet>" for path, value in properties.items()
        )
        words = {
            "HostSystem": "@host@",
            "ResourcePool": "@pool@",
            "Datastore": "@store@",
            "VirtualMachine": "@vm@",
        }
        for kind, word in words.items():
            text = text.replace(f">{self.template.morefs[kind]}<", f">{word}<")
        text = text.replace(to_inventory_name("vmsim/template"), "@name@")
        old_store = re.sub("<[^>]*>", "", self.template.objects["Datastore"]["name"])
        text = text.replace(f"[{old_store}]", "[@store_name@]")
        text = re.sub(r'(type="EnvironmentBrowser">)[^<]*', r"\1@browser@", text)
        text = _set(text, numCPU="@cpus@", numCpu="@cpus@", memoryMB="@memory@")
        text = _set(text, memorySizeMB="@memory@", uuid="@bios@", instanceUuid="@instance@")
        return _set(text, powerState="@power@", connectionState="@connection@")

    def store_of(self, spec: HostSpec) -> str:
        """Where VMs of a host have their files: the datastore that most hosts mount."""
        return min(spec.datastores, key=lambda store: (-self.mounts[store], store))

    def put(self, kind: str, moref: str, properties: str) -> None:
        """Write one object; vcsim reads the files in the order of their names."""
        order = 0 if kind == "OptionManager" else 1  # before the datastores, which need it
        (self.folder / f"{order}-{kind}-{moref}.xml").write_text(
            f'<ObjectContent><obj type="{kind}">{moref}</obj>{properties}</ObjectContent>'
        )

    def put_changed(self, kind: str, moref: str, changed: Properties) -> None:
        """Write an object like the template's, with some properties changed or added."""
        properties = {**self.template.objects[kind], **changed}
        text = "".join(
            f"<propSet><name>{path}</name>{value}</propSet>" for path, value in properties.items()
        )
        self.put(kind.partition(" ")[0], moref, text)

    def write_vm(self, moref: str, vm: PlacedVM) -> None:
        spec = self.by_name.get(vm.host)
        if spec is None or not spec.datastores:
            raise ValueError(f"VM {vm.key} is on {vm.host!r}, an unknown host or without datastore")
        store = self.store_of(spec)
        cluster = self.clusters[spec.cluster]
        down = self.states.get(vm.host) is HostState.DOWN
        words = {
            "vm": moref,
            "name": escape(to_inventory_name(vm.key)),
            "host": self.hosts[vm.host],
            "pool": f"resgroup-{cluster}",
            "browser": f"envbrowser-{cluster}",
            "store": self.stores[store],
            "store_name": escape(store),
            "cpus": str(vm.cpus),
            "memory": str(vm.memory_mib),
            "instance": vm.instance_uuid or _uuid("instance", vm.key),
            "bios": vm.bios_uuid or _uuid("bios", vm.key),
            "power": "poweredOn" if vm.powered_on else "poweredOff",
            "connection": "disconnected" if down else "connected",
        }
        text = re.sub(r"@([a-z_]+)@", lambda word: words[word.group(1)], self.vm_text)
        self.put("VirtualMachine", moref, text)
        self.vm_refs[vm.host].append(moref)

    def write_host(self, spec: HostSpec) -> None:
        old_name = re.sub("<[^>]*>", "", self.template.objects["HostSystem"]["name"])
        old_ref = self.template.morefs["HostSystem"]
        state = self.states.get(spec.name, HostState.UP)
        changed: Properties = {}
        for path, value in self.template.objects["HostSystem"].items():
            value = value.replace(f">{old_name}<", f">{escape(spec.name)}<")
            value = value.replace(f">{old_ref}<", f">{self.hosts[spec.name]}<")
            value = _set(
                value,
                numCpuCores=spec.cpu_cores,
                numCpuThreads=spec.cpu_cores,
                cpuMhz=spec.cpu_mhz,
                hz=spec.cpu_mhz * 1_000_000,
                memorySize=spec.memory_mib * 2**20,
                connectionState="notResponding" if state is HostState.DOWN else "connected",
                inMaintenanceMode=str(state is HostState.MAINTENANCE).lower(),
            )
            if path in ("summary", "hardware"):
                value = _set(value, uuid=_uuid("host", spec.name))
            changed[path] = value
        changed["name"] = _text(spec.name)
        cluster = f"domain-c{self.clusters[spec.cluster]}"
        changed["parent"] = _reference("ClusterComputeResource", cluster)
        mounted = [("Datastore", self.stores[store]) for store in sorted(spec.datastores)]
        changed["datastore"] = _references(mounted)
        changed["vm"] = _references(("VirtualMachine", ref) for ref in self.vm_refs[spec.name])
        self.put_changed("HostSystem", self.hosts[spec.name], changed)

    def write_clusters(self) -> None:
        """Each cluster with its pool and the browser that tells which hardware a VM may have."""
        for name, number in self.clusters.items():
            specs = [spec for spec in self.specs if spec.cluster == name]
            cluster, pool, browser = (
                f"domain-c{number}",
                f"resgroup-{number}",
                f"envbrowser-{number}",
            )
            stores = sorted({store for spec in specs for store in spec.datastores})
            properties = {
                "name": _text(name),
                "host": _references(("HostSystem", self.hosts[spec.name]) for spec in specs),
                "datastore": _references(("Datastore", self.stores[store]) for store in stores),
                "resourcePool": _reference("ResourcePool", pool),
                "environmentBrowser": _reference("EnvironmentBrowser", browser),
                "summary": self._summary(specs),
            }
            self.put_changed("ClusterComputeResource", cluster, properties)
            vms = [("VirtualMachine", ref) for spec in specs for ref in self.vm_refs[spec.name]]
            owner = _reference("ClusterComputeResource", cluster)
            pooled = {"owner": owner, "parent": owner, "vm": _references(vms)}
            self.put_changed("ResourcePool", pool, pooled)
            self.put("EnvironmentBrowser", browser, "")

    def _summary(self, specs: Sequence[HostSpec]) -> str:
        up = [s for s in specs if self.states.get(s.name, HostState.UP) is HostState.UP]
        return _set(
            self.template.objects["ClusterComputeResource"]["summary"],
            totalCpu=sum(spec.cpu_cores * spec.cpu_mhz for spec in specs),
            totalMemory=sum(spec.memory_mib for spec in specs) * 2**20,
            numCpuCores=sum(spec.cpu_cores for spec in specs),
            numCpuThreads=sum(spec.cpu_cores for spec in specs),
            effectiveCpu=sum(spec.cpu_cores * spec.cpu_mhz for spec in up),
            effectiveMemory=sum(spec.memory_mib for spec in up),
            numHosts=len(specs),
            numEffectiveHosts=len(up),
        )

    def write_datastores(self) -> None:
        """Datastores whose `ds:` URL makes vcsim create, and later remove, a folder for files.

        Newer versions make it below a folder that loading the option manager makes.
        """
        self.put("OptionManager", "VpxSettings", "")
        mount = "<mountInfo><accessMode>readWrite</accessMode><mounted>true</mounted>"
        for name, moref in self.stores.items():
            specs = [spec for spec in self.specs if name in spec.datastores]
            mounts = "".join(
                f'<DatastoreHostMount><key type="HostSystem">{self.hosts[spec.name]}</key>{mount}'
                "<accessible>true</accessible></mountInfo></DatastoreHostMount>"
                for spec in specs
            )
            vms = [
                ("VirtualMachine", ref)
                for spec in specs
                if spec.datastores and self.store_of(spec) == name
                for ref in self.vm_refs[spec.name]
            ]
            old = self.template.objects["Datastore"]
            url = f"ds:///vmfs/volumes/{_uuid('datastore', name)}/"
            old_ref = self.template.morefs["Datastore"]
            changed = {
                "name": _text(name),
                "info": _set(old["info"], name=escape(name), url=url),
                "summary": _set(old["summary"], name=escape(name), url=url).replace(
                    f">{old_ref}<", f">{moref}<"
                ),
                "host": _value("ArrayOfDatastoreHostMount", mounts),
                "vm": _references(vms),
            }
            self.put_changed("Datastore", moref, changed)

    def write_folders(self) -> None:
        """The datacenter, its four folders, the root and the network, with their children."""
        stores = [("Datastore", ref) for ref in self.stores.values()]
        vms = [("VirtualMachine", ref) for refs in self.vm_refs.values() for ref in refs]
        clusters = [("ClusterComputeResource", f"domain-c{n}") for n in self.clusters.values()]
        children = {
            "Folder vm": {"childEntity": _references(vms)},
            "Folder host": {"childEntity": _references(clusters)},
            "Folder datastore": {"childEntity": _references(stores)},
            "Datacenter": {"datastore": _references(stores)},
        }
        for kind, moref in self.template.morefs.items():
            if kind.startswith("Folder ") or kind in ("Datacenter", "Network"):
                self.put_changed(kind, moref, children.get(kind, {}))
