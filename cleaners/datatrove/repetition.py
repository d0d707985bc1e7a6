"""The metrics of datatrove's `GopherRepetitionFilter`: a whole batch in one kernel.

The thresholds of FineWeb and FineWeb2 were tuned on them. They differ from `cleaners.kernels.repetition`:

* Lines are the text between newlines, and paragraphs that between pairs of newlines, with all white space.
* Of equal lines, paragraphs and n-grams of 5 to 10 words, the later ones count. After a repeated n-gram, the next one
  begins at its end.
* The top n-gram is the first of the most frequent ones, even where each occurs once. Its words are joined by blanks,
  and each occurrence counts in full, so in Chinese the fraction may exceed 1.
* The words of n-grams of 5 to 10 are joined by nothing: "ab c" equals "a bc".
* All fractions of characters are of `len(text)`.
"""

import numpy as np

from cleaners.datatrove.text import (
    SPACE,
    count_byte,
    count_chars,
    emptied,
    find,
    later_copies,
    new_set,
    split_at_newlines,
    stripped,
)
from cleaners.kernels.repetition import METRICS
from shards.compiled import kernel

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2^64
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))
_MET_SHIFT = np.uint64(48)
_NUM_METRICS = len(METRICS)


@kernel
def datatrove_repetition(data, offsets, rows, starts, ends, traits):
    """float64[rows, len(METRICS)] in the order of `cleaners.kernels.repetition.METRICS`, NaN for empty texts.

    rows, starts and ends are those of `shards.words.Words` for the texts in data[offsets[r]:offsets[r + 1]].
    """
    fractions = np.full((len(offsets) - 1, _NUM_METRICS), np.nan)
    room, word_room, longest = 1, 1, 0
    for row in range(len(offsets) - 1):
        room = max(room, count_byte(data, offsets[row], offsets[row + 1], 10) + 1)
        word_room = max(word_room, rows[row + 1] - rows[row])
        longest = max(longest, offsets[row + 1] - offsets[row])
    unit_starts, unit_ends = np.empty(room, np.int64), np.empty(room, np.int64)
    units = new_set(room)
    ngrams = new_set(word_room)
    counts = np.empty(word_room, np.int64)
    joined = np.empty(longest + word_room, np.uint8)  # the words, each followed by a blank or by nothing
    word_starts = np.empty(word_room + 1, np.int64)  # offset of each word in `joined`
    sums = np.empty(word_room + 1, np.uint64)  # polynomial over the bytes before it, and the inverse of its power
    inverses = np.empty(word_room + 1, np.uint64)
    chars = np.zeros(word_room + 1, np.int64)  # characters of the words before it
    keys = np.empty(word_room, np.uint64)
    met = np.empty(1 << 16, np.uint8)

    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        if start == end:
            continue
        text_chars = count_chars(data, start, end)
        for column, newlines in ((0, 1), (2, 2)):
            if newlines == 2:
                start, end = stripped(data, start, end, traits, SPACE)
            n = split_at_newlines(data, start, end, newlines, unit_starts, unit_ends)
            copies, copied_chars = later_copies(data, unit_starts, unit_ends, n, units)
            fractions[row, column] = copies / n
            fractions[row, column + 1] = copied_chars / text_chars

        first, num_words = rows[row], rows[row + 1] - rows[row]
        for w in range(num_words):
            chars[w + 1] = chars[w] + count_chars(data, starts[first + w], ends[first + w])
        for size in range(2, 11):
            if size == 2 or size == 5:
                _join(data, starts, ends, first, num_words, size == 2, joined, word_starts, sums, inverses)
            m = max(num_words - size + 1, 0)
            _look_for_repeats(sums, inverses, size, m, keys, met)
            mask = emptied(ngrams, m)
            distinct, covered, w = 0, 0, 0
            while w < m:
                if met[keys[w] >> _MET_SHIFT] < 2:  # no other n-gram equals it
                    w += 1
                    continue
                k = find(joined, word_starts[w], word_starts[w + size], keys[w], ngrams, mask, distinct)
                new = k == distinct
                distinct += new
                if size <= 4:
                    counts[k] = 1 if new else counts[k] + 1
                    w += 1
                elif new:
                    w += 1
                else:
                    covered += chars[w + size] - chars[w]
                    w += size
            if size <= 4 and m:
                covered = chars[size] + size - 1
                top = np.argmax(counts[:distinct]) if distinct else 0
                if distinct and counts[top] > 1:
                    # The blank after the last word is in `joined`, but not part of the n-gram.
                    covered = (count_chars(joined, ngrams[2][top], ngrams[3][top]) - 1) * counts[top]
            fractions[row, size + 2] = covered / text_chars
    return fractions


@kernel
def _join(data, starts, ends, first, num_words, blank, joined, word_starts, sums, inverses):
    """Set sums[w] = Σ byte[i] · base^i over i < word_starts[w], and inverses[w] = base^-word_starts[w]."""
    size = 0
    total, power, inverse = np.uint64(0), np.uint64(1), np.uint64(1)
    word_starts[0], sums[0], inverses[0] = size, total, inverse
    for w in range(num_words):
        for i in range(starts[first + w], ends[first + w] + blank):
            b = data[i] if i < ends[first + w] else np.uint8(32)
            joined[size] = b
            size += 1
            total += np.uint64(b) * power
            power *= _BASE
            inverse *= _INVERSE
        word_starts[w + 1], sums[w + 1], inverses[w + 1] = size, total, inverse


@kernel
def _look_for_repeats(sums, inverses, size, m, keys, met):
    """Set keys[w] to the hash of the n-gram at word w, and met[its upper 16 bits] to 1, to 2 where several have them.

    So most n-grams of a page are known to differ from all others before any is entered in a set.
    """
    met[:] = 0
    for w in range(m):
        keys[w] = ((sums[w + size] - sums[w]) * inverses[w]) * _MULTIPLIER
        bits = keys[w] >> _MET_SHIFT
        met[bits] = min(met[bits] + 1, 2)
