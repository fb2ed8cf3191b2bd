"""What an API server must be before anything is put there."""

from pathlib import Path
from typing import Any, cast

import pytest

from vmsim.installing import install
from vmsim.kube import Kube
from vmsim.loading import load
from vmsim.problems import BadInput


class Old:
    """A server that tells its version, and takes nothing."""

    def __init__(self, version: str) -> None:
        self._version = version

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/version"
        return {"gitVersion": self._version}


@pytest.mark.parametrize("version", ["v1.29.14", "v1.9.0+k3s1"])
def test_server_that_is_too_old_is_refused(version: str) -> None:
    with pytest.raises(BadInput, match=r"is Kubernetes v1.*, not 1\.30 or newer"):
        install(cast(Kube, Old(version)), load(Path("scenarios/host-failure.yaml")), print)
