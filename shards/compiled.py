"""Compiled kernels: loops over arrays and bytes that Numba turns into machine code, kept on disk between processes.

A compiled function is stored in the first of these folders that can be written:

    $NUMBA_CACHE_DIR
    __pycache__ beside its source
    the user's cache                  ~/.cache/numba
    a temporary folder of the user    gristmill-kernels-<uid>, as in a container without a home

Numba compiles a function again when its file changes, but not when a constant or a function of another file changes
that it has compiled in. So before a module's first kernel is loaded, its stored functions are dropped if any of our
modules that it imports, directly or not, is newer.

Of several processes that need a function which is not stored, one compiles it and the others wait: a machine compiles
each once, however many workers start on it.
"""

import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from time import time_ns
from typing import Any, Literal, TypeVar, overload

from numba import config, njit

from shards.errors import UserError

F = TypeVar("F", bound=Callable[..., Any])

_ROOT = Path(__file__).parents[1]
_REMEDY = "set NUMBA_CACHE_DIR to a folder that can be written"
_IMPORT = re.compile(r"^from ((?:shards|cleaners|dedup|pretrain)[\w.]*) import (\([^)]*\)|[^\n#]*)", re.MULTILINE)


@overload
def kernel(function: F) -> F: ...
@overload
def kernel(*, inline: Literal["always"] = ..., nogil: bool = ...) -> Callable[[F], F]: ...


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile `function` at its first call. `options` are those of `numba.njit`; a kernel needs no annotations.

    UserError where no folder can keep compiled functions.
    """
    if function is None:
        return partial(kernel, **options)
    try:
        compiled = njit(cache=True, **options)(function)
    except RuntimeError:  # Numba found none of its folders writable
        config.CACHE_DIR = str(temporary_folder())  # type: ignore[attr-defined]  # Numba sets it at import
        compiled = njit(cache=True, **options)(function)
    source, stored = Path(function.__code__.co_filename), Path(compiled.stats.cache_path)
    drop_stale(source, stored, _ROOT)
    compile_ = compiled.compile

    def compile_once(signature: Any) -> Any:
        with alone(stored / f"{source.stem}.lock"):
            return compile_(signature)  # which looks for what is stored first

    compiled.compile = compile_once
    return compiled


_held: dict[Path, int] = {}  # how often this process is inside of `alone`


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes out of the block. Modules lock in the order of their imports, so none waits for ever.

    Where the lock cannot be had, as on some network disks, the block runs all the same.
    """
    lock = None
    if not _held.get(path):
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("a")
            fcntl.flock(lock, fcntl.LOCK_EX)
    _held[path] = _held.get(path, 0) + 1
    try:
        yield
    finally:
        _held[path] -= 1
        if lock is not None:
            lock.close()


def temporary_folder() -> Path:
    """The folder for compiled functions of a user who can write neither the installation nor a home.

    Compiled functions are code, so nobody else may write to it: UserError where another user owns it.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"gristmill-kernels-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise UserError(f"{error}: no folder can keep compiled functions; {_REMEDY}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise UserError(f"{folder}: is not a folder of this user alone (mode 700); delete it, or {_REMEDY}")
    return folder


@cache
def drop_stale(source: Path, stored: Path, root: Path) -> None:
    """Delete Numba's indexes in `stored` of the module `source` that are older than a module that it imports.

    Imports of modules below `root` count.
    """
    newest = max(_changed(path) for path in _with_imports(source, root))
    for index in stored.glob(f"{source.stem}.*.nbi"):
        with suppress(OSError):  # another process was first, or the folder is not ours
            if index.stat().st_mtime_ns < newest:
                index.unlink()


def _with_imports(source: Path, root: Path) -> set[Path]:
    """The module and all that it imports of our packages, directly or not."""
    found, todo = {source}, [source]
    while todo:
        new = set(_imports(todo.pop(), root)) - found
        found |= new
        todo += new
    return found


@cache
def _imports(source: Path, root: Path) -> tuple[Path, ...]:
    return tuple(_imported(source, root))


def _imported(source: Path, root: Path) -> Iterator[Path]:
    for module, names in _IMPORT.findall(source.read_text(encoding="utf-8")):
        path = root.joinpath(*module.split("."))
        yield path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
        yield from (p for name in re.findall(r"\w+", names) if (p := path / f"{name}.py").exists())


def _changed(path: Path) -> int:
    """When the file was changed, in nanoseconds; a time in the future counts as never."""
    at = path.stat().st_mtime_ns
    return at if at <= time_ns() else 0
