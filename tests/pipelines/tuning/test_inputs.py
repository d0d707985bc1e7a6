"""Files that the user names: read by their suffix, and refused where they cannot be read or written."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.tuning.inputs import check_output, read_texts
from shards.errors import RunError, UserError


def test_texts_are_read_by_suffix_and_a_broken_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.jsonl").write_text('{"text": "two"}\n')
    pq.write_table(pa.table({"text": ["three"]}), tmp_path / "c.parquet")
    (tmp_path / "d.doc").write_text("none")
    texts = [text for batch in read_texts([str(tmp_path)], "here") for text in batch["text"].to_pylist()]
    assert texts == ["one", "two", "three"]
    with pytest.raises(UserError, match=r"here: .*d\.doc: expected a file that ends in"):
        list(read_texts([str(tmp_path / "d.doc")], "here"))
    (tmp_path / "b.jsonl").write_text('{"text": "two"}\n{"text": ')
    with pytest.raises(RunError, match=r"b\.jsonl: offset 16"):
        list(read_texts([str(tmp_path)], "here"))


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    check_output(tmp_path / "new" / "model.bin")
    with pytest.raises(UserError, match="is a folder; name a file in it"):
        check_output(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises((UserError, RunError), match="cannot be written"):
        check_output(tmp_path / "file" / "model.bin")
