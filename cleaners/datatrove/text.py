"""Characters, lines and equal spans of a text as datatrove's filters count them.

Where hashes are equal the bytes are compared, so counts of copies are exactly datatrove's.
"""

from functools import cache

import numpy as np

from cleaners.kernels.fnv import fnv_of
from cleaners.kernels.sentences import SENTENCE_ENDS
from shards.compiled import kernel
from shards.hash_table import table_size
from shards.unicode import decode

# Of datatrove.utils.text: TERMINAL_PUNCTUATION, and the rest of PUNCTUATION without control characters.
TERMINAL_PUNCTUATION = SENTENCE_ENDS + (
    "𐩖𐩗𐽕𐽖𐽗𐽘𐽙𐾆𐾇𐾈𐾉𑁇𑁈𑂾𑂿𑃀𑃁𑅁𑅂𑅃𑇅𑇆𑇍𑇞𑇟𑈸𑈹𑈻𑈼𑊩𑑋𑑌𑗂𑗃𑗉𑗊𑗋𑗌𑗍𑗎𑗏𑗐𑗑𑗒𑗓𑗔𑗕𑗖𑗗𑙁𑙂𑜼𑜽𑜾𑥄𑥆𑩂𑩃𑪛𑪜𑱁𑱂𑻷𑻸\U00011f43\U00011f44𖩮𖩯𖫵𖬷𖬸𖭄𖺘𛲟𝪈"
)
PUNCTUATION = "\"#$%&'()*+,-/:;<=>@[\\]^_`{|}~«´»–—’“”„…∶━►、〈〉《》「」【】％（），１：；～"

SPACE, ALPHA, SYMBOL, BREAK = 1, 2, 4, 8

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@cache
def traits() -> np.ndarray:
    """uint8[0x110000]: bits for white space, letters, their PUNCTUATION_SET, the breaks of `str.splitlines`."""
    table = np.zeros(0x110000, np.uint8)
    for c in range(0x3_2400):  # there are neither letters nor white space above
        table[c] = chr(c).isspace() * SPACE | chr(c).isalpha() * ALPHA
    controls = [*range(9), *range(11, 32), *range(127, 160)]
    table[[*map(ord, TERMINAL_PUNCTUATION + PUNCTUATION), *controls]] |= SYMBOL
    table[[*range(0x0A, 0x0E), *range(0x1C, 0x1F), 0x85, 0x2028, 0x2029]] |= BREAK
    return table


@kernel
def split_at_newlines(data, start, end, least, starts, ends):
    r"""Write the spans of `re.split(r"\n{least,}", text)` and return their number; the first and last may be empty."""
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
    """(number of the n spans of data that equal an earlier one, their characters); `units` is a set for n spans."""
    mask = emptied(units, n)
    distinct, copies, chars = 0, 0, 0
    for u in range(n):
        h = fnv_of(data, starts[u], ends[u])
        if find(data, starts[u], ends[u], h, units, mask, distinct) == distinct:
            distinct += 1
        else:
            copies += 1
            chars += count_chars(data, starts[u], ends[u])
    return copies, chars


@kernel
def new_set(room):
    """An open-addressing set of spans: (slots, keys, starts, ends). A slot holds the index of a span plus 1."""
    slots = np.empty(table_size(room), np.int64)
    return slots, np.empty(room, np.uint64), np.empty(room, np.int64), np.empty(room, np.int64)


@kernel(inline="always")
def emptied(spans, room):
    """Empty the set, and return the mask for a table that `room` spans leave at most half full."""
    size = table_size(room)
    spans[0][:size] = 0
    return size - 1


@kernel
def find(data, start, end, key, spans, mask, num_spans):
    """The index of the span that equals data[start:end]. If there is none, the span is entered at `num_spans`."""
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
    count = 0
    for i in range(start, end):
        count += data[i] == byte
    return count


@kernel
def stripped(data, start, end, table, space):
    """The span of `str.strip`. c is white space where table[c] & space is not 0."""
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
    """The offset of the character before `end`."""
    i = end - 1
    while data[i] & 0xC0 == 0x80:
        i -= 1
    return i
