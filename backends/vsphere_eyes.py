"""What does a vSphere API show that others may change past us?

`Eyes` look at hosts and VMs by two batched reads, from a session of their own: reading waits for
nothing that is being done. (WaitForUpdatesEx would tell of changes, but on vcsim not of those of
hosts.)
"""

from typing import Any

from pyVmomi import vim as typed_vim

from backends.vsphere_reads import SHOWN_OF_HOSTS, SHOWN_OF_VMS, Shown, shown
from backends.vsphere_session import Endpoint, Session
from vmsim.problems import Unreachable

vim: Any = typed_vim  # the published types are partial, so Any at this border


class Eyes:
    """A look at an endpoint, from a session that is opened for it and kept; one thread's."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._session: Session | None = None

    def look(self) -> Shown:
        """What is there now; Unreachable when it cannot be seen, and then it may be tried anew."""
        if self._session is None:
            self._session = Session.connect(self._endpoint)
        try:
            hosts = self._session.read(vim.HostSystem, SHOWN_OF_HOSTS)
            return shown(hosts, self._session.read(vim.VirtualMachine, SHOWN_OF_VMS))
        except Unreachable:
            self.close()
            raise

    def close(self) -> None:
        """Log out."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
