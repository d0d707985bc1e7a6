"""The page's section on rules: a card for each with its histogram, its curve and the facts of its slider."""

from dataclasses import dataclass

from markupsafe import Markup

from pipelines.numbers import number, percent, share
from pipelines.report.aggregate import Aggregates
from pipelines.report.model import Metric, Report, RuleRow, Sweep
from pipelines.report.moved import Outlook, kept_by_threshold
from pipelines.report.page.svg import bin_names, curve_svg, histogram_svg

_NOTHING = Markup("")


@dataclass(frozen=True)
class RuleCard:
    row: RuleRow
    order: int  # in which it decides
    metric: Metric | None
    sweep: Sweep | None
    figure: Markup = _NOTHING
    curve: Markup = _NOTHING
    masses: str = ""  # documents on each side of the thresholds
    bins: tuple[tuple[str, int, int, int], ...] = ()  # (values, kept, dropped by other rules, failing)
    has_nearest: bool = False
    no_slider: str = "Its threshold is no number that can be moved, or differs by language."


@dataclass(frozen=True)
class RuleCards:
    active: tuple[RuleCard, ...]  # rules that dropped a document first, most first
    idle: tuple[RuleCard, ...]  # the others, most failures first
    most_dropped: int  # documents that the rule which drops most dropped first; its bar is full


def rule_cards(report: Report, aggregates: Aggregates) -> RuleCards:
    outlook = Outlook.of(report)
    sweeps = {sweep.reason: sweep for sweep in report.sweeps}
    rows = sorted(report.rules, key=lambda row: (-row.dropped, -row.failed))
    order = {row.reason: number for number, row in enumerate(report.rules)}
    cards = [_card(row, order[row.reason], report, aggregates, outlook, sweeps.get(row.reason)) for row in rows]
    return RuleCards(
        tuple(card for card in cards if card.row.dropped),
        tuple(card for card in cards if not card.row.dropped),
        max((row.dropped for row in rows), default=0),
    )


def _card(
    row: RuleRow, order: int, report: Report, aggregates: Aggregates, outlook: Outlook, sweep: Sweep | None
) -> RuleCard:
    metric = report.metrics.get(row.metric) if row.metric is not None else None
    if metric is None or metric.histogram is None or row.metric is None:
        return RuleCard(row, order, metric, sweep)
    rule = aggregates.shown_rule(row.metric)
    title = f"{row.metric}: {metric.failed:,} of {metric.measured:,} fail"
    curves = Markup("")
    if sweep is not None and len(sweep.edges) > 1:
        for minimum, setting in ((True, sweep.min_setting), (False, sweep.max_setting)):
            if setting is not None:
                kept = kept_by_threshold(outlook, sweep, minimum=minimum)
                limit = sweep.min_kept if minimum else sweep.max_kept
                assert limit is not None
                curves += curve_svg(metric.histogram, sweep.edges, kept, limit, "min" if minimum else "max")
    histogram = metric.histogram
    parts = zip(bin_names(histogram, metric.integers), histogram.kept, histogram.other, histogram.failing, strict=True)
    return RuleCard(
        row,
        order,
        metric,
        sweep,
        figure=histogram_svg(title, histogram, rule, integers=metric.integers),
        curve=curves,
        masses=_masses(metric),
        bins=tuple(part for part in parts if any(part[1:])),
        has_nearest=bool(aggregates.chosen.nearest.get((row.reason, "dropped"))),
    )


def _masses(metric: Metric) -> str:
    """ "1,234 (4.1 %) below 50 or above 100,000, 28,766 (95.9 %) within"."""
    low = f"below {number(metric.min_kept)}" if metric.min_kept is not None else ""
    high = f"above {number(metric.max_kept)}" if metric.max_kept is not None else ""
    outside = " or ".join(filter(None, (low, high)))
    within = metric.measured - metric.failed
    failed = f"{metric.failed:,} ({percent(share(metric.failed, metric.measured))}) {outside}"
    return f"{failed}, {within:,} ({percent(share(within, metric.measured))}) not" if outside else ""
