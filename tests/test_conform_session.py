"""Whatever happens to a run, it ends with a report that claims no more than was seen."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from judged import ONLY, Lenient, descriptor, options, report

from features.target import Target
from vmsim.conformance import evidence as evidences
from vmsim.conformance import session, suite, targets, trial
from vmsim.conformance.comparing import differences, load
from vmsim.conformance.evidence import NotSupported, NotTestable
from vmsim.conformance.replaying import replay
from vmsim.conformance.report import Report
from vmsim.conformance.verify import verify
from vmsim.problems import BadInput, Unreachable


def _verdicts(found: Report) -> dict[str, str]:
    return {clause.id: clause.verdict for clause in found.targets[0].clauses}


def test_a_target_that_does_what_is_said_is_conformant(tmp_path: Path) -> None:
    found = report(tmp_path)
    assert (found.result, found.exit_code, found.complete) == ("conformant", 0, True)
    assert _verdicts(found) == dict.fromkeys(sorted(ONLY, key=list(_verdicts(found)).index), "pass")
    assert verify(tmp_path) == []


def test_a_target_that_refuses_nothing_is_not_conformant(tmp_path: Path) -> None:
    found = report(tmp_path, descriptor(Lenient))
    assert (found.result, found.exit_code) == ("not conformant", 1)
    assert _verdicts(found) == {"S-15": "fail", "S-22": "fail", "P-11": "pass"}
    bad = [case for case in found.targets[0].cases if case.verdict == "fail"]
    assert "the request was accepted" in bad[0].reason
    assert bad[0].reproduce == f"vmsim conform --target memory --only {bad[0].id} --seed 1"


class Answers(Target):
    """A target whose VMs cannot be looked up; `error` says how."""

    error: Exception = ValueError("garbage")

    def held(self, name: str) -> Any:
        raise type(self).error


def test_a_password_in_the_address_of_a_vcenter_is_not_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOVC_URL", "root:s3cret@127.0.0.1:1")
    assert targets.target("vsphere").implementation["url"] == "https://127.0.0.1:1/sdk"


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (ValueError("garbage"), "unknown"),
        (NotSupported("there is no inventory"), "not supported"),
        (NotTestable("no credentials"), "not testable"),
        (RuntimeError("x"), "unknown"),
    ],
)
def test_a_target_that_raises_never_passes(
    tmp_path: Path, error: Exception, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answers, "error", error)
    found = report(tmp_path, descriptor(Answers), options("P-11"))
    assert _verdicts(found) == {"P-11": verdict}
    assert found.exit_code == 3
    assert verify(tmp_path) == []


class Odd(Target):
    """A target that answers what nobody can note."""

    def power(self, name: str) -> Any:
        return object()


class Silent(Target):
    """A target that does not power VMs on."""

    def is_running(self, name: str) -> bool:
        return False


@pytest.mark.parametrize("kind", [Odd, Silent])
def test_what_a_given_cannot_bring_about_leaves_the_clause_unknown(
    tmp_path: Path, kind: type[Target]
) -> None:
    found = report(tmp_path, descriptor(kind), options("P-11"))
    assert (_verdicts(found), found.exit_code) == ({"P-11": "unknown"}, 3)
    assert verify(tmp_path) == []


class Deaf(Target):
    """A target that makes an error of its own of a Ctrl-C, as a library on the way may do."""

    def power(self, name: str) -> Any:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            return Target.power(self, name)
        except KeyboardInterrupt:
            raise ValueError("no such field") from None


def test_a_ctrl_c_that_becomes_another_error_is_no_verdict(tmp_path: Path) -> None:
    found = report(tmp_path, descriptor(Deaf), options("P-11"))
    assert (found.complete, found.exit_code) == (False, 130)
    assert verify(tmp_path) == []


class Differs(Target):
    """A target whose own inventory says otherwise at the end."""

    def differences(self) -> list[str]:
        return [*Target.differences(self), "demo/db: on esx-1, not on esx-2"]


def test_an_inventory_that_differs_is_a_fail(tmp_path: Path) -> None:
    found = report(tmp_path, descriptor(Differs), options("P-11"))
    assert _verdicts(found) == {"P-11": "fail"}
    assert verify(tmp_path) == []


def test_what_cannot_be_cleaned_up_is_no_pass(tmp_path: Path) -> None:
    about = descriptor(left_behind=lambda: ["VM db"])
    found = report(tmp_path, about, options("P-11"))
    assert _verdicts(found) == {"P-11": "unknown"}
    assert "VM db" in found.targets[0].cases[0].reason


def test_a_clean_up_that_raises_is_no_pass(tmp_path: Path) -> None:
    inner = descriptor()

    @contextmanager
    def supervisor(seed: int) -> Iterator[Any]:
        with inner.open(seed) as target:
            yield target
        raise OSError("the folder is busy")

    found = report(tmp_path, descriptor(open=supervisor), options("P-11"))
    assert _verdicts(found) == {"P-11": "unknown"}
    assert verify(tmp_path) == []


class Curt(Target):
    """A target whose VMs have no metadata."""

    def get(self, name: str, namespace: str = "demo") -> Any:
        found = super().get(name, namespace)
        return None if found is None else {k: v for k, v in found.items() if k != "metadata"}


def test_an_answer_that_a_step_cannot_read_leaves_the_case_unknown(tmp_path: Path) -> None:
    found = report(tmp_path, descriptor(Curt), options("X-01"))
    assert {case.verdict for case in found.targets[0].cases} == {"unknown"}
    assert "KeyError: 'metadata'" in found.targets[0].cases[0].reason
    assert found.exit_code == 3
    assert verify(tmp_path) == []


def test_missing_capabilities_are_told_and_never_a_pass(tmp_path: Path) -> None:
    about = descriptor(lacking={"new-hosts": "no"}, blind={"host-failure": "nobody may"})
    found = report(tmp_path, about, options("S-12", "S-28"))
    assert _verdicts(found) == {"S-12": "not supported", "S-28": "not testable"}
    assert found.exit_code == 3
    states = {one.name: (one.state, one.reason) for one in found.targets[0].capabilities}
    assert states["new-hosts"] == ("not supported", "no")
    assert states["host-failure"] == ("not testable", "nobody may")
    assert verify(tmp_path) == []


def test_nothing_that_can_be_tested_is_inconclusive(tmp_path: Path) -> None:
    found = report(tmp_path, wanted=options("S-26"))
    assert (_verdicts(found), found.exit_code) == ({"S-26": "not testable"}, 3)


def test_an_unreachable_target_gives_an_incomplete_report(tmp_path: Path) -> None:
    def check() -> None:
        raise Unreachable("nobody answers")

    found = report(tmp_path, descriptor(check=check))
    assert (found.exit_code, found.complete) == (4, False)
    assert set(_verdicts(found).values()) == {"unknown"}
    assert "nobody answers" in found.incomplete
    assert verify(tmp_path) == []


class Lost(Target):
    """A target that goes away at the second case."""

    left = 1

    def apply_file(self, name: str, namespace: str = "demo") -> None:
        type(self).left -= 1
        if type(self).left < 0:
            raise Unreachable("gone")
        Target.apply_file(self, name, namespace)


def test_a_target_that_is_lost_leaves_a_partial_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lost, "left", 1)
    found = report(tmp_path, descriptor(Lost), options("S-15"))
    verdicts = [case.verdict for case in found.targets[0].cases]
    assert (found.exit_code, found.complete) == (4, False)
    assert verdicts[0] == "pass" and set(verdicts[1:]) == {"unknown"}
    assert verify(tmp_path) == []


def test_an_interrupted_run_leaves_a_partial_report(tmp_path: Path) -> None:
    seen: list[str] = []

    def stop(target: str, case: Any) -> None:
        seen.append(case.id)
        if len(seen) == 2:
            raise KeyboardInterrupt

    found = report(tmp_path, seen=stop)
    assert (found.exit_code, found.complete, found.incomplete) == (130, False, "interrupted")
    assert [case.verdict for case in found.targets[0].cases].count("pass") == 2
    assert load(tmp_path).exit_code == 130
    assert verify(tmp_path) == []


class Hangs(Target):
    """A target that never answers."""

    def apply_file(self, name: str, namespace: str = "demo") -> None:
        while True:
            pass


def test_a_target_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "CASE_LIMIT_S", 1)
    found = report(tmp_path, descriptor(Hangs), options("S-15"))
    assert (found.exit_code, found.complete) == (4, False)
    tried = [case for case in found.targets[0].cases if case.attempts]
    assert len(tried) == session.HUNG_MAX
    assert "more than 1 s" in tried[0].reason


class Moody(Target):
    """A target that refuses only every second time."""

    turn = 0

    def _note(self, answer: Any) -> None:
        type(self).turn += 1
        if type(self).turn % 2 == 0:
            Target._note(self, answer)


def test_a_pass_after_a_fail_is_flaky_and_no_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = next(case for case in suite.cases() if "S-15" in case.clauses)
    monkeypatch.setattr(Moody, "turn", 0)
    turns = options(case.id, attempts=3)
    found = report(tmp_path, descriptor(Moody), turns)
    assert found.targets[0].cases[0].verdict in ("flaky", "pass")
    monkeypatch.setattr(Moody, "turn", 1 if found.targets[0].cases[0].verdict == "pass" else 0)
    found = report(tmp_path, descriptor(Moody), turns)
    assert [one.verdict for one in found.targets[0].cases[0].attempts] == ["fail", "pass"]
    assert (found.targets[0].cases[0].verdict, found.exit_code) == ("flaky", 3)
    assert verify(tmp_path) == []


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(BadInput):
        report(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_second_run_replaces_the_evidence_of_the_first(tmp_path: Path) -> None:
    report(tmp_path)
    report(tmp_path, wanted=options("S-15"))
    assert verify(tmp_path) == []


def test_reports_are_compared(tmp_path: Path) -> None:
    good, bad = report(tmp_path / "a"), report(tmp_path / "b", descriptor(Lenient))
    assert differences(good, load(tmp_path / "a")) == []
    assert "memory: clause S-15: pass -> fail" in differences(good, bad)
    assert "memory: clause P-11: not in the report -> pass" in differences(
        report(tmp_path / "c", wanted=options("S-15")), good
    )


def test_a_failure_is_run_again_and_cut_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = report(tmp_path, descriptor(Lenient))
    case = next(case for case in found.targets[0].cases if case.verdict == "fail")
    file = tmp_path / case.attempts[0].evidence
    monkeypatch.setattr(targets, "target", lambda name: descriptor(Lenient))
    code, lines = replay(str(file), "memory", 1)
    assert code == 1
    least = lines[lines.index("the least that fails:") + 1 :]
    whole = next(one for one in suite.cases() if one.id == case.id)
    assert 2 <= len(least) < len(whole.lines)
    monkeypatch.undo()
    assert replay(case.id, "memory", 1) == (0, [f"{case.id} on memory: pass"])


@pytest.mark.parametrize("name", ["nothing.json", "no-case"])
def test_what_is_no_case_is_not_replayed(name: str) -> None:
    with pytest.raises(BadInput):
        replay(name, "memory", 1)


def test_evidence_holds_requests_answers_and_looks_but_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVC_PASSWORD", "Required value")
    found = report(tmp_path, wanted=options("S-15"))
    text = "".join(file.read_text() for file in tmp_path.glob("evidence/*/*.json"))
    assert '"apply":"apiVersion' in text and '"reasons"' in text
    assert "Required value" not in text and "spec.imageName: (redacted)" in text
    assert found.targets[0].cases[0].verdict == "pass"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"password": "x", "name": "y"}, {"password": "(redacted)", "name": "y"}),
        ("https://user:secret@host/sdk", "https://(redacted)@host/sdk"),
        ({"client-key-data": "k"}, {"client-key-data": "(redacted)"}),
        ({"secretName": "s"}, {"secretName": "s"}),
    ],
)
def test_secrets_are_taken_out(value: Any, kept: Any) -> None:
    assert evidences.plain(value) == kept


def _give() -> Any:
    return descriptor(name="theirs")


def _give_nothing() -> Any:
    return "a target"


def _give_strange() -> Any:
    return descriptor(lacking={"new-host": "no"})


def _installed(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    point = EntryPoint("theirs", f"{__name__}:{function}", targets.GROUP)
    monkeypatch.setattr(targets, "entry_points", lambda group: [point])


def test_a_target_comes_with_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "_give")
    assert targets.target("theirs").name == "theirs"
    assert targets.names()[-1] == "theirs"


@pytest.mark.parametrize("function", ["_give_nothing", "_give_strange"])
def test_a_target_that_does_not_describe_itself_is_refused(
    monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    _installed(monkeypatch, function)
    with pytest.raises(BadInput):
        targets.target("theirs")


def test_an_unknown_target_is_bad_input() -> None:
    with pytest.raises(BadInput, match="did you mean memory"):
        targets.target("memmory")


def test_the_report_on_disk_is_of_the_run_while_it_runs(tmp_path: Path) -> None:
    states: list[bool] = []

    def look(target: str, case: Any) -> None:
        states.append(json.loads((tmp_path / "report.json").read_bytes())["complete"])

    report(tmp_path, seen=look)
    assert set(states) == {False}


class Interrupted(Target):
    """A target whose user has enough."""

    def held(self, name: str) -> Any:
        raise KeyboardInterrupt


def test_an_interrupted_run_that_leaves_something_says_both(tmp_path: Path) -> None:
    found = report(tmp_path, descriptor(Interrupted, end=lambda: ["VM db"]))
    assert found.incomplete == "interrupted; left behind on the target: VM db"
    assert found.exit_code == 130
    assert verify(tmp_path) == []


def test_what_an_earlier_run_left_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    report(tmp_path, descriptor(clean=lambda: ["VM db", "host esx-1"]), said=told.append)
    assert told == [
        "memory: an earlier run left VM db, which is removed",
        "memory: an earlier run left host esx-1, which is removed",
    ]


def test_what_an_earlier_run_left_and_does_not_go_ends_the_run(tmp_path: Path) -> None:
    def clean() -> list[str]:
        raise Unreachable("VM db does not go away")

    found = report(tmp_path, descriptor(clean=clean))
    assert (found.exit_code, found.complete) == (4, False)
    assert {case.verdict for case in found.targets[0].cases} == {"unknown"}
