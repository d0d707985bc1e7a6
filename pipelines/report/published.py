"""A run beside RefinedWeb's published shares, with the causes of each gap.

What is left after a step is the product of what every step so far lets through: s = r₁·r₂·…·rₖ here, p = ρ₁·ρ₂·…·ρₖ in
the paper. So the gap has an exact split over the steps, without remainder (the logarithmic mean Divisia index):

    s − p = Σⱼ L(s, p) · ln(rⱼ / ρⱼ),     L(s, p) = (s − p) / ln(s / p)

A gap above 5 points is reported with its parts, and each part with what this run measured at that step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.recipe import Recipe
from pipelines.report.model import FunnelStage, Published, PublishedStep, Report

PAPER = "RefinedWeb (Penedo et al. 2023, arXiv 2306.01116)"
CAVEAT = (
    "The published figures are the paper's; those after the URL filter and after extraction are known at second hand "
    "only. The paper may mix shares of documents with shares of tokens, so this run gives documents and characters."
)
GAP_POINTS = 5.0  # a larger gap is explained
_PART_POINTS = 1.0  # a smaller part of a gap is not


@dataclass(frozen=True)
class PaperStep:
    """A step of the paper."""

    title: str
    kind: str | None  # the step ends with the recipe's last stage of this kind; None: with the last stage
    left: float  # percent of the paper's documents


STEPS = (
    PaperStep("URL filter", "url", 97.8),
    PaperStep("extraction", "extract", 94.5),
    PaperStep("language", "language", 48.0),
    PaperStep("heuristics", "refinedweb_lines", 22.59),
    PaperStep("MinHash", "minhash", 14.50),
    PaperStep("substring and URL dedup", None, 11.67),
)


@dataclass(frozen=True)
class RunStep:
    """A step of the paper as this run did it."""

    step: PaperStep
    stages: Sequence[FunnelStage]  # those that belong to it
    documents: int  # that reached it
    rate: float  # the part of them that it let through
    paper_rate: float  # the same in the paper
    left: float  # percent of the input left after it


def beside_paper(recipe: Recipe, report: Report) -> Published | None:
    """This run beside the paper, with the reasons for each gap above 5 points; None for another recipe."""
    if recipe.name != "refinedweb":
        return None
    steps = _run_steps(report)
    rows: list[PublishedStep] = []
    explained: set[str] = set()
    for number, last in enumerate(steps):
        so_far = steps[: number + 1]
        gap = last.left - last.step.left
        parts = gap_parts(last.left, last.step.left, [(s.step.title, s.rate / s.paper_rate) for s in so_far])
        reasons: list[str] = []
        if abs(gap) > GAP_POINTS:
            large = [part for part in parts.items() if abs(part[1]) >= _PART_POINTS]
            large.sort(key=lambda part: -abs(part[1]))
            reasons.append(f"{points(gap)} points: {', '.join(f'{points(p)} from {name}' for name, p in large)}.")
            for step in so_far:
                title = step.step.title
                if abs(parts[title]) >= _PART_POINTS and title not in explained:
                    explained.add(title)
                    reasons.append(_reason(step, recipe, report))
        characters = last.stages[-1].characters_share
        rows.append(
            PublishedStep(
                step=last.step.title,
                stage=last.stages[-1].stage,
                documents=round(last.left, 2),
                characters=None if characters is None else round(100 * characters, 2),
                published=last.step.left,
                gap=round(gap, 2),
                parts={name: round(part, 2) for name, part in parts.items()},
                reasons=tuple(reasons),
            )
        )
    return Published(PAPER, CAVEAT, tuple(rows))


def _run_steps(report: Report) -> list[RunStep]:
    """The paper's steps that this recipe has, up to the first that leaves nothing: then shares cannot be split."""
    steps: list[RunStep] = []
    num_input = report.documents.input
    first, documents, paper = 0, num_input, 100.0
    for step in STEPS:
        ends = [i for i, stage in enumerate(report.funnel) if step.kind in (None, stage.kind)]
        if not ends or ends[-1] < first:
            continue
        stages = report.funnel[first : ends[-1] + 1]
        left = stages[-1].documents
        if not left:
            break
        steps.append(RunStep(step, stages, documents, left / documents, step.left / paper, 100 * left / num_input))
        first, documents, paper = ends[-1] + 1, left, step.left
    return steps


def gap_parts(here: float, there: float, factors: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The gap `here - there` in points, split over steps; a step's factor is its rate here over its rate there."""
    ratio = math.log(here / there)
    mean = (here - there) / ratio if abs(ratio) > 1e-12 else here
    return {name: mean * math.log(factor) for name, factor in factors}


def points(value: float) -> str:
    """ "+1.2" or "−1.2"."""
    return f"{value:+.1f}".replace("-", "−")


def _reason(step: RunStep, recipe: Recipe, report: Report) -> str:
    """What this run measured at one step."""
    title = step.step.title
    head = (
        f"{title[0].upper()}{title[1:]}: of the {step.documents:,} documents that reach it "
        f"{100 * step.rate:.1f} % pass, in the paper {100 * step.paper_rate:.1f} %."
    )
    if remark := _remark(step, recipe, report):
        return f"{head} {remark}"
    lost = _most_lost(step, report)
    match step.step.kind:
        case "refinedweb_lines":
            how = "cleaner" if step.rate > step.paper_rate else "less clean"
            return (
                f"{head} Most leave for {lost}. The thresholds are the paper's, so the pages of this input are "
                f"{how} than its crawl, or the text extracted from them is. Chosen pages are cleaner than a crawl."
            )
        case "minhash":
            hosts = report.domains.distinct_kept or 1
            return (
                f"{head} A duplicate is found only where its twin was read too: here {step.documents:,} pages are "
                f"compared, and the kept ones come from {hosts:,} hosts ({report.documents.kept / hosts:.1f} a host); "
                "the paper compared a hundredth of every Common Crawl dump at a time."
            )
        case None:
            return f"{head} {_end_reason(report)}"
        case _:
            return f"{head} Here they leave for {lost}." if lost else head


def _remark(step: RunStep, recipe: Recipe, report: Report) -> str:
    """What the step's stages say of their settings and of this input."""
    languages = {row.language: row.documents for row in report.languages}
    names = {stage.stage for stage in step.stages}
    stages = (stage for _, stage in recipe.stages if stage.name in names)
    return " ".join(filter(None, (stage.published_remark(languages, report.failed) for stage in stages)))


def _most_lost(step: RunStep, report: Report) -> str:
    """The three rules of the step that dropped most, with shares of the documents that reached it."""
    stages = {stage.stage for stage in step.stages}
    dropped = [(n, reason) for reason, n in report.dropped.items() if reason.rpartition(".")[0] in stages]
    dropped.sort(key=lambda rule: (-rule[0], rule[1]))
    return ", ".join(f"{reason} ({100 * number / step.documents:.1f} %)" for number, reason in dropped[:3])


def _end_reason(report: Report) -> str:
    removed = report.dropped.get("dedup.url", 0)
    text = f"URL dedup removes {removed:,} documents here."
    if not any("substring" in stage.kind for stage in report.funnel):
        text += " Exact substring deduplication is not part of this recipe, and the paper's step is both."
    return text
