"""Fetches wanted parts of a file in few requests, many at a time, and gives them in their order.

    wanted      ▂▂ ▂▂▂   ▂▂                ▂▂▂ ▂ ▂▂      parts of a file, ascending
    spans      |──────────|               |────────|     a request each: gaps up to 256 KB are fetched along
    under way      1            2    3 …                 up to 16 requests and 32 MB ahead of what is read

A part that cannot be had does not take the others of its span with it: they are asked for one by one.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shards.address import host_root, is_http, is_s3, shown
from shards.errors import RunError
from shards.http_file import HttpFile
from shards.http_request import answer, finish
from shards.limits import check_limits
from shards.object_store import ENDS_BEFORE
from shards.pace import Pace
from shards.remote import CONNECTIONS, Passing, RemoteError, RemoteFile, StillPassing
from shards.s3_object import S3Object

# A request takes as long as some 256 KB do, and servers count requests; a jump in a file that is read costs the same.
MAX_GAP = 256 << 10
MAX_SPAN = 4 << 20  # bytes of a request, unless one part has more
_MOST_AHEAD = 32 << 20  # bytes that are fetched and not read

_with_ranges: set[str] = set()  # hosts that were seen to send parts of files


@dataclass(frozen=True)
class Part:
    """Bytes of a file."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(frozen=True)
class Missing:
    """Why a part cannot be had: cause and remedy."""

    cause: str


def spans(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """The parts, which ascend, in groups that are fetched together."""
    span: list[Part] = []
    end = 0
    for part in parts:
        if span and (part.offset - end > MAX_GAP or part.end - span[0].offset > MAX_SPAN):
            yield span
            span, end = [], 0
        span.append(part)
        end = max(end, part.end)
    if span:
        yield span


def read_parts(path: str, parts: Sequence[Part], per_second: float) -> Iterator[bytes | Missing]:
    """The bytes of each part of the file at a URL or path. RunError where its server sends nothing at all."""
    if not is_http(path) and not is_s3(path):
        yield from _on_disk(path, parts)
        return
    source = _Source(path, Pace(path, per_second) if is_http(path) else None)
    todo = deque(spans(parts))
    if host_root(path) not in _with_ranges and todo:
        one = source.opened()
        yield from source.read(todo.popleft(), one)
        if isinstance(one, HttpFile) and not one.has_ranges:  # what comes is the whole file, which is read on
            for span in todo:
                yield from source.read(span, one)
            return
        _with_ranges.add(host_root(path))
    yield from _ahead(source, todo)


def _ahead(source: "_Source", todo: "deque[list[Part]]") -> Iterator[bytes | Missing]:
    pool = ThreadPoolExecutor(CONNECTIONS)
    under_way: deque[tuple[int, Future[list[bytes | Missing]]]] = deque()
    num_bytes = 0
    try:
        while todo or under_way:
            while todo and len(under_way) < CONNECTIONS and (num_bytes < _MOST_AHEAD or not under_way):
                span = todo.popleft()
                length = span[-1].end - span[0].offset
                under_way.append((length, pool.submit(source.read, span)))
                num_bytes += length
            length, first = under_way.popleft()
            yield from first.result()
            num_bytes -= length
    finally:
        pool.shutdown(cancel_futures=True)


class _Source:
    """A file behind a server."""

    def __init__(self, path: str, pace: Pace | None) -> None:
        self._path, self._pace = path, pace

    def opened(self) -> RemoteFile:
        return HttpFile(self._path, None, "", self._pace) if is_http(self._path) else S3Object(self._path, "")

    def read(self, span: Sequence[Part], file: RemoteFile | None = None) -> list[bytes | Missing]:
        """The parts of a span. RunError where the server, asked for another byte of the file, does not answer."""
        file = file or self.opened()
        begin, end = span[0].offset, max(part.end for part in span)
        try:
            data = file.read(begin, end - begin)
            if len(data) < end - begin:
                raise RemoteError(*ENDS_BEFORE)
            return [data[part.offset - begin : part.end - begin] for part in span]
        except RemoteError as error:
            if isinstance(error, StillPassing) and not self._answers():
                raise RunError(f"{shown(self._path)}: offset {begin}: {error}") from None
            if len(span) == 1:
                return [Missing(str(error))]
        found = self.read(span[:1])
        if isinstance(found[0], Missing):  # the file itself, since what ends before its parts lacks the last ones
            return found * len(span)
        return found + [found for part in span[1:] for found in self.read([part])]

    def _answers(self) -> bool:
        """Whether the server sends the first byte of the file: then it is the part that cannot be had."""
        if not is_http(self._path):
            return False
        with suppress(Passing, RemoteError):
            finish(answer(self._path, "bytes=0-0", known=True, pace=self._pace))
            return True
        return False


def _on_disk(path: str, parts: Sequence[Part]) -> Iterator[bytes | Missing]:
    try:
        with Path(path).open("rb") as file:
            for part in parts:
                file.seek(part.offset)
                data = file.read(part.length)
                yield (
                    data
                    if len(data) == part.length
                    else Missing("the file ends before these bytes; check offset and length")
                )
    except FileNotFoundError:
        yield from [Missing("no such file; check the root")] * len(parts)
    except OSError as error:
        check_limits(path, error)
        raise RunError(f"{path}: cannot be read: {error.strerror}; check its rights and the disk") from None
