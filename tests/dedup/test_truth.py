"""Whole runs on crawls of known duplicates: which are found, which are removed, and which must be kept.

Similarity is computed here in plain Python from the extracted texts. Real pages have duplicates that the truth does not
list (templates, syndicated articles); true similarity distinguishes them from errors.
"""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from dedup_oracles import plain_words

from dedup.lsh.signatures import p_match
from pipelines.executors import InProcess, ProcessPool
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from shards.sink import open_arrow
from shards.unicode import IDEOGRAPH, classes
from shards.words import words_of

SEEDS = (0, 1, 2)
PAGES = 900  # 330 of them from a part of the real crawl
THRESHOLD, LENGTH = 0.75, 50
WARC = """
[source.web]
kind = "warc"
[[stage]]
kind = "extract"
engine = "resiliparse"
[[stage]]
kind = "gopher_quality"
min_words = 50
min_mean_word_length = 1
min_alpha_word_fraction = 0
min_stop_words = 0
[[stage]]
kind = "url_dedup"
[[stage]]
kind = "exact"
"""
JSONL = '[source.web]\nkind = "jsonl"\n'
NEAR = f'[[stage]]\nkind = "minhash"\nname = "near"\nbands = 14\nrows = 8\nthreshold = {THRESHOLD}\n'
SUBSTRING = f'[[stage]]\nkind = "substring"\nlength = {LENGTH}\nkeep = "none"\n'


@dataclass
class Record:
    truth: dict[str, Any]
    text: str
    reason: str | None  # None: kept
    twin: str | None
    similarity: float | None

    @property
    def clean(self) -> bool:
        return self.reason is None or self.reason.startswith("dedup.")

    @property
    def compared(self) -> bool:
        """Whether no stage before MinHash dropped it."""
        return self.reason in (None, "dedup.near")


@dataclass
class Workload:
    records: dict[str, Record]  # by id
    edges: dict[frozenset[str], float]

    def of_kind(self, *kinds: str) -> Iterator[tuple[str, Record]]:
        return ((id, record) for id, record in self.records.items() if record.truth["kind"] in kinds)

    def groups(self) -> dict[str, list[Record]]:
        """The clean records of each cluster of the truth."""
        found = defaultdict(list)
        for record in self.records.values():
            if record.clean:
                found[record.truth["group"]].append(record)
        return found


@cache
def shingled(text: str) -> frozenset[tuple[str, ...]]:
    words = plain_words(text)
    n = min(5, len(words))
    return frozenset(zip(*(words[k : len(words) - n + 1 + k] for k in range(n)), strict=True))


def jaccard(a: str, b: str) -> float:
    x, y = shingled(a), shingled(b)
    return len(x & y) / len(x | y) if x | y else 0.0


def run(folder: Path, recipe: str, inputs: Path, executor: InProcess | ProcessPool | None = None) -> Path:
    """A finished run."""
    folder.mkdir()
    (folder / "recipe.toml").write_text(recipe)
    opened = open_run(load_recipe(str(folder / "recipe.toml"), [f'source.paths="{inputs}"']), folder / "run")
    execute(opened, executor or InProcess(), lambda _: None)
    return folder / "run"


def rows(folder: Path, *columns: str) -> list[dict[str, Any]]:
    tables = [open_arrow(path).read_all() for path in sorted(folder.glob("*.arrow"))]
    return [row for table in tables for row in table.select(columns).to_pylist()]


def edges_of(run: Path) -> dict[frozenset[str], float]:
    found = rows(run / "dedup" / "near", "id_a", "id_b", "similarity")
    return {frozenset((row["id_a"], row["id_b"])): row["similarity"] for row in found}


@pytest.fixture(scope="module")
def crawls(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A crawl for each seed, all made at once. The tool enlarges the crawl that lies beside it: here a part of the real
    one each, since a share of new pages is added to all that it finds."""
    made, folder = {}, tmp_path_factory.mktemp("crawls")
    tool = real_data.resolve().parent / "tools" / "make_workload.py"
    running = []
    for seed in SEEDS:
        beside = folder / f"beside-{seed}"
        (beside / "tools").mkdir(parents=True)
        (beside / "data" / "crawl").mkdir(parents=True)
        shutil.copy(tool, beside / "tools")
        part = f"part-{seed:02d}.warc.gz"
        (beside / "data" / "crawl" / part).symlink_to((real_data / "crawl" / part).resolve())
        made[seed] = folder / str(seed)
        command = [sys.executable, beside / "tools" / tool.name, made[seed], "--pages", str(PAGES), "--seed", str(seed)]
        running.append(subprocess.Popen(list(map(str, command))))
    assert [process.wait() for process in running] == [0] * len(SEEDS)
    return made


@pytest.fixture(scope="module")
def workloads(crawls: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[int, Workload]:
    found = {}
    for seed, crawl in crawls.items():
        done = run(tmp_path_factory.mktemp("runs") / str(seed), WARC + NEAR, crawl, ProcessPool(os.cpu_count() or 1))
        lines = map(json.loads, (crawl / "truth.jsonl").read_text().splitlines())
        truth = {(line["url"], line["date"]): line for line in lines}
        ledger = rows(done / "ledger", "id", "url", "date", "drop_reasons", "twin", "similarity")
        texts = rows(done / "texts", "text")
        records = {
            row["id"]: Record(
                truth[row["url"], row["date"]],
                text["text"] or "",
                next(iter(row["drop_reasons"]), None),
                row["twin"],
                row["similarity"],
            )
            for row, text in zip(ledger, texts, strict=True)
        }
        assert len(records) == len(truth)
        found[seed] = Workload(records, edges_of(done))
    return found


pytestmark = [pytest.mark.real, pytest.mark.slow]
each_seed = pytest.mark.parametrize("seed", SEEDS)


@pytest.mark.parametrize(("least", "most"), [(0.75, 0.85), (0.85, 0.95), (0.95, 1.01)])
def test_near_pairs_are_found_as_often_as_the_s_curve_says(
    workloads: dict[int, Workload], least: float, most: float
) -> None:
    """By true similarity over all seeds, of the pairs of a cluster that reached MinHash with one of them `near`."""
    expected, found = [], 0
    for workload in workloads.values():
        groups = defaultdict(list)
        for id, record in workload.records.items():
            if record.compared:
                groups[record.truth["group"]].append(id)
        for ids in groups.values():
            for a, b in combinations(ids, 2):
                x, y = workload.records[a], workload.records[b]
                similarity = jaccard(x.text, y.text)
                if "near" in (x.truth["kind"], y.truth["kind"]) and least <= similarity < most:
                    expected.append(p_match(similarity, 14, 8))
                    found += frozenset((a, b)) in workload.edges
    deviation = sum(p * (1 - p) for p in expected) ** 0.5
    assert len(expected) > 5
    assert abs(found - sum(expected)) <= 1.96 * deviation + 0.5


@each_seed
def test_similarities_of_edges_are_the_true_ones(workloads: dict[int, Workload], seed: int) -> None:
    records = workloads[seed].records
    for (a, b), similarity in ((sorted(pair), s) for pair, s in workloads[seed].edges.items()):
        assert similarity == pytest.approx(jaccard(records[a].text, records[b].text), abs=2e-3)
        assert similarity >= THRESHOLD


@each_seed
def test_every_removed_document_has_a_kept_twin_of_its_cluster_or_similar_to_it(
    workloads: dict[int, Workload], seed: int
) -> None:
    records = workloads[seed].records
    removed = [record for record in records.values() if record.clean and record.reason]
    assert len(removed) > 100
    right = 0
    for record in removed:
        assert record.twin is not None
        twin = records[record.twin]
        alike = jaccard(record.text, twin.text)
        right += record.truth["group"] == twin.truth["group"] or alike >= THRESHOLD - 0.05
        assert record.reason != "dedup.near" or twin.reason is None
    assert right >= 0.995 * len(removed)


@each_seed
def test_no_new_page_is_removed_for_its_template(workloads: dict[int, Workload], seed: int) -> None:
    """Some new pages still resemble their base: in code and numbers no word is replaced."""
    base_text = {record.truth["url"]: record.text for _, record in workloads[seed].of_kind("original")}
    hard = [
        record
        for _, record in workloads[seed].of_kind("fresh", "paragraph")
        if record.clean and jaccard(record.text, base_text[record.truth["base"]]) < 0.5
    ]
    assert len(hard) > 100
    assert [record.truth for record in hard if record.reason] == []


@each_seed
def test_of_equal_bytes_one_document_is_kept_and_no_cluster_is_lost(workloads: dict[int, Workload], seed: int) -> None:
    records = workloads[seed].records
    repeated = 0
    for group, members in workloads[seed].groups().items():
        kept = [record for record in members if record.reason is None]
        same_bytes = [record for record in kept if record.truth["kind"] in ("original", "recrawl", "mirror")]
        repeated += len(members) > 1
        assert len(same_bytes) <= 1, group
        if not kept:  # only a natural duplicate of another cluster may represent this one
            ends = [_end(records, record) for record in members]
            assert all(end.reason is None and end.truth["group"] != group for end in ends)
            twins = [records[record.twin or ""] for record in members]
            assert all(jaccard(r.text, t.text) >= THRESHOLD for r, t in zip(members, twins, strict=True)), group
        elif all(record.truth["kind"] in ("original", "recrawl", "mirror") for record in members):
            assert len(kept) == 1, group
    assert repeated > 50


def _end(records: dict[str, Record], record: Record) -> Record:
    while record.reason is not None:
        record = records[record.twin or ""]
    return record


@each_seed
def test_every_pasted_passage_is_cut_and_no_unique_one(
    workloads: dict[int, Workload], tmp_path: Path, seed: int
) -> None:
    """With `keep = "none"` the words in no repeated window of 50 words are left."""
    records = [record for record in workloads[seed].records.values() if record.clean]
    lines = [{"id": str(k), "url": f"https://t.example/{k}", "text": r.text} for k, r in enumerate(records)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = run(tmp_path / "cut", JSONL + SUBSTRING, tmp_path / "texts.jsonl")
    kept = {row["url"]: row["text"] for row in rows(done / "shards" / "web", "url", "text")}

    words = [_words(record.text) for record in records]
    windows = [[hash(tuple(w[k : k + LENGTH])) for k in range(len(w) - LENGTH + 1)] for w in words]
    counts = Counter(window for row in windows for window in row)
    for line, row, row_windows in zip(lines, words, windows, strict=True):
        repeated = np.zeros(len(row) + 1, np.int64)
        for k, window in enumerate(row_windows):
            if counts[window] > 1:
                repeated[k] += 1
                repeated[k + LENGTH] -= 1
        cut = np.cumsum(repeated)[:-1] > 0
        if line["url"] in kept:
            assert re.fullmatch(_left(row, cut), "".join(kept[line["url"]].split()))
        else:
            assert len("".join(word for word, gone in zip(row, cut, strict=True) if not gone)) < 20

    text_of = {record.truth["url"]: " ".join(w) for record, w in zip(records, words, strict=True)}
    pasted = [
        (line["url"], passage)
        for line, record in zip(lines, records, strict=True)
        if record.truth["kind"] == "paragraph"
        and (passage := " ".join(record.truth["passage_text"].split())) in text_of[record.truth["url"]]
        and passage in text_of.get(record.truth["passage"], "")
    ]
    assert len(pasted) > 5
    assert not any(passage in " ".join(kept.get(url, "").split()) for url, passage in pasted)


def _words(text: str) -> list[str]:
    found, raw = words_of(pa.array([text], pa.large_string())), text.encode()
    return [raw[a:b].decode() for a, b in zip(found.starts, found.ends, strict=True)]


def _left(words: list[str], cut: np.ndarray) -> str:
    """A pattern of the text that is left, without spaces.

    The last ideograph of a cut passage may stay: it separates words that would otherwise become one.
    """
    found = [re.escape(word) for word in words]
    for k in np.flatnonzero(cut):
        last = k + 1 == len(words) or not cut[k + 1]
        found[k] = f"(?:{found[k]})?" if last and classes()[ord(words[k][0])] == IDEOGRAPH else ""
    return "".join(found)


@pytest.mark.parametrize("articles", ["articles_100", "articles_1000"])
def test_planted_articles_are_the_only_pairs_and_one_of_each_is_kept(
    real_data: Path, tmp_path: Path, articles: str
) -> None:
    """McCormick's sets: `<id> <text>` a line, and pairs of ids."""
    train, truth = (
        gzip.decompress((real_data / "neardup" / f"{articles}.{part}.gz").read_bytes()).decode().splitlines()
        for part in ("train", "truth")
    )
    texts = [dict(zip(("url", "text"), line.split(" ", 1), strict=True)) for line in train]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    done = run(tmp_path / "near", JSONL + NEAR, tmp_path / "texts.jsonl")
    ledger = rows(done / "ledger", "id", "url", "drop_reasons")
    name = {row["id"]: row["url"] for row in ledger}
    pairs = {frozenset(pair.split()) for pair in truth if pair}
    assert {frozenset(name[id] for id in edge) for edge in edges_of(done)} == pairs
    removed = {row["url"] for row in ledger if row["drop_reasons"]}
    assert all(len(pair & removed) == 1 for pair in pairs)
    assert len(removed) == len(pairs)
