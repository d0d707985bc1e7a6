"""Counts of characters for the rules for Chinese, where others count words: a whole batch in one kernel.

Characters are code points that are not white space.
"""

import numpy as np

from shards.compiled import kernel
from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, SPACE, decode

# Columns of `character_counts`.
CHARS, WORD_CHARS, DIGITS, HAN, UNIQUE, HASH_RUNS, ELLIPSIS_RUNS, BRACKETED = range(8)


@kernel
def character_counts(data, offsets, classes):
    """(int64[rows, 8], entropy in nats float64[rows]) of each text in data[offsets[r]:offsets[r + 1]].

    WORD_CHARS are letters, ideographs, marks and numbers, DIGITS only the numbers, UNIQUE the different characters. An
    ellipsis run is one of "…" or of two or more full stops. BRACKETED are between 【 and the next 】 in a line.
    """
    rows = len(offsets) - 1
    out = np.zeros((rows, 8), np.int64)
    entropy = np.zeros(rows)
    counts = np.zeros(len(classes), np.int32)
    different = np.empty(len(classes), np.uint32)  # the characters counted, in the order of the text
    for row in range(rows):
        chars, word_chars, digits, han, unique, hashes, ellipses, bracketed = 0, 0, 0, 0, 0, 0, 0, 0
        in_brackets = -1  # characters since 【, or -1
        dots = 0
        previous = np.uint32(0)
        i = offsets[row]
        while i < offsets[row + 1]:
            c, i = decode(data, i)
            kind = classes[c]
            dots = dots + 1 if c == 0x2E else 0
            ellipses += dots == 2 or (c == 0x2026 and previous != c)
            hashes += c == 0x23 and previous != c
            previous = c
            if c == 0x0A:
                in_brackets = -1
            if kind == SPACE:
                continue
            chars += 1
            if counts[c] == 0:
                different[unique] = c
                unique += 1
            counts[c] += 1
            word_chars += kind in (LETTER, MARK, NUMBER, IDEOGRAPH)
            digits += kind == NUMBER
            han += is_han(c)
            if c == 0x3011 and in_brackets >= 0:
                bracketed += in_brackets
                in_brackets = -1
            elif in_brackets >= 0:
                in_brackets += 1
            elif c == 0x3010:
                in_brackets = 0

        nats = 0.0
        for c in different[:unique]:
            probability = counts[c] / chars
            nats -= probability * np.log(probability)
            counts[c] = 0
        out[row, CHARS] = chars
        out[row, WORD_CHARS] = word_chars
        out[row, DIGITS] = digits
        out[row, HAN] = han
        out[row, UNIQUE] = unique
        out[row, HASH_RUNS] = hashes
        out[row, ELLIPSIS_RUNS] = ellipses
        out[row, BRACKETED] = bracketed
        entropy[row] = nats
    return out, entropy


@kernel
def word_lengths(data, rows, starts, ends, classes):
    """int64[texts, 2]: the words with at least one of WORD_CHARS, and the WORD_CHARS in them."""
    out = np.zeros((len(rows) - 1, 2), np.int64)
    for row in range(len(rows) - 1):
        for w in range(rows[row], rows[row + 1]):
            word_chars = 0
            i = starts[w]
            while i < ends[w]:
                c, i = decode(data, i)
                word_chars += classes[c] in (LETTER, MARK, NUMBER, IDEOGRAPH)
            out[row, 0] += word_chars > 0
            out[row, 1] += word_chars
    return out


@kernel(inline="always")
def is_han(c):
    return 0x4E00 <= c < 0xA000 or 0x3400 <= c < 0x4DC0 or 0xF900 <= c < 0xFB00 or 0x20000 <= c < 0x323B0 or c == 0x3007
