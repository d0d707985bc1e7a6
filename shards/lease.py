"""Leases: locks on folders that name their owner and are renewed by it, so that a dead owner is told from a live one.

    free ──take──▶ held ──every 15 s: renewed if it is still ours──▶ … ──release──▶ free
           │ it is another's
           ▼
    silent for 60 s, or dead on this machine: taken over; else UserError: who holds it

`shards.lock` has the lease of a folder on a disk, `shards.store_lock` that of one in a store. An owner that is held up
for longer than a minute may find that its lease was taken over: it writes nothing more and ends with a RunError.
"""

import json
import os
import secrets
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from shards.errors import RunError, UserError
from shards.remote import RemoteError

P = ParamSpec("P")
T = TypeVar("T")

LOCK = ".lock"
LAPSE_S = 60.0  # without a heartbeat, after which an owner counts as dead
BEAT_S = 15.0
_MAX_LATE_S = 45.0  # since the last heartbeat that came through, after which the owner stops by itself


@dataclass(frozen=True)
class Owner:
    host: str
    pid: int
    began: str  # of the process, as its machine counts: a pid may be given again
    machine: str  # names where pids are counted: boot and namespace
    since: str  # UTC
    token: str

    @classmethod
    def here(cls) -> Self:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        return cls(socket.gethostname(), os.getpid(), _began(os.getpid()), _machine(), since, secrets.token_hex(16))

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        try:
            read = json.loads(data)
            return cls(**{field.name: read[field.name] for field in fields(cls)})
        except (ValueError, TypeError, KeyError):
            return None

    def to_bytes(self, **more: int) -> bytes:
        return json.dumps(asdict(self) | more).encode()

    def is_dead(self) -> bool:
        """Whether it is known to be: a process of this machine that is not there."""
        return bool(self.machine) and self.machine == _machine() and _began(self.pid) != self.began

    def is_of_this_boot(self) -> bool:
        """Whether it is a process of this start of this machine, perhaps in another container."""
        return (self.machine.partition(" ")[0] or self.host) == (_machine().partition(" ")[0] or socket.gethostname())

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since} UTC"


def _began(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]  # field 22, in ticks since the boot
    except OSError:
        return ""


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115
    except OSError:
        return ""


class Lease(ABC):
    """The lock of one folder, in the hands of this process."""

    def __init__(self, place: str) -> None:
        """`place` is the folder in messages."""
        self.place, self.owner = place, Owner.here()
        self.lost = ""  # why it is no longer ours, as the line of an error

    @abstractmethod
    def owner_there(self) -> Owner | None:
        """Who holds it now. OSError or RemoteError where that cannot be seen."""

    @abstractmethod
    def renew(self) -> bool:
        """Tell others that its owner lives; False where that is another. OSError or RemoteError where it fails."""

    @abstractmethod
    def release(self) -> None:
        """Leave the folder to others; where it is another's already, the lease is lost."""

    def is_ours(self) -> bool:
        owner = self.owner_there()
        return owner is not None and owner.token == self.owner.token

    def check(self) -> None:
        """RunError where it is known to be lost: from then on nothing may be written."""
        if self.lost:
            raise RunError(self.lost)

    def checked(self, call: Callable[P, T]) -> Callable[P, T]:
        """`call`, after a `check`."""

        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            self.check()
            return call(*args, **kwargs)

        return checked

    @contextmanager
    def held(self) -> Iterator[Self]:
        """Renew it until the end of the block, and release it. RunError at the end where it was lost."""
        ended = threading.Event()
        heart = threading.Thread(target=self._beat, args=(ended,), daemon=True)
        heart.start()
        try:
            yield self
        finally:
            ended.set()
            heart.join()
            self.release()
        if self.lost:
            raise RunError(self.lost)

    def lose(self, why: str) -> None:
        self.lost = self.lost or f"{self.place}: {why}; nothing more is written, the same command resumes"

    def lose_to(self, owner: Owner | None) -> None:
        self.lose(f"its lock was taken over by {owner or 'another process'}")

    def in_use(self, owner: Owner | None, elsewhere: str, silent_s: float | None = None) -> UserError:
        """The error for a folder in which `owner` works, who was heard `silent_s` ago by the clock of the folder."""
        heard, then = "", ""
        if silent_s is not None:
            heard = f", last heard {max(0, silent_s):.0f} s ago"
            then = f" (if it was killed, the folder is free {LAPSE_S:.0f} s after that)"
        return UserError(
            f"{self.place}: another gristmill works in this folder: {owner or 'unknown'}{heard}; wait for it or choose "
            f"another {elsewhere}{then}"
        )

    def _beat(self, ended: threading.Event) -> None:
        last = time.monotonic()
        while not ended.wait(BEAT_S):
            try:
                if not self.renew():
                    return self.lose_to(self.owner_there())
                last = time.monotonic()
            except (OSError, RemoteError) as error:
                if time.monotonic() - last > _MAX_LATE_S:
                    return self.lose(f"its lock could not be renewed: {error}")
