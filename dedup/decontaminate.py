"""Decontamination: documents with n-grams of evaluation sets are dropped, cut or flagged, and every hit is reported.

    item  …the source of energy for nearly all ecosystems…   ──every 13 words──▶ table of n-grams
    page  …says that the SOURCE of energy, for nearly all…   ──every 13 words──▶ in it? hits, items, spans

13 words as in GPT-3 (arXiv 2005.14165, appendix C), which took the 5th percentile of an item's length between 8 and
13. A shorter passage is searched for by all its words, if it has `min_words`; an item with no passage of `min_words`
cannot be searched for and is counted. Case and punctuation are ignored, and normal forms are compared
(`dedup.normal_form`). Chinese and Japanese words are a segmenter's: 13 of them are as rare as in English, 13
characters are not.

Words that all passages of a field begin or end with ("Question:") are a template, not part of any item, and left out.
"""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from dedup.evaluation.eval_index import EvaluationIndex
from dedup.evaluation.sets import EvaluationSet, read_set
from shards import mirror
from shards.atomic import write_json
from shards.brought import brought
from shards.config import table_like
from shards.errors import UserError
from shards.spans import SPAN_LISTS, Spans, as_lists, cut, in_lists
from shards.stage import Batch, Rule, Searches, Stage, StageConfig, with_columns
from shards.unicode import text_buffers

FOUND_CHARS = 200  # of a passage that was found, as it is shown to people
_STRINGS = pa.list_(pa.string())


_table = table_like('{ arc = "arc.jsonl" }')
Sets = Annotated[
    tuple[tuple[str, str], ...], BeforeValidator(lambda value: tuple(_table(value).items())), PlainSerializer(dict)
]


class DecontaminateConfig(StageConfig):
    """Kind `decontaminate`.

    Metrics: `hits`, the n-grams found; `items` ("arc:17") and, for each, the passage `found`; `spans` of all hits:
    start, end, start, end, ... in bytes of the text before any cut.
    """

    version: ClassVar[int] = 2  # 2: normal forms are compared

    name: str = "decontaminate"
    sets: Sets  # { arc = "path" }: JSONL, CSV or Parquet files, their folder, or a glob
    fields: tuple[str, ...] = ()  # of the records; empty: every text of a record
    ngram: int = Field(13, ge=1)  # words
    min_words: int = Field(8, ge=1)  # of a passage shorter than that
    segmented: bool = True  # Chinese and Japanese words by a segmenter instead of single characters
    action: Literal["drop", "cut", "flag"] = "drop"
    max_hits: int = Field(0, ge=0)  # of a document that is kept

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.sets:
            raise ValueError('sets: expected at least one, as { arc = "arc.jsonl" }')
        if odd := next((name for name, _ in self.sets if not re.fullmatch(r"[A-Za-z0-9_-]+", name)), None):
            raise ValueError(f"sets: expected a name of letters, digits, _ and -, found {odd!r}")
        if self.min_words > self.ngram:
            raise ValueError(f"min_words is for passages of fewer than ngram = {self.ngram} words; give it less")
        if self.max_hits and self.action != "drop":
            raise ValueError(f"max_hits decides which documents are dropped, and action is '{self.action}'")
        return self

    @property
    def edits(self) -> bool:
        return self.action == "cut"

    def columns(self) -> pa.Schema:
        kinds = {"hits": pa.int64(), "items": _STRINGS, "found": _STRINGS, "spans": SPAN_LISTS}
        return pa.schema([(f"{self.name}.{metric}", kind) for metric, kind in kinds.items()])

    def carried(self) -> pa.Schema:
        """With `flag`, the metrics by which a reader of the shards sees contamination."""
        flags = (self.columns().field(f"{self.name}.{metric}") for metric in ("hits", "items"))
        return pa.schema(flags if self.action == "flag" else [])

    def rules(self) -> tuple[Rule, ...]:
        return (self.rule("contaminated", "hits", "max_hits"),) if self.action == "drop" else ()

    def digests(self) -> dict[str, str]:
        return {f"{self.name}.sets.{found.name}": found.sha256 for found in self.read_sets()}

    def files(self) -> dict[str, Path]:
        return {path: Path(path) for _, path in self.sets if Path(path).exists()}

    def read_sets(self) -> list[EvaluationSet]:
        return [
            read_set(name, str(brought(path) or path), self.fields, f"{self.name}.sets.{name}")
            for name, path in self.sets
        ]

    def build(self) -> "Decontaminate":
        index = EvaluationIndex.of(self.read_sets(), self.ngram, self.min_words, self.segmented)
        for name, counts in index.searched().items():
            if not counts["searched"]:
                raise UserError(
                    f"{self.name}.sets.{name}: none of its {counts['items']:,} items has a passage of {self.min_words} "
                    "words, so none can be searched for; lower min_words, or leave the set out"
                )
        return Decontaminate(self, index)

    def journal(self) -> str:
        return f"contamination/{self.name}.json"

    def searches(self) -> Searches:
        return Searches(self.ngram, self.action, self.journal())

    def build_in(self, journal: Path | None, *, careful: bool = False) -> Stage:
        """Build the stage and write the searched items into the run: the sets' files may be deleted before a report."""
        stage = self.build()
        if journal is not None and not mirror.exists(journal):
            write_json(journal, {"sets": stage.index.searched()}, several=True)
        return stage


class Decontaminate:
    def __init__(self, config: DecontaminateConfig, index: EvaluationIndex) -> None:
        self.config, self.index = config, index

    def __call__(self, batch: Batch) -> Batch:
        text, name, index = batch["text"], self.config.name, self.index
        data, offsets = text_buffers(text)
        rows, begins, ends, grams = index.find(text)
        span_of, spans = _merged(rows, begins, ends)

        hit_of, owners = index.owners_of(grams)
        pairs, first = np.unique(rows[hit_of] * len(index.items) + owners, return_index=True)
        row_of, item_of = np.divmod(pairs, max(1, len(index.items)))
        items = pa.array([index.items[item] for item in item_of.tolist()], pa.string())
        shown = [spans[:, span].tolist() for span in span_of[hit_of[first]]]
        found = pa.array([_shown(data, start, end) for _, start, end in shown], pa.string())
        lengths = np.bincount(row_of, minlength=len(text))

        missing = text.is_null().to_numpy(zero_copy_only=False)
        inside = Spans(spans[0], spans[1] - offsets[spans[0]], spans[2] - offsets[spans[0]])
        columns = {
            f"{name}.hits": pa.array(np.bincount(rows, minlength=len(text)), pa.int64(), mask=missing),
            f"{name}.items": in_lists(items, lengths, text),
            f"{name}.found": in_lists(found, lengths, text),
            f"{name}.spans": as_lists(inside, text),
        }
        return with_columns(batch, columns | ({"text": cut(text, *inside)} if self.config.edits else {}))


def _shown(data: np.ndarray, start: int, end: int) -> str:
    """The first `FOUND_CHARS` characters of a span; a character has up to four bytes, and the last may be cut."""
    return data[start : min(end, start + 4 * FOUND_CHARS)].tobytes().decode(errors="ignore")[:FOUND_CHARS]


def _merged(rows: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(for each hit the number of its span, i64[3, spans] of row, start and end); hits that touch are one span.

    `rows` and `begins` ascend.
    """
    last_end = np.maximum.accumulate(ends)
    opens = np.append(True, (begins[1:] > last_end[:-1]) | (rows[1:] != rows[:-1]))[: len(rows)]
    closes = np.append(opens[1:], True)[: len(rows)]
    return np.cumsum(opens) - 1, np.stack([rows[opens], begins[opens], last_end[closes]])
