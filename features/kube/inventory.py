"""What do the hosts really hold, where vSphere's own API can be asked beside the Kubernetes one?

A VM is found by the name that `vmsim serve` gives it there, or by the identifier that its status
reports. `vmsim serve` on vcsim tells where its vcsim is (`vmsim.stepping`); else GOVC_URL does.
"""

from collections.abc import Mapping
from typing import Any

from backends.vsphere_endpoint import Endpoint, vim
from backends.vsphere_reads import SHOWN_OF_HOSTS, HostSeen, VMSeen, shown
from backends.vsphere_session import HostVerb, Session
from vmsim.actions import Fault
from vmsim.objects import HostState
from vmsim.ports import HostShown
from vmsim.problems import Unreachable

REFUSED_S = 2.0


class Inventory:
    """One vSphere API, asked for VMs and for what an administrator does to them."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._session = Session.connect(Endpoint.from_environment(variables))

    def vms(self) -> dict[str, VMSeen]:
        """Every VM, by its key."""
        return self._session.vms()

    def hosts(self) -> dict[str, HostSeen]:
        """Every host, by its name."""
        return self._session.hosts()

    def states(self) -> Mapping[str, HostShown]:
        """What every host is doing, by its name; one read."""
        return shown(self._session.read(vim.HostSystem, SHOWN_OF_HOSTS), [])[0]

    def ask_host(self, verb: HostVerb, name: str) -> Fault | None:
        """Start it; why it is refused, or None: it goes on, or has ended well."""
        (fault,) = self._session.wait([self._session.submit_host(verb, name)], REFUSED_S)
        return fault if fault is not None and not fault.unknown else None

    def power_off(self, key: str) -> None:
        """Switch the VM off, past the Kubernetes API."""
        if fault := self._session.power_off(key):
            raise Unreachable(f"{key} cannot be powered off on vSphere: {fault}")

    def clear(self, prefix: str) -> list[str]:
        """Destroy the VMs whose keys begin so, and tell which those were."""
        found = sorted(key for key in self.vms() if key.startswith(prefix))
        for key in found:
            self._session.power_off(key)
            if fault := self._session.destroy(key):
                raise Unreachable(f"{key} cannot be deleted on vSphere: {fault}")
        return found

    def close(self) -> None:
        """Log out."""
        self._session.close()


def find(vms: Mapping[str, VMSeen], key: str, identifier: str) -> VMSeen | None:
    """The VM of the key, or the one with the identifier, or None."""
    return vms.get(key) or next((vm for vm in vms.values() if vm.moref == identifier), None)


def differences(
    reported: Mapping[str, Mapping[str, Any]],
    states: Mapping[str, str],
    vms: Mapping[str, VMSeen] | None,
    field: str,
) -> list[str]:
    """Where VMs, by key, are not as they report: on a Node that is not among `states`, or not as
    vSphere has them, where it can be asked. `field` of a status is the Node; what is on a Node that
    does not respond may report what it likes."""
    found: list[str] = []
    for key, raw in reported.items():
        status = raw.get("status") or {}
        on, identifier = status.get(field) or "", status.get("uniqueID") or ""
        if on and on not in states:
            found.append(f"{key} is on {on}, which is no Node")
        if vms is None or not identifier or states.get(on) == HostState.DOWN:
            continue
        seen, power = find(vms, key, identifier), (status.get("powerState") or "").lower()
        shown = (seen.host, seen.power.lower()) if seen is not None else ("nowhere", "gone")
        if (on, power) != shown:
            found.append(f"{key} is {shown[0]}, {shown[1]}, and reports {on}, {power}")
    return found
