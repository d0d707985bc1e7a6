"""The fractions of a text that repeat, by Gopher's table A1: a whole batch in one kernel.

A text is a sequence of words (`shards.words`) with line and paragraph breaks between some of them. All counts are of
words and of the characters (code points) of words, so white space never counts and no fraction exceeds 1.

* A line ends at a newline, a paragraph at two newlines with nothing but white space between them. Lines without words
  do not exist. Two lines, or two paragraphs, are equal when their words are.
* A *duplicate* is a line, paragraph or n-gram that occurs in the text more than once. All its copies count, since the
  paper asks for the part of a document contained within duplicates. Without `first_copies` only the later ones count.
* The *top* n-gram is the most frequent one; of several, the one with most characters; of several such, the first. An
  n-gram that occurs only once is not a repetition and gives 0.
* Characters in overlapping n-grams count once, both for the top n-gram and for duplicate ones.

datatrove's code differs. It counts the later copies, divides by all characters with white space, skips n-grams that
overlap a duplicate, accepts a top n-gram that occurs once, and counts its overlapping occurrences twice.

Two words or n-grams are equal when their 64-bit hashes are. An n-gram can only repeat where both its (n-1)-grams
repeat, so few positions are left after the 2-grams, and the nine sizes cost little more than one.
"""

import numpy as np

from cleaners.kernels.fnv import FNV_START, fnv_step
from shards.compiled import kernel
from shards.hash_table import first_slot, next_slot, table_size

METRICS = (
    "duplicate_line_fraction",
    "duplicate_line_char_fraction",
    "duplicate_paragraph_fraction",
    "duplicate_paragraph_char_fraction",
    *(f"top_{n}gram_fraction" for n in (2, 3, 4)),
    *(f"duplicate_{n}gram_fraction" for n in (5, 6, 7, 8, 9, 10)),
)

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplication modulo 2^64 is invertible


@kernel
def repetition(data, rows, starts, ends, first_copies):
    """float64[texts, len(METRICS)]: the fractions of each text, 0 without words.

    `rows`, `starts` and `ends` are those of `shards.words.Words` for the texts in `data`.
    """
    fractions = np.zeros((len(rows) - 1, 13))
    room = 1
    for row in range(len(rows) - 1):
        room = max(room, rows[row + 1] - rows[row])
    words = np.empty(room, np.uint64)
    before = np.zeros(room + 1, np.int64)  # characters of the words before each word
    keys = np.empty(room, np.uint64)
    positions = np.empty(room, np.int64)
    slots = np.empty(room, np.int64)
    later = np.empty(room, np.bool_)
    table = np.empty(table_size(room), np.uint64)
    counts = np.empty(table_size(room), np.int64)

    for row in range(len(rows) - 1):
        n = rows[row + 1] - rows[row]
        if n == 0:
            continue
        begins, stops = starts[rows[row] : rows[row + 1]], ends[rows[row] : rows[row + 1]]
        _hash_words(data, begins, stops, n, words, before)
        chars = before[n]
        for column, newlines in ((0, 1), (2, 2)):
            units = _hash_units(data, begins, stops, n, words, newlines, keys, positions)
            _tally(keys, units, table, counts, slots, later)
            duplicates, duplicate_chars, first = 0, 0, 0
            for u in range(units):
                if later[u] or (first_copies and counts[slots[u]] > 1):
                    duplicates += 1
                    duplicate_chars += before[positions[u]] - before[first]
                first = positions[u]
            fractions[row, column] = duplicates / units
            fractions[row, column + 1] = duplicate_chars / chars

        m = n - 1
        for p in range(m):
            positions[p] = p
            keys[p] = words[p] * _MULTIPLIER + words[p + 1]
        for size in range(2, 11):
            _tally(keys, m, table, counts, slots, later)
            if size <= 4:
                covered = _chars_of_top(positions, m, size, counts, slots, before)
            else:
                covered = _chars_of_duplicates(positions, m, size, counts, slots, later, first_copies, before)
            fractions[row, size + 2] = covered / chars
            longer = 0
            for k in range(m - 1):
                p = positions[k]
                if positions[k + 1] == p + 1 and counts[slots[k]] > 1 and counts[slots[k + 1]] > 1:
                    positions[longer] = p
                    keys[longer] = keys[k] * _MULTIPLIER + words[p + size]
                    longer += 1
            m = longer
    return fractions


@kernel
def _tally(keys, num_keys, table, counts, slots, later):
    """Count equal keys: counts[slots[k]] becomes the number of times that keys[k] occurs in the first `num_keys`.

    later[k] becomes True where an equal key comes before keys[k].
    """
    counts = counts[: table_size(num_keys)]
    counts[:] = 0
    for k in range(num_keys):
        key = keys[k]
        # The high half of the product depends on every bit of the key.
        slot = first_slot(counts, (key * _MULTIPLIER) >> np.uint64(32))
        while counts[slot] > 0 and table[slot] != key:
            slot = next_slot(counts, slot)
        table[slot] = key
        later[k] = counts[slot] > 0
        counts[slot] += 1
        slots[k] = slot


@kernel
def _hash_words(data, starts, ends, num_words, words, before):
    """Set words[w] to the FNV-1a hash of each word's bytes, and before[w + 1] to the characters up to its end."""
    for w in range(num_words):
        h = FNV_START
        chars = 0
        for i in range(starts[w], ends[w]):
            b = data[i]
            h = fnv_step(h, b)
            chars += (b & 0xC0) != 0x80  # every byte but UTF-8 continuations
        words[w] = h
        before[w + 1] = before[w] + chars


@kernel
def _hash_units(data, starts, ends, num_words, words, newlines, keys, unit_ends):
    """Join words to lines (newlines = 1) or paragraphs (2): a hash and the index after the last word of each."""
    units = 0
    h = np.uint64(1)
    for w in range(num_words):
        h = h * _MULTIPLIER + words[w]
        num_newlines = 0
        if w + 1 < num_words:
            for i in range(ends[w], starts[w + 1]):
                num_newlines += data[i] == 10
        if num_newlines >= newlines or w + 1 == num_words:
            keys[units] = h
            unit_ends[units] = w + 1
            units += 1
            h = np.uint64(1)
    return units


@kernel
def _chars_of_top(positions, m, size, counts, slots, before):
    top, top_count, top_chars = -1, 1, 0
    for k in range(m):
        count = counts[slots[k]]
        if count >= top_count and count > 1:
            chars = before[positions[k] + size] - before[positions[k]]
            if count > top_count or chars > top_chars:
                top, top_count, top_chars = slots[k], count, chars
    covered, until = 0, 0
    for k in range(m):
        if slots[k] == top:
            p = positions[k]
            covered += before[p + size] - before[max(p, until)]
            until = p + size
    return covered


@kernel
def _chars_of_duplicates(positions, m, size, counts, slots, later, first_copies, before):
    covered, until = 0, 0
    for k in range(m):
        if later[k] or (first_copies and counts[slots[k]] > 1):
            p = positions[k]
            covered += before[p + size] - before[max(p, until)]
            until = p + size
    return covered
