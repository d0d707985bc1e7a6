"""Labels of blocks: the share of each that is main text, from the labelled text of its page.

The words of the page's blocks are tiled with those of the text. Long common runs come first, and each word of the text
is used once. Short runs count only if they fill a block, or stand beside words that are matched already.
"""

import itertools
import re
from typing import NamedTuple

import numpy as np

from cleaners.extraction.features.page import ParsedPage
from cleaners.extraction.html.tags import BR
from cleaners.extraction.html.text import max_text_bytes, write_node
from shards.compiled import kernel

RUNS = np.array([40, 16, 8, 5, 3, 2, 1], np.int32)  # words, the longest first
_NEAR = 25  # words between a short run and a matched word beside it
_MAX_TRIES = 400  # positions of a word in the text that are tried
# A character is a word where words are not spaced.
_UNSPACED = r"\u2e80-\u2fff\u3005-\u3007\u3040-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


class Labels(NamedTuple):
    """The labels of a page's blocks, in words."""

    words: np.ndarray  # int32[blocks]
    main: np.ndarray  # int32[blocks]: words that are matched with the text
    num_text: int  # words of the text
    blocks_of: np.ndarray  # int32[words of the page]
    tokens: np.ndarray  # int32[words of the page]: equal numbers for equal words
    text_tokens: np.ndarray  # int32[words of the text]: likewise


def labels_of(html: bytes, page: ParsedPage, text: str) -> Labels:
    """The labels of a page whose main text is `text`."""
    numbers: dict[str, int] = {}

    def tokens_of(lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
        pairs = [
            (line, numbers.setdefault(word, len(numbers)))
            for line, line_text in enumerate(lines)
            for word in _WORD.findall(line_text.lower())
        ]
        table = np.array(pairs, np.int32).reshape(-1, 2)
        return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])

    lines = block_texts(html, page)
    blocks, words = tokens_of(lines)
    text_lines, wanted = tokens_of(text.split("\n"))
    matched = _tile(words, blocks, wanted, text_lines, len(numbers), RUNS)
    total = np.bincount(blocks, minlength=len(lines)).astype(np.int32)
    main = np.bincount(blocks[matched > 0], minlength=len(lines)).astype(np.int32)
    return Labels(total, main, len(wanted), blocks, words, wanted)


def block_texts(html: bytes, page: ParsedPage) -> list[str]:
    """The text of each block; a <br> is a space."""
    data = np.frombuffer(html, np.uint8)
    out, ends = _write_blocks(data, page)
    utf8 = out.tobytes()
    return [utf8[begin:end].decode("utf-8", "replace") for begin, end in itertools.pairwise([0, *ends.tolist()])]


@kernel
def _write_blocks(data, page):
    out = np.empty(max_text_bytes(len(data)) + len(page.texts) + 8, np.uint8)
    ends = np.zeros(len(page.blocks), np.int64)
    at = 0
    for b in range(len(page.blocks)):
        begin = at
        last = -1
        for t in range(page.blocks[b].first, page.blocks[b].end):
            node = page.texts[t]
            if last >= 0 and node > last + 1 and at > begin:
                for k in range(last + 1, node):
                    if page.tree.nodes[k].tag == BR:
                        out[at] = 32
                        at += 1
            at = write_node(data, page.tree.nodes, node, out, begin, at)
            last = node
        ends[b] = at
    return out[:at], ends


@kernel
def _tile(words, blocks, wanted, lines, num_words, runs):
    """int32[words]: 1 + the position in `wanted` that each word of the page is matched with, or 0."""
    n, m = len(words), len(wanted)
    matched, used = np.zeros(n, np.int32), np.zeros(m, np.bool_)
    starts = np.zeros(num_words + 2, np.int64)
    for j in range(m):
        starts[wanted[j] + 1] += 1
    for k in range(num_words + 1):
        starts[k + 1] += starts[k]
    positions, free = np.zeros(m, np.int32), starts.copy()
    for j in range(m):
        positions[free[wanted[j]]] = j
        free[wanted[j]] += 1
    for least in runs:
        i = 0
        while i < n:
            if matched[i]:
                i += 1
                continue
            longest, position, tried = 0, -1, 0
            for q in range(starts[words[i]], starts[words[i] + 1]):
                j = positions[q]
                if used[j]:
                    continue
                if least > 2 and (i + least > n or j + least > m or words[i + least - 1] != wanted[j + least - 1]):
                    continue
                k = 0
                while i + k < n and j + k < m and words[i + k] == wanted[j + k] and not (matched[i + k] or used[j + k]):
                    k += 1
                if k > longest:
                    longest, position = k, j
                tried += 1
                if tried > _MAX_TRIES:
                    break
            if longest >= least and (least > 2 or _fits(blocks, lines, matched, i, position, longest, least)):
                for k in range(longest):
                    matched[i + k] = position + k + 1
                    used[position + k] = True
                i += longest
            else:
                i += 1
    return matched


@kernel
def _fits(blocks, lines, matched, i, j, length, least):
    """Whether a short run of common words is no coincidence."""
    n, m = len(blocks), len(lines)
    fills_block = (i == 0 or blocks[i - 1] != blocks[i]) and (
        i + length == n or blocks[i + length - 1] != blocks[i + length]
    )
    fills_line = (j == 0 or lines[j - 1] != lines[j]) and (
        j + length == m or lines[j + length - 1] != lines[j + length]
    )
    if fills_block and fills_line:
        return True
    if (i > 0 and j > 0 and matched[i - 1] == j) or (
        i + length < n and j + length < m and matched[i + length] == j + length + 1
    ):
        return True
    if not (fills_block or least == 2):
        return False
    for d in range(1, _NEAR):
        if i - d >= 0 and matched[i - d] and abs(matched[i - d] - 1 - j) < _NEAR:
            return True
        k = i + length + d
        if k < n and matched[k] and abs(matched[k] - 1 - j) < _NEAR:
            return True
    return False
