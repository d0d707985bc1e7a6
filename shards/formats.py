"""Format numbers: what lies in the folders that we write, as one whole number for each kind of folder.

    RUN/run.json                                           "format"
    INDEX/<run>-<digest>/index.json                        "version"
    TOKENS/<source>/manifest.json, manifests/<shard>.json  "version"

A number is raised when a reader of the number before would misread the folder, or a reader of this one that of before.
A folder without a number has the oldest, 1. A reader refuses a number above its own: a newer gristmill made the folder.
What it does with an older number stands here beside the number.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from shards.errors import RunError, UserError

OLDEST = 1

# Of a run's folder. All numbers are read where the run is finished.
#   1  has no number
#   2  `work/` holds blocks of units
RUN_FORMAT = 2
OLDEST_RUN_RESUMED = 2  # a run under way of an older number is begun anew

# Of a part of an index. All numbers are read; a part whose texts were hashed in another normal form is refused by that.
#   1  the first
INDEX_FORMAT = 1

# Of a source's token folder. An older one is refused, and `gristmill tokenize` makes it anew.
#   1  the first
#   2  rows have masks and weights
#   3  what is held out follows from the texts, whose hashes the rows have
TOKENS_FORMAT = 3

RUN_FILE = "run.json"
RUN_KEY = "format"


def format_of(values: Mapping[str, Any], key: str, path: Path, newest: int, remedy: str) -> int:
    """The format number that the JSON file `path` holds as `values[key]`, from 1 to `newest`; 1 where it holds none.

    UserError where it is above `newest`. RunError, with the `remedy` for a damaged file, where it is no whole number
    from 1.
    """
    number = values.get(key, OLDEST)
    if type(number) is not int or number < OLDEST:
        shown = json.dumps(number)[:60]
        raise RunError(f"{path}: {key}: expected a whole number from {OLDEST}, found {shown}; {remedy}")
    if number > newest:
        raise UserError(
            f"{path}: was made by a newer gristmill (format {number}, this one reads up to {newest}); update gristmill"
        )
    return number


def run_format(values: Mapping[str, Any], path: Path, remedy: str) -> int:
    """The format number of a run, from the `values` of its `run.json` at `path`; raises as `format_of` does."""
    return format_of(values, RUN_KEY, path, RUN_FORMAT, remedy)


def require_formats_of_runs(shards: Iterable[Path]) -> None:
    """UserError where one of `shards` is a run that a newer gristmill made, a folder of its shards, or one of them.

    For those who read shards alone, whether or not the rest of their run is there.
    """
    for path in dict.fromkeys(run / RUN_FILE for of in shards for run in _possible_runs(of.absolute())):
        # What is no run has shards all the same, and so has one whose file is damaged.
        with suppress(OSError, ValueError, RecursionError, RunError):
            values = json.loads(path.read_bytes())
            if isinstance(values, dict):
                run_format(values, path, "")


def _possible_runs(shards: Path) -> Iterator[Path]:
    """The folder itself, and the one that holds the `shards` folder which it is or lies in."""
    yield shards
    yield from (folder.parent for folder in (shards, *shards.parents[:2]) if folder.name == "shards")
