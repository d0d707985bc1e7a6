"""A region of a text as patterns see it: full-width letters are narrow, so that "ｌｉ＠ｓｉｔｅ．ｃｎ" is an address.

Each character stands for one character of the text, so what is found has a place in it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_WIDE = [*map(ord, "＠．－＿＋（）"), *range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B)]
_HYPHENS = range(0x2010, 0x2014)  # as far as the en dash
_NARROW = {c: c - 0xFEE0 for c in _WIDE} | {0xA0: 0x20, 0x3000: 0x20} | dict.fromkeys(_HYPHENS, 0x2D)
_CONTEXT_BYTES = 160

Span = tuple[int, int]  # start and end


class Region:
    """The bytes `span` of a batch, in the row with the bytes `row`; bytes in `taken` match nothing."""

    def __init__(self, data: np.ndarray, row: Span, span: Span, taken: Sequence[Span] = ()) -> None:
        self._data, self._row, self._start = data, row, span[0]
        self._known = 0, span[0]  # the last place asked for: a long region is not read from its begin each time
        found = bytearray(data[span[0] : span[1]].tobytes())
        for start, end in taken:
            start, end = max(start, span[0]), min(end, span[1])
            found[start - span[0] : end - span[0]] = b"\xff" * (end - start)  # in no pattern
        self._given = found.decode("utf-8", "surrogateescape")  # a region may begin or end within a character
        self.text = self._given if self._given.isascii() else self._given.translate(_NARROW)

    def place(self, char: int) -> int:
        """The byte of the batch at which that character of `text` begins."""
        if self.text is self._given:
            return self._start + char
        known, byte = self._known
        first, last = sorted((known, char))
        num_bytes = len(self._given[first:last].encode("utf-8", "surrogateescape"))
        self._known = char, byte + (num_bytes if char > known else -num_bytes)
        return self._known[1]

    def before(self, char: int) -> str:
        """The row before that character, narrow, as far as `_CONTEXT_BYTES` go."""
        end = self.place(char)
        return self._read(max(self._row[0], end - _CONTEXT_BYTES), end)

    def after(self, char: int) -> str:
        start = self.place(char)
        return self._read(start, min(self._row[1], start + _CONTEXT_BYTES))

    def _read(self, start: int, end: int) -> str:
        return self._data[start:end].tobytes().decode("utf-8", "ignore").translate(_NARROW)


@dataclass(frozen=True)
class Search:
    """What is searched in which candidates, and what its matches become."""

    kind: str
    candidates: int  # EMAILS, ADDRESSES or NUMBERS of `cleaners.kernels.pii_candidates`
    find: Callable[[Region], Iterator[Span]]  # in characters of the region
    replacements: tuple[str, ...]

    def spans(self, region: Region) -> Iterator[Span]:
        """In bytes of the batch."""
        return ((region.place(start), region.place(end)) for start, end in self.find(region))
