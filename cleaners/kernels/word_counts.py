"""Counts of words, symbols and lines, for a whole batch in one kernel: what Gopher's rules for quality look at.

Words are those of `shards.words`, characters are code points of words, lines end at newlines and hold a word.
"""

import numpy as np
import pyarrow as pa

from cleaners.kernels.lines import newline_in
from shards.compiled import kernel
from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, classes, decode, lowercase, text_buffers
from shards.words import words_of

BULLETS = np.array([ord(c) for c in "•‣⁃◦●○▪▫■□►▶·*-"], np.uint32)  # no dashes: they also open speech

# Columns of `document_counts`.
WORDS, CHARS, ALPHA_WORDS, HASHES, ELLIPSES, LINES, BULLET_LINES, ELLIPSIS_LINES, STOP_WORDS = range(9)


@kernel
def document_counts(data, rows, starts, ends, classes, lowercase, stop_words, stop_offsets):
    """int64[texts, 9] of the texts in `data` with the words `rows`, `starts`, `ends` of `shards.words.Words`.

    An ellipsis is "…" or "..." as `str.count` finds it. An alpha word holds a letter or an ideograph. STOP_WORDS counts
    how many different stop words occur; they come from `hash_stop_words`.
    """
    out = np.zeros((len(rows) - 1, 9), np.int64)
    cores = np.empty(len(starts), np.uint64)
    num_stop_words = len(stop_offsets) - 1
    found = np.empty(num_stop_words, np.bool_)

    for row in range(len(rows) - 1):
        begin, behind = rows[row], rows[row + 1]
        chars, alpha, hashes, ellipses, lines, bullets, ellipsis_lines = 0, 0, 0, 0, 0, 0, 0
        for w in range(begin, behind):
            has_letter = False
            dots = 0
            i = starts[w]
            while i < ends[w]:
                c, i = decode(data, i)
                chars += 1
                kind = classes[c]
                has_letter |= kind in (LETTER, IDEOGRAPH)
                dots = dots + 1 if c == 0x2E else 0
                if c == 0x2026 or dots == 3:
                    ellipses += 1
                    dots = 0
                hashes += c == 0x23
            alpha += has_letter
            if w == begin or newline_in(data, ends[w - 1], starts[w]):
                lines += 1
                bullets += _is_bullet(decode(data, starts[w])[0])
            if w + 1 == behind or newline_in(data, ends[w], starts[w + 1]):
                ellipsis_lines += _ends_in_ellipsis(data, starts[w], ends[w])
            cores[w] = core_hash(data, starts[w], ends[w], classes, lowercase)

        found[:] = False
        for w in range(begin, behind):
            for s in range(num_stop_words):
                first, last = stop_offsets[s], stop_offsets[s + 1]
                if cores[w] == stop_words[first] and w + last - first <= behind:
                    same = True
                    for k in range(1, last - first):
                        same &= cores[w + k] == stop_words[first + k]
                    found[s] |= same

        out[row, WORDS] = behind - begin
        out[row, CHARS] = chars
        out[row, ALPHA_WORDS] = alpha
        out[row, HASHES] = hashes
        out[row, ELLIPSES] = ellipses
        out[row, LINES] = lines
        out[row, BULLET_LINES] = bullets
        out[row, ELLIPSIS_LINES] = ellipsis_lines
        out[row, STOP_WORDS] = found.sum()
    return out


@kernel
def core_hash(data, start, end, classes, lowercase):
    """Hash of a word in lower case without the punctuation and symbols around it: `"The` and `the,` are `the`.

    A word of punctuation only is hashed whole.
    """
    whole = np.uint64(0xCBF29CE484222325)  # FNV-1a over code points
    core = whole
    core_end = whole
    started = False
    i = start
    while i < end:
        c, i = decode(data, i)
        c = np.uint64(lowercase[c])
        kind = classes[c]
        inside = kind in (LETTER, NUMBER, MARK, IDEOGRAPH)
        started |= inside
        whole = (whole ^ c) * np.uint64(0x100000001B3)
        if started:
            core = (core ^ c) * np.uint64(0x100000001B3)
        if inside:
            core_end = core
    return core_end if started else whole


def hash_stop_words(stop_words: tuple[str, ...], *, segmented: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(core hashes uint64[words], offsets int64[stop words + 1]).

    A stop word is the sequence of words it splits into, so "as well" works; without a segmenter "因为" is 因 and 为.
    """
    text = pa.array(stop_words, pa.large_string())
    data, _ = text_buffers(text)
    words = words_of(text, segmented=segmented)
    assert (np.diff(words.rows) > 0).all(), f"stop word without a word: {stop_words}"
    hashes = [core_hash(data, a, b, classes(), lowercase()) for a, b in zip(words.starts, words.ends, strict=True)]
    return np.array(hashes, np.uint64), words.rows


@kernel(inline="always")
def _is_bullet(c):
    found = False
    for bullet in BULLETS:
        found |= c == bullet
    return found


@kernel(inline="always")
def _ends_in_ellipsis(data, start, end):
    if end - start < 3:
        return False
    a, b, c = data[end - 3], data[end - 2], data[end - 1]
    return (a == 0x2E and b == 0x2E and c == 0x2E) or (a == 0xE2 and b == 0x80 and c == 0xA6)
