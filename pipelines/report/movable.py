"""The rules whose thresholds a report can move: a number, or a minimum and a maximum, that `whatif` can change."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.ledger.rules import rules_of
from pipelines.recipe import Recipe
from shards.stage import Limits, Rule, StageConfig


@dataclass(frozen=True)
class Movable:
    """A rule whose thresholds `whatif` can move."""

    rule: Rule
    min_setting: str | None  # setting of its minimum, "gopher_quality.min_words"; None without one that moves
    max_setting: str | None
    moved: tuple[Rule, ...]  # the rule with other thresholds: languages that have no limit there are exempt

    def limits(self, language: str | None) -> Limits | None:
        """The thresholds for documents in a language; None where it is exempt."""
        if any(rule.limits(language) == (None, None) for rule in self.moved):
            return None
        return self.rule.limits(language)


def movable_rules(recipe: Recipe) -> Iterator[Movable]:
    """The rules that have one threshold, or a minimum and a maximum, which `whatif` can move."""
    stages = {stage.name: stage for stage in recipe.local_stages()}
    metrics = Counter(rule.reason for _, rule in rules_of(recipe))
    for name, rule in rules_of(recipe):
        stage = stages[name]
        if metrics[rule.reason] > 1 or stage.audit() is not None or rule.metric in stage.derived():
            continue
        settings: dict[bool, str] = {}  # by whether it is the minimum
        moved: list[Rule] = []
        for own in stage.rules():
            if own.reason == rule.reason and (new := _moved(stage, own)) is not None:
                settings[own.setting.startswith("min_")] = f"{name}.{own.setting}"
                moved.append(new)
        if settings:
            yield Movable(rule, settings.get(True), settings.get(False), tuple(moved))


def _moved(stage: StageConfig, rule: Rule) -> Rule | None:
    """The rule with another threshold; None where its setting is not that one threshold, or `whatif` cannot move it."""
    if not rule.setting.startswith(("min_", "max_")) or [own.setting for own in stage.rules()].count(rule.setting) > 1:
        return None
    other = max(thresholds_of(rule), default=0) + 1
    new = stage.model_copy(update={rule.setting: other})
    if getattr(stage, rule.setting) is False or stage.replay_refusal(rule.setting, new) is not None:
        return None
    (moved,) = [own for own in new.rules() if own.setting == rule.setting]
    return moved if thresholds_of(moved) == {other} else None


def thresholds_of(rule: Rule) -> set[float]:
    """All thresholds of a rule, in any language."""
    limits = (rule.limits(None), *rule.by_language.values())
    return {limit for both in limits for limit in both if limit is not None}
