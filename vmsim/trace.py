"""What happened, in order: the one source of everything that is shown or reported.

A trace is a file of JSON lines. The first line is the header: what was run, with which seed,
edition, versions and assumptions. Every other line is a record: `t` (simulated seconds), `n`
(sequence number), `source`, `kind`, `object` and `data`. The digest is the SHA-256 of the record
lines, so equal digests mean the same story; the header is not part of it.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from vmsim.problems import BadInput, Problem
from vmsim.structs import Head
from vmsim.structs import Record as Record

BYTES_PER_WRITE = 1 << 16


Listener = Callable[[Record], None]


class Trace:
    """Writes records to a file (or nowhere), and tells listeners as it does.

    `now` gives the simulated second. Close it to have everything on disk, also after a failure.
    """

    def __init__(self, now: Callable[[], float], sink: BinaryIO | None = None) -> None:
        self._now = now
        self._sink = sink
        self._encoder = msgspec.json.Encoder()
        self._lines = bytearray()
        self._hash = hashlib.sha256()
        self._listeners: list[Listener] = []
        self._instant = -1.0
        self._second = 0.0
        self._encodes = True
        self.count = 0

    def forgo_digest(self) -> None:
        """From the first record on, only tell listeners: nobody will read a file or a digest."""
        assert self._sink is None and self.count == 0, "a file that is begun goes on"
        self._encodes = False

    def write_header(self, header: dict[str, Any]) -> None:
        """Write the first line; must come before any record."""
        assert self.count == 0, "the header comes first"
        if self._sink:
            self._sink.write(self._encoder.encode({"header": header}) + b"\n")

    def write(
        self, source: str, kind: str, object_: str, data: dict[str, Any] | None = None
    ) -> None:
        """Append one record and tell the listeners."""
        now = self._now()
        if now != self._instant:
            self._instant, self._second = now, round(float(now), 6)
        self.count = number = self.count + 1
        record = Record(self._second, number, source, kind, object_, data or {})
        if self._encodes:
            lines = self._lines
            self._encoder.encode_into(record, lines, -1)
            lines += b"\n"
            if len(lines) >= BYTES_PER_WRITE:
                self._flush()
        for listener in self._listeners:
            listener(record)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every record from now on."""
        self._listeners.append(listener)

    def digest(self) -> str:
        """SHA-256 of the record lines so far, in hexadecimal."""
        assert self._encodes, "the digest was forgone"
        self._flush()
        return self._hash.hexdigest()

    def close(self) -> None:
        """Put everything on disk and close the file."""
        self._flush()
        if self._sink:
            self._sink.close()

    def _flush(self) -> None:
        if self._lines:
            block = bytes(self._lines)
            self._lines.clear()
            self._hash.update(block)
            if self._sink:
                self._sink.write(block)
                self._sink.flush()


def read_header(path: Path) -> dict[str, Any]:
    """The header of the trace at `path`; `BadInput` when it is not a trace."""
    with _open(path) as file:
        return _head(file, path)


def read(path: Path) -> Iterator[Record]:
    """The records of the trace at `path`, in order; `BadInput` at the first broken line."""
    decode = msgspec.json.Decoder(Record).decode
    with _open(path) as file:
        _head(file, path)
        for number, line in enumerate(file, start=2):
            try:
                yield decode(line)
            except msgspec.DecodeError as error:
                raise BadInput([_broken(path, number, str(error))]) from None


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput([Problem(reason, file=str(path), hint="name a trace file")]) from None


def _head(file: BinaryIO, path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(file.readline(1 << 26), type=Head).header
    except msgspec.DecodeError as error:
        raise BadInput([_broken(path, 1, str(error))]) from None


def _broken(path: Path, line: int, message: str) -> Problem:
    hint = "a trace is what `vmsim run --trace FILE` writes"
    return Problem(f"not a line of a trace: {message}", file=str(path), line=line, hint=hint)
