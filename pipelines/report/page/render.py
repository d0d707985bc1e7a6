"""`report.html`: the numbers of `report.json`, drawn, with samples of the texts beside them.

    sections/*.html.j2    a section each, from values that the template escapes; nothing there decides or counts
    report.js             search, sorting, filters and sliders; the one script that the page's policy lets run
    facts                 tables of thresholds as JSON, for the sliders

Charts are SVG that is drawn here. A chart library of 800 KB in every page would draw no bar that a reader without a
script, a printer or a screen reader gets; ours take 3 KB a rule, and have a table beside them.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from markupsafe import Markup, escape

from pipelines.numbers import share
from pipelines.recipe import Recipe
from pipelines.report.aggregate import Aggregates
from pipelines.report.findings import findings, tokens
from pipelines.report.model import FunnelStage, Histogram, LargeCluster, Report, num_places
from pipelines.report.moved import Outlook
from pipelines.report.page.environment import page_environment
from pipelines.report.page.rule_cards import rule_cards
from pipelines.report.page.sample_cards import ShownSample, middle, shown_samples
from pipelines.report.page.svg import histogram_svg
from pipelines.report.published import points
from pipelines.report.samples import extracted_texts, kept_texts, located, sample_texts, visible
from pipelines.report.spent import Spent
from pipelines.run.folder import RunFolder
from shards.schema import KEPT
from shards.stage import Rule
from shards.unit_key import UnitKey

_DAMAGE_SHOWN = 50
_INPUTS_SHOWN = 3
_SNIPPET_CHARS = 180
_UNITS_READ = 64  # for texts of dropped documents that the run keeps beside the ledger alone
_POWERS = (
    0.7,
    0.5,
    0.3,
)  # of kept characters as weights, from those of multilingual models: XLM-R 0.3, mT5 0.3, mBERT 0.7


@dataclass(frozen=True)
class FunnelRow:
    """A stage in one unit."""

    stage: str
    left: int
    left_share: float | None  # of the first row
    of_before: float | None  # of the row before
    lost: int
    lost_share: float | None  # of the first row
    note: str = ""

    @property
    def is_idle(self) -> bool:
        return not self.lost and self.of_before is not None


@dataclass(frozen=True)
class ClusterCard:
    """A large cluster with the text of its representative."""

    cluster: LargeCluster
    text: str  # "" where it is not stored
    snippet: str


def render(run: RunFolder, recipe: Recipe, report: Report, aggregates: Aggregates) -> str:
    environment = page_environment()
    environment.filters |= {"points": points, "short": short, "middle": middle, "plain": _written}
    kept, dropped = _samples(run, aggregates)
    cards = rule_cards(report, aggregates)
    funnel = {unit: list(funnel_rows(report, unit)) for unit in ("documents", "characters", "bytes")}
    idle = [row.stage for row in funnel["documents"] if row.is_idle]
    script = files("pipelines.report.page").joinpath("report.js").read_text(encoding="utf-8")
    values: dict[str, Any] = {
        "r": report,
        "about": recipe.about,
        "libraries": run.made_of().libraries,
        "findings": findings(report, recipe),
        "tokens": tokens(report),
        "alarm_text": lambda text: _alarm_text(text, report),
        "input_names": list(dict.fromkeys(run.made_of().files().values()))[:_INPUTS_SHOWN],
        "funnel": funnel,
        "num_idle": len(idle),
        "idle": idle,
        "cards": cards,
        "kept_samples": kept,
        "dropped_samples": dropped,
        "sample_rules": [row.reason for row in report.rules if row.dropped],
        "sample_languages": sorted({s.sample.language for s in (*kept, *dropped) if s.sample.language}),
        "similarities": _similarities(report, recipe),
        "clusters": _clusters(run, report, aggregates),
        "epochs": _epochs(report),
        "damage": report.damage[:_DAMAGE_SHOWN],
        "num_damaged": num_places(report.damage),
        "spent": Spent.of(run, [stage.stage for stage in report.funnel]),
        "settings": list(_settings(recipe, report)),
        "contents": list(_contents(report)),
        "facts": Markup(_facts(report)),
        "script": Markup(script),
        "script_hash": "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    card, sample = environment.get_template("rule_card.html.j2"), environment.get_template("sample.html.j2")
    values["rule_card"] = lambda card_, is_open: Markup(card.render(values | {"card": card_, "is_open": is_open}))
    values["sample_card"] = lambda shown: Markup(sample.render(shown=shown))
    return environment.get_template("report.html.j2").render(values)


def short(name: str) -> str:
    """`gopher_quality.too_few_words` without its stage."""
    return name.rpartition(".")[2]


def funnel_rows(report: Report, unit: str) -> Iterator[FunnelRow]:
    """The funnel in "documents", "characters" or "bytes", the input first where it is known."""

    def amount(stage: FunnelStage) -> int | None:
        if unit == "documents":
            return stage.documents
        return stage.characters if unit == "characters" else stage.bytes

    first: int | None = None
    before: int | None = None
    kind: str | None = None
    if unit == "documents":
        first = before = report.documents.input
        yield FunnelRow("input", first, 1.0 if first else None, None, 0, 0.0)
    for stage in report.funnel:
        left = amount(stage)
        if left is None:
            continue
        if unit == "bytes" and stage.bytes_are != kind:
            first, before, kind = left, None, stage.bytes_are
        first = left if first is None else first
        lost = max(0, before - left) if before is not None else 0
        note = "records given twice" if stage.stage == "same_record" else ""
        if unit == "bytes" and before is None:
            note = "page bodies" if kind == "bodies" else "UTF-8 text"
        yield FunnelRow(stage.stage, left, share(left, first), share(left, before), lost, share(lost, first), note)
        before = left


def _contents(report: Report) -> Iterator[tuple[str, str, int | None]]:
    """(id of a section, its name, how many things it has)."""
    yield "top", "Overview", None
    if report.alarms:
        yield "alarms", "Alarms", len(report.alarms)
    yield "funnel", "Funnel", None
    if report.published:
        yield "published", "Beside the paper", None
    yield "rules", "Rules", sum(1 for row in report.rules if row.dropped)
    yield "samples", "Samples", None
    yield "languages", "Languages and hosts", None
    yield "duplicates", "Duplicates", None
    for section in report.contamination:
        yield f"contamination-{section.stage}", "Evaluation sets", None
    yield "records", "Records", None
    yield "time", "Time", None
    yield "settings", "Settings", None


def _facts(report: Report) -> str:
    """What sliders compute with, as JSON that no text can leave."""
    outlook = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in asdict(Outlook.of(report)).items()}
    sweeps = {sweep.reason: asdict(sweep) for sweep in report.sweeps}
    written = {sweep.reason: [_written(edge) for edge in sweep.edges] for sweep in report.sweeps}
    data = json.dumps({"outlook": outlook, "sweeps": sweeps, "written": written}, separators=(",", ":"))
    return data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _written(value: float) -> str:
    """A threshold as a setting takes it."""
    return str(value)


def _samples(run: RunFolder, aggregates: Aggregates) -> tuple[list[ShownSample], list[ShownSample]]:
    nearest = [
        sample
        for (reason, _), found in aggregates.chosen.nearest.items()
        if aggregates.fates[reason]
        for _, _, sample in found
    ]
    random = [sample for chosen in aggregates.chosen.random.values() for sample in chosen]
    texts = sample_texts(run, [*random, *nearest])
    untold = [s for s in (*random, *nearest) if s.drop_reasons and (s.id, s.drop_reasons[0]) not in texts]
    units = sorted({sample.key for sample in untold})[:_UNITS_READ]
    extracted = extracted_texts(run, [(sample.key, sample.id) for sample in untold if sample.key in units])
    texts |= {(s.id, s.drop_reasons[0]): extracted[s.id] for s in untold if s.id in extracted}
    twins = [sample.twin for sample in (*random, *nearest) if sample.twin and sample.drop_reasons]
    texts |= {(id, ""): text for id, text in kept_texts(run, located(run, twins)).items()}
    kept = [(sample.key, sample.id) for sample in aggregates.chosen.random.get("", [])]
    shown = shown_samples(aggregates, texts, extracted_texts(run, kept))
    return shown[0], shown[1]


def _alarm_text(text: str, report: Report) -> Markup:
    """An alarm with commands set apart, and a link where it names a rule."""
    reasons = {row.reason for row in report.rules}
    line = str(escape(visible(text)))
    line = re.sub(r"gristmill \w+ RUN[^;,]*$", lambda match: f"<code>{match[0]}</code>", line)
    first = text.split(" ", 1)[0]
    if first in reasons:
        line = line.replace(first, f'<a href="#rule-{first}">{first}</a>', 1)
    return Markup(line)


def _settings(recipe: Recipe, report: Report) -> Iterator[tuple[str, str, list[tuple[str, str, list[str]]]]]:
    """(stage, kind, (setting, value, reasons of the rules that it holds the threshold of)) of each stage."""
    rules: dict[tuple[str, str], list[str]] = {}
    for row in report.rules:
        for key in filter(None, row.setting.split(", ")):
            rules.setdefault((row.stage, key), []).append(row.reason)
    given = {stage["name"]: stage for stage in recipe.resolved(paths=False)["stage"]}
    for stage in report.funnel:
        settings = {k: v for k, v in given.get(stage.stage, {}).items() if k not in ("kind", "name")}
        rows = [(key, _setting(value), rules.get((stage.stage, key), [])) for key, value in settings.items()]
        yield stage.stage, stage.kind, rows


def _setting(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _epochs(report: Report) -> list[tuple[str, int, list[float]]]:
    """(language, kept characters, epochs by power): what weights kept**power mean for as much text as is kept."""
    kept = [(row.language, row.kept_characters) for row in report.languages if row.kept_characters]
    total = sum(characters for _, characters in kept)
    sums = [sum(characters**power for _, characters in kept) for power in _POWERS]
    return [
        (name, characters, [total * characters ** (power - 1) / of for power, of in zip(_POWERS, sums, strict=True)])
        for name, characters in sorted(kept, key=lambda item: -item[1])
    ]


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
        ClusterCard(cluster, text := texts.get(cluster.twin, ""), " ".join(text.split())[:_SNIPPET_CHARS])
        for cluster in report.duplicates.largest
    ]
