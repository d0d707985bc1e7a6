"""Text to shingle sets: what two documents are compared by.

    "The cat, the CAT sat."  ─words▶  the cat the cat sat  ─n = 2▶  {the cat, cat the, cat sat}  ─hash▶  sorted u32[3]

A word is a run of letters, marks and numbers in lower case; punctuation and symbols only part words. Each ideograph is
a word by itself, so Chinese and Japanese need no segmenter; `segmented` joins those that one takes for a word. A
document with fewer than n words has one shingle, all its words; one without words has none and resembles nothing.

Characters as units are those of the words with one space between two of them, but none between two ideographs: where
Chinese has spaces they mean no more than in English.

Words w are 64-bit hashes, and a shingle is their polynomial w₁Bⁿ⁻¹ + … + wₙ mod 2⁶⁴, rolled along the text at the same
cost for any n, then mixed and cut to its top 32 bits. Two unrelated sets of 1,000 share one by accident once in 4,000
pairs, which moves no similarity.
"""

from functools import cache
from typing import Literal

import numpy as np
import pyarrow as pa

from shards.compiled import kernel
from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, classes, decode, lowercase, text_buffers
from shards.words import words_of

Unit = Literal["words", "characters"]

_START = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xD6E8FEB86659FD93)  # per character
_BASE = np.uint64(0xA0761D6478BD642F)  # per word
_MIX = np.uint64(0xFF51AFD7ED558CCD)  # of MurmurHash3's finaliser
_ALONE = np.uint32(1 << 31)  # marks a character that is a word by itself
_SPACE = np.uint32(0x20)
_32 = np.uint64(32)


def shingles_of(
    text: pa.LargeStringArray, n: int, unit: Unit = "words", segmented: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(u32 shingles of n units, ascending and each once within a row, i64[rows + 1] where each row's begin).

    `segmented` matters to words only: the spaces between words that a segmenter finds are none of the text's.
    """
    given = (*text_buffers(text), word_characters())
    if unit == "characters":
        units = character_hashes(*given)
    elif segmented:
        units = segmented_hashes(*given, words_of(text, segmented=True).starts)
    else:
        units = word_hashes(*given)
    return shingle_sets(*units, n)


@cache
def word_characters() -> np.ndarray:
    """uint32[0x110000]: lower-case form of what words are made of, flagged `_ALONE` for ideographs; 0 parts words."""
    kinds = classes()
    table = np.where(np.isin(kinds, (LETTER, MARK, NUMBER)), lowercase(), np.uint32(0))
    ideographs = np.flatnonzero(kinds == IDEOGRAPH)
    table[ideographs] = ideographs.astype(np.uint32) | _ALONE
    return table


@kernel
def word_hashes(data: np.ndarray, offsets: np.ndarray, characters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(u64 hashes of all words of all rows, i64[rows + 1] where each row's begin) of UTF-8 rows data[offsets]."""
    rows = len(offsets) - 1
    # A word is an ideograph of three bytes, or one byte at least and parted from the next such.
    hashes = np.empty((offsets[rows] - offsets[0]) // 2 + rows, np.uint64)
    starts = np.zeros(rows + 1, np.int64)
    count = 0
    for row in range(rows):
        i, end, word = offsets[row], offsets[row + 1], _START
        while i < end:
            code, i = decode(data, i)
            character = characters[code]
            if np.uint32(0) < character < _ALONE:
                word = (word ^ np.uint64(character)) * _STEP
                continue
            if word != _START:
                hashes[count] = word
                count += 1
                word = _START
            if character:
                hashes[count] = (_START ^ np.uint64(character)) * _STEP
                count += 1
        if word != _START:
            hashes[count] = word
            count += 1
        starts[row + 1] = count
    return hashes[:count], starts


@kernel
def segmented_hashes(
    data: np.ndarray, offsets: np.ndarray, characters: np.ndarray, begins: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As `word_hashes`, with neighbouring ideographs in one word unless one of `begins`, ascending offsets, parts them.

    A word of one ideograph has the hash that it has there.
    """
    rows = len(offsets) - 1
    hashes = np.empty((offsets[rows] - offsets[0]) // 2 + rows, np.uint64)
    starts = np.zeros(rows + 1, np.int64)
    count, next_begin = 0, 0
    for row in range(rows):
        i, end, word, before = offsets[row], offsets[row + 1], _START, np.uint32(0)
        while i < end:
            while next_begin < len(begins) and begins[next_begin] < i:
                next_begin += 1
            begin = next_begin < len(begins) and begins[next_begin] == i
            code, i = decode(data, i)
            character = characters[code]
            if word != _START and ((character ^ before) >= _ALONE or not character or (begin and character >= _ALONE)):
                hashes[count] = word
                count += 1
                word = _START
            if character:
                word = (word ^ np.uint64(character)) * _STEP
            before = character
        if word != _START:
            hashes[count] = word
            count += 1
        starts[row + 1] = count
    return hashes[:count], starts


@kernel
def character_hashes(data: np.ndarray, offsets: np.ndarray, characters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(u64 hashes of the characters of all words and of the spaces between, i64[rows + 1] where rows begin)."""
    rows = len(offsets) - 1
    hashes = np.empty(2 * (offsets[rows] - offsets[0]), np.uint64)  # a space before every byte at most
    starts = np.zeros(rows + 1, np.int64)
    count = 0
    for row in range(rows):
        i, end, before, parted = offsets[row], offsets[row + 1], np.uint32(0), False
        while i < end:
            code, i = decode(data, i)
            character = characters[code]
            if not character:
                parted = True
                continue
            if before and (parted or (before ^ character) >= _ALONE) and before & character < _ALONE:
                hashes[count] = (_START ^ np.uint64(_SPACE)) * _STEP
                count += 1
            hashes[count] = (_START ^ np.uint64(character)) * _STEP
            count += 1
            before, parted = character, False
        starts[row + 1] = count
    return hashes[:count], starts


@kernel
def shingle_sets(hashes: np.ndarray, starts: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(u32 shingles, ascending and each once within a row, i64[rows + 1] where each row's begin)."""
    rows = len(starts) - 1
    sets = np.empty(len(hashes), np.uint32)
    set_starts = np.zeros(rows + 1, np.int64)
    spare = np.empty(0, np.uint32)
    count = 0
    for row in range(rows):
        first, last = starts[row], starts[row + 1]
        width = min(n, last - first)
        rolling, power, end = np.uint64(0), np.uint64(1), count
        for k in range(first, last):
            rolling = rolling * _BASE + hashes[k]
            if k < first + width:
                power *= _BASE
            else:
                rolling -= hashes[k - width] * power
            if k >= first + width - 1:
                mixed = (rolling ^ (rolling >> _32)) * _MIX
                sets[end] = np.uint32((mixed ^ (mixed >> _32)) * _MIX >> _32)
                end += 1
        if len(spare) < end - count:
            spare = np.empty(end - count, np.uint32)
        _sort(sets[count:end], spare)
        begin = count
        for k in range(begin, end):
            if k == begin or sets[k] != sets[count - 1]:
                sets[count] = sets[k]
                count += 1
        set_starts[row + 1] = count
    return sets[:count], set_starts


@kernel
def _sort(values: np.ndarray, spare: np.ndarray) -> None:
    """Radix sort by bytes, in place: linear for every input, and four times as fast as `sort` for a page's shingles."""
    counts = np.zeros((4, 256), np.int64)
    for value in values:
        for byte in range(4):
            counts[byte, (value >> np.uint32(8 * byte)) & np.uint32(255)] += 1
    source, target = values, spare
    for byte in range(4):
        position = 0
        for digit in range(256):
            counts[byte, digit], position = position, position + counts[byte, digit]
        for k in range(len(values)):
            digit = (source[k] >> np.uint32(8 * byte)) & np.uint32(255)
            target[counts[byte, digit]] = source[k]
            counts[byte, digit] += 1
        source, target = target, source
