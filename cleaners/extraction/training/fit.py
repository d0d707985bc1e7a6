"""Training of the models on labelled pages. The same pages give the same bytes.

    pages ─┬─▶ labels: share of main text of each block
           └─▶ folds by host:  linear models of the other folds ──▶ features
                               first forest of the other folds  ──▶ p ──▶ context
                               second forest of the other folds ──▶ p ──▶ choice ──▶ F1 on pages that no model saw

The shipped models are then trained on all pages, but the second forest on the p across folds, which are wrong as often
as on new pages.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from cleaners.extraction.features.block_features import features_of
from cleaners.extraction.features.columns import FEATURES
from cleaners.extraction.features.context import CONTEXT, context_of
from cleaners.extraction.features.linear import SLOTS, AdaGrad, LinearModels, learn_paths, learn_words
from cleaners.extraction.features.page import Containers, ParsedPage, containers_of, read_page
from cleaners.extraction.features.page_kinds import fit_kinds, page_slots
from cleaners.extraction.features.template_counts import signatures_with_parents
from cleaners.extraction.forest import Trees
from cleaners.extraction.training.labels import Labels, labels_of

NUM_FOLDS = 5
_PASSES = 4
_SHORT_WORDS, _PAGE_WEIGHTS = 20, (0.7, 2.5)
# Types of which there are few pages, so that articles do not decide alone. Threads most of all: it is they that keep
# the comments that articles leave out.
_TYPE_WEIGHTS = {"forum": 3.5, "collection": 2.2, "documentation": 1.8, "listing": 1.6, "product": 1.35, "service": 1.2}
_RATE, _DECAY, _FIRST_SQUARE = np.float32(0.08), np.float32(1e-5), np.float32(0.3)


class LabelledPage(NamedTuple):
    """A page and its main text."""

    url: str
    host: str
    html: bytes  # UTF-8
    text: str
    kind: str  # the type of page by which reports divide
    source: str
    weight: float  # 1 if the text was chosen by hand, else less
    language: str = ""  # zh, ja and th are scored over characters


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of both forests. Depth and trees cost time on every page; docs/extraction.md lists what was tried."""

    trees: int = 130
    depth: int = 8
    leaves: int = 40
    rate: float = 0.09
    least_rows: int = 40
    page_weight: ClassVar[float] = 20.0  # of all blocks of a page together: a long page counts as much as a short one
    threads: int = 2  # any number gives the same trees
    seed: int = 0


class PreparedPage(NamedTuple):
    """A page with its blocks, labels and weights."""

    labelled: LabelledPage
    data: np.ndarray
    page: ParsedPage
    containers: Containers
    signatures: np.ndarray
    slots: np.ndarray  # of `page_kinds`
    labels: Labels
    wanted: np.ndarray  # float32[blocks]: shares of main text
    weight: np.ndarray  # float32[blocks]


def prepare(labelled: LabelledPage) -> PreparedPage:
    data = np.frombuffer(labelled.html, np.uint8)
    page = read_page(data)
    labels = labels_of(labelled.html, page, labelled.text)
    words = labels.words + 0.5
    weight = words / max(words.sum(), 1.0) * (TrainingSettings.page_weight * page_weight(labelled, labels))
    wanted = labels.main / np.maximum(labels.words, 1)
    if labels.num_text == 0:
        weight = np.zeros_like(weight)
    _, signatures = signatures_with_parents(data, page.tree)
    return PreparedPage(
        labelled,
        data,
        page,
        containers_of(page),
        signatures,
        page_slots(data, page),
        labels,
        wanted.astype(np.float32),
        weight.astype(np.float32),
    )


def page_weight(labelled: LabelledPage, labels: Labels) -> float:
    """The weight of a page: more for rare types, and where little is main text, as a wrong block costs more there.

    Labels that are not by hand are not sure enough for that.
    """
    if labelled.weight < 1.0:
        return labelled.weight
    share = (labels.words.sum() + 1) / (labels.main.sum() + _SHORT_WORDS)
    return float(np.clip(np.sqrt(share), *_PAGE_WEIGHTS)) * _TYPE_WEIGHTS.get(labelled.kind, 1.0)


def fold_of(host: str) -> int:
    return zlib.crc32(host.encode()) % NUM_FOLDS


class TrainedModels(NamedTuple):
    """Models trained on all pages, and predictions by models of the folds."""

    linear: LinearModels
    first: Any  # booster of LightGBM
    second: Any  # booster of LightGBM
    across_folds: list[np.ndarray]  # p of each page's blocks by models that did not see its host


def fit(pages: Sequence[PreparedPage], settings: TrainingSettings, tell: Callable[[str], None]) -> TrainedModels:
    folds = np.array([fold_of(page.labelled.host) for page in pages])
    rows = np.concatenate([[0], np.cumsum([len(page.wanted) for page in pages])])
    wanted = np.concatenate([page.wanted for page in pages])
    weight = np.concatenate([page.weight for page in pages])
    row_folds = np.repeat(folds, np.diff(rows))

    x = np.empty((rows[-1], len(FEATURES) + len(CONTEXT)), np.float32)
    for fold in range(NUM_FOLDS):
        linear = fit_linear([page for page, f in zip(pages, folds, strict=True) if f != fold], settings.seed)
        for i in np.flatnonzero(folds == fold):
            page = pages[int(i)]
            x[rows[i] : rows[i + 1], : len(FEATURES)] = features_of(page.data, page.page, page.containers, linear)
    linear = fit_linear(pages, settings.seed)
    tell("linear models")

    first_x = np.ascontiguousarray(x[:, : len(FEATURES)])
    p = _across_folds(first_x, wanted, weight, row_folds, settings)
    first = _boost(first_x, wanted, weight, settings)
    tell("first trees")
    for number, page in enumerate(pages):
        here = slice(rows[number], rows[number + 1])
        x[here, len(FEATURES) :] = context_of(page.page, page.containers, page.signatures, p[here])
    p = _across_folds(x, wanted, weight, row_folds, settings)
    second = _boost(x, wanted, weight, settings)
    tell("second trees")
    return TrainedModels(linear, first, second, [p[rows[i] : rows[i + 1]] for i in range(len(pages))])


def fit_linear(pages: Sequence[PreparedPage], seed: int) -> LinearModels:
    paths, words = (
        AdaGrad(np.zeros(SLOTS, np.float32), np.full(SLOTS, _FIRST_SQUARE), _RATE, _DECAY) for _ in range(2)
    )
    random = np.random.default_rng(seed)
    for _ in range(_PASSES):
        for i in random.permutation(len(pages)).tolist():
            page = pages[i]
            weight = np.sqrt(page.weight)  # long blocks are few, and short ones tell what classes mean
            weight *= page.labelled.weight * TrainingSettings.page_weight / max(float(weight.sum()), 1e-9)
            learn_paths(page.page, page.wanted, weight, paths)
            learn_words(page.page.measured, page.wanted, weight, words)
    by_hand = [page for page in pages if page.labelled.weight == 1.0]
    kinds = fit_kinds([page.slots for page in by_hand], [page.labelled.kind for page in by_hand], seed)
    return LinearModels(_rounded(paths.weights), _rounded(words.weights), kinds)


def _rounded(weights: np.ndarray) -> np.ndarray:
    """Round to float16, as the model file does, so that the forests learn from the values that they will see."""
    return weights.astype(np.float16).astype(np.float32)


def _across_folds(
    x: np.ndarray, wanted: np.ndarray, weight: np.ndarray, folds: np.ndarray, settings: TrainingSettings
) -> np.ndarray:
    p = np.zeros(len(x), np.float32)
    for fold in range(NUM_FOLDS):
        inside = folds == fold
        if inside.any():
            booster = _boost(x[~inside], wanted[~inside], weight[~inside], settings)
            p[inside] = booster.predict(x[inside], num_threads=settings.threads)
    return p


def _boost(x: np.ndarray, wanted: np.ndarray, weight: np.ndarray, settings: TrainingSettings) -> Any:
    import lightgbm

    used = weight > 0
    data = lightgbm.Dataset(x[used], wanted[used], weight=weight[used])
    parameters = {
        "objective": "cross_entropy",  # labels are shares from 0 to 1
        "learning_rate": settings.rate,
        "num_leaves": settings.leaves,
        "max_depth": settings.depth,
        "min_data_in_leaf": settings.least_rows,
        "feature_fraction": 0.35,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 1.0,
        "max_bin": 127,
        "boost_from_average": False,
        "use_missing": False,
        "zero_as_missing": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": settings.threads,
        "seed": settings.seed + 1,
        "verbosity": -1,
    }
    return lightgbm.train(parameters, data, settings.trees)


def trees_of(booster: Any) -> Trees:
    """The trees of a booster as flat arrays."""
    sizes: list[int] = []
    features: list[int] = []
    thresholds: list[np.float32] = []
    leaves: list[float] = []
    for tree in booster.dump_model()["tree_info"]:
        level, before = [tree["tree_structure"]], len(features)
        while level:
            for node in level:
                if "split_feature" in node:
                    assert node["decision_type"] == "<="
                    features.append(node["split_feature"])
                    thresholds.append(_float32_below(node["threshold"]))
                else:
                    features.append(-1)
                    leaves.append(node["leaf_value"])
            level = [node[side] for node in level if "split_feature" in node for side in ("left_child", "right_child")]
        sizes.append(len(features) - before)
    return Trees(
        np.array(sizes, np.uint16),
        np.array(features, np.int16),
        np.array(thresholds, np.float32),
        np.array(leaves, np.float32),
    )


def _float32_below(threshold: float) -> np.float32:
    """The greatest float32 that is not above `threshold`: float32 features fall to the same side of both."""
    near = np.float32(threshold)
    return np.nextafter(near, np.float32(-np.inf)) if float(near) > threshold else near


def token_f1(labels: Labels, chosen: np.ndarray) -> float:
    """The F1 of a choice of blocks, over the multiset of words."""
    words = labels.tokens[chosen[labels.blocks_of]] if len(labels.tokens) else labels.tokens
    if not len(words) or not labels.num_text:
        return float(len(words) == labels.num_text)
    size = max(labels.tokens.max(initial=0), labels.text_tokens.max(initial=0)) + 1
    common = np.minimum(np.bincount(words, minlength=size), np.bincount(labels.text_tokens, minlength=size)).sum()
    return float(2 * common / (len(words) + labels.num_text))
