"""A page as the model reads it: its tree, its blocks and their measures, tokens of its elements, sums over elements."""

from typing import NamedTuple

import numpy as np

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.features.blocks import blocks_of
from cleaners.extraction.features.hashing import element_signatures, first_alike, path_tokens
from cleaners.extraction.features.measures import MeasuredBlocks, measure
from cleaners.extraction.html import tags
from cleaners.extraction.html.nodes import Tree
from cleaners.extraction.html.tree import parse
from shards.compiled import kernel


class ParsedPage(NamedTuple):
    """The input of all features. The models of `linear` see `tokens` and `measured`."""

    tree: Tree
    blocks: np.ndarray  # BLOCK[blocks]
    texts: np.ndarray  # int32[text nodes of blocks]
    measured: MeasuredBlocks
    tokens: np.ndarray  # uint32: hashes of `path_tokens`
    token_offsets: np.ndarray  # int32[nodes + 1]
    alike: np.ndarray  # int32[nodes] of `first_alike`
    signatures: np.ndarray  # uint32[nodes] of `element_signatures`


@kernel
def read_page(data):
    tree = parse(data)
    blocks = blocks_of(tree.nodes)
    alike = first_alike(data, tree)
    tokens, token_offsets = path_tokens(data, tree, alike)
    signatures = element_signatures(data, tree, alike)
    measured = measure(data, tree.nodes, blocks)
    return ParsedPage(tree, blocks.blocks, blocks.texts, measured, tokens, token_offsets, alike, signatures)


class Containers(NamedTuple):
    """Sums over the blocks in each node, float32[nodes] each: characters, blocks, and characters of prose."""

    chars: np.ndarray
    link_chars: np.ndarray
    blocks: np.ndarray
    prose: np.ndarray


@kernel
def containers_of(page):
    page = borrowed(page)
    nodes, blocks, measures = page.tree.nodes, page.blocks, page.measured.measures
    number = len(nodes)
    chars, link_chars = np.zeros(number, np.float32), np.zeros(number, np.float32)
    num_blocks, prose = np.zeros(number, np.float32), np.zeros(number, np.float32)
    for b in range(len(blocks)):
        e = blocks[b].element
        chars[e] += measures[b].chars
        link_chars[e] += measures[b].link_chars
        num_blocks[e] += 1
        if is_prose(nodes[e].tag, measures[b]):
            prose[e] += measures[b].chars
    for i in range(number - 1, 0, -1):
        p = nodes[i].parent
        chars[p] += chars[i]
        link_chars[p] += link_chars[i]
        num_blocks[p] += num_blocks[i]
        prose[p] += prose[i]
    return Containers(chars, link_chars, num_blocks, prose)


@kernel(inline="always")
def is_prose(tag, m):
    return tag == tags.P or (m.words > 25 and m.link_chars < 0.3 * m.chars)


@kernel(inline="always")
def next_container(nodes, num_blocks, i):
    """The nearest element around `i` that holds more blocks than it, or node 0."""
    number = num_blocks[i]
    while i > 0 and num_blocks[i] == number:
        i = np.int64(nodes[i].parent)
    return i
