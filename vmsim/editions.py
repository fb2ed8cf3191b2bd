"""What differs between two texts of the same specification.

The VirtualMachine page and the controller behind it changed between 2023-03 (the first edition,
`v1alpha1`) and 2026-08 (`v1alpha6`). Everything that a decision or a report must spell or time
differently stands here, as one row per edition; nothing else asks which edition runs.
The letters and numbers in comments are the clauses of `docs/clauses.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vmsim.objects import PowerState


@dataclass(frozen=True, slots=True)
class EventWords:
    """Reasons of the events that a pass of the VM role emits; '' where the edition emits none."""

    create_success: str
    create_failure: str
    update_success: str
    update_failure: str
    delete_success: str = "DeleteSuccess"
    delete_failure: str = "DeleteFailure"


@dataclass(frozen=True, slots=True)
class Edition:
    """One edition of the page and of the controller of its day.

    `resync_s`, `create_requeue_s` and `ip_requeue_s` are the controller's timers (Q-02, Q-03,
    Q-05). `phases` tells whether `status.phase` is reported (T-01); later editions report
    conditions instead. `watches`: a watcher of vCenter tells the controller of changes (Q-11).
    `follows_claims`: the zones of its claims limit a VM's (Z-09). `power_words` spells power states
    as the edition's API does (P-01). `bucket_per_s`: all retries together, after a burst of 100 (0:
    no limit, Q-01). `prioritised`: the queue knows priorities (Q-11). `max_creates` VMs are created
    at a time, or `create_share` of the workers; what is too much comes again after
    `create_requeue_s` (0: when it is visited for another reason).
    """

    name: str
    version: str
    served: tuple[str, ...]
    finalizer: str
    events: EventWords
    power_words: Mapping[PowerState, str]
    host_field: str
    power_off_mode: str
    eviction: str
    resync_s: float
    phases: bool
    watches: bool
    waits_while_disconnected: bool
    aggregates_prerequisites: bool
    follows_claims: bool
    bucket_per_s: float = 0.0
    prioritised: bool = True
    max_creates: int = 80
    create_share: float | None = None
    create_requeue_s: float = 10.0
    ip_requeue_s: float = 10.0

    @property
    def api_version(self) -> str:
        """Group and newest version, as `apiVersion` of a manifest has it."""
        return f"{GROUP}/{self.version}"


GROUP = "vmoperator.vmware.com"

EDITION_2023_03 = Edition(
    name="2023-03",
    version="v1alpha1",
    served=("v1alpha1",),
    finalizer="virtualmachine.vmoperator.vmware.com",
    events=EventWords("", "CreateOrUpdateFailure", "", "CreateOrUpdateFailure"),
    power_words=MappingProxyType({PowerState.ON: "poweredOn", PowerState.OFF: "poweredOff"}),
    host_field="host",  # T-04
    power_off_mode="hard",  # P-13: soft modes came later
    eviction="drs_poweroff",  # C-09
    resync_s=600.0,
    phases=True,
    watches=False,  # there was no watcher of vCenter
    waits_while_disconnected=False,
    aggregates_prerequisites=False,
    follows_claims=False,
    bucket_per_s=10.0,  # controller-runtime's default limiter of that time
    prioritised=False,
    create_share=0.8,
    create_requeue_s=0.0,  # the VM is reported Created, so its 10 s timer does not fire
)

EDITION_2026_08 = Edition(
    name="2026-08",
    version="v1alpha6",
    served=("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4", "v1alpha5", "v1alpha6"),
    finalizer="vmoperator.vmware.com/virtualmachine",
    events=EventWords("CreateSuccess", "CreateFailure", "UpdateSuccess", "UpdateFailure"),
    power_words=MappingProxyType({state: state.value for state in PowerState}),
    host_field="nodeName",
    power_off_mode="TrySoft",  # P-07
    eviction="block",  # C-10: the power-off hint is no longer set
    resync_s=1800.0,
    phases=False,
    watches=True,
    waits_while_disconnected=True,
    aggregates_prerequisites=True,
    follows_claims=True,  # Z-09
)

EDITIONS: Mapping[str, Edition] = MappingProxyType(
    {edition.name: edition for edition in (EDITION_2023_03, EDITION_2026_08)}
)
