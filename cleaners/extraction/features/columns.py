"""What the model is told of a block: `FEATURES`, a column each.

Shares are of characters without white space, from 0 to 1. "Container" k of a block is the k-th element around it that
holds more blocks than the one before; the first is its own element.
"""

import numpy as np

from cleaners.extraction.html import tags
from cleaners.extraction.html.tags import TAGS

_OWN = {
    "log_chars": "ln(1 + characters)",
    "words": "words; two characters are one where words are not spaced",
    "link_share": "share that stands in links",
    "links": "links",
    "punctuation": "ends of sentences and clauses a word",
    "ending": "1 it ends as a sentence, 2 with a colon, 0 otherwise",
    "commas": "commas of any script",
    "digit_share": "share of digits",
    "symbol_share": "share of symbols such as | / > › –",
    "capitalised": "share of words that begin with a capital",
    "all_caps": "share of words in capitals",
    "word_length": "mean characters a word",
    "stop_words": "share of words that hold sentences together",
    "copyright": "1 with a copyright sign",
    "currency": "currency signs",
    "breaks": "<br> in it",
    "texts": "text nodes in it",
    "beyond_ascii": "share of characters beyond ASCII",
    "bold_share": "share in bold",
    "hidden_text": "1 if its text is hidden",
    "words_per_line": "words between two <br>",
}
_TAG = {
    "tag": "group of the element",
    "inline_tag": "the element right around its first text, 0 if that is the block's own",
    "parent_tag": "group of the element around it",
}
_AROUND = {
    "nav": "<nav> around it",
    "header": "<header>",
    "footer": "<footer>",
    "aside": "<aside>",
    "main": "<main>",
    "article": "<article>",
    "form": "<form>",
    "table": "<table>",
    "list": "<ul>, <ol>, <dl>",
    "figure": "<figure>",
    "quote": "<blockquote>",
    "code": "<pre>, <code>",
    "control": "<label>, <button>, <option>, <select>",
    "dialog": "<dialog>, <noscript>, <template>",
    "div": "<div>, <section>",
    "hidden": "1 hidden, 2 hidden from screen readers, 3 both",
    "depth": "elements around it",
}
_PLACE = {
    "index": "blocks before it",
    "share_of_blocks": "index by blocks of the page",
    "share_of_text": "characters before it by those of the page",
    "after_h1": "0 the page has no <h1>, 1 behind the first, 2 it is that, 3 before",
    "since_heading": "blocks since the last heading, at most 99",
    "heading_level": "of the last heading, 0 none",
    "heading": "1 if it is a heading",
    "since_h1": "blocks since the first <h1>, negative before, -999 without",
    "to_end": "blocks from it to the end",
    "words_since_heading": "words since the last heading",
    "heading_score": "`text_score` of the last heading",
}
_CONTAINER = {
    "log_chars": "ln(1 + characters)",
    "link_share": "share in links",
    "blocks": "blocks",
    "share": "its characters by those of the page",
    "prose_share": "share in paragraphs",
}
_LIKENESS = {
    "alike": "elements of the page with its signature (tag, class, parent's)",
    "parents_alike": "the same of its parent",
    "grandparents_alike": "the same of its parent's parent",
    "siblings_alike": "elements with its tag and class within its parent",
    "most_siblings_alike": "the most of the elements around it",
    "copies": "blocks of the page with its text",
    "title_overlap": "share of its words that the title has, less if the title has many more",
}
_NEIGHBOUR = {
    "words": "words",
    "link_share": "share in links",
    "punctuation": "punctuation a word",
    "tag": "group of the element",
}
OFFSETS = (-2, -1, 1, 2)
_WINDOW = {
    "words_within_5": "words of it and five blocks each side",
    "link_share_within_5": "share in links of these",
    "words_within_12": "words of it and twelve blocks each side",
    "link_share_within_12": "share in links of these",
    "punctuation_within_5": "punctuation a word of it and five blocks each side",
}
_SCORES = {
    "path_score": "log odds by the tokens of all elements around it (`linear`)",
    "own_path_score": "of its element alone",
    "parent_path_score": "of its parent",
    "least_path_score": "the least of one element around it",
    "most_path_score": "the greatest",
    "text_score": "log odds by its words and pairs of words (`linear`)",
    "strongest_word": "the weight of its most telling word",
    "text_score_within_5": "sum of text_score over it and five blocks each side, by 11",
}
_PAGE = {
    "page_log_chars": "ln(1 + characters) of the page",
    "page_link_share": "share in links",
    "page_blocks": "blocks",
    "page_paragraphs": "blocks of prose: <p>, or 25 words with few links",
    "page_headings": "headings",
    "page_h2": "<h2>",
    "page_items": "<li>",
    "page_links": "links",
    "page_images": "images",
    "page_inputs": "inputs",
    "page_log_prose": "ln(1 + characters of prose)",
    "page_prose_share": "share of prose",
    "page_articles": "<article>",
    "page_mains": "<main>",
    "page_kind": "Open Graph type: 0 article, 1 website, 2 product, -1 none",
    "page_ld_article": "JSON-LD types of articles",
    "page_ld_product": "of products",
    "page_ld_forum": "of forum threads and questions",
    "page_ld_list": "of lists",
    "page_ld_organisation": "of organisations and services",
    "page_ld_recipe": "of recipes, how-tos and FAQs",
    "page_blocks_per_node": "blocks by nodes",
    "page_largest_prose": "greatest share of prose in one element",
}
FEATURES: dict[str, str] = (
    _OWN
    | _TAG
    | _AROUND
    | _PLACE
    | {f"container{k}_{name}": f"container {k}: {what}" for k in range(1, 6) for name, what in _CONTAINER.items()}
    | _LIKENESS
    | {f"block{d:+}_{name}": f"of block {d:+}: {what}, -1 none" for d in OFFSETS for name, what in _NEIGHBOUR.items()}
    | _WINDOW
    | _SCORES
    | _PAGE
)
NUM_FEATURES = len(FEATURES)
_COLUMN = {name: column for column, name in enumerate(FEATURES)}
TAG_AT, AROUND_AT, PLACE_AT, CONTAINER_AT = (_COLUMN[name] for name in ("tag", "nav", "index", "container1_log_chars"))
LIKENESS_AT, NEIGHBOUR_AT, WINDOW_AT, SCORES_AT, PAGE_AT = (
    _COLUMN[name] for name in ("alike", "block-2_words", "words_within_5", "path_score", "page_log_chars")
)
NUM_AROUND = len(_AROUND) - 2  # counts; `hidden` and `depth` follow them
NUM_PAGE = len(_PAGE)
HEADING_SCORE, TEXT_SCORE, TEXT_SCORE_5 = (
    _COLUMN[name] for name in ("heading_score", "text_score", "text_score_within_5")
)

# Groups of elements: near numbers are near in use, since trees split by order.
GROUPS = np.zeros(tags.NUM_TAGS, np.int8)
for _group, _names in enumerate(
    "p;h1;h2;h3;h4;h5;h6;li;td;div span main;section;article;blockquote;pre;dd;dt;figcaption caption;button;"
    "label legend;option;body;form;summary;header;footer;nav;aside;noscript;th;address;table tr tbody;"
    "ul ol dl".split(";"),
    1,
):
    GROUPS[[TAGS[name] for name in _names.split()]] = _group
LEVELS = np.zeros(tags.NUM_TAGS, np.int8)
for _level in range(1, 7):
    LEVELS[TAGS[f"h{_level}"]] = _level
AROUND_OF = np.full(tags.NUM_TAGS, -1, np.int8)
for _number, _names in enumerate(
    "nav;header;footer;aside;main;article;form;table;ul ol dl;figure;blockquote;pre code;label button option select;"
    "dialog noscript template;div section".split(";")
):
    AROUND_OF[[TAGS[name] for name in _names.split()]] = _number
