"""How does the time of a Supervisor pass, of which only the Kubernetes API is seen?

`RealTime` waits, and looks again and again; seconds of the Supervisor are real ones, times the
speed that it tells. `StepTime` asks a `vmsim serve` whose clock stands still to move it, and looks
whenever the server has something new to show. `now_s` is the Supervisor's second.
"""

import json
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from backends.kube_api import KubeApi
from vmsim.problems import Unreachable
from vmsim.stepping import CONFIG_MAPS, NAME

HOSTS_S = GONE_S = 3600.0  # how long hosts may take to settle, and VMs to go
LOOK_S = 0.1
NOTICED_S = 0.5
ANSWER_S, ATTEMPTS = 20.0, 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.004, 0.1


class RealTime:
    """Real time, `speed` times as fast; `now_s` starts at 0."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began_s = time.monotonic()

    @property
    def now_s(self) -> float:
        """The Supervisor's second."""
        return (time.monotonic() - self._began_s) * self._speed

    def until(self, holds: Callable[[], bool], within_s: float, touched: Sequence[str]) -> bool:
        """Wait until `holds`, at most `within_s`; whether it held. It need not know `touched`."""
        deadline_s = self.now_s + within_s
        while not holds():
            if (left_s := deadline_s - self.now_s) <= 0:
                return False
            time.sleep(min(LOOK_S, left_s / self._speed))
        return True

    def settle(self, touched: Sequence[str]) -> None:
        """Let the Supervisor notice what was changed."""
        if touched:
            time.sleep(NOTICED_S)

    def wait(self, for_s: float, touched: Sequence[str]) -> None:
        """Wait so long."""
        time.sleep(for_s / self._speed)


class StepTime:
    """The clock of a `vmsim serve --speed 0`; see `vmsim.stepping`."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._origin_s = self.now_s = 0.0
        self._go(0.0, True, ())
        self._origin_s, self.now_s = self.now_s, 0.0

    def until(self, holds: Callable[[], bool], within_s: float, touched: Sequence[str]) -> bool:
        """Move on until `holds`, at most `within_s`; whether it held. `touched`: kinds of which
        objects were changed since the last time."""
        self.settle(touched)
        deadline_s = self.now_s + within_s
        while not holds():
            if self.now_s >= deadline_s:
                return False
            self._go(deadline_s, False, ())
        return True

    def settle(self, touched: Sequence[str]) -> None:
        """Let the server notice what was changed, in no time."""
        if touched:
            self._go(self.now_s, True, touched)

    def wait(self, for_s: float, touched: Sequence[str]) -> None:
        """Move on so far."""
        self._go(self.now_s + for_s, True, touched)

    def _go(self, until_s: float, whole: bool, touched: Sequence[str]) -> None:
        id, goal_s = uuid.uuid4().hex, until_s + self._origin_s
        ask = {"id": id, "until": goal_s, "whole": whole, "touched": list(touched)}
        now_s = self._answer(ask)
        self.now_s = until_s if now_s == goal_s else now_s - self._origin_s

    def _answer(self, ask: dict[str, Any]) -> float:
        """Where the clock stands when the server has done what is asked; it is asked again when
        it seems not to have heard."""
        for attempt in range(ATTEMPTS):
            text = json.dumps(ask | {"attempt": attempt})
            self._api.patch(f"{CONFIG_MAPS}/{NAME}", {"data": {"ask": text}})
            deadline, pause_s = time.monotonic() + ANSWER_S, FIRST_PAUSE_S
            while time.monotonic() < deadline:
                time.sleep(pause_s)
                pause_s = min(LONGEST_PAUSE_S, pause_s * 1.5)
                found: dict[str, Any] = self._api.get(f"{CONFIG_MAPS}/{NAME}")["data"]
                said = json.loads(found.get("said") or "{}")
                if said.get("id") == ask["id"]:
                    return float(said["now"])
        asked_s = ATTEMPTS * ANSWER_S
        raise Unreachable(f"vmsim serve does not move its clock, asked for {asked_s:g} s")
