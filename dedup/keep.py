"""Keep policies as one sort key per document; of duplicates the document with the smallest key is kept.

    longest   -characters           newest, oldest   ∓date              first    row address
    best      -score of a column    source           rank of its source in `source_priority`

Equal keys are ordered by id. A row that lacks what the policy needs (a date, a score, a rank) comes last.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import model_validator

from shards.exchange import GlobalStageConfig
from shards.stage import Before

Keep = Literal["longest", "newest", "oldest", "first", "best", "source"]
KEEP_COLUMNS: dict[Keep, list[str]] = {
    "longest": ["text"],
    "newest": ["date"],
    "oldest": ["date"],
    "first": [],
    "best": [],  # and the score
    "source": ["source"],
}
_LAST = np.iinfo(np.int64).max
EARLIER = np.iinfo(np.int64).min  # of documents of an index, which come first under any policy


@dataclass(frozen=True)
class KeepBy:
    """A policy with its parameters."""

    policy: Keep
    score: str | None = None
    source_priority: tuple[str, ...] = ()

    def columns(self) -> list[str]:
        return KEEP_COLUMNS[self.policy] + ([self.score] if self.score else [])

    def recorded_columns(self) -> list[str]:
        """As `columns`, of a ledger, which has the length of each text and not the text."""
        return ["text_chars"] if self.policy == "longest" else self.columns()

    def order(self, addresses: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
        """i64 sort keys of the rows of `batch`, which has `columns()` or `recorded_columns()`."""
        match self.policy:
            case "longest":
                known = "text_chars" in batch.schema.names
                chars = batch["text_chars"] if known else pc.utf8_length(batch["text"])
                lengths: np.ndarray = pc.fill_null(chars, 0).to_numpy(zero_copy_only=False)
                return -lengths.astype(np.int64)
            case "first":  # units are numbered in the order of source, file and part, so the address is that order
                return addresses.astype(np.int64)
            case "best":
                assert self.score is not None
                return _falling(batch[self.score])
            case "source":
                ranks = pc.index_in(batch["source"], pa.array(self.source_priority, pa.string()))
                filled: np.ndarray = pc.fill_null(ranks, len(self.source_priority)).to_numpy(zero_copy_only=False)
                return filled.astype(np.int64)
        dates = _dates(batch["date"])
        # A row without a date is kept only if none of the others has one.
        return np.where(dates == 0, _LAST, -dates if self.policy == "newest" else dates)


class KeepConfig(GlobalStageConfig):
    """The settings of a stage that keeps one of several duplicates."""

    keep: Keep = "longest"
    score: str | None = None  # for keep = "best": "classifier.score", a carried column of numbers
    source_priority: tuple[str, ...] = ()  # for keep = "source": the preferred one first; sources not named come last

    @property
    def keep_by(self) -> KeepBy:
        return KeepBy(self.keep, self.score, self.source_priority)

    def refusal(self, before: Before) -> str | None:
        if strange := sorted(set(self.source_priority) - set(before.sources)):
            return f"source_priority: {', '.join(strange)} is none of the recipe's sources: {', '.join(before.sources)}"
        return None if self.score is None else before.not_carried("score", self.score)

    @model_validator(mode="after")
    def _consistent_policy(self) -> Self:
        for policy, key, given in (("best", "score", self.score), ("source", "source_priority", self.source_priority)):
            if (self.keep == policy) != bool(given):
                raise ValueError(
                    f"keep = '{policy}' and `{key}` go together, and keep is '{self.keep}'"
                    if given
                    else f"keep = '{policy}' needs `{key}`"
                )
        if twice := next((s for s in self.source_priority if self.source_priority.count(s) > 1), None):
            raise ValueError(f"source_priority names {twice!r} twice")
        return self


def _falling(scores: pa.Array) -> np.ndarray:
    """i64 keys that fall as the scores rise; null and nan come last."""
    rising: np.ndarray
    if pa.types.is_integer(scores.type):
        rising = pc.fill_null(scores, EARLIER).to_numpy(zero_copy_only=False).astype(np.int64)
    else:
        values = pc.fill_null(scores, np.nan).to_numpy(zero_copy_only=False).astype(np.float64)
        bits = (values + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0
        # IEEE numbers of one sign are ordered as their bits, the negative ones in reverse.
        rising = np.where(np.isnan(values), EARLIER, np.where(bits < 0, bits ^ _LAST, bits))
    falling: np.ndarray = np.maximum(~rising, EARLIER + 1)
    return falling


def _dates(dates: pa.StringArray) -> np.ndarray:
    """i64: YYYYMMDDhhmmss and four digits of the fraction; 0 where there is no date. WARC dates are in UTC."""
    digits = pc.replace_substring_regex(pc.fill_null(dates, ""), r"Z|[+-]\d\d:\d\d$|\D", "")
    padded = pc.utf8_slice_codeunits(pc.utf8_rpad(digits, 18, "0"), 0, 18)
    values: np.ndarray = pc.cast(padded, pa.int64()).to_numpy(zero_copy_only=False)
    return values
