"""The lines of a file of JSON lines or text, inflated and as UTF-8.

    file ──first bytes──▶ gzip, zstd, xz, bzip2, lz4 or plain ──first bytes──▶ UTF-8, UTF-16 or UTF-32 ──▶ lines

Names say nothing: a `.jsonl` that a server has compressed is read, and so is `LINES.JSONL.GZ`.
"""

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa

from shards import zstd
from shards.storage import InputFile, open_input

# What reading a broken file raises.
UNREADABLE = (pa.ArrowException, OSError, EOFError, ValueError, OverflowError, zlib.error, lzma.LZMAError)

_OTHERS = {b"PAR1": "a Parquet file", b"ARROW1": "an Arrow file"}  # by their first bytes
_READ_BYTES = 64 << 10  # inflated at once: of a broken file at most so much is lost before the break
_LONGEST = 6  # bytes of the longest magic number


class NotLines(ValueError):
    """A file of another kind, as its first bytes say."""


class RowLines:
    """Iterates over the lines with their ends. `is_stored` tells whether they are the bytes of the file itself.

    Iterating raises one of `UNREADABLE` where the file does not inflate or decode; `cause_of` says it for people.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """`stream` is one of `open_input`, at byte 0."""
        opening = stream.read(_LONGEST)
        stream.seek(0)
        if (other := next((name for magic, name in _OTHERS.items() if opening.startswith(magic)), None)) is not None:
            raise NotLines(f"{other}, where lines were expected; set the source's kind")
        self._stream: BinaryIO = stream
        inflate = _inflater(opening)
        if inflate is not None:
            inflated = io.BufferedReader(_Raw(inflate(stream)), _READ_BYTES)
            self._stream, opening = inflated, inflated.peek(4)
        self._encoding = json.detect_encoding(opening[:4])
        self.is_stored = inflate is None and self._encoding.startswith("utf-8")

    def seek(self, offset: int) -> None:
        """Go to byte `offset` of a file that `is_stored`, which begins a line."""
        self._stream.seek(offset)

    def __iter__(self) -> Iterator[bytes]:
        if self._encoding.startswith("utf-8"):
            yield from self._stream
            return
        with io.TextIOWrapper(self._stream, self._encoding, newline="\n") as text:
            yield from (line.encode() for line in text)


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
    remedy = "" if is_stored else "; texts that were read from it may be altered, fetch it again"
    return f"not a whole {kind} file: {text}{remedy}"


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
