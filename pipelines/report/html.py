"""`report.html`: what `report.json` says, drawn, with samples of the texts beside it.

The page is made from values and escaped by the template; nothing here decides or counts.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipelines.recipe import Recipe
from pipelines.report.aggregate import Failure, Sample, Tally
from pipelines.report.audit import sentence
from pipelines.report.histogram import Histogram
from pipelines.report.published import points
from pipelines.report.samples import kept_texts, sample_texts, visible
from pipelines.report.svg import bar, histogram_svg, number
from shards.schema import KEPT
from shards.stage import Rule

_DAMAGE_SHOWN = 50
_SNIPPET_CHARS = 180


def render(run: Path, recipe: Recipe, found: dict[str, Any], tally: Tally) -> str:
    environment = Environment(
        loader=PackageLoader("pipelines.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number, "percent": percent, "size": size, "visible": visible, "points": points, "short": short,
    }  # fmt: skip
    environment.globals |= {"bar": bar, "share": share}
    samples = [sample for chosen in tally.samples.values() for sample in chosen]
    texts = sample_texts(run, samples)
    return environment.get_template("report.html.j2").render(
        r=found,
        about=recipe.about,
        libraries=json.loads((run / "run.json").read_bytes())["library"],
        findings=findings(found),
        rule_groups=_by_stage(found["rules"]),
        most_dropped=max((row["dropped"] for row in found["rules"]), default=0),
        histogram_groups=_histograms(found, tally),
        flags=[name for name, metric in found["metrics"].items() if metric["histogram"] is None],
        similarities=_similarities(found, recipe),
        groups=_groups(run, found, tally),
        kept_samples=[_shown(sample, texts) for sample in tally.samples.get("", [])],
        dropped_samples=_dropped_samples(found, tally, texts),
        seconds=_seconds(run, found),
        damage=found["damage"][:_DAMAGE_SHOWN],
    )


def percent(part: float | None, digits: int = 1) -> str:
    return "–" if part is None else f"{100 * part:.{digits}f}\u00a0%"


def share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def size(num_bytes: float) -> str:
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= factor:
            return f"{num_bytes / factor:,.1f} {unit}"
    return f"{num_bytes:,.0f} bytes"


def short(name: str) -> str:
    """`gopher_quality.too_few_words` without its stage."""
    return name.rpartition(".")[2]


def findings(found: dict[str, Any]) -> list[str]:
    """What a reader should know first, each a sentence that the rest of the page proves."""
    given, kept = found["documents"]["input"], found["documents"]["kept"]
    if not given:
        return ["The input holds no document."]
    lines = []
    losses, before = [], given
    for entry in found["funnel"]:
        losses.append((before - entry["documents"], entry["stage"]))
        before = entry["documents"]
    most, stage = max(losses, key=lambda loss: loss[0], default=(0, ""))
    if most:
        lines.append(f"The stage that drops most is {stage}: {most:,} documents, {percent(most / given)} of the input.")
    alone = max((r for r in found["rules"] if _decides(r)), key=lambda r: int(r["alone"]), default=None)
    if alone is not None and alone["alone"]:
        lines.append(
            f"Of the rules that measure text, {alone['reason']} decides most on its own: "
            f"{alone['alone']:,} documents fail it and no other rule."
        )
    if found["languages"]:
        identified = sum(entry["documents"] for entry in found["languages"])
        first = (f"{e['language']} {percent(e['documents'] / identified, 0)}" for e in found["languages"][:3])
        lines.append(f"Of the documents whose language was identified: {', '.join(first)}.")
    removed = sum(entry["removed"] for entry in found["duplicates"]["stages"])
    if found["duplicates"]["stages"]:
        part = percent(share(removed, kept + removed), 2)
        lines.append(f"Duplicates: {removed:,} documents, {part} of those that no rule dropped.")
    if number_of_alarms := len(found["alarms"]):
        s = "" if number_of_alarms == 1 else "s"
        lines.append(f"Deduplication raised {number_of_alarms:,} alarm{s}: look at them before using the shards.")
    lines += [sentence(entry) + "." for entry in found["guesses"]]
    if found["damage"]:
        lines.append(f"{len(found['damage']):,} places of the input could not be read.")
    return lines


def _decides(row: dict[str, Any]) -> bool:
    """Rules of stages that stop early have no later measurements beside them, so theirs are always alone."""
    return row["metric"] is not None and row["kind"] not in ("url", "page", "language_guess", "extract", "language")


@dataclass(frozen=True)
class Shown:
    """A sample as the page shows it."""

    sample: Sample
    link: str  # "" unless it is an address of the web
    text: str | None
    snippet: str
    failures: list[str]
    also_fails: list[str]


def _shown(sample: Sample, texts: dict[tuple[str, str], str]) -> Shown:
    text = texts.get((sample.id, sample.drop_reasons[0] if sample.drop_reasons else ""))
    if text is not None and not text.strip():
        text = None
    return Shown(
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
    """`word_count 32, least 50`."""
    rule = failure.rule
    if rule is None or failure.value is None or not rule.setting.startswith(("min_", "max_")):
        return short(failure.reason)
    low = rule.min_kept is not None and failure.value < rule.min_kept
    bound = f"least {number(rule.min_kept)}" if low else f"most {number(rule.max_kept)}"
    return f"{short(failure.reason)}: {short(rule.metric)} {number(failure.value)}, {bound}"


def _dropped_samples(
    found: dict[str, Any], tally: Tally, texts: dict[tuple[str, str], str]
) -> list[tuple[str, int, list[Shown]]]:
    """(reason, documents it dropped first, ten of them), in recipe order."""
    reasons = dict.fromkeys(row["reason"] for row in found["rules"] if row["dropped"])
    return [(r, found["dropped"][r], [_shown(s, texts) for s in tally.samples.get(r, [])]) for r in reasons]


def _by_stage(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """(stage, kind, its rules)."""
    return [(*key, list(group)) for key, group in groupby(rows, lambda row: (row["stage"], row["kind"]))]


@dataclass(frozen=True)
class Card:
    title: str
    metric: dict[str, Any]
    figure: Markup


def _histograms(found: dict[str, Any], tally: Tally) -> list[tuple[str, list[Card]]]:
    """(stage, a card for each of its metrics), in recipe order."""
    stages = {rule.metric: stage for stage, rule in tally.rules}
    cards: dict[str, list[Card]] = {}
    for name, metric in found["metrics"].items():
        if metric["histogram"] is not None:
            title = short(name)
            drawn = histogram_svg(
                f"{name}: {metric['failed']:,} of {metric['measured']:,} fail",
                Histogram(**metric["histogram"]),
                tally.metrics[name],
                integers=metric["integers"],
            )
            cards.setdefault(stages[name], []).append(Card(title, metric, drawn))
    return list(cards.items())


def _similarities(found: dict[str, Any], recipe: Recipe) -> list[tuple[str, int, Markup]]:
    """(stage, documents, histogram of the similarity to the twin); nothing below the threshold is removed."""
    thresholds = {stage.name: getattr(stage, "threshold", None) for _, stage in recipe.stages}
    drawn = []
    for entry in found["duplicates"]["stages"]:
        similarity = found["duplicates"]["similarity"].get(entry["reason"])
        if similarity is not None:
            counts = [0, *similarity["documents"], 0]
            zeros = [0] * len(counts)
            figure = histogram_svg(
                f"{entry['stage']}: similarity of removed documents to their twins",
                Histogram(False, similarity["edges"], zeros, counts, zeros),
                Rule(entry["reason"], "similarity", "threshold", min_kept=thresholds.get(entry["stage"])),
                integers=False,
            )
            drawn.append((entry["stage"], sum(counts), figure))
    return drawn


@dataclass(frozen=True)
class GroupCard:
    row: dict[str, Any]  # of `report.json`
    text: str
    snippet: str


def _groups(run: Path, found: dict[str, Any], tally: Tally) -> list[GroupCard]:
    """The largest groups, with the text of those that are kept."""
    texts = kept_texts(run, [(g.key, g.source, g.cluster.id) for g in tally.largest if g.cluster.fate == KEPT])
    rows = found["duplicates"]["largest"]
    return [GroupCard(row, text := texts.get(row["twin"], ""), _snippet(text)) for row in rows]


def _seconds(run: Path, found: dict[str, Any]) -> list[tuple[str, float]]:
    """(stage, seconds of work, over all workers) in the order of the run; empty where they were not kept."""
    path = run / "seconds.json"
    if not path.exists():
        return []
    seconds: dict[str, float] = json.loads(path.read_bytes())
    order = ["read", *(entry["stage"] for entry in found["funnel"]), "write"]
    return [(name, seconds[name]) for name in order if name in seconds]
