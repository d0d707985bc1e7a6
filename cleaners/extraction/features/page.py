"""A page read for the model: its tree, blocks, their measures, the tokens around them, and what each element holds."""

from typing import NamedTuple

import numpy as np

from cleaners.extraction.features.blocks import blocks_of
from cleaners.extraction.features.hashing import path_tokens
from cleaners.extraction.features.measures import Measured, measure
from cleaners.extraction.html import tags
from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.html.tree import parse
from shards.compiled import kernel


class Page(NamedTuple):
    """All that features are made of; `linear` learns from `tokens` and `measured`."""

    tree: Tree
    blocks: np.ndarray  # BLOCK[blocks]
    texts: np.ndarray  # int32[text nodes of blocks]
    measured: Measured
    tokens: np.ndarray  # uint32
    token_offsets: np.ndarray  # int32[nodes + 1]


@kernel
def read_page(data):
    tree = parse(data)
    blocks = blocks_of(tree.nodes)
    tokens, token_offsets = path_tokens(data, tree)
    measured = measure(data, tree.nodes, blocks)
    return Page(tree, blocks.blocks, blocks.texts, measured, tokens, token_offsets)


class Containers(NamedTuple):
    """What stands in each node: float32[nodes] each."""

    chars: np.ndarray
    link_chars: np.ndarray
    blocks: np.ndarray
    prose: np.ndarray


@kernel
def containers_of(page):
    nodes, blocks, measures = page.tree.nodes, page.blocks, page.measured.measures
    number = len(nodes)
    chars, link_chars = np.zeros(number, np.float32), np.zeros(number, np.float32)
    held, prose = np.zeros(number, np.float32), np.zeros(number, np.float32)
    for b in range(len(blocks)):
        e = blocks[b].element
        chars[e] += measures[b].chars
        link_chars[e] += measures[b].link_chars
        held[e] += 1
        if is_prose(nodes[e].tag, measures[b]):
            prose[e] += measures[b].chars
    for i in range(number - 1, 0, -1):
        p = nodes[i].parent
        chars[p] += chars[i]
        link_chars[p] += link_chars[i]
        held[p] += held[i]
        prose[p] += prose[i]
    return Containers(chars, link_chars, held, prose)


@kernel(inline="always")
def is_prose(tag, m):
    return tag == tags.P or (m.words > 25 and m.link_chars < 0.3 * m.chars)


@kernel(inline="always")
def next_container(nodes, held, i):
    """The nearest element around `i` that holds more blocks; node 0 if there is none."""
    number = held[i]
    while i > 0 and held[i] == number:
        i = np.int64(nodes[i].parent)
    return i
