"""Faults that few scenarios can notice: a step of a VM's life that only one situation needs."""

from features.mutants import Mutant
from features.mutants.patching import both, edit, put

STEP = "vmsim.reconcile"
CONTROLLER = "vmsim.controller:Controller"
API = "vmsim.apiserver:ApiServer"
ADMISSION = "vmsim.admission"


PAUSED = (
    Mutant(
        "pause-by-label-ignored",
        "A label of an administrator does not pause the work on a VM.",
        ("P-22",),
        edit(f"{STEP}:next_step", "PAUSED_LABEL in vm.labels and vm.paused_by", "False"),
    ),
    Mutant(
        "pause-of-admin-only",
        "Only an administrator of the infrastructure can pause a VM.",
        ("P-22", "T-10"),
        put("vmsim.objects", "PAUSERS", {"admin": "Admin"}),
    ),
    Mutant(
        "pause-not-told",
        "A VM does not say that the work on it is paused.",
        ("T-10",),
        edit("vmsim.status:_reconcile_ready", "if who := vm.paused_by:", "if not vm.labels:"),
    ),
    Mutant(
        "pause-told-for-ever",
        "A VM says that it is paused when it is not any more.",
        ("T-10",),
        edit(
            "vmsim.status:_reconcile_ready", 'RECONCILE_READY, "True"', 'RECONCILE_READY, "False"'
        ),
    ),
)

GOING = (
    Mutant(
        "deletion-of-lost-vm",
        "The object of a VM whose host is lost goes at once.",
        ("X-03",),
        edit(f"{STEP}:_next_of_deletion", "return UNREADABLE", "return REMOVE_FINALIZER"),
    ),
    Mutant(
        "nothing-lives-on",
        "A VM that is to live on is removed with its object.",
        ("X-06",),
        edit(f"{STEP}:_next_of_deletion", " or ABANDON in vm.annotations", ""),
    ),
    Mutant(
        "name-used-up",
        "The name of a deleted VM cannot be used again.",
        ("S-02",),
        both(
            edit(
                f"{API}.set_finalizer",
                "del self.vms[vm.key]",
                "del self.vms[vm.key]; self.__dict__.setdefault('gone', []).append(vm.key)",
            ),
            edit(
                f"{API}._create",
                "raw = deepcopy(manifest.raw)",
                "if manifest.key in self.__dict__.get('gone', ()):\n"
                "        return None\n"
                "    raw = deepcopy(manifest.raw)",
            ),
        ),
    ),
)

BEGINNING = (
    Mutant(
        "no-second-request",
        "A VM that is being made may not be asked for again.",
        ("Q-14",),
        edit(
            f"{API}.apply",
            "old = self.vms.get(manifest.key)",
            "old = self.vms.get(manifest.key)\n"
            "    if old is not None and not old.status.unique_id:\n"
            "        return self._deny(manifest.key, _not_found(manifest.key))",
        ),
    ),
    Mutant(
        "class-change-resizes",
        "A change of a class changes the VMs that were made with it.",
        ("C-12",),
        edit(
            f"{CONTROLLER}._catalog_changed",
            "for key in list(self._unsettled):",
            "for key, vm in self._api.vms.items():\n"
            "        if self._hypervisor.observe(key).exists:\n"
            "            found = self._surroundings.requirement(vm)\n"
            "            self._hypervisor.fleet.enrol(key, found)\n"
            "    for key in list(self._unsettled):",
        ),
    ),
    Mutant(
        "at-most-16-gib",
        "A VM has at most 16 GiB, whatever its class says.",
        ("S-03", "C-03"),
        edit(
            f"{STEP}:requirement",
            "memory_mib=vm_class.memory_mib,",
            "memory_mib=min(vm_class.memory_mib, 16384),",
        ),
    ),
    Mutant(
        "long-names-refused",
        "The first edition refuses names of more than 30 characters that are no label.",
        ("N-03",),
        edit(
            f"{ADMISSION}:_name",
            "if problem := subdomain_problem(draft.name):",
            "problem = subdomain_problem(draft.name)\n"
            "    old = draft.terms.edition is EDITION_2023_03\n"
            "    if problem or (old and '.' in draft.name and len(draft.name) > 30):",
        ),
    ),
    Mutant(
        "readiness-not-told",
        "A VM of the first edition does not say that everything it names is there.",
        ("T-14",),
        edit("vmsim.prerequisites:_first_missing", '(Condition(PREREQ_READY, "True"),)', "()"),
    ),
    Mutant(
        "host-in-advance",
        "The host of every VM is recorded before it is made.",
        ("Z-15",),
        edit(
            f"{API}._store",
            "vm.created_s = self._now()",
            "vm.created_s = self._now()\n"
            "    key = 'vmoperator.vmware.com/instance-storage-selected-node'\n"
            "    vm.annotations = {**vm.annotations, key: 'esx-1'}",
        ),
    ),
    Mutant(
        "claims-ignored",
        "A VM is placed in any zone, wherever its volumes are.",
        ("Z-09",),
        edit(f"{STEP}:within", "if there:", "if False:"),
    ),
    Mutant(
        "last-claim-counts",
        "Of several claims only the last one says in which zone a VM is placed.",
        ("Z-09",),
        edit(f"{STEP}:within", "zone for zone in zones or there if zone in there", "there"),
    ),
    Mutant(
        "nowhere-is-anywhere",
        "A VM whose volumes have no zone in common is placed in any zone.",
        ("Z-09",),
        edit(f"{STEP}:within", " or NO_ZONE", ""),
    ),
    Mutant(
        "first-boot-forgotten",
        "The first power-on of a VM is not noted.",
        ("P-12",),
        edit(f"{CONTROLLER}._report", "seen.power is ON and", "False and"),
    ),
    Mutant(
        "first-boot-foreseen",
        "A VM is noted as powered on when it is made.",
        ("P-12",),
        edit(f"{CONTROLLER}._report", "seen.power is ON and", "seen.exists and"),
    ),
    Mutant(
        "class-not-told",
        "A VM does not report its class.",
        ("T-08",),
        edit(
            "vmsim.rendering:_raw_status",
            '"class": reference if status.class_name else {}',
            '"class": {}',
        ),
    ),
)

POWER = (
    Mutant(
        "suspended-for-ever",
        "TrySoft never powers a suspended VM off.",
        ("P-06", "P-14"),
        put(STEP, "POWER_OFF_MODES_FROM_SUSPENDED", ("Hard", "")),
    ),
    Mutant(
        "same-power-refused",
        "A request for the power state that is there is refused.",
        ("P-11",),
        edit(
            f"{ADMISSION}:_power_on_update",
            "if new is None:",
            "same = [dig(draft.old, *path) == dig(draft.raw, *path) for path in "
            "(('spec',), ('metadata', 'labels'), ('metadata', 'annotations'))]\n"
            "    if new is None or all(same):",
        ),
    ),
    Mutant(
        "hold-cannot-be-taken-off",
        "An annotation that holds a VM back cannot be taken off.",
        ("P-21",),
        edit(
            f"{ADMISSION}:_power_on_update",
            "if new is None:",
            "marks = [set(dig(raw, 'metadata', 'annotations') or ()) for raw in "
            "(draft.old, draft.raw)]\n"
            "    if new is None or marks[0] - marks[1]:",
        ),
    ),
)

MUTANTS = (*PAUSED, *GOING, *BEGINNING, *POWER)
