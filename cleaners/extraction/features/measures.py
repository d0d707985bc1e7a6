"""Measures of the text of each block: lengths, links, punctuation, words. They take one pass over the bytes, in any
script. In scripts that do not space words, two characters count as one word.
"""

from typing import NamedTuple

import numpy as np

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.features.hashing import EMPTY, hash_of, step
from cleaners.extraction.html import tags
from cleaners.extraction.html.nodes import BOLD, HIDDEN
from cleaners.extraction.html.text import max_text_bytes, write_node, write_raw
from shards.compiled import kernel
from shards.unicode import decode

MAX_WORDS = 40  # of a block that are hashed: the first words tell what it is about
_MAX_WORD_CHARS = 24

MEASURE = np.dtype(
    [
        ("chars", np.float32),  # without white space
        ("link_chars", np.float32),
        ("bold_chars", np.float32),
        ("words", np.float32),
        ("links", np.float32),
        ("punctuation", np.float32),  # ends of sentences and clauses
        ("commas", np.float32),
        ("digits", np.float32),
        ("symbols", np.float32),  # | / > › • – and similar ones
        ("capitalised", np.float32),  # words
        ("all_caps", np.float32),  # words
        ("word_chars", np.float32),
        ("stop_words", np.float32),
        ("currency", np.float32),
        ("beyond_ascii", np.float32),
        ("breaks", np.float32),  # <br>
        ("copyright", np.float32),  # 1 with a copyright sign
        ("ending", np.float32),  # 1 if it ends as a sentence, 2 with a colon, 0 otherwise
        ("hidden", np.float32),  # 1 if some of its text is
        ("hash", np.uint32),  # of letters and digits: equal for equal texts
    ],
    align=True,
)


class MeasuredBlocks(NamedTuple):
    """The measures and the first words of a page's blocks."""

    measures: np.ndarray  # MEASURE[blocks]
    words: np.ndarray  # uint32: hashes of the first words of blocks, in lower case
    offsets: np.ndarray  # int32[blocks + 1] into words


# Words that hold sentences together and that menus lack, in the languages of most pages.
_STOP_WORDS = (
    "the a an of to in and is are was were be been it its this that these those for on with as at by from or not have "
    "has had he she they we you i his her their our your but will would can could if when which who what there more "
    "about into than then so "
    "и в не на что с он как это по но из за то же от бы о для так его у мы все они был она только или ещё если уже "
    "der die das und ist zu den von mit nicht auf ein eine im dem sich des auch es an als aus wie werden wird sind bei "
    "le la les et est dans que qui pour des une pas sur ce il plus avec sont du au ne se "
    "el los las y en que por para con una su se del es lo como más pero sus al "
    "di che è per un non sono si da della nel alla ma anche i gli "
    "o e do da em um uma não os no na por mais ao dos "
    "de het een van ik dat niet zijn op te voor met "
    "w nie się na z do jest że to jak po "
    "ve bir bu için ile de da"
).split()
_STOP_CHARACTERS = "的了是在不和有我他这這个個们們为為也就说說都而与與の は を に が で と も".replace(" ", "")
_SLOTS = 4096


def _table(words: list[str]) -> np.ndarray:
    table = np.zeros(_SLOTS, np.uint32)
    for word in sorted(set(words)):
        slot = hash_of(word) % _SLOTS
        while table[slot]:
            slot = (slot + 1) % _SLOTS
        table[slot] = hash_of(word)
    return table


_STOP_TABLE = _table([*_STOP_WORDS, *_STOP_CHARACTERS])

_SPACE, _LETTER, _IDEOGRAPH, _DIGIT, _COMMA, _END, _COLON, _SYMBOL, _CURRENCY, _COPYRIGHT, _CLOSING, _OTHER = range(12)
_KINDS = np.full(128, _OTHER, np.uint8)
_KINDS[:33] = _SPACE
for _characters, _kind in {
    "0123456789": _DIGIT,
    ",": _COMMA,
    ".!?;": _END,
    ":": _COLON,
    "|/\\<>=+*#~_^": _SYMBOL,
    "$": _CURRENCY,
    "\"')]}": _CLOSING,
}.items():
    _KINDS[[ord(c) for c in _characters]] = _kind
_KINDS[65:91] = _KINDS[97:123] = _LETTER
_IS_LETTER = np.zeros(256, np.bool_)  # of bytes: ASCII letters
_IS_LETTER[:128] = _KINDS == _LETTER


@kernel
def kind_beyond_ascii(c):
    """The kind of a code point from 128 on."""
    if c < 0xC0:
        if c in (0xA0, 0x85, 0xAD):
            return _SPACE
        if c == 0xA9:
            return _COPYRIGHT
        if 0xA2 <= c <= 0xA5:
            return _CURRENCY
        if c in (0xAA, 0xB5, 0xBA):
            return _LETTER
        return _CLOSING if c in (0xAB, 0xBB) else _SYMBOL
    if c < 0x2000:
        if c in (0xD7, 0xF7):
            return _SYMBOL
        if 0x660 <= c <= 0x669 or 0x6F0 <= c <= 0x6F9 or 0x966 <= c <= 0x96F:
            return _DIGIT
        if c in (0x37E, 0x589, 0x61B, 0x61F, 0x6D4, 0x964, 0x965, 0x1362):
            return _END
        return _COMMA if c == 0x60C else _LETTER
    if c < 0x2070:
        if c <= 0x200F or 0x2028 <= c <= 0x202F or c >= 0x205F:
            return _SPACE
        if c == 0x2026 or c == 0x203D:
            return _END
        return _CLOSING if 0x2018 <= c <= 0x201F else _SYMBOL
    if c < 0x2C00:
        return _CURRENCY if 0x20A0 <= c <= 0x20CF else _SYMBOL
    if c < 0x3040:
        if c == 0x3000:
            return _SPACE
        if c == 0x3002:
            return _END
        if c == 0x3001:
            return _COMMA
        if c < 0x2E00 or 0x3005 <= c <= 0x3007:
            return _LETTER
        return _CLOSING if 0x3008 <= c <= 0x3011 else _SYMBOL
    if c < 0xA4D0 or 0xF900 <= c < 0xFB00 or 0x20000 <= c < 0x32000:
        return _IDEOGRAPH
    if 0xFF00 <= c < 0xFF66:
        if c == 0xFF0C or c == 0xFF64:
            return _COMMA
        if c in (0xFF01, 0xFF0E, 0xFF1B, 0xFF1F, 0xFF61):
            return _END
        if c == 0xFF1A:
            return _COLON
        if 0xFF10 <= c <= 0xFF19:
            return _DIGIT
        return _LETTER if 0xFF21 <= c <= 0xFF5A else _SYMBOL
    return _SYMBOL if c >= 0x1F000 else _LETTER


@kernel(inline="always")
def _small(c):
    """The lower case of a Latin, Greek or Cyrillic capital, else the code point itself."""
    if 65 <= c <= 90:
        return c + 32
    if c < 0xC0:
        return c
    if c <= 0xDE or 0x391 <= c <= 0x3A9 or 0x410 <= c <= 0x42F or 0xFF21 <= c <= 0xFF3A:
        return c + 32
    if 0x100 <= c <= 0x17E:
        if c == 0x130:  # a dotted capital I
            return 105
        if c == 0x178:
            return 0xFF
        capitals_are_odd = 0x139 <= c <= 0x148 or c >= 0x179
        return c + 1 if (c & 1) == capitals_are_odd and c not in (0x138, 0x149) else c
    return c + 80 if 0x400 <= c <= 0x40F else c


@kernel
def is_stop_word(state):
    slot = state & (_SLOTS - 1)
    while _STOP_TABLE[slot]:
        if _STOP_TABLE[slot] == state:
            return True
        slot = (slot + 1) & (_SLOTS - 1)
    return False


@kernel
def measure(data, nodes, blocks):
    """The `MeasuredBlocks` of a page's `Blocks`."""
    number = len(blocks.blocks)
    out = np.zeros(number, MEASURE)
    words = np.empty(len(data) // 2 + 8 * number + 8, np.uint32)
    offsets = np.zeros(number + 1, np.int32)
    text = np.empty(max_text_bytes(len(data)) + len(blocks.texts) + 8, np.uint8)
    _measure_blocks(data, nodes, blocks, text, out, words, offsets)
    return MeasuredBlocks(out, words[: offsets[number]].copy(), offsets)


@kernel
def _measure_blocks(data, nodes, blocks, text, measures, words, offsets):
    data, nodes, blocks, text = borrowed(data), borrowed(nodes), borrowed(blocks), borrowed(text)
    measures, words, offsets = borrowed(measures), borrowed(words), borrowed(offsets)
    for b in range(len(measures)):
        offsets[b + 1] = _measure_block(data, nodes, blocks, b, measures, text, words, offsets[b])


@kernel(inline="always")
def _measure_block(data, nodes, blocks, b, measures, text, words, at):
    m = measures[b]
    # What changes with every character is kept in registers: a field of a record would be read and written each time.
    chars = beyond_ascii = ending = 0
    first_word = at
    last_link = -1
    # A word may go on from one text node to the next: <b>T</b>he.
    word, length, is_capitalised, is_all_caps = EMPTY, 0, False, True
    whole = EMPTY
    end = 0
    for t in range(blocks.blocks[b].first, blocks.blocks[b].end):
        node = blocks.texts[t]
        begin = end
        if t > blocks.blocks[b].first:
            for k in range(blocks.texts[t - 1] + 1, node):
                if nodes[k].tag == tags.BR:
                    m.breaks += 1
                    text[end] = 10
                    end += 1
        end = write_node(data, nodes, node, text, 0, end)
        chars_before = chars
        if nodes[node].flags & HIDDEN:
            m.hidden = 1
        i = begin
        while i < end:
            if _IS_LETTER[text[i]]:
                if length == 0:
                    is_capitalised = text[i] < 97
                    is_all_caps = True
                chars -= i
                while i < end and _IS_LETTER[text[i]]:
                    is_all_caps &= text[i] < 97
                    small = text[i] | 32
                    if length < _MAX_WORD_CHARS:
                        word = step(word, small)
                    whole = step(whole, small)
                    length += 1
                    i += 1
                chars += i
                ending = 0
                continue
            c, i = decode(text, i)
            kind = _KINDS[c] if c < 128 else kind_beyond_ascii(c)
            if kind == _LETTER:
                small = _small(c)
                if length == 0:
                    is_capitalised = small != c
                    is_all_caps = True
                is_all_caps = is_all_caps and small != c
                if length < _MAX_WORD_CHARS:
                    word = step(word, small)
                whole = step(whole, small)
                length += 1
                chars += 1
                beyond_ascii += 1
                ending = 0
                continue
            if length:
                at = _end_word(m, word, length, is_capitalised, is_all_caps, words, first_word, at)
                word, length = EMPTY, 0
            if kind == _SPACE:
                continue
            chars += 1
            beyond_ascii += c >= 128
            if kind == _IDEOGRAPH:
                whole = step(whole, c)
                state = step(EMPTY, c)
                m.words += 0.5
                m.word_chars += 1
                m.stop_words += 0.5 * is_stop_word(state)
                if at < first_word + MAX_WORDS:
                    words[at] = state
                    at += 1
                ending = 0
            elif kind == _DIGIT:
                whole = step(whole, c)
                m.digits += 1
                ending = 0
            elif kind == _COMMA:
                m.commas += 1
                m.punctuation += 1
                ending = 0
            elif kind == _END:
                m.punctuation += 1
                ending = 1
            elif kind == _COLON:
                ending = 2
            elif kind != _CLOSING:
                ending = 0
                m.symbols += kind == _SYMBOL
                m.currency += kind == _CURRENCY
                if kind == _COPYRIGHT:
                    m.copyright = 1
        if nodes[node].link >= 0:
            m.link_chars += chars - chars_before
            m.links += nodes[node].link != last_link
            last_link = nodes[node].link
        if nodes[node].flags & BOLD:
            m.bold_chars += chars - chars_before
    if length:
        at = _end_word(m, word, length, is_capitalised, is_all_caps, words, first_word, at)
    m.chars, m.beyond_ascii, m.ending, m.hash = chars, beyond_ascii, ending, whole
    return at


@kernel
def hash_words(data, nodes, node, words):
    """Hash the words of text node `node` into `words`, uint32[MAX_WORDS], as those of blocks; return their number."""
    text = np.empty(max_text_bytes(nodes[node].end - nodes[node].start) + 8, np.uint8)
    return _hash_text_words(text, write_node(data, nodes, node, text, 0, 0), words)


@kernel
def hash_value_words(data, start, end, words):
    """As `hash_words`, of an attribute's value."""
    text = np.empty(max_text_bytes(end - start) + 8, np.uint8)
    return _hash_text_words(text, write_raw(data, start, end, True, True, text, 0), words)


@kernel
def _hash_text_words(text, end, words):
    number = i = length = 0
    word = EMPTY
    while i <= end and number < MAX_WORDS:
        c, i = decode(text, i) if i < end else (np.uint32(32), end + 1)
        kind = _KINDS[c] if c < 128 else kind_beyond_ascii(c)
        if kind == _LETTER:
            if length < _MAX_WORD_CHARS:
                word = step(word, _small(c))
            length += 1
            continue
        if length:
            words[number] = word
            number += 1
            word, length = EMPTY, 0
        if kind == _IDEOGRAPH and number < MAX_WORDS:
            words[number] = step(EMPTY, c)
            number += 1
    return number


@kernel(inline="always")
def _end_word(m, word, length, is_capitalised, is_all_caps, words, first_word, at):
    m.words += 1
    m.word_chars += length
    m.capitalised += is_capitalised
    m.all_caps += is_all_caps and length > 1
    m.stop_words += is_stop_word(word)
    if at < first_word + MAX_WORDS:
        words[at] = word
        at += 1
    return at
