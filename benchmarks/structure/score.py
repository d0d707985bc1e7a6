"""Scores of Markdown against the Markdown that a page should give.

Both are read as CommonMark with tables and written in one form, so that `*` for `-`, escapes and wrapped lines make no
difference, and typographic quotes, dashes and dots are plain. Links are their text, pictures are nothing. Formulas
stand in dollars, in LaTeX's brackets, or in listings in the language `math`. Seven scores, each from 0 to 1, `None`
where the truth has none of it:

    text       1 - Levenshtein distance / length of the longer, over that form
    tables     TEDS (Zhong et al. 2020, "Image-based table recognition", section 4) of tables matched one by one
    formulas   F1 over formulas as TeX without spaces and needless braces
    code       F1 over listings, equal up to the white space at their ends and a common indent
    language   share of the listings found, among those whose language the truth names, that name the same
    headings   F1 over (level, text without a number before it)
    lists      F1 over (depth, whether numbered, the item's first line)
"""

import re
import textwrap
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

Table = list[list[str]]
_BRACKETS = (("\\\\(", "\\\\)"), ("\\\\[", "\\\\]"), ("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"))
_SIGNS_OF_TEX = re.compile(r"[\\^_={}+*/<>]")  # "\[1]" is an escaped bracket
_TEX_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\S", re.S)
_STYLES = {"\\displaystyle", "\\textstyle", "\\scriptstyle", "\\limits", "\\,", "\\;", "\\!", "\\:", "\\ ", "~"}
_WRAPPER = re.compile(r"^\\begin\{(split|aligned|align\*?|equation\*?|gathered)\}(.*)\\end\{\1\}$", re.S)
_SAME_LANGUAGE = {
    "python3": "python", "py": "python", "pycon": "python", "pycon3": "python", "ipython": "python", "sh": "bash",
    "ipython3": "python", "shell": "bash", "console": "bash", "shell-session": "bash", "zsh": "bash",
    "js": "javascript",
    "ts": "typescript", "c++": "cpp", "yml": "yaml", "rb": "ruby", "rst": "restructuredtext", "html+jinja": "html",
    "rest": "restructuredtext", "cs": "csharp", "c#": "csharp", "docker": "dockerfile", "golang": "go", "tex": "latex",
    "restructuredtext": "restructuredtext", "jinja2": "jinja", "plaintext": "text", "postgresql": "sql",
}  # fmt: skip


class Structure(NamedTuple):
    """What a Markdown text holds."""

    text: str  # the whole of it, in one form
    tables: list[Table]
    formulas: list[str]
    code: list[tuple[str, str]]  # (text, language)
    headings: list[tuple[int, str]]
    lists: list[tuple[int, bool, str]]


def scores(found: str, truth: str) -> dict[str, float | None]:
    """The scores of a Markdown text, by their names."""
    ours, theirs = structure_of(found), structure_of(truth)
    listings = Counter(text for text, _ in ours.code), Counter(text for text, _ in theirs.code)
    return {
        "text": similarity(ours.text, theirs.text),
        "tables": _tables(ours.tables, theirs.tables),
        "formulas": f1(Counter(ours.formulas), Counter(theirs.formulas)),
        "code": f1(*listings),
        "language": _languages(ours.code, theirs.code),
        "headings": f1(Counter(ours.headings), Counter(theirs.headings)),
        "lists": f1(Counter(ours.lists), Counter(theirs.lists)),
    }


def f1(found: Counter[Hashable], truth: Counter[Hashable]) -> float | None:  # type: ignore[type-arg]
    """F1 of two multisets, `None` where the truth is empty."""
    if not truth:
        return None
    return 2 * (found & truth).total() / (found.total() + truth.total())


def _languages(found: list[tuple[str, str]], truth: list[tuple[str, str]]) -> float | None:
    languages = dict(found)
    named = [(text, language) for text, language in truth if language and text in languages]
    if not named:
        return None
    return sum(languages[text] == language for text, language in named) / len(named)


def _tables(found: list[Table], truth: list[Table]) -> float | None:
    """Twice the TEDS of matched tables over the number of tables: the most similar pair first."""
    if not truth:
        return None
    pairs = sorted(((teds(a, b), i, k) for i, a in enumerate(found) for k, b in enumerate(truth)), reverse=True)
    total, used, matched = 0.0, set[int](), set[int]()
    for value, i, k in pairs:
        if i not in used and k not in matched:
            total += value
            used.add(i)
            matched.add(k)
    return 2 * total / (len(found) + len(truth))


def teds(a: Table, b: Table) -> float:
    """1 - the edit distance of two tables as trees over the nodes of the larger.

    A table holds rows, a row holds cells. Insertion and removal cost 1 a node; a cell for a cell costs what their
    texts differ by. Rows and cells keep their depth here, which a tree edit distance leaves open.
    """
    if not a and not b:
        return 1.0
    larger = max(1 + len(table) + sum(map(len, table)) for table in (a, b))
    cost = _sequence_cost(a, b, lambda row: 1 + len(row), lambda x, y: _sequence_cost(x, y, lambda _: 1, _cell_cost))
    return 1 - cost / larger


def _cell_cost(a: str, b: str) -> float:
    return 0.0 if a == b else 1 - similarity(a, b)


def _sequence_cost(a, b, whole, change):  # type: ignore[no-untyped-def]
    """The least cost of turning one sequence into the other."""
    before = [0.0]
    for y in b:
        before.append(before[-1] + whole(y))
    for x in a:
        row = [before[0] + whole(x)]
        for k, y in enumerate(b):
            row.append(min(before[k + 1] + whole(x), row[k] + whole(y), before[k] + change(x, y)))
        before = row
    return before[-1]


def similarity(a: str, b: str) -> float:
    """1 - Levenshtein distance over the length of the longer."""
    longer = max(len(a), len(b))
    return 1 - distance(a, b) / longer if longer else 1.0


def distance(a: str, b: str) -> int:
    """The Levenshtein distance, by the bit vectors of Myers 1999 in the form of Hyyrö 2003, figure 3."""
    if len(a) < len(b):
        a, b = b, a
    if not b:
        return len(a)
    positions: dict[str, int] = {}
    for i, c in enumerate(b):
        positions[c] = positions.get(c, 0) | 1 << i
    every, last = (1 << len(b)) - 1, 1 << len(b) - 1
    plus, minus, total = every, 0, len(b)
    for c in a:
        equal = positions.get(c, 0)
        diagonal = (((equal & plus) + plus) ^ plus) | equal | minus
        up, down = minus | ~(diagonal | plus) & every, plus & diagonal
        total += (up & last > 0) - (down & last > 0)
        up, down = (up << 1 | 1) & every, down << 1 & every
        plus, minus = down | ~(diagonal | up) & every, up & diagonal
    return total


def structure_of(markdown: str) -> Structure:
    """The structure of a Markdown text."""
    reader = _Reader()
    reader.read(_PARSER.parse(markdown))
    return Structure(
        "\n".join(reader.lines), reader.tables, reader.formulas, reader.code, reader.headings, reader.lists
    )


def normal_tex(tex: str) -> str:
    """TeX without white space that means nothing, styles, the environment around all of it, and `{x}` for `x`."""
    tex = tex.strip().strip("$").strip()
    while match := _WRAPPER.match(tex):
        tex = match[2].strip()
    tokens = [token for token in _TEX_TOKEN.findall(tex) if token not in _STYLES]
    while tokens and tokens[-1] in (".", ",", ";", "\\\\"):
        tokens.pop()
    out: list[str] = []
    for token in tokens:
        out.append(token)
        if out[-1] == "}" and len(out) > 2 and out[-3] == "{":
            out[-3:] = [out[-2]]
    if len(out) > 1 and out[0] == "{" and out[-1] == "}" and "{" not in out[1:-1]:
        out = out[1:-1]
    return " ".join(out)


def _math(state: StateInline, silent: bool) -> bool:
    """A formula between dollars or in LaTeX's brackets; dollars as pandoc takes them."""
    text, at = state.src, state.pos
    for left, right in _BRACKETS:
        if text.startswith(left, at):
            end = text.find(right, at + len(left))
            if end < 0 or (left == "\\[" and not _SIGNS_OF_TEX.search(text[at + 2 : end])):
                return False
            return _push(state, silent, text[at + len(left) : end], end + len(right))
    if not text.startswith("$", at) or at + 1 >= len(text) or text[at + 1].isspace():
        return False
    end = text.find("$", at + 1)
    while end > 0 and text[end - 1] == "\\":
        end = text.find("$", end + 1)
    if end <= at + 1 or text[end - 1].isspace() or text[end + 1 : end + 2].isdigit():
        return False
    return _push(state, silent, text[at + 1 : end], end + 1)


def _push(state: StateInline, silent: bool, tex: str, after: int) -> bool:
    if not silent:
        state.push("math", "", 0).content = tex
    state.pos = after
    return True


_NUMBER = re.compile(
    r"^(?:Chapter |Appendix )?(?:\d+|[A-Z](?=\.))(?:\.\d+)*\.? +(?=\S)"
)  # of sections: themes add them
_PLAIN_CHARACTERS = str.maketrans(
    dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"') | dict.fromkeys("\u2018\u2019\u201a", "'")
)
_DASHES, _DOTS = re.compile("[\u2013\u2014]|(?<!-)-{2,3}(?![-\\w])"), "\u2026"
_PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_PARSER.inline.ruler.before("escape", "math", _math)
_TERMINATORS = re.compile(r"[^\n\\`*_\[\]<!&$~]+")


def _text(state: StateInline, silent: bool) -> bool:
    """A run of characters none of which begins markup or a formula."""
    match = _TERMINATORS.match(state.src, state.pos, state.posMax)
    if not match:
        return False
    if not silent:
        state.pending += match[0]
    state.pos = match.end()
    return True


_PARSER.inline.ruler.at("text", _text)


class _Reader:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tables: list[Table] = []
        self.formulas: list[str] = []
        self.code: list[tuple[str, str]] = []
        self.headings: list[tuple[int, str]] = []
        self.lists: list[tuple[int, bool, str]] = []
        self._around: list[str] = []  # markers of the lists and quotations around
        self._heading = 0

    def read(self, tokens: Sequence[Token]) -> None:
        is_new_item = False
        row: list[str] | None = None
        for token in tokens:
            match token.type:
                case "blockquote_open":
                    self._around.append("> ")
                case "bullet_list_open":
                    self._around.append("- ")
                case "ordered_list_open":
                    self._around.append("1. ")
                case "blockquote_close" | "bullet_list_close" | "ordered_list_close":
                    self._around.pop()
                case "list_item_open" | "list_item_close":
                    is_new_item = token.nesting == 1
                case "heading_open":
                    self._heading = int(token.tag[1])
                case "heading_close":
                    self._heading = 0
                case "fence" | "code_block":
                    self._listing(token)
                case "html_block":
                    self._line(_without_tags(token.content))
                case "table_open":
                    self.tables.append([])
                case "tr_open":
                    row = []
                case "tr_close" if row is not None:
                    while row and not row[-1]:
                        row.pop()
                    if row:
                        self.tables[-1].append(row)
                        self._line("| " + " | ".join(row) + " |")
                    row = None
                case "inline":
                    text = self._inline(token.children or [])
                    if row is not None:
                        row.append(text)
                    elif self._heading:
                        self.headings.append((self._heading, _NUMBER.sub("", _plain(text))))
                        self._line("#" * self._heading + " " + text)
                    else:
                        if is_new_item:
                            lists = [marker for marker in self._around if marker != "> "]
                            self.lists.append((len(lists), lists[-1] == "1. ", _plain(text)))
                        self._line(text, is_new_item)
                    is_new_item = False

    def _listing(self, token: Token) -> None:
        language = (token.info.split() or [""])[0].lower().strip("{.}")
        text = textwrap.dedent("\n".join(line.rstrip() for line in token.content.split("\n"))).strip("\n")
        if language == "math":
            self.formulas.append(normal_tex(text))
            self._line(f"${self.formulas[-1]}$")
            return
        self.code.append((text, _SAME_LANGUAGE.get(language, language)))
        self.lines += ["```", *text.split("\n"), "```"]

    def _line(self, text: str, begins_item: bool = False) -> None:
        text = " ".join(text.split())
        if text:
            marks = "".join(self._around)
            self.lines.append((marks if begins_item else marks.replace("- ", "  ").replace("1. ", "   ")) + text)

    def _inline(self, tokens: Sequence[Token]) -> str:
        out: list[str] = []
        for token in tokens:
            match token.type:
                case "text":
                    plain = token.content.translate(_PLAIN_CHARACTERS).replace(_DOTS, "...")
                    out.append(_DASHES.sub("-", plain))
                case "code_inline":
                    out.append(f"`{token.content}`")
                case "math":
                    formula = normal_tex(token.content)
                    if formula:
                        self.formulas.append(formula)
                        out.append(f"${formula}$")
                case "softbreak" | "hardbreak":
                    out.append(" ")
                case "html_inline":
                    out.append(_without_tags(token.content))
                case "strong_open" | "strong_close" if not self._heading:
                    out.append("**")
                case "em_open" | "em_close":
                    out.append("*")
        return " ".join("".join(out).split())


def _without_tags(html: str) -> str:
    return re.sub(r"<[^>]*>", " ", html)


def _plain(text: str) -> str:
    """Text without marks of style, which headings and items are compared by."""
    return " ".join(re.sub(r"[*`]", "", text).split())
