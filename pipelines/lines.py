"""The output of a command as plain values: lines of text, and tables that the terminal lays out.

Each verb has a function `lines` that puts its result into words; the command line prints what it yields.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Titled:
    """A line that begins with a title, which is bold on a terminal."""

    title: str
    text: str


@dataclass(frozen=True)
class Table:
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: bool = False  # all columns but the first are aligned to the right
    ruled: bool = False  # with lines around the cells


Line = str | Titled | Table
