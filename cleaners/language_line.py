"""The line of which a language model is asked, in the form of the texts that it has learned from.

    "The\\u00a0old\\u202fmill"   ▶  "The old mill"           fastText parts words at ASCII white space only
    "Nach\\u00adrichten\\n"      ▶  "Nachrichten "           characters that nobody sees are left out
    "THE OLD MILL BY …"        ▶  "the old mill by …"      where more than half of all letters are capitals

A zero-width space is a space only in a text that has hardly any other: Khmer and Thai part words by it, and some
pages set it between all letters. Joiners (U+200C, U+200D) are spelling, and stay.
"""

from functools import cache
from itertools import pairwise

import numpy as np
import pyarrow as pa

from shards.compiled import kernel
from shards.unicode import IDEOGRAPH, LETTER, SPACE, classes, decode, text_buffers

_WORD_CHARS = 20  # a text with fewer spaces than one in so many characters parts its words by something else
_UNSEEN = (0xAD, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2065), *range(0x2066, 0x206A), 0xFEFF)
_ZERO_WIDTH_SPACE = 0x200B
_IS_SPACE, _IS_UNSEEN, _IS_LETTER, _IS_CAPITAL = (np.uint8(1 << k) for k in range(4))


def lines_to_ask(text: pa.LargeStringArray) -> list[str]:
    """The line of each row; "" for one that has nothing to see."""
    line_bytes, ends, capitals = _write_lines(*text_buffers(text), _kinds())
    whole = line_bytes.tobytes()
    lines = [whole[start:end].decode() for start, end in pairwise([0, *ends.tolist()])]
    for row in np.flatnonzero(capitals).tolist():
        lines[row] = lines[row].replace("İ", "I").lower()  # "i̇", of two code points, is in no Turkish text
    return ["" if line.isspace() else line for line in lines]


@cache
def _kinds() -> np.ndarray:
    """uint8[0x110000]: bits of what a code point is."""
    table = np.where(classes() == SPACE, _IS_SPACE, np.uint8(0))
    table[[*_UNSEEN, _ZERO_WIDTH_SPACE]] |= _IS_UNSEEN
    table[np.isin(classes(), (LETTER, IDEOGRAPH))] |= _IS_LETTER
    table[[c for c in range(0x1_F000) if chr(c).isupper()]] |= _IS_CAPITAL
    return table


@kernel
def _write_lines(data, offsets, kinds):
    """(bytes of all lines, i64[rows] end of each, bool[rows]: whether more than half of its letters are capitals)."""
    out = np.empty(offsets[-1] - offsets[0], np.uint8)
    ends, in_capitals = np.empty(len(offsets) - 1, np.int64), np.empty(len(offsets) - 1, np.bool_)
    size = 0
    for row in range(len(ends)):
        i, end = offsets[row], offsets[row + 1]
        chars = spaces = zero_width_spaces = letters = capitals = 0
        while i < end:
            code, i = decode(data, i)
            kind = kinds[code]
            chars += 1
            spaces += kind & _IS_SPACE > 0
            letters += kind & _IS_LETTER > 0
            capitals += kind & _IS_CAPITAL > 0
            zero_width_spaces += code == _ZERO_WIDTH_SPACE
        parts_words = spaces * _WORD_CHARS < chars - zero_width_spaces  # by its zero-width spaces, if it has some
        i = offsets[row]
        while i < end:
            code, after = decode(data, i)
            if kinds[code] & _IS_SPACE or (code == _ZERO_WIDTH_SPACE and parts_words):
                out[size] = 32
                size += 1
            elif not kinds[code] & _IS_UNSEEN:
                for k in range(i, after):
                    out[size] = data[k]
                    size += 1
            i = after
        ends[row], in_capitals[row] = size, 2 * capitals > letters
    return out[:size], ends, in_capitals
