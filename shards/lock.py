"""Locks on folders, in which one process works at a time: a file in a folder on a disk, an object in one of a store.

    <folder>/.lock      who works there, as JSON; its time is that of the owner's last heartbeat

The file is locked by flock, which ends with the process. On disks that several machines share, flock may hold on one
machine alone (Lustre's `localflock`, `nolock` of NFS) or not exist, so the file is a lease besides (`shards.lease`): it
is made by O_EXCL, renewed every 15 s, and removed at the end. Where a killed owner left it, flock shows that at once on
the owner's machine. On another machine the owner counts as dead when the file is 60 s older than a new file beside it,
and does not change for 20 s more. Both times are of the disk's clock on NFS; on Lustre they are of the clocks of two
machines, and the second condition alone is safe.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from shards import mirror, store_lock
from shards.address import require_local
from shards.atomic import disk_error
from shards.lease import BEAT_S, LAPSE_S, LOCK, Lease, Owner

_WATCH_S = BEAT_S + 5  # in which a live owner renews the file once
_SETTLE_S = 1.0  # in which another machine that takes the file over at the same moment has written it
_LOOKS, _LOOK_S = 20, 0.1  # at an empty file: its owner is about to write it, or was killed before


@contextmanager
def locked(folder: Path, *, elsewhere: str = "--out") -> Iterator[Lease]:
    """Keep other processes out of `folder`, which is made if it does not exist.

    The lock ends with the block or the process, however that ends. UserError where another process holds it, which is
    named, or the folder cannot be written; `elsewhere` names the setting of the folder in the message. RunError at the
    end of the block where the lock was lost on the way; long work asks the lease (`Lease.check`).
    """
    require_local(folder)
    if (place := mirror.place_of(folder)) is not None:
        with store_lock.held(*place, elsewhere=elsewhere) as lease:
            yield lease
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _FileLease(folder)
        file.take(elsewhere)
    except OSError as error:
        raise disk_error(folder, error) from None
    with file.held():
        yield file


def owner_of(folder: Path) -> Owner | None:
    """Who has the folder locked, as this machine sees it; None where nobody has, or it does not see the folder."""
    if (place := mirror.place_of(folder)) is not None:
        found = place[0].look(LOCK)
        return Owner.parse(found[0]) if found is not None else None
    with suppress(OSError):
        return Owner.parse(mirror.read_bytes(folder / LOCK))  # opened anew: NFS then asks the server
    return None


class _FileLease(Lease):
    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self._path = folder / LOCK
        self._handle = -1  # has the flock

    def take(self, elsewhere: str) -> None:
        """UserError where another process holds the file."""
        for look in count(1):
            if (opened := self._opened()) is not None:
                self._handle, is_new = opened
                try:
                    with suppress(FileNotFoundError):  # its owner has just removed it
                        if self._may_take(elsewhere, is_new=is_new, is_last_look=look >= _LOOKS):
                            return
                except BaseException:
                    os.close(self._handle)
                    raise
                os.close(self._handle)
            time.sleep(_LOOK_S)

    def _opened(self) -> tuple[int, bool] | None:
        """(the file, whether it is new); None where it came and went meanwhile."""
        with suppress(FileExistsError):
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
        with suppress(FileNotFoundError):
            return os.open(self._path, os.O_RDWR), False
        return None

    def _may_take(self, elsewhere: str, *, is_new: bool, is_last_look: bool) -> bool:
        """Take the file if nobody holds it. False where it must be looked at again: its owner comes or goes."""
        is_free = _flock(self._handle)
        if not self._is_in_place():
            return False
        if is_new and is_free is not False:
            self._write()
            return True
        owner = self.owner_there()
        if owner is None and not is_last_look:
            return False
        if is_free is False:
            raise self.in_use(owner, elsewhere)
        is_known_dead = owner is None or owner.is_dead() or bool(is_free and owner.is_of_this_boot())
        if not is_known_dead:
            self._require_silence(owner, elsewhere)
        self._write()
        if not (is_free and is_known_dead):
            time.sleep(_SETTLE_S)
            if not self.is_ours():
                raise self.in_use(self.owner_there(), elsewhere)
        return True

    def _require_silence(self, owner: Owner | None, elsewhere: str) -> None:
        """UserError where an owner on another machine may be alive."""
        silent_s = self._silent_s()
        if abs(silent_s) < LAPSE_S:
            raise self.in_use(owner, elsewhere, silent_s)
        before = self._time_of_beat()
        time.sleep(_WATCH_S)
        if self._time_of_beat() != before:
            raise self.in_use(owner, elsewhere, 0.0)

    def owner_there(self) -> Owner | None:
        with suppress(FileNotFoundError):
            return Owner.parse(self._path.read_bytes())  # opened anew: NFS then asks the server
        return None

    def renew(self) -> bool:
        if not self.is_ours():
            return False
        os.utime(self._path)  # by the server's clock, on NFS
        return True

    def release(self) -> None:
        try:
            if self.is_ours():
                self._path.unlink()
            else:
                self.lose_to(self.owner_there())
        except OSError:  # the next one finds a dead owner
            pass
        finally:
            os.close(self._handle)

    def check(self) -> None:
        with suppress(OSError):
            if not self.lost and not self.is_ours():
                self.lose_to(self.owner_there())
        super().check()

    def _is_in_place(self) -> bool:
        """Whether the open file is the one in the folder, and not one that was removed meanwhile."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self._handle), self._path.stat())
        return False

    def _write(self) -> None:
        """Make the file ours. Closing it brings it to the server of a network's disk."""
        try:
            self._path.write_bytes(self.owner.to_bytes())
        except OSError:  # a full disk
            with suppress(OSError):
                self._path.unlink()
            raise

    def _silent_s(self) -> float:
        """Seconds since the last heartbeat, by the clock of the disk."""
        probe = self._path.with_name(f"{LOCK}.{self.owner.token}")
        try:
            probe.touch()
            return probe.stat().st_mtime - self._time_of_beat()
        finally:
            probe.unlink(missing_ok=True)

    def _time_of_beat(self) -> float:
        with self._path.open("rb") as file:  # opened anew: NFS then asks the server
            return os.fstat(file.fileno()).st_mtime


def _flock(handle: int) -> bool | None:
    """Lock the file; False where another process has it, None where the disk knows no such locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
