"""Repeated lines or paragraphs, in one document or in several.

CCNet (Wenzek et al. 2020, arXiv 1911.00359, section 3) splits at line ends and removes every copy. Its code keeps the
first of a line that only one document repeats; `keep = "none"` does not. C4's code (TFDS
`c4_utils.remove_duplicate_text`) keeps one, as `keep = "first"` does. Pieces are compared after this normalisation, and
with `ccnet` and `c4` in their normal form (`dedup.normal_form`):

    ccnet   strip white space, lower case, digits to 0; drop control characters and the marks of
            `normalize_for_dedup` in CCNet's code, all beyond ASCII; accents stay, unlike in the paper
    c4      strip white space, lower case
    none    nothing

A blank line is not a piece: it separates paragraphs. A cut includes one line end, and blank lines that would otherwise
be doubled, so the pieces that are left are separated as before:

    a [⏎ cut] ⏎ b        a [⏎ cut] ⏎⏎ b        a ⏎⏎ [cut ⏎] b        a ⏎⏎ [cut ⏎⏎] b        a [⏎⏎ cut] ⏎
"""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from dedup.normal_form import changed_rows, comparable
from dedup.repeats.engine import HashSet, Marks, Pieces
from dedup.repeats.passages import FIELDS, PassagesConfig
from dedup.word_hashes import CHECK, CHECK_STEP, START, STEP, mixed_once
from shards.compiled import kernel
from shards.exchange import Cost
from shards.unicode import NUMBER, SPACE, classes, decode, lowercase, text_buffers

Split = Literal["line", "paragraph"]  # a paragraph ends at a blank line
Normalize = Literal["ccnet", "c4", "none"]

_MARKS = "，。、„”“«»」「《》´∶：？！（）；–—．～’…━〈〉【】％►"  # UNICODE_PUNCT of cc_net/text_normalizer.py
_DROPPED = np.uint32(0xFFFFFFFF)
_32 = np.uint64(32)
_NEWLINE, _RETURN = 10, 13


class ParagraphsConfig(PassagesConfig):
    """Kind `paragraphs`."""

    version: ClassVar[int] = 2  # 2: normal forms are compared
    reason: ClassVar[str] = "dedup.paragraphs"

    split: Split = "line"
    normalize: Normalize = "ccnet"
    min_piece_chars: int = Field(1, ge=1)  # normalised characters; shorter lines or paragraphs stay
    keep: Literal["first", "none"] = "none"
    min_chars: int = Field(1, ge=1)

    @property
    def cost(self) -> Cost:
        return Cost(
            seconds_per_mb=0.0074,
            bytes_per_text_byte=3,
            disk_per_text_byte=0.39,  # of lines of ten words
            driver_seconds_per_document=1.8e-6,
            driver_bytes_per_document=40,
            text_reads=3,
        )

    def hasher(self) -> "Paragraphs":
        return Paragraphs(self.split, self.normalize, self.min_piece_chars)

    def spans(self, text: pa.LargeStringArray, rows: np.ndarray, starts: np.ndarray, goes: np.ndarray) -> np.ndarray:
        found = np.empty((len(FIELDS) + 1, len(goes)), np.int64)
        paragraphs = self.split == "paragraph"
        return found[:, : spans_of(*text_buffers(text), classes(), paragraphs, rows, starts, goes, *found)]


@dataclass(frozen=True)
class Paragraphs:
    """A `dedup.repeats.engine.Hasher` whose pieces are lines or paragraphs; a piece's mark is its hash."""

    split: Split
    normalize: Normalize
    min_chars: int = 1

    def marks(self, text: pa.LargeStringArray) -> Marks:
        rows, _, hashes, _ = self._pieces(text, np.ones(len(text), np.bool_))
        return Marks(hashes, np.bincount(rows, minlength=len(text)))

    def pieces(self, text: pa.LargeStringArray, chosen: np.ndarray, repeated: HashSet) -> Pieces:
        pieces = self._pieces(text, chosen)
        is_repeated = repeated.has(pieces.hashes)
        return Pieces(*(values[is_repeated] for values in pieces))

    def _pieces(self, text: pa.LargeStringArray, chosen: np.ndarray) -> Pieces:
        table, strip, paragraphs = characters(self.normalize), self.normalize != "none", self.split == "paragraph"
        changed = np.zeros(len(text), np.bool_)
        if self.normalize != "none":
            changed[changed_rows(text)] = True
        settings = (classes(), table, strip, paragraphs, self.min_chars)
        plain = Pieces(*hash_pieces(*text_buffers(text), *settings, chosen & ~changed))
        changed &= chosen
        if not changed.any():
            return plain
        both = [np.concatenate(parts) for parts in zip(plain, self._normal_pieces(text, changed), strict=True)]
        order = np.lexsort((both[1], both[0]))
        return Pieces(*(values[order] for values in both))

    def _normal_pieces(self, text: pa.LargeStringArray, chosen: np.ndarray) -> Pieces:
        """The pieces of rows that change: they begin where they do in the text, and are hashed in their normal form."""
        data, offsets = text_buffers(text)
        rows, begins, ends = piece_spans(data, offsets, classes(), self.split == "paragraph", chosen)
        texts = [data[begin:end].tobytes() for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        forms = comparable(pa.array(texts, pa.large_binary()).cast(pa.large_string()))
        hashes, checks, chars = hash_wholes(*text_buffers(forms), classes(), characters(self.normalize))
        counts = chars >= self.min_chars
        return Pieces(rows[counts], (begins - offsets[rows])[counts], hashes[counts], checks[counts])


@cache
def characters(normalize: Normalize) -> np.ndarray:
    """uint32[0x110000]: the normalised form of each code point; `_DROPPED` if it has none."""
    if normalize == "none":
        return np.arange(0x110000, dtype=np.uint32)
    table = lowercase().copy()
    table[ord("ς")] = ord("σ")  # str.lower() writes either for Σ, depending on its position in the word
    if normalize == "ccnet":
        table[[c for c in np.flatnonzero(classes() == NUMBER) if chr(c).isdecimal()]] = ord("0")
        table[[*range(32), *range(127, 160), *map(ord, _MARKS)]] = _DROPPED
    return table


@kernel
def hash_pieces(data, offsets, classes, characters, strip, paragraphs, min_chars, chosen):
    """The fields of `Pieces` for the UTF-8 rows data[offsets] that are `chosen`."""
    size = 0
    for row in range(len(offsets) - 1):
        if chosen[row]:
            size += 1
            for i in range(offsets[row], offsets[row + 1]):
                size += data[i] == _NEWLINE
    rows, starts = np.empty(size, np.int64), np.empty(size, np.int64)
    hashes, checks = np.empty(size, np.uint64), np.empty(size, np.uint64)
    count = 0
    for row in range(len(offsets) - 1):
        i, end = offsets[row], offsets[row + 1]
        while chosen[row] and i < end:
            begin, stop, i = _next_piece(data, i, end, classes, paragraphs)
            start = begin
            if strip:
                begin, stop = _strip(data, begin, stop, classes)
            hashes[count], checks[count], chars = _hashes_of(data, begin, stop, characters)
            if chars >= min_chars:
                rows[count], starts[count] = row, start - offsets[row]
                count += 1
    return rows[:count], starts[:count], hashes[:count], checks[:count]


@kernel(inline="always")
def _hashes_of(data, begin, stop, characters):
    """(hash, second hash, number of characters) of a piece without white space at its ends."""
    word, check, chars = START, CHECK, 0
    while begin < stop:
        code, begin = decode(data, begin)
        character = characters[code]
        if character != _DROPPED:
            word = (word ^ np.uint64(character)) * STEP
            check = (check + np.uint64(character)) * CHECK_STEP
            chars += 1
    return mixed_once(word), check ^ (check >> _32), chars


@kernel
def piece_spans(data, offsets, classes, paragraphs, chosen):
    """(rows, begins, ends) of the pieces of `chosen` rows, in bytes of `data`."""
    out = np.empty((3, 64), np.int64)
    n = 0
    for row in range(len(offsets) - 1):
        i, end = offsets[row], offsets[row + 1]
        while chosen[row] and i < end:
            begin, stop, i = _next_piece(data, i, end, classes, paragraphs)
            if begin < end:
                if n == out.shape[1]:
                    out = np.concatenate((out, out), axis=1)
                out[0, n], out[1, n], out[2, n] = row, begin, stop
                n += 1
    return out[0, :n].copy(), out[1, :n].copy(), out[2, :n].copy()


@kernel
def hash_wholes(data, offsets, classes, characters):
    """(hashes, second hashes, numbers of characters) of whole rows without white space at their ends."""
    size = len(offsets) - 1
    hashes, checks, chars = np.empty(size, np.uint64), np.empty(size, np.uint64), np.empty(size, np.int64)
    for row in range(size):
        begin, stop = _strip(data, offsets[row], offsets[row + 1], classes)
        hashes[row], checks[row], chars[row] = _hashes_of(data, begin, stop, characters)
    return hashes, checks, chars


@kernel(inline="always")
def _next_piece(data, i, end, classes, paragraphs):
    """(begin, end without the line end, begin of the next line) of the first piece from the line at `i` on.

    If there is none, (end, end, end).
    """
    begin = stop = end
    while i < end:
        line = i
        while i < end and data[i] != _NEWLINE:
            i += 1
        line_end = i
        i = min(i + 1, end)
        k, code = line, np.uint32(0x20)
        while k < line_end and classes[code] == SPACE:
            code, k = decode(data, k)
        if classes[code] == SPACE:
            if begin < end:
                return begin, stop, i
            continue
        begin = min(begin, line)
        stop = line_end - (data[line_end - 1] == _RETURN)
        if not paragraphs:
            return begin, stop, i
    return begin, stop, i


@kernel(inline="always")
def _strip(data, begin, stop, classes):
    """[begin, stop) without white space at its ends."""
    while begin < stop:
        code, after = decode(data, begin)
        if classes[code] != SPACE:
            break
        begin = after
    while begin < stop:
        before = stop - 1
        while data[before] & 0xC0 == 0x80:
            before -= 1
        if classes[decode(data, before)[0]] != SPACE:
            break
        stop = before
    return begin, stop


@kernel
def spans_of(data, offsets, classes, paragraphs, rows, starts, goes, out_row, out_start, out_end, out_chars, out_piece):
    """Write the spans to cut, one for neighbouring pieces; returns their number. `out_piece` is a span's first piece.

    `rows` and `starts` are those of the repeated pieces, ascending; `goes` marks the pieces to cut.
    """
    count = piece = 0
    while piece < len(rows):
        row = rows[piece]
        base, i, end = offsets[row], offsets[row], offsets[row + 1]
        first, last = np.int64(-1), base  # of the current run of pieces to cut: begin of its first, end of its last
        kept = base  # end of the last piece that stays
        while True:
            begin, stop, i = _next_piece(data, i, end, classes, paragraphs)
            repeated = piece < len(rows) and rows[piece] == row and starts[piece] == begin - base
            if repeated and goes[piece]:
                if first < 0:
                    first = begin
                    out_piece[count] = piece
                last = stop
            elif first >= 0:
                if kept == base:
                    first, last = base, begin
                elif begin < end and _breaks(data, kept, first) > 1:
                    last = begin
                else:
                    first = kept
                chars = 0
                for k in range(first, last):
                    chars += (data[k] & 0xC0) != 0x80
                out_row[count], out_start[count], out_end[count] = row, first - base, last - base
                out_chars[count] = chars
                count += 1
                first = np.int64(-1)
            kept = kept if repeated and goes[piece] else stop
            piece += repeated
            if begin == end:
                break
    return count


@kernel(inline="always")
def _breaks(data, begin, end):
    breaks = 0
    for i in range(begin, end):
        breaks += data[i] == _NEWLINE
    return breaks
