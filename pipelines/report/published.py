"""RefinedWeb's published shares beside a run's, and where each gap comes from.

What is left after a step is the product of what every step so far lets through: s = r₁·r₂·…·rₖ here, p = ρ₁·ρ₂·…·ρₖ in
the paper. So the gap has an exact split over the steps, without remainder (the logarithmic mean Divisia index):

    s − p = Σⱼ L(s, p) · ln(rⱼ / ρⱼ),     L(s, p) = (s − p) / ln(s / p)

A gap above 5 points is told with its parts, and each part with what this run measured at that step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cleaners.language import LanguageConfig
from cleaners.url import UrlConfig
from pipelines.recipe import Recipe

PAPER = "RefinedWeb (Penedo et al. 2023, arXiv 2306.01116)"
CAVEAT = (
    "The published figures are the paper's; those after the URL filter and after extraction are known at second hand "
    "only. The paper may mix shares of documents with shares of tokens, so this run gives documents and characters."
)
GAP_POINTS = 5.0  # a larger gap is explained
_PART_POINTS = 1.0  # a smaller part of a gap is not


@dataclass(frozen=True)
class Step:
    title: str
    kind: str | None  # the step ends with the recipe's last stage of this kind; None: with the last stage
    left: float  # percent of the paper's documents


STEPS = (
    Step("URL filter", "url", 97.8),
    Step("extraction", "extract", 94.5),
    Step("language", "language", 48.0),
    Step("heuristics", "refinedweb_lines", 22.59),
    Step("MinHash", "minhash", 14.50),
    Step("substring and URL dedup", None, 11.67),
)


@dataclass(frozen=True)
class Passed:
    """One step in this run; shares are percent of the input."""

    step: Step
    stages: Sequence[dict[str, Any]]  # the funnel's entries that belong to it
    documents: int  # that reached it
    rate: float  # the part of them that it let through
    paper_rate: float
    here: float  # left after it


def compare(recipe: Recipe, summary: dict[str, Any], details: dict[str, Any]) -> dict[str, Any] | None:
    """The published shares, this run's, and the reasons for each gap above 5 points; None for another recipe."""
    if recipe.name != "refinedweb":
        return None
    steps = _passed(summary["funnel"], summary["documents"]["input"])
    rows: list[dict[str, Any]] = []
    explained: set[str] = set()
    for number, last in enumerate(steps):
        gap = last.here - last.step.left
        reasons: list[str] = []
        parts = gap_parts(
            last.here, last.step.left, [(p.step.title, p.rate / p.paper_rate) for p in steps[: number + 1]]
        )
        if abs(gap) > GAP_POINTS:
            named = sorted(parts.items(), key=lambda part: -abs(part[1]))
            named = [part for part in named if abs(part[1]) >= _PART_POINTS]
            reasons.append(f"{points(gap)} points: {', '.join(f'{points(p)} from {name}' for name, p in named)}.")
            for passed in steps[: number + 1]:
                title = passed.step.title
                if abs(parts[title]) >= _PART_POINTS and title not in explained:
                    explained.add(title)
                    reasons.append(_reason(passed, recipe, summary, details))
        characters = last.stages[-1]["characters_share"]
        rows.append(
            {
                "step": last.step.title,
                "stage": last.stages[-1]["stage"],
                "documents": round(last.here, 2),
                "characters": None if characters is None else round(100 * characters, 2),
                "published": last.step.left,
                "gap": round(gap, 2),
                "parts": {name: round(part, 2) for name, part in parts.items()},
                "reasons": reasons,
            }
        )
    return {"paper": PAPER, "caveat": CAVEAT, "steps": rows}


def _passed(funnel: Sequence[dict[str, Any]], given: int) -> list[Passed]:
    """The steps that this recipe has, up to the first that leaves nothing: from there on shares cannot be split."""
    passed: list[Passed] = []
    first, documents, paper = 0, given, 100.0
    for step in STEPS:
        ends = [i for i, entry in enumerate(funnel) if step.kind in (None, entry["kind"])]
        if not ends or ends[-1] < first:
            continue
        stages = funnel[first : ends[-1] + 1]
        left = stages[-1]["documents"]
        if not left:
            break
        passed.append(Passed(step, stages, documents, left / documents, step.left / paper, 100 * left / given))
        first, documents, paper = ends[-1] + 1, left, step.left
    return passed


def gap_parts(here: float, there: float, factors: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The gap `here - there` in points, split over steps; a step's factor is its rate here over its rate there."""
    ratio = math.log(here / there)
    mean = (here - there) / ratio if abs(ratio) > 1e-12 else here
    return {name: mean * math.log(factor) for name, factor in factors}


def points(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def _reason(passed: Passed, recipe: Recipe, summary: dict[str, Any], details: dict[str, Any]) -> str:
    """What this run measured at one step."""
    step = passed.step
    names = {entry["stage"] for entry in passed.stages}
    head = (
        f"{step.title[0].upper()}{step.title[1:]}: of the {passed.documents:,} documents that reach it "
        f"{100 * passed.rate:.1f} % pass, in the paper {100 * passed.paper_rate:.1f} %."
    )
    lost = _losses(summary["dropped"], names, passed.documents)
    match step.kind:
        case "url":
            return f"{head} {_url_reason(recipe)}"
        case "language":
            return f"{head} {_language_reason(recipe, details)}"
        case "refinedweb_lines":
            how = "cleaner" if passed.rate > passed.paper_rate else "less clean"
            return (
                f"{head} Most leave for {lost}. The thresholds are the paper's, so the pages of this input are "
                f"{how} than its crawl, or the text extracted from them is. Chosen pages are cleaner than a crawl."
            )
        case "minhash":
            hosts = details["domains"]["distinct_kept"] or 1
            kept = summary["documents"]["kept"]
            return (
                f"{head} A duplicate is found only where its twin was read too: here {passed.documents:,} pages are "
                f"compared, and the kept ones come from {hosts:,} hosts ({kept / hosts:.1f} a host); the paper "
                f"compared a hundredth of every Common Crawl dump at a time."
            )
        case None:
            return f"{head} {_end_reason(passed, summary)}"
        case _:
            return f"{head} Here they leave for {lost}." if lost else head


def _losses(dropped: dict[str, int], stages: set[str], documents: int) -> str:
    """The three rules of these stages that dropped most, with shares of what reached the step."""
    most = sorted(((n, r) for r, n in dropped.items() if r.rpartition(".")[0] in stages), key=lambda x: (-x[0], x[1]))
    return ", ".join(f"{reason} ({100 * number / documents:.1f} %)" for number, reason in most[:3])


def _url_reason(recipe: Recipe) -> str:
    config = next(stage for _, stage in recipe.stages if isinstance(stage, UrlConfig))
    if config.blocked_domains is None:
        return "The recipe has only the short built-in block list; the paper's has 4.6 million domains."
    return f"The block list is {config.blocked_domains.rpartition('/')[2]}; the paper's has 4.6 million domains."


def _language_reason(recipe: Recipe, details: dict[str, Any]) -> str:
    config = next(stage for _, stage in recipe.stages if isinstance(stage, LanguageConfig))
    languages = details["languages"]
    identified = sum(entry["documents"] for entry in languages) or 1
    wanted = sum(entry["documents"] for entry in languages if entry["language"] in config.languages)
    others = [entry for entry in languages if entry["language"] not in config.languages][:3]
    rest = ", ".join(f"{entry['language']} {100 * entry['documents'] / identified:.1f} %" for entry in others)
    share = 100 * wanted / identified
    unsure = _failed(details, f"{config.name}.low_score")
    text = f"Of the pages with text {share:.1f} % are in {', '.join(config.languages) or 'any language'}"
    text += f" (then {rest})" if rest else ""
    return (
        f"{text}: the mix of languages of this input is the cause. {unsure:,} pages score below {config.min_score:g}."
    )


def _failed(details: dict[str, Any], reason: str) -> int:
    return sum(rule["failed"] for rule in details["rules"] if rule["reason"] == reason)


def _end_reason(passed: Passed, summary: dict[str, Any]) -> str:
    removed = summary["dropped"].get("dedup.url", 0)
    text = f"URL dedup removes {removed:,} documents here."
    if not any("substring" in entry["kind"] for entry in summary["funnel"]):
        text += " Exact substring deduplication is not part of this recipe, and the paper's step is both."
    return text
