"""Evaluation sets are read from JSONL, CSV and Parquet, and a file that is none is refused by its name."""

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup.evaluation.sets import EvaluationSet, Passage, read_set
from shards.errors import UserError


def read(path: Path, fields: tuple[str, ...] = ()) -> EvaluationSet:
    return read_set("s", str(path), fields, "d.sets.s")


def test_jsonl_csv_and_parquet_hold_the_same_items(tmp_path: Path) -> None:
    records = [{"id": str(k), "Question": f"Number {k},\nreally", "A": "x"} for k in range(3)]
    (tmp_path / "a.jsonl").write_text("\ufeff" + "".join(json.dumps(record) + "\n" for record in records))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    (tmp_path / "c.csv").write_text("\ufeff" + out.getvalue())
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress((tmp_path / "c.csv").read_bytes()))
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "d.parquet")
    names = ["a.jsonl", "b.jsonl.gz", "c.csv", "c.csv.gz", "d.parquet"]
    passages = tuple(Passage(k, field, text) for k, record in enumerate(records) for field, text in record.items())
    for name in names:
        assert read(tmp_path / name).passages == passages, name
        assert read(tmp_path / name).items == ("s:0", "s:1", "s:2")
    assert read(tmp_path).items == tuple(f"s/{name}:{k}" for name in names for k in range(3))
    assert read(tmp_path / "*.jsonl*").items[3:] == ("s/b.jsonl.gz:0", "s/b.jsonl.gz:1", "s/b.jsonl.gz:2")


def test_texts_in_lists_and_tables_are_passages_and_numbers_are_not(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"a": "x", "b": {"text": ["y", "z"], "label": 1}}))
    assert [passage.text for passage in read(path).passages] == ["x", "y", "z"]
    assert [passage.text for passage in read(path, ("b", "c")).passages] == ["y", "z"]


@pytest.mark.parametrize(
    ("name", "data", "cause"),
    [
        ("none.jsonl", None, "no such file"),
        ("empty.jsonl", b"", "holds no record"),
        ("blank.csv", b"question,answer\n", "holds no record"),
        ("bad.jsonl", b'{"q": "a"}\n{"q": \n', "line 2"),
        ("list.jsonl", b'["a"]\n', "line 1: expected an object, found list"),
        ("latin.jsonl", b'{"q": "\xe9"}\n', "utf-8"),
        ("short.jsonl.gz", gzip.compress(b'{"q": "a"}\n' * 99, mtime=0)[:-12], "ended"),
        ("plain.jsonl.gz", b'{"q": "a"}\n', "gzip"),
        ("odd.csv", b"question,answer\na,b,c\n", "record 0: 3 cells, and the header has 2"),
        ("open.csv", b'question,answer\n"a,b\n', "end of data"),
        ("not.parquet", b"PAR1", "arquet"),
        ("notes.txt", b"text", "unknown format"),
    ],
)
def test_a_file_that_is_not_an_evaluation_set_is_refused_by_its_name(
    tmp_path: Path, name: str, data: bytes | None, cause: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=rf"^d\.sets\.s: .*{name}.*{cause}") as refusal:
        read(tmp_path / name)
    assert "\n" not in str(refusal.value)
