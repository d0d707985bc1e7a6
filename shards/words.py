"""Word splitting for the rules, in one place, so that every stage counts the same words.

Shingles of near-duplicate detection ignore punctuation and case, and have words of their own (`dedup.shingles`).

A word is a maximal run of characters that are not white space, except that each IDEOGRAPH character (Han, Hiragana,
Katakana, Bopomofo), with the combining marks on it, is a word by itself:

    "Numba 0.68 编译器, fast."  ->  Numba | 0.68 | 编 | 译 | 器 | , | fast.

So English and Russian words are those of `str.split()`, punctuation stays with its word as in the Gopher paper, and
a Chinese line is never one word. Segmentation into true Chinese words is a choice of single stages, not made here.
"""

from numba import njit

from shards.unicode import IDEOGRAPH, MARK, SPACE, decode


@njit(cache=True)
def word_spans(data, start, end, classes, starts, ends):  # type: ignore[no-untyped-def]
    """Writes the byte span [starts[k], ends[k]) of each word in data[start:end]; returns the number of words.

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
    if in_run:
        ends[n - 1] = end
    return n


@njit(cache=True, inline="always")
def max_words(num_bytes):  # type: ignore[no-untyped-def]
    """No text of that many bytes has more words: each takes a byte and, unless an ideograph, a separator."""
    return num_bytes // 2 + 1
