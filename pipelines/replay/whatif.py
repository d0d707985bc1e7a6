"""`gristmill whatif`: decide the funnel of a finished run again, with other thresholds, from its ledger.

    ledger ──▶ for each stage, in order:  local   dropped as recorded, or decided again where thresholds moved
                                          global  dropped as recorded, or decided again where other documents reach it
           ──▶ kept in any case ≤ kept ≤ kept perhaps

Nothing is measured here, so the answer for a document may be *perhaps*:

- It comes back, and a later stage did not measure it, because a stage that stops or deduplication had removed it.
- It reaches `exact` or `minhash` and was not compared before.
- `top_share` ranks it next to another document that is kept perhaps.
- `substring` had found little in it but passages of others, and other documents reach that stage.
- It was removed for a document that is now dropped, in a bucket so large that its members were compared with that
  document alone (`dedup.lsh.bucket_pairs.SMALL_BUCKET`).

A document that is new to `exact`, `minhash` or `substring` counts as one that stays or is removed; that it may also
cause others to be removed is left to a run, which compares texts. A document that was removed for one of an index is
removed again. Everything else is exact, and without changes the run's own numbers come out. Kinds without a replay
(`ngram_overlap`) refuse where other documents reach them, and name the command of the run that knows.
"""

from collections.abc import Sequence
from pathlib import Path

from pipelines.ledger.table import Ledger
from pipelines.recipe import Recipe, load_recipe
from pipelines.replay.changes import can_apply, changes_of, command
from pipelines.replay.forecast import Forecast
from pipelines.replay.replay import Replay, steps_of
from pipelines.run.folder import RunFolder
from shards.errors import UserError


def whatif(run: Path, settings: Sequence[str]) -> Forecast:
    """The forecast for `STAGE.KEY=VALUE` settings; UserError where they change more than thresholds."""
    ledger = Ledger.open(run)
    recipe = load_recipe(str(ledger.run.path(RunFolder.RECIPE)), settings)
    verb = "apply" if can_apply(ledger.recipe, recipe) else "run"
    exact = command(verb, run, settings)
    changes = replayed_changes(ledger.recipe, recipe, exact)
    replay = Replay(ledger, steps_of(ledger.recipe, recipe))
    for stage in recipe.local_stages():
        stage.require_replayable(ledger.column)
    replay.decide()
    return replay.forecast(changes, exact)


def replayed_changes(before: Recipe, after: Recipe, exact: str) -> tuple[str, ...]:
    """What differs, a line each. UserError where documents would have to be measured again."""
    if (before.sources, before.output, before.alarms) != (after.sources, after.output, after.alarms):
        raise UserError(f"source, output and alarms settings change no verdict; to have a run with them: {exact}")
    changes = tuple(changes_of(before, after))
    for change in changes:
        if (refusal := change.replay_refusal) is not None:
            raise UserError(f"{change.name}: {refusal}: {exact}")
    return tuple(map(str, changes))
