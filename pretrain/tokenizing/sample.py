"""A sample of text shards to learn a tokenizer from: of all documents alike, or of each source by its weight.

The sample is the documents with the smallest id hashes, of each source where there are weights. So it does not depend
on how text is cut into files, and a smaller sample is a part of a larger one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pretrain.tokenizing.text_shards import find_shards, id_hashes, read_documents
from shards.errors import UserError
from shards.sink import open_arrow

_SEED = 1  # of the id hashes; another than the held-out split's, so that the two choices are independent


@dataclass(frozen=True)
class Sample:
    """Documents of text shards."""

    files: tuple[Path, ...]
    weights: Mapping[str, float] | None  # by source
    max_hashes: Mapping[str, int]  # the largest id hash in the sample, by source
    num_bytes: int  # of UTF-8 text, at least 1
    half: int | None = None  # 0 or 1: only one half of the documents

    def documents(self, *columns: str) -> Iterator[tuple[str, pa.RecordBatch]]:
        """(source, documents) of the sample in the shards' order; of `columns`, those that a shard has."""
        for file in self.files:
            source = source_of(file)
            there = [column for column in columns if column in open_arrow(file).schema.names]
            for batch in read_documents(file, ["id", "text"], there):
                hashes = id_hashes(batch["id"], _SEED).tolist()
                in_sample = (h <= self.max_hashes[source] and self.half in (None, h & 1) for h in hashes)
                yield source, batch.filter(pa.array(in_sample, pa.bool_()))

    def texts(self) -> Iterator[list[str]]:
        for _, batch in self.documents():
            yield batch["text"].to_pylist()

    def smaller(self, num_bytes: int) -> "Sample":
        """The part of this sample of about `num_bytes`, with as much of each source as its weight gives it."""
        return draw_sample(self.files, num_bytes, self.weights)


def source_of(file: Path) -> str:
    """The folder that a shard lies in."""
    return file.resolve().parent.name


def draw_sample(
    shards: Sequence[Path],
    num_bytes: int,
    weights: Mapping[str, float] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Sample:
    """A sample of about `num_bytes` of text: of all documents alike, or of each source as much as `weights` give it.

    `report` is called with a line for each source that has less text than its share. Memory holds 16 bytes a document.
    UserError for shards without text, and for weights that are not those of the shards' sources.
    """
    files = tuple(find_shards(shards))
    sources = [*dict.fromkeys(map(source_of, files))]
    groups = [sources] if weights is None else [[source] for source in sources]
    shares = [1.0] if weights is None else _shares(sources, weights)
    max_hashes: dict[str, int] = {}
    taken = 0
    for group, share in zip(groups, shares, strict=True):
        wanted = int(num_bytes * share)
        max_hash, found = _largest_hash([file for file in files if source_of(file) in group], wanted)
        if found < wanted and weights is not None:
            report(f"source {group[0]}: has {found:,} bytes of text, and its weight asks for {wanted:,}; all are taken")
        max_hashes |= dict.fromkeys(group, max_hash)
        taken += found
    if not taken:
        count = f"{len(files)} shard{'' if len(files) == 1 else 's'}"
        raise UserError(f"{files[0]}: no text in {count}; name shards with text to learn a tokenizer from")
    return Sample(files, weights, max_hashes, taken)


def _shares(sources: Sequence[str], weights: Mapping[str, float]) -> list[float]:
    for source, weight in weights.items():
        if source not in sources:
            raise UserError(f"--weights: no source {source} among the shards; they are of {', '.join(sources)}")
        if not 0 <= weight < float("inf"):
            raise UserError(f"--weights: {source}: expected a number of at least 0, found {weight}")
    if missing := [source for source in sources if source not in weights]:
        raise UserError(f"--weights: none for source {missing[0]}; give it one, 0 to leave it out")
    if not (total := sum(weights.values())):
        raise UserError("--weights: all are 0; give a source more")
    return [weights[source] / total for source in sources]


def _largest_hash(files: Sequence[Path], num_bytes: int) -> tuple[int, int]:
    """The largest id hash in a sample of `num_bytes`, and the bytes of that sample; (-1, 0) for a sample of nothing."""
    hashes_by_batch, sizes_by_batch = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for file in files:
        for batch in read_documents(file, ["id", "text"]):
            hashes_by_batch.append(id_hashes(batch["id"], _SEED))
            sizes_by_batch.append(pc.binary_length(batch["text"]).to_numpy())
    hashes, sizes = np.concatenate(hashes_by_batch), np.concatenate(sizes_by_batch)
    if not num_bytes or not len(hashes):
        return -1, 0
    order = np.argsort(hashes)
    filled = np.cumsum(sizes[order])
    last = min(int(np.searchsorted(filled, num_bytes)), len(order) - 1)
    return int(hashes[order[last]]), int(filled[last])
