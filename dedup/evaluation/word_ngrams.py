"""Words and word n-grams as 64-bit hashes, with their places: what overlap and decontamination look for.

    "Don't stop: 编译器 FAST"   ─words▶       don | t | stop | 编 | 译 | 器 | fast
                                segmented     don | t | stop | 编译器 | fast

Words are those of `lsh.shingles`: runs of letters, marks and numbers in lower case; punctuation and symbols only part
them. A text of fewer than n words has one n-gram, all its words; one without words has none.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dedup.lsh.shingles import word_characters
from shards.compiled import kernel
from shards.unicode import decode, text_buffers
from shards.words import max_words, words_of

_START = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xD6E8FEB86659FD93)  # per character
_BASE = np.uint64(0xA0761D6478BD642F)  # per word
_MIX = np.uint64(0xFF51AFD7ED558CCD)  # of MurmurHash3's finaliser
_ALONE = np.uint32(1 << 31)  # marks an ideograph in `word_characters`
_32 = np.uint64(32)


class HashedWords(NamedTuple):
    """The words of a batch, in order."""

    hashes: np.ndarray  # u64[words]
    rows: np.ndarray  # i64[rows + 1]: the words of row r are rows[r] to rows[r + 1]
    starts: np.ndarray  # i64[words]: offsets into the bytes of `text_buffers(text)`
    ends: np.ndarray


def hashed_words(text: pa.LargeStringArray, *, segmented: bool = False) -> HashedWords:
    """`segmented` joins the ideographs that a segmenter takes for one word."""
    return HashedWords(*_hashed_words(*text_buffers(text), word_characters(), segmented, word_begins(text, segmented)))


def word_begins(text: pa.LargeStringArray, segmented: bool) -> np.ndarray:
    """i64, read-only: where a segmenter's words begin in the bytes of `text_buffers(text)`; none if it is not asked."""
    begins = words_of(text, segmented=True).starts if segmented else np.zeros(0, np.int64)
    begins.flags.writeable = False
    return begins


@kernel
def _hashed_words(data, offsets, characters, segmented, begins):
    room = max_words(offsets[-1] - offsets[0]) + len(offsets)
    hashes, rows = np.empty(room, np.uint64), np.zeros(len(offsets), np.int64)
    starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    n = begin = 0
    for row in range(len(offsets) - 1):
        place = data, offsets[row], offsets[row + 1]
        found, begin = words_of_row(*place, characters, segmented, begins, begin, hashes[n:], starts[n:], ends[n:])
        n += found
        rows[row + 1] = n
    return hashes[:n], rows, starts[:n], ends[:n]


@kernel
def words_of_row(data, i, end, characters, segmented, begins, begin, hashes, starts, ends):
    """Writes the words of data[i:end]; (their number, place of the first of `begins` behind them).

    `begins` are where a segmenter's words begin, ascending, `begin` is the place of the first one in this row or a
    place before it. The other arrays have room for `max_words(end - i)`.
    """
    n, before, word = 0, np.uint32(0), _START
    while i < end:
        code, after = decode(data, i)
        character = characters[code]
        parted = (character ^ before) >= _ALONE
        if character >= _ALONE and before >= _ALONE:
            while begin < len(begins) and begins[begin] < i:
                begin += 1
            parted = not segmented or (begin < len(begins) and begins[begin] == i)
        if before and (parted or not character):
            hashes[n], ends[n] = word, i
            n += 1
        if character:
            if parted or not before:
                starts[n], word = i, _START
            word = (word ^ np.uint64(character)) * _STEP
        before, i = character, after
    if before:
        hashes[n], ends[n] = word, end
        n += 1
    return n, begin


@kernel(inline="always")
def mixed(rolling):
    """A polynomial of words, w₁Bⁿ⁻¹ + … + wₙ mod 2⁶⁴, with all bits alike."""
    rolling = (rolling ^ (rolling >> _32)) * _MIX
    rolling = (rolling ^ (rolling >> _32)) * _MIX
    return rolling ^ (rolling >> _32)


@kernel(inline="always")
def power_of(n):
    """Bⁿ: the weight of the word that leaves when the n words after it are in."""
    power = np.uint64(1)
    for _ in range(n):
        power *= _BASE
    return power


@kernel(inline="always")
def rolled(rolling, word):
    return rolling * _BASE + word


@kernel
def distinct_grams(hashes, rows, n):
    """(u64 n-grams of all rows, each once within its row, i64[rows + 1] where each row's begin)."""
    longest = 0
    for row in range(len(rows) - 1):
        longest = max(longest, rows[row + 1] - rows[row])
    slots = np.empty(_slots(longest), np.uint64)
    grams, starts = np.empty(len(hashes), np.uint64), np.zeros(len(rows), np.int64)
    whole, count = power_of(n), 0
    for row in range(len(rows) - 1):
        first, last = rows[row], rows[row + 1]
        width = min(n, last - first)
        size = _slots(last - first)
        slots[:size] = 0
        mask, rolling = np.uint64(size - 1), np.uint64(0)
        for k in range(first, last):
            rolling = rolled(rolling, hashes[k])
            if k >= first + width:
                rolling -= hashes[k - width] * whole
            if k >= first + width - 1:
                gram = max(mixed(rolling), np.uint64(1))  # 0 is an empty slot
                slot = gram & mask
                while slots[slot] != 0 and slots[slot] != gram:
                    slot = (slot + np.uint64(1)) & mask
                if slots[slot] == 0:
                    slots[slot] = gram
                    grams[count] = gram
                    count += 1
        starts[row + 1] = count
    return grams[:count], starts


@kernel(inline="always")
def _slots(count):
    """A power of two, at least twice `count`."""
    size = 2
    while size < 2 * count:
        size *= 2
    return size
