"""The contract of a local stage: a function over an Arrow batch, with rules as data and answers about itself.

    batch ──stage──▶ the same rows, more columns ──decide(rules)──▶ drop_reasons ──split──▶ kept | dropped

A stage *measures* (adds metric columns) or *edits* (replaces `text`). It returns the rows it got, in their order. A
rule *decides*: it compares one metric with a threshold. The runner in `pipelines.core` applies rules and is the only
place that removes rows. Metrics are kept in the ledger, so the same rules can be replayed with other thresholds.

`AnyStageConfig` holds what the pipeline asks of every stage, local or global, each with a default that is right for a
stage that does nothing special. A new kind is one file with a config class, and one line in `pipelines.recipe.KINDS`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import numpy as np
import pyarrow as pa

from shards.config import Config

Batch: TypeAlias = pa.RecordBatch
Column: TypeAlias = Callable[[str], pa.Array]  # gives a column of the ledger by its name
Limits: TypeAlias = tuple[float | None, float | None]  # the smallest and the largest value that is kept; None: no limit

OTHER_LANGUAGES = "*"  # in limits by language: those that are not named


@dataclass(frozen=True)
class Rule:
    """A row fails when its metric lies outside [min_kept, max_kept]; a null metric was not measured and passes."""

    reason: str  # public name of the drop reason, "gopher_quality.too_few_words"
    metric: str  # column that is compared, "gopher_quality.word_count"
    setting: str  # key of the stage's config that holds the threshold, "min_words"
    min_kept: float | None = None
    max_kept: float | None = None
    language: str | None = None  # rows in other languages pass; None: the rule applies to all rows
    # Limits of rows in some languages, in place of [min_kept, max_kept], which rows without a language keep.
    by_language: Mapping[str, Limits] = field(default_factory=dict)

    def limits(self, language: str | None) -> Limits:
        """The limits of rows in `language`, of rows without one if it is None."""
        own = (self.min_kept, self.max_kept)
        if language is None or not self.by_language:
            return own
        return self.by_language.get(language, self.by_language.get(OTHER_LANGUAGES, own))

    def within(self, languages: Iterable[str | None]) -> Self:
        """The rule with the loosest limits of these languages, for all rows; its own where there are none."""
        lows, highs = zip(*(self.limits(language) for language in {*languages} or {None}), strict=True)
        low = None if None in lows else min(lows)
        high = None if None in highs else max(highs)
        return replace(self, min_kept=low, max_kept=high, by_language={})


class Stage(Protocol):
    """Pure: no clock, no network, no state that one batch leaves for the next."""

    def __call__(self, batch: Batch, /) -> Batch: ...


@dataclass(frozen=True)
class Before:
    """What a recipe offers a stage: its sources, and what the stages before it add."""

    sources: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=dict)  # column → the local stage that adds it last
    carried: frozenset[str] = frozenset()  # numeric columns that go along with the text
    added: frozenset[str] = frozenset()  # columns that global stages add
    languages: frozenset[str] = frozenset()  # languages that a stage keeps; empty: no stage chooses

    def not_carried(self, key: str, column: str) -> str | None:
        """The refusal of a setting `key` that names a column which no stage carries along with the text."""
        if column in self.carried:
            return None
        known = ", ".join(sorted(self.carried)) or "none"
        return f"{key}: no stage before it carries {column!r} along with the text; carried are {known}"


@dataclass(frozen=True)
class Derived:
    """A metric that follows from another column and the settings, so a replay computes it and does not read it."""

    source: str  # column that it is computed from
    compute: Callable[[pa.Array], pa.Array]


@dataclass(frozen=True)
class Audit:
    """A stage that drops rows by a guess, and lets a sample of them pass to measure what the guess costs."""

    metric: str  # column that holds the guess for audited rows, null for all others
    min_kept: float  # threshold of the guess
    reason: str  # drop reason of rows that are not audited


@dataclass(frozen=True)
class Searches:
    """A stage that searches documents for evaluation items. Its columns are `<name>.hits`, `.items` and `.found`."""

    ngram: int  # words of an n-gram that counts as a hit
    action: str  # what happens to a document with hits: "drop", "cut" or "flag"
    journal: str  # file in the run's folder that says how many items each set has, and how many can be found


class AnyStageConfig(Config):
    """What the pipeline asks of a stage of any kind. Small and picklable."""

    version: ClassVar[int] = 1  # raised when the same settings give other results; part of the fingerprint

    name: str

    @property
    def edits(self) -> bool:
        """Whether the text may be another one after this stage."""
        return False

    @property
    def segments(self) -> bool:
        """Whether it cuts Chinese, Japanese or Thai text into words, so that a run needs the segmenters."""
        return bool(getattr(self, "segmented", False) or getattr(self, "compat", None))

    @property
    def kept_languages(self) -> tuple[str, ...]:
        """The languages that the stage was asked to keep; empty: it does not choose by language."""
        return ()

    def columns(self) -> pa.Schema:
        """The columns that the stage adds, with types."""
        return pa.schema([])

    def digests(self) -> dict[str, str]:
        """sha256 of everything outside the run that the results depend on, by name; part of the fingerprint."""
        return {}

    def files(self) -> dict[str, Path]:
        """Files and folders of this machine, besides lists, that `build` reads, by their names in `shards.brought`."""
        return {}

    def lists(self) -> dict[str, str | Path]:
        """References of the word and domain lists that the stage reads, by name; their facts are in the fingerprint."""
        return {}

    def notes(self) -> Iterator[str]:
        """Lines for people before a run starts: what is passed over in files that the stage reads."""
        yield from ()

    def refusal(self, before: Before) -> str | None:
        """Why the stage cannot stand where it stands, beginning with the setting at fault; None if it can."""
        return None

    def moves_threshold(self, key: str, new: Self) -> bool:
        """Whether `new`, which differs in the setting `key`, moves thresholds alone: metrics stay as they are."""
        return False

    def replay_refusal(self, key: str, new: Self) -> str | None:
        """Why `whatif` cannot say what `new`, which differs in `key`, would do, and what can; None if `whatif` can.

        The text stands between the name of the setting and the command that makes the run.
        """
        if self.moves_threshold(key, new):
            return None
        return "is no threshold of a rule but changes what is measured or written; to measure again"

    def published_remark(self, documents_by_language: Mapping[str, int], failed: Mapping[str, int]) -> str:
        """What a reader should know before comparing this stage's share with a paper's; "" for nothing.

        `documents_by_language` counts documents with text, most first; `failed` counts failures by reason.
        """
        return ""


class StageConfig(AnyStageConfig):
    """Settings of a local stage. `build` runs in the worker, where models load."""

    stops: ClassVar[bool] = False  # True: rows that fail are removed at once, and later stages do not measure them
    reads_pages: ClassVar[bool] = False  # True: works on crawled pages, so it stands before deduplication
    makes_text: ClassVar[bool] = False  # True: turns pages into text, as a source of kind `warc` needs

    only_languages: tuple[str, ...] = ()  # rows in other languages are neither measured nor edited; none: all rows are

    def carried(self) -> pa.Schema:
        """Those of `columns()` that go along with the text into later passes and into the shards."""
        return pa.schema([])

    def rules(self) -> tuple[Rule, ...]:
        return ()

    def needs(self) -> tuple[str, ...]:
        """Columns that the stage reads besides text, payload and provenance, and that earlier stages must add."""
        return ()

    def build(self) -> Stage:
        raise NotImplementedError

    def journal(self) -> str | None:
        """Name, in the run's folder, of the file that keeps what reruns must know; None: there is none."""
        return None

    def build_in(self, journal: Path | None, *, careful: bool = False) -> Stage:
        """`build()` for a run. `journal` is the path of the file that `journal()` names."""
        return self.build()

    def measured(self) -> str:
        """A metric that is null exactly in rows that the stage has not measured."""
        metrics = [f.name for f in self.columns() if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)]
        return str(metrics[0])

    def is_repeatable(self, facts: Mapping[str, Any]) -> bool:
        """Whether a single record, whose ledger row is `facts`, can be measured again."""
        names = [name for name in self.columns().names if name != "text"]
        return not names or any(facts[name] is not None for name in names)

    def derived(self) -> dict[str, Derived]:
        """Metrics that follow from another column and the settings, by name."""
        return {}

    def recorded(self, columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
        """The columns that the stage adds, from those that a run with other thresholds recorded."""
        return columns

    def require_replayable(self, column: Column) -> None:
        """Raise UserError if a replay over the ledger that `column` reads would not see a mistake in the settings."""

    def audit(self) -> Audit | None:
        return None

    def searches(self) -> Searches | None:
        return None

    def notes(self) -> Iterator[str]:
        """Lines for people before a run starts: what is passed over in files that the stage reads."""
        yield from ()

    def refusal(self, before: Before) -> str | None:
        if self.only_languages and "language" not in before.columns:
            return "only_languages: no stage of kind `language` stands before it"
        if before.languages and (others := sorted(set(self.only_languages) - before.languages)):
            kept = ", ".join(sorted(before.languages))
            return f"only_languages: {', '.join(others)} is not among the languages that are kept: {kept}"
        return None

    def moves_threshold(self, key: str, new: Self) -> bool:
        """True where rules named after `key` change and no other rule does."""
        before, after = self.rules(), self.model_copy(update={key: getattr(new, key)}).rules()
        own, others = (
            [[rule for rule in rules if (rule.setting == key) == named] for rules in (before, after)]
            for named in (True, False)
        )
        return own[0] != own[1] and others[0] == others[1]

    def rule(self, reason: str, metric: str, setting: str) -> Rule:
        """The rule for one of this config's settings; `min_…` is the smallest value kept, `max_…` the largest."""
        threshold = getattr(self, setting)
        low = setting.startswith("min_")
        assert low or setting.startswith("max_"), setting
        return Rule(
            f"{self.name}.{reason}",
            f"{self.name}.{metric}",
            setting,
            min_kept=threshold if low else None,
            max_kept=None if low else threshold,
        )


def with_columns(batch: Batch, columns: dict[str, pa.Array]) -> Batch:
    """`batch` with each column replaced where it exists and appended where it does not."""
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True)) | columns
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def null_where(mask: np.ndarray, column: pa.Array) -> pa.Array:
    """`column` with nulls in the rows of bool `mask`.

    Not by `if_else`, which leaves a text's bytes in place below the null, and they would be written.
    """
    return column.take(pa.array(np.arange(len(mask)), mask=mask)) if mask.any() else column
