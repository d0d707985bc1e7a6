"""The proof of a unit: what it read, what it wrote, and what was counted. Written last, by rename.

A file without a manifest does not exist; a manifest whose files differ from it is found by `gristmill verify`.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from shards.atomic import write_json
from shards.errors import RunError
from shards.sink import ArrowSink

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


def write_manifest(path: Path, manifest: Manifest) -> None:
    write_json(path, asdict(manifest))


def read_manifest(path: Path) -> Manifest:
    try:
        values = json.loads(path.read_bytes())
        values["files"] = {name: WrittenFile(**file) for name, file in values["files"].items()}
        return Manifest(**values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"{path}: not a manifest ({error}); delete it and run the same command again") from None


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
