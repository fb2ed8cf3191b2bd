"""Which questions are there, and what can be set for one?"""

from collections.abc import Iterator

from vmsim.whatif.metrics import METRICS
from vmsim.whatif.studies import STUDIES, WARM_UP, study_named


def listing(name: str | None) -> Iterator[str]:
    """All questions, or one with its options."""
    if name is not None:
        study = study_named(name)
        yield f"{study.name}: {study.question}"
        yield f"  answer: {METRICS[study.metric].means} ({study.how})"
        for option, row in study.options.items():
            yield f"  --set {option}={row.default}  {row.means}"
        yield f"  --set {WARM_UP}=0  what is not measured at the beginning: a duration, or auto"
        for text in study.variants:
            yield f"  --vary {text}  unless you vary something else"
        yield from (f"  assumes: {text}" for text in study.assumes)
        return
    for study in STUDIES.values():
        yield f"{study.number:>3}  {study.name:<24} {study.question}"
