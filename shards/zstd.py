"""Inflates Zstandard files (RFC 8878): any number of frames, the first of which may hold a dictionary for the others.

    ┌ 0x184D2A5D: dictionary ┐ ┌ frame ┐ ┌ frame ┐ … ┌ 0x184D2A5x: other data ┐

Crawls put their dictionary into the first frame, plain or as a zstd frame of its own
(https://iipc.github.io/warc-specifications/specifications/warc-zstd/). Other skippable frames, such as the index of the
seekable format, are passed over.
"""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

import zstandard

MAGIC = b"\x28\xb5\x2f\xfd"
MAX_WINDOW = 2 << 30  # bytes, as `zstd --long=31` writes it: the longest that the reference implementation reads

_PIECE = 4 << 10  # bytes inflated at once: at most 128 MB come of them, since a block of 128 KB takes 4 bytes
_MAX_HEADER = 18  # bytes of a frame's header
_DICTIONARY = b"\x5d\x2a\x4d\x18"
_MAX_DICTIONARY = 128 << 20


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_skippable(magic: bytes) -> bool:
    """Whether the four bytes begin a skippable frame, of zstd or of lz4."""
    return magic[1:] == b"\x2a\x4d\x18" and magic[0] & 0xF0 == 0x50


def skip(stream: Readable) -> None:
    """Pass over the rest of a skippable frame whose magic has been read; EOFError where the frame is cut."""
    left = _length(stream)
    while left:
        passed = len(stream.read(min(left, 1 << 20)))
        if not passed:
            raise EOFError("the file ends in the middle of a frame; fetch it again")
        left -= passed


def inflate(stream: BinaryIO) -> Iterator[bytes]:
    """The content of all frames in pieces, holding one window of at most `MAX_WINDOW` bytes.

    OSError for bytes that do not inflate and for a frame whose dictionary is not in the file; EOFError for a frame that
    is cut.
    """
    try:
        yield from _inflate(_Source(stream))
    except zstandard.ZstdError as error:
        if "too much memory" in str(error):  # the library's words for a longer window
            cause = f"a zstd window of more than {MAX_WINDOW:,} bytes; compress the file again with `zstd --long=31`"
            raise OSError(cause) from error
        if "not enough memory" in str(error):
            cause = "a zstd window for which there is no memory; inflate the file with `zstd -d --long=31`"
            raise OSError(cause) from error
        raise OSError(f"zstd data that do not inflate: {error}") from error


class Pieces(io.RawIOBase):
    """A stream of the bytes of `pieces`."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._piece, self._num_read = pieces, memoryview(b""), 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._num_read

    def readinto(self, buffer: Any) -> int:
        while not self._piece and (piece := next(self._pieces, None)) is not None:
            self._piece = memoryview(piece)
        size = min(len(buffer), len(self._piece))
        buffer[:size], self._piece = self._piece[:size], self._piece[size:]
        self._num_read += size
        return size


def _inflate(source: "_Source") -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    dictionary_id = 0
    while data := source.read(_MAX_HEADER):
        if is_skippable(data[:4]):
            source.give_back(data[4:])
            if data.startswith(_DICTIONARY):
                dictionary = zstandard.ZstdCompressionDict(_dictionary(source))
                dictionary_id = dictionary.dict_id()
                decompressor = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=MAX_WINDOW)
            else:
                skip(source)
            continue
        needed = zstandard.get_frame_parameters(data).dict_id
        if needed not in (0, dictionary_id):
            raise OSError(
                f"zstd with a dictionary that is not in the file (number {needed}); inflate it with `zstd -d -D` and "
                "its dictionary"
            )
        frame = decompressor.decompressobj()
        while data and not frame.eof:
            yield frame.decompress(data)
            data = source.read(_PIECE) if not frame.eof else b""
        if not frame.eof:
            raise EOFError("the file ends in the middle of a zstd frame; fetch it again")
        source.give_back(frame.unused_data)


def _dictionary(source: "_Source") -> bytes:
    size = _length(source)
    if size > _MAX_DICTIONARY:
        raise OSError(f"a zstd dictionary of {size:,} bytes; at most {_MAX_DICTIONARY:,} are held")
    data = source.read(size)
    if len(data) < size:
        raise EOFError("the file ends in the middle of its zstd dictionary; fetch it again")
    if data.startswith(MAGIC):
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            data = reader.read(_MAX_DICTIONARY)
    return data


def _length(stream: Readable) -> int:
    return int.from_bytes(stream.read(4), "little")


class _Source:
    """A stream to which bytes can be given back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._returned = stream, b""

    def read(self, size: int, /) -> bytes:
        if not self._returned:
            return self._stream.read(size)
        data, self._returned = self._returned[:size], self._returned[size:]
        return data if len(data) == size else data + self._stream.read(size - len(data))

    def give_back(self, data: bytes) -> None:
        self._returned = data + self._returned
