"""Text shards as tokenizers read them: finding, checking and reading their documents.

A text shard is an Arrow file with string columns `id`, `url` and `text`, such as `gristmill run` makes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from shards import mirror
from shards.errors import RunError, UserError
from shards.folders import fault, files_below
from shards.formats import require_formats_of_runs
from shards.limits import check_limits
from shards.sink import open_arrow, read_batches

_COLUMNS = ("id", "url", "text")
_NONE = "no *.arrow shards there; name a run folder, its shards/ or some of its files"
_REMEDY = "name shards that `gristmill run` made"


def find_shards(paths: Sequence[Path]) -> list[Path]:
    """The text shards of files, shard folders and run folders: in the order of `paths`, those of a folder by name.

    UserError for a folder without shards, for a file without the columns of a text shard, and for the run of a newer
    gristmill.
    """
    require_formats_of_runs(paths)
    files = []
    for path in map(mirror.local, paths):
        if mirror.is_mirrored(path):
            files += _in_mirror(path)
            continue
        folder = path / "shards" if (path / "shards").is_dir() else path
        shards = [path] if path.is_file() else _below(folder)
        if not shards:
            raise UserError(f"{path}: {_NONE}")
        files += shards
    for file in files:
        _check_columns(file)
    return files


def _in_mirror(path: Path) -> list[Path]:
    if path.suffix == ".arrow":
        return [path]
    shards = mirror.glob(path / "shards", "**/*.arrow") or mirror.glob(path, "**/*.arrow")
    if not shards:
        raise UserError(f"{path}: {_NONE}")
    return shards


def _below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    shards = files_below(folder, (".arrow",))
    for shard in shards:
        if why := fault(shard):
            raise UserError(f"{shard}: {why}")
    return shards


def read_documents(file: Path, columns: list[str], nullable: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """The file's batches with `columns`, which have no nulls, and `nullable`.

    UserError for a null in `columns`; RunError for a damaged value and for a string that is not UTF-8.
    """
    first_row = 0
    try:
        for batch in read_batches(file, [*columns, *nullable]):
            batch.validate(full=True)
            for name in columns:
                if batch[name].null_count:
                    row = first_row + int(np.argmax(batch[name].is_null().to_numpy(zero_copy_only=False)))
                    raise UserError(f"{file}: column {name}: row {row} is null; {_REMEDY}")
            yield batch
            first_row += batch.num_rows
    except (OSError, pa.ArrowInvalid) as error:
        check_limits(file, error)
        raise RunError(f"{file}: damaged after row {first_row} ({error}); clean its input again") from None


def id_hashes(ids: pa.Array, seed: int) -> np.ndarray:
    """uint64[ids], uniform over all 64-bit values.

    A choice among documents by these hashes does not depend on which shard or row a document lies in.
    """
    return np.fromiter((xxhash.xxh3_64_intdigest(i.encode(), seed) for i in ids.to_pylist()), np.uint64, len(ids))


def _check_columns(file: Path) -> None:
    schema = open_arrow(file).schema
    if missing := set(_COLUMNS) - set(schema.names):
        raise UserError(f"{file}: no column {', '.join(sorted(missing))}; {_REMEDY}")
    for name in _COLUMNS:
        kind = schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise UserError(f"{file}: column {name}: expected strings, found {kind}; {_REMEDY}")
