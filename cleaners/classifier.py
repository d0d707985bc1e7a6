"""A model filter: fastText's probability that a document resembles a chosen set of texts.

DCLM-baseline (arXiv 2406.11794, section 4.4) trains fastText on instruction-like texts against web texts, with word
bigrams, and keeps the tenth with the best scores. `gristmill classifier train` trains such a model; this stage scores
with it. Both read a text through `word_lines`: its words (`shards.words`) on one line with a space between them, so
line breaks count for nothing and each ideograph is a word. Case and punctuation stay, as in DCLM's code
(`baselines/mappers/enrichers/quality_prediction_enrichers_calc_fasttext.py`). DCLM's published model works here with
`label = "hq"`.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import field_validator

from cleaners.assets.fasttext_file import load_fasttext
from cleaners.language_model import LABEL, model_sha256
from cleaners.thresholds import Threshold
from shards.brought import brought
from shards.compiled import kernel
from shards.errors import UserError
from shards.stage import Batch, Rule, Stage, StageConfig, with_columns
from shards.unicode import text_buffers
from shards.words import words_of

POSITIVE, NEGATIVE = "positive", "negative"  # labels of the models that `gristmill classifier train` makes


class ClassifierConfig(StageConfig):
    """Kind `classifier`. The score goes along with the text: `top_share` ranks by it, and shards hold it."""

    name: str = "classifier"
    model: str  # path of a fastText model
    label: str = POSITIVE
    min_score: Threshold[float] = None  # from 0 to 1

    @field_validator("min_score")
    @classmethod
    def _a_probability(cls, min_score: float | None) -> float | None:
        if min_score is not None and not 0 <= min_score <= 1:
            raise ValueError("expected a score from 0 to 1")
        return min_score

    def columns(self) -> pa.Schema:
        return pa.schema([pa.field(f"{self.name}.score", pa.float64())])

    def carried(self) -> pa.Schema:
        return self.columns()

    def rules(self) -> tuple[Rule, ...]:
        return () if self.min_score is None else (self.rule("low_score", "score", "min_score"),)

    def digests(self) -> dict[str, str]:
        return {f"{self.name}.model": model_sha256(Path(self.model))}

    def files(self) -> dict[str, Path]:
        return {self.model: Path(self.model)}

    def build(self) -> Stage:
        classifier = load_classifier(brought(self.model) or Path(self.model), self.label, f"{self.name}.label")

        def measure(batch: Batch) -> Batch:
            return with_columns(batch, {f"{self.name}.score": scores(classifier, self.label, batch["text"])})

        return measure


def load_classifier(path: Path, label: str, where: str) -> Any:
    """The fastText model at `path`. Raise a UserError that begins with `where` if it lacks `label`."""
    model = load_fasttext(path)
    known = [name.removeprefix(LABEL) for name in model.get_labels()]
    if label not in known:
        raise UserError(f"{where}: {path} has no label {label!r}; it has {', '.join(sorted(known)[:20])}")
    return model


def scores(model: Any, label: str, texts: pa.Array) -> pa.Array:
    """float64[rows] in 0..1: the probability of `label`; null for a text without words."""
    lines = word_lines(texts)
    scored: list[float | None] = [None] * len(lines)
    rows = [i for i, line in enumerate(lines) if line]
    predicted = zip(*model.predict([lines[i] for i in rows], k=-1), strict=True) if rows else ()
    for row, (names, probabilities) in zip(rows, predicted, strict=True):
        probability = float(probabilities[names.index(LABEL + label)])
        scored[row] = min(1.0, probability)  # a softmax in float32 can end a little above 1
    return pa.array(scored, pa.float64())


def word_lines(texts: pa.Array, *, segmented: bool = False) -> list[str]:
    """The words of each text with one space between them; "" for a null text.

    fastText takes a word with its label prefix for a label, so a page could name its own. Such words lose the prefix.
    """
    words = words_of(texts, segmented=segmented)
    data, _ = text_buffers(texts)
    joined, ends = _joined(data, words.rows, words.starts, words.ends)
    whole = joined.tobytes()
    lines = [whole[start:end].decode() for start, end in pairwise([0, *ends.tolist()])]
    return [line.replace(LABEL, "") if LABEL in line else line for line in lines]


@kernel
def _joined(data, rows, starts, ends):
    """(bytes of all lines, end of each line)."""
    out = np.empty((ends - starts).sum() + len(starts), np.uint8)
    line_ends = np.empty(len(rows) - 1, np.int64)
    size = 0
    for row in range(len(rows) - 1):
        for word in range(rows[row], rows[row + 1]):
            if word > rows[row]:
                out[size] = 32
                size += 1
            for i in range(starts[word], ends[word]):
                out[size] = data[i]
                size += 1
        line_ends[row] = size
    return out[:size], line_ends
