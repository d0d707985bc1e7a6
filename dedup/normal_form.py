"""The normal form in which texts are compared, so that what looks the same is the same.

    "Ｅｌe\\u0301ve", "Elé\\u00adve"   ▶  "Eléve"        "за\\u0301мок"  ▶  "замок"        "كتــاب"  ▶  "كتاب"

It is NFKC (UAX #15) of letters, marks and digits, without default-ignorable code points (DerivedCoreProperties.txt of
Unicode 15), Arabic tatweel, and the acute accent by which Russian marks stress on a vowel. Punctuation and symbols
stay: words have none, and "，" for "," is no reason to touch every Chinese text. Documents keep their own texts.

One pass over the bytes finds the pieces of text that change: it takes .01 ms a page, and finds some in 6 % of the pages
of a crawl. All other texts are compared as they are. Indexes store hashes of the form: `VERSION` is part of their
settings, and is raised with every change here.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Self

import numpy as np
import pyarrow as pa

from shards.compiled import kernel
from shards.spans import Spans, replace
from shards.unicode import IDEOGRAPH, LETTER, MARK, NUMBER, classes, decode, text_buffers

VERSION = 1

_IGNORED = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
_TATWEEL = 0x0640
_ACUTE = 0x0301
_STRESSED = "аеёиоуыэюяєіїѣАЕЁИОУЫЭЮЯЄІЇѢ"
_STRESS = re.compile(f"(?<=[{_STRESSED}])[\u0300-\u036f]+")

# Bits of `_traits`; the lowest eight are the canonical combining class.
_CHANGES = np.uint16(256)  # by itself
_ALONE = np.uint16(512)  # and what comes of it is no mark on the character before
_FIRST = np.uint16(1024)  # composes with, or loses, a mark after it
_SECOND = np.uint16(2048)  # is such a mark
_CLASS = np.uint16(255)

_LONGEST = 1024  # bytes of a piece: marks are sorted in quadratic time, and no writing has more than 30 on a letter


def comparable(text: pa.LargeStringArray) -> pa.LargeStringArray:
    """`text` with each row in its normal form; the same array where no row changes."""
    spans, forms = _changes(text)
    return replace(text, spans, forms)


def changed_rows(text: pa.LargeStringArray) -> np.ndarray:
    """i64, ascending: the rows that may not be in their normal form."""
    return np.unique(_changed_pieces(*text_buffers(text), _traits())[0])


@dataclass(frozen=True)
class NormalForm:
    """Normal forms, and where their changed pieces lie in both: i64[pieces], offsets in the bytes of `text_buffers`."""

    text: pa.LargeStringArray
    begins: np.ndarray
    ends: np.ndarray
    source_begins: np.ndarray
    source_ends: np.ndarray

    @classmethod
    def of(cls, source: pa.LargeStringArray) -> Self:
        spans, forms = _changes(source)
        text, sizes = replace(source, spans, forms), np.array([len(form) for form in forms], np.int64)
        (_, offsets), (_, source_offsets) = text_buffers(text), text_buffers(source)
        begins = source_offsets[spans.rows] + spans.starts
        ends = source_offsets[spans.rows] + spans.ends
        form_ends = ends + np.cumsum(sizes - (ends - begins)) + offsets[0] - source_offsets[0]
        return cls(text, form_ends - sizes, form_ends, begins, ends)

    def sources(self, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The spans of the source that become [starts, ends) of the forms; they hold each changed piece whole."""
        first, last = np.searchsorted(self.begins, starts, "right") - 1, np.searchsorted(self.begins, ends) - 1
        return self._source(starts, first, self.source_begins), self._source(ends, last, self.source_ends)

    def _source(self, offsets: np.ndarray, pieces: np.ndarray, edges: np.ndarray) -> np.ndarray:
        """The source of `offsets`, whose last piece that begins before is in `pieces`: its edge, or as far after it."""
        inside = (pieces >= 0) & ((offsets < self.ends[pieces]) | (offsets == self.begins[pieces]))
        shift = np.where(pieces < 0, 0, self.source_ends[pieces] - self.ends[pieces])
        return np.where(inside, edges[pieces], offsets + shift)


def _changes(text: pa.LargeStringArray) -> tuple[Spans, list[bytes]]:
    """The pieces of `text` that change, and what becomes of each."""
    data, offsets = text_buffers(text)
    spans = Spans(*_changed_pieces(data, offsets, _traits()))
    begins = offsets[spans.rows]
    bounds = zip((begins + spans.starts).tolist(), (begins + spans.ends).tolist(), strict=True)
    return spans, [_form_of(data[begin:end].tobytes()) for begin, end in bounds]


@lru_cache(1 << 16)
def _form_of(piece: bytes) -> bytes:
    """The normal form of a piece: no character before or after it changes what becomes of it."""
    return normal_form(piece.decode()).encode()


def normal_form(text: str) -> str:
    """The normal form of one text, by its definition; `comparable` makes it of the pieces that change."""
    composed = unicodedata.normalize("NFC", text.translate(_forms()))
    if chr(_ACUTE) not in composed:
        return composed
    return unicodedata.normalize("NFC", _STRESS.sub(lambda marks: marks[0].replace(chr(_ACUTE), ""), composed))


@cache
def _forms() -> dict[int, str]:
    """The form of each code point that changes by itself."""
    in_words = np.isin(classes(), (LETTER, MARK, NUMBER, IDEOGRAPH))
    ignored = {c for first, last in _IGNORED for c in range(first, last + 1)} | {_TATWEEL}
    forms = dict.fromkeys(ignored, "")
    for c in range(0x3_2400):  # Unicode has assigned no letters, marks or digits from here on
        form = unicodedata.normalize("NFKC" if in_words[c] else "NFC", chr(c))
        if form != chr(c) and c not in ignored:
            forms[c] = "".join(part for part in form if ord(part) not in ignored)
    return forms


@cache
def _compositions() -> tuple[frozenset[int], frozenset[int]]:
    """(first code points, second ones) of all pairs that change beside each other."""
    firsts, seconds = {*map(ord, _STRESSED), *range(0x1100, 0x1113), *range(0xAC00, 0xD7A4, 28)}, {_ACUTE}
    seconds |= {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}  # Hangul: consonant, vowel, consonant
    for c in range(0x3_2400):
        parts = unicodedata.decomposition(chr(c)).split()
        if len(parts) == 2 and unicodedata.is_normalized("NFC", chr(c)) and not parts[0].startswith("<"):
            firsts.add(int(parts[0], 16))
            seconds.add(int(parts[1], 16))
    return frozenset(firsts), frozenset(seconds)


@cache
def _traits() -> np.ndarray:
    """uint16[0x110000]: what `_changed_pieces` must know of each code point."""
    firsts, seconds = _compositions()
    table = np.zeros(0x110000, np.uint16)
    table[:0x3_2400] = [unicodedata.combining(chr(c)) for c in range(0x3_2400)]
    for bit, codes in ((_FIRST, firsts), (_SECOND, seconds), (_CHANGES, _forms().keys())):
        table[list(codes)] |= bit
    is_mark = (table & (_CLASS | _SECOND)) > 0
    table[[c for c, form in _forms().items() if form and not is_mark[ord(form[0])]]] |= _ALONE
    return table


@kernel
def _changed_pieces(data, offsets, traits):
    """(rows, starts, ends) of the pieces that change: a character with the marks after it, or the marks alone.

    A piece changes by a code point that does, by a mark that composes with the character or is after another mark, or
    by marks that are not in the order of their combining classes.
    """
    out = np.empty((3, 64), np.int64)
    n = 0
    for row in range(len(offsets) - 1):
        i, end = offsets[row], offsets[row + 1]
        while True:
            begin, before, trait, i = _next_piece(data, i, end, traits)
            if begin == end:
                break
            changes = _changes_after(before, trait)
            while i < min(end, begin + _LONGEST):
                code, after = decode(data, i)
                before, trait = trait, traits[code]
                if trait & _ALONE or not trait & (_CLASS | _SECOND | _CHANGES):
                    break
                changes = changes or _changes_after(before, trait)
                i = after
            if changes:
                if n == out.shape[1]:
                    out = np.concatenate((out, out), axis=1)
                out[0, n], out[1, n], out[2, n] = row, begin - offsets[row], i - offsets[row]
                n += 1
    return out[0, :n].copy(), out[1, :n].copy(), out[2, :n].copy()


@kernel(inline="always")
def _next_piece(data, i, end, traits):
    """(begin of a piece, traits before its first mark or change and of that, offset after it); (end, …) without one."""
    start, before = i, np.uint16(0)  # of the last character
    while i < end:
        if data[i] < 0x80:
            while i < end and data[i] < 0x80:
                i += 1
            start, before = i - 1, traits[data[i - 1]]
            continue
        here = i
        code, i = decode(data, i)
        trait = traits[code]
        if trait & ~_FIRST:
            return start if before & _FIRST and not trait & _ALONE else here, before, trait, i
        start, before = here, trait
    return end, np.uint16(0), np.uint16(0), end


@kernel(inline="always")
def _changes_after(before, trait):
    """Whether the character of `trait` changes after the one of `before`."""
    of_before = before & _CLASS
    composes = trait & _SECOND > 0 and (before & _FIRST > 0 or of_before > 0)
    return trait & _CHANGES > 0 or composes or 0 < trait & _CLASS < of_before
