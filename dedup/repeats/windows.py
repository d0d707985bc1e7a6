"""Windows of L words: the pieces of text by which repeated passages are found.

A word is in a repeated passage of at least L words exactly when it is in a repeated window of L words.

    words       a b c d e f g h i j k …
    k-grams     ├───┤ each has a hash            window    ├───────────┤
    minimizer   the one with the least hash of a window's L - k + 1      ↑ the window's mark

A window's mark is its minimizer (Schleimer et al. 2003, "Winnowing"). It depends on the window's words alone, so equal
windows have equal marks. Windows that follow each other mostly share theirs, so there is about one mark in thirteen
words. The first pass writes half a byte a word, and only windows around a repeated k-gram are hashed whole.

Words are those of `shards.words`: between white space, an ideograph by itself. They do not depend on their neighbours,
so a pasted passage has the same words everywhere, except its first and last if punctuation touches them.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dedup.repeats.engine import HashSet, Marks, Pieces, holds, shift_of
from dedup.word_hashes import CHECK, CHECK_BASE, MIX, START, STEP, mixed_once, power, power_of, rolled
from shards.compiled import kernel
from shards.unicode import IDEOGRAPH, MARK, SPACE, classes, decode, text_buffers
from shards.words import max_words

_32 = np.uint64(32)


@dataclass(frozen=True)
class Windows:
    """A `dedup.repeats.engine.Hasher` for windows of `length` words, two at least."""

    length: int

    @property
    def gram(self) -> int:
        """Words of a k-gram. A longer one seldom occurs twice by accident; a shorter one gives fewer marks."""
        return self.length // 2

    def marks(self, text: pa.LargeStringArray) -> Marks:
        return Marks(*window_marks(*text_buffers(text), classes(), self.length, self.gram))

    def pieces(self, text: pa.LargeStringArray, chosen: np.ndarray, repeated: HashSet) -> Pieces:
        return Pieces(*marked_windows(*text_buffers(text), classes(), self.length, self.gram, chosen, repeated.slots))


@kernel(inline="always")
def _longest_row(offsets):
    longest = np.int64(0)
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return longest


@kernel(inline="always")
def hash_words(data, start, end, classes, begins, words):
    """Write the first byte and the hash of each word of data[start:end]; returns their number.

    The words are those of `shards.words.word_spans`. Splitting and hashing in one loop takes half the time.
    """
    n, i, ideograph_end = 0, start, np.int64(-1)  # ideograph_end: end of the last word, if it was an ideograph
    word, in_run = START, False
    while i < end:
        code, after = decode(data, i)
        kind = classes[code]
        joins = kind == MARK and not in_run and ideograph_end == i
        if in_run and kind in (SPACE, IDEOGRAPH):
            words[n - 1] = word ^ (word >> _32)
            in_run = False
        if kind == SPACE:
            i = after
            continue
        if not in_run and not joins:
            begins[n], word = i, START
            n += 1
            in_run = kind != IDEOGRAPH
        while i < after or (in_run and i < end and 0x20 < data[i] < 0x7F):  # the rest of an ASCII word, too
            word = (word ^ np.uint64(data[i])) * STEP
            i += 1
        if not in_run:
            words[n - 1] = word ^ (word >> _32)
            ideograph_end = i
    if in_run:
        words[n - 1] = word ^ (word >> _32)
    return n


@kernel(inline="always")
def _other(word):
    """A second hash of the word with this hash.

    Two words with one hash, one pair in 2^64, have one second hash, too. For a false window all its other words would
    have to be equal as well.
    """
    other = word * CHECK
    return other ^ (other >> _32)


@kernel(inline="always")
def _hash_grams(words, num_words, length, whole, grams):
    """Write the hashes of all `length`-grams. They are mixed, so that any of them may be the least of a window."""
    rolling = np.uint64(0)
    for k in range(num_words):
        rolling = rolled(rolling, words[k])
        if k >= length:
            rolling -= words[k - length] * whole
        if k >= length - 1:
            grams[k - length + 1] = mixed_once(rolling)


@kernel(inline="always")
def _next_minimizer(grams, end, width, least):
    """The index of the least of grams[end - width:end], the last of equal ones; `least` is the index for `end` - 1."""
    if least < end - width:
        least = end - width
        for k in range(end - width + 1, end):
            if grams[k] <= grams[least]:
                least = k
    elif grams[end - 1] <= grams[least]:
        least = end - 1
    return least


@kernel(inline="always")
def _spread(least):
    """The mark of a least hash. Least hashes begin with zeros, and marks are cut into parts by their top bits."""
    return least * MIX


@kernel
def window_marks(data, offsets, classes, length, gram):
    """(u64 marks of the UTF-8 rows data[offsets], row by row, i64[rows] how many each has)."""
    rows, room = len(offsets) - 1, max_words(_longest_row(offsets))
    begins = np.empty(room, np.int64)
    words, grams = np.empty(room, np.uint64), np.empty(room, np.uint64)
    marks, counts = np.empty(1024, np.uint64), np.zeros(rows, np.int64)
    whole, width, count = power_of(gram), length - gram + 1, 0
    for row in range(rows):
        num_words = hash_words(data, offsets[row], offsets[row + 1], classes, begins, words)
        if num_words < length:
            continue
        _hash_grams(words, num_words, gram, whole, grams)
        if len(marks) < count + num_words:
            marks = np.concatenate((marks[:count], np.empty(count + 2 * num_words, np.uint64)))
        first, least, last = count, np.int64(-1), np.int64(-1)
        for end in range(width, num_words - gram + 2):
            least = _next_minimizer(grams, end, width, least)
            if least != last:
                marks[count] = _spread(grams[least])
                count += 1
                last = least
        counts[row] = count - first
    return marks[:count].copy(), counts


@kernel
def marked_windows(data, offsets, classes, length, gram, chosen, slots):
    """The fields of `Pieces` for windows of `chosen` rows whose mark is in `slots`."""
    num_rows, room = len(offsets) - 1, max_words(_longest_row(offsets))
    begins = np.empty(room, np.int64)
    words, grams = np.empty(room, np.uint64), np.empty(room, np.uint64)
    size = 0
    for row in range(num_rows):
        if chosen[row]:
            size += max_words(offsets[row + 1] - offsets[row])
    rows, starts = np.empty(size, np.int64), np.empty(size, np.int64)
    hashes, checks = np.empty(size, np.uint64), np.empty(size, np.uint64)
    gram_power, whole, check_power = power_of(gram), power_of(length), power(CHECK_BASE, length)
    shift, width, count = shift_of(slots), length - gram + 1, 0
    for row in range(num_rows):
        if not chosen[row]:
            continue
        num_words = hash_words(data, offsets[row], offsets[row + 1], classes, begins, words)
        _hash_grams(words, num_words, gram, gram_power, grams)
        least, last, marked = np.int64(-1), np.int64(-1), False
        rolling = check = np.uint64(0)
        for k in range(num_words):
            rolling = rolled(rolling, words[k])
            check = check * CHECK_BASE + _other(words[k])
            first = k - length + 1
            if first < 0:
                continue
            if first > 0:
                rolling -= words[first - 1] * whole
                check -= _other(words[first - 1]) * check_power
            least = _next_minimizer(grams, first + width, width, least)
            if least != last:
                marked = holds(slots, shift, _spread(grams[least]))
                last = least
            if marked:
                rows[count], starts[count] = row, begins[first] - offsets[row]
                hashes[count], checks[count] = mixed_once(rolling), check
                count += 1
    return rows[:count], starts[:count], hashes[:count], checks[:count]
