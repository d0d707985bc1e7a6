"""The table of evaluation n-grams: their items, their sizes and what is searched for."""

import numpy as np
import pyarrow as pa

from dedup.evaluation.eval_index import EvaluationIndex
from dedup.evaluation.sets import EvaluationSet, Passage


def index_of(*sets: list[str], n: int = 3, min_words: int = 2) -> EvaluationIndex:
    """Each set's items have one passage each."""
    made = [
        EvaluationSet(f"s{k}", tuple(f"s{k}:{i}" for i in range(len(texts))),
                      tuple(Passage(i, "q", text) for i, text in enumerate(texts)), "")
        for k, texts in enumerate(sets)
    ]  # fmt: skip
    return EvaluationIndex.of(made, n, min_words, False)


def hits_of(index: EvaluationIndex, texts: list[str]) -> list[tuple[int, str, set[str]]]:
    """(row, text of the hit, its items)."""
    rows, starts, ends, grams = index.find(pa.array(texts, pa.large_string()))
    data = "".join(texts).encode()
    _, owners = index.owners_of(grams)
    of_hit = np.split(owners, np.cumsum(index.owner_starts[grams + 1] - index.owner_starts[grams])[:-1])
    return [
        (int(row), data[start:end].decode(), {index.items[item] for item in items})
        for row, start, end, items in zip(rows, starts, ends, of_hit, strict=True)
    ]


def test_a_shared_ngram_belongs_to_the_items_of_all_sets() -> None:
    index = index_of(["a b c d", "x"], ["b c d e"])
    assert hits_of(index, ["no", "A, b; C d."]) == [(1, "A, b; C", {"s0:0"}), (1, "b; C d", {"s0:0", "s1:0"})]


def test_a_short_passage_is_found_by_all_its_words() -> None:
    index = index_of(["p q", "a b c d"])
    assert index.distinct_sizes.tolist() == [2, 3]
    assert hits_of(index, ["q p q a b"]) == [(0, "p q", {"s0:0"})]


def test_items_without_a_passage_of_min_words_are_counted_and_not_searched() -> None:
    assert index_of(["a b c", "x", ""], ["y"]).searched() == {
        "s0": {"items": 3, "searched": 1},
        "s1": {"items": 1, "searched": 0},
    }


def test_an_index_without_ngrams_finds_nothing() -> None:
    assert index_of(["x"]).find(pa.array(["x y z"], pa.large_string())).shape == (4, 0)
