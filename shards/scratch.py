"""Scratch space for mirrors: a folder for each process that mounts some, and a bound on what copies take in it.

    SCRATCH/gristmill-mirrors-1000/4k2f.lock     held, with others, by each process that uses the folder
                                   4k2f/         its mirrors, removed when it ends; by the next one where it was killed

Workers of that process on other machines have a folder of the same name there, and share it (`shared_folder`).

SCRATCH is $GRISTMILL_SCRATCH, or the system's folder for temporary files. Copies may take $GRISTMILL_SCRATCH_BYTES, or
half of what is free there. A copy is a read-only file; writable files are the scratch of one process and stay. Whoever
has a removed copy mapped keeps it.
"""

import atexit
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

from shards.errors import UserError

COPY_MODE = 0o444  # of files that are in the store

_OWNER = "owner"  # in the folder of a process where that process runs itself
_CHECKS = 16  # times in which the bound is used up: a check looks at every copy
_REMEDY = "set GRISTMILL_SCRATCH to a folder on this disk that can be written"

_added: dict[Path, int] = {}  # bytes since the last check, by the folder of a process


def base() -> Path:
    """The folder of all mirrors of this user; it need not exist."""
    scratch = os.environ.get("GRISTMILL_SCRATCH") or tempfile.gettempdir()
    return Path(scratch).absolute() / f"gristmill-mirrors-{os.getuid()}"


def own_folder() -> Path:
    """This process's folder, which nobody else writes to but its workers. UserError where there can be none."""
    return _folder(base(), None)


def shared_folder(name: str) -> Path:
    """The folder, on this machine, of the process whose own one has this name. UserError where there can be none."""
    return _folder(base(), name)


def notes() -> Path:
    """The folder of small files that all of this user's processes on this machine share. UserError as above."""
    folder = base().with_name(f"gristmill-notes-{os.getuid()}")
    try:
        _make_private(folder)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}; {_REMEDY}") from None
    return folder


def remove_shared(name: str) -> None:
    """Remove that folder where it is not the process's own: its workers on this machine are done."""
    if (base() / name / _OWNER).exists():
        return
    shutil.rmtree(base() / name, ignore_errors=True)
    (base() / name).with_suffix(".lock").unlink(missing_ok=True)


@cache
def _folder(root: Path, name: str | None) -> Path:
    try:
        _make_private(root)
        _remove_dead(root)
        own = root / (name or secrets.token_hex(4))
        lock = _share(own)
    except OSError as error:
        raise UserError(f"{root}: {error.strerror}; {_REMEDY}") from None
    if name is None:
        (own / _OWNER).touch()
        atexit.register(_remove, own, lock, os.getpid())
    else:
        atexit.register(_leave, own, lock, os.getpid())
    return own


def _make_private(folder: Path) -> None:
    """Make the folder, unless it is there. UserError where it is somebody else's, or others can use it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise UserError(f"{folder}: is not a folder of yours that only you can use; {_REMEDY}")


def _share(folder: Path) -> IO[str]:
    """Make the folder where there is none, and hold its lock together with others."""
    while True:
        lock = folder.with_suffix(".lock").open("a")
        fcntl.flock(lock, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), os.stat(lock.name)):  # noqa: PTH116
                folder.mkdir(mode=0o700, exist_ok=True)
                return lock
        lock.close()  # of a folder that somebody has removed meanwhile


def _leave(folder: Path, lock: IO[str], pid: int) -> None:
    """Remove the folder if nobody else uses it."""
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder, lock, pid)


def _remove_dead(root: Path) -> None:
    """Remove the folders of processes that were killed."""
    for path in root.glob("*.lock"):
        with suppress(OSError), path.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path.with_suffix(""), lock, os.getpid())


def _remove(folder: Path, lock: IO[str], pid: int) -> None:
    if pid == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            Path(lock.name).unlink()
        lock.close()


def added(folder: Path, num_bytes: int) -> None:
    """Count a new copy in the `folder` of a process; where copies take more than they may, remove the least recent."""
    _added[folder] = _added.get(folder, 0) + num_bytes
    limit = os.environ.get("GRISTMILL_SCRATCH_BYTES")
    if _added[folder] * _CHECKS < (_bytes(limit) if limit else shutil.disk_usage(folder).free // 2):
        return
    _added[folder] = 0
    copies = sorted(_copies(folder))
    used = sum(size for _, size, _ in copies)
    allowed = _bytes(limit) if limit else (shutil.disk_usage(folder).free + used) // 2
    for _, size, path in copies:
        if used <= allowed:
            break
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108
            used -= size


def is_copy(path: Path | str) -> bool:
    """Whether it is a file that is in the store, and no scratch."""
    with suppress(OSError):
        mode = os.lstat(path).st_mode
        return stat.S_ISREG(mode) and stat.S_IMODE(mode) == COPY_MODE
    return False


def _copies(folder: Path) -> list[tuple[int, int, str]]:
    """(time of the last use, bytes, path) of each copy. Manifests stay: they are small, and name what there is."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = f"{parent}/{name}"
            with suppress(OSError):  # removed meanwhile
                about = os.lstat(path)
                if stat.S_IMODE(about.st_mode) == COPY_MODE and not name.endswith(".json"):
                    found.append((about.st_mtime_ns, about.st_size, path))
    return found


def _bytes(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"GRISTMILL_SCRATCH_BYTES={text}: expected a number of bytes") from None
