"""Counts elements and nesting depth of HTML, to refuse pages that would take engines hours or gigabytes."""

import numpy as np

from shards.compiled import kernel

# Elements without content, and those whose end tag authors leave out. Neither makes a tree deeper. A name is a u64 of
# at most eight letters.
_FLAT = np.array(
    sorted(
        int.from_bytes(name.encode(), "little")
        for name in (
            "area base body br col colgroup dd dt embed head hr html img input li link meta option p param rp rt "
            "source tbody td tfoot th thead tr track wbr"
        ).split()
    ),
    np.uint64,
)
_SCRIPT = np.uint64(int.from_bytes(b"script", "little"))
_STYLE = np.uint64(int.from_bytes(b"style", "little"))


def count_tags(html: np.ndarray) -> tuple[int, int]:
    """(start tags, greatest nesting of elements that need an end tag) of UTF-8 HTML; scripts and comments skipped."""
    num_elements, depth = _count_tags(html, _FLAT)
    return int(num_elements), int(depth)


@kernel
def _count_tags(html: np.ndarray, flat: np.ndarray) -> tuple[int, int]:
    num_elements = depth = deepest = 0
    i, n = 0, len(html)
    while i < n - 1:
        if html[i] != 60:  # "<"
            i += 1
            continue
        i += 1
        if html[i] == 33 and i + 2 < n and html[i + 1] == 45 and html[i + 2] == 45:  # "<!--" to "-->"
            i += 3
            while i + 2 < n and not (html[i] == 45 and html[i + 1] == 45 and html[i + 2] == 62):
                i += 1
            continue
        closing = html[i] == 47  # "/"
        if closing:
            i += 1
        name, letters = np.uint64(0), 0
        while i < n and (97 <= (html[i] | 32) <= 122 or (letters > 0 and 48 <= html[i] <= 57)):
            if letters < 8:
                name |= np.uint64(html[i] | 32 if html[i] >= 65 else html[i]) << np.uint64(8 * letters)
            letters += 1
            i += 1
        if letters == 0:
            continue
        index = np.searchsorted(flat, name)
        nests = not (index < len(flat) and flat[index] == name)
        if closing:
            depth -= 1 if nests and depth > 0 else 0
            continue
        num_elements += 1
        while i < n and html[i] != 62:  # ">"
            i += 1
        if nests and not (i > 0 and html[i - 1] == 47):
            depth += 1
            deepest = max(deepest, depth)
        if name in (_SCRIPT, _STYLE):  # raw text: no tags until its end tag
            while i + 1 < n and not (
                html[i] == 60 and html[i + 1] == 47 and (html[i + 2 if i + 2 < n else i] | 32) == 115
            ):
                i += 1
    return num_elements, deepest
