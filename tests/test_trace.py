"""A trace keeps everything in order, reads back as it was written, and has one digest."""

import hashlib
from pathlib import Path

import pytest

from vmsim.problems import BadInput
from vmsim.trace import Record, Trace, read, read_header


def written(path: Path, count: int = 3) -> Trace:
    trace = Trace(lambda: 1.5, path.open("wb"))
    trace.write_header({"seed": 1})
    for number in range(count):
        trace.write("vm", "Event", f"ns/{number}", {"reason": "x"})
    trace.close()
    return trace


def test_trace_reads_back_as_it_was_written(tmp_path: Path) -> None:
    written(tmp_path / "t")
    assert read_header(tmp_path / "t") == {"seed": 1}
    assert list(read(tmp_path / "t")) == [
        Record(1.5, number + 1, "vm", "Event", f"ns/{number}", {"reason": "x"})
        for number in range(3)
    ]


def test_digest_is_the_sha256_of_the_record_lines(tmp_path: Path) -> None:
    trace = written(tmp_path / "t")
    lines = (tmp_path / "t").read_bytes().split(b"\n", 1)[1]
    assert trace.digest() == hashlib.sha256(lines).hexdigest()


def test_digest_does_not_depend_on_the_header_or_on_a_file(tmp_path: Path) -> None:
    other = Trace(lambda: 1.5)
    for number in range(3):
        other.write("vm", "Event", f"ns/{number}", {"reason": "x"})
    assert other.digest() == written(tmp_path / "t").digest()


def test_digest_does_not_depend_on_when_it_was_asked_for() -> None:
    asked, silent = Trace(lambda: 0.0), Trace(lambda: 0.0)
    for trace in (asked, silent):
        for _ in range(3):
            trace.write("vm", "Event", "a")
            if trace is asked:
                trace.digest()
    assert asked.digest() == silent.digest()


@pytest.mark.parametrize(
    "other",
    [("vm", "Event", "b", {}), ("vm", "Status", "a", {}), ("api", "Event", "a", {}),
     ("vm", "Event", "a", {"x": 1})],
)  # fmt: skip
def test_other_story_has_another_digest(other: tuple[str, str, str, dict[str, int]]) -> None:
    one, two = Trace(lambda: 0.0), Trace(lambda: 0.0)
    one.write("vm", "Event", "a")
    two.write(*other)
    assert one.digest() != two.digest()


def test_many_records_are_all_on_disk_after_closing(tmp_path: Path) -> None:
    trace = written(tmp_path / "t", count=1500)
    assert trace.count == 1500
    assert [record.n for record in read(tmp_path / "t")] == list(range(1, 1501))


def test_listener_hears_every_record_from_then_on() -> None:
    trace, heard = Trace(lambda: 0.0), []
    trace.write("vm", "Event", "a")
    trace.listen(heard.append)
    trace.write("vm", "Event", "b")
    assert [(record.n, record.object) for record in heard] == [(2, "b")]


def test_time_has_microseconds() -> None:
    trace, heard = Trace(lambda: 1 / 3), []
    trace.listen(heard.append)
    trace.write("vm", "Event", "a")
    assert heard[0].t == 0.333333


def test_header_comes_first() -> None:
    trace = Trace(lambda: 0.0)
    trace.write("vm", "Event", "a")
    with pytest.raises(AssertionError, match="header"):
        trace.write_header({})


def test_missing_file_is_a_problem_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_header(tmp_path / "none")
    assert caught.value.problems[0].file == str(tmp_path / "none")


@pytest.mark.parametrize(("text", "line"), [("", 1), ("nonsense\n", 1), ("[]\n", 1)])
def test_file_that_is_no_trace_is_a_problem_of_line_1(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(BadInput) as caught:
        list(read(tmp_path / "t"))
    assert caught.value.problems[0].line == line


def test_broken_record_is_a_problem_with_its_line(tmp_path: Path) -> None:
    written(tmp_path / "t")
    with (tmp_path / "t").open("a") as file:
        file.write('{"t": 1}\n')
    with pytest.raises(BadInput) as caught:
        list(read(tmp_path / "t"))
    assert caught.value.problems[0].line == 5


def test_trace_that_forgoes_its_digest_tells_its_listeners_all_the_same() -> None:
    trace, told = Trace(lambda: 1.5), []
    trace.forgo_digest()
    trace.listen(told.append)
    trace.write("vm", "Event", "ns/a", {"reason": "x"})
    assert told == [Record(1.5, 1, "vm", "Event", "ns/a", {"reason": "x"})]
    with pytest.raises(AssertionError, match="forgone"):
        trace.digest()
