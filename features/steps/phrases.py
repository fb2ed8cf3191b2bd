"""How are names and times written in a sentence?

`{name:q}` is what stands between quotes, `{limit:time}` is a time with its unit in words
(`90 seconds`, `1 day`), and `{names:qs}` is `"a"`, `"a" and "b"`, or `"a", "b" and "c"`.
"""

import re
from typing import Any

from parse import with_pattern
from pytest_bdd import parsers

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@with_pattern(r'[^"]*')
def quoted(text: str) -> str:
    """What stands between quotes, unchanged."""
    return text


@with_pattern(r'"[^"]*"(?:, "[^"]*")*(?: and "[^"]*")?')
def quoted_list(text: str) -> list[str]:
    """The words of an enumeration."""
    return re.findall(r'"([^"]*)"', text)


@with_pattern(r"\d+ (?:second|minute|hour|day)s?")
def seconds(text: str) -> float:
    """A time in seconds."""
    number, unit = text.split()
    return float(int(number) * SECONDS[unit.removesuffix("s")])


@with_pattern(r"powered on|powered off|suspended")
def power(text: str) -> str:
    """A power state in words."""
    return text


def phrase(text: str) -> Any:
    """The sentence as pytest-bdd matches it."""
    types = {"q": quoted, "qs": quoted_list, "time": seconds, "power": power}
    return parsers.parse(text, extra_types=types)
