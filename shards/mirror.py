"""Mirrors: buckets of an object store, worked on by way of a folder on this disk.

    s3://bucket/runs/a/shards/web/x.arrow                                            the object
    SCRATCH/gristmill-mirrors-1000/4d2f/0/s3/bucket/+/runs/a/shards/web/x.arrow      its copy

`local` gives the path that stands for a URL. The path of a copy says where its object is, so any process can fetch a
file that another one has put, and paths go to workers as they are. `shards.atomic` puts each file that it writes
before the file takes its name; readers open files by `opened`, which fetches what is not there. So what is written is
in the store, and copies are a cache (`shards.scratch`).

A path of a mirror means nothing on another machine, so it travels there as what `departing` gives, of which `arrived`
makes a path in the scratch of that machine.

Whether a file exists is what the store says: a listing may be late, and a copy may have been removed. Paths that lie in
no mirror cost a comparison of strings.
"""

import itertools
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote

from shards import scratch
from shards.address import scheme
from shards.errors import RunError, UserError
from shards.folders import matches
from shards.network_disk import is_there_now
from shards.object_store import STORES, ObjectStore
from shards.remote import RemoteError

T = TypeVar("T")

LOST = ".lost"  # in a mirror that may no longer be written to: says why

_MARK = "/gristmill-mirrors-"
_ROOT = re.compile(r"(.*?/gristmill-mirrors-\d+/[0-9a-f]+)/\d+/(\w+)/([^/]+)/\+(?=/|$)")
_LOCK_GIVE_UP_S = 20.0  # seconds: a heartbeat that fails is followed by the next one
_AHEAD = 64  # requests in flight
_MAX_ABSENT = 1_000_000  # paths, of about 200 bytes
_TRIES = 5  # to open a copy that others remove as soon as it is there

_numbers = itertools.count()
_absent: set[Path] = set()  # what stores do not have
_deleted: list[Path] = []  # by this process since a path of its mirrors departed
_has_departed = False


@dataclass(frozen=True)
class _Mirror:
    root: Path
    own: Path  # the folder of the process that made it
    store: ObjectStore  # of the whole bucket

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix() if path != self.root else ""


def local(path: Path | str) -> Path:
    """The path on this disk that stands for `path`: that of a new mirror for a URL of a store, else `path` itself.

    UserError for a URL that is none of a store, or that holds a login or a signature.
    """
    kind, text = scheme(str(path)), re.sub(r":/+", "://", str(path), count=1)
    if not kind:
        return Path(path)
    address = text.partition("://")[2].strip("/")
    if kind == "file":
        host = re.match(r"file://([^/]+)", str(path), re.IGNORECASE)
        if host and host[1] != "localhost":
            raise UserError(f"file://{host[1]}/…: names another machine; write file:///PATH")
        return Path("/" + unquote(address.removeprefix("localhost/") if host else address))
    if kind not in STORES:
        raise UserError(f"{kind}://…: runs lie on this disk or behind {', '.join(f'{name}://' for name in STORES)}")
    if set("@?#") & set(address):
        raise UserError(
            f"{kind}://…: holds a login or a signature; write only the address, and use environment variables"
        )
    bucket, *names = address.split("/")
    if not (bucket and names and all(names)) or {".", ".."} & set(names):
        raise UserError(f"{text}: names no folder of a bucket; write {kind}://BUCKET/NAME")
    root = Path(scratch.own_folder(), str(next(_numbers)), kind, quote(bucket, safe=""), "+")
    root.mkdir(parents=True)
    return root.joinpath(*names)


def address(path: Path) -> str | None:
    """The URL of a path in a mirror; None for others."""
    mirror = _of(path)
    return None if mirror is None else f"{mirror.store.url}/{mirror.name(path)}"


def shown(text: str) -> str:
    """`text` with URLs in place of the paths of mirrors."""
    if _MARK not in text:
        return text
    roots = rf"{re.escape(str(scratch.base()))}/[0-9a-f]+/\d+/(\w+)/([^/\s]+)/\+(?=/)"
    return re.sub(roots, lambda match: f"{match[1]}://{unquote(match[2])}", text)


Departed = tuple[str, str]  # (name of the scratch folder of the process that made the mirror, path in it)


def departing(path: Path) -> Departed | None:
    """What `arrived` needs to give the path on another machine; None for paths in no mirror."""
    global _has_departed
    found = _ROOT.match(str(path)) if _MARK in str(path) else None
    if found is None:
        return None
    _has_departed = True
    return Path(found[1]).name, str(path)[len(found[1]) + 1 :]


def arrived(name: str, inside: str) -> Path:
    """The path of a mirror that departed from another process, in the same place or in this machine's scratch."""
    return scratch.shared_folder(name) / inside


def deleted() -> list[Path]:
    """What this process has deleted in its mirrors since paths of them departed: other machines may hold copies."""
    return _deleted


def forget(paths: Sequence[Path] = ()) -> None:
    """Forget what stores do not have, and the copies of what is deleted: another process has changed the store."""
    _absent.clear()
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def opened(path: Path, open_: Callable[[Path], T]) -> T:
    """`open_(path)`, of a file that may have to be fetched. FileNotFoundError where the store has none either."""
    for _ in range(_TRIES):
        try:
            result = open_(path)
        except FileNotFoundError:
            if _MARK not in str(path) and is_there_now(path):
                return open_(path)
            if not fetch(path):
                raise
        else:
            if _MARK in str(path):
                with suppress(OSError):
                    os.utime(path)  # it was used just now
            return result
    raise RunError(f"{path}: removed as soon as it is fetched; give more by GRISTMILL_SCRATCH_BYTES")


def read_bytes(path: Path) -> bytes:
    return opened(path, Path.read_bytes)


def exists(path: Path) -> bool:
    """Whether the file is there or can be fetched, which is done.

    A process asks the store once for a file that it has not: later answers are those of this disk. So ask for what
    others make when they are done.
    """
    if path.exists():
        return True
    return path not in _absent and fetch(path) if _MARK in str(path) else is_there_now(path)


def fetch(path: Path) -> bool:
    """Copy the object of this path to its place; False where the path is in no mirror or has no object. RunError."""
    mirror = _of(path)
    if mirror is None or not (name := mirror.name(path)):
        return False
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        found = mirror.store.read(name, part)
        if found:
            _take_place(mirror, part, path)
        elif len(_absent) < _MAX_ABSENT:
            _absent.add(path)
        return found
    except RemoteError as error:
        raise RunError(f"{address(path)}: {error}") from None
    except OSError as error:
        cause = error.strerror or error
        raise RunError(
            f"{path}: {cause}; free some space, or set GRISTMILL_SCRATCH to a folder on another disk"
        ) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def ahead(paths: Iterable[Path]) -> Iterator[Path]:
    """The paths in their order; while one is used, the next `_AHEAD` are fetched where they have to be."""
    with ExitStack() as stack:
        pool: ThreadPoolExecutor | None = None
        waiting = deque[tuple[Path, Future[bool] | None]]()
        for path in paths:
            if _MARK not in str(path) or path.exists():
                waiting.append((path, None))
            else:
                pool = pool or stack.enter_context(ThreadPoolExecutor(_AHEAD))
                waiting.append((path, pool.submit(fetch, path)))
            if pool is None or len(waiting) > _AHEAD:
                yield _fetched(*waiting.popleft())
        while waiting:
            yield _fetched(*waiting.popleft())


def _fetched(path: Path, fetching: Future[bool] | None) -> Path:
    if fetching is not None:
        fetching.result()
    return path


def put(part: Path, path: Path) -> None:
    """Put what is to become `path` into its store, and give it that name. RunError where it cannot be put."""
    mirror = _of(path)
    assert mirror is not None, path
    if (lost := mirror.root / LOST).exists():
        raise RunError(lost.read_text(encoding="utf-8"))
    try:
        mirror.store.write(mirror.name(path), part)
    except RemoteError as error:
        raise RunError(f"{address(path)}: cannot be written: {error}; the same command resumes") from None
    _take_place(mirror, part, path)


def _take_place(mirror: _Mirror, part: Path, path: Path) -> None:
    part.chmod(scratch.COPY_MODE)
    num_bytes = part.stat().st_size
    part.replace(path)
    _absent.discard(path)
    scratch.added(mirror.own, num_bytes)


def is_mirrored(path: Path) -> bool:
    return _of(path) is not None


def place_of(folder: Path) -> tuple[ObjectStore, Path] | None:
    """(store of the objects in the folder, file that forbids to write to its mirror); None where it lies in none."""
    mirror = _of(folder)
    return (
        None
        if mirror is None
        else (ObjectStore(f"{mirror.store.url}/{mirror.name(folder)}", _LOCK_GIVE_UP_S), mirror.root / LOST)
    )


def _of(path: Path) -> _Mirror | None:
    """The mirror in which the path lies."""
    text = str(path)
    found = _ROOT.match(text) if _MARK in text else None
    return _mirror(found[0], found[1], found[2], found[3]) if found else None


@cache
def _mirror(root: str, own: str, kind: str, key: str) -> _Mirror:
    try:
        return _Mirror(Path(root), Path(own), ObjectStore(f"{kind}://{unquote(key)}"))
    except RemoteError as error:
        raise UserError(f"{kind}://{unquote(key)}: {error}") from None


def unlink(path: Path) -> None:
    """Remove the file, also from its store; it need not be there."""
    _delete(path, lambda mirror: [mirror.name(path)])
    path.unlink(missing_ok=True)


def delete_below(folder: Path) -> None:
    """Remove all objects in the folder of a mirror, also those that its listing does not have yet; copies stay."""

    def names(mirror: _Mirror) -> list[str]:
        copies = [mirror.name(path) for path in folder.rglob("*") if scratch.is_copy(path)]
        return sorted({*copies, *(found.name for found in mirror.store.below(mirror.name(folder)))})

    _delete(folder, names)


def _delete(path: Path, names: Callable[[_Mirror], list[str]]) -> None:
    mirror = _of(path)
    if mirror is None:
        return
    try:
        mirror.store.delete(names(mirror))
    except RemoteError as error:
        raise RunError(f"{address(path)}: cannot be removed: {error}") from None
    if _has_departed:
        _deleted.append(path)


def glob(folder: Path, pattern: str) -> list[Path]:
    """The files in `folder` that match, sorted: those of the store, and copies that its listing does not have yet."""
    mirror = _of(folder)
    if mirror is None:
        return sorted(folder.glob(pattern)) if exists(folder) else []
    name, parts = mirror.name(folder), pattern.split("/")
    try:
        objects = mirror.store.inside(name)[1] if len(parts) == 1 else mirror.store.below(name)
    except RemoteError as error:
        raise RunError(f"{address(folder)}: cannot be listed: {error}") from None
    paths = {mirror.root / found.name for found in objects}
    copies = {path for path in folder.glob(pattern) if scratch.is_copy(path)}
    return sorted({path for path in paths if matches(path.relative_to(folder).parts, parts)} | copies)


def sizes(folder: Path) -> list[tuple[Path, int]]:
    """(path, bytes) of all files below the folder, in any order."""
    mirror = _of(folder)
    if mirror is None:
        return [(path, path.stat().st_size) for path in folder.rglob("*") if path.is_file()]
    try:
        return [(mirror.root / found.name, found.num_bytes) for found in mirror.store.below(mirror.name(folder))]
    except RemoteError as error:
        raise RunError(f"{address(folder)}: cannot be listed: {error}") from None


def tagged(folder: Path) -> dict[Path, tuple[int, str]]:
    """(bytes, ETag) of all files below the folder of a mirror; the ETag is "" where a late listing lacks the file."""
    mirror = _of(folder)
    assert mirror is not None, folder
    try:
        objects = {mirror.root / o.name: (o.num_bytes, o.etag) for o in mirror.store.below(mirror.name(folder))}
    except RemoteError as error:
        raise RunError(f"{address(folder)}: cannot be listed: {error}") from None
    return {path: (path.stat().st_size, "") for path in folder.rglob("*") if scratch.is_copy(path)} | objects


def folders(folder: Path) -> list[str]:
    """The names of the folders in `folder`, sorted."""
    mirror = _of(folder)
    if mirror is None and not exists(folder):
        return []
    there = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    if mirror is None:
        return sorted(there)
    try:
        return sorted(there | set(mirror.store.inside(mirror.name(folder))[0]))
    except RemoteError as error:
        raise RunError(f"{address(folder)}: cannot be listed: {error}") from None
