"""Tables of characters for kernels (one class and one lower-case form per code point), and a UTF-8 decoder.

Numba kernels walk the UTF-8 bytes of Arrow buffers. Arrow guarantees valid UTF-8, so `decode` does not check.
The tables follow Python's `unicodedata`; its version is part of a run's fingerprint.
"""

import unicodedata
from functools import cache

import numpy as np
import pyarrow as pa

from shards.compiled import kernel

OTHER, SPACE, LETTER, MARK, NUMBER, PUNCTUATION, SYMBOL, IDEOGRAPH = range(8)
# IDEOGRAPH is Han, Hiragana, Katakana and Bopomofo: scripts without spaces between words in which a character is close
# to a word. Thai, Lao and Khmer have no spaces either, but their characters are not word-like.

_LAST = 0x3_2400  # Unicode has assigned no letters, marks or digits from here on
_IDEOGRAPHS = (
    (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3038, 0x303B), (0x3041, 0x3096), (0x309D, 0x309F),
    (0x30A1, 0x30FA), (0x30FC, 0x30FF), (0x3105, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9D), (0x1B000, 0x1B16F), (0x20000, 0x323AF),
)  # fmt: skip


@cache
def classes() -> np.ndarray:
    """uint8[0x110000]: the class of each code point."""
    by_category = {"L": LETTER, "M": MARK, "N": NUMBER, "P": PUNCTUATION, "S": SYMBOL, "Z": SPACE, "C": OTHER}
    table = np.zeros(0x110000, np.uint8)
    table[:_LAST] = [by_category[unicodedata.category(chr(c))[0]] for c in range(_LAST)]
    table[[c for c in range(0x3001) if chr(c).isspace()]] = SPACE
    for first, last in _IDEOGRAPHS:
        table[first : last + 1] = IDEOGRAPH
    return table


@cache
def lowercase() -> np.ndarray:
    """uint32[0x110000]: the lower-case form of each code point if that is a single code point, otherwise itself."""
    table = np.arange(0x110000, dtype=np.uint32)
    for c in range(0x1_F000):
        low = chr(c).lower()
        if len(low) == 1:
            table[c] = ord(low)
    return table


@kernel(inline="always")
def decode(data, i):
    """(code point, index after it) of the valid UTF-8 character at data[i]."""
    b = np.uint32(data[i])
    if b < 0x80:
        return b, i + 1
    if b < 0xE0:
        return ((b & np.uint32(0x1F)) << np.uint32(6)) | np.uint32(data[i + 1] & 0x3F), i + 2
    if b < 0xF0:
        return (
            ((b & np.uint32(0x0F)) << np.uint32(12))
            | (np.uint32(data[i + 1] & 0x3F) << np.uint32(6))
            | np.uint32(data[i + 2] & 0x3F)
        ), i + 3
    return (
        ((b & np.uint32(0x07)) << np.uint32(18))
        | (np.uint32(data[i + 1] & 0x3F) << np.uint32(12))
        | (np.uint32(data[i + 2] & 0x3F) << np.uint32(6))
        | np.uint32(data[i + 3] & 0x3F)
    ), i + 4


def text_buffers(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(data uint8[:], offsets int64[rows + 1]) of a large_string or large_binary array, without a copy.

    `offsets` index `data`, and null rows are empty. The array may be a slice, so offsets[0] need not be 0. Both are
    read-only: Numba would compile a kernel anew for writable arrays, which takes seconds.
    """
    assert pa.types.is_large_string(text.type) or pa.types.is_large_binary(text.type), text.type
    _, offsets_buffer, data_buffer = text.buffers()
    if offsets_buffer is None or not len(text):
        data, offsets = np.zeros(0, np.uint8), np.zeros(len(text) + 1, np.int64)
    else:
        offsets = np.frombuffer(offsets_buffer, np.int64)[text.offset : text.offset + len(text) + 1]
        data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    data.flags.writeable = offsets.flags.writeable = False
    return data, offsets
