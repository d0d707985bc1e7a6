"""A run's folder: the one owner of its layout. Nothing else joins or globs names in it.

    run.json              fingerprint and its parts: written first, compared on every rerun
    recipe.toml           the resolved recipe
    work/                 passes under way; removed when the run is done
    shards/<source>/      kept documents and, beside each shard, its manifest
    ledger/               a row for every record
    texts/                the text that extraction gave each record
    dropped/              texts of dropped rows
    dedup/<stage>/        verified edges and alarms of global stages
    contamination/        what stages of kind `decontaminate` looked for
    kills.jsonl           pages that killed the extractor
    removing.jsonl        a removal that is under way; removals.jsonl: what was removed on request
    seconds.json          time by stage
    report.json           written last: the run is done

Files are asked for by name and handed out as local paths (`path`), and made files are handed in (`sink`, `write`,
`write_json`), each whole or not at all. So the folder can lie elsewhere without any other module knowing.
"""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from pipelines.recipe import Recipe, load_recipe
from shards.atomic import write_bytes, write_json
from shards.errors import RunError, UserError
from shards.sink import ArrowSink
from shards.unit_key import UnitKey

_FOLDERS = ("work", "shards", "ledger", "dropped", "texts", "dedup")
_FILES = ("report.html", "kills.jsonl", "seconds.json", "recipe.toml", "run.json")


_REMEDY = "put the file back, or delete the folder and run again"
_INPUT_NAME = re.compile(r"[^/]+/[0-9]{5,}/.+", re.DOTALL)


@dataclass(frozen=True)
class MadeOf:
    """What a run's bytes depend on, as `pipelines.run.fingerprint` writes it into `run.json`."""

    parts: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """RunError where the file is not what was written."""
        try:
            parts = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{path}: not readable ({error}); {_REMEDY}") from None
        if not isinstance(parts, dict):
            raise RunError(f"{path}: holds no table of what the run is made of; {_REMEDY}")
        for key, kind in (("digest", str), ("version", str), ("library", dict), ("input", dict)):
            if not isinstance(parts.get(key), kind):
                raise RunError(f"{path}: {key}: missing or not what was written; {_REMEDY}")
        for name, about in parts["input"].items():
            if not _INPUT_NAME.fullmatch(name) or not (isinstance(about, list) and [*map(type, about)] == [int, str]):
                raise RunError(f"{path}: input.{name}: not what was written; {_REMEDY}")
        return cls(parts)

    @property
    def digest(self) -> str:
        return str(self.parts["digest"])

    @property
    def version(self) -> str:
        """The version of gristmill."""
        return str(self.parts["version"])

    @property
    def libraries(self) -> dict[str, str]:
        """The versions of libraries that change the output."""
        return dict(self.parts["library"])

    @property
    def inputs(self) -> dict[str, tuple[int, str]]:
        """(bytes, etag or digest) of each input, by `<source>/<index>/<name>`."""
        return {name: (size, digest) for name, (size, digest) in self.parts["input"].items()}

    @property
    def source_order(self) -> list[str]:
        return list(dict.fromkeys(name.partition("/")[0] for name in self.parts["input"]))


@dataclass(frozen=True)
class RunFolder:
    root: Path

    # Names, relative to the folder; the names of unit files stand in manifests.

    RUN = "run.json"
    RECIPE = "recipe.toml"
    REPORT = "report.json"
    REPORT_PAGE = "report.html"
    SECONDS = "seconds.json"
    KILLS = "kills.jsonl"
    DROPPED = "dropped/texts.arrow"
    REMOVING = "removing.jsonl"
    REMOVALS = "removals.jsonl"
    WORK_SECONDS = "work/seconds.json"

    @staticmethod
    def shard(key: UnitKey) -> str:
        return f"shards/{key.source}/{key}.arrow"

    @staticmethod
    def manifest(key: UnitKey) -> str:
        return f"shards/{key.source}/{key}.json"

    @staticmethod
    def ledger(key: UnitKey) -> str:
        return f"ledger/{key}.arrow"

    @staticmethod
    def texts(key: UnitKey) -> str:
        return f"texts/{key}.arrow"

    @staticmethod
    def dedup(stage: str, name: str) -> str:
        """A file that a finished run keeps of a global stage."""
        return f"dedup/{stage}/{name}"

    @staticmethod
    def work(number: int, key: UnitKey | None = None, what: str = "") -> str:
        """The folder of pass `number`, or of a unit in it the file `what` ("facts", "text", "dropped", "manifest")."""
        if key is None:
            return f"work/{number}"
        return f"work/{number}/{key}.json" if what == "manifest" else f"work/{number}/{key}.{what}.arrow"

    @staticmethod
    def work_stage(number: int, stage: str) -> str:
        """The folder of a global stage that ends pass `number`."""
        return f"work/{number}/{stage}"

    # What the run is made of.

    def is_run(self) -> bool:
        return self.has(self.RUN)

    def is_done(self) -> bool:
        return self.has(self.REPORT)

    def require_done(self, then: str = "then ask again") -> None:
        """UserError where there is no run, or where it is not finished."""
        if not self.is_run():
            raise UserError(f"{self.root}: no run of gristmill (it has no run.json)")
        if not self.is_done():
            raise UserError(f"{self.root}: the run is not finished; run its command again to resume, {then}")

    def made_of(self) -> MadeOf:
        """`run.json`. UserError where there is none, RunError where it is broken."""
        if not self.is_run():
            raise UserError(f"{self.root}: no run of gristmill (it has no run.json)")
        return MadeOf.read(self.path(self.RUN))

    def recipe(self) -> Recipe:
        """The resolved recipe. RunError where the file is missing or broken."""
        path = self.path(self.RECIPE)
        if not path.exists():
            raise RunError(f"{path}: missing; run the same command again, it writes the file anew")
        try:
            return load_recipe(str(path))
        except UserError as error:
            raise RunError(
                f"{error}; delete the file and run the same command again, it writes the file anew"
            ) from None

    # Files.

    def path(self, name: str) -> Path:
        """The local path of the file or folder `name`, which may not exist."""
        return self.root / name

    def has(self, name: str) -> bool:
        return self.path(name).exists()

    def sink(self, name: str, schema: pa.Schema) -> ArrowSink:
        """A new Arrow file; it appears under its name when the sink is closed."""
        return ArrowSink(self.path(name), schema)

    def write(self, name: str, data: bytes) -> None:
        write_bytes(self.path(name), data)

    def write_json(self, name: str, value: Any) -> None:
        write_json(self.path(name), value)

    def delete(self, name: str) -> None:
        """Remove the file or folder `name`, if it is there."""
        path = self.path(name)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the run's own files and nothing else in the folder, first of all the mark that it is done."""
        for name in (self.REPORT, *_FOLDERS, *_FILES):
            self.delete(name)

    # Units.

    def units(self) -> tuple[UnitKey, ...]:
        """The finished units, those with a manifest, in the order of source, file and part."""
        return self._ordered(self.path("shards").glob("*/*.json"))

    def ledgers(self) -> tuple[UnitKey, ...]:
        """The units whose ledger is there, in the same order. RunError where a file's name is no key of this run."""
        return self._ordered(self.path("ledger").glob("*.arrow"))

    def passed_units(self, number: int) -> tuple[UnitKey, ...]:
        """The units that have gone through pass `number`."""
        return self._ordered(self.path(self.work(number)).glob("*.json"))

    def _ordered(self, paths: Iterator[Path]) -> tuple[UnitKey, ...]:
        sources = {name: number for number, name in enumerate(self.made_of().source_order)}

        def place(key: UnitKey) -> tuple[int, int, int]:
            return sources[key.source], key.file, key.part

        try:
            return tuple(sorted((UnitKey.parse(path.stem) for path in paths), key=place))
        except (ValueError, KeyError):
            raise RunError(
                f"{self.root}: holds files of another run; `gristmill verify {self.root}` names them"
            ) from None
