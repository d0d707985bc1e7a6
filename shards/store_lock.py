"""The lock of a folder in an object store: an object that one process makes, renews and removes.

    PUT if there is none ──▶ held ──every 15 s: PUT if it is still ours──▶ … ──▶ DELETE
            │ there is one
            ▼
    its last heartbeat is 60 s old, or its owner died on this machine ──▶ PUT if it is still that one: taken over
    else UserError: who holds it

Heartbeats are compared by the store's own clock (Last-Modified of an object that is written for this), so clocks of two
machines may differ. A driver that is held up for longer than that may find its lock taken: from then on nothing can be
written to its mirror, and it ends with a RunError.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from shards.errors import RunError, UserError
from shards.object_store import ObjectStore, Taken, Version
from shards.remote import RemoteError

LOCK = ".lock"
LAPSE_S = 60.0  # without a heartbeat, after which an owner counts as dead
_BEAT_S = 15.0
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

    def is_dead(self) -> bool:
        """Whether it is known to be: a process of this machine that is not there."""
        return bool(self.machine) and self.machine == _machine() and _began(self.pid) != self.began

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


@contextmanager
def held(store: ObjectStore, lost: Path, *, elsewhere: str) -> Iterator[None]:
    """Hold the lock of the folder `store`. The file `lost` appears, with the reason, where it is lost.

    UserError where another process holds it, which is named; RunError at the end of the block where it was lost.
    """
    lock = _Lock(store, lost)
    try:
        lock.take(elsewhere)
    except RemoteError as error:
        raise UserError(f"{store.url}: cannot be locked: {error}") from None
    ended = threading.Event()
    heart = threading.Thread(target=lock.beat, args=(ended,), daemon=True)
    heart.start()
    try:
        yield
    finally:
        ended.set()
        heart.join()
        lock.release()
    if lost.exists():
        raise RunError(lost.read_text(encoding="utf-8"))


class _Lock:
    def __init__(self, store: ObjectStore, lost: Path) -> None:
        self._store, self._lost = store, lost
        self._owner = Owner.here()
        self._beats, self._version = 0, Version()

    def take(self, elsewhere: str) -> None:
        replaced: Version | None = None
        while not self._put(replaced):
            found = self._store.look(LOCK)
            if found is None:  # released meanwhile
                replaced = None
                continue
            data, replaced, last = found
            owner = Owner.parse(data)
            if owner is not None and owner.is_dead():
                continue
            silent_s = self._now() - last
            if silent_s < LAPSE_S:
                raise UserError(
                    f"{self._store.url}: another gristmill works in this folder: {owner or 'unknown'}, last heard "
                    f"{max(0, silent_s):.0f} s ago; wait for it or choose another {elsewhere} (if it was killed, the "
                    f"folder is free {LAPSE_S:.0f} s after that)"
                )

    def _put(self, replaced: Version | None) -> bool:
        """Write the lock in place of this version, or of none; whether it is ours now."""
        self._beats += 1  # so that each heartbeat has another ETag
        beat = json.dumps(asdict(self._owner) | {"beats": self._beats}).encode()
        try:
            self._version = self._store.write_if(LOCK, beat, replaced)
        except (Taken, RemoteError) as error:  # an answer that was lost may have been "done"
            found = self._store.look(LOCK)
            if found is None or found[0] != beat:
                if isinstance(error, RemoteError):
                    raise
                return False
            self._version = found[1]
        return True

    def _now(self) -> float:
        """Seconds since 1970 by the store's clock."""
        name = f"{LOCK}.{self._owner.token}"
        self._store.write(name, b"")
        try:
            found = self._store.look(name)
            return found[2] if found is not None else time.time()
        finally:
            with suppress(RemoteError):
                self._store.delete([name])

    def _lost_to(self, owner: Owner | None) -> None:
        self._lose(f"its lock was taken over by {owner or 'another process'}")

    def beat(self, ended: threading.Event) -> None:
        last = time.monotonic()
        while not ended.wait(_BEAT_S):
            try:
                if not self._put(self._version):
                    return self._lost_to(self._owner_there())
                last = time.monotonic()
            except RemoteError as error:
                if time.monotonic() - last > _MAX_LATE_S:
                    return self._lose(f"its lock could not be renewed: {error}")

    def _lose(self, why: str) -> None:
        with suppress(OSError):
            self._lost.write_text(f"{self._store.url}: {why}; nothing more is written, the same command resumes")

    def release(self) -> None:
        """Remove the lock; where it is another's, it is lost."""
        with suppress(RemoteError):
            owner = self._owner_there()
            if owner is not None and owner.token == self._owner.token:
                self._store.delete([LOCK])
            elif not self._lost.exists():
                self._lost_to(owner)

    def _owner_there(self) -> Owner | None:
        found = self._store.look(LOCK)
        return Owner.parse(found[0]) if found is not None else None
