"""N-gram overlap: a document is removed when nearly all of its n-grams occur in documents kept before it.

The exact form of Dolma's and DCLM's Bloom filter deduplication (arXiv 2402.00159; 2406.11794): n-grams of 13 words,
threshold .8, documents one after the other. There is no filter size to guess, no document is removed by chance, and the
order of documents is the keep policy, not that of files.

    texts ──distinct n-grams──▶ runs by hash prefix ──sort──▶ n-grams of two documents or more
          ──overlap if all earlier documents were kept──▶ candidates ──keep order, n-gram → first kept──▶ verdicts

Most documents share too little with all earlier ones together: they are kept whatever happens to the others. Of those
"sure" documents only the first to hold an n-gram goes into the last step, which must be done in order. A document of
fewer than n words has one n-gram, all its words; one without words is kept.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from dedup.files.column_runs import Range, by_prefix, column_ranges, column_sizes, has_runs, read_runs, write_runs
from dedup.files.documents import DOCUMENT, UnitFiles, describe, keep_order, load_npy, save_npy, unit_path
from dedup.files.verdicts import write_verdicts
from dedup.keep import KeepBy, KeepConfig
from dedup.word_hashes import distinct_ngrams, word_hashes
from shards import mirror
from shards.atomic import atomic_file
from shards.compiled import kernel
from shards.exchange import Block, Cost, Executor
from shards.schema import COPIES

COUNTED = np.dtype([*DOCUMENT.descr, ("grams", "<i8")])
GRAM = np.dtype([("hash", "<u8"), ("document", "<u4")])  # number of the document within its unit
SHARED = np.dtype([("gram", "<u4"), ("rank", "<u4")])  # numbered within a range of hashes; position in keep order
_PREFIX_BITS = 12  # of a hash; the keep order has as many blocks, and both are read in ranges of these
_COLUMNS = 1 << _PREFIX_BITS
_TASK_BYTES = 64  # of a GRAM in all arrays while a range is sorted
_EVENT_BYTES = 40  # of a SHARED while a block is decided


class OverlapConfig(KeepConfig):
    """Kind `ngram_overlap`."""

    version: ClassVar[int] = 2  # 2: normal forms are compared
    reason: ClassVar[str] = "dedup.overlap"
    removes_copies: ClassVar[bool] = True

    ngram: int = Field(13, ge=1)  # words
    max_overlap: float = Field(
        0.8, ge=0, lt=1
    )  # share of a kept document's distinct n-grams that occur in documents kept before it
    segmented: bool = False  # Chinese and Japanese words by a segmenter instead of single characters

    @property
    def cost(self) -> Cost:
        return Cost(
            seconds_per_mb=0.058,
            bytes_per_text_byte=6,
            disk_per_text_byte=2.4,
            driver_seconds_per_document=7e-6,
            driver_bytes_per_document=56,
        )

    def columns(self) -> pa.Schema:
        return pa.schema([COPIES])

    def resolve(self, units: Sequence[Block], folder: Path, executor: Executor) -> None:
        units = sorted(units, key=lambda unit: unit.number)
        grams = partial(
            _write_grams, folder=folder / "grams", keep=self.keep_by, n=self.ngram, segmented=self.segmented
        )
        for _ in executor.map(grams, units):
            pass  # results are files

        files = UnitFiles.open(folder / "grams", units, COUNTED)
        documents = files.values(COUNTED)
        order = keep_order(documents)
        ranks = np.empty(len(order), np.uint32)
        ranks[order] = np.arange(len(order), dtype=np.uint32)
        save_npy(folder / "ranks.npy", ranks)
        documents = documents[order]

        ranges = _ranges([stem.with_name(f"{stem.name}.grams") for stem in files.stems], GRAM, executor, _TASK_BYTES)
        for _ in executor.map(partial(_find_shared, files=files, folder=folder), ranges):
            pass
        save_npy(folder / "candidates.npy", _candidates(folder, ranges, documents["grams"], self.max_overlap))
        for _ in executor.map(partial(_select, folder=folder), ranges):
            pass
        selected = [_path(folder, "selected", range_) for range_ in ranges]
        blocks = _ranges(selected, SHARED, executor, _EVENT_BYTES)
        removed, twins, overlaps = _decide_blocks(folder, selected, blocks, documents["grams"], self.max_overlap)
        addresses = documents["address"]
        write_verdicts(folder, units, addresses[removed], documents["id"][twins], overlaps, kept=addresses[twins])


def _write_grams(unit: Block, *, folder: Path, keep: KeepBy, n: int, segmented: bool) -> None:
    """Write a run of GRAM for each batch, by hash prefix, and last COUNTED of the documents that have words."""
    if mirror.exists(unit_path(folder, unit.key, "documents")):
        return
    counted = [np.zeros(0, COUNTED)]

    def runs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        first = 0
        for rows, batch in unit.batches(list(dict.fromkeys(["id", "text", *keep.columns()]))):
            hashes, starts = distinct_ngrams(*word_hashes(batch["text"], segmented=segmented), n)
            counts = np.diff(starts)
            documents = describe(unit, rows, batch, keep, COUNTED)
            documents["grams"] = counts
            counted.append(documents[counts > 0])
            counts = counts[counts > 0]
            grams = np.empty(len(hashes), GRAM)
            order, bounds = by_prefix(hashes, _PREFIX_BITS)
            grams["hash"] = hashes[order]
            grams["document"] = np.repeat(np.arange(first, first + len(counts), dtype=np.uint32), counts)[order]
            first += len(counts)
            yield grams, bounds

    write_runs(folder / f"{unit.key}.grams", runs(), _COLUMNS)
    save_npy(unit_path(folder, unit.key, "documents"), np.concatenate(counted))


def _ranges(paths: Sequence[Path], dtype: np.dtype, executor: Executor, num_bytes: int) -> tuple[Range, ...]:
    """All columns of these runs, in ranges that fit into a task's memory at `num_bytes` a value."""
    sizes = column_sizes((read_runs(path, dtype) for path in paths), _COLUMNS)
    return column_ranges(sizes, executor.task_memory // num_bytes)


def _path(folder: Path, what: str, range_: Range) -> Path:
    return folder / what / f"{range_[0]:04d}-{range_[1]:04d}"


def _find_shared(range_: Range, *, files: UnitFiles, folder: Path) -> None:
    """Write SHARED of the hashes in `range_` that several documents have, by (gram, rank)."""
    path = _path(folder, "shared", range_).with_suffix(".npy")
    if mirror.exists(path):
        return
    rank_of, first = load_npy(folder / "ranks.npy"), 0
    parts = [(np.zeros(0, np.uint64), np.zeros(0, np.uint32))]
    for stem, end in zip(files.stems, files.ends, strict=True):
        grams = read_runs(stem.with_name(f"{stem.name}.grams"), GRAM).between(*range_)
        parts += [(np.array(part["hash"]), rank_of[part["document"].astype(np.int64) + first]) for part in grams]
        first = end
    hashes, ranks = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    del parts
    order = np.argsort(hashes)
    hashes = hashes[order]
    again = np.zeros(len(hashes) + 1, np.bool_)
    again[1:-1] = hashes[1:] == hashes[:-1]
    several = again[:-1] | again[1:]
    shared = np.empty(np.count_nonzero(several), SHARED)
    shared["gram"] = np.cumsum(~again[:-1][several], dtype=np.uint32)
    shared["rank"] = ranks[order[several]]
    save_npy(path, shared[np.lexsort((shared["rank"], shared["gram"]))])


def _candidates(folder: Path, ranges: Sequence[Range], num_grams: np.ndarray, max_overlap: float) -> np.ndarray:
    """bool by rank: whether the overlap is more than `max_overlap` if all earlier documents are kept."""
    seen = np.zeros(len(num_grams), np.int64)
    for range_ in ranges:
        shared = load_npy(_path(folder, "shared", range_).with_suffix(".npy"), SHARED)
        seen += np.bincount(shared["rank"][~_first_of(shared["gram"])], minlength=len(seen))
    return np.asarray(seen / num_grams > max_overlap)


def _first_of(grams: np.ndarray) -> np.ndarray:
    """bool: the first of each run of equal `grams`."""
    return np.append(True, grams[1:] != grams[:-1])[: len(grams)]


def _select(range_: Range, *, folder: Path) -> None:
    """Write SHARED of candidates and of the first sure document of each n-gram, by rank, in blocks of the keep order.

    N-grams that decide nothing, since no candidate comes after another document, are left out.
    """
    path = _path(folder, "selected", range_)
    if has_runs(path):
        return
    candidates = load_npy(folder / "candidates.npy")
    shared = load_npy(_path(folder, "shared", range_).with_suffix(".npy"), SHARED)
    first, sure = _first_of(shared["gram"]), ~candidates[shared["rank"]]
    gram_of = np.cumsum(first) - 1
    decides = np.bincount(gram_of[~sure & ~first], minlength=gram_of[-1] + 1 if len(gram_of) else 0) > 0
    before = np.cumsum(sure) - sure  # sure documents before this one
    selected = (~sure | (before == before[first][gram_of])) & decides[gram_of]
    events = np.empty(np.count_nonzero(selected), SHARED)
    events["gram"] = (np.cumsum(decides) - 1)[gram_of[selected]]
    events["rank"] = shared["rank"][selected]
    events = events[np.argsort(events["rank"], kind="stable")]
    bounds = np.searchsorted(events["rank"], _block_starts(len(candidates)))
    write_runs(path, [(events, bounds)], _COLUMNS)


def _block_starts(num_documents: int) -> np.ndarray:
    """i64[_COLUMNS + 1]: the rank at which each block begins, and the last one ends."""
    return np.arange(_COLUMNS + 1) * num_documents // _COLUMNS


def _decide_blocks(
    folder: Path, paths: Sequence[Path], blocks: Sequence[Range], num_grams: np.ndarray, max_overlap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ranks of the removed documents, ranks of their twins, overlaps)."""
    # Files are opened one by one here and below: there may be thousands.
    firsts = np.cumsum([0, *(_num_grams(read_runs(path, SHARED).values["gram"]) for path in paths)])
    owners = _owners(folder / "owners", int(firsts[-1]))
    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for block in blocks:
        events = [(part["gram"] + first, np.array(part["rank"])) for path, first in zip(paths, firsts, strict=False)
                  for part in read_runs(path, SHARED).between(*block)]  # fmt: skip
        grams, ranks = (np.concatenate(arrays) for arrays in zip(*events, strict=True))
        order = np.argsort(ranks, kind="stable")
        parts.append(_decide(grams[order], ranks[order], num_grams, owners, max_overlap))
    del owners
    (folder / "owners").unlink()
    removed, twins, overlaps = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return removed, twins, overlaps


def _num_grams(grams: np.ndarray) -> int:
    return int(grams.max()) + 1 if len(grams) else 0


def _owners(path: Path, count: int) -> np.ndarray:
    """u32[count] zeros in a file, so that memory holds what it can; an owner is a rank plus one, and 0 is none."""
    zeros = bytes(1 << 20)
    with atomic_file(
        path, private=True
    ) as file:  # written out: a map onto a disk that fills up later kills the process
        for left in range(4 * max(1, count), 0, -len(zeros)):
            file.write(zeros[:left])
    return np.asarray(np.memmap(path, np.uint32, "r+"))


@kernel
def _decide(grams, ranks, num_grams, owners, max_overlap):
    """Decide documents by rank: each is removed, or becomes the owner of those of its n-grams that have none.

    Returns (ranks of the removed, ranks of their twins, overlaps).
    """
    removed, twins, overlaps = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    count = first = 0
    while first < len(ranks):
        rank, end, seen = ranks[first], first, 0
        while end < len(ranks) and ranks[end] == rank:
            seen += owners[grams[end]] != 0
            end += 1
        if seen / num_grams[rank] > max_overlap:
            if count == len(removed):
                more = 64 + count
                removed = np.append(removed, np.empty(more, np.int64))
                twins = np.append(twins, np.empty(more, np.int64))
                overlaps = np.append(overlaps, np.empty(more))
            removed[count], twins[count] = rank, _most(owners, grams[first:end]) - 1
            overlaps[count] = seen / num_grams[rank]
            count += 1
        else:
            for k in range(first, end):
                if owners[grams[k]] == 0:
                    owners[grams[k]] = rank + 1
        first = end
    return removed[:count], twins[:count], overlaps[:count]


@kernel
def _most(owners, grams):
    """The owner of the most of `grams`; of several the first in keep order."""
    in_order = np.sort(owners[grams])
    best, most, start = np.int64(0), 0, 0
    for k in range(len(in_order)):
        if in_order[k] != in_order[start]:
            start = k
        run = k - start + 1
        if in_order[k] and run > most:
            best, most = np.int64(in_order[k]), run
    return best
