"""Repairs of extracted text.

limit_newlines, remove_urls       for every page, in extraction (RefinedWeb, arXiv 2306.01116, App. G.1)
fix_encoding, break_symbol_lines  kind `textfix` (FineWeb2, arXiv 2506.20920, its pipeline's two formatters)
"""

import re
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from shards.stage import Batch, Stage, StageConfig, with_columns

if TYPE_CHECKING:
    from ftfy import TextFixerConfig


# What ftfy repairs besides mojibake: entities, control characters, halves of surrogate pairs.
_ENTITY = re.compile(r"&#?[0-9A-Za-z]{1,24};")
_CONTROL = re.compile("[\0-\x08\x0b\x0e-\x1f\x7f-\x9f\u206a-\u206f\ufeff\ufff9-\ufffc\ud800-\udfff]")
# The line ends of `str.splitlines` other than "\n".
_LINE_ENDS = re.compile("[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# ASCII and, for Latin and Cyrillic hosts and paths, letters below U+2000: a URL ends where Chinese text goes on.
_CHARS = r"[A-Za-z0-9_!#$%&'*+,./:;=?@\[\]~\u00c0-\u1fff-]"
_URL = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:https?|ftp)://|www\.(?=[\w-]+\.))"
    rf"(?:{_CHARS}|\({_CHARS}*\))*"  # a parenthesis only with its partner
    r"(?<![!',.:;?\[\]])",  # punctuation at the end belongs to the sentence
    re.IGNORECASE,
)
_WWW = re.compile(r"[wW]{3}\.")


class TextFixConfig(StageConfig):
    """Kind `textfix`. The metric `changed` is 1 where the text is not the same afterwards, else 0."""

    name: str = "textfix"
    fix_encoding: bool = True
    symbol_lines: str = "|"  # lines of these and spaces alone are remains of tables, and become empty; "": none do

    @property
    def edits(self) -> bool:
        return True

    def columns(self) -> pa.Schema:
        return pa.schema([pa.field(f"{self.name}.changed", pa.int64())])

    def build(self) -> Stage:
        def fix(batch: Batch) -> Batch:
            before = batch["text"].to_pylist()
            after = [None if text is None else self._fixed(text) for text in before]
            changed = [None if a is None else int(a != b) for a, b in zip(before, after, strict=True)]
            return with_columns(
                batch,
                {
                    "text": pa.array(after, batch.schema.field("text").type),
                    f"{self.name}.changed": pa.array(changed, pa.int64()),
                },
            )

        return fix

    def _fixed(self, text: str) -> str:
        text = fix_encoding(text) if self.fix_encoding else text
        return break_symbol_lines(text, self.symbol_lines) if self.symbol_lines else text


def fix_encoding(text: str) -> str:
    """The result of `ftfy.fix_text` with FineWeb2's settings, which is called only for lines that it can change.

    Mojibake is undone and control characters are removed; quotes, ligatures and wide characters stay.
    """
    if text.isascii() and "&" not in text and _CONTROL.search(text) is None:
        return text
    from ftfy import fix_text
    from ftfy.badness import is_bad

    config = _ftfy_config()
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if config.unescape_html and "<" in line:  # ftfy's "auto": entities stay from here on
            config = config._replace(unescape_html=False)
        is_entity = config.unescape_html and "&" in line and _ENTITY.search(line)
        if is_entity or _CONTROL.search(line) or (not line.isascii() and is_bad(line)):
            lines[i] = fix_text(line, config)
    return "\n".join(lines)


@cache
def _ftfy_config() -> "TextFixerConfig":
    from ftfy import TextFixerConfig

    return TextFixerConfig(
        fix_latin_ligatures=False,
        fix_character_width=False,  # Chinese and Japanese punctuation is wide
        uncurl_quotes=False,
        fix_line_breaks=False,
        normalization=None,
        explain=False,
    )


def break_symbol_lines(text: str, symbols: str) -> str:
    """`text` with two empty lines for each run of lines that hold only `symbols` and spaces, and "\\n" at line ends."""
    if not text.endswith("\n") and _LINE_ENDS.search(text) is None and not any(map(text.__contains__, symbols)):
        return text
    known = frozenset(symbols + " ")
    lines: list[str] = []
    in_run = False
    for line in text.splitlines():
        is_symbols = known.issuperset(line) and not line.isspace() and line != ""
        if not is_symbols:
            lines.append(line)
        elif not in_run:
            lines.append("\n")
        in_run = is_symbols
    return "\n".join(lines)


def limit_newlines(text: str, max_newlines: int = 2) -> str:
    """`text` with at most `max_newlines` newlines in a row; a line of white space alone is an empty line."""
    return _more_newlines(max_newlines).sub("\n" * max_newlines, text)


@cache
def _more_newlines(max_newlines: int) -> re.Pattern[str]:
    return re.compile(rf"\n(?:[^\S\n]*\n){{{max_newlines},}}")


def remove_urls(text: str) -> str:
    """`text` without http, https and ftp URLs and "www." addresses; the text around them stays as it is."""
    if "://" not in text and _WWW.search(text) is None:
        return text
    # No URL holds white space, and most lines hold no URL.
    lines = text.split("\n")
    return "\n".join(_URL.sub("", line) if "://" in line or _WWW.search(line) else line for line in lines)
