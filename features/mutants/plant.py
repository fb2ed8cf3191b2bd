"""Faults of the plant: tasks that end wrongly, late or never, and hosts that do not obey."""

from features.mutants import Mutant
from features.mutants.patching import edit

PLANT = "backends.memory:MemoryPlant"
FLEET = "vmsim.fleet:Fleet"

MUTANTS = (
    Mutant(
        "power-on-lost",
        "A power-on is accepted and never ends.",
        ("S-01", "S-07", "S-24"),
        edit(
            f"{PLANT}._finish",
            "if not run.over:",
            "if not run.over and run.task.verb != 'PowerOnVM':",
        ),
    ),
    Mutant(
        "migration-lost",
        "A live migration never ends.",
        ("S-10",),
        edit(
            f"{PLANT}._finish",
            "if not run.over:",
            "if not run.over and run.task.verb != 'MigrateVM':",
        ),
    ),
    Mutant(
        "migration-fails",
        "Every live migration fails at its end.",
        ("S-10",),
        edit(
            f"{PLANT}._outcome",
            "strike = run.strike",
            "strike = run.strike\n    if run.task.verb is Verb.MIGRATE:\n"
            "        return Fault('GenericVmConfigFault')",
        ),
    ),
    Mutant(
        "second-power-on-fails",
        "A VM can be powered on only once.",
        ("S-11", "S-24"),
        edit(
            f"{FLEET}._ended",
            "if fault is None:",
            "if task.verb is Verb.POWER_ON and guest.boots:\n"
            "        fault = Fault('InvalidPowerState')\n    if fault is None:",
        ),
    ),
    Mutant(
        "maintenance-ignored",
        "A host never tells that it is in maintenance.",
        ("S-10",),
        edit(
            f"{PLANT}.command",
            "if duration_s:",
            "if duration_s and command is HostCommand.ENTER_MAINTENANCE:\n"
            "        return\n"
            "    if duration_s:",
        ),
    ),
    Mutant(
        "tasks-outlive-the-host",
        "The tasks on a host that fails end well.",
        ("S-10", "S-28"),
        edit(
            f"{PLANT}._abort", 'Fault("HostNotConnected", f"host {host} does not respond")', "None"
        ),
    ),
    Mutant(
        "tasks-hang-with-the-host",
        "The tasks on a host that fails never end.",
        ("S-10", "S-28"),
        edit(f"{PLANT}._abort", "run.ended(run.task,", "(lambda *_: None)(run.task,"),
    ),
    Mutant(
        "guest-never-boots",
        "A guest never gets its address.",
        ("S-05", "S-27", "S-29"),
        edit(f"{PLANT}.boot", "if not boot_s:\n        ready()", "if True:\n        pass"),
    ),
    Mutant(
        "ten-times-slower",
        "Everything takes ten times as long as it should.",
        ("S-01", "S-02", "S-29"),
        edit(f"{PLANT}._after", "self.env, delay_s,", "self.env, 20 * delay_s,"),
    ),
    Mutant(
        "deletion-fails",
        "A VM cannot be deleted from its host.",
        ("S-02",),
        edit(
            f"{PLANT}._outcome",
            "strike = run.strike",
            "strike = run.strike\n    if run.task.verb is Verb.DESTROY:\n"
            "        return Fault('ResourceInUse')",
        ),
    ),
    Mutant(
        "address-lost-on-the-way",
        "A live migration loses the address of the guest.",
        ("S-10",),
        edit(
            f"{FLEET}._arrived", "if guest.target >= 0:", "guest.ip = ''\n    if guest.target >= 0:"
        ),
    ),
    Mutant(
        "power-cycle-on-migration",
        "A live migration powers the VM off and on.",
        ("S-10",),
        edit(
            f"{FLEET}._ended",
            'guest.refused = ""',
            "guest.refused = ''\n        if task.verb is Verb.MIGRATE:\n"
            "            for each in (Verb.POWER_OFF, Verb.POWER_ON):\n"
            "                self.trace.write('cluster', EVENTS[each], guest.key, data)",
        ),
    ),
    Mutant(
        "resized-by-migration",
        "The inventory of the hosts shows a VM with other memory after it moved.",
        ("S-03",),
        edit(
            f"{FLEET}.existing",
            "guest.hardware",
            "replace(guest.hardware, memory_mib=guest.hardware.memory_mib + 4)",
        ),
    ),
    Mutant(
        "suspend-stops",
        "A VM that is suspended is powered off.",
        ("S-02", "S-24"),
        edit(f"{FLEET}._suspended", "guest.power = SUSPENDED", "pass"),
    ),
)
