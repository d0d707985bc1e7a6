"""Reads lists of words and counts them in texts. A list has one entry a line, and `#` begins a comment."""

import re
from pathlib import Path

from cleaners.assets.listfile import open_list
from shards.errors import UserError

_WORD = re.compile(r"\w+")
# Han, kana, and the scripts of South-East Asia, which write words without spaces.
_UNSPACED = re.compile("[\u0e00-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U000323af]")


class WordFinder:
    """Counts occurrences of the words and phrases of a list in a text, in any case.

    An entry counts between characters that are not letters, digits or underscores. An entry in a script without spaces,
    or without a letter, counts anywhere.
    """

    def __init__(self, entries: list[str]) -> None:
        by_first: dict[str, list[str]] = {}
        self._anywhere: list[str] = []
        for entry in sorted(set(entries), key=lambda entry: (-len(entry), entry)):  # the longest match counts
            first = _WORD.search(entry)
            if first is None or _UNSPACED.search(entry):
                self._anywhere.append(entry)
            else:
                by_first.setdefault(first[0], []).append(re.escape(entry))
        # One pattern for all entries would be tried at each character. The set of first words is used once a text.
        self._by_first = {
            first: re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)") for first, patterns in by_first.items()
        }

    def count(self, text: str) -> int:
        text = text.lower()
        firsts = self._by_first.keys() & set(_WORD.findall(text)) if self._by_first else set()
        return sum(len(self._by_first[first].findall(text)) for first in firsts) + sum(map(text.count, self._anywhere))


def entries(reference: str | Path) -> list[str]:
    """The entries in lower case, without blank lines and comments; `assets.listfile` defines references."""
    with open_list(reference) as stream:
        data = stream.read()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{reference}: the list is not UTF-8 text: {error}") from None
    lines = (line.partition("#")[0].strip().lower() for line in text.splitlines())
    return [line for line in lines if line]
