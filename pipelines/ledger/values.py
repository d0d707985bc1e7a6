"""A document's values beside the thresholds of the rules that measured them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.core import failing
from pipelines.recipe import Recipe
from shards.stage import StageConfig

Facts = Mapping[str, Any]  # a row of the ledger


@dataclass(frozen=True)
class RuleValue:
    """What a rule measured of a document; a value of None was not measured, and passes."""

    reason: str
    metric: str
    value: Any
    min_kept: float | None  # in the document's language
    max_kept: float | None
    fails: bool

    def __str__(self) -> str:
        """ "word_count 32, least 50"."""
        metric = f"{self.metric.rpartition('.')[2]} {shown_value(self.value)}"
        if self.value is None or not self.fails:
            return metric
        if self.min_kept is not None and self.value < self.min_kept:
            return f"{metric}, least {shown_value(self.min_kept)}"
        return f"{metric}, most {shown_value(self.max_kept)}"

    @property
    def threshold(self) -> str:
        """ "≥ 50", "≥ 3 ≤ 10"."""
        thresholds = (("≥", self.min_kept), ("≤", self.max_kept))
        return " ".join(f"{sign} {shown_value(value)}" for sign, value in thresholds if value is not None)


def rule_values(stage: StageConfig, facts: Facts) -> Iterator[RuleValue]:
    """The values of the stage's rules, without rules for documents in other languages."""
    language = facts.get("language")
    for rule in stage.rules():
        if rule.language not in (None, language):
            continue
        of_language = rule.within([language])
        value = facts[rule.metric]
        fails = failing(pa.array([value], stage.columns().field(rule.metric).type), of_language)[0]
        yield RuleValue(rule.reason, rule.metric, value, of_language.min_kept, of_language.max_kept, fails=bool(fails))


def failing_values(recipe: Recipe, facts: Facts) -> list[RuleValue]:
    """The rules that a document fails, in recipe order."""
    return [value for stage in recipe.local_stages() for value in rule_values(stage, facts) if value.fails]


def shown_value(value: Any) -> str:
    """A value of the ledger for people: six digits of a fraction, "none" for None."""
    return f"{value:.6g}" if isinstance(value, float) else "none" if value is None else str(value)
