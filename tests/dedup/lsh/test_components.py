"""Clusters are the connected components of edges, as plain Python finds them."""

import random
from pathlib import Path

import numpy as np
import pytest
from dedup_cases import SURE, InProcess, crawl, edges_of, files, make_id, make_row, random_words, similarity
from hypothesis import given
from hypothesis import strategies as st

from dedup.lsh.components import _flatten, _join
from dedup.minhash import MinHashConfig
from shards.errors import UserError

TRANSITIVE = SURE.model_copy(update={"clusters": "transitive"})


def chain() -> list[str]:
    words = random_words(random.Random(4), 200)
    return [" ".join(words[k : k + 150]) + " end" * k for k in (0, 20, 40)]


@pytest.mark.parametrize("verify", ["shingles", "none"])
def test_a_chain_keeps_its_first_and_similarities_show_what_it_joined(make_units, resolve, verify: str) -> None:
    texts = chain()
    config = TRANSITIVE.model_copy(update={"threshold": 0.7, "keep": "first", "verify": verify})
    near, far = similarity(texts[0], texts[1]), similarity(texts[0], texts[2])
    assert near > 0.7 > far
    fates = resolve(config, make_units([make_row(k, text) for k, text in enumerate(texts)]))
    assert fates == {make_id(1): (make_id(0), near), make_id(2): (make_id(0), far)}


def components(ids: list[str], pairs: set[tuple[str, str]]) -> list[set[str]]:
    found: dict[str, set[str]] = {i: {i} for i in ids}
    for a, b in pairs:
        if found[a] is not found[b]:
            joined = found[a] | found[b]
            found |= dict.fromkeys(joined, joined)
    return [c for c in {id(c): c for c in found.values()}.values() if len(c) > 1]


def test_clusters_are_the_components_and_keep_their_first_in_keep_order(make_units, resolve, tmp_path: Path) -> None:
    rows = crawl()
    text = {row["id"]: row["text"] for row in rows}
    fates = resolve(TRANSITIVE, make_units(rows, 50))
    expected = {}
    for cluster in components(list(text), set(edges_of(tmp_path / "out"))):
        first, *others = sorted(cluster, key=lambda i: (-len(text[i]), i))
        expected |= {i: (first, similarity(text[i], text[first])) for i in others}
    assert fates == expected
    assert len(fates) > 50


@pytest.mark.parametrize("verify", ["shingles", "none"])
def test_neither_units_nor_memory_change_the_clusters(make_units, resolve, tmp_path: Path, verify: str) -> None:
    config = TRANSITIVE.model_copy(update={"verify": verify, "bands": 12, "rows": 3})
    rows = crawl(clusters=30)
    units = make_units(rows, 60, "units")
    expected = resolve(config, units, "much")
    assert resolve(config, units, "little", InProcess(9_000)) == expected
    kept = [{n: b for n, b in files(tmp_path / f).items() if "/" not in n} for f in ("much", "little")]
    assert kept[0] == kept[1]
    shuffled = random.Random(3).sample(rows, len(rows))
    assert resolve(config, make_units(shuffled, 13, "other")[::-1], "other") == expected


def test_unverified_leaders_are_refused() -> None:
    with pytest.raises(UserError, match="verify = 'none' goes with clusters = 'transitive'"):
        MinHashConfig.parse({"name": "near", "verify": "none"}, "recipe.toml")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_the_root_of_a_component_is_its_smallest_number(pairs: list[tuple[int, int]]) -> None:
    parents = np.arange(10)
    firsts, seconds = (np.array([pair[k] for pair in pairs], np.int64) for k in (0, 1))
    _join(parents, firsts, seconds)
    _flatten(parents)
    names = [str(k) for k in range(10)]
    roots = {name: name for name in names}
    for cluster in components(names, {(str(a), str(b)) for a, b in pairs}):
        roots |= dict.fromkeys(cluster, min(cluster))
    assert parents.tolist() == [int(roots[name]) for name in names]
