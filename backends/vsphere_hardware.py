"""How does vSphere spell the hardware of a VM, asked for and shown?

CPUs are counted, memory is in MiB; what is reserved and the most that may be used are in MHz and
MiB, and "without a limit" is -1.
"""

from collections.abc import Mapping
from typing import Any

from pyVmomi import vim as typed_vim

from vmsim.objects import BIOS, Hardware

vim: Any = typed_vim  # the published types are partial, so Any at this border

HARDWARE_PATHS = (
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.cpuAllocation.reservation",
    "config.cpuAllocation.limit",
    "config.memoryAllocation.reservation",
    "config.memoryAllocation.limit",
    "config.firmware",
)
UNLIMITED = -1


def config_spec(hardware: Hardware) -> Any:
    """The hardware as vSphere is asked for it."""
    return vim.vm.ConfigSpec(
        numCPUs=hardware.cpus,
        memoryMB=hardware.memory_mib,
        cpuAllocation=_allocation(hardware.cpu_reservation_mhz, hardware.cpu_limit_mhz),
        memoryAllocation=_allocation(hardware.memory_reservation_mib, hardware.memory_limit_mib),
        firmware=hardware.firmware,
    )


def _allocation(reservation: int, limit: int | None) -> Any:
    most = UNLIMITED if limit is None else limit
    return vim.ResourceAllocationInfo(reservation=reservation, limit=most)


def hardware_seen(values: Mapping[str, str]) -> Hardware:
    """The hardware of what was read with HARDWARE_PATHS; what the server left out is as nobody
    had asked for it."""
    *amounts, firmware = (values.get(path, "") for path in HARDWARE_PATHS)
    cpus, memory, mhz, most_mhz, mib, most_mib = (int(word or 0) for word in amounts)
    most = (_limit(most_mhz), _limit(most_mib))
    return Hardware(cpus, memory, mhz, mib, *most, firmware or BIOS)


def _limit(most: int) -> int | None:
    """A limit of 0 is one that the server does not tell."""
    return most if most > 0 else None
