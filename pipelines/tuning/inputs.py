"""Files named on the command line: texts to read, and the file to write.

runs/a/shards  curated.jsonl.gz  books/*.txt ──▶ batches of rows, file after file

The suffix of a file's name tells shards, Parquet, JSON lines and text files apart.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from shards.atomic import disk_error, try_folder
from shards.errors import UserError
from shards.reader import Damage, only_error
from shards.row_reader import RowReader
from shards.source import SourceConfig
from shards.stage import Batch
from shards.storage import InputFile, find_inputs

_KINDS = ("shards", "parquet", "jsonl", "text")


def read_texts(paths: Iterable[str], where: str) -> Iterator[Batch]:
    """Every row of the files that `paths` name: files, folders, globs, URLs. `where` begins the messages.

    RunError where a file cannot be read to its end, because a model or a threshold made from half of the texts would
    look like one made from all.
    """
    sources = {kind: SourceConfig.parse({"kind": kind}, where) for kind in _KINDS}
    suffixes = {suffix: config for config in sources.values() for suffix in config.suffixes}
    for file in find_inputs(paths, tuple(suffixes), where):
        config = next((config for suffix, config in suffixes.items() if file.name.lower().endswith(suffix)), None)
        if config is None:
            raise UserError(f"{where}: {file}: expected a file that ends in {', '.join(suffixes)}")
        yield from _rows(config, file)


def check_output(path: Path) -> None:
    """Raise our error where no file can be written at `path`, before the work that would be lost."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file in it")
    try:
        try_folder(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error


def _rows(config: SourceConfig, file: InputFile) -> Iterator[Batch]:
    start: int | None = 0
    while start is not None:
        reader = RowReader(config, Path(file.name).name, file, start)
        yield from reader
        if reader.damage:
            raise only_error([Damage(str(file), reader.damage[0].offset, reader.damage[0].cause), *reader.damage[1:]])
        start = reader.next_start
