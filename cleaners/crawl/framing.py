"""Splits a stream of bytes into records, for heads of any format.

    ┌ head ┐ ┌ n bytes ┐ line ends ┌ head ┐ …        n: the length that the head declares

Bytes that are not a whole record are reported as damage, and reading goes on at the next line that begins a record.
`WARC` is the format of WARC files; that of ARC files is in `cleaners.crawl.arc`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

MAX_CONTENT = 128 << 20  # crawlers cut bodies at 1 to 5 MB; larger content is refused and not held in memory
_MAX_HEADER = 1 << 20
_PIECE = 16 << 10  # bytes of one read in the search for a head
_CHUNK = 1 << 20
_BLANK = re.compile(rb"[\r\n]*")

# First bytes of files that are given in place of a crawl's, and what to do.
_OTHER_FILES = {
    b"{": 'JSON lines, which have kind = "jsonl"',
    b"PAR1": 'Parquet, which has kind = "parquet"',
    b"ARROW1": 'a shard, which has kind = "shards"',
    b"\x1f\x8b": "gzip within gzip; inflate it once with gunzip",
    b"BZh": "bzip2; inflate it with bunzip2",
    b"\xfd7zXZ\0": "xz; inflate it with unxz",
    b"7z\xbc\xaf\x27\x1c": "7z; unpack it with 7z x",
    b"PK\x03\x04": "zip; unpack it with unzip",
}

Damaged = Callable[[int, str], None]  # offset in the file, cause


@dataclass(slots=True)
class Record:
    offset: int  # byte of the file at which the record, or the gzip member that contains it, begins
    length: int  # bytes of the file up to its end; -1 where it shares its gzip member with other records
    opens_unit: bool  # reading can begin at `offset`
    headers: dict[str, str]  # names in lower case; the first value of a repeated name
    head: bytes  # version line and headers as stored; for an ARC record those of the equivalent WARC record
    content: bytes


@dataclass(frozen=True)
class Format:
    """The form of the heads in a file."""

    name: str
    begins: re.Pattern[bytes]  # matches a head, or its first line, of at most `longest` bytes
    next: re.Pattern[bytes]  # the same at the beginning of a line
    head_end: re.Pattern[bytes]  # the bytes between head and content
    longest: int
    # Gives (headers, `content-length` among them; `Record.head`) of a stored head.
    read: Callable[[bytes], tuple[dict[str, str], bytes]]


class Source(Protocol):
    """Inflated bytes of a file. With `encloses`, all records have the offset of the source and none of their own."""

    encloses: bool
    error: str

    def read(self, size: int, /) -> bytes: ...

    @property
    def num_bytes(self) -> int: ...


class Stream:
    """Parses the records of `source`, which begins at `start` in the file."""

    def __init__(self, form: Format, start: int, source: Source, damaged: Damaged) -> None:
        self._form, self._start, self._source, self._damaged = form, start, source, damaged
        # `_next` is an index into the buffer, `_num_taken` the number of bytes taken so far.
        self._buffer, self._next, self._num_taken = b"", 0, 0

    def records(self) -> Iterator[Record]:
        """All whole records; none where the file does not begin with one.

        A record that is alone in its gzip member is yielded once the whole member has been read.
        """
        if self._start == 0 and self._skip_blank() and not self._is_at_head() and not self._source.error:
            opening = self._buffer[self._next :]
            known = (f" but {what}" for magic, what in _OTHER_FILES.items() if opening.startswith(magic))
            unknown = ": it does not begin with a record; fetch it again, or leave it out"
            self._damaged(0, f"not {self._form.name} file{next(known, unknown)}")
            return
        alone: Record | None = None
        first = True
        while self._skip_blank():
            begin = self._num_taken
            record = self._record()
            if alone is not None:
                yield alone
                alone = None
            if isinstance(record, str):
                if not self._source.error:  # else that error is the cause, reported below
                    self._damaged(self._start if self._source.encloses else self._start + begin, record)
                if not self._seek_next():
                    break
            elif not self._source.encloses:
                record.offset, record.length = self._start + begin, self._num_taken - begin
                record.opens_unit = True
                yield record
            elif first:
                record.opens_unit = True
                alone = record
            else:
                yield record
            first = False
        if self._source.error:
            self._damaged(self._start, self._source.error)
        elif alone is not None:
            alone.length = self._source.num_bytes
            yield alone

    def _record(self) -> Record | str:
        """The next record, as one of several in its gzip member; or the reason why there is none."""
        head = self._head()
        if head is None:
            return "bytes that are no record"
        headers, head = self._form.read(head)
        declared = headers.get("content-length", "")
        if not (declared.isascii() and declared.isdigit() and len(declared) <= 18):
            return f"a record without a valid length ({declared[:40]!r})"
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
        more = self._source.read(_PIECE)
        if more:
            self._buffer, self._next = self._buffer[self._next :] + more, 0
        return bool(more)

    def _drop(self, size: int) -> bytes:
        taken = self._buffer[self._next : self._next + size]
        self._next += len(taken)
        self._num_taken += len(taken)
        return taken

    def _give_back(self, content: bytes) -> None:
        self._buffer, self._next = content + self._buffer[self._next :], 0
        self._num_taken -= len(content)

    def _skip_blank(self) -> bool:
        """Skip line ends, and return whether anything follows them."""
        while True:
            blank = _BLANK.match(self._buffer, self._next)
            assert blank is not None
            self._drop(blank.end() - self._next)
            if self._next < len(self._buffer):
                return True
            if not self._fill():
                return False

    def _is_at_head(self) -> bool:
        while len(self._buffer) - self._next < self._form.longest and self._fill():
            pass
        return self._form.begins.match(self._buffer, self._next) is not None

    def _head(self) -> bytes | None:
        if not self._is_at_head():
            return None
        while (end := self._form.head_end.search(self._buffer, self._next)) is None:
            if len(self._buffer) - self._next > _MAX_HEADER or not self._fill():
                return None
        head = self._drop(end.start() - self._next)
        self._drop(end.end() - end.start())
        return head

    def _take(self, size: int) -> bytes:
        """`size` bytes, fewer at the end."""
        parts = [self._drop(size)]
        missing = size - len(parts[0])
        while missing and (more := self._source.read(min(missing, _CHUNK))):  # past the buffer: one copy less
            parts.append(more)
            self._num_taken += len(more)
            missing -= len(more)
        return b"".join(parts)

    def _seek_next(self) -> bool:
        """Go to the next line that begins a record, and return whether there is one."""
        self._drop(1)
        while (match := self._form.next.search(self._buffer, self._next)) is None:
            self._drop(max(0, len(self._buffer) - self._next - self._form.longest))
            if not self._fill():
                return False
        self._drop(match.start() - self._next)
        return True


def _read_warc(head: bytes) -> tuple[dict[str, str], bytes]:
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
    return headers, head


WARC = Format(
    name="a WARC",
    begins=re.compile(rb"WARC/\d+\.\d+[ \t]*\r*\n"),
    next=re.compile(rb"(?<=\n)WARC/\d+\.\d+[ \t]*\r*\n"),
    head_end=re.compile(rb"\r*\n\r*\n"),  # archives that went through a text mode of Windows have CR CR LF
    longest=64,
    read=_read_warc,
)
