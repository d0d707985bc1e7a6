"""Printing: results on standard output, progress and errors on standard error.

Texts and addresses of a crawl never steer the terminal: control characters are printed as escapes, and brackets and
colons, which rich would take for markup and emoji, as they are.
"""

import json
import re
import shlex
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from pipelines.lines import Line, Table, Titled
from shards import mirror

# Control characters, direction overrides and halves of surrogate pairs.
_UNSAFE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_OUT, _ERR = (
    Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False) for stderr in (False, True)
)


def show(line: Line) -> None:
    """Print one line, or a table as wide as the terminal allows, to standard output."""
    match line:
        case Table():
            _OUT.print(_laid_out(line))
        case Titled():
            _OUT.print(Text.assemble((visible(line.title), "bold"), f"  {visible(line.text)}"))
        case _:
            _OUT.print(visible(line))


def show_all(lines: Iterable[Line]) -> None:
    """Print lines to standard output, each as soon as it is there."""
    for line in lines:
        show(line)


def show_json(value: Any, *, indent: int | None = 1) -> None:
    """Print one JSON document to standard output, indented or, with None, on one line.

    Characters that would steer the terminal are JSON's escapes, so that a parser reads the value itself.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    safe = _UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text)
    sys.stdout.write(safe + "\n")


def say(line: str) -> None:
    """Print a line to standard error."""
    _ERR.print(visible(line))


def say_table(table: Table) -> None:
    """Print a table to standard error."""
    _ERR.print(_laid_out(table))


def visible(line: str) -> str:
    """`line` with URLs for paths of mirrors, and escapes for characters that would steer the terminal."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), mirror.shown(line))


def this_command() -> str:
    """The command line that the user gave, as a line to repeat."""
    return shlex.join(["gristmill", *sys.argv[1:]])


def _laid_out(table: Table) -> RichTable:
    laid_out = RichTable() if table.ruled else RichTable(box=None, pad_edge=False)
    for number, heading in enumerate(table.headings):
        laid_out.add_column(heading, justify="right" if number and table.numbers else "left")
    for row in table.rows:
        laid_out.add_row(*map(visible, row))
    return laid_out
