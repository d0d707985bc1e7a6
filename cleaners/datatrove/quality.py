"""The metrics of datatrove's `GopherQualityFilter`.

Words of punctuation only are left out of the number of words and of their mean length. They count in ratios per word.
"""

import numpy as np
import pyarrow as pa

from cleaners.datatrove.text import ALPHA, BREAK, SPACE, SYMBOL, count_chars, stripped, traits
from shards.compiled import kernel
from shards.unicode import decode, text_buffers
from shards.words import Words

# Columns of `_quality`; WORDS and CHARS leave out words of punctuation only.
WORDS, CHARS, ALL_WORDS, HASHES, ELLIPSES, LINES, BULLET_LINES, ELLIPSIS_LINES, ALPHA_WORDS, STOP_WORDS = range(10)


def quality(text: pa.Array, words: Words, stop_words: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The metrics of `GopherQualityConfig` as `GopherQualityFilter` has them.

    Only a word that equals a stop word counts, so "The" does not. Lines are those of `str.splitlines`, with empty ones.
    """
    packed = sorted({word.encode() for word in stop_words})
    c = _quality(
        *text_buffers(text),
        *(words.rows, words.starts, words.ends),
        traits(),
        np.frombuffer(b"".join(packed), np.uint8),
        np.cumsum([0, *map(len, packed)]),
    )
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 is NaN
        return {
            "word_count": c[:, WORDS],
            "mean_word_length": c[:, CHARS] / c[:, WORDS],
            "hash_ratio": c[:, HASHES] / c[:, ALL_WORDS],
            "ellipsis_ratio": c[:, ELLIPSES] / c[:, ALL_WORDS],
            "bullet_line_fraction": c[:, BULLET_LINES] / c[:, LINES],
            "ellipsis_line_fraction": c[:, ELLIPSIS_LINES] / c[:, LINES],
            "alpha_word_fraction": c[:, ALPHA_WORDS] / c[:, ALL_WORDS],
            "stop_word_count": c[:, STOP_WORDS],
        }


@kernel
def _quality(data, offsets, rows, starts, ends, traits, stop_words, stop_offsets):
    out = np.zeros((len(offsets) - 1, 10), np.int64)
    occurs = np.empty(len(stop_offsets) - 1, np.bool_)
    begins = np.zeros(256, np.bool_)  # the first bytes of stop words
    for s in range(len(occurs)):
        begins[stop_words[stop_offsets[s]]] = True
    for row in range(len(offsets) - 1):
        occurs[:] = False
        for w in range(rows[row], rows[row + 1]):
            alpha, symbols = False, True
            i = starts[w]
            while i < ends[w] and (symbols or not alpha):
                c, i = decode(data, i)
                alpha |= traits[c] & ALPHA != 0
                symbols &= traits[c] & SYMBOL != 0
            out[row, ALL_WORDS] += 1
            out[row, ALPHA_WORDS] += alpha
            if not symbols:
                out[row, WORDS] += 1
                out[row, CHARS] += count_chars(data, starts[w], ends[w])
            if begins[data[starts[w]]]:
                for s in range(len(occurs)):
                    occurs[s] |= _equal(data, starts[w], ends[w], stop_words, stop_offsets[s], stop_offsets[s + 1])
        out[row, STOP_WORDS] = occurs.sum()
        _count_symbols_and_lines(data, offsets[row], offsets[row + 1], traits, out[row])
    return out


@kernel
def _count_symbols_and_lines(data, start, end, traits, out):
    hashes, ellipses, dots = 0, 0, 0  # dots in a row since the last "..." that was counted
    first = i = start
    while i < end:
        b = data[i]
        hashes += b == 0x23
        dots = dots + 1 if b == 0x2E else 0
        if dots == 3 or _is_ellipsis(data, i, end):
            ellipses += 1
            dots = 0
        after = i + 1
        if b < 0x20 or b == 0xC2 or b == 0xE2:  # the first bytes of breaks
            c, after = decode(data, i)
            if traits[c] & BREAK:
                _count_line(data, first, i, traits, out)
                if b == 0x0D and after < end and data[after] == 0x0A:  # CR LF is one break
                    after += 1
                first = after
        i = after
    if first < end:
        _count_line(data, first, end, traits, out)
    out[HASHES], out[ELLIPSES] = hashes, ellipses


@kernel
def _count_line(data, start, end, traits, out):
    start, end = stripped(data, start, end, traits, SPACE)
    out[LINES] += 1
    if start < end:
        c = decode(data, start)[0]
        out[BULLET_LINES] += c == 0x2022 or c == 0x2D
        dots = end - start >= 3 and data[end - 1] == 0x2E and data[end - 2] == 0x2E and data[end - 3] == 0x2E
        out[ELLIPSIS_LINES] += dots or (end - start >= 3 and _is_ellipsis(data, end - 3, end))


@kernel(inline="always")
def _is_ellipsis(data, i, end):
    return data[i] == 0xE2 and i + 2 < end and data[i + 1] == 0x80 and data[i + 2] == 0xA6


@kernel(inline="always")
def _equal(data, start, end, other, other_start, other_end):
    same = end - start == other_end - other_start
    i = 0
    while same and i < end - start:
        same = data[start + i] == other[other_start + i]
        i += 1
    return same
