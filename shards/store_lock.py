"""The lock of a folder in an object store: an object that one process makes, renews and removes.

    PUT if there is none ──▶ held ──every 15 s: PUT if it is still ours──▶ … ──▶ DELETE
            │ there is one
            ▼
    its last heartbeat is 60 s old, or its owner died on this machine ──▶ PUT if it is still that one: taken over
    else UserError: who holds it

Heartbeats are compared by the store's own clock (Last-Modified of an object that is written for this), so clocks of two
machines may differ. Where a lease is lost (`shards.lease`), nothing can be written to its mirror any more.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shards.errors import UserError
from shards.lease import LAPSE_S, LOCK, Lease, Owner
from shards.object_store import ObjectStore, Taken, Version
from shards.remote import RemoteError


@contextmanager
def held(store: ObjectStore, lost: Path, *, elsewhere: str) -> Iterator[Lease]:
    """Hold the lock of the folder `store`. The file `lost` appears, with the reason, where it is lost.

    UserError where another process holds it, which is named; RunError at the end of the block where it was lost.
    """
    lease = _ObjectLease(store, lost)
    try:
        lease.take(elsewhere)
    except RemoteError as error:
        raise UserError(f"{store.url}: cannot be locked: {error}") from None
    with lease.held():
        yield lease


class _ObjectLease(Lease):
    def __init__(self, store: ObjectStore, lost_file: Path) -> None:
        super().__init__(store.url)
        self._store, self._lost_file = store, lost_file
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
                raise self.in_use(owner, elsewhere, silent_s)

    def renew(self) -> bool:
        return self._put(self._version)

    def owner_there(self) -> Owner | None:
        found = self._store.look(LOCK)
        return Owner.parse(found[0]) if found is not None else None

    def release(self) -> None:
        with suppress(RemoteError):
            if self.is_ours():
                self._store.delete([LOCK])
            else:
                self.lose_to(self.owner_there())

    def lose(self, why: str) -> None:
        super().lose(why)
        with suppress(OSError):
            self._lost_file.write_text(self.lost, encoding="utf-8")

    def _put(self, replaced: Version | None) -> bool:
        """Write the lock in place of this version, or of none; whether it is ours now."""
        self._beats += 1  # so that each heartbeat has another ETag
        beat = self.owner.to_bytes(beats=self._beats)
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
        name = f"{LOCK}.{self.owner.token}"
        self._store.write(name, b"")
        try:
            found = self._store.look(name)
            return found[2] if found is not None else time.time()
        finally:
            with suppress(RemoteError):
                self._store.delete([name])
