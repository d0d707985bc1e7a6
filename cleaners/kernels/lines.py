"""A table of all lines of a batch with what the rules read of a line, made in one kernel.

A line ends at a newline and holds a word (`shards.words`). It begins at its first word and ends after its last.
"""

import numpy as np
import pyarrow as pa

from cleaners.kernels.fnv import FNV_START, fnv_step
from cleaners.kernels.sentences import count_sentences
from shards.compiled import kernel
from shards.unicode import NUMBER, PUNCTUATION, SYMBOL, classes, decode, lowercase, text_buffers
from shards.words import Words

# Rows of `line_table`. START and END are byte offsets into the batch, FIRST and LAST are code points.
ROW, START, END, WORDS, LONGEST_WORD, FIRST, LAST, ENDS_IN_DOTS, SENTENCES, HASH = range(10)
# Counts of code points: CHARS with the white space inside the line, the others without. UPPERCASE_CHARS have a
# lower-case form. NUMERIC_CHARS are numbers, punctuation and symbols. UNSPACED_CHARS are of Thai, Lao, Tibetan, Burmese
# and Khmer, which write words without spaces and whose characters are not words.
CHARS, WORD_CHARS, UPPERCASE_CHARS, NUMBER_CHARS, NUMERIC_CHARS, UNSPACED_CHARS = range(10, 16)

_last: list[tuple[Words, np.ndarray]] = []  # the table of the last text, as `shards.words` keeps its words


def lines_of(text: pa.Array, words: Words) -> np.ndarray:
    """int64[16, lines], read-only: all lines of the batch in order. It is computed once for the same `words`.

    `words` are those of `text`. HASH is of the line's characters, LONGEST_WORD is in code points, ENDS_IN_DOTS is 1
    where the line ends in "...".
    """
    if _last and _last[0][0] is words:
        return _last[0][1]
    data, _ = text_buffers(text)
    table: np.ndarray = line_table(data, words.rows, words.starts, words.ends, classes(), lowercase())
    table.flags.writeable = False
    _last[:] = [(words, table)]
    return table


@kernel
def line_table(data, rows, starts, ends, classes, lowercase):
    num_lines = 0
    for row in range(len(rows) - 1):
        for w in range(rows[row], rows[row + 1]):
            num_lines += w == rows[row] or newline_in(data, ends[w - 1], starts[w])
    out = np.zeros((16, num_lines), np.int64)
    line = 0
    for row in range(len(rows) - 1):
        w = rows[row]
        while w < rows[row + 1]:
            after = w + 1
            while after < rows[row + 1] and not newline_in(data, ends[after - 1], starts[after]):
                after += 1
            out[ROW, line] = row
            _measure(data, starts[w:after], ends[w:after], classes, lowercase, out[:, line])
            line += 1
            w = after
    return out


@kernel
def _measure(data, starts, ends, classes, lowercase, out):
    start, end = starts[0], ends[-1]
    spaces, word_chars, longest, uppercase, numbers, numeric, unspaced = 0, 0, 0, 0, 0, 0, 0
    h = FNV_START
    c = np.uint32(0)
    i = start
    for w in range(len(starts)):
        while i < starts[w]:
            c, i = decode(data, i)
            h = fnv_step(h, c)
            spaces += 1
        chars = 0
        while i < ends[w]:
            c, i = decode(data, i)
            h = fnv_step(h, c)
            chars += 1
            kind = classes[c]
            uppercase += lowercase[c] != c
            numbers += kind == NUMBER
            numeric += kind in (NUMBER, PUNCTUATION, SYMBOL)
            unspaced += 0x0E00 <= c < 0x10A0 or 0x1780 <= c < 0x1800
        longest = max(longest, chars)
        word_chars += chars
    out[START], out[END], out[WORDS], out[LONGEST_WORD] = start, end, len(starts), longest
    out[FIRST], out[LAST], out[HASH] = decode(data, start)[0], c, np.int64(h)
    out[ENDS_IN_DOTS] = end - start >= 3 and data[end - 1] == 0x2E and data[end - 2] == 0x2E and data[end - 3] == 0x2E
    out[SENTENCES] = count_sentences(data, start, end, classes, lowercase)
    out[CHARS], out[WORD_CHARS], out[UPPERCASE_CHARS] = spaces + word_chars, word_chars, uppercase
    out[NUMBER_CHARS], out[NUMERIC_CHARS], out[UNSPACED_CHARS] = numbers, numeric, unspaced


@kernel(inline="always")
def newline_in(data, start, end):
    has_newline = False
    for i in range(start, end):
        has_newline |= data[i] == 10
    return has_newline


def later_copies(lines: np.ndarray) -> np.ndarray:
    """bool[lines]: whether the same text has an equal line before this one."""
    # Sorting single 64-bit keys is ten times as fast as sorting pairs; a multiple of the row keeps rows apart.
    keys = lines[HASH] + lines[ROW] * np.int64(-0x61C8864680B583EB)
    later = np.ones(len(keys), np.bool_)
    later[np.unique(keys, return_index=True)[1]] = False
    return later


def ends_in(lines: np.ndarray, text: pa.Array, endings: tuple[str, ...]) -> np.ndarray:
    """bool[lines]: whether the line ends in one of `endings`."""
    packed = [ending.encode() for ending in endings]
    offsets = np.cumsum([0, *map(len, packed)])
    data, _ = text_buffers(text)
    ends: np.ndarray = _ends_in(data, lines[START], lines[END], np.frombuffer(b"".join(packed), np.uint8), offsets)
    return ends


@kernel
def _ends_in(data, starts, ends, endings, offsets):
    out = np.zeros(len(starts), np.bool_)
    for line in range(len(starts)):
        for k in range(len(offsets) - 1):
            size = offsets[k + 1] - offsets[k]
            begin = ends[line] - size
            same = begin >= starts[line]
            i = 0
            while same and i < size:
                same = data[begin + i] == endings[offsets[k] + i]
                i += 1
            out[line] |= same
    return out


def code_points(characters: str) -> np.ndarray:
    """The characters as code points, for `np.isin` with FIRST and LAST."""
    return np.array([ord(c) for c in characters], np.int64)
