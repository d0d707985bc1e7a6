"""The stage `extract` with our own engine: what it adds, refuses and shares with the others."""

import pyarrow as pa
import pytest
from crawl import SENTENCES, article
from test_extract import batch

from cleaners.extract import METADATA, OWN_METRICS, ExtractConfig, ExtractHere
from shards.errors import UserError


def config(**settings: object) -> ExtractConfig:
    return ExtractConfig.parse({"engine": "gristmill", **settings}, "test")


def test_rows_come_in_order_with_metrics() -> None:
    stage = config().build()
    assert isinstance(stage, ExtractHere)
    done = stage(batch(article("One"), None, "", article("Three", SENTENCES[:5]), texts=["", "given", "", ""]))
    found = done["text"].to_pylist()
    assert [SENTENCES[0] in text for text in found] == [True, False, False, True]
    assert found[1:3] == ["given", ""]
    assert done["extract.killed"].to_pylist() == done["extract.failed"].to_pylist() == [0, None, 0, 0]
    assert done["extract.num_chars"].to_pylist() == [len(text) for text in found]
    assert done["extract.num_blocks"].to_pylist()[1:3] == [None, 0]
    assert all(0 < done["extract.expected_f1"][i].as_py() <= 1 for i in (0, 3))
    assert {f"extract.{name}" for name in OWN_METRICS} <= set(done.schema.names)


def test_bombs_are_refused_as_with_every_engine() -> None:
    done = config(max_elements=1000).build()(batch("<b>x</b>" * 2000, "<div>" * 600 + "x", article("One")))
    assert done["extract.num_elements"].to_pylist()[0] == 2000
    assert done["text"].to_pylist()[:2] == [None, None]
    assert SENTENCES[0] in done["text"][2].as_py()


def test_bytes_that_are_no_text_do_no_harm() -> None:
    lone = b"\xff\xfe" + "<p>".encode("utf-16-le") + b"\x00\xd8x\x00"
    pages = [lone, b"\xed\xa0\x80<p>x", bytes(range(256)) * 20, b"<p>\xff\xfe\xfd", article("One").encode("utf-16")]
    done = config().build()(batch(*pages))
    assert done["extract.failed"].to_pylist() == [0] * 5
    assert SENTENCES[0] in done["text"][4].as_py()
    assert all(text.encode().decode() == text for text in done["text"].to_pylist())


def test_metadata_has_columns_of_its_own() -> None:
    page = '<html lang=de><meta name=author content="A. B."><link rel=canonical href="/c"><title>T</title><p>x'
    done = config(metadata=True).build()(batch(page))
    assert [done[name][0].as_py() for name in METADATA.names] == ["T", None, "A. B.", "https://example.org/c", "de"]
    assert ExtractConfig(metadata=True).carried().names == ["title", "page_date"]


def test_large_batches_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [article(f"Page {n}") for n in range(7)]
    whole = config().build()(batch(*pages))
    monkeypatch.setattr("cleaners.extract._CHUNK_BYTES", 3000)
    assert config().build()(batch(*pages)).equals(whole)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "trafilatura", "markdown": True}, "markdown: only the engine gristmill has it"),
        ({"engine": "resiliparse", "links": True, "comments": True}, "comments, links: only the engine gristmill"),
    ],
)
def test_options_of_another_engine_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ExtractConfig.parse(settings, "test")


def test_the_model_is_part_of_what_a_run_depends_on() -> None:
    assert config().digests()["extract.engine"].startswith("gristmill-1-")
    assert ExtractConfig().digests() == {}
    assert pa.types.is_float64(config().columns().field("extract.expected_f1").type)
