"""How does an edition spell what the scenarios say, and how long may a Given take?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a Given may take before the scenario is given up, in seconds."""

    running_s: float = 900.0
    maintenance_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Words:
    """How an edition spells what the scenarios say, and what its example manifest names."""

    power: dict[str, str]
    node: str
    vm_class: str
    image: str
    storage_class: str


WORDS = {
    "2023-03": Words(
        {"powered on": "poweredOn", "powered off": "poweredOff"},
        *("host", "small", "photon4", "iscsi"),
    ),
    "2026-08": Words(
        {"powered on": "PoweredOn", "powered off": "PoweredOff", "suspended": "Suspended"},
        *("nodeName", "my-vm-class", "vmi-0a0044d7c690bcbea", "my-storage-class"),
    ),
}
