"""Texts that a report shows: found by id, cut, and safe to show."""

from pathlib import Path

from pipelines.report.aggregate import Aggregates
from pipelines.report.samples import SHOWN_CHARS, kept_texts, sample_texts, visible
from pipelines.run.folder import RunFolder
from shards.sink import open_arrow


def test_control_characters_become_signs() -> None:
    assert visible("a\0b\x1f\x85\n\t\x7f\ufffe") == "a␀b␟\ufffd\n\t␡\ufffd"


def test_texts_are_those_of_the_shards_and_of_dropped_documents(run: Path) -> None:
    folder = RunFolder(run)
    aggregates = Aggregates.of_run(folder, folder.recipe())
    samples = [sample for chosen in aggregates.chosen.random.values() for sample in chosen]
    texts = sample_texts(folder, samples)
    for key in folder.units():
        for row in open_arrow(folder.path(folder.shard(key))).read_all().to_pylist():
            assert texts.get((row["id"], ""), row["text"][:SHOWN_CHARS]) == row["text"][:SHOWN_CHARS]
    kept, dropped = ({s.id for s in samples if bool(s.drop_reasons) == is_dropped} for is_dropped in (False, True))
    assert {id for id, reason in texts if not reason} == kept
    assert {id for id, reason in texts if reason} <= dropped
    assert any(reason == "gopher_quality.too_few_words" for _, reason in texts)


def test_no_document_is_read_where_none_is_asked_for(run: Path) -> None:
    assert kept_texts(RunFolder(run), []) == {}
