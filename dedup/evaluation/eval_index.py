"""The n-grams of evaluation items in a table, and the search for them in texts.

    passages ──words──▶ every n in a row, or all of a short passage ──▶ table: n-gram ──▶ its items
    text     ──words──▶ every m in a row ──Bloom filter──▶ 1 in 100 ──▶ table, by each size that n-grams have, m or more

m is the least of those sizes. An n-gram counts as found when each of its words has the same 64-bit hash; the hash of
the whole only finds it. A row's words lie in a buffer that all rows use in turn, so the search stays in cache.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from dedup.evaluation.sets import EvaluationSet, Passage
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

_TEMPLATE_TEXTS = 10  # so many different texts of a field do not begin alike by chance
_32, _63 = np.uint64(32), np.uint64(63)


@dataclass(frozen=True)
class Index:
    """The n-grams of all items, each once."""

    sets: dict[str, int]  # items of each set, in order
    items: tuple[str, ...]
    segmented: bool
    words: np.ndarray  # u64: hashes of the words of all passages, end to end
    firsts: np.ndarray  # i64[n-grams]: where in `words` each begins
    sizes: np.ndarray  # i64[n-grams]: words
    table: np.ndarray  # i64: an n-gram in the slot of its hash or a later one, -1 in a free slot
    prefixes: np.ndarray  # u64: a Bloom filter of their first `min(sizes)` words
    owner_starts: np.ndarray  # i64[n-grams + 1]
    owners: np.ndarray  # i64: the items of each n-gram, ascending

    @classmethod
    def of(cls, sets: list[EvaluationSet], n: int, min_words: int, segmented: bool) -> "Index":
        items: list[str] = []
        passages: list[Passage] = []
        for found in sets:
            passages += (Passage(len(items) + p.item, f"{found.name} {p.field}", p.text) for p in found.passages)
            items += found.items
        texts = pa.array([passage.text for passage in passages], pa.large_string())
        words = hashed_words(texts, segmented=segmented)
        # Where no passage has a word of two ideographs or more, no page needs a segmenter either.
        segmented = segmented and len(words.hashes) < len(hashed_words(texts).hashes)
        begins, ends = _without_templates(passages, words.hashes, words.rows)
        item_of = np.array([passage.item for passage in passages], np.int64)
        firsts, sizes, table, grams, owners = _index(words.hashes, begins, ends, item_of, n, min_words)
        of_gram, owners = np.divmod(np.unique(grams * len(items) + owners), max(1, len(items)))
        return cls(
            sets={found.name: len(found.items) for found in sets},
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
        """How many items each set has, and how many of them can be looked for."""
        ends = np.cumsum(list(self.sets.values()))
        can = np.bincount(np.searchsorted(ends, np.unique(self.owners), "right"), minlength=len(ends)).tolist()
        counts = zip(self.sets.items(), can, strict=True)
        return {name: {"items": total, "searched": searched} for (name, total), searched in counts}

    @cached_property
    def distinct_sizes(self) -> np.ndarray:
        return np.unique(self.sizes)

    def find(self, text: pa.LargeStringArray) -> np.ndarray:
        """i64[4, hits]: row, first byte and byte behind the last in `text_buffers(text)`, n-gram; in that order."""
        if not len(self.firsts):
            return np.zeros((4, 0), np.int64)
        words = (word_characters(), self.segmented, word_begins(text, self.segmented))
        grams = (self.words, self.firsts, self.sizes, self.table, self.prefixes, self.distinct_sizes)
        found: np.ndarray = _find(*text_buffers(text), *words, *grams)
        return found

    def owners_of(self, grams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(place in `grams`, item) of every item of each."""
        counts = self.owner_starts[grams + 1] - self.owner_starts[grams]
        places = np.repeat(np.arange(len(grams)), counts)
        within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        return places, self.owners[self.owner_starts[grams][places] + within]


def _without_templates(passages: list[Passage], hashes: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first word, word behind the last) of each passage without what all of its field begin and end with."""
    begins, ends = rows[:-1].copy(), rows[1:].copy()
    of_field: dict[str, list[int]] = {}
    for number, passage in enumerate(passages):
        if begins[number] < ends[number]:
            of_field.setdefault(passage.field, []).append(number)
    for numbers in of_field.values():
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
    """(firsts, sizes, table) as in `Index`, and of every place of an n-gram (the n-gram, its item)."""
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
    """A Bloom filter of 16 bits or more an n-gram, the three of each in one word: 1 % of others pass."""
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
    found, count, begin = np.empty((4, 64), np.int64), 0, 0
    for row in range(len(offsets) - 1):
        place = data, offsets[row], offsets[row + 1]
        num_words, begin = words_of_row(*place, characters, segmented, begins, begin, 0, hashes, starts, ends)
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
            longer, at = rolling, k + 1
            for size in distinct_sizes:
                if first + size > num_words:
                    break
                while at < first + size:
                    longer = rolled(longer, hashes[at])
                    at += 1
                gram = table[_slot(longer, hashes, first, size, words, firsts, sizes, table)]
                if gram >= 0:
                    if count == found.shape[1]:
                        found = np.concatenate((found, found), axis=1)
                    found[0, count], found[1, count] = row, starts[first]
                    found[2, count], found[3, count] = ends[first + size - 1], gram
                    count += 1
    return found[:, :count]


@kernel(inline="always")
def _slot(rolling, hashes, first, size, words, firsts, sizes, table):
    """The slot of the n-gram hashes[first : first + size] of that polynomial, or the free one where it belongs."""
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
