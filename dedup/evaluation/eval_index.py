"""The n-grams of evaluation items in a table, and the search for them in texts.

    passages ──words──▶ every n in a row, or all of a short passage ──▶ table: n-gram ──▶ its items
    text     ──words──▶ every m in a row ──Bloom filter──▶ 1 in 100 ──▶ table, for each size of n-grams, m or more

m is the smallest size. An n-gram counts as found when each of its words has the same 64-bit hash; the hash of the whole
only leads to its slot. All rows use one buffer of words in turn, so the search stays in cache.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from dedup.evaluation.sets import EvaluationSet, Passage
from dedup.normal_form import NormalForm, changed_rows, comparable
from dedup.word_hashes import (
    hashed_words,
    mixed,
    power_of,
    rolled,
    word_begins,
    word_characters,
    words_of_row,
)
from shards.compiled import kernel
from shards.hash_table import first_slot, next_slot, table_size
from shards.unicode import text_buffers
from shards.words import max_words

_TEMPLATE_TEXTS = 10  # this many different texts of a field do not begin with the same word by chance
_32, _63 = np.uint64(32), np.uint64(63)


@dataclass(frozen=True)
class EvaluationIndex:
    """The n-grams of all items, each once. `of` builds it; `find` and `owners_of` search it."""

    sets: dict[str, int]  # items of each set, in order
    items: tuple[str, ...]
    segmented: bool
    words: np.ndarray  # u64: hashes of the words of all passages, end to end
    firsts: np.ndarray  # i64[n-grams]: where in `words` each begins
    sizes: np.ndarray  # i64[n-grams]: words
    table: np.ndarray  # i64: the number of an n-gram in the slot of its hash or a later one, -1 in a free slot
    prefixes: np.ndarray  # u64: a Bloom filter of their first `min(sizes)` words
    owner_starts: np.ndarray  # i64[n-grams + 1]
    owners: np.ndarray  # i64: the items of each n-gram, ascending

    @classmethod
    def of(cls, sets: list[EvaluationSet], n: int, min_words: int, segmented: bool) -> "EvaluationIndex":
        items: list[str] = []
        passages: list[Passage] = []
        for set_ in sets:
            passages += (Passage(len(items) + p.item, f"{set_.name} {p.field}", p.text) for p in set_.passages)
            items += set_.items
        texts = comparable(pa.array([passage.text for passage in passages], pa.large_string()))
        words = hashed_words(texts, segmented=segmented)
        # If no passage has a word of two ideographs or more, pages need no segmenter either.
        segmented = segmented and len(words.hashes) < len(hashed_words(texts).hashes)
        begins, ends = _without_templates(passages, words.hashes, words.rows)
        item_of = np.array([passage.item for passage in passages], np.int64)
        firsts, sizes, table, grams, owners = _index(words.hashes, begins, ends, item_of, n, min_words)
        of_gram, owners = np.divmod(np.unique(grams * len(items) + owners), max(1, len(items)))
        return cls(
            sets={set_.name: len(set_.items) for set_ in sets},
            items=tuple(items),
            segmented=segmented,
            words=words.hashes,
            firsts=firsts,
            sizes=sizes,
            table=table,
            prefixes=_prefixes(words.hashes, firsts, sizes.min(initial=n)),
            owner_starts=np.searchsorted(of_gram, np.arange(len(firsts) + 1)),
            owners=owners,
        )

    def searched(self) -> dict[str, dict[str, int]]:
        """The number of items of each set, and how many of them are searched for."""
        ends = np.cumsum(list(self.sets.values()))
        searchable = np.bincount(np.searchsorted(ends, np.unique(self.owners), "right"), minlength=len(ends)).tolist()
        counts = zip(self.sets.items(), searchable, strict=True)
        return {name: {"items": total, "searched": searched} for (name, total), searched in counts}

    @cached_property
    def distinct_sizes(self) -> np.ndarray:
        return np.unique(self.sizes)

    def find(self, text: pa.LargeStringArray) -> np.ndarray:
        """i64[4, hits]: row, start and end in `text_buffers(text)`, number of the n-gram; sorted in that order.

        Rows that are not in their normal form are searched in it. The others are searched as they are, since their
        words are known to the cache of `words_of`.
        """
        if not len(self.firsts):
            return np.zeros((4, 0), np.int64)
        hits = self._search(text)
        changed = changed_rows(text)
        if not len(changed):
            return hits
        chosen = text.take(pa.array(changed))
        form = NormalForm.of(chosen)
        rows, starts, ends, grams = self._search(form.text)
        starts, ends = form.sources(starts, ends)
        moved = text_buffers(text)[1][changed[rows]] - text_buffers(chosen)[1][rows]
        found = np.stack([changed[rows], starts + moved, ends + moved, grams])
        hits = np.concatenate([hits[:, ~np.isin(hits[0], changed)], found], axis=1)
        return hits[:, np.argsort(hits[0], kind="stable")]

    def _search(self, text: pa.LargeStringArray) -> np.ndarray:
        """The hits in texts that are taken as they are."""
        words = (word_characters(), self.segmented, word_begins(text, self.segmented))
        grams = (self.words, self.firsts, self.sizes, self.table, self.prefixes, self.distinct_sizes)
        hits: np.ndarray = _find(*text_buffers(text), *words, *grams)
        return hits

    def owners_of(self, grams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(indices of `grams`, items): a pair for every item of each n-gram."""
        counts = self.owner_starts[grams + 1] - self.owner_starts[grams]
        indices = np.repeat(np.arange(len(grams)), counts)
        within = np.arange(len(indices)) - np.repeat(np.cumsum(counts) - counts, counts)
        return indices, self.owners[self.owner_starts[grams][indices] + within]


def _without_templates(passages: list[Passage], hashes: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first word, end) of each passage, without the words that all passages of its field begin or end with."""
    begins, ends = rows[:-1].copy(), rows[1:].copy()
    by_field: dict[str, list[int]] = {}
    for number, passage in enumerate(passages):
        if begins[number] < ends[number]:
            by_field.setdefault(passage.field, []).append(number)
    for numbers in by_field.values():
        if len({passages[number].text for number in numbers}) < _TEMPLATE_TEXTS:
            continue
        some = np.array(numbers)
        while (begins[some] < ends[some]).all() and (hashes[begins[some]] == hashes[begins[some[0]]]).all():
            begins[some] += 1
        while (begins[some] < ends[some]).all() and (hashes[ends[some] - 1] == hashes[ends[some[0]] - 1]).all():
            ends[some] -= 1
    return begins, ends


@kernel
def _index(words, begins, ends, item_of, n, min_words):
    """(firsts, sizes, table) as in `EvaluationIndex`; then for every occurrence of an n-gram its number and item."""
    room = 0
    for p in range(len(begins)):
        room += max(0, ends[p] - begins[p] - n + 1, np.int64(min_words <= ends[p] - begins[p] < n))
    table = np.full(table_size(room), -1, np.int64)
    firsts, sizes = np.empty(room, np.int64), np.empty(room, np.int64)
    grams, owners = np.empty(room, np.int64), np.empty(room, np.int64)
    count = done = 0
    for p in range(len(begins)):
        width = min(n, ends[p] - begins[p])
        if width < n and width < min_words:
            continue
        for first in range(begins[p], ends[p] - width + 1):
            rolling = np.uint64(0)
            for k in range(first, first + width):
                rolling = rolled(rolling, words[k])
            slot = _slot(rolling, words, first, width, words, firsts, sizes, table)
            if table[slot] < 0:
                table[slot], firsts[count], sizes[count] = count, first, width
                count += 1
            grams[done], owners[done] = table[slot], item_of[p]
            done += 1
    return firsts[:count].copy(), sizes[:count].copy(), table, grams, owners


@kernel
def _prefixes(words, firsts, size):
    """A Bloom filter with 16 bits or more an n-gram, and the three of an n-gram in one word: 1 % of others pass."""
    num_words = 64
    while 4 * num_words < len(firsts):
        num_words *= 2
    bits = np.zeros(num_words, np.uint64)
    for first in firsts:
        rolling = np.uint64(0)
        for k in range(first, first + size):
            rolling = rolled(rolling, words[k])
        hash_ = mixed(rolling)
        bits[(hash_ >> _32) & np.uint64(num_words - 1)] |= _three_bits(hash_)
    return bits


@kernel(inline="always")
def _three_bits(hash_):
    one = np.uint64(1)
    return one << (hash_ & _63) | one << ((hash_ >> np.uint64(6)) & _63) | one << ((hash_ >> np.uint64(12)) & _63)


@kernel
def _find(data, offsets, characters, segmented, begins, words, firsts, sizes, table, prefixes, distinct_sizes):
    room = max_words(np.max(offsets[1:] - offsets[:-1])) if len(offsets) > 1 else 0
    hashes, starts, ends = np.empty(room, np.uint64), np.empty(room, np.int64), np.empty(room, np.int64)
    least, mask = distinct_sizes[0], np.uint64(len(prefixes) - 1)
    whole = power_of(least)
    hits, count, begin = np.empty((4, 64), np.int64), 0, 0
    for row in range(len(offsets) - 1):
        span = data, offsets[row], offsets[row + 1]
        num_words, begin = words_of_row(*span, characters, segmented, begins, begin, 0, hashes, starts, ends)
        rolling = np.uint64(0)
        for k in range(num_words):
            rolling = rolled(rolling, hashes[k])
            first = k - least + 1
            if first > 0:
                rolling -= hashes[first - 1] * whole
            hash_ = mixed(rolling)
            bits = _three_bits(hash_)
            if first < 0 or prefixes[(hash_ >> _32) & mask] & bits != bits:
                continue
            longer, next_word = rolling, k + 1
            for size in distinct_sizes:
                if first + size > num_words:
                    break
                while next_word < first + size:
                    longer = rolled(longer, hashes[next_word])
                    next_word += 1
                gram = table[_slot(longer, hashes, first, size, words, firsts, sizes, table)]
                if gram >= 0:
                    if count == hits.shape[1]:
                        hits = np.concatenate((hits, hits), axis=1)
                    hits[0, count], hits[1, count] = row, starts[first]
                    hits[2, count], hits[3, count] = ends[first + size - 1], gram
                    count += 1
    return hits[:, :count]


@kernel(inline="always")
def _slot(rolling, hashes, first, size, words, firsts, sizes, table):
    """The slot of the n-gram hashes[first : first + size], whose polynomial is `rolling`, or the free one for it."""
    slot = first_slot(table, mixed(rolling))
    while table[slot] >= 0:
        gram = table[slot]
        if sizes[gram] == size:
            same = 0
            while same < size and words[firsts[gram] + same] == hashes[first + same]:
                same += 1
            if same == size:
                break
        slot = next_slot(table, slot)
    return slot
