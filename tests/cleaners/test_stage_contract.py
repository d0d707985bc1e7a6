"""What every rule stage owes the runner, on texts of every script."""

import pickle

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_oracle import any_text

from cleaners.c4 import C4Config
from cleaners.chinese_quality import ChineseQualityConfig
from cleaners.fineweb import FineWebConfig
from cleaners.gopher_quality import GopherQualityConfig
from cleaners.gopher_repetition import GopherRepetitionConfig
from cleaners.language import LanguageConfig
from cleaners.pii import PiiConfig
from cleaners.refinedweb_lines import RefinedWebLinesConfig
from cleaners.url import UrlConfig
from shards.stage import Batch, Stage, StageConfig

CONFIGS: tuple[StageConfig, ...] = (
    UrlConfig(name="url"),
    LanguageConfig(name="language"),
    GopherRepetitionConfig(name="gopher_repetition"),
    GopherQualityConfig(name="gopher_quality"),
    RefinedWebLinesConfig(name="refinedweb_lines"),
    FineWebConfig(name="fineweb"),
    C4Config(name="c4"),
    ChineseQualityConfig(name="chinese_quality"),
    PiiConfig(name="pii", phones=("zh", "ru"), identity_numbers=("zh", "ru")),
)
EDITS = ("refinedweb_lines", "c4", "pii")
EXTREMES = [
    "",
    None,
    "word",
    "\x00",
    "שלום עולם",
    "👩\u200d🔬 🦀",
    "e\u0301\u0323",
    "字" * 50,
    "x" * 1_000_000,
    "\n" * 1000,
]


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda config: config.name)
def config(request: pytest.FixtureRequest, language_model: object) -> StageConfig:
    return request.param


@pytest.fixture(scope="module")
def stage(config: StageConfig) -> Stage:
    return config.build()


def batch_of(texts: list[str | None]) -> Batch:
    ids = [f"{i:032x}" for i in range(len(texts))]
    urls = [f"http://a.example/{i}" if i % 3 else "" for i in range(len(texts))]
    return pa.record_batch(
        {"id": ids, "url": urls, "text": pa.array(texts, pa.large_string())},
        pa.schema([("id", pa.string()), ("url", pa.string()), ("text", pa.large_string())]),
    )


@settings(max_examples=30)
@given(texts=st.lists(st.one_of(st.none(), any_text, st.sampled_from(EXTREMES)), max_size=8))
def test_rows_order_and_columns(config: StageConfig, stage: Stage, texts: list[str | None]) -> None:
    batch = batch_of(texts)
    measured = stage(batch)
    assert measured.schema.names == [*batch.schema.names, *config.columns().names]
    assert [measured.schema.field(field.name).type for field in config.columns()] == config.columns().types
    for name in ("id", "url") if config.name in EDITS else ("id", "url", "text"):
        assert measured[name].equals(batch[name])


def test_a_null_text_has_null_metrics_and_stays_null(config: StageConfig, stage: Stage) -> None:
    if config.name == "url":
        pytest.skip("looks at no text")
    row = stage(batch_of(["some words", None])).to_pylist()[1]
    assert row["text"] is None
    assert {row[name] for name in config.columns().names} == {None}


def test_a_row_is_measured_alike_in_any_batch(config: StageConfig, stage: Stage) -> None:
    whole = stage(batch_of(EXTREMES * 2).slice(2, 12))
    for row in range(0, 12, 5):
        alone = stage(batch_of(EXTREMES * 2).slice(2 + row, 1))
        assert alone.to_pylist() == whole.slice(row, 1).to_pylist()


def test_rules_look_at_columns_of_the_stage_and_name_its_settings(config: StageConfig) -> None:
    for rule in config.rules():
        assert rule.metric in config.columns().names
        assert rule.reason.startswith(f"{config.name}.")
        assert rule.setting in type(config).model_fields


def test_a_config_can_be_sent_to_a_worker(config: StageConfig) -> None:
    assert pickle.loads(pickle.dumps(config)) == config
