"""What would other thresholds do? The funnel of a finished run, decided again from its ledger.

    ledger ──▶ for each stage, in order:  local   dropped as recorded, or decided again where its bounds moved
                                          global  dropped as recorded, or decided again where other documents reach it
           ──▶ kept for sure ≤ kept ≤ kept perhaps

Nothing is measured here, so an answer may be *perhaps*. A document is kept perhaps

- where it comes back and a later stage did not measure it: a stage that stops, or deduplication, had taken it out;
- where it comes to `exact` or `minhash` without having been compared before;
- where `top_share` ranks it behind or before another that is kept perhaps;
- where `substring` had found little else in it than passages of others, and other documents reach that stage;
- where it was removed for a document that now goes, and of so large a group that its members were compared with that
  one alone (`dedup.lsh.bucket_pairs.SMALL_BUCKET`).

A document that comes new to `exact`, `minhash` or `substring` counts as one that stays or leaves; that it may push out
others too is left to the run that compares truly. Who left for a document of an index leaves again. Everything else is
exact, and with no change the run's own numbers come out. Stages of other kinds that compare documents (`ngram_overlap`)
are not replayed: where other documents reach them, the answer is the command that runs.
"""

from collections.abc import Sequence
from pathlib import Path

from cleaners.language import LanguageConfig
from dedup.minhash import MinHashConfig
from pipelines.ledger.table import Ledger
from pipelines.recipe import Recipe, load_recipe
from pipelines.replay.changes import can_apply, changes_of, command
from pipelines.replay.forecast import Forecast
from pipelines.replay.replay import Replay, steps_of
from shards.errors import UserError


def whatif(run: Path, settings: Sequence[str]) -> Forecast:
    """The forecast for `STAGE.KEY=VALUE` settings; UserError where they change more than bounds."""
    ledger = Ledger.open(run)
    recipe = load_recipe(str(run / "recipe.toml"), settings)
    verb = "apply" if can_apply(ledger.recipe, recipe) else "run"
    exact = command(verb, run, settings)
    changes = replayed_changes(ledger.recipe, recipe, exact)
    replay = Replay(ledger, steps_of(ledger.recipe, recipe))
    _require_known_languages(ledger, recipe)
    replay.decide()
    return replay.forecast(changes, exact)


def _require_known_languages(ledger: Ledger, recipe: Recipe) -> None:
    """A code that no page has may be one that no model has; the stage itself asks its model."""
    for _, stage in recipe.stages:
        if isinstance(stage, LanguageConfig) and set(stage.languages) - set(
            ledger.column("language").unique().to_pylist()
        ):
            stage.build()


def replayed_changes(before: Recipe, after: Recipe, exact: str) -> tuple[str, ...]:
    """What differs, a line each. UserError where a setting is no bound: then documents must be measured again."""
    if (before.sources, before.output, before.alarms) != (after.sources, after.output, after.alarms):
        raise UserError(f"source, output and alarms settings change no verdict; to have a run with them: {exact}")
    changes = []
    for change in changes_of(before, after):
        old, new = change.old, change.new
        if isinstance(old, MinHashConfig) and isinstance(new, MinHashConfig) and new.threshold < old.threshold:
            raise UserError(f"{change.name}: pairs below {old.threshold} were not kept; to compare again: {exact}")
        if isinstance(old, MinHashConfig) and change.key == "threshold" and old.verify == "none":
            raise UserError(f"{change.name}: how alike pairs are was not measured; to measure it: {exact}")
        of_language = isinstance(old, LanguageConfig) and change.key in ("languages", "min_scores")
        if not (change.is_bound or of_language):
            raise UserError(
                f"{change.name}: is no bound of a rule but changes what is measured or written; "
                f"to measure again: {exact}"
            )
        changes.append(str(change))
    return tuple(changes)
