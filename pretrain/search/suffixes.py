"""A suffix array of a shard, on disk and mapped: made once, found again as long as the shard is the same.

    INDEX/<source>/<shard>/text.npy       the texts, each with an end
                           first.npy      where each begins
                           suffixes.npy   starts of pieces in the order of what follows them
                           about.json     the shard's size and time; written last

Making one takes nine times the text in memory, looking up the pages that a binary search touches. 4 bytes a piece and
the text itself are on disk, about twice the text.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydivsufsort import divsufsort

from pretrain.search.pieces import END, longest_prefix, mark_starts, next_piece, suffix_range, whole_places
from pretrain.tokenizing.text_shards import read_documents
from pretrain.tokenizing.tokenizer import Tokenizer
from shards.atomic import atomic_file, write_json
from shards.errors import UserError
from shards.sink import read_batches, read_table
from shards.unicode import classes, text_buffers

VERSION = 1  # of the files
_ABOUT = "about.json"
_NAMES = ("text", "first", "suffixes")


@dataclass(frozen=True)
class Shard:
    """A text shard, or a token shard with the tokenizer that reads it."""

    file: Path
    source: str
    tokenizer: Tokenizer | None = None

    def texts(self) -> Iterator[pa.Array]:
        """The texts of its documents, in batches."""
        if self.tokenizer is None:
            for batch in read_documents(self.file, ["text"]):
                yield batch["text"].cast(pa.large_string())
            return
        for batch in read_batches(self.file, ["tokens"]):
            documents = (tokens.values.to_numpy()[1:-1] for tokens in batch["tokens"])  # without <|bos|> and <|eos|>
            yield pa.array([self.tokenizer.decode(ids.astype(np.uint32)) for ids in documents], pa.large_string())

    def documents(self) -> pa.Table:
        """`id` and `url` of its documents."""
        return read_table(self.file, ["id", "url"])


@dataclass(frozen=True)
class Suffixes:
    """The mapped suffix array of a shard."""

    shard: Shard
    folder: Path

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(np.load(self.folder / f"{name}.npy", mmap_mode="r")) for name in _NAMES}

    @property
    def num_documents(self) -> int:
        return len(self._arrays["first"]) - 1

    def places(self, query: bytes) -> np.ndarray:
        """int64: where in the text the pieces of `query` stand, each of them whole, in no order."""
        data, suffixes = self._arrays["text"], self._arrays["suffixes"]
        low, high = suffix_range(data, suffixes, _read_only(query))
        found = np.empty(high - low, np.int64)
        return found[: whole_places(data, suffixes, low, high, len(query), classes(), found)]

    def longest(self, text: bytes, start: int) -> int:
        """The most bytes from text[start], a piece's start, on that stand in the shard."""
        return int(longest_prefix(self._arrays["text"], self._arrays["suffixes"], _read_only(text), start))

    def next_piece(self, place: int) -> bytes:
        """The piece that stands there, or after spaces; b"" at the end of a text."""
        start, end = next_piece(self._arrays["text"], place, classes())
        return self._arrays["text"][start:end].tobytes()

    def document(self, places: np.ndarray) -> np.ndarray:
        """int64[places]: the number of the document that each is in."""
        numbers: np.ndarray = np.searchsorted(self._arrays["first"], places, side="right") - 1
        return numbers

    def around(self, place: int, length: int, context: int) -> tuple[str, str, str]:
        """(text before, text there, text after), with up to `context` bytes of the same document on each side."""
        data, first = self._arrays["text"], self._arrays["first"]
        document = int(self.document(np.array([place]))[0])
        begin, end = (
            max(int(first[document]), place - context),
            min(int(first[document + 1]) - 1, place + length + context),
        )
        parts = (data[begin:place], data[place : place + length], data[place + length : end])
        before, there, after = (part.tobytes().decode(errors="ignore") for part in parts)
        return before, there, after


def suffixes_of(shard: Shard, index: Path) -> Suffixes:
    """The suffix array of a shard, made in `index` unless it is there. UserError where the index cannot be written."""
    folder = index / shard.source / shard.file.stem
    stamp = shard.file.stat()
    about = {"version": VERSION, "num_bytes": stamp.st_size, "time_ns": stamp.st_mtime_ns}
    if _read(folder / _ABOUT) != about:
        _make(shard, folder)
        write_json(folder / _ABOUT, about)
    return Suffixes(shard, folder)


def _make(shard: Shard, folder: Path) -> None:
    (folder / _ABOUT).unlink(missing_ok=True)
    texts = list(shard.texts())
    count = sum(map(len, texts))
    total = sum(int(text_buffers(part)[1][-1] - text_buffers(part)[1][0]) for part in texts) + count
    data, first = np.empty(total, np.uint8), np.zeros(count + 1, np.int64)
    at, number = 0, 0
    for part in texts:
        bytes_of, offsets = text_buffers(part)
        for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            data[at : at + end - start] = bytes_of[start:end]
            at += end - start + 1
            data[at - 1] = END
            number += 1
            first[number] = at
    is_start = np.zeros(total, bool)
    frozen = data.view()
    frozen.flags.writeable = False
    mark_starts(frozen, first, classes(), is_start)
    order = divsufsort(data) if total else np.zeros(0, np.int32)
    suffixes = order[is_start[order]].astype(np.uint32 if total < 1 << 32 else np.uint64)
    for name, array in zip(_NAMES, (data, first, suffixes), strict=True):
        with atomic_file(folder / f"{name}.npy") as file:
            np.lib.format.write_array(file, array, allow_pickle=False)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _read_only(data: bytes) -> np.ndarray:
    """As the mapped arrays are, so that one kernel serves both."""
    return np.frombuffer(data, np.uint8)


def require_text(query: str) -> bytes:
    """The bytes to look up; UserError for an empty query."""
    if not query.strip():
        raise UserError("nothing to search for: give some words")
    return query.strip().encode()
