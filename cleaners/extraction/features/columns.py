"""The features of a block, a column each: `FEATURES` maps their names to their meanings, in the order of the columns.

Each group of features is an enum whose members are the columns, so that a kernel writes `row[Own.WORDS]` and a new
member moves all later columns. Two groups repeat, once a container and once a neighbour; their members count from the
first column of a repetition.

    row   Own | Element | Around | Position | 5 × Container | TemplateCount | 4 × Neighbour | Window | Score
                                              CONTAINERS_AT             NEIGHBOURS_AT
          | Comments | 2 × ItemGroup | Lead | WholePage | PageKind
                       ITEM_GROUPS_AT

Shares are of characters without white space, from 0 to 1. "Container" k of a block is the k-th element around it that
holds more blocks than the one before; the first is the block's own element.
"""

from enum import IntEnum, nonmember
from typing import Self

import numpy as np

from cleaners.extraction.html import tags
from cleaners.extraction.html.tags import TAGS

OFFSETS = (-2, -1, 1, 2)  # of the neighbours, in blocks
NUM_CONTAINERS = 5


class Column(IntEnum):
    """A group of columns that stand side by side, numbered from its `first` in the order of the members.

    Members are integer constants to Numba. They are written with their meanings, `WORDS = "words of the block"`.
    """

    meaning: str

    def __new__(cls, meaning: str) -> Self:
        # mypy would let no group set a `first` that is declared here.
        number: int = cls.first + len(cls.__members__)  # type: ignore[attr-defined]
        column = int.__new__(cls, number)
        column._value_ = number
        column.meaning = meaning
        return column


def end_of(group: type[Column]) -> int:
    """The column after the last one of the group."""
    return int(max(group)) + 1


def meanings(group: type[Column], prefix: str = "", about: str = "") -> dict[str, str]:
    """Names of the group's columns to meanings: those of the members after `prefix` and `about`."""
    return {prefix + column.name.lower(): about + column.meaning for column in group}


class Own(Column):
    """The text of the block."""

    first = nonmember(0)
    LOG_CHARS = "ln(1 + characters)"
    WORDS = "words; two characters are one where words are not spaced"
    LINK_SHARE = "share in links"
    LINKS = "links"
    PUNCTUATION = "ends of sentences and clauses per word"
    ENDING = "1 if it ends as a sentence, 2 with a colon, 0 otherwise"
    COMMAS = "commas of any script"
    DIGIT_SHARE = "share of digits"
    SYMBOL_SHARE = "share of symbols such as | / > › –"
    CAPITALISED = "share of words that begin with a capital"
    ALL_CAPS = "share of words in capitals"
    WORD_LENGTH = "mean characters per word"
    STOP_WORDS = "share of words that hold sentences together"
    COPYRIGHT = "1 with a copyright sign"
    CURRENCY = "currency signs"
    BREAKS = "<br> in it"
    TEXTS = "text nodes in it"
    BEYOND_ASCII = "share of characters beyond ASCII"
    BOLD_SHARE = "share in bold"
    HIDDEN_TEXT = "1 if its text is hidden"
    WORDS_PER_LINE = "words between two <br>"


class Element(Column):
    """The elements that hold the block."""

    first = nonmember(end_of(Own))
    TAG = "group of the element"
    INLINE_TAG = "the element right around its first text, 0 if that is the block's own"
    PARENT_TAG = "group of the element around it"


class Around(Column):
    """Numbers of elements around the block, its own included."""

    first = nonmember(end_of(Element))
    NAV = "<nav> around it"
    HEADER = "<header>"
    FOOTER = "<footer>"
    ASIDE = "<aside>"
    MAIN = "<main>"
    ARTICLE = "<article>"
    FORM = "<form>"
    TABLE = "<table>"
    LIST = "<ul>, <ol>, <dl>"
    FIGURE = "<figure>"
    QUOTE = "<blockquote>"
    CODE = "<pre>, <code>"
    CONTROL = "<label>, <button>, <option>, <select>"
    DIALOG = "<dialog>, <noscript>, <template>"
    DIV = "<div>, <section>"
    HIDDEN = "1 hidden, 2 hidden from screen readers, 3 both"
    DEPTH = "elements around it"


class Position(Column):
    """The position of the block on its page."""

    first = nonmember(end_of(Around))
    INDEX = "blocks before it"
    SHARE_OF_BLOCKS = "blocks before it by all blocks of the page"
    SHARE_OF_TEXT = "characters before it by those of the page"
    AFTER_H1 = "0 if the page has no <h1>, 1 after the first, 2 if it is that, 3 before"
    SINCE_HEADING = "blocks since the last heading, at most 99"
    HEADING_LEVEL = "level of the last heading, 0 without"
    HEADING = "1 if it is a heading"
    SINCE_H1 = "blocks since the first <h1>, negative before, -999 without"
    TO_END = "blocks from it to the end of the page"
    WORDS_SINCE_HEADING = "words since the last heading"
    HEADING_SCORE = "`text_score` of the last heading"


class Container(Column):
    """All blocks of one container."""

    first = nonmember(0)
    LOG_CHARS = "ln(1 + characters)"
    LINK_SHARE = "share in links"
    BLOCKS = "blocks"
    SHARE = "its characters by those of the page"
    PROSE_SHARE = "share in paragraphs"


CONTAINERS_AT, CONTAINER_WIDTH = end_of(Position), len(Container)


class TemplateCount(Column):
    """Elements and blocks of the page that are similar."""

    first = nonmember(CONTAINERS_AT + NUM_CONTAINERS * CONTAINER_WIDTH)
    ALIKE = "elements of the page with its signature (tag, class, parent's)"
    PARENTS_ALIKE = "the same of its parent"
    GRANDPARENTS_ALIKE = "the same of its parent's parent"
    SIBLINGS_ALIKE = "elements with its tag and class within its parent"
    MOST_SIBLINGS_ALIKE = "the greatest such number of the elements around it"
    COPIES = "blocks of the page with its text"
    TITLE_OVERLAP = "share of its words that the title has, less if the title has many more"


class Neighbour(Column):
    """One block near this one, -1 without."""

    first = nonmember(0)
    WORDS = "words"
    LINK_SHARE = "share in links"
    PUNCTUATION = "punctuation per word"
    TAG = "group of the element"


NEIGHBOURS_AT, NEIGHBOUR_WIDTH = end_of(TemplateCount), len(Neighbour)


class Window(Column):
    """The block and those near it."""

    first = nonmember(NEIGHBOURS_AT + len(OFFSETS) * NEIGHBOUR_WIDTH)
    WORDS_WITHIN_5 = "words of it and 5 blocks each side"
    LINK_SHARE_WITHIN_5 = "share in links of these"
    WORDS_WITHIN_12 = "words of it and 12 blocks each side"
    LINK_SHARE_WITHIN_12 = "share in links of these"
    PUNCTUATION_WITHIN_5 = "punctuation per word of it and 5 blocks each side"


class Score(Column):
    """Log odds of the linear models."""

    first = nonmember(end_of(Window))
    PATH_SCORE = "log odds by the tokens of all elements around it (`linear`)"
    OWN_PATH_SCORE = "those of its element alone"
    PARENT_PATH_SCORE = "those of its parent alone"
    LEAST_PATH_SCORE = "the least of an element around it"
    MOST_PATH_SCORE = "the greatest of an element around it"
    INNER_PATH_SCORE = "that of the inline elements in it, the mean of its text nodes"
    TEXT_SCORE = "log odds by its words and pairs of words (`linear`)"
    STRONGEST_WORD = "the weight of its most telling word"
    TEXT_SCORE_WITHIN_5 = "sum of `text_score` over it and 5 blocks each side, by 11"


class Comments(Column):
    """Readers' comments as names and headings mark them (`comment_marks`)."""

    first = nonmember(end_of(Score))
    IN_COMMENTS = "1 if it is marked as part of comments"
    SINCE_COMMENTS = "blocks since the first that is, negative before, -999 without"
    COMMENT_SHARE = "words of comments by those of the page"
    PROSE_OUTSIDE = "share of the words of prose that is outside of comments, -1 without prose"


class ItemGroup(Column):
    """Elements with the same tag and class in one parent, around the block; -1 without (`item_groups`)."""

    first = nonmember(0)
    ITEMS = "elements that hold text"
    CHARS = "characters of each on average"
    LINK_SHARE = "share in links"
    SHARE = "their characters by those of the page"
    PROSE_SHARE = "share in paragraphs"


ITEM_GROUPS_AT, ITEM_GROUP_WIDTH = end_of(Comments), len(ItemGroup)
ITEM_GROUP_NAMES = ("largest", "outermost")


class Lead(Column):
    """Where the text may begin (`lead`)."""

    first = nonmember(ITEM_GROUPS_AT + len(ITEM_GROUP_NAMES) * ITEM_GROUP_WIDTH)
    SINCE_TITLE = "blocks since that with the greatest `title_overlap`, negative before, -999 without"
    TITLE = "that overlap, a third more for headings"
    DESCRIPTION = "share of its words that the description of the page has, -1 without a description"
    SINCE_DESCRIPTION = "blocks since that with the greatest such share, negative before, -999 without"


class WholePage(Column):
    """The page, the same of all its blocks."""

    first = nonmember(end_of(Lead))
    LOG_CHARS = "ln(1 + characters) of the page"
    LINK_SHARE = "share in links"
    BLOCKS = "blocks"
    PARAGRAPHS = "blocks of prose: <p>, or more than 25 words with few links"
    HEADINGS = "headings"
    H2 = "<h2>"
    ITEMS = "<li>"
    LINKS = "links"
    IMAGES = "images"
    INPUTS = "inputs"
    LOG_PROSE = "ln(1 + characters of prose)"
    PROSE_SHARE = "share of prose"
    ARTICLES = "<article>"
    MAINS = "<main>"
    KIND = "Open Graph type: 0 article, 1 website, 2 product, -1 none of these"
    LD_ARTICLE = "JSON-LD types of articles"
    LD_PRODUCT = "of products"
    LD_FORUM = "of forum threads and questions"
    LD_LIST = "of lists"
    LD_ORGANISATION = "of organisations and services"
    LD_RECIPE = "of recipes, how-tos and FAQs"
    BLOCKS_PER_NODE = "blocks by nodes"
    LARGEST_PROSE = "greatest share of prose in one element"


class PageKind(Column):
    """Log odds that the page is of a kind, the same of all its blocks (`page_kinds`)."""

    first = nonmember(end_of(WholePage))
    THREAD = "a thread of a forum, or a question with its answers"
    LIST = "a list of articles, products or other pages"
    PRODUCT = "a product"
    SERVICE = "a firm or its service"


FEATURES: dict[str, str] = meanings(Own) | meanings(Element) | meanings(Around) | meanings(Position)
for _k in range(1, NUM_CONTAINERS + 1):
    FEATURES |= meanings(Container, f"container{_k}_", f"container {_k}: ")
FEATURES |= meanings(TemplateCount)
for _offset in OFFSETS:
    FEATURES |= meanings(Neighbour, f"block{_offset:+}_", f"block {_offset:+}, -1 without: ")
FEATURES |= meanings(Window) | meanings(Score) | meanings(Comments)
for _name in ITEM_GROUP_NAMES:
    FEATURES |= meanings(ItemGroup, f"{_name}_group_", f"the {_name} group of like elements: ")
FEATURES |= meanings(Lead, "lead_") | meanings(WholePage, "page_") | meanings(PageKind, "kind_")
NUM_FEATURES = len(FEATURES)
assert end_of(PageKind) == NUM_FEATURES  # no name stands twice, and no group is missing

# Groups of elements: near numbers are near in use, since trees split by order.
GROUPS = np.zeros(tags.NUM_TAGS, np.int8)
for _group, _names in enumerate(
    "p;h1;h2;h3;h4;h5;h6;li;td;div span main;section;article;blockquote;pre;dd;dt;figcaption caption;button;"
    "label legend;option;body;form;summary;header;footer;nav;aside;noscript;th;address;table tr tbody;"
    "ul ol dl".split(";"),
    1,
):
    GROUPS[[TAGS[name] for name in _names.split()]] = _group
LEVELS = np.zeros(tags.NUM_TAGS, np.int8)  # of headings
for _level in range(1, 7):
    LEVELS[TAGS[f"h{_level}"]] = _level

_ELEMENTS = {
    Around.NAV: "nav",
    Around.HEADER: "header",
    Around.FOOTER: "footer",
    Around.ASIDE: "aside",
    Around.MAIN: "main",
    Around.ARTICLE: "article",
    Around.FORM: "form",
    Around.TABLE: "table",
    Around.LIST: "ul ol dl",
    Around.FIGURE: "figure",
    Around.QUOTE: "blockquote",
    Around.CODE: "pre code",
    Around.CONTROL: "label button option select",
    Around.DIALOG: "dialog noscript template",
    Around.DIV: "div section",
}
NUM_AROUND = len(_ELEMENTS)
assert list(_ELEMENTS) == list(Around)[:NUM_AROUND]
AROUND_OF = np.full(tags.NUM_TAGS, -1, np.int8)  # the column that counts an element, from Around.NAV on; -1 for none
for _column, _names in _ELEMENTS.items():
    AROUND_OF[[TAGS[name] for name in _names.split()]] = _column - Around.first
