"""What is a scenario, as its author writes it?

One YAML file: the clusters with their hosts, the manifests that are there from the start, what
happens when, the policies, and what is expected. The types here parse it, refuse what they do not
know, and give the JSON Schema that editors use (`vmsim schema`). Names are in camel case, as in
Kubernetes; durations and quantities carry their unit (`90s`, `2h`, `256Gi`).
"""

from operator import itemgetter
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    model_validator,
)
from pydantic.alias_generators import to_camel

from vmsim.actions import Verb
from vmsim.chance_schema import Arrivals, Chance, Failures, Guests, MaintenanceCalendar, Share
from vmsim.drs_schema import DrsBlock, PolicyName
from vmsim.durations import Durations
from vmsim.evacuation import Eviction
from vmsim.ha_schema import FailHost, HighAvailability
from vmsim.rules import Verdict
from vmsim.schema import Duration, MemoryMib, Strict, durations_model
from vmsim.upgrade_schema import RollingUpgrade
from vmsim.vmotion_schema import Vmotion

GROUP = "vmsim.dev/"

EditionName = Literal["2023-03", "2026-08"]


DurationsModel = durations_model(
    "DurationsModel", "How long the operations take.", Durations, itemgetter("means")
)


class Retry(Strict):
    """When the VM's controller tries again."""

    first: Duration = 0.005
    """The pause after the first failure; it doubles with each further one (Q-01)."""
    longest: Duration = 1000.0
    """The longest pause between two tries."""
    resync: Duration | None = Field(default=None, gt=0)
    """How often everything unsettled is visited: by default the edition's (10 or 30 min, Q-02)."""
    watch: bool | None = None
    """Whether the controller is told of changes that it did not ask for: by default the
    edition's (Q-11)."""
    wake_on_capacity: bool = False
    """Whether room that comes free wakes waiting VMs; VM Operator has no such watch (Q-12)."""
    bucket_rate: float | None = Field(default=None, ge=0)
    """Retries of all VMs together per second, after a burst; 0 is no limit: by default the
    edition's (10 or none, Q-01)."""
    bucket_burst: int = Field(default=100, ge=1)
    """So many retries come before that rate counts."""
    priorities: bool | None = None
    """Whether creations go before power changes, those before deletions, and so on: by default
    the edition's (Q-11)."""
    workers: int = Field(default=0, ge=0)
    """How many VMs are visited at a time (MaxConcurrentReconciles); 0 is no limit."""
    reconcile: Duration = 0.0
    """How long a visit takes; what it decides is done at its end."""
    max_creates: int | None = Field(default=None, ge=0)
    """How many VMs are created at a time; 0 is no limit: by default the edition's (80 % of
    `workers`, Q-04; MAX_CREATE_VMS_ON_PROVIDER of 80, Q-05)."""
    create_requeue: Duration | None = None
    """When a creation that is too much comes again; 0 waits for a resync: by default the
    edition's (0 or 10 s)."""
    ip_requeue: Duration | None = None
    """How often a VM without an address is visited: by default the edition's (10 s)."""


class Overcommit(Strict):
    """How much is promised beyond what a host has."""

    cpu: float = Field(default=4.0, gt=0, le=64)
    """vCPUs per physical core."""
    memory: float = Field(default=1.0, gt=0, le=4)
    """MiB promised per MiB."""


class Policies(Strict):
    """How the two roles behave."""

    placement: PolicyName = "worst_fit"
    """How a host is chosen among those that fit: worst_fit, best_fit, first_fit, most_free_cpu,
    most_free_memory, dot_product, l2_norm, fragmentation_gradient, lifetime_aware, or the entry
    point of a plug-in."""
    eviction: Eviction | None = None
    """What happens to a VM that cannot be migrated off a host entering maintenance: by default
    the edition's."""
    vgpu_hot_migrate: bool = False
    """vCenter's `vgpu.hotmigrate.enabled`: whether VMs with a vGPU can be live-migrated."""
    overcommit: Overcommit = Overcommit()
    """See Overcommit."""
    retry: Retry = Retry()
    """See Retry."""


class Host(Strict):
    """One host, or `count` alike."""

    name: str
    """The host's name; with `count`, `{}` in it stands for 1, 2, and so on."""
    count: int = Field(default=1, ge=1, le=100_000)
    """How many alike."""
    cores: int = Field(ge=1, le=4096)
    """Physical cores."""
    mhz: int = Field(default=2400, ge=100)
    """Clock of one core."""
    memory: MemoryMib
    """As in `256Gi`."""
    nic_mbps: int = Field(default=25_000, ge=100)
    """Speed of the vMotion network card."""
    vmotion: Literal["on", "off", "linkDown"] = "on"
    """Whether it can migrate live: not without a vMotion network (off), nor while that is down."""
    devices: dict[str, Annotated[int, Field(ge=0)]] = {}
    """Units by device name: a vGPU profile, or `0x10de:0x1eb8` (vendor:device)."""
    cpu_generation: int = Field(default=0, ge=0)
    """A higher number has all features of the lower ones."""
    hardware_version: int = Field(default=21, ge=4)
    """The newest virtual hardware that the host runs."""
    datastores: list[str] = []
    """By default those of the cluster."""
    rack: str = ""
    """What a shock of scope `rack` takes down together; `{}` as in the name."""


class Cluster(Strict):
    """A vSphere cluster, which is in one zone."""

    name: str
    zone: str = "zone-1"
    """The availability zone that the whole cluster is in."""
    evc: int | None = Field(default=None, ge=0)
    """EVC: the CPU generation that every host of the cluster shows."""
    datastores: list[str] = ["datastore-1"]
    """What its hosts mount."""
    hosts: list[Host] = Field(min_length=1)
    """Its hosts; ties in a placement go to the first."""


class NewHost(Host):
    """A host that joins a cluster during the run."""

    cluster: str


class Reference(Strict):
    """An object of the API."""

    kind: str = "VirtualMachine"
    name: str
    namespace: str | None = None


class Patch(Reference):
    """A change of an object."""

    merge: dict[str, Any]
    """JSON merge patch, as for `kubectl patch --type=merge`."""


class Maintenance(Strict):
    """A host that is to enter maintenance mode."""

    host: str
    timeout: Duration = 0.0
    """Give up after that; 0 never does."""
    evacuate_powered_off_vms: bool | None = None
    """Whether VMs that are off leave the host, too; by default as `drs` says."""


class After(Strict):
    """The first record of this kind (and object) in the trace, and a pause after it."""

    event: str
    """A kind of record, such as `EnteredMaintenanceMode` or `VmPoweredOn`."""
    object: str = "*"
    """The record's object, or a glob."""
    delay: Duration = 0.0


ACTIONS = (
    "apply", "patch", "delete", "enter_maintenance", "exit_maintenance", "fail_host",
    "recover_host", "add_host", "remove_host", "power_off",
)  # fmt: skip


class Entry(Strict):
    """One thing that happens, at a time or after an event."""

    at: Duration | None = None
    after: After | None = None
    """When: a time, or `after` an event."""
    apply: str | dict[str, Any] | None = None
    """A manifest, or the file of some, relative to the scenario."""
    patch: Patch | None = None
    delete: Reference | None = None
    enter_maintenance: str | Maintenance | None = None
    exit_maintenance: str | None = None
    fail_host: str | FailHost | None = None
    recover_host: str | None = None
    add_host: NewHost | None = None
    remove_host: str | None = None
    power_off: str | None = None
    """`namespace/name` of a VM that the administrator powers off in vCenter."""

    @model_validator(mode="after")
    def _one_of_each(self) -> "Entry":
        if (self.at is None) == (self.after is None):
            raise ValueError("give either `at` or `after`")
        if sum(getattr(self, name) is not None for name in ACTIONS) != 1:
            names = ", ".join(to_camel(name) for name in ACTIONS)
            raise ValueError(f"give exactly one of {names}")
        return self


class Fault(Strict):
    """Tasks that match go wrong: they fail, take longer, are never answered, or arrive twice."""

    kind: Literal["fail", "delay", "drop", "repeat"]
    verb: Literal[("*", *(verb.value for verb in Verb))] = "*"  # type: ignore[valid-type]
    vm: str = "*"
    host: str = "*"
    fault: str = "GenericVmConfigFault"
    """The vSphere fault of a task that fails."""
    delay: Duration = 0.0
    probability: float = Field(default=1.0, ge=0, le=1)
    skip: int = Field(default=0, ge=0)
    """So many matching tasks pass unharmed first."""
    max_hits: int = Field(default=0, ge=0)
    """At most so many are hit; 0 is no limit."""


class Workload(Strict):
    """Many VMs alike, made at `at`, or one every `every` from there on."""

    name: str
    """The VMs' name; `{}` in it stands for 1, 2, and so on."""
    namespace: str | None = None
    count: int = Field(default=0, ge=0, le=10_000_000)
    """How many; required unless a `trace` says so."""
    spec: dict[str, Any]
    """The `spec` of each VirtualMachine."""
    mix: list[Share] = []
    """Sizes by weight: each VM takes one of these over `spec`."""
    trace: Arrivals | None = None
    """Recorded arrivals and lifetimes instead of `count`, `every`, `lifetime` and `mix`."""
    labels: dict[str, str] = {}
    at: Duration = 0.0
    every: Chance | None = None
    """From one VM to the next; a Distribution, or a plain duration. By default all at once."""
    lifetime: Chance | None = None
    """When given, each VM is deleted so long after it was made; a Distribution, or a duration."""
    lifetime_from: Literal["creation", "powerOn"] = "creation"
    """What a lifetime counts from: with `powerOn`, a VM that waits for a host loses none of it."""
    patience: Duration | None = None
    """When given, a VM that was not powered on so long after it was made is deleted."""

    @model_validator(mode="after")
    def _drawn_or_recorded(self) -> "Workload":
        if self.trace is None:
            if not self.count:
                raise ValueError("give `count`, or a `trace` of recorded arrivals")
        elif self.count or self.every or self.lifetime or self.mix:
            raise ValueError("a `trace` says what count, every, lifetime and mix would say")
        return self


class Expect(Strict):
    """What must have come about: of a VM, a host, or in the trace."""

    vm: str | None = None
    """`namespace/name`, or a glob: then of every VM that matches."""
    host: str | None = None
    event: str | None = None
    """A kind of record; with `object`, of that object."""
    object: str = "*"
    contains: str = ""
    """With `event`: text that the record's data contains."""
    count: int | None = Field(default=None, ge=0)
    """With `event`: exactly so many; without it, at least one."""
    state: str | None = None
    """PoweredOn, PoweredOff, Suspended, Waiting, Absent; of a host Up, Maintenance, ..."""
    on_host: str | None = None
    """The host that the VM is on, or a glob."""
    since: Duration = 0.0
    """Only what is so from then on counts."""
    by: Duration | None = None
    """It comes about no later than this; without it, it holds at the end."""

    @model_validator(mode="after")
    def _one_subject(self) -> "Expect":
        if self.by is not None and self.by < self.since:
            raise ValueError("`by` is before `since`")
        if sum(item is not None for item in (self.vm, self.host, self.event)) != 1:
            raise ValueError("give exactly one of vm, host, event")
        if self.event is None and self.state is None and self.on_host is None:
            raise ValueError("give the state that is expected")
        return self

    @model_validator(mode="after")
    def _nothing_unused(self) -> "Expect":
        of_event = self.count is not None or self.contains or self.object != "*"
        if self.event is None and of_event:
            raise ValueError("object, contains and count go with an event")
        if self.event is not None and (self.state or self.on_host):
            raise ValueError("state and onHost go with a vm or a host")
        if self.event is None and self.since and self.by is None:
            raise ValueError("`since` needs `by`; without it the end is what counts")
        return self


class Spec(Strict):
    """The body of a scenario."""

    edition: EditionName = "2026-08"
    """The edition of the page, and of the controller of its day."""
    verdict: Verdict = Verdict.DOCUMENT
    """Whose word counts where the page and the code of its day disagree."""
    seed: int = Field(default=1, ge=0)
    """What chance is drawn from."""
    duration: Duration = 3600.0
    """How long the simulated time is."""
    namespace: str = "default"
    """Where manifests without a namespace go."""
    policies: Policies = Policies()
    """See Policies."""
    drs: DrsBlock = DrsBlock()
    """See DrsBlock."""
    high_availability: HighAvailability | None = None
    """See HighAvailability; without it, HA restarts VMs and admission control is off."""
    durations: DurationsModel = DurationsModel()  # type: ignore[valid-type]
    """See Durations."""
    vmotion: Vmotion = Vmotion()
    """See Vmotion."""
    clusters: list[Cluster] = Field(min_length=1)
    """The clusters with their hosts."""
    storage: dict[str, list[str]] = {}
    """Datastores by storage class; a class that is not named may use any."""
    manifests: list[str | dict[str, Any]] = []
    """Kubernetes manifests applied at the start, in order: files, or objects as they are."""
    timeline: list[Entry] = []
    """What happens; entries with `at` in the order of time."""
    upgrade: list[RollingUpgrade] = []
    """See RollingUpgrade."""
    workload: list[Workload] = []
    """Many VMs alike."""
    guests: list[Guests] = []
    """How long guests take to start and to shut down; the first entry that matches counts."""
    failures: Failures = Failures()
    """See Failures."""
    maintenance_calendar: list[MaintenanceCalendar] = []
    """Planned work on hosts."""
    faults: list[Fault] = []
    """Tasks that go wrong; the first rule that hits a task decides."""
    expect: list[Expect] = []
    """What must come about; a miss is exit code 1."""
    memory_only: str = ""
    """Why the scenario cannot run on a real API; empty if it can."""


class Metadata(Strict):
    """What the scenario is called and what it shows."""

    name: str
    description: str = ""


class Scenario(Strict):
    """A scenario file."""

    api_version: Literal["vmsim.dev/v1alpha1"]
    kind: Literal["Scenario"]
    metadata: Metadata
    spec: Spec


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file."""
    schema = Scenario.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
