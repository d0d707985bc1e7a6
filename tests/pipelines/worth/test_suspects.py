"""Planted boilerplate and gibberish are found by a trained model, and the lists are those that `remove` takes."""

import json
import random
from pathlib import Path

import pytest
import tomli_w
from crawl import RECIPE, Crawl, article
from ledger_runs import make_run

from pipelines.verbs.remove import Requests, listed_ids, remove_from_run
from pipelines.worth.suspects import find_suspects, judged_lines, lines, nearest_rules, template_of
from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer_training import train_tokenizer
from pretrain.train import train_model
from shards.errors import UserError
from shards.stage import Rule

WORDS = ["the", "mill", "grinds", "every", "grain", "of", "wheat", "to", "flour", "and", "that", "bread", "be", "with"]
NOTICE = " ".join(["All rights of the site be reserved and with that all of the terms have to be read."] * 12)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 ordinary pages, 12 copies of a notice that nobody removed, and 2 of letters."""
    folder, draw, crawl = tmp_path_factory.mktemp("suspects"), random.Random(1), Crawl()
    for i in range(60):
        crawl.page(f"https://mill.example/{i}", article("", [" ".join(draw.choices(WORDS, k=90)) + "."]))
    for i in range(12):
        crawl.page(f"https://notice.example/terms/{i}/page", article("", [NOTICE]))
    for i in range(2):
        letters = "".join(draw.choices("qxzjkvwyp ", weights=[2] * 9 + [4], k=700))
        crawl.page(f"https://noise.example/{i}", article("", [letters]))
    (folder / "crawl").mkdir()
    crawl.write(folder / "crawl" / "a.warc.gz")
    recipe = RECIPE.partition('[[stage]]\nkind = "gopher_quality"')[0]
    recipe += '[[stage]]\nkind = "gopher_quality"\n' + "".join(
        f"{key} = false\n" for key in ("min_alpha_word_fraction", "min_stop_words", "max_mean_word_length")
    )
    return make_run(folder / "run", folder / "crawl", recipe=recipe)


@pytest.fixture(scope="module")
def model(run: Path) -> Path:
    folder = run.parent
    train_tokenizer([run], folder / "tokenizer.json", vocab_size=300, sample_bytes=50_000)
    tokenize_shards([run], folder / "tokenizer.json", folder / "t", held_out_fraction=0, report=lambda line: None)
    settings = {
        "out": "model", "steps": 120, "sequence_length": 64, "batch_size": 16,
        "model": {"width": 32, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "feed_forward_width": 64},
        "optimizer": {"lr": 1e-2, "warmup_steps": 4}, "monitor": {"report": False},
        "source": {"web": {"tokens": "t/web", "max_epochs": 40}},
    }  # fmt: skip
    (folder / "train.toml").write_text(tomli_w.dumps(settings))
    train_model(folder / "train.toml", overrides={}, progress=lambda record: None)
    return folder / "model"


def test_planted_documents_are_suspected_and_removed(run: Path, model: Path, tmp_path: Path) -> None:
    found = find_suspects(model, run, tmp_path, max_tokens=1_000_000, sample=5)
    assert found.num_documents == 74
    low = {r["url"] for r in found.records if r["kind"] == "low"}
    high = {r["url"] for r in found.records if r["kind"] == "high"}
    assert low >= {f"https://notice.example/terms/{i}/page" for i in range(12)}
    assert high >= {f"https://noise.example/{i}" for i in range(2)}
    assert len(low | high) <= 20  # 6 of 60 ordinary pages at most
    assert found.hosts[0].name == "notice.example"
    assert found.templates[0].name == "notice.example/terms/#/*"
    assert (tmp_path / "hosts.txt").read_text().split() == ["notice.example"]
    first = json.loads((tmp_path / "suspects.jsonl").read_text().splitlines()[0])
    assert first["rules"], "the rules that it came closest to"
    assert first["text"]
    assert any("12" in str(line) for line in lines(found))

    ids = listed_ids([str(tmp_path / "ids.txt")])
    assert len(ids) == len(found.records)
    removed = remove_from_run(run, Requests(ids=ids))
    assert removed.num_documents == len(ids)


def test_a_judged_sample_tells_the_precision(tmp_path: Path) -> None:
    file = tmp_path / "sample.jsonl"
    judged = [("low", True), ("low", False), ("high", True), ("high", None)]
    file.write_text("".join(json.dumps({"kind": kind, "is_bad": bad}) + "\n" for kind, bad in judged))
    (table,) = judged_lines(file)
    assert table.rows == (("high", "1", "1.00", "0.21 to 1.00"), ("low", "2", "0.50", "0.09 to 0.91"))
    file.write_text('{"kind": "low", "is_bad": null}\n')
    with pytest.raises(UserError, match="no line is judged"):
        list(judged_lines(file))
    file.write_text("{}\n")
    with pytest.raises(UserError, match=r"sample.jsonl:1: no line of a sample"):
        list(judged_lines(file))


def test_rules_are_ordered_by_how_close_a_document_came() -> None:
    rules = [Rule("s.a", "a", "max_a", max_kept=10), Rule("s.b", "b", "min_b", min_kept=8), Rule("s.c", "c", "max_c")]
    assert nearest_rules({"a": 5, "b": 10.0, "c": 3}, rules) == [("s.b", 10.0, 8.0), ("s.a", 5.0, 10.0)]


@pytest.mark.parametrize(
    ("url", "template"),
    [
        ("https://a.example/tags/2024/07/x.html?y=1", "a.example/tags/#/#/*"),
        ("https://A.example:80/", "a.example/*"),
        ("", "/*"),
    ],
)
def test_templates_leave_out_what_differs_between_pages(url: str, template: str) -> None:
    assert template_of(url) == template
