"""Errors of the operating system that say nothing of the file on which they came: limits, rights, a failing disk.

"Too many open files" is no damage: the file is whole, and neither deleting it nor running again would help.
"""

import errno
import resource
from pathlib import Path

from shards.errors import LimitError, RunError

_AGAIN = "and run the same command again, it resumes"
_REFUSED = (errno.EACCES, errno.EPERM, errno.EIO)


def limit_error(path: Path | str, error: BaseException) -> LimitError | None:
    """The error to raise in place of `error`, which came while `path` was opened or read; None if it is no limit's."""
    match getattr(error, "errno", None):
        case errno.EMFILE:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            cause = f"this process may open {limit:,} files; raise the limit, as by `ulimit -n {max(4096, 4 * limit)}`,"
        case errno.ENFILE:
            cause = "the machine has as many files open as it may (fs.file-max); close other programs"
        case errno.ENOMEM:
            cause = "out of memory; close other programs or use fewer --workers"
        case _:
            return None
    return LimitError(f"{path}: cannot be opened: {cause} {_AGAIN}")


def check_limits(path: Path | str, error: BaseException) -> None:
    """Raise the `limit_error`, if there is one."""
    if (limit := limit_error(path, error)) is not None:
        raise limit from error


def raise_unless_damage(path: Path | str, error: BaseException) -> None:
    """LimitError or RunError where the system refused to read `path`, one of our own files, which may be whole."""
    check_limits(path, error)
    if isinstance(error, OSError) and error.errno in _REFUSED:
        raise RunError(f"{path}: cannot be read: {error.strerror}; check its rights and the disk") from error
