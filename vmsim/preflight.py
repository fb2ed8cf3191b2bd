"""Would the API server take the manifests that are there from the start?

They are admitted here in order, as the run will do it, so that a refusal is reported with its file
and line before anything runs. A VM that is taken but names something that does not exist (yet) is
no error: it waits, and the author gets a warning.
"""

from collections.abc import Iterable
from functools import partial

from vmsim.admission import Denied, Terms, admit_create
from vmsim.catalog import Catalog
from vmsim.editions import Edition
from vmsim.manifests import Manifest, to_vm
from vmsim.prerequisites import prerequisites, unmet
from vmsim.problems import Problem
from vmsim.rules import Verdict


def preflight(
    manifests: Iterable[Manifest], edition: Edition, verdict: Verdict
) -> tuple[list[Problem], list[Problem]]:
    """What the API server would refuse, and what the VMs would wait for."""
    catalog = Catalog(edition.name)
    terms = Terms(catalog, edition, verdict)
    refusals: list[Problem] = []
    taken: list[tuple[Manifest, Manifest]] = []
    for manifest in manifests:
        place = partial(Problem, file=manifest.file, line=manifest.line)
        if manifest.namespace and not catalog.namespace_exists(manifest.namespace):
            message = f'namespaces "{manifest.namespace}" not found'
            hint = "put a Namespace before it"
            refusals.append(place(message, "metadata.namespace", hint=hint))
        elif manifest.kind != "VirtualMachine":
            catalog.put(manifest)
        else:
            metadata = {**manifest.raw.get("metadata", {}), "namespace": manifest.namespace}
            answer = admit_create({**manifest.raw, "metadata": metadata}, terms)
            if isinstance(answer, Denied):
                refusals += [
                    place(str(error), hint=f"of VirtualMachine {manifest.key}")
                    for error in answer.errors
                ]
            else:
                admitted = Manifest(manifest.kind, manifest.namespace, manifest.name, answer.raw)
                taken.append((manifest, admitted))
    return refusals, list(_waits(taken, catalog, edition))


def _waits(
    taken: Iterable[tuple[Manifest, Manifest]], catalog: Catalog, edition: Edition
) -> Iterable[Problem]:
    for manifest, admitted in taken:
        for condition in unmet(prerequisites(to_vm(admitted, edition.name), catalog, edition)):
            message = f"VirtualMachine {manifest.key} will wait: {condition.reason}"
            yield Problem(message, condition.type, manifest.file, manifest.line, condition.message)
