"""Who serves here, and how does time pass?

A ConfigMap tells it to whoever judges what is served: `implementation`, `version`, `commit`,
`edition`, `vsphere` (where vcsim
listens) and `speed`, simulated seconds per real one. Where `speed` is 0, time stands
still until somebody asks: they write `ask`, and `said` answers with the same `id` and the second
`now` at which the clock stands then. `ask` is JSON: `until` (a second), `whole` (go there without
a stop; else stop as soon as the server has something new to show) and `touched` (the kinds of
which objects were changed since the last time).
"""

import json
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from vmsim.kube import Denial, Kube
from vmsim.outbox import Outbox
from vmsim.problems import Unreachable
from vmsim.serving import Supervisor, say

CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps"
NAME = "vmsim-serve"


def announce(kube: Kube, about: Mapping[str, str]) -> None:
    """Tell who serves; what an earlier run told is replaced."""
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}}
    kube.apply(f"{CONFIG_MAPS}/{NAME}", head)
    kube.patch(f"{CONFIG_MAPS}/{NAME}", {"data": {"ask": None, "said": None, **about}})


def retract(kube: Kube) -> None:
    """Tell no more."""
    kube.delete(f"{CONFIG_MAPS}/{NAME}")


class Steps:
    """Moves the clock of a `Supervisor` as the ConfigMap asks."""

    def __init__(self, kube: Kube, supervisor: Supervisor) -> None:
        self._kube = kube
        self._supervisor = supervisor
        self._outbox = Outbox(1)
        self._stopped = threading.Event()
        self._heard = ""
        self._said: dict[str, Any] = {}

    def __enter__(self) -> "Steps":
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._outbox.close()

    def _watch(self) -> None:
        for change in self._kube.watched(CONFIG_MAPS, self._stopped):
            for raw in change.objects if change.type != "DELETED" else ():
                if raw["metadata"]["name"] == NAME and "ask" in (raw.get("data") or {}):
                    self._supervisor.do(partial(self._step, raw["data"]["ask"]))

    def _step(self, text: str) -> None:
        """Answer what is asked. Who asks again was impatient: the clock is moved once for an `id`,
        and where it stood then is said again. What cannot be read is answered with its error."""
        if text == self._heard:
            return
        self._heard = text
        try:
            ask = json.loads(text)
            if ask["id"] != self._said.get("id"):
                step = partial(self._supervisor.step, float(ask["until"]), bool(ask["whole"]))
                self._said = {"id": ask["id"], "now": step(list(ask["touched"]))}
        except (ValueError, TypeError, KeyError) as error:
            self._said = {"id": "", "error": repr(error)}
        except (Denial, Unreachable) as error:
            self._said = {"id": "", "error": str(error)}
            say(f"the clock is not moved, which is done when it is asked again: {error}")
        body = {"data": {"said": json.dumps(self._said)}}
        job = partial(self._kube.patch, f"{CONFIG_MAPS}/{NAME}", body)
        self._outbox.put(NAME, job, _refused)


def _refused(name: str, answer: Any, refusal: Exception | None) -> None:
    if refusal is not None:
        say(f"ConfigMap {name} could not be written: {refusal}")
