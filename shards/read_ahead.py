"""Streams of remote files that fetch each byte once, in few requests.

    fetched   |256 KB|  1 MB  |     4 MB     |     4 MB     | …    while reading goes on where a fetch ended
    elsewhere |256 KB|                                             after a jump: a sample reads little at each place

A reader asks a file several questions before it reads it (is it gzip, a WARC?), each on a stream of its own, the next
unit begins in what the last one fetched, and samples of a small file are drawn again and again. So a process keeps the
beginning and 16 MB of the last fetches of each of the two files that it read last.
"""

import io
from collections import deque
from functools import lru_cache
from typing import Any

from shards.address import is_http, shown
from shards.errors import RunError
from shards.http_file import HttpFile
from shards.remote import RemoteError, RemoteFile
from shards.s3_object import S3Object

# Bytes of a fetch. Servers throttle by requests, and what a unit's last fetch brings too much is lost to others.
_LEAST, _MOST = 256 << 10, 4 << 20
_GROWTH = 4
_KEPT = 16 << 20  # bytes of a file
_BUFFER_BYTES = 64 << 10


def open_remote(path: str, num_bytes: int, version: str) -> io.BufferedReader:
    """A seekable stream of the file at a URL, of the size and version that `stat` gave. Reading raises RunError."""
    return io.BufferedReader(_RemoteRaw(_fetches(path, num_bytes, version)), _BUFFER_BYTES)


def num_fetches(num_bytes: int) -> int:
    """The requests in which so many bytes are fetched, one after the other from some place of a file."""
    count, length = 0, _LEAST
    while num_bytes > 0:
        count, num_bytes, length = count + 1, num_bytes - length, min(_MOST, _GROWTH * length)
    return count


@lru_cache(maxsize=2)
def _fetches(path: str, num_bytes: int, version: str) -> "_Fetches":
    remote: RemoteFile = HttpFile(path, num_bytes, version) if is_http(path) else S3Object(path, version)
    return _Fetches(path, num_bytes, remote)


class _Fetches:
    """The parts of one file that were fetched last."""

    def __init__(self, path: str, num_bytes: int, remote: RemoteFile) -> None:
        self.num_bytes = num_bytes
        self._path, self._remote = path, remote
        self._beginning = b""
        self._last: deque[tuple[int, bytes]] = deque()

    def bytes_at(self, offset: int) -> memoryview:
        """Some bytes from `offset` on; none at the end of the file. RunError where they cannot be read."""
        length, end = _LEAST, self.num_bytes
        for start, data in ((0, self._beginning), *self._last):
            if start <= offset < start + len(data):
                return memoryview(data)[offset - start :]
            if data and start + len(data) == offset:
                length = max(length, min(_MOST, _GROWTH * len(data)))
            elif start > offset:
                end = min(end, start)
        if offset >= end:
            return memoryview(b"")
        length = min(length, end - offset)
        try:
            data = self._remote.read(offset, length)
        except RemoteError as error:
            raise RunError(f"{shown(self._path)}: offset {offset}: {error}") from None
        if offset == 0:
            self._beginning = data
        else:
            self._last.append((offset, data))
            while sum(len(data) for _, data in self._last) > _KEPT:
                self._last.popleft()
        return memoryview(data)


class _RemoteRaw(io.RawIOBase):
    def __init__(self, fetches: _Fetches) -> None:
        self._fetches, self._at = fetches, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._fetches.num_bytes}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._fetches.bytes_at(self._at)[: len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
