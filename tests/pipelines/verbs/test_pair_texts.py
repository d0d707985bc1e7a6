"""pairs --texts: the least similar pairs come first, with what differs between their texts."""

import json
import shutil
from pathlib import Path

import pytest
from command import gristmill
from ledger_runs import make_crawl, make_run

from pipelines.lines import Titled
from pipelines.verbs.pair_texts import lines, pairs_with_texts
from pipelines.verbs.pairs import pairs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair_texts")
    return make_run(folder / "run", make_crawl(folder / "crawl"))


def test_the_least_similar_pairs_are_shown_first(run: Path) -> None:
    every = [row["similarity"] for batch in pairs(run, stage="near") for row in batch.to_pylist()]
    assert [pair.similarity for pair in pairs_with_texts(run, 2, stage="near")] == sorted(every)[:2]
    assert len(pairs_with_texts(run, 99)) == sum(batch.num_rows for batch in pairs(run))


def test_both_texts_are_those_of_the_documents(run: Path) -> None:
    (near,) = [pair for pair in pairs_with_texts(run, 99, stage="near") if "near.example" in (pair.a.url or "")]
    longer, shorter = near.a, near.b
    assert (longer.url, longer.fate) == ("https://near.example/long", "kept")
    assert (shorter.url, shorter.fate) == ("https://near.example/short", "dedup.near")
    assert longer.text is not None
    assert shorter.text is not None
    assert set(shorter.text.split()) < set(longer.text.split())
    shown = list(lines([near]))
    assert isinstance(shown[0], Titled)
    assert any(str(line).startswith("    -") for line in shown)
    assert "equal line" in str(shown[3])


def test_without_stored_texts_kept_ones_come_from_their_shards(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    shutil.rmtree(copy / "texts")
    shutil.rmtree(copy / "dropped")
    (near,) = [pair for pair in pairs_with_texts(copy, 99, stage="near") if "near.example" in (pair.a.url or "")]
    assert near.a.text is not None
    assert near.b.text is None
    assert "the run keeps no texts of both" in "\n".join(map(str, lines([near])))


def test_the_command_shows_them_and_refuses_a_file(run: Path, tmp_path: Path) -> None:
    found = json.loads(gristmill("pairs", run, "--texts", "-n", "1", "--json").stdout)["pairs"]
    assert [pair["a"]["text"] != "" for pair in found] == [True]
    refused = gristmill("pairs", run, "--texts", "--out", tmp_path / "p.csv")
    assert (refused.returncode, refused.stderr) == (2, "gristmill: --texts: shows pairs here; leave --out away\n")
