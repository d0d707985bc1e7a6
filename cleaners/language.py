"""The language of a document by fastText's lid.176, which is RefinedWeb's only learned filter.

The whole text is one prediction, of the line that `cleaners.language_line` makes of it. `model` can name the full model
(126 MB).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, GetPydanticSchema, PlainSerializer, ValidationInfo, field_validator
from pydantic_core.core_schema import no_info_after_validator_function

from cleaners.language_line import lines_to_ask
from cleaners.language_model import MODEL, LanguageModel, check_known, model_path, model_sha256
from shards.config import table_like
from shards.schema import LANGUAGE
from shards.stage import Batch, Column, Derived, Rule, Stage, StageConfig, with_columns

ScoreByLanguage = Annotated[
    tuple[tuple[str, float], ...],
    # Checked as the table that it is in TOML, so that messages name the language and not the index of a pair.
    GetPydanticSchema(
        lambda _, schema_of: no_info_after_validator_function(
            lambda table: tuple(sorted(table.items())), schema_of(dict[str, float])
        )
    ),
    BeforeValidator(table_like("{ ru = 0.9 }")),
    PlainSerializer(dict),
]


class LanguageConfig(StageConfig):
    """Kind `language`. It adds the columns `language` and `language_score`; a blank text has neither."""

    version: ClassVar[int] = 3  # 2: white space made plain, most capitals in lower case; 3: sums in another order
    stops: ClassVar[bool] = True

    languages: tuple[str, ...] = ("en",)  # codes of lid.176 that are kept; none: all are
    min_score: float = 0.65  # RefinedWeb's and FineWeb's, for English
    min_scores: ScoreByLanguage = ()  # of single languages: `min_scores = { ru = 0.9, zh = 0.69 }`
    model: str | None = None  # path of another fastText model

    @property
    def kept_languages(self) -> tuple[str, ...]:
        return self.languages

    @field_validator("min_scores")
    @classmethod
    def _only_of_wanted(
        cls, min_scores: tuple[tuple[str, float], ...], info: ValidationInfo
    ) -> tuple[tuple[str, float], ...]:
        wanted = info.data.get("languages", ())
        if unknown := [language for language, _ in min_scores if language not in wanted]:
            raise ValueError(f"{', '.join(unknown)} must be named in `languages` too")
        return min_scores

    def columns(self) -> pa.Schema:
        return pa.schema([*LANGUAGE, pa.field(f"{self.name}.is_wanted", pa.int64())])

    def rules(self) -> tuple[Rule, ...]:
        return (
            Rule(f"{self.name}.unwanted", f"{self.name}.is_wanted", "languages", min_kept=1),
            *self._score_rules(),
        )

    def _score_rules(self) -> Iterator[Rule]:
        low, score = f"{self.name}.low_score", "language_score"
        if not self.min_scores:
            yield Rule(low, score, "min_score", min_kept=self.min_score)
            return
        known = dict(self.min_scores)
        for language in sorted({*self.languages, *known}):
            threshold = known.get(language, self.min_score)
            setting = "min_scores" if language in known else "min_score"
            yield Rule(f"{low}.{language}", score, setting, min_kept=threshold, language=language)

    def published_remark(self, documents_by_language: Mapping[str, int], failed: Mapping[str, int]) -> str:
        identified = sum(documents_by_language.values()) or 1
        wanted = sum(documents_by_language.get(language, 0) for language in self.languages)
        others = [(name, n) for name, n in documents_by_language.items() if name not in self.languages][:3]
        rest = ", ".join(f"{name} {100 * n / identified:.1f} %" for name, n in others)
        text = f"Of the pages with text {100 * wanted / identified:.1f} % are in "
        text += ", ".join(self.languages) or "any language"
        text += f" (then {rest})" if rest else ""
        unsure = failed.get(f"{self.name}.low_score", 0)
        return (
            f"{text}: the mix of languages of this input is the cause. {unsure:,} pages score below {self.min_score:g}."
        )

    def carried(self) -> pa.Schema:
        return LANGUAGE

    def derived(self) -> dict[str, Derived]:
        return {f"{self.name}.is_wanted": Derived("language", self._is_wanted)}

    def _is_wanted(self, languages: pa.Array) -> pa.Array:
        """int64: 1 for a language that is kept, 0 for another, null where none was identified."""
        identified = pc.is_valid(languages)
        wanted = identified
        if self.languages:
            wanted = pc.is_in(languages, value_set=pa.array(self.languages, pa.string()))
        return pc.if_else(identified, wanted.cast(pa.int64()), pa.scalar(None, pa.int64()))

    def replay_refusal(self, key: str, new: Self) -> str | None:
        return None if key in ("languages", "min_scores") else super().replay_refusal(key, new)

    def require_replayable(self, column: Column) -> None:
        """A language that no row has may be one that the model does not know; building the stage asks the model."""
        if set(self.languages) - set(column("language").unique().to_pylist()):
            self.build()

    def digests(self) -> dict[str, str]:
        return {f"{self.name}.model": model_sha256(self._path())}

    def build(self) -> Stage:
        model = LanguageModel(self._path())
        check_known(model.languages, self.languages, f"{self.name}.languages")

        def measure(batch: Batch) -> Batch:
            lines = lines_to_ask(batch["text"])
            rows = [i for i, line in enumerate(lines) if line]
            languages: list[str | None] = [None] * len(lines)
            scores: list[float | None] = [None] * len(lines)
            for i, (language, score) in zip(rows, model.identify([lines[i] for i in rows]), strict=True):
                languages[i], scores[i] = language, score
            identified = pa.array(languages, pa.string())
            columns = (identified, pa.array(scores, pa.float64()), self._is_wanted(identified))
            return with_columns(batch, dict(zip(self.columns().names, columns, strict=True)))

        return measure

    def files(self) -> dict[str, Path]:
        return {self.model or MODEL: self._path()}

    def _path(self) -> Path:
        return model_path(self.model)
