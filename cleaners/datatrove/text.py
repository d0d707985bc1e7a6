"""How datatrove's filters see a text: characters, lines, and which spans are equal.

Equal hashes are followed by a comparison of the bytes, so counts of copies are datatrove's and not only likely to be.
"""

from functools import cache

import numpy as np

from cleaners.kernels.sentences import SENTENCE_ENDS
from shards.compiled import kernel
from shards.hash_table import table_size
from shards.unicode import decode

# datatrove.utils.text: TERMINAL_PUNCTUATION, and what else of PUNCTUATION is no control character.
TERMINAL_PUNCTUATION = SENTENCE_ENDS + (
    "𐩖𐩗𐽕𐽖𐽗𐽘𐽙𐾆𐾇𐾈𐾉𑁇𑁈𑂾𑂿𑃀𑃁𑅁𑅂𑅃𑇅𑇆𑇍𑇞𑇟𑈸𑈹𑈻𑈼𑊩𑑋𑑌𑗂𑗃𑗉𑗊𑗋𑗌𑗍𑗎𑗏𑗐𑗑𑗒𑗓𑗔𑗕𑗖𑗗𑙁𑙂𑜼𑜽𑜾𑥄𑥆𑩂𑩃𑪛𑪜𑱁𑱂𑻷𑻸\U00011f43\U00011f44𖩮𖩯𖫵𖬷𖬸𖭄𖺘𛲟𝪈"
)
PUNCTUATION = "\"#$%&'()*+,-/:;<=>@[\\]^_`{|}~«´»–—’“”„…∶━►、〈〉《》「」【】％（），１：；～"

SPACE, ALPHA, SYMBOL, BREAK = 1, 2, 4, 8

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@cache
def traits() -> np.ndarray:
    """uint8[0x110000]: bits for white space, letters, their PUNCTUATION_SET, the breaks of `str.splitlines`."""
    table = np.zeros(0x110000, np.uint8)
    for c in range(0x3_2400):  # above lie neither letters nor white space
        table[c] = chr(c).isspace() * SPACE | chr(c).isalpha() * ALPHA
    controls = [*range(9), *range(11, 32), *range(127, 160)]
    table[[*map(ord, TERMINAL_PUNCTUATION + PUNCTUATION), *controls]] |= SYMBOL
    table[[*range(0x0A, 0x0E), *range(0x1C, 0x1F), 0x85, 0x2028, 0x2029]] |= BREAK
    return table


@kernel
def split_at_newlines(data, start, end, least, starts, ends):
    r"""Writes the spans of `re.split(r"\n{least,}", text)`, whose first and last may be empty; returns their number."""
    n = 0
    first = i = start
    while i < end:
        if data[i] != 10:
            i += 1
            continue
        run = i
        while i < end and data[i] == 10:
            i += 1
        if i - run >= least:
            starts[n], ends[n] = first, run
            n += 1
            first = i
    starts[n], ends[n] = first, end
    return n + 1


@kernel
def later_copies(data, starts, ends, n, units):
    """(how many of the n spans of data equal an earlier one, their characters); `units` is a set for n."""
    mask = emptied(units, n)
    distinct, copies, chars = 0, 0, 0
    for u in range(n):
        h = _FNV_OFFSET
        for i in range(starts[u], ends[u]):
            h = (h ^ np.uint64(data[i])) * _FNV_PRIME
        if find(data, starts[u], ends[u], h, units, mask, distinct) == distinct:
            distinct += 1
        else:
            copies += 1
            chars += count_chars(data, starts[u], ends[u])
    return copies, chars


@kernel
def new_set(room):
    """An open-addressing set of spans: (slots, keys, starts, ends); a slot holds the number of a span plus 1."""
    slots = np.empty(table_size(room), np.int64)
    return slots, np.empty(room, np.uint64), np.empty(room, np.int64), np.empty(room, np.int64)


@kernel(inline="always")
def emptied(spans, room):
    """The mask for a table that `room` spans leave at most half full; its slots are free."""
    size = table_size(room)
    spans[0][:size] = 0
    return size - 1


@kernel
def find(data, start, end, key, spans, mask, num_spans):
    """The number of the span that equals data[start:end], which is entered as `num_spans` where none does."""
    slots, keys, starts, ends = spans
    # The high half of the product depends on every bit of the key.
    slot = np.int64((key * _MULTIPLIER) >> np.uint64(32)) & mask
    while slots[slot] > 0:
        k = slots[slot] - 1
        if keys[k] == key and ends[k] - starts[k] == end - start:
            i = 0
            while i < end - start and data[starts[k] + i] == data[start + i]:
                i += 1
            if i == end - start:
                return k
        slot = (slot + 1) & mask
    slots[slot] = num_spans + 1
    keys[num_spans], starts[num_spans], ends[num_spans] = key, start, end
    return num_spans


@kernel(inline="always")
def count_chars(data, start, end):
    chars = 0
    for i in range(start, end):
        chars += (data[i] & 0xC0) != 0x80
    return chars


@kernel(inline="always")
def count_byte(data, start, end, byte):
    found = 0
    for i in range(start, end):
        found += data[i] == byte
    return found


@kernel
def stripped(data, start, end, table, space):
    """The span of `str.strip`, where table[c] & space says that c is white space."""
    while start < end and table[decode(data, start)[0]] & space:
        start = decode(data, start)[1]
    while end > start:
        i = last_start(data, end)
        if not table[decode(data, i)[0]] & space:
            break
        end = i
    return start, end


@kernel(inline="always")
def last_start(data, end):
    """Where the character before `end` begins."""
    i = end - 1
    while data[i] & 0xC0 == 0x80:
        i -= 1
    return i
