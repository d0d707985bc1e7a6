"""Compare the settings of a run with others, and say what it takes to know their effect.

a threshold of a rule       whatif: the metrics are in the ledger
anything after extraction   apply: the texts are beside the ledger
everything else             run: from the crawl
"""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.recipe import Recipe
from pipelines.run.extracted_texts import early_stages
from shards.stage import AnyStageConfig


@dataclass(frozen=True)
class Change:
    """A setting that differs. Where a stage became one of another kind, `key` is "kind"."""

    old: AnyStageConfig
    new: AnyStageConfig
    key: str

    def __str__(self) -> str:
        return f"{self.name} {_shown(getattr(self.old, self.key))} -> {_shown(getattr(self.new, self.key))}"

    @property
    def name(self) -> str:
        return f"{self.old.name}.{self.key}"

    @property
    def moves_threshold(self) -> bool:
        """Whether it moves thresholds of rules that name it, and nothing else."""
        return self.key != "kind" and self.old.moves_threshold(self.key, self.new)

    @property
    def replay_refusal(self) -> str | None:
        """Why `whatif` cannot say what it would do, and what can; None if `whatif` can."""
        if self.key == "kind":
            return "is no threshold of a rule but changes what is measured; to measure again"
        return self.old.replay_refusal(self.key, self.new)


def changes_of(before: Recipe, after: Recipe) -> Iterator[Change]:
    """The settings of stages that `--set` changed, in recipe order."""
    for (_, old), (_, new) in zip(before.stages, after.stages, strict=True):
        if type(old) is not type(new):
            yield Change(old, new, "kind")
            continue
        for key in type(old).model_fields:
            if getattr(old, key) != getattr(new, key):
                yield Change(old, new, key)


def can_apply(before: Recipe, after: Recipe) -> bool:
    """Whether `gristmill apply` takes these settings: the run keeps texts, and what made them stays the same."""
    early = early_stages(before.passes()[0])
    if not (before.output.texts and early and before.sources == after.sources):
        return False
    if [type(stage) for stage in early_stages(after.passes()[0])] != [type(stage) for stage in early]:
        return False
    return all(change.moves_threshold for change in changes_of(before, after) if change.old in early)


def command(verb: str, run: Path, settings: Iterable[str]) -> str:
    """`gristmill run RUN/recipe.toml …` or `gristmill apply RUN …` with these settings, into a new folder."""
    sets = [part for setting in settings for part in ("--set", setting)]
    given = f"{run}/recipe.toml" if verb == "run" else str(run)
    return shlex.join(["gristmill", verb, given, *sets, "--out", "NEW"])


def _shown(value: Any) -> str:
    return "off" if value is None else str(value)
