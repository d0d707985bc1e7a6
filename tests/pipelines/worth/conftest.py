"""A run with its texts, and token folders, of a few small documents; made once for all tests of the folder."""

from pathlib import Path

import pytest
from corpus import make_texts, write_shard
from crawl import Crawl, article
from ledger_runs import LEDGER_RECIPE, make_crawl, make_run

from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer_training import train_tokenizer

RUN_RECIPE = LEDGER_RECIPE.replace(
    '[[stage]]\nkind = "gopher_quality"',
    '[[stage]]\nkind = "language"\nmin_score = 0.1\n\n[[stage]]\nkind = "gopher_quality"',
)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, language_model: Path) -> Path:
    """Of pages that leave for every sort of reason, another language among them."""
    folder = tmp_path_factory.mktemp("run")
    crawl = make_crawl(folder / "crawl")
    russian = Crawl()
    text = article("Мельница", ["Сегодня утром мы пошли вдоль реки к мельнице."] * 9)
    russian.page("https://ru.example/", text, record_id="<urn:ru>")
    russian.write(crawl / "c.warc.gz")
    return make_run(folder / "run", crawl, recipe=RUN_RECIPE)


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_shard(folder / "shards" / "en" / "en-00000-000.arrow", make_texts("en", 400))
    train_tokenizer([folder], folder / "tokenizer.json", vocab_size=300, sample_bytes=100_000)
    return folder / "tokenizer.json"


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory, tokenizer: Path) -> Path:
    """Token folders `en` and `ru` that hold a tenth out."""
    folder = tmp_path_factory.mktemp("tokens")
    for language in ("en", "ru"):
        write_shard(folder / "shards" / language / f"{language}-00000-000.arrow", make_texts(language, 400))
    tokenize_shards([folder], tokenizer, folder / "tokens", held_out_fraction=0.1, report=lambda line: None)
    return folder / "tokens"
