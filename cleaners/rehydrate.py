"""Rehydration: how often a document is to be trained on, by how many copies of it the web had.

    group size    1   2   3 … 4   5 … 99   100 … 999   1000 …       a document and the copies removed for it
    weight        1   2     3        5         8          1

FineWeb2 (Penedo et al. 2025, arXiv 2506.20920) found that pages with a few copies are better than those without any,
and pages with very many are boilerplate again; these are its weights. A document of weight 0 is dropped, where the
recipe does not say `min_weight = 0`. The column `<name>.weight` goes along into the shards, and `gristmill tokenize
--repeat-by <name>.weight` has the training mixture draw each document as often as it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field, PlainSerializer

from shards.schema import COPIES
from shards.stage import Batch, Before, Rule, Stage, StageConfig, with_columns
from shards.tokens import MAX_WEIGHT


def _pairs(table: Any) -> tuple[tuple[int, int], ...]:
    """(least group size, weight), ascending, of a TOML table, whose keys are strings."""
    if not isinstance(table, Mapping):
        raise ValueError("expected a table { 1 = 1, 2 = 2 } from the least group size to its weight")
    pairs: dict[int, int] = {}
    for key, weight in table.items():
        if not (str(key).isascii() and str(key).isdigit() and int(key) > 0):
            raise ValueError(f"expected group sizes from 1 on, not {key!r}")
        if type(weight) is not int or not 0 <= weight <= MAX_WEIGHT:
            raise ValueError(f"expected weights of 0 … {MAX_WEIGHT} for group sizes, not {key} = {weight!r}")
        if int(key) in pairs:
            raise ValueError(f"group size {int(key)} has two weights")
        pairs[int(key)] = weight
    if 1 not in pairs:
        raise ValueError("no weight for group size 1, a document without copies; add 1 = 1")
    return tuple(sorted(pairs.items()))


Weights = Annotated[
    tuple[tuple[int, int], ...],
    BeforeValidator(_pairs),
    PlainSerializer(lambda pairs: {str(size): weight for size, weight in pairs}),
]


class RehydrateConfig(StageConfig):
    """Kind `rehydrate`, behind deduplication that counts copies."""

    version: ClassVar[int] = 1

    name: str = "rehydrate"
    weights: Weights = ((1, 1), (2, 2), (3, 3), (5, 5), (100, 8), (1000, 1))  # least group size → weight; FineWeb2's
    min_weight: int = Field(1, ge=0)

    def columns(self) -> pa.Schema:
        return pa.schema([pa.field(f"{self.name}.weight", pa.int64())])

    def carried(self) -> pa.Schema:
        return self.columns()

    def needs(self) -> tuple[str, ...]:
        return (COPIES.name,)

    def refusal(self, before: Before) -> str | None:
        if COPIES.name not in before.added:
            return "no stage before it counts copies; put it after exact, minhash, url_dedup or ngram_overlap"
        return super().refusal(before)

    def rules(self) -> tuple[Rule, ...]:
        return (self.rule("unwanted_group_size", "weight", "min_weight"),)

    def build(self) -> Stage:
        sizes, weights = np.array(self.weights).T
        return Rehydrate(f"{self.name}.weight", sizes, weights)


@dataclass(frozen=True)
class Rehydrate:
    column: str
    sizes: np.ndarray  # int64, ascending from 1
    weights: np.ndarray

    def __call__(self, batch: Batch) -> Batch:
        group_sizes = pc.add(batch[COPIES.name], 1).to_numpy()
        weights = self.weights[np.searchsorted(self.sizes, group_sizes, side="right") - 1]
        return with_columns(batch, {self.column: pa.array(weights)})
