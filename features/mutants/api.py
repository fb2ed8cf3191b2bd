"""Faults of the API: what it admits, keeps, lists and says."""

from features.mutants import Mutant
from features.mutants.patching import both, edit, put

ADMISSION = "vmsim.admission"
NAMES = "vmsim.names"

NAMING = (
    Mutant(
        "uppercase-name",
        "A name may have capital letters.",
        ("S-13",),
        edit(f"{NAMES}:subdomain_problem", "fullmatch(name)", "fullmatch(name.lower())"),
    ),
    Mutant(
        "dotted-name-refused",
        "A name with a dot is refused, as if it had to be a label.",
        ("S-13",),
        edit(f"{NAMES}:subdomain_problem", "_SUBDOMAIN.fullmatch", "_LABEL.fullmatch"),
    ),
    Mutant(
        "name-too-short-limit",
        "A name has at most 63 characters.",
        ("S-13",),
        put(NAMES, "SUBDOMAIN_LENGTH_MAX", 63),
    ),
    Mutant(
        "name-limit-off-by-one",
        "A name of 254 characters is accepted.",
        ("S-13",),
        put(NAMES, "SUBDOMAIN_LENGTH_MAX", 254),
    ),
    Mutant(
        "empty-label-in-name",
        "A name may have an empty label: d..b, or .db.",
        ("S-13",),
        edit(
            f"{NAMES}:subdomain_problem",
            "fullmatch(name)",
            'fullmatch(name.replace("..", ".").lstrip("."))',
        ),
    ),
    Mutant(
        "name-ends-with-dash",
        "A name may end with a dash.",
        ("S-13",),
        edit(f"{NAMES}:subdomain_problem", "fullmatch(name)", 'fullmatch(name.rstrip("-"))'),
    ),
    Mutant(
        "digit-first-refused",
        "A name may not begin with a digit, as the older rule for labels had it.",
        ("S-13",),
        edit(f"{NAMES}:subdomain_problem", "is None:", "is None or name[0].isdigit():"),
    ),
    Mutant(
        "no-name-advice",
        "A name that is no label is accepted without a word.",
        ("S-14",),
        both(
            edit(f"{NAMES}:host_name_warning", "if is_label(name)", "if True"),
            edit(f"{ADMISSION}:_warnings", "return tuple(", "return () and tuple("),
        ),
    ),
    Mutant(
        "advice-for-labels",
        "Every name is warned about.",
        ("S-14",),
        edit(f"{NAMES}:host_name_warning", "if is_label(name)", "if False"),
    ),
    Mutant(
        "label-of-64",
        "A label of 64 characters counts as one.",
        ("S-14",),
        put(NAMES, "LABEL_LENGTH_MAX", 64),
    ),
    Mutant(
        "advice-refuses",
        "A name that is no label is refused instead of warned about.",
        ("S-13", "S-14"),
        edit(
            f"{ADMISSION}:_name",
            "subdomain_problem(draft.name)",
            "subdomain_problem(draft.name) or host_name_warning(draft.name)",
        ),
    ),
)

CREATION = (
    Mutant(
        "image-not-needed",
        "A new VM need not name an image.",
        ("S-15",),
        both(
            edit(f"{ADMISSION}:_image_name", 'draft.spec("imageName") is None', "False"),
            edit(f"{ADMISSION}:_image", "wanted is None and reference is None", "False"),
        ),
    ),
    Mutant(
        "class-not-needed",
        "A new VM need not name a class.",
        ("S-17",),
        edit(f"{ADMISSION}:_class", 'draft.spec("className") is None', "False"),
    ),
    Mutant(
        "storage-class-not-needed",
        "A new VM need not name a storage class, as by the code of the day.",
        ("S-19",),
        edit(f"{ADMISSION}:_storage", "draft.terms.verdict is Verdict.DOCUMENT", "False"),
    ),
    Mutant(
        "any-storage-class",
        "A storage class that the namespace has not got is taken.",
        ("S-19",),
        edit(
            f"{ADMISSION}:_storage",
            "exists and draft.terms.catalog.storage_class_in_namespace(draft.namespace, str(name))",
            "True",
        ),
    ),
    Mutant(
        "empty-counts-as-set",
        "An empty string counts as a value.",
        ("S-15", "S-17", "S-19"),
        edit("vmsim.rules:dig", 'raw in ("", [], {})', "raw in ([], {})"),
    ),
    Mutant(
        "any-image",
        "The later API admits a VM whose image does not exist.",
        ("S-04",),
        edit(
            f"{ADMISSION}:_resolve",
            'return FieldError("spec.imageName", ErrorKind.NOT_FOUND, detail, "IMAGE-2", printed(name))',  # noqa: E501
            'return type("Image", (), {"kind": NAMESPACED_IMAGE, "name": name})()',
        ),
    ),
    Mutant(
        "first-error-only",
        "Only the first reason of a refusal is told.",
        ("S-15", "S-17"),
        edit(
            f"{ADMISSION}:_judged", "Denied(errors, draft.name)", "Denied(errors[:1], draft.name)"
        ),
    ),
    Mutant(
        "wrong-field",
        "The refusal for a missing class points at another field.",
        ("S-17",),
        edit(f"{ADMISSION}:_class", '"spec.className", "CLASS-1"', '"spec.class", "CLASS-1"'),
    ),
    Mutant(
        "namespace-not-checked",
        "An object may be applied to a namespace that does not exist.",
        ("S-06",),
        edit(
            "vmsim.apiserver:ApiServer.apply", "if manifest.namespace and not", "if False and not"
        ),
    ),
    Mutant(
        "own-namespace",
        "Every VM is made in one namespace, whatever the command says.",
        ("S-06",),
        edit(
            "vmsim.apiserver:ApiServer._create",
            "self._store(to_vm(_with(manifest, answer.raw)",
            'self._store(to_vm(Manifest(VM_KIND, "other", manifest.name, answer.raw)',
        ),
    ),
    Mutant(
        "denied-but-stored",
        "A refused VM is stored all the same.",
        ("S-15", "S-17", "S-19"),
        edit(
            "vmsim.apiserver:ApiServer._create",
            "return self._deny(manifest.key, answer)",
            "self._store(to_vm(_with(manifest, raw), self._edition.name), {'manifest': raw})\n"
            "        return self._deny(manifest.key, answer)",
        ),
    ),
)

KEEPING = (
    Mutant(
        "change-forgotten",
        "An accepted change of the spec is not stored.",
        ("S-21", "S-24"),
        edit("vmsim.apiserver:ApiServer._update", "old.spec, old.labels", "_, old.labels"),
    ),
    Mutant(
        "labels-forgotten",
        "An accepted change of labels is not stored.",
        ("S-21", "S-25"),
        edit("vmsim.apiserver:ApiServer._update", "old.spec, old.labels", "old.spec, _"),
    ),
    Mutant(
        "refused-but-changed",
        "A refused change is stored all the same.",
        ("S-22", "S-23"),
        edit(
            "vmsim.apiserver:ApiServer._update",
            "return self._deny(old.key, answer)",
            "old.spec = to_vm(Manifest(VM_KIND, old.namespace, old.name, new),"
            " self._edition.name).spec\n        return self._deny(old.key, answer)",
        ),
    ),
    Mutant(
        "nobody-is-told",
        "The controller is not told of changes.",
        ("S-02", "S-24"),
        edit("vmsim.apiserver:ApiServer._update", "self.tell(old.key)", "pass"),
    ),
    Mutant(
        "guest-configuration-lost",
        "The bootstrap provider of a new VM is not kept.",
        ("S-05", "S-27"),
        edit(
            "vmsim.apiserver:ApiServer._create",
            "raw = deepcopy(manifest.raw)",
            "raw = deepcopy(manifest.raw)\n    for name in ('vmMetadata', 'bootstrap'):\n"
            "        raw.get('spec', {}).pop(name, None)",
        ),
    ),
    Mutant(
        "all-namespaces-listed",
        "A list shows the objects of every namespace.",
        ("S-16", "S-18"),
        edit("vmsim.catalog:Catalog.objects", "namespace is None or", "True or"),
    ),
    Mutant(
        "images-not-listed",
        "Images are there, but not listed.",
        ("S-16",),
        edit(
            "vmsim.catalog:Catalog.objects",
            "if every or at == namespace",
            "if 'Image' not in row.name and (every or at == namespace)",
        ),
    ),
    Mutant(
        "classes-not-listed",
        "Classes are there, but not listed.",
        ("S-18",),
        edit(
            "vmsim.catalog:Catalog.objects",
            "if every or at == namespace",
            "if row.name != 'VirtualMachineClass' and (every or at == namespace)",
        ),
    ),
    Mutant(
        "storage-classes-not-listed",
        "Storage classes are there, but not listed.",
        ("S-20",),
        edit(
            "vmsim.catalog:Catalog.objects",
            "if every or at == namespace",
            "if row.name != 'StorageClass' and (every or at == namespace)",
        ),
    ),
    Mutant(
        "delete-unheard",
        "The controller is not told of a deletion.",
        ("S-02",),
        edit(
            "vmsim.apiserver:ApiServer.delete",
            'self._trace.write("api", "Deleting", key)\n        self.tell(key)',
            'self._trace.write("api", "Deleting", key)',
        ),
    ),
)

MUTANTS = (*NAMING, *CREATION, *KEEPING)
