"""`gristmill extractor train`: from labelled pages to a model file and its card.

truth ──prepared_pages──▶ labels ──fit──▶ models ──▶ gristmill-2-….npz, and beside it what they reach across folds
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cleaners.assets.domain_lines import host_of
from cleaners.extraction.calibration import calibrated, fit_calibration
from cleaners.extraction.choice import expected_f1, main_blocks
from cleaners.extraction.features.columns import FEATURES
from cleaners.extraction.features.context import CONTEXT
from cleaners.extraction.model import SHIPPED, save_model
from cleaners.extraction.training.fit import (
    LabelledPage,
    PreparedPage,
    TrainedModels,
    TrainingSettings,
    fit,
    fold_of,
    prepare,
    trees_of,
)
from cleaners.extraction.training.fold_scores import fold_scores, fold_summary, write_fold_scores
from cleaners.extraction.training.labels import block_texts
from cleaners.extraction.training.pages import TruthPage
from cleaners.extraction.training.silver import WEIGHT, agreed_text, correct
from shards.errors import UserError

_MIN_PAGES = 20
# Licences of the labels of sets, by their `set`. Pages belong to their publishers.
LICENCES = {
    "wcxb-dev": "CC-BY-4.0",
    "readability": "Apache-2.0",
    "trafilatura-eval": "Apache-2.0",
    "gne-zh": "this project's",
    "charset": "this project's",
    "daniel": "GPL-3.0",
    "dragnet": "AGPL-3.0",
    "newspaper4k-dataset": "Apache-2.0",
    "fundus": "MIT",
    "magic-html-article": "Apache-2.0",
    "magic-html-forum": "Apache-2.0",
}


def prepared_pages(pages: Iterable[TruthPage], num_named: int, tell: Callable[[str], None]) -> list[PreparedPage]:
    """Label pages by their `main_content`, others by the agreement of two engines and by snippets.

    Missing pages, of the `num_named` in the truth, are reported to `tell`.
    """
    out: list[PreparedPage] = []
    read = by_hand = agreed = snippets = 0
    for page in pages:
        read += 1
        if (content := page.truth.get("main_content")) is not None:
            out.append(prepare(_labelled(page, content, 1.0)))
            by_hand += 1
        elif (made := _silver(page)) is not None:
            out.append(made)
            agreed += bool(made.labelled.text)
            snippets += not made.labelled.text
        if len(out) and len(out) % 500 == 0:
            tell(f"{len(out):,} pages read")
    tell(f"{by_hand:,} pages labelled by hand, {agreed:,} by two engines, {snippets:,} by snippets alone")
    if read < num_named:
        tell(f"{num_named - read:,} pages of the truth are not in the WARC files, nor brought as html")
    if len(out) < _MIN_PAGES:
        raise UserError(f"{len(out)} labelled pages are too few to train on; at least {_MIN_PAGES} are needed")
    return out


def _labelled(page: TruthPage, text: str, weight: float) -> LabelledPage:
    source = str(page.truth.get("set") or "")
    kind = str(page.truth.get("page_type") or source)
    host = page.truth.get("site") or host_of(page.url)
    language = str(page.truth.get("language") or "")
    return LabelledPage(page.url, host, page.html.encode(), text, kind, source, weight, language)


def _silver(page: TruthPage) -> PreparedPage | None:
    inside, outside = (page.truth.get(key) or [] for key in ("with", "without"))
    text = agreed_text(page.html, page.url)
    if text is None and not (inside or outside):
        return None
    made = prepare(_labelled(page, text or "", WEIGHT))
    words = made.labels.words + 0.5
    even = words / max(words.sum(), 1.0) * (TrainingSettings.page_weight * WEIGHT)
    correct(block_texts(made.labelled.html, made.page), made.wanted, made.weight, even, inside, outside)
    return made if made.weight.any() else None


def train_extractor(
    pages: Sequence[PreparedPage],
    folder: Path,
    settings: TrainingSettings,
    cards: Sequence[dict[str, Any]],
    tell: Callable[[str], None],
    name: str = SHIPPED[0],
) -> tuple[Path, dict[str, Any]]:
    """Train a model and write it to `folder`; return its path and its card. The file's name begins with `name`."""
    pages = sorted(pages, key=lambda page: (page.labelled.url, page.labelled.html))
    if len({fold_of(page.labelled.host) for page in pages if page.weight.any()}) < 2:
        raise UserError("the labelled pages are of one host, or none has text; training needs at least two hosts")
    trained = fit(pages, settings, tell)
    chosen = [main_blocks(page.page, p) for page, p in zip(pages, trained.across_folds, strict=True)]
    scores = fold_scores(pages, chosen)
    by_hand = [i for i, page in enumerate(pages) if page.labelled.weight == 1.0]
    expected = [expected_f1(pages[i].page.measured.measures, trained.across_folds[i], chosen[i]) for i in by_hand]
    reached = [score.page.overlap.f1 for score in scores if score.page.overlap]
    card = {
        "data": list(cards),
        "settings": asdict(settings),
        **fold_summary(scores),
        "expected_f1": expectations(expected, reached, [fold_of(pages[i].labelled.host) for i in by_hand]),
        **summary(pages, trained),
    }
    forests = trees_of(trained.first), trees_of(trained.second)
    path = save_model(folder, trained.linear, *forests, fit_calibration(expected, reached), card, name)
    write_fold_scores(path, scores)
    return path, {"digest": path.stem.rpartition("-")[2], **card}


def data_cards(pages: Sequence[PreparedPage]) -> list[dict[str, Any]]:
    """A card for each set and kind of label: numbers of pages and hosts, and a digest that identifies the data."""
    by_label: dict[tuple[str, str], list[PreparedPage]] = {}
    for page in pages:
        by_hand = page.labelled.weight == 1.0
        kind = "by hand" if by_hand else "two engines, snippets" if page.labelled.text else "snippets"
        by_label.setdefault((page.labelled.source, kind), []).append(page)
    out = []
    for (source, kind), labelled in sorted(by_label.items()):
        state = hashlib.sha256()
        for page in sorted(labelled, key=lambda page: page.labelled.url):
            state.update(page.labelled.url.encode("utf-8", "replace") + b"\0")
            state.update(page.wanted.tobytes() + page.weight.tobytes())
        hosts = len({page.labelled.host for page in labelled})
        card = {"set": source, "labels": kind, "pages": len(labelled), "hosts": hosts, "sha256": state.hexdigest()}
        out.append(card | {"licence": LICENCES.get(source, "not stated")})
    return out


def expectations(expected: Sequence[float], reached: Sequence[float], folds: Sequence[int]) -> list[dict[str, float]]:
    """For each tenth of the calibrated F1: its mean, the mean F1 reached, and the pages.

    The line that a page is corrected by is that of the other folds.
    """
    x, y, fold = np.asarray(expected), np.asarray(reached), np.asarray(folds)
    said = np.zeros(len(x))
    for number in np.unique(fold):
        here = fold == number
        said[here] = calibrated(fit_calibration(x[~here], y[~here]), x[here])
    tenths = np.minimum((said * 10).astype(np.int64), 9)
    return [
        {
            "expected": round(float(said[tenths == tenth].mean()), 4),
            "reached": round(float(y[tenths == tenth].mean()), 4),
            "pages": int((tenths == tenth).sum()),
        }
        for tenth in np.unique(tenths)
    ]


def summary(pages: Sequence[PreparedPage], trained: TrainedModels) -> dict[str, Any]:
    """What the card says of the second trees: their calibration, and the gain of each feature."""
    gains = trained.second.feature_importance("gain")
    names = [*FEATURES, *CONTEXT]
    return {
        "calibration": calibration(pages, trained.across_folds),
        "importance": {names[i]: round(float(gains[i] / gains.sum()), 5) for i in np.argsort(-gains, kind="stable")},
    }


def calibration(pages: Sequence[PreparedPage], across_folds: Sequence[np.ndarray]) -> list[dict[str, float]]:
    """For each tenth of p: the mean p, the share of main text and the number of words, on pages labelled by hand."""
    by_hand = [i for i, page in enumerate(pages) if page.labelled.weight == 1.0]
    if not by_hand:
        return []
    p = np.concatenate([across_folds[i] for i in by_hand])
    wanted = np.concatenate([pages[i].wanted for i in by_hand])
    words = np.concatenate([pages[i].labels.words for i in by_hand]).astype(np.float64)
    out = []
    for tenth in range(10):
        inside = (p >= tenth / 10) & ((p < (tenth + 1) / 10) | (tenth == 9))
        if total := float(words[inside].sum()):
            out.append(
                {
                    "p": round(float((p * words)[inside].sum() / total), 4),
                    "main": round(float((wanted * words)[inside].sum() / total), 4),
                    "words": total,
                }
            )
    return out
