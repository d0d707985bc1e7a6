"""Documents that single rules drop from each language, for alarms.

A rule that suits one language may drop nearly all of another, and the totals of a run do not show it. Only rules of
local stages that measure text count: URLs, pages and the identification of languages are meant to drop a lot.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger.rules import stages_of
from pipelines.recipe import Recipe
from shards.stage import Rule


@dataclass(frozen=True)
class RuleLoss:
    """What a rule drops from a language."""

    rule: Rule
    stage: str
    language: str | None  # None: the run identifies no languages
    documents: int  # that reached the stage
    dropped: int  # of them, documents that have the rule among their drop reasons


@dataclass
class RuleLosses:
    """Counts of drop reasons by language."""

    rules: dict[str, tuple[str, Rule]]  # (stage, rule) by reason
    order: dict[str, int]  # the number of its stage by each drop reason of the run
    _first: Counter[tuple[str | None, str]] = field(default_factory=Counter)  # by language and first reason; "" is kept
    _any: Counter[tuple[str | None, str]] = field(default_factory=Counter)  # by language and reason

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        stages = {stage.name: stage for stage in recipe.local_stages()}
        rules, order = {}, {}
        for number, stage in enumerate(stages_of(recipe)):
            if stage.reason is not None:
                order[stage.reason] = number
            for rule in stages[stage.name].rules() if stage.reason is None else ():
                order[rule.reason] = number
                if not stages[stage.name].stops:
                    rules[rule.reason] = (stage.name, rule)
        return cls(rules, order)

    def add(self, languages: pa.Array, reasons: pa.ListArray) -> None:
        """Count rows by their language and their drop reasons."""
        coded, of_rows = languages.dictionary_encode(), reasons.flatten().dictionary_encode()
        languages_ = [*coded.dictionary.to_pylist(), None]
        language = pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy()
        names = [*of_rows.dictionary.to_pylist(), ""]
        lengths = np.diff(offsets := reasons.offsets.to_numpy())
        codes = of_rows.indices.to_numpy(zero_copy_only=False)
        first = np.full(len(reasons), len(names) - 1)
        first[lengths > 0] = codes[offsets[:-1][lengths > 0] - offsets[0]]
        for into, rows, of in (
            (self._first, language, first),
            (self._any, np.repeat(language, lengths), codes[: lengths.sum()]),
        ):
            pairs, counts = np.unique(rows * len(names) + of, return_counts=True)
            for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
                into[languages_[pair // len(names)], names[pair % len(names)]] += count

    def rows(self) -> Iterator[RuleLoss]:
        """Every rule and language of which it drops a document, in the order of rules and then of languages."""
        languages = sorted({language for language, _ in self._any}, key=lambda language: language or "")
        for reason, (stage, rule) in self.rules.items():
            for language in languages:
                if dropped := self._any[language, reason]:
                    yield RuleLoss(rule, stage, language, self._reached(language, self.order[reason]), dropped)

    def _reached(self, language: str | None, number: int) -> int:
        kept = self._first[language, ""]
        later = (reason for reason, order in self.order.items() if order >= number)
        return kept + sum(self._first[language, reason] for reason in later)
