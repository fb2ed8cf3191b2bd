import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmsim import documents
from vmsim.documents import load, load_bytes, plain_scalar, read
from vmsim.problems import BadInput


def problems(act: Callable[[], object]) -> list[str]:
    """What `act` complains of, hints left out."""
    with pytest.raises(BadInput) as error:
        act()
    return [str(problem).partition(" (")[0] for problem in error.value.problems]


def values(text: str) -> list[Any]:
    return [document.value for document in load(text, "f.yaml")]


def test_every_key_and_item_knows_its_line() -> None:
    text = "# head\nspec:\n  volumes:\n    - name: a\n    - name: b\n---\nkind: VM\n"
    first, second = load(text, "f.yaml")

    assert first.line_of(("spec",)) == 2
    assert first.line_of(("spec", "volumes", 1)) == 5
    assert first.line_of(("spec", "volumes", 1, "name")) == 5
    assert second.line_of(("kind",)) == 7


def test_line_of_a_missing_field_is_that_of_the_closest_field_above() -> None:
    (document,) = load("metadata:\n  labels: {}\nspec:\n  a: 1\n", "f.yaml")

    assert document.line_of(("metadata", "name")) == 1
    assert document.line_of(("status",)) == 1
    assert document.line_of(("spec", "b", "c")) == 3


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "12:30", "2026-08-21", "1_0"])
def test_word_that_yaml_1_1_would_change_stays_a_string(word: str) -> None:
    assert values(f"a: {word}") == [{"a": word}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("7", 7),
        ("-7", -7), ("007", 7), ("0x10de", 4318), ("0o17", 15), ("1.5", 1.5), ("1e3", 1000.0),
        (".5", 0.5), ("1e999", "1e999"), (".inf", ".inf"), (".nan", ".nan"), ("9" * 31, "9" * 31),
        ("1.2.3", "1.2.3"), ("tRue", "tRue"),
    ],
)  # fmt: skip
def test_plain_scalar_follows_yaml_1_2(text: str, value: object) -> None:
    got = plain_scalar(text)

    assert got == value
    assert type(got) is type(value)


def test_quoted_and_tagged_scalars_are_what_they_say() -> None:
    text = "a: 'true'\nb: \"1\"\nc: !!str 1\nd: !!int 1\ne: ! 1\n"

    assert values(text) == [{"a": "true", "b": "1", "c": "1", "d": 1, "e": "1"}]


def test_keys_are_the_words_as_written() -> None:
    assert values("on: 1\n1: 2\ntrue: 3\n") == [{"on": 1, "1": 2, "true": 3}]


def test_empty_documents_are_left_out() -> None:
    assert values("---\n---\na: 1\n---\n# only a comment\n") == [{"a": 1}]
    assert values("") == []


def test_json_is_accepted_with_lines() -> None:
    pretty = json.dumps({"kind": "List", "items": [{"a": [1, 2.5, None, True, "x/é"]}]}, indent=1)
    (document,) = load(pretty, "f.json")

    assert document.value == json.loads(pretty)
    assert document.line_of(("items", 0, "a")) == 5
    assert values('{"a":"b","c":[{"d":1}],"e":"\\/\\u00e9"}') == [
        {"a": "b", "c": [{"d": 1}], "e": "/é"}
    ]


def test_alias_is_a_copy_and_merge_key_fills_in_what_is_missing() -> None:
    text = (
        "base: &b\n  x: 1\n  y: [1]\ncopy: *b\nmore:\n  <<: *b\n  x: 2\nboth:\n  <<: [*b, {z: 3}]\n"
    )
    (document,) = load(text, "f.yaml")

    assert document.value["copy"] == {"x": 1, "y": [1]}
    assert document.value["copy"]["y"] is not document.value["base"]["y"]
    assert document.value["more"] == {"x": 2, "y": [1]}
    assert document.value["both"] == {"x": 1, "y": [1], "z": 3}
    assert document.line_of(("more", "y")) == 3
    assert document.line_of(("more", "x")) == 7


def test_duplicate_keys_are_all_reported_with_both_lines() -> None:
    text = "a: 1\na: 2\nb:\n  c: 1\n  c: 2\n---\nd: 1\nd: 2\n"

    assert problems(lambda: load(text, "f.yaml")) == [
        'f.yaml:2: key "a" is already set at line 1',
        'f.yaml:5: key "c" is already set at line 4',
        'f.yaml:8: key "d" is already set at line 7',
    ]


def test_reading_goes_on_at_the_next_document_after_a_syntax_error() -> None:
    text = "a: 1\na: 2\n---\nb: [\n---\nc: 3\nc: 4\nx: *y\n---\nd: e: f\n"

    assert problems(lambda: load(text, "f.yaml")) == [
        'f.yaml:2: key "a" is already set at line 1',
        "f.yaml:5: not valid YAML: did not find expected node content, while parsing a flow node",
        'f.yaml:7: key "c" is already set at line 6',
        "f.yaml:8: alias *y is not defined",
        "f.yaml:10: not valid YAML: mapping values are not allowed in this context",
    ]


def test_error_on_the_line_of_the_document_mark_is_reported_once() -> None:
    assert problems(lambda: load("--- ]\n---\na: *x\n", "f")) == [
        "f:1: not valid YAML: did not find expected node content, while parsing a block node",
        "f:3: alias *x is not defined",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &a [*a]", "f:1: alias *a refers to itself"),
        ("a: *b", "f:1: alias *b is not defined"),
        ("a: 1\n? [b]\n: 2", "f:2: a mapping key must be a plain word"),
        ("a: !!python/name:os.system x", "f:1: tag tag:yaml.org,2002:python/name:os.system"),
        ("a: !Thing {}", "f:1: tag !Thing is not accepted"),
        ("a: &k b\n*k : 1", "f:2: a mapping key must be a plain word"),
        ("a: 1\n<<: 2", "f:2: <<: takes a mapping or a list of mappings"),
        ("[" * 101, "f:1: nested deeper than 100 levels"),
        ("[" * 100_000, "f:1: nested deeper than 100 levels"),
        ("\n".join(" " * i + "a:" for i in range(200)), "f:101: nested deeper than 100 levels"),
        ("a: b\nc: \x00", "f:2: not a text file: character U+0000"),
        ("a: b\n\n\x1b[31m", "f:3: not a text file: character U+001B"),
    ],
)
def test_bad_text_is_refused_with_its_line(text: str, problem: str) -> None:
    found = problems(lambda: load(text, "f"))

    assert len(found) == 1
    assert found[0].startswith(problem)


def test_expansion_bomb_is_refused_before_it_expands() -> None:
    rows = [
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 10)}]" for i in range(9)
    ]
    bomb = "\n".join(["a: &a [1,1,1,1,1,1,1,1,1,1]", *rows])

    assert problems(lambda: load(bomb, "f")) == ["f:7: more than 4000000 values, aliases expanded"]


def test_aliases_cannot_build_nesting_that_the_text_does_not_show() -> None:
    rows = [f"- &a{i} [*a{i - 1}]" for i in range(1, 200)]

    assert problems(lambda: load("\n".join(["- &a0 x", *rows]), "f")) == [
        "f:101: nested deeper than 100 levels"
    ]


def test_every_complaint_says_what_to_do() -> None:
    with pytest.raises(BadInput) as error:
        load("a:\n\tb: 1\n---\nc: 1\nc: 2\n---\nd: *x\n", "f")

    assert [problem.hint for problem in error.value.problems] == [
        "check colons, quotes and indentation (spaces only) here and above",
        "remove one",
        "write the value out",
    ]


def test_bytes_that_are_not_utf_8_are_refused_with_their_line() -> None:
    assert problems(lambda: load_bytes(b"a: 1\nb: \xff", "f")) == ["f:2: not UTF-8: byte 0xff"]
    assert load_bytes("\ufeffa: ü".encode(), "f")[0].value == {"a": "ü"}


def test_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "big.yaml").open("wb") as handle:
        handle.truncate(documents.FILE_BYTES_MAX + 1)

    assert problems(lambda: read([tmp_path])) == [f"{tmp_path}/big.yaml: larger than 32 MiB"]


def test_problems_of_all_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\na: 2\n")
    (tmp_path / "b.yml").write_text("ok: 1\n")
    (tmp_path / "c.json").write_text('{"x": *y}')
    (tmp_path / "d.txt").write_text("not looked at: [")
    (tmp_path / "empty").mkdir()
    missing = tmp_path / "missing.yaml"

    assert problems(lambda: read([missing, tmp_path, tmp_path / "empty", "nul\0name"])) == [
        f"{missing}: cannot be read: No such file or directory",
        f'{tmp_path}/a.yaml:2: key "a" is already set at line 1',
        f"{tmp_path}/c.json:1: alias *y is not defined",
        f"{tmp_path}/empty: no manifests in this directory",
        "nul\0name: cannot be read: embedded null byte",
    ]


def test_files_of_a_directory_are_read_by_name(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.json", "c.yml"):
        (tmp_path / name).write_text(f"name: {name}\n")

    assert [document.value["name"] for document in read([tmp_path])] == [
        "a.json",
        "b.yaml",
        "c.yml",
    ]


def test_file_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> object:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.yaml").write_text("a: 1")
    monkeypatch.setattr(Path, "open", refuse)

    assert problems(lambda: read([tmp_path / "a.yaml"])) == [
        f"{tmp_path}/a.yaml: cannot be read: Permission denied"
    ]


@given(st.binary())
def test_arbitrary_bytes_are_documents_or_bad_input(raw: bytes) -> None:
    try:
        load_bytes(raw, "f")
    except BadInput as error:
        assert error.problems


@given(st.text(alphabet="ab:&*<[]{}-?!|>'\"#,%@ \n\t1~.", max_size=60))
def test_arbitrary_yaml_is_documents_or_bad_input(text: str) -> None:
    try:
        load(text, "f")
    except BadInput as error:
        assert error.problems


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text("abü1 :\n", max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.text("abc"), PLAIN))
def test_json_is_read_back_as_it_was_written(value: dict[str, Any]) -> None:
    assert values(json.dumps(value)) == [value]
