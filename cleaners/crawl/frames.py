"""Inflates zstd and lz4 files: frames one after the other, with skippable frames before, between and after them.

The frames of the two formats are told apart by the first that is not skippable: skippable frames are the same in both
(https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md).
"""

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

import zstandard
from fastwarc.stream_io import Lz4Reader, Lz4Writer

from shards import zstd

_LZ4 = b"\x04\x22\x4d\x18"
_MAX_BLOCK = 4 << 20  # the largest block of an lz4 frame
_PIECE = 64 << 10
# Bits of an lz4 frame's first flags.
_HAS_DICTIONARY, _HAS_CHECKSUM, _HAS_SIZE, _HAS_BLOCK_CHECKSUMS = 1, 4, 8, 16


def is_framed(stream: BinaryIO) -> bool:
    """Whether the file that `stream` is at the start of has frames; the stream stays where it is."""
    return _first_magic(stream) in (zstd.MAGIC, _LZ4)


def inflate(stream: BinaryIO) -> Iterator[bytes]:
    """The content of a file of frames, in pieces.

    Reading it raises OSError where the bytes do not inflate, and EOFError where a frame is cut.
    """
    return zstd.inflate(stream) if _first_magic(stream) == zstd.MAGIC else _inflate_lz4(stream)


def compressor(stream: BinaryIO) -> Callable[[bytes], bytes] | None:
    """What makes a frame as those of the file that `stream` is at the start of; None for a file without frames."""
    return {zstd.MAGIC: zstandard.compress, _LZ4: _compress_lz4}.get(_first_magic(stream))


def _first_magic(stream: BinaryIO) -> bytes:
    """The four bytes that begin the first frame that is not skippable."""
    magic = stream.read(4)
    while zstd.is_skippable(magic):
        stream.seek(int.from_bytes(stream.read(4), "little"), io.SEEK_CUR)
        magic = stream.read(4)
    stream.seek(0)
    return magic


def _inflate_lz4(stream: BinaryIO) -> Iterator[bytes]:
    errors: list[Exception] = []

    def up_to_an_error() -> Iterator[bytes]:
        try:
            yield from _without_skippable(stream)
        except (OSError, EOFError) as error:
            errors.append(error)  # raised when all before it is inflated: the library would lose what it holds

    reader = Lz4Reader(zstd.Pieces(up_to_an_error()))
    try:
        while piece := reader.read(_PIECE):
            yield bytes(piece)
    except OSError as error:
        errors.append(OSError(f"lz4 data that do not inflate: {error}"))
    if errors:
        raise errors[0]


def _compress_lz4(data: bytes) -> bytes:
    frame = io.BytesIO()
    with Lz4Writer(frame) as writer:
        writer.write(data)
    return frame.getvalue()


def _without_skippable(stream: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file of lz4 frames without the skippable ones, at which the library stops."""
    while magic := stream.read(4):
        if zstd.is_skippable(magic):
            zstd.skip(stream)
            continue
        if magic != _LZ4:
            raise OSError("bytes that are no lz4 frame")
        descriptor = _exactly(stream, 2)
        flags = descriptor[0]
        fields = 8 * bool(flags & _HAS_SIZE) + 4 * bool(flags & _HAS_DICTIONARY) + 1
        yield magic + descriptor + _exactly(stream, fields)
        while size := int.from_bytes(mark := _exactly(stream, 4), "little") & 0x7FFF_FFFF:  # the top bit: stored as is
            if size > _MAX_BLOCK:
                raise OSError(f"an lz4 block of {size:,} bytes")
            yield mark + _exactly(stream, size + 4 * bool(flags & _HAS_BLOCK_CHECKSUMS))
        yield mark + _exactly(stream, 4 * bool(flags & _HAS_CHECKSUM))


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the file ends in the middle of an lz4 frame; fetch it again")
    return data
