"""What was asked of a target and what it answered, kept so that anyone can judge it again.

`Recorder` stands between the steps and a target and notes each call, each value that is read and
each look while time passes; looks that saw the same are one entry with a count. `Player` answers
the same questions from the notes: the steps run on it give the verdict again, and a question that
was not asked then, or a look that would end otherwise, is `Tampered`.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import partial
from types import SimpleNamespace
from typing import Any

from vmsim.objects import Hardware

FORMAT = 1
SECRET_KEY = re.compile(
    r"(?i)^(password|passwd|token|bearertoken|authorization|cookie|"
    r".*private-?key|client-?key-?data|user-?data|.*-secret)$"
)
URL_USER = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s:@]+:[^/\s@]+@")
SECRET_VARIABLES = ("GOVC_PASSWORD", "VMSIM_PASSWORD")
REDACTED = "(redacted)"


class Tampered(Exception):
    """The evidence does not say what a run could have left behind."""


class NotSupported(Exception):
    """A target's answer to a request for something that it does not have."""


class NotTestable(Exception):
    """A target's answer when it cannot see or do what was asked, though others could."""


class Played(Exception):
    """Something that the target raised when the evidence was made; `kind` is its name."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind = kind
        self.text = text


def plain(value: Any) -> Any:
    """The value as JSON has it, without secrets."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            str(key): REDACTED if SECRET_KEY.match(str(key)) and item else plain(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in items]
    if value is None or isinstance(value, bool | int | float):
        return value
    raise TypeError(f"the target answered {type(value).__name__}, which is no plain value")


def redact(text: str) -> str:
    """The text without the passwords that we know and without users in addresses."""
    for name in SECRET_VARIABLES:
        if secret := os.environ.get(name):
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", REDACTED, text)
    return URL_USER.sub(rf"\1{REDACTED}@", text)


@dataclass(slots=True)
class Recorder:
    """A target that notes what it is asked and what it answers, into `events`."""

    inner: Any
    events: list[dict[str, Any]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        inner = self.inner
        value = getattr(inner, name)
        if callable(value):
            return partial(self._call, name)
        self.events.append({"read": name, "value": plain(value)})
        return value

    def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """As the target's, with a note of every look."""
        looks: list[dict[str, Any]] = []
        start_s = self._now_s()

        def look() -> bool:
            kept, self.events = self.events, []
            try:
                answer = bool(holds())
                found = {"events": self.events, "answer": answer}
            finally:
                self.events = kept
            now_s = self._now_s()
            last = looks[-1] if looks else None
            if last and last["events"] == found["events"] and last["answer"] == answer:
                last["times"] += 1
                last["last_s"] = now_s
            else:
                looks.append(found | {"times": 1, "first_s": now_s, "last_s": now_s})
            return answer

        event: dict[str, Any] = {"until": within_s, "start_s": start_s, "looks": looks}
        self.events.append(event)
        with self._noting(event):
            event["answer"] = self.inner.until(look, within_s)
        event["end_s"] = self._now_s()
        return bool(event["answer"])

    def during(self, holds: Callable[[], bool], for_s: float) -> bool:
        """As the target's, with a note of every look."""
        return not self.until(lambda: not holds(), for_s)

    def _call(self, name: str, *args: Any, **named: Any) -> Any:
        event = {"call": name, "args": plain(args), "named": plain(named), "at_s": self._now_s()}
        self.events.append(event)
        with self._noting(event):
            value = getattr(self.inner, name)(*args, **named)
        event["value"] = plain(value)
        return value

    @contextmanager
    def _noting(self, event: dict[str, Any]) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            event["raised"] = {"kind": type(error).__name__, "text": redact(str(error))}
            raise
        finally:
            wire = self.inner.wire if hasattr(self.inner, "wire") else []
            if wire:
                event["requests"] = plain(wire)
                wire.clear()

    def _now_s(self) -> float:
        return round(float(self.inner.now_s), 6)


def record_setting(recorder: Recorder, name: str, value: Any) -> None:
    """Set an attribute of the target behind the recorder, with a note."""
    recorder.events.append({"set": name, "value": plain(value)})
    setattr(recorder.inner, name, value)


class Target:
    """What the steps see: a recorder or a player, whose attributes can be set as well."""

    def __init__(self, behind: Any) -> None:
        object.__setattr__(self, "_behind", behind)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def __setattr__(self, name: str, value: Any) -> None:
        behind = self._behind
        if isinstance(behind, Recorder):
            record_setting(behind, name, value)
        else:
            behind.assign(name, value)


class Player:
    """A target that answers from the notes of a run."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._queue: list[dict[str, Any]] = list(events)

    def left(self) -> int:
        """How many notes nobody asked for."""
        return len(self._queue)

    def feed(self, events: list[dict[str, Any]]) -> None:
        """Give the notes of the next step."""
        self._queue = list(events)

    def assign(self, name: str, value: Any) -> None:
        """What a step sets; it must be what was set then."""
        event = self._next("set", name)
        if event["value"] != plain(value):
            raise Tampered(f"{name} was set to another value")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if any(event.get("call") == name for event in self._queue):
            return partial(self._call, name)
        return spoken(self._next("read", name)["value"])

    def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """What the looks of that time say now."""
        event = self._next("until", within_s)
        rest, answer, looks = self._queue, False, event["looks"]
        for number, one in enumerate(looks):
            self._queue = list(one["events"])
            answer = bool(holds())
            if self._queue or answer != one["answer"]:
                raise Tampered("a look does not end as it did")
            if answer and number + 1 < len(looks):
                raise Tampered("there are looks after the wait was over")
        self._queue = rest
        if "raised" in event:
            raise _raised(event)
        _check_times(event, answer)
        return answer

    def during(self, holds: Callable[[], bool], for_s: float) -> bool:
        """What the looks of that time say now."""
        return not self.until(lambda: not holds(), for_s)

    def _call(self, name: str, *args: Any, **named: Any) -> Any:
        event = self._next("call", name)
        if [event["args"], event["named"]] != [plain(args), plain(named)]:
            raise Tampered(f"{name} was called with other values")
        if "raised" in event:
            raise _raised(event)
        if "value" not in event:
            raise Tampered(f"{name} was not answered")
        return spoken(event["value"])

    def _next(self, kind: str, name: Any) -> dict[str, Any]:
        event = self._queue.pop(0) if self._queue else {}
        if kind not in event or event[kind] != name:
            raise Tampered(f"nothing was noted for {kind} {name}")
        return event


def _raised(event: dict[str, Any]) -> Exception:
    kind, text = event["raised"]["kind"], event["raised"]["text"]
    return AssertionError(text) if kind == "AssertionError" else Played(kind, text)


def _check_times(event: dict[str, Any], answer: bool) -> None:
    """A wait that failed lasted its whole time, and one that succeeded no longer."""
    lasted_s = event["end_s"] - event["start_s"]
    if event["answer"] != answer or not event["looks"]:
        raise Tampered("a wait does not end as its looks say")
    if not answer and lasted_s < event["until"] - 0.001:
        raise Tampered("a wait was given up before its time")
    times = [event["start_s"]]
    for one in event["looks"]:
        times += [one["first_s"], one["last_s"]]
    if sorted(times) != times or times[-1] > event["end_s"]:
        raise Tampered("the times of a wait are out of order")


def spoken(value: Any) -> Any:
    """A noted value as the steps use it: fields by name where they were, words with `.value`."""
    if isinstance(value, dict) and set(value) in FIELDS:
        return SimpleNamespace(**{name: _word(name, item) for name, item in value.items()})
    return value


FIELDS: tuple[set[str], ...] = (
    {"reasons", "warnings"},
    {"key", "host", "power", "hardware"},
    {each.name for each in fields(Hardware)},
    {"running_s", "maintenance_s"},
    {"power", "node", "vm_class", "image", "storage_class"},
)


def _word(name: str, value: Any) -> Any:
    if name == "power" and isinstance(value, str):
        return SimpleNamespace(value=value)
    return spoken(value)
