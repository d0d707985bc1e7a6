"""The whole stage: truth against all pairs, the same answer however it runs, and resume after kills."""

import gzip
import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from dedup_cases import InProcess, edited, make_id, make_row, random_words
from test_shingles import plain_words

from dedup.near import GIANT_GROUP, MinHashConfig
from dedup.verdicts import write_verdicts
from shards.errors import UserError
from shards.sink import open_arrow

FINEWEB = MinHashConfig(name="near", bands=14, rows=8)
SURE = MinHashConfig(name="near", bands=60, rows=4)  # misses a pair of .75 once in 10^10


@cache
def shingled(text: str, n: int = 5) -> set[tuple[str, ...]]:
    words = plain_words(text)
    n = min(n, len(words))
    return {tuple(words[k : k + n]) for k in range(len(words) - n + 1)}


def similarity(a: str, b: str) -> float:
    x, y = shingled(a), shingled(b)
    return len(x & y) / len(x | y)


def crawl(seed: int = 0, groups: int = 60) -> list[dict]:
    """Pages, and for each up to four copies with up to a tenth of their words changed, in any order."""
    rng = random.Random(seed)
    texts = []
    for _ in range(groups):
        words = random_words(rng, rng.randint(30, 200))
        copies = (edited(rng, words, rng.choice((0, 1, 2, 3, len(words) // 10))) for _ in range(rng.randrange(5)))
        texts += [" ".join(w) for w in (words, *copies)]
    rng.shuffle(texts)
    dates = itertools.cycle(["2024-01-05T00:00:00Z", "", "2023-12-31T23:59:59Z"])
    return [make_row(k, text, date=next(dates)) for k, text in enumerate(texts)]


def edges_of(folder: Path) -> dict[tuple[str, str], float]:
    rows = open_arrow(folder / "edges.arrow").read_all().to_pylist()
    return {(row["id_a"], row["id_b"]): row["similarity"] for row in rows}


def test_edges_are_all_pairs_that_are_alike_and_no_others(make_units, resolve, tmp_path: Path) -> None:
    rows = crawl()
    text = {row["id"]: row["text"] for row in rows}
    fates = resolve(SURE, make_units(rows, 50))
    found = {frozenset(pair): s for pair, s in edges_of(tmp_path / "out").items()}
    pairs = {frozenset(p): similarity(*(text[i] for i in p)) for p in itertools.combinations(text, 2)}
    expected = {pair: s for pair, s in pairs.items() if s >= 0.75}
    assert found == expected
    assert len(expected) > 100
    assert sum(0.5 < s < 0.75 for s in pairs.values()) > 20, "near misses were there to be refused"
    for removed, (twin, s) in fates.items():
        assert twin not in fates
        assert s == expected[frozenset((removed, twin))]
    kept = set(text) - set(fates)
    assert not any(pair <= kept for pair in expected)


def test_fineweb_bands_find_what_the_s_curve_promises(make_units, resolve, tmp_path: Path) -> None:
    resolve(FINEWEB, make_units(crawl(), 50), "fineweb")
    resolve(SURE, make_units(crawl(), 50), "sure")
    some, all_pairs = edges_of(tmp_path / "fineweb"), edges_of(tmp_path / "sure")
    assert some.items() <= all_pairs.items()
    assert len(some) > 0.9 * len(all_pairs)


def test_a_chain_of_near_misses_loses_only_its_middle(make_units, resolve) -> None:
    words = random_words(random.Random(4), 200)
    chain = [" ".join(words[k : k + 150]) + " end" * k for k in (0, 20, 40)]
    near = [similarity(chain[0], chain[1]), similarity(chain[1], chain[2]), similarity(chain[0], chain[2])]
    config = SURE.model_copy(update={"threshold": 0.7, "keep": "first"})
    assert min(near[:2]) > 0.7 > near[2]
    fates = resolve(config, make_units([make_row(k, text) for k, text in enumerate(chain)]))
    assert fates == {make_id(1): (make_id(0), near[0])}


@pytest.mark.parametrize(
    ("keep", "kept"), [("longest", "long"), ("newest", "new"), ("oldest", "old"), ("first", "front")]
)
def test_keep_policy_names_the_one_that_stays(make_units, resolve, keep: str, kept: str) -> None:
    words = random_words(random.Random(5), 300)
    rows = [
        make_row("front", " ".join(words), date=""),
        make_row("old", " ".join([*words, "a"]), date="2020-02-03T04:05:06.7Z"),
        make_row("new", " ".join([*words, "b"]), date="2020-02-03T04:05:07Z"),
        make_row("long", " ".join([*words, "ccccc"]), date="2020-02-03T04:05:06.71Z"),
    ]
    fates = resolve(SURE.model_copy(update={"keep": keep}), make_units(rows))
    assert {twin for twin, _ in fates.values()} == {make_id(kept)}
    assert len(fates) == 3


@pytest.mark.parametrize("verify", ["shingles", "signature"])
def test_units_their_order_and_the_order_of_rows_do_not_matter(make_units, resolve, verify: str) -> None:
    config = FINEWEB.model_copy(update={"verify": verify})
    rows = crawl()
    expected = resolve(config, make_units(rows, name="one"), "one")
    assert len(expected) > 40
    shuffled = random.Random(9).sample(rows, len(rows))
    units = make_units(shuffled, 7, "many")
    assert resolve(config, units[::-1], "many") == expected


def test_a_pool_of_processes_leaves_the_same_files(make_units, resolve, tmp_path: Path) -> None:
    units = make_units(crawl(), 40)
    expected = resolve(FINEWEB, units, "here")
    with ProcessPoolExecutor(2, multiprocessing.get_context("forkserver")) as pool:
        assert resolve(FINEWEB, units, "pool", pool) == expected
    assert files(tmp_path / "pool") == files(tmp_path / "here")


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def killed_after(renames: int, config: MinHashConfig, units: list, folder: Path) -> bool:
    """Resolve in a forked process that gets SIGKILL before its n-th rename; False when it came to its end before."""
    child = os.fork()
    if child == 0:
        done, rename = itertools.count(), Path.replace

        def replace_or_die(self: Path, target: Path) -> Path:
            if next(done) == renames:
                os.kill(os.getpid(), signal.SIGKILL)
            return rename(self, target)

        Path.replace = replace_or_die  # type: ignore[method-assign]
        config.resolve(units, folder, InProcess())
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_before_any_rename_and_run_again_gives_the_same_files(make_units, resolve, tmp_path: Path) -> None:
    units = make_units(crawl(), 100)
    resolve(FINEWEB, units, "undisturbed")
    expected = files(tmp_path / "undisturbed")
    kills = 0
    while killed_after(kills, FINEWEB, units, folder := tmp_path / "killed"):
        FINEWEB.resolve(units, folder, InProcess())
        assert files(folder) == expected
        shutil.rmtree(folder)
        kills += 1
    assert kills == len(expected)


def test_buckets_that_do_not_fit_in_memory_give_the_same_edges(
    make_units, resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(8)
    shared = random_words(rng, 10)
    pages = [[*shared, *random_words(rng, 40)] for _ in range(100)]
    rows = [make_row(k, " ".join(edited(rng, rng.choice(pages), k % 3))) for k in range(1_000)]
    config = MinHashConfig(name="near", bands=30, rows=1)  # a shared phrase and one row: buckets of unlike pages
    units = make_units(rows, 300)
    expected = resolve(config, units, "whole")
    monkeypatch.setattr("dedup.edges._SET_VALUES", 500)
    assert resolve(config, units, "pieces") == expected
    assert len(expected) > 300
    for name in ("edges.arrow", "alarms.json"):
        assert (tmp_path / "pieces" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert json.loads((tmp_path / "whole" / "alarms.json").read_text()), "some buckets had too many leaders"


def test_finished_steps_are_not_done_again(make_units, resolve, tmp_path: Path) -> None:
    units = make_units(crawl(), 100)
    expected = resolve(FINEWEB, units)
    before = {p: p.stat().st_mtime_ns for step in ("signed", "edges") for p in (tmp_path / "out" / step).iterdir()}
    assert resolve(FINEWEB, units) == expected
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_twenty_thousand_copies_keep_one_and_are_fast(make_units, resolve, tmp_path: Path) -> None:
    text = " ".join(random_words(random.Random(6), 300))
    rows = [make_row(k, text) for k in range(20_000)]
    units = make_units(rows, 5_000)
    resolve(FINEWEB, make_units(rows[:10], name="compile"), "compile")
    began = time.perf_counter()
    fates = resolve(FINEWEB, units)
    assert time.perf_counter() - began < 20, "about 1 s on a quiet machine; all pairs would take minutes"
    kept = min(row["id"] for row in rows)
    assert fates == {row["id"]: (kept, 1.0) for row in rows if row["id"] != kept}
    assert json.loads((tmp_path / "out" / "alarms.json").read_text()) == [
        {"alarm": "one document stands for very many", "id": kept, "removed": 19_999}
    ]
    assert GIANT_GROUP < 19_999


def test_rows_that_an_earlier_stage_removed_are_nobodys_twin(make_units, resolve, tmp_path: Path) -> None:
    text = " ".join(random_words(random.Random(7), 50))
    (unit,) = make_units([make_row(k, text) for k in range(4)])
    dead = [k for k in range(4) if make_id(k) == min(map(make_id, range(4)))]
    write_verdicts(tmp_path / "earlier", [unit], np.array(dead, np.uint64), np.zeros((1, 2), np.uint64), np.ones(1))
    fates = resolve(FINEWEB, [replace(unit, verdicts=(tmp_path / "earlier" / f"{unit.key}.arrow",))])
    alive = sorted(make_id(k) for k in range(4) if k not in dead)
    assert fates == dict.fromkeys(alive[1:], (alive[0], 1.0))


def test_documents_without_words_are_never_duplicates_and_short_ones_are(make_units, resolve) -> None:
    texts = [
        "",
        "",
        "...",
        "...",
        "\0",
        "\0",
        "😀",
        "😀",
        None,
        "one",
        "ONE!",
        "中文",
        "中文。",
        "only two",
        "two only",
    ]
    fates = resolve(SURE, make_units([make_row(k, text) for k, text in enumerate(texts)], 4))
    assert fates == {make_id(9): (make_id(10), 1.0), make_id(11): (make_id(12), 1.0)}


@pytest.mark.parametrize("rows", [[], [make_row(1, "...")], [make_row(1, "a b c")]])
def test_nothing_to_compare_is_no_error(make_units, resolve, tmp_path: Path, rows: list[dict]) -> None:
    assert resolve(FINEWEB, make_units(rows)) == {}
    assert edges_of(tmp_path / "out") == {}


def test_the_misread_shape_is_refused_with_its_explanation() -> None:
    with pytest.raises(UserError, match="bands = 450, rows = 20") as refusal:
        MinHashConfig.parse({"name": "near", "bands": 20, "rows": 450}, "recipe.toml: stage[3]")
    assert "\n" not in str(refusal.value)
    assert MinHashConfig.parse({"name": "near", "bands": 450, "rows": 20}, "recipe.toml").bands == 450


def test_whole_signatures_of_thousands_of_hashes_are_refused() -> None:
    with pytest.raises(UserError, match="9000 hashes"):
        MinHashConfig.parse({"name": "near", "bands": 450, "rows": 20, "verify": "signature"}, "recipe.toml")


def test_signature_verification_estimates_the_same_similarity(make_units, resolve, tmp_path: Path) -> None:
    units = make_units(crawl(), 50)
    config = MinHashConfig(name="near", bands=64, rows=8, verify="signature", threshold=0.6)
    resolve(config, units, "signature")
    resolve(SURE.model_copy(update={"threshold": 0.4}), units, "shingles")
    estimated, true = edges_of(tmp_path / "signature"), edges_of(tmp_path / "shingles")
    assert len(estimated) > 100
    assert max(abs(s - true[pair]) for pair, s in estimated.items()) < 0.12, "five deviations of 512 hashes at .5"


@pytest.mark.slow
def test_refinedweb_shape_is_fast_on_small_inputs(make_units, resolve) -> None:
    began = time.perf_counter()
    fates = resolve(MinHashConfig(name="near", bands=450, rows=20), make_units(crawl(groups=300), 50))
    assert len(fates) > 300
    assert time.perf_counter() - began < 20, "about 1 s, and compilation"


@pytest.mark.real
@pytest.mark.parametrize("articles", ["articles_100", "articles_1000"])
def test_planted_articles_are_found_and_no_others(make_units, resolve, real_data: Path, articles: str) -> None:
    """McCormick's sets: `<id> <text>` a line, and pairs of ids."""
    train, truth = (
        gzip.decompress((real_data / "neardup" / f"{articles}.{part}.gz").read_bytes()).decode().splitlines()
        for part in ("train", "truth")
    )
    rows = [make_row(name, text) for name, text in (line.split(" ", 1) for line in train)]
    fates = resolve(FINEWEB, make_units(rows, 100))
    found = {frozenset((removed, twin)) for removed, (twin, _) in fates.items()}
    assert found == {frozenset(map(make_id, pair.split())) for pair in truth if pair}
