"""Training on generated pages: main text is found on unseen hosts, and the model is the same every time."""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cleaners.extraction.calibration import fit_calibration
from cleaners.extraction.choice import choose
from cleaners.extraction.features.block_features import features_of
from cleaners.extraction.features.context import context_of
from cleaners.extraction.forest import predict
from cleaners.extraction.model import load_model, save_model
from cleaners.extraction.training.fit import (
    NUM_FOLDS,
    LabelledPage,
    PreparedPage,
    TrainedModels,
    TrainingSettings,
    _float32_below,
    fit,
    fit_linear,
    fold_of,
    prepare,
    token_f1,
    trees_of,
)

lightgbm = pytest.importorskip("lightgbm")

WORDS = (
    "river stone mill flood year house water old wheel village road winter people story summer garden paper light "
    "the of and in to was it that for with as on by at from"
).split()
QUICK = TrainingSettings(trees=10, depth=4, leaves=8, least_rows=5, rate=0.3)


def sentences(draw: random.Random, number: int) -> str:
    return " ".join(" ".join(draw.choices(WORDS, k=draw.randint(6, 14))).capitalize() + "." for _ in range(number))


def generated(host: int, number: int) -> LabelledPage:
    """A page of one of three templates: menu, article, comments, related links."""
    draw = random.Random(f"{host} {number}")
    body = [sentences(draw, 1)[:40], *(sentences(draw, draw.randint(2, 5)) for _ in range(draw.randint(3, 7)))]
    menu = "".join(f"<li><a href=/{word}>{word}</a>" for word in draw.sample(WORDS, 8))
    comments = "".join(f"<div class=comment><b>{w}</b><p>{sentences(draw, 2)}</div>" for w in draw.sample(WORDS, 4))
    inside = f"<h1>{body[0]}</h1>" + "".join(f"<p>{text}</p>" for text in body[1:])
    html = [
        f"<nav><ul>{menu}</ul></nav><article>{inside}</article><section class=comments>{comments}</section>",
        f"<div class=menu><ul>{menu}</ul></div><div class='post-body'>{inside}</div><div id=comments>{comments}</div>",
        f"<main><div class=entry>{inside}</div></main><div class=comment-list>{comments}</div><footer>{menu}</footer>",
    ][host % 3]
    url = f"https://host{host}.example/{number}"
    page = f"<title>{body[0]}</title><body>{html}".encode()
    return LabelledPage(url, f"host{host}.example", page, "\n".join(body), "article", "generated", 1.0)


def told(_: str) -> None:
    pass


@cache
def pages() -> Sequence[PreparedPage]:
    return [prepare(generated(host, number)) for host in range(15) for number in range(4)]


@cache
def trained() -> TrainedModels:
    return fit(pages(), QUICK, told)


def score(page: PreparedPage, p: np.ndarray) -> float:
    return token_f1(page.labels, choose(page.page.measured.measures, p))


def saved(folder: Path, made: TrainedModels) -> Path:
    folder.mkdir(exist_ok=True)
    forests = trees_of(made.first), trees_of(made.second)
    return save_model(folder, made.linear, *forests, fit_calibration([], []), {"trees": 10})


def test_labels_of_a_generated_page_are_its_article() -> None:
    page = pages()[0]
    nodes, elements = page.page.tree.nodes, page.page.blocks["element"].tolist()
    (article,) = (i for i, node in enumerate(nodes) if page.data[node["start"] :][:8].tobytes() == b"<article")
    inside = [article <= i < nodes["after"][article] for i in elements]
    assert (page.wanted > 0.9).tolist() == inside
    assert 4 <= sum(inside) < len(inside) - 10


def test_every_fold_has_hosts_and_a_host_has_one_fold() -> None:
    assert {fold_of(page.labelled.host) for page in pages()} == set(range(NUM_FOLDS))
    assert [fold_of(host) for host in ("example.com", "example.org")] == [
        fold_of(h) for h in ("example.com", "example.org")
    ]


def test_main_text_is_found_on_pages_of_unseen_hosts() -> None:
    found = [score(page, p) for page, p in zip(pages(), trained().across_folds, strict=True)]
    everything = [score(page, np.ones_like(page.wanted)) for page in pages()]
    assert np.mean(everything) < 0.85
    assert np.mean(found) > 0.97
    assert min(found) > 0.9


def test_the_trees_of_the_file_predict_what_lightgbm_predicts(tmp_path: Path) -> None:
    made = trained()
    model = load_model(saved(tmp_path, made))
    for page in pages()[:20]:
        x = features_of(page.data, page.page, page.containers, model.linear)
        first = predict(model.first, x)
        assert np.allclose(first, made.first.predict(x), rtol=1e-5, atol=1e-6)
        both = np.concatenate([x, context_of(page.page, page.containers, page.signatures, first)], axis=1)
        second = predict(model.second, both)
        assert np.allclose(second, made.second.predict(both), rtol=1e-5, atol=1e-6)
        assert score(page, second) > 0.9


def test_a_second_training_on_another_number_of_threads_gives_the_same_bytes(tmp_path: Path) -> None:
    assert QUICK.threads == 2
    again = fit(pages(), replace(QUICK, threads=1), told)
    assert all(np.array_equal(p, q) for p, q in zip(trained().across_folds, again.across_folds, strict=True))
    first, second = saved(tmp_path / "first", trained()), saved(tmp_path / "second", again)
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_another_seed_gives_another_model() -> None:
    again = fit_linear(pages(), 1)
    assert not np.array_equal(again.paths, trained().linear.paths)


def test_linear_weights_are_rounded_to_float16() -> None:
    models = fit_linear(pages()[:10], 0)
    for weights in (models.paths, models.words, *models.kinds):
        assert np.any(weights)
        assert np.array_equal(weights, weights.astype(np.float16).astype(np.float32))


def odd(number: int, html: bytes, text: str, weight: float = 1.0) -> PreparedPage:
    return prepare(LabelledPage(f"https://odd{number}.example", f"odd{number}.example", html, text, "x", "x", weight))


def test_pages_without_text_blocks_or_weight_are_harmless() -> None:
    odd_pages = [
        odd(1, b"", ""),
        odd(2, b"", "text that no block has"),
        odd(3, b"<p>a block and no text", ""),
        odd(4, b"<p>! ?", "words here"),
        odd(5, b"<script>x</script>", ""),
        odd(6, b"<p>nothing of it matches", "quite another text"),
        odd(7, b"<p>one of no weight", "one of no weight", 0.0),
    ]
    made = fit([*odd_pages, *pages()], QUICK, told)
    assert [len(p) for p in made.across_folds[:7]] == [0, 0, 1, 1, 0, 1, 1]
    assert all(np.isfinite(p).all() for p in made.across_folds)
    assert all(np.isfinite(part).all() for part in (made.linear.paths, made.linear.words, *made.linear.kinds))
    found = [score(page, p) for page, p in zip(pages(), made.across_folds[7:], strict=True)]
    assert np.mean(found) > 0.97


def test_pages_without_text_have_no_weight() -> None:
    assert odd(3, b"<p>a block and no text", "").weight.tolist() == [0]


def test_pages_weigh_more_where_little_is_main_text_and_silver_ones_less() -> None:
    whole = odd(8, b"<p>a b<p>c", "a b c")
    assert whole.weight.sum() == pytest.approx(0.7 * 20)  # the least
    part = odd(8, b"<p>" + b"a b c d " * 10 + b"<p>" + b"e f " * 100, "a b c d " * 10)
    assert part.weight.sum() == pytest.approx(np.sqrt(241 / 60) * 20, rel=1e-3)
    little = odd(8, b"<p>a b<p>" + b"e f " * 1000, "a b")
    assert little.weight.sum() == pytest.approx(2.5 * 20, rel=1e-3)  # the most
    assert odd(9, b"<p>a b<p>c", "a b", 0.4).weight.sum() == pytest.approx(8)


def test_thresholds_are_rounded_so_that_float32_values_fall_to_the_same_side() -> None:
    draw = np.random.default_rng(3)
    for threshold in [0.1, 1 / 3, -0.1, 0.5, 1e-35, *draw.normal(size=200).tolist()]:
        rounded = _float32_below(threshold)
        assert float(rounded) <= threshold < float(np.nextafter(rounded, np.float32(np.inf)))
