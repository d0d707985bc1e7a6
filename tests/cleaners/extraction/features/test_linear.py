"""Linear models: scores against plain Python, and learning on a page whose classes separate text from menus."""

import itertools

import numpy as np
from extraction_soup import SamplePage, around, random_weights, sample_page, soup
from hypothesis import given, settings

from cleaners.extraction.features.hashing import hash_of
from cleaners.extraction.features.linear import (
    SLOTS,
    AdaGrad,
    learn_paths,
    learn_words,
    pair_of,
    score_of_path,
    score_of_words,
    slot_of,
)

WEIGHTS = random_weights(3)


def slot(state: int) -> int:
    return (state ^ state >> 15) % SLOTS


def pair(first: int, second: int) -> int:
    return first * 31 % 2**32 ^ second


def test_slots_and_pairs_are_those_of_plain_python() -> None:
    states = np.random.default_rng(0).integers(0, 2**32, 1000, dtype=np.uint32)
    assert [slot_of(state) for state in states] == [slot(int(state)) for state in states]
    assert [pair_of(a, b) for a, b in zip(states, states[::-1], strict=True)] == [
        pair(int(a), int(b)) for a, b in zip(states, states[::-1], strict=True)
    ]


@settings(max_examples=60)
@given(soup)
def test_score_of_words_is_the_sum_over_words_and_pairs_by_the_root_of_the_number_of_words(page: str) -> None:
    measured = sample_page(page).page.measured
    for b in range(len(measured.measures)):
        words = measured.words[measured.offsets[b] : measured.offsets[b + 1]].tolist()
        single = [float(WEIGHTS[slot(word)]) for word in words]
        pairs = [float(WEIGHTS[slot(pair(*two))]) for two in itertools.pairwise(words)]
        score, strongest = score_of_words(measured, b, WEIGHTS)
        assert np.isclose(score, WEIGHTS[0] + (sum(single) + sum(pairs)) / max(1, len(words)) ** 0.5, 1e-4, 1e-4)
        assert strongest == max(single, key=abs, default=0)


@settings(max_examples=60)
@given(soup)
def test_score_of_path_is_the_sum_of_tag_and_tokens(page: str) -> None:
    read = sample_page(page).page
    for node in range(len(read.tree.nodes)):
        tokens = read.tokens[read.token_offsets[node] : read.token_offsets[node + 1]].tolist()
        expected = WEIGHTS[read.tree.nodes["tag"][node]] + sum(float(WEIGHTS[slot(token)]) for token in tokens)
        assert np.isclose(score_of_path(read, node, WEIGHTS), expected, 1e-4, 1e-4)


TOY = sample_page(
    "<div class=menu><ul><li>Home<li>Login<li>Cart</ul></div>"
    "<div class=story><p>The cat sat down.<p>It was a warm day.<p>Then it slept.</div>"
)
WANTED = np.array([0, 0, 0, 1, 1, 1], np.float32)


def path_scores(sample: SamplePage, weights: np.ndarray) -> np.ndarray:
    elements = sample.page.blocks["element"].tolist()
    nodes = sample.page.tree.nodes
    return np.array([sum(score_of_path(sample.page, i, weights) for i in around(nodes, e)) for e in elements])


def word_scores(sample: SamplePage, weights: np.ndarray) -> np.ndarray:
    return np.array([score_of_words(sample.page.measured, b, weights)[0] for b in range(len(sample.page.blocks))])


def loss(scores: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0, scores) - WANTED * scores))


def untrained(decay: float) -> AdaGrad:
    return AdaGrad(np.zeros(SLOTS, np.float32), np.full(SLOTS, 0.3, np.float32), np.float32(0.08), np.float32(decay))


def learn(passes: int, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    made = []
    for kernel, about in ((learn_paths, TOY.page), (learn_words, TOY.page.measured)):
        model = untrained(decay=1e-5)
        for _ in range(passes):
            kernel(about, WANTED, weight, model)
        made.append(model.weights)
    return made[0], made[1]


def test_learning_lowers_the_loss_with_every_ten_passes() -> None:
    losses = []
    for passes in (0, 10, 20, 30):
        paths, words = learn(passes, np.ones(6, np.float32))
        losses.append((loss(path_scores(TOY, paths)), loss(word_scores(TOY, words))))
    assert losses[0] == (np.log(2), np.log(2))
    assert np.all(np.diff(losses, axis=0) < 0)
    assert max(losses[-1]) < 0.35


def test_learned_weights_separate_text_from_menus() -> None:
    paths, words = learn(20, np.ones(6, np.float32))
    assert paths[slot(hash_of("story"))] > 0.3 > -0.3 > paths[slot(hash_of("menu"))]
    assert words[slot(hash_of("cat"))] > 0.05 > -0.05 > words[slot(hash_of("login"))]


def test_blocks_without_weight_teach_nothing() -> None:
    assert not np.any(learn(3, np.zeros(6, np.float32)))
    paths, words = learn(3, np.array([0, 0, 0, 1, 1, 1], np.float32))
    assert paths[slot(hash_of("menu"))] == words[slot(hash_of("login"))] == 0
    assert paths[slot(hash_of("story"))] > 0


def test_one_step_is_that_of_adagrad() -> None:
    sample = sample_page("<p>some words")
    model = untrained(decay=0)
    one = np.ones(1, np.float32)
    learn_words(sample.page.measured, one, 2 * one, model)
    gradient = 2 * (0.5 - 1)
    first, second = hash_of("some"), hash_of("words")
    for k, by in ((0, 1), (slot(first), 0.5**0.5), (slot(second), 0.5**0.5), (slot(pair(first, second)), 0.5**0.5)):
        assert np.isclose(model.squares[k], 0.3 + (gradient * by) ** 2)
        assert np.isclose(model.weights[k], -0.08 * gradient * by / np.sqrt(0.3 + (gradient * by) ** 2))
    assert np.count_nonzero(model.weights) == 4
