"""Files behind `http://` and `https://`, read by ranges of bytes.

Servers differ. No HEAD is sent, because signed addresses and many servers refuse it: a GET of one byte tells the size.
A body that breaks off is continued where it broke. A server that knows no ranges sends the whole file, which is then
read on as it comes. What tells two versions of a file apart is the ETag, else Last-Modified, and always the size
(RFC 9110, sections 8.8 and 14).
"""

import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from urllib3.response import BaseHTTPResponse

from shards.http_request import answer, finish, read
from shards.pace import Pace
from shards.remote import DOWNLOAD, Passing, Patience, RemoteError

_PIECE = 64 << 10  # a connection that is reset loses at most this much of what came
_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)")


def stat(url: str) -> tuple[int, str]:
    """(bytes of the file, what tells its versions apart or "" where the server tells nothing). RemoteError."""
    patience = Patience()
    while True:
        try:
            response = answer(url, "bytes=0-0", known=False)
            num_bytes, version = _stated_total(response), _version(url, response)
            finish(response)
            return _counted(url) if num_bytes is None else num_bytes, version
        except Passing as error:
            patience.wait(error)


def has_ranges(url: str) -> bool:
    """Whether the server sends parts of the file. RemoteError."""
    patience = Patience()
    while True:
        try:
            response = answer(url, "bytes=0-0", known=True)
            finish(response)
            return response.status == 206
        except Passing as error:
            patience.wait(error)


class HttpFile:
    """One file. `num_bytes` and `version` are those of `stat`; a file that has changed since is refused.

    Of a file that was not asked for before, these are None and "". `pace` is that of requests to its host.
    """

    def __init__(self, url: str, num_bytes: int | None, version: str, pace: Pace | None = None) -> None:
        self._url, self._num_bytes, self._version, self._pace = url, num_bytes, version, pace
        self._whole: _Body | None = None  # the answer of a server without ranges, read on from where it is

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from byte `offset` on, which the file has. RemoteError where they do not come."""
        data = bytearray()
        patience = Patience()
        while len(data) < length:
            try:
                for piece in self._pieces(offset + len(data), offset + length):
                    data += piece
                    patience.renew()
            except Passing as error:
                self._whole = None
                patience.wait(error)
        return bytes(data)

    @property
    def has_ranges(self) -> bool:
        """False after a read for which the server sent the whole file."""
        return self._whole is None

    def _pieces(self, offset: int, end: int) -> Iterator[bytes]:
        """The bytes from `offset` to `end`, or fewer where the server sends a shorter range."""
        if self._whole is None or self._whole.at > offset:
            response = answer(self._url, f"bytes={offset}-{end - 1}", known=True, pace=self._pace)
            self._require_unchanged(response, end)
            if response.status == 206:
                first, last = _range_sent(response)
                if first != offset:
                    response.close()
                    raise RemoteError(f"byte {first:,} was sent where {offset:,} was asked for", DOWNLOAD)
                yield from _Body(response, offset).pieces(offset, min(end, last + 1))
                finish(response)
                return
            self._whole = _Body(response, 0)
        yield from self._whole.pieces(offset, end)

    def _require_unchanged(self, response: BaseHTTPResponse, end: int) -> None:
        """RemoteError for an answer of another version of the file, or of one that ends before `end`."""
        num_bytes, versions = _stated_total(response), _versions(response)
        if self._num_bytes is None and (response.status == 416 or (num_bytes is not None and num_bytes < end)):
            response.close()
            raise RemoteError("the file ends before these bytes", "check offset and length")
        if None not in (num_bytes, self._num_bytes) and num_bytes != self._num_bytes:
            cause = f"has {num_bytes:,} bytes now and had {self._num_bytes:,}"
        elif self._version and versions and self._version not in versions:
            cause = f"its version is {versions[0]} now and was {self._version}"
        elif response.status == 416:
            cause = "lacks bytes that it had"
        else:
            return
        response.close()
        raise RemoteError(f"was changed on the server: {cause}", "begin a new run of it")


class _Body:
    """The body of an answer, whose next byte is byte `at` of the file."""

    def __init__(self, response: BaseHTTPResponse, at: int) -> None:
        self._response, self.at = response, at

    def pieces(self, offset: int, end: int) -> Iterator[bytes]:
        """The bytes from `offset`, not before `at`, to `end`. Passing where the body breaks off or ends before."""
        while self.at < end:
            piece = read(self._response, min(_PIECE, end - self.at))
            if not piece:
                raise Passing("the body ends early")
            skipped = max(0, offset - self.at)
            self.at += len(piece)
            if skipped < len(piece):
                yield piece[skipped:]


def _counted(url: str) -> int:
    """The bytes of a file whose size the server does not state with a range."""
    response = answer(url, "", known=True)
    num_bytes = _stated_total(response)
    if num_bytes is not None:
        response.close()
        return num_bytes
    return sum(iter(lambda: len(read(response, _PIECE)), 0))


def _stated_total(response: BaseHTTPResponse) -> int | None:
    if response.status == 200:
        total = response.headers.get("Content-Length", "")
    else:
        total = response.headers.get("Content-Range", "").rpartition("/")[2].strip()
    return int(total) if total.isascii() and total.isdigit() else None


def _range_sent(response: BaseHTTPResponse) -> tuple[int, int]:
    """(first, last) byte of a part of a file."""
    found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if found is None:
        response.close()
        raise RemoteError("a part was sent without saying which", DOWNLOAD)
    return int(found[1]), int(found[2])


def _versions(response: BaseHTTPResponse) -> list[str]:
    """ETag and Last-Modified, those that there are. A weak ETag is compared like a strong one."""
    values = (response.headers.get(name, "") for name in ("ETag", "Last-Modified"))
    return [value.removeprefix("W/").strip('"') for value in values if value]


def _version(url: str, response: BaseHTTPResponse) -> str:
    """The ETag, else Last-Modified, unless that is the time of the answer: a program that writes each answer anew."""
    version = next(iter(_versions(response)), "")
    if not version or response.headers.get("ETag") or _is_before(version, response.headers.get("Date", "")):
        return version
    time.sleep(1.1)  # the times of HTTP are whole seconds
    again = answer(url, "bytes=0-0", known=True)
    finish(again)
    return version if version in _versions(again) else ""


def _is_before(time_: str, other: str) -> bool:
    try:
        return parsedate_to_datetime(time_) < parsedate_to_datetime(other)
    except (TypeError, ValueError, IndexError):
        return False
