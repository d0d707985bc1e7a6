"""Words of texts: one definition, so that the rules of every stage count the same words.

Shingles of near-duplicate detection ignore punctuation and case, and have words of their own (`dedup.word_hashes`).

A word is a maximal run of characters that are not white space, except that each IDEOGRAPH character (Han, Hiragana,
Katakana, Bopomofo), with the combining marks on it, is a word by itself:

    "Numba 0.68 编译器, fast."  ->  Numba | 0.68 | 编 | 译 | 器 | , | fast.
    segmented                   ->  Numba | 0.68 | 编译器 | , | fast.

So English and Russian words are those of `str.split()`, punctuation stays with its word as in the Gopher paper, and
a Chinese line is never one word. `segmented` joins the ideographs that a segmenter takes as one word
(`shards.segmenters`) and changes nothing else.

Words are computed once for a batch and passed to the kernels of every stage. Lone surrogates cannot occur: Arrow's
strings are UTF-8, which has none.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from shards.compiled import kernel
from shards.unicode import IDEOGRAPH, MARK, SPACE, classes, decode, text_buffers


@dataclass(frozen=True)
class Words:
    """The words of a batch, in order. All three are int64 and read-only."""

    rows: np.ndarray  # [rows + 1]: the words of row r are rows[r] to rows[r + 1]
    starts: np.ndarray  # [words]: offsets into the bytes of `text_buffers(text)`
    ends: np.ndarray  # [words]: offsets after the last byte


# The last text of each mode with its words: neighbouring stages measure the same text. An array cannot change, so its
# identity is a sufficient key; and while the array is held here, no other one can have its memory.
_last: dict[str, tuple[pa.Array, bytes, Words]] = {}


def words_of(text: pa.Array, *, segmented: bool | np.ndarray = False) -> Words:
    """The words of a large_string array; null rows have none. The words of the last text of each mode are cached.

    `segmented` may be bool[rows], where only some rows are cut by a segmenter.
    """
    if not np.any(segmented):
        mode, rows = "plain", b""
    elif np.all(segmented):
        mode, rows = "segmented", b""
    else:
        mode, rows = "mixed", np.asarray(segmented).tobytes()
    if mode in _last:
        last, last_rows, words = _last[mode]
        if identity(last) == identity(text) and last_rows == rows:
            return words
    data, offsets = text_buffers(text)
    if mode == "plain":
        words = _split(data, offsets)
    else:
        from shards.segmenters import joined

        words = joined(data, words_of(text), np.array(np.broadcast_to(segmented, len(text))))
    for part in (words.rows, words.starts, words.ends):
        part.flags.writeable = False
    _last[mode] = (text, rows, words)
    return words


def identity(text: pa.Array) -> tuple[object, ...]:
    """A key that is equal for two arrays of the same memory."""
    buffers = (None if buffer is None else (buffer.address, buffer.size) for buffer in text.buffers())
    return (text.offset, len(text), *buffers)


def _split(data: np.ndarray, offsets: np.ndarray) -> Words:
    """The words without a segmenter."""
    room = _room(data, offsets)
    starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    rows = _split_rows(data, offsets, classes(), starts, ends)
    return Words(rows, starts[: rows[-1]], ends[: rows[-1]])


@kernel
def _room(data, offsets):
    """An upper limit of the words in a batch: each begins a text, or at or after a byte that is no graphic ASCII."""
    spaces, others = 0, 0
    for i in range(offsets[0], offsets[-1]):
        spaces += data[i] <= 0x20
        others += data[i] >= 0xC0  # the first byte of a character
    return len(offsets) + min(spaces + 2 * others, (offsets[-1] - offsets[0]) // 2)


@kernel
def _split_rows(data, offsets, classes, starts, ends):
    rows = np.zeros(len(offsets), np.int64)
    for row in range(len(offsets) - 1):
        n = rows[row]
        rows[row + 1] = n + word_spans(data, offsets[row], offsets[row + 1], classes, starts[n:], ends[n:])
    return rows


@kernel
def word_spans(data, start, end, classes, starts, ends):
    """Write the byte span [starts[k], ends[k]) of each word in data[start:end]; returns the number of words.

    `classes` is `shards.unicode.classes()`; `starts` and `ends` are int64 with room for `max_words(end - start)`.
    """
    n = 0
    in_run = False
    i = start
    while i < end:
        c, after = decode(data, i)
        kind = classes[c]
        if kind in (SPACE, IDEOGRAPH):
            if in_run:
                ends[n - 1] = i
                in_run = False
            if kind == IDEOGRAPH:
                starts[n] = i
                ends[n] = after
                n += 1
        elif kind == MARK and not in_run and n > 0 and ends[n - 1] == i:
            ends[n - 1] = after
        elif not in_run:
            starts[n] = i
            in_run = True
            n += 1
        i = after
        while in_run and i < end and 0x20 < data[i] < 0x7F:  # the rest of an ASCII word, without the tables
            i += 1
    if in_run:
        ends[n - 1] = end
    return n


@kernel(inline="always")
def max_words(num_bytes):
    """The most words in a text of that many bytes: each takes a byte and, unless it is an ideograph, a separator."""
    return num_bytes // 2 + 1
