"""vmsim: the VM Operator VirtualMachine page, executable.

`vmsim.run` runs a scenario from a program; see `vmsim.notebook`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vmsim.notebook import run as run

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `run` when it is first asked for: `import vmsim` alone costs nothing."""
    if name == "run":
        from vmsim.notebook import run

        return run
    raise AttributeError(f"module 'vmsim' has no attribute {name!r}")
