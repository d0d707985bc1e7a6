"""WARC records as they lie in a file: where each begins, how long it is, its headers and its content.

    gzip file ──▶ member ──inflate──▶ ┌ WARC/1.0 … Content-Length: n ┐ CR LF CR LF ┌ n bytes ┐ CR LF CR LF ┌ WARC/1.0 …
    plain file ─────────────────────▶ └ headers                      ┘             └ content ┘

Nothing a file says is believed until it is seen. A record ends at its Content-Length or at its gzip member, whichever
comes first; content is read piece by piece, so that a length of 400 GB allocates nothing; and what is no whole record
is named as damage, with its offset. Reading goes on behind it, at the next gzip member or the next line that begins a
record. In memory is one record of at most `MAX_CONTENT` bytes.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from fastwarc.stream_io import Lz4Reader, WarcReader, ZstdReader
from isal import isal_zlib

from shards.storage import InputFile, open_input

MAX_CONTENT = 128 << 20  # crawlers cut bodies at 1 to 5 MB; what is larger is refused, not held
_MAX_HEADER = 1 << 20
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b\x08"
_VERSION = re.compile(rb"WARC/\d+\.\d+[ \t]*\r?\n")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_BLANK = re.compile(rb"[\r\n]*")
_NEXT = re.compile(rb"(?<=\n)WARC/\d+\.\d+[ \t]*\r?\n")

Damaged = Callable[[int, str], None]  # offset in the file, cause


@dataclass(frozen=True)
class Record:
    offset: int  # byte of the file at which the record, or the gzip member that holds it, begins
    length: int  # bytes of the file up to its end; -1 where it shares its gzip member with other records
    opens_unit: bool  # reading can begin at `offset`
    headers: dict[str, str]  # names in lower case; of repeated ones the first
    head: bytes  # version line and headers as stored
    content: bytes


def read_records(file: InputFile, start: int, damaged: Damaged) -> Iterator[Record]:
    """The records from byte `start` on: 0, the offset of a record that `opens_unit`, or what `next_record` gave.

    `damaged` is called for each place that is not a whole record.
    """
    with open_input(file) as stream:
        magic = stream.read(4)
    with open_input(file) as stream:
        opening = _Member(stream).read(64) if magic.startswith(_GZIP) else stream.read(64)
    if not magic:
        damaged(0, "an empty file; fetch it again")
    elif opening.startswith(b"filedesc://"):
        damaged(0, "an ARC file, and only WARC is read; convert it with `warcio recompress OLD.arc NEW.warc.gz`")
    elif magic in _READERS:
        with open_input(file) as stream:
            yield from _Stream(0, _Frames(_READERS[magic](stream), file.num_bytes), damaged).records()
    elif _is_gzip(file):
        yield from _gzip_records(file, start, damaged)
    else:
        with open_input(file, start) as stream:
            yield from _Stream(start, _Plain(stream), damaged).records()


def next_record(file: InputFile, offset: int) -> int | None:
    """Where, at or after `offset`, a record or its gzip member begins; None if nowhere."""
    if _is_gzip(file):
        return next(_members(file, offset), None)
    return 0 if offset == 0 else next(_find(file, offset - 1, _NEXT), None)


def _gzip_records(file: InputFile, start: int, damaged: Damaged) -> Iterator[Record]:
    offset: int | None = start
    while offset is not None and offset < file.num_bytes:
        with open_input(file, offset) as stream:
            member = _Member(stream)
            yield from _Stream(offset, member, damaged).records()
        if member.error:
            offset = next_record(file, offset + 1)
            continue
        offset += member.num_bytes
        if offset < file.num_bytes and not _begins_member(file, offset):
            damaged(offset, "bytes that are no gzip member")
            offset = next_record(file, offset)


class _Plain:
    """The bytes of an uncompressed file; its records have offsets of their own."""

    encloses = False
    error = ""
    num_bytes = -1

    def __init__(self, stream: BinaryIO) -> None:
        self.read = stream.read


class _Member:
    """The inflated bytes of one gzip member. Read to its end it knows its length in the file, or its error."""

    encloses = True

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._inflate = stream, isal_zlib.decompressobj(31)
        self._given, self._pending = 0, b""
        self.error = ""

    def read(self, size: int) -> bytes:
        """At most `size` bytes, b"" at the end of the member, of the file, or of what inflates."""
        while not self._inflate.eof and not self.error:
            data = self._pending
            if not data:
                data = self._stream.read(64 << 10)
                self._given += len(data)
            if not data:
                self.error = "the file ends in the middle of a gzip member; fetch it again"
                break
            try:
                out = self._inflate.decompress(data, size)
            except isal_zlib.error as error:  # type: ignore[misc]  # a class, which its stubs do not say
                self.error = f"a gzip member that does not inflate ({error})"
                break
            self._pending = self._inflate.unconsumed_tail
            if out:
                return bytes(out)
        return b""

    @property
    def num_bytes(self) -> int:
        return self._given - len(self._inflate.unused_data)


class _Frames:
    """The inflated bytes of a zstd or lz4 file as a whole: it cannot be entered in the middle."""

    encloses = True

    def __init__(self, reader: WarcReader, num_bytes: int) -> None:
        self._reader, self.num_bytes = reader, num_bytes
        self.error = ""

    def read(self, size: int) -> bytes:
        try:
            return bytes(self._reader.read(size))
        except OSError as error:
            self.error = f"compressed data that do not inflate ({error})"
            return b""


_READERS: dict[bytes, Callable[[BinaryIO], WarcReader]] = {
    b"\x28\xb5\x2f\xfd": ZstdReader,
    b"\x04\x22\x4d\x18": Lz4Reader,
}


class _Stream:
    """Parses the records of `source`, which begins at `start` in the file."""

    def __init__(self, start: int, source: _Plain | _Member | _Frames, damaged: Damaged) -> None:
        self._start, self._source, self._damaged = start, source, damaged
        self._buffer, self._next, self._at = b"", 0, 0  # _next indexes the buffer; _at counts bytes taken in all

    def records(self) -> Iterator[Record]:
        """All whole records. One that is alone in its gzip member is given out when the member is seen to be whole."""
        alone: Record | None = None
        first = True
        while self._skip_blank():
            begin = self._at
            found = self._record()
            if alone is not None:
                yield alone
                alone = None
            if isinstance(found, str):
                if not self._source.error:  # else that is the cause, and it is named below
                    self._damaged(self._start if self._source.encloses else self._start + begin, found)
                if not self._seek_next():
                    break
            elif not self._source.encloses:
                yield replace(found, offset=self._start + begin, length=self._at - begin, opens_unit=True)
            elif first:
                alone = replace(found, opens_unit=True)
            else:
                yield found
            first = False
        if self._source.error:
            self._damaged(self._start, self._source.error)
        elif alone is not None:
            yield replace(alone, length=self._source.num_bytes)

    def _record(self) -> Record | str:
        """The record at this place, as one of several in its gzip member; or why there is none."""
        opens_file = self._at == self._start == 0
        head = self._head()
        if head is None:
            return "not a WARC file: it does not begin with a record" if opens_file else "bytes that are no record"
        headers = _parse(head)
        declared = headers.get("content-length", "")
        if not (declared.isascii() and declared.isdigit() and len(declared) <= 18):
            return f"a record without a valid Content-Length ({declared[:40]!r})"
        length = int(declared)
        content = self._take(min(length, MAX_CONTENT + 1))
        if len(content) < length or length > MAX_CONTENT:
            self._give_back(content)
            if len(content) > MAX_CONTENT:
                return f"a record of {length:,} bytes; at most {MAX_CONTENT:,} are held"
            return f"a record cut short: {len(content):,} of {length:,} bytes"
        self._skip_blank()
        return Record(self._start, -1, False, headers, head, content)

    def _fill(self) -> bool:
        more = self._source.read(_CHUNK)
        if more:
            self._buffer, self._next = self._buffer[self._next :] + more, 0
        return bool(more)

    def _drop(self, size: int) -> bytes:
        taken = self._buffer[self._next : self._next + size]
        self._next += len(taken)
        self._at += len(taken)
        return taken

    def _give_back(self, content: bytes) -> None:
        self._buffer, self._next = content + self._buffer[self._next :], 0
        self._at -= len(content)

    def _skip_blank(self) -> bool:
        """Pass over line ends; is there anything behind them?"""
        while True:
            blank = _BLANK.match(self._buffer, self._next)
            assert blank is not None
            self._drop(blank.end() - self._next)
            if self._next < len(self._buffer):
                return True
            if not self._fill():
                return False

    def _head(self) -> bytes | None:
        while len(self._buffer) - self._next < 32 and self._fill():
            pass
        if _VERSION.match(self._buffer, self._next) is None:
            return None
        while (end := _HEADER_END.search(self._buffer, self._next)) is None:
            if len(self._buffer) - self._next > _MAX_HEADER or not self._fill():
                return None
        head = self._drop(end.start() - self._next)
        self._drop(end.end() - end.start())
        return head

    def _take(self, size: int) -> bytes:
        """`size` bytes, fewer at the end."""
        parts, missing = [], size
        while missing and (self._next < len(self._buffer) or self._fill()):
            parts.append(self._drop(missing))
            missing -= len(parts[-1])
        return b"".join(parts)

    def _seek_next(self) -> bool:
        """Go to the next line that begins a record."""
        self._drop(1)
        while (found := _NEXT.search(self._buffer, self._next)) is None:
            self._drop(max(0, len(self._buffer) - self._next - 64))
            if not self._fill():
                return False
        self._drop(found.start() - self._next)
        return True


def _parse(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for line in head.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")[1:]:
        if line[:1] in " \t" and name:
            headers[name] += " " + line.strip()  # a continuation line
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or name in headers:
            name = ""
            continue
        headers[name] = value.strip()
    return headers


def _find(file: InputFile, offset: int, pattern: re.Pattern[bytes]) -> Iterator[int]:
    """Where `pattern`, of at most 64 bytes, begins in the raw file from `offset` on."""
    with open_input(file, offset) as stream:
        window = stream.read(_CHUNK)
        while window:
            for found in pattern.finditer(window):
                yield offset + found.start()
            more = stream.read(_CHUNK)
            if not more:
                return
            keep = window[-63:]
            offset += len(window) - len(keep)
            window = keep + more


def _is_gzip(file: InputFile) -> bool:
    """By its first bytes; where these are neither gzip nor WARC, by whether a gzip member with a record is in it."""
    with open_input(file) as stream:
        opening = stream.read(4096)
    if opening.startswith(_GZIP[:2]):
        return True
    return _VERSION.match(opening.lstrip()) is None and next(_members(file, 0), None) is not None


def _members(file: InputFile, offset: int) -> Iterator[int]:
    return (at for at in _find(file, offset, re.compile(re.escape(_GZIP))) if _is_member(file, at))


def _begins_member(file: InputFile, offset: int) -> bool:
    with open_input(file, offset) as stream:
        return stream.read(3) == _GZIP


def _is_member(file: InputFile, offset: int) -> bool:
    """Does a gzip member with a WARC record begin here? The three bytes of its magic occur in compressed data too."""
    with open_input(file, offset) as stream:
        return _VERSION.match(_Member(stream).read(64)) is not None
