"""What is known of one VM, of one host, and of one downtime, while records come in."""

from dataclasses import dataclass, field

import msgspec

CREATION = "Creation"


class Incident(msgspec.Struct, gc=False):
    """One downtime of a VM, or its way from creation to running; `open` when it never ended."""

    vm: str
    class_name: str
    cause: str
    host: str
    began_s: float
    ended_s: float = -1.0
    detect_s: float = 0.0
    wait_s: float = 0.0
    retry_s: float = 0.0
    start_s: float = 0.0
    because: str = ""
    open: bool = True

    @property
    def lasted_s(self) -> float:
        """How long it took."""
        return self.ended_s - self.began_s


@dataclass(slots=True)
class VM:
    """What is known of one VM; `number` is that of the record that added it, and `due_s` is when
    its last migration could have begun."""

    key: str
    class_name: str
    wanted: bool
    number: int
    host: str = ""
    running: bool = False
    now: Incident | None = None
    tried_s: float = -1.0
    started_s: float = -1.0
    on_s: float = -1.0
    due_s: float = 0.0
    refused: str = ""
    refused_s: float = -1.0


@dataclass(slots=True)
class Host:
    """What is known of one host; times are of its last maintenance."""

    state: str = "Up"
    asked_s: float = -1.0
    entered_s: float = -1.0
    blocked: dict[str, str] = field(default_factory=dict)
    blocked_s: float = 0.0


@dataclass(slots=True)
class Counts:
    """What is only counted."""

    migrations: int = 0
    moved_mib: float = 0.0
    retries: int = 0
    tasks_failed: int = 0
    failovers_failed: int = 0
    host_failures: int = 0
    created: int = 0
    refused_creations: int = 0
    stalls: int = 0
    slowed: int = 0
