"""The forecast of `gristmill whatif`: what a run would keep and drop with other settings, in numbers and as text."""

from collections.abc import Iterator
from dataclasses import dataclass


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
class StageChange:
    """The number of documents after a stage."""

    stage: str
    before: int
    least: int
    most: int


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
