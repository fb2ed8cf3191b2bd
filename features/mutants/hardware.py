"""Faults of a VM's hardware: what its host gives it is not what its class says."""

from features.mutants import Mutant
from features.mutants.patching import edit

ROLE = "vmsim.reconcile"
CLASS = "vmsim.manifests:to_class"

MUTANTS = (
    Mutant(
        "fastest-host-counts",
        "CPUs are counted in MHz of the fastest host.",
        ("C-04",),
        edit("vmsim.inventory:Inventory.lowest_mhz", "min(present", "max(present"),
    ),
    Mutant(
        "part-of-a-cpu-lost",
        "Only whole CPUs of a request are reserved.",
        ("C-04",),
        edit(
            f"{ROLE}:requirement",
            "_in_mhz(vm_class.cpu_reservation_milli,",
            "_in_mhz(vm_class.cpu_reservation_milli // 1000 * 1000,",
        ),
    ),
    Mutant(
        "limits-lost",
        "A VM may use more than the limits of its class.",
        ("C-04",),
        edit(f"{ROLE}:requirement", "memory_limit_mib=limit_mib", "memory_limit_mib=None"),
    ),
    Mutant(
        "limits-made-up",
        "A class without limits limits its VMs to their hardware.",
        ("C-07",),
        edit(f"{ROLE}:requirement", "=limit_mib,", "=limit_mib or vm_class.memory_mib,"),
    ),
    Mutant(
        "all-memory-reserved",
        "Every VM has all of its memory reserved.",
        ("C-04", "C-07"),
        edit(f"{ROLE}:requirement", "=vm_class.memory_reservation_mib,", "=vm_class.memory_mib,"),
    ),
    Mutant(
        "no-more-than-half-reserved",
        "No VM has more than half of its memory reserved.",
        ("C-07",),
        edit(
            f"{ROLE}:requirement",
            "=vm_class.memory_reservation_mib,",
            "=min(vm_class.memory_reservation_mib, vm_class.memory_mib // 2),",
        ),
    ),
    Mutant(
        "configuration-forgotten",
        "The configuration that a class brings is passed over.",
        ("C-11", "C-15"),
        edit(CLASS, '_given(spec.get("configSpec")).get("firmware")', '""'),
    ),
    Mutant(
        "configuration-above-hardware",
        "The configuration that a class brings goes before the class's own hardware.",
        ("C-11",),
        edit(
            CLASS,
            'cpus=hardware.get("cpus") or 0',
            'cpus=_given(spec.get("configSpec")).get("numCPUs") or hardware.get("cpus") or 0',
        ),
    ),
    Mutant(
        "class-before-image",
        "The firmware of the class goes before that of the image.",
        ("C-15",),
        edit(f"{ROLE}:firmware", "of_image or of_class", "of_class or of_image"),
    ),
    Mutant(
        "boot-options-forgotten",
        "The firmware of the boot options is passed over.",
        ("C-15",),
        edit(f"{ROLE}:firmware", "boot_firmware(vm) or ", ""),
    ),
    Mutant(
        "class-told-too-early",
        "The class that is reported is the one that is wanted, whatever the VM has.",
        ("T-08",),
        edit(
            "vmsim.rendering:_raw_status", '"name": status.class_name', '"name": vm.spec.class_name'
        ),
    ),
    Mutant(
        "reservations-not-told",
        "A VM does not report what is reserved for it.",
        ("T-12",),
        edit(
            "vmsim.rendering:_raw_hardware",
            '"reservation": found["cpu_reservation_mhz"]',
            '"reservation": 0',
        ),
    ),
    Mutant(
        "old-hardware-told",
        "A VM goes on to report the hardware that it was made with.",
        ("T-12",),
        edit(
            "vmsim.status:report_hardware",
            '= said["hardware"] = _told(seen.hardware)',
            "= status.hardware or _told(seen.hardware)",
        ),
    ),
    Mutant(
        "never-resized",
        "A VM keeps the hardware that it was made with.",
        ("T-08",),
        edit(f"{ROLE}:next_step", "seen.power is OFF and", "False and"),
    ),
    Mutant(
        "resized-when-on",
        "A VM that is wanted on is powered on before its hardware is changed.",
        ("T-08",),
        edit(
            f"{ROLE}:next_step",
            "seen.power is OFF and",
            "seen.power is OFF and vm.spec.power_state is OFF and",
        ),
    ),
    Mutant(
        "resized-on-paper",
        "The class of a VM that is off is changed, and its host knows nothing of it.",
        ("T-08",),
        edit(
            "vmsim.fleet:Fleet._resized",
            "guest.resized)",
            "replace(guest.requirement, class_name=guest.resized.class_name))",
        ),
    ),
)
