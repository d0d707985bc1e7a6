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
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from pipelines.ledger.table import Ledger
from pipelines.recipe import Recipe, load_recipe
from pipelines.replay.changes import can_apply, changes_of, command
from pipelines.replay.moved import Moved, gained, lost
from pipelines.replay.replay import Replay, StageChange, steps_of
from pipelines.run.folder import RunFolder
from shards.errors import UserError


@dataclass(frozen=True)
class Size:
    documents: int
    characters: int  # of the text as the run left it; 0 for a document dropped before it had one
    words: int = 0  # where they were not counted


@dataclass(frozen=True)
class RuleChange:
    """The documents that a reason drops, as the first of their reasons."""

    reason: str
    before: Size
    after: Size


@dataclass(frozen=True)
class Forecast:
    settings: tuple[str, ...]  # as they were given
    changes: tuple[str, ...]  # "gopher_quality.min_words 50 -> 30"
    rules: tuple[RuleChange, ...]  # those that drop something before or after, in the order in which they decide
    funnel: tuple[StageChange, ...]
    before: Size  # kept by the run
    least: Size  # kept in any case
    most: Size  # kept in any case or perhaps
    unmeasured: int  # documents kept perhaps that a later stage must measure
    uncompared: int  # documents kept perhaps that deduplication must compare
    exact: str  # the command of the run that knows
    gained: Moved  # dropped by the run, and kept in any case or perhaps
    lost: Moved  # kept by the run, and dropped in any case or perhaps
    cut_again: bool = False  # passages may be cut from other documents, so texts may have other lengths


def whatif(run: Path, settings: Sequence[str], *, examples: int = 0) -> Forecast:
    """The forecast for `STAGE.KEY=VALUE` settings; UserError where they change more than thresholds.

    `examples` documents are named of those that it gains, and of those that it loses.
    """
    return forecast(Ledger.open(run), settings, examples=examples)


def forecast(ledger: Ledger, settings: Sequence[str], *, examples: int = 0) -> Forecast:
    """`whatif` for a ledger whose columns are read once for several forecasts."""
    run = ledger.run.root
    recipe = load_recipe(str(ledger.run.path(RunFolder.RECIPE)), settings)
    verb = "apply" if can_apply(ledger.recipe, recipe) else "run"
    exact = command(verb, run, settings)
    changes = replayed_changes(ledger.recipe, recipe, exact)
    replay = Replay(ledger, steps_of(ledger.recipe, recipe))
    for stage in recipe.local_stages():
        stage.require_replayable(ledger.column)
    replay.decide()
    return _forecast(replay, tuple(settings), changes, exact, examples)


def replayed_changes(before: Recipe, after: Recipe, exact: str) -> tuple[str, ...]:
    """What differs, a line each. UserError where documents would have to be measured again."""
    if (before.sources, before.output, before.alarms) != (after.sources, after.output, after.alarms):
        raise UserError(f"source, output and alarms settings change no verdict; to have a run with them: {exact}")
    changes = tuple(changes_of(before, after))
    for change in changes:
        if (refusal := change.replay_refusal) is not None:
            raise UserError(f"{change.name}: {refusal}: {exact}")
    return tuple(map(str, changes))


def _forecast(
    replay: Replay, settings: tuple[str, ...], changes: tuple[str, ...], exact: str, examples: int
) -> Forecast:
    """Add up the documents, characters and words of what is kept and dropped, before and after."""
    counted = replay.ledger.counts("text_chars"), replay.ledger.words()
    weights = [counts.astype(np.float64) for counts in counted if counts is not None]

    def sizes(fates: np.ndarray) -> list[Size]:
        """Of the kept rows, of those dropped by each reason, and last of doubtful ones."""
        num_fates = len(replay.reasons) + 2
        sums = np.array([np.bincount(fates + np.int16(1), w, num_fates) for w in (None, *weights)])
        return [Size(*map(int, column)) for column in sums.T]

    recorded, decided = replay.fates()
    kept, *dropped, _ = sizes(recorded)
    least, *then, perhaps = sizes(decided)
    rules = [RuleChange(*row) for row in zip(replay.reasons, dropped, then, strict=True)]
    unmeasured, uncompared = replay.doubtful()
    return Forecast(
        settings,
        changes,
        tuple(rule for rule in rules if rule.before.documents or rule.after.documents),
        replay.funnel(),
        before=kept,
        least=least,
        most=Size(*(low + more for low, more in zip(astuple(least), astuple(perhaps), strict=True))),
        unmeasured=unmeasured,
        uncompared=uncompared,
        exact=exact,
        gained=gained(replay, examples),
        lost=lost(replay, examples),
        cut_again=replay.texts_change,
    )
