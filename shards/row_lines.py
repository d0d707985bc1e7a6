"""The lines of a file of JSON lines or text, inflated and as UTF-8.

    file ──first bytes──▶ gzip, zstd, xz, bzip2, lz4 or plain ──first bytes──▶ UTF-8, UTF-16 or UTF-32 ──▶ lines

Names say nothing: a `.jsonl` that a server has compressed is read, and so is `LINES.JSONL.GZ`.
"""

import bz2
import codecs
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, AnyStr, BinaryIO

import pyarrow as pa

from shards import zstd
from shards.storage import InputFile, open_input

# What reading a broken file raises.
UNREADABLE = (pa.ArrowException, OSError, EOFError, ValueError, OverflowError, zlib.error, lzma.LZMAError)

# What is refused, by its first bytes: Parquet, Arrow, APPNOTE 4.3.7, the .lzma format of LZMA Utils, 7zFormat.txt.
_OTHERS = {
    b"PAR1": "a Parquet file, where lines were expected; set the source's kind",
    b"ARROW1": "an Arrow file, where lines were expected; set the source's kind",
    b"PK\3\4": "a zip archive, where lines were expected; unpack it, for example with unzip",
    b"\x5d\0\0": "an lzma file of the format before xz; inflate it, for example with xz -d --format=lzma",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive, where lines were expected; unpack it, for example with 7z x",
}
_ZLIB = (b"x\x01", b"x^", b"x\x9c", b"x\xda")  # RFC 1950 with a window of 32 KiB
_INFLATE_ZLIB = "a zlib stream, which no file of lines is; inflate it, for example with zlib-flate -uncompress"
_INFLATE_ONCE = "a file that is compressed twice; inflate it once, so that lines or one compressed file are left"
_READ_BYTES = 64 << 10  # inflated at once: of a broken file at most so much is lost before the break
MAX_LINE = 128 << 20  # bytes, as of a WARC record's content
_OPENING_BYTES = 32  # enough to tell a zlib stream from a text that begins with "x^"


class NotLines(ValueError):
    """A file of another kind, as its first bytes say."""


class RowLines:
    """Iterates over the lines with their ends. `is_stored` tells whether they are the bytes of the file itself.

    Iterating raises one of `UNREADABLE` where the file does not inflate or decode; `cause_of` says it for people.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """`stream` is one of `open_input`, at byte 0."""
        opening = stream.read(_OPENING_BYTES)
        stream.seek(0)
        _refuse_others(opening)
        self._stream: BinaryIO = stream
        inflate = _inflater(opening)
        if inflate is not None:
            inflated = io.BufferedReader(_Raw(inflate(stream)), _READ_BYTES)
            self._stream, opening = inflated, inflated.peek(_OPENING_BYTES)[:_OPENING_BYTES]
            _refuse_others(opening)
            if _inflater(opening) is not None:
                raise NotLines(_INFLATE_ONCE)
        starts_with_nul = not opening[:4].strip(b"\0")  # no encoding of text, but what a crash leaves
        self._encoding = "utf-8" if starts_with_nul else json.detect_encoding(opening[:4])
        self.is_stored = inflate is None and self._encoding.startswith("utf-8")

    def seek(self, offset: int) -> None:
        """Go to byte `offset` of a file that `is_stored`, which begins a line."""
        self._stream.seek(offset)

    def __iter__(self) -> Iterator[bytes]:
        if self._encoding.startswith("utf-8"):
            yield from _bounded(self._stream.readline)
            return
        with io.TextIOWrapper(self._stream, self._encoding, newline="\n") as text:
            yield from (line.encode() for line in _bounded(text.readline))


@contextmanager
def open_lines(file: InputFile) -> Iterator[RowLines]:
    """The lines of `file` from its beginning."""
    with open_input(file) as stream:
        yield RowLines(stream)


def cause_of(error: BaseException, kind: str, *, is_stored: bool = True) -> str:
    """Why a file of `kind` cannot be read to its end, in one line. `is_stored` as in `RowLines`."""
    text = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, NotLines):
        return text
    cause, _, remedy = text.partition("; ")
    if not is_stored and remedy in ("", "fetch it again"):
        text = f"{cause}; texts that were read from it may be altered, fetch it again"
    return f"not a whole {kind} file: {text}"


def _bounded(readline: Callable[[int], AnyStr]) -> Iterator[AnyStr]:
    """The lines. ValueError at one that is longer than `MAX_LINE`: a few KB of a compressed file can be gigabytes."""
    while line := readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise NotLines(f"a line of more than {MAX_LINE:,} bytes, which is no document; leave it out")
        yield line


def _refuse_others(opening: bytes) -> None:
    """NotLines for a file that begins with `opening`, if it is of a kind that is not read as lines."""
    if (other := next((told for magic, told in _OTHERS.items() if opening.startswith(magic)), None)) is not None:
        raise NotLines(other)
    if opening.startswith(_ZLIB) and not _is_utf8(opening):
        raise NotLines(_INFLATE_ZLIB)


def _is_utf8(opening: bytes) -> bool:
    """Whether the bytes are UTF-8, but for a character that is cut at their end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(opening)
    except UnicodeDecodeError:
        return False
    return True


def _inflater(magic: bytes) -> Callable[[BinaryIO], Any] | None:
    """What inflates a file that begins with `magic`, the numbers of RFC 1952, RFC 8878 and the formats' own pages."""
    if magic.startswith(b"\x1f\x8b"):
        return lambda stream: gzip.GzipFile(fileobj=stream).read1
    if magic.startswith(b"\xfd7zXZ\0"):
        return lambda stream: lzma.LZMAFile(stream).read1
    if magic.startswith(b"BZh"):
        return lambda stream: bz2.BZ2File(stream).read1
    if magic.startswith(zstd.MAGIC) or zstd.is_skippable(magic[:4]):
        return lambda stream: zstd.Pieces(zstd.inflate(stream)).read
    if magic.startswith(b"\x04\x22\x4d\x18"):
        return lambda stream: pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "lz4").read
    return None


class _Raw(io.RawIOBase):
    """The bytes that `read(size)` gives, b"" at their end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
