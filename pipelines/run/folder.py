"""A run's folder: the one owner of its layout. Nothing else joins or globs names in it.

    run.json              format number, fingerprint and its parts: written first, compared on every rerun
    recipe.toml           the resolved recipe
    work/                 passes under way; removed when the run is done
    shards/<source>/      kept documents and, beside each shard, its manifest
    ledger/               a row for every record
    texts/                the text that extraction gave each record
    dropped/              texts of dropped rows
    dedup/<stage>/        verified edges and alarms of global stages
    contamination/        what stages of kind `decontaminate` looked for
    summaries/            manifests of units, some hundreds in a file: a cache, which may be deleted
    selection/            of sources of kind `index`: the places of the records that are wanted
    kills.jsonl           pages that killed the extractor
    failed.jsonl          records of an index that could not be had: itself an index, for a run of its own
    removing.jsonl        a removal that is under way; removals.jsonl: what was removed on request
    seconds.json          time by stage, and what ran when
    report-partial.*      what finished units came to so far; removed when the run is done
    report.json           written last: the run is done

Files are asked for by name and handed out as local paths (`path`), and made files are handed in (`sink`, `write`,
`write_json`), each whole or not at all. The folder may be a URL of an object store: then paths are those of a mirror
(`shards.mirror`), and whoever asks whether a file is there asks by `has`, `names` or `mirror.exists`.

Summaries are no part of what a run proves: no manifest names them, and `verify` does not read them. They hold times of
files, so they differ between runs of the same bytes.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any, Literal, Self, TypeVar

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from pipelines.recipe import Recipe, load_recipe
from pipelines.run.manifests import Manifests
from pipelines.run.summaries import Stamp
from shards import mirror
from shards.atomic import PART, journal_lines, link_or_copy, read_journal, sync_disk, write_bytes, write_json
from shards.errors import RunError, UserError
from shards.formats import OLDEST_RUN_RESUMED, RUN_FILE, RUN_FORMAT, RUN_KEY, run_format
from shards.limits import raise_unless_damage
from shards.sink import ArrowSink
from shards.unit_key import UnitKey

_REMEDY = "put the file back, or delete the folder and run again"
T = TypeVar("T")

_INPUT_NAME = re.compile(r"[^/]+/[0-9]{5,}/.+", re.DOTALL)


@dataclass(frozen=True)
class MadeOf:
    """What a run's bytes depend on, as `pipelines.run.fingerprint` writes it into `run.json`."""

    parts: dict[str, Any]
    format: int = RUN_FORMAT  # of the folder; no part of the fingerprint

    @classmethod
    def read(cls, path: Path) -> Self:
        """RunError where the file is not what was written, UserError where a newer gristmill wrote it."""
        try:
            parts = json.loads(mirror.read_bytes(path))
        except (OSError, ValueError, RecursionError) as error:
            raise_unless_damage(path, error)
            raise RunError(f"{path}: not readable ({error}); {_REMEDY}") from None
        if not isinstance(parts, dict):
            raise RunError(f"{path}: holds no table of what the run is made of; {_REMEDY}")
        number = run_format(parts, path, _REMEDY)
        for key, kind in (("digest", str), ("version", str), ("library", dict), ("input", dict)):
            if not isinstance(parts.get(key), kind):
                raise RunError(f"{path}: {key}: missing or not what was written; {_REMEDY}")
        for name, about in parts["input"].items():
            if not _INPUT_NAME.fullmatch(name) or not (isinstance(about, list) and [*map(type, about)] == [int, str]):
                raise RunError(f"{path}: input.{name}: not what was written; {_REMEDY}")
        return cls({key: value for key, value in parts.items() if key != RUN_KEY}, number)

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
        """(bytes, version or digest) of each input, by `<source>/<index>/<name>`."""
        return {name: (size, digest) for name, (size, digest) in self.parts["input"].items()}

    def files(self) -> dict[tuple[str, int], str]:
        """The name of each input file by its source and index."""
        parts = (name.split("/", 2) for name in self.parts["input"])
        return {(source, int(index)): file for source, index, file in parts}

    @property
    def source_order(self) -> list[str]:
        return list(dict.fromkeys(name.partition("/")[0] for name in self.parts["input"]))


@dataclass(frozen=True)
class RunFolder:
    root: Path  # may be given as a URL; then it is its mirror

    # Names, relative to the folder. Those of unit files also stand in manifests.

    RUN = RUN_FILE
    RECIPE = "recipe.toml"
    REPORT = "report.json"
    REPORT_PAGE = "report.html"
    AGAINST = "report-against.json"
    AGAINST_PAGE = "report-against.html"
    PARTIAL = "report-partial.json"
    PARTIAL_PAGE = "report-partial.html"
    SECONDS = "seconds.json"
    KILLS = "kills.jsonl"
    FAILED = "failed.jsonl"
    REMOVING = "removing.jsonl"
    REMOVALS = "removals.jsonl"
    # Removals stay: a redone run leaves them out, too.
    _PAGES = (REPORT_PAGE, AGAINST, AGAINST_PAGE, PARTIAL, PARTIAL_PAGE)
    _OWN_FILES = (REPORT, *_PAGES, SECONDS, KILLS, FAILED, RECIPE, RUN)

    WORK = "work"
    SHARDS = "shards"
    LEDGER = "ledger"
    TEXTS = "texts"
    DROPPED = "dropped"
    DEDUP = "dedup"
    CONTAMINATION = "contamination"
    SUMMARIES = "summaries"
    SELECTION = "selection"
    _OWN_FOLDERS = (WORK, SHARDS, LEDGER, TEXTS, DROPPED, DEDUP, CONTAMINATION, SUMMARIES, SELECTION)

    WORK_SECONDS = f"{WORK}/seconds.json"
    DROPPED_TEXTS = f"{DROPPED}/texts.arrow"
    EARLIER = "earlier.arrow"  # of a stage with an index: the documents of other runs that rows are copies of
    BLOCK_LEDGERS = f"{WORK}/ledger"
    EXCHANGE = f"{WORK}/exchange.json"  # the most rows of a block that global stages read
    WORK_BOOT = f"{WORK}/boot.json"  # under which start of the machine the work was written
    STAGE_DONE = "done.json"  # in the folder of a global stage, when it has ended

    @classmethod
    def shard(cls, key: UnitKey) -> str:
        return f"{cls.SHARDS}/{key.source}/{key}.arrow"

    @classmethod
    def manifest(cls, key: UnitKey) -> str:
        return f"{cls.SHARDS}/{key.source}/{key}.json"

    @classmethod
    def summary(cls, first: UnitKey) -> str:
        """The summary of the manifests of some hundreds of units, of which `first` is the first."""
        return f"{cls.SUMMARIES}/{first}.arrow"

    @classmethod
    def ledger(cls, key: UnitKey) -> str:
        return f"{cls.LEDGER}/{key}.arrow"

    @classmethod
    def texts(cls, key: UnitKey) -> str:
        return f"{cls.TEXTS}/{key}.arrow"

    @classmethod
    def selection(cls, source: str) -> str:
        """The places of the records that a source of kind `index` selects."""
        return f"{cls.SELECTION}/{source}.arrow"

    @classmethod
    def selection_files(cls, source: str) -> str:
        """The crawl files that have these records."""
        return f"{cls.SELECTION}/{source}.json"

    @classmethod
    def dedup(cls, stage: str, name: str) -> str:
        """A file that a finished run keeps of a global stage."""
        return f"{cls.DEDUP}/{stage}/{name}"

    @classmethod
    def block_ledger(cls, key: UnitKey) -> str:
        """The ledger of a block of several units, while the run is not done: their own ledgers end to end."""
        return f"{cls.BLOCK_LEDGERS}/{key}.arrow"

    @classmethod
    def pass_file(cls, number: int, key: UnitKey, what: Literal["facts", "text", "dropped"]) -> str:
        """What pass `number` made of a block: every row's metrics, the texts of live rows, or those of dropped rows."""
        return f"{cls.WORK}/{number}/{key}.{what}.arrow"

    @classmethod
    def pass_manifest(cls, number: int, key: UnitKey) -> str:
        return f"{cls.WORK}/{number}/{key}.json"

    @classmethod
    def stage_work(cls, number: int, stage: str) -> str:
        """The folder of a global stage that ends pass `number`."""
        return f"{cls.WORK}/{number}/{stage}"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", mirror.local(self.root))

    # What the run is made of.

    def is_run(self) -> bool:
        """Whether the folder holds a run. UserError where that cannot be seen: a name too long, missing rights."""
        try:
            return self.has(self.RUN)
        except OSError as error:
            raise UserError(f"{self.root}: cannot be read: {error.strerror}; name a run's folder") from None

    def is_done(self) -> bool:
        return self.has(self.REPORT)

    def is_untouched(self) -> bool:
        """Whether the run has been opened, and no unit of it made: nothing is lost where another takes its place."""
        return not self.names(self.WORK, "*/*.json") and not self.listing(self.SHARDS, ".json")

    def has_others(self) -> bool:
        """Whether anything lies in the folder besides what a run leaves that was killed as it was opened."""
        files = mirror.glob(self.root, "*")
        others = (path for path in files if path.name != "run.json.part" and not path.name.startswith(".lock"))
        return any(others) or bool(mirror.folders(self.root))

    def require_done(self, then: str = "then ask again") -> None:
        """UserError where there is no run that we read, or where it is not finished; RunError where it is broken."""
        self.made_of()
        if not self.is_done():
            raise UserError(f"{self.root}: {self.not_finished()}, {then}")

    def not_finished(self) -> str:
        """For messages: that the run is not finished, and what finishes it."""
        if self.can_resume():
            return "the run is not finished; run its command again to resume"
        return (
            f"the run is not finished, and this gristmill cannot go on with work of format {self.made_of().format}; "
            "run its command again with --overwrite, which begins it anew"
        )

    def can_resume(self) -> bool:
        """Whether a run that is not finished goes on from the units under way, if there are any."""
        return self.made_of().format >= OLDEST_RUN_RESUMED or not self.names(self.WORK, "*/*.json")

    def write_made_of(self, fingerprint: Mapping[str, Any]) -> None:
        """Write `run.json` of a run in today's format."""
        self.write_json(self.RUN, {RUN_KEY: RUN_FORMAT, **fingerprint})

    def made_of(self) -> MadeOf:
        """`run.json`. UserError where there is none or a newer gristmill made it, RunError where it is broken."""
        if not self.is_run():
            raise UserError(f"{self.root}: no run of gristmill (it has no run.json)")
        return MadeOf.read(self.path(self.RUN))

    def recipe(self) -> Recipe:
        """The resolved recipe. RunError where the file is missing or broken."""
        path = self.path(self.RECIPE)
        if not mirror.exists(path):
            raise RunError(f"{path}: missing; run the same command again, it writes the file anew")
        try:
            return load_recipe(str(path))
        except UserError as error:
            raise RunError(
                f"{error}; delete the file and run the same command again, it writes the file anew"
            ) from None

    # Files.

    def read_json(self, name: str, kind: type[T]) -> T:
        """The contents of the JSON file `name`. RunError where it cannot be read or does not hold a `kind`."""
        path = self.path(name)
        try:
            return TypeAdapter(kind).validate_json(mirror.read_bytes(path), strict=True)
        except (OSError, ValueError) as error:
            raise_unless_damage(path, error)
            cause = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise RunError(f"{path}: not what was written ({cause}); {_REMEDY}") from None

    def path(self, name: str) -> Path:
        """The local path of the file or folder `name`, which may not exist.

        In a mirror it may also be still to be fetched, which readers of `shards.sink` and `shards.mirror` do.
        """
        return self.root / name

    def has(self, name: str) -> bool:
        return mirror.exists(self.path(name))

    def paths(self, names: Iterable[str]) -> Iterator[Path]:
        """`path` of each name, in their order: where files lie far away, many are fetched at a time."""
        return mirror.ahead(map(self.path, names))

    def listing(self, folder: str, suffix: str = "") -> dict[str, Stamp]:
        """The stamps of the files in `folder` and in the folders in it whose names end in `suffix`, by name."""
        if mirror.is_mirrored(self.root):
            found = mirror.tagged(self.path(folder))
            names = {str(path.relative_to(self.root)): Stamp(*about) for path, about in found.items()}
            return {name: stamp for name, stamp in names.items() if name.endswith(suffix)}
        folders = [folder, *(f"{folder}/{entry.name}" for entry in _entries(self.path(folder)) if entry.is_dir())]
        entries = ((one, entry) for one in folders for entry in _entries(self.path(one)))
        return _stamps({f"{one}/{entry.name}": entry for one, entry in entries if entry.name.endswith(suffix)})

    def stamps(self, names: Sequence[str]) -> dict[str, Stamp]:
        """The stamps of those of these files that are there, by name; none of a store, which has them by `listing`."""
        if mirror.is_mirrored(self.root):
            return {}
        return _stamps({name: self.path(name) for name in names})

    def num_bytes(self, folder: str) -> int:
        """The size of all files below `folder`."""
        return sum(size for _, size in mirror.sizes(self.path(folder)))

    def journal(self, name: str) -> bytes:
        """The lines of the journal `name`, which workers append to."""
        return read_journal(self.path(name))

    def sink(self, name: str, schema: pa.Schema) -> ArrowSink:
        """A new Arrow file; it appears under its name when the sink is closed."""
        return ArrowSink(self.path(name), schema, synced=False)

    def take(self, name: str, path: Path) -> None:
        """Take over the file at `path`, of another run: both then have it, and neither changes that of the other."""
        link_or_copy(path, self.path(name))

    def write(self, name: str, data: bytes) -> None:
        """Write the file; one that lies in no folder of the run, and so is one of a few, is synced."""
        write_bytes(self.path(name), data, synced="/" not in name)

    def write_json(self, name: str, value: Any) -> None:
        write_json(self.path(name), value, synced="/" not in name)

    def sync(self) -> None:
        """Bring onto the disk what was written so far. Files of a run are not synced one by one (`shards.atomic`)."""
        if not mirror.is_mirrored(self.root):
            sync_disk(self.root)

    def delete(self, name: str) -> None:
        """Remove the file or folder `name`, if it is there."""
        path = self.path(name)
        is_mirrored = mirror.is_mirrored(path)
        if path.is_dir() or (is_mirrored and "." not in path.name):  # whatever lies in it: files have a suffix
            mirror.delete_below(path)
            shutil.rmtree(path, ignore_errors=True)
        elif is_mirrored or os.path.lexists(path):  # a read-only disk refuses what is not there, too
            mirror.unlink(path)

    def set_journal(self, name: str, lines: bytes) -> None:
        """Write a journal anew, as one file."""
        self.write(name, lines)
        mirror.delete_below(journal_lines(self.path(name)))

    def delete_block(self, number: int, key: UnitKey) -> None:
        """Remove what pass `number` made of a block of one unit, its manifest first."""
        self.delete(self.pass_manifest(number, key))
        for what in ("facts", "text", "dropped"):
            self.delete(self.pass_file(number, key, what))
        self.delete(self.texts(key))

    def remove_parts(self) -> None:
        """Remove what killed processes have left of files; that in `work` goes with it, none is in a store."""
        if mirror.is_mirrored(self.root):
            return
        for name in (self.SHARDS, self.LEDGER, self.TEXTS, self.DROPPED, self.DEDUP):
            for folder, _, files in os.walk(self.path(name)):
                for file in (file for file in files if file.endswith(PART)):
                    Path(folder, file).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the run's own files and nothing else in the folder, first of all the mark that it is done."""
        for name in (self.REPORT, *self._OWN_FOLDERS, *self._OWN_FILES):
            self.delete(name)
        mirror.delete_below(journal_lines(self.path(self.KILLS)))

    def __str__(self) -> str:
        return mirror.address(self.root) or str(self.root)

    # Units.

    def units(self) -> tuple[UnitKey, ...]:
        """The finished units, those with a manifest, in the order of source, file and part."""
        return tuple(self.manifest_stamps())

    def manifest_stamps(self) -> dict[UnitKey, Stamp]:
        """The stamp of each finished unit's manifest, in the same order."""
        found = self.listing(self.SHARDS, ".json")
        by_key = {key: self.manifest(key) for key in self._ordered(found)}
        for stray in found.keys() - by_key.values():
            raise self._stray(stray)
        return {key: found[name] for key, name in by_key.items()}

    def ledgers(self) -> tuple[UnitKey, ...]:
        """The units whose ledger is there, in the same order. RunError where a file's name is no key of this run."""
        return self._ordered(self.names(self.LEDGER, "*.arrow"))

    def passed_blocks(self, number: int) -> tuple[UnitKey, ...]:
        """The blocks that have gone through pass `number`, by their first units, in the same order."""
        return self._ordered(self.names(f"{self.WORK}/{number}", "*.json"))

    def passes_under_way(self) -> list[int]:
        """The numbers of the passes that have begun, while the run is not done."""
        return sorted(int(name) for name in mirror.folders(self.path(self.WORK)) if name.isdecimal())

    def resolved_stages(self, number: int) -> list[str]:
        """The global stages that have ended after pass `number`, by name."""
        folder = self.path(f"{self.WORK}/{number}")
        return [name for name in mirror.folders(folder) if mirror.exists(folder / name / self.STAGE_DONE)]

    def stages_under_way(self, number: int) -> list[str]:
        """The folders of global stages that have begun after pass `number` and not ended."""
        folders = mirror.folders(self.path(f"{self.WORK}/{number}"))
        done = self.resolved_stages(number)
        return [self.stage_work(number, name) for name in folders if name not in done]

    def names(self, folder: str, pattern: str = "*") -> list[str]:
        """The names of all files in `folder` that match, whoever wrote them."""
        return sorted(str(path.relative_to(self.root)) for path in mirror.glob(self.path(folder), pattern))

    def manifests(self) -> Manifests:
        """The manifests of the finished units, in the order of `units`."""
        return Manifests(self)

    def require_units(self) -> None:
        """RunError where the shard or the ledger of a unit is missing: the rest would pass for the whole run."""
        there = {*self.listing(self.SHARDS, ".arrow"), *self.listing(self.LEDGER, ".arrow")}
        for name in (name for key in self.units() for name in (self.shard(key), self.ledger(key))):
            if name not in there:
                path = self.path(name)
                raise RunError(f"{path}: missing; put it back, or see `gristmill verify {self}` to make it again")

    def _ordered(self, names: Iterable[str]) -> tuple[UnitKey, ...]:
        """The keys that are the stems of these files' names."""
        sources = {name: number for number, name in enumerate(self.made_of().source_order)}
        placed: list[tuple[int, UnitKey]] = []
        for name in names:
            try:
                key = UnitKey.parse(name.rpartition("/")[2].rpartition(".")[0])
                placed.append((sources[key.source], key))
            except (ValueError, KeyError):
                raise self._stray(name) from None
        return tuple(key for _, key in sorted(placed))

    def _stray(self, name: str) -> RunError:
        return RunError(f"{self.path(name)}: no unit of this run has this name; move the file elsewhere")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in the folder; nothing where it does not exist. RunError where it may not be read."""
    if not mirror.exists(folder):
        return []
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise_unless_damage(folder, error)
        raise


def _stamps(files: Mapping[str, os.DirEntry[str] | Path]) -> dict[str, Stamp]:
    """The stamp of each file, less those that are not there, and folders."""
    found = {}
    for name, file in files.items():
        try:
            about = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:  # whoever reads it learns why it cannot be read
            found[name] = Stamp(-1, "")
            continue
        # A file that replaces another has another inode, also where both were written in one tick of the clock.
        if S_ISREG(about.st_mode):
            found[name] = Stamp(about.st_size, f"{about.st_mtime_ns}-{about.st_ino}")
    return found
