"""What holds for all tests: one Hypothesis profile, and interrupts that arrive.

The profile gives the same examples on every machine, with no deadline. A shell starts what runs in
its background deaf to Ctrl-C, and so would be all that the tests start: hearing is restored.
"""

import signal

from hypothesis import HealthCheck, settings

signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("repeatable")
