"""Faults of the VM role: which step comes next, when it looks again, and what it reports."""

from features.mutants import Mutant
from features.mutants.patching import both, edit, put

STEP = "vmsim.reconcile"
CONTROLLER = "vmsim.controller:Controller"
STATUS = "vmsim.status"
NEEDS = "vmsim.prerequisites"

TRYING = (
    Mutant(
        "gives-up-after-ten",
        "After ten failures in a row a VM is not tried any more.",
        ("S-12",),
        both(
            edit(
                "vmsim.workqueue:WorkQueue.retry",
                "self.add_after(key, delay_s)",
                "if failures < 10:\n        self.add_after(key, delay_s)",
            ),
            edit(
                f"{CONTROLLER}.wake",
                "if self._retry",
                "if self._queue.failures(key) < 10 and self._retry",
            ),
            edit(f"{CONTROLLER}._resync", "self._queue.add(key)", "pass"),
        ),
    ),
    Mutant(
        "gives-up-after-a-day",
        "A VM that has waited for a day is not tried any more.",
        ("S-12",),
        edit(
            f"{CONTROLLER}._visit",
            "if vm is None:",
            "if vm is None or (self._queue.failures(key) and self._env.now > 86400):",
        ),
    ),
    Mutant(
        "no-back-off",
        "A failed VM is tried again every 5 ms for ever.",
        ("S-03", "S-12", "Q-01"),
        edit("vmsim.workqueue:Backoff.delay_s", "2.0 ** min(failures, 64)", "1.0"),
    ),
    Mutant(
        "back-off-without-end",
        "The pause between two attempts doubles without a limit, and nothing wakes a VM sooner.",
        ("S-12",),
        both(
            edit(
                "vmsim.workqueue:Backoff.delay_s",
                "min(self.longest_s, self.first_s",
                "max(0.0, self.first_s",
            ),
            edit(f"{CONTROLLER}.wake", "self._queue.add(key)", "pass"),
            edit(f"{CONTROLLER}._resync", "self._queue.add(key)", "pass"),
        ),
    ),
    Mutant(
        "tries-once",
        "A VM that no host took is left alone until somebody changes it.",
        ("S-12",),
        both(
            edit(f"{CONTROLLER}._fail", "delay_s = self._queue.retry(key)", "delay_s = 0.0"),
            edit(f"{CONTROLLER}.wake", "self._queue.add(key)", "pass"),
            edit(f"{CONTROLLER}._resync", "self._queue.add(key)", "pass"),
        ),
    ),
    Mutant(
        "stays-off-when-evicted",
        "A VM that maintenance powered off is not powered on again.",
        ("S-11", "S-12"),
        edit(
            "vmsim.cluster:Cluster.power_on",
            "if self._is_kept_off(guest):",
            "if guest.evicted_from or self._is_kept_off(guest):",
        ),
    ),
    Mutant(
        "stays-off-when-lost",
        "A VM that was powered off past the API is left off.",
        ("S-24",),
        edit(
            f"{STEP}:_next_of_power",
            "return POWER_ON\n    if wanted",
            "was = vm.status.power_state.lower()\n"
            "        return HELD if was == 'poweredon' else POWER_ON\n    if wanted",
        ),
    ),
)

POWER = (
    Mutant(
        "power-ignored-off",
        "A running VM is not powered off when that is wanted.",
        ("S-24",),
        edit(f"{STEP}:_next_of_power", "return SETTLED if soft else POWER_OFF", "return SETTLED"),
    ),
    Mutant(
        "power-ignored-on",
        "A VM that is off is not powered on when that is wanted.",
        ("S-01", "S-02", "S-07", "S-24"),
        edit(
            f"{STEP}:_next_of_power",
            "return POWER_ON\n    if wanted",
            "return SETTLED\n    if wanted",
        ),
    ),
    Mutant(
        "off-means-on",
        "A VM that is wanted off is made and powered on.",
        ("S-01", "S-02"),
        edit(
            f"{STEP}:_next_of_power",
            "wanted = vm.spec.power_state or ON",
            "wanted = ON",
        ),
    ),
    Mutant(
        "suspend-is-off",
        "A VM that is wanted suspended is powered off.",
        ("S-02", "S-24"),
        edit(
            f"{STEP}:_next_of_power",
            "return SUSPEND if seen.power",
            "return POWER_OFF if seen.power",
        ),
    ),
    Mutant(
        "power-cycled-when-settled",
        "A running VM that is looked at again is powered off first.",
        ("S-02", "S-09", "S-24"),
        edit(
            f"{STEP}:_next_of_power",
            "return POWER_OFF if seen.reserved else SETTLED",
            "return POWER_OFF if seen.reserved or seen.ip else SETTLED",
        ),
    ),
    Mutant(
        "restart-forgotten",
        "A restart that was asked for is not done.",
        ("P-19",),
        edit(f"{STEP}:_next_of_power", "!= seen.restarted", "< seen.restarted"),
    ),
    Mutant(
        "restart-not-reported",
        "The time of a restart is not reported.",
        ("P-19",),
        edit(f"{CONTROLLER}._report", "seen.restarted != old.last_restart", "False"),
    ),
    Mutant(
        "restart-again-and-again",
        "The time of a restart is not kept, so that it is done again.",
        ("P-19",),
        edit("vmsim.fleet:Fleet._restarted", "guest.restarted = guest.restart_asked", "pass"),
    ),
    Mutant(
        "deletion-forgets-the-vm",
        "A deleted resource is gone at once, and its VM stays on the host.",
        ("S-02",),
        edit(f"{STEP}:_next_of_deletion", "if not seen.exists", "if seen.power"),
    ),
    Mutant(
        "no-finalizer",
        "The finalizer is forgotten: a deleted resource is gone before its VM.",
        ("S-02",),
        both(
            edit(f"{STEP}:next_step", "if not vm.finalizer:", "if False:"),
            edit(
                "vmsim.apiserver:ApiServer.delete",
                "vm.deleting = True",
                "vm.deleting = True\n        if not vm.finalizer: self.set_finalizer(vm, '')",
            ),
        ),
    ),
    Mutant(
        "finalizer-stays",
        "The finalizer is never removed: a deleted resource stays for ever.",
        ("S-02",),
        edit(f"{CONTROLLER}._stop", 'self._api.set_finalizer(vm, "")', "pass"),
    ),
    Mutant(
        "deletion-waits-for-the-class",
        "A VM that was never made cannot be deleted.",
        ("S-02",),
        edit(f"{STEP}:_next_of_deletion", "return REMOVE_FINALIZER", "return UNREADABLE"),
    ),
    Mutant(
        "destroyed-while-on",
        "A running VM is destroyed without being powered off.",
        ("X-02",),
        edit(
            f"{STEP}:_next_of_deletion",
            "return DESTROY if seen.power is OFF else POWER_OFF",
            "return DESTROY",
        ),
    ),
    Mutant(
        "second-creation",
        "A VM is asked for again while it is being made.",
        ("S-02", "S-07"),
        edit(f"{STEP}:next_step", "if seen.busy is not None:", "if seen.busy and seen.exists:"),
    ),
)

TELLING = (
    Mutant(
        "told-on-too-early",
        "A VM is reported powered on as soon as that is wanted.",
        ("S-01", "S-02", "S-24", "S-29"),
        edit(
            f"{STATUS}:report",
            "edition.power_words[seen.power]",
            "edition.power_words[vm.spec.power_state or seen.power]",
        ),
    ),
    Mutant(
        "told-before-it-is-there",
        "A VM that no host has yet is reported with the power that is wanted.",
        ("S-01", "S-02", "S-24", "T-05"),
        edit(f"{STATUS}:report", "if seen.exists:", "if True:"),
    ),
    Mutant(
        "power-never-told",
        "The power state is not reported.",
        ("S-24", "S-29"),
        edit(f"{STATUS}:report", "edition.power_words[seen.power]", "''"),
    ),
    Mutant(
        "old-node-told",
        "The Node of the first report is kept when the VM moves.",
        ("S-08", "S-10"),
        edit(
            f"{STATUS}:report",
            "if host != status.host:",
            "if host != status.host and not status.host:",
        ),
    ),
    Mutant(
        "zone-told-as-node",
        "The zone is reported where the Node should be.",
        ("S-08",),
        edit(f"{STATUS}:report", "seen.host, seen.zone", "seen.zone, seen.zone"),
    ),
    Mutant(
        "no-address",
        "The address of the guest is not reported.",
        ("S-05", "S-27", "S-29"),
        edit(f"{STATUS}:report", "seen.zone, seen.ip", "seen.zone, ''"),
    ),
    Mutant(
        "new-identity",
        "The identity of a VM is made anew with every move.",
        ("S-10",),
        edit(
            f"{CONTROLLER}._report",
            "if seen.exists and not old.unique_id:",
            "if seen.exists and (not old.unique_id or 'host' in data):\n"
            "        vm.uid = f'{self._api._version + len(old.unique_id):08x}{vm.uid[8:]}'",
        ),
    ),
    Mutant(
        "zone-label-lost",
        "A VM that is placed does not get the label of its zone.",
        ("Z-06",),
        edit(f"{CONTROLLER}._report", "if seen.zone and not vm.zone:", "if False:"),
    ),
    Mutant(
        "ready-too-early",
        "The condition says that everything is there while the class is missing.",
        ("S-03",),
        both(
            edit(
                f"{NEEDS}:_first_missing",
                'Condition(PREREQ_READY, "False"',
                'Condition(PREREQ_READY, "True"',
            ),
            edit(f"{NEEDS}:_all_at_once", 'Condition(kind, "False"', 'Condition(kind, "True"'),
        ),
    ),
    Mutant(
        "ready-never",
        "The condition says that the class is missing also when it is there.",
        ("S-03", "T-14"),
        edit(
            f"{STATUS}:_renewed",
            "found if kept.keys() <= found.keys() else Conditions({**kept, **found})",
            "Conditions({**found, **{kind: kept[kind] for kind in turned if kind in kept}})",
        ),
    ),
    Mutant(
        "wrong-reason",
        "The reason for a missing class is spelled otherwise.",
        ("C-01", "C-02", "T-14"),
        both(
            edit(f"{NEEDS}:_class_2023", '"VirtualMachineClassNotFound"', '"ClassNotFound"'),
            edit(f"{NEEDS}:_class_2026", '"NotFound"', '"ClassNotFound"'),
        ),
    ),
)

PREREQUISITES = (
    Mutant(
        "image-not-awaited",
        "A VM is made before its image exists.",
        ("S-04", "S-05"),
        edit(
            f"{NEEDS}:_image_2023",
            "if image is None:",
            "if image is None:\n        return '', ''\n    if False:",
        ),
    ),
    Mutant(
        "prerequisites-remembered",
        "What was missing once counts as missing for ever.",
        ("S-03", "S-04"),
        edit("vmsim.controller:Surroundings._forget", "self._conditions.clear()", "pass"),
    ),
    Mutant(
        "class-of-another",
        "Every VM gets the hardware of the one that was made first.",
        ("S-03",),
        edit(
            "vmsim.fleet:Fleet.enrol",
            "guest.hardware = hardware(requirement)",
            "guest.hardware = hardware(next(iter(self.guests.values())).requirement)",
        ),
    ),
    Mutant(
        "half-the-memory",
        "A VM gets half of the memory of its class.",
        ("S-03",),
        edit(
            f"{STEP}:requirement",
            "memory_mib=vm_class.memory_mib,",
            "memory_mib=vm_class.memory_mib // 2,",
        ),
    ),
    Mutant(
        "one-cpu",
        "A VM has one CPU, whatever its class says.",
        ("S-03",),
        edit(f"{STEP}:requirement", "cpus=vm_class.cpus,", "cpus=1,"),
    ),
    Mutant(
        "device-dropped",
        "The devices of the class are forgotten.",
        ("S-11", "S-12"),
        edit(f"{STEP}:requirement", "devices=tuple(vm_class.devices.items()),", "devices=(),"),
    ),
    Mutant(
        "zone-label-ignored",
        "A VM is placed in any zone of its namespace, whatever its label says.",
        ("S-25",),
        edit(f"{STEP}:requirement", "zones=(vm.zone,) if vm.zone else zones,", "zones=zones,"),
    ),
    Mutant(
        "first-zone-only",
        "Only the first zone of the namespace is used.",
        ("S-25",),
        edit(f"{STEP}:requirement", "zones=(vm.zone,) if vm.zone else zones,", "zones=zones[:1],"),
    ),
    Mutant(
        "wrong-finalizer",
        "The finalizer has another name than the edition's.",
        ("X-01",),
        put("vmsim.editions:EDITION_2026_08", "finalizer", "example.com/virtualmachine"),
    ),
)

MUTANTS = (*TRYING, *POWER, *TELLING, *PREREQUISITES)
