"""One process at a time works in a folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.atomic import disk_error
from shards.errors import UserError


@contextmanager
def locked(folder: Path, *, elsewhere: str = "--out") -> Iterator[None]:
    """Keep other processes out of `folder`, which is made if need be; the lock ends with the process, however it ends.

    `elsewhere` is what the user sets to work in another folder.
    """
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
