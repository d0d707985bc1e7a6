"""Words and word n-grams as 64-bit hashes: what shingles, n-gram overlap, decontamination and windows compare.

    "Don't stop: 编译器 FAST"   ─words▶       don | t | stop | 编 | 译 | 器 | fast
                                segmented     don | t | stop | 编译器 | fast

Texts are compared in their normal form (`dedup.normal_form`): soft hyphens and full-width letters make no other words.
A word is a run of letters, marks and numbers in lower case; punctuation and symbols only separate words. Each ideograph
is a word by itself, so Chinese and Japanese need no segmenter; `segmented` joins the ideographs that one takes for a
word. (Windows have words of their own, `shards.words`, and hash their bytes with the same constants.)

    word      wₖ = … ((START ^ c₁) · STEP ^ c₂) · STEP …        FNV-1a over characters
    n-gram    w₁Bⁿ⁻¹ + … + wₙ mod 2⁶⁴                           a polynomial, rolled along at the same cost for any n
    hash      the n-gram after one or two rounds of x ^ x >> 32, · MIX

A text of fewer than n words has one n-gram, all its words; a text without words has none. Hashes are stored in indexes
and in runs that are resumed, so every value here is part of a file format.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dedup.normal_form import comparable
from shards.compiled import kernel
from shards.hash_table import first_slot, slot_of, table_size
from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, classes, decode, lowercase, text_buffers
from shards.words import words_of

START = np.uint64(0x9E3779B97F4A7C15)
STEP = np.uint64(0xD6E8FEB86659FD93)  # per character
BASE = np.uint64(0xA0761D6478BD642F)  # per word
MIX = np.uint64(0xFF51AFD7ED558CCD)  # of MurmurHash3's finaliser
CHECK = np.uint64(0xC2B2AE3D27D4EB4F)  # of second hashes, which tell apart texts whose first hashes collide
CHECK_BASE = np.uint64(0xE7037ED1A0B428DB)  # per word
CHECK_STEP = np.uint64(0x9FB21C651E98DF25)  # per character
ALONE = np.uint32(1 << 31)  # marks an ideograph in `word_characters`
_32 = np.uint64(32)


class HashedWords(NamedTuple):
    """The words of a batch, in order."""

    hashes: np.ndarray  # u64[words]
    rows: np.ndarray  # i64[rows + 1]: the words of row r are rows[r] to rows[r + 1]
    starts: np.ndarray  # i64[words]: offsets into the bytes of `text_buffers(text)`
    ends: np.ndarray


def hashed_words(text: pa.LargeStringArray, *, segmented: bool = False) -> HashedWords:
    """The words of each row, which is in its normal form, with their hashes and byte spans."""
    data, offsets = text_buffers(text)
    hashes, starts, ends = (np.empty(_room(offsets), dtype) for dtype in (np.uint64, np.int64, np.int64))
    begins = word_begins(text, segmented)
    rows = _hash_rows(data, offsets, word_characters(), segmented, begins, hashes, starts, ends)
    return HashedWords(hashes[: rows[-1]], rows, starts[: rows[-1]], ends[: rows[-1]])


def word_hashes(text: pa.LargeStringArray, *, segmented: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(u64 hashes of all words of the rows' normal forms, i64[rows + 1] where each row's begin)."""
    text = comparable(text)
    data, offsets = text_buffers(text)
    hashes, begins = np.empty(_room(offsets), np.uint64), word_begins(text, segmented)
    rows = _hash_rows(data, offsets, word_characters(), segmented, begins, hashes, None, None)
    return hashes[: rows[-1]], rows


def word_begins(text: pa.LargeStringArray, segmented: bool) -> np.ndarray:
    """i64, read-only: where a segmenter's words begin in `text_buffers(text)`; empty if not `segmented`."""
    begins = words_of(text, segmented=True).starts if segmented else np.zeros(0, np.int64)
    begins.flags.writeable = False
    return begins


@cache
def word_characters() -> np.ndarray:
    """uint32[0x110000]: lower-case form of word characters, flagged `ALONE` for ideographs; 0 separates words."""
    kinds = classes()
    table = np.where(np.isin(kinds, (LETTER, MARK, NUMBER)), lowercase(), np.uint32(0))
    ideographs = np.flatnonzero(kinds == IDEOGRAPH)
    table[ideographs] = ideographs.astype(np.uint32) | ALONE
    return table


def _room(offsets: np.ndarray) -> int:
    return int((offsets[-1] - offsets[0]) // 2 + len(offsets))


@kernel
def _hash_rows(data, offsets, characters, segmented, begins, hashes, starts, ends):
    rows = np.zeros(len(offsets), np.int64)
    n = begin = 0
    for row in range(len(offsets) - 1):
        span = data, offsets[row], offsets[row + 1]
        n, begin = words_of_row(*span, characters, segmented, begins, begin, n, hashes, starts, ends)
        rows[row + 1] = n
    return rows


@kernel
def words_of_row(data, i, end, characters, segmented, begins, begin, n, hashes, starts, ends):
    """Write the words of data[i:end] from index `n` on; returns (index after the last, the next `begin`).

    `begins` are where a segmenter's words begin, ascending, and begins[begin] is the first in this row or an earlier
    one. The other arrays have room for `max_words(end - i)` more; `starts` and `ends` may be None.
    """
    while i < end:
        code, after = decode(data, i)
        character = characters[code]
        if not character:
            i = after
            continue
        start, word, i = i, (START ^ np.uint64(character)) * STEP, after
        if character < ALONE:
            while i < end:
                code, after = decode(data, i)
                character = characters[code]
                if not np.uint32(0) < character < ALONE:
                    break
                word = (word ^ np.uint64(character)) * STEP
                i = after
        elif segmented:
            while i < end:
                code, after = decode(data, i)
                character = characters[code]
                while begin < len(begins) and begins[begin] < i:
                    begin += 1
                if character < ALONE or (begin < len(begins) and begins[begin] == i):
                    break
                word = (word ^ np.uint64(character)) * STEP
                i = after
        hashes[n] = word
        if starts is not None:
            starts[n], ends[n] = start, i
        n += 1
    return n, begin


@kernel(inline="always")
def rolled(rolling, word):
    """The polynomial with `word` appended. The caller subtracts the word n before, times `power_of(n)`."""
    return rolling * BASE + word


@kernel(inline="always")
def power_of(n):
    """Bⁿ: the weight of a word once n words have followed it."""
    return power(BASE, n)


@kernel(inline="always")
def power(base, exponent):
    """base ^ exponent mod 2⁶⁴."""
    result = np.uint64(1)
    for _ in range(exponent):
        result *= base
    return result


@kernel(inline="always")
def mixed(rolling):
    """The polynomial after two rounds, so that every bit depends on all of its bits."""
    return mixed_once((rolling ^ (rolling >> _32)) * MIX)


@kernel(inline="always")
def mixed_once(rolling):
    """The polynomial after one round."""
    rolling = (rolling ^ (rolling >> _32)) * MIX
    return rolling ^ (rolling >> _32)


@kernel
def distinct_ngrams(hashes, rows, n):
    """(u64 n-grams of all rows, each once within its row, i64[rows + 1] where each row's begin)."""
    longest = 0
    for row in range(len(rows) - 1):
        longest = max(longest, rows[row + 1] - rows[row])
    table = np.empty(table_size(longest), np.uint64)
    ngrams, starts = np.empty(len(hashes), np.uint64), np.zeros(len(rows), np.int64)
    whole, count = power_of(n), 0
    for row in range(len(rows) - 1):
        first, last = rows[row], rows[row + 1]
        width = min(n, last - first)
        slots = table[: table_size(last - first)]
        slots[:] = 0
        rolling = np.uint64(0)
        for k in range(first, last):
            rolling = rolled(rolling, hashes[k])
            if k >= first + width:
                rolling -= hashes[k - width] * whole
            if k >= first + width - 1:
                ngram = max(mixed(rolling), np.uint64(1))  # 0 is an empty slot
                slot = slot_of(slots, ngram, first_slot(slots, ngram))
                if slots[slot] == 0:
                    slots[slot] = ngram
                    ngrams[count] = ngram
                    count += 1
        starts[row + 1] = count
    return ngrams[:count], starts
