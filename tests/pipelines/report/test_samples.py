"""Texts of samples, from the shards and the dropped texts of a run."""

from pathlib import Path

import pyarrow as pa

from pipelines.report.aggregate import Sample
from pipelines.report.samples import sample_texts
from shards.sink import ArrowSink


def test_samples_of_kept_rows_without_text_are_left_out(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("id", pa.string()), pa.field("text", pa.large_string())])
    with ArrowSink(tmp_path / "shards/web/web-00000-000.arrow", schema) as sink:
        sink.write(pa.RecordBatch.from_pydict({"id": ["1", "2"], "text": [None, "A text."]}, schema=schema))
    nothing = {"language": None, "language_score": None, "chars": None, "twin": None, "similarity": None}
    samples = [
        Sample("web-00000-000", id, "", "web", drop_reasons=(), also_fails=(), failures=(), **nothing) for id in "12"
    ]
    assert sample_texts(tmp_path, samples) == {("2", ""): "A text."}
