"""A part of a run's inputs, for machines that share a crawl: `--part 2/5` is the second of five.

    inputs of a source   ├──a──┼b┼c┼────d────┼e┤
    in five parts by     ├───┼───┼───┼───┼───┤       a file falls where its middle lies
    their bytes

The parts one after the other are the whole, in its order, so that `gristmill merge` makes the one run of them. Which
files a part has depends on the list and sizes of all inputs, and on nothing else.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pipelines.numbers import counted
from shards.errors import UserError
from shards.storage import InputFile


@dataclass(frozen=True)
class Part:
    number: int  # from 1
    total: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The part that "2/5" names. UserError for any other text."""
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UserError(f"--part {text}: expected I/N with I from 1 to N, as 2/5 for the second of five parts")
        return cls(int(match[1]), int(match[2]))

    def of_each(self, inputs: Mapping[str, Sequence[InputFile]]) -> dict[str, list[InputFile]]:
        """The files of this part by source. UserError where there are none."""
        found = {source: [*self._of(files)] for source, files in inputs.items()}
        if not any(found.values()):
            number = sum(map(len, inputs.values()))
            raise UserError(
                f"--part {self}: no input falls into this part, the other parts have all {counted(number, 'file')}; "
                "leave it out, or make fewer parts"
            )
        return found

    def _of(self, files: Sequence[InputFile]) -> Iterator[InputFile]:
        weights = [file.num_bytes + 1 for file in files]  # 1: files without bytes are shared out, too
        whole, begin = sum(weights), 0
        for file, weight in zip(files, weights, strict=True):
            if (2 * begin + weight) * self.total // (2 * whole) == self.number - 1:
                yield file
            begin += weight

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


WHOLE = Part(1, 1)
