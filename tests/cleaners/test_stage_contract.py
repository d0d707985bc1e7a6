"""What every local kind promises the pipeline (`shards.stage`), on texts and pages of every script."""

import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_cases import BAD, GOOD, QUESTION, cases, write_assets
from word_oracle import any_text

from cleaners.crawl.warc import RECORD
from pipelines.recipe import KINDS
from shards.schema import COPIES, LANGUAGE, PAYLOAD, PROVENANCE, TEXT
from shards.stage import Batch, Stage, StageConfig

LOCAL = [kind for kind, config in KINDS.items() if issubclass(config, StageConfig)]
VARIANTS = {kind: len(cases(Path()).get(kind, [{}])) for kind in LOCAL}
NAME = "named"  # no kind may take its own name for the stage's
READS_TEXT_ALONE = set(LOCAL) - {"url", "page", "language_guess", "extract", "rehydrate"}
MAKES_TEXT = {"extract"}
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
    GOOD,
    BAD,
    f"Before. {QUESTION} After.",
    "caf\u00c3\u00a9 | menu\n| | |\nmail miller@mill.ru or call +7 495 123-45-67 [1]",
]


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture(scope="module", params=[(kind, i) for kind in LOCAL for i in range(VARIANTS[kind])], ids=str)
def case(request: pytest.FixtureRequest, assets: Path, language_model: object) -> tuple[str, StageConfig]:
    kind, variant = request.param
    if kind not in cases(assets):
        pytest.fail(f"kind {kind!r} has no settings in `cases` of tests/cleaners/stage_cases.py")
    config = KINDS[kind].parse({"name": NAME} | cases(assets)[kind][variant], f"recipe.toml: {kind}")
    assert isinstance(config, StageConfig)
    return kind, config


@pytest.fixture(scope="module")
def kind(case: tuple[str, StageConfig]) -> str:
    return case[0]


@pytest.fixture(scope="module")
def config(case: tuple[str, StageConfig]) -> StageConfig:
    return case[1]


@pytest.fixture(scope="module")
def stage(config: StageConfig) -> Stage:
    return config.build()


def batch_for(config: StageConfig, texts: list[str | None], *, crawled: bool = False) -> Batch:
    """All columns that a stage may find, without those that this one adds; `crawled` rows are pages, not texts."""
    fields = [*PROVENANCE, TEXT, *LANGUAGE, COPIES, *([*PAYLOAD, *RECORD] if crawled else [])]
    added = set(config.columns().names) - {"text"}
    rows = [_page(i, text) if crawled else _document(i, text) for i, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, pa.schema([field for field in fields if field.name not in added]))


def _document(number: int, text: str | None) -> dict[str, Any]:
    url = f"http://a.example/{number}" if number % 3 else ""
    facts = {"id": f"{number:032x}", "url": url, "date": "2024-05-06T07:08:09Z" if number % 2 else "", "source": "web"}
    return facts | {"text": text, "language": "en", "language_score": 0.9, "copies": number}


def _page(number: int, text: str | None) -> dict[str, Any]:
    """The text as the body of a page; a revisit has neither."""
    html = None if text is None else f"<html><body><p>{text}</p></body></html>".encode()
    head = {"http_status": 200, "content_type": "text/html", "record_type": "response" if html else "revisit"}
    return _document(number, None) | head | {"payload": html, "http_charset": "utf-8" if number % 2 else None}


some_texts = st.lists(st.one_of(st.none(), any_text, st.sampled_from(EXTREMES)), max_size=6)


@settings(max_examples=25)
@given(texts=some_texts, crawled=st.booleans())
def test_rows_stay_in_order_and_columns_are_those_that_the_config_names(
    config: StageConfig, stage: Stage, texts: list[str | None], crawled: bool
) -> None:
    batch = batch_for(config, texts, crawled=crawled)
    measured = stage(batch)
    measured.validate(full=True)
    added = config.columns()
    assert measured.schema.names == [*batch.schema.names, *(name for name in added.names if name != "text")]
    assert [measured.schema.field(field.name).type for field in added] == added.types
    for name in batch.schema.names:
        if name != "text" or not config.edits:
            assert measured[name].equals(batch[name]), name


@pytest.mark.parametrize("crawled", [False, True])
def test_an_empty_batch_gets_the_columns_too(config: StageConfig, stage: Stage, crawled: bool) -> None:
    measured = stage(batch_for(config, [], crawled=crawled))
    assert measured.num_rows == 0
    assert [measured.schema.field(field.name).type for field in config.columns()] == config.columns().types


def test_a_null_text_is_not_measured_or_makes_no_difference(kind: str, config: StageConfig, stage: Stage) -> None:
    with_text, without = stage(batch_for(config, ["some words", None])), stage(batch_for(config, [None, None]))
    if kind not in MAKES_TEXT:
        assert with_text["text"].is_valid().to_pylist() == [True, False]
    for name in config.columns().names:
        if kind in READS_TEXT_ALONE:
            assert with_text[name][1].as_py() is None
        elif kind not in MAKES_TEXT:
            assert with_text[name].equals(without[name])


@pytest.mark.parametrize("crawled", [False, True])
def test_a_row_is_measured_the_same_in_any_batch(config: StageConfig, stage: Stage, crawled: bool) -> None:
    batch = batch_for(config, EXTREMES * 2, crawled=crawled).slice(2, 16)
    whole = stage(batch).to_pylist()
    for row in (0, 5, 10, 15):
        assert stage(batch.slice(row, 1)).to_pylist() == [whole[row]]


@pytest.mark.parametrize("crawled", [False, True])
def test_a_stage_gives_the_same_again_and_in_another_worker(config: StageConfig, stage: Stage, crawled: bool) -> None:
    batch = batch_for(config, EXTREMES, crawled=crawled)
    sent = pickle.loads(pickle.dumps(config))
    assert sent == config
    measured = stage(batch)
    assert stage(batch).equals(measured)
    assert sent.build()(batch).equals(measured)


def test_rules_compare_numeric_columns_of_the_stage_and_name_its_settings(config: StageConfig) -> None:
    for rule in config.rules():
        metric = config.columns().field(rule.metric).type
        assert pa.types.is_integer(metric) or pa.types.is_floating(metric)
        assert rule.reason.startswith(f"{NAME}.")
        assert rule.setting in ("", *type(config).model_fields)
        assert rule.min_kept is not None or rule.max_kept is not None


def test_columns_that_go_along_with_the_text_are_columns_of_the_stage(config: StageConfig) -> None:
    for field in config.carried():
        assert config.columns().field(field.name) == field


def test_columns_are_named_after_the_stage_or_shared_by_all(config: StageConfig) -> None:
    shared = {
        "text",
        "language",
        "language_score",
        "title",
        "page_date",
        "author",
        "site_name",
        "canonical_url",
        "declared_language",
    }
    for name in config.columns().names:
        assert name.startswith(f"{NAME}.") or name in shared


def test_a_stage_adds_no_column_that_it_needs(config: StageConfig) -> None:
    assert not set(config.needs()) & set(config.columns().names)
    assert set(config.needs()) <= set(batch_for(config, []).schema.names)


def test_a_stage_that_does_not_edit_adds_no_text(config: StageConfig) -> None:
    assert config.edits or "text" not in config.columns().names


def test_facts_for_the_fingerprint_are_named_after_the_stage(config: StageConfig) -> None:
    assert all(name.startswith(f"{NAME}.") for name in (*config.digests(), *config.lists()))


def test_a_config_survives_the_way_through_a_manifest(config: StageConfig) -> None:
    assert type(config).parse(config.model_dump(mode="json"), "manifest") == config
