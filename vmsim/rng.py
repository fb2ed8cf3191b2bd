"""Random numbers by name: a new source of chance never shifts the others.

`stream(seed, "faults")` is one generator, the same on every machine; nothing else draws.
"""

import zlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """The generator of the source `name` in a run with `seed` (a non-negative integer)."""
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))
    )
