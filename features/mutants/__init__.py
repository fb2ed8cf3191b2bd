"""Could these features fail at all?

A scenario that passes proves little until it has been seen to fail. A mutant is a small, plausible
fault in one function, row or constant of the roles, the admission or the plant; the features must
notice it. `python -m features.mutants` runs them once per mutant and prints who notices what.
"""

from dataclasses import dataclass

from features.mutants.patching import Patch


@dataclass(frozen=True, slots=True)
class Mutant:
    """A faulty implementation: what is `wrong` in one sentence, and which clauses that breaks.

    Within the context that `patch` gives the fault is there. `excuse` says why no scenario
    can notice it; '' means that one must.
    """

    id: str
    wrong: str
    breaks: tuple[str, ...]
    patch: Patch
    excuse: str = ""
