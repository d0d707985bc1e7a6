"""`gristmill calibrate`: thresholds for a language from clean texts in it, as FineWeb2 derives them (arXiv 2506.20920).

    texts ──our stages──▶ metrics ──mean, σ, quantiles──▶ [[stage]] tables with the reason of each value

As in the paper, stop words are the words above .8 % of all words, or above .3 % where fewer than 8 reach .8 %. Word
length is mean ± 1 σ over the words, in whole characters. The share of words with a letter is mean - 3 σ over the
documents. The language score is median - σ, clipped to .3 to .9.

The paper moves the other thresholds with statistics of web text, which clean text does not have. Here a threshold of
Gopher's and FineWeb's English stays, unless it would drop more than 1 % of the clean documents. Then it becomes their
1st or 99th percentile. So clean text only ever loosens a threshold: books do not show how much repetition a web page
may have.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow.compute as pc
import tomli_w

from cleaners.assets.languages import ENGLISH
from cleaners.assets.languages import language as published
from cleaners.classifier import word_lines
from cleaners.fineweb import FineWebConfig
from cleaners.gopher_quality import GopherQualityConfig
from cleaners.gopher_repetition import GopherRepetitionConfig
from cleaners.language import LanguageConfig
from cleaners.language_model import LanguageModel, check_known, language_model_path
from cleaners.thresholds import ThresholdConfig
from pipelines.ledger.sketch import Sketch, TopCounter
from pipelines.numbers import counted
from pipelines.tuning.inputs import read_texts
from shards.atomic import write_bytes
from shards.errors import UserError
from shards.stage import Batch, Stage, StageConfig
from shards.unicode import PUNCTUATION, SYMBOL, classes

_SEGMENTED = ("ja", "zh")  # languages whose words FineWeb2 takes from a segmenter
_STOP_WORD_SHARES = (0.008, 0.003)  # of all words; the second where the first gives fewer than _MIN_STOP_WORDS
_MIN_STOP_WORDS = 8
_MIN_DOCUMENTS = 100
_TAIL = 0.01  # share of the clean documents that a threshold may drop
_OFF = (  # rules that FineWeb2 switches off
    "gopher_repetition.max_duplicate_line_char_fraction",
    "gopher_repetition.max_duplicate_paragraph_fraction",
    "gopher_repetition.max_duplicate_paragraph_char_fraction",
    "fineweb.max_short_line_fraction",
)
_FINEWEB_CHARS = 0.1  # FineWeb2's threshold for characters in duplicated lines, in all languages
_LENGTHS = ("min_words", "max_words")  # settings that do not depend on the language

T = TypeVar("T", bound=ThresholdConfig)


@dataclass(frozen=True)
class Value:
    """One setting and its derivation."""

    stage: str  # kind
    setting: str
    value: object
    default: object  # the published English one
    reason: str


def derive_thresholds(paths: Sequence[str], language: str) -> list[Value]:
    """Thresholds for `language` from the texts in it of the files `paths`. Blank texts are skipped.

    The language model decides which texts are in it. UserError where these are too few.
    """
    if not language.strip():
        raise UserError("--language: empty; name the language of the texts as the language model does, like en")
    check_known(LanguageModel(language_model_path()).languages, [language], "--language")
    batches = _with_text(paths)
    first, num_documents = [], 0
    while num_documents < _MIN_DOCUMENTS and (batch := next(batches, None)) is not None:
        first.append(batch)
        num_documents += batch.num_rows
    if num_documents < _MIN_DOCUMENTS:
        raise UserError(
            f"calibrate: {counted(num_documents, 'document')}; a σ needs at least {_MIN_DOCUMENTS}; "
            "a text file is one document, so give JSON lines with one a line"
        )
    calibration = Calibration(language)
    for batch in chain(first, batches):
        calibration.add(batch)
    return calibration.values()


def lines(values: Iterable[Value], language: str) -> Iterator[str]:
    """Each setting with its English value, the one for `language`, and its derivation."""
    yield f"{'setting':60}  {'English':>7}  {language:>7}  how"
    for value in values:
        name = f"{value.stage}.{value.setting}"
        if isinstance(value.value, list):
            yield f"{name}: {' '.join(value.value)} ({value.reason})"
        else:
            yield f"{name:60}  {value.default!s:>7}  {value.value!s:>7}  {value.reason}"


def fragment(values: Iterable[Value], language: str) -> str:
    """The [[stage]] tables as TOML, to follow `extract` in a recipe."""
    kinds: dict[str, list[Value]] = {}
    for value in values:
        kinds.setdefault(value.stage, []).append(value)
    fixed: dict[str, dict[str, object]] = {
        "language": {"languages": [language]},
        "gopher_repetition": {"count_first_copies": False},
    }
    lines = [f"# Thresholds for {language!r}, from clean text by `gristmill calibrate`."]
    for kind, values_of_kind in kinds.items():
        lines += ["", "[[stage]]", *tomli_w.dumps({"kind": kind} | fixed.get(kind, {})).splitlines()]
        for value in values_of_kind:
            setting = tomli_w.dumps({value.setting: value.value}) if not isinstance(value.value, list) else ""
            setting = setting.strip() or f"{value.setting} = {_toml_list(value.value)}"
            lines.append(f"{setting}  # {value.reason}")
    return "\n".join(lines) + "\n"


def write_fragment(path: Path, values: Iterable[Value], language: str) -> None:
    write_bytes(path, fragment(values, language).encode())


def _config(kind: type[T], language: str, **settings: object) -> T:
    """A stage's config with `settings`; it segments words where the language wants it and the stage can."""
    if "segmented" in kind.model_fields:
        settings["segmented"] = language in _SEGMENTED
    return kind.model_validate(settings)


class Moments:
    """Mean and σ of values that come in parts (Chan, Golub and LeVeque 1983), and their sketch for quantiles."""

    def __init__(self) -> None:
        self.n, self.mean, self._squares = 0, 0.0, 0.0
        self.sketch = Sketch()

    def add(self, values: np.ndarray) -> None:
        values = values[~np.isnan(values)].astype(np.float64)
        if not len(values):
            return
        self.sketch.add(values)
        n, mean = len(values), float(values.mean())
        delta, total = mean - self.mean, self.n + n
        self._squares += float(((values - mean) ** 2).sum()) + delta * delta * self.n * n / total
        self.mean += delta * n / total
        self.n = total

    @property
    def sigma(self) -> float:
        return math.sqrt(self._squares / self.n) if self.n else 0.0


class Calibration:
    """Measurements of the texts in one language, batch after batch, in constant memory; others are left out."""

    def __init__(self, language: str) -> None:
        self.language = language
        configs = (
            LanguageConfig(name="language", languages=(language,), min_score=0.0),
            _config(GopherRepetitionConfig, language, name="gopher_repetition", count_first_copies=False),
            _config(FineWebConfig, language, name="fineweb"),
            _config(GopherQualityConfig, language, name="gopher_quality"),
        )
        self._segmented = getattr(configs[-1], "segmented", False)
        self._stages: list[tuple[StageConfig, Stage]] = [(config, config.build()) for config in configs]
        self._moments: dict[str, Moments] = {}
        self._words, self._num_words, self._lengths = TopCounter(), 0, Moments()
        self._num_documents = self._num_left_out = 0

    def add(self, batch: Batch) -> None:
        for config, stage in self._stages:
            batch = stage(batch)
            if config.name == "language":
                own = batch.filter(pc.equal(batch["language"], self.language))
                self._num_left_out += batch.num_rows - own.num_rows
                batch = own
        self._num_documents += batch.num_rows
        for config, _ in self._stages:
            for field in config.columns():
                if field.name.startswith(f"{config.name}."):
                    self._moment(field.name).add(batch[field.name].to_numpy(zero_copy_only=False).astype(np.float64))
        self._moment("language_score").add(batch["language_score"].to_numpy(zero_copy_only=False))
        for line in word_lines(batch["text"], segmented=self._segmented):
            words = line.split(" ") if line else []
            self._lengths.add(np.array([*map(len, words)], np.float64))
            self._num_words += len(words)
            self._words.update(filter(None, map(_bare, words)))

    def _moment(self, metric: str) -> Moments:
        return self._moments.setdefault(metric, Moments())

    def values(self) -> list[Value]:
        """All settings that depend on the language, in the order of the fragment. UserError for too few documents."""
        if self._num_documents < _MIN_DOCUMENTS:
            raise UserError(
                f"--language {self.language}: the language model takes {counted(self._num_documents, 'document')} for "
                f"it, and {self._num_left_out:,} for others; a σ needs at least {_MIN_DOCUMENTS}"
            )
        segmented = [
            Value(config.name, "segmented", True, False, "words are a segmenter's, as in FineWeb2")
            for config, _ in self._stages
            if getattr(config, "segmented", False)
        ]
        measured = (*self._loosened("gopher_repetition"), *self._loosened("fineweb"), *self._quality())
        return [self._score(), *segmented, *measured]

    def _score(self) -> Value:
        scores = self._moment("language_score")
        median = scores.sketch.quantile(0.5)
        value = round(min(0.9, max(0.3, median - scores.sigma)), 3)
        reason = f"clip(median - σ, .3, .9): n {scores.n:,}, median {median:.4f}, σ {scores.sigma:.4f}"
        if self._num_left_out:
            reason += f"; {counted(self._num_left_out, 'document')} of other languages left out"
        return Value("language", "min_score", value, LanguageConfig(name="language").min_score, reason)

    def _loosened(self, kind: str) -> Iterator[Value]:
        config = next(config for config, _ in self._stages if config.name == kind)
        assert isinstance(config, ThresholdConfig)
        for _, metric, setting in config.RULES:
            published = getattr(config, setting)
            if f"{kind}.{setting}" in _OFF:
                yield Value(kind, setting, False, published, "off, as in FineWeb2")
            elif kind == "fineweb" and setting == "max_duplicate_line_char_fraction":
                yield Value(kind, setting, _FINEWEB_CHARS, published, "FineWeb2's, for all languages")
            else:
                yield self._loosen(kind, metric, setting, published)

    def _loosen(self, kind: str, metric: str, setting: str, published: float) -> Value:
        """The published threshold, or the percentile of the clean documents where that is looser."""
        moments = self._moment(f"{kind}.{metric}")
        is_minimum = setting.startswith("min_")
        quantile = _TAIL if is_minimum else 1 - _TAIL
        tail = moments.sketch.quantile(quantile)
        looser = min(published, _down(tail)) if is_minimum else max(published, _up(tail))
        origin = "the English value, which clean text keeps" if looser == published else "loosened to the percentile"
        percentile = f"p{100 * quantile:g} {tail:.4g}"
        reason = f"{origin}: n {moments.n:,}, mean {moments.mean:.4g}, σ {moments.sigma:.4g}, {percentile}"
        return Value(kind, setting, looser, published, reason)

    def _quality(self) -> Iterator[Value]:
        config, english = GopherQualityConfig(name="gopher_quality"), published(ENGLISH)
        about = f"n {self._lengths.n:,} words, mean {self._lengths.mean:.2f}, σ {self._lengths.sigma:.2f}"
        low, high = self._lengths.mean - self._lengths.sigma, self._lengths.mean + self._lengths.sigma
        # A document's mean length is at least 1 and rarely a whole number, so the thresholds are rounded outwards.
        for setting, value, how in (
            ("min_mean_word_length", float(max(1, math.floor(low))), "mean - σ"),
            ("max_mean_word_length", float(math.ceil(high)), "mean + σ"),
        ):
            yield Value("gopher_quality", setting, value, getattr(english, setting), f"{how}: {about}")
        alpha = self._moment("gopher_quality.alpha_word_fraction")
        value = round(max(0.0, alpha.mean - 3 * alpha.sigma), 3)
        reason = f"mean - 3 σ: n {alpha.n:,}, mean {alpha.mean:.4f}, σ {alpha.sigma:.4f}"
        yield Value("gopher_quality", "min_alpha_word_fraction", value, english.min_alpha_word_fraction, reason)
        for _, metric, setting in config.RULES:
            if setting.startswith("max_") and setting not in (*_LENGTHS, "max_mean_word_length"):
                yield self._loosen("gopher_quality", metric, setting, getattr(config, setting))
        yield self._stop_words(english.stop_words)

    def _stop_words(self, published: tuple[str, ...]) -> Value:
        most_frequent = self._words.top(1000)
        words: list[str] = []
        share = 0.0
        for share in _STOP_WORD_SHARES:
            words = [word for word, count in most_frequent if count > share * self._num_words]
            if len(words) >= _MIN_STOP_WORDS:
                break
        reason = f"above {100 * share:g} % of {self._num_words:,} words"
        return Value("gopher_quality", "stop_words", words, published, reason)


def _with_text(paths: Sequence[str]) -> Iterator[Batch]:
    for batch in read_texts(paths, "calibrate"):
        yield batch.filter(pc.not_equal(pc.utf8_trim_whitespace(batch["text"]), ""))


def _toml_list(words: object) -> str:
    assert isinstance(words, list)
    quoted = (tomli_w.dumps({"w": word}).strip().removeprefix("w = ") for word in words)
    return f"[{', '.join(quoted)}]"


@lru_cache(1 << 16)
def _bare(word: str) -> str:
    """`word` in lower case without punctuation around it, as `gopher_quality` compares stop words; may be ""."""
    kinds = classes()
    inside = [i for i, char in enumerate(word) if kinds[ord(char)] not in (PUNCTUATION, SYMBOL)]
    return word[inside[0] : inside[-1] + 1].lower() if inside else ""


def _up(value: float) -> float:
    return math.ceil(value * 1000) / 1000


def _down(value: float) -> float:
    return math.floor(value * 1000) / 1000
