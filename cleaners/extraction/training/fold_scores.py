"""Scores of pages by models that saw no page of their host, and what they lose F1 by.

With c words in common, a in the text and b in its label, 1 − F1 is (a − c)/(a + b) for words kept in vain and
(b − c)/(a + b) for words that are missing. The blocks say why:

    comments   kept in the comments of readers       lost     in blocks that were left out
    hidden     kept in hidden blocks                 absent   nowhere on the page as the label has them
    links      kept in blocks that are mostly links
    other      kept elsewhere: teasers, headlines, notices

The scores of single pages are a file beside the model, so that a benchmark can pair them with those of other engines.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from cleaners.extraction.features.comment_marks import in_comments
from cleaners.extraction.plain_text import max_plain_text_bytes, write_plain_text
from cleaners.extraction.rewriting import rewritten
from cleaners.extraction.training.comparison import WAYS
from cleaners.extraction.training.fit import PreparedPage
from cleaners.extraction.training.score import LENGTHS, Overlap, ScoredPage, score_page
from shards.atomic import write_bytes
from shards.errors import UserError

REASONS = {
    "comments": "comments of readers kept",
    "hidden": "hidden text kept",
    "links": "lists of links kept",
    "other": "teasers, headlines and other text kept",
    "lost": "text left out",
    "absent": "text of the label that is not on the page",
}
_MAX_LINK_SHARE = 0.5  # of the text of a block that is no list of links
_NUM_WORST = 10  # pages of each reason
_DIGEST_CHARS = 16


class FoldScore(NamedTuple):
    """A page as it is scored, and the parts of 1 − F1 in the order of `REASONS`."""

    page: ScoredPage
    losses: tuple[float, ...]


def fold_scores(pages: Sequence[PreparedPage], chosen: Sequence[np.ndarray]) -> list[FoldScore]:
    """Score the text of the chosen blocks, bool[blocks] of each page, on the pages that are labelled by hand."""
    return [_score(page, blocks) for page, blocks in zip(pages, chosen, strict=True) if page.labelled.weight == 1.0]


def _score(page: PreparedPage, chosen: np.ndarray) -> FoldScore:
    labelled = page.labelled
    truth = {
        "main_content": labelled.text,
        "page_type": labelled.kind,
        "set": labelled.source,
        "language": labelled.language,
    }
    scored = score_page(labelled.url, text_of(page, chosen), truth)
    assert scored.overlap is not None
    return FoldScore(scored, _losses(page, chosen, scored.overlap))


def text_of(page: PreparedPage, chosen: np.ndarray) -> str:
    """The plain text of the chosen blocks, as the engine writes it; scripts are not searched."""
    data, read, blocks = rewritten(page.data, page.page, chosen.copy())
    out = np.empty(max_plain_text_bytes(read, blocks), np.uint8)
    return str(out[: write_plain_text(data, read, blocks, out, 0)].tobytes(), "utf-8")


def _losses(page: PreparedPage, chosen: np.ndarray, common: Overlap) -> tuple[float, ...]:
    """Parts of 1 − F1. Words in vain and missing words are shared out by those of blocks that match no word."""
    labels, measures = page.labels, page.page.measured.measures
    extra = np.where(chosen, labels.words - labels.main, 0)
    comments = in_comments(page.page, page.containers)
    hidden = ~comments & (measures["hidden"] > 0)
    links = ~comments & ~hidden & (measures["link_chars"] > _MAX_LINK_SHARE * measures["chars"])
    kept = [int(extra[blocks].sum()) for blocks in (comments, hidden, links)]
    other = int(extra.sum()) - sum(kept)
    lost = int(labels.main[~chosen].sum())
    absent = labels.num_text - int(labels.main.sum())
    total = common.found + common.wanted
    in_vain, missing = ((words - common.common) / total if total else 0.0 for words in common[1:])
    return (*_shared(in_vain, [*kept, other]), *_shared(missing, [lost, absent]))


def _shared(amount: float, parts: Sequence[int]) -> list[float]:
    """`amount` in proportion to the parts; the last one has all if there are none."""
    total = sum(parts)
    return [amount * part / total for part in parts] if total else [0.0] * (len(parts) - 1) + [amount]


def fold_summary(scores: Sequence[FoldScore]) -> dict[str, Any]:
    """Entries of the card: F1 in all and of groups, what is lost by each reason, and the worst pages of each reason."""
    by = {way: _groups(scores, group_of) for way, group_of in WAYS.items()}
    cells = _groups(scores, lambda page: tuple(group_of(page) for group_of in WAYS.values()))
    return {
        "f1_across_folds": _f1_of(scores)["f1"] if scores else None,
        "by_type": {name: _f1_of(group) for name, group in by["type"].items()},
        "by_set": {name: _f1_of(group) for name, group in by["set"].items()},
        "by_language": {name: _f1_of(group) for name, group in by["language"].items() if name},
        "by_length": {name: _f1_of(by["label"][name]) for name in LENGTHS if name in by["label"]},
        "cells": [dict(zip(WAYS, cell, strict=True)) | _f1_of(group) for cell, group in cells.items()],
        "loss": _loss(scores),
        "loss_by_set": {name: _loss(group) for name, group in by["set"].items()},
        "worst": {reason: _worst(scores, at) for at, reason in enumerate(REASONS)},
    }


def _groups(scores: Sequence[FoldScore], group_of: Callable[[ScoredPage], Any]) -> dict[Any, list[FoldScore]]:
    groups: dict[Any, list[FoldScore]] = {}
    for score in scores:
        groups.setdefault(group_of(score.page), []).append(score)
    return dict(sorted(groups.items()))


def _f1_of(scores: Sequence[FoldScore]) -> dict[str, Any]:
    return {"pages": len(scores), "f1": round(fmean(map(_f1, scores)), 4)}


def _loss(scores: Sequence[FoldScore]) -> dict[str, float]:
    if not scores:
        return {}
    losses = zip(*(score.losses for score in scores), strict=True)
    return {reason: round(fmean(values), 4) for reason, values in zip(REASONS, losses, strict=True)}


def _worst(scores: Sequence[FoldScore], at: int) -> list[dict[str, Any]]:
    worst = sorted((score for score in scores if score.losses[at] > 0), key=lambda s: (-s.losses[at], s.page.url))
    return [
        {"url": s.page.url, "type": s.page.kind, "f1": round(_f1(s), 4), "loss": round(s.losses[at], 4)}
        for s in worst[:_NUM_WORST]
    ]


def _f1(score: FoldScore) -> float:
    return _overlap(score).f1


def _overlap(score: FoldScore) -> Overlap:
    assert score.page.overlap is not None
    return score.page.overlap


def write_fold_scores(model: Path, scores: Sequence[FoldScore]) -> Path:
    """Write the words of each page beside the model: gzip JSON lines, a page by the digest of its address."""
    lines = sorted((page_digest(score.page.url), *_overlap(score)) for score in scores)
    names = ("page", *Overlap._fields)
    text = "".join(json.dumps(dict(zip(names, line, strict=True))) + "\n" for line in lines)
    path = _path_of(model)
    write_bytes(path, gzip.compress(text.encode(), mtime=0))
    return path


def read_fold_scores(model: Path) -> dict[str, Overlap]:
    """Scores across folds by `page_digest`; empty if the model has no such file."""
    path = _path_of(model)
    if not path.exists():
        return {}
    try:
        lines = map(json.loads, gzip.decompress(path.read_bytes()).splitlines())
        return {line["page"]: Overlap(*(int(line[name]) for name in Overlap._fields)) for line in lines}
    except (OSError, EOFError, ValueError, LookupError, TypeError, zlib.error) as error:
        raise UserError(f"{path}: holds no scores of pages ({error}); train again or reinstall") from None


def page_digest(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()[:_DIGEST_CHARS]


def _path_of(model: Path) -> Path:
    return model.with_suffix(".folds.jsonl.gz")
