"""When is something to happen? The one way to let a call wait for simulated time.

A timer is SimPy's own event with one callback; no process is needed to wait.
"""

from collections.abc import Callable

import simpy


def call_later(
    env: simpy.Environment, delay_s: float, call: Callable[[simpy.Event], None]
) -> simpy.Event:
    """Call `call` with the timer after so many seconds; 0 is later in this instant."""
    timer = env.timeout(delay_s)
    assert timer.callbacks is not None
    timer.callbacks.append(call)
    return timer
