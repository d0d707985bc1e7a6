"""Undoes the transfer and content encodings of HTTP bodies as far as possible.

Crawlers cut long bodies; the part that inflates is kept. Some archives store decoded bodies under headers that still
declare an encoding; the body is kept as stored, and so is one of an unknown encoding.
"""

import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

import brotli
from fastwarc.stream_io import ZstdReader
from isal import isal_zlib

MAX_BODY = 64 << 20  # a body is inflated up to this size; `page.max_bytes` refuses far smaller ones

State = Literal["whole", "cut", "untrue"]  # untrue: an encoding is declared that the bytes do not have
_PIECE = 64 << 10
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")  # occurs in compressed bytes and not in text
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]*)?\r?\n")


def undo_encodings(body: bytes, transfer: str, content: str) -> tuple[bytes, State]:
    """`body` as the page was written. `transfer` and `content` are the values of the two headers, "" where absent."""
    states: list[State] = []
    if "chunked" in transfer.lower():
        body, state = _join_chunks(body)
        states.append(state)
    for name in reversed(content.lower().split(",")):  # the last one was applied last
        inflate = _INFLATE.get(name.strip())
        if inflate is not None and body:
            body, state = _inflated(body, inflate)
            states.append(state)
    return body, "untrue" if "untrue" in states else "cut" if "cut" in states else "whole"


def _join_chunks(body: bytes) -> tuple[bytes, State]:
    """Join the chunks of RFC 9112, section 7.1, without trailers. A body cut in or after its first chunk is "cut"."""
    parts: list[bytes] = []
    offset = 0
    while (line := _CHUNK_SIZE.match(body, offset)) is not None:
        size, begin = int(line[1], 16), line.end()
        if size == 0:
            return b"".join(parts), "whole"
        end = begin + size
        if not parts and end < len(body) and body[end : end + 1] not in (b"\r", b"\n"):
            return body, "untrue"  # text that begins like a number
        parts.append(body[begin:end])
        offset = end + (2 if body[end : end + 2] == b"\r\n" else 1)
    if not parts:
        return body, "untrue" if body else "whole"
    return b"".join(parts), "cut"


def _inflated(body: bytes, inflate: Callable[[bytes], Iterator[bytes]]) -> tuple[bytes, State]:
    parts: list[bytes] = []
    size = 0
    try:
        for part in inflate(body):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY:
                return b"".join(parts), "cut"
    except (OSError, EOFError, zlib.error, brotli.error, isal_zlib.error) as error:  # type: ignore[misc]  # isal's stubs
        is_cut = isinstance(error, EOFError) and _CONTROL.search(body, 0, 512) is not None
        if size or is_cut or body.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):  # gzip's and zstd's magic
            return b"".join(parts), "cut"
        return body, "untrue"
    return b"".join(parts), "whole"


def _gzip(body: bytes) -> Iterator[bytes]:
    while body:
        inflate = isal_zlib.decompressobj(31)
        yield from _pieces(inflate, body)
        body = inflate.unused_data
        if not body.startswith(b"\x1f\x8b"):
            return  # zeros and line ends that servers append


def _deflate(body: bytes) -> Iterator[bytes]:
    """Inflate with zlib's wrapping, as RFC 9110 says, or without it, as servers send."""
    is_wrapped = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return _pieces(isal_zlib.decompressobj(15 if is_wrapped else -15), body)


def _pieces(inflate: Any, body: bytes) -> Iterator[bytes]:
    while not inflate.eof:
        part = inflate.decompress(body, _PIECE)  # may hold output back when all of `body` is taken
        if not part and not inflate.unconsumed_tail and not inflate.eof:
            raise EOFError
        yield part
        body = inflate.unconsumed_tail


def _brotli(body: bytes) -> Iterator[bytes]:
    inflate = brotli.Decompressor()
    yield inflate.process(body, output_buffer_limit=_PIECE)
    while not inflate.is_finished():
        part = inflate.process(b"", output_buffer_limit=_PIECE)
        if not part:
            raise EOFError
        yield part


def _zstd(body: bytes) -> Iterator[bytes]:
    reader = ZstdReader(io.BytesIO(body))
    while part := reader.read(_PIECE):
        yield bytes(part)


_INFLATE: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
