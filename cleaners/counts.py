"""Counts of words, symbols and lines, for a whole batch in one kernel: what the Gopher and RefinedWeb rules look at.

Words are those of `shards.words`, characters are code points of words, lines end at newlines and hold a word.
"""

import numpy as np
from numba import njit

from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, PUNCTUATION, SYMBOL, classes, decode, lowercase
from shards.words import max_words, word_spans

BULLETS = np.array([ord(c) for c in "•‣⁃◦●○▪▫■□►▶·*-"], np.uint32)  # no dashes: they also open speech

# Columns of `document_counts`.
WORDS, CHARS, ALPHA_WORDS, HASHES, ELLIPSES, LINES, BULLET_LINES, ELLIPSIS_LINES, STOP_WORDS = range(9)
# Columns of `line_counts`; LINE_START and LINE_END are byte offsets.
ROW, LINE_START, LINE_END, LINE_WORDS, LINE_CHARS, UPPERCASE_CHARS, NUMBER_CHARS, NUMERIC_CHARS, UNSPACED_CHARS = range(
    9
)


@njit(cache=True)
def document_counts(data, offsets, classes, lowercase, stop_words, stop_offsets):  # type: ignore[no-untyped-def]
    """int64[rows, 9] of each text in data[offsets[r]:offsets[r + 1]].

    An ellipsis is "…" or "..." as `str.count` finds it. An alpha word holds a letter or an ideograph. STOP_WORDS counts
    how many different stop words occur; they come from `hash_stop_words`.
    """
    rows = len(offsets) - 1
    out = np.zeros((rows, 9), np.int64)
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    starts = np.empty(max_words(longest), np.int64)
    ends = np.empty(max_words(longest), np.int64)
    cores = np.empty(max_words(longest), np.uint64)
    num_stop_words = len(stop_offsets) - 1
    found = np.empty(num_stop_words, np.bool_)

    for row in range(rows):
        n = word_spans(data, offsets[row], offsets[row + 1], classes, starts, ends)
        chars, alpha, hashes, ellipses, lines, bullets, ellipsis_lines = 0, 0, 0, 0, 0, 0, 0
        for w in range(n):
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
            if w == 0 or _newline_in(data, ends[w - 1], starts[w]):
                lines += 1
                bullets += _is_bullet(decode(data, starts[w])[0])
            if w + 1 == n or _newline_in(data, ends[w], starts[w + 1]):
                ellipsis_lines += _ends_in_ellipsis(data, starts[w], ends[w])
            cores[w] = core_hash(data, starts[w], ends[w], classes, lowercase)

        found[:] = False
        for w in range(n):
            for s in range(num_stop_words):
                first, last = stop_offsets[s], stop_offsets[s + 1]
                if cores[w] == stop_words[first] and w + last - first <= n:
                    same = True
                    for k in range(1, last - first):
                        same &= cores[w + k] == stop_words[first + k]
                    found[s] |= same

        out[row, WORDS] = n
        out[row, CHARS] = chars
        out[row, ALPHA_WORDS] = alpha
        out[row, HASHES] = hashes
        out[row, ELLIPSES] = ellipses
        out[row, LINES] = lines
        out[row, BULLET_LINES] = bullets
        out[row, ELLIPSIS_LINES] = ellipsis_lines
        out[row, STOP_WORDS] = found.sum()
    return out


@njit(cache=True)
def line_counts(data, offsets, classes, lowercase):  # type: ignore[no-untyped-def]
    """int64[lines, 9]: one row for each line of the batch that holds a word, in order.

    The byte span runs from the first word of the line to the end of its last. UPPERCASE_CHARS have a lower-case form;
    NUMBER_CHARS are digits and other numbers, NUMERIC_CHARS those, punctuation and symbols. UNSPACED_CHARS are of
    scripts that write words without spaces and whose characters are no words: Thai, Lao, Tibetan, Burmese, Khmer.
    """
    rows = len(offsets) - 1
    num_newlines = 0
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
        for i in range(offsets[row], offsets[row + 1]):
            num_newlines += data[i] == 10
    out = np.zeros((num_newlines + rows, 9), np.int64)
    starts = np.empty(max_words(longest), np.int64)
    ends = np.empty(max_words(longest), np.int64)

    line = -1
    for row in range(rows):
        n = word_spans(data, offsets[row], offsets[row + 1], classes, starts, ends)
        for w in range(n):
            if w == 0 or _newline_in(data, ends[w - 1], starts[w]):
                line += 1
                out[line, ROW] = row
                out[line, LINE_START] = starts[w]
            out[line, LINE_END] = ends[w]
            out[line, LINE_WORDS] += 1
            i = starts[w]
            while i < ends[w]:
                c, i = decode(data, i)
                kind = classes[c]
                out[line, LINE_CHARS] += 1
                out[line, UPPERCASE_CHARS] += lowercase[c] != c
                out[line, NUMBER_CHARS] += kind == NUMBER
                out[line, NUMERIC_CHARS] += kind in (NUMBER, PUNCTUATION, SYMBOL)
                out[line, UNSPACED_CHARS] += 0x0E00 <= c < 0x10A0 or 0x1780 <= c < 0x1800
    return out[: line + 1]


@njit(cache=True)
def core_hash(data, start, end, classes, lowercase):  # type: ignore[no-untyped-def]
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


def hash_stop_words(stop_words: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(core hashes uint64[words], offsets int64[stop words + 1]).

    A stop word is the sequence of words it splits into, so "因为" matches 因 followed by 为, and "as well" works too.
    """
    hashes: list[int] = []
    offsets = [0]
    for stop_word in stop_words:
        data = np.frombuffer(stop_word.encode(), np.uint8)
        starts = np.empty(len(data) + 1, np.int64)
        ends = np.empty(len(data) + 1, np.int64)
        n = word_spans(data, np.int64(0), np.int64(len(data)), classes(), starts, ends)
        assert n, f"stop word without a word: {stop_word!r}"
        hashes += [core_hash(data, starts[w], ends[w], classes(), lowercase()) for w in range(n)]
        offsets.append(len(hashes))
    return np.array(hashes, np.uint64), np.array(offsets, np.int64)


@njit(cache=True, inline="always")
def _newline_in(data, start, end):  # type: ignore[no-untyped-def]
    found = False
    for i in range(start, end):
        found |= data[i] == 10
    return found


@njit(cache=True, inline="always")
def _is_bullet(c):  # type: ignore[no-untyped-def]
    found = False
    for bullet in BULLETS:
        found |= c == bullet
    return found


@njit(cache=True, inline="always")
def _ends_in_ellipsis(data, start, end):  # type: ignore[no-untyped-def]
    if end - start < 3:
        return False
    a, b, c = data[end - 3], data[end - 2], data[end - 1]
    return (a == 0x2E and b == 0x2E and c == 0x2E) or (a == 0xE2 and b == 0x80 and c == 0xA6)
