"""The likeliest label of each line by a fastText classifier of words and their n-grams; a batch in one kernel.

    line ──words──▶ Σ rows of the word and of the n-grams of "<word>" ──▶ mean ──▶ down the tree of labels

Each word is hashed and summed once where it comes again soon: a cache keeps the sum of the last word of each slot. What
the sums are made of is that of fastText's getLine and computeSubwords (dictionary.cc), and the walk down the tree that
of its dfs (loss.cc).
"""

from typing import Any

import numpy as np

from cleaners.assets.fasttext_arrays import END, FastTextArrays
from cleaners.kernels.fnv import FNV_START, fnv_of, fnv_step
from shards.compiled import kernel
from shards.hash_table import first_slot, next_slot, table_size

_CACHED_WORDS = 1 << 14  # with 16 numbers each 1 MB, which stays in a core's own cache
_LABEL = b"__label__"  # begins a word that is a label and no part of the line
_EPSILON = np.float32(1e-5)  # loss.cc: std_log
_BEGIN_OF_WORD, _END_OF_WORD = np.uint8(0x3C), np.uint8(0x3E)
_ONE = np.uint64(1)


class FastTextLabels:
    """Asks the arrays of a model."""

    def __init__(self, arrays: FastTextArrays) -> None:
        words = np.frombuffer(b"".join(arrays.words), np.uint8)
        word_ends = np.cumsum([len(word) for word in arrays.words], dtype=np.int64)
        kept = arrays.kept_buckets
        buckets = (
            np.int64(arrays.num_buckets),
            kept is None,
            *_tables_of_buckets(np.empty((0, 2), np.int32) if kept is None else kept, arrays.num_buckets),
        )
        self._model: Any = (
            (np.int64(arrays.min_chars), np.int64(arrays.max_chars), np.int64(len(arrays.words))),
            buckets,
            arrays.rows_RD,
            (words, word_ends, _table_of_words(words, word_ends)),
            (*arrays.tree(), arrays.outputs_LD),
            np.int64(arrays.words.index(END)),
        )

    def labels(self, lines: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """(int32: label, float32: its probability) of each line."""
        data, ends = np.frombuffer(b"".join(lines), np.uint8), np.cumsum([len(line) for line in lines], dtype=np.int64)
        labels, scores = _likeliest(data, ends, *self._model)
        return labels, scores


@kernel
def _table_of_words(words, ends):
    """int32[slots]: the number of the word in each slot, or -1."""
    table = np.full(table_size(len(ends)), -1, np.int32)
    begin = 0
    for number in range(len(ends)):
        slot = first_slot(table, fnv_of(words, begin, ends[number]))
        while table[slot] >= 0:
            slot = next_slot(table, slot)
        table[slot] = number
        begin = ends[number]
    return table


@kernel
def _tables_of_buckets(kept, num_buckets):
    """(a bit for each bucket that is kept, int32[slots] buckets or -1, int32[slots] their rows).

    Most n-grams of a text are not kept, and the bits say so within a core's cache.
    """
    bits = np.zeros(num_buckets // 8 + 1, np.uint8)
    table = np.full(table_size(len(kept)), -1, np.int32)
    rows = np.zeros(len(table), np.int32)
    for k in range(len(kept)):
        bucket = np.uint64(kept[k, 0])
        bits[bucket >> np.uint64(3)] |= np.uint8(1) << np.uint8(bucket & np.uint64(7))
        slot = first_slot(table, _mixed(bucket))
        while table[slot] >= 0:
            slot = next_slot(table, slot)
        table[slot], rows[slot] = kept[k, 0], kept[k, 1]
    return bits, table, rows


@kernel(inline="always")
def _mixed(bucket):
    """Buckets of one part of the table far apart (Knuth, TAOCP 3, section 6.4: multiplication by the golden ratio)."""
    return (bucket * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)


@kernel
def _likeliest(data, ends, settings, buckets, rows, vocabulary, tree, end_word):
    words, word_ends, table = vocabulary
    width = rows.shape[1]
    starts = np.full(_CACHED_WORDS, -1, np.int64)
    lengths, hashes = np.empty(_CACHED_WORDS, np.int64), np.empty(_CACHED_WORDS, np.uint64)
    sums, counts = np.empty((_CACHED_WORDS, width), np.float32), np.empty(_CACHED_WORDS, np.int64)
    spelled = np.empty(len(data) + 2, np.uint8)
    total, mean = np.empty(width, np.float64), np.empty(width, np.float32)
    labels, scores = np.empty(len(ends), np.int32), np.empty(len(ends), np.float32)
    end = 0
    for line in range(len(ends)):
        i, end = end, ends[line]
        total[:] = 0
        count = 0
        while True:
            while i < end and _parts_words(data[i]):
                i += 1
            start, hash_ = i, FNV_START
            while i < end and not _parts_words(data[i]):
                hash_ = fnv_step(hash_, data[i])
                i += 1
            if i == start or _is(data, start, i, END):
                break
            slot = (hash_ >> np.uint64(20)) & np.uint64(_CACHED_WORDS - 1)
            if not (
                starts[slot] >= 0
                and hashes[slot] == hash_
                and lengths[slot] == i - start
                and _same(data, starts[slot], data, start, i - start)
            ):
                starts[slot], lengths[slot], hashes[slot] = start, i - start, hash_
                counts[slot] = 0
                sums[slot] = 0
                number = _number_of(words, word_ends, table, hash_, data, start, i)
                if number >= 0:
                    counts[slot] = 1
                    sums[slot] = rows[number]
                if number >= 0 or not _begins(data, start, i, _LABEL):
                    spelled[0] = _BEGIN_OF_WORD
                    spelled[1 : i - start + 1] = data[start:i]
                    spelled[i - start + 1] = _END_OF_WORD
                    size = np.uint64(i - start + 2)
                    counts[slot] += _add_ngrams(spelled, size, settings, buckets, rows, sums, slot)
            for d in range(width):
                total[d] += sums[slot, d]
            count += counts[slot]
        for d in range(width):
            mean[d] = (total[d] + rows[end_word, d]) / (count + 1)
        labels[line], scores[line] = _leaf(mean, *tree)
    return labels, scores


@kernel
def _add_ngrams(spelled, size, settings, buckets, rows, sums, slot):
    """Add the rows of the n-grams of spelled[:size] to sums[slot]; returns their number.

    An n-gram's bucket is its FNV-1a of 32 bits, each byte with its sign extended, by the number of buckets.
    """
    min_chars, max_chars, num_words = settings
    num_buckets, has_all, bits, table, bucket_rows = buckets
    inverse = 1.0 / num_buckets
    count = 0
    i = np.uint64(0)
    while i < size:
        if not _continues(spelled[i]):
            hash_, j, chars = np.uint64(0x811C9DC5), i, 1
            while j < size and chars <= max_chars:
                while True:
                    byte = np.uint64(spelled[j])
                    if byte >= np.uint64(0x80):
                        byte |= np.uint64(0xFFFFFF00)
                    hash_ = ((hash_ ^ byte) * np.uint64(0x01000193)) & np.uint64(0xFFFFFFFF)
                    j += _ONE
                    if j >= size or not _continues(spelled[j]):
                        break
                if chars >= min_chars and not (chars == 1 and (i == 0 or j == size)):
                    # A remainder by multiplication, which is off by one divisor at most, takes a quarter of the time.
                    bucket = np.int64(hash_) - np.int64(np.float64(hash_) * inverse) * num_buckets
                    if bucket < 0:
                        bucket += num_buckets
                    elif bucket >= num_buckets:
                        bucket -= num_buckets
                    row = np.int64(-1)
                    if has_all:
                        row = bucket
                    elif (bits[np.uint64(bucket) >> np.uint64(3)] >> np.uint8(bucket & 7)) & np.uint8(1):
                        place = first_slot(table, _mixed(np.uint64(bucket)))
                        while table[place] != bucket:
                            place = next_slot(table, place)
                        row = np.int64(bucket_rows[place])
                    if row >= 0:
                        at = np.uint64(num_words + row)
                        for d in range(rows.shape[1]):
                            sums[slot, d] += rows[at, d]
                        count += 1
                chars += 1
        i += _ONE
    return count


@kernel
def _leaf(mean, left, right, outputs):
    """(label, probability) of the likeliest leaf; a branch that is less likely already is not entered."""
    num_labels = len(outputs)
    nodes, logs = np.empty(2 * num_labels, np.int64), np.empty(2 * num_labels, np.float32)
    nodes[0], logs[0] = 2 * num_labels - 2, 0
    best, label, size = np.float32(-np.inf), -1, 1
    while size:
        size -= 1
        node, log = nodes[size], logs[size]
        if log < best:
            continue
        if left[node] < 0:
            best, label = log, node
            continue
        product = np.float32(0)
        for d in range(len(mean)):
            product += outputs[node - num_labels, d] * mean[d]
        p = np.float32(1 / (1 + np.exp(-product)))
        to_left, to_right = log + np.log(np.float32(1) - p + _EPSILON), log + np.log(p + _EPSILON)
        is_left = to_left > to_right  # and is entered first
        nodes[size], logs[size] = (right[node], to_right) if is_left else (left[node], to_left)
        nodes[size + 1], logs[size + 1] = (left[node], to_left) if is_left else (right[node], to_right)
        size += 2
    return label, np.exp(best)


@kernel
def _number_of(words, ends, table, hash_, data, start, end):
    """The number of the word data[start:end], or -1."""
    slot = first_slot(table, hash_)
    while table[slot] >= 0:
        number = table[slot]
        begin = ends[number - 1] if number else 0
        if ends[number] - begin == end - start and _same(words, begin, data, start, end - start):
            return number
        slot = next_slot(table, slot)
    return -1


@kernel(inline="always")
def _parts_words(byte):
    return byte == 32 or 9 <= byte <= 13 or byte == 0


@kernel(inline="always")
def _continues(byte):
    """Whether a byte continues a character of UTF-8."""
    return (byte & np.uint8(0xC0)) == np.uint8(0x80)


@kernel
def _same(a, i, b, j, length):
    for k in range(length):  # noqa: SIM110  # a generator is slow
        if a[i + k] != b[j + k]:
            return False
    return True


@kernel
def _begins(data, start, end, with_):
    return end - start >= len(with_) and _same(data, start, np.frombuffer(with_, np.uint8), 0, len(with_))


@kernel
def _is(data, start, end, what):
    return end - start == len(what) and _begins(data, start, end, what)
