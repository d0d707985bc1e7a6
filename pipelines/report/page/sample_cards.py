"""The page's samples: documents with their texts, values beside thresholds, offending lines and edits."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pipelines.numbers import number
from pipelines.report.aggregate import Aggregates
from pipelines.report.chosen_samples import Failure, Sample

_SNIPPET_CHARS = 180
_URL_CHARS = 96
Texts = Mapping[tuple[str, str], str]  # by id and first reason, "" for a kept document


@dataclass(frozen=True)
class ShownSample:
    """A sample as the page shows it."""

    sample: Sample
    order: str  # "random", or "nearest" to a threshold
    rules: tuple[str, ...]  # by which it is found
    link: str  # "" unless the URL is an address of the web
    text: str
    snippet: str
    failures: tuple[str, ...]
    also_fails: tuple[str, ...]
    nearness: str = ""  # its value beside the threshold that it is near to
    lines: tuple[tuple[str, bool], ...] = ()  # of the text, and whether a failing rule is about it
    edits: tuple[tuple[str, str], ...] = ()  # ("-", "+" or " ", line) where stages edited the text
    twin_text: str = ""


def shown_samples(aggregates: Aggregates, texts: Texts, before: Mapping[str, str]) -> tuple[list[ShownSample], ...]:
    """(kept, dropped): random ones in the order of ids, then those nearest to the thresholds of each rule.

    `before` holds texts as they were extracted, by id, of kept documents.
    """
    kept = [_shown(s, texts, "random", before=before.get(s.id)) for s in aggregates.chosen.random.get("", [])]
    dropped = [
        _shown(sample, texts, "random", (reason,))
        for reason, samples in aggregates.chosen.random.items()
        for sample in samples
        if reason
    ]
    for (reason, fate), nearest in aggregates.chosen.nearest.items():
        if aggregates.fates[reason]:
            into = kept if fate == "kept" else dropped
            into += [_shown(sample, texts, "nearest", (reason,)) for _, _, sample in nearest]
    dropped.sort(key=lambda shown: (shown.order != "random", shown.sample.id))
    return kept, dropped


def _shown(
    sample: Sample,
    texts: Texts,
    order: str,
    rules: Sequence[str] = (),
    *,
    before: str | None = None,
) -> ShownSample:
    text = texts.get((sample.id, sample.drop_reasons[0] if sample.drop_reasons else "")) or ""
    text = text if text.strip() else ""
    twin = texts.get((sample.twin, ""), "") if sample.twin and sample.drop_reasons else ""
    return ShownSample(
        sample=sample,
        order=order,
        rules=tuple(rules),
        link=sample.url if sample.url.startswith(("https://", "http://")) else "",
        text=text,
        snippet=_snippet(text),
        failures=tuple(map(failure_text, sample.failures)),
        also_fails=tuple(map(failure_text, sample.also_fails)),
        nearness=failure_text(sample.near) if sample.near is not None and not sample.drop_reasons else "",
        lines=marked_lines(text, sample.drop_reasons) if text else (),
        edits=edits(before, text) if before is not None and text else (),
        twin_text=twin,
    )


def _snippet(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SNIPPET_CHARS else line[:_SNIPPET_CHARS].rstrip() + "…"


def failure_text(failure: Failure) -> str:
    """`too_few_words: word_count 32, least 50`."""
    rule = failure.rule
    name = failure.reason.rpartition(".")[2]
    if rule is None or failure.value is None or not rule.setting.startswith(("min_", "max_")):
        return name
    low = rule.min_kept is not None and (failure.value < rule.min_kept or rule.max_kept is None)
    threshold = f"least {number(rule.min_kept)}" if low else f"most {number(rule.max_kept)}"
    return f"{name}: {rule.metric.rpartition('.')[2]} {number(failure.value)}, {threshold}"


def marked_lines(text: str, reasons: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    """The lines of a text, each with whether one of these drop reasons is about it: repeated, bulleted, unfinished."""
    lines = text.splitlines()
    counts = Counter(line.strip() for line in lines if line.strip())
    names = " ".join(reason.rpartition(".")[2] for reason in reasons)
    return tuple((line, bool(line.strip()) and _is_about(line.strip(), names, counts)) for line in lines)


def _is_about(line: str, reasons: str, counts: Counter[str]) -> bool:
    return (
        (("duplicate_lines" in reasons or "duplicate_paragraphs" in reasons) and counts[line] > 1)
        or ("bullet" in reasons and line.startswith(("-", "•", "●", "○", "*", "‣", "▪", "·")))
        or ("ellips" in reasons and line.endswith(("...", "…")))
        or ("punctuated" in reasons and not line.endswith((".", "!", "?", '"', "”", "。", "！", "？", "…")))
    )


def edits(before: str, after: str) -> tuple[tuple[str, str], ...]:
    """The changed lines of a text, each with the lines around it; nothing where the texts are equal.

    Both are beginnings of texts, so what follows the end of the shorter one is no change.
    """
    old, new = before.splitlines(), after.splitlines()
    found: list[tuple[str, str]] = []
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for number_, (tag, a, b, c, d) in enumerate(codes):
        if tag == "equal":
            lines = old[a:b]
            found += [(" ", line) for line in (lines if len(lines) <= 3 else [lines[0], "⋯", lines[-1]])]
        elif number_ < len(codes) - 1:
            found += [("-", line) for line in old[a:b]] + [("+", line) for line in new[c:d]]
    return tuple(found) if any(sign != " " for sign, _ in found) else ()


def middle(url: str) -> str:
    """A URL of no more than `_URL_CHARS` characters: a long one loses its middle, so that host and end are seen."""
    if len(url) <= _URL_CHARS:
        return url
    return f"{url[: _URL_CHARS * 2 // 3]}…{url[-_URL_CHARS // 3 :]}"
