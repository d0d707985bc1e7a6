"""Counts of words, symbols and lines for Gopher's rules for quality: a whole batch in one kernel.

Words are those of `shards.words`. Characters are code points of words. A line ends at a newline and holds a word.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pyarrow as pa

from cleaners.kernels.fnv import FNV_START, fnv_step
from cleaners.kernels.lines import newline_in
from shards.compiled import kernel
from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, classes, decode, lowercase, text_buffers
from shards.words import words_of

BULLETS = np.array([ord(c) for c in "•‣⁃◦●○▪▫■□►▶·*-"], np.uint32)  # no dashes: they also open speech

# One record a document.
COUNTS = np.dtype(
    [
        ("words", np.int64),
        ("chars", np.int64),  # of words
        ("hashes", np.int64),  # "#"
        ("ellipses", np.int64),  # "…", and "..." as `str.count` finds it
        ("alpha_words", np.int64),  # words with a letter or an ideograph
        ("lines", np.int64),
        ("bullet_lines", np.int64),  # that begin with one of BULLETS
        ("ellipsis_lines", np.int64),  # that end with "…" or "..."
        ("stop_words", np.int64),  # different ones that occur
    ]
)


@kernel
def document_counts(data, rows, starts, ends, classes, lowercase, stop_words, stop_offsets, firsts, lasts):
    """COUNTS[texts] of the texts in `data` with the words `rows`, `starts`, `ends` of `shards.words.Words`.

    `stop_words`, `stop_offsets`, `firsts` and `lasts` come from `stop_word_sets`.
    """
    counts = np.zeros(len(rows) - 1, COUNTS)
    cores = np.empty(len(starts), np.uint64)
    met = np.empty(len(stop_offsets) - 1, np.bool_)

    for row in range(len(rows) - 1):
        first, end = rows[row], rows[row + 1]
        count = counts[row]  # a view
        for w in range(first, end):
            has_letter = False
            dots, chars, hashes, ellipses = 0, 0, 0, 0  # counted here and not in `count`: 7 % faster
            i = starts[w]
            while i < ends[w]:
                c, i = decode(data, i)
                kind = classes[c]
                has_letter |= kind in (LETTER, IDEOGRAPH)
                dots = dots + 1 if c == 0x2E else 0
                is_ellipsis = c == 0x2026 or dots == 3
                if is_ellipsis:
                    dots = 0
                chars += 1
                hashes += c == 0x23
                ellipses += is_ellipsis
            opens_line = w == first or newline_in(data, ends[w - 1], starts[w])
            ends_line = w + 1 == end or newline_in(data, ends[w], starts[w + 1])
            count.words += 1
            count.chars += chars
            count.hashes += hashes
            count.ellipses += ellipses
            count.alpha_words += has_letter
            count.lines += opens_line
            count.bullet_lines += opens_line and _is_bullet(decode(data, starts[w])[0])
            count.ellipsis_lines += ends_line and _ends_in_ellipsis(data, starts[w], ends[w])
            cores[w] = core_hash(data, starts[w], ends[w], classes, lowercase)

        met[firsts[row] : lasts[row]] = False
        for w in range(first, end):
            for s in range(firsts[row], lasts[row]):
                a, b = stop_offsets[s], stop_offsets[s + 1]
                if cores[w] == stop_words[a] and w + b - a <= end:
                    same = True
                    for k in range(1, b - a):
                        same &= cores[w + k] == stop_words[a + k]
                    met[s] |= same
        count.stop_words += met[firsts[row] : lasts[row]].sum()
    return counts


@kernel
def core_hash(data, start, end, classes, lowercase):
    """Hash of a word in lower case without the punctuation and symbols around it: `"The` and `the,` are `the`.

    A word of punctuation only is hashed whole.
    """
    whole = FNV_START
    core = whole
    core_end = whole
    started = False
    i = start
    while i < end:
        c, i = decode(data, i)
        c = lowercase[c]
        kind = classes[c]
        inside = kind in (LETTER, NUMBER, MARK, IDEOGRAPH)
        started |= inside
        whole = fnv_step(whole, c)
        if started:
            core = fnv_step(core, c)
        if inside:
            core_end = core
    return core_end if started else whole


def stop_word_sets(
    sets: Sequence[tuple[tuple[str, ...], bool]], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(core hashes, offsets, first stop word of each row, the one after its last); row i has those of sets[rows[i]].

    A set is (stop words, whether they are cut by a segmenter).
    """
    hashed = [hash_stop_words(words, segmented=segmented) for words, segmented in sets]
    hashes = np.concatenate([np.zeros(0, np.uint64), *(hashes for hashes, _ in hashed)])
    lengths = np.concatenate([np.zeros(0, np.int64), *(np.diff(offsets) for _, offsets in hashed)])
    bounds = np.cumsum([0, *(len(words) for words, _ in sets)])
    return hashes, np.concatenate([[0], np.cumsum(lengths)]), bounds[:-1][rows], bounds[1:][rows]


@cache
def hash_stop_words(stop_words: tuple[str, ...], *, segmented: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(core hashes uint64[words], offsets int64[stop words + 1]).

    A stop word is the sequence of words that it splits into: "as well" is two, and so is "因为" without a segmenter.
    """
    text = pa.array(stop_words, pa.large_string())
    data, _ = text_buffers(text)
    words = words_of(text, segmented=segmented)
    assert (np.diff(words.rows) > 0).all(), f"stop word without a word: {stop_words}"
    hashes = [core_hash(data, a, b, classes(), lowercase()) for a, b in zip(words.starts, words.ends, strict=True)]
    return np.array(hashes, np.uint64), words.rows


@kernel(inline="always")
def _is_bullet(c):
    is_bullet = False
    for bullet in BULLETS:
        is_bullet |= c == bullet
    return is_bullet


@kernel(inline="always")
def _ends_in_ellipsis(data, start, end):
    if end - start < 3:
        return False
    a, b, c = data[end - 3], data[end - 2], data[end - 1]
    return (a == 0x2E and b == 0x2E and c == 0x2E) or (a == 0xE2 and b == 0x80 and c == 0xA6)
