"""From files to something that can run: a scenario, its manifests and hosts, all checked.

Whatever is wrong is reported with file and line, all of it at once: first what a file says about
itself, then what its parts say about each other (a host that nobody declared, times that run
backwards, a manifest file that is not there).
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from vmsim import chance_schema, documents, ha_schema, pools_schema, upgrade_schema, vmotion_schema
from vmsim.arrivals import Row, kinds, read_recording
from vmsim.documents import Document
from vmsim.editions import EDITIONS
from vmsim.expected import unkeepable
from vmsim.fold import RECORD_KINDS, VM_STATES
from vmsim.kinds import resolve
from vmsim.manifests import Manifest, parse
from vmsim.objects import HostSpec, HostState
from vmsim.plan import Plan as Plan
from vmsim.plan import Planned as Planned
from vmsim.plan import PlannedWorkload as PlannedWorkload
from vmsim.plan import expand
from vmsim.plan import expand_added as expand_added
from vmsim.preflight import preflight
from vmsim.problems import BadInput, Problem, did_you_mean
from vmsim.scenario import ACTIONS, Entry, Reference, Scenario, Workload

Loc = tuple[str | int, ...]

OBJECTS = ("Maintenance", "FailHost")
HOST_STATES = [state.value for state in HostState]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says instead of the file."""

    seed: int | None = None
    edition: str | None = None
    duration_s: float | None = None

    def apply(self, value: Any) -> Any:
        """The scenario's value with these in place of its own."""
        if not isinstance(value, dict) or not isinstance(value.get("spec"), dict):
            return value
        given = {"seed": self.seed, "edition": self.edition}
        if self.duration_s is not None:
            given["duration"] = f"{self.duration_s}s"
        spec = value["spec"] | {name: new for name, new in given.items() if new is not None}
        return value | {"spec": spec}


NO_OVERRIDES = Overrides()


def load(path: Path, overrides: Overrides = NO_OVERRIDES) -> Plan:
    """The plan of the scenario file at `path`; BadInput with every problem."""
    found = documents.read([path])
    if len(found) != 1:
        message = f"one scenario is expected, the file has {len(found)} documents"
        raise BadInput([Problem(message, file=str(path))])
    return plan(found[0], path.parent, overrides)


def plan(document: Document, folder: Path, overrides: Overrides = NO_OVERRIDES) -> Plan:
    """The plan of a scenario; manifest files are relative to `folder`."""
    try:
        scenario = Scenario.model_validate(overrides.apply(document.value))
    except ValidationError as error:
        raise BadInput(_problems(error, document)) from None
    made = _Loader(document, folder, scenario).plan()
    for where, message, hint in unkeepable(made):
        line = document.line_of(where)
        raise BadInput([Problem(message, _dotted(where), document.file, line, hint)])
    return made


@dataclass(slots=True)
class _Loader:
    """Gathers a plan and every problem on the way."""

    document: Document
    folder: Path
    scenario: Scenario
    problems: list[Problem] = field(default_factory=list)

    def plan(self) -> Plan:
        spec = self.scenario.spec
        hosts = self._hosts()
        manifests = self._parse((("spec", "manifests"), item) for item in self._sources())
        timeline = [self._planned(index, entry) for index, entry in enumerate(spec.timeline)]
        workload = [self._workload(index, item) for index, item in enumerate(spec.workload)]
        self._check_times()
        self._check_hosts({host.name for host in hosts})
        self._check_expectations({host.name for host in hosts})
        self._check_words()
        calendar = spec.maintenance_calendar
        for place, message in chance_schema.unmatched(spec.failures, calendar, hosts):
            self._problem(("spec", *place), message)
        at = {host.name: host.cluster for host in hosts}
        for where, message in ha_schema.problems(spec.high_availability, at):
            self._problem(("spec", "highAvailability", *where), message)
        for found, message in pools_schema.problems(spec.drs.pools, hosts):
            self._problem(("spec", "drs", "pools", *found), message)
        for found, message in upgrade_schema.problems(spec.upgrade, hosts):
            self._problem(("spec", "upgrade", *found), message)
        self._check_kinds()
        warnings: list[Problem] = []
        if not self.problems:
            self.problems, warnings = preflight(manifests, EDITIONS[spec.edition], spec.verdict)
            warnings += vmotion_schema.warnings(spec.vmotion, hosts)
        if self.problems:
            order = {document: index for index, document in enumerate([self.document.file])}
            self.problems.sort(key=lambda p: (order.get(p.file, 1), p.file, p.line))
            raise BadInput(self.problems)
        return Plan(
            self.scenario,
            EDITIONS[spec.edition],
            tuple(hosts),
            tuple(manifests),
            tuple(timeline),
            tuple(workload),
            self._resolved(manifests, timeline, workload),
            tuple(warnings),
        )

    def _sources(self) -> Iterator[tuple[Loc, str | dict[str, Any]]]:
        for index, item in enumerate(self.scenario.spec.manifests):
            yield ("spec", "manifests", index), item

    def _parse(
        self, sources: Iterable[tuple[Loc, tuple[Loc, str | dict[str, Any]]]]
    ) -> list[Manifest]:
        """The manifests of files and inline objects, in order."""
        found: list[Document] = []
        for _, (where, item) in sources:
            if isinstance(item, dict):
                found.append(_part(self.document, where))
            else:
                found += self._read(where, item)
        return self._manifests(found)

    def _read(self, where: Loc, name: str) -> list[Document]:
        try:
            return documents.read([self.folder / name])
        except BadInput as error:
            self._problem(where, f"the file {name} cannot be used")
            self.problems += error.problems
            return []

    def _manifests(self, found: list[Document]) -> list[Manifest]:
        spec = self.scenario.spec
        try:
            return parse(found, spec.edition, spec.namespace)
        except BadInput as error:
            self.problems += error.problems
            return []

    def _planned(self, index: int, entry: Entry) -> Planned:
        if entry.apply is None:
            return Planned(entry)
        where: Loc = ("spec", "timeline", index, "apply")
        return Planned(entry, tuple(self._parse([(where, (where, entry.apply))])))

    def _workload(self, index: int, workload: Workload) -> PlannedWorkload:
        where: Loc = ("spec", "workload", index)
        rows = self._rows(where, workload)
        classes = {} if workload.trace is None else workload.trace.classes
        specs = kinds(workload.spec, (share.spec for share in workload.mix), rows, classes)
        made = {label: self._template(where, workload, each) for label, each in specs.items()}
        if (workload.count if rows is None else len(rows)) > 1 and "{}" not in workload.name:
            self._problem((*where, "name"), "with a count above 1 the name needs {} for the number")
        return PlannedWorkload(workload, made, None if rows is None else tuple(rows))

    def _rows(self, where: Loc, workload: Workload) -> list[Row] | None:
        """The rows of the workload's recording, or None if it has none."""
        recording = workload.trace
        if recording is None:
            return None
        if recording.rows is not None:
            return recording.rows
        assert recording.file is not None
        try:
            return read_recording(self.folder / recording.file)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            message = f"the file {recording.file} cannot be used: {reason}"
            self._problem((*where, "trace", "file"), message)
            return []

    def _template(self, where: Loc, workload: Workload, vm_spec: dict[str, Any]) -> Manifest:
        spec = self.scenario.spec
        name = workload.name.replace("{}", "1")
        namespace = workload.namespace or spec.namespace
        metadata = {"name": name, "namespace": namespace, "labels": dict(workload.labels)}
        value = {
            "apiVersion": EDITIONS[spec.edition].api_version,
            "kind": "VirtualMachine",
            "metadata": metadata,
            "spec": vm_spec,
        }
        part = _part(self.document, where)
        found = self._manifests([dataclasses.replace(part, value=value)])
        return found[0] if found else Manifest("VirtualMachine", namespace, name, value)

    def _hosts(self) -> list[HostSpec]:
        hosts: list[HostSpec] = []
        seen: dict[str, Loc] = {}
        for c, cluster in enumerate(self.scenario.spec.clusters):
            for h, host in enumerate(cluster.hosts):
                where: Loc = ("spec", "clusters", c, "hosts", h, "name")
                for spec in expand(host, cluster):
                    if spec.name in seen:
                        self._problem(where, f"host {spec.name} is declared twice")
                        break
                    seen[spec.name] = where
                    hosts.append(spec)
        return hosts

    def _check_times(self) -> None:
        last = 0.0
        for index, entry in enumerate(self.scenario.spec.timeline):
            if entry.at is not None:
                where: Loc = ("spec", "timeline", index, "at")
                if entry.at < last:
                    self._problem(where, "earlier than the entry before it", "sort by time")
                if entry.at > self.scenario.spec.duration:
                    self._problem(where, "after the end of the scenario", "raise spec.duration")
                last = max(last, entry.at)

    def _check_hosts(self, known: set[str]) -> None:
        clusters = {cluster.name for cluster in self.scenario.spec.clusters}
        for index, entry in enumerate(self.scenario.spec.timeline):
            if entry.add_host is not None:
                known = known | {spec.name for spec in expand(entry.add_host)}
                if entry.add_host.cluster not in clusters:
                    where: Loc = ("spec", "timeline", index, "addHost", "cluster")
                    self._problem(where, f"there is no cluster {entry.add_host.cluster}")
            for action, host in _hosts_of(entry):
                if host not in known:
                    hint = did_you_mean(host, sorted(known))
                    self._problem(
                        ("spec", "timeline", index, action), f"there is no host {host}", hint
                    )

    def _check_expectations(self, known: set[str]) -> None:
        new = [entry.add_host for entry in self.scenario.spec.timeline if entry.add_host]
        added = [spec.name for host in new for spec in expand(host)]
        for index, expect in enumerate(self.scenario.spec.expect):
            for name in ("host", "on_host"):
                glob = getattr(expect, name)
                hosts = sorted(known) + added
                if glob is not None and not any(fnmatchcase(host, glob) for host in hosts):
                    where: Loc = ("spec", "expect", index, to_camel(name))
                    self._problem(where, f"no host matches {glob}", did_you_mean(glob, hosts))

    def _check_words(self) -> None:
        """A misspelled event or state would never come about, and nobody would notice."""
        for index, entry in enumerate(self.scenario.spec.timeline):
            if entry.after is not None:
                where: Loc = ("spec", "timeline", index, "after", "event")
                self._check_word(where, entry.after.event, RECORD_KINDS)
        for index, expect in enumerate(self.scenario.spec.expect):
            where = ("spec", "expect", index)
            self._check_word((*where, "event"), expect.event, RECORD_KINDS)
            states = VM_STATES if expect.host is None else HOST_STATES
            self._check_word((*where, "state"), expect.state, states)

    def _check_kinds(self) -> None:
        for index, entry in enumerate(self.scenario.spec.timeline):
            if entry.patch is not None:
                self._check_kind(("spec", "timeline", index, "patch", "kind"), entry.patch)
            if entry.delete is not None:
                self._check_kind(("spec", "timeline", index, "delete", "kind"), entry.delete)

    def _check_kind(self, where: Loc, reference: Reference) -> None:
        try:
            kind = resolve(reference.kind, self.scenario.spec.edition)
        except BadInput as error:
            self._problem(where, error.problems[0].message, error.problems[0].hint)
            return
        if "patch" in where and kind.name != "VirtualMachine":
            self._problem(where, "only a VirtualMachine can be patched", "use apply")

    def _check_word(self, where: Loc, word: str | None, known: Sequence[str]) -> None:
        if word is not None and word not in known:
            hint = did_you_mean(word, list(known)) or f"known: {', '.join(known)}"
            self._problem(where, f"there is no {where[-1]} {word}", hint)

    def _problem(self, where: Loc, message: str, hint: str = "") -> None:
        line = self.document.line_of(where)
        self.problems.append(Problem(message, _dotted(where), self.document.file, line, hint))

    def _resolved(
        self,
        manifests: list[Manifest],
        timeline: list[Planned],
        workload: list[PlannedWorkload],
    ) -> dict[str, Any]:
        value = self.scenario.model_dump(mode="json", by_alias=True, exclude_none=True)
        spec = value["spec"]
        spec["manifests"] = [manifest.raw for manifest in manifests]
        for planned, entry in zip(timeline, spec["timeline"], strict=True):
            if planned.manifests:
                items = [manifest.raw for manifest in planned.manifests]
                entry["apply"] = {"apiVersion": "v1", "kind": "List", "items": items}
        for made, entry in zip(workload, spec["workload"], strict=True):
            if made.rows is not None:
                entry["trace"] = {"rows": made.rows, "classes": entry["trace"]["classes"]}
        return value


def _part(document: Document, where: Loc) -> Document:
    """The part of a document at `where`, as a document of its own."""
    value, lines = document.value, document.lines
    for step in where:
        value = value[step]
        lines = lines.under.get(step, lines)
    return Document(value, document.file, lines)


def _hosts_of(entry: Entry) -> Iterator[tuple[str, str]]:
    """The hosts that an entry names, each with the field that names it."""
    named = ("enter_maintenance", "exit_maintenance", "fail_host", "recover_host", "remove_host")
    for action in named:
        value = getattr(entry, action)
        if value is not None:
            yield to_camel(action), value if isinstance(value, str) else value.host


def _problems(error: ValidationError, document: Document) -> list[Problem]:
    """pydantic's findings as problems with their lines."""
    problems = []
    for item in error.errors():
        loc = tuple(step for step in item["loc"] if not _is_variant(step))
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown field"
        elif item["type"] == "missing":
            message = "required, but missing"
        elif item["type"] == "string_type" and len(loc) < len(item["loc"]):
            continue  # it is no string, and what it should be instead has problems of its own
        problem = Problem(message, _dotted(loc), document.file, document.line_of(loc))
        if problem not in problems:
            problems.append(problem)
    return sorted(problems, key=lambda problem: problem.line)


def _is_variant(step: str | int) -> bool:
    """Whether pydantic put this step in to name a member of a union."""
    return isinstance(step, str) and (step in ("str", *OBJECTS) or step.startswith("dict["))


def _dotted(loc: Loc) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return "".join(steps).removeprefix(".")


assert set(ACTIONS) <= set(Entry.model_fields), "an action is a field of a timeline entry"
