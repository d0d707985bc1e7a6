"""The key of a unit: which piece of which input file it is. It is the stem of all its file names.

web-00003-000      the first unit of the fourth input of the source `web`
"""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, order=True)
class UnitKey:
    source: str
    file: int  # index of the input file in its source
    part: int  # index of the unit in its file

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key that `str(key)` wrote. ValueError for any other text."""
        source, file, part = text.rsplit("-", 2)
        return cls(source, int(file), int(part))

    def __str__(self) -> str:
        return f"{self.source}-{self.file:05d}-{self.part:03d}"

    @property
    def following(self) -> "UnitKey":
        """The next unit of the file."""
        return replace(self, part=self.part + 1)

    @property
    def chain(self) -> tuple[str, int]:
        """The input file, whose units follow each other."""
        return self.source, self.file
