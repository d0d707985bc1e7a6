"""Locks on folders, in which one process works at a time: of the system on this disk, an object in a store."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shards import mirror, store_lock
from shards.address import require_local
from shards.atomic import disk_error
from shards.errors import UserError


@contextmanager
def locked(folder: Path, *, elsewhere: str = "--out") -> Iterator[None]:
    """Keep other processes out of `folder`, which is made if it does not exist.

    The lock ends with the block or the process, however that ends. UserError where another process holds it, or the
    folder cannot be written; `elsewhere` names the setting of the folder in the message.
    """
    require_local(folder)
    if (place := mirror.place_of(folder)) is not None:
        with store_lock.held(*place, elsewhere=elsewhere):
            yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w")
    except OSError as error:
        raise disk_error(folder, error) from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: another gristmill works in this folder; wait for it or choose another {elsewhere}"
            ) from None
        yield
