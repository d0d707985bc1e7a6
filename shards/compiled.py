"""Compiled kernels: loops over arrays and bytes that Numba turns into machine code, kept on disk between processes.

Numba stores a compiled function beside its source and compiles it again when that file changes, but not when a
constant or a function of another file changes that it has compiled in. So before a module's first kernel is loaded,
its stored functions are dropped if any of our modules that it imports, directly or not, is newer.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from time import time_ns
from typing import Any, Literal, TypeVar, overload

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])

_ROOT = Path(__file__).parents[1]
_IMPORT = re.compile(r"^from ((?:shards|cleaners|dedup|pretrain)[\w.]*) import (\([^)]*\)|[^\n#]*)", re.MULTILINE)


@overload
def kernel(function: F) -> F: ...
@overload
def kernel(*, inline: Literal["always"] = ..., nogil: bool = ...) -> Callable[[F], F]: ...


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile `function` at its first call. `options` are those of `numba.njit`; a kernel needs no annotations."""
    if function is None:
        return partial(kernel, **options)
    drop_stale(Path(function.__code__.co_filename), _ROOT)
    return njit(cache=True, **options)(function)


@cache
def drop_stale(source: Path, root: Path) -> None:
    """Delete Numba's indexes of the module `source` that are older than a module below `root` that it imports."""
    newest = max(_changed(path) for path in _with_imports(source, root))
    for index in (source.parent / "__pycache__").glob(f"{source.stem}.*.nbi"):
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
