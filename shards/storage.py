"""Input files on this disk, behind `https://` and in `s3://`.

A recipe's `paths` may be files, folders, globs, URLs, or lists of paths as Common Crawl publishes them
(`warc.paths`, `wet.paths.gz`: one path a line, relative to the list's own host or folder). `find_inputs` turns them
into a fixed, ordered list, and `open_input` opens a seekable stream.
"""

import errno
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from shards import http_file, s3_object
from shards.address import file_name, host_root, is_http, is_remote, is_s3, scheme, shown
from shards.errors import RunError, UserError
from shards.folders import fault, files_below, files_matching, first_magic
from shards.hub import hub_files
from shards.limits import check_limits
from shards.read_ahead import open_remote
from shards.remote import CONNECTIONS, RemoteError

_MAX_LISTING = 256 << 20  # bytes of a list of paths; that of a snapshot's 90,000 files has 12 MB
COMMON_CRAWL = "https://data.commoncrawl.org/"


class Chosen(NamedTuple):
    """The places in a file that an index selects: rows of the table of the selection."""

    first: int
    num_records: int


@dataclass(frozen=True)
class InputFile:
    """One input. As a string it is its path without what is secret in a URL."""

    path: str
    name: str  # its path relative to what the recipe named, the same on every machine, without the query of a URL
    num_bytes: int
    version: str = ""  # ETag, else Last-Modified, of a remote file; "" on disk and where a server states neither
    fault: str = ""  # why it cannot be read; "" where nothing is known against it
    chosen: Chosen | None = (
        None  # of a file that an index names: only these records are read, and `num_bytes` is theirs
    )

    def __str__(self) -> str:
        return shown(self.path)


@dataclass(frozen=True)
class _Remote:
    """A remote file whose size is still to be asked for."""

    path: str
    name: str


def find_inputs(paths: Iterable[str], suffixes: tuple[str, ...], where: str) -> list[InputFile]:
    """Every file that `paths` name; the files of a folder or glob in order of name, each once.

    From folders only files that end in one of `suffixes`, in either case, are taken. A link to nothing in a folder is
    an input with a `fault`. UserError, beginning with `where`, for a path that does not exist, a pipe, a folder without
    such a file, and an unreachable host.
    """
    found: list[InputFile | _Remote] = []
    for path in paths:
        if not path.strip():
            raise UserError(f"{where}: an empty path; name files, folders, globs or a warc.paths.gz list")
        if file_name(path).endswith((".paths", ".paths.gz")) and not Path(path).is_dir():
            found += _listed(path, where)
        elif is_remote(path):
            found += _remote(path, suffixes, where)
        elif scheme(path) == "hf":
            found += [_Remote(url, name) for url, name in hub_files(path, suffixes, where)]
        elif "://" in path and scheme(path):
            remedy = "give the path itself" if scheme(path) == "file" else "download it first"
            raise UserError(f"{where}: {path}: of URLs only https://, http://, s3:// and hf:// are read; {remedy}")
        else:
            found += _local(path, suffixes, where)
    if not found:
        raise UserError(f"{where}: no path is given; name files, folders, globs or a warc.paths.gz list")
    return _sized(found, where)


def open_input(file: InputFile, offset: int = 0) -> BinaryIO:
    """A buffered, seekable binary stream of `file` from byte `offset` on; RunError where it cannot be opened."""
    if file.fault:
        raise RunError(f"{file}: {file.fault}")
    try:
        remote = is_remote(file.path)
        stream = open_remote(file.path, file.num_bytes, file.version) if remote else _open_local(file.path)
        stream.seek(offset)
    except OSError as error:
        check_limits(file.path, error)
        raise RunError(
            f"{file}: cannot be opened: {error.strerror or error}; run again when it is available"
        ) from error
    return cast(BinaryIO, stream)


def can_seek(file: InputFile) -> bool:
    """Whether it can be read from its middle: not where its server sends all that comes before. RunError."""
    try:
        return not is_http(file.path) or http_file.has_ranges(file.path)
    except RemoteError as error:
        raise RunError(f"{file}: {error}") from None


def _open_local(path: str) -> io.BufferedReader:
    return io.BufferedReader(io.FileIO(path), 1 << 20)


def _local(path: str, suffixes: tuple[str, ...], where: str) -> list[InputFile]:
    root = Path(path).expanduser()
    try:
        if root.is_dir():
            files = files_below(root, suffixes)
            if not files:
                raise UserError(
                    f"{where}: {path}: no file in this folder ends in {', '.join(suffixes)} (hidden ones aside)"
                )
            return [_on_disk(f, f.relative_to(root).as_posix(), where) for f in files]
        if root.exists() or root.is_symlink():
            if why := fault(root):
                raise UserError(f"{where}: {path}: {why}")
            return [_on_disk(root, root.name, where)]
        matches = files_matching(root, suffixes)
    except OSError as error:
        raise _unreadable(Path(error.filename or path), error, where) from None
    if not matches:
        raise UserError(f"{where}: {path}: no such file or folder (relative paths start at {Path.cwd()})")
    fixed = Path(*root.parts[: first_magic(root)])
    return [_on_disk(f, f.relative_to(fixed).as_posix() if f.is_relative_to(fixed) else f.name, where) for f in matches]


def _on_disk(path: Path, name: str, where: str) -> InputFile:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: {str(path)!a}: the file's name is not UTF-8; rename it") from None
    if why := fault(path):
        return InputFile(str(path), name, 0, fault=why)
    try:
        with path.open("rb") as file:
            return InputFile(str(path), name, os.fstat(file.fileno()).st_size)
    except OSError as error:
        check_limits(path, error)
        raise _unreadable(path, error, where) from None


def _unreadable(path: Path, error: OSError, where: str) -> UserError:
    hint = "give yourself the right to read it" if error.errno == errno.EACCES else "check the disk"
    return UserError(f"{where}: {path}: cannot be read: {error.strerror}; {hint}")


def _listed(path: str, where: str) -> Iterator[InputFile | _Remote]:
    """The files of a path list. A list on disk names files beside it, or otherwise on Common Crawl's host."""
    for listing in _sized(_remote(path, (), where) if is_remote(path) else _local(path, (), where), where):
        yield from _lines_of(listing, where)


def _lines_of(listing: InputFile, where: str) -> Iterator[InputFile | _Remote]:
    root = host_root(listing.path) if is_remote(listing.path) else ""
    with open_input(listing) as stream:
        data = stream.read(_MAX_LISTING + 1)
    try:
        if listing.name.endswith(".gz"):
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(_MAX_LISTING + 1)
        if len(data) > _MAX_LISTING:
            raise OSError(f"it has more than {_MAX_LISTING:,} bytes")
        lines = data.decode("utf-8-sig").splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"{where}: {listing}: expected a list of paths, one a line: {error}") from None
    for line in filter(None, map(str.strip, lines)):
        if is_remote(line):
            yield _Remote(line, file_name(line))
        elif root or not (beside := Path(listing.path).parent / line).exists():
            yield _beside(root or COMMON_CRAWL, line)
        else:
            yield _on_disk(beside, line, where)


def _beside(root: str, line: str) -> _Remote:
    """The file of a line that is a path and no URL: "#" begins no fragment in it."""
    if is_s3(root):
        return _Remote(root + line.lstrip("/"), line)
    return _Remote(root + line.lstrip("/").replace("#", "%23"), line.partition("?")[0])


def _remote(path: str, suffixes: tuple[str, ...], where: str) -> list[InputFile | _Remote]:
    """The file of a URL, or the objects below an `s3://` prefix."""
    if not is_s3(path) or not suffixes or path.lower().endswith(suffixes):
        return [_Remote(path, file_name(path))]
    try:
        objects = [found for found in s3_object.list_objects(path) if found[0].lower().endswith(suffixes)]
    except RemoteError as error:
        raise UserError(f"{where}: {path}: {error}") from None
    if not objects:
        raise UserError(f"{where}: {path}: no object there ends in {', '.join(suffixes)}; check the prefix")
    prefix = path.rstrip("/") + "/"
    return [InputFile(url, url.removeprefix(prefix), num_bytes, etag) for url, num_bytes, etag in objects]


def _sized(files: Sequence[InputFile | _Remote], where: str) -> list[InputFile]:
    """The files in their order. Servers are asked for the sizes of many at the same time."""

    def sized(file: InputFile | _Remote) -> InputFile:
        if isinstance(file, InputFile):
            return file
        try:
            stat = http_file.stat if is_http(file.path) else s3_object.stat
            return InputFile(file.path, file.name, *stat(file.path))
        except RemoteError as error:
            raise UserError(f"{where}: {shown(file.path)}: {error}") from None

    if sum(isinstance(file, _Remote) for file in files) < 2:
        return [*map(sized, files)]
    pool = ThreadPoolExecutor(CONNECTIONS)
    try:
        return [*pool.map(sized, files)]
    finally:
        pool.shutdown(cancel_futures=True)
