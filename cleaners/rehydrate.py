"""Rehydration: the number of times that a document is trained on, from the number of its copies on the web.

    cluster size  1   2   3 … 4   5 … 99   100 … 999   1000 …       a document and the copies removed for it
    weight        1   2     3        5         8          1

FineWeb2 (Penedo et al. 2025, arXiv 2506.20920) found that pages with a few copies are better than those without any,
and that pages with very many are boilerplate again. These are its weights. A document of weight 0 is dropped unless the
recipe sets `min_weight = 0`. The column `<name>.weight` goes into the shards. With `gristmill tokenize --repeat-by
<name>.weight` the training mixture draws each document that many times.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field, PlainSerializer

from shards.config import table_like
from shards.schema import COPIES
from shards.stage import Batch, Before, Rule, Stage, StageConfig, with_columns
from shards.tokens import MAX_WEIGHT

_table = table_like("{ 1 = 1, 2 = 2 }, from the smallest cluster size to its weight")


def _pairs(value: object) -> tuple[tuple[int, int], ...]:
    """(smallest cluster size, weight), ascending, of a TOML table, whose keys are strings."""
    pairs: dict[int, int] = {}
    for size, weight in _table(value).items():
        if not (str(size).isascii() and str(size).isdigit() and int(size) > 0):
            raise ValueError(f"expected cluster sizes of at least 1, not {size!r}")
        if type(weight) is not int or not 0 <= weight <= MAX_WEIGHT:
            raise ValueError(f"expected weights of 0 … {MAX_WEIGHT} for cluster sizes, not {size} = {weight!r}")
        if int(size) in pairs:
            raise ValueError(f"cluster size {int(size)} has two weights")
        pairs[int(size)] = weight
    if 1 not in pairs:
        raise ValueError("no weight for cluster size 1, a document without copies; add 1 = 1")
    return tuple(sorted(pairs.items()))


Weights = Annotated[
    tuple[tuple[int, int], ...],
    BeforeValidator(_pairs),
    PlainSerializer(lambda pairs: {str(size): weight for size, weight in pairs}),
]


class RehydrateConfig(StageConfig):
    """Kind `rehydrate`, after deduplication that counts copies."""

    version: ClassVar[int] = 1

    name: str = "rehydrate"
    weights: Weights = (
        (1, 1),
        (2, 2),
        (3, 3),
        (5, 5),
        (100, 8),
        (1000, 1),
    )  # smallest cluster size → weight; FineWeb2's
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
    """Adds the weight of each row's cluster size."""

    column: str
    sizes: np.ndarray  # int64, ascending from 1
    weights: np.ndarray

    def __call__(self, batch: Batch) -> Batch:
        cluster_sizes = pc.add(batch[COPIES.name], 1).to_numpy()
        weights = self.weights[np.searchsorted(self.sizes, cluster_sizes, side="right") - 1]
        return with_columns(batch, {self.column: pa.array(weights)})
