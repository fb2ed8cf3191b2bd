"""Faults of what the code of an edition does beyond the page: words, defaults, zones, waiting."""

from features.mutants import Mutant
from features.mutants.patching import both, edit, field, put
from features.mutants.updates import HEAD, RULES, SEED, cells

ADMISSION = "vmsim.admission"
API = "vmsim.apiserver:ApiServer"
STEP = "vmsim.reconcile"
STATUS = "vmsim.status"
NEEDS = "vmsim.prerequisites"
CONTROLLER = "vmsim.controller:Controller"

WORDS = (
    Mutant(
        "power-state-not-needed",
        "A VM of the first edition need not state its power state.",
        ("N-04",),
        edit(f"{ADMISSION}:_power_stated", 'draft.spec("powerState") is None', "False"),
    ),
    Mutant(
        "suspended-in-the-first-edition",
        "The first edition knows the power state suspended.",
        ("P-01", "P-13"),
        both(
            edit(f"{ADMISSION}:_power_words", "if power is not None and", "if False and"),
            edit(
                "vmsim.manifests:_check",
                "value not in shape.words",
                "value not in (*shape.words, 'suspended')",
            ),
        ),
    ),
    Mutant(
        "off-by-default",
        "A VM made without a power state is wanted off.",
        ("P-02",),
        edit(f"{ADMISSION}:_power_on_create", "value=PowerState.ON.value", 'value="PoweredOff"'),
    ),
    Mutant(
        "suspended-when-new",
        "A new VM may be wanted suspended.",
        ("P-03",),
        edit(f"{ADMISSION}:_power_on_create", "== PowerState.SUSPENDED:", "== 'Suspended?':"),
    ),
    Mutant(
        "power-state-emptied",
        "The power state may be emptied.",
        ("P-04",),
        edit(f"{ADMISSION}:_power_on_update", "if new is None:", "if new is False:"),
    ),
    Mutant(
        "suspended-from-off",
        "A VM that is wanted off may be wanted suspended.",
        ("P-05",),
        edit(
            f"{ADMISSION}:_power_on_update",
            "(old, new) == (PowerState.OFF, PowerState.SUSPENDED)",
            "(old, new) == ()",
        ),
    ),
    Mutant(
        "hard-by-default",
        "The power-off mode is hard by default.",
        ("P-07",),
        put("vmsim.editions:EDITION_2026_08", "power_off_mode", "Hard"),
    ),
    Mutant(
        "restarted-when-new",
        "A new VM may ask for a restart.",
        ("P-17",),
        edit(f"{ADMISSION}:_restart_on_create", "is not None:", "is False:"),
    ),
    Mutant(
        "restart-planned",
        "A restart may be planned for any time.",
        ("P-18", "P-20"),
        edit(f"{ADMISSION}:_restart_on_update", 'str(asked).lower() != "now"', "False"),
    ),
    Mutant(
        "restart-while-off",
        "A VM that is off may ask for a restart.",
        ("P-18",),
        edit(
            f"{ADMISSION}:_restart_on_update",
            'dig(draft.old, "spec", "powerState") != PowerState.ON',
            "False",
        ),
    ),
    Mutant(
        "restart-time-kept-as-now",
        "The word now is stored as it is.",
        ("P-18",),
        edit(f"{ADMISSION}:_restart_on_update", "value=draft.terms.now", "value=asked"),
    ),
    Mutant(
        "restart-time-emptied",
        "An update may empty the time of a restart.",
        ("M-15",),
        edit(
            f"{ADMISSION}:_restart_on_update",
            'draft.complete("nextRestartTime", value=stored)',
            "pass",
        ),
    ),
    Mutant(
        "secret-name-emptied",
        "An update may empty the name of the metadata's secret.",
        ("M-15",),
        edit(f"{ADMISSION}:_kept_secret_name", "if stored and", "if False and"),
    ),
    Mutant(
        "any-image-kind",
        "A reference to an image may be to anything.",
        ("I-01",),
        edit(f"{ADMISSION}:_image_kind", "elif kind not in", "elif False and kind not in"),
    ),
    Mutant(
        "display-name-unknown",
        "The display name of an image is not looked up.",
        ("I-02",),
        edit("vmsim.catalog:Catalog.image_matches", "self.edition == _SEED or", "True or"),
    ),
    Mutant(
        "first-of-two-images",
        "A display name of two images stands for the first one.",
        ("I-02",),
        edit(f"{ADMISSION}:_resolve", "if len(found) == 1:", "if found:"),
    ),
    Mutant(
        "two-images-named",
        "Name and reference may mean different images.",
        ("I-03",),
        edit(
            f"{ADMISSION}:_image",
            'elif (found.kind, found.name) != (draft.spec("image", "kind"), '
            'draft.spec("image", "name")):',
            "elif False:",
        ),
    ),
    Mutant(
        "zone-unknown",
        "A zone label may name any zone.",
        ("Z-02", "Z-03"),
        edit(f"{ADMISSION}:_zone", "if str(zone) not in", "if False and str(zone) not in"),
    ),
    Mutant(
        "storage-class-not-offered",
        "A storage class that the namespace is not offered is taken.",
        ("ST-01", "ST-04"),
        edit(f"{ADMISSION}:_storage", "if exists and draft", "if exists or draft"),
    ),
)

CHANGES = (
    Mutant(
        "storage-class-changed",
        "The storage class may be changed.",
        ("M-02", "M-08"),
        both(cells("UPD-STORAGE", SEED, "yes yes yes"), cells("UPD-STORAGE", HEAD, "yes yes yes")),
    ),
    Mutant(
        "resource-policy-changed",
        "The resource policy may be changed.",
        ("M-02",),
        both(
            cells("UPD-RESOURCE-POLICY", SEED, "yes yes yes"),
            cells("UPD-RESOURCE-POLICY", HEAD, "yes yes yes"),
        ),
    ),
    Mutant(
        "affinity-changed",
        "The affinity may be changed.",
        ("M-08",),
        cells("UPD-AFFINITY", HEAD, "yes yes yes"),
    ),
    Mutant(
        "interfaces-while-on",
        "Network interfaces of the first edition may be changed while the VM is on.",
        ("M-03",),
        cells("UPD-NICS", SEED, "yes yes na"),
    ),
    Mutant(
        "on-after-all",
        "A change that also turns the VM off counts as one while it is on.",
        ("M-04",),
        edit(
            "vmsim.rules:_counts_as_on",
            "return desired == [PowerState.ON.lower()] * 2",
            "return desired[0] == PowerState.ON.lower()",
        ),
    ),
    Mutant(
        "boot-options-while-on",
        "Boot options may be changed while the VM is on.",
        ("M-05",),
        cells("UPD-BOOT-OPTIONS", HEAD, "yes yes na"),
    ),
    Mutant(
        "image-reference-changed",
        "The reference to the image may be changed.",
        ("M-06",),
        cells("UPD-IMAGE-REF", HEAD, "yes yes na"),
    ),
    Mutant(
        "class-name-emptied",
        "A class name that may be changed may be emptied.",
        ("M-07",),
        field(RULES, lambda row: row.required, "required", False, "vmsim.rules:denials"),
    ),
    Mutant(
        "interfaces-added",
        "Network interfaces may be added.",
        ("M-09",),
        cells("UPD-NICS", HEAD, "yes yes yes"),
    ),
    Mutant(
        "provider-changed",
        "The kind of bootstrap provider may be changed.",
        ("M-10",),
        cells("UPD-BOOTSTRAP-TYPE", HEAD, "yes yes yes"),
    ),
    Mutant(
        "hardware-lowered",
        "The hardware version may be lowered.",
        ("M-11",),
        cells("UPD-HARDWARE-DOWN", HEAD, "yes yes na"),
    ),
    Mutant(
        "hardware-raised-while-on",
        "The hardware version may be raised while the VM is on.",
        ("M-11",),
        cells("UPD-HARDWARE-UP", HEAD, "yes yes na"),
    ),
    Mutant(
        "zone-taken-off",
        "A zone label may be taken off.",
        ("Z-04",),
        edit(
            "vmsim.rules:_refusals",
            "if name not in before or not rule.counts(before[name], value):",
            "if name not in before or value is None or not rule.counts(before[name], value):",
        ),
    ),
)

WORK = (
    Mutant(
        "suspended-stays",
        "A suspended VM is not powered on.",
        ("P-06",),
        edit(
            f"{STEP}:_next_of_power",
            "return POWER_ON\n    if wanted",
            "return HELD if seen.power is SUSPENDED else POWER_ON\n    if wanted",
        ),
    ),
    Mutant(
        "soft-stops-suspended",
        "A suspended VM is powered off also in soft mode.",
        ("P-14",),
        edit(f"{STEP}:_next_of_power", "return SETTLED if soft else POWER_OFF", "return POWER_OFF"),
    ),
    Mutant(
        "hold-ignored",
        "An annotation that holds a VM back is ignored.",
        ("P-21",),
        edit(f"{STEP}:_next_of_power", "return HELD", "return POWER_ON"),
    ),
    Mutant(
        "held-for-ever",
        "A VM that was held back once is not powered on any more.",
        ("P-21",),
        edit(f"{API}._update", "self.tell(old.key)", "pass"),
    ),
    Mutant(
        "zones-of-others",
        "A VM is placed in zones that its namespace may not use.",
        ("Z-08",),
        edit(f"{STEP}:requirement", "zones=(vm.zone,) if vm.zone else zones", "zones=()"),
    ),
    Mutant(
        "zone-not-told",
        "The zone is not reported.",
        ("Z-07", "Z-16"),
        edit(f"{STATUS}:report", "seen.zone, seen.ip", "'', seen.ip"),
    ),
    Mutant(
        "binding-not-needed",
        "A class may be used without a binding.",
        ("C-01",),
        edit("vmsim.catalog:Catalog.class_bound", "self.edition != _SEED or", "True or"),
    ),
    Mutant(
        "storage-policy-not-asked",
        "A storage class without a policy is good enough.",
        ("ST-05",),
        edit(f"{NEEDS}:_storage_2026", "if not storage.policy_id:", "if False:"),
    ),
    Mutant(
        "image-ready-or-not",
        "A VM is made from an image that is not ready.",
        ("I-06", "I-09"),
        edit(f"{NEEDS}:_image_2026", "if not image.ready:", "if False:"),
    ),
    Mutant(
        "one-thing-at-a-time",
        "The later edition names only the first thing that is missing.",
        ("Q-13",),
        edit(
            f"{NEEDS}:_all_at_once",
            "for kind, (reason, message) in found",
            "for kind, (reason, message) in [one for one in found if one[1][0]][:1] or found",
        ),
    ),
    Mutant(
        "deletion-not-held",
        "An annotation that holds a deletion back is ignored.",
        ("X-04",),
        put(STEP, "HOLD_DELETE", "hold.delete.example.com/"),
    ),
    Mutant(
        "pause-ignored",
        "The work on a VM goes on although it is paused.",
        ("X-07",),
        edit(f"{STEP}:next_step", "return PAUSE", "pass"),
    ),
    Mutant(
        "phase-stays-creating",
        "The phase of a VM that exists stays Creating.",
        ("T-01",),
        edit(f"{STATUS}:_phase", 'return "Created"', 'return "Creating"'),
    ),
    Mutant(
        "same-identity",
        "All VMs report the same identifiers.",
        ("T-03",),
        edit(f"{CONTROLLER}._report", "int(vm.uid[:8], 16)", "1"),
    ),
    Mutant(
        "synced-too-early",
        "The condition says that the power state is the wanted one when it is not.",
        ("T-06",),
        edit(f"{STATUS}:power_synced", "if wanted is seen:", "if wanted:"),
    ),
    Mutant(
        "not-said-to-be-made",
        "No condition says that the VM was made.",
        ("T-07",),
        edit(f"{STATUS}:_conditions", "found.append(_CREATED)", "pass"),
    ),
    Mutant(
        "made-without-room",
        "A VM is made in one of several clusters although none has room.",
        ("Q-09",),
        edit(
            "vmsim.cluster:Cluster.create",
            "self._candidate_clusters(requirement) == 1",
            "self._candidate_clusters(requirement)",
        ),
    ),
    Mutant(
        "lost-host-ignored",
        "A VM whose host does not respond gets requests all the same.",
        ("Q-07",),
        edit(f"{STEP}:next_step", "if not seen.connected:", "if False:"),
        excuse="the cluster takes no request for a VM whose host is lost, so nothing comes of it",
    ),
    Mutant(
        "slow-to-see-power",
        "A power state that was changed past the API is found at the next resync only.",
        ("P-16", "Q-11"),
        edit(
            f"{CONTROLLER}._vm_changed",
            "if requested or self._retry.watch:",
            "if requested or self._hypervisor.observe(key).power.value == 'PoweredOn':",
        ),
    ),
    Mutant(
        "address-late",
        "A VM without an address is looked at again after an hour.",
        ("Q-03",),
        edit(f"{CONTROLLER}._stop", "self._retry.ip_requeue_s", "3600.0"),
    ),
)

MUTANTS = (*WORDS, *CHANGES, *WORK)
