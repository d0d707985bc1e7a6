"""Reads the records of a WARC or ARC file: the offset, length, headers and content of each.

    gzip file ──▶ member ──inflate──▶ ┌ WARC/1.0 … Content-Length: n ┐ CR LF CR LF ┌ n bytes ┐ CR LF CR LF ┌ WARC/1.0 …
    plain file ─────────────────────▶ └ headers                      ┘             └ content ┘

Nothing that a file declares is trusted. A record ends at its Content-Length or with its gzip member, whichever comes
first. Content is read piece by piece, so that a length of 400 GB allocates nothing. Bytes that are not a whole record
are reported as damage, with their offset, and reading goes on after them, at the next gzip member or the next line that
begins a record (`cleaners.crawl.framing`). A file that does not begin with a record is refused, and only gzip members
are looked for in it: bytes of another format can hold lines that begin records. Memory holds one record of at most
`MAX_CONTENT` bytes.
"""

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from isal import isal_zlib

from cleaners.crawl import frames
from cleaners.crawl.arc import ARC
from cleaners.crawl.framing import WARC, Damaged, Format, Record, Stream
from shards.storage import InputFile, open_input
from shards.zstd import Pieces

_PIECE = 64 << 10  # bytes of a gzip member that one read takes
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b\x08"
_MEMBER = re.compile(re.escape(_GZIP))


def read_records(file: InputFile, start: int, damaged: Damaged) -> Iterator[Record]:
    """The records from byte `start` on: 0, the offset of a record that `opens_unit`, or a result of `next_record`.

    `damaged` is called for each run of bytes that is not a whole record.
    """
    form = _format(file)
    if not file.num_bytes:
        damaged(0, "an empty file; fetch it again")
    elif _is_framed(file):
        with open_input(file) as stream:
            yield from Stream(form, 0, _Frames(stream, file.num_bytes), damaged).records()
    elif _is_gzip(file, form):
        yield from _gzip_records(file, form, start, damaged)
    else:
        with open_input(file, start) as stream:
            yield from Stream(form, start, _Plain(stream), damaged).records()


def records_of(data: bytes, offset: int, damaged: Damaged) -> Iterator[Record]:
    """The records of a part of a file that begins at byte `offset`: one gzip member, or one plain record.

    `damaged` is called where it is more or less than that.
    """
    stream = io.BytesIO(data)
    if not data.startswith(_GZIP):
        form = ARC if ARC.begins.match(data) else WARC
        yield from Stream(form, offset, _Plain(stream), damaged).records()
        return
    member = _Member(stream)
    form = WARC if WARC.begins.match(member.peek(WARC.longest)) else ARC
    num_records = 0
    for record in Stream(form, offset, member, damaged).records():
        num_records += 1
        yield record
    if member.is_whole and (num_records == 0 or member.num_bytes != len(data)):
        damaged(offset, "not one record; the index is of another file")


def next_record(file: InputFile, offset: int, end: int | None = None) -> int | None:
    """The first offset, not before `offset`, at which a record or its gzip member begins; None if there is none.

    The file is searched up to `end`, and little more.
    """
    form = _format(file)
    if _is_framed(file):
        return 0 if offset == 0 else None
    if _is_gzip(file, form):
        return next(_members(file, form, offset, end), None)
    return 0 if offset == 0 else next(_find(file, offset - 1, form.next, form.longest, end), None)


def _format(file: InputFile) -> Format:
    """The format by the first bytes of its content; by the name where they do not begin a record."""
    with open_input(file) as stream:
        opening = _opening(stream, file)
    for form in (WARC, ARC):
        if form.begins.match(opening.lstrip(b"\r\n")):
            return form
    return ARC if re.search(r"\.arc(\.\w+)?$", file.name) else WARC


def _opening(stream: BinaryIO, file: InputFile) -> bytes:
    opening = stream.read(ARC.longest)
    stream.seek(0)
    if opening.startswith(_GZIP):
        return _Member(stream).read(ARC.longest)
    return _Frames(stream, file.num_bytes).read(ARC.longest) if frames.is_framed(stream) else opening


def _gzip_records(file: InputFile, form: Format, start: int, damaged: Damaged) -> Iterator[Record]:
    offset: int | None = start
    while offset is not None and offset < file.num_bytes:
        with open_input(file, offset) as stream:
            rest = stream.read(_PIECE)
            while rest:  # member after member
                member = _Member(stream, rest)
                yield from Stream(form, offset, member, damaged).records()
                if not member.is_whole:
                    offset += 1
                    break
                offset += member.num_bytes
                rest = member.rest()
                if rest and not rest.startswith(_GZIP):
                    damaged(offset, "bytes that are no gzip member")
                    break
        offset = next(_members(file, form, offset), None) if offset < file.num_bytes else None


class _Plain:
    """The bytes of an uncompressed file, in which each record has an offset of its own."""

    encloses = False
    error = ""
    num_bytes = -1

    def __init__(self, stream: BinaryIO) -> None:
        self.read = stream.read


class _Member:
    """The inflated bytes of one gzip member. After the last read, its length in the file or its error is known."""

    encloses = True

    def __init__(self, stream: BinaryIO, pending: bytes = b"") -> None:
        """`pending` holds the first bytes of the member that have been read from `stream` already."""
        self._stream, self._inflate = stream, isal_zlib.decompressobj(31)
        self._num_taken, self._pending = len(pending), pending
        self._peeked = b""
        self.error = ""

    def peek(self, size: int) -> bytes:
        """At most `size` of the first bytes, which are read again."""
        self._peeked = self.read(size)
        return self._peeked

    def read(self, size: int) -> bytes:
        """At most `size` bytes; b"" at the end of the member or of the file, or where the data do not inflate."""
        if self._peeked:
            out, self._peeked = self._peeked[:size], self._peeked[size:]
            return out
        while not self._inflate.eof and not self.error:
            data = self._pending
            if not data:
                data = self._stream.read(_PIECE)
                self._num_taken += len(data)
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
    def is_whole(self) -> bool:
        """Whether it has been read to its end, without error."""
        return bool(self._inflate.eof) and not self.error

    @property
    def num_bytes(self) -> int:
        return self._num_taken - len(self._inflate.unused_data)

    def rest(self) -> bytes:
        """The bytes after the member: b"" at the end of the file, else enough to recognize another member."""
        after: bytes = self._inflate.unused_data
        return after if len(after) >= len(_GZIP) else after + self._stream.read(_PIECE)


class _Frames:
    """The inflated bytes of a whole zstd or lz4 file, which cannot be entered in the middle."""

    encloses = True

    def __init__(self, stream: BinaryIO, num_bytes: int) -> None:
        self._content, self.num_bytes = Pieces(frames.inflate(stream)), num_bytes
        self.error = ""

    def read(self, size: int) -> bytes:
        try:
            return self._content.read(size)
        except (OSError, EOFError) as error:
            self.error = str(error)
            return b""


def _is_framed(file: InputFile) -> bool:
    with open_input(file) as stream:
        return frames.is_framed(stream)


def _find(
    file: InputFile, offset: int, pattern: re.Pattern[bytes], longest: int, end: int | None = None
) -> Iterator[int]:
    """Offsets, from `offset` on, at which `pattern` of at most `longest` bytes matches in the raw file.

    An offset near the seam of two reads can come twice. Bytes after `end` are not looked for, but may be found.
    """
    with open_input(file, offset) as stream:
        window = stream.read(_CHUNK)
        while window:
            for match in pattern.finditer(window):
                yield offset + match.start()
            more = stream.read(_CHUNK) if end is None or offset + len(window) < end + longest else b""
            if not more:
                return
            keep = window[-longest:]
            offset += len(window) - len(keep)
            window = keep + more


def _is_gzip(file: InputFile, form: Format) -> bool:
    """Whether the file begins like gzip, or begins with neither gzip nor a record and has a member with a record."""
    with open_input(file) as stream:
        opening = stream.read(form.longest)
    if opening.startswith(_GZIP[:2]):
        return True
    return form.begins.match(opening.lstrip()) is None and next(_members(file, form, 0), None) is not None


def _members(file: InputFile, form: Format, offset: int, end: int | None = None) -> Iterator[int]:
    candidates = _find(file, offset, _MEMBER, len(_GZIP), end)
    return (candidate for candidate in candidates if _is_member(file, form, candidate))


def _is_member(file: InputFile, form: Format, offset: int) -> bool:
    """Whether a gzip member with a record begins here: the three bytes of its magic occur in compressed data, too."""
    with open_input(file, offset) as stream:
        return form.begins.match(_Member(stream).read(form.longest)) is not None
