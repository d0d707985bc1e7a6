"""N-gram overlap: a document leaves when nearly all it says stands in documents kept before it, wherever it stands.

The exact form of Dolma's and DCLM's Bloom filter deduplication (arXiv 2402.00159; 2406.11794):
n-grams of 13 words, threshold .8, documents one after the other. Nothing has a size to guess and no chance removes a
document, and their order is the keep policy, not that of files.

    texts ──distinct n-grams──▶ runs by hash prefix ──sort──▶ those of two documents or more
          ──which documents could leave at all──▶ candidates ──keep order, n-gram → first kept──▶ verdicts

Most documents share too little with all before them together, so they stay whatever happens to the others: of those
only the first to hold an n-gram goes into the last step, which must be done in order. A document of fewer than n words
has one n-gram, all its words; one without words stays.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from dedup.column_runs import Range, by_prefix, column_ranges, column_sizes, has_runs, read_runs, write_runs
from dedup.documents import DOCUMENT, UnitFiles, describe, keep_order, load_npy, save_npy, unit_path
from dedup.keep import KeepBy, KeepConfig
from dedup.verdicts import write_verdicts
from dedup.word_hashes import distinct_ngrams, word_hashes
from shards.atomic import atomic_file
from shards.compiled import kernel
from shards.exchange import ExchangeUnit, Executor
from shards.schema import COPIES

COUNTED = np.dtype([*DOCUMENT.descr, ("grams", "<i8")])
GRAM = np.dtype([("hash", "<u8"), ("document", "<u4")])  # number of the document within its unit
SHARED = np.dtype([("gram", "<u4"), ("rank", "<u4")])  # numbered within a range of hashes; place in keep order
_PREFIX_BITS = 12  # of a hash, and blocks of the keep order: what is read at a time is made of these
_COLUMNS = 1 << _PREFIX_BITS
_TASK_BYTES = 64  # a GRAM while a range is sorted, by count of the arrays
_EVENT_BYTES = 40  # a SHARED while a block is decided


class OverlapConfig(KeepConfig):
    version: ClassVar[int] = 1
    reason: ClassVar[str] = "dedup.ngram_overlap"

    ngram: int = Field(13, ge=1)  # words
    max_overlap: float = Field(
        0.8, ge=0, lt=1
    )  # share of its distinct n-grams that a kept document may have had before
    segmented: bool = False  # Chinese and Japanese words by a segmenter instead of single characters

    def columns(self) -> pa.Schema:
        return pa.schema([COPIES])

    def resolve(self, units: Sequence[ExchangeUnit], folder: Path, executor: Executor) -> None:
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
        gone, kept = documents[removed], documents[twins]
        write_verdicts(folder, units, gone["address"], kept["id"], overlaps, kept=kept["address"])


def _write_grams(unit: ExchangeUnit, *, folder: Path, keep: KeepBy, n: int, segmented: bool) -> None:
    """A run of GRAM for each batch, by hash prefix, and COUNTED of its documents that have words; written last."""
    if unit_path(folder, unit.key, "documents").exists():
        return
    found = [np.zeros(0, COUNTED)]

    def runs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        first = 0
        for rows, batch in unit.batches(list(dict.fromkeys(["id", "text", *keep.columns()]))):
            hashes, starts = distinct_ngrams(*word_hashes(batch["text"], segmented=segmented), n)
            counts = np.diff(starts)
            documents = describe(unit, rows, batch, keep, COUNTED)
            documents["grams"] = counts
            found.append(documents[counts > 0])
            counts = counts[counts > 0]
            grams = np.empty(len(hashes), GRAM)
            places, bounds = by_prefix(hashes, _PREFIX_BITS)
            grams["hash"] = hashes[places]
            grams["document"] = np.repeat(np.arange(first, first + len(counts), dtype=np.uint32), counts)[places]
            first += len(counts)
            yield grams, bounds

    write_runs(folder / f"{unit.key}.grams", runs(), _COLUMNS)
    save_npy(unit_path(folder, unit.key, "documents"), np.concatenate(found))


def _ranges(paths: Sequence[Path], dtype: np.dtype, executor: Executor, num_bytes: int) -> tuple[Range, ...]:
    """All columns of these runs, in ranges that fit into a task's memory at `num_bytes` a value."""
    sizes = column_sizes((read_runs(path, dtype) for path in paths), _COLUMNS)
    return column_ranges(sizes, executor.task_memory // num_bytes)


def _path(folder: Path, what: str, range_: Range) -> Path:
    return folder / what / f"{range_[0]:04d}-{range_[1]:04d}"


def _find_shared(range_: Range, *, files: UnitFiles, folder: Path) -> None:
    """SHARED of the hashes in `range_` that stand in several documents, by (gram, rank)."""
    path = _path(folder, "shared", range_).with_suffix(".npy")
    if path.exists():
        return
    rank_of, first = load_npy(folder / "ranks.npy"), 0
    parts = [(np.zeros(0, np.uint64), np.zeros(0, np.uint32))]
    for stem, end in zip(files.stems, files.ends, strict=True):
        found = read_runs(stem.with_name(f"{stem.name}.grams"), GRAM).between(*range_)
        parts += [(np.array(part["hash"]), rank_of[part["document"].astype(np.int64) + first]) for part in found]
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
    """bool by rank: more than `max_overlap` of the n-grams stand in documents before, if all of those were kept."""
    seen = np.zeros(len(num_grams), np.int64)
    for range_ in ranges:
        shared = load_npy(_path(folder, "shared", range_).with_suffix(".npy"), SHARED)
        seen += np.bincount(shared["rank"][~_first_of(shared["gram"])], minlength=len(seen))
    return np.asarray(seen / num_grams > max_overlap)


def _first_of(grams: np.ndarray) -> np.ndarray:
    return np.append(True, grams[1:] != grams[:-1])[: len(grams)]


def _select(range_: Range, *, folder: Path) -> None:
    """SHARED of candidates and of the first sure document of each n-gram, by rank, in blocks of the keep order.

    N-grams that decide nothing, since no candidate comes behind another document, are left out.
    """
    path = _path(folder, "selected", range_)
    if has_runs(path):
        return
    candidates = load_npy(folder / "candidates.npy")
    shared = load_npy(_path(folder, "shared", range_).with_suffix(".npy"), SHARED)
    first, sure = _first_of(shared["gram"]), ~candidates[shared["rank"]]
    group = np.cumsum(first) - 1
    decides = np.bincount(group[~sure & ~first], minlength=group[-1] + 1 if len(group) else 0) > 0
    before = np.cumsum(sure) - sure  # sure ones in front
    selected = (~sure | (before == before[first][group])) & decides[group]
    events = np.empty(np.count_nonzero(selected), SHARED)
    events["gram"] = (np.cumsum(decides) - 1)[group[selected]]
    events["rank"] = shared["rank"][selected]
    events = events[np.argsort(events["rank"], kind="stable")]
    bounds = np.searchsorted(events["rank"], _block_starts(len(candidates)))
    write_runs(path, [(events, bounds)], _COLUMNS)


def _block_starts(num_documents: int) -> np.ndarray:
    """i64[_COLUMNS + 1]: the rank at which each block begins, and behind the last."""
    return np.arange(_COLUMNS + 1) * num_documents // _COLUMNS


def _decide_blocks(
    folder: Path, paths: Sequence[Path], blocks: Sequence[Range], num_grams: np.ndarray, max_overlap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ranks of the documents that leave, of their twins, overlaps)."""
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
    """u32[count]: 0 for nobody, or one more than a rank. A file, so that memory holds what it can of it."""
    zeros = bytes(1 << 20)
    with atomic_file(path) as file:  # written out: a map onto a disk that fills up later kills the process
        for left in range(4 * max(1, count), 0, -len(zeros)):
            file.write(zeros[:left])
    return np.asarray(np.memmap(path, np.uint32, "r+"))


@kernel
def _decide(grams, ranks, num_grams, owners, max_overlap):
    """Documents one after the other, by rank: each leaves, or becomes the owner of its n-grams that have none."""
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
    """The owner of the most of `grams`; of equals the first in keep order."""
    found = np.sort(owners[grams])
    best, most, start = np.int64(0), 0, 0
    for k in range(len(found)):
        if found[k] != found[start]:
            start = k
        run = k - start + 1
        if found[k] and run > most:
            best, most = np.int64(found[k]), run
    return best
