"""The whole stage: its edges are those of all pairs, its files the same however it runs and after kills."""

import gzip
import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from dedup_cases import SURE, InProcess, crawl, edges_of, edited, files, make_id, make_row, random_words, similarity

from dedup.files.documents import UnitFiles, npy_path
from dedup.files.verdicts import NOT_HERE, write_verdicts
from dedup.lsh.signing import Signing, sign, sign_by_prefix
from dedup.minhash import MinHashConfig
from shards.errors import RunError, UserError
from shards.exchange import columns_path
from shards.schema import COPIES
from shards.sink import ArrowSink, open_arrow, read_table

FINEWEB = MinHashConfig(name="near", bands=14, rows=8)


def test_edges_are_all_similar_pairs_and_no_others(make_units, resolve, tmp_path: Path) -> None:
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
def test_the_keep_policy_decides_the_representative(make_units, resolve, keep: str, kept: str) -> None:
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


@pytest.mark.parametrize("task_memory", [40_000, 200_000])
def test_memory_changes_no_byte_that_the_run_reads(make_units, resolve, tmp_path: Path, task_memory: int) -> None:
    units = make_units(crawl(clusters=100), 40)
    resolve(FINEWEB, units, "much")
    resolve(FINEWEB, units, "little", InProcess(task_memory))
    assert len(list((tmp_path / "little" / "edges").glob("*.npy"))) > 2, "the work was split"
    kept = [{n: b for n, b in files(tmp_path / f).items() if "/" not in n} for f in ("much", "little")]
    assert kept[0] == kept[1]


def test_an_attempt_with_other_memory_is_resumed(make_units, resolve) -> None:
    units = make_units(crawl(), 40)
    expected = resolve(FINEWEB, units, "undisturbed")
    resolve(FINEWEB, units, "again", InProcess(30_000))
    assert resolve(FINEWEB, units, "again") == expected
    assert resolve(FINEWEB, units, "again", InProcess(100_000)) == expected


def test_every_removed_document_has_a_kept_twin_that_it_resembles(make_units, resolve) -> None:
    for seed in range(3):
        rows = crawl(seed)
        text = {row["id"]: row["text"] for row in rows}
        for threshold in (0.6, 0.9):
            config = SURE.model_copy(update={"threshold": threshold})
            fates = resolve(config, make_units(rows, 30), f"{seed}-{threshold}")
            assert fates
            for removed, (twin, found) in fates.items():
                assert twin not in fates
                assert found == similarity(text[removed], text[twin]) >= threshold


@pytest.mark.parametrize("values", [{"unit": "characters", "ngram": 9}, {"segmented": True}])
def test_other_shingles_find_copies_too(make_units, resolve, values: dict) -> None:
    words = random_words(random.Random(5), 300)
    rows = [make_row(0, " ".join(words)), make_row(1, " ".join([*words, "more"])), make_row(2, " ".join(words[::-1]))]
    fates = resolve(SURE.model_copy(update=values), make_units(rows))
    assert {removed: twin for removed, (twin, _) in fates.items()} == {make_id(0): make_id(1)}


def test_best_keeps_the_highest_score_and_source_follows_the_list(make_units, resolve) -> None:
    words = random_words(random.Random(5), 300)
    scores = [0.5, None, 2.5, -1.0]
    rows = [make_row(k, " ".join([*words, "a" * k]), source=s) for k, s in enumerate(["web", "news", "web", "books"])]
    best = SURE.model_copy(update={"keep": "best", "score": "quality.score"})
    assert {t for t, _ in resolve(best, with_scores(make_units(rows), scores), "best").values()} == {make_id(2)}
    source = SURE.model_copy(update={"keep": "source", "source_priority": ("books", "web")})
    assert {t for t, _ in resolve(source, make_units(rows), "source").values()} == {make_id(3)}


def with_scores(units: list, scores: list[float | None]) -> list:
    (unit,) = units
    table = open_arrow(unit.texts[0]).read_all().append_column("quality.score", pa.array(scores, pa.float64()))
    path = unit.texts[0].with_name("scored.text.arrow")
    with ArrowSink(path, table.schema) as sink:
        for batch in table.to_batches():
            sink.write(batch)
    return [replace(unit, texts=(path,))]


def test_copies_pass_to_the_twin(make_units, resolve, tmp_path: Path) -> None:
    words = random_words(random.Random(5), 300)
    units = make_units([make_row(k, " ".join([*words, "a" * k])) for k in range(7)], 2)
    resolve(SURE, units)
    (unit,) = (unit for unit in units if columns_path(tmp_path / "out" / f"{unit.key}.arrow").exists())
    assert read_table(columns_path(tmp_path / "out" / f"{unit.key}.arrow")).to_pydict() == {"row": [0], "copies": [6]}
    verdicts = tmp_path / "out" / f"{unit.key}.arrow"
    again = [replace(u, verdicts=(verdicts.with_name(f"{u.key}.arrow"),), added=(COPIES,)) for u in units]
    more = replace(make_units([make_row("new", " ".join([*words, "a" * 99]))], name="more")[0], number=9, key="more")
    resolve(SURE, [*again, more], "second")
    assert read_table(columns_path(tmp_path / "second" / "more.arrow")).to_pydict() == {"row": [0], "copies": [7]}


def test_documents_of_an_index_stay_and_remove_their_duplicates(
    make_units, resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(5)
    pages = [random_words(rng, 100) for _ in range(3)]
    old = make_units([make_row(f"old {k}", " ".join(page)) for k, page in enumerate([*pages, pages[0]])], 2, "old")
    rows = [make_row(k, " ".join([*page, *["much", "longer"] * k])) for k, page in enumerate(pages * 2)]
    rows += [make_row(f"new {k}", " ".join(["quite", "new", "words"] * 9)) for k in range(2)]
    for unit in old:
        sign(unit, folder=tmp_path / "index" / "signed", signing=signing_of(SURE))
    for stem in (stems := [tmp_path / "index" / "signed" / unit.key for unit in old]):
        documents = np.load(path := npy_path(stem, "documents"))
        documents["address"] = NOT_HERE
        documents["order"] = 2**62
        np.save(path, documents)
    monkeypatch.setattr(MinHashConfig, "_earlier", lambda _: UnitFiles.of(stems))
    for clusters in ("leaders", "transitive"):
        for memory in (1 << 30, 10_000):
            config = SURE.model_copy(update={"clusters": clusters})
            found = resolve(config, make_units(rows, 3), f"{clusters}-{memory}", InProcess(memory))
            stays, leaves = sorted([make_id("new 0"), make_id("new 1")])
            twins = {make_id(k): make_id(f"old {k % 3}") for k in range(6)}
            twins |= {make_id(k): min(make_id("old 0"), make_id("old 3")) for k in (0, 3)}
            assert {removed: twin for removed, (twin, _) in found.items()} == twins | {leaves: stays}
            pairs = edges_of(tmp_path / f"{clusters}-{memory}")
            assert frozenset(map(make_id, ("old 0", "old 3"))) not in map(frozenset, pairs), "both are earlier"


@pytest.mark.parametrize("name", ["keys", "sets", "documents"])
@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "missing", "another shape"])
def test_a_damaged_file_is_named_with_its_remedy(make_units, resolve, tmp_path: Path, name: str, damage: str) -> None:
    units = make_units(crawl(), 100)
    for unit in units:
        sign_by_prefix(unit, folder=tmp_path / "out" / "signed", signing=signing_of(FINEWEB))
    path = npy_path(tmp_path / "out" / "signed" / units[0].key, "keys.bounds" if name == "keys" else name)
    if damage == "missing" and name == "documents":
        return  # then the unit is signed again
    if damage == "cut":
        os.truncate(path, path.stat().st_size - 1_000)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        np.save(path, np.zeros((3, 3)))
    elif damage == "missing":
        path.unlink()
    else:
        np.save(path, np.load(path)[..., : 5 if name == "sets" else 3])
    with pytest.raises(RunError, match=rf"{units[0].key}\.[\w.]+: not a whole array.*delete .*\* and run"):
        resolve(FINEWEB, units)


def signing_of(config: MinHashConfig) -> Signing:
    return Signing(config.ngram, "words", False, config.bands, config.rows, config.seed, config.verify, config.keep_by)


def test_a_pool_of_processes_leaves_the_same_files(make_units, resolve, tmp_path: Path) -> None:
    units = make_units(crawl(), 40)
    expected = resolve(FINEWEB, units, "here")
    with ProcessPoolExecutor(2, multiprocessing.get_context("forkserver")) as pool:
        pool.task_memory = InProcess().task_memory  # type: ignore[attr-defined]
        assert resolve(FINEWEB, units, "pool", pool) == expected
    assert files(tmp_path / "pool") == files(tmp_path / "here")


def killed_after(renames: int, config: MinHashConfig, units: list, folder: Path) -> bool:
    """Resolve in a forked process that gets SIGKILL before its n-th rename; False if it ended before that."""
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
    config = MinHashConfig(name="near", bands=6, rows=1)  # a shared phrase and one row: buckets of dissimilar pages
    units = make_units(rows, 300)
    expected = resolve(config, units, "whole")
    monkeypatch.setattr("dedup.lsh.edges.Comparison.max_values", 5_000)
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


def test_a_hundred_thousand_copies_keep_one(make_units, resolve) -> None:
    """All pairs would be five thousand million comparisons, and hours."""
    text = " ".join(random_words(random.Random(6), 30))
    rows = [make_row(k, text) for k in range(100_000)]
    fates = resolve(FINEWEB, make_units(rows, 25_000), executor=InProcess(64 << 20))
    kept = min(row["id"] for row in rows)
    assert fates == {row["id"]: (kept, 1.0) for row in rows if row["id"] != kept}


def test_a_document_of_five_megabytes_is_one_among_others(make_units, resolve) -> None:
    words = random_words(random.Random(6), 900_000)
    texts = ["one", "😀" * 500, " ".join(words), "One!", "😀", " ".join([*words, "end"]), "two words", ""]
    assert len(texts[2]) > 5_000_000
    fates = resolve(FINEWEB, make_units([make_row(k, t) for k, t in enumerate(texts)], 3), executor=InProcess(64 << 20))
    assert {removed: twin for removed, (twin, _) in fates.items()} == {make_id(0): make_id(3), make_id(2): make_id(5)}


def test_rows_that_an_earlier_stage_removed_are_never_twins(make_units, resolve, tmp_path: Path) -> None:
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
def test_the_shape_of_refinedweb_finds_similar_documents(make_units, resolve, tmp_path: Path) -> None:
    rows = crawl(clusters=300)
    resolve(MinHashConfig(name="near", bands=450, rows=20), make_units(rows, 50), "refinedweb")
    resolve(SURE, make_units(rows, 50), "sure")
    found, all_pairs = edges_of(tmp_path / "refinedweb"), edges_of(tmp_path / "sure")
    assert found.items() <= all_pairs.items()
    assert len(found) > 0.9 * len(all_pairs)


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
