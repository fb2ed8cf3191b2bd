"""How long do things take?

Every duration of the model is a field here, in seconds, with what it stands for; a scenario
overrides them under `durations`. They are constants: a fixed part, and for a migration a part
that grows with the VM's memory.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds per operation. None of these figures is measured; all are defaults to override."""

    create_s: float = 30.0
    """CreateVM: deploying the image."""
    power_on_s: float = 5.0
    """PowerOnVM, until the virtual hardware runs."""
    guest_boot_s: float = 30.0
    """From virtual power-on until the guest reports its address."""
    power_off_s: float = 20.0
    """PowerOffVM, the guest's shutdown included."""
    suspend_s: float = 10.0
    """SuspendVM, writing the memory to disk."""
    destroy_s: float = 5.0
    """Destroy: deleting the files."""
    migrate_s: float = 10.0
    """vMotion: preparation and switchover."""
    migrate_s_per_gib: float = 1.0
    """vMotion: copying one GiB of memory."""
    enter_maintenance_s: float = 10.0
    """From an empty host to maintenance mode."""
    exit_maintenance_s: float = 10.0
    """From maintenance mode to ready for VMs."""
    ha_detection_s: float = 18.0
    """vSphere HA: from a host's failure until it is declared dead."""
    ha_placement_s: float = 12.0
    """vSphere HA: from there until the first restart."""
    task_timeout_s: float = 600.0
    """A task that has not answered by then has an unknown outcome."""
