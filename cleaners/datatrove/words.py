r"""Words as datatrove counts them: tokens by spaCy's rules, without a model.

    "Don't (really) pay $3.50, e.g. 5km..."  ->  Do | n't | ( | really | ) | pay | $ | 3.50 | , | e.g. | 5 | km | ...

FineWeb and FineWeb2 counted these. The rules are spaCy's. Prefixes and suffixes are cut one by one from a word between
white space, until an exception ("U.S.", ":)", "don't") is left or nothing can be cut. The rest is a URL, or is cut at
infixes ("well-known", "end.Start"). `cleaners.datatrove.affixes` has the tables.

One kernel serves all languages that spaCy splits this way, with English affixes: German keeps "E-Mail" and "1." whole,
and here they are three and two tokens. Emoticons directly after a word, IP addresses in URLs and Russian exceptions of
several words are not known. On the conformance documents, 99.98 % of spaCy's tokens in English, 99.99 % in Russian and
Chinese and 97.8 % in German are tokens here (`make bench-conformance`).

A text with many ideographs is cut by its segmenter, including Latin words, digits and punctuation, as by spaCy's `zh`
and `ja`. In any other text ideographs are letters. White space is never a token, as in datatrove.
"""

from functools import cache

import numpy as np
import pyarrow as pa

from cleaners.datatrove.affixes import (
    AFTER_DIGITS,
    ALPHA,
    BEFORE_DOT,
    HOST,
    HYPHEN,
    LOWER,
    PLAIN,
    PREFIX,
    QUOTE,
    SPACE,
    SUFFIX,
    SYMBOL,
    UPPER,
    exceptions,
    traits,
)
from cleaners.kernels.fnv import FNV_START, fnv_of, fnv_step
from shards.compiled import kernel
from shards.hash_table import first_slot, slot_of
from shards.segmenters import cutter
from shards.unicode import IDEOGRAPH, classes, decode, text_buffers
from shards.words import Words, identity

# The least fraction of ideographs among the letters of a text that a segmenter cuts. datatrove takes the language as a
# setting. Of the conformance documents, the Chinese one with fewest ideographs has .30, the other one with most .13.
IDEOGRAPH_FRACTION = 0.2

_last: list[tuple[pa.Array, Words]] = []  # the last text with its words, as in `shards.words`


def tokens_of(text: pa.Array) -> Words:
    """The tokens of a large_string array; null rows have none. They are computed once for the same text."""
    if _last and identity(_last[0][0]) == identity(text):
        return _last[0][1]
    data, offsets = text_buffers(text)
    segmented = _segmented(data, offsets)
    starts, ends, rows = _tokens(data, offsets, traits(), *_exceptions(), _units(), *segmented)
    words = Words(rows, starts, ends)
    for part in (words.rows, words.starts, words.ends):
        part.flags.writeable = False
    _last[:] = [(text, words)]
    return words


def _segmented(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(int64[rows + 1], int64[words + rows]): the offsets of a segmenter's words in each row, and a last end."""
    counts = _letters(data, offsets, classes())
    rows, begins = np.zeros(len(offsets), np.int64), [np.zeros(0, np.int64)]
    for row, (letters, ideographs, kana) in enumerate(counts.tolist()):
        rows[row + 1] = rows[row]
        if ideographs <= IDEOGRAPH_FRACTION * letters:
            continue
        part = data[offsets[row] : offsets[row + 1]]
        lengths = cutter(ideographs, kana)(part.tobytes().decode())
        characters = np.append(np.flatnonzero((part & 0xC0) != 0x80), len(part)) + offsets[row]
        begins.append(characters[np.cumsum([0, *lengths])])
        rows[row + 1] += len(lengths) + 1
    return rows, np.concatenate(begins)


@cache
def _exceptions() -> tuple[np.ndarray, np.ndarray]:
    """(uint64[slots] of hashes, int64[slots, 2] of the bytes of the first two pieces, 0 after the last piece)."""
    words = exceptions()
    keys = _hash_table([word.encode() for word in words])
    cuts = np.zeros((len(keys), 2), np.int64)
    for word, pieces in words.items():
        sizes = [len(piece.encode()) for piece in pieces[:-1]]
        cuts[_find(np.frombuffer(word.encode(), np.uint8), 0, len(word.encode()), keys), : len(sizes)] = sizes
    keys.flags.writeable = cuts.flags.writeable = False
    return keys, cuts


@cache
def _units() -> np.ndarray:
    keys = _hash_table([unit.encode() for unit in AFTER_DIGITS])
    keys.flags.writeable = False
    return keys


_LONGEST_EXCEPTION = max(len(word.encode()) for word in exceptions())
_LONGEST_UNIT = max(len(unit) for unit in AFTER_DIGITS)  # in characters


def _hash_table(words: list[bytes]) -> np.ndarray:
    keys = np.zeros(1 << (4 * len(words)).bit_length(), np.uint64)
    for word in words:
        h = np.uint64(_hash(np.frombuffer(word, np.uint8)))
        keys[_slot(keys, h)] = h
    return keys


@kernel
def _hash(word):
    return fnv_of(word, 0, len(word))


@kernel(inline="always")
def _slot(keys, h):
    """The slot that holds the hash, or the free slot for it."""
    return np.int64(slot_of(keys, h, first_slot(keys, h)))


@kernel(inline="always")
def _is_key(h, keys):
    return keys[_slot(keys, h)] == h


@kernel(inline="always")
def _is_mark(b):
    """Whether a plain word followed by this mark is never an exception."""
    return b == 0x2C or b == 0x3A or b == 0x3B or b == 0x21 or b == 0x3F or b == 0x29  # , : ; ! ? )


@kernel
def _find(data, start, end, keys):
    """The slot of data[start:end]; -1 if it is not a key."""
    h = fnv_of(data, start, end)
    slot = _slot(keys, h)
    return slot if keys[slot] == h else -1


@kernel
def _letters(data, offsets, classes):
    """int64[rows, 3]: letters (ASCII letters and all other characters beyond ASCII), ideographs, kana."""
    counts = np.zeros((len(offsets) - 1, 3), np.int64)
    for row in range(len(offsets) - 1):
        letters, ideographs, kana = 0, 0, 0
        for i in range(offsets[row], offsets[row + 1]):
            b = data[i]
            letters += b >= 0xC0 or 0x61 <= b | 0x20 <= 0x7A  # not 0x80 to 0xBF, which continue a character
            if b >= 0xE2:  # the first ideograph, U+2E80, is E2 BA 80
                c = decode(data, i)[0]
                ideographs += classes[c] == IDEOGRAPH
                kana += 0x3041 <= c < 0x3100
        counts[row] = letters, ideographs, kana
    return counts


@kernel
def _tokens(data, offsets, traits, keys, cuts, units, segmented_rows, segmented):
    """(starts, ends, rows) of the tokens. `segmented` holds the offsets of rows that a segmenter has cut."""
    longest = 1
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    word = np.empty(longest, np.uint32), np.empty(longest + 1, np.int64), np.empty(longest, np.uint16)
    tails = np.empty(longest, np.int64)
    room = (offsets[-1] - offsets[0]) // 4 + 64
    starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    rows = np.zeros(len(offsets), np.int64)
    n = 0
    for row in range(len(offsets) - 1):
        i, end = offsets[row], offsets[row + 1]
        first, last = segmented_rows[row], segmented_rows[row + 1]
        if first < last:
            i = end
            starts, ends = _with_room(starts, ends, n, segmented[last - 1] - segmented[first])
        for k in range(first, last - 1):
            if not traits[decode(data, segmented[k])[0]] & SPACE:
                n = _add_segmented(data, segmented[k], segmented[k + 1], starts, ends, n)
        while i < end:
            start = i
            lower = False  # whether the last character is
            h = FNV_START
            while i < end:
                b = data[i]
                if 0x61 <= b | 0x20 <= 0x7A:
                    h = fnv_step(h, b)
                    lower = b >= 0x61
                    i += 1
                    continue
                c, after = decode(data, i)
                if not traits[c] & PLAIN:
                    break
                lower = traits[c] & LOWER != 0
                while i < after:
                    h = fnv_step(h, data[i])
                    i += 1
            plain_end = i
            while i < end:
                if 0x20 < data[i] < 0x7F:
                    i += 1
                    continue
                c, after = decode(data, i)
                if traits[c] & SPACE:
                    break
                i = after
            if start == i:
                i = after
                continue
            if n + i - start + 2 > len(starts):
                starts, ends = _with_room(starts, ends, n, i - start + 2)
            mark = data[plain_end] if plain_end + 1 == i else 0
            # Most words are plain, or plain with a mark after them: one token, or two.
            if start < plain_end and (plain_end == i or _is_mark(mark) or (mark == 0x2E and lower)):
                if mark == 0x2E and _is_key(fnv_step(h, mark), keys):  # "etc."
                    plain_end = i
                slot = _slot(keys, h)
                if keys[slot] == h and (plain_end < i or mark != 0x2E):
                    n = _add_exception(start, plain_end, cuts[slot], starts, ends, n)
                else:
                    starts[n], ends[n] = start, plain_end
                    n += 1
                if plain_end < i:
                    starts[n], ends[n] = plain_end, i
                    n += 1
            else:
                n = _cut(data, start, i, traits, keys, cuts, units, word, tails, starts, ends, n)
        rows[row + 1] = n
    return starts[:n].copy(), ends[:n].copy(), rows


@kernel
def _add_segmented(data, start, end, starts, ends, n):
    """Add a segmenter's word; ASCII words in the pieces of jieba, "2019|-|09" and "3.5%", which rjieba leaves whole."""
    i = start
    while i < end and data[i] < 0x80:
        i += 1
    if i < end:  # "T恤"
        starts[n], ends[n] = start, end
        return n + 1
    i = start
    while i < end:
        first = i
        while i < end and not _is_alphanumeric(data[i]):
            i += 1
        if first == i:
            while i < end and _is_alphanumeric(data[i]):
                i += 1
            if i + 1 < end and data[i] == 0x2E and 0x30 <= data[i + 1] <= 0x39:
                i += 2
                while i < end and 0x30 <= data[i] <= 0x39:
                    i += 1
            if i < end and data[i] == 0x25 and i > first:
                i += 1
        starts[n], ends[n] = first, i
        n += 1
    return n


@kernel(inline="always")
def _is_alphanumeric(b):
    return 0x30 <= b <= 0x39 or 0x41 <= b <= 0x5A or 0x61 <= b <= 0x7A


@kernel(inline="always")
def _with_room(starts, ends, n, more):
    if n + more <= len(starts):
        return starts, ends
    wider_starts, wider_ends = np.empty(2 * (n + more), np.int64), np.empty(2 * (n + more), np.int64)
    wider_starts[:n], wider_ends[:n] = starts[:n], ends[:n]
    return wider_starts, wider_ends


@kernel
def _add_exception(start, end, cut, starts, ends, n):
    for k in range(2):
        if cut[k]:
            starts[n], ends[n] = start, start + cut[k]
            start += cut[k]
            n += 1
    starts[n], ends[n] = start, end
    return n + 1


@kernel
def _cut(data, start, end, traits, keys, cuts, units, word, tails, starts, ends, n):
    """Add the tokens of one word between white space. Its characters a to b are not cut off yet."""
    chars, positions, bits = word
    size = 0
    i = start
    while i < end:
        positions[size] = i
        chars[size], i = decode(data, i)
        bits[size] = traits[chars[size]]
        size += 1
    positions[size] = end
    a, b, num_tails, slot = 0, size, 0, -1
    while a < b:
        slot = _exception(data, positions, a, b, keys)
        if slot >= 0:
            break
        prefix = _prefix(chars, bits, a, b)
        if prefix and _exception(data, positions, a + prefix, b, keys) >= 0:
            starts[n], ends[n] = positions[a], positions[a + prefix]
            n += 1
            a += prefix
            continue
        suffix = _suffix(data, chars, bits, positions, a + prefix, b, units)
        if suffix:
            num_tails += 1
            tails[num_tails - 1] = b - suffix
            b -= suffix
            if _exception(data, positions, a, b, keys) >= 0:
                continue
        if prefix:
            starts[n], ends[n] = positions[a], positions[a + prefix]
            n += 1
            a += prefix
        if not prefix and not suffix:
            break
    if slot >= 0:
        n = _add_exception(positions[a], positions[b], cuts[slot], starts, ends, n)
    elif a < b:
        n = _cut_at_infixes(chars, bits, positions, a, b, starts, ends, n)
    for k in range(num_tails - 1, -1, -1):
        starts[n], ends[n] = positions[tails[k]], positions[tails[k - 1]] if k else end
        n += 1
    return n


@kernel(inline="always")
def _exception(data, positions, a, b, keys):
    if a >= b or positions[b] - positions[a] > _LONGEST_EXCEPTION:
        return -1
    return _find(data, positions[a], positions[b], keys)


@kernel
def _prefix(chars, bits, a, b):
    """The number of characters at the front that are a prefix."""
    c = chars[a]
    if c == 0x2E:
        dots = _dots(chars, a, b)
        return dots if dots > 1 else 0
    if c == 0x2B and a + 1 < b and 0x30 <= chars[a + 1] <= 0x39:  # +49
        return 0
    if bits[a] & PREFIX:
        return 1
    if a + 2 < b and c == 0x55 and chars[a + 1] == 0x53 and chars[a + 2] == 0x24:
        return 3  # US$
    return 2 if a + 1 < b and (c == 0x43 or c == 0x41) and chars[a + 1] == 0x24 else 0  # C$, A$


@kernel
def _suffix(data, chars, bits, positions, a, b, units):
    """The number of characters at the end that are a suffix, the longest one."""
    if a >= b:
        return 0
    c = chars[b - 1]
    before = chars[b - 2] if b - 2 >= a else np.uint32(0)
    if c == 0x2E:
        if before == 0x2E:
            dots = 2
            while b - dots > a and chars[b - dots - 1] == 0x2E:
                dots += 1
            return dots
        if b - 2 < a:
            return 0
        if bits[b - 2] & BEFORE_DOT or (b - 3 >= a and bits[b - 2] & UPPER and bits[b - 3] & UPPER):
            return 1
        return int(b - 3 >= a and chars[b - 3] == 0xB0 and (before | 0x20 in (0x63, 0x66, 0x6B)))  # °C.
    if c | 0x20 == 0x73 and (before == 0x27 or before == 0x2019):  # 's
        return 2
    for size in range(1, min(_LONGEST_UNIT, b - a - 1) + 1):
        if 0x30 <= chars[b - size] <= 0x39:
            break
        if 0x30 <= chars[b - size - 1] <= 0x39:
            if _find(data, positions[b - size], positions[b], units) >= 0:
                return size
            break
    if bits[b - 1] & SUFFIX:
        return 2 if c == 0x2026 and before == c else 1
    return 0


@kernel
def _cut_at_infixes(chars, bits, positions, a, b, starts, ends, n):
    first = a
    i = a + 1 if not _is_url(chars, bits, a, b) else b
    while i < b:
        size = _infix(chars, bits, a, i, b)
        if not size:
            i += 1
            continue
        if first < i:
            starts[n], ends[n] = positions[first], positions[i]
            n += 1
        starts[n], ends[n] = positions[i], positions[i + size]
        n += 1
        i += size
        first = i
    if first < b:
        starts[n], ends[n] = positions[first], positions[b]
        n += 1
    return n


@kernel
def _infix(chars, bits, a, i, b):
    """The number of characters at i, after at least one other, that are an infix."""
    c = chars[i]
    if c == 0x2026 or bits[i] & SYMBOL:
        return 1
    if i + 1 >= b:
        return 0
    if c == 0x2E:
        if chars[i + 1] == 0x2E:
            return _dots(chars, i, b)
        return int(bits[i - 1] & (LOWER | QUOTE) != 0 and bits[i + 1] & (UPPER | QUOTE) != 0)
    digit = 0x30 <= chars[i - 1] <= 0x39
    next_digit = 0x30 <= chars[i + 1] <= 0x39
    if digit and (next_digit or chars[i + 1] == 0x2D) and c in (0x2B, 0x2D, 0x2A, 0x5E):  # + - * ^
        return 1
    if c == 0x2C:
        return int(bits[i - 1] & bits[i + 1] & ALPHA != 0)
    if not digit and not bits[i - 1] & ALPHA:
        return 0
    if bits[i] & HYPHEN:
        most = 3 if c == 0x2D else 2 if c == 0x2014 else 1
        size = 1
        while size < most and i + size < b and chars[i + size] == c:
            size += 1
        return size if i + size < b and bits[i + size] & ALPHA else 0
    return int(c in (0x3A, 0x3C, 0x3E, 0x3D, 0x2F) and bits[i + 1] & ALPHA != 0)  # : < > = /


@kernel(inline="always")
def _dots(chars, i, b):
    k = i
    while k < b and chars[k] == 0x2E:
        k += 1
    return k - i


@kernel
def _is_url(chars, bits, a, b):
    """Whether it is [scheme://][user@]host[:port][/path], the host with a dot and a last label in lower case."""
    i = a
    while i < b and (bits[i] & HOST or chars[i] in (0x2B, 0x2D, 0x2E, 0x5F)):
        i += 1
    if i - a >= 2 and i + 2 < b and chars[i] == 0x3A and chars[i + 1] == 0x2F and chars[i + 2] == 0x2F:
        if _is_host(chars, bits, i + 3, b):
            return True
    elif _is_host(chars, bits, a, b):
        return True
    for i in range(a + 1, b):  # noqa: SIM110
        if chars[i] == 0x40 and _is_host(chars, bits, i + 1, b):
            return True
    return False


@kernel
def _is_host(chars, bits, a, b):
    labels, label, i = 0, a, a  # label: start of the current label
    while i < b and (bits[i] & HOST or chars[i] in (0x2D, 0x2E, 0x5F)):
        if chars[i] == 0x2E:
            if i == label or i - label > 64 or not bits[label] & bits[i - 1] & HOST:
                return False
            labels += 1
            label = i + 1
        i += 1
    if not labels or not 2 <= i - label <= 63:
        return False
    for k in range(label, i):
        if not bits[k] & LOWER:
            return False
    if i < b and chars[i] == 0x3A:
        digits = 0
        while i + digits + 1 < b and 0x30 <= chars[i + digits + 1] <= 0x39:
            digits += 1
        if not 2 <= digits <= 5:
            return False
        i += digits + 1
    return i == b or chars[i] in (0x2F, 0x3F, 0x23)  # / ? #
