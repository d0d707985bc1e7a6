"""Atomic writes: a file exists whole or not at all.

Data goes to `<path>.part`, is synced, and takes its name by a rename that is synced too. A kill at any moment leaves
the old file, the new file, or a `.part` that nobody reads and the next writer replaces.
"""

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from shards.address import require_local
from shards.errors import RunError, UserError
from shards.limits import check_limits


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A binary file to write. It becomes `path` when the block ends, and is deleted when the block raises.

    Folders are made as needed. UserError or RunError, with the remedy, where writing fails.
    """
    require_local(path)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # no part exists where the folder is a file or may not be written to
            part.unlink(missing_ok=True)
        raise disk_error(path, error) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write the file atomically."""
    with atomic_file(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Write the value atomically as indented JSON. Keys keep their order, so equal values give equal bytes."""
    write_bytes(path, json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n")


def append_synced(path: Path, line: bytes) -> None:
    """Append a line to a journal; on return it is on disk."""
    try:
        with path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise disk_error(path, error) from error


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
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunError(f"{path}: the disk is full; free some space and run the same command again, it resumes")
    return RunError(f"{path}: writing failed: {error.strerror or error}; run the same command again, it resumes")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
