"""A guess at the language before extraction, at a fiftieth of its cost: drops pages that are surely in other languages.

    first bytes ──charset──▶ HTML ──drop tags, scripts, comments──▶ crude text ──lid.176──▶ Σ scores of wanted languages

Crude text includes menus and footers, so the threshold is far below that of `language`, which decides later. A page
with too little text is not judged. No published recipe has this stage.

Every run measures what the guess costs. Pages whose id is in the audit sample are never dropped: their score is in
`audited_score`, which no rule reads, instead of `wanted_score`. Later stages decide these pages, and the report states
how many of those below the threshold were kept in the end (`pipelines.report.audit`). The sample does not depend on
the threshold, so `whatif` can move it.
"""

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import field_validator

from cleaners.crawl.charset import decode
from cleaners.language_line import lines_to_ask
from cleaners.language_model import LABEL, MODEL, check_known, languages_of, load_model, model_path, model_sha256
from cleaners.thresholds import Threshold
from shards.compiled import kernel
from shards.stage import Audit, Batch, Rule, Stage, StageConfig, with_columns

# Bytes of a page that are read. The second number applies where scripts fill the first, on one page in ten.
_HEADS_BYTES = (128 << 10, 2 << 20)
_TEXT_BYTES = 2048  # of crude text that are enough for a guess
_LEAST_BYTES = 200  # of crude text that a guess needs


class LanguageGuessConfig(StageConfig):
    """Kind `language_guess`, between `page` and `extract`."""

    version: ClassVar[int] = 2  # 2: the model is asked of the line of `language_line`; charsets are read anew
    stops: ClassVar[bool] = True
    reads_pages: ClassVar[bool] = True

    name: str = "language_guess"
    languages: tuple[str, ...] = ("en",)  # codes of lid.176 that are wanted
    min_wanted_score: Threshold[float] = 0.01  # sum over the wanted languages
    audit_fraction: float = 0.01  # of all pages, chosen by id and never dropped here
    model: str | None = None  # path of another fastText model

    @property
    def kept_languages(self) -> tuple[str, ...]:
        return self.languages

    @field_validator("languages")
    @classmethod
    def _not_empty(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if not languages:
            raise ValueError("name the languages that are wanted; without any, leave the stage out")
        return languages

    @field_validator("audit_fraction")
    @classmethod
    def _a_fraction(cls, fraction: float) -> float:
        if not 0 <= fraction <= 1:
            raise ValueError("expected a fraction from 0 to 1")
        return fraction

    def columns(self) -> pa.Schema:
        return pa.schema([(f"{self.name}.wanted_score", pa.float64()), (f"{self.name}.audited_score", pa.float64())])

    def rules(self) -> tuple[Rule, ...]:
        return () if self.min_wanted_score is None else (self.rule("unwanted", "wanted_score", "min_wanted_score"),)

    def audit(self) -> Audit | None:
        if self.min_wanted_score is None:
            return None
        return Audit(f"{self.name}.audited_score", self.min_wanted_score, f"{self.name}.unwanted")

    def digests(self) -> dict[str, str]:
        return {f"{self.name}.model": model_sha256(self._path())}

    def files(self) -> dict[str, Path]:
        return {self.model or MODEL: self._path()}

    def build(self) -> Stage:
        model = load_model(self._path())
        labels = {LABEL + language for language in self.languages}
        check_known(languages_of(model.get_labels()), self.languages, f"{self.name}.languages")

        def measure(batch: Batch) -> Batch:
            wanted: list[float | None] = [None] * batch.num_rows
            if "payload" in batch.schema.names:
                wanted = _wanted_scores(model, labels, list(_crude_texts(batch)))
            ids = batch["id"].to_pylist()
            audited = [is_audited(id, self.audit_fraction) for id in ids]
            scores = [
                pa.array([s if a is chosen else None for s, a in zip(wanted, audited, strict=True)], pa.float64())
                for chosen in (False, True)
            ]
            return with_columns(batch, dict(zip(self.columns().names, scores, strict=True)))

        return measure

    def _path(self) -> Path:
        return model_path(self.model)


def is_audited(id: str, fraction: float) -> bool:
    """Whether the page is in the sample, by the lower half of its id; samples of the report go by the upper half."""
    return int(id[16:], 16) < fraction * 2.0**64


def crude_text(payload: bytes, http_charset: str | None) -> str:
    """Up to 2 kB of a page's text on one line; "" where there is too little for a guess."""
    text = b""
    for num_bytes in _HEADS_BYTES:
        head = payload[:num_bytes]
        if len(payload) > num_bytes:
            head = head[: head.rfind(b"<") + 1]  # no charset has this byte within a character
        decoded = decode(head, http_charset)
        if decoded.charset != "utf-8" or decoded.num_replaced:
            head = decoded.text.encode("utf-8", "replace")
        text = strip_tags(np.frombuffer(head, np.uint8), _TEXT_BYTES)
        if len(text) >= _LEAST_BYTES or len(payload) <= num_bytes:
            break
    if len(text) < _LEAST_BYTES:
        return ""
    line = text.decode("utf-8", "ignore")  # the last character may be cut
    return " ".join(html.unescape(line).split()) if "&" in line else line


def strip_tags(utf8: np.ndarray, max_bytes: int) -> bytes:
    """The text between tags of UTF-8 HTML, white space as one space; scripts, styles and comments are left out."""
    return bytes(_strip_tags(utf8, max_bytes))


@kernel
def _strip_tags(data, max_bytes):
    out = np.empty(max_bytes, np.uint8)
    size, i, n = 0, 0, len(data)
    space = True  # at the beginning, and after a space that is in `out` already
    while i < n and size < max_bytes:
        b = data[i]
        if b == 60 and i + 1 < n:  # "<"
            c = data[i + 1]
            if c == 33 and i + 3 < n and data[i + 2] == 45 and data[i + 3] == 45:  # "<!--" to "-->"
                i += 4
                while i + 2 < n and not (data[i] == 45 and data[i + 1] == 45 and data[i + 2] == 62):
                    i += 1
                i += 3
                b = np.uint8(32)
            elif c == 33 or c == 47 or c == 63 or 97 <= (c | 32) <= 122:  # "!", "/", "?", a letter
                end = _raw_text_end(data, i)
                i += 1
                while i < n and data[i] != 62:
                    i += 1
                i = max(i + 1, end)
                b = np.uint8(32)
            else:
                i += 1
        else:
            i += 1
        if b <= 32:
            if not space:
                out[size] = 32
                size += 1
            space = True
        else:
            out[size] = b
            size += 1
            space = False
    return out[:size]


@kernel
def _raw_text_end(data, i):
    """The offset of the end tag of the script or style that begins at data[i]; 0 for another tag."""
    n = len(data)
    if i + 7 >= n or (data[i + 1] | 32) != 115:
        return 0
    script = (
        (data[i + 2] | 32) == 99
        and (data[i + 3] | 32) == 114
        and (data[i + 4] | 32) == 105
        and (data[i + 5] | 32) == 112
        and (data[i + 6] | 32) == 116
    )
    style = (
        (data[i + 2] | 32) == 116
        and (data[i + 3] | 32) == 121
        and (data[i + 4] | 32) == 108
        and (data[i + 5] | 32) == 101
    )
    if not (script or style):
        return 0
    j = i + 6
    while j + 3 < n and not (
        data[j] == 60
        and data[j + 1] == 47
        and (data[j + 2] | 32) == 115
        and ((data[j + 3] | 32) == (99 if script else 116))
    ):
        j += 1
    return n if j + 3 >= n else j


def _crude_texts(batch: Batch) -> Iterator[str]:
    for payload, charset in zip(batch["payload"], batch["http_charset"].to_pylist(), strict=True):
        data = payload.as_py()
        yield crude_text(data, charset) if data else ""


def _wanted_scores(model: Any, wanted: set[str], texts: list[str]) -> list[float | None]:
    lines = lines_to_ask(pa.array(texts, pa.large_string()))
    scores: list[float | None] = [None] * len(lines)
    rows = [i for i, line in enumerate(lines) if line]
    if rows:
        for row, labels, values in zip(rows, *model.predict([lines[i] for i in rows], k=-1), strict=True):
            total = sum(float(score) for label, score in zip(labels, values, strict=True) if label in wanted)
            scores[row] = min(1.0, total)
    return scores
