"""What is known of one downtime. It has a module of its own because mypyc leaves out what a class
statement says beside the bases."""

import msgspec

CREATION = "Creation"


class Incident(msgspec.Struct, gc=False, array_like=True):
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
