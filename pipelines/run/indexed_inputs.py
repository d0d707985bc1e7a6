"""The inputs of a source of kind `index`: the crawl files that have selected records.

    index files ──where──▶ selection/<source>.arrow   places of records, by file
                           selection/<source>.json    the files, and what they were selected from

A run selects once: while the index, `where` and the names of columns are what they were, a resumed run takes the files
from its folder, however large the index is.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipelines.run.fingerprint import version_of
from pipelines.run.folder import RunFolder
from shards import scratch
from shards.errors import RunError, UserError
from shards.index_rows import read_index
from shards.selection import OfFile, input_file, write_selection
from shards.source import SourceConfig
from shards.storage import InputFile


@dataclass
class Selection:
    """What a source selects: the crawl files, and its table, "" where that lies in the run's folder already."""

    source: str
    key: str  # what it was selected by
    files: list[OfFile]
    root: str
    table: Path | None

    def inputs(self) -> list[InputFile]:
        return [input_file(self.root, file) for file in self.files]

    def keep(self, run: RunFolder) -> None:
        """Put the selection into the folder of the run, its table first."""
        if self.table is not None:
            run.take(RunFolder.selection(self.source), self.table)
            run.write_json(RunFolder.selection_files(self.source), {"key": self.key, "files": self.files})
            self.table.unlink()


def select(name: str, source: SourceConfig, index: Sequence[InputFile], run: RunFolder) -> Selection:
    """The selection of `source` from the files `index`, made where the run has none. UserError where it is empty."""
    key = _key(source, index)
    if (kept := _kept(name, run, key)) is not None:
        return Selection(name, key, kept, source.root, None)
    table = scratch.own_folder() / f"selection-{name}.arrow"
    num_excluded = 0

    def selected() -> Iterator[pa.RecordBatch]:
        nonlocal num_excluded
        for file in index:
            for rows, excluded in read_index(source, file):
                num_excluded += excluded
                yield rows

    files = write_selection(selected(), table, scratch.own_folder())
    if not files:
        cause = (
            f"`where` excludes all {num_excluded:,} rows; check its columns and values" if num_excluded else "no rows"
        )
        raise UserError(f"source.{name}: the index selects no record: {cause}")
    return Selection(name, key, files, source.root, table)


def _kept(name: str, run: RunFolder, key: str) -> list[OfFile] | None:
    """The files of the selection that the run's folder holds; None where it holds another, or none."""
    if not (run.is_run() and run.has(RunFolder.selection_files(name)) and run.has(RunFolder.selection(name))):
        return None
    try:
        stored = json.loads(run.path(RunFolder.selection_files(name)).read_bytes())
        return [OfFile(*about) for about in stored["files"]] if stored["key"] == key else None
    except (OSError, ValueError, TypeError, KeyError, RunError):
        return None


def _key(source: SourceConfig, index: Sequence[InputFile]) -> str:
    """A digest of everything that the selection depends on."""
    what = {
        "where": source.model_dump(mode="json")["where"],
        "url": source.url,
        "index": [[file.name, file.num_bytes, version_of(file)] for file in index],
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
