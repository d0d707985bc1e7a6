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

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from pipelines.ledger.table import Ledger
from pipelines.recipe import Recipe, load_recipe
from pipelines.replay.changes import can_apply, changes_of, command
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
    changes: tuple[str, ...]  # "gopher_quality.min_words 50 -> 30"
    rules: tuple[RuleChange, ...]  # those that drop something before or after, in the order in which they decide
    funnel: tuple[StageChange, ...]
    before: Size  # kept by the run
    least: Size  # kept in any case
    most: Size  # kept in any case or perhaps
    unmeasured: int  # documents kept perhaps that a later stage must measure
    uncompared: int  # documents kept perhaps that deduplication must compare
    exact: str  # the command of the run that knows
    cut_again: bool = False  # passages may be cut from other documents, so texts may have other lengths


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
    return _forecast(replay, changes, exact)


def replayed_changes(before: Recipe, after: Recipe, exact: str) -> tuple[str, ...]:
    """What differs, a line each. UserError where documents would have to be measured again."""
    if (before.sources, before.output, before.alarms) != (after.sources, after.output, after.alarms):
        raise UserError(f"source, output and alarms settings change no verdict; to have a run with them: {exact}")
    changes = tuple(changes_of(before, after))
    for change in changes:
        if (refusal := change.replay_refusal) is not None:
            raise UserError(f"{change.name}: {refusal}: {exact}")
    return tuple(map(str, changes))


def _forecast(replay: Replay, changes: tuple[str, ...], exact: str) -> Forecast:
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
        changes,
        tuple(rule for rule in rules if rule.before.documents or rule.after.documents),
        replay.funnel(),
        before=kept,
        least=least,
        most=Size(*(low + more for low, more in zip(astuple(least), astuple(perhaps), strict=True))),
        unmeasured=unmeasured,
        uncompared=uncompared,
        exact=exact,
        cut_again=replay.texts_change,
    )


def lines(forecast: Forecast) -> Iterator[str]:
    """The forecast as a page of text."""
    yield from forecast.changes or ("no setting is changed",)
    rows = [("reason", "dropped", "then", "documents", "characters", "words")]
    changed = [rule for rule in forecast.rules if rule.before != rule.after]
    for rule in changed:
        before, after = rule.before, rule.after
        rows.append(
            (
                rule.reason,
                f"{before.documents:,}",
                f"{after.documents:,}",
                _signed(after.documents - before.documents),
                _signed(after.characters - before.characters),
                _signed(after.words - before.words),
            )
        )
    width = max(len(row[0]) for row in rows)
    for name, *numbers in rows:
        yield f"{name:{width}}" + "".join(f"  {number:>12}" for number in numbers)
    yield f"{len(forecast.rules) - len(changed):,} other reasons drop what they dropped"
    before, least, most = forecast.before, forecast.least, forecast.most
    for what in ("documents", "characters", "words"):
        was, low, high = (getattr(size, what) for size in (before, least, most))
        then, change = _range(f"{low:,}", f"{high:,}"), _range(_signed(low - was), _signed(high - was))
        about = (
            "about " if (forecast.unmeasured or forecast.cut_again) and what != "documents" else ""
        )  # a later stage may edit them
        yield f"kept {what}: {was:,} -> {about}{then} ({change})"
    if forecast.unmeasured:
        yield f"{forecast.unmeasured:,} need re-measuring: a later stage has not measured them, nor counted their words"
    if forecast.uncompared:
        yield f"{forecast.uncompared:,} need comparing: deduplication has not seen them beside what is now kept"
    if forecast.cut_again:
        yield "repeated passages are others then: texts may be longer or shorter than they were"
    if least != most or forecast.cut_again:
        yield f"to know: {forecast.exact}"


def _signed(number: int) -> str:
    return f"{number:+,}" if number else "0"


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} … {high}"
