"""Input files on this disk, behind `https://` and in `s3://`.

A recipe's `paths` may be files, folders, globs, URLs, or lists of paths as Common Crawl publishes them
(`warc.paths`, `wet.paths.gz`: one path a line, relative to the list's own host or folder). `find_inputs` turns them
into a fixed, ordered list, and `open_input` opens a seekable stream. Remote requests retry with exponential backoff
(obstore: 10 times, up to 3 minutes), since Common Crawl answers 503 under load.
"""

import errno
import glob
import gzip
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from shards.errors import RunError, UserError
from shards.limits import check_limits

BUFFER_BYTES = 8 << 20  # one remote request fetches this much; Common Crawl throttles by requests, not by bytes
COMMON_CRAWL = "https://data.commoncrawl.org/"


@dataclass(frozen=True)
class InputFile:
    """One input. `name` is its path relative to what the recipe named, the same on every machine."""

    path: str
    name: str
    num_bytes: int
    etag: str = ""  # of the remote object; "" on disk, where size and name identify the file


def find_inputs(paths: Iterable[str], suffixes: tuple[str, ...], where: str) -> list[InputFile]:
    """Every file that `paths` name; the files of a folder or glob in order of name.

    From folders only files that end in one of `suffixes` are taken. UserError, beginning with `where`, for a path that
    does not exist, a folder without such a file, and an unreachable host.
    """
    files: list[InputFile] = []
    for path in paths:
        if not path.strip():
            raise UserError(f"{where}: an empty path; name files, folders, globs or a warc.paths.gz list")
        if _is_path_list(path):
            files += _listed(path, where)
        elif _is_remote(path):
            files += _remote(path, suffixes, where)
        else:
            files += _local(path, suffixes, where)
    if not files:
        raise UserError(f"{where}: no path is given; name files, folders, globs or a warc.paths.gz list")
    return files


def open_input(file: InputFile, offset: int = 0) -> BinaryIO:
    """A buffered, seekable binary stream of `file` from byte `offset` on; RunError where it cannot be opened."""
    try:
        remote = _is_remote(file.path)
        raw = _RemoteRaw(file) if remote else io.FileIO(file.path)
        stream = io.BufferedReader(raw, BUFFER_BYTES if remote else 1 << 20)
        stream.seek(offset)
    except OSError as error:
        check_limits(file.path, error)
        raise RunError(
            f"{file.path}: cannot be opened: {error.strerror or error}; run again when it is available"
        ) from error
    return cast(BinaryIO, stream)


def _is_remote(path: str) -> bool:
    return path.startswith(("https://", "http://", "s3://"))


def _is_path_list(path: str) -> bool:
    return path.endswith((".paths", ".paths.gz"))


def _local(path: str, suffixes: tuple[str, ...], where: str) -> list[InputFile]:
    root = Path(path).expanduser()
    if root.is_dir():
        files = sorted(f for f in root.rglob("*") if f.is_file() and f.name.endswith(suffixes))
        if not files:
            raise UserError(f"{where}: {path}: no file in this folder ends in {', '.join(suffixes)}")
        return [_on_disk(f, f.relative_to(root).as_posix(), where) for f in files]
    if root.exists():
        return [_on_disk(root, root.name, where)]
    matches = sorted(Path(f) for f in glob.glob(str(root), recursive=True) if Path(f).is_file())  # noqa: PTH207
    if not matches:
        raise UserError(f"{where}: {path}: no such file or folder (relative paths start at {Path.cwd()})")
    fixed = Path(*root.parts[: _first_magic(root)])
    return [_on_disk(f, f.relative_to(fixed).as_posix() if f.is_relative_to(fixed) else f.name, where) for f in matches]


def _first_magic(pattern: Path) -> int:
    return next((i for i, part in enumerate(pattern.parts) if glob.has_magic(part)), len(pattern.parts) - 1)


def _on_disk(path: Path, name: str, where: str) -> InputFile:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: {str(path)!a}: the file's name is not UTF-8; rename it") from None
    try:
        path.open("rb").close()
        return InputFile(str(path), name, path.stat().st_size)
    except OSError as error:
        check_limits(path, error)
        hint = "give yourself the right to read it" if error.errno == errno.EACCES else "check the disk"
        raise UserError(f"{where}: {path}: cannot be read: {error.strerror}; {hint}") from None


def _listed(path: str, where: str) -> list[InputFile]:
    """The files of a path list. A list on disk names files beside it, or otherwise on Common Crawl's host."""
    if _is_remote(path):
        (listing,) = _remote(path, (), where)
        data, base = open_input(listing).read(), _list_base(path)
    else:
        (listing,) = _local(path, (), where)
        data, base = Path(listing.path).read_bytes(), ""
    try:
        lines = (gzip.decompress(data) if path.endswith(".gz") else data).decode().split()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: {path}: expected a list of paths, one a line: {error}") from None
    files = []
    for line in lines:
        beside = Path(path).parent / line
        if _is_remote(line):
            files += _remote(line, (), where)
        elif base or not beside.exists():
            files += _remote((base or COMMON_CRAWL) + line, (), where, name=line)
        else:
            files.append(_on_disk(beside, line, where))
    return files


def _list_base(url: str) -> str:
    """`https://host/` or `s3://bucket/` of a list's URL; its paths are relative to that."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"


@cache
def _store(base: str) -> Any:
    """The store behind `https://host/` or `s3://bucket/`.

    S3 takes region, endpoint and credentials from AWS_* variables. Without credentials its requests are not signed, so
    public dumps need no account.
    """
    from obstore.store import HTTPStore, S3Store

    if not base.startswith("s3://"):
        return HTTPStore.from_url(base, client_options={"allow_http": base.startswith("http://")})
    named = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    return S3Store.from_url(
        base,
        config={"skip_signature": not any(name in os.environ for name in named)},
        client_options={"allow_http": plain},
    )


def _split(url: str) -> tuple[Any, str]:
    base = _list_base(url)
    return _store(base), url[len(base) :]


def _remote(path: str, suffixes: tuple[str, ...], where: str, name: str = "") -> list[InputFile]:
    import obstore

    store, key = _split(path)
    try:
        if path.startswith("s3://") and suffixes and not key.endswith(suffixes):
            objects = [m for chunk in obstore.list(store, prefix=key.rstrip("/")) for m in chunk]
            metas = sorted((m for m in objects if m["path"].endswith(suffixes)), key=lambda m: m["path"])
            if not metas:
                raise UserError(f"{where}: {path}: no object there ends in {', '.join(suffixes)}; check the prefix")
            root = _list_base(path)
            return [_from_meta(root + m["path"], m["path"].removeprefix(key.rstrip("/") + "/"), m) for m in metas]
        return [_from_meta(path, name or PurePosixPath(key).name, obstore.head(store, key))]
    except (OSError, obstore.exceptions.BaseError) as error:
        check_limits(path, error)
        cause = " ".join(str(error).split())[:300]
        raise UserError(
            f"{where}: {path}: cannot be reached: {cause}; check the address and your credentials"
        ) from None


def _from_meta(path: str, name: str, meta: Any) -> InputFile:
    return InputFile(path, name, meta["size"], (meta.get("e_tag") or "").strip('"'))


class _RemoteRaw(io.RawIOBase):
    """Ranged reads of one remote object; the store retries each request."""

    def __init__(self, file: InputFile) -> None:
        self._file, self._at = file, 0
        self._store, self._key = _split(file.path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.num_bytes}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        import obstore

        length = min(len(buffer), self._file.num_bytes - self._at)
        if length <= 0:
            return 0
        try:
            data = obstore.get_range(self._store, self._key, start=self._at, length=length)
        except obstore.exceptions.BaseError as error:
            cause = " ".join(str(error).split())[:300]
            raise RunError(
                f"{self._file.path}: offset {self._at}: reading failed after all retries: {cause}; run again to resume"
            ) from error
        buffer[: len(data)] = memoryview(data)
        self._at += len(data)
        return len(data)
