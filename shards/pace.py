"""Paces the requests of all processes of a machine to one host.

    process 1   ─ask─▶ ┐                        a file in the scratch folder holds the time of the next free slot;
    process 2   ─ask─▶ ├ slots, 1 / rate apart  whoever asks takes it and sleeps until then
    process 3   ─ask─▶ ┘
                       server answers 503: the next free slot moves away for all of them

A crawl's host is shared by everybody: Common Crawl's serves a few thousand requests a second to all its users together,
answers 403 and 503 to those who ask too often, and requests at most one try a second then
(https://status.commoncrawl.org).
"""

import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from shards import scratch
from shards.address import host_root

THROTTLED_WAIT_S = 1.0  # after an answer that says "too often", where the server names no time
_LONGEST_S = 600.0  # a slot further away was written before a restart of the machine
_SLOT = struct.Struct("d")  # seconds of the clock that all processes of a machine share


class Pace:
    """At most `per_second` requests to the host of `url`, from all processes of this machine together."""

    def __init__(self, url: str, per_second: float) -> None:
        self._gap_s = 1 / per_second
        host = host_root(url).split("/")[2].rpartition("@")[2]
        self._path = scratch.notes() / f"{quote(host, safe='')}.pace"

    def wait(self) -> None:
        """Sleep until a request may be sent."""
        slot = self._take(self._gap_s)
        time.sleep(max(0.0, slot - time.monotonic()))

    def hold(self, seconds: float) -> None:
        """Let nobody ask in the next `seconds`."""
        self._take(0.0, not_before=time.monotonic() + seconds)

    def _take(self, length_s: float, not_before: float = 0.0) -> float:
        """The next free slot, not before now; the one after it begins `length_s` later."""
        with _locked(self._path) as handle:
            now = time.monotonic()
            stored = os.pread(handle, _SLOT.size, 0)
            (free,) = _SLOT.unpack(stored) if len(stored) == _SLOT.size else (now,)
            slot = max(now if not now < free < now + _LONGEST_S else free, not_before)
            os.pwrite(handle, _SLOT.pack(slot + length_s), 0)
            return slot


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A handle of the file, which nobody else has at the same time."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)
