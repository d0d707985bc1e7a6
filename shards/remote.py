"""Requests to servers that fail: what passes is tried again, and what does not becomes one line.

    attempt ──Passing──▶ Patience.wait ──▶ attempt ──…──▶ RemoteError: cause and remedy

Common Crawl answers 503 under load, and connections break in the middle of a body. A try that brings some bytes renews
the patience, so a large file comes through a bad line.
"""

import random
import time
from typing import Protocol

CONNECTIONS = 16  # to one host at a time, from one process
DOWNLOAD = "download the file first, and name it there"  # the remedy for a server that cannot be read from
TRIES = 10  # in a row without a byte, whose waits take about 40 seconds
_LONGEST_S = 180.0  # of such tries: a server that is silent takes a minute for each
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 15.0
LONGEST_ASKED_S = 120.0  # the longest wait that a server can ask for with Retry-After


class RemoteError(Exception):
    """A request that stays without result. `str` is cause and remedy, to be put after the address."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}; {remedy}")


class StillPassing(RemoteError):
    """A failure that may pass and did not while it was tried again."""


class Passing(Exception):
    """A failure that may pass."""

    def __init__(self, cause: str, wait_s: float = 0.0) -> None:
        """`wait_s`: the seconds that the server asks to wait."""
        super().__init__(cause)
        self.wait_s = wait_s


class RemoteFile(Protocol):
    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from byte `offset` on, which the file has. RemoteError where they do not come."""
        ...


class Patience:
    """Waits between tries: twice as long each time, up to a limit, or as long as the server asks."""

    def __init__(self) -> None:
        self._tries, self._began = 0, time.monotonic()

    def renew(self) -> None:
        self._tries, self._began = 0, time.monotonic()

    def wait(self, error: Passing) -> None:
        """Sleep before the next try. RemoteError where there have been enough."""
        self._tries += 1
        if self._tries == TRIES or time.monotonic() - self._began > _LONGEST_S:
            raise StillPassing(
                f"{error}, {self._tries} times in a row", "check the address, or run the same command again later"
            ) from None
        if error.wait_s > LONGEST_ASKED_S:
            raise StillPassing(
                f"{error}, and asks to wait {error.wait_s:,.0f} s", "run the same command again then"
            ) from None
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (self._tries - 1))
        time.sleep(max(error.wait_s, wait_s * random.uniform(0.5, 1)))  # at random: workers do not ask all at once
