"""The features of a page's blocks, by `columns`.

page ──parse──▶ tree ──▶ blocks ──▶ measures of the text ─┐
                  └──▶ tokens of class, id, role ─────────┼──▶ float32[blocks, features]
     weights of tokens and words (`linear`) ──────────────┘
"""

import numpy as np

from cleaners.extraction.features.columns import (
    AROUND_AT,
    AROUND_OF,
    CONTAINER_AT,
    GROUPS,
    HEADING_SCORE,
    LEVELS,
    NEIGHBOUR_AT,
    NUM_AROUND,
    NUM_FEATURES,
    OFFSETS,
    PLACE_AT,
    SCORES_AT,
    TAG_AT,
    TEXT_SCORE,
    TEXT_SCORE_5,
    WINDOW_AT,
)
from cleaners.extraction.features.linear import score_of_path, score_of_words
from cleaners.extraction.features.page import next_container
from cleaners.extraction.features.page_features import write_page
from cleaners.extraction.features.template_counts import write_likeness
from cleaners.extraction.html.nodes import ARIA_HIDDEN, HIDDEN
from cleaners.extraction.html.tags import HEADING, RULES, TAGS, TEXT, VERBATIM
from shards.compiled import kernel

_H1 = TAGS["h1"]


@kernel
def features_of(data, page, containers, path_weights, word_weights):
    """float32[blocks, NUM_FEATURES]"""
    x = np.zeros((len(page.blocks), NUM_FEATURES), np.float32)
    if len(x):
        _write_own(page, x)
        _write_around(page, x)
        _write_scores(page, path_weights, word_weights, x)
        _write_place(page, x)
        _write_containers(page, containers, x)
        write_likeness(data, page, x)
        _write_neighbours(page, x)
        write_page(data, page, containers, x)
    return x


@kernel
def _write_own(page, x):
    nodes, blocks = page.tree.nodes, page.blocks
    for b in range(len(blocks)):
        m, row = page.measured.measures[b], x[b]
        chars, words = max(m.chars, np.float32(1)), max(m.words, np.float32(1))
        row[0] = np.log(1 + m.chars)
        row[1] = m.words
        row[2] = m.link_chars / chars
        row[3] = m.links
        row[4] = m.punctuation / words
        row[5] = m.ending
        row[6] = m.commas
        row[7] = m.digits / chars
        row[8] = m.symbols / chars
        row[9] = m.capitalised / words
        row[10] = m.all_caps / words
        row[11] = m.word_chars / words
        row[12] = m.stop_words / words
        row[13] = m.copyright
        row[14] = m.currency
        row[15] = m.breaks
        row[16] = blocks[b].behind - blocks[b].first
        row[17] = m.beyond_ascii / chars
        row[18] = m.bold_chars / chars
        row[19] = m.hidden
        row[20] = m.words / (m.breaks + 1)
        element = blocks[b].element
        row[TAG_AT] = GROUPS[nodes[element].tag]
        inner = nodes[page.texts[blocks[b].first]].parent
        row[TAG_AT + 1] = nodes[inner].tag if inner != element else 0
        row[TAG_AT + 2] = GROUPS[nodes[nodes[element].parent].tag] if element > 0 else 0


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
            x[b, AROUND_AT + k] = around[element, k]
        flags = nodes[element].flags
        x[b, AROUND_AT + NUM_AROUND] = (flags & HIDDEN != 0) + 2 * (flags & ARIA_HIDDEN != 0)
        x[b, AROUND_AT + NUM_AROUND + 1] = depths[element]


@kernel
def _write_scores(page, path_weights, word_weights, x):
    nodes = page.tree.nodes
    own, total = np.zeros(len(nodes), np.float32), np.zeros(len(nodes), np.float32)
    least, most = np.zeros(len(nodes), np.float32), np.zeros(len(nodes), np.float32)
    for i in range(1, len(nodes)):
        if nodes[i].tag == TEXT or nodes[i].tag == VERBATIM:
            continue
        p = nodes[i].parent
        own[i] = score_of_path(page, i, path_weights)
        total[i] = total[p] + own[i]
        least[i] = min(least[p], own[i])
        most[i] = max(most[p], own[i])
    for b in range(len(x)):
        element, row = page.blocks[b].element, x[b]
        row[SCORES_AT] = total[element]
        row[SCORES_AT + 1] = own[element]
        row[SCORES_AT + 2] = own[nodes[element].parent] if element > 0 else 0
        row[SCORES_AT + 3] = least[element]
        row[SCORES_AT + 4] = most[element]
        row[TEXT_SCORE], row[TEXT_SCORE + 1] = score_of_words(page.measured, b, word_weights)
    running = np.float32(0)
    for b in range(-5, len(x)):
        if b + 5 < len(x):
            running += x[b + 5, TEXT_SCORE]
        if b - 6 >= 0:
            running -= x[b - 6, TEXT_SCORE]
        if b >= 0:
            x[b, TEXT_SCORE_5] = running / 11


@kernel
def _write_place(page, x):
    nodes, measures = page.tree.nodes, page.measured.measures
    number = len(x)
    h1 = -1
    total = np.float32(0)
    for b in range(number):
        total += measures[b].chars
        if h1 < 0 and nodes[page.blocks[b].element].tag == _H1:
            h1 = b
    before = np.float32(0)
    last, level = -99, 0
    words = np.float32(0)
    heading_score = np.float32(0)
    for b in range(number):
        tag, row = nodes[page.blocks[b].element].tag, x[b]
        is_heading = RULES[tag] & HEADING != 0
        if is_heading:
            last, level, words = b, LEVELS[tag], np.float32(0)
            heading_score = row[TEXT_SCORE]
        row[PLACE_AT] = b
        row[PLACE_AT + 1] = b / number
        row[PLACE_AT + 2] = before / max(total, np.float32(1))
        row[PLACE_AT + 3] = 0 if h1 < 0 else 1 if b > h1 else 2 if b == h1 else 3
        row[PLACE_AT + 4] = min(b - last, 99)
        row[PLACE_AT + 5] = level
        row[PLACE_AT + 6] = is_heading
        row[PLACE_AT + 7] = b - h1 if h1 >= 0 else -999
        row[PLACE_AT + 8] = number - b
        row[PLACE_AT + 9] = words
        row[HEADING_SCORE] = heading_score
        before += measures[b].chars
        words += measures[b].words


@kernel
def _write_containers(page, containers, x):
    chars, link_chars, held, prose = containers
    total = max(chars[0], np.float32(1))
    for b in range(len(x)):
        i = np.int64(page.blocks[b].element)
        for level in range(5):
            at = CONTAINER_AT + 5 * level
            own = max(chars[i], np.float32(1))
            x[b, at] = np.log(1 + chars[i])
            x[b, at + 1] = link_chars[i] / own
            x[b, at + 2] = held[i]
            x[b, at + 3] = chars[i] / total
            x[b, at + 4] = prose[i] / own
            i = next_container(page.tree.nodes, held, i)


@kernel
def _write_neighbours(page, x):
    measures = page.measured.measures
    number = len(x)
    for b in range(number):
        at = NEIGHBOUR_AT
        for offset in OFFSETS:
            o = b + offset
            if 0 <= o < number:
                x[b, at], x[b, at + 1], x[b, at + 2], x[b, at + 3] = x[o, 1], x[o, 2], x[o, 4], x[o, TAG_AT]
            else:
                x[b, at : at + 4] = -1
            at += 4
    for radius, at in ((5, WINDOW_AT), (12, WINDOW_AT + 2)):
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
                x[b, at] = words
                x[b, at + 1] = link_chars / max(chars, 1.0)
                if radius == 5:
                    x[b, WINDOW_AT + 4] = punctuation / max(words, 1.0)
