"""The proof of a unit: what it read, what it wrote, and what was counted. Written last, by rename.

A file without a manifest does not exist; a manifest whose files differ from it is found by `gristmill verify`.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from shards.atomic import write_json
from shards.errors import RunError
from shards.sink import ArrowSink
from shards.unit_key import UnitKey

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class WrittenFile:
    rows: int
    num_bytes: int
    sha256: str

    @classmethod
    def of(cls, sink: ArrowSink) -> Self:
        return cls(sink.num_rows, sink.num_bytes, sink.sha256)


@dataclass(frozen=True)
class Manifest:
    key: str  # file-name stem of the unit
    source: str
    file: str  # input file, relative to its source
    start: int  # where in the input the unit begins
    next_start: int | None  # where the next unit of the file begins; None at its end
    fingerprint: str  # of everything that the bytes depend on
    stats: dict[str, int]
    damage: list[dict[str, Any]]  # file, offset, cause of every unreadable place
    files: dict[str, WrittenFile]  # by path relative to the run (in work folders: to the manifest)
    recipe: str = ""  # resolved, as TOML
    schema_version: int = field(default=SCHEMA_VERSION)


_MANIFEST = TypeAdapter(Manifest)


def write_manifest(path: Path, manifest: Manifest) -> None:
    write_json(path, asdict(manifest))


def read_manifest(path: Path) -> Manifest:
    try:
        return _MANIFEST.validate_json(path.read_bytes(), strict=True)
    except (OSError, ValidationError) as error:
        raise RunError(
            f"{path}: not a manifest ({_cause(error)}); delete it and the run's report.json, if there is one, and "
            "run the same command again"
        ) from None


def _cause(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)


@dataclass(frozen=True)
class MissingUnit:
    source: str
    key: str
    file: str  # input file, relative to its source


@dataclass(frozen=True)
class Chains:
    """Each input file of a run is a chain of units, from one that starts at 0 to one without a next."""

    units: frozenset[str]  # keys of those that stand in a chain
    missing: tuple[MissingUnit, ...]  # the first that each broken chain lacks

    @classmethod
    def of(cls, inputs: Iterable[str], manifests: Iterable[Manifest]) -> Self:
        """`inputs` are names as a run's fingerprint has them, `source/00003/name`."""
        made = {manifest.key: manifest for manifest in manifests}
        units: set[str] = set()
        missing: list[MissingUnit] = []
        for name in inputs:
            source, index, file = name.split("/", 2)
            part = 0
            start: int | None = 0
            while start is not None:
                key = str(UnitKey(source, int(index), part))
                unit = made.get(key)
                if unit is None or (unit.source, unit.file, unit.start) != (source, file, start):
                    missing.append(MissingUnit(source, key, file))
                    break
                units.add(key)
                part, start = part + 1, unit.next_start
        return cls(frozenset(units), tuple(missing))


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
