"""The rules and stages of a recipe in the order in which a run applies them."""

from dataclasses import replace
from typing import NamedTuple

from dedup.same_record import SAME_RECORD
from pipelines.recipe import Recipe
from shards.stage import Limits, Rule


class RunStage(NamedTuple):
    """A stage of a run, local or global."""

    name: str
    kind: str
    reason: str | None  # drop reason of a global stage; None for a local one, which has rules


def rules_of(recipe: Recipe) -> tuple[tuple[str, Rule], ...]:
    """(stage, rule) of all local stages, in order. Rules with equal reasons and metrics are joined."""
    merged: dict[tuple[str, str], tuple[str, Rule]] = {}
    for stage in recipe.local_stages():
        for rule in stage.rules():
            key = (rule.reason, rule.metric)
            merged[key] = (stage.name, joined(merged[key][1], rule) if key in merged else rule)
    return tuple(merged.values())


def stages_of(recipe: Recipe) -> list[RunStage]:
    """The stages of a run, with `same_record`, which every run has after its first pass."""
    kinds = {SAME_RECORD.name: SAME_RECORD.name} | {stage.name: kind for kind, stage in recipe.stages}
    stages: list[RunStage] = []
    for pass_ in recipe.passes():
        stages += [RunStage(stage.name, kinds[stage.name], None) for stage in pass_.local]
        stages += [RunStage(stage.name, kinds[stage.name], stage.reason) for stage in pass_.global_]
    return stages


def joined(a: Rule, b: Rule) -> Rule:
    """One rule with the thresholds of both."""
    if a == b:
        return a
    return replace(
        a,
        setting=", ".join(dict.fromkeys([a.setting, b.setting])),
        min_kept=a.min_kept if b.min_kept is None else b.min_kept,
        max_kept=a.max_kept if b.max_kept is None else b.max_kept,
        by_language={language: _both(a, b, language) for language in {**a.by_language, **b.by_language}},
    )


def _both(a: Rule, b: Rule, language: str) -> Limits:
    """The limits of both rules for one language."""
    (low, high), (other_low, other_high) = a.limits(language), b.limits(language)
    return low if other_low is None else other_low, high if other_high is None else other_high
