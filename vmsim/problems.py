"""What is wrong with the input, where it stands, and what to do about it.

A problem is a value, so that all problems of a document can be shown together. `BadInput` carries
them to the command line, which prints them and ends with exit code 2; `Unreachable` ends with 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of the input: `file:line: field: message (hint)`; line is 1-based, 0 if unknown."""

    message: str
    field: str = ""
    file: str = ""
    line: int = 0
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        parts = [part for part in (place, self.field, self.message) if part]
        return ": ".join(parts) + (f" ({self.hint})" if self.hint else "")


class BadInput(Exception):
    """The input cannot be used; `problems` holds every reason found, never only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = list(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class Unreachable(Exception):
    """A backend cannot be reached, refuses us, or stopped answering; the message says which."""


def did_you_mean(word: str, known: list[str]) -> str:
    """A hint that names the closest of `known`, or '' if none is close."""
    by_lower = {option.lower(): option for option in known}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f'did you mean "{by_lower[close[0]]}"?' if close else ""
