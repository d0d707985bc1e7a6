"""A forecast in words, and several forecasts as a table."""

from collections.abc import Iterator, Sequence

from pipelines.ledger.values import shown_value
from pipelines.replay.moved import Moved, MovedDocument
from pipelines.replay.whatif import Forecast
from pipelines.report.samples import visible


def lines(forecast: Forecast) -> Iterator[str]:
    """The forecast as a page of text: what changes by reason, in total, and for which documents."""
    yield from forecast.changes or ("no setting is changed",)
    changed = [rule for rule in forecast.rules if rule.before != rule.after]
    rows = [("drop reason", "drops now", "drops then", "documents", "characters", "words")]
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
    if changed:
        yield from _table(rows)
    yield f"{len(forecast.rules) - len(changed):,} other reasons drop what they dropped"
    for what in ("documents", "characters", "words"):
        then, change = _kept(forecast, what)
        yield f"kept {what}: {getattr(forecast.before, what):,} -> {then} ({change})"
    yield from _moved("gained", forecast.gained)
    yield from _moved("lost", forecast.lost)
    if forecast.unmeasured:
        yield f"{forecast.unmeasured:,} need re-measuring: a later stage has not measured them, nor counted their words"
    if forecast.uncompared:
        yield f"{forecast.uncompared:,} need comparing: deduplication has not seen them beside what is now kept"
    if forecast.cut_again:
        yield "repeated passages are others then: texts may be longer or shorter than they were"
    if forecast.least != forecast.most or forecast.cut_again:
        yield f"to know: {forecast.exact}"


def sweep_lines(forecasts: Sequence[Forecast]) -> Iterator[str]:
    """A line for each forecast, with its settings first, after one for the run as it is."""
    keys, now = [setting.partition("=")[0] for setting in forecasts[0].settings], forecasts[0].before
    rows = [(*keys, "documents kept", "change", "gained", "lost", "characters kept", "change")]
    rows.append(("as it is", *[""] * (len(keys) - 1), f"{now.documents:,}", "", "", "", f"{now.characters:,}", ""))
    for forecast in forecasts:
        moved = (forecast.gained, forecast.lost)
        counts = [_range(f"{one.documents - one.perhaps:,}", f"{one.documents:,}") for one in moved]
        values = [setting.partition("=")[2] for setting in forecast.settings]
        rows.append((*values, *_kept(forecast, "documents"), *counts, *_kept(forecast, "characters")))
    yield from _table(rows)
    if any(forecast.least != forecast.most for forecast in forecasts):
        yield "a range is what only a run can decide: --set with one value names its command"


def _kept(forecast: Forecast, what: str) -> tuple[str, str]:
    """(what is kept then, the change)."""
    was, low, high = (getattr(size, what) for size in (forecast.before, forecast.least, forecast.most))
    is_rough = (forecast.unmeasured or forecast.cut_again) and what != "documents"  # a later stage may edit them
    about = "about " if is_rough else ""
    return about + _range(f"{low:,}", f"{high:,}"), _range(_signed(low - was), _signed(high - was))


def _moved(name: str, moved: Moved) -> Iterator[str]:
    if moved.documents:
        perhaps = f", {moved.perhaps:,} of them perhaps" if moved.perhaps else ""
        yield f"{name}: {moved.documents:,}{perhaps}"
        yield from (f"  {_document(one)}" for one in moved.examples)
    if (more := moved.documents - len(moved.examples)) > 0 and moved.examples:
        yield f"  … {more:,} more"


def _document(one: MovedDocument) -> str:
    value = "" if one.metric is None else f"  {one.metric.rpartition('.')[2]} {shown_value(one.value)}"
    language = f"  {one.language}" if one.language else ""
    return f"{visible(one.url) or one.id}{value}{language}  {one.before} -> {one.after}"


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Aligned columns, all but the first to the right; a line is as long as it must be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        yield f"{first:{widths[0]}}" + "".join(f"  {v:>{w}}" for v, w in zip(others, widths[1:], strict=True))


def _signed(number: int) -> str:
    return f"{number:+,}" if number else "0"


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} … {high}"
