"""What came of one case: run it, note everything, and judge the notes.

`run` leaves evidence and says nothing about a verdict; `judge` lets the steps look at the evidence
again and says what follows from it. A case passes only if every step of it was run to its end, the
target's own inventory agreed, and nothing was left behind. What a Given or a When cannot bring
about leaves the verdict unknown: the clause was not reached.
"""

import importlib
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from inspect import signature
from types import FrameType
from typing import Any

from pytest_bdd.parsers import StepParser
from pytest_bdd.steps import step_function_context_registry

from vmsim.conformance.evidence import (
    FORMAT,
    NotSupported,
    NotTestable,
    Player,
    Recorder,
    Tampered,
    Target,
    redact,
)
from vmsim.conformance.suite import Case, Line
from vmsim.conformance.verdicts import Verdict
from vmsim.problems import Unreachable

STEPS = tuple(f"features.steps.{name}" for name in ("given", "when", "then", "hardware"))
CASE_LIMIT_S = 300.0

Step = Callable[..., object]
Open = Callable[[], AbstractContextManager[Any]]
KINDS: Mapping[str, Verdict] = {
    NotSupported.__name__: Verdict.NOT_SUPPORTED,
    NotTestable.__name__: Verdict.NOT_TESTABLE,
}


class TimedOut(Exception):
    """A case took longer than a case may take in real time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from the evidence of one attempt."""

    verdict: Verdict
    reason: str = ""


@cache
def definitions() -> tuple[tuple[str, StepParser, Step], ...]:
    """Keyword, sentence and function of every step of ours."""
    for name in STEPS:
        importlib.import_module(name)
    return tuple(
        (str(step.type).capitalize(), step.parser, step.step_func)
        for step in step_function_context_registry.values()
        if step.step_func.__module__ in STEPS
    )


@cache
def definition(line: Line) -> Callable[[Any], object]:
    """The step of this line, waiting for its target; there is exactly one."""
    found = [
        (parser, function)
        for keyword, parser, function in definitions()
        if keyword == line.keyword and parser.is_matching(line.text)
    ]
    if len(found) != 1:
        raise LookupError(f"{line.keyword} {line.text}: {len(found)} definitions")
    parser, function = found[0]
    named = dict(parser.parse_arguments(line.text) or {})
    if "docstring" in signature(function).parameters:
        named["docstring"] = line.docstring
    return lambda target: function(target=target, **named)


def run(
    case: Case, open_target: Open, made: Mapping[str, Any], limit_s: float = 0.0
) -> dict[str, Any]:
    """The evidence of one attempt; raises only KeyboardInterrupt, never what the target raises.

    `made` says where it comes from: the target, the seed, the suite, the number of the attempt.
    """
    steps: list[dict[str, Any]] = []
    found: dict[str, Any] = {"format": FORMAT, "case": case.id, "made": dict(made), "steps": steps}
    try:
        # Clean-up is within the limit, too.
        with _interrupts(), _limit(limit_s or CASE_LIMIT_S), open_target() as inner:
            recorder = Recorder(inner)
            for line in case.lines:
                step: dict[str, Any] = {"keyword": line.keyword, "text": line.text, "events": []}
                steps.append(step | {"docstring": line.docstring})
                recorder.events = steps[-1]["events"]
                definition(line)(Target(recorder))
                steps[-1]["done"] = True
            found["end"] = []
            recorder.events = found["end"]
            Target(recorder).differences()
    except Exception as error:
        found["error"] = _noted(error)
    return found


def _noted(error: Exception) -> dict[str, str]:
    frames = traceback.extract_tb(error.__traceback__)
    line = next((f.line for f in reversed(frames) if "/steps/" in f.filename and f.line), "")
    return {"kind": type(error).__name__, "text": redact(str(error)), "line": line or ""}


def judge(case: Case, evidence: Mapping[str, Any]) -> Outcome:
    """The verdict that the evidence gives; `Tampered` when no run leaves such evidence."""
    if evidence.get("format") != FORMAT or evidence.get("case") != case.id:
        raise Tampered("the evidence is of another case or format")
    steps, error = evidence["steps"], evidence.get("error")
    _check_shape(case, evidence)
    for line, step in zip(case.lines, steps, strict=False):
        outcome = _judge_step(line, step, error)
        if outcome is not None:
            return outcome
    if "end" not in evidence:
        return _unfinished(error)
    return _judge_end(evidence["end"], error)


def _check_shape(case: Case, evidence: Mapping[str, Any]) -> None:
    steps = evidence["steps"]
    lines = [Line(step["keyword"], step["text"], step["docstring"]) for step in steps]
    if lines != list(case.lines[: len(lines)]):
        raise Tampered("the steps are not those of the case")
    if any(not step.get("done") for step in steps[:-1]):
        raise Tampered("a step was run after one that did not end")
    complete = len(steps) == len(case.lines) and steps[-1].get("done", False)
    if "end" in evidence and not complete:
        raise Tampered("the case ended before its last step")
    if not complete and "error" not in evidence:
        raise Tampered("the case stopped and does not say why")


def _judge_step(line: Line, step: Mapping[str, Any], error: Any) -> Outcome | None:
    """What the step says now, None when it was run to its end."""
    player = Player(step["events"])
    try:
        definition(line)(Target(player))
    except Tampered:
        if step.get("done") or error is None or error["kind"] == "AssertionError":
            raise
        return _unfinished(error)
    except AssertionError as failed:
        _check_failed(step, player, error)
        return _failed(line, str(failed) or error["text"] or error["line"])
    except Exception:  # the target raised, or the step could not read what it answered
        if step.get("done"):
            raise Tampered("a step ended although the target raised") from None
        return _unfinished(error)
    if player.left():
        raise Tampered("there are notes that no step asked for")
    if not step.get("done"):
        return _unfinished(error)
    return None


def _check_failed(step: Mapping[str, Any], player: Player, error: Any) -> None:
    if step.get("done") or not error or error["kind"] != "AssertionError" or player.left():
        raise Tampered(f"a step failed that is said to have ended: {step['text']}")


def _failed(line: Line, reason: str) -> Outcome:
    text = f"{line.keyword} {line.text}: {reason}"
    if line.keyword == "Then":
        return Outcome(Verdict.FAIL, text)
    return Outcome(Verdict.UNKNOWN, f"what the clause needs did not come about: {text}")


def _unfinished(error: Any) -> Outcome:
    if not error:
        raise Tampered("the case stopped and does not say why")
    if error["kind"] == "AssertionError":
        raise Tampered("the evidence does not show what failed")
    return _of_error(error["kind"], error["text"])


def _of_error(kind: str, text: str) -> Outcome:
    return Outcome(KINDS.get(kind, Verdict.UNKNOWN), f"{kind}: {text}")


def _judge_end(events: list[dict[str, Any]], error: Any) -> Outcome:
    """The target's own inventory at the end, and what closing it brought."""
    if len(events) != 1 or events[0].get("call") != "differences":
        raise Tampered("the inventories were not compared at the end")
    if raised := events[0].get("raised"):
        return _of_error(raised["kind"], raised["text"])
    if events[0]["value"]:
        return Outcome(Verdict.FAIL, f"the inventories differ: {events[0]['value']}")
    if error:
        return Outcome(Verdict.UNKNOWN, f"the clean-up failed: {error['kind']}: {error['text']}")
    return Outcome(Verdict.PASS)


def is_lost(evidence: Mapping[str, Any]) -> bool:
    """Whether the target was lost during the attempt."""
    return bool(evidence.get("error", {}).get("kind") == Unreachable.__name__)


def hung(evidence: Mapping[str, Any]) -> bool:
    """Whether the attempt was stopped because it took too long."""
    return bool(evidence.get("error", {}).get("kind") == TimedOut.__name__)


@contextmanager
def _interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt in the end if a library on the way kept one for itself, or made
    another error of it."""
    usual = signal.default_int_handler
    if not _in_main_thread() or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return
    heard: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        usual(number, frame)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    except Exception:
        if not heard:
            raise
    finally:
        signal.signal(signal.SIGINT, usual)
    if heard:
        raise KeyboardInterrupt


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _limit(limit_s: float) -> Iterator[None]:
    """Raise `TimedOut` after this many real seconds, where signals can be used."""
    if not _in_main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimedOut(f"the case took more than {limit_s:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
