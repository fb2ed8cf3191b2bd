"""What does a run say, in one document that others can read and check?

Everything outside `run` depends only on the suite, the options and the evidence, so two runs in
memory with one seed give the same bytes; `digest` is over all but `run`. The JSON Schema of this
version is in the package, as `report.schema.json`.
"""

import hashlib
import json
from typing import Any

import msgspec

API_VERSION = "vmsim.dev/v1alpha1"
KIND = "ConformanceReport"


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """A part of the report: unknown fields are refused."""


class Suite(Strict):
    """Which suite made the report."""

    version: str
    commit: str
    sha256: str


class Options(Strict):
    """What was asked for; empty means all."""

    targets: list[str]
    only: list[str]
    tags: list[str]
    level: str
    edition: str
    seed: int
    attempts: int


class Attempt(Strict):
    """One run of a case; `evidence` is a file beside the report."""

    verdict: str
    reason: str
    evidence: str
    sha256: str


class CaseReport(Strict):
    """One scenario with one row of examples."""

    id: str
    clauses: list[str]
    edition: str
    verdict: str
    reason: str
    reproduce: str
    attempts: list[Attempt]


class ClauseReport(Strict):
    """One clause on one target."""

    id: str
    text: str
    level: str
    editions: list[str]
    verdict: str
    reason: str
    cases: list[str]


class Capability(Strict):
    """What a target has: `supported`, `not supported` or `not testable`."""

    name: str
    text: str
    state: str
    reason: str


class TargetReport(Strict):
    """One target: what it is, what it has, and what came of it."""

    name: str
    implementation: dict[str, str]
    capabilities: list[Capability]
    played: list[str]
    waits: dict[str, float]
    result: str
    stopped: str
    counts: dict[str, int]
    clauses: list[ClauseReport]
    cases: list[CaseReport]


class Skipped(Strict):
    """What was not asked for, and why."""

    reason: str
    clauses: list[str]
    cases: int


class Run(Strict):
    """When and where; the one part that differs from run to run. Seconds of each case by id;
    `lanes`: how many cases of each target ran at a time."""

    started: str
    seconds: float
    python: str
    platform: str
    cases: dict[str, float]
    lanes: dict[str, int] = {}


class Report(Strict):
    """A conformance report."""

    apiVersion: str
    kind: str
    suite: Suite
    options: Options
    complete: bool
    incomplete: str
    result: str
    exit_code: int
    targets: list[TargetReport]
    skipped: list[Skipped]
    digest: str
    run: Run


def digest(report: Report) -> str:
    """SHA-256 of everything but `run` and the digest itself."""
    value = msgspec.to_builtins(report)
    del value["run"], value["digest"]
    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: Any) -> bytes:
    """The value as JSON with one spelling."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def written(report: Report) -> bytes:
    """The report as its file has it."""
    value = msgspec.to_builtins(report)
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


def read(text: bytes) -> Report:
    """The report of a file; `msgspec.MsgspecError` when it is none of this version."""
    report = msgspec.json.decode(text, type=Report)
    if (report.apiVersion, report.kind) != (API_VERSION, KIND):
        raise msgspec.ValidationError(f"not a {KIND} of {API_VERSION}")
    return report


def schema() -> dict[str, Any]:
    """The JSON Schema of a report."""
    return {"$id": f"https://{API_VERSION}/{KIND}", **msgspec.json.schema(Report)}
