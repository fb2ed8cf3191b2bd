"""How long do things take?

Every duration of the model is a field here, in seconds, with what it stands for; a scenario
overrides them under `durations`, and every run prints them with its assumptions. They are
constants; how long a migration copies memory is computed, see `precopy` and `bandwidth`.
"""

from dataclasses import dataclass, field


def _lasting(seconds: float, means: str, *, positive: bool = False) -> float:
    metadata = {"means": means, "positive": positive}
    value: float = field(default=seconds, metadata=metadata)
    return value


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds per operation. None of these figures is measured; all are defaults to override."""

    create_s: float = _lasting(30.0, "CreateVM: deploying the image")
    power_on_s: float = _lasting(5.0, "PowerOnVM, until the virtual hardware runs")
    guest_boot_s: float = _lasting(30.0, "from there until the guest reports its address")
    power_off_s: float = _lasting(20.0, "PowerOffVM, the guest's shutdown included")
    power_off_hard_s: float = _lasting(0.0, "PowerOffVM that asks no guest: mode Hard, deletion")
    suspend_s: float = _lasting(10.0, "SuspendVM: writing the memory to disk")
    resize_s: float = _lasting(2.0, "ReconfigVM: other hardware for a VM that is off")
    destroy_s: float = _lasting(5.0, "Destroy: deleting the files")
    migrate_s: float = _lasting(10.0, "vMotion beside the copying: checks, preparation, resume")
    relocate_s: float = _lasting(5.0, "RelocateVM: registering a VM that is off on another host")
    enter_maintenance_s: float = _lasting(10.0, "from an empty host to maintenance mode")
    exit_maintenance_s: float = _lasting(10.0, "from maintenance mode to ready for VMs")
    evacuation_retry_s: float = _lasting(
        60.0,
        "from a failed attempt to move or stop a VM of a host being emptied to the next; above 0",
        positive=True,
    )
    task_timeout_s: float = _lasting(600.0, "a task unanswered by then has an unknown outcome")
