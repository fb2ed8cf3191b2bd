"""Where in the file does this value stand, and can the file be read at all?

A file is text with one or more YAML documents, or JSON. `load` turns it into plain values (dict,
list, str, int, float, bool, None) and remembers the line of every key and item, so that a later
complaint can name the line. Scalars follow YAML 1.2: only `true` and `false` are booleans, `on`,
`yes` and `12:30` stay strings. Nothing a file contains can make the reader run away: nesting,
expansion of aliases and size are bounded, and every fault of the input ends as `BadInput`.
"""

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from vmsim.problems import BadInput, Problem

FILE_BYTES_MAX = 32 << 20
NODES_MAX = 4_000_000
DEPTH_MAX = 100
PROBLEMS_MAX = 100
SUFFIXES = (".yaml", ".yml", ".json")

Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DOCUMENT_MARK = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]{1,30}|0o[0-7]{1,30}|0x[0-9a-fA-F]{1,30}")
_BASE = {"0o": 8, "0x": 16}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Lines:
    """The line of a key or item, and the lines of what stands under it."""

    line: int
    under: Mapping[str | int, "Lines"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: its plain value, and the line of every part of it."""

    value: Any
    file: str
    lines: Lines

    def line_of(self, path: Iterable[str | int]) -> int:
        """The 1-based line of the key or item at `path`, or of the closest one above it."""
        at = self.lines
        for step in path:
            below = at.under.get(step)
            if below is None:
                break
            at = below
        return at.line


class _Unreadable(Exception):
    """Reading of this document cannot go on; (line, message, hint)."""

    def __init__(self, line: int, message: str, hint: str = "") -> None:
        super().__init__(line, message, hint)
        self.line, self.message, self.hint = line, message, hint


@dataclass(slots=True)
class _Node:
    """A finished value with its lines; `size` and `height` count what aliases repeat."""

    value: Any
    lines: Lines
    size: int = 1
    height: int = 0
    merges: bool = False


@dataclass(slots=True)
class _Open:
    """A mapping or sequence whose end has not been read yet."""

    line: int
    anchor: str | None
    is_map: bool
    children: list[tuple[str | int, int, _Node]] = field(default_factory=list)
    key: tuple[str, int, bool] | None = None
    key_lines: dict[str, int] = field(default_factory=dict)
    size: int = 1
    height: int = 0

    @property
    def wants_key(self) -> bool:
        return self.is_map and self.key is None


class _Builder:
    """Builds documents from parser events, without recursion; one builder per file."""

    def __init__(self, file: str, line_offset: int, problems: list[Problem], nodes: int) -> None:
        self.file, self.offset, self.problems = file, line_offset, problems
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Node | None] = {}
        self.nodes = nodes
        self.root: _Node | None = None

    def feed(self, event: Any) -> Document | None:
        """Take one event; the document that it completes, if any."""
        line = event.start_mark.line + 1 + self.offset
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), line)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event, line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()
        elif isinstance(event, yaml.DocumentStartEvent):
            self.anchors.clear()
        elif isinstance(event, yaml.DocumentEndEvent) and self.root is not None:
            root, self.root = self.root, None
            return Document(root.value, self.file, root.lines)
        return None

    def complain(self, line: int, message: str, hint: str = "") -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(message, file=self.file, line=line, hint=hint))

    def _scalar(self, event: Any, line: int) -> None:
        if self.stack and self.stack[-1].wants_key:
            lines = self.stack[-1].key_lines
            if event.value in lines:
                first = f"is already set at line {lines[event.value]}"
                self.complain(line, f'key "{event.value}" {first}', "remove one")
            lines.setdefault(event.value, line)
            self.stack[-1].key = (event.value, line, bool(event.implicit[0]))
            self.anchors |= {event.anchor: _Node(event.value, Lines(line))} if event.anchor else {}
            return
        self._attach(_Node(self._value(event, line), Lines(line)), line, event.anchor)

    def _value(self, event: Any, line: int) -> Any:
        if event.tag in (None, "!"):
            plain = event.implicit[0] and event.tag is None
            return plain_scalar(event.value) if plain else event.value
        if event.tag == f"{_TAG}str":
            return event.value
        if event.tag in (f"{_TAG}{name}" for name in ("int", "float", "bool", "null")):
            return plain_scalar(event.value)
        self.complain(line, f"tag {event.tag} is not accepted", "write the value without a tag")
        return event.value

    def _open(self, event: Any, line: int) -> None:
        if self.stack and self.stack[-1].wants_key:
            raise _Unreadable(line, "a mapping key must be a plain word", "quote the key")
        is_map = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", f"{_TAG}map", f"{_TAG}seq"):
            self.complain(line, f"tag {event.tag} is not accepted", "remove the tag")
        if event.anchor:
            self.anchors[event.anchor] = None
        self.stack.append(_Open(line, event.anchor, is_map))
        if len(self.stack) > DEPTH_MAX:
            raise _Unreadable(line, f"nested deeper than {DEPTH_MAX} levels")

    def _alias(self, name: str, line: int) -> None:
        node = self.anchors.get(name)
        if node is None:
            why = "refers to itself" if name in self.anchors else "is not defined"
            raise _Unreadable(line, f"alias *{name} {why}", "write the value out")
        if self.stack and self.stack[-1].wants_key:
            raise _Unreadable(line, "a mapping key must be a plain word", "write the key out")
        self.nodes += node.size - 1
        if self.nodes <= NODES_MAX:
            node = _Node(copy_of(node.value), node.lines, node.size, node.height)
        self._attach(node, line, None)

    def _attach(self, node: _Node, line: int, anchor: str | None) -> None:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            raise _Unreadable(line, f"more than {NODES_MAX} values, aliases expanded", "split it")
        if anchor:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node
            return
        if len(self.stack) + node.height > DEPTH_MAX:
            raise _Unreadable(line, f"nested deeper than {DEPTH_MAX} levels")
        top = self.stack[-1]
        top.size += node.size
        top.height = max(top.height, node.height + 1)
        if top.key is None:
            top.children.append((len(top.children), line, node))
            return
        key, key_line, plain = top.key
        node.merges = plain and key == _MERGE
        top.children.append((key, key_line, node))
        top.key = None

    def _close(self) -> None:
        done = self.stack.pop()
        value, under = self._mapping(done) if done.is_map else _sequence(done)
        node = _Node(value, Lines(done.line, under), done.size, done.height)
        self._attach(node, done.line, done.anchor)

    def _mapping(self, done: _Open) -> tuple[Any, dict[str | int, Lines]]:
        value: dict[str, Any] = {}
        under: dict[str | int, Lines] = {}
        for key, line, node in done.children:
            if not node.merges:
                value[str(key)], under[key] = node.value, Lines(line, node.lines.under)
        for _, line, node in done.children:
            if node.merges:
                self._merge(value, under, node, line)
        return value, under

    def _merge(
        self, value: dict[str, Any], under: dict[str | int, Lines], node: _Node, line: int
    ) -> None:
        several = isinstance(node.value, list)
        sources = node.value if several else [node.value]
        for index, source in enumerate(sources):
            if not isinstance(source, dict):
                self.complain(line, "<<: takes a mapping or a list of mappings")
                continue
            lines = node.lines.under[index].under if several else node.lines.under
            for name in [name for name in source if name not in value]:
                value[name], under[name] = source[name], lines[name]


def _sequence(done: _Open) -> tuple[Any, dict[str | int, Lines]]:
    under = {key: Lines(line, node.lines.under) for key, line, node in done.children}
    return [node.value for _, _, node in done.children], under


def plain_scalar(text: str) -> Any:
    """The value of an unquoted YAML 1.2 scalar; what is no null, boolean or number is a string.

    A number that no JSON number can hold (infinite, or over 30 digits) stays a string.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text, _BASE.get(text[:2], 10))
    if _FLOAT.fullmatch(text) and not text.lstrip("+-").isdigit() and math.isfinite(float(text)):
        return float(text)
    return text


def copy_of(value: Any) -> Any:
    """A copy of a plain value that shares no dict or list with it."""
    if isinstance(value, dict):
        return {key: copy_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_of(item) for item in value]
    return value


def load(text: str, file: str) -> list[Document]:
    """The documents of a YAML or JSON text, empty ones left out; BadInput with every problem.

    After a syntax error reading goes on at the next `---`, to report what is wrong there too.
    """
    text = text.removeprefix("\ufeff")
    _refuse_binary(text, file)
    problems: list[Problem] = []
    documents: list[Document] = []
    start, offset, nodes = 0, 0, 0
    while start >= 0 and len(problems) < PROBLEMS_MAX and nodes <= NODES_MAX:
        builder = _Builder(file, offset, problems, nodes)
        try:
            documents.extend(_documents(text[start:], builder))
            break
        except (_Unreadable, yaml.YAMLError) as error:
            line, message, hint = _explain(error, offset)
            builder.complain(line, message, hint)
        nodes = builder.nodes
        start = _next_document(text, start, line - offset)
        offset = text.count("\n", 0, max(start, 0))
    if problems:
        raise BadInput(problems)
    return documents


def _documents(text: str, builder: _Builder) -> Iterator[Document]:
    for event in yaml.parse(text, Loader=Loader):
        document = builder.feed(event)
        if document is not None and document.value is not None:
            yield document


def _explain(error: Exception, offset: int) -> tuple[int, str, str]:
    if isinstance(error, _Unreadable):
        return error.line, error.message, error.hint
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 + offset if mark else offset + 1
    what = str(getattr(error, "problem", None) or error).splitlines()[0]
    context = getattr(error, "context", None)
    message = f"not valid YAML: {what}" + (f", {context}" if context else "")
    return line, message, "check colons, quotes and indentation (spaces only) here and above"


def _next_document(text: str, start: int, line: int) -> int:
    """Offset of the first `---` after `start`, at or after the 1-based `line`; or -1."""
    at = start
    for _ in range(line - 1):
        at = text.find("\n", at) + 1
        if at == 0:
            return -1
    match = _DOCUMENT_MARK.search(text, max(at, start + 1))
    return match.start() if match else -1


def _refuse_binary(text: str, file: str) -> None:
    match = _NOT_TEXT.search(text)
    if match is not None:
        line = text.count("\n", 0, match.start()) + 1
        message = f"not a text file: character U+{ord(match[0]):04X}"
        raise BadInput([Problem(message, "", file, line, "expected YAML or JSON in UTF-8")])


def load_bytes(raw: bytes, file: str) -> list[Document]:
    """As `load`, from bytes that must be UTF-8."""
    if len(raw) > FILE_BYTES_MAX:
        raise BadInput([_too_large(file)])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: byte 0x{raw[error.start]:02x}"
        raise BadInput([Problem(message, "", file, line, "save the file as UTF-8")]) from None
    return load(text, file)


def _too_large(file: str) -> Problem:
    return Problem(f"larger than {FILE_BYTES_MAX >> 20} MiB", file=file, hint="split the file")


def read(paths: Iterable[str | Path]) -> list[Document]:
    """The documents of files, of the YAML and JSON files of directories, and of stdin for `-`.

    In the order given, a directory's files by name. BadInput with the problems of all files.
    """
    problems: list[Problem] = []
    documents: list[Document] = []
    for path in paths:
        for file in _collect(problems, path, _files):
            documents.extend(_collect(problems, file, lambda at: load_bytes(_bytes(at), str(at))))
    if problems:
        raise BadInput(problems)
    return documents


def _collect(
    problems: list[Problem], path: str | Path, act: Callable[[Path], list[_T]]
) -> list[_T]:
    """What `act` returns for `path`, or [] after its problems were noted."""
    try:
        return act(Path(path))
    except BadInput as error:
        problems.extend(error.problems)
    except (OSError, ValueError) as error:
        problems.append(_unopened(str(path), error))
    return []


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(item for item in path.iterdir() if item.suffix in SUFFIXES)
    if not found:
        expected = f"expected files that end in {', '.join(SUFFIXES)}"
        raise BadInput([Problem("no manifests in this directory", file=str(path), hint=expected)])
    return found


def _bytes(path: Path) -> bytes:
    """At most one byte more than `FILE_BYTES_MAX`, which `load_bytes` then refuses."""
    if str(path) == "-":
        return sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
    if path.stat().st_size > FILE_BYTES_MAX:
        raise BadInput([_too_large(str(path))])
    with path.open("rb") as handle:
        return handle.read(FILE_BYTES_MAX + 1)


def _unopened(path: str, error: Exception) -> Problem:
    """Why a file or directory cannot be read, and what to do."""
    reason = getattr(error, "strerror", None) or str(error)
    return Problem(f"cannot be read: {reason}", file=path, hint="check path and permissions")
