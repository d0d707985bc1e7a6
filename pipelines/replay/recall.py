"""Choose the stages whose metrics `apply` reads from the ledger instead of measuring again.

Such a stage has the settings, models, lists and libraries that it had, but for thresholds of its rules, and reads what
it read: the same text and the same language. Stages that edit run again, since the texts that they made are not kept.
"""

from collections.abc import Collection, Mapping
from typing import Any

from pipelines.ledger.table import Ledger
from pipelines.recipe import Recipe
from pipelines.run.fingerprint import stage_differences
from shards.exchange import GlobalStageConfig
from shards.stage import AnyStageConfig, StageConfig


def recalled_stages(
    ledger: Ledger, after: Recipe, early: Collection[StageConfig], parts: Mapping[str, Any]
) -> frozenset[str]:
    """The names of these stages, without those up to extraction, `early`. `parts` is the fingerprint of the run.

    UserError for settings that a stage would refuse when it is built.
    """
    recalled: set[str] = set()
    others: set[str] = set()  # columns that may have other values now
    for (_, was), (_, now) in zip(ledger.recipe.stages, after.stages, strict=True):
        if isinstance(now, GlobalStageConfig):
            others |= set(now.columns().names)  # they depend on the documents that reach the stage
            if now.edits:
                break  # passages that it cuts depend on them too
            continue
        if now in early:
            continue
        is_same = _measures_the_same(was, now, parts)
        if is_same and not (now.edits or others & {"language", *now.needs()}):
            now.require_replayable(ledger.column)
            recalled.add(now.name)
        elif not is_same:
            if now.edits:
                break
            others |= set(now.columns().names)
    return frozenset(recalled)


def _measures_the_same(was: AnyStageConfig, now: StageConfig, parts: Mapping[str, Any]) -> bool:
    """Whether both stages give a text the same columns, derived ones aside."""
    if type(was) is not type(now) or stage_differences(parts, now):
        return False
    changed = [key for key in type(now).model_fields if getattr(was, key) != getattr(now, key)]
    return not changed if now.edits else all(was.replay_refusal(key, now) is None for key in changed)
