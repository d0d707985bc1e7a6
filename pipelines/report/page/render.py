"""`report.html`: the numbers of `report.json`, drawn, with samples of the texts beside them.

The page is made from values that the template escapes; nothing here decides or counts.
"""

from dataclasses import dataclass

from markupsafe import Markup

from pipelines.numbers import counted, number, share
from pipelines.recipe import Recipe
from pipelines.report.aggregate import Aggregates, Failure, Sample
from pipelines.report.audit import sentence
from pipelines.report.model import Histogram, LargeCluster, Metric, Report, RuleRow, num_places
from pipelines.report.page.drop_reasons import drop_reasons
from pipelines.report.page.environment import page_environment, unbroken_percent
from pipelines.report.page.svg import histogram_svg
from pipelines.report.published import points
from pipelines.report.samples import kept_texts, sample_texts
from pipelines.run.folder import RunFolder
from shards.schema import KEPT
from shards.stage import Rule
from shards.unit_key import UnitKey

_DAMAGE_SHOWN = 50
_SNIPPET_CHARS = 180


@dataclass(frozen=True)
class ShownSample:
    """A sample as the page shows it."""

    sample: Sample
    link: str  # "" unless the URL is an address of the web
    text: str | None
    snippet: str
    failures: list[str]
    also_fails: list[str]


@dataclass(frozen=True)
class HistogramCard:
    """A metric with its histogram."""

    title: str
    metric: Metric
    figure: Markup


@dataclass(frozen=True)
class ClusterCard:
    """A large cluster with the text of its representative."""

    cluster: LargeCluster
    text: str  # "" where it is not stored
    snippet: str


def render(run: RunFolder, recipe: Recipe, report: Report, aggregates: Aggregates) -> str:
    environment = page_environment()
    environment.filters |= {"points": points, "short": short}
    samples = [sample for chosen in aggregates.samples.values() for sample in chosen]
    texts = sample_texts(run, samples)
    return environment.get_template("report.html.j2").render(
        r=report,
        about=recipe.about,
        libraries=run.made_of().libraries,
        findings=findings(report, recipe),
        drop_reasons=drop_reasons(report),
        histograms_by_stage=_histograms(report, aggregates),
        flags=[name for name, metric in report.metrics.items() if metric.histogram is None],
        similarities=_similarities(report, recipe),
        clusters=_clusters(run, report, aggregates),
        kept_samples=[_shown(sample, texts) for sample in aggregates.samples.get("", [])],
        dropped_samples=_dropped_samples(report, aggregates, texts),
        seconds=_seconds(run, report),
        damage=report.damage[:_DAMAGE_SHOWN],
        num_damaged=num_places(report.damage),
    )


def short(name: str) -> str:
    """`gopher_quality.too_few_words` without its stage."""
    return name.rpartition(".")[2]


def findings(report: Report, recipe: Recipe) -> list[str]:
    """What a reader should know first, each a sentence that the rest of the page proves."""
    num_input, kept = report.documents.input, report.documents.kept
    if not num_input:
        return ["The input holds no document."]
    lines = []
    losses, before = [], num_input
    for stage in report.funnel:
        losses.append((before - stage.documents, stage.stage))
        before = stage.documents
    most, name = max(losses, key=lambda loss: loss[0], default=(0, ""))
    if most:
        lines.append(
            f"The stage that drops most is {name}: {counted(most, 'document')}, "
            f"{unbroken_percent(most / num_input)} of the input."
        )
    deciding = max(_rules_beside_others(report, recipe), key=lambda row: row.alone, default=None)
    if deciding is not None and deciding.alone:
        lines.append(
            f"Of the rules that measure text, {deciding.reason} decides most on its own: "
            f"{counted(deciding.alone, 'document')} fail{'s' * (deciding.alone == 1)} it and no other rule."
        )
    if report.languages:
        identified = sum(row.documents for row in report.languages)
        first = (f"{row.language} {unbroken_percent(row.documents / identified, 0)}" for row in report.languages[:3])
        lines.append(f"Of the documents whose language was identified: {', '.join(first)}.")
    if report.duplicates.stages:
        removed = sum(stage.removed for stage in report.duplicates.stages)
        part = unbroken_percent(share(removed, kept + removed), 2)
        lines.append(f"Duplicates: {counted(removed, 'document')}, {part} of those that no rule dropped.")
    if report.alarms:
        alarms = counted(len(report.alarms), "alarm")
        lines.append(f"The run raised {alarms}: look at them before using the shards.")
    lines += [sentence(audit) + "." for audit in report.guesses]
    if report.damage:
        lines.append(f"{counted(num_places(report.damage), 'place')} of the input could not be read.")
    return lines


def _rules_beside_others(report: Report, recipe: Recipe) -> list[RuleRow]:
    """Rules on metrics, but for stages that stop: later stages do not measure what they drop, so they are alone."""
    stopping = {stage.name for stage in recipe.local_stages() if stage.stops}
    return [row for row in report.rules if row.metric is not None and row.stage not in stopping]


def _shown(sample: Sample, texts: dict[tuple[str, str], str]) -> ShownSample:
    text = texts.get((sample.id, sample.drop_reasons[0] if sample.drop_reasons else ""))
    if text is not None and not text.strip():
        text = None
    return ShownSample(
        sample=sample,
        link=sample.url if sample.url.startswith(("https://", "http://")) else "",
        text=text,
        snippet=_snippet(text or ""),
        failures=[_failure(failure) for failure in sample.failures],
        also_fails=[_failure(failure) for failure in sample.also_fails],
    )


def _snippet(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SNIPPET_CHARS else line[:_SNIPPET_CHARS].rstrip() + "…"


def _failure(failure: Failure) -> str:
    """`too_few_words: word_count 32, least 50`."""
    rule = failure.rule
    if rule is None or failure.value is None or not rule.setting.startswith(("min_", "max_")):
        return short(failure.reason)
    low = rule.min_kept is not None and failure.value < rule.min_kept
    threshold = f"least {number(rule.min_kept)}" if low else f"most {number(rule.max_kept)}"
    return f"{short(failure.reason)}: {short(rule.metric)} {number(failure.value)}, {threshold}"


def _dropped_samples(
    report: Report, aggregates: Aggregates, texts: dict[tuple[str, str], str]
) -> list[tuple[str, int, list[ShownSample]]]:
    """(reason, documents that it dropped first, some of them), in recipe order."""
    reasons = dict.fromkeys(row.reason for row in report.rules if row.dropped)
    return [
        (reason, report.dropped[reason], [_shown(sample, texts) for sample in aggregates.samples.get(reason, [])])
        for reason in reasons
    ]


def _histograms(report: Report, aggregates: Aggregates) -> list[tuple[str, list[HistogramCard]]]:
    """(stage, a card for each of its metrics), in recipe order."""
    stages = {rule.metric: stage for stage, rule in aggregates.rules}
    cards: dict[str, list[HistogramCard]] = {}
    for name, metric in report.metrics.items():
        if metric.histogram is not None:
            figure = histogram_svg(
                f"{name}: {metric.failed:,} of {metric.measured:,} fail",
                metric.histogram,
                aggregates.shown_rule(name),
                integers=metric.integers,
            )
            cards.setdefault(stages[name], []).append(HistogramCard(short(name), metric, figure))
    return list(cards.items())


def _similarities(report: Report, recipe: Recipe) -> list[tuple[str, int, Markup]]:
    """(stage, documents, histogram of the similarity to the twin); nothing below the threshold is removed."""
    thresholds = {stage.name: stage.min_similarity for stage in recipe.global_stages()}
    figures = []
    for stage in report.duplicates.stages:
        similarity = report.duplicates.similarity.get(stage.reason)
        if similarity is not None:
            counts = (0, *similarity.documents, 0)
            zeros = (0,) * len(counts)
            figure = histogram_svg(
                f"{stage.stage}: similarity of removed documents to their twins",
                Histogram(log=False, edges=similarity.edges, kept=zeros, other=counts, failing=zeros),
                Rule(stage.reason, "similarity", "threshold", min_kept=thresholds.get(stage.stage)),
                integers=False,
            )
            figures.append((stage.stage, sum(counts), figure))
    return figures


def _clusters(run: RunFolder, report: Report, aggregates: Aggregates) -> list[ClusterCard]:
    """The largest clusters, with the texts of representatives that are kept."""
    kept = [(UnitKey.parse(shown.key), shown.cluster.id) for shown in aggregates.largest if shown.cluster.fate == KEPT]
    texts = kept_texts(run, kept)
    return [
        ClusterCard(cluster, text := texts.get(cluster.twin, ""), _snippet(text))
        for cluster in report.duplicates.largest
    ]


def _seconds(run: RunFolder, report: Report) -> list[tuple[str, float]]:
    """(stage, seconds of work over all workers) in the order of the run; empty where they were not stored."""
    if not run.has(RunFolder.SECONDS):
        return []
    seconds = run.read_json(RunFolder.SECONDS, dict[str, float])
    order = ["read", *(stage.stage for stage in report.funnel), "write"]
    return [(name, seconds[name]) for name in order if name in seconds]
