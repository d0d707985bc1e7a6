"""The engine `gristmill`: the main text of pages, a batch at a time.

    bytes ─read_page─▶ blocks ─features─▶ first forest ─context─▶ second forest ─choose─▶ blocks ─rewritten─▶ text

No child process guards it. Time is linear in the bytes of a page, memory is bounded by them, and nothing in a page
makes it loop. Pages are independent: a text is the same in any batch and any order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cleaners.extraction.calibration import calibrated
from cleaners.extraction.choice import expected_f1, main_blocks
from cleaners.extraction.comments import comment_blocks
from cleaners.extraction.features.block_features import write_features
from cleaners.extraction.features.columns import NUM_FEATURES
from cleaners.extraction.features.context import NUM_CONTEXT, write_context
from cleaners.extraction.features.page import containers_of, read_page
from cleaners.extraction.features.template_counts import with_parents
from cleaners.extraction.forest import blank_columns, predict_columns
from cleaners.extraction.frames import frameless_page
from cleaners.extraction.headings import with_headings
from cleaners.extraction.html.tree import parse
from cleaners.extraction.json_ld import ld_texts, ld_values, meta_texts
from cleaners.extraction.markdown import formatted_text
from cleaners.extraction.metadata.page import PageMetadata, page_metadata
from cleaners.extraction.model import Model, load_model, model_path
from cleaners.extraction.page_state import state_of, state_texts
from cleaners.extraction.plain_text import max_plain_text_bytes, write_plain_text
from cleaners.extraction.prose import num_words
from cleaners.extraction.rewriting import rewritten
from shards.compiled import kernel

MIN_WORDS = 25.0  # of the chosen blocks; with fewer, the scripts of the page are searched for text
# Blocks of a page that has little else may be a notice, which says that the story is being loaded, or a teaser. They
# give way to a single text of paragraphs: lists of products have many texts, and lists of settings have short lines. Of
# 4,733 real pages 82 have as few words, and two change, to articles that JSON-LD has in full. One was the teaser, and
# the other what a browser that is too old is told.
_NOTICE_WORDS, _NOTICE_PAGE_WORDS = 100.0, 200.0  # of the chosen blocks, and of all
_MIN_PARAGRAPH_WORDS = 15  # on average; 6 of 7 real texts have more
_TIMES_LONGER = 4  # than the blocks text of scripts must be: blocks may say "Loading", or be news of two sentences

BLOCKS, CHOSEN_WORDS, WORDS, EXPECTED_F1 = range(4)  # columns of `extract_batch`


@dataclass(frozen=True)
class Options:
    """The form of the text."""

    markdown: bool = False  # else plain lines
    links: bool = False  # as [text](address)
    comments: bool = False  # keep readers' comments


class Extracted(NamedTuple):
    """The text of one page and how sure it is."""

    text: str
    num_blocks: int
    share_kept: float  # words of the chosen blocks by those of all; 0 of a page without words
    expected_f1: float  # what such a choice of blocks reached on labelled pages of unseen hosts, from 0 to 1
    from_scripts: bool  # the text comes from JSON-LD or the data of a script, not from blocks


def extract(pages: Sequence[bytes], options: Options, model: Model | None = None) -> list[Extracted]:
    """Extract `pages`, each in valid UTF-8. The results are in their order."""
    if not pages:
        return []
    model = model or load_model(model_path())
    found = _from_blocks(pages, options, model)
    return [_completed(page, blocks, options, model) for page, blocks in zip(pages, found, strict=True)]


class _Blocks(NamedTuple):
    """The chosen blocks of a page."""

    text: str
    num_blocks: float
    chosen_words: float
    words: float
    f1: float


def _from_blocks(pages: Sequence[bytes], options: Options, model: Model) -> Iterator[_Blocks]:
    offsets = np.cumsum([0, *map(len, pages)])
    data = np.frombuffer(b"".join(pages), np.uint8)
    text, ends, counts = extract_batch(data, offsets, model, options.comments)
    utf8 = text.tobytes()
    for begin, end, row in zip([0, *ends[:-1].tolist()], ends.tolist(), counts.tolist(), strict=True):
        yield _Blocks(utf8[begin:end].decode(), *row)


def _completed(page: bytes, blocks: _Blocks, options: Options, model: Model) -> Extracted:
    """The text of a page by its blocks, or of what it holds beside them."""
    if blocks.chosen_words < MIN_WORDS and (inner := _frameless(page)):
        (inner_blocks,) = _from_blocks([inner], options, model)
        if inner_blocks.chosen_words >= MIN_WORDS:
            page, blocks = inner, inner_blocks
    text = _from_scripts(page, model, blocks.chosen_words, blocks.words)
    from_scripts = len(text) > _TIMES_LONGER * len(blocks.text)
    if not from_scripts:
        text = _formatted(page, model, options) if options.markdown or options.links else blocks.text
    share = blocks.chosen_words / blocks.words if blocks.words else 0.0
    return Extracted(text, int(blocks.num_blocks), share, blocks.f1, from_scripts)


def _frameless(page: bytes) -> bytes:
    data = np.frombuffer(page, np.uint8)
    return frameless_page(data, parse(data))


def declared(page: bytes, url: str, max_date: str) -> PageMetadata:
    """Title, date and other metadata of a page in valid UTF-8; see `metadata`."""
    data = np.frombuffer(page, np.uint8)
    return page_metadata(data, parse(data), url, max_date)


def _formatted(page: bytes, model: Model, options: Options) -> str:
    data = np.frombuffer(page, np.uint8)
    read = read_page(data)
    chosen, _ = chosen_blocks(data, read, model)
    if options.comments:
        chosen |= comment_blocks(read, containers_of(read))
    if options.markdown:
        chosen = with_headings(read, chosen)
    data, read, chosen = rewritten(data, read, chosen)
    return formatted_text(data, read, chosen, markdown=options.markdown, links=options.links)


def _from_scripts(page: bytes, model: Model, chosen_words: float, words: float) -> str:
    """The text in the scripts of a page whose blocks may not have its text, else ""."""
    if chosen_words < MIN_WORDS:
        return "\n".join(script_texts(page, model))
    if chosen_words < _NOTICE_WORDS and words < _NOTICE_PAGE_WORDS:
        text = max(script_texts(page, model), key=len, default="")
        return text if num_words(text) >= _MIN_PARAGRAPH_WORDS * len(text.splitlines()) else ""
    return ""


def script_texts(page: bytes, model: Model) -> list[str]:
    """The texts in scripts: of JSON-LD or hidden microdata, else of the state of programs."""
    data = np.frombuffer(page, np.uint8)
    tree = parse(data)
    if texts := ld_texts(ld_values(data, tree)) or meta_texts(data, tree):
        return texts
    values, html = state_of(data, tree)
    rendered = [_main_text(html.encode("utf-8", "replace"), model)] if html else []
    return max(state_texts(values), rendered, key=lambda texts: sum(map(len, texts)))


def _main_text(page: bytes, model: Model) -> str:
    text, _, _ = extract_batch(np.frombuffer(page, np.uint8), np.array([0, len(page)]), model, False)
    return str(text.tobytes(), "utf-8")


@kernel(nogil=True)
def extract_batch(data, offsets, model, comments):
    """(UTF-8 of all texts, their ends int64[pages], float64[pages, 4] of `BLOCKS` to `EXPECTED_F1`).

    Page r is data[offsets[r]:offsets[r + 1]].
    """
    number = len(offsets) - 1
    out = np.empty(offsets[-1] - offsets[0] + 64 * number + 64, np.uint8)
    ends, counts = np.zeros(number, np.int64), np.zeros((number, 4), np.float64)
    at = 0
    for row in range(number):
        html = data[offsets[row] : offsets[row + 1]]
        page = read_page(html)
        chosen, counts[row, EXPECTED_F1] = chosen_blocks(html, page, model)
        if comments:
            chosen |= comment_blocks(page, containers_of(page))
        measures = page.measured.measures
        counts[row, BLOCKS] = len(chosen)
        for b in range(len(chosen)):
            counts[row, CHOSEN_WORDS] += measures[b].words * chosen[b]
            counts[row, WORDS] += measures[b].words
        html, page, chosen = rewritten(html, page, chosen)
        room = max_plain_text_bytes(page, chosen)
        if at + room > len(out):
            wider = np.empty(2 * len(out) + room, np.uint8)
            wider[:at] = out[:at]
            out = wider
        at = write_plain_text(html, page, chosen, out, at)
        ends[row] = at
    return out[:at], ends, counts


@kernel
def chosen_blocks(data, page, model):
    """(bool[blocks], the F1 that such a choice reaches)"""
    if len(page.blocks) == 0:
        return np.zeros(0, np.bool_), 0.0
    containers = containers_of(page)
    columns = features_with_context(data, page, containers, model)
    p = predict_columns(model.second, columns, len(page.blocks))
    chosen = main_blocks(page, p)
    return chosen, calibrated(model.calibration, expected_f1(page.measured.measures, p, chosen))


@kernel
def features_with_context(data, page, containers, model):
    """The features of all blocks as `blank_columns`: the input of the second forest, and first that of the first."""
    number = len(page.blocks)
    columns = blank_columns(number, NUM_FEATURES + NUM_CONTEXT)
    x = columns[:, :number].T
    write_features(data, page, containers, model.linear, x)
    signatures = with_parents(page.signatures, page.tree.nodes)
    write_context(page, containers, signatures, predict_columns(model.first, columns, number), x[:, NUM_FEATURES:])
    return columns
