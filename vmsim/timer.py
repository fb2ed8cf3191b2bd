"""When is something to happen? The one way to let a call wait for simulated time.

A timer is SimPy's own event with one callback; no process is needed to wait.
"""

from collections.abc import Callable
from functools import partial

import simpy


def clock(env: simpy.Environment) -> Callable[[], float]:
    """Tells the simulated second; asked for each record, so without a call of ours in between."""
    return partial(type(env).now.__get__, env)


def call_later(
    env: simpy.Environment, delay_s: float, call: Callable[[simpy.Event], None]
) -> simpy.Event:
    """Call `call` with the timer after so many seconds; 0 is later in this instant."""
    timer = env.timeout(delay_s)
    assert timer.callbacks is not None
    timer.callbacks.append(call)
    return timer
