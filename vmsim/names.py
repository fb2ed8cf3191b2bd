"""Is this a name that Kubernetes takes, and will the guest like it?

Two rules speak about the name of a VirtualMachine (vm.md, "Working with VMs", last paragraph):
it *must* be a DNS subdomain (RFC 1123) and it *should* be a DNS label, because the name becomes
the guest's host name when the manifest gives none.
"""

import re

LABEL_LENGTH_MAX = 63
SUBDOMAIN_LENGTH_MAX = 253

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_label(name: str) -> bool:
    """Whether `name` is an RFC 1123 label: at most 63 of [a-z0-9-], alphanumeric at both ends."""
    return len(name) <= LABEL_LENGTH_MAX and _LABEL.fullmatch(name) is not None


def subdomain_problem(name: str) -> str | None:
    """What forbids `name` as an object name, in the API server's words, or None (S-13, N-01)."""
    if len(name) > SUBDOMAIN_LENGTH_MAX:
        return f"must be no more than {SUBDOMAIN_LENGTH_MAX} characters"
    if _SUBDOMAIN.fullmatch(name) is None:
        return (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
            "'-' or '.', and must start and end with an alphanumeric character"
        )
    return None


def host_name_warning(name: str) -> str | None:
    """Advice for a legal name that is not a label, or None (S-14): never a reason to refuse."""
    if is_label(name):
        return None
    return "metadata.name: not a DNS label: the guest's host name may differ from the VM's name"
