"""What a scenario file says wrongly is told with file, line, field and what was expected."""

from pathlib import Path

import pytest

from vmsim.documents import Document, Lines
from vmsim.evacuation import Eviction
from vmsim.fold import RECORD_KINDS
from vmsim.loading import Overrides, Plan, load, plan
from vmsim.objects import HostSpec
from vmsim.problems import BadInput

HEAD = """\
apiVersion: vmsim.dev/v1alpha1
kind: Scenario
metadata: {name: s}
spec:
  clusters: [{name: c, hosts: [{name: esx-1, cores: 4, memory: 16Gi}]}]
"""
"""A scenario that is right; what a test adds begins on line 6."""


def loaded(tmp_path: Path, text: str, overrides: Overrides | None = None) -> Plan:
    file = tmp_path / "s.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file, overrides or Overrides())


def problems(tmp_path: Path, text: str) -> list[str]:
    """Every problem of the text, without the folder in front of the file's name."""
    with pytest.raises(BadInput) as error:
        loaded(tmp_path, text)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in error.value.problems]


def hosts(text: str) -> str:
    return HEAD.replace("{name: esx-1, cores: 4, memory: 16Gi}", text)


def timeline(*entries: str) -> str:
    """The first entry is on line 7."""
    return HEAD + "  timeline:\n" + "".join(f"    - {entry}\n" for entry in entries)


def expect(*lines: str) -> str:
    """The first line is line 7."""
    return HEAD + "  expect:\n" + "".join(f"    - {line}\n" for line in lines)


def test_least_scenario_is_enough(tmp_path: Path) -> None:
    plan = loaded(tmp_path, HEAD)

    assert plan.hosts == (
        HostSpec("esx-1", "c", "zone-1", cpu_cores=4, cpu_mhz=2400, memory_mib=16384),
    )
    assert (plan.edition.name, plan.scenario.spec.duration, plan.timeline) == ("2026-08", 3600, ())
    assert plan.default_eviction is Eviction.BLOCK


def test_hosts_with_a_count_are_numbered_from_one(tmp_path: Path) -> None:
    plan = loaded(tmp_path, hosts('{name: "a-{}", count: 3, cores: 4, memory: 16Gi}'))

    assert [host.name for host in plan.hosts] == ["a-1", "a-2", "a-3"]


def test_evc_hides_what_the_newer_hosts_of_a_cluster_can_do(tmp_path: Path) -> None:
    two = (
        "{name: a, cores: 4, memory: 1Gi, cpuGeneration: 3}, {name: b, cores: 4, memory: 1Gi, "
        "cpuGeneration: 1}"
    )
    plan = loaded(tmp_path, hosts(two).replace("name: c,", "name: c, evc: 2,"))

    assert [host.cpu_generation for host in plan.hosts] == [2, 1]


def test_command_line_goes_before_the_file(tmp_path: Path) -> None:
    plan = loaded(tmp_path, HEAD + "  seed: 3\n", Overrides(7, "2023-03", 90.0))
    spec = plan.scenario.spec

    assert (spec.seed, spec.edition, spec.duration) == (7, "2023-03", 90.0)


@pytest.mark.parametrize(
    "added, problem",
    [
        ("polices: {}", "6: spec.polices: unknown field"),
        ("duration: 60", "6: spec.duration: a duration with a unit is expected, as in '90s'"),
        (
            "duration: -5s",
            '6: spec.duration: invalid duration "-5s": write numbers with units ms, s, m, h or d, '
            "like 5m30s",
        ),
        ("seed: -1", "6: spec.seed: Input should be greater than or equal to 0"),
        ("edition: 2024-01", "6: spec.edition: Input should be '2023-03' or '2026-08'"),
        (
            "policies: {eviction: sometimes}",
            "6: spec.policies.eviction: Input should be 'drs_poweroff', 'block' or "
            "'vm_eviction_policy'",
        ),
        (
            "policies: {overcommit: {cpu: 0}}",
            "6: spec.policies.overcommit.cpu: Input should be greater than 0",
        ),
        (
            "faults: [{kind: explode}]",
            "6: spec.faults[0].kind: Input should be 'fail', 'delay', 'drop' or 'repeat'",
        ),
        (
            "workload: [{name: w, count: 2, spec: {className: a}}]",
            "6: spec.workload[0].name: with a count above 1 the name needs {} for the number",
        ),
    ],
)
def test_wrong_field_is_told_with_its_line_and_what_was_expected(
    added: str, problem: str, tmp_path: Path
) -> None:
    assert problems(tmp_path, f"{HEAD}  {added}\n") == [f"s.yaml:{problem}"]


@pytest.mark.parametrize(
    "host, problem",
    [
        (
            "{name: a, cores: 4, memory: 16}",
            "memory: a quantity of memory with a unit is expected, as in '256Gi'",
        ),
        ("{name: a, cores: 4, memory: -1Gi}", "memory: must be greater than or equal to 0"),
        ("{name: a, cores: 4}", "memory: required, but missing"),
        (
            "{name: a, cores: 0, memory: 1Gi}",
            "cores: Input should be greater than or equal to 1",
        ),
        (
            "{name: a, cores: 4, memory: 1Gi, devices: {gpu: -1}}",
            "devices.gpu: Input should be greater than or equal to 0",
        ),
    ],
)
def test_wrong_host_is_told(host: str, problem: str, tmp_path: Path) -> None:
    assert problems(tmp_path, hosts(host)) == [f"s.yaml:5: spec.clusters[0].hosts[0].{problem}"]


def test_host_that_is_declared_twice_is_refused(tmp_path: Path) -> None:
    twice = "{name: a, cores: 4, memory: 1Gi}, {name: a, cores: 8, memory: 1Gi}"

    assert problems(tmp_path, hosts(twice)) == [
        "s.yaml:5: spec.clusters[0].hosts[1].name: host a is declared twice"
    ]


def test_hosts_with_a_count_need_a_place_for_the_number(tmp_path: Path) -> None:
    assert problems(tmp_path, hosts("{name: a, count: 2, cores: 4, memory: 1Gi}")) == [
        "s.yaml:5: spec.clusters[0].hosts[0].name: host a is declared twice"
    ]


ACTIONS = (
    "apply, patch, delete, enterMaintenance, exitMaintenance, failHost, recoverHost, addHost, "
    "removeHost, powerOff"
)


@pytest.mark.parametrize(
    "entry, problem",
    [
        (
            "{at: 1m, failHost: esx-1, enterMaintenance: esx-1}",
            f"spec.timeline[0]: give exactly one of {ACTIONS}",
        ),
        ("{at: 1m}", f"spec.timeline[0]: give exactly one of {ACTIONS}"),
        ("{failHost: esx-1}", "spec.timeline[0]: give either `at` or `after`"),
        (
            "{at: 1m, after: {event: VmCreated}, failHost: esx-1}",
            "spec.timeline[0]: give either `at` or `after`",
        ),
        (
            "{at: 1m, enterMaintenance: {hst: esx-1}}",
            "spec.timeline[0].enterMaintenance.host: required, but missing AND "
            "spec.timeline[0].enterMaintenance.hst: unknown field",
        ),
        (
            "{at: 1m, enterMaintenance: {host: esx-1, timeout: 5}}",
            "spec.timeline[0].enterMaintenance.timeout: a duration with a unit is expected, "
            "as in '90s'",
        ),
        (
            "{at: 1m, failHost: esx-11}",
            'spec.timeline[0].failHost: there is no host esx-11 (did you mean "esx-1"?)',
        ),
        (
            "{at: 1m, enterMaintenance: {host: b}}",
            "spec.timeline[0].enterMaintenance: there is no host b",
        ),
        (
            "{at: 1m, addHost: {name: b, cluster: d, cores: 4, memory: 1Gi}}",
            "spec.timeline[0].addHost.cluster: there is no cluster d",
        ),
        (
            "{at: 2h, failHost: esx-1}",
            "spec.timeline[0].at: after the end of the scenario (raise spec.duration)",
        ),
        (
            "{after: {event: VmPowerdOn}, failHost: esx-1}",
            'spec.timeline[0].after.event: there is no event VmPowerdOn (did you mean "VmPoweredOn"'
            "?)",
        ),
        (
            "{at: 1m, delete: {nme: a}}",
            "spec.timeline[0].delete.name: required, but missing AND "
            "spec.timeline[0].delete.nme: unknown field",
        ),
    ],
)
def test_wrong_entry_of_the_timeline_is_told(entry: str, problem: str, tmp_path: Path) -> None:
    told = problem.split(" AND ")

    assert problems(tmp_path, timeline(entry)) == [f"s.yaml:7: {each}" for each in told]


def test_times_that_run_backwards_are_told_where_they_do(tmp_path: Path) -> None:
    entries = ("{at: 9m, failHost: esx-1}", "{at: 8m, recoverHost: esx-1}")
    after = "{after: {event: VmCreated}, failHost: esx-1}"

    assert problems(tmp_path, timeline(entries[0], after, entries[1])) == [
        "s.yaml:9: spec.timeline[2].at: earlier than the entry before it (sort by time)"
    ]


def test_added_host_may_be_named_from_there_on(tmp_path: Path) -> None:
    add = "{at: 1m, addHost: {name: b, cluster: c, cores: 4, memory: 1Gi}}"
    fail = "{at: 1m, failHost: b}"

    assert len(loaded(tmp_path, timeline(add, fail)).timeline) == 2
    assert problems(tmp_path, timeline(fail, add)) == [
        "s.yaml:7: spec.timeline[0].failHost: there is no host b"
    ]


@pytest.mark.parametrize(
    "line, problem",
    [
        ("{vm: a, host: esx-1, state: Up}", ": give exactly one of vm, host, event"),
        ("{state: PoweredOn}", ": give exactly one of vm, host, event"),
        ("{vm: a}", ": give the state that is expected"),
        ("{event: VmCreated, since: 2m, by: 1m}", ": `by` is before `since`"),
        (
            "{vm: a, state: PoweredOn, since: 1m}",
            ": `since` needs `by`; without it the end is what counts",
        ),
        (
            "{vm: a, state: PoweredOn, count: 1}",
            ": object, contains and count go with an event",
        ),
        ("{event: VmCreated, onHost: esx-1}", ": state and onHost go with a vm or a host"),
        (
            "{event: VmCreated, count: -1}",
            ".count: Input should be greater than or equal to 0",
        ),
        ("{host: esx-2, state: Up}", '.host: no host matches esx-2 (did you mean "esx-1"?)'),
        ("{vm: a, onHost: 'x*'}", ".onHost: no host matches x*"),
        (
            "{event: VmMigratd, count: 0}",
            '.event: there is no event VmMigratd (did you mean "VmMigrated"?)',
        ),
        (
            "{host: esx-1, state: Maintainance}",
            '.state: there is no state Maintainance (did you mean "Maintenance"?)',
        ),
        (
            "{vm: a, state: Up}",
            ".state: there is no state Up (known: Absent, Pending, PoweredOn, PoweredOff, "
            "Suspended, Waiting)",
        ),
    ],
)
def test_wrong_expectation_is_told(line: str, problem: str, tmp_path: Path) -> None:
    assert problems(tmp_path, expect(line)) == [f"s.yaml:7: spec.expect[0]{problem}"]


def test_every_kind_of_record_may_be_expected(tmp_path: Path) -> None:
    lines = [f"{{event: {kind}}}" for kind in RECORD_KINDS]

    assert len(loaded(tmp_path, expect(*lines)).scenario.spec.expect) == len(RECORD_KINDS)


def test_missing_manifest_file_is_told_where_it_is_named(tmp_path: Path) -> None:
    assert problems(tmp_path, HEAD + "  manifests:\n    - gone.yaml\n") == [
        "s.yaml:7: spec.manifests[0]: the file gone.yaml cannot be used",
        "gone.yaml: cannot be read: No such file or directory (check path and permissions)",
    ]


def test_missing_manifest_file_of_the_timeline_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path, timeline("{at: 1m, apply: gone.yaml}"))[0] == (
        "s.yaml:7: spec.timeline[0].apply: the file gone.yaml cannot be used"
    )


def test_bad_manifest_in_the_scenario_is_told_with_its_own_line(tmp_path: Path) -> None:
    text = (
        HEAD
        + """\
  manifests:
    - apiVersion: v1
      kind: Namespac
      metadata: {name: demo}
    - apiVersion: vmoperator.vmware.com/v1alpha6
      kind: VirtualMachine
      metadata: {name: a, namespace: default}
      spec:
        clasName: small
"""
    )

    assert problems(tmp_path, text) == [
        's.yaml:8: kind: no matches for kind "Namespac" in version "v1" '
        '(did you mean "Namespace"?)',
        's.yaml:14: spec.clasName: unknown field "spec.clasName" (did you mean "className"?)',
    ]


def test_bad_manifest_in_a_file_is_told_with_that_file(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("apiVersion: v1\nkind: Pod\n", encoding="utf-8")

    found = problems(tmp_path, HEAD + "  manifests: [m.yaml]\n")

    assert len(found) == 1 and found[0].startswith("m.yaml:2: kind: no matches for kind")


def test_all_problems_are_told_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = timeline("{at: 9m, failHost: a}", "{at: 8m, failHost: b}") + (
        "  expect:\n    - {host: d, state: Up}\n  manifests: [gone.yaml]\n"
    )

    assert [problem.partition(": ")[0] for problem in problems(tmp_path, text)] == [
        "s.yaml:7",
        "s.yaml:8",
        "s.yaml:8",
        "s.yaml:10",
        "s.yaml:11",
        "gone.yaml",
    ]


def test_file_with_two_documents_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, f"{HEAD}---\n{HEAD}") == [
        "s.yaml: one scenario is expected, the file has 2 documents"
    ]


@pytest.mark.parametrize("text", ["- 1\n", "7\n", "[]\n"])
def test_what_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    assert len(problems(tmp_path, text)) == 1


def test_resolved_scenario_needs_no_other_file_and_means_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: demo}\n", encoding="utf-8"
    )
    text = timeline("{at: 1m, apply: m.yaml}") + "  manifests: [m.yaml]\n  duration: 90s\n"
    plan = loaded(tmp_path, text)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}}

    assert plan.resolved["spec"]["manifests"] == [namespace]
    assert plan.resolved["spec"]["timeline"][0]["apply"]["items"] == [namespace]
    assert plan.resolved["spec"]["duration"] == "90.0s"


def test_only_vms_are_patched_and_only_known_kinds_deleted(tmp_path: Path) -> None:
    entries = (
        "{at: 1m, patch: {kind: VirtualMachineClass, name: a, merge: {}}}",
        "{at: 1m, patch: {kind: vm, name: a, merge: {}}}",
        "{at: 1m, delete: {kind: vmclasss, name: a}}",
        "{at: 1m, delete: {kind: vmclass, name: a}}",
    )

    assert problems(tmp_path, timeline(*entries)) == [
        "s.yaml:7: spec.timeline[0].patch.kind: only a VirtualMachine can be patched (use apply)",
        "s.yaml:9: spec.timeline[2].delete.kind: the server doesn't have a resource type "
        '"vmclasss" (did you mean "vmclass"?)',
    ]


@pytest.mark.parametrize("path", sorted(Path("scenarios").glob("*.yaml")), ids=lambda p: p.stem)
def test_scenario_resolved_for_a_trace_has_the_same_manifests(path: Path) -> None:
    first = load(path)
    again = plan(Document(first.resolved, "trace", Lines(1)), Path())
    assert [manifest.raw for manifest in again.manifests] == [item.raw for item in first.manifests]
