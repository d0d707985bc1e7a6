"""Finds the lines that contain phrases, in any case, for a whole batch in one kernel.

Text and phrase are compared character by character in the lower case of `shards.unicode.lowercase`. At each character
a table of pairs of characters says whether a phrase may begin there. Hardly any other character is read twice.
"""

from collections.abc import Sequence

import numpy as np

from shards.compiled import kernel
from shards.unicode import decode, lowercase

_PAIRS = 4096


class PhraseFinder:
    """Searches for groups of phrases; no phrase is empty."""

    def __init__(self, *groups: Sequence[str], same: Sequence[tuple[str, str]] = ()) -> None:
        """`same` holds pairs (character, other); the first counts as the second."""
        assert len(groups) <= 8
        assert all(phrase for group in groups for phrase in group)
        self._fold = lowercase().copy()
        for character, other in same:
            self._fold[ord(character)] = ord(other)
        self._fold.flags.writeable = False
        codes = [self._fold[[ord(c) for c in phrase]] for group in groups for phrase in group]
        self._phrases = np.concatenate([np.zeros(0, np.uint32), *codes])
        self._offsets = np.cumsum([0, *map(len, codes)])
        self._bits = np.array([1 << k for k, group in enumerate(groups) for _ in group], np.uint8)
        self._pairs = np.zeros(_PAIRS, np.bool_)
        for code in codes:
            if len(code) > 1:
                self._pairs[_pair(code[0], code[1])] = True

    def find(self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """uint8[spans]: bit k is set where data[start:end] contains a phrase of group k; 0 where not `chosen`."""
        tables = (self._fold, self._phrases, self._offsets, self._bits, self._pairs)
        groups: np.ndarray = _find(data, starts, ends, chosen, *tables)
        return groups


@kernel
def _find(data, starts, ends, chosen, fold, phrases, offsets, bits, pairs):
    groups = np.zeros(len(starts), np.uint8)
    single = np.flatnonzero(np.diff(offsets) == 1)
    for k in range(len(starts)):
        if not chosen[k]:
            continue
        before, start = np.uint32(0xFFFFFFFF), starts[k]  # the previous character and its offset
        i = starts[k]
        while i < ends[k]:
            here = i
            c, i = decode(data, i)
            c = fold[c]
            for s in single:
                if phrases[offsets[s]] == c:
                    groups[k] |= bits[s]
            if pairs[_pair(before, c)]:
                for p in range(len(bits)):
                    if _begins(data, start, ends[k], fold, phrases[offsets[p] : offsets[p + 1]]):
                        groups[k] |= bits[p]
            before, start = c, here
    return groups


@kernel
def _begins(data, i, end, fold, phrase):
    for wanted in phrase:
        if i >= end:
            return False
        c, i = decode(data, i)
        if fold[c] != wanted:
            return False
    return True


@kernel(inline="always")
def _pair(a, b):
    return (np.int64(a) * 31 + np.int64(b)) & (_PAIRS - 1)
