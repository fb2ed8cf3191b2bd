"""What a driver says at its end: one line of JSON with what it did and what that cost."""

import json
import resource
import time
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np


class Stopwatch:
    """CPU and wall seconds of this process since it was made."""

    def __init__(self) -> None:
        self._cpu_s = time.process_time()
        self._wall_s = time.perf_counter()

    def result(self, rows: Sequence[int], **more: Any) -> str:
        """The line; `rows` has the host of each VM in order of arrival, -1 for a refused one."""
        cpu_s = time.process_time() - self._cpu_s
        wall_s = time.perf_counter() - self._wall_s
        placed = np.asarray(rows, dtype="<i4")
        said = {
            "cpu_s": round(cpu_s, 4),
            "wall_s": round(wall_s, 4),
            "vms": len(placed),
            "refused": int((placed < 0).sum()),
            "crc": zlib.crc32(placed.tobytes()),
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        return json.dumps(said | more)
