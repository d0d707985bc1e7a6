"""The manifest of a unit: the proof of what it read, wrote and counted. It is written last, by rename.

A file without a manifest counts as missing. `gristmill verify` finds files that differ from their manifest.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from pydantic import TypeAdapter, ValidationError

from shards import mirror
from shards.address import is_remote
from shards.atomic import write_json
from shards.errors import RunError, UserError
from shards.folders import files_below
from shards.formats import format_of, require_formats_of_runs
from shards.limits import raise_unless_damage
from shards.sink import ArrowSink
from shards.unit_key import UnitKey

SCHEMA_VERSION = 1  # of the manifest's fields


@dataclass(frozen=True)
class WrittenFile:
    """The contents of a file that a unit wrote."""

    rows: int
    num_bytes: int
    sha256: str

    @classmethod
    def of(cls, sink: ArrowSink) -> Self:
        return cls(sink.num_rows, sink.num_bytes, sink.sha256)

    def is_at(self, path: Path) -> bool:
        """Whether the file at `path` is there as it was written: all of it is read."""
        try:
            return file_sha256(path) == self.sha256
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return False


@dataclass(frozen=True)
class Manifest:
    key: str  # file-name stem of the unit
    source: str
    file: str  # input file, relative to its source
    start: int  # where in the input the unit begins
    next_start: int | None  # where the next unit of the file begins; None at its end
    fingerprint: str  # of everything that the bytes depend on
    stats: dict[str, int]  # counts by path, as `shards.stats.Stats` has them
    damage: list[dict[str, Any]]  # file, offset and cause of every place that could not be read
    files: dict[str, WrittenFile]  # by path relative to the run (in work folders: to the manifest)
    recipe: str = ""  # resolved, as TOML
    schema_version: int = field(default=SCHEMA_VERSION)


_MANIFEST = TypeAdapter(Manifest)
_REMEDY = "delete it and the run's report.json, if there is one, and run the same command again"


def write_manifest(path: Path, manifest: Manifest) -> None:
    files = {name: vars(written) for name, written in manifest.files.items()}
    write_json(path, {**vars(manifest), "files": files}, synced=False)  # `asdict` would copy each count, in .2 ms


def read_manifest(path: Path) -> Manifest:
    """RunError where the file is missing, damaged or not a manifest; UserError where a newer gristmill wrote it."""
    try:
        manifest = _MANIFEST.validate_json(mirror.read_bytes(path), strict=True)
    except (OSError, ValidationError) as error:
        raise_unless_damage(path, error)
        raise RunError(f"{path}: not a manifest ({_cause(error)}); {_REMEDY}") from None
    format_of(vars(manifest), "schema_version", path, SCHEMA_VERSION, _REMEDY)
    return manifest


class Linked(Protocol):
    """A unit as a link of its file's chain: a manifest, or what a pass made."""

    @property
    def key(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def next_start(self) -> int | None: ...


class Link(NamedTuple):
    """The place of a unit in the chain of its input file: these fields of its manifest."""

    key: str
    source: str
    file: str
    start: int
    next_start: int | None


@dataclass(frozen=True)
class MissingUnit:
    """The first unit that a broken chain lacks."""

    source: str
    key: str
    file: str  # input file, relative to its source


@dataclass(frozen=True)
class Chains:
    """The chains of a run: each input file is a chain of units, from one that starts at 0 to one without a next."""

    units: frozenset[str]  # keys of the units that are linked to the start of their file
    missing: tuple[MissingUnit, ...]  # one for each broken chain

    @classmethod
    def of(cls, inputs: Iterable[str], manifests: Iterable[Linked]) -> Self:
        """The chains of these units, in any order; `inputs` are `source/00003/name`, as in a run's fingerprint."""
        places = {m.key: ((m.source, m.file, m.start), m.next_start) for m in manifests}
        units: set[str] = set()
        missing: list[MissingUnit] = []
        for name in inputs:
            source, index, file = name.split("/", 2)
            part = 0
            start: int | None = 0
            while start is not None:
                key = str(UnitKey(source, int(index), part))
                place, next_start = places.get(key, (None, None))
                if place != (source, file, start):
                    missing.append(MissingUnit(source, key, file))
                    break
                units.add(key)
                part, start = part + 1, next_start
        return cls(frozenset(units), tuple(missing))


def check_shards(paths: Sequence[str], where: str) -> None:
    """UserError where a folder lacks a shard that a manifest in it names, or has one of another size.

    Otherwise a source would silently have fewer documents. `where` begins the message; URLs and files are not checked.
    The runs of a newer gristmill are refused, too.
    """
    require_formats_of_runs(Path(path) for path in paths if not is_remote(path))
    for path in paths:
        for json_file in files_below(Path(path), (".json",)) if Path(path).is_dir() else ():
            try:
                manifest = read_manifest(json_file)
            except RunError:
                continue  # another program's JSON
            shard = json_file.with_suffix(".arrow")
            written = manifest.files.get(f"shards/{manifest.source}/{manifest.key}.arrow")
            num_bytes = shard.stat().st_size if shard.exists() else None
            if written is not None and num_bytes != written.num_bytes:
                cause = (
                    "missing"
                    if num_bytes is None
                    else f"{num_bytes:,} bytes, where its manifest says {written.num_bytes:,}"
                )
                raise UserError(f"{where}: {shard}: {cause}; put it back, or make its run again")


def file_sha256(path: Path) -> str:
    """64 hex digits: the sha256 of the file's bytes."""
    with mirror.opened(path, lambda path: path.open("rb")) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cause(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)
