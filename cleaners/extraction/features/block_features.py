"""The features of a page's blocks: a row a block, with the columns of `columns`.

page ──parse──▶ tree ──▶ blocks ──▶ measures of the text ─┐
                  └──▶ tokens of class, id, role ─────────┼──▶ float32[blocks, features]
     weights of tokens and words (`linear`) ──────────────┘
"""

import numpy as np

from cleaners.extraction.borrowed import borrowed
from cleaners.extraction.features.columns import (
    AROUND_OF,
    CONTAINER_WIDTH,
    CONTAINERS_AT,
    GROUPS,
    LEVELS,
    NEIGHBOUR_WIDTH,
    NEIGHBOURS_AT,
    NUM_AROUND,
    NUM_CONTAINERS,
    NUM_FEATURES,
    OFFSETS,
    Around,
    Container,
    Element,
    Neighbour,
    Own,
    Position,
    Score,
    Window,
)
from cleaners.extraction.features.comment_marks import write_comment_features
from cleaners.extraction.features.item_groups import write_item_groups
from cleaners.extraction.features.lead import write_lead
from cleaners.extraction.features.linear import score_of_path, score_of_words
from cleaners.extraction.features.page import next_container
from cleaners.extraction.features.page_features import write_page_features
from cleaners.extraction.features.page_kinds import write_page_kinds
from cleaners.extraction.features.template_counts import write_template_counts
from cleaners.extraction.html.nodes import ARIA_HIDDEN, HIDDEN
from cleaners.extraction.html.tags import HEADING, RULES, TAGS, TEXT, VERBATIM
from shards.compiled import kernel

_H1 = TAGS["h1"]


@kernel
def features_of(data, page, containers, linear):
    """float32[blocks, NUM_FEATURES]: the features of all blocks of a `ParsedPage`, by `LinearModels`."""
    x = np.zeros((len(page.blocks), NUM_FEATURES), np.float32)
    write_features(data, page, containers, linear, x)
    return x


@kernel
def write_features(data, page, containers, linear, x):
    """Write the features of all blocks by `LinearModels` to `x`, which holds zeros."""
    data, page, containers = borrowed(data), borrowed(page), borrowed(containers)
    linear, x = borrowed(linear), borrowed(x)
    if len(x):
        _write_own(page, x)
        _write_around(page, x)
        _write_scores(page, linear.paths, linear.words, x)
        _write_positions(page, x)
        _write_containers(page, containers, x)
        write_template_counts(data, page, x)
        _write_neighbours(x)
        _write_windows(page, x)
        write_comment_features(page, containers, x)
        write_item_groups(page, containers, x)
        write_lead(data, page, x)
        write_page_features(data, page, containers, x)
        write_page_kinds(data, page, linear.kinds, x)


@kernel
def _write_own(page, x):
    nodes, blocks = page.tree.nodes, page.blocks
    for b in range(len(blocks)):
        m, row = page.measured.measures[b], x[b]
        chars, words = max(m.chars, np.float32(1)), max(m.words, np.float32(1))
        row[Own.LOG_CHARS] = np.log(1 + m.chars)
        row[Own.WORDS] = m.words
        row[Own.LINK_SHARE] = m.link_chars / chars
        row[Own.LINKS] = m.links
        row[Own.PUNCTUATION] = m.punctuation / words
        row[Own.ENDING] = m.ending
        row[Own.COMMAS] = m.commas
        row[Own.DIGIT_SHARE] = m.digits / chars
        row[Own.SYMBOL_SHARE] = m.symbols / chars
        row[Own.CAPITALISED] = m.capitalised / words
        row[Own.ALL_CAPS] = m.all_caps / words
        row[Own.WORD_LENGTH] = m.word_chars / words
        row[Own.STOP_WORDS] = m.stop_words / words
        row[Own.COPYRIGHT] = m.copyright
        row[Own.CURRENCY] = m.currency
        row[Own.BREAKS] = m.breaks
        row[Own.TEXTS] = blocks[b].end - blocks[b].first
        row[Own.BEYOND_ASCII] = m.beyond_ascii / chars
        row[Own.BOLD_SHARE] = m.bold_chars / chars
        row[Own.HIDDEN_TEXT] = m.hidden
        row[Own.WORDS_PER_LINE] = m.words / (m.breaks + 1)
        element = blocks[b].element
        row[Element.TAG] = GROUPS[nodes[element].tag]
        inner = nodes[page.texts[blocks[b].first]].parent
        row[Element.INLINE_TAG] = nodes[inner].tag if inner != element else 0
        row[Element.PARENT_TAG] = GROUPS[nodes[nodes[element].parent].tag] if element > 0 else 0


@kernel
def _write_around(page, x):
    nodes = page.tree.nodes
    around = np.zeros((len(nodes), NUM_AROUND), np.int16)
    depths = np.zeros(len(nodes), np.int16)
    for i in range(1, len(nodes)):
        tag = nodes[i].tag
        if tag in (TEXT, VERBATIM):
            continue
        depths[i] = depths[nodes[i].parent] + 1
        around[i] = around[nodes[i].parent]
        if AROUND_OF[tag] >= 0:
            around[i, AROUND_OF[tag]] += 1
    for b in range(len(x)):
        element = page.blocks[b].element
        for k in range(NUM_AROUND):
            x[b, Around.NAV + k] = around[element, k]
        flags = nodes[element].flags
        x[b, Around.HIDDEN] = (flags & HIDDEN != 0) + 2 * (flags & ARIA_HIDDEN != 0)
        x[b, Around.DEPTH] = depths[element]


@kernel
def _write_scores(page, path_weights, word_weights, x):
    nodes = page.tree.nodes
    own, total = np.zeros(len(nodes), np.float32), np.zeros(len(nodes), np.float32)
    least, most = np.zeros(len(nodes), np.float32), np.zeros(len(nodes), np.float32)
    for i in range(1, len(nodes)):
        if nodes[i].tag == TEXT or nodes[i].tag == VERBATIM:
            continue
        p = nodes[i].parent
        own[i] = own[page.alike[i]] if page.alike[i] < i else score_of_path(page, i, path_weights)
        total[i] = total[p] + own[i]
        least[i] = min(least[p], own[i])
        most[i] = max(most[p], own[i])
    for b in range(len(x)):
        element, row = page.blocks[b].element, x[b]
        row[Score.PATH_SCORE] = total[element]
        row[Score.OWN_PATH_SCORE] = own[element]
        row[Score.PARENT_PATH_SCORE] = own[nodes[element].parent] if element > 0 else 0
        row[Score.LEAST_PATH_SCORE] = least[element]
        row[Score.MOST_PATH_SCORE] = most[element]
        row[Score.INNER_PATH_SCORE] = _inner_score(page, b, own)
        row[Score.TEXT_SCORE], row[Score.STRONGEST_WORD] = score_of_words(page.measured, b, word_weights)
    running = np.float32(0)
    for b in range(-5, len(x)):
        if b + 5 < len(x):
            running += x[b + 5, Score.TEXT_SCORE]
        if b - 6 >= 0:
            running -= x[b - 6, Score.TEXT_SCORE]
        if b >= 0:
            x[b, Score.TEXT_SCORE_WITHIN_5] = running / 11


@kernel(inline="always")
def _inner_score(page, b, own):
    nodes, block = page.tree.nodes, page.blocks[b]
    total = np.float32(0)
    for t in range(block.first, block.end):
        i = nodes[page.texts[t]].parent
        while i > block.element:
            total += own[i]
            i = nodes[i].parent
    return total / (block.end - block.first)


@kernel
def _write_positions(page, x):
    nodes, measures = page.tree.nodes, page.measured.measures
    number = len(x)
    h1 = -1
    total = np.float32(0)
    for b in range(number):
        total += measures[b].chars
        if h1 < 0 and nodes[page.blocks[b].element].tag == _H1:
            h1 = b
    chars_before = np.float32(0)
    last_heading, level = -99, 0
    words = np.float32(0)
    heading_score = np.float32(0)
    for b in range(number):
        tag, row = nodes[page.blocks[b].element].tag, x[b]
        is_heading = RULES[tag] & HEADING != 0
        if is_heading:
            last_heading, level, words = b, LEVELS[tag], np.float32(0)
            heading_score = row[Score.TEXT_SCORE]
        row[Position.INDEX] = b
        row[Position.SHARE_OF_BLOCKS] = b / number
        row[Position.SHARE_OF_TEXT] = chars_before / max(total, np.float32(1))
        row[Position.AFTER_H1] = 0 if h1 < 0 else 1 if b > h1 else 2 if b == h1 else 3
        row[Position.SINCE_HEADING] = min(b - last_heading, 99)
        row[Position.HEADING_LEVEL] = level
        row[Position.HEADING] = is_heading
        row[Position.SINCE_H1] = b - h1 if h1 >= 0 else -999
        row[Position.TO_END] = number - b
        row[Position.WORDS_SINCE_HEADING] = words
        row[Position.HEADING_SCORE] = heading_score
        chars_before += measures[b].chars
        words += measures[b].words


@kernel
def _write_containers(page, containers, x):
    chars, link_chars, num_blocks, prose = containers
    total = max(chars[0], np.float32(1))
    logs = np.zeros(len(chars), np.float32)  # blocks share most of their containers
    for b in range(len(x)):
        i = np.int64(page.blocks[b].element)
        for k in range(NUM_CONTAINERS):
            at = CONTAINERS_AT + k * CONTAINER_WIDTH
            own = max(chars[i], np.float32(1))
            if logs[i] == 0:
                logs[i] = np.log(1 + chars[i])
            x[b, at + Container.LOG_CHARS] = logs[i]
            x[b, at + Container.LINK_SHARE] = link_chars[i] / own
            x[b, at + Container.BLOCKS] = num_blocks[i]
            x[b, at + Container.SHARE] = chars[i] / total
            x[b, at + Container.PROSE_SHARE] = prose[i] / own
            i = next_container(page.tree.nodes, num_blocks, i)


@kernel
def _write_neighbours(x):
    number = len(x)
    for b in range(number):
        at = NEIGHBOURS_AT
        for offset in OFFSETS:
            o = b + offset
            if 0 <= o < number:
                x[b, at + Neighbour.WORDS] = x[o, Own.WORDS]
                x[b, at + Neighbour.LINK_SHARE] = x[o, Own.LINK_SHARE]
                x[b, at + Neighbour.PUNCTUATION] = x[o, Own.PUNCTUATION]
                x[b, at + Neighbour.TAG] = x[o, Element.TAG]
            else:
                x[b, at : at + NEIGHBOUR_WIDTH] = -1
            at += NEIGHBOUR_WIDTH


@kernel
def _write_windows(page, x):
    measures = page.measured.measures
    number = len(x)
    for radius, words_column, link_share_column in (
        (5, Window.WORDS_WITHIN_5, Window.LINK_SHARE_WITHIN_5),
        (12, Window.WORDS_WITHIN_12, Window.LINK_SHARE_WITHIN_12),
    ):
        words = chars = link_chars = punctuation = 0.0
        for b in range(-radius, number):
            if b + radius < number:
                m = measures[b + radius]
                words, chars = words + m.words, chars + m.chars
                link_chars, punctuation = link_chars + m.link_chars, punctuation + m.punctuation
            if b - radius - 1 >= 0:
                m = measures[b - radius - 1]
                words, chars = words - m.words, chars - m.chars
                link_chars, punctuation = link_chars - m.link_chars, punctuation - m.punctuation
            if b >= 0:
                x[b, words_column] = words
                x[b, link_share_column] = link_chars / max(chars, 1.0)
                if radius == 5:
                    x[b, Window.PUNCTUATION_WITHIN_5] = punctuation / max(words, 1.0)
