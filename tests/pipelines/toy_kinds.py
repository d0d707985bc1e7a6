"""`gristmill` with a local and a global kind that it does not know: one class each, and one line each in KINDS.

Run as a script it is the command line. Workers of a pool import the script again, so they know the kinds too.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.recipe import KINDS
from shards.exchange import VERDICTS, Block, Executor, GlobalStageConfig
from shards.sink import ArrowSink
from shards.stage import Batch, Rule, Stage, StageConfig, with_columns


class VowelsConfig(StageConfig):
    """Drops texts in which too many characters are vowels."""

    max_fraction: float = 0.5

    def columns(self) -> pa.Schema:
        return pa.schema([(f"{self.name}.fraction", pa.float64())])

    def rules(self) -> tuple[Rule, ...]:
        return (self.rule("too_many_vowels", "fraction", "max_fraction"),)

    def build(self) -> Stage:
        def measure(batch: Batch) -> Batch:
            texts = [text or " " for text in batch["text"].to_pylist()]
            shares = [sum(letter in "aeiou" for letter in text) / len(text) for text in texts]
            return with_columns(batch, {f"{self.name}.fraction": pa.array(shares, pa.float64())})

        return measure


class SameStartConfig(GlobalStageConfig):
    """Removes a document that begins with the same characters as one before it."""

    reason: ClassVar[str] = "dedup.same_start"

    chars: int = 30

    def resolve(self, units: Sequence[Block], folder: Path, executor: Executor) -> None:
        first: dict[str, str] = {}
        for unit in units:
            verdicts = []
            for rows, batch in unit.batches(["id", "text"]):
                starts = pc.utf8_slice_codeunits(batch["text"], 0, self.chars)
                for row, id_, start in zip(rows.tolist(), batch["id"].to_pylist(), starts.to_pylist(), strict=True):
                    if first.setdefault(start, id_) != id_:
                        verdicts.append({"row": row, "twin": first[start], "similarity": None})
            if verdicts:
                with ArrowSink(folder / f"{unit.key}.arrow", VERDICTS) as sink:
                    sink.write(pa.RecordBatch.from_pylist(verdicts, VERDICTS))


KINDS["vowels"] = VowelsConfig
KINDS["same_start"] = SameStartConfig

if __name__ == "__main__":
    from pipelines.cli import main

    main()
