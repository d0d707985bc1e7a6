"""Atomic writes: a file exists whole or not at all.

Data goes to `<path>.part`, is synced, and takes its name by a rename that is synced too. A kill at any moment leaves
the old file, the new file, or a `.part` that nobody reads and the next writer replaces. In a mirror (`shards.mirror`)
the file is put into its store, which is the rename there.

On a cluster a process may be given up for lost while it lives on and writes, and its task runs elsewhere. So that two
such processes never write into one `.part`, those of a process can have names of their own (`write_apart`).

A run writes tens of files for each unit, and a sync of each would cost more than the work. Its files are renamed
without one (`synced=False`), which a kill cannot harm either, but the loss of power can. So the run syncs its disk as a
whole (`sync_disk`) at the points from which it will not look back, and after a restart of the machine (`boot_id`) it
trusts no file that was written after the last of them.
"""

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from shards import mirror, scratch
from shards.address import require_local
from shards.errors import RunError, UserError
from shards.limits import check_limits

PART = ".part"
_own = ""  # what the parts of this process are called besides


def write_apart() -> None:
    """From now on no other process writes the parts of this one. What a kill leaves of them, nobody replaces."""
    global _own
    _own = _own or secrets.token_hex(4)


@contextmanager
def atomic_file(
    path: Path, *, synced: bool = True, private: bool = False, several: bool = False
) -> Iterator[IO[bytes]]:
    """A binary file to write. It becomes `path` when the block ends, and is deleted when the block raises.

    Folders are made as needed. Without `synced` the loss of power may leave an empty file under the name, until
    `sync_disk`. A `private` file is read by this process alone, and in a mirror it is not put. Where `several`
    processes may write the same file at once, one of them wins. UserError or RunError, with the remedy, where writing
    fails.
    """
    require_local(path)
    own = _own or str(os.getpid()) * several
    part = path.with_name(f"{path.name}.{own}.part" if own else f"{path.name}.part")
    is_put = mirror.is_mirrored(path) and not private
    try:
        with _opened(part) as file:
            yield file
            if synced and not is_put:
                file.flush()
                os.fsync(file.fileno())
        if is_put:
            mirror.put(part, path)
            return
        part.replace(path)
        if synced:
            _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # no part exists where the folder is a file or may not be written to
            part.unlink(missing_ok=True)
        raise disk_error(path, error) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes, *, synced: bool = True) -> None:
    """Write the file atomically."""
    with atomic_file(path, synced=synced) as file:
        file.write(data)


def link_or_copy(source: Path, path: Path) -> None:
    """Make `path` a second name of the file `source`, or a copy of it where it cannot have one, as on another disk.

    It appears whole, and is not synced. A file of two names must only be replaced: what writes to it changes both.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (mirror.is_mirrored(path) or mirror.is_mirrored(source)):  # copies of objects come and go
            path.unlink(missing_ok=True)
            with suppress(OSError):  # another disk, one without links, a file of somebody else
                path.hardlink_to(source)  # not by way of a `.part`, which the next writer would open and empty
                return
        file = mirror.opened(source, lambda path: path.open("rb"))
    except OSError as error:
        raise disk_error(path, error) from error
    with file, atomic_file(path, synced=False) as copy:
        shutil.copyfileobj(file, copy, 1 << 20)


def write_json(path: Path, value: Any, *, synced: bool = True, several: bool = False) -> None:
    """Write the value atomically as indented JSON. Keys keep their order, so equal values give equal bytes."""
    with atomic_file(path, synced=synced, several=several) as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n")


def sync_disk(folder: Path) -> None:
    """Bring all that was written to the disk of `folder` onto it, by whichever process. A RunError where that fails."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            if sys.platform != "linux":
                os.sync()
            elif ctypes.CDLL(None, use_errno=True).syncfs(handle):
                error = ctypes.get_errno()
                raise OSError(error, os.strerror(error))
        finally:
            os.close(handle)
    except OSError as error:
        raise disk_error(folder, error) from error


@cache
def boot_id() -> str:
    """What tells this start of the machine from others; another for each process where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{os.getpid()} {os.urandom(8).hex()}"


def append_synced(path: Path, line: bytes) -> None:
    """Append a line to a journal; on return it is on disk.

    An object cannot be appended to, so in a mirror each line is a file of its own in `journal_lines`. Where two
    machines append at once, NFS would write both lines at one place; the lock makes it ask for the end of the file.
    """
    if mirror.is_mirrored(path):
        write_bytes(journal_lines(path) / hashlib.sha256(line).hexdigest()[:32], line)
        return
    try:
        with path.open("ab") as file:
            with suppress(OSError):  # a disk without such locks
                fcntl.flock(file, fcntl.LOCK_EX)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise disk_error(path, error) from error


def read_journal(path: Path) -> bytes:
    """The lines of a journal in the order in which they came, in a mirror in any; b"" where there is none."""
    whole = mirror.read_bytes(path) if mirror.exists(path) else b""
    lines = mirror.glob(journal_lines(path), "*") if mirror.is_mirrored(path) else []
    return b"".join([whole, *map(mirror.read_bytes, mirror.ahead(lines))])


def journal_lines(path: Path) -> Path:
    """The folder of the lines of a journal that lies in a mirror."""
    return path.with_name(f"{path.name}.lines")


def try_folder(folder: Path) -> None:
    """Make a folder and write to it, so that an OSError comes before long work and not after it."""
    require_local(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"probe")


def disk_error(path: Path, error: OSError) -> UserError | RunError:
    """The error to raise for a failed write to `path`, with the remedy; a LimitError is raised here."""
    check_limits(path, error)
    if error.errno == errno.ENAMETOOLONG:
        return UserError(f"{path}: cannot be written: {error.strerror}; choose a shorter name")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return UserError(f"{path}: cannot be written: {error.strerror}; choose a folder that you may write to")
    # NumPy says of a short write only "1025 requested and 1008 written".
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or (error.errno is None and " requested and " in str(error)):
        if mirror.is_mirrored(path):
            return RunError(
                f"{path}: the scratch disk is full ({scratch.base().parent}); free some space there, or set "
                "GRISTMILL_SCRATCH to a folder on another disk, and run the same command again, it resumes"
            )
        return RunError(f"{path}: the disk is full; free some space and run the same command again, it resumes")
    return RunError(f"{path}: writing failed: {error.strerror or error}; run the same command again, it resumes")


def _opened(part: Path) -> IO[bytes]:
    """The file, new and open for writing, in a folder that is made where there is none."""
    try:
        return part.open("wb")
    except FileNotFoundError:
        part.parent.mkdir(parents=True, exist_ok=True)
        return part.open("wb")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
